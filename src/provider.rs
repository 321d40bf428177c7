//! How a refresh is phrased for one identity provider.
//!
//! A provider is a codec: request out, response in. It waits for nothing, retries
//! nothing, logs nothing and stores nothing; all of that is decided elsewhere, for all
//! providers alike. One file and one line in [`PROVIDERS`] add one.
//!
//! # Protocol
//!
//! 1. [`Provider::exchange`] begins an exchange with what may be [`Spend`]-t on it.
//! 2. [`Exchange::next`] is called with `None`, then with the response to each request
//!    it asks for, until it says [`Step::Done`].
//! 3. A transport failure ends the exchange from outside. What it means follows from
//!    whether the request that failed [`spends`](Request::spends).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use url::Url;
use zeroize::Zeroizing;

use crate::error::RefreshError;
use crate::record::Lineage;
use crate::section::SecretRef;
use crate::section::Section;
use crate::time::Timestamp;
use crate::token::Grant;
use crate::token::Kind;
use crate::token::Secret;

pub mod oauth2;

/// Every provider by the name used in `provider = "…"`, sorted.
#[rustfmt::skip]
pub const PROVIDERS: &[(&str, Configure)] = &[
    ("oauth2", oauth2::configure),
];

/// Reads a provider's own keys from an account's section. `None` after errors, which the
/// section has recorded.
pub type Configure = fn(&mut Section<'_>) -> Option<Arc<dyn Provider>>;

/// One account's way of talking to its identity provider.
pub trait Provider: Send + Sync {
    /// What the rest of the program needs to know of it.
    fn profile(&self) -> &Profile;

    /// Begins one exchange.
    fn exchange(&self, spend: Spend) -> Box<dyn Exchange>;
}

/// Facts about an account that its provider's configuration decides.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Word for `provider` on the wire: the name in the configuration.
    pub name: &'static str,
    /// Host and port that exchanges go to: what concurrency and pacing are counted by.
    pub host: Box<str>,
    /// `client_id`, the other half of the pacing key.
    pub client: Box<str>,
    /// Issuer, endpoint, client and user.
    pub lineage: Lineage,
    /// Whether the account works with a refresh token. If not (client credentials), it
    /// needs no login and has nothing to lose.
    pub has_refresh_token: bool,
    /// The token that the provider's API takes.
    pub default_kind: Kind,
    /// How that API wants to see it.
    pub header: Header,
    /// Secrets that every exchange needs: the slot's name in [`Spend::secrets`], and
    /// where it comes from.
    pub secrets: Vec<(&'static str, SecretRef)>,
    /// The most requests that one exchange makes: 2 where an endpoint is discovered first.
    pub requests: u8,
    /// How the connection is made.
    pub transport: Transport,
}

/// The HTTP header in which an API takes the token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// Its name, in lower case.
    pub name: Cow<'static, str>,
    /// What stands before the token, with one space between (`Bearer`); `None` for the bare token.
    pub scheme: Option<Cow<'static, str>>,
}

/// How connections of an account are made.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Transport {
    /// Whether plain http to private addresses is allowed. Loopback always is, any other
    /// address never.
    pub plain_http: bool,
    /// A file with further CA certificates, PEM.
    pub ca_file: Option<Box<str>>,
}

/// What one exchange works with. It goes with the exchange.
pub struct Spend {
    /// The refresh token, if the account works with one.
    pub refresh_token: Option<Secret>,
    /// The resolved secrets, by slot.
    pub secrets: Vec<(&'static str, Secret)>,
    /// What an earlier exchange of this account [`learned`](Exchange::learned).
    pub learned: Option<Url>,
}

impl Spend {
    /// The secret of that slot.
    pub fn secret(&self, slot: &str) -> Option<&Secret> {
        self.secrets.iter().find_map(|(name, secret)| (*name == slot).then_some(secret))
    }
}

/// One conversation with a provider that ends in a grant or a failure.
pub trait Exchange: Send {
    /// Takes the response to the last request (`None` at first) and says what comes next.
    fn next(&mut self, response: Option<Response>) -> Step;

    /// An endpoint that this conversation discovered, to be used by the following ones.
    fn learned(&self) -> Option<Url>;
}

/// What an exchange wants next.
pub enum Step {
    /// Send this.
    Ask(Request),
    /// It is over.
    Done(Outcome),
}

/// How an exchange ended.
pub enum Outcome {
    /// With tokens.
    Granted(Box<Grant>),
    /// With a failure, and a new refresh token found whole in the remains of the reply.
    Salvaged(Secret, RefreshError),
    /// With a failure.
    Failed(RefreshError),
}

/// One HTTP request.
pub struct Request {
    /// `GET` or `POST`.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// Headers, names in lower case. Values may be secret.
    pub headers: Vec<(&'static str, Secret)>,
    /// Body; empty for `GET`.
    pub body: Secret,
    /// Whether it carries the refresh token: if its reply is lost, the token may be spent.
    pub spends: bool,
}

/// Method of a [`Request`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
}

/// One HTTP response, whole.
pub struct Response {
    /// Status, 100 to 599.
    pub status: u16,
    /// `Content-Type` without parameters, in lower case; empty if there is none.
    pub content_type: Box<str>,
    /// `Retry-After`, both forms resolved, the date against the response's own `Date`.
    pub retry_after: Option<Duration>,
    /// The response's `Date`.
    pub date: Option<Timestamp>,
    /// Body, at most [`MAX_BODY`] bytes.
    pub body: Zeroizing<Vec<u8>>,
}

/// Largest body of a response that is read, in bytes.
pub const MAX_BODY: usize = 256 * 1024;

/// Largest head of a response that is read, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;
