//! How often anybody is logged in at one provider's host.
//!
//! Providers count logins by address and lock out whoever has too many; a lockout hits all
//! accounts of the host. So logins by people and sign-ins by themselves count together.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::budget::Window;
use crate::time::Moment;

/// The last logins at each host. A host without recent ones takes up no memory.
#[derive(Default)]
pub(super) struct Logins(BTreeMap<Arc<str>, Window>);

impl Logins {
    /// Takes one login at `host`.
    ///
    /// # Errors
    ///
    /// When there will be room for it, if there is none.
    pub(super) fn take(&mut self, host: &Arc<str>, now: Moment) -> Result<(), Moment> {
        self.0.retain(|_, window| !window.is_over(now));
        let window = self.0.entry(Arc::clone(host)).or_insert_with(Window::logins);
        let free = window.earliest(now, 1);
        if free > now {
            return Err(free);
        }
        window.take(now, 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_login_of_a_minute_waits_and_other_hosts_do_not() {
        let mut logins = Logins::default();
        for second in 0..5 {
            assert_eq!(logins.take(&host("a"), at(second)), Ok(()));
        }
        assert_eq!(logins.take(&host("a"), at(5)), Err(at(61)));
        assert_eq!(logins.take(&host("b"), at(5)), Ok(()));
        assert_eq!(logins.take(&host("a"), at(61)), Ok(()));
    }

    #[test]
    fn a_host_that_rested_is_forgotten() {
        let mut logins = Logins::default();
        assert_eq!(logins.take(&host("a"), at(0)), Ok(()));
        assert_eq!(logins.take(&host("b"), at(61)), Ok(()));
        assert_eq!(logins.0.len(), 1);
    }

    fn host(name: &str) -> Arc<str> {
        name.into()
    }

    const fn at(secs: u64) -> Moment {
        Moment::from_millis(secs * 1000)
    }
}
