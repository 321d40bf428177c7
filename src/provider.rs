//! How a refresh is phrased for one identity provider.
//!
//! A provider is a codec: request out, response in. It waits for nothing, retries
//! nothing, logs nothing and stores nothing; all of that is decided elsewhere, for all
//! providers alike. One file and one line in [`PROVIDERS`] add one.
//!
//! # Protocol
//!
//! 1. [`Provider::exchange`] begins an exchange with what may be [`Spend`]-t on it;
//!    [`Provider::sign_in`] one that works with stored secrets instead of a refresh token.
//! 2. [`Exchange::next`] is called with `None`, then with the response to each request
//!    it asks for, until it says [`Step::Done`].
//! 3. A transport failure ends the exchange from outside. What it means follows from
//!    whether the request that failed [`spends`](Request::spends).
//! 4. A [`Call`] to a program of the operator's is asked for by [`Step::Call`], and what came
//!    of it goes to [`Exchange::called`], a failure like an answer.
//!
//! A [`Login`] is a conversation of the same kind in which a person has a part, and never
//! happens by itself. A [`Deed`] is one about an account's standing at its provider:
//! to end a login there, to see its sessions.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use url::Host;
use url::Url;
use zeroize::Zeroizing;

use crate::error::RefreshError;
use crate::plan::Entry;
use crate::plan::Rotation;
use crate::record::Lineage;
use crate::section::SecretRef;
use crate::section::Section;
use crate::time::Timestamp;
use crate::token::Grant;
use crate::token::Kind;
use crate::token::Secret;
use crate::token::TokenSet;

mod address;
mod answer;
mod ask;
pub mod call;
mod cognito;
pub mod deed;
pub mod exec;
mod fault;
mod jwt;
pub mod kasa_monitor;
mod lifetime;
pub mod login;
mod member;
pub mod navien;
pub mod oauth2;
mod place;
mod salvage;
#[cfg(test)]
pub(crate) mod silent;
#[cfg(test)]
mod testing;

use self::call::Call;
use self::call::Called;
use self::deed::Deed;
use self::deed::SessionOrder;
use self::deed::Sessions;
use self::login::Login;
use self::login::LoginStart;

/// Every provider by the name used in `provider = "…"`, sorted.
#[rustfmt::skip]
pub const PROVIDERS: &[(&str, Configure)] = &[
    ("cognito",      cognito::configure),
    ("exec",         exec::configure),
    ("github",       oauth2::configure),
    ("gitlab",       oauth2::configure),
    ("google",       oauth2::configure),
    ("kasa-monitor", kasa_monitor::configure),
    ("microsoft",    oauth2::configure),
    ("navien",       navien::configure),
    ("oauth2",       oauth2::configure),
    ("quilt",        cognito::configure),
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

    /// Begins a sign-in in which no person has a part, with [`Profile::sign_in`]'s secrets.
    /// `None` where there is no such thing, and then [`Profile::sign_in`] is `None` too.
    fn sign_in(&self, spend: Spend) -> Option<Box<dyn Exchange>> {
        let _unused = spend;
        None
    }

    /// What is wrong with a secret for that slot, as far as it shows before it is used.
    fn flaw_of_secret(&self, slot: &str, secret: &Secret) -> Option<&'static str> {
        let _unused = (slot, secret);
        None
    }

    /// Begins a login in which a person may have a part. `None` where there is none, and a
    /// credential can only be handed in.
    fn login(&self, start: LoginStart) -> Option<Box<dyn Login>> {
        let _unused = start;
        None
    }

    /// Whether every login has a code sent to the person, who then types it. Where nobody can type
    /// it, none is begun.
    fn sends_a_code(&self) -> bool {
        false
    }

    /// Begins to end the login at the provider: its refresh token is to work no more.
    /// `None` where the provider has no way to do that.
    fn revoke(&self, spend: Spend) -> Option<Box<dyn Deed<()>>> {
        let _unused = spend;
        None
    }

    /// Begins to list or end the account's sessions. `None` where the provider has no such
    /// thing.
    fn sessions(&self, order: SessionOrder, access: Secret) -> Option<Box<dyn Deed<Sessions>>> {
        let _unused = (order, access);
        None
    }
}

