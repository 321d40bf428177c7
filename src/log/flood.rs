//! How many warnings of one kind are told one by one. Pure: time is an argument.
//!
//! When a provider is down, thousands of accounts have the same to say. The first
//! [`TOLD`] warnings of a kind and code in a minute are records of their own; the others are
//! one record at its end, with their number. What is graver than a warning is never folded: it
//! is said once for each change of an account, and each calls for somebody.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::record::Record;
use crate::message::Message;
use crate::message::Priority;
use crate::time::Moment;

/// Warnings of a kind and code in [`EVERY`] that are told one by one: more than anybody reads.
pub(super) const TOLD: u32 = 20;

/// How long such a burst is watched, from its first warning.
pub(super) const EVERY: Duration = Duration::from_secs(60);

/// Warnings that all differ, and are said once each: what is doubtful in the configuration.
const ONE_BY_ONE: Message = Message::Doubtful;

/// The bursts of the last minute. There are no more of them than kinds and codes.
#[derive(Default)]
pub(super) struct Flood(BTreeMap<Alike, Burst>);

/// What makes two warnings alike.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Alike {
    kind: Message,
    code: Option<String>,
}

struct Burst {
    began: Moment,
    told: u32,
    aside: u64,
}

/// Warnings that were not told one by one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Aside {
    /// Of which kind.
    pub(super) kind: Message,
    /// With which error code.
    pub(super) code: Option<String>,
    /// How many.
    pub(super) count: u64,
}

impl Flood {
    /// Whether a record is told by itself. One that is not is counted.
    pub(super) fn lets(&mut self, record: &Record, now: Moment) -> bool {
        let Some(kind) = record.kind.filter(|kind| *kind != ONE_BY_ONE) else { return true };
        if record.priority != Priority::Warning {
            return true;
        }
        let code = record.fields.get("code").and_then(Value::as_str).map(str::to_owned);
        let fresh = || Burst { began: now, told: 0, aside: 0 };
        let burst = self.0.entry(Alike { kind, code }).or_insert_with(fresh);
        let lets = burst.told < TOLD;
        if lets {
            burst.told += 1;
        } else {
            burst.aside += 1;
        }
        lets
    }

    /// Forgets the bursts that are over, and says what is to be told of them.
    pub(super) fn over(&mut self, now: Moment) -> Vec<Aside> {
        self.take(|burst| burst.began + EVERY <= now)
    }

    /// Forgets all bursts, and says what is to be told of them.
    pub(super) fn end(&mut self) -> Vec<Aside> {
        self.take(|_| true)
    }

    /// When there will be something to tell; `None` if every warning was told.
    pub(super) fn next_at(&self) -> Option<Moment> {
        let open = self.0.values().filter(|burst| burst.aside > 0);
        open.map(|burst| burst.began + EVERY).min()
    }

    fn take(&mut self, ended: impl Fn(&Burst) -> bool) -> Vec<Aside> {
        let over = self.0.extract_if(.., |_, burst| ended(burst));
        let asides = over.map(|(Alike { kind, code }, Burst { aside, .. })| Aside {
            kind,
            code,
            count: aside,
        });
        asides.filter(|aside| aside.count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_storm_is_some_lines_and_a_number() {
        let mut flood = Flood::default();
        let told = (0..5_000).filter(|_| flood.lets(&failure("DOWN"), at(1))).count();
        assert_eq!(told, 20);
        assert!(flood.lets(&failure("REFUSED"), at(2)), "another code is another storm");
        assert_eq!(flood.next_at(), Some(at(61)));
        assert_eq!(flood.over(at(60)), []);

        let count = 4_980;
        let aside = Aside { kind: Message::RefreshFailed, code: Some("DOWN".to_owned()), count };
        assert_eq!(flood.over(at(61)), [aside]);
        assert!(flood.lets(&failure("DOWN"), at(61)), "the next minute has its own");
        assert_eq!(flood.next_at(), None);
    }

    #[test]
    fn what_calls_for_somebody_or_differs_each_time_is_never_folded() {
        let mut flood = Flood::default();
        for kind in [Message::Alarm, Message::NeedsLogin, Message::TokenChanged, Message::Doubtful]
        {
            let record = Record::of(kind, Timestamp::default(), "it is");
            assert!((0..100).all(|_| flood.lets(&record, at(0))));
        }
        assert_eq!(flood.end(), []);
    }

    #[test]
    fn the_end_tells_what_was_put_aside_so_far() {
        let mut flood = Flood::default();
        for _ in 0..21 {
            flood.lets(&failure("DOWN"), at(0));
        }
        assert_eq!(flood.end().into_iter().map(|aside| aside.count).collect::<Vec<_>>(), [1]);
        assert_eq!(flood.end(), []);
    }

    fn failure(code: &str) -> Record {
        Record::of(Message::RefreshFailed, Timestamp::default(), "it failed").with("code", code)
    }

    fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1000)
    }
}
