//! What one account goes through.
//!
//! [`Account::handle`] takes an input and the time and says what to do. It is total: an
//! input that means nothing in a state changes nothing. It knows no clock, socket, file
//! or random source, and there is no command that asks a person for anything: a refresh
//! that fails is raised, and that is all that can happen to it.
//!
//! # Reading order
//!
//! 1. `State`, [`Input`] and [`Command`]: the words.
//! 2. `flight`: one attempt, from its place in the queue to the provider's answer.
//! 3. `saving` and `failure`: what becomes of the answer.
//! 4. `rest`: where an account comes to rest, and what wakes it.
//! 5. `orders`: what people and programs may ask of it.
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
//! * Nothing discards a refresh token. The worst that can be said of one is
//!   [`Condition::NeedsLogin`](crate::record::Condition::NeedsLogin), and it is still there.
//! * Every attempt counts against the request [budget](crate::budget), which is asked
//!   before it is queued and again before it is sent.

mod failure;
mod flight;
mod orders;
mod rest;
mod saving;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::budget::Window;
use crate::error::RefreshError;
use crate::name::AccountId;
use crate::notice::Event;
use crate::notice::Reason;
use crate::plan::Plan;
use crate::provider::Outcome;
use crate::record::Lineage;
use crate::record::Record;
use crate::record::Standing;
use crate::record::StoreError;
use crate::record::Write;
use crate::snapshot::Held;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::snapshot::StateName;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;
use crate::token::Generation;
use crate::token::Grant;
use crate::token::Secret;

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
    /// Where a refresh token may be sent that an operator handed in and that waits to be proven.
    staged: Option<Lineage>,
    /// What [`Standing::taken_over`] is once that is proven.
    candidate: Option<Box<str>>,
    /// The write that stages one.
    staging: Option<(Ticket, Lineage)>,
    /// The write whose end an order waits for.
    ordered: Option<(Ticket, Done)>,
    subject: Option<Box<str>>,
    standing: Standing,
    series: Series,
    doubt: Option<Doubt>,
    /// The same of the staged credential.
    staged_doubt: Option<Doubt>,
    /// Whether the endpoint need not be discovered first.
    endpoint_known: bool,
    /// Starts of the last attempts, and of those that local programs forced.
    requests: Window,
    forced: Window,
    /// The newest ticket that was given out.
    tickets: u64,
    told: Told,
}

/// Where an account is. Each state carries only what it needs.
enum State {
    /// There is no credential.
    Vacant,
    /// The tokens are good until a refresh is due.
    Fresh { due: Moment },
    /// An attempt waits for its turn.
    Queued(Attempt),
    /// An attempt is under way.
    Exchanging(Attempt, Step),
    /// What it brought is being made durable.
    Saving(Attempt, Box<Catch>),
    /// A spent refresh token's reply was lost. `next` is the planned replay.
    InDoubt { next: Moment },
    /// The last attempt failed; the next one is at `until`.
    Waiting { until: Moment },
    /// The refresh token was refused; the next confirmation is at `until`.
    Suspect { until: Moment },
    /// A person has to log in.
    NeedsLogin,
    /// Paused, or misconfigured and probed at `until`.
    Frozen { until: Option<Moment> },
}

/// One attempt at the provider.
#[derive(Clone, Copy)]
struct Attempt {
    ticket: Ticket,
    reason: Reason,
    /// Whether it spends the staged credential.
    staged: bool,
}

/// How far an attempt is.
enum Step {
    /// Its secrets are fetched and its intent is being made durable.
    Intending,
    /// The request is out, since `sent`.
    Sent { sent: Now },
    /// It failed, and that is being made durable. The account comes to rest at `then`.
    Noting { then: Box<State> },
}

/// What an attempt brought.
struct Catch {
    what: Brought,
    /// When its request was sent.
    sent: Now,
    /// How often it could not be saved.
    refused: u32,
    /// When saving is tried again; `None` while it is being tried.
    retry: Option<Moment>,
}