/// Lifetime of tokens of which nothing says it.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);

/// Facts about an account that its provider's configuration decides.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Word for `provider` on the wire: the name in the configuration.
    pub name: &'static str,
    /// Host and port that exchanges go to, or the path of the program or socket that is called:
    /// what concurrency and pacing are counted by.
    pub host: Arc<str>,
    /// `client_id`, the other half of the pacing key.
    pub client: Arc<str>,
    /// Issuer, endpoint, client and user.
    pub lineage: Lineage,
    /// Whether the account works with a refresh token. If not (client credentials), it
    /// needs no login and has nothing to lose.
    pub has_refresh_token: bool,
    /// What the provider is known to do with refresh tokens; the configuration may know better.
    pub rotation: Rotation,
    /// How long an access token lives, where the provider grants the same to everybody or the
    /// configuration says it: for words about a plan. What a reply says is what counts.
    pub lifetime: Option<Duration>,
    /// The e-mail address by which the provider knows the user, where it does so.
    pub email: Option<Box<str>>,
    /// The token that the provider's API takes.
    pub default_kind: Kind,
    /// How that API wants to see it; `None` for [`BEARER`]. [`Profile::header`] reads it. Boxed:
    /// it is rare.
    pub header: Option<Box<Header>>,
    /// Secrets that every exchange needs: the slot's name in [`Spend::secrets`], and
    /// where it comes from.
    pub secrets: Vec<(&'static str, SecretRef)>,
    /// Secrets that a sign-in needs besides those: `None` where none can happen without a
    /// person.
    pub sign_in: Option<Vec<(&'static str, SecretRef)>>,
    /// How the account comes by a credential. Where a login is possible, [`Provider::login`]
    /// begins one.
    pub entry: Entry,
    /// Whether a sign-in brings AWS credentials too, which nothing but another one renews.
    pub aws: bool,
    /// The most requests that one exchange makes: 3 where an endpoint is discovered first.
    pub requests: u8,
    /// How the connection is made.
    pub transport: Transport,
}

impl Profile {
    /// How the API wants to see the token.
    pub fn header(&self) -> &Header {
        self.header.as_deref().unwrap_or(&BEARER)
    }

    /// Lifetime of tokens of which neither the provider's reply nor the configuration says it.
    pub const fn default_lifetime(&self) -> Duration {
        match self.lifetime {
            Some(lifetime) => lifetime,
            None => DEFAULT_LIFETIME,
        }
    }

    /// Where the secret of that slot comes from, if a sign-in without a person takes it.
    pub fn kept(&self, slot: &str) -> Option<&SecretRef> {
        self.sign_in.iter().flatten().find_map(|(name, kept)| (*name == slot).then_some(kept))
    }

    /// Names of the secrets that any exchange or sign-in of the account takes.
    pub fn slots(&self) -> impl Iterator<Item = &'static str> {
        self.secrets.iter().chain(self.sign_in.iter().flatten()).map(|(slot, _)| *slot)
    }
}

/// The HTTP header in which an API takes the token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// Its name, in lower case.
    pub name: Cow<'static, str>,
    /// What stands before the token, with one space between (`Bearer`); `None` for the bare token.
    pub scheme: Option<Cow<'static, str>>,
}

/// RFC 6750 section 2.1: what most APIs want.
pub static BEARER: Header =
    Header { name: Cow::Borrowed("authorization"), scheme: Some(Cow::Borrowed("Bearer")) };

impl Header {
    /// The `Authorization` header with the bare token.
    pub const BARE: Self = Self { name: Cow::Borrowed("authorization"), scheme: None };

    /// Its value, in pieces, so that no copy of the token is made.
    pub fn value<'a>(&'a self, token: &'a Secret) -> [&'a str; 3] {
        match self.scheme.as_deref() {
            Some(scheme) => [scheme, " ", token.expose()],
            None => ["", "", token.expose()],
        }
    }
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

