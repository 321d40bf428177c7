//! Counting in sliding windows: how many requests fell into any 60 s, and may one more come.

use std::collections::VecDeque;
use std::time::Duration;

/// Longest list of arrivals that one window remembers. A window that overflows counts too low,
/// and only after a hundred times more requests than any test allows an account.
const MOST_ARRIVALS: usize = 1_000_000;

/// The largest number of arrivals in any window of one length, exactly.
///
/// A window is half open: an arrival exactly one length after another is not in its window.
/// Arrivals must come in the order of time.
#[derive(Debug)]
pub(crate) struct Peak {
    length: Duration,
    arrivals: VecDeque<Duration>,
    most: usize,
}

impl Peak {
    /// Counts in windows of `length`.
    pub(crate) fn new(length: Duration) -> Self {
        Self { length, arrivals: VecDeque::new(), most: 0 }
    }

    /// One more arrived at `now` (since the start).
    pub(crate) fn arrived(&mut self, now: Duration) {
        forget(&mut self.arrivals, self.length, now);
        if self.arrivals.len() == MOST_ARRIVALS {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back(now);
        self.most = self.most.max(self.arrivals.len());
    }

    /// The fullest window so far.
    pub(crate) fn most(&self) -> usize {
        self.most
    }
}

/// Lets a number of arrivals pass in any window of one length.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    passed: VecDeque<Duration>,
}

impl Gate {
    /// Whether one more may pass at `now`; if not, how long until the next one may.
    pub(crate) fn pass(
        &mut self,
        limit: usize,
        length: Duration,
        now: Duration,
    ) -> Result<(), Duration> {
        forget(&mut self.passed, length, now);
        if self.passed.len() < limit {
            self.passed.push_back(now);
            return Ok(());
        }
        let oldest = self.passed.front().copied().unwrap_or(now);
        Err((oldest + length).saturating_sub(now))
    }
}

/// Lets a number of arrivals pass in a window that begins with the first of them.
#[derive(Debug, Default)]
pub(crate) struct Fixed {
    since: Duration,
    arrived: u32,
}

impl Fixed {
    /// Whether one more may pass at `now`; if not, how long until the window ends.
    pub(crate) fn pass(
        &mut self,
        limit: u32,
        length: Duration,
        now: Duration,
    ) -> Result<(), Duration> {
        let age = now.saturating_sub(self.since);
        if self.arrived == 0 || age >= length {
            *self = Self { since: now, arrived: 0 };
        }
        self.arrived = self.arrived.saturating_add(1);
        if self.arrived <= limit { Ok(()) } else { Err((self.since + length).saturating_sub(now)) }
    }
}

fn forget(arrivals: &mut VecDeque<Duration>, length: Duration, now: Duration) {
    while arrivals.front().is_some_and(|arrival| now.saturating_sub(*arrival) >= length) {
        arrivals.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_fullest_window_wherever_it_starts() {
        #[rustfmt::skip]
        let cases: &[(&str, &[u64], usize)] = &[
            ("nothing arrived",                    &[],                        0),
            ("spread over minutes",                &[0, 60, 120, 180],         1),
            ("a window is half open",              &[0, 60],                   1),
            ("59 s apart share one",               &[0, 59],                   2),
            ("the fullest straddles two minutes",  &[0, 50, 55, 65, 70, 109],  5),
            ("later calm does not lower it",       &[0, 1, 2, 300],            3),
        ];

        for (name, arrivals, most) in cases {
            let mut peak = Peak::new(Duration::from_secs(60));
            for arrival in *arrivals {
                peak.arrived(Duration::from_secs(*arrival));
            }
            assert_eq!(peak.most(), *most, "{name}");
        }
    }

    #[test]
    fn a_fixed_window_begins_with_its_first_arrival_and_counts_them_all() {
        #[rustfmt::skip]
        let steps = [
            // at (s), then what the window says (2 per 10 s)
            (3,  Ok(())),
            (12, Ok(())),
            (12, Err(Duration::from_secs(1))),
            (13, Ok(())),
            (14, Ok(())),
            (22, Err(Duration::from_secs(1))),
            (30, Ok(())),
        ];
        let mut window = Fixed::default();
        for (at, verdict) in steps {
            let got = window.pass(2, Duration::from_secs(10), Duration::from_secs(at));
            assert_eq!(got, verdict, "at {at} s");
        }
    }

    #[test]
    fn the_gate_opens_again_when_the_oldest_leaves_the_window() {
        #[rustfmt::skip]
        let steps = [
            // at (s), then what the gate says (2 per 10 s)
            (0,  Ok(())),
            (4,  Ok(())),
            (5,  Err(Duration::from_secs(5))),
            (9,  Err(Duration::from_secs(1))),
            (10, Ok(())),
            (11, Err(Duration::from_secs(3))),
            (14, Ok(())),
        ];

        let mut gate = Gate::default();
        for (at, verdict) in steps {
            let got = gate.pass(2, Duration::from_secs(10), Duration::from_secs(at));
            assert_eq!(got, verdict, "at {at} s");
        }
    }
}
