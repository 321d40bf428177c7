//! The outside of a simulated daemon: what its requests, writes and questions come to.
//!
//! [`Outside`] is what the supervisor is given. Each of its futures waits for an event of the
//! [`Agenda`], so that nothing happens but in the order of simulated time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;

use tokio::sync::oneshot;

use super::agenda::Agenda;
use super::agenda::Arrival;
use super::agenda::Event;
use super::cast::Part;
use super::chance::Chance;
use super::clocks::Clocks;
use super::disk::Disk;
use super::faults::Fault;
use super::faults::Weather;
use super::heard::Whose;
use super::reply;
use super::service::Serial;
use super::service::Service;
use super::service::subject_of_another;
use super::witness::Witness;
use crate::error::RefreshError;
use crate::hooks::call::Call;
use crate::lifecycle::words::Revocation;
use crate::name::AccountId;
use crate::provider::Outcome;
use crate::provider::Provider;
use crate::provider::Spend;
use crate::record::Refuge;
use crate::record::Stake;
use crate::record::StoreError;
use crate::record::Write;
use crate::record::Written;
use crate::supervisor::Ended;
use crate::supervisor::World;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;
use crate::token::Secret;

/// How long a secret may take to be there, and a gate to answer, before either counts as missing.
const LONGEST_SECRET: Duration = Duration::from_secs(10);
const LONGEST_GATE: Duration = Duration::from_secs(5);

/// Whether what was handed in can prove itself once all is well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hope {
    None,
    Some,
}

/// Everything outside the daemon.
pub(super) struct Scene {
    pub(super) clocks: Clocks,
    pub(super) chance: Chance,
    pub(super) agenda: Agenda,
    pub(super) weather: Weather,
    pub(super) disk: Disk,
    pub(super) parts: BTreeMap<AccountId, Part>,
    pub(super) services: BTreeMap<AccountId, Service>,
    pub(super) witness: Witness,
    /// Whether some of the work that waits may go on.
    pub(super) stirred: bool,
    /// Who waits for the reply of which call.
    calls: BTreeMap<u64, Called>,
    count: u64,
}

struct Called {
    account: AccountId,
    stake: Stake,
    waiter: Waiter,
}

enum Waiter {
    Exchange(oneshot::Sender<Ended>),
    Revocation(oneshot::Sender<Revocation>),
}

impl Scene {
    pub(super) fn new(
        mut chance: Chance,
        cast: Vec<(Part, Service)>,
        mut witness: Witness,
    ) -> Self {
        let (mut parts, mut services) = (BTreeMap::new(), BTreeMap::new());
        for (part, service) in cast {
            services.insert(part.id.clone(), service);
            witness.begins(&part.id);
            parts.insert(part.id.clone(), part);
        }
        let weather = Weather::drawn(&mut chance);
        let (clocks, agenda, disk) = (Clocks::default(), Agenda::default(), Disk::default());
        Self {
            clocks,
            chance,
            agenda,
            weather,
            disk,
            parts,
            services,
            witness,
            stirred: false,
            calls: BTreeMap::new(),
            count: 0,
        }
    }

    pub(super) const fn at(&self) -> Duration {
        self.clocks.at()
    }

    /// Has something happen after a while.
    pub(super) fn after(&mut self, pause: Duration, event: Event) {
        let at = self.at() + pause;
        self.agenda.put(at, event);
    }

    /// Has something happen after some milliseconds, from `low` to `high`.
    fn soon(&mut self, low: u64, high: u64, event: Event) {
        let pause = self.chance.span(Duration::from_millis(low), Duration::from_millis(high));
        self.after(pause, event);
    }

    pub(super) fn strikes(&mut self, fault: Fault, account: &AccountId) -> bool {
        let at = self.at();
        self.weather.strikes(fault, account, at, &mut self.chance)
    }

    pub(super) fn prevails(&mut self, fault: Fault) -> bool {
        let at = self.at();
        self.weather.prevails(fault, at, &mut self.chance)
    }

