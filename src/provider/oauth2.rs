//! OAuth 2.0 as RFC 6749 says it, and as providers do it.
//!
//! An exchange asks for tokens at the token endpoint. Where only the issuer is configured,
//! the first exchange asks for its metadata before that, and the following ones use the
//! endpoint [`learned`](Exchange::learned) from it until it answers that it is not there.
//!
//! # Reading order
//!
//! 1. `request`: what is asked.
//! 2. `reply`: what an answer is; `refusal` is the table of errors, `members` how an answer
//!    is read. What other providers read alike stands beside this module: `lifetime` how
//!    long tokens are good, `jwt`, `salvage` for the remains of a reply, `fault` for answers
//!    that make no sense.
//! 3. `discovery`: where the endpoint is.
//! 4. `login`, with `device` and `browser`: how a person logs in; `revoke`: how that is ended.
//!
//! # Invariants
//!
//! * A refresh token goes to the configured endpoint, or to the one that the configured
//!   issuer names, and nowhere else.
//! * A new refresh token in a success is never dropped, whatever else is wrong with it; one
//!   beside an `error` is not believed.
//! * No error carries a part of a body except through [`OauthError`].

use std::sync::Arc;

use url::Url;

use self::discovery::Found;
use self::discovery::Placement;
use self::reply::Rules;
use self::request::metadata_request;
use self::request::token_request;
use super::Exchange;
use super::Outcome;
use super::Profile;
use super::Provider;
use super::Response;
use super::Spend;
use super::Step;
use super::deed::Deed;
use super::login::Login;
use super::login::LoginStart;
use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::plan::Entry;
use crate::provider::fault::Missing;
use crate::provider::fault::place;
use crate::section::Section;

mod browser;
mod device;
mod discovery;
mod login;
mod members;
mod refusal;
pub(super) mod reply;
mod request;
mod revoke;
pub(super) mod settings;

/// Slot of the client secret, in [`Spend::secrets`] and in `tokenctl secret set`.
pub const CLIENT_SECRET: &str = "client_secret";

/// Reads the keys of an `oauth2` account.
pub fn configure(section: &mut Section<'_>) -> Option<Arc<dyn Provider>> {
    settings::configure(section)
}

/// An account at an OAuth 2.0 token endpoint.
#[derive(Clone, Debug)]
pub struct OAuth2 {
    /// Where the token endpoint is.
    pub endpoint: Endpoint,
    /// RFC 6749 section 2.2.
    pub client_id: Arc<str>,
    /// RFC 6749 section 2.3.
    pub client_auth: ClientAuth,
    /// Which grant it asks for.
    pub grant: GrantType,
    /// `scope` to ask for; `None` leaves it out, which means the granted one.
    pub scope: Option<Box<str>>,
    /// How a person logs in, and how that is ended.
    pub doors: Arc<Doors>,
    /// Further parameters of the token request.
    pub token_params: Vec<(Box<str>, Box<str>)>,
    /// How the request's body is written.
    pub format: Format,
    /// What the rest of the program needs to know.
    pub profile: Profile,
}

/// How a person logs in, and how that is ended. What is not here may be in the issuer's
/// metadata.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Doors {
    /// Which of the ways to log in; `None` leaves it to what there is.
    pub way: Option<Way>,
    /// RFC 8628 section 3.1.
    pub device: Option<Url>,
    /// RFC 6749 section 3.1.
    pub authorization: Option<Url>,
    /// RFC 7009 section 2.
    pub revocation: Option<Url>,
    /// Further parameters of the request that begins a login.
    pub auth_params: Vec<(Box<str>, Box<str>)>,
}

/// How a person logs in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// By a code that is typed on any device (RFC 8628).
    Device,
    /// In a browser of the host (RFC 8252).
    Browser,
}

/// Where a token endpoint is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// Here.
    Given(Url),
    /// Where the issuer's metadata says (RFC 8414, OpenID Connect Discovery 1.0).
    Discovered {
        /// The issuer.
        issuer: Url,
    },
}

impl Endpoint {
    /// The most requests that an exchange with it makes: both places of the metadata
    /// are asked before the endpoint is, at worst.
    pub const fn requests(&self) -> u8 {
        match self {
            Self::Given(_) => 1,
            Self::Discovered { .. } => 3,
        }
    }
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientAuth {
    /// `client_secret_basic`
    Basic,
    /// `client_secret_post`
    Post,
    /// It does not: a public client.
    None,
}

/// What is exchanged for tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GrantType {
    /// RFC 6749 section 6.
    RefreshToken,
    /// RFC 6749 section 4.4.
    ClientCredentials,
}

impl GrantType {
    /// Whether its request spends a refresh token.
    const fn spends(self) -> bool {
        match self {
            Self::RefreshToken => true,
            Self::ClientCredentials => false,
        }
    }
}

/// How a request's body is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// `application/x-www-form-urlencoded`, as the RFC says.
    Form,
    /// `application/json`, as some providers want it.
    Json,
}

impl Provider for OAuth2 {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn exchange(&self, mut spend: Spend) -> Box<dyn Exchange> {
        let learned = match self.endpoint {
            Endpoint::Given(_) => None,
            Endpoint::Discovered { .. } => spend.learned.take(),
        };
        let (account, stage) = (self.clone(), Stage::Beginning);
        Box::new(Conversation { account, spend, stage, learned, entry: None })
    }

