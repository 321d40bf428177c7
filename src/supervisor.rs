//! The one loop that owns all accounts.
//!
//! It carries out what [`lifecycle`](crate::lifecycle) decides and decides nothing
//! itself. Slow work runs beside it in a [`JoinSet`] and comes back as an input that
//! carries a ticket; nobody else can cancel it. What is due next comes from an ordered
//! set. Readers follow what it publishes and never wait for it.
//!
//! # Reading order
//!
//! 1. [`World`]: what the loop needs of the outside.
//! 2. [`Supervisor::run`]: the loop.
//! 3. `seat`: one account with its channels, and how its commands are carried out.
//! 4. `telling`: what of that is said in the log.
//!
//! # Invariants
//!
//! * A stop, a reload and a client that hangs up never end an exchange. What it brings
//!   is saved first.
//! * A stop ends an attempt that waits for its gate or its secrets: nothing of it is announced,
//!   and who waits for it hears that the daemon stops.
//! * A panic in one exchange is that account's failure.

pub mod lineup;
mod seat;
#[cfg(test)]
mod simulation;
mod telling;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::task::JoinSet;
use tracing::warn;

use crate::error::Class;
use crate::error::RefreshError;
use crate::error::code::Code;
use crate::hooks::Caller;
use crate::hooks::call::Call;
use crate::keeper::Directory;
use crate::keeper::Order;
use crate::lifecycle::words::Input;
use crate::lifecycle::words::Revocation;
use crate::lifecycle::words::Ticket;
use crate::message::Message;
use crate::name::AccountId;
use crate::notice::Notice;
use crate::pacing::Pacing;
use crate::pacing::Place;
use crate::pacing::Turn;
use crate::pacing::Verdict;
use crate::plan::Entry;
use crate::provider::Outcome;
use crate::provider::Provider;
use crate::provider::Spend;
use crate::record::Stake;
use crate::record::StoreError;
use crate::record::Write;
use crate::record::Written;
use crate::snapshot::Refusal;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;
use crate::token::Generation;
use crate::token::Secret;

use self::lineup::Lineup;
use self::seat::Seat;
use self::seat::Slot;

