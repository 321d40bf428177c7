//! What holds of every text that tokenkeeper shows about what it read.

use std::fmt::Debug;
use std::fmt::Display;

use tokenkeeper::error::foreign::is_unsafe_to_show;

/// Stands for a secret in what others send. It looks like a token, so what shows foreign text
/// has to mask it.
pub const CANARY: &str = "canary-4f9aKq0ZtYxLm3Pq7Rw2";

/// Stands for the secrets that a request carries.
pub const OWN: &str = "canary-8Hs2mVb6TqLd0Zk5Wn9c";

/// The longest message that a person is shown of one fault, in characters.
const LONGEST: usize = 2_000;

/// Checks an error: in one line that steers no terminal, of bounded length, and free of secrets,
/// whoever looks at it.
pub fn fault<E: Debug + Display>(error: &E) {
    message(&error.to_string());
    hides(&format!("{error:?}"));
}

/// Checks a message for people about what others sent.
pub fn message(text: &str) {
    hides(text);
    legible(text);
}

/// Checks a message for people about what one of them wrote, which it may repeat.
pub fn legible(text: &str) {
    assert!(!text.chars().any(is_unsafe_to_show), "it steers terminals: {text:?}");
    let length = text.chars().count();
    assert!(length <= LONGEST, "it has {length} characters: {text}");
}

/// Checks that no secret shows.
pub fn hides(text: &str) {
    assert!(!text.contains(CANARY) && !text.contains(OWN), "a secret shows: {text:?}");
}
