//! How many calls wait, and whose: [`limits::BUS_CALLS`] and its shares. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::limits;

/// The calls that wait.
#[derive(Default)]
pub(super) struct Waiting {
    all: usize,
    by_sender: BTreeMap<Arc<str>, usize>,
    by_uid: BTreeMap<u32, usize>,
}

/// One call's place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// Its connection.
    pub(super) sender: Arc<str>,
    /// Its user; `None` while the bus is asked who it is.
    pub(super) uid: Option<u32>,
}

impl Waiting {
    /// Takes a place. False if there is none left for that sender or user, or at all.
    pub(super) fn take(&mut self, place: &Place) -> bool {
        let own = self.by_sender.get(&place.sender).copied().unwrap_or_default();
        let of_user = place.uid.and_then(|uid| self.by_uid.get(&uid)).copied().unwrap_or_default();
        if self.all >= limits::BUS_CALLS
            || own >= limits::BUS_CALLS_PER_SENDER
            || of_user >= limits::BUS_CALLS_PER_UID
        {
            return false;
        }
        self.all += 1;
        self.by_sender.insert(place.sender.clone(), own + 1);
        if let Some(uid) = place.uid {
            self.by_uid.insert(uid, of_user + 1);
        }
        true
    }

    /// Gives a place back that was taken.
    pub(super) fn give_back(&mut self, place: &Place) {
        self.all = self.all.saturating_sub(1);
        one_less(&mut self.by_sender, &place.sender);
        if let Some(uid) = place.uid {
            one_less(&mut self.by_uid, &uid);
        }
    }
}

/// What comes to nothing is forgotten.
fn one_less<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    let Some(count) = counts.get_mut(key) else { return };
    *count = count.saturating_sub(1);
    if *count == 0 {
        counts.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_has_its_share_and_others_still_get_in() {
        let mut waiting = Waiting::default();
        let greedy = place(":1.1", Some(1_000));
        let taken = (0..).take_while(|_| waiting.take(&greedy)).count();
        assert_eq!(taken, limits::BUS_CALLS_PER_SENDER);
        assert!(waiting.take(&place(":1.2", Some(1_001))));
        waiting.give_back(&greedy);
        assert!(waiting.take(&greedy));
    }

    #[test]
    fn a_user_has_its_share_however_many_its_connections_are() {
        let mut waiting = Waiting::default();
        let taken = (0..)
            .map(|number| place(&format!(":1.{number}"), Some(1_000)))
            .take_while(|place| waiting.take(place))
            .count();
        assert_eq!(taken, limits::BUS_CALLS_PER_UID);
        assert!(waiting.take(&place(":2.1", Some(1_001))));
    }

    #[test]
    fn all_together_have_so_many_and_nothing_is_remembered_of_who_has_left() {
        let mut waiting = Waiting::default();
        let places = (0..limits::BUS_CALLS)
            .map(|number| place(&format!(":1.{number}"), None))
            .collect::<Vec<_>>();
        assert!(places.iter().all(|place| waiting.take(place)));
        assert!(!waiting.take(&place(":2.1", None)));
        places.iter().for_each(|place| waiting.give_back(place));
        assert!(waiting.by_sender.is_empty() && waiting.by_uid.is_empty() && waiting.all == 0);
    }

    fn place(sender: &str, uid: Option<u32>) -> Place {
        Place { sender: sender.into(), uid }
    }
}