impl Transport {
    /// Whether a request may go to that URL: https to any host, plain http only to an
    /// address that this host, or its own network, keeps to itself.
    ///
    /// Plain http is judged by the address itself and never by a name, so that no resolver
    /// has a say in where a secret goes in the clear. The one name is `localhost`, which
    /// the client resolves to loopback without asking anybody.
    pub fn permits(&self, url: &Url) -> bool {
        // An IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) is the IPv4 address.
        let host = url.host().map(|host| match host {
            Host::Ipv6(address) => address.to_ipv4_mapped().map_or(Host::Ipv6(address), Host::Ipv4),
            Host::Ipv4(_) | Host::Domain(_) => host,
        });
        match (url.scheme(), host) {
            ("https", Some(_)) => true,
            ("http", Some(Host::Domain(name))) => name == "localhost",
            ("http", Some(Host::Ipv4(address))) => {
                address.is_loopback() || (self.plain_http && address.is_private())
            }
            ("http", Some(Host::Ipv6(address))) => {
                address.is_loopback() || (self.plain_http && address.is_unique_local())
            }
            _ => false,
        }
    }
}

/// What one exchange works with. It goes with the exchange.
pub struct Spend {
    /// The refresh token, if the account works with one.
    pub refresh_token: Option<Secret>,
    /// The resolved secrets, by slot.
    pub secrets: Vec<(&'static str, Secret)>,
    /// What an earlier exchange of this account [`learned`](Exchange::learned).
    pub learned: Option<Url>,
    /// The newest tokens that the account holds, expired or not: some replies leave out what
    /// did not change.
    pub held: Option<Arc<TokenSet>>,
    /// The time at which this is handed out.
    pub now: Timestamp,
}

impl Spend {
    /// What of it must not come back in words of the provider that are told.
    pub fn hidden(&self) -> Vec<Secret> {
        self.secrets.iter().map(|(_, secret)| secret).chain(&self.refresh_token).cloned().collect()
    }

    /// The secret of that slot.
    pub fn secret(&self, slot: &str) -> Option<&Secret> {
        self.secrets.iter().find_map(|(name, secret)| (*name == slot).then_some(secret))
    }
}

/// One conversation with a provider that ends in a grant or a failure.
pub trait Exchange: Send {
    /// Takes the response to the last request (`None` at first) and says what comes next.
    fn next(&mut self, response: Option<Response>) -> Step;

    /// Takes what came of a call that it asked for and says what comes next.
    fn called(&mut self, called: Called) -> Step {
        let _unasked = called;
        Step::Done(Outcome::Failed(RefreshError::Internal("nobody asked for a call".into())))
    }

    /// An endpoint that this conversation discovered, to be used by the following ones.
    fn learned(&self) -> Option<Url>;

    /// How the account comes by a credential, where this conversation found that out.
    fn entry(&self) -> Option<Entry> {
        None
    }
}

/// What a conversation wants next.
pub enum Step<T = Outcome> {
    /// Send this.
    Ask(Request),
    /// Ask a program this. No deed does.
    Call(Call),
    /// It is over.
    Done(T),
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

impl Outcome {
    /// What is left of it if the refresh token in the remains is the one that was sent: whoever
    /// repeats the question has said nothing of a new one. Taken for new it would be spent again
    /// without the caution that a replay takes.
    #[must_use]
    pub fn unless_repeated(self, spent: Option<&Secret>) -> Self {
        match self {
            Self::Salvaged(token, error) if spent.is_some_and(|spent| token.same_as(spent)) => {
                Self::Failed(error)
            }
            outcome @ (Self::Granted(_) | Self::Salvaged(..) | Self::Failed(_)) => outcome,
        }
    }

