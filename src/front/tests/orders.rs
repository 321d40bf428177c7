//! What is ordered of accounts and of the daemon, and how it is answered.

use std::time::Duration;

use serde_json::json;

use super::world::KEEPER;
use super::world::OPERATOR;
use super::world::READER;
use super::world::REFRESHER;
use super::world::STRANGER;
use super::world::Stopwatch;
use super::world::World;
use super::world::alone;
use super::world::expired;
use super::world::fresh;
use super::world::say;
use super::world::unreachable;
use crate::access::Narrowing;
use crate::access::Rights;
use crate::clock;
use crate::error::code::Code;
use crate::keeper::Errand;
use crate::keeper::Over;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Done;
use crate::name::AccountId;
use crate::protocol::daemon::Finding;
use crate::protocol::daemon::ReloadView;
use crate::protocol::daemon::Severity;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::snapshot::StateName;
use crate::time::Moment;
use crate::token::Generation;
use crate::token::Secret;
use crate::token::hex;

const REFRESH: &str = "POST /v1/accounts/mail/refresh";
const REPORT: &str = "POST /v1/accounts/mail/report";

#[test]
fn a_refresh_answers_with_the_new_generation() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let exchanging = Snapshot { state: StateName::Exchanging, ..fresh(7, 600) };
        let joined = Ok(Done::Joined(Generation(7)));
        let (reply, action) = tokio::join!(
            world.ask(REFRESHER, REFRESH),
            world.obey(joined, [exchanging, fresh(8, 3_600)]),
        );
        assert!(matches!(action, Action::Refresh));
        let body = reply.json();
        assert_eq!((&body["refreshed"], &body["generation"]), (&true.into(), &8.into()));
        assert_eq!(body["changed"], true);
        assert!(!reply.body.contains("token-8"), "who may refresh may not read");
    });
}

#[test]
fn a_refresh_that_fails_raises_the_new_failure_and_not_the_old_one() {
    alone(async {
        let before = || Snapshot { failure: unreachable(1), ..expired(7, StateName::Waiting) };
        let during = Snapshot { failure: unreachable(1), ..expired(7, StateName::Exchanging) };
        let after = Snapshot { failure: unreachable(2), ..expired(7, StateName::Waiting) };
        let world = World::new(before());
        let joined = Ok(Done::Joined(Generation(7)));
        let later = async {
            world.obey(joined, [during]).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            world.publish(after);
        };
        let begin = Stopwatch::start();
        let (reply, ()) = tokio::join!(world.ask(REFRESHER, REFRESH), later);
        assert_eq!((reply.status, reply.code().as_str()), (503, "PROVIDER_UNREACHABLE"));
        assert_eq!(begin.secs(), 2);
    });
}

#[test]
fn a_refresh_that_is_not_needed_or_not_possible_is_answered_at_once() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let current = Ok(Done::Current(Generation(7)));
        let (reply, _) = tokio::join!(world.ask(REFRESHER, REFRESH), world.obey(current, []));
        let answer = reply.json();
        assert_eq!((reply.status, &answer["refreshed"]), (200, &false.into()));
        assert_eq!(answer["changed"], false);

        let refusal = Refusal::new(Code::NeedsLogin, "the account must be logged in again");
        let (reply, _) = tokio::join!(world.ask(REFRESHER, REFRESH), world.obey(Err(refusal), []));
        assert_eq!((reply.status, reply.code().as_str()), (409, "NEEDS_LOGIN"));
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(message.ends_with("Type: tokenctl login mail"), "{message}");
    });
}

#[test]
fn a_refresh_is_waited_for_as_long_as_the_peer_cares() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let joined = Ok(Done::Joined(Generation(7)));
        let begin = Stopwatch::start();
        let head = format!("{REFRESH}?wait=4");
        let (reply, _) = tokio::join!(world.ask(REFRESHER, &head), world.obey(joined, []));
        assert_eq!((reply.status, reply.code().as_str()), (504, "REFRESH_PENDING"));
        assert_eq!(begin.secs(), 4);
    });
}

