//! What a program wrote to standard error, made fit for a log.

use zeroize::Zeroizing;

use super::streams::KEPT;
use crate::error::foreign::scrubbed;
use crate::error::foreign::spellings;
use crate::token::Secret;

/// Longest line that is told, in characters.
const LINE: usize = 200;

/// The lines in one, each capped and scrubbed, with every one of the `hidden` texts masked.
///
/// A line that was cut off is left out: what is masked by its whole would not be known by its
/// beginning.
pub(super) fn report(said: &[u8], hidden: &[Secret]) -> String {
    let mut lines = said.rsplitn(2, |byte| *byte == b'\n');
    let whole = if said.len() < KEPT { said } else { lines.nth(1).unwrap_or_default() };
    let mut text = Zeroizing::new(String::from_utf8_lossy(whole).into_owned());
    for spelled in hidden.iter().flat_map(spellings) {
        text = Zeroizing::new(text.replace(spelled.as_str(), "[masked]"));
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| scrubbed(line, LINE)).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_harmless_line() {
        let long = "word ".repeat(100);
        let hidden = ["hunter2", "two\nlines", "a"].map(Secret::new);
        #[rustfmt::skip]
        let cases = [
            ("nothing",                  "",                              ""),
            ("words",                    "no route\n",                    "no route"),
            ("lines",                    "a\n\n  b\r\n",                 "a | b"),
            ("control characters",       "\u{1b}[31mred",                 "\\u{1b}[31mred"),
            ("a hidden text",            "+ curl -d hunter2 x",           "+ curl -d [masked] x"),
            ("its lines as JSON",         r"<two\nlines>",                 "<[masked]>"),
            ("a hidden text of lines",   "<two\nlines>",                  "<[masked]>"),
            ("what looks like a token",  "t=4f9aKq0ZtYxLm3Pq7Rw2",        "[masked]"),
        ];
        for (name, said, expected) in cases {
            assert_eq!(report(said.as_bytes(), &hidden), expected, "{name}");
        }
        assert!(report(long.as_bytes(), &[]).chars().count() <= LINE);
    }

    #[test]
    fn a_line_that_was_cut_off_is_left_out() {
        let mut said = b"first\n".to_vec();
        said.resize(KEPT, b'x');
        assert_eq!(report(&said, &[]), "first");
        assert_eq!(report(&vec![b'x'; KEPT], &[]), "");
        assert_eq!(report(&vec![b' '; KEPT - 1], &[]), "");
    }
}