    /// The same, with `secrets` masked in what is told of a failure.
    pub fn hiding(self, secrets: &[Secret]) -> Self {
        match self {
            Self::Granted(grant) => Self::Granted(grant),
            Self::Salvaged(found, error) => Self::Salvaged(found, error.hiding(secrets)),
            Self::Failed(error) => Self::Failed(error.hiding(secrets)),
        }
    }
}

/// One HTTP request.
pub struct Request {
    /// `GET`, `POST` or `DELETE`.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// Headers, names in lower case. Values may be secret.
    pub headers: Vec<(&'static str, Secret)>,
    /// Body; empty for `GET` and `DELETE`.
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
    /// `DELETE`
    Delete,
}

/// One HTTP response.
pub struct Response {
    /// Status, 100 to 599.
    pub status: u16,
    /// `Content-Type` without parameters, in lower case; empty if there is none.
    pub content_type: Box<str>,
    /// `Retry-After`, both forms resolved, the date against the response's own `Date`.
    pub retry_after: Option<Duration>,
    /// The response's `Date`.
    pub date: Option<Timestamp>,
    /// Host that the `Location` header names. A redirect is never followed, only told.
    pub location: Option<Box<str>>,
    /// `x-amzn-errortype`, in which AWS services name an error whose body does not.
    pub error_type: Option<Box<str>>,
    /// Body, at most [`MAX_BODY`] bytes.
    pub body: Zeroizing<Vec<u8>>,
    /// Whether that is all of it. If not, the connection or the time ended before the
    /// body did, and what there is may still hold a new refresh token.
    pub complete: bool,
}

/// Largest body of a response that is read, in bytes.
pub const MAX_BODY: usize = 256 * 1024;

/// Largest head of a response that is read, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_repeats_the_question_brings_no_refresh_token() {
        let salvaged = || {
            let error = RefreshError::Malformed("no access token in it".into());
            Outcome::Salvaged(Secret::new("r1"), error)
        };
        #[rustfmt::skip]
        let cases = [
            ("the one that was sent",  Some("r1"), false),
            ("another one",            Some("r0"), true),
            ("none was sent",          None,       true),
        ];
        for (name, spent, kept) in cases {
            let spent = spent.map(Secret::new);
            let outcome = salvaged().unless_repeated(spent.as_ref());
            assert_eq!(matches!(outcome, Outcome::Salvaged(..)), kept, "{name}");
        }
    }

    #[test]
    fn plain_http_goes_to_addresses_that_are_nobody_elses() {
        #[rustfmt::skip]
        let cases = [
            // name                             url                            by default  plain_http
            ("https to any name",               "https://idp.example/token",       true,  true),
            ("https to any address",            "https://192.0.2.1/token",         true,  true),
            ("loopback",                        "http://127.0.0.1:8080/token",     true,  true),
            ("all of 127.0.0.0/8",              "http://127.9.9.9/token",          true,  true),
            ("loopback of IPv6",                "http://[::1]/token",              true,  true),
            ("loopback in IPv6 clothes",        "http://[::ffff:127.0.0.1]/token", true,  true),
            ("localhost is loopback",           "http://localhost:8080/token",     true,  true),
            ("RFC 1918",                        "http://192.168.1.9/token",        false, true),
            ("RFC 1918 in IPv6 clothes",        "http://[::ffff:10.0.0.1]/token",  false, true),
            ("RFC 1918 in hexadecimal",         "http://0x0a000001/token",         false, true),
            ("unique local, RFC 4193",          "http://[fd00::1]/token",          false, true),
            ("public",                          "http://192.0.2.1/token",          false, false),
            ("public IPv6",                     "http://[2001:db8::1]/token",      false, false),
            ("link local, where metadata live", "http://169.254.169.254/token",    false, false),
            ("unspecified",                     "http://0.0.0.0/token",            false, false),
            ("a name, whatever it resolves to", "http://nas.home.arpa/token",      false, false),
            ("a name below localhost",          "http://idp.localhost/token",      false, false),
            ("another scheme",                  "ftp://127.0.0.1/token",           false, false),
            ("no host",                         "unix:/run/token",                 false, false),
        ];
        for (name, url, by_default, allowed) in cases {
            let url = Url::parse(url).unwrap();
            let transport = |plain_http| Transport { plain_http, ca_file: None };
            assert_eq!(transport(false).permits(&url), by_default, "{name}");
            assert_eq!(transport(true).permits(&url), allowed, "{name}, plain_http");
        }
    }
}
