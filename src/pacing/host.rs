//! One route: what is under way there, how fast, and whether it is believed.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::time::Duration;

use super::Admission;
use super::GATES_PER_ROUTE;
use super::IN_FLIGHT_PER_ROUTE;
use super::Place;
use super::Verdict;
use crate::lifecycle::words::Rank;
use crate::lifecycle::words::Risk;
use crate::lifecycle::words::Urgency;
use crate::name::AccountId;
use crate::time::Jitter;
use crate::time::Moment;

/// Attempts a second: at first, and the range in which it adapts.
const FIRST_RATE: f64 = 10.0;
const SLOWEST_RATE: f64 = 0.1;
const FASTEST_RATE: f64 = 200.0;

/// How many attempts may begin at once after a quiet time.
const BURST: f64 = 20.0;

/// The rate grows by half an attempt a second in each span of this length without a complaint.
const CLEAN_SPAN: Duration = Duration::from_secs(10);
const GROWTH: f64 = 0.5;

/// Moments count whole milliseconds: a pause below one would be none, and the queue would ask
/// again at the same moment without an end.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// The breaker looks at this many last attempts, and needs that many failures among them,
/// of more than one account.
const REMEMBERED: usize = 20;
const FAILURES_TO_TRIP: usize = 5;

/// Rest of a failing provider: this long at first, doubled by each failed probe.
const FIRST_REST: Duration = Duration::from_secs(15);
const LONGEST_REST: Duration = Duration::from_secs(300);

/// So much later than others an account may be the probe that was it in vain while the route rested, for
/// each such attempt since then up to its own last one: those who were told to wait until the route has rested
/// come back within half of that.
const AFTER_OTHERS: Duration = Duration::from_secs(2);

/// Refusals of this many accounts, and of a twentieth of all, in this time are not believed.
const REFUSALS_TO_DOUBT: usize = 3;
const REFUSALS_SPAN: Duration = Duration::from_secs(600);

/// Pause between probes of a provider that is not believed.
const DOUBT_PROBE: Duration = Duration::from_secs(300);

/// A route's queue and conduct.
pub(super) struct Host {
    queue: BTreeSet<Place>,
    /// Likewise, of attempts that are to ask a gate.
    asking: BTreeSet<Place>,
    /// Accounts that belong to it.
    pub(super) accounts: usize,
    /// Under which key the route is listed.
    pub(super) listed: Listed,
    in_flight: usize,
    /// How many of those ask a gate.
    gates: usize,
    rate: f64,
    /// Attempts that may begin at once, as of `refilled`.
    allowance: f64,
    refilled: Moment,
    clean_since: Moment,
    /// How each of the last attempts ended, and whose it was; while it rests, of those since then, and
    /// also of probes that say nothing.
    recent: VecDeque<(AccountId, Ending)>,
    breaker: Breaker,
    refusals: Vec<(Moment, AccountId)>,
    /// Set while refusals are not believed: when the next probe may begin.
    next_probe: Option<Moment>,
}

/// How an attempt ended, as far as the provider's health goes.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Ending {
    Answered,
    Failed,
    /// It had its turn, and did not find out how the provider is.
    Open,
}

/// Where a route is listed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Listed {
    #[default]
    Nowhere,
    Ready(Urgency),
    Later(Moment),
}

/// Whether the first in the queue may begin.
pub(super) enum Gate {
    Open,
    /// The rate allows it from then on.
    Later(Moment),
    /// Enough are under way.
    Full,
    /// The route rests until then.
    Closed(Moment),
}

#[derive(Clone, Copy)]
enum Breaker {
    Closed,
    Open { until: Moment, trips: u32 },
    Probing { trips: u32 },
}

impl Default for Host {
    fn default() -> Self {
        Self {
            queue: BTreeSet::new(),
            asking: BTreeSet::new(),
            accounts: 0,
            listed: Listed::Nowhere,
            in_flight: 0,
            gates: 0,
            rate: FIRST_RATE,
            allowance: BURST,
            refilled: Moment::default(),
            clean_since: Moment::default(),
            recent: VecDeque::new(),
            breaker: Breaker::Closed,
            refusals: Vec::new(),
            next_probe: None,
        }
    }
}

