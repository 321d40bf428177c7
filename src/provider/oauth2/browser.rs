//! The authorization code grant with PKCE, on loopback: RFC 6749 section 4.1, RFC 7636 and
//! RFC 8252.
//!
//! What must not be guessed comes of one nonce: the verifier is the nonce itself, and the
//! `state` a hash of it, so that the state, which everybody along the way sees, tells nothing
//! of the verifier.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::Digest as _;
use sha2::Sha256;
use url::Url;
use url::form_urlencoded;

use super::discovery::same_issuer;
use super::login::Client;
use super::login::granted;
use super::login::of_a_login;
use super::login::out_of_order;
use super::login::unlisted;
use super::refusal::Meaning;
use super::reply;
use super::reply::Rules;
use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::provider::fault::place;
use crate::provider::login::Heard;
use crate::provider::login::Prompt;
use crate::provider::login::Turn;
use crate::token::Secret;

/// A login by a browser.
pub(super) struct Browser {
    client: Client,
    url: Url,
    token: Url,
    redirect: Url,
    /// Who is asked, and whether its answer has to say so (RFC 9207).
    issuer: Option<(Url, bool)>,
    state: Secret,
    /// RFC 7636 section 4.1: 64 characters, which hold 256 bits.
    verifier: Secret,
    /// None before the browser has come back.
    code: Option<Secret>,
}

impl Browser {
    /// Begins at `url`, and exchanges the code that comes of it at `token`.
    pub(super) fn new(
        client: Client,
        url: Url,
        token: Url,
        redirect: Url,
        issuer: Option<(Url, bool)>,
        nonce: &Secret,
    ) -> Self {
        let state = Sha256::digest(format!("state {}", nonce.expose()).as_bytes());
        let state = Secret::new(URL_SAFE_NO_PAD.encode(state));
        let verifier = nonce.clone();
        Self { client, url, token, redirect, issuer, state, verifier, code: None }
    }

    /// What proves at the provider that the tokens are for this login.
    pub(super) fn told(&self) -> impl Iterator<Item = &Secret> {
        [&self.verifier].into_iter().chain(&self.code)
    }

    /// Takes what the last turn asked for and says what comes next.
    pub(super) fn next(&mut self, heard: Heard) -> Result<Turn, RefreshError> {
        match heard {
            Heard::Begun => Ok(Turn::Prompt(Prompt::Browser { url: self.address().into() })),
            Heard::Answer(query, _) if self.code.is_none() => {
                self.code = Some(self.came_back(&query)?);
                self.exchange()
            }
            Heard::Lost(_) if self.code.is_some() => self.exchange(),
            Heard::Response(answer, _) if self.code.is_some() => {
                if let Some(error) = unlisted(&answer) {
                    return Err(error);
                }
                let endpoint = place(&self.token);
                let default_lifetime = self.client.account.profile.default_lifetime();
                let rules = Rules { endpoint: &endpoint, default_lifetime, spends: false };
                granted(reply::read(&answer, rules))
            }
            Heard::Answer(..)
            | Heard::Lost(_)
            | Heard::Response(..)
            | Heard::Waited(_)
            | Heard::Called(_) => Err(out_of_order()),
        }
    }

    /// RFC 6749 section 4.1.1, with the challenge of RFC 7636 section 4.3.
    fn address(&self) -> String {
        let account = &self.client.account;
        let challenge = URL_SAFE_NO_PAD.encode(self.verifier.sha256());
        let mut params = vec![
            ("response_type", "code"),
            ("client_id", &*account.client_id),
            ("redirect_uri", self.redirect.as_str()),
            ("state", self.state.expose()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        params.extend(account.scope.as_deref().map(|scope| ("scope", scope)));
        for (name, value) in &account.doors.auth_params {
            params.push((name, value));
        }
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(params);
        url.into()
    }

    /// RFC 6749 section 4.1.2: what the browser came back with. Nothing in it is believed before
    /// its `state` is.
    fn came_back(&self, query: &Secret) -> Result<Secret, RefreshError> {
        let one = |wanted: &str| {
            let pairs = form_urlencoded::parse(query.expose().as_bytes());
            let mut values = pairs.filter(|(name, _)| name == wanted).map(|(_, value)| value);
            let first = values.next().map(Secret::new);
            first.filter(|value| values.next().is_none() && !value.is_empty())
        };
        if !one("state").is_some_and(|state| state.same_as(&self.state)) {
            let why = "the browser came back from another login than this one";
            return Err(refused("state_mismatch", why));
        }
        if !self.is_the_issuers(one("iss").as_ref()) {
            return Err(refused("iss_mismatch", "another issuer answered than was asked"));
        }
        if let Some(word) = one("error") {
            let description = one("error_description");
            let answer = OauthError::new(word.expose(), description.as_ref().map(Secret::expose));
            let error = match Meaning::of(word.expose()) {
                Some(meaning) => meaning.into_error(answer, None),
                None => RefreshError::LoginRejected(answer),
            };
            return Err(of_a_login(error));
        }
        one("code").ok_or_else(|| refused("no_code", "the browser came back without a code"))
    }

    /// RFC 9207 section 2.4.
    fn is_the_issuers(&self, named: Option<&Secret>) -> bool {
        match (&self.issuer, named) {
            (Some((issuer, _)), Some(named)) => {
                Url::parse(named.expose()).is_ok_and(|named| same_issuer(&named, issuer))
            }
            (Some((_, says_iss)), None) => !says_iss,
            (None, _) => true,
        }
    }

    /// RFC 6749 section 4.1.3, with the verifier of RFC 7636 section 4.5.
    fn exchange(&self) -> Result<Turn, RefreshError> {
        let Some(code) = &self.code else { return Err(out_of_order()) };
        let own = vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", self.redirect.as_str()),
            ("code_verifier", self.verifier.expose()),
        ];
        self.client.post(&self.token, own, &self.client.account.token_params)
    }
}

fn refused(word: &str, why: &str) -> RefreshError {
    RefreshError::LoginRejected(OauthError::new(word, Some(why)))
}