#[derive(Clone)]
enum Brought {
    Tokens(Arc<Grant>),
    /// A new refresh token out of a broken reply.
    RefreshToken(Secret, RefreshError),
}

/// A series of failed attempts.
#[derive(Clone, Copy, Default)]
struct Series {
    /// Attempts begun in it.
    attempts: u32,
    /// When the first of them failed.
    since: Option<Moment>,
    /// The last pause.
    pause: Duration,
    /// Throttled answers in a row.
    throttles: u32,
    /// What the provider asked us to stay away until.
    not_before: Option<Moment>,
}

/// A spend whose reply was lost.
#[derive(Clone, Copy)]
struct Doubt {
    /// When it was sent; the wall clock knows it too, since the host may have been booted since.
    sent: Now,
    /// Replays begun.
    replays: u32,
    /// Whether the grace is known to be over, or nothing can be said of it.
    late: bool,
}

/// What was said once and is not said again.
#[derive(Clone, Copy, Default)]
struct Told {
    alarm: bool,
    expiry: bool,
}

/// Names one piece of work; an answer to an older one is void.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(u64);

/// What an account hears.
pub enum Input {
    /// The time of [`Account::wake_at`] has come.
    Woken,
    /// The queued attempt may begin.
    Admitted(Ticket),
    /// The queued attempt may not begin before `until`: the provider's host fails for others too.
    Barred {
        /// Which attempt.
        ticket: Ticket,
        /// When to queue again.
        until: Moment,
    },
    /// Secrets and refresh token are at hand; `Ok(true)` if the intent is durable.
    Intended(Ticket, Result<bool, RefreshError>),
    /// The exchange ended.
    Exchanged(Ticket, Outcome),
    /// A [`Command::Write`] ended; with the generation where it made one.
    Written(Ticket, Result<Option<Generation>, StoreError>),
    /// Somebody ordered something.
    Ordered(Action),
    /// The configuration changed.
    Reconfigured(Arc<Plan>, Lineage),
    /// The wall clock was set, or the host slept.
    ClockStepped,
}

/// What can be ordered of an account. Each is answered with [`Command::Answer`], or
/// [`Command::Proven`], unless it changes nothing.
pub enum Action {
    /// Somebody waits for a token that is not there: begin a refresh, if that is sensible.
    Demand,
    /// Refresh now, if the budget allows.
    Refresh,
    /// The token of this generation was rejected by the provider's API.
    Report {
        /// Its generation.
        generation: Generation,
        /// Whether that was noticed on a stream.
        stream: bool,
    },
    /// Take over a refresh token, after one exchange has proven it. Answered when that is over.
    Import(Secret),
    /// Spend nothing until [`Resume`](Self::Resume).
    Pause,
    /// End a pause.
    Resume,
    /// Leave a resting state and try now.
    Retry,
    /// Forget the credential.
    Clear,
    /// One of the account's secrets changed.
    SecretChanged,
}

/// What an account wants done.
pub enum Command {
    /// Queue an attempt.
    Queue {
        /// Which.
        ticket: Ticket,
        /// How it compares with others.
        urgency: Urgency,
        /// What can be lost by it.
        risk: Risk,
    },
    /// Forget the queued attempt.
    Unqueue,
    /// Fetch the secrets, make the intent durable, and keep what it hands out for the exchange.
    Intend {
        /// Which attempt.
        ticket: Ticket,
        /// A [`Write::Intent`].
        write: Write,
    },
    /// Make the exchange.
    Exchange {
        /// Which attempt.
        ticket: Ticket,
        /// How long it may take in all.
        timeout: Duration,
    },
    /// Make this durable.
    Write {
        /// Which piece of work.
        ticket: Ticket,
        /// What.
        write: Write,
    },
    /// Show the account's new state to its readers.
    Publish,
    /// Tell everyone who follows.
    Tell(Event),
    /// Answer the order that this input was.
    Answer(Result<Done, Refusal>),
    /// Answer the operator who handed in a refresh token.
    Proven(Result<Generation, Refusal>),
}

/// What came of an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Done {
    /// A refresh is under way; the account is at this generation until it ends.
    Joined(Generation),
    /// Nothing had to be done: the account is at this generation.
    Current(Generation),
}

