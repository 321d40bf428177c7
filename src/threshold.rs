//! The least severe event that is logged, which changes while the daemon runs: a reload sets
//! it, and so does an administrator over the bus. The log reads it at each event.

use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;

use tracing::Level;

use crate::config::daemon::LogLevel;

/// The least severe event that is logged. Clones share it.
#[derive(Clone)]
pub struct Threshold(Arc<AtomicU8>);

impl Threshold {
    /// At that level.
    pub fn new(level: LogLevel) -> Self {
        Self(Arc::new(AtomicU8::new(rank(level))))
    }

    /// Changes it.
    pub fn set(&self, level: LogLevel) {
        self.0.store(rank(level), Ordering::Relaxed);
    }

    /// What it is.
    pub fn get(&self) -> LogLevel {
        let stored = self.0.load(Ordering::Relaxed);
        let mut levels = LogLevel::ALL.iter().copied();
        levels.find(|level| rank(*level) == stored).unwrap_or_default()
    }

    /// Whether an event of that level is severe enough.
    pub fn lets(&self, level: Level) -> bool {
        let rank = match level {
            Level::ERROR => 0,
            Level::WARN => 1,
            Level::INFO => 2,
            Level::DEBUG => 3,
            Level::TRACE => 4,
        };
        rank <= self.0.load(Ordering::Relaxed)
    }
}

const fn rank(level: LogLevel) -> u8 {
    match level {
        LogLevel::Error => 0,
        LogLevel::Warn => 1,
        LogLevel::Info => 2,
        LogLevel::Debug => 3,
        LogLevel::Trace => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_lets_through_what_is_severe_enough() {
        let threshold = Threshold::new(LogLevel::Warn);
        assert!(threshold.lets(Level::ERROR) && threshold.lets(Level::WARN));
        assert!(!threshold.lets(Level::INFO));
        threshold.set(LogLevel::Trace);
        assert!(threshold.lets(Level::TRACE));
    }

    #[test]
    fn what_is_set_is_what_it_is() {
        let threshold = Threshold::new(LogLevel::Info);
        let shared = threshold.clone();
        for level in LogLevel::ALL {
            threshold.set(*level);
            assert_eq!(shared.get(), *level);
        }
    }
}
