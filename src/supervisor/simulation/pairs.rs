//! Which inputs the lifecycle has heard in which states.

use std::collections::BTreeMap;
use std::fmt;

use super::super::Product;
use crate::lifecycle::words::Action;
use crate::snapshot::StateName;

/// What an account hears, without what it carries.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    Woken,
    Admitted,
    Barred,
    Intended,
    Exchanged,
    Revoked,
    Written,
    Demand,
    Refresh,
    Report,
    Import,
    Pause,
    Resume,
    Release,
    Retry,
    Clear,
    Logout,
    SecretChanged,
    Reconfigured,
    ClockStepped,
}

impl Kind {
    const ALL: &[Self] = &[
        Self::Woken,
        Self::Admitted,
        Self::Barred,
        Self::Intended,
        Self::Exchanged,
        Self::Revoked,
        Self::Written,
        Self::Demand,
        Self::Refresh,
        Self::Report,
        Self::Import,
        Self::Pause,
        Self::Resume,
        Self::Release,
        Self::Retry,
        Self::Clear,
        Self::Logout,
        Self::SecretChanged,
        Self::Reconfigured,
        Self::ClockStepped,
    ];

    pub(super) const fn of_order(action: &Action) -> Self {
        match action {
            Action::Demand(_) => Self::Demand,
            Action::Refresh => Self::Refresh,
            Action::Report { .. } => Self::Report,
            Action::Import(_) => Self::Import,
            Action::Pause => Self::Pause,
            Action::Resume => Self::Resume,
            Action::Release => Self::Release,
            Action::Retry => Self::Retry,
            Action::Clear => Self::Clear,
            Action::Logout => Self::Logout,
            Action::SecretChanged => Self::SecretChanged,
        }
    }

    /// What an account hears of a piece of work that has ended, if anything.
    pub(super) const fn of_work(product: &Product) -> Option<Self> {
        match product {
            Product::Spend(_) => Some(Self::Intended),
            Product::Exchange(_) => Some(Self::Exchanged),
            Product::Revocation(_) => Some(Self::Revoked),
            Product::Write(_) => Some(Self::Written),
            Product::Stopped => None,
        }
    }

    /// Why an account never hears this in that state, if it does not.
    const fn never_in(self, state: StateName) -> Option<&'static str> {
        match (self, state) {
            (Self::Admitted | Self::Barred, StateName::Queued) => None,
            (Self::Admitted | Self::Barred, _) => {
                Some("whatever leaves the queue's state leaves the queue first")
            }
            (Self::Intended | Self::Exchanged | Self::Revoked, StateName::Exchanging) => None,
            (Self::Intended | Self::Exchanged | Self::Revoked, _) => {
                Some("nothing ends a flight but its own answers")
            }
            _ => None,
        }
    }
}

/// How often each input was heard in each state.
#[derive(Default)]
pub(super) struct Pairs(BTreeMap<(StateName, Kind), u64>);

impl Pairs {
    pub(super) fn saw(&mut self, state: StateName, kind: Kind) {
        *self.0.entry((state, kind)).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (pair, count) in &other.0 {
            *self.0.entry(*pair).or_default() += count;
        }
    }

    /// The pairs that were seen and cannot be.
    pub(super) fn impossible(&self) -> Vec<(StateName, Kind)> {
        let seen = self.0.keys().copied();
        seen.filter(|(state, kind)| kind.never_in(*state).is_some()).collect()
    }

    /// The pairs that were not seen, though nothing speaks against them.
    pub(super) fn missing(&self) -> Vec<(StateName, Kind)> {
        let pairs =
            StateName::ALL.iter().flat_map(|state| Kind::ALL.iter().map(|it| (*state, *it)));
        let unseen = pairs.filter(|pair| !self.0.contains_key(pair));
        unseen.filter(|(state, kind)| kind.never_in(*state).is_none()).collect()
    }
}

/// One line for each input, with how often it was heard in each state.
impl fmt::Display for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<14}", "")?;
        for state in StateName::ALL {
            write!(f, "{:>12}", state.as_str())?;
        }
        writeln!(f)?;
        for kind in Kind::ALL {
            write!(f, "{:<14}", format!("{kind:?}"))?;
            for state in StateName::ALL {
                match (self.0.get(&(*state, *kind)), kind.never_in(*state)) {
                    (Some(count), _) => write!(f, "{count:>12}")?,
                    (None, Some(_)) => write!(f, "{:>12}", "-")?,
                    (None, None) => write!(f, "{:>12}", "none")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
