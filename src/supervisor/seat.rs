//! One account with its channels, and how its commands are carried out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::sync::watch;
use tracing::warn;

use super::Ended;
use super::Product;
use super::Stage;
use super::Supervisor;
use super::World;
use super::lineup::Settings;
use super::telling;
use super::telling::Told;
use crate::error::RefreshError;
use crate::hooks;
use crate::hooks::call::Call;
use crate::lifecycle::Account;
use crate::lifecycle::words::Command;
use crate::lifecycle::words::Discovery;
use crate::lifecycle::words::Done;
use crate::lifecycle::words::Input;
use crate::lifecycle::words::Rank;
use crate::lifecycle::words::Revocation;
use crate::lifecycle::words::Ticket;
use crate::message::Message;
use crate::name::AccountId;
use crate::notice::Event;
use crate::notice::EventName;
use crate::notice::Notice;
use crate::notice::Reason;
use crate::pacing::Admission;
use crate::pacing::Place;
use crate::pacing::Route;
use crate::plan::Entry;
use crate::provider::Provider;
use crate::provider::Spend;
use crate::record::Stake;
use crate::record::Write;
use crate::record::Written;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::time::Moment;

/// The way back to whoever gave an order.
pub(super) type Reply = oneshot::Sender<Result<Done, Refusal>>;

/// What the loop holds of one account.
pub(super) struct Seat {
    pub(super) account: Account,
    pub(super) settings: Arc<Settings>,
    pub(super) snapshot: watch::Sender<Arc<Snapshot>>,
    /// What the attempt with that ticket may spend.
    pub(super) spend: Option<Box<(Ticket, Spend)>>,
    /// Whom the attempt under way asks, whatever a reload says meanwhile.
    asked: Option<Arc<dyn Provider>>,
    /// The endpoint that an exchange discovered.
    learned: Option<Box<url::Url>>,
    /// The slot that its attempt takes up. Boxed, as is what else few accounts have at a time.
    pub(super) slot: Option<Box<Slot>>,
    /// Its entry among the timers.
    pub(super) wake: Option<Moment>,
    /// The configuration names it no more; it goes as soon as nothing is under way.
    pub(super) leaving: bool,
    /// A stop ended what it had begun, before anything was handed out: it goes no further.
    pub(super) given_up: bool,
    /// The way back to whoever gave the order that is being carried out.
    pub(super) reply: Option<Reply>,
    /// The ways back to those who are answered later, by the tickets of what they wait for.
    later: Vec<(Ticket, Reply)>,
    /// What of its failures is in the log.
    told: Told,
}

/// What an attempt takes up.
pub(super) struct Slot {
    /// Where.
    pub(super) route: Route,
    /// Whether it counts as one that asks a gate.
    pub(super) asks: bool,
}

impl Seat {
    pub(super) fn new(account: Account, settings: Arc<Settings>) -> Self {
        let snapshot = watch::Sender::new(Arc::new(account.snapshot()));
        Self {
            account,
            settings,
            snapshot,
            spend: None,
            asked: None,
            learned: None,
            slot: None,
            wake: None,
            leaving: false,
            given_up: false,
            reply: None,
            later: Vec::new(),
            told: Told::default(),
        }
    }

    /// Whether something of it is under way that a stop has to wait for.
    pub(super) fn is_busy(&self) -> bool {
        if self.given_up { self.account.is_in_duty() } else { self.account.is_busy() }
    }

    /// Takes down the endpoint that an exchange discovered, if it is still the one to ask, and
    /// whether a login can begin there.
    pub(super) fn learn(&mut self, learned: Option<url::Url>, entry: Option<Entry>) {
        let asked = self.asked.take();
        let same = asked.is_some_and(|asked| Arc::ptr_eq(&asked, &self.settings.provider));
        self.learned = learned.filter(|_| same).map(Box::new);
        if let Some(entry) = entry.filter(|_| same) {
            self.account.enters_by(Some(entry));
        }
        self.account.discovery_is(match self.learned {
            Some(_) => Discovery::Done,
            None => Discovery::ToDo,
        });
    }

