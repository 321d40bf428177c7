//! What an answer of a failure means, by the endpoint that gives it.
//!
//! Two dialects are spoken: the server's (`REFRESH_TOKEN_INVALID`, 403 with `detail`, HTTP
//! 500 as bare text) and its wiki's (`INVALID_TOKEN`, `RATE_LIMIT_EXCEEDED`, 403 with an
//! `error_code`).
//!
//! # The bare 500
//!
//! The refresh endpoint crashes in two places where it means to refuse: at a token that it
//! cannot verify, and at more than 30 refreshes a minute from one address. Neither tells
//! itself from a true fault. So a sign of life is asked for: a server that gives it is well,
//! and the refresh token is suspected, to be confirmed when the minute of the limit is surely
//! over. One that does not is out of order, and nothing is suspected.

use std::time::Duration;

use serde::Deserialize;

use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::provider::Response;
use crate::provider::answer::is_page;
use crate::provider::answer::redirect;
use crate::provider::fault::Stranger;
use crate::provider::lifetime::refresh_lifetime;
use crate::provider::member::Member;
use crate::provider::member::Object;
use crate::token::Secret;

/// How long the server counts requests before it forgets them. It does not say so itself.
const LIMIT_WINDOW: Duration = Duration::from_secs(60);

/// What a refusal to refresh is.
pub(super) enum OfRefresh {
    /// The bare 500.
    Unclear,
    /// Anything else.
    Failed(RefreshError),
}

/// What a refusal to sign in is.
pub(super) enum OfLogin {
    /// A code of the second factor is wanted, and none was sent.
    CodeWanted,
    /// The code that was sent is not right.
    CodeWrong(OauthError),
    /// Anything else.
    Failed(RefreshError),
}

/// Reads a refusal of the refresh endpoint.
pub(super) fn of_refresh(response: &Response) -> OfRefresh {
    let fault = Fault::of(response);
    let answer = fault.answer(response.status);
    OfRefresh::Failed(match (response.status, fault.code()) {
        (500, _) if !is_page(response) => return OfRefresh::Unclear,
        (401 | 403, "REFRESH_TOKEN_EXPIRED" | "TOKEN_EXPIRED" | "SESSION_EXPIRED") => {
            RefreshError::SessionExpired(answer)
        }
        (401 | 403, "USER_INACTIVE") => RefreshError::LoginRequired(answer),
        (401 | 403, "REFRESH_TOKEN_INVALID" | "TOKEN_INVALID" | "INVALID_TOKEN") => {
            RefreshError::GrantRejected(fault.with_hint(
                response.status,
                "its signing key changed, or it has JWT_SECRET_KEY set, with which it refuses \
                 its own tokens",
            ))
        }
        (401 | 403, "AUTH_REQUIRED" | "TOKEN_MISSING") => RefreshError::GrantRejected(answer),
        (403, _) if fault.speaks() => RefreshError::ClientRejected(answer),
        _ => general(response, &fault, MayRotate::Yes),
    })
}

/// What the bare 500 means, after the answer to a sign of life.
pub(super) fn of_unclear(life: &Response) -> RefreshError {
    #[derive(Deserialize)]
    struct Setup {
        #[serde(rename = "setup_required")]
        _required: bool,
    }

    let is_well = life.status == 200 && serde_json::from_slice::<Setup>(&life.body).is_ok();
    if is_well {
        let causes = "too many refreshes from this host in a minute, or a refresh token that the \
                      server does not know: its signing key changed, or JWT_SECRET_KEY is set";
        return RefreshError::GrantRejected(OauthError::new("HTTP 500", Some(causes)));
    }
    RefreshError::Unavailable {
        answer: OauthError::status(500),
        retry_after: Some(LIMIT_WINDOW),
        maybe_rotated: true,
    }
}

