//! Values of a script that have bounds: numbers, statuses and what goes into header lines.
//!
//! Each is checked where it is read, so that nothing behind it has to be.

use serde::Deserialize;

/// Longest text that a script may put into a header line, in bytes.
const LONGEST_HEADER: usize = 8 * 1024;

/// A number between two bounds, both included.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "u64")]
pub(crate) struct Within<const LEAST: u64, const MOST: u64>(pub(crate) u64);

/// Why a number cannot be taken.
#[derive(Debug, thiserror::Error)]
#[error("{got} is out of range, expected {least} to {most}")]
pub(crate) struct OutOfRange {
    got: u64,
    least: u64,
    most: u64,
}

impl<const LEAST: u64, const MOST: u64> TryFrom<u64> for Within<LEAST, MOST> {
    type Error = OutOfRange;

    fn try_from(got: u64) -> Result<Self, OutOfRange> {
        if (LEAST..=MOST).contains(&got) {
            Ok(Self(got))
        } else {
            Err(OutOfRange { got, least: LEAST, most: MOST })
        }
    }
}

/// An HTTP status, 100 to 599.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "u16")]
pub(crate) struct Status(pub(crate) u16);

/// Why a text cannot go into a reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadText {
    #[error("HTTP status {0}, expected 100 to 599")]
    Status(u16),
    #[error("a header value of up to 8192 visible characters was expected, without line breaks")]
    HeaderText,
    #[error("header name {0:?}, expected letters, digits and hyphens")]
    HeaderName(String),
}

impl TryFrom<u16> for Status {
    type Error = BadText;

    fn try_from(status: u16) -> Result<Self, BadText> {
        if (100..=599).contains(&status) { Ok(Self(status)) } else { Err(BadText::Status(status)) }
    }
}

/// A header value without control characters.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct HeaderText(pub(crate) String);

impl TryFrom<String> for HeaderText {
    type Error = BadText;

    fn try_from(text: String) -> Result<Self, BadText> {
        let clean = text.chars().all(|char| !char.is_control());
        if clean && text.len() <= LONGEST_HEADER {
            Ok(Self(text))
        } else {
            Err(BadText::HeaderText)
        }
    }
}

/// The name of a header line.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub(crate) struct HeaderName(pub(crate) String);

impl TryFrom<String> for HeaderName {
    type Error = BadText;

    fn try_from(name: String) -> Result<Self, BadText> {
        let clean = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if clean && (1..=64).contains(&name.len()) {
            Ok(Self(name))
        } else {
            Err(BadText::HeaderName(name))
        }
    }
}

/// The value of `Retry-After` (RFC 9110, 10.2.3), in every form that providers send.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "HeaderText")]
pub(crate) enum RetryAfter {
    /// `seconds:N`: a number of seconds.
    Seconds(i64),
    /// `date:N`: the HTTP date that lies N seconds ahead of the reply.
    Date(i64),
    /// Anything else, word for word.
    Literal(String),
}

impl TryFrom<HeaderText> for RetryAfter {
    type Error = BadText;

    fn try_from(text: HeaderText) -> Result<Self, BadText> {
        let number = |prefix: &str| text.0.strip_prefix(prefix)?.parse().ok();
        Ok(number("seconds:")
            .map(Self::Seconds)
            .or_else(|| number("date:").map(Self::Date))
            .unwrap_or(Self::Literal(text.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_its_three_forms() {
        #[rustfmt::skip]
        let cases = [
            ("seconds:5",  RetryAfter::Seconds(5)),
            ("seconds:-1", RetryAfter::Seconds(-1)),
            ("date:5",     RetryAfter::Date(5)),
            ("soon",       RetryAfter::Literal("soon".to_owned())),
            ("date:soon",  RetryAfter::Literal("date:soon".to_owned())),
        ];
        for (text, expected) in cases {
            let text = HeaderText::try_from(text.to_owned()).unwrap();
            assert_eq!(RetryAfter::try_from(text).unwrap(), expected);
        }
    }

    #[test]
    fn what_would_break_a_head_is_refused() {
        for text in ["a\r\nb", "a\nb", "\0"] {
            assert!(HeaderText::try_from(text.to_owned()).is_err(), "{text:?}");
        }
        for name in ["", "a b", "a:", "a\r\n"] {
            assert!(HeaderName::try_from(name.to_owned()).is_err(), "{name:?}");
        }
        assert!(HeaderText::try_from("x".repeat(LONGEST_HEADER + 1)).is_err());
    }

    #[test]
    fn a_number_is_taken_from_bound_to_bound() {
        let taken = |number| Within::<2, 4>::try_from(number).is_ok();
        assert_eq!([1, 2, 4, 5].map(taken), [false, true, true, false]);
    }
}