/// How an attempt compares with others: lower goes first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Urgency {
    /// What it is.
    pub rank: Rank,
    /// By when it should be done.
    pub deadline: Moment,
}

/// What an attempt is, most urgent first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Rank {
    /// The replay of a spend in doubt, inside its grace.
    InDoubt,
    /// Somebody waits and has no token.
    Wanted,
    /// Everything else, by expiry.
    Planned,
}

/// What can be lost by an attempt.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Risk {
    /// Nothing.
    None,
    /// A lost reply can be replayed.
    Replayable,
    /// A lost reply may cost the account.
    Account,
}

impl Account {
    /// An account that the configuration names, with what the store holds of it.
    ///
    /// The commands are the first ones: [`Command::Publish`] is among them.
    pub fn begin(
        id: AccountId,
        plan: Arc<Plan>,
        lineage: Lineage,
        record: Option<Record>,
        now: Now,
        jitter: Jitter,
    ) -> (Self, Vec<Command>) {
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
            staged: None,
            candidate: None,
            staging: None,
            ordered: None,
            subject: None,
            standing: Standing::default(),
            series: Series::default(),
            doubt: None,
            staged_doubt: None,
            endpoint_known: false,
            requests: Window::requests(),
            forced: Window::forced(),
            tickets: 0,
            told: Told::default(),
        };
        let mut commands = Vec::new();
        if let Some(record) = record {
            account.restore(record, now, &mut commands);
        }
        account.settle(now, jitter, &mut commands);
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
            Input::Barred { ticket, until } => self.barred(ticket, until, now, &mut out),
            Input::Intended(ticket, result) => {
                self.intended(ticket, result, now, jitter, &mut out);
            }
            Input::Exchanged(ticket, outcome) => {
                self.exchanged(ticket, outcome, now, jitter, &mut out);
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
    pub const fn endpoint_is_known(&mut self, known: bool) {
        self.endpoint_known = known;
    }

    /// When [`Input::Woken`] is due, if ever.
    pub fn wake_at(&self) -> Option<Moment> {
        let planned = self.planned();
        let expiry = self.expiry_to_tell();
        let alarm = self.alarm_at();
        [planned, expiry, alarm].into_iter().flatten().min()
    }

    /// How the account is seen from outside.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            state: self.state_name(),
            generation: self.generation,
            held: self.held.clone(),
            next: self.planned(),
            failure: self.standing.failure.as_deref().cloned().map(Arc::new),
            unsaved: self.unsaved,
        }
    }

    /// Whether it has tokens that are not durable: while any account has, no other may
    /// spend a refresh token that could be lost.
    pub const fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Whether something is under way that a stop must wait for.
    pub const fn is_busy(&self) -> bool {
        matches!(self.state, State::Exchanging(..) | State::Saving(..))
    }

    fn state_name(&self) -> StateName {
        match &self.state {
            State::Vacant => StateName::Vacant,
            State::Fresh { .. } => StateName::Fresh,
            State::Queued(_) => StateName::Queued,
            State::Exchanging(..) => StateName::Exchanging,
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
            State::Vacant | State::Queued(_) | State::Exchanging(..) | State::NeedsLogin => None,
        }
    }

    /// Whether an order is answered by a write that is under way.
    pub const fn owes_an_answer(&self) -> bool {
        self.ordered.is_some()
    }

    /// The doubt about the credential that an attempt spends.
    const fn doubt_about(&self, staged: bool) -> Option<Doubt> {
        if staged { self.staged_doubt } else { self.doubt }
    }

    fn next_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Whether an attempt is queued or under way.
    const fn is_flying(&self) -> bool {
        matches!(self.state, State::Queued(_) | State::Exchanging(..) | State::Saving(..))
    }
}

impl Ticket {
    /// A ticket that no attempt has: for writes whose answer nobody waits for.
    const UNHEARD: Self = Self(0);
}

impl From<u64> for Ticket {
    fn from(number: u64) -> Self {
        Self(number)
    }
}
