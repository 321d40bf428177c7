//! What happens next, in the order of time: a world goes from event to event and never ticks.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::sync::oneshot;

use super::people::Deed;
use crate::name::AccountId;
use crate::provider::Outcome;
use crate::record::Stake;
use crate::token::Secret;

/// Something that happens.
pub(super) enum Event {
    /// A request reaches its provider.
    Arrives(Arrival),
    /// A reply reaches the host, or the host has waited long enough for one.
    Replies { call: u64, outcome: Outcome },
    /// A login was ended, or not.
    Revoked { call: u64, ended: bool },
    /// Something that took its time before an attempt is there.
    Ready(oneshot::Sender<()>),
    /// The oldest write that is under way ends.
    Written,
    /// A program asks for a token.
    Asks(AccountId),
    /// A person or a program does something.
    Does(AccountId, Deed),
    /// The next fault sets in.
    Strikes,
    /// The daemon starts.
    Starts,
    /// The host hears what time it is, after a boot that found its clock so many milliseconds behind.
    ClockIsRight(i64),
    /// The host wakes up.
    Wakes,
    /// All faults end.
    Heals,
    /// People have looked after what needs them.
    Tended,
    /// What was healed must be well by then, as far as no person is needed.
    MustBeWell,
    /// Everything must be well by then.
    AllMustBeWell,
    /// Faults set in again.
    Worsens,
}

/// A request on its way.
pub(super) struct Arrival {
    pub(super) call: u64,
    pub(super) account: AccountId,
    pub(super) stake: Stake,
    pub(super) token: Option<Secret>,
    /// When it was sent.
    pub(super) sent: Duration,
    /// When nobody waits for its reply any more.
    pub(super) deadline: Duration,
}

/// Everything that is to happen.
#[derive(Default)]
pub(super) struct Agenda {
    events: BinaryHeap<Entry>,
    count: u64,
}

impl Agenda {
    /// Has something happen at that time, after what is to happen then already.
    pub(super) fn put(&mut self, at: Duration, event: Event) {
        self.count += 1;
        self.events.push(Entry { at, count: self.count, event: Box::new(event) });
    }

    /// When something happens next.
    pub(super) fn next_at(&self) -> Option<Duration> {
        self.events.peek().map(|first| first.at)
    }

    /// Takes what happens next, if it does not happen after `at`.
    pub(super) fn take(&mut self, at: Duration) -> Option<Event> {
        self.next_at().filter(|first| *first <= at)?;
        self.events.pop().map(|first| *first.event)
    }
}

/// Something that is to happen. What happens first is the greatest, as the heap has it.
struct Entry {
    at: Duration,
    /// Where it stands among what happens at one time.
    count: u64,
    /// Boxed, because the heap moves them about.
    event: Box<Event>,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.count).cmp(&(self.at, self.count))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}
