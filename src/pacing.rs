//! How many exchanges run at a time, and how fast they follow one another.
//!
//! Counted by [`Route`]: the provider's host and the client that asks there. A route
//! whose provider fails for several accounts is given rest (the *breaker*), and one that
//! refuses the refresh tokens of several accounts in a short time is not believed (the
//! *mass revocation* guard): both let one account through now and then, to see.
//!
//! An attempt that asks a gate holds its slot while somebody thinks, so such attempts get half
//! of a route's slots and a quarter of all: the others are for accounts that nobody holds up.
//!
//! The queue is ordered by [`Urgency`]. What may start is found in ordered sets, never
//! by a scan over accounts.

mod host;
mod logins;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::words::Bar;
use crate::lifecycle::words::Risk;
use crate::lifecycle::words::Ticket;
use crate::lifecycle::words::Urgency;
use crate::name::AccountId;
use crate::record::Stake;
use crate::time::Jitter;
use crate::time::Moment;

use self::host::Gate;
use self::host::Host;
use self::host::Listed;
use self::logins::Logins;
use self::logins::Whose;

/// Exchanges under way at a time, over all providers.
pub const IN_FLIGHT: usize = 64;

/// Exchanges under way at a time at one route.
pub const IN_FLIGHT_PER_ROUTE: usize = 8;

/// Attempts that ask a gate at a time, over all providers. With the hooks they leave room among
/// the programs that run at a time.
pub const GATES: usize = 16;

/// Attempts that ask a gate at a time at one route.
pub const GATES_PER_ROUTE: usize = 4;

/// Where an exchange goes: host and client.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Route {
    /// Host and port.
    pub host: Arc<str>,
    /// `client_id`.
    pub client: Arc<str>,
}

/// What an ended exchange says about its route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The provider works.
    Good,
    /// The provider cannot be reached, or says that it cannot.
    Failing,
    /// It asks for patience.
    Throttled,
    /// It refuses the refresh token.
    Refused,
    /// Nothing: it failed for a reason of its own.
    Unused,
    /// Nothing: it was never sent, so a sign-in was no login.
    Unsent,
}

/// The queue in front of all providers.
#[derive(Default)]
pub struct Pacing {
    /// Boxed: the map's nodes are half empty, and most accounts have a route of their own.
    routes: BTreeMap<Route, Box<Host>>,
    /// Where each queued account stands.
    queued: BTreeMap<AccountId, (Route, Place)>,
    in_flight: usize,
    /// How many of those ask a gate.
    gates: usize,
    admission: Admission,
    /// The last logins, by the provider's host.
    logins: Logins,
    /// When each sign-in that is under way took its login.
    signing_in: BTreeMap<AccountId, Moment>,
    /// Routes whose first in the queue may go at once, by its urgency.
    ready: BTreeSet<(Urgency, Route)>,
    /// Routes whose first in the queue may go later.
    later: BTreeSet<(Moment, Route)>,
    /// Routes where attempts wait because [`GATES`] are asked elsewhere.
    crowded: BTreeSet<Route>,
}

/// A place in a route's queue. The order of its fields is that of the queue.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// How it compares with others.
    pub urgency: Urgency,
    /// Whose attempt.
    pub account: AccountId,
    /// Which of its attempts.
    pub ticket: Ticket,
    /// What it works with: a sign-in counts as a login.
    pub stake: Stake,
    /// What can be lost by it.
    pub risk: Risk,
    /// Whether it is to ask a gate.
    pub asks: bool,
}

/// Whom the queue lets through.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Admission {
    /// Everyone.
    #[default]
    Everyone,
    /// Those who cannot lose anything: some account's tokens are not durable.
    Harmless,
}

/// What happens to the one that stands first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Turn {
    /// It may begin.
    Admit(Place),
    /// It may not before that moment, and should not wait in the queue.
    Bar {
        /// Whose attempt.
        account: AccountId,
        /// Which of its attempts.
        ticket: Ticket,
        /// When to queue again.
        until: Moment,
        /// Why.
        why: Bar,
    },
}

impl Pacing {
    /// Counts an account at its route.
    pub fn join(&mut self, route: &Route) {
        self.routes.entry(route.clone()).or_default().accounts += 1;
    }

    /// An account is gone from its route.
    pub fn leave(&mut self, account: &AccountId, route: &Route, now: Moment) {
        self.unqueue(account, now);
        if let Some(host) = self.routes.get_mut(route) {
            host.accounts = host.accounts.saturating_sub(1);
            if host.is_idle() {
                self.routes.remove(route);
            }
        }
    }

    /// Queues an attempt; an earlier one of the same account is forgotten.
    pub fn queue(&mut self, route: &Route, place: Place, now: Moment) {
        self.unqueue(&place.account, now);
        self.routes.entry(route.clone()).or_default().insert(place.clone());
        self.queued.insert(place.account.clone(), (route.clone(), place));
        self.place(route, now);
    }

    /// Forgets the queued attempt of an account.
    pub fn unqueue(&mut self, account: &AccountId, now: Moment) {
        if let Some((route, place)) = self.queued.remove(account) {
            if let Some(host) = self.routes.get_mut(&route) {
                host.remove(&place);
            }
            self.place(&route, now);
        }
    }

