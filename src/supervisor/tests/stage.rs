//! A supervisor with its channels in the hands of a test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::sleep;

use super::world::Log;
use super::world::Values;
use super::world::tokens;
use crate::hook::Hook;
use crate::hooks::Caller;
use crate::hooks::Failing;
use crate::hooks::call::Call;
use crate::keeper::Directory;
use crate::keeper::Keeper;
use crate::keeper::Order;
use crate::lifecycle::words::Action;
use crate::name::AccountId;
use crate::plan::Plan;
use crate::plan::Rotation;
use crate::provider::silent;
use crate::record::Lineage;
use crate::record::Record;
use crate::record::Saved;
use crate::record::Stamp;
use crate::record::Standing;
use crate::snapshot::StateName;
use crate::supervisor::Control;
use crate::supervisor::Supervisor;
use crate::supervisor::lineup::Change;
use crate::supervisor::lineup::Lineup;
use crate::supervisor::lineup::Settings;
use crate::time::Moment;
use crate::time::Timestamp;
use crate::token::Generation;

/// A supervisor with its channels, in a world of values.
pub(super) struct Stage {
    cue: Mutex<Option<Cue>>,
    pub(super) control: mpsc::Sender<Control>,
    pub(super) keeper: Keeper,
    pub(super) directory: watch::Receiver<Arc<Directory>>,
    pub(super) log: Log,
    pub(super) calls: Mutex<mpsc::Receiver<Arc<Call>>>,
    pub(super) failing: watch::Sender<Failing>,
}

/// What a run takes.
struct Cue {
    supervisor: Supervisor<Values>,
    orders: mpsc::Receiver<Order>,
    controls: mpsc::Receiver<Control>,
}

impl Stage {
    /// Accounts with an hour's token, just issued.
    pub(super) fn with(names: &[&str]) -> Self {
        Self::hooked(names, Vec::new())
    }

    /// The same, with these hooks.
    pub(super) fn hooked(names: &[&str], hooks: Vec<Hook>) -> Self {
        let hooks = hooks.into_iter().map(Arc::new).collect::<Arc<[_]>>();
        let log = Log::default();
        let world = Values { began: began(), log: log.clone() };
        let (directory_in, directory) = watch::channel(Arc::new(Directory::default()));
        let (control, controls) = mpsc::channel(16);
        let (orders_in, orders) = mpsc::channel(Keeper::ORDERS);
        let (errands, _) = mpsc::channel(1);
        let (calls, _) = mpsc::channel(1);
        let (notices, _) = broadcast::channel(64);
        let keeper = Keeper::new(directory.clone(), orders_in, errands, calls, notices.clone());
        let accounts = names
            .iter()
            .map(|name| {
                let settings = Settings { hooks: Arc::clone(&hooks), ..plain() };
                (id(name), Change::New(Arc::new(settings), Some(Box::new(record(name)))))
            })
            .collect();
        let lineup = Lineup { accounts, admin: Vec::new(), metrics: Vec::new() };
        let (done, _) = oneshot::channel();
        control.try_send(Control::Apply { lineup: Box::new(lineup), done }).unwrap();
        let failing = watch::Sender::default();
        let (caller, calls) = Caller::new(failing.clone());
        let supervisor = Supervisor::new(world, directory_in, notices, caller);
        let cue = Mutex::new(Some(Cue { supervisor, orders, controls }));
        Self { cue, control, keeper, directory, log, calls: Mutex::new(calls), failing }
    }

    /// Runs to its end, for a day at the most: accounts never come to an end by themselves.
    pub(super) async fn run(&self) {
        let taken = self.cue.lock().unwrap().take();
        let Cue { supervisor, orders, controls } = taken.unwrap();
        let day = Duration::from_secs(86_400);
        tokio::time::timeout(day, supervisor.run(orders, controls)).await.unwrap();
    }

    pub(super) async fn apply(&self, accounts: BTreeMap<AccountId, Change>) {
        let lineup = Lineup { accounts, admin: Vec::new(), metrics: Vec::new() };
        let (done, applied) = oneshot::channel();
        self.control.send(Control::Apply { lineup: Box::new(lineup), done }).await.unwrap();
        applied.await.unwrap();
    }

    /// The calls that were handed over: the hook, and what it is about.
    pub(super) fn called(&self) -> Vec<String> {
        let mut calls = self.calls.lock().unwrap();
        let told = |call: Arc<Call>| {
            let variables = call.environment().into_iter().collect::<BTreeMap<_, _>>();
            let code = variables.get("TOKENKEEPER_CODE").map(|code| format!(" {code}"));
            let (event, generation) =
                (call.event().as_str(), variables["TOKENKEEPER_GENERATION"].clone());
            format!("{} {event} {generation}{}", call.account(), code.unwrap_or_default())
        };
        std::iter::from_fn(|| calls.try_recv().ok()).map(told).collect()
    }

    pub(super) fn seat(&self, name: &str) -> Arc<crate::keeper::Seat> {
        Arc::clone(self.directory.borrow().seats.get(name).unwrap())
    }

    /// Orders a refresh of an account that rests.
    pub(super) async fn refresh(&self, name: &str) {
        self.until(name, StateName::Fresh).await;
        self.keeper.order(&id(name), Action::Refresh).await.unwrap();
    }

    /// At which generation its refresh token may be handed out.
    pub(super) async fn released(&self, name: &str) -> Option<Generation> {
        let (reply, answer) = oneshot::channel();
        self.control.send(Control::Released { account: id(name), reply }).await.unwrap();
        answer.await.unwrap()
    }

    /// Waits until the world has been asked for that.
    pub(super) async fn until_said(&self, line: &str) {
        while self.log.count(line) == 0 {
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub(super) async fn until(&self, name: &str, state: StateName) {
        self.directory.clone().wait_for(|it| it.seats.contains_key(name)).await.unwrap();
        let mut snapshot = self.seat(name).snapshot.clone();
        snapshot.wait_for(|snapshot| snapshot.state == state).await.unwrap();
    }

    pub(super) async fn until_generation(&self, name: &str, generation: u64) {
        let mut snapshot = self.seat(name).snapshot.clone();
        let wanted = Generation(generation);
        snapshot.wait_for(|snapshot| snapshot.generation == wanted).await.unwrap();
    }
}

pub(super) fn settings() -> Arc<Settings> {
    Arc::new(plain())
}

pub(super) fn plain() -> Settings {
    let plan = Plan::plain(Rotation::Unknown);
    Settings {
        provider: silent::provider("here"),
        plan: Arc::new(plan),
        rules: Vec::new().into(),
        hooks: Vec::new().into(),
    }
}

pub(super) fn record(name: &str) -> Record {
    let issued =
        Stamp { wall: Timestamp::from_millis(1000), boot: Some(Moment::from_millis(1000)) };
    Record {
        account: id(name),
        lineage: lineage(),
        subject: None,
        current: Some(Saved {
            generation: Generation(1),
            tokens: Some(tokens()),
            issued,
            lifetime: Duration::from_secs(3600),
            aws: None,
            refreshable: true,
        }),
        staged: None,
        staged_mark: None,
        intent: None,
        staged_intent: None,
        attempts: Vec::new(),
        standing: Standing::default(),
        unsaved: false,
    }
}

fn lineage() -> Lineage {
    Lineage("here".into())
}

pub(super) fn id(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "paused time of the test's runtime, not a clock")]
fn began() -> Instant {
    Instant::now()
}
