//! The loop on paused time, with hooks that do what their names say.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::sleep;

use super::*;
use crate::error::RefreshError;
use crate::hook::Deed;
use crate::hook::Role;
use crate::notice::Reason;
use crate::record::Failure;
use crate::snapshot::Held;
use crate::snapshot::Snapshot;
use crate::snapshot::StateName;
use crate::time::Moment;
use crate::token::Generation;
use crate::token::Secret;
use crate::token::TokenSet;

#[tokio::test(start_paused = true)]
async fn a_hook_is_called_for_what_it_follows_and_for_nothing_else() {
    let stage = Stage::new();
    let hooks = [hook("good", &[EventName::TokenChanged]), hook("other", &[EventName::Expired])];
    stage.play(&hooks, [changed("mail"), happened("mail", Event::StateChanged)]).await;
    assert_eq!(stage.said(), ["mail good begins", "mail good ends"]);
    assert_eq!(stage.told(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn calls_of_an_account_come_one_after_the_other_and_those_of_others_beside_them() {
    let stage = Stage::new();
    let hooks = [hook("good", &[EventName::TokenChanged])];
    stage.play(&hooks, [changed("mail"), changed("mail"), changed("ci")]).await;
    assert_eq!(
        stage.said(),
        [
            "mail good begins",
            "ci good begins",
            "mail good ends",
            "ci good ends",
            "mail good begins",
            "mail good ends",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_is_raised_until_it_works_again() {
    let stage = Stage::new();
    let hooks = [hook("flaky", &[EventName::TokenChanged])];
    let (caller, calls) = Caller::new(stage.failing_in.clone());
    let script = async {
        assert_eq!(caller.call(&hooks, Kind::Access, &changed("mail")), []);
        stage.until_failing(1).await;
        let failing = stage.failing.borrow();
        let (account, hook, failure) = failing.iter().next().unwrap();
        assert_eq!((account.as_str(), hook), ("mail", "flaky"));
        assert_eq!(&*failure.why, "exit status: 1: it rains");
        drop(failing);
        caller.call(&hooks, Kind::Access, &changed("mail"));
        stage.until_failing(0).await;
        drop(caller);
    };
    tokio::join!(stage.hooks().run(calls), script);
    assert_eq!(stage.told(), ["hook_failed flaky token_changed exit status: 1: it rains"]);
}

/// Otherwise a hook that fails would call itself for ever.
#[test]
fn that_a_hook_failed_is_an_event_that_no_hook_can_follow() {
    assert!(!Hook::EVENTS.contains(&EventName::HookFailed));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_is_that_hooks_failure() {
    let stage = Stage::new();
    let hooks =
        [hook("bomb", &[EventName::TokenChanged]), hook("good", &[EventName::TokenChanged])];
    stage.play(&hooks, [changed("mail")]).await;
    assert_eq!(stage.told(), ["hook_failed bomb token_changed its call panicked"]);
    assert!(stage.said().contains(&"mail good ends".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_calls_end_that_are_quick_and_waits_for_no_others() {
    let stage = Stage::new();
    let hooks = [
        hook("good", &[EventName::TokenChanged]),
        hook("slow", &[EventName::TokenChanged]),
        hook("late", &[EventName::TokenChanged]),
    ];
    stage.play(&hooks, [changed("mail")]).await;
    assert_eq!(stage.said(), ["mail good begins", "mail good ends", "mail slow begins"]);
    assert_eq!(
        stage.told(),
        [
            "hook_failed slow token_changed the daemon stopped before it was done",
            "hook_failed late token_changed the daemon stopped before it was done",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_too_much_for_an_account_is_told_and_not_kept() {
    let stage = Stage::new();
    let hooks = [hook("slow", &[EventName::TokenChanged])];
    let many = (0..queue::OF_AN_ACCOUNT + 3).map(|_| changed("mail"));
    stage.play(&hooks, many).await;
    let told = stage.told();
    let count = |why: &str| told.iter().filter(|line| line.ends_with(why)).count();
    assert_eq!(count("too many calls are waiting"), 2);
    assert_eq!(count("before it was done"), queue::OF_AN_ACCOUNT + 1);
}

#[test]
fn a_hook_without_room_fails_until_it_works_and_one_that_is_gone_is_forgotten() {
    let stage = Stage::new();
    let hooks = [hook("good", &[EventName::TokenChanged]), hook("old", &[EventName::TokenChanged])];
    let (caller, calls) = Caller::new(stage.failing_in.clone());
    drop(calls);
    assert_eq!(caller.call(&hooks, Kind::Access, &changed("mail")).len(), 2);
    let failing = || {
        let failing = stage.failing.borrow();
        let told =
            failing.iter().map(|(account, hook, it)| format!("{account} {hook}: {}", it.why));
        told.collect::<Vec<_>>()
    };
    let why = "it was not called, because too many calls are waiting";
    assert_eq!(failing(), [format!("mail good: {why}"), format!("mail old: {why}")]);
    caller.forget(|account, hook| account.as_str() == "mail" && hook == "good");
    assert_eq!(failing(), [format!("mail good: {why}")]);
    caller.forget(|account, _| account.as_str() == "ci");
    assert!(failing().is_empty());
}

#[test]
fn variables_and_document_say_all_that_is_known_and_nothing_secret() {
    let failure = Failure {
        error: RefreshError::Unreachable("no route".to_owned()),
        since_ms: 0,
        attempt: 2,
        not_before_ms: None,
        told_as: None,
    };
    let events = [
        Event::TokenChanged { reason: Reason::Scheduled, attempt: 1 },
        Event::RefreshFailed { reason: Reason::Requested, failure: failure.into() },
        Event::ExpiryAhead {
            at: Timestamp::from_millis(86_400_000),
            within: Duration::from_secs(86_400),
        },
    ];
    let mut text = String::new();
    for event in events {
        let hook = bearer();
        let call = Call { hook, notice: happened("mail", event), kind: Kind::Access };
        for (name, value) in call.environment() {
            text.push_str(&format!("{name}={value}\n"));
        }
        text.push_str(&call.document());
        assert_eq!(call.token().is_some(), call.event() == EventName::TokenChanged);
    }
    assert!(!text.contains("hush"));
    insta::assert_snapshot!(text, @r#"
    TOKENKEEPER_HOOK=bearer
    TOKENKEEPER_EVENT=token_changed
    TOKENKEEPER_ACCOUNT=mail
    TOKENKEEPER_TIMESTAMP=1970-01-01T00:00:00Z
    TOKENKEEPER_STATE=fresh
    TOKENKEEPER_GENERATION=7
    TOKENKEEPER_EXPIRES_AT=1970-01-01T01:00:00Z
    TOKENKEEPER_NEXT_AT=1970-01-01T00:48:00Z
    TOKENKEEPER_REASON=scheduled
    TOKENKEEPER_ATTEMPT=1
    {"event":"token_changed","account":"mail","timestamp":"1970-01-01T00:00:00Z","state":"fresh","paused":false,"generation":7,"expires_at":"1970-01-01T01:00:00Z","next_at":"1970-01-01T00:48:00Z","unsaved":false,"reason":"scheduled","attempt":1}
    TOKENKEEPER_HOOK=bearer
    TOKENKEEPER_EVENT=refresh_failed
    TOKENKEEPER_ACCOUNT=mail
    TOKENKEEPER_TIMESTAMP=1970-01-01T00:00:00Z
    TOKENKEEPER_STATE=fresh
    TOKENKEEPER_GENERATION=7
    TOKENKEEPER_EXPIRES_AT=1970-01-01T01:00:00Z
    TOKENKEEPER_NEXT_AT=1970-01-01T00:48:00Z
    TOKENKEEPER_REASON=requested
    TOKENKEEPER_ATTEMPT=2
    TOKENKEEPER_CODE=PROVIDER_UNREACHABLE
    TOKENKEEPER_MESSAGE=account mail: provider unreachable: no route. It is tried again without your doing.
    TOKENKEEPER_RETRY_AT=1970-01-01T00:48:00Z
    {"event":"refresh_failed","account":"mail","timestamp":"1970-01-01T00:00:00Z","state":"fresh","paused":false,"generation":7,"expires_at":"1970-01-01T01:00:00Z","next_at":"1970-01-01T00:48:00Z","unsaved":false,"reason":"requested","attempt":2,"refresh_error":{"error":"provider","message":"account mail: provider unreachable: no route. It is tried again without your doing.","error_code":"PROVIDER_UNREACHABLE","timestamp":"1970-01-01T00:00:00Z","account":"mail","retry_at":"1970-01-01T00:48:00Z","remedy":"wait"}}
    TOKENKEEPER_HOOK=bearer
    TOKENKEEPER_EVENT=expiry_ahead
    TOKENKEEPER_ACCOUNT=mail
    TOKENKEEPER_TIMESTAMP=1970-01-01T00:00:00Z
    TOKENKEEPER_STATE=fresh
    TOKENKEEPER_GENERATION=7
    TOKENKEEPER_EXPIRES_AT=1970-01-01T01:00:00Z
    TOKENKEEPER_NEXT_AT=1970-01-01T00:48:00Z
    TOKENKEEPER_ENDS_AT=1970-01-02T00:00:00Z
    {"event":"expiry_ahead","account":"mail","timestamp":"1970-01-01T00:00:00Z","state":"fresh","paused":false,"generation":7,"expires_at":"1970-01-01T01:00:00Z","next_at":"1970-01-01T00:48:00Z","unsaved":false,"ends_at":"1970-01-02T00:00:00Z"}
    "#);
}

/// What a run needs, and what is left of it.
struct Stage {
    log: Log,
    notices: broadcast::Sender<Arc<Notice>>,
    heard: Mutex<broadcast::Receiver<Arc<Notice>>>,
    failing_in: watch::Sender<Failing>,
    failing: watch::Receiver<Failing>,
}

impl Stage {
    fn new() -> Self {
        let (notices, heard) = broadcast::channel(256);
        let (failing_in, failing) = watch::channel(Failing::default());
        let (log, heard) = (Log::default(), Mutex::new(heard));
        Self { log, notices, heard, failing_in, failing }
    }

    fn hooks(&self) -> Hooks<Log> {
        Hooks::new(self.log.clone(), self.notices.clone(), self.failing_in.clone())
    }

    /// Hands the calls about these over and ends.
    async fn play(&self, hooks: &[Arc<Hook>], notices: impl IntoIterator<Item = Arc<Notice>>) {
        let (caller, calls) = Caller::new(self.failing_in.clone());
        for notice in notices {
            assert_eq!(caller.call(hooks, Kind::Access, &notice), []);
        }
        drop(caller);
        self.hooks().run(calls).await;
    }

    async fn until_failing(&self, count: usize) {
        let mut failing = self.failing.clone();
        failing.wait_for(|failing| failing.iter().count() == count).await.unwrap();
    }

    fn said(&self) -> Vec<String> {
        self.log.0.lock().unwrap().clone()
    }

    /// Every notice that came of the calls.
    fn told(&self) -> Vec<String> {
        let mut heard = self.heard.lock().unwrap();
        let told = |notice: Arc<Notice>| {
            let event = notice.event.name().as_str();
            let Event::HookFailed { hook, about, why } = &notice.event else {
                return event.to_owned();
            };
            format!("{event} {hook} {} {why}", about.as_str())
        };
        std::iter::from_fn(|| heard.try_recv().ok()).map(told).collect()
    }
}

/// A world in which a hook takes half a second; one called `slow` takes an hour, one called `flaky`
/// fails the first time, and one called `bomb` panics.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn say(&self, line: String) -> usize {
        let mut said = self.0.lock().unwrap();
        said.push(line.clone());
        said.iter().filter(|other| **other == line).count()
    }
}

/// What the one called `flaky` says.
#[derive(Debug, thiserror::Error)]
#[error("exit status: 1: it rains")]
struct Rain;

impl Runner for Log {
    type Error = Rain;

    fn now(&self) -> Now {
        Now::default()
    }

    fn make(&self, call: Arc<Call>) -> impl Future<Output = Result<(), Rain>> + Send + 'static {
        let log = self.clone();
        async move {
            let (account, hook) = (call.account(), &call.hook.name);
            let times = log.say(format!("{account} {hook} begins"));
            sleep(Duration::from_millis(if &**hook == "slow" { 3_600_000 } else { 500 })).await;
            assert_ne!(&**hook, "bomb", "a call that goes wrong");
            log.say(format!("{account} {hook} ends"));
            if &**hook == "flaky" && times == 1 {
                return Err(Rain);
            }
            Ok(())
        }
    }
}

fn hook(name: &str, on: &[EventName]) -> Arc<Hook> {
    let deed = Deed::Run {
        argv: ["/bin/true".into()].into(),
        timeout: Hook::TIMEOUT,
        role: Role::Follower,
    };
    Arc::new(Hook { name: name.into(), on: on.into(), deed })
}

fn bearer() -> Arc<Hook> {
    let mut hook = Hook::clone(&hook("bearer", Hook::EVENTS));
    if let Deed::Run { role, .. } = &mut hook.deed {
        *role = Role::Bearer;
    }
    Arc::new(hook)
}

fn changed(account: &str) -> Arc<Notice> {
    happened(account, Event::TokenChanged { reason: Reason::Scheduled, attempt: 1 })
}

fn happened(account: &str, event: Event) -> Arc<Notice> {
    let tokens = TokenSet {
        access: Secret::new("hush"),
        id: None,
        token_type: "Bearer".into(),
        scope: None,
    };
    let held = Held {
        tokens: Arc::new(tokens),
        generation: Generation(7),
        issued_at: Timestamp::default(),
        lifetime: Duration::from_secs(3_600),
        expires_boot: Moment::from_millis(3_600_000),
        expires_wall: Timestamp::from_millis(3_600_000),
        aws: None,
    };
    let snapshot = Snapshot {
        state: StateName::Fresh,
        generation: Generation(7),
        held: Some(held),
        next: Some(Moment::from_millis(2_880_000)),
        ..Snapshot::vacant()
    };
    Arc::new(Notice {
        account: AccountId::parse(account).unwrap(),
        at: Now::default(),
        event,
        snapshot: Arc::new(snapshot),
    })
}
