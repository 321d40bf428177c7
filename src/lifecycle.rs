//! What one account goes through.
//!
//! [`Account::handle`] takes an input and the time and says what to do. It is total: an
//! input that means nothing in a state changes nothing. It knows no clock, socket, file
//! or random source, and there is no command that asks a person for anything: a refresh
//! that fails is raised, and that is all that can happen to it.
//!
//! # Reading order
//!
//! 1. `words`: what an account hears ([`Input`]) and wants done ([`Command`]); `state`: what
//!    it remembers.
//! 2. `flight`: one attempt, from its place in the queue to the provider's answer; `turn`: when
//!    one may be made.
//! 3. `saving` and `failure`: what becomes of the answer, and `doubt`, if there is none; `duties`:
//!    what must be written besides.
//! 4. `restart`: what is taken over at a start; `rest`: where an account comes to rest, and what
//!    wakes it; `aside`: where it goes on after something else had the turn.
//! 5. `renewal`: by what its tokens are renewed, and when; `ahead`: the end of a login.
//! 6. `orders`: what people and programs may ask of it; `imports`: what is handed in, and `proving`,
//!    what becomes of it if it fails; `leaving`: a logout; `release`: after which somebody else owns
//!    its refresh token.
//!
//! # Invariants
//!
//! * At most one attempt is under way. An answer carries the [`Ticket`] of the attempt that
//!   it belongs to; an answer to an older one is void.
//! * A refresh token that could be lost is never sent before its intent is durable
//!   ([`Command::Intend`] comes before [`Command::Exchange`]).
//! * Tokens are published after they are durable. If they cannot be made durable they
//!   are published as `unsaved`, and the pair is kept in memory until they are.
//! * A failure is durable before it is raised, unless the store is what failed.
//! * No write is sent off whose end nobody hears.
//! * Nothing discards a refresh token. The worst that can be said of one is
//!   [`Condition::NeedsLogin`](crate::record::Condition::NeedsLogin), and it is still there.
//! * Every attempt counts against the request [budget](crate::budget), which is asked
//!   before it is queued and again before it is sent.

mod ahead;
mod aside;
mod doubt;
mod duties;
mod failure;
mod flight;
mod imports;
mod leaving;
mod orders;
mod proving;
mod release;
mod renewal;
mod rest;
mod restart;
mod saving;
mod state;
#[cfg(test)]
mod tests;
mod turn;
pub mod words;

use std::num::NonZero;
use std::sync::Arc;

use crate::budget::Window;
use crate::name::AccountId;
use crate::notice::Event;
use crate::plan::Entry;
use crate::plan::Plan;
use crate::record::Lineage;
use crate::record::Stake;
use crate::record::Standing;
use crate::snapshot::Held;
use crate::snapshot::Rare;
use crate::snapshot::Snapshot;
use crate::snapshot::StateName;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;
use crate::token::Generation;
use crate::token::TokenSet;

use self::words::Beginning;
use self::words::Command;
use self::words::Discovery;
use self::words::Done;
use self::words::Input;
use self::words::Ticket;

use self::duties::Duty;
use self::duties::What;
use self::state::Aside;
use self::state::Attempt;
use self::state::Brought;
use self::state::Candidate;
use self::state::Catch;
use self::state::Doubt;
use self::state::Proof;
use self::state::Sent;
use self::state::Series;
use self::state::State;
use self::state::Step;
use self::state::Told;

