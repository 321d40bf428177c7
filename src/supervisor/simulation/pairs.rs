//! Which inputs the lifecycle has heard in which places.

use std::fmt;

use super::super::Product;
use super::super::Stage;
use crate::lifecycle::words::Action;
use crate::snapshot::StateName;

listed! {
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
}

impl Kind {
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

    /// Why an account never hears this there, if it does not.
    fn never_in(self, place: Place) -> Option<&'static str> {
        const OF_ITS_OWN: &str = "nothing goes on with a flight but its own answers";
        match self {
            Self::Admitted | Self::Barred => (place != Place::Queued)
                .then_some("whatever leaves the queue's state leaves the queue first"),
            Self::Intended => {
                (!matches!(place, Place::Intending | Place::Leaving)).then_some(OF_ITS_OWN)
            }
            Self::Exchanged => (place != Place::Sent).then_some(OF_ITS_OWN),
            Self::Revoked => (place != Place::Leaving).then_some(OF_ITS_OWN),
            Self::Woken
            | Self::Written
            | Self::Demand
            | Self::Refresh
            | Self::Report
            | Self::Import
            | Self::Pause
            | Self::Resume
            | Self::Release
            | Self::Retry
            | Self::Clear
            | Self::Logout
            | Self::SecretChanged
            | Self::Reconfigured
            | Self::ClockStepped => None,
        }
    }
}

listed! {
    /// Where an account is. What is published as one exchange is taken apart: an attempt that is being
    /// prepared, one that was sent, one whose failure is being made durable, and a logout.
    #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
    pub(super) enum Place {
        Vacant,
        Fresh,
        Queued,
        Intending,
        Sent,
        Noting,
        Leaving,
        Saving,
        InDoubt,
        Waiting,
        Suspect,
        NeedsLogin,
        Frozen,
    }
}

impl Place {
    /// Where an account is that is published to be in that state, while so much of its work is under
    /// way. `leaving` is whether some of that is its logout.
    pub(super) fn of(state: StateName, stages: &[Stage], leaving: bool) -> Self {
        match state {
            StateName::Vacant => Self::Vacant,
            StateName::Fresh => Self::Fresh,
            StateName::Queued => Self::Queued,
            StateName::Exchanging if leaving => Self::Leaving,
            StateName::Exchanging if stages.contains(&Stage::Intending) => Self::Intending,
            StateName::Exchanging if stages.contains(&Stage::Exchanging) => Self::Sent,
            StateName::Exchanging => Self::Noting,
            StateName::Saving => Self::Saving,
            StateName::InDoubt => Self::InDoubt,
            StateName::Waiting => Self::Waiting,
            StateName::Suspect => Self::Suspect,
            StateName::NeedsLogin => Self::NeedsLogin,
            StateName::Frozen => Self::Frozen,
        }
    }

    /// Whether it is published as an exchange.
    pub(super) const fn is_exchange(self) -> bool {
        matches!(self, Self::Intending | Self::Sent | Self::Noting | Self::Leaving)
    }
}

/// What is too rare to be waited for: that a token ends in the fifth of a second of a logout.
const RARE: (Place, Kind) = (Place::Leaving, Kind::Woken);

/// How often each input was heard in each place: in the order in which both are declared.
#[derive(Default)]
pub(super) struct Pairs([[u64; Kind::ALL.len()]; Place::ALL.len()]);

impl Pairs {
    pub(super) const fn saw(&mut self, place: Place, kind: Kind) {
        self.0[place as usize][kind as usize] += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        let counts = self.0.as_flattened_mut().iter_mut();
        for (count, theirs) in counts.zip(other.0.as_flattened()) {
            *count += theirs;
        }
    }

    const fn count(&self, place: Place, kind: Kind) -> u64 {
        self.0[place as usize][kind as usize]
    }

    fn all() -> impl Iterator<Item = (Place, Kind)> {
        Place::ALL.iter().flat_map(|place| Kind::ALL.iter().map(|kind| (*place, *kind)))
    }

    /// The pairs that were seen and cannot be.
    pub(super) fn impossible(&self) -> Vec<(Place, Kind)> {
        let cannot_be = Self::all().filter(|(place, kind)| kind.never_in(*place).is_some());
        cannot_be.filter(|(place, kind)| self.count(*place, *kind) > 0).collect()
    }

    /// The pairs that were not seen, though nothing speaks against them.
    pub(super) fn missing(&self) -> Vec<(Place, Kind)> {
        let can_be = Self::all().filter(|(place, kind)| kind.never_in(*place).is_none());
        let can_be = can_be.filter(|pair| *pair != RARE);
        can_be.filter(|(place, kind)| self.count(*place, *kind) == 0).collect()
    }
}

/// One line for each input, with how often it was heard in each place.
impl fmt::Display for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<14}", "")?;
        for place in Place::ALL {
            write!(f, "{:>11}", format!("{place:?}"))?;
        }
        writeln!(f)?;
        for kind in Kind::ALL {
            write!(f, "{:<14}", format!("{kind:?}"))?;
            for place in Place::ALL {
                match (self.count(*place, *kind), kind.never_in(*place)) {
                    (0, Some(_)) => write!(f, "{:>11}", "-")?,
                    (0, None) => write!(f, "{:>11}", "none")?,
                    (count, _) => write!(f, "{count:>11}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
