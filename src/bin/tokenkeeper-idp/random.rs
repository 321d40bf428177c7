//! Randomness: one draw from the kernel at the start, and numbers that follow from it.

use std::ops::RangeInclusive;

/// Draws the seed of this process.
///
/// # Errors
///
/// The kernel has no randomness to give.
#[allow(clippy::disallowed_methods, reason = "the one place of this program that draws randomness")]
pub(crate) fn seed() -> Result<[u8; 32], getrandom::Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

/// A stream of numbers that follows from its seed (SplitMix64). For delays, not for secrets.
#[derive(Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// Starts the stream.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A number in `range`, evenly but for the bias of a remainder. An empty range gives its start.
    pub(crate) fn within(&mut self, range: &RangeInclusive<u64>) -> u64 {
        let width = range.end().saturating_sub(*range.start());
        match width.checked_add(1) {
            Some(count) => range.start() + self.roll() % count,
            None => self.roll(),
        }
    }

    fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roll_stays_inside_its_range_and_reaches_both_ends() {
        let mut dice = Dice::new(7);
        let rolls = (0..200).map(|_| dice.within(&(3..=5))).collect::<Vec<_>>();
        assert_eq!(rolls.iter().min(), Some(&3));
        assert_eq!(rolls.iter().max(), Some(&5));
    }

    #[test]
    fn a_range_of_one_number_gives_that_number() {
        assert_eq!(Dice::new(1).within(&(9..=9)), 9);
    }

    #[test]
    fn the_widest_range_does_not_overflow() {
        let mut dice = Dice::new(1);
        assert_ne!(dice.within(&(0..=u64::MAX)), dice.within(&(0..=u64::MAX)));
    }
}
