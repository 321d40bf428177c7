//! A bar that shows what is left of a lifetime.

use std::time::Duration;

use crate::print::Glyphs;

/// Its width, in characters.
pub(crate) const WIDTH: usize = 10;

/// What `left` is of `whole`. Something that is left always shows; a whole of zero is empty.
pub(crate) fn bar(left: Duration, whole: Duration, glyphs: Glyphs) -> String {
    match glyphs {
        Glyphs::Ascii => {
            let full = filled(left, whole, WIDTH);
            format!("{}{}", "#".repeat(full), ".".repeat(WIDTH - full))
        }
        Glyphs::Unicode => {
            const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
            let eighths = filled(left, whole, WIDTH * 8);
            let part = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
            let full = eighths / 8;
            let empty = WIDTH - full - usize::from(!part.is_empty());
            format!("{}{part}{}", "█".repeat(full), "░".repeat(empty))
        }
    }
}

/// How many of `steps` are filled: rounded down, but at least one of something, and all
/// of them when the whole is left.
fn filled(left: Duration, whole: Duration, steps: usize) -> usize {
    if left.is_zero() || whole.is_zero() {
        return 0;
    }
    let share =
        left.min(whole).as_millis().saturating_mul(steps as u128) / whole.as_millis().max(1);
    usize::try_from(share).unwrap_or(steps).clamp(1, steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_shows_what_is_left() {
        #[rustfmt::skip]
        let cases = [
            // left  whole  ascii         unicode
            (0,      3600,  "..........", "░░░░░░░░░░"),
            (1,      3600,  "#.........", "▏░░░░░░░░░"),
            (1800,   3600,  "#####.....", "█████░░░░░"),
            (1935,   3600,  "#####.....", "█████▍░░░░"),
            (3599,   3600,  "#########.", "█████████▉"),
            (3600,   3600,  "##########", "██████████"),
            (9999,   3600,  "##########", "██████████"),
            (10,     0,     "..........", "░░░░░░░░░░"),
        ];
        for (left, whole, ascii, unicode) in cases {
            let (left, whole) = (Duration::from_secs(left), Duration::from_secs(whole));
            assert_eq!(bar(left, whole, Glyphs::Ascii), ascii, "{left:?} of {whole:?}");
            assert_eq!(bar(left, whole, Glyphs::Unicode), unicode, "{left:?} of {whole:?}");
        }
    }
}
