//! Rules by unit, as connections meet them: whose unit is asked for, how often, and what comes of
//! no answer.

use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::watch;

use super::world::OWN;
use super::world::READER;
use super::world::STRANGER;
use super::world::Stopwatch;
use super::world::World;
use super::world::alone;
use super::world::directory_of;
use super::world::fresh;
use super::world::rule;
use super::world::say;
use super::world::seat;
use crate::access::Right;
use crate::access::Rights;
use crate::access::Rule;
use crate::attest::proof_of_kernel;
use crate::limits;
use crate::unit::NoUnit;
use crate::unit::Proof;

const TOKEN: &str = "GET /v1/accounts/mail/token";

#[test]
fn who_is_in_the_unit_of_a_rule_is_let_in_and_is_asked_about_once_for_a_connection() {
    alone(async {
        let world = by_unit();
        let mut stream = world.connect(STRANGER);
        let asking = async {
            for request in [TOKEN, "GET /v1/accounts/mail", TOKEN] {
                assert_eq!(exchange(&mut stream, request).await.0, 200, "{request}");
            }
            let (status, me) = exchange(&mut stream, "GET /v1/whoami").await;
            assert!(status == 200 && me.contains(r#""unit":"a.service""#), "{me}");
        };
        let answering = async {
            let question = world.next_question().await;
            assert_eq!(question.process.number(), std::process::id());
            question.reply.send(Ok("a.service".into())).unwrap();
        };
        tokio::join!(asking, answering);
        assert!(!world.is_asked(), "the second request asked again");
    });
}

#[test]
fn who_is_in_another_unit_or_in_none_is_refused_and_told_as_what_it_is_seen() {
    #[rustfmt::skip]
    let cases = [
        (Ok("b.service".into()),     "unit b.service"),
        (Err(NoUnit::Outside),       "no unit that is known: it belongs to no unit"),
        (Err(NoUnit::Gone),          "no unit that is known: its process has ended"),
        (Err(NoUnit::Unreachable),   "no unit that is known: the service manager cannot be asked"),
    ];
    for (found, seen) in cases {
        alone(async {
            let world = by_unit();
            let answering = async {
                let question = world.next_question().await;
                question.reply.send(found).unwrap();
            };
            let (reply, ()) = tokio::join!(world.ask(STRANGER, TOKEN), answering);
            assert_eq!((reply.status, reply.code().as_str()), (403, "INSUFFICIENT_PERMISSIONS"));
            assert!(reply.body.contains(seen), "{}", reply.body);
        });
    }
}

#[test]
fn nobody_is_asked_about_whose_unit_would_change_nothing() {
    alone(async {
        let world = by_unit();
        #[rustfmt::skip]
        let cases = [
            ("a rule lets it in anyway",        READER,   TOKEN,                          200),
            ("root may do everything",          0,        TOKEN,                          200),
            ("and so may the daemon's user",    OWN,      "GET /v1/accounts",             200),
            ("no rule of an account it knows",  READER,   "GET /v1/accounts/home",        200),
            ("no rule about the daemon",        STRANGER, "POST /v1/reload",              403),
            ("no rule about metrics",           STRANGER, "GET /metrics",                 403),
            ("not for any rule to say",         STRANGER, "GET /v1/openapi.json",         200),
        ];
        for (name, uid, request, status) in cases {
            assert_eq!(world.ask(uid, request).await.status, status, "{name}");
            assert!(!world.is_asked(), "{name}");
        }
    });
}

#[test]
fn what_a_rule_by_unit_could_change_asks() {
    alone(async {
        let world = by_unit();
        #[rustfmt::skip]
        let cases = [
            ("it may read and is not known to refresh", READER,   "POST /v1/accounts/mail/refresh"),
            ("a list has the account or has not",       STRANGER, "GET /v1/accounts"),
            ("what it may do with an account",          READER,   "GET /v1/accounts/mail"),
            ("root wants to know who it is",            0,        "GET /v1/whoami"),
        ];
        for (name, uid, request) in cases {
            let answering = async {
                let question = world.next_question().await;
                question.reply.send(Err(NoUnit::Outside)).unwrap();
            };
            let (reply, ()) = tokio::join!(world.ask(uid, request), answering);
            assert!([200, 403].contains(&reply.status), "{name}: {}", reply.body);
        }
    });
}

/// Otherwise the unit in a refusal would tell the accounts with a rule by unit from all others.
#[test]
fn a_refusal_tells_the_same_of_accounts_with_a_rule_by_unit_without_one_and_that_are_not_there() {
    alone(async {
        let world = by_unit();
        for request in ["GET /v1/accounts/NAME/token", "GET /v1/accounts/NAME"] {
            let mut told = Vec::new();
            for name in ["mail", "ci", "absent"] {
                let answering = async {
                    let question = world.next_question().await;
                    question.reply.send(Ok("b.service".into())).unwrap();
                };
                let request = request.replace("NAME", name);
                let (reply, ()) = tokio::join!(world.ask(STRANGER, &request), answering);
                assert_eq!(reply.status, 403, "{request}");
                let message = reply.json()["message"].as_str().unwrap().to_owned();
                told.push(message.replacen(name, "NAME", 1));
            }
            assert!(told[0].contains("unit b.service"), "{}", told[0]);
            assert_eq!(told, [&*told[0]; 3], "{request}");
        }
    });
}

#[test]
fn a_silent_manager_costs_its_peer_two_seconds_and_nobody_else_anything() {
    alone(async {
        let world = by_unit();
        let begin = Stopwatch::start();
        let unlucky = world.ask(STRANGER, TOKEN);
        let others = async {
            let question = world.next_question().await;
            assert_eq!(world.ask(READER, TOKEN).await.status, 200);
            assert_eq!(begin.millis(), 0, "another connection waited");
            question
        };
        let (refused, _unanswered) = tokio::join!(unlucky, others);
        assert_eq!(refused.status, 403);
        assert!(refused.body.contains("the service manager did not answer in time"));
        assert_eq!(begin.secs(), limits::UNIT.as_secs());
    });
}

#[test]
fn a_reason_that_passes_is_not_held_against_the_next_request() {
    if proof_of_kernel().unwrap() == Proof::Number {
        // Such a process is held for one question.
        return;
    }
    alone(async {
        let world = by_unit();
        let mut stream = world.connect(STRANGER);
        let asking = async {
            for status in [403, 200, 200] {
                assert_eq!(exchange(&mut stream, TOKEN).await.0, status);
            }
        };
        let answering = async {
            for found in [Err(NoUnit::Silent), Ok("a.service".into())] {
                world.next_question().await.reply.send(found).unwrap();
            }
        };
        tokio::join!(asking, answering);
        assert!(!world.is_asked());
    });
}

#[test]
fn a_peer_that_hangs_up_is_not_asked_about_any_longer() {
    alone(async {
        let world = by_unit();
        let mut stream = world.connect(STRANGER);
        stream.write_all(format!("{TOKEN} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
        let mut question = world.next_question().await;
        drop(stream);
        question.reply.closed().await;
    });
}

#[test]
fn units_administer_the_daemon_and_read_metrics_through_ordinary_sockets_alone() {
    alone(async {
        let world = by_unit();
        let mut directory = directory_of([]);
        directory.metrics = vec![unit_rule(Rights::NONE)];
        world.directory.send_replace(Arc::new(directory));
        let answering = async {
            world.next_question().await.reply.send(Ok("a.service".into())).unwrap();
        };
        let (reply, ()) = tokio::join!(world.ask(STRANGER, "GET /metrics"), answering);
        assert_eq!(reply.status, 200, "{}", reply.body);
        let narrowing = crate::access::Narrowing { accounts: Vec::new(), rights: Rights::ALL };
        let narrow = world.connect_through(STRANGER, Some(narrowing));
        assert_eq!(say(narrow, "GET /metrics", "").await.status, 403);
        assert!(!world.is_asked(), "nothing that a unit could change");
    });
}

/// `mail` is for the unit a.service, and for [`READER`] to read, as `home` is; `ci` is for masters.
fn by_unit() -> World {
    let world = World::new(fresh(7, 600));
    let seen = || watch::channel(Arc::new(fresh(7, 600))).1;
    let read = Rights::NONE.with(Right::Read);
    let mail = seat("mail", vec![unit_rule(Rights::DEFAULT), rule(READER, read)], seen());
    let home = seat("home", vec![rule(READER, read)], seen());
    let ci = seat("ci", Vec::new(), seen());
    world.directory.send_replace(Arc::new(directory_of([mail, home, ci])));
    world
}

/// Names the user as well, so that it matches on kernels of every age.
fn unit_rule(rights: Rights) -> Rule {
    Rule { unit: Some("a.service".into()), ..rule(STRANGER, rights) }
}

/// One request on a connection that goes on: its status and the body of the answer.
async fn exchange(stream: &mut UnixStream, request: &str) -> (u16, String) {
    stream.write_all(format!("{request} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), String::from_utf8(body).unwrap())
}
