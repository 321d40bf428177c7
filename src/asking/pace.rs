//! How often one user may have something done that may reach a provider.
//!
//! Each user has so many at once and as many in any span after:
//! [`limits::REFRESHES_PER_SECOND`], [`limits::LOGINS_PER_MINUTE`]. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits;
use crate::time::Moment;

/// When each user's share will be whole again.
pub struct Pace {
    /// Time that one request takes from its user's share.
    cost: Duration,
    /// Share that a rested user has.
    share: Duration,
    whole_at: BTreeMap<u32, Moment>,
}

impl Pace {
    /// Of refreshes and reports.
    pub fn refreshes() -> Self {
        Self::of(limits::REFRESHES_PER_SECOND, Duration::from_secs(1))
    }

    /// Of what is done about logins.
    pub fn logins() -> Self {
        Self::of(limits::LOGINS_PER_MINUTE, Duration::from_secs(60))
    }

    fn of(most: u32, share: Duration) -> Self {
        Self { cost: share / most, share, whole_at: BTreeMap::new() }
    }

    /// Takes one request from the share of `uid`.
    ///
    /// # Errors
    ///
    /// When it may be asked again, if there is nothing left of the share.
    pub fn take(&mut self, uid: u32, now: Moment) -> Result<(), Moment> {
        let whole_at = self.whole_at.get(&uid).copied().unwrap_or_default().max(now) + self.cost;
        if whole_at.since(now) > self.share {
            return Err(whole_at.before(self.share));
        }
        self.remember(uid, whole_at, now);
        Ok(())
    }

    /// Gives one request back to the share of `uid`: nothing was done about it.
    pub fn give_back(&mut self, uid: u32) {
        if let Some(whole_at) = self.whole_at.get_mut(&uid) {
            *whole_at = whole_at.before(self.cost);
        }
    }

    fn remember(&mut self, uid: u32, whole_at: Moment, now: Moment) {
        self.whole_at.insert(uid, whole_at);
        if self.whole_at.len() > limits::PACED_USERS {
            self.whole_at.retain(|_, whole_at| *whole_at > now);
        }
        if self.whole_at.len() > limits::PACED_USERS {
            let rested = self.whole_at.iter().min_by_key(|(_, at)| **at).map(|(uid, _)| *uid);
            rested.and_then(|uid| self.whole_at.remove(&uid));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Duration = Duration::from_millis(100);
    const SHARE: Duration = Duration::from_secs(1);

    #[test]
    fn ten_at_once_then_one_every_tenth_of_a_second() {
        let mut pace = Pace::refreshes();
        let start = Moment::from_millis(5_000);
        for _ in 0..10 {
            assert_eq!(pace.take(1, start), Ok(()));
        }
        assert_eq!(pace.take(1, start), Err(start + COST));
        assert_eq!(pace.take(1, start + COST), Ok(()));
        assert_eq!(pace.take(1, start + COST), Err(start + COST * 2));
        assert_eq!(pace.take(2, start), Ok(()), "another user has a share of its own");
    }

    #[test]
    fn five_logins_at_once_then_one_every_twelve_seconds() {
        let mut pace = Pace::logins();
        let start = Moment::from_millis(5_000);
        for _ in 0..5 {
            assert_eq!(pace.take(1, start), Ok(()));
        }
        assert_eq!(pace.take(1, start), Err(start + Duration::from_secs(12)));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let mut pace = Pace::logins();
        let start = Moment::from_millis(5_000);
        for _ in 0..20 {
            assert_eq!(pace.take(1, start), Ok(()));
            pace.give_back(1);
        }
    }

    #[test]
    fn a_refusal_costs_nothing() {
        let mut pace = Pace::refreshes();
        let start = Moment::from_millis(5_000);
        for _ in 0..1_000 {
            let _refused = pace.take(1, start).is_err();
        }
        assert_eq!(pace.take(1, start + SHARE), Ok(()));
    }

    #[test]
    fn as_many_users_are_remembered_as_the_limit_says() {
        let mut pace = Pace::refreshes();
        let start = Moment::from_millis(5_000);
        let users = u32::try_from(limits::PACED_USERS).unwrap() * 2;
        for uid in 0..users {
            assert_eq!(pace.take(uid, start), Ok(()));
            assert!(pace.whole_at.len() <= limits::PACED_USERS);
        }
    }
}
