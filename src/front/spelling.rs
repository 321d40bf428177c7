//! What peers sent, as messages may tell it.

use crate::error::foreign::scrubbed;
use crate::spelling::nearest;

/// `; did you mean ‘word’?`, or nothing.
pub(super) fn hint<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(text, known).map(|word| format!("; did you mean `{word}`?")).unwrap_or_default()
}

/// What a peer sent, short and harmless enough to be told.
pub(super) fn quoted(text: &str) -> String {
    /// Enough to recognize it by.
    const SHOWN: usize = 60;

    format!("`{}`", scrubbed(text, SHOWN))
}

/// A path that a peer sent, each of its parts made harmless.
pub(super) fn quoted_path(path: &str) -> String {
    /// Longest part, in characters, and most parts. No path of ours has more.
    const SHOWN: (usize, usize) = (40, 8);

    let parts = path.split('/').take(SHOWN.1).map(|part| scrubbed(part, SHOWN.0));
    format!("`{}`", parts.collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_token_is_not_told() {
        assert_eq!(quoted("4f9aKq0ZtYxLm3Pq7Rw2"), "`[masked]`");
        assert_eq!(quoted_path("/v1/4f9aKq0ZtYxLm3Pq7Rw2/token"), "`/v1/[masked]/token`");
        assert!(quoted_path(&"/aaaa".repeat(1_000)).len() < 400);
    }
}
