//! What an answer of a user pool is: tokens, a challenge, a refusal, or somebody else's.
//!
//! The status is looked at first. Below 300 the body decides. From 400 to 499 a name that
//! [`Meaning`] knows decides, from the body or else from a header; without one the status
//! does. From 500 on the status decides whatever the name.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::PASSWORD;
use super::challenge::Challenge;
use super::refusal;
use super::refusal::Asked;
use super::refusal::Exception;
use super::refusal::Meaning;
use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::provider::Outcome;
use crate::provider::Response;
use crate::provider::answer::is_page;
use crate::provider::answer::is_printable;
use crate::provider::answer::redirect;
use crate::provider::answer::without_a_person;
use crate::provider::fault::Stranger;
use crate::provider::jwt::Claims;
use crate::provider::lifetime::lifetime;
use crate::provider::member::Member;
use crate::provider::salvage::token_in;
use crate::section::SecretRef;
use crate::token::Grant;
use crate::token::Secret;
use crate::token::TokenSet;

/// Lifetime of tokens of which nothing in the answer says it: what pools grant by default.
pub(super) const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);

/// What an answer to a request for tokens is.
pub(super) enum Reply {
    /// Tokens.
    Granted(Box<Grant>),
    /// A question.
    Challenged(Challenge),
    /// The answer to a question is wrong, and the question stands.
    WrongCode(OauthError),
    /// A failure, and a new refresh token found whole in what there is.
    Salvaged(Secret, RefreshError),
    /// A failure.
    Failed(RefreshError),
}

/// Reads the answer to a refresh.
pub(super) fn refreshed(response: &Response) -> Outcome {
    outcome(read(response, Asked::Refresh))
}

/// Reads the answer to a sign-in in which no person has a part, with the password that is `kept`
/// there.
pub(super) fn signed_in(response: &Response, kept: Option<&SecretRef>) -> Outcome {
    match outcome(read(response, Asked::SignIn)) {
        // What a challenge asks for is no matter of the password.
        Outcome::Failed(error) if error.provider_error().is_some_and(refusal::is_of_password) => {
            Outcome::Failed(without_a_person(error, PASSWORD, kept))
        }
        outcome @ (Outcome::Failed(_) | Outcome::Granted(_) | Outcome::Salvaged(..)) => outcome,
    }
}

fn outcome(reply: Reply) -> Outcome {
    match reply {
        Reply::Granted(grant) => Outcome::Granted(grant),
        Reply::Challenged(challenge) => Outcome::Failed(challenge.without_a_person()),
        Reply::WrongCode(answer) => Outcome::Failed(RefreshError::LoginRejected(answer)),
        Reply::Salvaged(token, error) => Outcome::Salvaged(token, error),
        Reply::Failed(error) => Outcome::Failed(error),
    }
}

/// Reads the answer to what ends logins, whose success says nothing.
///
/// # Errors
///
/// It did not.
pub(super) fn done(response: &Response) -> Result<(), RefreshError> {
    match response.status {
        200..=299 if is_page(response) => Err(page(response)),
        200..=299 => Ok(()),
        _ => Err(failure(response, Asked::End, exception(response).as_ref())),
    }
}

/// Reads the answer to a request for tokens.
pub(super) fn read(response: &Response, asked: Asked) -> Reply {
    if let 200..=299 = response.status {
        return success(response, asked);
    }
    let exception = exception(response);
    match &exception {
        Some(exception)
            if asked == Asked::Answer
                && (400..=499).contains(&response.status)
                && Meaning::of(&exception.name) == Some(Meaning::WrongCode) =>
        {
            Reply::WrongCode(exception.answer())
        }
        _ => Reply::Failed(failure(response, asked, exception.as_ref())),
    }
}

fn success(response: &Response, asked: Asked) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Success {
        authentication_result: Tokens,
    }

    if let Ok(success) = serde_json::from_slice::<Success>(&response.body) {
        return granted(success.authentication_result);
    }
    match Challenge::read(&response.body) {
        Some(Ok(challenge)) => Reply::Challenged(challenge),
        Some(Err(error)) => Reply::Failed(error),
        None => unreadable(response, asked),
    }
}

/// `AuthenticationResult`
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Tokens {
    id_token: Member,
    access_token: Member,
    refresh_token: Member,
    expires_in: Member,
}