/// What the loop needs of the outside. Slow work is handed out as futures that own what they need.
pub trait World: Clone + Send + 'static {
    /// Both clocks.
    fn now(&self) -> Now;

    /// A share of chance.
    fn jitter(&self) -> Jitter;

    /// Returns at `at`, or a little earlier or later; never, if there is nothing to wait for.
    fn sleep_until(&self, at: Option<Moment>) -> impl Future<Output = ()>;

    /// Makes a write durable.
    fn write(
        &self,
        write: Write,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send + 'static;

    /// Fetches the secrets that an account's attempts at that need.
    fn secrets(
        &self,
        account: &AccountId,
        provider: &Arc<dyn Provider>,
        stake: Stake,
    ) -> impl Future<Output = Result<Vec<(&'static str, Secret)>, RefreshError>> + Send + 'static;

    /// Asks a gate whether an attempt may be made, for as long as its hook says.
    fn gate(&self, call: Call) -> impl Future<Output = Result<(), RefreshError>> + Send + 'static;

    /// Makes one exchange, or a sign-in, in `timeout` at the most.
    fn exchange(
        &self,
        provider: &Arc<dyn Provider>,
        stake: Stake,
        spend: Spend,
        timeout: Duration,
    ) -> impl Future<Output = Ended> + Send + 'static;

    /// Has a login ended at its provider, in `timeout` at the most.
    fn revoke(
        &self,
        provider: &Arc<dyn Provider>,
        spend: Spend,
        timeout: Duration,
    ) -> impl Future<Output = Revocation> + Send + 'static;
}

/// How an exchange ended, and what it learned.
pub struct Ended {
    /// What it brought.
    pub outcome: Outcome,
    /// The endpoint that it discovered.
    pub learned: Option<url::Url>,
    /// How the account comes by a credential, where it found that out.
    pub entry: Option<Entry>,
}

/// What the loop is told about itself, apart from orders.
pub enum Control {
    /// The configuration changed.
    Apply {
        /// What it says.
        lineup: Box<Lineup>,
        /// Told when the change is in force and published.
        done: oneshot::Sender<()>,
    },
    /// The wall clock was set, or the host slept.
    ClockStepped,
    /// Say whether an account is still here: one that is configured no longer stays until
    /// what it began is saved.
    IsHere {
        /// Which.
        account: AccountId,
        /// Where to answer.
        reply: oneshot::Sender<bool>,
    },
    /// Say at which generation an account is released, if it is: what the store knows of it may
    /// be a resume behind.
    Released {
        /// Which.
        account: AccountId,
        /// Where to answer.
        reply: oneshot::Sender<Option<Generation>>,
    },
    /// Take one login at a provider's host, or say when there will be room for it.
    Login {
        /// Host and port.
        host: Arc<str>,
        /// Where to answer.
        reply: oneshot::Sender<Result<(), Moment>>,
    },
    /// Say that nothing is overdue: what the watchdog asks.
    Prove(oneshot::Sender<()>),
    /// End, once nothing is under way that could be lost.
    Stop,
}

/// The loop's state.
pub struct Supervisor<W> {
    world: W,
    /// Boxed, because the nodes of the map are half empty.
    seats: BTreeMap<AccountId, Box<Seat>>,
    timers: BTreeSet<(Moment, AccountId)>,
    pacing: Pacing,
    work: JoinSet<Product>,
    /// What each piece of work belongs to, should it panic.
    under_way: HashMap<tokio::task::Id, (AccountId, Ticket, Stage)>,
    directory: watch::Sender<Arc<Directory>>,
    notices: broadcast::Sender<Arc<Notice>>,
    hooks: Caller,
    /// Accounts whose tokens are not durable.
    unsaved: BTreeSet<AccountId>,
    stopping: bool,
    /// Told to the attempts that are being prepared.
    stop: watch::Sender<bool>,
}

/// What a piece of work brought.
enum Product {
    Spend(Result<(Spend, bool), RefreshError>),
    /// The stop came before anything was handed out.
    Stopped,
    Exchange(Ended),
    Revocation(Revocation),
    Write(Result<Written, StoreError>),
}

/// What a piece of work is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Intending,
    Exchanging,
    Revoking,
    Writing,
}

impl<W: World> Supervisor<W> {
    /// A loop without accounts; the first [`Lineup`] brings them.
    pub fn new(
        world: W,
        directory: watch::Sender<Arc<Directory>>,
        notices: broadcast::Sender<Arc<Notice>>,
        hooks: Caller,
    ) -> Self {
        Self {
            world,
            seats: BTreeMap::new(),
            timers: BTreeSet::new(),
            pacing: Pacing::default(),
            work: JoinSet::new(),
            under_way: HashMap::new(),
            directory,
            notices,
            hooks,
            unsaved: BTreeSet::new(),
            stopping: false,
            stop: watch::Sender::new(false),
        }
    }

