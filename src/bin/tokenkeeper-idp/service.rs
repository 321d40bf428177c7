//! The protocols that an account can speak: dialects over the same logins.
//!
//! A service reads what a request asks for ([`Desk::ask`]) and answers it ([`Desk::decide`]).
//! Counting, faults, delays, holds and the ledger know no service, and the [`Vault`] alone says
//! what a token is worth. `service` has one file for each; what differs from RFC 6749 stands at
//! its top.

pub(crate) mod bench;
pub(crate) mod cognito;
pub(crate) mod kasa_monitor;
pub(crate) mod navien;
pub(crate) mod oauth2;
#[cfg(test)]
mod testing;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::behaviour::Behaviour;
use crate::call::Call;
use crate::clock::Moment;
use crate::ledger::Verdict;
use crate::operation::Operation;
use crate::reply::Reply;
use crate::service::bench::Bench;
use crate::token::Mint;
use crate::vault::Spent;
use crate::vault::Vault;

/// The name of a protocol.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Service {
    /// RFC 6749.
    #[default]
    Oauth2,
    /// Amazon Cognito user pools.
    Cognito,
    /// Kasa Monitor.
    KasaMonitor,
    /// Navien `NaviLink`.
    Navien,
}

impl Service {
    /// The word of the ledger and of scripts.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Oauth2 => "oauth2",
            Self::Cognito => "cognito",
            Self::KasaMonitor => "kasa-monitor",
            Self::Navien => "navien",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What a request asks for, before anything is decided.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Ask {
    /// What it asks for.
    pub(crate) operation: Operation,
    /// The protocol's own word for that, if the request has one and can be read.
    pub(crate) grant: Option<String>,
    /// The refresh token that it presents.
    pub(crate) refresh_token: Option<String>,
}

/// The judgement on one request.
#[derive(Debug)]
pub(crate) struct Decision {
    /// For the ledger.
    pub(crate) verdict: Verdict,
    /// Whether the refresh token was rotated.
    pub(crate) committed: bool,
    /// The one-time code that was mailed to the user.
    pub(crate) mailed: Option<String>,
    /// What the client is to get.
    pub(crate) reply: Reply,
}

impl Decision {
    /// A judgement without mail.
    pub(crate) fn new(verdict: Verdict, committed: bool, reply: Reply) -> Self {
        Self { verdict, committed, mailed: None, reply }
    }

    /// Tokens.
    pub(crate) fn granted(spent: &Spent, reply: Reply) -> Self {
        Self::new(spent.verdict.clone(), spent.committed, reply)
    }

    /// What was asked for, without tokens.
    pub(crate) fn done(reply: Reply) -> Self {
        Self::new(Verdict::Done, false, reply)
    }

    /// Nothing, for `cause`.
    pub(crate) fn refused(cause: impl Into<Cow<'static, str>>, reply: Reply) -> Self {
        Self::new(Verdict::Refused(cause.into()), false, reply)
    }
}

/// A refusal that a script asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scripted<'a> {
    /// The code, as the service would write it.
    pub(crate) code: &'a Value,
    /// The HTTP status, if not the usual one of that code.
    pub(crate) status: Option<u16>,
    /// The message for people.
    pub(crate) message: &'a str,
}

impl Scripted<'_> {
    /// The code as text.
    pub(crate) fn code_text(&self) -> String {
        self.code.as_str().map_or_else(|| self.code.to_string(), str::to_owned)
    }
}

/// One account's side of its service: what the protocol must remember between two requests.
#[derive(Debug)]
pub(crate) enum Desk {
    /// RFC 6749 remembers nothing.
    Oauth2,
    /// Which code was mailed.
    Cognito(cognito::Desk),
    /// What was limited, and who logged in.
    KasaMonitor(kasa_monitor::Desk),
    /// Navien remembers nothing either.
    Navien,
}

impl Desk {
    /// A desk that remembers nothing yet.
    pub(crate) fn new(service: Service) -> Self {
        match service {
            Service::Oauth2 => Self::Oauth2,
            Service::Cognito => Self::Cognito(cognito::Desk::default()),
            Service::KasaMonitor => Self::KasaMonitor(kasa_monitor::Desk::default()),
            Service::Navien => Self::Navien,
        }
    }

