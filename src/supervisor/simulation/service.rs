//! A scripted provider, as one account sees it, with a ledger of what it granted.
//!
//! It knows what is true: which refresh tokens work, and how long each access token is good.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::clocks::Clocks;
use crate::name::AccountId;
use crate::time::Timestamp;
use crate::token::Grant;
use crate::token::Secret;
use crate::token::TokenSet;

/// What a provider does with the refresh token that was spent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Conduct {
    /// It goes on being the one, and no reply names another.
    Keeps,
    /// Another one comes, and the old ones go on working.
    Multiplies,
    /// Another one comes, and the previous one works that long.
    Grace(Duration),
    /// Another one comes, and who spends the old one again has lost the login.
    Strict,
}

/// Names a refresh token: which login it belongs to, and its number in it.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Serial {
    pub(super) login: u64,
    pub(super) number: u64,
}

impl Serial {
    fn token(self) -> Secret {
        Secret::new(format!("{}.{}", self.login, self.number))
    }

    /// Reads the name off a token.
    pub(super) fn of(token: &Secret) -> Self {
        let (login, number) = token.expose().split_once('.').unwrap();
        Self { login: login.parse().unwrap(), number: number.parse().unwrap() }
    }
}

/// Access tokens that are remembered: those of a provider that tears one reply after the other as
/// long as the one before them is good.
const REMEMBERED: usize = 4_096;

/// One account at its provider.
pub(super) struct Service {
    conduct: Conduct,
    lifetime: Duration,
    logins: Vec<Login>,
    /// When the newest access tokens end that were granted; the last one has the number `count`.
    granted: VecDeque<Span>,
    count: u64,
}

struct Login {
    alive: bool,
    jinx: Option<Jinx>,
    newest: u64,
    /// When the newest was granted.
    since: Duration,
}

/// What a provider always answers to the refresh token of a login, whatever it does for others. It
/// grants nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Jinx {
    /// 500, from a provider that may have done what it was asked.
    ServerError,
    /// Nothing.
    Silence,
    /// 200 with a body that makes no sense.
    Malformed,
}

impl Jinx {
    pub(super) const ALL: &[Self] = &[Self::ServerError, Self::Silence, Self::Malformed];
}

/// When an access token is good, in true time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// When its request was sent.
    pub(super) from: Duration,
    pub(super) lifetime: Duration,
    /// What the wall clock showed then.
    pub(super) wall: Timestamp,
    /// How often the host had been booted, and the wall clock set.
    pub(super) boots: u64,
    pub(super) steps: u64,
}

/// What a provider makes of a refresh token.
pub(super) enum Ruling {
    Granted(Grant),
    Refused(Refused),
}

/// A refresh token that is refused.
pub(super) struct Refused {
    /// Which one would have been taken, if any.
    pub(super) newest: Serial,
    /// Since when.
    pub(super) since: Duration,
    /// Whether it was good before that one.
    pub(super) reused: bool,
    pub(super) conduct: Conduct,
}

impl Service {
    pub(super) fn new(conduct: Conduct, lifetime: Duration) -> Self {
        let (logins, granted) = (Vec::new(), VecDeque::new());
        Self { conduct, lifetime, logins, granted, count: 0 }
    }

    /// Somebody logs in: the first refresh token of a new login.
    pub(super) fn log_in(&mut self, at: Duration) -> Secret {
        self.logins.push(Login { alive: true, jinx: None, newest: 1, since: at });
        let login = u64::try_from(self.logins.len()).unwrap();
        Serial { login, number: 1 }.token()
    }

    fn login(&mut self, serial: Serial) -> Option<&mut Login> {
        let index = usize::try_from(serial.login).unwrap().checked_sub(1)?;
        self.logins.get_mut(index)
    }

