//! Hooks: what happens to accounts, told to programs and directories of the administrator's.
//!
//! The supervisor hands over what a hook follows, and never waits. What it is about is durable
//! by then, but for an attempt that only begins and for tokens that cannot be saved, of which
//! `TOKENKEEPER_UNSAVED` tells. One loop makes the calls: in order for each account, side by side for
//! different ones. A call that fails is raised like any other failure: logged, counted, told to
//! those who follow events, and kept for `doctor` until that hook works again.
//!
//! A gate is no business of this loop: the supervisor asks it, as a part of the attempt.
//!
//! # Reading order
//!
//! 1. [`Caller`]: the supervisor's end.
//! 2. [`Call`]: what a hook is called with.
//! 3. [`Hooks::run`]: the loop, and what becomes of a call.
//! 4. `queue`: which call comes next, and which one there is no room for.
//!
//! # Invariants
//!
//! * Nothing here can delay a refresh, and nothing here can fail one.
//! * That a hook failed calls no hook.
//! * A call that is not made is told, with the hook that it was meant for.
//! * When the supervisor has ended, calls get [`FAREWELL`] and then their processes are ended.

pub mod call;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::warn;

use crate::hook::Hook;
use crate::name::AccountId;
use crate::notice::Event;
use crate::notice::EventName;
use crate::notice::Notice;
use crate::time::Now;
use crate::time::Timestamp;
use crate::token::Kind;

use self::call::Call;
use self::queue::Queue;

/// What calls still get when the daemon stops.
pub const FAREWELL: Duration = Duration::from_secs(2);

/// What the loop needs of the outside.
pub trait Runner {
    /// Why a call failed, in words fit to be shown.
    type Error: std::error::Error + Send + 'static;

    /// Both clocks.
    fn now(&self) -> Now;

    /// Makes a call, which takes no longer than its hook says.
    fn make(
        &self,
        call: Arc<Call>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static;
}

/// Why a hook failed that was not called, or not to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
enum Flaw {
    /// It was not called.
    #[error("it was not called, because too many calls are waiting")]
    NoRoom,
    /// The daemon did not wait for it.
    #[error("the daemon stopped before it was done")]
    Stopped,
    /// Our own fault.
    #[error("its call panicked")]
    Broken,
}

/// The hooks that failed when they were last called.
#[derive(Debug, Default)]
pub struct Failing(BTreeMap<(AccountId, Box<str>), LastFailure>);

impl Failing {
    /// Each of them: the account, the hook's name and what went wrong.
    pub fn iter(&self) -> impl Iterator<Item = (&AccountId, &str, &LastFailure)> {
        self.0.iter().map(|((account, hook), failure)| (account, &**hook, failure))
    }
}

/// How a hook failed when it was last called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastFailure {
    /// What it was called about.
    pub about: EventName,
    /// When that had happened.
    pub at: Timestamp,
    /// What went wrong.
    pub why: Box<str>,
}

/// The end at which calls are handed over.
pub struct Caller {
    calls: mpsc::Sender<Arc<Call>>,
    failing: watch::Sender<Failing>,
}

impl Caller {
    /// Both ends of a queue between the supervisor and the loop, which keep what fails in
    /// `failing`.
    pub fn new(failing: watch::Sender<Failing>) -> (Self, mpsc::Receiver<Arc<Call>>) {
        let (calls, inbox) = mpsc::channel(queue::OF_ALL);
        (Self { calls, failing }, inbox)
    }

    /// Has those of `hooks` called that follow the event. Returns what is to be told of those
    /// for which there is no room.
    pub fn call(&self, hooks: &[Arc<Hook>], kind: Kind, notice: &Arc<Notice>) -> Vec<Event> {
        let mut untold = Vec::new();
        let about = notice.event.name();
        for hook in hooks.iter().filter(|hook| hook.follows(about)) {
            let call = Call { hook: Arc::clone(hook), notice: Arc::clone(notice), kind };
            if let Err(refused) = self.calls.try_send(Arc::new(call)) {
                keep(&self.failing, &refused.into_inner(), &Flaw::NoRoom);
                untold.push(failed(hook, about, &Flaw::NoRoom));
            }
        }
        untold
    }

    /// Forgets the failures of accounts and hooks that `is_known` knows not.
    pub fn forget(&self, is_known: impl Fn(&AccountId, &str) -> bool) {
        self.failing.send_if_modified(|failing| {
            let before = failing.0.len();
            failing.0.retain(|(account, hook), _| is_known(account, hook));
            failing.0.len() < before
        });
    }
}