    /// What `call` asks for; `None` if the service has no such path.
    pub(crate) fn ask(&self, call: &Call, behaviour: &Behaviour) -> Option<Ask> {
        match self {
            Self::Oauth2 => oauth2::ask(call, behaviour),
            Self::Cognito(_) => cognito::ask(call),
            Self::KasaMonitor(_) => kasa_monitor::ask(call, &behaviour.kasa_monitor),
            Self::Navien => navien::ask(call),
        }
    }

    /// Judges `call`, rotates what is to be rotated, and phrases the reply.
    pub(crate) fn decide(&mut self, call: &Call, bench: Bench<'_>) -> Decision {
        match self {
            Self::Oauth2 => oauth2::decide(call, bench),
            Self::Cognito(desk) => desk.decide(call, bench),
            Self::KasaMonitor(desk) => desk.decide(call, bench),
            Self::Navien => navien::decide(call, bench),
        }
    }

    /// Refuses a request that came too often; the next one passes after `wait`, which `None` keeps
    /// to itself.
    pub(crate) fn limited(
        &self,
        behaviour: &Behaviour,
        wait: Option<Duration>,
        now: Moment,
    ) -> Decision {
        let wait = wait.map(whole_secs);
        match self {
            Self::Oauth2 => oauth2::limited(behaviour, wait),
            Self::Cognito(_) => cognito::limited(&behaviour.cognito, wait),
            Self::KasaMonitor(_) => kasa_monitor::limited(&behaviour.kasa_monitor, wait, now),
            Self::Navien => navien::limited(&behaviour.navien, wait),
        }
    }

    /// A scripted refusal in the words of the service.
    pub(crate) fn refusal(
        &self,
        behaviour: &Behaviour,
        scripted: &Scripted<'_>,
        now: Moment,
    ) -> Reply {
        match self {
            Self::Oauth2 => oauth2::refusal(behaviour, scripted),
            Self::Cognito(_) => cognito::refusal(&behaviour.cognito, scripted),
            Self::KasaMonitor(_) => kasa_monitor::refusal(&behaviour.kasa_monitor, scripted, now),
            Self::Navien => navien::refusal(&behaviour.navien, scripted),
        }
    }

    /// Begins a login at the bench and answers with its refresh token.
    pub(crate) fn mint(&mut self, mut bench: Bench<'_>) -> String {
        match self {
            Self::KasaMonitor(desk) => desk.mint(bench),
            Self::Oauth2 | Self::Cognito(_) | Self::Navien => {
                let spent = bench.sign_in();
                bench.vault.shown(bench.tools.mint, spent.family, 0)
            }
        }
    }

    /// The refresh token of the newest login, newest generation.
    pub(crate) fn newest(
        &self,
        vault: &Vault,
        behaviour: &Behaviour,
        mint: &Mint,
    ) -> Option<String> {
        match self {
            Self::KasaMonitor(desk) => desk.newest(vault, behaviour, mint),
            Self::Oauth2 | Self::Cognito(_) | Self::Navien => {
                let (family, login) = vault.logins().next_back()?;
                Some(vault.shown(mint, family, login.newest()))
            }
        }
    }

    /// The one-time code that was mailed last.
    pub(crate) fn mailed(&self) -> Option<&str> {
        match self {
            Self::Cognito(desk) => desk.mailed(),
            Self::Oauth2 | Self::KasaMonitor(_) | Self::Navien => None,
        }
    }

    /// Family and generation of a refresh token, if it is one of this account.
    pub(crate) fn locate(
        &self,
        vault: &Vault,
        behaviour: &Behaviour,
        mint: &Mint,
        token: &str,
    ) -> Option<(u32, u32)> {
        match self {
            Self::KasaMonitor(_) => kasa_monitor::locate(vault, behaviour, mint, token),
            Self::Oauth2 | Self::Cognito(_) | Self::Navien => {
                vault.locate(mint.open_refresh(vault.account(), token), token)
            }
        }
    }

    /// Whether the API of this service lets `call` in at `now`.
    pub(crate) fn admits(
        &self,
        vault: &Vault,
        behaviour: &Behaviour,
        mint: &Mint,
        call: &Call,
        now: Moment,
    ) -> bool {
        match self {
            Self::Oauth2 => oauth2::admits(vault, mint, call, now),
            Self::Cognito(_) => cognito::admits(vault, mint, call, now),
            Self::KasaMonitor(_) => kasa_monitor::admits(vault, behaviour, mint, call, now),
            Self::Navien => navien::admits(vault, mint, call, now),
        }
    }
}

/// Rounded up: whoever waits so long is let through.
fn whole_secs(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
