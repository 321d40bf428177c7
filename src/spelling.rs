//! The nearest known word, for messages about unknown ones.

use crate::limits;

/// The one of `known` that `word` most probably means, if any is near: at most a third of
/// its characters differ, a swap of neighbours counting as one, or one begins with the
/// other. Case and the choice between `-` and `_` do not count. A word longer than
/// [`limits::SPELLED`] is near to none.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > limits::SPELLED {
        return None;
    }
    let word = plain(word);
    known
        .into_iter()
        .filter_map(|known| Some((distance(&word, &plain(known))?, known)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// How far apart two words are, if that is near.
fn distance(word: &str, known: &str) -> Option<usize> {
    /// Two letters begin too many words.
    const BEGINNING: usize = 3;

    let distance = strsim::damerau_levenshtein(word, known);
    let begins = |long: &str, short: &str| short.len() >= BEGINNING && long.starts_with(short);
    let near = distance <= known.chars().count().max(3) / 3;
    (near || begins(word, known) || begins(known, word)).then_some(distance)
}

fn plain(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_a_slip_away_or_none() {
        let known = ["wait", "kind", "min_ttl", "format", "mail", "boiler", "client_secret"];
        #[rustfmt::skip]
        let cases = [
            ("wiat",           Some("wait")),
            ("fromat",         Some("format")),
            ("min-ttl",        Some("min_ttl")),
            ("Kind",           Some("kind")),
            ("mial",           Some("mail")),
            ("boler",          Some("boiler")),
            ("client_scerets", Some("client_secret")),
            ("format_of_it",   Some("format")),
            ("boi",            Some("boiler")),
            ("bo",             None),
            ("x",              None),
            ("heat",           None),
            ("completely",     None),
        ];
        for (word, expected) in cases {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"wait".repeat(100), known), None);
    }
}
