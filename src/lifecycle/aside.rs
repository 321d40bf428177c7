//! Where an account's own credential goes on after something else had the turn: a credential that
//! was handed in, or a logout.

use super::Account;
use super::Aside;
use super::Series;
use super::State;
use super::words::Command;
use crate::record::Hold;
use crate::time::Jitter;
use crate::time::Now;

impl Account {
    /// Sets aside where the account's own credential goes on, before something else is given
    /// the turn.
    pub(super) fn set_aside(&mut self) {
        if self.aside.is_none() {
            let Series { since, not_before, .. } = self.series;
            let anew = Series { since, not_before, ..Series::default() };
            let series = std::mem::replace(&mut self.series, anew);
            let rest = std::mem::replace(&mut self.state, State::Vacant);
            self.aside = Some(Box::new(Aside { rest, series }));
        }
    }

    /// Nothing came of what was given the turn: the account's own credential goes on where it
    /// was. What became of the other is no reason to try this one sooner, nor to ask the
    /// provider for less patience.
    pub(super) fn take_up_again(&mut self, now: Now, jitter: Jitter, out: &mut Vec<Command>) {
        self.state = State::Vacant;
        let Some(aside) = self.aside.take() else { return self.settle(now, jitter, out) };
        let Aside { rest, series } = *aside;
        let not_before = series.not_before.max(self.series.not_before);
        self.series = Series { not_before, ..series };
        let handed_in = self.staged().is_some();
        if self.standing.hold != Hold::None || self.leads_elsewhere() || handed_in {
            return self.settle(now, jitter, out);
        }
        let free = self.budgeted(now.boot);
        let rest = match rest {
            State::InDoubt { next } => State::InDoubt { next: next.max(free) },
            State::Waiting { until } => State::Waiting { until: until.max(free) },
            State::Suspect { until } => State::Suspect { until: until.max(free) },
            State::Frozen { until: Some(until) } => State::Frozen { until: Some(until.max(free)) },
            State::Vacant
            | State::Fresh { .. }
            | State::Queued(_)
            | State::Exchanging(..)
            | State::Saving(..)
            | State::Leaving(..)
            | State::NeedsLogin
            | State::Frozen { until: None } => return self.settle(now, jitter, out),
        };
        self.rest(rest, out);
    }
}