#[test]
fn a_report_of_the_current_token_refreshes_it() {
    let digest = hex(&Secret::new("token-7").sha256());
    let cases = [
        (r#"{"generation":7}"#.to_owned(), false),
        (r#"{"generation":7,"reason":"transport_unauthenticated"}"#.to_owned(), false),
        (r#"{"generation":7,"reason":"stream_unauthenticated"}"#.to_owned(), true),
        (format!(r#"{{"token_sha256":"{digest}"}}"#), false),
        (format!(r#"{{"token_sha256":"{}"}}"#, digest.to_uppercase()), false),
    ];
    for (body, expected) in cases {
        alone(async {
            let world = World::new(fresh(7, 600));
            let joined = Ok(Done::Joined(Generation(7)));
            let (reply, action) = tokio::join!(
                world.ask_with(READER, REPORT, &body),
                world.obey(joined, [fresh(8, 3_600)]),
            );
            let Action::Report { generation, stream } = action else { panic!("{body}") };
            assert_eq!((generation, stream), (Generation(7), expected), "{body}");
            assert_eq!((reply.status, &reply.json()["generation"]), (200, &8.into()), "{body}");
        });
    }
}

#[test]
fn a_report_of_an_older_token_is_answered_with_the_newer_one() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let older = hex(&Secret::new("token-6").sha256());
        for body in [r#"{"generation":6}"#.into(), format!(r#"{{"token_sha256":"{older}"}}"#)] {
            let reply = world.ask_with(READER, REPORT, &body).await;
            let answer = reply.json();
            assert_eq!((&answer["refreshed"], &answer["generation"]), (&true.into(), &7.into()));
            assert_eq!(answer["changed"], false, "nothing was refreshed for it");
        }
        assert!(world.is_quiet(), "an old token costs no refresh");
    });
}

#[test]
fn who_asks_for_refreshes_too_often_is_told_when_to_ask_again() {
    alone(async {
        let world = World::new(fresh(7, 600));
        // The pace goes by the host's clock, which does not stand still: the share is spent
        // a minute ahead.
        let ahead = clock::now().boot + Duration::from_secs(60);
        assert_eq!(world.desk.pace.borrow_mut().take(REFRESHER, ahead), Ok(()));
        for (head, body) in [(REPORT, r#"{"generation":6}"#), (REFRESH, "")] {
            let reply = world.ask_with(REFRESHER, head, body).await;
            assert_eq!((reply.status, reply.code().as_str()), (429, "RATE_LIMIT_EXCEEDED"));
            let secs = reply.header("retry-after").unwrap().parse::<u64>().unwrap();
            assert!((50..=60).contains(&secs), "{secs}");
            assert!(reply.json()["retry_at"].is_string());
        }
        assert!(world.is_quiet());
        let other = world.ask_with(READER, REPORT, r#"{"generation":6}"#).await;
        assert_eq!(other.status, 200, "another user has its own share");
    });
}

#[test]
fn each_verb_orders_its_action_and_says_that_it_is_done() {
    #[rustfmt::skip]
    let cases = [
        ("POST /v1/accounts/mail/import",       r#"{"refresh_token":"rt-canary"}"#, "import"),
        ("POST /v1/accounts/mail/logout",       "",                                 "logout"),
        ("POST /v1/accounts/mail/logout",       r#"{"local":true}"#,                "clear"),
        ("POST /v1/accounts/mail/pause",        "",                                 "pause"),
        ("POST /v1/accounts/mail/resume",       "",                                 "resume"),
        ("POST /v1/accounts/mail/retry",        "{}",                               "retry"),
        ("DELETE /v1/accounts/mail/credential", "",                                 "clear"),
    ];
    for (head, body, expected) in cases {
        alone(async {
            let world = World::new(fresh(7, 600));
            let done = Ok(Done::Current(Generation(7)));
            let (reply, action) =
                tokio::join!(world.ask_with(KEEPER, head, body), world.obey(done, []));
            let word = match action {
                Action::Import(credential) => {
                    assert_eq!(credential.refresh_token.expose(), "rt-canary");
                    "import"
                }
                Action::Logout => "logout",
                Action::Pause => "pause",
                Action::Resume => "resume",
                Action::Release => "release",
                Action::Retry => "retry",
                Action::Clear => "clear",
                Action::Demand(_)
                | Action::Refresh
                | Action::Report { .. }
                | Action::SecretChanged => "another",
            };
            assert_eq!(word, expected, "{head}");
            assert_eq!((reply.status, &reply.json()["account"]), (200, &"mail".into()), "{head}");
            assert!(!reply.body.contains("canary"), "{head}");
        });
    }
}

#[test]
fn a_refresh_token_is_handed_out_after_the_account_is_frozen_and_through_no_narrowing_socket() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let handing_out = async {
            let action = world.obey(Ok(Done::Changed(Generation(7))), []).await;
            assert!(matches!(action, Action::Release));
            let Errand::HandOut { account, reply } = world.next_errand().await else {
                panic!("another errand");
            };
            assert_eq!(account.as_str(), "mail");
            assert!(reply.send(Ok((Generation(7), Secret::new("rt\"1")))).is_ok());
        };
        let (reply, ()) = tokio::join!(world.ask(KEEPER, RELEASE), handing_out);
        assert_eq!(reply.status, 200);
        assert_eq!(reply.body, r#"{"account":"mail","refresh_token":"rt\"1","generation":7}"#);

        let refusal = Refusal::new(Code::RefreshPending, "a refresh is under way");
        let (reply, _) = tokio::join!(world.ask(KEEPER, RELEASE), world.obey(Err(refusal), []));
        assert_eq!(reply.status, 504);

        let accounts = vec![AccountId::parse("mail").unwrap()];
        let narrowing = Narrowing { accounts, rights: Rights::ALL };
        let reply = say(world.connect_through(0, Some(narrowing)), RELEASE, "").await;
        assert_eq!((reply.status, reply.code().as_str()), (403, "INSUFFICIENT_PERMISSIONS"));
        assert!(world.is_quiet());
    });
}

const RELEASE: &str = "POST /v1/accounts/mail/release";

#[test]
fn a_found_credential_is_handed_on_as_one() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let body = r#"{"refresh_token":"r1","found":true}"#;
        let asked = world.ask_with(KEEPER, "POST /v1/accounts/mail/import", body);
        let (_, action) = tokio::join!(asked, world.obey(Ok(Done::Changed(Generation(8))), []));
        assert!(matches!(action, Action::Import(credential) if credential.found));
    });
}

#[test]
fn a_secret_is_sealed_first_and_the_account_told_after() {
    for (value, given) in [(r#""pw-canary""#, Some("pw-canary")), ("null", None)] {
        alone(async {
            let world = World::new(fresh(7, 600));
            let sealing = async {
                let Errand::PutSecret { account, slot, secret, over, reply } =
                    world.next_errand().await
                else {
                    panic!("another errand");
                };
                assert_eq!((account.as_str(), slot.as_str()), ("mail", "client_secret"));
                assert_eq!(over, Over::Anything);
                assert_eq!(secret.as_ref().map(Secret::expose), given);
                assert!(world.is_quiet(), "the account is told before the secret is sealed");
                reply.send(Ok(true)).unwrap();
                world.obey(Ok(Done::Current(Generation(7))), []).await
            };
            let body = format!(r#"{{"slot":"client_secret","value":{value}}}"#);
            let head = "POST /v1/accounts/mail/secret";
            let (reply, action) = tokio::join!(world.ask_with(KEEPER, head, &body), sealing);
            assert!(matches!(action, Action::SecretChanged));
            assert_eq!((reply.status, &reply.json()["changed"]), (200, &true.into()));
            assert!(!reply.body.contains("canary"));
        });
    }
}

#[test]
fn an_empty_slot_has_nothing_to_forget_and_the_account_hears_nothing_of_it() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let looking = async {
            let Errand::PutSecret { secret: None, reply, .. } = world.next_errand().await else {
                panic!("another errand");
            };
            reply.send(Ok(false)).unwrap();
        };
        let head = "POST /v1/accounts/mail/secret";
        let body = r#"{"slot":"client_secret","value":null}"#;
        let (reply, ()) = tokio::join!(world.ask_with(KEEPER, head, body), looking);
        let answer = reply.json();
        assert_eq!((reply.status, &answer["changed"]), (200, &false.into()));
        assert_eq!(
            answer["message"],
            "account mail: the slot was empty, so there was nothing to forget"
        );
        assert!(world.is_quiet());
    });
}

#[test]
fn an_order_that_finds_nothing_to_do_says_so() {
    #[rustfmt::skip]
    let cases = [
        ("pause",  Done::Changed, true,  "account mail: it is paused: nothing is spent until it is resumed"),
        ("pause",  Done::Current, false, "account mail: it was paused already"),
        ("resume", Done::Changed, true,  "account mail: it is resumed"),
        ("resume", Done::Current, false, "account mail: it was not paused"),
        ("retry",  Done::Joined,  true,  "account mail: it is tried again now"),
        ("retry",  Done::Current, false, "account mail: it was not tried: its last refresh did not fail"),
    ] as [(&str, fn(Generation) -> Done, bool, &str); 6];
    for (verb, done, changed, message) in cases {
        alone(async {
            let world = World::new(fresh(7, 600));
            let head = format!("POST /v1/accounts/mail/{verb}");
            let (reply, _) =
                tokio::join!(world.ask(KEEPER, &head), world.obey(Ok(done(Generation(7))), []));
            let answer = reply.json();
            assert_eq!(
                (&answer["changed"], &answer["message"]),
                (&changed.into(), &message.into()),
                "{verb}"
            );
        });
    }
}

#[test]
fn a_reload_answers_with_what_changed_or_with_every_error() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let view = ReloadView {
            added: vec!["new".into()],
            removed: vec![],
            changed: vec![],
            needs_login: vec![],
            unchanged: 1,
            warnings: vec![],
            restart: vec![],
        };
        let good = async {
            let Errand::Reload(reply) = world.next_errand().await else {
                panic!("another errand");
            };
            assert!(reply.send(Ok(view)).is_ok());
        };
        let (reply, ()) = tokio::join!(world.ask(OPERATOR, "POST /v1/reload"), good);
        assert_eq!((reply.status, &reply.json()["added"][0]), (200, &"new".into()));

        let bad = async {
            let Errand::CheckConfig(reply) = world.next_errand().await else {
                panic!("another errand");
            };
            let errors = "line 3: unknown key\nline 9: no such provider";
            assert!(reply.send(Err(Refusal::new(Code::ConfigInvalid, errors))).is_ok());
        };
        let (reply, ()) = tokio::join!(world.ask(OPERATOR, "POST /v1/config/check"), bad);
        assert_eq!((reply.status, reply.code().as_str()), (500, "CONFIG_INVALID"));
        assert_eq!(
            reply.json()["message"],
            "line 3: unknown key\nline 9: no such provider\n\
             Correct the configuration, then type: tokenctl reload"
        );
    });
}

