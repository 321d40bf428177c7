//! The keys whose values have a grammar of their own.

use std::borrow::Cow;
use std::time::Duration;

use crate::provider::Header;
use crate::section::complaint::Problem;
use crate::section::value::Value;

/// A scope: words with single spaces between them (RFC 6749 section 3.3), or a list of them.
pub(super) fn read_scope(value: &Value<'_>) -> Option<Box<str>> {
    const EXPECTED: &str = "a string of words with spaces between them, or a list of words";

    let words = if value.is_list() {
        let items = value.list(EXPECTED)?;
        if items.is_empty() {
            value.complain(Problem::Kind { expected: EXPECTED.into(), found: "an empty list" });
            return None;
        }
        let word = |item: &Value<'_>| {
            let text = item.text("a word")?;
            if text.contains(' ') {
                let expected = "a word without spaces".into();
                item.complain(Problem::Value { expected, nearest: None });
            }
            Some(text.to_owned())
        };
        items.iter().map(word).collect::<Option<Vec<_>>>()?.join(" ")
    } else {
        value.text(EXPECTED)?.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    };
    if words.is_empty() || !words.bytes().all(is_scope_byte) {
        value.complain(Problem::Value { expected: EXPECTED.into(), nearest: None });
        return None;
    }
    Some(words.into())
}

/// RFC 6749 section 3.3: `scope-token`, and the space between two.
const fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

/// Further parameters. The request's `own` ones are refused, and so are those
/// that can only be secrets.
pub(super) fn read_params(value: &Value<'_>, own: &[&str]) -> Vec<(Box<str>, Box<str>)> {
    const SECRET: &[&str] = &["client_secret", "client_assertion", "refresh_token", "password"];

    let Some(section) = value.section("a table of strings") else { return Vec::new() };
    let mut params = Vec::new();
    for (name, value) in section.into_entries() {
        if SECRET.contains(&name) {
            let rule = "a secret does not belong in the configuration; tokenctl import \
                        and tokenctl secret set take secrets";
            value.complain_of_key(Problem::Rule(rule.into()));
        } else if own.contains(&name) {
            let rule = "this parameter is set by the account's other keys";
            value.complain_of_key(Problem::Rule(rule.into()));
        } else if let Some(text) = value.text("a string") {
            params.push((name.into(), text.into()));
        }
    }
    params.shrink_to_fit();
    params
}

/// A duration above zero.
pub(in crate::provider) fn read_lifetime(value: &Value<'_>) -> Option<Duration> {
    let span = value.span()?;
    if span.is_zero() {
        let rule = "expected a duration above zero";
        value.complain(Problem::Rule(rule.into()));
        return None;
    }
    Some(span)
}

/// `{ name = "authorization", scheme = "Bearer" }`; without a scheme the token stands alone.
pub(in crate::provider) fn read_header(value: &Value<'_>) -> Option<Header> {
    const NAME: &str = "the name of a header, such as \"authorization\"";
    const SCHEME: &str = "a word such as \"Bearer\"";

    let mut section = value.section("a table such as { name = \"authorization\" }")?;
    let name = section.value("name");
    if name.is_none() {
        section.missing("name", NAME);
    }
    let scheme = section.value("scheme");
    section.finish();
    let name = name.and_then(|name| token(&name, NAME));
    let scheme = match scheme {
        None => None,
        Some(scheme) => Some(Cow::Owned(token(&scheme, SCHEME)?.to_owned())),
    };
    Some(Header { name: Cow::Owned(name?.to_ascii_lowercase()), scheme })
}

/// A `token` of RFC 9110 section 5.6.2, at most 64 bytes.
fn token<'a>(value: &Value<'a>, expected: &'static str) -> Option<&'a str> {
    const LONGEST: usize = 64;

    let text = value.text(expected)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.len() > LONGEST || !text.bytes().all(plain) {
        value.complain(Problem::Value { expected: expected.into(), nearest: None });
        return None;
    }
    Some(text)
}
