//! The logins of one account: which tokens are good, whatever protocol they travel by.
//!
//! A service opens a token as a [`Claim`] and asks the vault what it is worth. Everything that
//! ends, rotates or begins a login happens in here.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use crate::clock::Moment;
use crate::family::Family;
use crate::family::Issue;
use crate::family::Rotation;
use crate::family::Spend;
use crate::ledger::Verdict;
use crate::token::Claim;
use crate::token::Mint;

/// Logins of one account that are kept; the oldest ends when another one begins.
const MOST_LOGINS: usize = 256;
/// Single access tokens of one account that are known as revoked; the oldest are forgotten.
const MOST_REVOKED: usize = 10_000;

/// The logins of one account.
pub(crate) struct Vault {
    account: Rc<str>,
    logins: BTreeMap<u32, Login>,
    /// The family number of tokens that come from no login (client credentials).
    direct: u32,
    /// Access tokens handed out so far.
    serials: u32,
    revoked: BTreeSet<u32>,
    /// Whether the first refresh token that comes begins a login, whatever it is.
    adopts: bool,
}

/// One login.
pub(crate) struct Login {
    family: Family,
    /// Generation 0, where it is not of this provider's making.
    adopted: Option<String>,
    /// When it began.
    pub(crate) began: Moment,
    /// When it last handed out tokens.
    pub(crate) latest: Moment,
}

/// Numbers for families; one process never uses a number twice.
#[derive(Debug, Default)]
pub(crate) struct Families(u32);

/// Under which rules a refresh token is spent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// When refresh tokens change.
    pub(crate) rotation: Rotation,
    /// How long a login is good from its beginning; `None` is for ever.
    pub(crate) lifetime: Option<Duration>,
}

/// A pair of tokens that was granted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Spent {
    /// [`Verdict::Granted`] or [`Verdict::Replayed`].
    pub(crate) verdict: Verdict,
    /// Whether the refresh token was rotated.
    pub(crate) committed: bool,
    /// The login that the tokens belong to.
    pub(crate) family: u32,
    /// The tokens.
    pub(crate) issue: Issue,
}

/// Why a refresh token grants nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unspent {
    /// It is no token of this account.
    Unknown,
    /// Its login has ended.
    Ended,
    /// Its login is too old.
    Expired,
    /// It was superseded, too long ago.
    Reused,
}

impl Unspent {
    /// The verdict on a request that came to this.
    pub(crate) fn verdict(self) -> Verdict {
        match self {
            Self::Unknown => Verdict::Refused("unknown_token".into()),
            Self::Ended => Verdict::Refused("ended_login".into()),
            Self::Expired => Verdict::Refused("expired_login".into()),
            Self::Reused => Verdict::Reused,
        }
    }
}

