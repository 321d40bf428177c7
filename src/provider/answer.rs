//! What any answer shows of itself, whichever provider it should have come from.

use super::Response;
use super::fault::Stranger;
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