#[test]
fn a_purge_is_the_stewards_errand_for_an_account_that_has_no_seat() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let purge = |outcome| async {
            let Errand::Purge { account, reply } = world.next_errand().await else {
                panic!("another errand");
            };
            assert_eq!(account, AccountId::parse("old").unwrap());
            assert!(reply.send(outcome).is_ok());
        };
        let ask = || world.ask(OPERATOR, "POST /v1/accounts/old/purge");
        let (reply, ()) = tokio::join!(ask(), purge(Ok(())));
        assert_eq!((reply.status, &reply.json()["account"]), (200, &"old".into()));

        let refusal = Refusal::new(Code::NotSupported, "it is configured");
        let (reply, ()) = tokio::join!(ask(), purge(Err(refusal)));
        assert_eq!((reply.status, reply.code().as_str()), (409, "NOT_SUPPORTED"));
        assert_eq!(reply.json()["account"], "old");

        let reply = world.ask(OPERATOR, "POST /v1/accounts/Old/purge").await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "BAD_REQUEST"));
    });
}

#[test]
fn an_account_is_paused_whatever_failed_before_and_not_while_it_looks_again() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let soon = Some(clock::now().boot + Duration::from_secs(60));
        #[rustfmt::skip]
        let cases = [
            ("paused",                 None, None,           true),
            ("paused after a failure", None, unreachable(1), true),
            ("misconfigured",          soon, unreachable(1), false),
        ];
        for (name, next, failure, paused) in cases {
            world.publish(Snapshot { next, failure, ..expired(7, StateName::Frozen) });
            let view = world.ask(READER, "GET /v1/accounts/mail").await.json();
            assert_eq!(
                (&view["paused"], &view["alarm"]),
                (&paused.into(), &false.into()),
                "{name}"
            );
        }
    });
}

