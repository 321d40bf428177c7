//! How the bytes of an input are read: lines of words first, then whatever the target is about.
//!
//! Whoever writes a seed writes words; a fuzzer that changes a word gets another choice instead
//! of an input that is good for nothing.

use std::borrow::Cow;

/// What stands between two parts of an input, on a line of its own.
const BETWEEN: &[u8] = b"%%\n";

/// The first line, without its end, and the rest.
pub fn line(input: &[u8]) -> (Cow<'_, str>, &[u8]) {
    let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (line, rest) = input.split_at(at);
    (String::from_utf8_lossy(line), rest.strip_prefix(b"\n").unwrap_or(rest))
}

/// The parts, between lines of two per cent signs.
pub fn parts(input: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(at) = between(rest) {
        let (part, after) = rest.split_at(at);
        parts.push(part);
        rest = &after[BETWEEN.len()..];
    }
    parts.push(rest);
    parts
}

/// Where the first line of two per cent signs begins.
fn between(input: &[u8]) -> Option<usize> {
    let begins_line = |at: usize| at == 0 || input[at - 1] == b'\n';
    let mut windows = input.windows(BETWEEN.len()).enumerate();
    windows.find(|(at, window)| *window == BETWEEN && begins_line(*at)).map(|(at, _)| at)
}

/// The choice that a word names. A word that names none is one of them all the same.
pub fn choice<'a, T>(choices: &'a [(&str, T)], word: &str) -> &'a T {
    let named = choices.iter().position(|(name, _)| *name == word);
    let sum = || word.bytes().map(usize::from).sum::<usize>();
    &choices[named.unwrap_or_else(|| sum() % choices.len())].1
}
