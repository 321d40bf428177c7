//! Text of others, made harmless before it is shown.
//!
//! Whatever a provider or a person wrote may hold a token, or characters that steer a
//! terminal. Nothing of it reaches a message without passing [`scrubbed`]. Text that is known to
//! hold no token, as a path, passes [`shown`].

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;
use serde::Serialize;

/// What a provider says of an error: hostile text made harmless.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OauthError {
    /// The `error` member, or `HTTP 503` where there is none.
    pub code: Box<str>,
    /// The `error_description` member.
    pub description: Option<Box<str>>,
}

impl OauthError {
    /// Takes over what a provider sent: capped at 64 and 200 characters, control
    /// characters escaped, whatever looks like a token masked.
    pub fn new(code: &str, description: Option<&str>) -> Self {
        Self {
            code: scrubbed(code, 64).into(),
            description: description.map(|text| scrubbed(text, 200).into()),
        }
    }

    /// An answer of which only the status is known.
    pub fn status(status: u16) -> Self {
        Self { code: format!("HTTP {status}").into(), description: None }
    }
}

impl std::fmt::Display for OauthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.description {
            Some(description) => write!(f, "{} ({description})", self.code),
            None => f.write_str(&self.code),
        }
    }
}

/// Makes foreign text harmless for messages: at most `limit` characters, control and
/// bidirectional characters escaped, runs that look like a token masked.
///
/// A run of 20 or more characters of the base64url, base64, hex or JWT alphabets that
/// holds a digit looks like a token; so does any run of 40.
pub fn scrubbed(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut run = String::new();
    for character in text.chars().take(limit).chain([' ']) {
        if character.is_ascii_alphanumeric() || "-_.~+/=%".contains(character) {
            run.push(character);
            continue;
        }
        push_run(&mut out, &run);
        run.clear();
        if is_unsafe_to_show(character) {
            // Writing into a String cannot fail.
            let _written = write!(out, "{}", character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    push_run(&mut out, &run);
    out.truncate(out.trim_end().len());
    out
}

fn push_run(out: &mut String, run: &str) {
    let length = run.len();
    let token_like = length >= 40 || (length >= 20 && run.bytes().any(|b| b.is_ascii_digit()));
    out.push_str(if token_like { "[masked]" } else { run });
}

/// `text` with everything escaped that could play with a terminal.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe_to_show) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unsafe_to_show(character) {
            // Writing into a String cannot fail.
            let _written = write!(out, "{}", character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// `text` as one word of a command that a person is told to type into a shell.
pub fn typed(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%,=".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    shown(&format!("'{}'", text.replace('\'', r"'\''"))).into_owned()
}

/// Whether a character could change what a terminal shows of the text around it: control
/// characters, and those that are invisible or turn the direction of writing.
pub fn is_unsafe_to_show(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_capped_escaped_and_masked() {
        let long = "word ".repeat(100);
        #[rustfmt::skip]
        let cases = [
            ("plain words stay",          "The token was revoked.",            "The token was revoked."),
            ("control characters",        "a\nb\u{1b}[31m",                    "a\\u{a}b\\u{1b}[31m"),
            ("bidirectional override",    "a\u{202e}b",                        "a\\u{202e}b"),
            ("a token in the middle",     "token 4f9aKq0ZtYxLm3Pq7Rw2 is bad", "token [masked] is bad"),
            ("a JWT",                     "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "[masked]"),
            ("a long word without digit", "internationalisation of errors",    "internationalisation of errors"),
            ("forty letters",             "abcdefghijabcdefghijabcdefghijabcdefghij", "[masked]"),
        ];
        for (name, text, expected) in cases {
            assert_eq!(scrubbed(text, 200), expected, "{name}");
        }
        assert!(scrubbed(&long, 50).chars().count() <= 51);
    }

    #[test]
    fn no_terminal_escape_gets_through() {
        let hostile = "a\u{1b}[2J\u{9b}31m\u{202e}\u{7}\r\n";
        assert_eq!(shown(hostile), "a\\u{1b}[2J\\u{9b}31m\\u{202e}\\u{7}\\u{d}\\u{a}");
        assert_eq!(shown("plain, and so as it is"), "plain, and so as it is");
    }
}