#[test]
fn status_examines_the_daemon_for_administrators_only() {
    alone(async {
        let alarm = Some(Moment::default());
        let failing = Snapshot { failure: unreachable(1), alarm, ..expired(7, StateName::Waiting) };
        let world = World::new(failing);
        let found = async {
            let Errand::Findings(reply) = world.next_errand().await else {
                panic!("another errand");
            };
            reply.send(vec![weakness()]).unwrap();
        };
        let (reply, ()) = tokio::join!(world.ask(OPERATOR, "GET /v1/status"), found);
        let (both, mail) = (json!({"fresh": 1, "waiting": 1}), json!({"waiting": 1}));
        let readers = world.ask(READER, "GET /v1/status").await;
        for (status, shown, states) in [(reply.json(), 1, both), (readers.json(), 0, mail)] {
            assert_eq!(status["findings"].as_array().unwrap().len(), shown);
            assert_eq!((&status["live"], &status["ready"]), (&true.into(), &true.into()));
            let accounts = states.as_object().unwrap().len();
            assert_eq!((&status["accounts"], &status["failing"]), (&accounts.into(), &1.into()));
            assert_eq!(status["degraded"], true);
            assert_eq!(status["states"], states);
        }
        let status = world.ask(STRANGER, "GET /v1/status").await.json();
        assert_eq!((&status["accounts"], &status["degraded"]), (&0.into(), &false.into()));
        assert!(world.errands.borrow_mut().try_recv().is_err(), "an errand for the reader");
    });
}

