//! Why a connection failed, in one line.
//!
//! HTTP libraries wrap what happened in layers of "error sending request". What a person
//! wants to know is the innermost of them.

use std::error::Error;
use std::io;

use crate::error::foreign::scrubbed;

/// Longest cause, in characters.
const LONGEST: usize = 200;

/// The innermost cause, in words without numbers of the operating system.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let Some(last) = chain(error).last() else { return String::new() };
    let text = match last.downcast_ref::<io::Error>() {
        Some(error) if error.raw_os_error().is_some() => error.kind().to_string(),
        Some(_) | None => last.to_string(),
    };
    scrubbed(&text, LONGEST)
}

/// Whether it failed for what the other side said in TLS: its certificate, above all.
pub(super) fn is_tls(error: &(dyn Error + 'static)) -> bool {
    chain(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::InvalidData)
}

/// An error and its causes. An [`io::Error`] that wraps another error says that it is the
/// other one, and skips it when asked for its source.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => (*error).source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("error sending request for url (https://idp.example/?code=secret)")]
    struct Layer(#[source] io::Error);

    #[test]
    fn the_innermost_cause_is_told_in_words() {
        let tls = io::Error::new(io::ErrorKind::InvalidData, "not for x");
        #[rustfmt::skip]
        let cases = [
            ("of the operating system", io::Error::from_raw_os_error(111),          "connection refused", false),
            ("of TLS, in two layers",   io::Error::other(tls),                      "not for x",          true),
            ("hostile",                 io::Error::other("a\nb 4f9aKq0ZtYxLm3Pq7Rw2"), "a\\u{a}b [masked]",  false),
        ];
        for (name, inner, text, tls) in cases {
            let error = Layer(inner);
            assert_eq!(innermost(&error), text, "{name}");
            assert_eq!(is_tls(&error), tls, "{name}");
        }
    }
}
