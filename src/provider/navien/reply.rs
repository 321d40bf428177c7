//! What an answer is: tokens, a refusal, or somebody else's.
//!
//! HTTP status and the envelope's `code` both have a say: tokens are granted when neither
//! tells of a failure. See `refusal` for what is left.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::refusal;
use crate::error::RefreshError;
use crate::provider::Outcome;
use crate::provider::Response;
use crate::provider::answer::is_page;
use crate::provider::answer::is_printable;
use crate::provider::fault::Stranger;
use crate::provider::jwt::Claims;
use crate::provider::lifetime::lifetime;
use crate::provider::member::Member;
use crate::provider::member::Object;
use crate::provider::salvage::token_in;
use crate::token::AwsCredentials;
use crate::token::AwsGrant;
use crate::token::Grant;
use crate::token::Secret;
use crate::token::TokenSet;

/// Lifetime of tokens and of AWS credentials of which the reply does not say it: what the
/// service grants as a rule. Nothing is ever served without an end.
pub(super) const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);

/// How an answer is to be read.
pub(super) struct Rules {
    /// What was asked for.
    pub(super) purpose: Purpose,
    /// Whether AWS credentials are wanted.
    pub(super) aws: bool,
    /// What the account holds: a refresh leaves out an ID token that did not change.
    pub(super) held: Option<Arc<TokenSet>>,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// New tokens for a refresh token, which may be rotated by now.
    Refresh,
    /// First tokens for a password.
    SignIn,
}

/// Reads the answer to either request.
pub(super) fn read(response: &Response, rules: &Rules) -> Outcome {
    let envelope = envelope::<Nothing>(&response.body);
    let worst = worst(response.status, envelope.as_ref());
    match (worst, envelope) {
        (200..=299, Some(_)) => granted(&response.body, rules),
        (200..=299, None) => unreadable(response, rules.purpose),
        (_, envelope) => {
            Outcome::Failed(refusal::failure(response, worst, envelope, rules.purpose))
        }
    }
}

/// `{code, msg, data}`, with `data` as far as `T` knows it.
#[derive(Default, Deserialize)]
#[serde(default, bound = "T: Default + DeserializeOwned")]
pub(super) struct Envelope<T> {
    pub(super) code: Member,
    pub(super) msg: Member,
    data: Object<T>,
}

/// A `data` of which nothing is read.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Nothing {}

impl<T> Envelope<T> {
    /// Its `code`: 200, that of a failure, or [`UNKNOWN_CODE`]; `None` for what is no number.
    pub(super) fn code(&self) -> Option<u16> {
        let code = match self.code.text() {
            Some(text) => text.expose().parse().ok()?,
            None => self.code.number()?,
        };
        let known = code == 200.0 || (400.0..600.0).contains(&code);
        Some(if known { code as u16 } else { UNKNOWN_CODE })
    }
}

/// Stands for a `code` that is neither 200, which alone is a success to the service's own
/// clients, nor that of an HTTP failure.
pub(super) const UNKNOWN_CODE: u16 = 600;

/// Reads a body that is JSON. One that is no object is an envelope with nothing in it.
fn envelope<T: Default + DeserializeOwned>(body: &[u8]) -> Option<Envelope<T>> {
    serde_json::from_slice::<Object<_>>(body).ok().map(|Object(envelope)| envelope)
}

/// The worse one of HTTP status and `code`. A `code` that is not there, or tells of a success,
/// leaves it to the status.
fn worst<T>(status: u16, envelope: Option<&Envelope<T>>) -> u16 {
    match (status, envelope.and_then(Envelope::code)) {
        (_, None | Some(200)) => status,
        (200..=299, Some(code)) => code,
        (_, Some(UNKNOWN_CODE)) => status,
        (_, Some(code)) => status.max(code),
    }
}

/// Where a sign-in has its tokens.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SignedIn {
    token: Object<Tokens>,
    tokens: Object<Tokens>,
    user_info: Object<UserInfo>,
}

/// The tokens; a refresh has them in `data` itself.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Tokens {
    id_token: Member,
    access_token: Member,
    refresh_token: Member,
    /// Seconds.
    authentication_expires_in: Member,
    access_key_id: Member,
    secret_key: Member,
    session_token: Member,
    /// Seconds, of the AWS credentials.
    authorization_expires_in: Member,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct UserInfo {
    /// The number of the user, for tokens that do not say whose they are.
    user_seq: Member,
}

