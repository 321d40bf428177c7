//! Which refusals are worth a record, so that a peer that keeps asking does not fill the journal.
//!
//! One record for each user, account and right in `EVERY`, with how many like it were left
//! out since the one before. Names that no account has count as one account, so that a peer
//! cannot have a record for each name that it makes up. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits;
use crate::name::AccountId;
use crate::time::Moment;

/// Pause between two records of the same kind: enough for whoever reads them, and no more
/// than one line a minute from a program that asks in a loop.
const EVERY: Duration = Duration::from_secs(60);

/// What makes two refusals the same kind.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Kind {
    /// Who was refused.
    pub uid: u32,
    /// The account; `None` for the daemon itself and for names that no account has.
    pub account: Option<AccountId>,
    /// The right, or what was asked of the daemon.
    pub what: &'static str,
}

/// The refusals of the last minute.
#[derive(Default)]
pub struct Refusals {
    told: BTreeMap<Kind, Told>,
}

struct Told {
    at: Moment,
    left_out: u64,
}

impl Refusals {
    /// Notes a refusal. If it is to be recorded: how many like it were left out before.
    ///
    /// While [`limits::REFUSALS`] kinds have a record in the last minute, a further kind has
    /// none; the metrics count its answers all the same.
    pub fn note(&mut self, kind: Kind, now: Moment) -> Option<u64> {
        if let Some(told) = self.told.get_mut(&kind) {
            if now.since(told.at) < EVERY {
                told.left_out = told.left_out.saturating_add(1);
                return None;
            }
            let left_out = told.left_out;
            *told = Told { at: now, left_out: 0 };
            return Some(left_out);
        }
        if self.told.len() >= limits::REFUSALS {
            self.told.retain(|_, told| now.since(told.at) < EVERY);
        }
        if self.told.len() >= limits::REFUSALS {
            return None;
        }
        self.told.insert(kind, Told { at: now, left_out: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_minute_is_recorded_with_the_number_of_those_left_out() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.note(kind(1, "read"), START), Some(0));
        for _ in 0..41 {
            assert_eq!(refusals.note(kind(1, "read"), START), None);
        }
        assert_eq!(refusals.note(kind(1, "read"), START + EVERY), Some(41));
        assert_eq!(refusals.note(kind(1, "read"), START + EVERY), None);
        assert_eq!(refusals.note(kind(1, "read"), START + EVERY * 2), Some(1));
    }

    #[test]
    fn another_user_account_or_right_has_a_record_of_its_own() {
        let mut refusals = Refusals::default();
        let mail = Some(AccountId::parse("mail").unwrap());
        for other in [kind(1, "read"), kind(2, "read"), kind(1, "refresh")] {
            assert_eq!(refusals.note(other.clone(), START), Some(0), "{other:?}");
            let of_mail = Kind { account: mail.clone(), ..other };
            assert_eq!(refusals.note(of_mail.clone(), START), Some(0), "{of_mail:?}");
        }
    }

    #[test]
    fn the_table_is_bounded_and_has_room_again_after_a_minute() {
        let mut refusals = Refusals::default();
        let users = u32::try_from(limits::REFUSALS).unwrap();
        for uid in 0..users {
            assert_eq!(refusals.note(kind(uid, "read"), START), Some(0));
        }
        assert_eq!(refusals.note(kind(users, "read"), START), None);
        assert_eq!(refusals.told.len(), limits::REFUSALS);
        assert_eq!(refusals.note(kind(users, "read"), START + EVERY), Some(0));
        assert_eq!(refusals.told.len(), 1);
    }

    const START: Moment = Moment::from_millis(5_000);

    fn kind(uid: u32, what: &'static str) -> Kind {
        Kind { uid, account: None, what }
    }
}
