//! What an answer of a token endpoint is: tokens, a refusal, or somebody else's.
//!
//! The status is looked at first. Below 300 the body decides, and an `error` in it is one
//! whatever the status says. From 400 on, a code that [`Meaning`] knows decides; without one
//! the status does. The worst reading of an answer is never "the login is lost" unless the
//! provider itself says so in OAuth's words.

use std::sync::Arc;
use std::time::Duration;

use super::members::Members;
use super::refusal::Meaning;
use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::provider::Outcome;
use crate::provider::Response;
use crate::provider::answer::is_page;
use crate::provider::answer::is_printable;
use crate::provider::answer::redirect;
use crate::provider::fault::Missing;
use crate::provider::fault::Stranger;
use crate::provider::jwt::Claims;
use crate::provider::lifetime::lifetime;
use crate::provider::lifetime::refresh_lifetime;
use crate::provider::member::Member;
use crate::provider::salvage::token_in;
use crate::token::Grant;
use crate::token::Secret;
use crate::token::TokenSet;

/// What the account and its request have to say about reading.
#[derive(Clone, Copy, Debug)]
pub(in crate::provider) struct Rules<'a> {
    /// Where the request went, as it may be shown.
    pub(in crate::provider) endpoint: &'a str,
    /// Lifetime of tokens whose lifetime nothing in the reply says.
    pub(in crate::provider) default_lifetime: Duration,
    /// Whether the request carried a refresh token, so that it may be rotated by now.
    pub(in crate::provider) spends: bool,
}

/// Reads the answer to a token request.
pub(in crate::provider) fn read(response: &Response, rules: Rules<'_>) -> Outcome {
    match response.status {
        200..=299 => success(response, rules),
        _ => Outcome::Failed(failure(response, rules)),
    }
}

fn success(response: &Response, rules: Rules<'_>) -> Outcome {
    let Some(members) = members(response) else {
        return unreadable(response, rules);
    };
    if let Some((answer, meaning)) = refusal(&members) {
        let meaning = meaning.unwrap_or(Meaning::Unavailable);
        return Outcome::Failed(meaning.into_error(answer, response.retry_after));
    }
    granted(members, rules.default_lifetime)
}

/// RFC 6749 section 5.1.
fn granted(members: Members, default_lifetime: Duration) -> Outcome {
    let refresh_token = members.refresh_token.into_text();
    let Some(access) = members.access_token.into_text().filter(is_printable) else {
        let error = RefreshError::Malformed("no access token in it".into());
        return match refresh_token {
            Some(token) => Outcome::Salvaged(token, error),
            None => Outcome::Failed(error),
        };
    };

    let id = members.id_token.into_text().filter(is_printable);
    let own = Claims::of(&access);
    let of_id = id.as_ref().and_then(Claims::of);
    let subject = of_id.as_ref().and_then(Claims::subject);
    let subject = subject.or_else(|| own.as_ref().and_then(Claims::subject));
    let claims = [own.as_ref(), of_id.as_ref()];
    let lifetime = lifetime(&members.expires_in, claims, default_lifetime);
    Outcome::Granted(Box::new(Grant {
        refresh_token,
        lifetime,
        refresh_lifetime: refresh_lifetime(&members.refresh_expires_in),
        aws: None,
        subject,
        tokens: Arc::new(TokenSet {
            access,
            id,
            token_type: token_type(&members.token_type).into(),
            scope: scope(&members.scope),
        }),
    }))
}

/// A success whose body says nothing. Whatever holds tokens has spent the old one, so the
/// failure is one that may have rotated, unless this is plainly not the provider.
fn unreadable(response: &Response, rules: Rules<'_>) -> Outcome {
    if is_page(response) {
        return Outcome::Failed(Stranger::Page(response.status).into());
    }
    let error = match (response.complete, rules.spends) {
        (true, _) => RefreshError::Malformed("neither JSON nor a form of tokens".into()),
        (false, true) => RefreshError::ReplyLost("the answer breaks off".into()),
        (false, false) => RefreshError::Unreachable("the answer breaks off".into()),
    };
    match token_in(&response.body, "refresh_token") {
        Some(token) if rules.spends => Outcome::Salvaged(token, error),
        Some(_) | None => Outcome::Failed(error),
    }
}