    /// The process is gone, and with it whoever waited.
    pub(super) fn hang_up(&mut self) {
        self.calls.clear();
    }

    /// What an attempt waits for before it is announced, if that takes its time: `longest` at most.
    fn takes_its_time(
        &mut self,
        fault: Fault,
        account: &AccountId,
        longest: Duration,
    ) -> Option<oneshot::Receiver<()>> {
        if !self.strikes(fault, account) {
            return None;
        }
        let (waiter, answer) = oneshot::channel();
        let (at, pause) = (self.at(), self.chance.span(Duration::from_millis(100), longest));
        self.witness.prepares(account, at, at + pause);
        self.after(pause, Event::Ready(waiter));
        Some(answer)
    }

    /// It is there.
    pub(super) fn is_ready(&mut self, waiter: oneshot::Sender<()>) {
        // The process may be gone, or may have stopped waiting.
        let _gone = waiter.send(());
        self.stirred = true;
    }

    fn put(&mut self, write: Write) -> oneshot::Receiver<Result<Written, StoreError>> {
        let (waiter, answer) = oneshot::channel();
        self.disk.put(write, waiter);
        if self.prevails(Fault::DiskSlow) {
            let at = self.at();
            let pause = self.chance.span(Duration::from_millis(100), Duration::from_secs(3));
            self.witness.slowed(at, at + pause);
            self.after(pause, Event::Written);
        } else {
            self.soon(1, 5, Event::Written);
        }
        answer
    }

    /// Why the disk does not take what it is given, if it does not. That another process took the store
    /// over is none of it: the daemon then spends nothing more, and there is no more to see.
    fn refusal(&mut self) -> Option<StoreError> {
        if self.prevails(Fault::DiskFull) {
            return Some(StoreError::Full);
        }
        let broken = [
            StoreError::Io("input/output error".into()),
            StoreError::ReadOnly,
            StoreError::Damaged("malformed".into()),
        ];
        self.prevails(Fault::DiskBroken).then(|| self.chance.pick(&broken).clone())
    }

    /// The oldest write ends.
    pub(super) fn written(&mut self) {
        let refusal = self.refusal();
        let (at, boot_id) = (self.at(), self.clocks.boot_id());
        let Some(account) = self.disk.front().cloned() else { return };
        let before = self.disk.refresh_token(&account).is_some();
        let refuge = if refusal.is_some() && self.prevails(Fault::ShelfShut) {
            Refuge::Memory
        } else {
            Refuge::ServiceManager
        };
        let ended = self.disk.write_next(refusal, refuge, &boot_id);
        let Some((write, waiter, result)) = ended else { return };
        let erased = before && self.disk.refresh_token(&account).is_none();
        self.witness.written(&account, &write, &result, erased, at);
        self.record_is_read(&account);
        // The process may be gone.
        let _gone = waiter.send(result);
        self.stirred = true;
    }

    fn send(
        &mut self,
        account: AccountId,
        stake: Stake,
        spend: Spend,
        timeout: Duration,
    ) -> oneshot::Receiver<Ended> {
        let (waiter, answer) = oneshot::channel();
        let announced = self.disk.is_announced(&account, stake);
        self.witness.sent(
            &self.clocks,
            &self.parts[&account],
            stake,
            spend.refresh_token.as_ref(),
            announced,
        );
        self.witness.waits(&self.parts[&account], stake, timeout);
        let call = self.dial(&account, stake, Waiter::Exchange(waiter));
        let sent = self.at();
        if self.strikes(Fault::Unreachable, &account) {
            let outcome = Outcome::Failed(RefreshError::Unreachable("no route to host".into()));
            self.soon(5, 3_000, Event::Replies { call, outcome });
        } else {
            let token = spend.refresh_token;
            let deadline = sent + timeout;
            let arrival = Arrival { call, account, stake, token, sent, deadline };
            self.soon(5, 100, Event::Arrives(arrival));
        }
        answer
    }