/// Reads a refusal of the login endpoint.
pub(super) fn of_login(response: &Response) -> OfLogin {
    let fault = Fault::of(response);
    let of_factor = fault.words().is_some_and(|words| words.to_ascii_lowercase().contains("2fa"));
    let answer = fault.answer(response.status);
    OfLogin::Failed(match response.status {
        403 if of_factor => return OfLogin::CodeWanted,
        401 if of_factor => return OfLogin::CodeWrong(answer),
        401 | 403 if fault.speaks() => RefreshError::LoginRejected(answer),
        500 if !is_page(response) => RefreshError::Unavailable {
            answer: OauthError::new(
                "HTTP 500",
                Some("which the server also says to more than 5 logins in a minute"),
            ),
            retry_after: Some(LIMIT_WINDOW),
            maybe_rotated: false,
        },
        _ => general(response, &fault, MayRotate::No),
    })
}

/// Reads a refusal of anything that is asked with the access token.
pub(super) fn of_access(response: &Response) -> RefreshError {
    let fault = Fault::of(response);
    match response.status {
        403 if fault.speaks() => RefreshError::ClientRejected(fault.answer(403)),
        _ => general(response, &fault, MayRotate::No),
    }
}

/// Whether the request was one after which a server could have ended the old refresh token.
/// This one does not; one that its operator says to rotate would.
#[derive(Clone, Copy, Eq, PartialEq)]
enum MayRotate {
    Yes,
    No,
}

/// What a status means at any endpoint.
fn general(response: &Response, fault: &Fault, rotates: MayRotate) -> RefreshError {
    let (status, retry_after) = (response.status, response.retry_after);
    let answer = fault.answer(status);
    let maybe_rotated = rotates == MayRotate::Yes && (500..=599).contains(&status);
    match (status, fault.code()) {
        (429, _) | (400..=499, "RATE_LIMIT_EXCEEDED") => RefreshError::Throttled {
            answer,
            retry_after: retry_after.or_else(|| fault.patience()).or(Some(LIMIT_WINDOW)),
        },
        (503, _) if retry_after.is_some() => RefreshError::Throttled { answer, retry_after },
        // RFC 6585 section 6: by its definition the request never arrived.
        (511, _) => Stranger::CaptivePortal.into(),
        (408 | 425 | 500..=599, _) => {
            RefreshError::Unavailable { answer, retry_after, maybe_rotated }
        }
        (300..=399, _) => redirect(response).into(),
        (404 | 405 | 410, _) => RefreshError::NoEndpoint(format!("HTTP {status}")),
        // What is wrong with the request is told in a list that quotes it.
        (413 | 415 | 422, _) => RefreshError::ClientRejected(OauthError::status(status)),
        _ if fault.speaks() => RefreshError::Unavailable { answer, retry_after, maybe_rotated },
        _ => RefreshError::NotTheProvider(format!("HTTP {status} without Kasa Monitor's words")),
    }
}

/// The members of an error, in both dialects.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fault {
    error: Member,
    error_code: Member,
    message: Member,
    detail: Member,
    /// Seconds.
    retry_after: Member,
}

impl Fault {
    fn of(response: &Response) -> Self {
        serde_json::from_slice(&response.body).map(|Object(fault)| fault).unwrap_or_default()
    }

    fn code(&self) -> &str {
        self.error_code.text().map_or("", Secret::expose)
    }

    fn words(&self) -> Option<&str> {
        self.message.text().or_else(|| self.detail.text()).map(Secret::expose)
    }

    /// Whether it is an error of the server's at all.
    fn speaks(&self) -> bool {
        [&self.error_code, &self.error, &self.message, &self.detail]
            .into_iter()
            .any(|member| member.text().is_some())
    }

    fn patience(&self) -> Option<Duration> {
        refresh_lifetime(&self.retry_after)
    }

    fn answer(&self, status: u16) -> OauthError {
        let code = self.error_code.text().or_else(|| self.error.text()).map(Secret::expose);
        match code {
            Some(code) => OauthError::new(code, self.words()),
            None => OauthError::new(&format!("HTTP {status}"), self.words()),
        }
    }

    /// As [`answer`](Self::answer), with what people should know besides.
    fn with_hint(&self, status: u16, hint: &str) -> OauthError {
        let words =
            self.words().map_or_else(|| hint.to_owned(), |words| format!("{words}; {hint}"));
        OauthError {
            description: OauthError::new("", Some(&words)).description,
            ..self.answer(status)
        }
    }
}