/// One account's life.
pub struct Account {
    id: AccountId,
    plan: Arc<Plan>,
    /// Where the configuration sends its credential.
    lineage: Lineage,
    /// Where its credential came from.
    origin: Lineage,
    /// Where the attempt under way was sent.
    destination: Lineage,
    state: State,
    /// The newest tokens.
    held: Option<Held>,
    /// Whether `held` is not durable yet.
    unsaved: bool,
    generation: Generation,
    /// Whether the store has a refresh token.
    refreshable: bool,
    /// The one that was handed in and has yet to prove itself. Boxed: it is rare.
    candidate: Option<Box<Candidate>>,
    /// Where its own credential goes on, while that or a logout has the turn. Boxed: it is rare.
    aside: Option<Box<Aside>>,
    /// Who handed the candidate in and waits to hear what came of it.
    importer: Option<Ticket>,
    /// The writes whose ends orders wait for.
    ordered: Vec<(Ticket, Done)>,
    /// Writes that must be done.
    duties: Vec<Duty>,
    subject: Option<Box<str>>,
    standing: Standing,
    series: Series,
    doubt: Option<Doubt>,
    discovery: Discovery,
    /// How it comes by a credential, where the provider was asked.
    entry: Option<Entry>,
    /// Since when its attempts are counted here; older ones are known as far as they were stored.
    begun: Moment,
    /// Starts of the last attempts, and of those that local programs forced.
    requests: Window,
    forced: Window,
    /// The newest ticket that was given out.
    tickets: Option<Ticket>,
    told: Told,
    /// When the end of the login is told next.
    ahead: Option<Moment>,
    /// The secret for want of which it has not signed in, as `ACCOUNT.SLOT`. While vacant.
    lacks: Option<Box<str>>,
}

impl Account {
    /// An account that the configuration names, with what the store holds of it.
    ///
    /// The commands are the first ones: [`Command::Publish`] is among them.
    pub fn begin(beginning: Beginning, now: Now, jitter: Jitter) -> (Self, Vec<Command>) {
        let Beginning { id, plan, lineage, record } = beginning;
        let mut account = Self {
            id,
            plan,
            origin: lineage.clone(),
            destination: lineage.clone(),
            lineage,
            state: State::Vacant,
            held: None,
            unsaved: false,
            generation: Generation::default(),
            refreshable: false,
            candidate: None,
            aside: None,
            importer: None,
            ordered: Vec::new(),
            duties: Vec::new(),
            subject: None,
            standing: Standing::default(),
            series: Series::default(),
            doubt: None,
            discovery: Discovery::ToDo,
            entry: None,
            begun: now.boot,
            requests: Window::requests(),
            forced: Window::forced(),
            tickets: None,
            told: Told::default(),
            ahead: None,
            lacks: None,
        };
        let mut commands = Vec::new();
        if let Some(record) = record {
            let unsaved = record.unsaved;
            account.restore(record, now, &mut commands);
            if unsaved {
                account.inherit(now, &mut commands);
            }
        }
        account.settle(now, jitter, &mut commands);
        account.look_ahead(now);
        // A start changes nothing: where the account rests is published, not told.
        commands.retain(|command| !matches!(command, Command::Tell(Event::StateChanged)));
        (account, commands)
    }

    /// Takes an input and says what to do. The commands are to be carried out in order.
    pub fn handle(&mut self, input: Input, now: Now, jitter: Jitter) -> Vec<Command> {
        let mut out = Vec::new();
        match input {
            Input::Woken => self.woken(now, &mut out),
            Input::Admitted(ticket) => self.admitted(ticket, now, &mut out),
            Input::Barred { ticket, until, why } => {
                self.barred(ticket, until, why, now, &mut out);
            }
            Input::Intended(ticket, result) => {
                self.intended(ticket, result, now, jitter, &mut out);
            }
            Input::Exchanged(ticket, outcome) => {
                self.exchanged(ticket, outcome, now, jitter, &mut out);
            }
            Input::Revoked(ticket, revocation) => {
                self.revoked(ticket, revocation, now, jitter, &mut out);
            }
            Input::Written(ticket, result) => self.written(ticket, result, now, jitter, &mut out),
            Input::Ordered(action) => self.ordered(action, now, jitter, &mut out),
            Input::Reconfigured(plan, lineage) => {
                self.reconfigured(plan, lineage, now, jitter, &mut out);
            }
            Input::ClockStepped => self.clock_stepped(now, &mut out),
        }
        out
    }

    /// Takes down whether the provider's endpoint is known by now: an attempt then makes one
    /// request, where discovering it takes more.
    pub const fn discovery_is(&mut self, discovery: Discovery) {
        self.discovery = discovery;
    }

    /// Takes down how the account comes by a credential; `None` if its plan is to say so again.
    pub const fn enters_by(&mut self, entry: Option<Entry>) {
        self.entry = entry;
    }