    /// Says whom to let through from now on.
    pub fn admit(&mut self, admission: Admission, now: Moment) {
        if std::mem::replace(&mut self.admission, admission) != admission {
            let routes = self.routes.keys().cloned().collect::<Vec<_>>();
            for route in routes {
                self.place(&route, now);
            }
        }
    }

    /// The next one whose turn it is, if any.
    pub fn turn(&mut self, now: Moment, jitter: Jitter) -> Option<Turn> {
        while let Some((at, route)) = self.later.first()
            && *at <= now
        {
            let route = route.clone();
            self.place(&route, now);
        }
        if self.in_flight >= IN_FLIGHT {
            return None;
        }
        let (route, place) = loop {
            let (_, route) = self.ready.first()?.clone();
            if let Some(place) = self.first(&route, now).cloned() {
                break (route, place);
            }
            // Others have taken the last gate since it was listed.
            self.place(&route, now);
        };
        let host = self.routes.get_mut(&route)?;
        host.remove(&place);
        self.queued.remove(&place.account);
        let free = match host.gate(&place, now) {
            Gate::Closed(until) => {
                Err((until + jitter.of(Duration::from_secs(1)), Bar::OthersFail))
            }
            Gate::Open | Gate::Later(_) | Gate::Full if place.stake == Stake::SignIn => {
                let taken = self.logins.take(&route.host, Whose::SignIn, now);
                taken.map_err(|until| (until, Bar::Logins))
            }
            Gate::Open | Gate::Later(_) | Gate::Full => Ok(()),
        };
        let turn = match free {
            Ok(()) => {
                if place.stake == Stake::SignIn {
                    self.signing_in.insert(place.account.clone(), now);
                }
                host.begin(&place, now);
                self.in_flight += 1;
                self.gates += usize::from(place.asks);
                Turn::Admit(place)
            }
            Err((until, why)) => {
                let Place { account, ticket, .. } = place;
                Turn::Bar { account, ticket, until, why }
            }
        };
        self.place(&route, now);
        Some(turn)
    }

    /// Takes one login of a person's at `host`; a sign-in without one takes it with its turn.
    /// Once a person has been told to wait, the next place is theirs.
    ///
    /// # Errors
    ///
    /// When there will be room for it, if there is none.
    pub fn login(&mut self, host: &Arc<str>, now: Moment) -> Result<(), Moment> {
        self.logins.take(host, Whose::Person, now)
    }

    /// When [`turn`](Self::turn) may have something next, if that depends on time alone.
    pub fn next_at(&self) -> Option<Moment> {
        self.later.first().map(|(at, _)| *at)
    }

    /// An admitted attempt that was to ask a gate has its answer, or asks none after all.
    pub fn answered(&mut self, route: &Route, now: Moment) {
        self.gates = self.gates.saturating_sub(1);
        if let Some(host) = self.routes.get_mut(route) {
            host.answered();
        }
        self.place(route, now);
        // All of them: the first may have to wait for something else.
        for route in std::mem::take(&mut self.crowded) {
            self.place(&route, now);
        }
    }

    /// An admitted attempt ended. If it was to ask a gate, that was [`answered`](Self::answered)
    /// before.
    pub fn ended(
        &mut self,
        account: &AccountId,
        route: &Route,
        verdict: Verdict,
        now: Moment,
        jitter: Jitter,
    ) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let taken = self.signing_in.remove(account);
        if let Some(taken) = taken.filter(|_| verdict == Verdict::Unsent) {
            self.logins.give_back(&route.host, taken);
        }
        if let Some(host) = self.routes.get_mut(route) {
            host.end(account, verdict, now, jitter);
            if host.is_idle() {
                self.routes.remove(route);
            }
        }
        self.place(route, now);
    }

    /// Puts a route where it belongs: ready, later, or neither.
    fn place(&mut self, route: &Route, now: Moment) {
        let first = self.first(route, now).cloned();
        let no_gate = self.gates >= GATES;
        let Some(host) = self.routes.get_mut(route) else { return };
        match std::mem::take(&mut host.listed) {
            Listed::Nowhere => {}
            Listed::Ready(urgency) => {
                self.ready.remove(&(urgency, route.clone()));
            }
            Listed::Later(at) => {
                self.later.remove(&(at, route.clone()));
            }
        }
        if no_gate && host.asks() {
            self.crowded.insert(route.clone());
        }
        let Some(first) = first else { return };
        match host.gate(&first, now) {
            // One that is barred gets its answer at once.
            Gate::Open | Gate::Closed(_) => {
                host.listed = Listed::Ready(first.urgency);
                self.ready.insert((first.urgency, route.clone()));
            }
            Gate::Later(at) => {
                host.listed = Listed::Later(at);
                self.later.insert((at, route.clone()));
            }
            Gate::Full => {}
        }
    }

    fn first(&self, route: &Route, now: Moment) -> Option<&Place> {
        let gates_left = GATES.saturating_sub(self.gates);
        self.routes.get(route)?.first(self.admission, gates_left, now)
    }
}