impl Host {
    /// Whether it can be forgotten.
    pub(super) fn is_idle(&self) -> bool {
        self.accounts == 0 && self.in_flight == 0 && self.queue.is_empty() && !self.asks()
    }

    /// Whether somebody waits who is to ask a gate.
    pub(super) fn asks(&self) -> bool {
        !self.asking.is_empty()
    }

    pub(super) fn insert(&mut self, place: Place) {
        let queue = if place.asks { &mut self.asking } else { &mut self.queue };
        queue.insert(place);
    }

    pub(super) fn remove(&mut self, place: &Place) {
        let queue = if place.asks { &mut self.asking } else { &mut self.queue };
        queue.remove(place);
    }

    /// Who stands first of those who are let through, those who ask a gate included while
    /// there are `gates_left`, over all routes. A breaker's probe is not one whose lost reply could cost the
    /// account, if there is another.
    pub(super) fn first(
        &self,
        admission: Admission,
        gates_left: usize,
        now: Moment,
    ) -> Option<&Place> {
        let probing = matches!(self.breaker, Breaker::Open { until, .. } if until <= now);
        let is_unfit = |place: &Place| probing && place.risk == Risk::Account;
        let first = |queue| first_of(queue, admission, is_unfit);
        let asking = (gates_left > 0 && self.gates < GATES_PER_ROUTE).then_some(&self.asking);
        let firsts = [first(&self.queue), asking.and_then(first)];
        firsts.into_iter().flatten().min_by_key(|place| (is_unfit(place), *place))
    }

    /// A replay inside its grace waits for nothing but a slot: there are a handful of them, and its
    /// account may be lost before the route has rested.
    pub(super) fn gate(&self, place: &Place, now: Moment) -> Gate {
        let replay = place.urgency.rank == Rank::InDoubt;
        if let Some(until) = self.rests_until(&place.account, now).filter(|_| !replay) {
            return Gate::Closed(until);
        }
        if self.in_flight >= IN_FLIGHT_PER_ROUTE {
            return Gate::Full;
        }
        let allowance = self.allowance(now);
        if replay || allowance >= 1.0 {
            Gate::Open
        } else {
            let missing = Duration::from_secs_f64((1.0 - allowance) / self.rate);
            Gate::Later(now + missing.max(SHORTEST_PAUSE))
        }
    }

    /// Until when it rests, if it does. An account whose login hangs, say, is no proof that the
    /// provider does: the next probe is another one's, if there is one that wants to, and of those
    /// that have failed the one for which that is longest ago.
    fn rests_until(&self, account: &AccountId, now: Moment) -> Option<Moment> {
        let in_vain =
            |(whose, ending): &(AccountId, Ending)| whose == account && *ending != Ending::Answered;
        let rest = match self.breaker {
            Breaker::Open { until, .. } => {
                let last = self.recent.iter().rposition(in_vain).map_or(0, |index| index + 1);
                Some(until + AFTER_OTHERS * u32::try_from(last).unwrap_or(u32::MAX))
            }
            Breaker::Probing { .. } => Some(now + FIRST_REST),
            Breaker::Closed => None,
        };
        rest.filter(|until| now < *until).or_else(|| self.next_probe.filter(|probe| now < *probe))
    }

    pub(super) fn begin(&mut self, place: &Place, now: Moment) {
        self.allowance = (self.allowance(now) - 1.0).max(0.0);
        self.refilled = now;
        self.in_flight += 1;
        self.gates += usize::from(place.asks);
        // What begins while the route rests is a replay, and no probe.
        if let Breaker::Open { until, trips } = self.breaker
            && until <= now
        {
            self.breaker = Breaker::Probing { trips };
        }
        if self.next_probe.is_some_and(|probe| probe <= now) {
            self.next_probe = Some(now + DOUBT_PROBE);
        }
    }

    /// A gate has answered.
    pub(super) fn answered(&mut self) {
        self.gates = self.gates.saturating_sub(1);
    }

