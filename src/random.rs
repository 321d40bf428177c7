//! The one source of chance: the kernel's.
//!
//! Decisions take a [`Jitter`] as an argument; keys and nonces are drawn by the store.
#![allow(clippy::disallowed_methods, reason = "this is the one file that draws randomness")]

use crate::time::Jitter;

/// Fills `buffer` with bytes that nobody can guess, fit for keys and nonces.
///
/// # Panics
///
/// If the kernel has no `getrandom(2)`, which every Linux since 3.17 has. Going on with
/// a nonce or a key that is not random would be worse than stopping.
#[allow(clippy::expect_used, reason = "no caller could do anything but stop")]
pub fn fill(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the kernel gives random bytes");
}

/// A share of chance, evenly spread over `[0, 1)`.
pub fn jitter() -> Jitter {
    // An f64 holds 53 bits exactly; more would round up to 1 now and then.
    const BITS: u32 = 53;

    let mut bytes = [0; 8];
    fill(&mut bytes);
    let whole = u64::from_ne_bytes(bytes) >> (u64::BITS - BITS);
    let share = whole as f64 / (1_u64 << BITS) as f64;
    Jitter::new(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (mut one, mut other) = ([0; 32], [0; 32]);
        fill(&mut one);
        fill(&mut other);
        assert_ne!(one, other);
    }

    #[test]
    fn jitter_covers_both_halves_of_its_range() {
        let draws = (0..200).map(|_| jitter().share()).collect::<Vec<_>>();
        assert!(draws.iter().all(|share| (0.0..1.0).contains(share)));
        assert!(draws.iter().any(|share| *share < 0.5));
        assert!(draws.iter().any(|share| *share >= 0.5));
    }
}
