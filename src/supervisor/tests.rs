//! The loop on paused time, in a world of values.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::sleep;

use super::Change;
use super::Control;
use super::Ended;
use super::Lineup;
use super::Settings;
use super::Supervisor;
use super::World;
use crate::error::Code;
use crate::error::OauthError;
use crate::error::RefreshError;
use crate::hook::Deed;
use crate::hook::Hook;
use crate::hook::Role;
use crate::hooks::Call;
use crate::hooks::Caller;
use crate::hooks::Flaw;
use crate::keeper::Directory;
use crate::keeper::Keeper;
use crate::keeper::Order;
use crate::lifecycle::Action;
use crate::lifecycle::Done;
use crate::lifecycle::Revocation;
use crate::name::AccountId;
use crate::notice::EventName;
use crate::plan::EXPIRY_AHEAD;
use crate::plan::FailureAction;
use crate::plan::Plan;
use crate::plan::Rotation;
use crate::plan::SignIn;
use crate::provider::Outcome;
use crate::provider::Provider;
use crate::provider::Spend;
use crate::provider::silent;
use crate::record::Lease;
use crate::record::Lineage;
use crate::record::Record;
use crate::record::Saved;
use crate::record::Stake;
use crate::record::Stamp;
use crate::record::Standing;
use crate::record::StoreError;
use crate::record::Write;
use crate::record::Written;
use crate::snapshot::StateName;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;
use crate::token::Generation;
use crate::token::Grant;
use crate::token::Secret;
use crate::token::TokenSet;