    pub(super) fn end(
        &mut self,
        account: &AccountId,
        verdict: Verdict,
        now: Moment,
        jitter: Jitter,
    ) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match verdict {
            Verdict::Good => {
                self.remember(account, Ending::Answered);
                self.breaker = Breaker::Closed;
                self.next_probe = None;
                self.speed_up(now);
            }
            Verdict::Refused => {
                self.remember(account, Ending::Answered);
                self.breaker = Breaker::Closed;
                self.refused(account, now);
            }
            Verdict::Throttled => {
                self.allowance = self.allowance(now).min(0.0);
                self.refilled = now;
                self.rate = (self.rate * 0.5).max(SLOWEST_RATE);
                self.clean_since = now;
                self.leaves_it_open(account);
                self.rest_again(now, jitter);
            }
            Verdict::Failing => {
                self.remember(account, Ending::Failed);
                self.clean_since = now;
                self.rest_again(now, jitter);
                if matches!(self.breaker, Breaker::Closed) && self.fails_for_several() {
                    self.recent.clear();
                    self.breaker = Breaker::Open { until: now + rest(0, jitter), trips: 0 };
                }
            }
            Verdict::Unused | Verdict::Unsent => {
                self.leaves_it_open(account);
                // The provider was not asked: somebody else may find out.
                if let Breaker::Probing { trips } = self.breaker {
                    self.breaker = Breaker::Open { until: now, trips };
                }
            }
        }
    }

    /// A probe has not found out how the provider is: the next one is another account's.
    fn leaves_it_open(&mut self, account: &AccountId) {
        if let Breaker::Probing { .. } = self.breaker {
            self.remember(account, Ending::Open);
        }
    }

    /// A probe that did not show that the provider works.
    fn rest_again(&mut self, now: Moment, jitter: Jitter) {
        if let Breaker::Probing { trips } = self.breaker {
            let trips = trips.saturating_add(1);
            self.breaker = Breaker::Open { until: now + rest(trips, jitter), trips };
        }
    }

    fn remember(&mut self, account: &AccountId, ending: Ending) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((account.clone(), ending));
    }

    fn fails_for_several(&self) -> bool {
        let failed =
            self.recent.iter().filter(|(_, ending)| *ending == Ending::Failed).collect::<Vec<_>>();
        let several = failed.first().is_some_and(|first| failed.iter().any(|it| it.0 != first.0));
        several && failed.len() >= FAILURES_TO_TRIP && failed.len() * 2 >= self.recent.len()
    }

    fn refused(&mut self, account: &AccountId, now: Moment) {
        self.refusals.retain(|(at, whose)| now.since(*at) < REFUSALS_SPAN && whose != account);
        self.refusals.push((now, account.clone()));
        let too_many = REFUSALS_TO_DOUBT.max(self.accounts.div_ceil(20));
        if self.refusals.len() >= too_many && self.next_probe.is_none() {
            self.next_probe = Some(now + DOUBT_PROBE);
        }
    }

    fn speed_up(&mut self, now: Moment) {
        if now.since(self.clean_since) >= CLEAN_SPAN {
            self.allowance = self.allowance(now);
            self.refilled = now;
            self.rate = (self.rate + GROWTH).min(FASTEST_RATE);
            self.clean_since = now;
        }
    }

    fn allowance(&self, now: Moment) -> f64 {
        let gained = now.since(self.refilled).as_secs_f64() * self.rate;
        (self.allowance + gained).min(BURST.max(self.rate))
    }
}

/// The first of a queue, and of those that are fit for a probe, if there is one.
fn first_of(
    queue: &BTreeSet<Place>,
    admission: Admission,
    is_unfit: impl Fn(&Place) -> bool,
) -> Option<&Place> {
    let everyone = admission == Admission::Everyone;
    let able = || queue.iter().filter(|place| everyone || place.risk == Risk::None);
    able().find(|place| !is_unfit(place)).or_else(|| able().next())
}

/// How long a failing provider rests after that many failed probes.
fn rest(trips: u32, jitter: Jitter) -> Duration {
    let whole = FIRST_REST.saturating_mul(1 << trips.min(8)).min(LONGEST_REST);
    jitter.between(whole / 2, whole)
}