    /// Runs until [`Control::Stop`], or until nobody can control it any more, and then until
    /// everything that is under way is saved.
    pub async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        mut control: mpsc::Receiver<Control>,
    ) {
        while !(self.stopping && self.is_quiet()) {
            let next = self.next_at();
            tokio::select! {
                Some(ended) = self.work.join_next_with_id(), if !self.work.is_empty() => {
                    self.work_ended(ended);
                }
                told = control.recv(), if !self.stopping => match told {
                    Some(Control::Apply { lineup, done }) => {
                        self.apply(*lineup);
                        // Whoever changed it need not wait.
                        let _gone = done.send(());
                    }
                    Some(Control::ClockStepped) => self.everyone(|| Input::ClockStepped),
                    Some(Control::IsHere { account, reply }) => {
                        // Whoever asked may have gone.
                        let _gone = reply.send(self.seats.contains_key(&account));
                    }
                    Some(Control::Released { account, reply }) => {
                        let seat = self.seats.get(&account);
                        let snapshot = seat.map(|seat| seat.account.snapshot());
                        let released = snapshot.filter(|snapshot| snapshot.released);
                        // Whoever asked may have gone.
                        let _gone = reply.send(released.map(|snapshot| snapshot.generation));
                    }
                    Some(Control::Login { host, reply }) => {
                        let turn = self.pacing.login(&host, self.world.now().boot);
                        // Whoever wanted to log in may have gone.
                        let _gone = reply.send(turn);
                    }
                    Some(Control::Prove(reply)) => self.prove(reply),
                    Some(Control::Stop) | None => {
                        self.stopping = true;
                        self.stop.send_replace(true);
                        orders.close();
                        self.tell_what_a_stop_waits_for();
                    }
                },
                Some(order) = orders.recv() => self.order(order),
                () = self.world.sleep_until(next) => {}
            }
            self.wake_those_due();
            self.give_turns();
        }
    }

    /// Whoever sees a stop that lasts is told why, before the patience to wait for it is over.
    fn tell_what_a_stop_waits_for(&self) {
        let busy = self.seats.values().filter(|seat| seat.is_busy()).count();
        telling::log_wait(self.unsaved.len(), busy);
    }

    /// Whether nothing is under way that a stop has to wait for.
    fn is_quiet(&self) -> bool {
        self.work.is_empty() && !self.seats.values().any(|seat| seat.is_busy())
    }

    fn next_at(&self) -> Option<Moment> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let turn = self.pacing.next_at().filter(|_| !self.stopping);
        timer.into_iter().chain(turn).min()
    }

    fn wake_those_due(&mut self) {
        let now = self.world.now().boot;
        while let Some((at, _)) = self.timers.first()
            && *at <= now
            && let Some((_, account)) = self.timers.pop_first()
        {
            if let Some(seat) = self.seats.get_mut(&account) {
                seat.wake = None;
                // While stopping, only what must be saved goes on.
                if !self.stopping || seat.is_busy() {
                    self.feed(&account, Input::Woken);
                }
            }
        }
    }

    fn give_turns(&mut self) {
        if self.stopping {
            return;
        }
        let now = self.world.now().boot;
        let jitter = self.world.jitter();
        while let Some(turn) = self.pacing.turn(now, jitter) {
            match turn {
                Turn::Admit(Place { account, ticket, asks, .. }) => {
                    if let Some(seat) = self.seats.get_mut(&account) {
                        seat.slot = Some(Box::new(Slot { route: seat.settings.route(), asks }));
                    }
                    let began = self.feed(&account, Input::Admitted(ticket));
                    if !began {
                        self.slot_is_free(&account, Verdict::Unsent);
                    }
                }
                Turn::Bar { account, ticket, until, why } => {
                    self.feed(&account, Input::Barred { ticket, until, why });
                }
            }
        }
    }

    /// Answers, unless the earliest timer is long past: a loop that comes round and leaves
    /// its work undone has not proven anything.
    fn prove(&self, reply: oneshot::Sender<()>) {
        const OVERDUE: Duration = Duration::from_secs(10);

        let now = self.world.now().boot;
        let overdue = self.timers.first().is_some_and(|(at, _)| *at + OVERDUE < now);
        if !overdue {
            // The watchdog may have lost its patience.
            let _gone = reply.send(());
        }
    }

    fn order(&mut self, order: Order) {
        let Some(seat) = self.seats.get_mut(&order.account) else {
            let refusal =
                Refusal::new(Code::AccountUnknown, "the account is not configured any more");
            // Whoever asked may have gone.
            let _gone = order.reply.send(Err(refusal));
            return;
        };
        seat.reply = Some(order.reply);
        self.feed(&order.account, Input::Ordered(order.action));
        if let Some(seat) = self.seats.get_mut(&order.account) {
            seat.answer_if_nobody_did();
        }
    }

    fn everyone(&mut self, input: impl Fn() -> Input) {
        let accounts = self.seats.keys().cloned().collect::<Vec<_>>();
        for account in accounts {
            self.feed(&account, input());
        }
    }

    fn work_ended(&mut self, ended: Result<(tokio::task::Id, Product), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(panic) => panic.id(),
        };
        let Some((account, ticket, stage)) = self.under_way.remove(&id) else { return };
        let result = match ended {
            Ok((_, product)) => product,
            Err(_panic) => stage.broken(),
        };
        if stage == Stage::Intending {
            self.gate_has_answered(&account);
        }
        match result {
            Product::Spend(Ok((spend, durable))) => {
                if let Some(seat) = self.seats.get_mut(&account) {
                    seat.spend = Some(Box::new((ticket, spend)));
                }
                if !self.feed(&account, Input::Intended(ticket, Ok(durable))) {
                    self.slot_is_free(&account, Verdict::Unsent);
                }
            }
            Product::Spend(Err(error)) => {
                self.slot_is_free(&account, Verdict::Unsent);
                self.feed(&account, Input::Intended(ticket, Err(error)));
            }
            Product::Stopped => {
                if let Some(seat) = self.seats.get_mut(&account) {
                    seat.given_up = true;
                }
            }
            Product::Exchange(Ended { outcome, learned, entry }) => {
                self.slot_is_free(&account, verdict(&outcome));
                if let Some(seat) = self.seats.get_mut(&account) {
                    seat.learn(learned, entry);
                }
                self.feed(&account, Input::Exchanged(ticket, outcome));
            }
            Product::Revocation(revocation) => {
                self.feed(&account, Input::Revoked(ticket, revocation));
            }
            Product::Write(written) => {
                if let Err(error) = &written {
                    let event = Message::WriteFailed.as_str();
                    warn!(%account, event, "not made durable: {error}");
                }
                let written = written.map(|written| match written {
                    Written::Committed(generation) => Some(generation),
                    Written::Leased(_) | Written::Done => None,
                });
                self.feed(&account, Input::Written(ticket, written));
            }
        }
    }

    /// The attempt of an account asks nobody, or no more.
    fn gate_has_answered(&mut self, account: &AccountId) {
        let now = self.world.now().boot;
        if let Some(slot) = self.seats.get_mut(account).and_then(|seat| seat.slot.as_mut())
            && std::mem::take(&mut slot.asks)
        {
            self.pacing.answered(&slot.route, now);
        }
    }

    fn slot_is_free(&mut self, account: &AccountId, verdict: Verdict) {
        self.gate_has_answered(account);
        let (now, jitter) = (self.world.now().boot, self.world.jitter());
        if let Some(slot) = self.seats.get_mut(account).and_then(|seat| seat.slot.take()) {
            self.pacing.ended(account, &slot.route, verdict, now, jitter);
        }
    }
}

