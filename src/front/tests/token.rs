//! `GET …/token`: answers from memory, joins, waits and long polls.

use std::sync::Arc;
use std::time::Duration;

use super::world::READER;
use super::world::Stopwatch;
use super::world::World;
use super::world::alone;
use super::world::directory_of;
use super::world::expired;
use super::world::fresh;
use super::world::rule;
use super::world::seat;
use super::world::told_as;
use super::world::unreachable;
use crate::access::Rights;
use crate::clock;
use crate::error::code::Code;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Done;
use crate::protocol::account::TokenAnswer;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::snapshot::StateName;
use crate::token::Generation;

const TOKEN: &str = "GET /v1/accounts/mail/token";

#[test]
fn a_held_token_is_answered_from_memory_in_each_format() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let reply = world.ask(READER, TOKEN).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("etag"), Some("\"access-7\""));
        let answer = serde_json::from_str::<TokenAnswer>(&reply.body).unwrap();
        assert_eq!((answer.account.as_str(), answer.kind.as_str()), ("mail", "access"));
        assert_eq!((answer.token.as_str(), answer.token_type.as_str()), ("token-7", "Bearer"));
        assert_eq!(answer.header.name, "authorization");
        assert_eq!(answer.header.value, "Bearer token-7");
        assert!((598..=600).contains(&answer.ttl), "{}", answer.ttl);
        assert_eq!((answer.generation, answer.unsaved), (7, false));
        assert!(answer.refresh_error.is_none());

        #[rustfmt::skip]
        let cases = [
            ("?format=raw",                                  "token-7"),
            ("?format=header",                               "authorization: Bearer token-7"),
            ("\nAccept: text/plain",                         "token-7"),
            ("\nAccept: text/html, text/plain;q=0.5, */*",   "token-7"),
            ("?kind=access&min_ttl=60&wait=0&format=raw",    "token-7"),
        ];
        for (form, expected) in cases {
            let reply = world.ask(READER, &format!("{TOKEN}{form}")).await;
            assert_eq!((reply.status, reply.body.as_str()), (200, expected), "{form}");
            assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"), "{form}");
        }
        for accept in ["*/*", "application/json", "application/json, text/plain", "image/png"] {
            let reply = world.ask(READER, &format!("{TOKEN}\nAccept: {accept}")).await;
            assert_eq!(reply.json()["token"], "token-7", "{accept}");
        }
        assert!(world.is_quiet(), "an answer from memory ordered something");
    });
}

#[test]
fn a_new_snapshot_is_answered_at_once_and_the_old_token_never_again() {
    alone(async {
        let world = World::new(fresh(7, 600));
        for generation in 7..10 {
            world.publish(fresh(generation, 600));
            let reply = world.ask(READER, TOKEN).await;
            assert_eq!(reply.json()["token"], format!("token-{generation}"));
            assert_eq!(reply.json()["generation"], generation);
        }
    });
}

#[test]
fn a_token_that_is_good_is_served_beside_the_failure_that_is_raised() {
    alone(async {
        let waiting =
            Snapshot { state: StateName::Waiting, failure: unreachable(2), ..fresh(7, 600) };
        let world = World::new(waiting);
        let reply = world.ask(READER, TOKEN).await;
        let answer = serde_json::from_str::<TokenAnswer>(&reply.body).unwrap();
        assert_eq!(answer.token, "token-7");
        assert_eq!(answer.refresh_error.unwrap().error_code, Code::ProviderUnreachable);
    });
}

#[test]
fn what_cannot_be_satisfied_is_refused_at_once_with_its_code() {
    alone(async {
        let failing = |state| Snapshot { failure: unreachable(2), ..expired(7, state) };
        let lost =
            Snapshot { failure: told_as(Code::NeedsLogin), ..expired(7, StateName::NeedsLogin) };
        let doubtful =
            Snapshot { failure: told_as(Code::InDoubt), ..expired(7, StateName::InDoubt) };
        #[rustfmt::skip]
        let cases = [
            ("",                Snapshot::vacant(),                409, "TOKEN_MISSING"),
            ("",                failing(StateName::Waiting),       503, "PROVIDER_UNREACHABLE"),
            ("",                lost,                              409, "NEEDS_LOGIN"),
            ("",                doubtful,                          503, "IN_DOUBT"),
            ("",                expired(7, StateName::Frozen),     409, "NOT_SUPPORTED"),
            ("?min_ttl=7200",   fresh(7, 600),                     409, "LIFETIME_TOO_SHORT"),
            ("?kind=id",        fresh(7, 600),                     409, "NOT_SUPPORTED"),
        ];
        for (form, snapshot, status, code) in cases {
            let world = World::new(snapshot);
            let reply = world.ask(READER, &format!("{TOKEN}{form}")).await;
            assert_eq!((reply.status, reply.code().as_str()), (status, code), "{form}");
            assert_eq!(reply.json()["account"], "mail");
            assert_eq!(reply.header("retry-after").is_some(), status == 503, "{code}");
            assert!(world.is_quiet(), "{code}");
        }
    });
}