    fn login(&self, start: LoginStart) -> Option<Box<dyn Login>> {
        match self.grant {
            GrantType::RefreshToken => Some(login::begin(self.clone(), start)),
            GrantType::ClientCredentials => None,
        }
    }

    fn revoke(&self, spend: Spend) -> Option<Box<dyn Deed<()>>> {
        revoke::begin(self.clone(), spend)
    }
}

/// One exchange with a token endpoint.
struct Conversation {
    account: OAuth2,
    spend: Spend,
    stage: Stage,
    /// The endpoint that the issuer named, in this exchange or an earlier one.
    learned: Option<Url>,
    /// Whether a login can begin, where the issuer was asked.
    entry: Option<Entry>,
}

/// Who says where the token endpoint is.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Source {
    /// The configuration, or the issuer in this exchange.
    Authority,
    /// The issuer in an earlier exchange, which may have moved it since.
    Memory,
}

/// Which answer is waited for.
enum Stage {
    Beginning,
    Discovering(Placement),
    /// That of the token endpoint, which is here.
    Asking(Url, Source),
    Over,
}

impl Exchange for Conversation {
    fn next(&mut self, response: Option<Response>) -> Step {
        let step = match (std::mem::replace(&mut self.stage, Stage::Over), response) {
            (Stage::Beginning, None) => self.begin(),
            (Stage::Discovering(placement), Some(metadata)) => self.found(placement, &metadata),
            (Stage::Asking(endpoint, source), Some(reply)) => {
                Ok(self.answered(&endpoint, source, &reply))
            }
            (Stage::Beginning, Some(_))
            | (Stage::Discovering(_) | Stage::Asking(..), None)
            | (Stage::Over, _) => {
                Err(RefreshError::Internal("an exchange was driven out of order".into()))
            }
        };
        step.unwrap_or_else(|error| Step::Done(Outcome::Failed(error)))
    }

    fn learned(&self) -> Option<Url> {
        self.learned.clone()
    }

    fn entry(&self) -> Option<Entry> {
        self.entry
    }
}

impl Conversation {
    fn begin(&mut self) -> Result<Step, RefreshError> {
        match (self.account.endpoint.clone(), self.learned.clone()) {
            (Endpoint::Given(url), _) => self.ask(url, Source::Authority),
            (Endpoint::Discovered { .. }, Some(url)) => self.ask(url, Source::Memory),
            (Endpoint::Discovered { issuer }, None) => Ok(self.look(Placement::OpenId, &issuer)),
        }
    }

    fn look(&mut self, placement: Placement, issuer: &Url) -> Step {
        self.stage = Stage::Discovering(placement);
        Step::Ask(metadata_request(placement.url(issuer)))
    }

    fn found(&mut self, placement: Placement, metadata: &Response) -> Result<Step, RefreshError> {
        let Endpoint::Discovered { issuer } = self.account.endpoint.clone() else {
            return Err(RefreshError::Internal("a given endpoint was looked for".into()));
        };
        match (discovery::read(metadata, &issuer, &self.account.profile.transport)?, placement) {
            (Found::Places(places), _) => {
                self.learned = Some(places.token.clone());
                let doors = &self.account.doors;
                let begins_at =
                    [&doors.device, &doors.authorization, &places.device, &places.authorization];
                let is_open = begins_at.into_iter().any(Option::is_some);
                self.entry = Some(if is_open { Entry::Login } else { Entry::Import });
                self.ask(places.token, Source::Authority)
            }
            (Found::Nothing, Placement::OpenId) => Ok(self.look(Placement::Rfc8414, &issuer)),
            (Found::Nothing, Placement::Rfc8414) => Err(Missing::Metadata.into()),
        }
    }

    fn ask(&mut self, url: Url, source: Source) -> Result<Step, RefreshError> {
        let request = token_request(&self.account, &url, &self.spend)?;
        self.stage = Stage::Asking(url, source);
        Ok(Step::Ask(request))
    }

    /// Reads the reply. A learned endpoint that is not there, or sends elsewhere, is
    /// forgotten, so that the next exchange asks the issuer again. That one is due soon: it is
    /// no fault of the configuration that an endpoint has moved.
    fn answered(&mut self, endpoint: &Url, source: Source, reply: &Response) -> Step {
        if matches!(reply.status, 300..=399 | 404 | 405 | 410) {
            self.learned = None;
        }
        let endpoint = place(endpoint);
        let rules = Rules {
            endpoint: &endpoint,
            default_lifetime: self.account.profile.default_lifetime(),
            spends: self.account.grant.spends(),
        };
        match (reply::read(reply, rules), source) {
            (Outcome::Failed(RefreshError::NoEndpoint(_)), Source::Memory) => {
                Step::Done(Outcome::Failed(RefreshError::Unavailable {
                    answer: OauthError::status(reply.status),
                    retry_after: reply.retry_after,
                    maybe_rotated: false,
                }))
            }
            (outcome, Source::Authority | Source::Memory) => Step::Done(outcome),
        }
    }
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
pub(super) mod tests;
