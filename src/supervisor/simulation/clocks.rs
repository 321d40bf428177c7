//! The two clocks of a simulated host, and the time that is true.
//!
//! True time is a [`Duration`] since the world began, and only the simulation knows it.

use std::sync::Arc;
use std::time::Duration;

use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;

/// What the wall clock shows when a world begins, in Unix milliseconds.
const EPOCH: i64 = 1_700_000_000_000;

/// The clocks of a host.
pub(super) struct Clocks {
    /// True time.
    at: Duration,
    /// When the host was booted.
    booted: Duration,
    /// How far the wall clock is ahead of true time, in milliseconds.
    ahead: i64,
    /// Counts boots.
    boots: u64,
    /// What tells this boot from others.
    boot_id: Arc<str>,
    /// Counts the times that somebody set the wall clock.
    steps: u64,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            at: Duration::from_secs(1000),
            booted: Duration::ZERO,
            ahead: 0,
            boots: 0,
            boot_id: boot_id(0),
            steps: 0,
        }
    }
}

impl Clocks {
    /// True time.
    pub(super) const fn at(&self) -> Duration {
        self.at
    }

    /// Both clocks, as the daemon reads them.
    pub(super) fn now(&self) -> Now {
        let millis = i64::try_from(self.at.as_millis()).unwrap();
        Now {
            boot: Moment::from_millis(as_millis(self.at - self.booted)),
            wall: Timestamp::from_millis(EPOCH + self.ahead + millis),
        }
    }

    /// The true time of a moment of this boot.
    pub(super) fn true_time(&self, moment: Moment) -> Duration {
        self.booted + Duration::from_millis(moment.as_millis())
    }

    /// How far the wall clock is ahead of true time, in milliseconds.
    pub(super) const fn ahead(&self) -> i64 {
        self.ahead
    }

    /// True time goes on; it never goes back.
    pub(super) fn pass_to(&mut self, at: Duration) {
        self.at = self.at.max(at);
    }

    /// Somebody sets the wall clock, by that many milliseconds.
    pub(super) const fn step(&mut self, by: i64) {
        self.ahead += by;
        self.steps += 1;
    }

    /// The host was booted a moment ago.
    pub(super) fn boot(&mut self) {
        self.booted = self.at.saturating_sub(Duration::from_secs(5));
        self.boots += 1;
        self.boot_id = boot_id(self.boots);
    }

    /// What tells this boot from others.
    pub(super) fn boot_id(&self) -> Arc<str> {
        Arc::clone(&self.boot_id)
    }

    /// Counts boots.
    pub(super) const fn boots(&self) -> u64 {
        self.boots
    }

    /// Counts the times that the wall clock was set.
    pub(super) const fn steps(&self) -> u64 {
        self.steps
    }
}

fn boot_id(boots: u64) -> Arc<str> {
    format!("boot-{boots}").into()
}

fn as_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap()
}