fn granted(body: &[u8], rules: &Rules) -> Outcome {
    let (tokens, user) = found(body);
    let refresh_token = tokens.refresh_token.into_text();
    let Some(access) = tokens.access_token.into_text().filter(is_printable) else {
        return without("no access token in it", refresh_token, rules.purpose);
    };
    if rules.purpose == Purpose::SignIn && refresh_token.is_none() {
        return without("no refresh token in it", None, rules.purpose);
    }

    let id = tokens.id_token.into_text().filter(is_printable);
    let own = Claims::of(&access);
    let of_id = id.as_ref().and_then(Claims::of);
    let subject = of_id.as_ref().and_then(Claims::subject);
    let subject = subject.or_else(|| own.as_ref().and_then(Claims::subject));
    let lifetime = lifetime(
        &tokens.authentication_expires_in,
        [own.as_ref(), of_id.as_ref()],
        DEFAULT_LIFETIME,
    );
    let held = rules.held.as_ref().and_then(|held| held.id.clone());
    let aws = aws(
        [tokens.access_key_id, tokens.secret_key, tokens.session_token],
        &tokens.authorization_expires_in,
    );
    Outcome::Granted(Box::new(Grant {
        tokens: Arc::new(TokenSet {
            access,
            id: id.or(held),
            token_type: "Bearer".into(),
            scope: None,
        }),
        refresh_token,
        lifetime,
        refresh_lifetime: None,
        aws: aws.filter(|_| rules.aws),
        subject: subject.or_else(|| user.user_seq.identifier()),
    }))
}

/// The tokens of a body, wherever they stand, and whose they are.
fn found(body: &[u8]) -> (Tokens, UserInfo) {
    let nested = envelope::<SignedIn>(body).unwrap_or_default();
    let SignedIn { token, tokens, user_info } = nested.data.0;
    for Object(tokens) in [token, tokens] {
        if tokens.access_token.text().is_some() {
            return (tokens, user_info.0);
        }
    }
    let direct = envelope::<Tokens>(body).unwrap_or_default();
    (direct.data.0, user_info.0)
}

/// AWS credentials that are whole: a part of them is worth nothing, and parts of two sets
/// less than that.
fn aws(parts: [Member; 3], expires_in: &Member) -> Option<AwsGrant> {
    let [access_key_id, secret_access_key, session_token] = parts.map(Member::into_text);
    let credentials = AwsCredentials {
        access_key_id: access_key_id?,
        secret_access_key: secret_access_key?,
        session_token: session_token?,
    };
    // Zero is the service's word for "not said". Its own clients then take the credentials
    // to be good for ever, which AWS's never are.
    let unsaid = expires_in.number() == Some(0.0);
    let told = if unsaid { &Member::Absent } else { expires_in };
    let lifetime = lifetime(told, [None, None], DEFAULT_LIFETIME);
    Some(AwsGrant { credentials: Arc::new(credentials), lifetime })
}

/// A success whose body is no envelope.
fn unreadable(response: &Response, purpose: Purpose) -> Outcome {
    if is_page(response) {
        return Outcome::Failed(Stranger::Page(response.status).into());
    }
    let error = match (response.complete, purpose) {
        (true, _) => RefreshError::Malformed("no JSON object".into()),
        (false, Purpose::Refresh) => RefreshError::ReplyLost("the answer breaks off".into()),
        (false, Purpose::SignIn) => RefreshError::Unreachable("the answer breaks off".into()),
    };
    match (token_in(&response.body, "refreshToken"), purpose) {
        (Some(token), Purpose::Refresh) => Outcome::Salvaged(token, error),
        (Some(_), Purpose::SignIn) | (None, _) => Outcome::Failed(error),
    }
}

/// A success that lacks something. A refresh has ended the old refresh token all the same,
/// if it brought a new one.
fn without(what: &'static str, refresh_token: Option<Secret>, purpose: Purpose) -> Outcome {
    let error = RefreshError::Malformed(what.into());
    match (refresh_token, purpose) {
        (Some(token), Purpose::Refresh) => Outcome::Salvaged(token, error),
        (Some(_), Purpose::SignIn) | (None, _) => Outcome::Failed(error),
    }
}