    fn dial(&mut self, account: &AccountId, stake: Stake, waiter: Waiter) -> u64 {
        self.count += 1;
        self.calls.insert(self.count, Called { account: account.clone(), stake, waiter });
        self.count
    }

    /// A request has reached its provider, whoever still waits for the reply.
    pub(super) fn arrives(&mut self, arrival: Arrival) {
        let (call, at, deadline) = (arrival.call, self.at(), arrival.deadline);
        let (outcome, pause) = reply::of(self, arrival);
        match (outcome, pause) {
            (Some(outcome), pause) if at + pause < deadline => {
                self.after(pause, Event::Replies { call, outcome });
            }
            _ => {
                let outcome = Outcome::Failed(RefreshError::ReplyLost("timed out".into()));
                self.agenda.put(deadline.max(at), Event::Replies { call, outcome });
            }
        }
    }

    /// A reply has reached the host.
    pub(super) fn replies(&mut self, call: u64, outcome: Outcome) {
        let Some(called) = self.calls.remove(&call) else { return };
        self.stirred = true;
        let whose = self.whose(&called.account, &outcome);
        let part = &self.parts[&called.account];
        self.witness.heard(&self.clocks, part, called.stake, &outcome, whose);
        if let Waiter::Exchange(waiter) = called.waiter {
            let _gone = waiter.send(Ended { outcome, learned: None, entry: None });
        }
    }

    /// Whose tokens a reply brings, by what is recorded. Another place has other names for everybody.
    fn whose(&mut self, account: &AccountId, outcome: &Outcome) -> Whose {
        let Outcome::Granted(grant) = outcome else { return Whose::Its };
        let Some(record) = self.disk.record(account, &self.clocks.boot_id()) else {
            return Whose::Its;
        };
        let here = self.witness.life(account).sent_to.as_ref() == Some(&record.lineage);
        match (record.subject, &grant.subject) {
            (Some(recorded), Some(theirs)) if here && recorded != *theirs => Whose::AnotherS,
            _ => Whose::Its,
        }
    }

    /// Whether a credential was handed in that has yet to prove itself, and whether it ever may.
    pub(super) fn staged(&mut self, account: &AccountId) -> Option<Hope> {
        let token = self.disk.staged(account)?;
        let jinxed = self.services.get_mut(account)?.jinx_of(&token).is_some();
        Some(if jinxed { Hope::None } else { Hope::Some })
    }

    /// Takes down whether somebody else is recorded as whose an account is.
    pub(super) fn record_is_read(&mut self, account: &AccountId) {
        let record = self.disk.record(account, &self.clocks.boot_id());
        let subject = record.and_then(|record| record.subject);
        let mistaken = subject == Some(subject_of_another(account));
        let at = self.at();
        self.witness.is_recorded(account, mistaken, at);
    }

    fn revoke(&mut self, account: AccountId, spend: &Spend) -> oneshot::Receiver<Revocation> {
        let (waiter, answer) = oneshot::channel();
        let token = spend.refresh_token.as_ref();
        self.witness.sent(&self.clocks, &self.parts[&account], Stake::SignIn, token, true);
        let call = self.dial(&account, Stake::SignIn, Waiter::Revocation(waiter));
        let ended = !self.strikes(Fault::Unreachable, &account);
        if let Some(token) = token.filter(|_| ended) {
            self.services.get_mut(&account).unwrap().end(Serial::of(token));
        }
        self.soon(20, 400, Event::Revoked { call, ended });
        answer
    }

    /// It is known whether a login was ended.
    pub(super) fn revoked(&mut self, call: u64, ended: bool) {
        let Some(called) = self.calls.remove(&call) else { return };
        self.stirred = true;
        self.witness.let_go(&called.account);
        if let Waiter::Revocation(waiter) = called.waiter {
            let failed = || Revocation::Failed(RefreshError::Unreachable("no route".into()));
            let _gone = waiter.send(if ended { Revocation::Ended } else { failed() });
        }
    }
}

