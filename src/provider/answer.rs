//! What any answer shows of itself, whichever provider it should have come from.

use super::Response;
use super::fault::Stranger;
use crate::error::RefreshError;
use crate::section::SecretRef;
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

/// The failure of a sign-in in which no person had a part and which was refused for the secret
/// of that slot. `kept` is where the secret comes from: who reads of the refusal has to know what
/// to correct, since a login would be made with the same one.
pub(super) fn without_a_person(
    error: RefreshError,
    slot: &str,
    kept: Option<&SecretRef>,
) -> RefreshError {
    let RefreshError::LoginRejected(answer) = error else { return error };
    let stored = kept == Some(&SecretRef::Slot);
    RefreshError::SecretRefused { slot: slot.to_owned(), stored, answer }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::foreign::OauthError;

    #[test]
    fn who_reads_of_a_refused_sign_in_learns_which_secret_was_used() {
        let refused = |words| RefreshError::LoginRejected(OauthError::new("401", words));
        let file = SecretRef::File("/run/password".into());
        #[rustfmt::skip]
        let cases = [
            (Some(&SecretRef::Slot), Some("No."), "login refused: 401 (No.); the stored password was used"),
            (Some(&SecretRef::Slot), None,        "login refused: 401; the stored password was used"),
            (Some(&file),            Some("No."), "login refused: 401 (No.); the password was used that the configuration leads to"),
            (Some(&file),            None,        "login refused: 401; the password was used that the configuration leads to"),
        ];
        for (kept, words, told) in cases {
            assert_eq!(without_a_person(refused(words), "password", kept).to_string(), told);
        }
        let other = RefreshError::BornExpired;
        assert_eq!(without_a_person(other.clone(), "password", Some(&SecretRef::Slot)), other);
    }
}