    /// Takes over other settings. What was learned of the old provider is forgotten.
    pub(super) fn resettle(&mut self, settings: Arc<Settings>) -> Arc<Settings> {
        self.learned = None;
        self.account.discovery_is(Discovery::ToDo);
        self.account.enters_by(None);
        std::mem::replace(&mut self.settings, settings)
    }

    /// Some inputs change nothing, or only what is published: whoever gave that order hears
    /// that it was heard.
    pub(super) fn answer_if_nobody_did(&mut self) {
        let generation = self.snapshot.borrow().generation;
        self.answer(Ok(Done::Current(generation)));
    }

    fn answer(&mut self, answer: Result<Done, Refusal>) {
        if let Some(reply) = self.reply.take() {
            // Whoever asked may have gone.
            let _gone = reply.send(answer);
        }
    }

    fn answer_later(&mut self, ticket: Ticket) {
        self.later.extend(self.reply.take().map(|reply| (ticket, reply)));
    }

    fn answer_to(&mut self, ticket: Ticket, answer: Result<Done, Refusal>) {
        if let Some(at) = self.later.iter().position(|(later, _)| *later == ticket) {
            let (_, reply) = self.later.swap_remove(at);
            // Whoever asked may have gone.
            let _gone = reply.send(answer);
        }
    }
}

impl<W: World> Supervisor<W> {
    /// Feeds an account and carries out what it wants. Says whether an attempt goes on.
    pub(super) fn feed(&mut self, id: &AccountId, input: Input) -> bool {
        let (now, jitter) = (self.world.now(), self.world.jitter());
        let Some(seat) = self.seats.get_mut(id) else { return false };
        let commands = seat.account.handle(input, now, jitter);
        let goes_on = commands
            .iter()
            .any(|command| matches!(command, Command::Intend { .. } | Command::Exchange { .. }));
        self.carry_out(id, commands);
        goes_on
    }

    /// Carries out commands in their order. What is published is how the account stands
    /// after all of them.
    pub(super) fn carry_out(&mut self, id: &AccountId, commands: Vec<Command>) {
        let now = self.world.now();
        let mut shown: Option<Arc<Snapshot>> = None;
        let mut started: Option<Arc<Notice>> = None;
        for command in commands {
            let Some(seat) = self.seats.get_mut(id) else { return };
            match command {
                Command::Queue { ticket, stake, urgency, risk } => {
                    // Of what has such a hurry, nobody is asked.
                    let asks = urgency.rank != Rank::InDoubt && seat.settings.gate().is_some();
                    let place = Place { urgency, account: id.clone(), ticket, stake, risk, asks };
                    self.pacing.queue(&seat.settings.route(), place, now.boot);
                }
                Command::Unqueue => self.pacing.unqueue(id, now.boot),
                Command::Intend { ticket, stake, write } => {
                    self.intend(id, ticket, stake, write, started.take());
                }
                Command::Exchange { ticket, stake, timeout } => match seat.spend.take() {
                    Some(spend) if spend.0 == ticket => {
                        let (_, spend) = *spend;
                        let provider = seat.asked.as_ref().unwrap_or(&seat.settings.provider);
                        let work = self.world.exchange(provider, stake, spend, timeout);
                        self.start(id, ticket, Stage::Exchanging, async move {
                            Product::Exchange(work.await)
                        });
                    }
                    _ => self.start(id, ticket, Stage::Exchanging, async { nothing_to_spend() }),
                },
                Command::Write { ticket, write } => {
                    let work = self.world.write(write);
                    self.start(
                        id,
                        ticket,
                        Stage::Writing,
                        async move { Product::Write(work.await) },
                    );
                }
                Command::Publish => {
                    let snapshot = Arc::new(seat.account.snapshot());
                    seat.snapshot.send_replace(Arc::clone(&snapshot));
                    shown = Some(snapshot);
                }
                Command::Tell(event) => {
                    let snapshot =
                        shown.clone().unwrap_or_else(|| Arc::new(seat.account.snapshot()));
                    let weight = seat.told.weigh(&event, snapshot.state, now.boot);
                    let notice = Notice { account: id.clone(), at: now, event, snapshot };
                    telling::log(&notice, weight);
                    let notice = self.tell(notice);
                    if notice.event.name() == EventName::RefreshStarted {
                        started = Some(notice);
                    }
                }
                Command::Revoke { ticket, timeout } => self.revoke(id, ticket, timeout),
                Command::Answer(answer) => seat.answer(answer),
                Command::AnswerLater(ticket) => seat.answer_later(ticket),
                Command::AnswerTo(ticket, answer) => {
                    if let Err(refusal) = &answer {
                        let code = refusal.code.as_str();
                        let event = Message::OrderFailed.as_str();
                        warn!(account = %id, event, code, "order failed: {}", refusal.message);
                    }
                    seat.answer_to(ticket, answer);
                }
            }
        }
        self.after(id, now.boot);
    }

