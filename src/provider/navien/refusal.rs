//! What an answer of a failure means.
//!
//! The service says why in `msg`, in words that nobody has written down; only whether they
//! blame the password is looked for, as its own clients do. A refused refresh token is one to
//! be confirmed, since the service answers 401 to more than that.

use super::reply::Envelope;
use super::reply::Purpose;
use super::reply::UNKNOWN_CODE;
use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::provider::Response;
use crate::provider::answer::redirect;
use crate::provider::fault::Stranger;
use crate::token::Secret;

/// The failure that an answer tells of. `worst` is the worse one of its status and its
/// `code`; `envelope` is `None` for a body that is no object.
pub(super) fn failure<T>(
    response: &Response,
    worst: u16,
    envelope: Option<Envelope<T>>,
    purpose: Purpose,
) -> RefreshError {
    let (status, retry_after) = (response.status, response.retry_after);
    if (300..=399).contains(&status) {
        return redirect(response).into();
    }
    let envelope = envelope.filter(|it| it.code().is_some() || it.msg.text().is_some());
    let msg = envelope.as_ref().and_then(|it| it.msg.text()).map(Secret::expose);
    let answer = OauthError::new(&named(status, envelope.as_ref()), msg);

    let spends = purpose == Purpose::Refresh;
    let passes =
        |answer, maybe_rotated| RefreshError::Unavailable { answer, retry_after, maybe_rotated };
    match (worst, purpose, envelope.is_some()) {
        (401, Purpose::SignIn, true) => RefreshError::LoginRejected(answer),
        (_, Purpose::SignIn, true) if msg.is_some_and(blames_the_password) => {
            RefreshError::LoginRejected(answer)
        }
        (429, ..) => RefreshError::Throttled { answer, retry_after },
        (503, ..) if retry_after.is_some() => RefreshError::Throttled { answer, retry_after },
        (408 | 425, ..) => passes(answer, false),
        // RFC 6585 section 6: by its definition the request never arrived.
        (511, ..) => Stranger::CaptivePortal.into(),
        (500..=599, ..) => passes(answer, spends),
        (413 | 415, ..) => RefreshError::ClientRejected(answer),
        (400 | 401 | 403 | 404, Purpose::Refresh, true) => RefreshError::GrantRejected(answer),
        (400..=499, Purpose::SignIn, true) => RefreshError::LoginRejected(answer),
        (404 | 405 | 410, _, false) => RefreshError::NoEndpoint(format!("HTTP {status}")),
        (_, _, true) => passes(answer, false),
        (_, _, false) => {
            RefreshError::NotTheProvider(format!("HTTP {status} without Navien's code"))
        }
    }
}

/// The code as it stands in messages: the envelope's where that is the one that fails.
fn named<T>(status: u16, envelope: Option<&Envelope<T>>) -> String {
    match envelope.and_then(Envelope::code) {
        Some(UNKNOWN_CODE) => format!("HTTP {status} with an unknown code"),
        Some(code) if code != status && code != 200 => format!("HTTP {status} with code {code}"),
        Some(_) | None => format!("HTTP {status}"),
    }
}

fn blames_the_password(msg: &str) -> bool {
    let msg = msg.to_ascii_lowercase();
    ["invalid", "unauthorized"].iter().any(|word| msg.contains(word))
}
