//! The lives of a daemon that ends again and again: when there was none, and what the last ones logged.
//!
//! A campaign has thousands of them, so a log is kept for as long as it may be needed to tell how an
//! account was lost, which shows within seconds of the reply that says so.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

/// For how long before a loss it is told when daemons ended and became ready, and what they logged.
const TOLD: Duration = Duration::from_secs(120);

/// For how long logs are kept: a loss is noticed some time after it happened.
const KEPT: Duration = Duration::from_secs(180);

/// When daemons lived.
pub(super) struct Lives {
    /// A moment by both clocks, by which others are told in the provider's time.
    begun: (Instant, u64),
    /// When there was no daemon that was ready: from, and how long.
    absences: Vec<(Instant, Duration)>,
    /// Since when there is none.
    absent: Option<Instant>,
    events: Vec<(Instant, &'static str)>,
    /// What was logged by each, and when it ended.
    logs: VecDeque<(Instant, String)>,
}

impl Lives {
    /// The first one is ready.
    pub(super) fn begun() -> Self {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let wall_ms = u64::try_from(wall.as_millis()).unwrap();
        Self {
            begun: (Instant::now(), wall_ms),
            absences: Vec::new(),
            absent: None,
            events: Vec::new(),
            logs: VecDeque::new(),
        }
    }

    /// One is about to end. Where it is followed by others that do not become ready, there is none
    /// all that time.
    pub(super) fn ends(&mut self) {
        self.absent.get_or_insert_with(Instant::now);
    }

    /// One ended, as `how` says, and had logged that.
    pub(super) fn ended(&mut self, how: &'static str, log: String) {
        let now = Instant::now();
        self.events.push((now, how));
        self.logs.push_back((now, log));
        while self.logs.front().is_some_and(|(ended, _)| now.duration_since(*ended) > KEPT) {
            self.logs.pop_front();
        }
    }

    /// Since when no daemon is ready, while there is none.
    pub(super) fn absent_since(&self) -> Instant {
        self.absent.expect("a daemon has ended")
    }

    /// The next one is ready. Tells how long there was none.
    pub(super) fn ready(&mut self) -> Duration {
        let since = self.absent.take().expect("a daemon has ended");
        self.absences.push((since, since.elapsed()));
        self.events.push((Instant::now(), "ready"));
        since.elapsed()
    }

    /// For how much of the span after a moment there was none.
    pub(super) fn without(&self, from: Instant, span: Duration) -> Duration {
        without(&self.absences, from, span)
    }

    /// When daemons ended and became ready before a moment and since then, and what they logged about
    /// an account.
    pub(super) fn story(&self, account: &str, moment: Instant) -> String {
        let mut story = String::new();
        let is_told = |at: Instant| at + TOLD >= moment;
        for (at, event) in self.events.iter().filter(|(at, _)| is_told(*at)) {
            writeln!(story, "{} {event}", time_of_day(self.wall_ms(*at))).unwrap();
        }
        let about = format!("\"{account}\"");
        for (ended, log) in &self.logs {
            let ended = time_of_day(self.wall_ms(*ended));
            for line in log.lines().filter(|line| line.contains(&about)) {
                writeln!(story, "logged by the one that ended at {ended}: {line}").unwrap();
            }
        }
        story
    }

    /// A moment in milliseconds since 1970.
    pub(super) fn wall_ms(&self, at: Instant) -> u64 {
        let (begun, wall_ms) = self.begun;
        wall_ms + u64::try_from(at.duration_since(begun).as_millis()).unwrap()
    }

    /// The moment of so many milliseconds since 1970.
    pub(super) fn at(&self, wall_ms: u64) -> Instant {
        let (begun, begun_ms) = self.begun;
        begun + Duration::from_millis(wall_ms.saturating_sub(begun_ms))
    }
}

/// Hours, minutes and seconds, in UTC.
pub(super) fn time_of_day(wall_ms: u64) -> String {
    let (secs, ms) = (wall_ms / 1000, wall_ms % 1000);
    let [hour, minute, second] = [secs / 3600 % 24, secs / 60 % 60, secs % 60];
    format!("{hour:02}:{minute:02}:{second:02}.{ms:03}")
}

fn without(absences: &[(Instant, Duration)], from: Instant, span: Duration) -> Duration {
    let until = from + span;
    let inside = |(since, length): &(Instant, Duration)| {
        (*since + *length).min(until).saturating_duration_since((*since).max(from))
    };
    absences.iter().map(inside).sum()
}

mod tests {
    use super::*;

    #[test]
    fn an_absence_counts_for_as_much_of_it_as_falls_into_the_span() {
        let begun = Instant::now();
        let secs = Duration::from_secs;
        let absences =
            [(0, 4), (10, 3), (20, 5), (40, 1)].map(|(at, it)| (begun + secs(at), secs(it)));
        #[rustfmt::skip]
        let cases = [
            // from  span  without
            (  0,    10,    4),
            (  2,    10,    4),
            (  5,     5,    0),
            ( 12,    10,    3),
            (  0,    60,   13),
            ( 30,     5,    0),
        ];
        for (from, span, expected) in cases {
            let found = without(&absences, begun + secs(from), secs(span));
            assert_eq!(found, secs(expected), "{span} s from {from} s on");
        }
    }

    #[test]
    fn a_time_is_told_by_its_clock() {
        assert_eq!(time_of_day(1_795_368_168_034), "17:22:48.034");
    }
}