#[tokio::test(start_paused = true)]
async fn a_stop_in_mid_exchange_still_saves_the_rotated_token() {
    let stage = Stage::with(&["mail"]);
    let script = async {
        stage.until("mail", StateName::Exchanging).await;
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    assert_eq!(stage.log.said(), ["mail intent", "mail exchange", "mail commit"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_one_exchange_is_that_accounts_failure() {
    let stage = Stage::with(&["bomb", "mail"]);
    let script = async {
        stage.until("bomb", StateName::InDoubt).await;
        stage.until_generation("mail", 2).await;
        let failure = stage.seat("bomb").now().failure.clone().unwrap();
        assert!(matches!(failure.error, RefreshError::Internal(_)));
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
}

#[tokio::test(start_paused = true)]
async fn many_demands_are_one_exchange() {
    let stage = Stage::with(&["mail"]);
    let script = async {
        stage.until("mail", StateName::Fresh).await;
        let account = id("mail");
        let asked = (0..100).map(|_| stage.keeper.order(&account, Action::Refresh));
        for answer in asked {
            assert_eq!(answer.await, Ok(Done::Joined(Generation(1))));
        }
        stage.until_generation("mail", 2).await;
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    assert_eq!(stage.log.count("mail exchange"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reload_leaves_the_others_alone_and_lets_an_exchange_in_flight_end() {
    let stage = Stage::with(&["gone", "mail"]);
    let script = async {
        stage.until("gone", StateName::Exchanging).await;
        let kept = stage.seat("mail");
        let accounts = BTreeMap::from([(id("mail"), Change::Nothing)]);
        stage.apply(accounts).await;
        assert_eq!(stage.directory.borrow().seats.len(), 1, "what is applied is published");
        stage.until_generation("mail", 2).await;
        assert_eq!(kept.now().generation, Generation(2), "the old handle still follows");
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    assert_eq!(stage.log.count("gone commit"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_for_an_account_that_is_gone_is_answered() {
    let stage = Stage::with(&["mail"]);
    let script = async {
        let answer = stage.keeper.order(&id("nobody"), Action::Refresh).await;
        assert_eq!(answer.unwrap_err().code, Code::AccountUnknown);
        let answer = stage.keeper.order(&id("mail"), Action::SecretChanged).await;
        assert!(answer.is_ok(), "an order that changes nothing is answered too");
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
}

#[tokio::test(start_paused = true)]
async fn who_gives_an_order_while_another_waits_for_its_write_takes_no_answer_away() {
    let stage = Stage::with(&["mail"]);
    let script = async {
        stage.until("mail", StateName::Fresh).await;
        let mail = id("mail");
        let order = |action| stage.keeper.order(&mail, action);
        let pauses = async {
            stage.until("mail", StateName::Exchanging).await;
            tokio::join!(order(Action::Pause), order(Action::Pause))
        };
        let import = order(Action::Import(Secret::new("mail").into()));
        let (import, (pause, again)) = tokio::join!(import, pauses);
        assert_eq!(import, Ok(Done::Changed(Generation(2))), "answered when it is proven");
        assert_eq!(pause, Ok(Done::Changed(Generation(1))), "answered when it is written");
        assert_eq!(again, Ok(Done::Current(Generation(1))), "answered at once");
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
}

#[tokio::test(start_paused = true)]
async fn a_learned_endpoint_outlives_a_reload_of_the_rules_and_no_other() {
    let stage = Stage::with(&["discovers"]);
    let script = async {
        let account = id("discovers");
        let refresh = async |generation| {
            stage.keeper.order(&account, Action::Refresh).await.unwrap();
            stage.until_generation("discovers", generation).await;
            sleep(Duration::from_secs(600)).await;
        };
        stage.until("discovers", StateName::Fresh).await;
        refresh(2).await;
        refresh(3).await;
        let rules = Settings { provider: stage.seat("discovers").provider.clone(), ..plain() };
        stage.apply(BTreeMap::from([(id("discovers"), Change::Rules(Arc::new(rules)))])).await;
        refresh(4).await;
        stage.apply(BTreeMap::from([(id("discovers"), Change::Settings(settings()))])).await;
        refresh(5).await;

        // What is learned while another provider is put in force is not that one's.
        stage.keeper.order(&account, Action::Refresh).await.unwrap();
        stage.until("discovers", StateName::Exchanging).await;
        sleep(Duration::from_secs(1)).await;
        stage.apply(BTreeMap::from([(id("discovers"), Change::Settings(settings()))])).await;
        stage.until_generation("discovers", 6).await;
        sleep(Duration::from_secs(600)).await;
        refresh(7).await;
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    let exchanges = stage.log.said().into_iter().filter(|line| line.contains("exchange"));
    assert_eq!(
        exchanges.collect::<Vec<_>>(),
        [
            "discovers exchange",
            "discovers exchange where it learned to",
            "discovers exchange where it learned to",
            "discovers exchange",
            "discovers exchange where it learned to",
            "discovers exchange",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_logout_is_answered_when_it_is_over_and_other_orders_meanwhile() {
    let stage = Stage::with(&["mail"]);
    let script = async {
        stage.until("mail", StateName::Fresh).await;
        let account = id("mail");
        let logout = stage.keeper.order(&account, Action::Logout);
        let others = async {
            stage.until("mail", StateName::Exchanging).await;
            let second = stage.keeper.order(&account, Action::Logout).await;
            assert_eq!(second.unwrap_err().code, Code::RefreshPending);
            let refresh = stage.keeper.order(&account, Action::Refresh).await;
            assert_eq!(refresh, Ok(Done::Joined(Generation(1))));
        };
        let (answer, ()) = tokio::join!(logout, others);
        assert_eq!(answer, Ok(Done::Changed(Generation(1))));
        assert_eq!(stage.seat("mail").now().state, StateName::Vacant);
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    assert_eq!(stage.log.said(), ["mail intent", "mail revoke", "mail clear"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_mid_logout_still_forgets_the_login() {
    let stage = Stage::with(&["mail"]);
    let script = async {
        stage.until("mail", StateName::Fresh).await;
        let account = id("mail");
        let logout = stage.keeper.order(&account, Action::Logout);
        let stop = async {
            stage.until("mail", StateName::Exchanging).await;
            stage.control.send(Control::Stop).await.unwrap();
        };
        let (answer, ()) = tokio::join!(logout, stop);
        assert!(answer.is_ok());
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    assert_eq!(stage.log.count("mail clear"), 1);
}

#[tokio::test(start_paused = true)]
async fn hooks_hear_of_a_refresh_when_it_begins_and_when_it_is_saved() {
    let stage = Stage::hooked(&["mail"], vec![follower()]);
    let script = async {
        stage.refresh("mail").await;
        stage.until("mail", StateName::Exchanging).await;
        assert_eq!(stage.called(), ["mail refresh_started 1"]);
        stage.until_generation("mail", 2).await;
        assert_eq!(stage.called(), ["mail token_changed 2"]);
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
}

#[tokio::test(start_paused = true)]
async fn hooks_hear_of_a_provider_that_refuses_and_of_one_that_cannot_be_reached() {
    let stage = Stage::hooked(&["refused", "cut-off"], vec![follower()]);
    let script = async {
        for (name, state) in [("refused", StateName::Suspect), ("cut-off", StateName::Waiting)] {
            stage.refresh(name).await;
            stage.until(name, state).await;
        }
        assert_eq!(
            stage.called(),
            [
                "refused refresh_started 1",
                "refused refresh_failed 1 GRANT_REJECTED",
                "cut-off refresh_started 1",
                "cut-off refresh_failed 1 PROVIDER_UNREACHABLE",
            ]
        );
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
}

/// The token is published, since nothing else is as new; that it is not on disk is a failure.
#[tokio::test(start_paused = true)]
async fn hooks_hear_of_a_token_that_cannot_be_saved_and_of_the_failure() {
    let stage = Stage::hooked(&["full"], vec![follower()]);
    let script = async {
        stage.refresh("full").await;
        stage.until_generation("full", 2).await;
        assert_eq!(
            stage.called(),
            [
                "full refresh_started 1",
                "full token_changed 2",
                "full refresh_failed 2 STORE_UNAVAILABLE",
                "full alarm 2 STORE_UNAVAILABLE",
            ]
        );
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_keeps_nothing_from_hooks() {
    let stage = Stage::hooked(&["mail"], vec![follower()]);
    let script = async {
        stage.until("mail", StateName::Fresh).await;
        let account = id("mail");
        // Dropped at once, as a client's connection is.
        drop(
            tokio::time::timeout(Duration::ZERO, stage.keeper.order(&account, Action::Refresh))
                .await,
        );
        stage.until_generation("mail", 2).await;
        assert_eq!(stage.called(), ["mail refresh_started 1", "mail token_changed 2"]);
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
}

#[tokio::test(start_paused = true)]
async fn hooks_hear_how_the_last_attempt_of_a_removed_account_ended() {
    let stage = Stage::hooked(&["mail"], vec![follower()]);
    let script = async {
        stage.refresh("mail").await;
        stage.until("mail", StateName::Exchanging).await;
        let kept = stage.seat("mail");
        stage.apply(BTreeMap::new()).await;
        let mut snapshot = kept.snapshot.clone();
        snapshot.wait_for(|snapshot| snapshot.generation == Generation(2)).await.unwrap();
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    assert_eq!(stage.called(), ["mail refresh_started 1", "mail token_changed 2"]);
}

#[tokio::test(start_paused = true)]
async fn hooks_hear_how_the_attempt_ended_that_a_stop_waited_for() {
    let stage = Stage::hooked(&["mail"], vec![follower()]);
    let script = async {
        stage.refresh("mail").await;
        stage.until("mail", StateName::Exchanging).await;
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    assert_eq!(stage.called(), ["mail refresh_started 1", "mail token_changed 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_gate_is_asked_before_anything_is_announced() {
    let stage = Stage::hooked(&["mail"], vec![gate("open")]);
    let script = async {
        stage.refresh("mail").await;
        stage.until_generation("mail", 2).await;
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    assert_eq!(stage.log.said(), ["mail open", "mail intent", "mail exchange", "mail commit"]);
    assert_eq!(stage.called(), [""; 0], "a gate is asked, and not called besides");
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_refuses_ends_the_attempt_before_anything_is_spent() {
    let stage = Stage::hooked(&["mail"], vec![gate("shut"), follower()]);
    let script = async {
        stage.refresh("mail").await;
        stage.until("mail", StateName::Waiting).await;
        assert_eq!(stage.log.said(), ["mail shut"]);
        let called = ["mail refresh_started 1", "mail refresh_failed 1 HOOK_FAILED"];
        assert_eq!(stage.called(), called);
        let failure = stage.seat("mail").now().failure.clone().unwrap();
        assert_eq!(failure.error.to_string(), "hook shut: exit status: 1");
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
}

#[tokio::test(start_paused = true)]
async fn a_logout_asks_no_gate() {
    let stage = Stage::hooked(&["mail"], vec![gate("shut")]);
    let script = async {
        stage.until("mail", StateName::Fresh).await;
        assert!(stage.keeper.order(&id("mail"), Action::Logout).await.is_ok());
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    assert_eq!(stage.log.said(), ["mail intent", "mail revoke", "mail clear"]);
}

/// What is in doubt is spent already: nothing is gained by waiting, and the grace runs out.
#[tokio::test(start_paused = true)]
async fn a_replay_asks_no_gate() {
    let stage = Stage::hooked(&["bomb"], vec![gate("open")]);
    let script = async {
        stage.refresh("bomb").await;
        while stage.log.count("bomb exchange") < 2 {
            sleep(Duration::from_secs(1)).await;
        }
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    assert_eq!(stage.log.count("bomb open"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_there_is_no_room_for_is_told_of_and_calls_nothing() {
    let stage = Stage::hooked(&["mail"], vec![follower()]);
    let mut notices = stage.keeper.notices();
    // Nobody takes calls any more.
    stage.calls.lock().unwrap().close();
    let script = async {
        stage.refresh("mail").await;
        stage.until_generation("mail", 2).await;
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    let told = std::iter::from_fn(|| notices.try_recv().ok());
    let told = told.map(|notice| notice.event.name().as_str()).collect::<Vec<_>>();
    assert_eq!(told, ["refresh_started", "hook_failed", "token_changed", "hook_failed"]);
}

/// A supervisor with its channels, in a world of values.
struct Stage {
    cue: Mutex<Option<Cue>>,
    control: mpsc::Sender<Control>,
    keeper: Keeper,
    directory: watch::Receiver<Arc<Directory>>,
    log: Log,
    calls: Mutex<mpsc::Receiver<Arc<Call>>>,
}

/// What a run takes.
struct Cue {
    supervisor: Supervisor<Values>,
    orders: mpsc::Receiver<Order>,
    controls: mpsc::Receiver<Control>,
}

impl Stage {
    /// Accounts with an hour's token, just issued.
    fn with(names: &[&str]) -> Self {
        Self::hooked(names, Vec::new())
    }

    /// The same, with these hooks.
    fn hooked(names: &[&str], hooks: Vec<Hook>) -> Self {
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
        let (caller, calls) = Caller::new();
        let supervisor = Supervisor::new(world, directory_in, notices, caller);
        let cue = Mutex::new(Some(Cue { supervisor, orders, controls }));
        Self { cue, control, keeper, directory, log, calls: Mutex::new(calls) }
    }

    /// Runs to its end, for a day at the most: accounts never come to an end by themselves.
    async fn run(&self) {
        let taken = self.cue.lock().unwrap().take();
        let Cue { supervisor, orders, controls } = taken.unwrap();
        let day = Duration::from_secs(86_400);
        tokio::time::timeout(day, supervisor.run(orders, controls)).await.unwrap();
    }

    async fn apply(&self, accounts: BTreeMap<AccountId, Change>) {
        let lineup = Lineup { accounts, admin: Vec::new(), metrics: Vec::new() };
        let (done, applied) = oneshot::channel();
        self.control.send(Control::Apply { lineup: Box::new(lineup), done }).await.unwrap();
        applied.await.unwrap();
    }

    /// The calls that were handed over: the hook, and what it is about.
    fn called(&self) -> Vec<String> {
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

    fn seat(&self, name: &str) -> Arc<crate::keeper::Seat> {
        Arc::clone(self.directory.borrow().seats.get(name).unwrap())
    }

    /// Orders a refresh of an account that rests.
    async fn refresh(&self, name: &str) {
        self.until(name, StateName::Fresh).await;
        self.keeper.order(&id(name), Action::Refresh).await.unwrap();
    }

    async fn until(&self, name: &str, state: StateName) {
        self.directory.clone().wait_for(|it| it.seats.contains_key(name)).await.unwrap();
        let mut snapshot = self.seat(name).snapshot.clone();
        snapshot.wait_for(|snapshot| snapshot.state == state).await.unwrap();
    }

    async fn until_generation(&self, name: &str, generation: u64) {
        let mut snapshot = self.seat(name).snapshot.clone();
        let wanted = Generation(generation);
        snapshot.wait_for(|snapshot| snapshot.generation == wanted).await.unwrap();
    }
}

/// A world of values. The account called `bomb` panics in its exchange; the one called
/// `discovers` learns an endpoint in each; `refused` and `cut-off` fail, and what `full` brings
/// cannot be written but for once in a while.
struct Values {
    began: Instant,
    log: Log,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn say(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn said(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self, line: &str) -> usize {
        self.said().iter().filter(|said| *said == line).count()
    }
}

impl World for Values {
    fn now(&self) -> Now {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap() + 1000;
        let boot = Moment::from_millis(millis);
        Now { boot, wall: Timestamp::from_millis(i64::try_from(millis).unwrap()) }
    }

    fn jitter(&self) -> Jitter {
        Jitter::new(0.5)
    }

    async fn sleep_until(&self, at: Option<Moment>) {
        match at {
            Some(at) => sleep(at.since(self.now().boot)).await,
            None => std::future::pending().await,
        }
    }

    fn write(
        &self,
        write: Write,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send + 'static {
        let log = self.log.clone();
        async move {
            match write {
                Write::Intent { account, .. } => {
                    log.say(format!("{account} intent"));
                    let refresh_token = Some(Secret::new(account.as_str()));
                    let generation = Generation(1);
                    Ok(Written::Leased(Lease { generation, refresh_token, durable: true }))
                }
                Write::Commit { account, .. } => {
                    log.say(format!("{account} commit"));
                    let commits = log.count(&format!("{account} commit"));
                    if account.as_str() == "full" && commits == 1 {
                        return Err(StoreError::Closed);
                    }
                    Ok(Written::Committed(Generation(1 + u64::try_from(commits).unwrap())))
                }
                Write::Clear { account } => {
                    log.say(format!("{account} clear"));
                    Ok(Written::Done)
                }
                Write::Note { .. }
                | Write::Salvage { .. }
                | Write::Stage { .. }
                | Write::Unstage { .. }
                | Write::Orphan { .. } => Ok(Written::Done),
            }
        }
    }

    fn secrets(
        &self,
        _: &AccountId,
        _: &Arc<dyn Provider>,
        _: Stake,
    ) -> impl Future<Output = Result<Vec<(&'static str, Secret)>, RefreshError>> + Send + 'static
    {
        std::future::ready(Ok(Vec::new()))
    }

    fn gate(&self, call: Call) -> impl Future<Output = Result<(), RefreshError>> + Send + 'static {
        let log = self.log.clone();
        async move {
            log.say(format!("{} {}", call.account(), call.hook.name));
            sleep(Duration::from_secs(1)).await;
            let why = Flaw::Ended { how: "exit status: 1".to_owned(), said: String::new() };
            if &*call.hook.name == "shut" { Err(why.of_gate(&call.hook)) } else { Ok(()) }
        }
    }

    fn revoke(
        &self,
        _: &Arc<dyn Provider>,
        spend: Spend,
        _: Duration,
    ) -> impl Future<Output = Revocation> + Send + 'static {
        let log = self.log.clone();
        async move {
            let account = spend.refresh_token.unwrap().expose().to_owned();
            log.say(format!("{account} revoke"));
            sleep(Duration::from_secs(2)).await;
            Revocation::Ended
        }
    }

    fn exchange(
        &self,
        _: &Arc<dyn Provider>,
        _: Stake,
        spend: Spend,
        _: Duration,
    ) -> impl Future<Output = Ended> + Send + 'static {
        let log = self.log.clone();
        async move {
            let account = spend.refresh_token.unwrap().expose().to_owned();
            let place = if spend.learned.is_some() { " where it learned to" } else { "" };
            log.say(format!("{account} exchange{place}"));
            sleep(Duration::from_secs(2)).await;
            assert_ne!(account, "bomb", "an exchange that goes wrong");
            let error = match account.as_str() {
                "refused" => {
                    Some(RefreshError::GrantRejected(OauthError::new("invalid_grant", None)))
                }
                "cut-off" => Some(RefreshError::Unreachable("no route".to_owned())),
                _ => None,
            };
            if let Some(error) = error {
                return Ended { outcome: Outcome::Failed(error), learned: None };
            }
            let grant = Grant {
                tokens: tokens(),
                refresh_token: Some(Secret::new("r2")),
                lifetime: Duration::from_secs(3600),
                refresh_lifetime: None,
                aws: None,
                subject: None,
            };
            let endpoint = "https://login.example/token".parse().unwrap();
            let learned = (account == "discovers").then_some(endpoint);
            Ended { outcome: Outcome::Granted(Box::new(grant)), learned }
        }
    }
}

/// A hook that hears of every event.
fn follower() -> Hook {
    Hook {
        name: "follower".into(),
        on: Hook::EVENTS.into(),
        deed: Deed::File { directory: Path::new("/nowhere").into() },
    }
}

fn gate(name: &str) -> Hook {
    Hook {
        name: name.into(),
        on: [EventName::RefreshStarted].into(),
        deed: Deed::Run {
            argv: ["/bin/true".into()].into(),
            timeout: Hook::TIMEOUT,
            role: Role::Gate,
        },
    }
}

fn settings() -> Arc<Settings> {
    Arc::new(plain())
}

fn plain() -> Settings {
    let plan = Plan {
        rotation: Rotation::Unknown,
        refresh_before: None,
        has_refresh_token: true,
        requests: 1,
        alarm_before: Duration::from_secs(600),
        on_refresh_failure: FailureAction::Raise,
        sign_in: SignIn::Never,
        refresh_token_lifetime: None,
        refresh_token_idle: None,
        expiry_ahead: EXPIRY_AHEAD.into(),
    };
    Settings {
        provider: silent::provider("here"),
        plan: Arc::new(plan),
        rules: Vec::new().into(),
        hooks: Vec::new().into(),
    }
}

fn record(name: &str) -> Record {
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
        intent: None,
        staged_intent: None,
        attempts: Vec::new(),
        standing: Standing::default(),
    }
}

fn tokens() -> Arc<TokenSet> {
    Arc::new(TokenSet {
        access: Secret::new("a"),
        id: None,
        token_type: "Bearer".into(),
        scope: None,
    })
}

fn lineage() -> Lineage {
    Lineage("here".into())
}

fn id(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "paused time of the test's runtime, not a clock")]
fn began() -> Instant {
    Instant::now()
}