/// What the supervisor sees of a [`Scene`].
#[derive(Clone)]
pub(super) struct Outside(Arc<Mutex<Scene>>);

impl Outside {
    pub(super) fn new(scene: Scene) -> Self {
        Self(Arc::new(Mutex::new(scene)))
    }

    /// The scene itself.
    pub(super) fn scene(&self) -> MutexGuard<'_, Scene> {
        self.0.lock().unwrap()
    }

    /// The account of a scripted provider: each has its own.
    fn whose(&self, provider: &Arc<dyn Provider>) -> AccountId {
        let name = provider.profile().email.as_deref().unwrap();
        self.scene().parts[name].id.clone()
    }
}

impl World for Outside {
    fn now(&self) -> Now {
        self.scene().clocks.now()
    }

    fn jitter(&self) -> Jitter {
        Jitter::new(self.scene().chance.share())
    }

    async fn sleep_until(&self, _: Option<Moment>) {
        unreachable!("the play wakes the supervisor itself")
    }

    fn write(
        &self,
        write: Write,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send + 'static {
        let outside = self.clone();
        async move {
            let answer = outside.scene().put(write);
            answer.await.unwrap_or(Err(StoreError::Closed))
        }
    }

    fn secrets(
        &self,
        account: &AccountId,
        _: &Arc<dyn Provider>,
        stake: Stake,
    ) -> impl Future<Output = Result<Vec<(&'static str, Secret)>, RefreshError>> + Send + 'static
    {
        let (outside, account) = (self.clone(), account.clone());
        async move {
            let late = Fault::SecretLate;
            let coming = outside.scene().takes_its_time(late, &account, LONGEST_SECRET);
            if let Some(coming) = coming {
                let _gone = coming.await;
            }
            let mut scene = outside.scene();
            if scene.strikes(Fault::SecretMissing, &account) {
                let at = scene.at();
                scene.witness.lacks(&account, stake, at);
                let slot = "client_secret".to_owned();
                return Err(if scene.chance.happens(0.3) {
                    RefreshError::SecretNotStored { slot }
                } else {
                    let why = "no such file".to_owned();
                    RefreshError::SecretUnavailable { slot, why }
                });
            }
            Ok(Vec::new())
        }
    }

    fn gate(&self, call: Call) -> impl Future<Output = Result<(), RefreshError>> + Send + 'static {
        let outside = self.clone();
        async move {
            let late = Fault::GateLate;
            let coming = outside.scene().takes_its_time(late, call.account(), LONGEST_GATE);
            if let Some(coming) = coming {
                let _gone = coming.await;
            }
            let mut scene = outside.scene();
            if scene.strikes(Fault::GateShut, call.account()) {
                let (hook, why) = ("gate".to_owned(), "exit status: 1".to_owned());
                return Err(RefreshError::HookFailed { hook, why });
            }
            Ok(())
        }
    }

    fn exchange(
        &self,
        provider: &Arc<dyn Provider>,
        stake: Stake,
        spend: Spend,
        timeout: Duration,
    ) -> impl Future<Output = Ended> + Send + 'static {
        let (outside, account) = (self.clone(), self.whose(provider));
        async move {
            let answer = outside.scene().send(account, stake, spend, timeout);
            answer.await.unwrap_or_else(|_| {
                let error = RefreshError::Internal("the process is gone".into());
                Ended { outcome: Outcome::Failed(error), learned: None, entry: None }
            })
        }
    }

    fn revoke(
        &self,
        provider: &Arc<dyn Provider>,
        spend: Spend,
        _: Duration,
    ) -> impl Future<Output = Revocation> + Send + 'static {
        let (outside, account) = (self.clone(), self.whose(provider));
        async move {
            let answer = outside.scene().revoke(account, &spend);
            answer.await.unwrap_or(Revocation::Impossible)
        }
    }
}
