//! Time, and what is made of it. The only file of the benchmarks that reads a clock.

use std::time::Duration;

use std::time::Instant;

/// Measures from its start.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins.
    #[allow(
        clippy::disallowed_methods,
        reason = "a benchmark measures time, here and nowhere else"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// What has passed.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The middle one; of an even number, the upper of the two. Zero if there is none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Microseconds.
pub(crate) const fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

/// Milliseconds.
pub(crate) const fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
