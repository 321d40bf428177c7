//! How many connections there are, and how many each user has.
//!
//! A user's connections are at most half of all. When all places are taken, the listening
//! sockets rest: what comes waits in the kernel's backlog.

use std::cell::Cell;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::limits;

/// The places for connections. All listening sockets share them.
pub(super) struct Places {
    most: usize,
    most_per_uid: usize,
    taken: Cell<usize>,
    by_uid: RefCell<BTreeMap<u32, usize>>,
    freed: Notify,
}

impl Places {
    /// All of them free.
    pub(super) fn new() -> Self {
        Self::of(limits::CONNECTIONS, limits::CONNECTIONS_PER_UID)
    }

    /// So many in all, and so many for each user.
    pub(super) fn of(most: usize, most_per_uid: usize) -> Self {
        Self {
            most,
            most_per_uid,
            taken: Cell::new(0),
            by_uid: RefCell::default(),
            freed: Notify::new(),
        }
    }

    /// Waits until a place is free.
    pub(super) async fn free(&self) {
        while self.taken.get() >= self.most {
            self.freed.notified().await;
        }
    }

    /// A place for `uid` if there is one at once, for it and at all.
    pub(super) fn take_at_once(self: &Rc<Self>, uid: u32) -> Option<Place> {
        if self.taken.get() < self.most { self.take(uid) } else { None }
    }

    /// A place for a connection of `uid`; `None` if it has as many as one user may have.
    pub(super) fn take(self: &Rc<Self>, uid: u32) -> Option<Place> {
        let mut by_uid = self.by_uid.borrow_mut();
        let own = by_uid.entry(uid).or_default();
        if *own >= self.most_per_uid {
            return None;
        }
        *own += 1;
        self.taken.set(self.taken.get() + 1);
        Some(Place { places: self.clone(), uid })
    }

    fn give_back(&self, uid: u32) {
        let mut by_uid = self.by_uid.borrow_mut();
        if let Some(own) = by_uid.get_mut(&uid) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                by_uid.remove(&uid);
            }
        }
        self.taken.set(self.taken.get().saturating_sub(1));
        self.freed.notify_waiters();
    }
}

/// One connection's place, given back when it is dropped.
pub(super) struct Place {
    places: Rc<Places>,
    uid: u32,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.give_back(self.uid);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::Context;
    use std::task::Waker;

    use super::*;

    #[test]
    fn one_user_has_at_most_its_share_and_others_still_get_in() {
        let places = Rc::new(Places::of(4, 2));
        let held = [places.take(1), places.take(1)];
        assert!(held.iter().all(Option::is_some));
        assert!(places.take(1).is_none());
        assert!(places.take(2).is_some());
        drop(held);
        assert!(places.take(1).is_some());
        assert!(places.by_uid.borrow().is_empty(), "what is given back is forgotten");
    }

    #[test]
    fn a_place_that_is_wanted_at_once_is_one_that_is_free_for_that_user_and_at_all() {
        let places = Rc::new(Places::of(3, 2));
        let first = places.take_at_once(1);
        let _second = places.take_at_once(1);
        assert!(first.is_some() && places.take_at_once(1).is_none());
        let _third = places.take_at_once(2);
        assert!(places.take_at_once(3).is_none(), "all are taken");
        drop(first);
        assert!(places.take_at_once(3).is_some());
    }

    #[test]
    fn a_full_house_waits_for_the_first_that_leaves() {
        let places = Rc::new(Places::of(1, 1));
        let place = places.take(1);
        let mut free = pin!(places.free());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(free.as_mut().poll(&mut cx).is_pending());
        drop(place);
        assert!(free.as_mut().poll(&mut cx).is_ready());
    }
}