    /// Tells what happened to everybody who follows, hooks last.
    fn tell(&self, notice: Notice) -> Arc<Notice> {
        let notice = Arc::new(notice);
        // Nobody may be following.
        let _unheard = self.notices.send(Arc::clone(&notice));
        if let Some(seat) = self.seats.get(&notice.account) {
            let kind = seat.settings.provider.profile().default_kind;
            for event in self.hooks.call(&seat.settings.hooks, kind, &notice) {
                let (account, snapshot) = (notice.account.clone(), Arc::clone(&notice.snapshot));
                let failed = Notice { account, at: notice.at, event, snapshot };
                hooks::log(&failed);
                let _unheard = self.notices.send(Arc::new(failed));
            }
        }
        notice
    }

    /// What follows from an account's new state for the loop itself.
    pub(super) fn after(&mut self, id: &AccountId, now: Moment) {
        let Some(seat) = self.seats.get_mut(id) else { return };
        let wake = seat.account.wake_at();
        if seat.wake != wake {
            if let Some(old) = std::mem::replace(&mut seat.wake, wake) {
                self.timers.remove(&(old, id.clone()));
            }
            if let Some(at) = wake {
                self.timers.insert((at, id.clone()));
            }
        }
        let changed = if seat.account.is_unsaved() {
            self.unsaved.insert(id.clone())
        } else {
            self.unsaved.remove(id)
        };
        let gone = seat.leaving && !seat.account.is_busy();
        if changed {
            let admission =
                if self.unsaved.is_empty() { Admission::Everyone } else { Admission::Harmless };
            self.pacing.admit(admission, now);
            if self.stopping {
                self.tell_what_a_stop_waits_for();
            }
        }
        if gone {
            self.dismiss(id, now);
        }
    }

    /// Takes an account out of the loop.
    fn dismiss(&mut self, id: &AccountId, now: Moment) {
        if let Some(seat) = self.seats.remove(id) {
            if let Some(wake) = seat.wake {
                self.timers.remove(&(wake, id.clone()));
            }
            self.pacing.leave(id, &seat.settings.route(), now);
        }
    }