#[test]
fn a_token_that_is_over_joins_the_flight_and_gets_the_new_one() {
    alone(async {
        let world = World::new(expired(7, StateName::Fresh));
        let exchanging = expired(7, StateName::Exchanging);
        let saving = expired(7, StateName::Saving);
        let joined = Ok(Done::Joined(Generation(7)));
        let (reply, action) = tokio::join!(
            world.ask(READER, TOKEN),
            world.obey(joined, [exchanging, saving, fresh(8, 3_600)]),
        );
        assert!(matches!(action, Action::Demand(crate::token::Kind::Access)));
        assert_eq!(reply.json()["token"], "token-8");
        assert!(world.is_quiet(), "one request orders once");
    });
}

#[test]
fn a_flight_that_fails_raises_the_same_error_for_all_who_wait() {
    alone(async {
        let world = World::new(expired(7, StateName::Exchanging));
        let failed = || Snapshot { failure: unreachable(1), ..expired(7, StateName::Waiting) };
        let flight = async {
            let joined = || Ok(Done::Joined(Generation(7)));
            world.obey(joined(), []).await;
            world.obey(joined(), []).await;
            world.obey(joined(), [failed()]).await
        };
        let (a, b, c, _) = tokio::join!(
            world.ask(READER, TOKEN),
            world.ask(READER, TOKEN),
            world.ask(READER, TOKEN),
            flight,
        );
        for reply in [a, b, c] {
            assert_eq!((reply.status, reply.code().as_str()), (503, "PROVIDER_UNREACHABLE"));
            let message = reply.json()["message"].as_str().unwrap().to_owned();
            assert!(message.starts_with("account mail: provider unreachable"), "{message}");
        }
    });
}

#[test]
fn a_demand_that_is_refused_is_refused_to_the_peer() {
    alone(async {
        let world = World::new(expired(7, StateName::Fresh));
        let refusal = Refusal::new(Code::StoreUnavailable, "no space left for the store");
        let (reply, _) = tokio::join!(world.ask(READER, TOKEN), world.obey(Err(refusal), []));
        assert_eq!((reply.status, reply.code().as_str()), (503, "STORE_UNAVAILABLE"));
    });
}

#[test]
fn a_wait_ends_when_the_peer_cares_to_wait_no_longer() {
    alone(async {
        for (form, secs) in [("", 20), ("?wait=3", 3), ("?wait=60", 60), ("?wait=0", 0)] {
            let world = World::new(expired(7, StateName::Exchanging));
            let begin = Stopwatch::start();
            let reply = world.ask(READER, &format!("{TOKEN}{form}")).await;
            assert_eq!((reply.status, reply.code().as_str()), (504, "REFRESH_PENDING"), "{form}");
            assert_eq!(begin.secs(), secs, "{form}");
            assert!(!world.is_quiet(), "{form}: even who does not wait begins the refresh");
        }
    });
}

#[test]
fn a_refresh_that_is_not_allowed_yet_is_not_called_one_under_way() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let next = Some(clock::now().boot + Duration::from_secs(90));
        let planned = Snapshot { next, ..fresh(7, 600) };
        let head = format!("{TOKEN}?min_ttl=1800&wait=3");
        let (reply, _) = tokio::join!(
            world.ask(READER, &head),
            world.obey(Ok(Done::Current(Generation(7))), [planned]),
        );
        assert_eq!((reply.status, reply.code().as_str()), (504, "REFRESH_PENDING"));
        let body = reply.json();
        assert!(body["retry_at"].is_string(), "{body}");
        assert_eq!(
            body["message"],
            "account mail: no refresh is under way, since the last one was too short ago. It is \
             refreshed as soon as it may be."
        );
    });
}

