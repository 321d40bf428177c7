//! What any answer shows of itself, whichever provider it should have come from.

use super::Response;
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

/// Where an answer of 300 to 399 points, in words. It is never followed.
pub(super) fn redirect(response: &Response) -> String {
    match &response.location {
        Some(host) => format!("HTTP {} to {host}, which is not followed", response.status),
        None => format!("HTTP {}, which is not followed", response.status),
    }
}

/// RFC 6749 appendix A.12: what is not printable would break the header that carries it.
pub(super) fn is_printable(token: &Secret) -> bool {
    token.expose().bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
