//! The loop on paused time, in a world of values.

mod hooks;
mod stage;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use self::hooks::gate;
use self::stage::Stage;
use self::stage::id;
use self::stage::plain;
use self::stage::settings;
use super::Control;
use super::lineup::Change;
use super::lineup::Settings;
use super::seat::Seat;
use crate::error::RefreshError;
use crate::error::code::Code;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Done;
use crate::provider::oauth2::OAuth2;
use crate::snapshot::Snapshot;
use crate::snapshot::StateName;
use crate::token::Generation;
use crate::token::Secret;

#[tokio::test(start_paused = true)]
async fn a_stop_in_mid_exchange_still_saves_the_rotated_token() {
    let stage = Stage::with(&["mail"]);
    let script = async {
        stage.until_said("mail exchange").await;
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    assert_eq!(stage.log.said(), ["mail intent", "mail exchange", "mail commit"]);
}

/// A gate and secrets may take longer than the service manager's patience, with the exchange
/// that would follow.
#[tokio::test(start_paused = true)]
async fn a_stop_ends_an_attempt_before_its_intent_and_who_waits_for_it_is_told() {
    for (account, said) in [("mail", "mail open"), ("secretive", "secretive secrets")] {
        let stage = Stage::hooked(&[account], vec![gate("open")]);
        let script = async {
            stage.refresh(account).await;
            stage.until_said(said).await;
            stage.control.send(Control::Stop).await.unwrap();
        };
        let ((), ()) = tokio::join!(stage.run(), script);
        assert_eq!(stage.log.said().last().map(String::as_str), Some(said));
        let told = stage.keeper.order(&id(account), Action::Refresh).await;
        assert_eq!(told.unwrap_err().code, Code::Stopping);
    }
}

/// The grace of a provider counts from a send, and not from when its secrets began to be fetched.
#[tokio::test(start_paused = true)]
async fn an_intent_is_of_the_moment_at_which_it_is_written() {
    let stage = Stage::with(&["secretive"]);
    let script = async {
        stage.refresh("secretive").await;
        stage.until_said("secretive intent at 11000").await;
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_has_not_begun_is_answered_by_the_stop() {
    let stage = Stage::with(&["secretive"]);
    let script = async {
        stage.until("secretive", StateName::Fresh).await;
        let account = id("secretive");
        let logout = stage.keeper.order(&account, Action::Logout);
        let stop = async {
            stage.until_said("secretive secrets").await;
            stage.control.send(Control::Stop).await.unwrap();
        };
        let (answer, ()) = tokio::join!(logout, stop);
        assert_eq!(answer.unwrap_err().code, Code::Stopping);
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    assert_eq!(stage.log.said(), ["secretive secrets"]);
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
            stage.until_said("mail revoke").await;
            stage.control.send(Control::Stop).await.unwrap();
        };
        let (answer, ()) = tokio::join!(logout, stop);
        assert!(answer.is_ok());
    };
    let ((), ()) = tokio::join!(stage.run(), script);
    assert_eq!(stage.log.count("mail clear"), 1);
}

/// What the store knows of it may be a resume behind.
#[tokio::test(start_paused = true)]
async fn a_released_account_is_one_until_the_moment_of_its_resume() {
    let stage = Stage::with(&["slow"]);
    let script = async {
        stage.until("slow", StateName::Fresh).await;
        assert_eq!(stage.released("slow").await, None);
        stage.keeper.order(&id("slow"), Action::Release).await.unwrap();
        assert_eq!(stage.released("slow").await, Some(Generation(1)));
        assert_eq!(stage.released("nobody").await, None);

        let mut notices = stage.keeper.notices();
        let slow = id("slow");
        let resume = stage.keeper.order(&slow, Action::Resume);
        let asked = async {
            notices.recv().await.unwrap();
            assert_eq!(stage.log.count("slow note"), 1, "the resume is not durable yet");
            assert_eq!(stage.released("slow").await, None);
        };
        let (resumed, ()) = tokio::join!(resume, asked);
        resumed.unwrap();
        assert_eq!(stage.log.count("slow note"), 2);
        stage.control.send(Control::Stop).await.unwrap();
    };
    let ((), ()) = tokio::join!(stage.run(), script);
}

/// What an account costs is a bar of the project, and these are the largest things of which each
/// has one. Whoever makes one larger looks at `cargo bench -- memory` first.
#[test]
fn an_account_holds_no_more_than_was_measured() {
    assert!(size_of::<Snapshot>() <= 144, "{}", size_of::<Snapshot>());
    assert!(size_of::<OAuth2>() <= 368, "{}", size_of::<OAuth2>());
    assert!(size_of::<Seat>() <= 656, "{}", size_of::<Seat>());
}
