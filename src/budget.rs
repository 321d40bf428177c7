//! How much an account may ask of its provider, whatever anybody answers.
//!
//! Exact sliding windows, below all other logic: proactive, forced, replayed and
//! retried attempts count alike. The starts of the last attempts are stored, so a kill
//! does not buy new ones; one that cannot be stored waits until whoever counts has counted for as
//! long as a window lasts ([`Window::covers`]).

use std::time::Duration;

use crate::time::Moment;

/// Requests in any minute: the figure of the strictest provider that is known.
pub const REQUESTS_PER_MINUTE: usize = 10;

/// Requests of a minute that only replays inside a grace may use: a refresh that waits costs
/// a moment, a replay that waits may cost the account.
pub const RESERVED_FOR_REPLAYS: usize = 3;

/// Refreshes that local programs may force in any five minutes.
pub const FORCED_PER_FIVE_MINUTES: usize = 3;

/// Logins in any minute at one provider's host, over all accounts: the limit that the
/// strictest known one sets for an address.
pub const LOGINS_PER_MINUTE: usize = 5;

/// At most so many starts in any span of that length.
#[derive(Clone, Debug)]
pub struct Window {
    limit: &'static Limit,
    /// Oldest first, never more than the limit.
    starts: Vec<Moment>,
}

#[derive(Debug)]
struct Limit {
    most: usize,
    span: Duration,
}

/// A second is added to the minute: what leaves here 60 s apart may arrive a little closer
/// together.
static REQUESTS: Limit = Limit { most: REQUESTS_PER_MINUTE, span: Duration::from_secs(61) };

static LOGINS: Limit = Limit { most: LOGINS_PER_MINUTE, span: Duration::from_secs(61) };

static FORCED: Limit = Limit { most: FORCED_PER_FIVE_MINUTES, span: Duration::from_secs(300) };

impl Window {
    /// An account's requests to its provider.
    pub const fn requests() -> Self {
        Self { limit: &REQUESTS, starts: Vec::new() }
    }

    /// An account's refreshes that local programs forced.
    pub const fn forced() -> Self {
        Self { limit: &FORCED, starts: Vec::new() }
    }

    /// Logins at a provider's host.
    pub const fn logins() -> Self {
        Self { limit: &LOGINS, starts: Vec::new() }
    }

    /// Whether nothing in it matters any more at `now`.
    pub fn is_over(&self, now: Moment) -> bool {
        self.starts.last().is_none_or(|last| *last + self.limit.span <= now)
    }

    /// Whether nothing from before `begun` matters any more at `now`.
    pub fn covers(&self, begun: Moment, now: Moment) -> bool {
        begun + self.limit.span <= now
    }

    /// The same window after `starts`, oldest first.
    #[must_use]
    pub fn after(mut self, starts: impl IntoIterator<Item = Moment>) -> Self {
        self.starts = starts.into_iter().collect();
        self.starts.sort_unstable();
        self.forget_all_but_the_last();
        self
    }

    /// The first moment, not before `now`, at which `count` further starts fit in.
    ///
    /// More than the window ever holds counts as all that it holds.
    pub fn earliest(&self, now: Moment, count: usize) -> Moment {
        let count = count.clamp(1, self.limit.most);
        let Some(must_be_over) = (self.starts.len() + count).checked_sub(self.limit.most + 1)
        else {
            return now;
        };
        let oldest_in_the_way = self.starts.get(must_be_over).copied();
        oldest_in_the_way.map_or(now, |start| now.max(start + self.limit.span))
    }

    /// Counts `count` starts at `now`.
    pub fn take(&mut self, now: Moment, count: usize) {
        self.starts.extend(std::iter::repeat_n(now, count));
        self.forget_all_but_the_last();
    }

    /// The last `count` starts are made only at `now`: what comes before a request took its time.
    pub fn put_off(&mut self, now: Moment, count: usize) {
        for start in self.starts.iter_mut().rev().take(count) {
            *start = now.max(*start);
        }
    }

    /// The last attempt counts from `now`: it was announced when the window says, and may have been sent at
    /// any time since, as long as that is no longer ago than the window lasts.
    pub fn put_off_the_last(&mut self, now: Moment) {
        let Some(last) = self.starts.last().copied() else { return };
        let requests = self.starts.iter().rev().take_while(|start| **start == last).count();
        self.put_off(now.min(last + self.limit.span), requests);
    }

    /// Gives back the starts that were counted at `at`: nothing was sent after all.
    pub fn give_back(&mut self, at: Moment, count: usize) {
        for _ in 0..count {
            if let Some(start) = self.starts.iter().rposition(|start| *start == at) {
                self.starts.remove(start);
            }
        }
    }