    /// Whether a refresh token works and goes on working until another one replaces it.
    pub(super) fn takes(&mut self, serial: Serial) -> bool {
        let conduct = self.conduct;
        self.login(serial).is_some_and(|login| {
            let newest = serial.number == login.newest;
            login.alive && (newest || conduct == Conduct::Multiplies)
        })
    }

    /// From now on that is all that is answered to the newest login.
    pub(super) fn jinx(&mut self, jinx: Jinx) {
        if let Some(login) = self.logins.last_mut() {
            login.jinx = Some(jinx);
        }
    }

    /// What is always answered to a refresh token, if anything is.
    pub(super) fn jinx_of(&mut self, token: &Secret) -> Option<Jinx> {
        self.login(Serial::of(token))?.jinx
    }

    /// The login that a refresh token belongs to ends.
    pub(super) fn end(&mut self, serial: Serial) {
        if let Some(login) = self.login(serial) {
            login.alive = false;
        }
    }

    /// Somebody spends a refresh token.
    pub(super) fn spend(&mut self, token: &Secret, sent: Duration, clocks: &Clocks) -> Ruling {
        let serial = Serial::of(token);
        let (at, conduct) = (clocks.at(), self.conduct);
        let refused =
            |newest, since, reused| Ruling::Refused(Refused { newest, since, reused, conduct });
        let Some(login) = self.login(serial) else { return refused(serial, at, false) };
        let newest = Serial { number: login.newest, ..serial };
        let since = login.since;
        if !login.alive {
            return refused(newest, since, false);
        }
        let is_newest = serial == newest;
        let again = match conduct {
            Conduct::Keeps | Conduct::Multiplies => true,
            Conduct::Grace(grace) => serial.number + 1 == newest.number && at < since + grace,
            Conduct::Strict => false,
        };
        if !is_newest && !again {
            if conduct == Conduct::Strict {
                login.alive = false;
            }
            return refused(newest, since, true);
        }
        let rotates = conduct != Conduct::Keeps;
        if rotates && is_newest {
            login.newest += 1;
            login.since = at;
        }
        // A replay is answered with the very token whose reply was lost.
        let next = Serial { number: login.newest, ..serial };
        let refresh_token = rotates.then(|| next.token());
        Ruling::Granted(self.grant(refresh_token, sent, clocks))
    }

    /// Access tokens for who works without a refresh token, or has just logged in.
    pub(super) fn grant(
        &mut self,
        refresh_token: Option<Secret>,
        sent: Duration,
        clocks: &Clocks,
    ) -> Grant {
        self.count += 1;
        let span = Span {
            from: sent,
            lifetime: self.lifetime,
            wall: clocks.now().wall.before(clocks.at() - sent),
            boots: clocks.boots(),
            steps: clocks.steps(),
        };
        if self.granted.len() == REMEMBERED {
            self.granted.pop_front();
        }
        self.granted.push_back(span);
        Grant {
            tokens: Arc::new(TokenSet {
                access: Secret::new(self.count.to_string()),
                id: None,
                token_type: "Bearer".into(),
                scope: None,
            }),
            refresh_token,
            lifetime: self.lifetime,
            refresh_lifetime: None,
            aws: None,
            subject: Some("pat".into()),
        }
    }

    /// The newest access token gets another lifetime than is usual.
    pub(super) fn odd(&mut self, grant: &mut Grant, lifetime: Duration) {
        grant.lifetime = lifetime;
        if let Some(span) = self.granted.back_mut() {
            span.lifetime = lifetime;
        }
    }

    /// When an access token is good, unless it was granted long ago.
    pub(super) fn span_of(&self, access: &Secret) -> Option<Span> {
        let number: u64 = access.expose().parse().unwrap();
        let newer = usize::try_from(self.count - number).unwrap();
        self.granted.iter().nth_back(newer).copied()
    }
}

/// What a login of that account is called where its tokens are named.
pub(super) fn subject_of_another(account: &AccountId) -> Box<str> {
    format!("not-{account}").into()
}