impl Stage {
    /// What a piece of work brings that panicked.
    fn broken(self) -> Product {
        const WHY: &str = "an exchange panicked";
        let error = || RefreshError::Internal(WHY.into());
        match self {
            Self::Intending => Product::Spend(Err(error())),
            Self::Exchanging => Product::Exchange(Ended {
                outcome: Outcome::Failed(error()),
                learned: None,
                entry: None,
            }),
            Self::Revoking => Product::Revocation(Revocation::Failed(error())),
            Self::Writing => Product::Write(Err(StoreError::Closed)),
        }
    }
}

/// What an outcome says about the provider, for its route.
fn verdict(outcome: &Outcome) -> Verdict {
    let error = match outcome {
        Outcome::Granted(_) => return Verdict::Good,
        Outcome::Salvaged(_, error) | Outcome::Failed(error) => error,
    };
    match error.class() {
        Class::NotSent if matches!(error, RefreshError::StoreUnavailable(_)) => Verdict::Unused,
        Class::NotSent | Class::Transient | Class::Ambiguous => Verdict::Failing,
        Class::Throttled => Verdict::Throttled,
        Class::Suspect | Class::Definite => Verdict::Refused,
        Class::Config if error.is_local() => Verdict::Unsent,
        Class::Config => Verdict::Unused,
    }
}