/// The loop's state.
pub struct Hooks<R: Runner> {
    runner: R,
    notices: broadcast::Sender<Arc<Notice>>,
    failing: watch::Sender<Failing>,
    queue: Queue<Arc<Call>>,
    work: JoinSet<Result<(), R::Error>>,
    under_way: HashMap<tokio::task::Id, Arc<Call>>,
}

impl<R: Runner> Hooks<R> {
    /// A loop that tells of failures through `notices` and keeps them in `failing`.
    pub fn new(
        runner: R,
        notices: broadcast::Sender<Arc<Notice>>,
        failing: watch::Sender<Failing>,
    ) -> Self {
        Self {
            runner,
            notices,
            failing,
            queue: Queue::default(),
            work: JoinSet::new(),
            under_way: HashMap::new(),
        }
    }

    /// Makes calls until nobody can hand any over, and then those that wait, for [`FAREWELL`]
    /// at the most.
    pub async fn run(mut self, mut calls: mpsc::Receiver<Arc<Call>>) {
        loop {
            tokio::select! {
                Some(ended) = self.work.join_next_with_id(), if !self.work.is_empty() => {
                    self.ended(ended);
                }
                call = calls.recv() => match call {
                    Some(call) => self.take(call),
                    None => break,
                },
            }
            self.begin();
        }
        let rest = async {
            while let Some(ended) = self.work.join_next_with_id().await {
                self.ended(ended);
                self.begin();
            }
        };
        // Who is not done by then is told of below.
        let _late = timeout(FAREWELL, rest).await;
        self.work.shutdown().await;
        let begun = std::mem::take(&mut self.under_way);
        for call in begun.into_values().chain(self.queue.drain()) {
            self.raise(&call, &Flaw::Stopped);
        }
    }

    fn take(&mut self, call: Arc<Call>) {
        let account = call.account().clone();
        if let Some(dropped) = self.queue.push(&account, call) {
            self.raise(&dropped, &Flaw::NoRoom);
        }
    }

    /// Begins as many calls as may run.
    fn begin(&mut self) {
        while let Some(call) = self.queue.next() {
            let task = self.work.spawn(self.runner.make(Arc::clone(&call)));
            self.under_way.insert(task.id(), call);
        }
    }

    fn ended(&mut self, ended: Result<(tokio::task::Id, Result<(), R::Error>), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(panic) => panic.id(),
        };
        let Some(call) = self.under_way.remove(&id) else { return };
        self.queue.ended(call.account());
        match ended {
            Ok((_, Ok(()))) => self.works(&call),
            Ok((_, Err(error))) => self.raise(&call, &error),
            Err(_panic) => self.raise(&call, &Flaw::Broken),
        }
    }

    fn works(&self, call: &Call) {
        let key = (call.account().clone(), call.hook.name.clone());
        self.failing.send_if_modified(|failing| failing.0.remove(&key).is_some());
    }

    fn raise(&self, call: &Call, why: &impl fmt::Display) {
        keep(&self.failing, call, why);
        let (account, about) = (call.account().clone(), call.event());
        let notice = Notice {
            account,
            at: self.runner.now(),
            event: failed(&call.hook, about, why),
            snapshot: Arc::clone(&call.notice.snapshot),
        };
        log(&notice);
        // Nobody may be following.
        let _unheard = self.notices.send(Arc::new(notice));
    }
}

/// Keeps how a call failed, until that hook works again.
fn keep(failing: &watch::Sender<Failing>, call: &Call, why: &impl fmt::Display) {
    let (about, at) = (call.event(), call.notice.at.wall);
    let failure = LastFailure { about, at, why: why.to_string().into() };
    let key = (call.account().clone(), call.hook.name.clone());
    failing.send_modify(|failing| {
        failing.0.insert(key, failure);
    });
}

/// Writes into the log that a hook failed.
pub fn log(notice: &Notice) {
    let account = &notice.account;
    if let Event::HookFailed { hook, about, why } = &notice.event {
        let (hook, about, event) = (&**hook, about.as_str(), notice.event.name().as_str());
        warn!(%account, event, hook, about, code = "HOOK_FAILED", "hook {hook} failed: {why}");
    }
}

fn failed(hook: &Hook, about: EventName, why: &impl fmt::Display) -> Event {
    Event::HookFailed { hook: hook.name.clone(), about, why: why.to_string().into() }
}
