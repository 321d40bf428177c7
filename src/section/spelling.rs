//! Naming what would have been right, and what is there instead.

/// Longest key that is shown whole, in bytes.
const LONGEST: usize = 64;

/// `"a", "b" or "c"`.
pub(super) fn one_of(words: &[&str]) -> String {
    joined(words, "or")
}

/// `"a", "b" and "c"`.
pub(super) fn all_of(words: &[&str]) -> String {
    joined(words, "and")
}

fn joined(words: &[&str], last: &str) -> String {
    let quoted = |words: &[&str]| {
        words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
    };
    match words {
        [head @ .., tail] if !head.is_empty() => format!("{} {last} \"{tail}\"", quoted(head)),
        _ => quoted(words),
    }
}

/// A key as it can stand in a message: quoted unless it is plain, escaped, at most 64 characters.
pub(super) fn key(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.len() <= LONGEST && key.bytes().all(plain) {
        return key.to_owned();
    }
    let shown = key.chars().take(LONGEST).collect::<String>();
    let rest = if shown.len() < key.len() { "…" } else { "" };
    format!("\"{}{rest}\"", shown.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_listed_as_one_says_them() {
        assert_eq!(one_of(&["a"]), "\"a\"");
        assert_eq!(one_of(&["a", "b"]), "\"a\" or \"b\"");
        assert_eq!(all_of(&["a", "b", "c"]), "\"a\", \"b\" and \"c\"");
    }

    #[test]
    fn keys_cannot_break_a_line_of_the_journal() {
        assert_eq!(key("client_id"), "client_id");
        assert_eq!(key("a\n\u{1b}[31m"), "\"a\\n\\u{1b}[31m\"");
        assert_eq!(key(&"k".repeat(100)).chars().count(), 67);
    }
}