/// The `error` that an answer has, whatever its status.
pub(super) fn word(response: &Response) -> Option<OauthError> {
    members(response).as_ref().and_then(refusal).map(|(answer, _)| answer)
}

/// What an answer is that is no success.
pub(super) fn failure(response: &Response, rules: Rules<'_>) -> RefreshError {
    let (status, retry_after) = (response.status, response.retry_after);
    let (answer, meaning) = match members(response).as_ref().and_then(refusal) {
        Some((answer, meaning)) => (Some(answer), meaning),
        None => (None, None),
    };
    let speaks_oauth = answer.is_some();
    let answer = answer.unwrap_or_else(|| OauthError::status(status));

    match (status, meaning) {
        (429, _) => RefreshError::Throttled { answer, retry_after },
        (503, _) if retry_after.is_some() => RefreshError::Throttled { answer, retry_after },
        (408 | 425, _) => RefreshError::Unavailable { answer, retry_after, maybe_rotated: false },
        // RFC 6585 section 6: by its definition the request never arrived.
        (511, _) => Stranger::CaptivePortal.into(),
        (500..=599, _) => {
            RefreshError::Unavailable { answer, retry_after, maybe_rotated: rules.spends }
        }
        (400..=499, Some(meaning)) => meaning.into_error(answer, retry_after),
        (404 | 405 | 410, None) => {
            Missing::Endpoint { endpoint: rules.endpoint.into(), status }.into()
        }
        (413 | 415, None) => RefreshError::ClientRejected(answer),
        (400..=499, None) if speaks_oauth => {
            RefreshError::Unavailable { answer, retry_after, maybe_rotated: false }
        }
        (300..=399, _) => redirect(response).into(),
        _ => Stranger::Wordless(status).into(),
    }
}

/// The `error` of an answer, and what it means if it is a known one.
fn refusal(members: &Members) -> Option<(OauthError, Option<Meaning>)> {
    let description = members.error_description.text().map(Secret::expose);
    let (code, description) = match &members.error {
        Member::Text(code) if !code.is_empty() => (code.expose(), description),
        Member::Fault(fault) => {
            (fault.code.as_deref().unwrap_or("error"), fault.message.as_deref().or(description))
        }
        Member::Text(_)
        | Member::Absent
        | Member::Number(_)
        | Member::Whole(_)
        | Member::List(_)
        | Member::Other => return None,
    };
    Some((OauthError::new(code, description), Meaning::of(code)))
}

/// Reads a body as JSON or, if it is whole and looks like one, as a form: an object that is
/// read to its closing brace is whole whatever became of the connection, a form may have lost
/// the end of a token.
fn members(response: &Response) -> Option<Members> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

    let body = response.body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&response.body);
    if let Some(members) = Members::from_json(body) {
        return Some(members);
    }
    let body = body.trim_ascii();
    let declared = &*response.content_type == "application/x-www-form-urlencoded";
    let begins = body.first().is_some_and(u8::is_ascii_alphabetic);
    let bare = !body.iter().any(u8::is_ascii_whitespace);
    if !(response.complete && begins && (declared || bare)) {
        return None;
    }
    let form = Members::from_form(body);
    (form.access_token.text().is_some() || form.error.text().is_some()).then_some(form)
}

/// `token_type` as the provider spells it; `Bearer` where it is not a word that a header takes.
fn token_type(member: &Member) -> &str {
    let word = member.text().map(Secret::expose);
    let is_scheme = |word: &&str| {
        word.len() <= 32 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    word.filter(is_scheme).unwrap_or("Bearer")
}

/// `scope`, which some providers send as a list.
fn scope(member: &Member) -> Option<Box<str>> {
    let scope = match member {
        Member::Text(text) => text.expose(),
        Member::List(joined) => joined,
        Member::Absent
        | Member::Number(_)
        | Member::Whole(_)
        | Member::Fault(_)
        | Member::Other => "",
    };
    (!scope.is_empty()).then(|| scope.into())
}