    /// The last starts, oldest first.
    pub fn starts(&self) -> &[Moment] {
        &self.starts
    }

    fn forget_all_but_the_last(&mut self) {
        let surplus = self.starts.len().saturating_sub(self.limit.most);
        self.starts.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One attempt may be of several requests, which are counted at one moment.
    #[test]
    fn an_attempt_that_was_only_announced_counts_from_when_that_is_all_that_is_known() {
        for (now, counted) in [(30, 30), (300, 66)] {
            let mut window = Window::requests().after([at(0), at(5), at(5)]);
            window.put_off_the_last(at(now));
            assert_eq!(window.starts(), [at(0), at(counted), at(counted)]);
        }
    }

    #[test]
    fn the_eleventh_request_waits_until_the_first_is_a_minute_old() {
        let mut window = Window::requests();
        for second in 0..10 {
            assert_eq!(window.earliest(at(second), 1), at(second));
            window.take(at(second), 1);
        }
        assert_eq!(window.earliest(at(10), 1), at(61));
        assert_eq!(window.earliest(at(10), 2), at(62));
        assert_eq!(window.earliest(at(61), 1), at(61));
    }

    #[test]
    fn more_than_the_window_holds_waits_for_an_empty_one() {
        let mut window = Window::forced();
        window.take(at(5), 1);
        assert_eq!(window.earliest(at(6), 99), at(305));
    }

    #[test]
    fn a_window_is_over_when_its_last_start_has_left_it() {
        let mut window = Window::logins();
        assert!(window.is_over(at(0)));
        window.take(at(5), 1);
        assert!(!window.is_over(at(65)));
        assert!(window.is_over(at(66)));
    }

    #[test]
    fn what_was_before_the_counting_matters_for_as_long_as_a_window_lasts() {
        let window = Window::requests();
        assert!(!window.covers(at(5), at(65)));
        assert!(window.covers(at(5), at(66)));
    }

    #[test]
    fn what_is_given_back_makes_room_and_what_else_was_taken_does_not() {
        let mut window = Window::logins();
        for second in [1, 2, 2, 2, 3] {
            window.take(at(second), 1);
        }
        window.give_back(at(2), 2);
        window.give_back(at(4), 1);
        assert_eq!(window.starts(), [at(1), at(2), at(3)]);
        assert_eq!(window.earliest(at(5), 2), at(5));
    }

    #[test]
    fn a_start_that_is_put_off_counts_from_when_it_is_made() {
        let mut window = Window::requests();
        for second in 0..10 {
            window.take(at(second), 1);
            window.put_off(at(second + 20), 1);
            // A clock that seems to go back makes no start earlier.
            window.put_off(at(0), 1);
        }
        assert_eq!(window.earliest(at(30), 1), at(20 + 61));
        window.put_off(at(40), 2);
        assert_eq!(window.starts()[7..], [at(27), at(40), at(40)]);
    }

    #[test]
    fn a_restored_window_counts_what_was_before() {
        let window = Window::requests().after((0..10).map(at));
        assert_eq!(window.earliest(at(30), 1), at(61));
    }

    #[test]
    fn a_window_remembers_no_more_than_it_may_hold() {
        let restored = Window::requests().after((0..14).map(at));
        assert_eq!(restored.starts().len(), REQUESTS_PER_MINUTE);
        assert_eq!(restored.starts().first(), Some(&at(4)));
        let mut taken = Window::forced();
        taken.take(at(1), 5);
        assert_eq!(taken.starts().len(), FORCED_PER_FIVE_MINUTES);
    }

    proptest::proptest! {
        #[test]
        fn no_minute_ever_holds_more_than_ten(
            wishes in proptest::collection::vec((0_u64..20_000, 1_usize..4), 1..200),
        ) {
            let mut window = Window::requests();
            let mut now = Moment::default();
            let mut starts = Vec::new();
            for (pause, count) in wishes {
                now = window.earliest(now + Duration::from_millis(pause), count);
                window.take(now, count);
                starts.extend(std::iter::repeat_n(now, count));
            }
            for (index, first) in starts.iter().enumerate() {
                if let Some(eleventh) = starts.get(index + REQUESTS_PER_MINUTE) {
                    assert!(eleventh.since(*first) >= Duration::from_secs(60));
                }
            }
        }
    }

    const fn at(secs: u64) -> Moment {
        Moment::from_millis(secs * 1000)
    }
}