#[test]
fn status_is_degraded_by_what_asks_for_attention_and_by_nothing_less() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let (now, later) = (clock::now().boot, clock::now().boot + Duration::from_secs(60));
        let frozen = expired(7, StateName::Frozen);
        #[rustfmt::skip]
        let cases = [
            // name             snapshot                                                                     degraded  failing  paused
            ("fresh",           fresh(7, 600),                                                                  false,    0,       0),
            ("one failure",     Snapshot { failure: unreachable(1), alarm: Some(later), ..fresh(7, 600) },       false,    1,       0),
            ("an alarm",        Snapshot { failure: unreachable(1), alarm: Some(now), ..fresh(7, 600) },         true,     1,       0),
            ("no credential",   Snapshot::vacant(),                                                             true,     0,       0),
            ("paused",          Snapshot { next: None, ..frozen },                                              false,    0,       1),
        ];
        for (name, snapshot, degraded, failing, paused) in cases {
            world.publish(snapshot);
            let status = world.ask(READER, "GET /v1/status").await.json();
            assert_eq!(status["degraded"], degraded, "{name}");
            assert_eq!(status["failing"], failing, "{name}");
            assert_eq!(status["paused"], paused, "{name}");
        }
    });
}

#[test]
fn status_answers_an_administrator_when_the_examination_does_not() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let begin = Stopwatch::start();
        let status = world.ask(OPERATOR, "GET /v1/status").await.json();
        assert_eq!((&status["live"], &status["degraded"]), (&false.into(), &true.into()));
        assert_eq!(begin.secs(), 1);
    });
}

#[test]
fn status_tells_nothing_of_accounts_that_do_not_exist_on_the_socket() {
    alone(async {
        let alarm = Some(Moment::default());
        let failing = Snapshot { failure: unreachable(1), alarm, ..expired(7, StateName::Waiting) };
        let world = World::new(failing);
        let accounts = vec![AccountId::parse("ci").unwrap()];
        let narrowing = Narrowing { accounts, rights: Rights::ALL };
        let status = say(world.connect_through(0, Some(narrowing)), "GET /v1/status", "").await;
        let status = status.json();
        assert_eq!((&status["live"], &status["degraded"]), (&true.into(), &false.into()));
        assert_eq!((&status["accounts"], &status["failing"]), (&1.into(), &0.into()));
        assert_eq!(status["states"], json!({"fresh": 1}));
        assert!(world.errands.borrow_mut().try_recv().is_err(), "an errand for the socket");
    });
}

fn weakness() -> Finding {
    Finding {
        severity: Severity::Weakness,
        account: None,
        message: "the store key is a file".into(),
        advice: "tokenctl rekey".into(),
    }
}
