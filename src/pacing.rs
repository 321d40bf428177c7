//! How many exchanges run at a time, and how fast they follow one another.
//!
//! Counted by [`Route`]: the provider's host and the client that asks there. A route
//! whose provider fails for several accounts is given rest (the *breaker*), and one that
//! refuses the refresh tokens of several accounts in a short time is not believed (the
//! *mass revocation* guard): both let one account through now and then, to see.
//!
//! The queue is ordered by [`Urgency`]. What may start is found in ordered sets, never
//! by a scan over accounts.

mod host;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::Risk;
use crate::lifecycle::Ticket;
use crate::lifecycle::Urgency;
use crate::name::AccountId;
use crate::time::Jitter;
use crate::time::Moment;

use self::host::Gate;
use self::host::Host;
use self::host::Listed;

/// Exchanges under way at a time, over all providers.
pub const IN_FLIGHT: usize = 64;

/// Exchanges under way at a time at one route.
pub const IN_FLIGHT_PER_ROUTE: usize = 8;

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
    /// Nothing: it never began, or failed for a reason of its own.
    Unused,
}

/// The queue in front of all providers.
#[derive(Default)]
pub struct Pacing {
    /// Boxed: the map's nodes are half empty, and most accounts have a route of their own.
    routes: BTreeMap<Route, Box<Host>>,
    /// Where each queued account stands.
    queued: BTreeMap<AccountId, (Route, Place)>,
    in_flight: usize,
    /// While set, nothing is let through that could be lost.
    store_is_ill: bool,
    /// Routes whose first in the queue may go at once, by its urgency.
    ready: BTreeSet<(Urgency, Route)>,
    /// Routes whose first in the queue may go later.
    later: BTreeSet<(Moment, Route)>,
}

/// A place in a route's queue.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Place {
    urgency: Urgency,
    account: AccountId,
    ticket: Ticket,
    risk: Risk,
}

