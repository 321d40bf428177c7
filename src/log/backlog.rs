//! Records that wait to be written. Pure.
//!
//! # Invariants
//!
//! * What waits takes no more than [`ROOM`] bytes, or is a single record.
//! * Where there is no room, the lightest give way, and of these the oldest: a reader that
//!   comes back finds the gravest, and the newest of the others.
//! * What gave way, or could not be written, is counted, and the count comes out with the next.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use super::record::Record;
use crate::message::Priority;

/// What waits at the most, in bytes: some thousands of records, an hour of an ordinary day.
pub(super) const ROOM: usize = 1024 * 1024;

/// The queue.
#[derive(Default)]
pub(super) struct Backlog {
    /// By weight, each in the order in which they came, with its place in the order of all.
    waiting: BTreeMap<Priority, VecDeque<(u64, Record)>>,
    /// Places that were given.
    places: u64,
    /// What waits, in bytes.
    size: usize,
    /// Those that are lost and were not told of.
    lost: u64,
}

/// What comes out.
#[derive(Debug)]
pub(super) struct Next {
    /// As many are lost since the last one.
    pub(super) lost: u64,
    /// The oldest record that waits.
    pub(super) record: Record,
}

impl Backlog {
    /// Takes a record in, at the price of lighter ones.
    pub(super) fn add(&mut self, record: Record) {
        self.size += record.size();
        let row = self.waiting.entry(record.priority).or_default();
        row.push_back((self.places, record));
        self.places += 1;
        while self.size > ROOM && self.len() > 1 {
            self.give_way();
        }
    }

    /// Takes the next out.
    pub(super) fn next(&mut self) -> Option<Next> {
        let oldest = self.waiting.iter().filter_map(|(priority, row)| {
            let (place, _) = row.front()?;
            Some((*place, *priority))
        });
        let (_, priority) = oldest.min()?;
        let (_, record) = self.waiting.get_mut(&priority)?.pop_front()?;
        self.size = self.size.saturating_sub(record.size());
        Some(Next { lost: std::mem::take(&mut self.lost), record })
    }

    /// Counts records that came out and could not be written.
    pub(super) fn lose(&mut self, lost: u64) {
        self.lost += lost;
    }

    /// Whether there is nothing to come out.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.values().all(VecDeque::is_empty)
    }

    fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    fn give_way(&mut self) {
        let lightest = self.waiting.values_mut().rev().find(|row| !row.is_empty());
        if let Some((_, record)) = lightest.and_then(VecDeque::pop_front) {
            self.size = self.size.saturating_sub(record.size());
            self.lost += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::time::Timestamp;

    #[test]
    fn records_come_out_in_the_order_in_which_they_came() {
        let mut backlog = Backlog::default();
        let kinds = [Message::Ready, Message::NeedsLogin, Message::RefreshFailed, Message::Stopped];
        for kind in kinds {
            backlog.add(record(kind, 1));
        }
        let came = std::iter::from_fn(|| backlog.next());
        let came = came.map(|Next { lost, record }| (lost, record.kind.unwrap()));
        assert_eq!(came.collect::<Vec<_>>(), kinds.map(|kind| (0, kind)));
        assert!(backlog.is_empty());
    }

    #[test]
    fn the_lightest_give_way_and_are_counted() {
        let mut backlog = Backlog::default();
        backlog.add(record(Message::NeedsLogin, 1));
        for _ in 0..10 {
            backlog.add(record(Message::TokenChanged, ROOM / 8));
        }
        backlog.add(record(Message::RefreshFailed, ROOM / 2));
        assert!(backlog.size <= ROOM);

        let left = std::iter::from_fn(|| backlog.next());
        let left = left.map(|Next { lost, record }| (lost, record.kind.unwrap()));
        let left = left.collect::<Vec<_>>();
        let lost = 12 - left.len() as u64;
        assert!(lost > 0);
        assert_eq!(left.first(), Some(&(lost, Message::NeedsLogin)));
        assert_eq!(left.last(), Some(&(0, Message::RefreshFailed)));
        assert_eq!(backlog.size, 0);
    }

    /// A reader that has gone for good is not told so for ever.
    #[test]
    fn what_could_not_be_written_is_told_with_the_next_record_and_not_before() {
        let mut backlog = Backlog::default();
        backlog.lose(1);
        assert!(backlog.is_empty() && backlog.next().is_none());
        backlog.add(record(Message::Ready, 1));
        assert_eq!(backlog.next().unwrap().lost, 1);
    }

    #[test]
    fn a_record_that_is_larger_than_the_room_is_kept_while_it_is_alone() {
        let mut backlog = Backlog::default();
        backlog.add(record(Message::Panicked, 2 * ROOM));
        assert_eq!(backlog.next().unwrap().lost, 0);
    }

    /// A light one that finds the room full of graver ones is the one to go.
    #[test]
    fn the_newest_is_lost_if_it_is_the_lightest() {
        let mut backlog = Backlog::default();
        for _ in 0..9 {
            backlog.add(record(Message::Alarm, ROOM / 8));
        }
        let before = backlog.len();
        backlog.add(record(Message::Ready, ROOM / 8));
        assert_eq!(backlog.len(), before);
        assert!(backlog.waiting[&Priority::Info].is_empty());
    }

    fn record(kind: Message, size: usize) -> Record {
        Record::of(kind, Timestamp::from_millis(0), &"x".repeat(size))
    }
}
