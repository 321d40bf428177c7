//! Which call comes next: in order for each account, in turn between accounts, bounded.
//!
//! An account whose hooks are slow holds up nobody but itself. What does not fit is given
//! back, the oldest of that account first: the newest tells more of how it stands.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use crate::name::AccountId;

/// Calls of one account that wait. A refresh makes three events, so these are the last ten
/// refreshes of an account with two hooks.
pub(super) const OF_AN_ACCOUNT: usize = 64;

/// Calls of all accounts that wait.
pub(super) const OF_ALL: usize = 4_096;

/// Calls that run at a time, each of another account. Each takes a few of the processes that
/// the service may have.
pub(super) const RUNNING: usize = 8;

/// Calls that wait, by account.
pub(super) struct Queue<T> {
    /// Every account of which a call waits or runs.
    lanes: BTreeMap<AccountId, Lane<T>>,
    /// Accounts of which a call waits and none runs, in the order of their turns.
    turns: VecDeque<AccountId>,
    waiting: usize,
    running: usize,
}

struct Lane<T> {
    waiting: VecDeque<T>,
    runs: bool,
}

impl<T> Queue<T> {
    /// Takes a call, and gives back the one that there is no room for.
    pub(super) fn push(&mut self, account: &AccountId, call: T) -> Option<T> {
        let lane = self.lanes.entry(account.clone()).or_default();
        let full = lane.waiting.len() >= OF_AN_ACCOUNT || self.waiting >= OF_ALL;
        let dropped = if full { lane.waiting.pop_front() } else { None };
        if full && dropped.is_none() {
            if !lane.runs {
                self.lanes.remove(account);
            }
            return Some(call);
        }
        if lane.waiting.is_empty() && dropped.is_none() && !lane.runs {
            self.turns.push_back(account.clone());
        }
        lane.waiting.push_back(call);
        self.waiting += usize::from(dropped.is_none());
        dropped
    }

    /// The call that is to be made, if one may. Its account has no other until
    /// [`ended`](Self::ended).
    pub(super) fn next(&mut self) -> Option<T> {
        if self.running >= RUNNING {
            return None;
        }
        let lane = self.lanes.get_mut(&self.turns.pop_front()?)?;
        let call = lane.waiting.pop_front()?;
        lane.runs = true;
        self.waiting -= 1;
        self.running += 1;
        Some(call)
    }

    /// A call of that account is over.
    pub(super) fn ended(&mut self, account: &AccountId) {
        let Some(lane) = self.lanes.get_mut(account).filter(|lane| lane.runs) else { return };
        lane.runs = false;
        self.running -= 1;
        if lane.waiting.is_empty() {
            self.lanes.remove(account);
        } else {
            self.turns.push_back(account.clone());
        }
    }

    /// All that wait.
    pub(super) fn drain(&mut self) -> Vec<T> {
        self.turns.clear();
        self.waiting = 0;
        let waited = self.lanes.values_mut().flat_map(|lane| lane.waiting.drain(..)).collect();
        self.lanes.retain(|_, lane| lane.runs);
        waited
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { lanes: BTreeMap::new(), turns: VecDeque::new(), waiting: 0, running: 0 }
    }
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), runs: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_its_calls_in_order_and_one_at_a_time() {
        let mut queue = Queue::default();
        for call in ["a1", "a2", "b1"] {
            assert_eq!(queue.push(&of(call), call), None);
        }
        assert_eq!((queue.next(), queue.next(), queue.next()), (Some("a1"), Some("b1"), None));
        queue.ended(&of("a1"));
        assert_eq!((queue.next(), queue.next()), (Some("a2"), None));
        queue.ended(&of("b1"));
        queue.ended(&of("a2"));
        assert!(queue.lanes.is_empty());
    }

    #[test]
    fn an_account_with_much_to_tell_does_not_take_the_turns_of_others() {
        let mut queue = Queue::default();
        for call in ["a1", "a2", "a3", "b1"] {
            queue.push(&of(call), call);
        }
        let mut order = Vec::new();
        while let Some(call) = queue.next() {
            order.push(call);
            queue.ended(&of(call));
        }
        assert_eq!(order, ["a1", "b1", "a2", "a3"]);
    }

    #[test]
    fn a_full_account_loses_its_oldest_call_and_no_others() {
        let mut queue = Queue::default();
        let account = of("a");
        for call in 0..OF_AN_ACCOUNT {
            assert_eq!(queue.push(&account, call), None);
        }
        assert_eq!(queue.push(&account, 1_000), Some(0));
        assert_eq!(queue.push(&of("b"), 2_000), None);
        assert_eq!((queue.next(), queue.next()), (Some(1), Some(2_000)));
    }

    #[test]
    fn what_is_too_much_for_all_is_given_back() {
        let mut queue = Queue::default();
        for call in 0..OF_ALL {
            assert_eq!(queue.push(&numbered(call), call), None);
        }
        assert_eq!(queue.push(&of("late"), 9_999), Some(9_999), "an account with nothing to lose");
        assert_eq!(queue.push(&numbered(5), 10_000), Some(5), "an account with an older call");
        assert_eq!(queue.drain().len(), OF_ALL);
        assert!(queue.next().is_none() && queue.lanes.is_empty());
    }

    #[test]
    fn no_more_calls_run_than_may() {
        let mut queue = Queue::default();
        for call in 0..RUNNING + 1 {
            queue.push(&numbered(call), call);
        }
        assert_eq!(std::iter::from_fn(|| queue.next()).count(), RUNNING);
        queue.ended(&numbered(0));
        assert_eq!(queue.next(), Some(RUNNING));
    }

    /// The account whose name a call begins with.
    fn of(call: &str) -> AccountId {
        AccountId::parse(&call[..1]).unwrap()
    }

    fn numbered(call: usize) -> AccountId {
        AccountId::parse(&format!("n{call}")).unwrap()
    }
}
