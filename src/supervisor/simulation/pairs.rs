//! Which inputs the lifecycle has heard in which states.

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

/// How often each input was heard in each state: in the order in which both are declared.
#[derive(Default)]
pub(super) struct Pairs([[u64; Kind::ALL.len()]; StateName::ALL.len()]);

impl Pairs {
    pub(super) const fn saw(&mut self, state: StateName, kind: Kind) {
        self.0[state as usize][kind as usize] += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        let counts = self.0.as_flattened_mut().iter_mut();
        for (count, theirs) in counts.zip(other.0.as_flattened()) {
            *count += theirs;
        }
    }

    const fn count(&self, state: StateName, kind: Kind) -> u64 {
        self.0[state as usize][kind as usize]
    }

    fn all() -> impl Iterator<Item = (StateName, Kind)> {
        StateName::ALL.iter().flat_map(|state| Kind::ALL.iter().map(|kind| (*state, *kind)))
    }

    /// The pairs that were seen and cannot be.
    pub(super) fn impossible(&self) -> Vec<(StateName, Kind)> {
        let cannot_be = Self::all().filter(|(state, kind)| kind.never_in(*state).is_some());
        cannot_be.filter(|(state, kind)| self.count(*state, *kind) > 0).collect()
    }

    /// The pairs that were not seen, though nothing speaks against them.
    pub(super) fn missing(&self) -> Vec<(StateName, Kind)> {
        let can_be = Self::all().filter(|(state, kind)| kind.never_in(*state).is_none());
        can_be.filter(|(state, kind)| self.count(*state, *kind) == 0).collect()
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
                match (self.count(*state, *kind), kind.never_in(*state)) {
                    (0, Some(_)) => write!(f, "{:>12}", "-")?,
                    (0, None) => write!(f, "{:>12}", "none")?,
                    (count, _) => write!(f, "{count:>12}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
