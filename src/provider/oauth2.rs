//! OAuth 2.0 as RFC 6749 says it, and as providers do it.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::Profile;
use super::Provider;
use crate::section::Section;

/// Reads the keys of an `oauth2` account.
pub fn configure(_section: &mut Section<'_>) -> Option<Arc<dyn Provider>> {
    None
}

/// An account at an OAuth 2.0 token endpoint.
#[derive(Clone, Debug)]
pub struct OAuth2 {
    /// Where the token endpoint is.
    pub endpoint: Endpoint,
    /// RFC 6749 section 2.2.
    pub client_id: Box<str>,
    /// RFC 6749 section 2.3.
    pub client_auth: ClientAuth,
    /// Which grant it asks for.
    pub grant: GrantType,
    /// `scope` to ask for; `None` leaves it out, which means the granted one.
    pub scope: Option<Box<str>>,
    /// Further parameters of the token request.
    pub token_params: Vec<(Box<str>, Box<str>)>,
    /// How the request's body is written.
    pub format: Format,
    /// Lifetime of tokens whose lifetime nothing in the reply says.
    pub default_lifetime: Duration,
    /// What the rest of the program needs to know.
    pub profile: Profile,
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

/// How a request's body is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// `application/x-www-form-urlencoded`, as the RFC says.
    Form,
    /// `application/json`, as some providers want it.
    Json,
}