impl Families {
    fn next(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

impl Login {
    /// The newest generation of its refresh token.
    pub(crate) fn newest(&self) -> u32 {
        self.family.newest()
    }

    /// Whether its tokens are good.
    pub(crate) fn is_alive(&self) -> bool {
        self.family.is_alive()
    }
}

impl Vault {
    /// A vault without logins.
    pub(crate) fn new(account: Rc<str>, families: &mut Families, adopts: bool) -> Self {
        Self {
            account,
            logins: BTreeMap::new(),
            direct: families.next(),
            serials: 0,
            revoked: BTreeSet::new(),
            adopts,
        }
    }

    /// Name of the account.
    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    /// Begins a login at `now` and answers with the number of its family. `adopted` is its first
    /// refresh token, where that is not of this provider's making.
    pub(crate) fn log_in(
        &mut self,
        families: &mut Families,
        adopted: Option<String>,
        now: Moment,
    ) -> u32 {
        if self.logins.len() == MOST_LOGINS {
            self.logins.pop_first();
        }
        let number = families.next();
        let login = Login { family: Family::new(), adopted, began: now, latest: now };
        self.logins.insert(number, login);
        number
    }

    /// Begins a login with `token`, if this is the first one of an account that takes any.
    pub(crate) fn adopt(&mut self, token: &str, families: &mut Families, now: Moment) {
        if self.adopts && self.logins.is_empty() && !token.is_empty() {
            self.log_in(families, Some(token.to_owned()), now);
        }
    }

    /// Every login by the number of its family, oldest first.
    pub(crate) fn logins(&self) -> impl DoubleEndedIterator<Item = (u32, &Login)> {
        self.logins.iter().map(|(number, login)| (*number, login))
    }

    /// One login.
    pub(crate) fn login(&self, family: u32) -> Option<&Login> {
        self.logins.get(&family)
    }

    /// Ends every login, as a person does who withdraws their consent.
    pub(crate) fn end_all(&mut self) {
        self.logins.values_mut().for_each(|login| login.family.kill());
    }

    /// Ends one login.
    pub(crate) fn end(&mut self, family: u32) {
        if let Some(login) = self.logins.get_mut(&family) {
            login.family.kill();
        }
    }

    /// Family and generation of a refresh token that its service opened as `opened`, or that an
    /// account adopted as it is.
    pub(crate) fn locate(&self, opened: Option<Claim>, token: &str) -> Option<(u32, u32)> {
        if let Some(claim) = opened {
            return self.logins.contains_key(&claim.family).then_some((claim.family, claim.number));
        }
        let adopted = |login: &Login| login.adopted.as_deref() == Some(token);
        let (family, _) = self.logins.iter().find(|(_, login)| adopted(login))?;
        Some((*family, 0))
    }

    /// Presents the refresh token that is `generation` of `family`.
    ///
    /// # Errors
    ///
    /// It grants nothing.
    pub(crate) fn spend(
        &mut self,
        (family, generation): (u32, u32),
        terms: Terms,
        now: Moment,
    ) -> Result<Spent, Unspent> {
        let serial = self.serial();
        let login = self.logins.get_mut(&family).ok_or(Unspent::Unknown)?;
        let age = now.since_start.saturating_sub(login.began.since_start);
        if login.is_alive() && terms.lifetime.is_some_and(|lifetime| age >= lifetime) {
            return Err(Unspent::Expired);
        }
        let before = login.newest();
        let (verdict, issue) = match login.family.spend(generation, terms.rotation, serial, now) {
            Spend::Granted(issue) => (Verdict::Granted, issue),
            Spend::Replayed(issue) => (Verdict::Replayed, issue),
            Spend::Dead => return Err(Unspent::Ended),
            Spend::Reused => return Err(Unspent::Reused),
        };
        login.latest = now;
        let committed = login.newest() != before;
        Ok(Spent { verdict, committed, family, issue })
    }

    /// The first tokens of a login that began at `now`.
    pub(crate) fn first_of(&mut self, family: u32, now: Moment) -> Spent {
        let issue = Issue { generation: 0, serial: self.serial(), at: now };
        Spent { verdict: Verdict::Granted, committed: false, family, issue }
    }

    /// An access token that belongs to no login.
    pub(crate) fn direct(&mut self, now: Moment) -> Spent {
        self.first_of(self.direct, now)
    }

    /// Whether an access token that says `claim` is good at `now`.
    pub(crate) fn admits(&self, claim: Claim, now: Moment) -> bool {
        let login = self.logins.get(&claim.family);
        let origin = claim.family == self.direct || login.is_some_and(Login::is_alive);
        origin && now.at_ms() < claim.expires_ms && !self.revoked.contains(&claim.number)
    }

    /// Ends one access token.
    pub(crate) fn revoke_access(&mut self, serial: u32) {
        if self.revoked.len() == MOST_REVOKED {
            self.revoked.pop_first();
        }
        self.revoked.insert(serial);
    }

    /// An opaque refresh token, as the client is to see it.
    pub(crate) fn shown(&self, mint: &Mint, family: u32, generation: u32) -> String {
        let adopted = self.logins.get(&family).and_then(|login| login.adopted.as_ref());
        match adopted {
            Some(token) if generation == 0 => token.clone(),
            Some(_) | None => mint.refresh(&self.account, family, generation),
        }
    }

    fn serial(&mut self) -> u32 {
        self.serials += 1;
        self.serials
    }
}
