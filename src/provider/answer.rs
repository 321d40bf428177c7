//! What any answer shows of itself, whichever provider it should have come from.

use super::Response;
use super::fault::Stranger;
use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::token::Secret;

/// Whether a body is written for a browser. Some servers call JSON `text/html`.
pub(super) fn is_page(response: &Response) -> bool {
    let body = response.body.trim_ascii_start();
    match body.first() {
        Some(b'<') => true,
        Some(b'{') | None => false,
        Some(_) => matches!(&*response.content_type, "text/html" | "application/xhtml+xml"),
    }
}

/// The failure of a sign-in that was made with the stored password: a login would be made with
/// the same one, so who reads of a refusal has to know what to correct first.
pub(super) fn with_stored_password(error: RefreshError) -> RefreshError {
    const HINT: &str = "the stored password was used; tokenctl secret set replaces it";

    let RefreshError::LoginRejected(answer) = error else { return error };
    let words = match answer.description.as_deref() {
        Some(said) => format!("{}; {HINT}", said.trim_end_matches('.')),
        None => HINT.to_owned(),
    };
    RefreshError::LoginRejected(OauthError::new(&answer.code, Some(&words)))
}

/// What an answer of 300 to 399 is: somebody else's. It is never followed.
pub(super) fn redirect(response: &Response) -> Stranger {
    let status = response.status;
    match &response.location {
        Some(host) => Stranger::Redirect { status, host: host.clone() },
        None => Stranger::RedirectNowhere(status),
    }
}

/// RFC 6749 appendix A.12: what is not printable would break the header that carries it.
pub(super) fn is_printable(token: &Secret) -> bool {
    token.expose().bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