/// Both tokens are needed: the one is what APIs take, the other is the only one that ends the
/// user's sessions, and a pool grants neither without the other.
///
/// `TokenType` says `Bearer` whatever the API wants, so it is not looked at.
fn granted(tokens: Tokens) -> Reply {
    let refresh_token = tokens.refresh_token.into_text();
    let id = tokens.id_token.into_text().filter(is_printable);
    let access = tokens.access_token.into_text().filter(is_printable);
    let (Some(id), Some(access)) = (id, access) else {
        let error = RefreshError::Malformed("the ID token or the access token is missing".into());
        return match refresh_token {
            Some(token) => Reply::Salvaged(token, error),
            None => Reply::Failed(error),
        };
    };

    let (of_id, of_access) = (Claims::of(&id), Claims::of(&access));
    let claims = [of_id.as_ref(), of_access.as_ref()];
    let subject = claims.into_iter().flatten().find_map(Claims::subject);
    let lifetime = lifetime(&tokens.expires_in, claims, DEFAULT_LIFETIME);
    Reply::Granted(Box::new(Grant {
        tokens: Arc::new(TokenSet {
            access,
            id: Some(id),
            token_type: "Bearer".into(),
            scope: None,
        }),
        refresh_token,
        lifetime,
        refresh_lifetime: None,
        aws: None,
        subject,
    }))
}

/// A success whose body says nothing. Whatever holds tokens may have rotated the refresh
/// token, unless this is plainly not the pool.
fn unreadable(response: &Response, asked: Asked) -> Reply {
    if is_page(response) {
        return Reply::Failed(page(response));
    }
    let error = match (response.complete, asked) {
        (true, _) => RefreshError::Malformed("neither tokens nor a challenge".into()),
        (false, Asked::Refresh) => RefreshError::ReplyLost("the answer breaks off".into()),
        (false, Asked::SignIn | Asked::Answer | Asked::End) => {
            RefreshError::Unreachable("the answer breaks off".into())
        }
    };
    match token_in(&response.body, "RefreshToken") {
        Some(token) if asked == Asked::Refresh => Reply::Salvaged(token, error),
        Some(_) | None => Reply::Failed(error),
    }
}

fn failure(response: &Response, asked: Asked, exception: Option<&Exception>) -> RefreshError {
    let (status, retry_after) = (response.status, response.retry_after);
    let answer = exception.map_or_else(|| OauthError::status(status), Exception::answer);
    let known = exception.and_then(|it| Some((it, Meaning::of(&it.name)?)));

    match (status, known) {
        (429, _) => RefreshError::Throttled { answer, retry_after },
        (503, _) if retry_after.is_some() => RefreshError::Throttled { answer, retry_after },
        (408 | 425, _) => RefreshError::Unavailable { answer, retry_after, maybe_rotated: false },
        // RFC 6585 section 6: by its definition the request never arrived.
        (511, _) => Stranger::CaptivePortal.into(),
        (500..=599, _) => {
            let maybe_rotated = asked == Asked::Refresh;
            RefreshError::Unavailable { answer, retry_after, maybe_rotated }
        }
        (400..=499, Some((exception, meaning))) => {
            meaning.into_error(asked, exception, retry_after)
        }
        (400..=499, None) if exception.is_some() => {
            RefreshError::Unavailable { answer, retry_after, maybe_rotated: false }
        }
        (404 | 405 | 410, None) => RefreshError::NoEndpoint(format!("HTTP {status}")),
        (413 | 415, None) => RefreshError::ClientRejected(answer),
        (300..=399, _) => redirect(response).into(),
        _ => RefreshError::NotTheProvider(format!("HTTP {status} without an exception of Cognito")),
    }
}

/// The exception in an answer: its name from `__type` or else from the header.
fn exception(response: &Response) -> Option<Exception> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Members {
        #[serde(rename = "__type")]
        kind: Member,
        message: Member,
        #[serde(rename = "Message")]
        capital: Member,
    }

    let members = serde_json::from_slice::<Members>(&response.body).unwrap_or_default();
    let of_body = members.kind.text().and_then(|it| Exception::name_in(it.expose()));
    let name = of_body.or_else(|| Exception::name_in(response.error_type.as_deref()?))?;
    let message = members.message.text().or_else(|| members.capital.text());
    Some(Exception { name: name.into(), message: message.map(|it| it.expose().into()) })
}

fn page(response: &Response) -> RefreshError {
    Stranger::Page(response.status).into()
}
