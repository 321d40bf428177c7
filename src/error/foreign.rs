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

    /// Whether its words say that a refresh token was used once too often: a hint for people, and
    /// nothing to decide by. RFC 6749 has no code for it; `invalid_grant` is what most send.
    pub fn tells_of_reuse(&self) -> bool {
        const WORDS: &[&str] = &["reuse", "used before", "already used", "already been used"];

        let said = [Some(&self.code), self.description.as_ref()];
        said.into_iter().flatten().any(|text| {
            let text = text.to_ascii_lowercase().replace('_', " ");
            WORDS.iter().any(|words| text.contains(words))
        })
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

/// Makes foreign text harmless for messages: at most `limit` characters of it and `…` where there
/// are more, control and bidirectional characters escaped, runs that look like a token masked.
///
/// A run of 20 or more characters of the base64url, base64, hex or JWT alphabets that
/// holds a digit looks like a token; so does any run of 40. A run that the limit cuts is judged by
/// its whole: the beginning of a token is short.
pub fn scrubbed(text: &str, limit: usize) -> String {
    let end = text.char_indices().nth(limit).map_or(text.len(), |(at, _)| at);
    let (within, beyond) = text.split_at(end);
    let mut out = String::new();
    let mut run = String::new();
    for character in within.chars() {
        if is_of_a_run(character) {
            run.push(character);
            continue;
        }
        push_run(&mut out, &run, "");
        run.clear();
        if is_unsafe_to_show(character) {
            // Writing into a String cannot fail.
            let _written = write!(out, "{}", character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    let after_run = beyond.find(|character| !is_of_a_run(character)).unwrap_or(beyond.len());
    push_run(&mut out, &run, beyond.get(..after_run).unwrap_or_default());
    out.truncate(out.trim_end().len());
    if !beyond.is_empty() {
        out.push_str(CUT);
    }
    out
}

/// At most `limit` characters of a text that is fit to be shown, and `…` where there are more.
pub fn shortened(text: &str, limit: usize) -> Cow<'_, str> {
    match text.char_indices().nth(limit) {
        Some((end, _)) => (text.get(..end).unwrap_or_default().to_owned() + CUT).into(),
        None => text.into(),
    }
}

fn is_of_a_run(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_.~+/=%".contains(character)
}

/// Shows `run`, which goes on with `beyond`, or its mask.
fn push_run(out: &mut String, run: &str, beyond: &str) {
    let length = run.len() + beyond.len();
    let has_digit = || run.bytes().chain(beyond.bytes()).any(|byte| byte.is_ascii_digit());
    let token_like = !run.is_empty() && (length >= 40 || (length >= 20 && has_digit()));
    out.push_str(if token_like { MASKED } else { run });
}

/// Stands where the rest of a text is left out.
const CUT: &str = "…";

/// Shortest secret, and shortest part of one, that is looked for, in bytes: a shorter one is a part
/// of every other word.
const SHORTEST_HIDDEN: usize = 4;

/// Text that was [`scrubbed`], without any of `secrets`: a password of words looks like no token.
///
/// Where the text was cut within a secret, the beginning of that is masked, and so is what stands
/// beside a mask that took the rest of it. Elsewhere the same letters are a word, and to mask it
/// would tell how a secret begins.
pub fn hiding(text: &str, secrets: &[Secret]) -> String {
    let mut text = text.to_owned();
    for written in secrets.iter().flat_map(spellings) {
        // As it was written, and as it became when the text was made harmless.
        text = text.replace(written.as_str(), MASKED);
        let harmless = Zeroizing::new(scrubbed(&written, usize::MAX));
        if harmless.len() >= SHORTEST_HIDDEN {
            text = text.replace(harmless.as_str(), MASKED);
        }
        text = without_rests(&text, &Zeroizing::new(shown(&written).into_owned()));
    }
    text
}

/// `text` without what is left of `secret` beside its cuts and masks.
fn without_rests(text: &str, secret: &str) -> String {
    let parts = text.split_inclusive(CUT).map(|part| {
        let (part, cut) = part.strip_suffix(CUT).map_or((part, ""), |part| (part, CUT));
        let masks = part.matches(MASKED).count();
        let pieces = part.split(MASKED).enumerate().map(|(at, piece)| {
            let after = if at < masks { MASKED } else { cut };
            let piece = if at > 0 { without_ending(piece, after, secret) } else { piece };
            without_beginning(piece, after, secret)
        });
        pieces.collect::<Vec<_>>().join(MASKED) + cut
    });
    parts.collect()
}

/// What follows a mask, without the part of `secret` that it begins with: its ending, or all of a
/// piece before which, and `after` which, something is missing.
fn without_ending<'a>(piece: &'a str, after: &str, secret: &str) -> &'a str {
    if !after.is_empty() && piece.len() >= SHORTEST_HIDDEN && secret.contains(piece) {
        return "";
    }
    let begins = secret.char_indices().map(|(at, _)| at);
    let endings = begins.filter_map(|at| secret.get(at..));
    let mut endings = endings.filter(|ending| ending.len() >= SHORTEST_HIDDEN);
    endings.find_map(|ending| piece.strip_prefix(ending)).unwrap_or(piece)
}

/// What stands before a cut or a mask, `after`, with the beginning of `secret` masked in which it
/// ends.
fn without_beginning<'a>(piece: &'a str, after: &str, secret: &str) -> Cow<'a, str> {
    let ends = secret.char_indices().rev().map(|(at, _)| at);
    let beginnings = [secret.len()].into_iter().chain(ends).filter_map(|end| secret.get(..end));
    let mut beginnings = beginnings.filter(|beginning| beginning.len() >= SHORTEST_HIDDEN);
    match beginnings.find_map(|beginning| piece.strip_suffix(beginning)) {
        Some(rest) if after == MASKED => rest.into(),
        Some(rest) if after == CUT => format!("{rest}{MASKED}").into(),
        Some(_) | None => piece.into(),
    }
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
    fn a_second_use_is_recognized_in_the_words_of_many_and_revocation_is_not_taken_for_it() {
        #[rustfmt::skip]
        let cases = [
            ("invalid_grant",                Some("the refresh token was used before"),            true),
            ("invalid_grant",                Some("Maximum allowed refresh token reuse exceeded"), true),
            ("invalid_grant",                Some("The refresh token has already been used."),     true),
            ("refresh_token_already_used",   None,                                                 true),
            ("refresh_token_reused",         None,                                                 true),
            ("RefreshTokenReuseException",   None,                                                 true),
            ("invalid_grant",                Some("Token has been expired or revoked."),           false),
            ("invalid_grant",                None,                                                 false),
            ("HTTP 401",                     None,                                                 false),
        ];
        for (code, description, expected) in cases {
            let said = OauthError::new(code, description);
            assert_eq!(said.tells_of_reuse(), expected, "{said}");
        }
    }

    #[test]
    fn foreign_text_is_capped_escaped_and_masked() {
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
        #[rustfmt::skip]
        let cut = [
            ("words",                      "The token was revoked.",            11, "The token w…"),
            ("at its very end",            "The token",                          9, "The token"),
            ("after a word",               "The token",                          4, "The…"),
            ("a token",                    "token 4f9aKq0ZtYxLm3Pq7Rw2 is bad", 16, "token [masked]…"),
            ("a token at its first digit", "token abcdefghijabcdefghi9 is bad", 10, "token [masked]…"),
            ("before a token",             "token 4f9aKq0ZtYxLm3Pq7Rw2 is bad",  6, "token…"),
            ("a long word",                "internationalisation of errors",     5, "inter…"),
        ];
        for (name, text, limit, expected) in cut {
            assert_eq!(scrubbed(text, limit), expected, "{name}");
        }
    }

    #[test]
    fn a_secret_that_is_said_back_is_masked_also_where_the_text_was_cut_within_it() {
        let secrets =
            ["hunter2", "pass & word\n\"é\"", "a dog and cat", "rt-1", "a"].map(Secret::new);
        let whole = "pass & word\n\"é\"";
        #[rustfmt::skip]
        let cases = [
            ("as it is",              "wrong: hunter2, hunter2!".to_owned(), 200, "wrong: [masked], [masked]!"),
            ("escaped",               format!("wrong: {whole}."),            200, "wrong: [masked]."),
            ("cut",                   format!("wrong: {whole}."),            14,  "wrong: [masked]…"),
            ("cut after what is escaped", format!("wrong: {whole}."),        20,  "wrong: [masked]…"),
            ("cut beside a mask",     format!("4f9aKq0ZtYxLm3Pq7Rw2 {whole}."), 28, "[masked] [masked]…"),
            ("cut after four letters", "wrong: hunter2".to_owned(),          11,  "wrong: [masked]…"),
            ("a word of a text that is not cut", "wrong pass".to_owned(),    200, "wrong pass"),
            ("begins in the run of a mask", format!("the-right-password-4-you={whole}."), 200, "[masked]."),
            ("and is cut as well",    format!("the-right-password-4-you={whole}."), 34, "[masked]…"),
            ("ends in the run of a mask", "tell a dog and cat/that-the-pass-is-12, ok".to_owned(), 200, "tell [masked], ok"),
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

    proptest::proptest! {
        #[test]
        fn no_eight_characters_in_a_row_of_a_secret_are_left_wherever_it_is_cut(
            // Nothing of the secret is in what stands around it.
            around in ["[A-M :]{0,90}", "[A-M0-3:=/]{0,40}"],
            secret in "[a-z5-9&\"\\\\é\\n \u{1b}/=+-]{7,60}[a-z]",
            spelling in 0_usize..3,
            limit in 1_usize..200,
        ) {
            let secret = Secret::new(secret);
            let spelled = spellings(&secret);
            let spelled = spelled.get(spelling).unwrap_or(&spelled[0]).as_str();
            let [before, after] = &around;
            let text = scrubbed(&format!("{before}{spelled}{after}"), limit);

            let told = hiding(&text, &[secret]);

            let spelled = spelled.chars().collect::<Vec<_>>();
            for eight in spelled.windows(8) {
                let eight = eight.iter().collect::<String>();
                let eight = shown(&eight);
                proptest::prop_assert!(!told.contains(&*eight), "{eight} in {told}");
            }
        }
    }

    #[test]
    fn no_terminal_escape_gets_through() {
        let hostile = "a\u{1b}[2J\u{9b}31m\u{202e}\u{7}\r\n";
        assert_eq!(shown(hostile), "a\\u{1b}[2J\\u{9b}31m\\u{202e}\\u{7}\\u{d}\\u{a}");
        assert_eq!(shown("plain, and so as it is"), "plain, and so as it is");
    }

    #[test]
    fn what_is_left_out_is_seen_to_be() {
        for (text, expected) in
            [("", ""), ("four", "four"), ("fivefold", "five…"), ("überall", "über…")]
        {
            assert_eq!(shortened(text, 4), expected);
        }
    }
}
