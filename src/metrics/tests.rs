//! What is written, as a scraper reads it.

use super::*;
use crate::error::RefreshError;
use crate::notice::EventName;
use crate::notice::Reason;
use crate::record::Failure;
use crate::time::Now;
use crate::token::Generation;

#[tokio::test]
async fn accounts_and_hooks_that_are_gone_are_not_told_for_ever() {
    let metrics = Metrics::new();
    let (notices, heard) = broadcast::channel(16);
    let (directory_in, directory) = watch::channel(Arc::new(Directory::default()));
    let hook = || Event::HookFailed {
        hook: "restart".into(),
        about: EventName::Expired,
        why: "exit status: 1".into(),
    };
    let failed = Event::RefreshFailed { reason: Reason::Scheduled, failure: Arc::new(failure()) };
    for event in [Event::Expired, failed, hook()] {
        let account = AccountId::parse("mail").unwrap();
        let snapshot = Arc::new(failing());
        let notice = Notice { account, at: Now::default(), event, snapshot };
        assert!(notices.send(Arc::new(notice)).is_ok());
    }
    let tells = || metrics.scrape(&Directory::default()).unwrap().contains("mail");
    let script = async {
        while !tells() {
            tokio::task::yield_now().await;
        }
        directory_in.send_replace(Arc::new(Directory::default()));
        while tells() {
            tokio::task::yield_now().await;
        }
        drop(notices);
    };
    tokio::join!(metrics.follow(heard, directory), script);
}

#[test]
fn every_event_is_counted_where_it_belongs() {
    let metrics = Metrics::new();
    let failure = || Arc::new(failure());
    for event in [
        Event::TokenChanged { reason: Reason::Scheduled, attempt: 1 },
        Event::RefreshFailed { reason: Reason::Scheduled, failure: failure() },
        Event::RefreshFailed { reason: Reason::Replay, failure: failure() },
        Event::Alarm { failure: failure() },
        Event::Recovered { failed: 2 },
        Event::Expired,
        Event::StateChanged,
        Event::HookFailed {
            hook: "restart".into(),
            about: EventName::Expired,
            why: "exit status: 1".into(),
        },
    ] {
        metrics.notice(&Notice {
            account: AccountId::parse("mail").unwrap(),
            at: Now::default(),
            event,
            snapshot: Arc::new(failing()),
        });
    }
    metrics.answered(200);
    metrics.answered(200);
    metrics.answered(403);
    metrics.asked(Door::Bus);
    metrics.asked(Door::Credential);
    metrics.connected();
    metrics.turned_away(TurnedAway::UserLimit);

    let text = metrics.scrape(&Directory::default()).unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
    let mut sorted = samples.clone();
    sorted.sort_unstable();
    insta::assert_snapshot!(sorted.join("\n"), @r#"
    tokenkeeper_alarms_total{account="mail"} 1
    tokenkeeper_answers_total{status="200"} 2
    tokenkeeper_answers_total{status="403"} 1
    tokenkeeper_connections 1
    tokenkeeper_expirations_total{account="mail"} 1
    tokenkeeper_hook_failures_total{account="mail",hook="restart"} 1
    tokenkeeper_notices_lost_total 0
    tokenkeeper_refresh_failures_total{account="mail",code="PROVIDER_UNREACHABLE"} 2
    tokenkeeper_refreshes_total{account="mail",outcome="failure"} 2
    tokenkeeper_refreshes_total{account="mail",outcome="success"} 1
    tokenkeeper_requests_total{door="bus"} 1
    tokenkeeper_requests_total{door="credential"} 1
    tokenkeeper_requests_total{door="socket"} 3
    tokenkeeper_turned_away_total{reason="user_limit"} 1
    "#);
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn an_account_is_in_exactly_one_state_and_its_failure_has_its_code() {
    let standing = Standing::of(&Directory::default());
    standing.add(&AccountId::parse("mail").unwrap(), &failing());
    let mut text = String::new();
    encode_registry(&mut text, &standing.registry).unwrap();

    let states = text.lines().filter(|line| line.contains("_account_state{"));
    let held = states.filter(|line| line.ends_with(" 1")).collect::<Vec<_>>();
    assert_eq!(held, [r#"tokenkeeper_account_state{account="mail",state="waiting"} 1"#]);
    assert!(text.contains(r#"tokenkeeper_generation{account="mail"} 7"#), "{text}");
    assert!(text.contains(r#"tokenkeeper_attempt{account="mail"} 2"#), "{text}");
    let failing = r#"tokenkeeper_failing{account="mail",code="PROVIDER_UNREACHABLE"} 1"#;
    assert!(text.contains(failing), "{text}");
}

fn failing() -> Snapshot {
    Snapshot {
        state: StateName::Waiting,
        generation: Generation(7),
        failure: Some(Arc::new(failure())),
        ..Snapshot::vacant()
    }
}

fn failure() -> Failure {
    Failure {
        error: RefreshError::Unreachable("no route".into()),
        since_ms: 0,
        attempt: 2,
        not_before_ms: None,
        told_as: None,
    }
}