#[test]
fn a_peer_that_hangs_up_takes_nothing_with_it() {
    alone(async {
        let world = World::new(expired(7, StateName::Exchanging));
        let impatient = tokio::time::timeout(Duration::from_secs(1), world.ask(READER, TOKEN));
        assert!(impatient.await.is_err());
        let order = world.next_order().await;
        assert!(
            matches!(order.action, Action::Demand(crate::token::Kind::Access)),
            "the order stands"
        );
        world.publish(fresh(8, 3_600));
        assert_eq!(world.ask(READER, TOKEN).await.json()["token"], "token-8");
    });
}

#[test]
fn a_token_that_the_peer_has_is_not_sent_again() {
    alone(async {
        let world = World::new(fresh(7, 600));
        #[rustfmt::skip]
        let cases = [
            ("\"access-7\"",                 "",               304),
            ("W/\"access-7\"",               "",               304),
            ("\"x\", \"access-7\"",          "",               304),
            ("*",                            "",               304),
            ("\"access-6\"",                 "",               200),
            ("\"id-7\"",                     "",               200),
            ("access-7",                     "",               200),
            ("\"access-7\"",                 "?min_ttl=60",    304),
            ("\"access-7\"",                 "?wait=0",        304),
        ];
        for (known, form, status) in cases {
            let reply = world.ask(READER, &format!("{TOKEN}{form}\nIf-None-Match: {known}")).await;
            assert_eq!(reply.status, status, "{known}");
            assert_eq!(reply.header("etag"), Some("\"access-7\""), "{known}");
            assert_eq!(reply.body.is_empty(), status == 304, "{known}");
        }
    });
}

#[test]
fn a_long_poll_answers_when_there_is_another_token() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let head = format!("{TOKEN}?wait=60\nIf-None-Match: \"access-7\"");
        let begin = Stopwatch::start();
        let change = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            // A change that brings no other token wakes nobody.
            world.publish(Snapshot { state: StateName::Queued, ..fresh(7, 600) });
            tokio::time::sleep(Duration::from_secs(10)).await;
            world.publish(fresh(8, 3_600));
        };
        let (reply, ()) = tokio::join!(world.ask(READER, &head), change);
        assert_eq!((reply.status, begin.secs()), (200, 40));
        assert_eq!(reply.header("etag"), Some("\"access-8\""));
    });
}

#[test]
fn a_long_poll_without_news_ends_with_304() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let begin = Stopwatch::start();
        let reply = world.ask(READER, &format!("{TOKEN}?wait=5\nIf-None-Match: *")).await;
        assert_eq!((reply.status, begin.secs()), (304, 5));
        assert!(world.is_quiet());
    });
}

#[test]
fn a_seat_that_closes_is_followed_to_the_new_one_or_refused() {
    for stays in [true, false] {
        alone(async {
            let mut world = World::new(expired(7, StateName::Exchanging));
            let stream = world.connect(READER);
            let asking = super::world::say(stream, TOKEN, "");
            let reload = async {
                let order = world.next_order().await;
                order.reply.send(Ok(Done::Joined(Generation(7)))).unwrap();
                let (moved, seen) = tokio::sync::watch::channel(Arc::new(fresh(8, 3_600)));
                let seats = stays.then(|| seat("mail", vec![rule(READER, Rights::DEFAULT)], seen));
                world.directory.send_replace(Arc::new(directory_of(seats)));
                // Replacing the sender closes the seat that is followed.
                world.mail = moved;
            };
            let (reply, ()) = tokio::join!(asking, reload);
            if stays {
                assert_eq!(reply.json()["token"], "token-8");
            } else {
                assert_eq!(
                    (reply.status, reply.code().as_str()),
                    (403, "INSUFFICIENT_PERMISSIONS")
                );
            }
        });
    }
}

#[test]
fn a_supervisor_that_has_ended_is_said_to_be_stopping() {
    alone(async {
        let world = World::new(expired(7, StateName::Fresh));
        world.orders.borrow_mut().close();
        let reply = world.ask(READER, TOKEN).await;
        assert_eq!((reply.status, reply.code().as_str()), (503, "STOPPING"));
    });
}
