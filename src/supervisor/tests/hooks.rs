//! What hooks hear of the loop, and what a gate keeps back.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use super::stage::Stage;
use super::stage::id;
use super::stage::record;
use super::stage::settings;
use crate::hook::Deed;
use crate::hook::Hook;
use crate::hook::Role;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Done;
use crate::notice::EventName;
use crate::snapshot::StateName;
use crate::supervisor::Control;
use crate::supervisor::lineup::Change;
use crate::token::Generation;
use crate::token::Secret;

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
        stage.until_said("mail exchange").await;
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

/// More than a route has slots for.
#[tokio::test(start_paused = true)]
async fn nine_accounts_whose_gates_think_do_not_hold_up_one_that_has_none() {
    let gated = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let stage = Stage::hooked(&gated, vec![gate("open")]);
    let script = async {
        let kept = gated.iter().map(|name| (id(name), Change::Nothing));
        let free = Change::New(settings(), Some(Box::new(record("z"))));
        stage.apply(kept.chain([(id("z"), free)]).collect()).await;
        for name in gated.iter().chain(&["z"]) {
            stage.refresh(name).await;
        }
        for name in gated.iter().chain(&["z"]) {
            stage.until_generation(name, 2).await;
        }
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    let said = stage.log.said();
    let place = |line: &str| said.iter().position(|said| said == line).unwrap();
    assert!(place("z exchange") < place("a intent"), "{said:?}");
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
/// Its refusal would throw the login away.
#[tokio::test(start_paused = true)]
async fn what_is_handed_in_is_proven_without_a_gate() {
    let stage = Stage::hooked(&["mail"], vec![gate("shut")]);
    let script = async {
        stage.until("mail", StateName::Fresh).await;
        let import = Action::Import(Secret::new("r5").into());
        let proven = stage.keeper.order(&id("mail"), import).await;
        assert_eq!(proven.ok(), Some(Done::Changed(Generation(2))));
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    assert_eq!(stage.log.said(), ["mail intent", "mail exchange", "mail commit"]);
}

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
        assert_eq!(stage.failing.borrow().iter().count(), 1);
        stage.apply(BTreeMap::from([(id("mail"), Change::Rules(settings()))])).await;
        assert_eq!(stage.failing.borrow().iter().count(), 0, "the hook is gone");
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    let told = std::iter::from_fn(|| notices.try_recv().ok());
    let told = told.map(|notice| notice.event.name().as_str()).collect::<Vec<_>>();
    assert_eq!(told, ["refresh_started", "hook_failed", "token_changed", "hook_failed"]);
}

/// A hook that hears of every event.
fn follower() -> Hook {
    Hook {
        name: "follower".into(),
        on: Hook::EVENTS.into(),
        deed: Deed::File { directory: Path::new("/nowhere").into(), mode: Hook::FILE_MODE },
    }
}

pub(super) fn gate(name: &str) -> Hook {
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
