//! The time of this process: the one place that reads a clock.
//!
//! Everything else takes a [`Moment`] as an argument, so that tables can say what happens
//! "after 61 s" without waiting.

#![allow(clippy::disallowed_methods, reason = "the one file of this program that reads a clock")]

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Moment {
    /// Time since the process started, monotonic. Expiry, grace and windows are judged by it,
    /// so a step of the wall clock under test does not change what the provider accepts.
    pub(crate) since_start: Duration,
    /// Time since 1970 by the wall clock: for `iat`, `exp`, `Date` and the ledger.
    pub(crate) unix: Duration,
}

impl Moment {
    /// Whole milliseconds since the process started.
    pub(crate) fn at_ms(self) -> u64 {
        whole_millis(self.since_start)
    }

    /// Whole milliseconds since 1970.
    pub(crate) fn wall_ms(self) -> u64 {
        whole_millis(self.unix)
    }

    /// So much later, by both clocks.
    pub(crate) fn after(self, span: Duration) -> Self {
        Self {
            since_start: self.since_start.saturating_add(span),
            unix: self.unix.saturating_add(span),
        }
    }
}

/// Reads the clocks, counting from its own creation.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts counting.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Both clocks at this instant. A wall clock before 1970 reads as 1970.
    pub(crate) fn now(&self) -> Moment {
        Moment {
            since_start: self.start.elapsed(),
            unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }
}

fn whole_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
