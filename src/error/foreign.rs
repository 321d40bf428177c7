//! Text of others, made harmless before it is shown.
//!
//! Whatever a provider or a person wrote may hold a token, or characters that steer a
//! terminal. Nothing of it reaches a message without passing [`scrubbed`]. Text that is known to
//! hold no token, as a path, passes [`shown`].

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;
use serde::Serialize;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::token::Secret;

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

    /// The same, with `secrets` masked that its author was told and says back.
    pub fn hiding(self, secrets: &[Secret]) -> Self {
        let description = self.description.map(|text| hiding(&text, secrets).into());
        Self { code: hiding(&self.code, secrets).into(), description }
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
    out.push_str(if token_like { MASKED } else { run });
}

/// Shortest secret that is looked for, in bytes: a shorter one is a part of every other word.
const SHORTEST_HIDDEN: usize = 4;

/// No text is capped shorter, in characters.
const SHORTEST_CAP: usize = 64;

/// Text that was [`scrubbed`], without any of `secrets`: a password of words looks like no token.
///
/// Where the text was capped within a secret, the beginning of that is masked. In a text that was
/// not, the same letters are a word, and to mask it would tell how a secret begins.
pub fn hiding(text: &str, secrets: &[Secret]) -> String {
    let may_be_cut = text.chars().count() >= SHORTEST_CAP;
    let mut text = text.to_owned();
    for written in secrets.iter().flat_map(spellings) {
        // As it was written, and as it became when the text was made harmless.
        let harmless = Zeroizing::new(scrubbed(&written, usize::MAX));
        for spelled in [written, harmless] {
            text = text.replace(spelled.as_str(), MASKED);
            let cut = spelled.char_indices().map(|(at, _)| at).filter(|at| *at >= SHORTEST_HIDDEN);
            let mut cut = cut.rev().filter_map(|at| spelled.get(..at));
            if may_be_cut && let Some(rest) = cut.find_map(|begin| text.strip_suffix(begin)) {
                text = format!("{rest}{MASKED}");
            }
        }
    }
    text
}

/// A secret as it is, and as JSON and a form spell it: whoever says back what it was told may not
/// have read it. None of one that is too short to be looked for.
pub fn spellings(secret: &Secret) -> Vec<Zeroizing<String>> {
    let plain = secret.expose();
    if plain.len() < SHORTEST_HIDDEN {
        return Vec::new();
    }
    let quoted = Zeroizing::new(serde_json::Value::from(plain).to_string());
    let json = quoted.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(plain);
    let form = form_urlencoded::byte_serialize(plain.as_bytes()).collect::<String>();
    let mut spelled = vec![Zeroizing::new(plain.to_owned())];
    for other in [Zeroizing::new(json.to_owned()), Zeroizing::new(form)] {
        if !spelled.contains(&other) {
            spelled.push(other);
        }
    }
    spelled
}

/// What stands in the place of what is not shown.
const MASKED: &str = "[masked]";

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
    fn a_secret_that_is_said_back_is_masked_also_where_the_text_was_cut_within_it() {
        let secrets = ["hunter2", "pass & word\n\"é\"", "rt-1", "a"].map(Secret::new);
        // As long as the shortest cap but for the last two characters.
        let long = "wrong ".repeat(10) + ": ";
        let whole = "pass & word\n\"é\"";
        #[rustfmt::skip]
        let cases = [
            ("as it is",              "wrong: hunter2, hunter2!".to_owned(), 200, "wrong: [masked], [masked]!"),
            ("escaped",               format!("wrong: {whole}."),            200, "wrong: [masked]."),
            ("cut at the cap",        format!("{long}{whole}."),             70,  &format!("{long}[masked]")),
            ("cut in what is escaped", format!("{long}{whole}."),            74,  &format!("{long}[masked]")),
            ("a word of a short text", "wrong pass".to_owned(),               200, "wrong pass"),
            ("as JSON",               r#"{"password":"pass & word\n\"é\""}"#.to_owned(), 200, r#"{"password":"[masked]"}"#),
            ("as a form",             "p=pass+%26+word%0A%22%C3%A9%22&x".to_owned(), 200, "[masked]&x"),
            ("a short one",           "rt-1 is spent".to_owned(),            200, "[masked] is spent"),
            ("too short to be told",  "a word".to_owned(),                   200, "a word"),
            ("none",                  "The token was revoked.".to_owned(),   200, "The token was revoked."),
        ];
        for (name, text, limit, expected) in cases {
            assert_eq!(hiding(&scrubbed(&text, limit), &secrets), expected, "{name}");
        }
    }

    #[test]
    fn no_terminal_escape_gets_through() {
        let hostile = "a\u{1b}[2J\u{9b}31m\u{202e}\u{7}\r\n";
        assert_eq!(shown(hostile), "a\\u{1b}[2J\\u{9b}31m\\u{202e}\\u{7}\\u{d}\\u{a}");
        assert_eq!(shown("plain, and so as it is"), "plain, and so as it is");
    }
}
