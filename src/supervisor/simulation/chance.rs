//! Chance that a seed decides: the same seed, the same world.

use std::time::Duration;

/// A stream of chance (SplitMix64, Steele and others 2014). It is no secret's business.
#[derive(Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn of(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A share in `[0, 1)`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what the mantissa holds")]
    pub(super) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number below `end`, which is not zero.
    pub(super) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Whether something of that probability happens.
    pub(super) fn happens(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    /// One of them.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let count = u64::try_from(of.len()).unwrap();
        &of[usize::try_from(self.below(count)).unwrap()]
    }

    /// A span from `low` to `high`, in whole milliseconds.
    pub(super) fn span(&mut self, low: Duration, high: Duration) -> Duration {
        let (low, high) = (millis(low), millis(high));
        Duration::from_millis(low + self.below(high.saturating_sub(low) + 1))
    }

    /// A pause between things that happen independently, `mean` on average.
    pub(super) fn pause(&mut self, mean: Duration) -> Duration {
        let pause = mean.mul_f64(-(1.0 - self.share()).ln());
        Duration::from_millis(millis(pause).max(1))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap()
}