    /// Fetches what an attempt may spend: the secrets first, then the refresh token,
    /// whose hand-out is the durable intent. Before either, a gate is asked about what was
    /// `started`. A logout is nothing that a gate is asked about, and neither is a replay: what
    /// it is about is spent already, and may be lost while somebody thinks. Nor is the proof of
    /// what was handed in: a refusal would throw away a login that a person has just made.
    ///
    /// Until the intent is on its way nothing is lost by a stop, which then need not wait for
    /// gate, secrets and the exchange that would follow.
    fn intend(
        &mut self,
        id: &AccountId,
        ticket: Ticket,
        stake: Stake,
        mut write: Write,
        started: Option<Arc<Notice>>,
    ) {
        let Some(seat) = self.seats.get_mut(id) else { return };
        seat.asked = Some(Arc::clone(&seat.settings.provider));
        let gate = started.filter(|_| stake != Stake::Staged).and_then(|notice| {
            if is_replay(&notice.event) {
                return None;
            }
            let hook = seat.settings.gate()?;
            let kind = seat.settings.provider.profile().default_kind;
            Some(self.world.gate(Call { hook: Arc::clone(hook), notice, kind }))
        });
        let asks = gate.is_some();
        let secrets = self.world.secrets(id, &seat.settings.provider, stake);
        let world = self.world.clone();
        let learned = seat.learned.as_deref().cloned();
        // What is held belongs to the current credential, and not to one that is staged.
        let held = match stake {
            Stake::Current | Stake::SignIn => seat.account.tokens(),
            Stake::Staged => None,
        };
        let preparing = async move {
            if let Some(gate) = gate {
                gate.await?;
            }
            secrets.await
        };
        if !asks {
            self.gate_has_answered(id);
        }
        let mut stop = self.stop.subscribe();
        self.start(id, ticket, Stage::Intending, async move {
            let prepared = tokio::select! {
                biased;
                // The sender lives as long as the loop that awaits this.
                _ = stop.wait_for(|stops| *stops) => return Product::Stopped,
                prepared = preparing => prepared,
            };
            let secrets = match prepared {
                Ok(secrets) => secrets,
                Err(error) => return Product::Spend(Err(error)),
            };
            let now = world.now();
            write.begin_at(now);
            let written = world.write(write);
            match written.await {
                Ok(Written::Leased(lease)) => {
                    let (refresh_token, now) = (lease.refresh_token, now.wall);
                    let spend = Spend { refresh_token, secrets, learned, held, now };
                    Product::Spend(Ok((spend, lease.durable)))
                }
                Ok(Written::Committed(_) | Written::Done) => {
                    Product::Spend(Err(RefreshError::Internal(NOTHING_TO_SPEND.into())))
                }
                Err(error) => {
                    Product::Spend(Err(RefreshError::StoreUnavailable(error.to_string())))
                }
            }
        });
    }

    /// Has the login ended with what [`intend`](Self::intend) fetched.
    fn revoke(&mut self, id: &AccountId, ticket: Ticket, timeout: Duration) {
        let Some(seat) = self.seats.get_mut(id) else { return };
        let spend = seat.spend.take().filter(|spend| spend.0 == ticket);
        let provider = seat.asked.take().unwrap_or_else(|| Arc::clone(&seat.settings.provider));
        let Some(spend) = spend else {
            let error = RefreshError::Internal(NOTHING_TO_SPEND.into());
            self.start(id, ticket, Stage::Revoking, async {
                Product::Revocation(Revocation::Failed(error))
            });
            return;
        };
        let (_, spend) = *spend;
        let work = self.world.revoke(&provider, spend, timeout);
        self.start(id, ticket, Stage::Revoking, async move { Product::Revocation(work.await) });
    }

    fn start(
        &mut self,
        id: &AccountId,
        ticket: Ticket,
        stage: Stage,
        work: impl Future<Output = Product> + Send + 'static,
    ) {
        let handle = self.work.spawn(work);
        self.under_way.insert(handle.id(), (id.clone(), ticket, stage));
    }
}

/// What cannot happen: the order of commands hands something out first.
const NOTHING_TO_SPEND: &str = "an attempt had nothing to spend";

fn is_replay(started: &Event) -> bool {
    matches!(started, Event::RefreshStarted { reason: Reason::Replay, .. })
}

fn nothing_to_spend() -> Product {
    let error = RefreshError::Internal(NOTHING_TO_SPEND.into());
    Product::Exchange(Ended {
        outcome: crate::provider::Outcome::Failed(error),
        learned: None,
        entry: None,
    })
}