/// What happens to the one that stands first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Turn {
    /// It may begin.
    Admit(AccountId, Ticket),
    /// It may not before that moment, and should not wait in the queue.
    Bar(AccountId, Ticket, Moment),
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
    pub fn queue(
        &mut self,
        account: &AccountId,
        route: &Route,
        ticket: Ticket,
        urgency: Urgency,
        risk: Risk,
        now: Moment,
    ) {
        self.unqueue(account, now);
        let place = Place { urgency, account: account.clone(), ticket, risk };
        self.routes.entry(route.clone()).or_default().queue.insert(place.clone());
        self.queued.insert(account.clone(), (route.clone(), place));
        self.place(route, now);
    }

    /// Forgets the queued attempt of an account.
    pub fn unqueue(&mut self, account: &AccountId, now: Moment) {
        if let Some((route, place)) = self.queued.remove(account) {
            if let Some(host) = self.routes.get_mut(&route) {
                host.queue.remove(&place);
            }
            self.place(&route, now);
        }
    }

    /// Whether everything that could be lost has to stay: some account's tokens are not durable.
    pub fn store_is_ill(&mut self, ill: bool, now: Moment) {
        if std::mem::replace(&mut self.store_is_ill, ill) != ill {
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
        let (_, route) = self.ready.first()?.clone();
        let ill = self.store_is_ill;
        let host = self.routes.get_mut(&route)?;
        let place = host.first(ill, now)?;
        host.queue.remove(&place);
        self.queued.remove(&place.account);
        let turn = match host.gate(place.urgency.rank, now) {
            Gate::Closed(until) => {
                let until = until + jitter.of(Duration::from_secs(1));
                Turn::Bar(place.account, place.ticket, until)
            }
            Gate::Open | Gate::Later(_) | Gate::Full => {
                host.begin(now);
                self.in_flight += 1;
                Turn::Admit(place.account, place.ticket)
            }
        };
        self.place(&route, now);
        Some(turn)
    }

    /// When [`turn`](Self::turn) may have something next, if that depends on time alone.
    pub fn next_at(&self) -> Option<Moment> {
        self.later.first().map(|(at, _)| *at)
    }

    /// An admitted attempt ended.
    pub fn ended(
        &mut self,
        account: &AccountId,
        route: &Route,
        verdict: Verdict,
        now: Moment,
        jitter: Jitter,
    ) {
        self.in_flight = self.in_flight.saturating_sub(1);
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
        let ill = self.store_is_ill;
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
        let Some(first) = host.first(ill, now) else { return };
        match host.gate(first.urgency.rank, now) {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::Rank;

    #[test]
    fn the_most_urgent_goes_first() {
        let mut pacing = Pacing::default();
        let route = route("a");
        pacing.queue(
            &id("late"),
            &route,
            Ticket::from(1),
            urgency(Rank::Planned, 90),
            Risk::None,
            at(0),
        );
        pacing.queue(
            &id("soon"),
            &route,
            Ticket::from(1),
            urgency(Rank::Planned, 10),
            Risk::None,
            at(0),
        );
        pacing.queue(
            &id("wanted"),
            &route,
            Ticket::from(1),
            urgency(Rank::Wanted, 99),
            Risk::None,
            at(0),
        );
        pacing.queue(
            &id("doubt"),
            &route,
            Ticket::from(1),
            urgency(Rank::InDoubt, 99),
            Risk::None,
            at(0),
        );

        assert_eq!(admitted(&mut pacing, 0), ["doubt", "wanted", "soon", "late"]);
    }

    #[test]
    fn a_route_carries_eight_at_a_time_and_the_next_when_one_ends() {
        let mut pacing = Pacing::default();
        fill(&mut pacing, "a", 10, Rank::Planned);
        assert_eq!(admitted(&mut pacing, 0).len(), IN_FLIGHT_PER_ROUTE);
        assert_eq!(pacing.next_at(), None);

        pacing.ended(&id("a-0"), &route("a"), Verdict::Good, at(1), none());
        assert_eq!(admitted(&mut pacing, 1).len(), 1);
    }

    #[test]
    fn all_routes_together_carry_sixty_four() {
        let mut pacing = Pacing::default();
        for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i"] {
            fill(&mut pacing, name, 8, Rank::Planned);
        }
        assert_eq!(admitted(&mut pacing, 0).len(), IN_FLIGHT);
    }

    #[test]
    fn the_rate_holds_back_what_is_planned_and_lets_replays_through() {
        let mut pacing = Pacing::default();
        pacing.join(&route("a"));
        let mut begun = 0;
        fill(&mut pacing, "a", 40, Rank::Planned);
        loop {
            let batch = admitted(&mut pacing, 0);
            if batch.is_empty() {
                break;
            }
            begun += batch.len();
            for account in batch {
                pacing.ended(&id(&account), &route("a"), Verdict::Good, at(0), none());
            }
        }
        assert_eq!(begun, 20, "a burst of twenty");
        assert!(pacing.next_at().is_some_and(|at| at.as_millis() == 100), "then ten a second");

        pacing.queue(
            &id("doubt"),
            &route("a"),
            Ticket::from(1),
            urgency(Rank::InDoubt, 1),
            Risk::Replayable,
            at(0),
        );
        assert_eq!(admitted(&mut pacing, 0), ["doubt"]);
    }

    /// After a complaint the rate is such that a turn is due between two milliseconds.
    #[test]
    fn a_turn_that_must_wait_is_always_later() {
        let mut pacing = Pacing::default();
        pacing.join(&route("a"));
        for millis in 0..5_000 {
            let now = Moment::from_millis(millis);
            let (ticket, urgency) = (Ticket::from(1), urgency(Rank::Planned, 0));
            pacing.queue(&id("a"), &route("a"), ticket, urgency, Risk::None, now);
            if let Some(Turn::Admit(account, _)) = pacing.turn(now, none()) {
                pacing.ended(&account, &route("a"), Verdict::Throttled, now, none());
            }
            assert!(pacing.next_at().is_none_or(|next| next > now), "at {millis} ms");
        }
    }

    #[test]
    fn a_provider_that_fails_for_several_gets_rest_and_then_one_probe() {
        let mut pacing = Pacing::default();
        pacing.join(&route("a"));
        fill(&mut pacing, "a", 6, Rank::Planned);
        for account in admitted(&mut pacing, 0) {
            pacing.ended(&id(&account), &route("a"), Verdict::Failing, at(0), none());
        }
        fill(&mut pacing, "a", 3, Rank::Planned);
        assert!(
            matches!(pacing.turn(at(1), none()), Some(Turn::Bar(_, _, until)) if until > at(1))
        );
        assert!(admitted(&mut pacing, 1).is_empty());

        fill(&mut pacing, "a", 3, Rank::Planned);
        assert_eq!(admitted(&mut pacing, 20).len(), 1, "one probe");
        pacing.ended(&id("a-0"), &route("a"), Verdict::Good, at(20), none());
        fill(&mut pacing, "a", 3, Rank::Planned);
        assert_eq!(admitted(&mut pacing, 20).len(), 3, "and then everyone");
    }

    #[test]
    fn one_account_that_fails_does_not_stop_its_neighbours() {
        let mut pacing = Pacing::default();
        pacing.join(&route("a"));
        for second in 0..20 {
            let (account, route) = (id("alone"), route("a"));
            pacing.queue(
                &account,
                &route,
                Ticket::from(1),
                urgency(Rank::Planned, 0),
                Risk::None,
                at(second),
            );
            assert_eq!(admitted(&mut pacing, second).len(), 1);
            pacing.ended(&account, &route, Verdict::Failing, at(second), none());
        }
    }

    #[test]
    fn refusals_of_several_accounts_are_not_believed_at_once() {
        let mut pacing = Pacing::default();
        for _ in 0..3 {
            pacing.join(&route("a"));
        }
        fill(&mut pacing, "a", 3, Rank::Planned);
        for account in admitted(&mut pacing, 0) {
            pacing.ended(&id(&account), &route("a"), Verdict::Refused, at(0), none());
        }
        fill(&mut pacing, "a", 3, Rank::Planned);
        assert!(admitted(&mut pacing, 1).is_empty());

        fill(&mut pacing, "a", 3, Rank::Planned);
        assert_eq!(admitted(&mut pacing, 301), ["a-0"], "one probe in five minutes");
        pacing.ended(&id("a-0"), &route("a"), Verdict::Good, at(301), none());
        fill(&mut pacing, "a", 3, Rank::Planned);
        assert_eq!(admitted(&mut pacing, 302).len(), 3);
    }

    #[test]
    fn while_tokens_are_not_durable_only_what_cannot_be_lost_goes() {
        let mut pacing = Pacing::default();
        pacing.queue(
            &id("risky"),
            &route("a"),
            Ticket::from(1),
            urgency(Rank::Planned, 0),
            Risk::Replayable,
            at(0),
        );
        pacing.queue(
            &id("safe"),
            &route("a"),
            Ticket::from(1),
            urgency(Rank::Planned, 9),
            Risk::None,
            at(0),
        );
        pacing.store_is_ill(true, at(0));
        assert_eq!(admitted(&mut pacing, 0), ["safe"]);
        pacing.store_is_ill(false, at(0));
        assert_eq!(admitted(&mut pacing, 0), ["risky"]);
    }

    #[test]
    fn an_account_that_leaves_takes_its_place_along() {
        let mut pacing = Pacing::default();
        pacing.join(&route("a"));
        pacing.queue(
            &id("gone"),
            &route("a"),
            Ticket::from(1),
            urgency(Rank::Planned, 0),
            Risk::None,
            at(0),
        );
        pacing.leave(&id("gone"), &route("a"), at(0));
        assert!(admitted(&mut pacing, 0).is_empty());
        assert!(pacing.routes.is_empty());
    }

    /// Everyone whose turn it is at that second; those that are barred are dropped.
    fn admitted(pacing: &mut Pacing, second: u64) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(turn) = pacing.turn(at(second), none()) {
            if let Turn::Admit(account, _) = turn {
                names.push(account.to_string());
            }
        }
        names
    }

    fn fill(pacing: &mut Pacing, name: &str, count: u64, rank: Rank) {
        for index in 0..count {
            let account = id(&format!("{name}-{index}"));
            pacing.queue(
                &account,
                &route(name),
                Ticket::from(1),
                urgency(rank, index),
                Risk::Replayable,
                at(0),
            );
        }
    }

    fn route(host: &str) -> Route {
        Route { host: host.into(), client: "client".into() }
    }

    fn id(name: &str) -> AccountId {
        AccountId::parse(name).unwrap()
    }

    const fn urgency(rank: Rank, secs: u64) -> Urgency {
        Urgency { rank, deadline: at(secs) }
    }

    const fn at(secs: u64) -> Moment {
        Moment::from_millis(secs * 1000)
    }

    const fn none() -> Jitter {
        Jitter::new(0.0)
    }
}