    /// How the account comes by a credential.
    fn entry(&self) -> Entry {
        self.entry.unwrap_or(self.plan.entry)
    }

    /// When [`Input::Woken`] is due, if ever.
    pub fn wake_at(&self) -> Option<Moment> {
        let planned = self.planned();
        let expiry = self.expiry_to_tell();
        let alarm = self.alarm_to_tell();
        [planned, expiry, alarm, self.ahead_at(), self.duty_at()].into_iter().flatten().min()
    }

    /// How the account is seen from outside.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            state: self.state_name(),
            generation: self.generation,
            held: self.held.clone(),
            next: self.planned(),
            failure: self.raised(),
            alarm: self.alarm(),
            unsaved: self.unsaved,
            released: self.is_released(),
            taken_over: self.standing.taken_over.clone(),
            gave_up_signing_in: self.gave_up_signing_in(),
            origin: self.has_credential().then(|| self.origin.clone()),
            entry: self.entry(),
            rare: self.rare().boxed(),
        }
    }

    /// The tokens that it holds.
    pub fn tokens(&self) -> Option<Arc<TokenSet>> {
        self.held.as_ref().map(|held| Arc::clone(&held.tokens))
    }

    fn rare(&self) -> Rare {
        let foreign = self.standing.foreign.as_ref();
        Rare {
            foreign: foreign.map(|it| Timestamp::from_millis(it.at_ms)),
            login_ends: self.standing.ends.as_deref().copied().filter(|_| self.refreshable),
            lacks: self.lacks.clone().filter(|_| matches!(self.state, State::Vacant)),
        }
    }

    /// Whether it has tokens that are not durable: while any account has, no other may
    /// spend a refresh token that could be lost.
    pub const fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Whether something is under way that a stop must wait for.
    pub fn is_busy(&self) -> bool {
        matches!(self.state, State::Exchanging(..) | State::Saving(..) | State::Leaving(..))
            || self.is_in_duty()
    }

    fn state_name(&self) -> StateName {
        match &self.state {
            State::Vacant => StateName::Vacant,
            State::Fresh { .. } => StateName::Fresh,
            State::Queued(_) => StateName::Queued,
            State::Exchanging(..) | State::Leaving(..) => StateName::Exchanging,
            State::Saving(..) => StateName::Saving,
            State::InDoubt { .. } => StateName::InDoubt,
            State::Waiting { .. } => StateName::Waiting,
            State::Suspect { .. } => StateName::Suspect,
            State::NeedsLogin => StateName::NeedsLogin,
            State::Frozen { .. } => StateName::Frozen,
        }
    }

    /// When something happens next by itself.
    fn planned(&self) -> Option<Moment> {
        match &self.state {
            State::Fresh { due } => Some(*due),
            State::InDoubt { next } => Some(*next),
            State::Waiting { until } | State::Suspect { until } => Some(*until),
            State::Frozen { until } => *until,
            State::Saving(_, catch) => catch.retry,
            State::Vacant
            | State::Queued(_)
            | State::Exchanging(..)
            | State::Leaving(..)
            | State::NeedsLogin => None,
        }
    }

    /// The doubt about a credential.
    const fn doubt_about(&self, stake: Stake) -> Option<Doubt> {
        match stake {
            Stake::Current => self.doubt,
            Stake::Staged => match &self.candidate {
                Some(candidate) => candidate.doubt,
                None => None,
            },
            Stake::SignIn => None,
        }
    }

    /// The credential that the store has staged, so that it can be proven.
    fn staged(&self) -> Option<&Candidate> {
        self.candidate.as_deref().filter(|candidate| candidate.staging.is_none())
    }

    fn next_ticket(&mut self) -> Ticket {
        let number = self.tickets.map_or(NonZero::<u64>::MIN, |newest| newest.0.saturating_add(1));
        *self.tickets.insert(Ticket::new(number))
    }

    /// Whether an attempt is queued or under way, or a logout is.
    const fn is_flying(&self) -> bool {
        matches!(
            self.state,
            State::Queued(_) | State::Exchanging(..) | State::Saving(..) | State::Leaving(..)
        )
    }
}
