//! How often anybody is logged in at one provider's host.
//!
//! Providers count logins by address and lock out whoever has too many; a lockout hits all
//! accounts of the host. So logins by people and sign-ins by themselves count together, and
//! only those that were sent. A person who was told to wait comes before all sign-ins, of which
//! there may be enough to take every place that becomes free.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::budget::Window;
use crate::time::Moment;

/// How long a free place is kept for the person who was told to wait for it.
const KEPT_FOR_A_PERSON: Duration = Duration::from_secs(2);

/// The last logins at each host. A host without recent ones takes up no memory.
#[derive(Default)]
pub(super) struct Logins(BTreeMap<Arc<str>, Counted>);

/// The last logins at one host.
struct Counted {
    window: Window,
    /// Until when the next place belongs to a person.
    kept: Option<Moment>,
}

/// Whose login it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Whose {
    /// A person's, who waits for it.
    Person,
    /// A sign-in's, which nobody sees.
    SignIn,
}

impl Logins {
    /// Takes one login at `host`.
    ///
    /// # Errors
    ///
    /// When there will be room for it, if there is none.
    pub(super) fn take(
        &mut self,
        host: &Arc<str>,
        whose: Whose,
        now: Moment,
    ) -> Result<(), Moment> {
        self.0.retain(|_, counted| !counted.is_over(now));
        let counted = self.0.entry(Arc::clone(host)).or_insert_with(Counted::none);
        let free = counted.window.earliest(now, 1);
        let kept = counted.kept.filter(|kept| whose == Whose::SignIn && *kept > now);
        if let Some(kept) = kept {
            return Err(kept.max(free));
        }
        if free > now {
            if whose == Whose::Person {
                counted.kept = Some(free + KEPT_FOR_A_PERSON);
            }
            return Err(free);
        }
        if whose == Whose::Person {
            counted.kept = None;
        }
        counted.window.take(now, 1);
        Ok(())
    }

    /// Gives back the login that was taken at `host` then: nothing was sent.
    pub(super) fn give_back(&mut self, host: &Arc<str>, taken: Moment) {
        if let Some(counted) = self.0.get_mut(host) {
            counted.window.give_back(taken, 1);
        }
    }
}

impl Counted {
    const fn none() -> Self {
        Self { window: Window::logins(), kept: None }
    }

    fn is_over(&self, now: Moment) -> bool {
        self.window.is_over(now) && self.kept.is_none_or(|kept| kept <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_login_of_a_minute_waits_and_other_hosts_do_not() {
        let mut logins = Logins::default();
        for second in 0..5 {
            assert_eq!(logins.take(&host("a"), Whose::Person, at(second)), Ok(()));
        }
        assert_eq!(logins.take(&host("a"), Whose::Person, at(5)), Err(at(61)));
        assert_eq!(logins.take(&host("b"), Whose::Person, at(5)), Ok(()));
        assert_eq!(logins.take(&host("a"), Whose::Person, at(61)), Ok(()));
    }

    #[test]
    fn a_person_who_waits_comes_before_the_sign_ins() {
        let mut logins = Logins::default();
        for second in 0..5 {
            assert_eq!(logins.take(&host("a"), Whose::SignIn, at(second)), Ok(()));
        }
        assert_eq!(logins.take(&host("a"), Whose::Person, at(5)), Err(at(61)));
        assert_eq!(logins.take(&host("a"), Whose::SignIn, at(61)), Err(at(63)));
        assert_eq!(logins.take(&host("a"), Whose::Person, at(61)), Ok(()));
        assert_eq!(logins.take(&host("a"), Whose::SignIn, at(62)), Ok(()));
    }

    #[test]
    fn a_place_that_the_person_does_not_come_for_goes_to_a_sign_in() {
        let mut logins = Logins::default();
        for second in 0..5 {
            assert_eq!(logins.take(&host("a"), Whose::SignIn, at(second)), Ok(()));
        }
        assert_eq!(logins.take(&host("a"), Whose::Person, at(5)), Err(at(61)));
        assert_eq!(logins.take(&host("a"), Whose::SignIn, at(63)), Ok(()));
    }

    #[test]
    fn a_login_that_is_given_back_does_not_count() {
        let mut logins = Logins::default();
        for second in 0..50 {
            assert_eq!(logins.take(&host("a"), Whose::SignIn, at(second)), Ok(()));
            logins.give_back(&host("a"), at(second));
        }
        assert_eq!(logins.take(&host("a"), Whose::Person, at(50)), Ok(()));
    }

    #[test]
    fn a_host_that_rested_is_forgotten() {
        let mut logins = Logins::default();
        assert_eq!(logins.take(&host("a"), Whose::Person, at(0)), Ok(()));
        assert_eq!(logins.take(&host("b"), Whose::Person, at(61)), Ok(()));
        assert_eq!(logins.0.len(), 1);
    }

    fn host(name: &str) -> Arc<str> {
        name.into()
    }

    const fn at(secs: u64) -> Moment {
        Moment::from_millis(secs * 1000)
    }
}
