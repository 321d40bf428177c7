//! A provider whose logins say what a test tells them to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use url::Url;

use super::stand::Lines;
use super::stand::id;
use crate::error::RefreshError;
use crate::keeper::Seat;
use crate::provider::Exchange;
use crate::provider::Method;
use crate::provider::Profile;
use crate::provider::Provider;
use crate::provider::Request;
use crate::provider::Response;
use crate::provider::Spend;
use crate::provider::Step;
use crate::provider::call::Call;
use crate::provider::call::Callee;
use crate::provider::deed::Deed;
use crate::provider::deed::Session;
use crate::provider::deed::SessionOrder;
use crate::provider::deed::Sessions;
use crate::provider::login::Heard;
use crate::provider::login::Login;
use crate::provider::login::LoginStart;
use crate::provider::login::Prompt;
use crate::provider::login::Turn;
use crate::provider::silent;
use crate::section::SecretRef;
use crate::snapshot::Held;
use crate::snapshot::Snapshot;
use crate::snapshot::StateName;
use crate::time::Moment;
use crate::time::Timestamp;
use crate::token::Generation;
use crate::token::Grant;
use crate::token::Secret;
use crate::token::TokenSet;

/// What a codec says, turn by turn.
pub(super) type Script = Arc<dyn Fn() -> Vec<Turn> + Send + Sync>;

/// A provider whose logins say what they are told to.
struct Puppet {
    profile: Profile,
    script: Script,
    lines: Lines,
}

impl Provider for Puppet {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn exchange(&self, _: Spend) -> Box<dyn Exchange> {
        unreachable!("nobody refreshes")
    }

    fn login(&self, _: LoginStart) -> Option<Box<dyn Login>> {
        Some(Box::new(Told { turns: (self.script)().into(), lines: self.lines.clone() }))
    }

    fn sends_a_code(&self) -> bool {
        self.profile.sign_in.is_none()
    }

    fn sessions(&self, order: SessionOrder, access: Secret) -> Option<Box<dyn Deed<Sessions>>> {
        match order {
            SessionOrder::List => Some(Box::new(Shown(access))),
            SessionOrder::End(_) => Some(Box::new(Ended)),
            SessionOrder::EndAll => None,
        }
    }
}

/// A session ends without any request.
struct Ended;

impl Deed<Sessions> for Ended {
    fn next(&mut self, _: Option<Response>) -> Step<Result<Sessions, RefreshError>> {
        Step::Done(Ok(Sessions::Ended(Some(1))))
    }
}

struct Told {
    turns: VecDeque<Turn>,
    lines: Lines,
}

impl Login for Told {
    fn next(&mut self, heard: Heard) -> Turn {
        let line = match heard {
            Heard::Begun => "begun".to_owned(),
            Heard::Response(response, _) => format!("response {}", response.status),
            Heard::Lost(_) => "lost".to_owned(),
            Heard::Answer(answer, _) => format!("answer {}", answer.expose()),
            Heard::Waited(_) => "waited".to_owned(),
            Heard::Called(_) => "called".to_owned(),
        };
        self.lines.heard.lock().unwrap().push(line);
        self.turns.pop_front().unwrap()
    }
}

/// A list of one session whose id is the access token that it was asked with.
struct Shown(Secret);

impl Deed<Sessions> for Shown {
    fn next(&mut self, response: Option<Response>) -> Step<Result<Sessions, RefreshError>> {
        match response {
            None => Step::Ask(request()),
            Some(_) => {
                let session = Session { id: self.0.expose().into(), ..Session::default() };
                Step::Done(Ok(Sessions::Listed(vec![session])))
            }
        }
    }
}

/// The one account whose login takes no password and has a code sent.
pub(super) const CODED: &str = "coded";

pub(super) fn seat(name: &str, script: &Script, lines: &Lines) -> Seat {
    let profile = Profile {
        sign_in: (name != CODED).then(|| vec![("password", SecretRef::Slot)]),
        ..silent::provider("here").profile().clone()
    };
    let provider = Puppet { profile, script: script.clone(), lines: lines.clone() };
    let tokens = TokenSet {
        access: Secret::new("token-1"),
        id: None,
        token_type: "Bearer".into(),
        scope: None,
    };
    let snapshot = Snapshot {
        state: StateName::Fresh,
        generation: Generation(1),
        held: Some(Held {
            tokens: Arc::new(tokens),
            generation: Generation(1),
            issued_at: Timestamp::default(),
            lifetime: secs(3600),
            expires_boot: Moment::from_millis(3_600_000),
            expires_wall: Timestamp::from_millis(3_600_000),
            aws: None,
        }),
        ..Snapshot::vacant()
    };
    let (_, snapshot) = watch::channel(Arc::new(snapshot));
    let provider = Arc::new(provider);
    Seat { account: id(name), provider, rules: Arc::default(), hooks: Arc::default(), snapshot }
}

pub(super) fn call() -> Turn {
    Turn::Call(Call {
        callee: Callee::Socket("/run/boiler.sock".into()),
        account: "mail".into(),
        question: Secret::new("{}"),
        hidden: Vec::new(),
        limit: None,
        spends: false,
    })
}

pub(super) fn prompt(what: &str) -> Turn {
    Turn::Prompt(match what {
        "password" => Prompt::Password { of: "pat".into() },
        _ => Prompt::Code { from: "the post".into(), again: false, good_for: Some(secs(180)) },
    })
}

pub(super) fn pause(span: u64) -> Turn {
    Turn::Pause { span: secs(span), shown: device() }
}

pub(super) fn device() -> Prompt {
    Prompt::Device {
        url: "https://idp.example/device".into(),
        complete: None,
        user_code: "ABCD-EFGH".into(),
        good_for: secs(600),
    }
}

pub(super) fn ask() -> Turn {
    Turn::Ask(request())
}

pub(super) fn request() -> Request {
    Request {
        method: Method::Post,
        url: Url::parse("https://idp.example/login").unwrap(),
        headers: Vec::new(),
        body: Secret::new(""),
        spends: false,
    }
}

pub(super) fn done(refresh_token: &str) -> Turn {
    Turn::Done(Ok(Box::new(grant(refresh_token))))
}

pub(super) fn grant(refresh_token: &str) -> Grant {
    Grant {
        tokens: Arc::new(TokenSet {
            access: Secret::new("a"),
            id: None,
            token_type: "Bearer".into(),
            scope: None,
        }),
        refresh_token: Some(Secret::new(refresh_token)),
        lifetime: secs(3600),
        refresh_lifetime: None,
        aws: None,
        subject: None,
    }
}

pub(super) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
