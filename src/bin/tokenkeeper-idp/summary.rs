//! Totals, and the conditions that a test can wait for.

use std::time::Duration;

use serde::Serialize;

use crate::ledger::Verdict;
use crate::window::Peak;

/// The window of `max_requests_in_60s`.
const WINDOW: Duration = Duration::from_secs(60);

/// What is counted, for one account or for all.
#[derive(Debug)]
pub(crate) struct Tally {
    requests: u64,
    granted: u64,
    replays: u64,
    reuses: u64,
    challenged: u64,
    done: u64,
    refused: u64,
    faults: u64,
    replied: u64,
    held: u64,
    last_seq: u64,
    peak: Peak,
}

/// A [`Tally`] as it is told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct Totals {
    /// Token requests that arrived.
    pub(crate) requests: u64,
    /// Decisions `granted`.
    pub(crate) granted: u64,
    /// Decisions `replayed`.
    pub(crate) replays: u64,
    /// Decisions `reused`.
    pub(crate) reuses: u64,
    /// Decisions `challenged`.
    pub(crate) challenged: u64,
    /// Decisions `done`.
    pub(crate) done: u64,
    /// Decisions `refused:…`.
    pub(crate) refused: u64,
    /// Requests that a scripted fault struck, whatever was decided.
    pub(crate) faults: u64,
    /// Replies that were written whole.
    pub(crate) replied: u64,
    /// Requests that are held at this moment.
    pub(crate) held: u64,
    /// The fullest window of 60 s so far, by the time of arrival.
    pub(crate) max_requests_in_60s: usize,
    /// Number of the last ledger entry.
    pub(crate) last_seq: u64,
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            requests: 0,
            granted: 0,
            replays: 0,
            reuses: 0,
            challenged: 0,
            done: 0,
            refused: 0,
            faults: 0,
            replied: 0,
            held: 0,
            last_seq: 0,
            peak: Peak::new(WINDOW),
        }
    }

    /// A request arrived at `now` (since the start).
    pub(crate) fn arrived(&mut self, now: Duration) {
        self.requests += 1;
        self.peak.arrived(now);
    }

    /// A request came to `verdict` and is entry `seq`.
    pub(crate) fn decided(&mut self, verdict: &Verdict, seq: u64) {
        match verdict {
            Verdict::Granted => self.granted += 1,
            Verdict::Replayed => self.replays += 1,
            Verdict::Reused => self.reuses += 1,
            Verdict::Challenged => self.challenged += 1,
            Verdict::Done => self.done += 1,
            Verdict::Refused(_) => self.refused += 1,
            Verdict::Fault(_) => {}
        }
        self.last_seq = seq;
    }

    /// A scripted fault struck.
    pub(crate) fn struck(&mut self) {
        self.faults += 1;
    }

    /// A reply was written whole.
    pub(crate) fn replied(&mut self) {
        self.replied += 1;
    }

    /// A request is held from this moment on.
    pub(crate) fn holds(&mut self) {
        self.held += 1;
    }

    /// A held request goes on.
    pub(crate) fn lets_go(&mut self) {
        self.held = self.held.saturating_sub(1);
    }

    /// Takes over the requests that `before` holds: they outlive a reset of their account.
    pub(crate) fn inherit_held(&mut self, before: &Self) {
        self.held = before.held;
    }

    /// The totals.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            requests: self.requests,
            granted: self.granted,
            replays: self.replays,
            reuses: self.reuses,
            challenged: self.challenged,
            done: self.done,
            refused: self.refused,
            faults: self.faults,
            replied: self.replied,
            held: self.held,
            max_requests_in_60s: self.peak.most(),
            last_seq: self.last_seq,
        }
    }
}

/// A total that a test can wait for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Field {
    /// [`Totals::requests`].
    Requests,
    /// [`Totals::granted`].
    Granted,
    /// [`Totals::replays`].
    Replays,
    /// [`Totals::reuses`].
    Reuses,
    /// [`Totals::challenged`].
    Challenged,
    /// [`Totals::done`].
    Done,
    /// [`Totals::refused`].
    Refused,
    /// [`Totals::faults`].
    Faults,
    /// [`Totals::replied`].
    Replied,
    /// [`Totals::held`].
    Held,
    /// [`Totals::last_seq`].
    Seq,
}

impl Field {
    /// Every field, by the name of its query parameter.
    pub(crate) const ALL: [(&'static str, Self); 11] = [
        ("requests", Self::Requests),
        ("granted", Self::Granted),
        ("replays", Self::Replays),
        ("reuses", Self::Reuses),
        ("challenged", Self::Challenged),
        ("done", Self::Done),
        ("refused", Self::Refused),
        ("faults", Self::Faults),
        ("replied", Self::Replied),
        ("held", Self::Held),
        ("seq", Self::Seq),
    ];

    /// What the total stands at.
    pub(crate) fn of(self, totals: &Totals) -> u64 {
        match self {
            Self::Requests => totals.requests,
            Self::Granted => totals.granted,
            Self::Replays => totals.replays,
            Self::Reuses => totals.reuses,
            Self::Challenged => totals.challenged,
            Self::Done => totals.done,
            Self::Refused => totals.refused,
            Self::Faults => totals.faults,
            Self::Replied => totals.replied,
            Self::Held => totals.held,
            Self::Seq => totals.last_seq,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verdict_counts_in_one_place_and_a_wait_sees_it() {
        #[rustfmt::skip]
        let cases = [
            (Verdict::Granted,                          Field::Granted),
            (Verdict::Replayed,                         Field::Replays),
            (Verdict::Reused,                           Field::Reuses),
            (Verdict::Challenged,                       Field::Challenged),
            (Verdict::Done,                             Field::Done),
            (Verdict::Refused("invalid_grant".into()),  Field::Refused),
        ];
        for (verdict, field) in cases {
            let mut tally = Tally::new();
            tally.decided(&verdict, 4);
            let totals = tally.totals();
            let verdicts = Field::ALL.map(|(_, field)| field).into_iter();
            let sum: u64 =
                verdicts.filter(|field| *field != Field::Seq).map(|field| field.of(&totals)).sum();
            assert_eq!((field.of(&totals), sum), (1_u64, 1_u64), "{verdict}");
            assert_eq!(Field::Seq.of(&totals), 4);
        }
    }

    #[test]
    fn held_requests_survive_a_reset_and_never_go_below_none() {
        let mut before = Tally::new();
        before.holds();
        let mut after = Tally::new();
        after.inherit_held(&before);
        assert_eq!(Field::Held.of(&after.totals()), 1);
        after.lets_go();
        after.lets_go();
        assert_eq!(Field::Held.of(&after.totals()), 0);
    }
}
