//! Peers that end: what they say, which `nc -N` does behind every request, or altogether.
//!
//! Nobody has to wait for what does not come, so not one of these tests lets the paused clock move
//! before a peer is answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::world::READER;
use super::world::REFRESHER;
use super::world::Reply;
use super::world::Stopwatch;
use super::world::World;
use super::world::alone;
use super::world::expired;
use super::world::fresh;
use super::world::read;
use crate::clock;
use crate::lifecycle::words::Done;
use crate::name::AccountId;
use crate::notice::Event;
use crate::notice::Notice;
use crate::snapshot::StateName;
use crate::token::Generation;

const TOKEN: &str = "GET /v1/accounts/mail/token?format=raw HTTP/1.1\r\n\r\n";

#[test]
fn a_peer_that_has_said_all_is_answered_and_let_go_at_once() {
    let old = "{\"generation\":6}";
    let length = old.len();
    let report =
        format!("POST /v1/accounts/mail/report HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{old}");
    let chunked = format!(
        "POST /v1/accounts/mail/report HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
         {length:x}\r\n{old}\r\n0\r\n\r\n"
    );
    let twice = format!("{TOKEN}{TOKEN}");
    #[rustfmt::skip]
    let cases = [
        // request                                              answers
        (TOKEN,                                                 1),
        (twice.as_str(),                                        2),
        ("GET /v1/whoami HTTP/1.0\r\n\r\n",                     1),
        ("GET /v1/whoami HTTP/1.1\r\nConnection: close\r\n\r\n", 1),
        (report.as_str(),                                       1),
        (chunked.as_str(),                                      1),
    ];
    alone(async {
        let world = World::new(fresh(7, 600));
        for (request, answers) in cases {
            for pace in [Pace::AtOnce, Pace::AfterAccepting, Pace::InPieces] {
                let (reply, millis) = last_words(&world, request, pace).await;
                let text = format!("{}\r\n\r\n{}", reply.head, reply.body);
                assert_eq!(
                    text.matches(" 200 OK\r\n").count(),
                    answers,
                    "{request}{pace:?} {text}"
                );
                assert_eq!(millis, 0, "{request}{pace:?}: something was waited for");
            }
        }
    });
}

#[test]
fn a_body_that_ends_early_is_refused_at_once() {
    const CHUNKED: &str = "Transfer-Encoding: chunked";
    #[rustfmt::skip]
    let cases = [
        ("Content-Length: 65537",                        "x",              "the body ended after 1 of the 65537 bytes of `Content-Length`."),
        ("Content-Length: 9",                            "",               "the body ended after 0 of the 9 bytes of `Content-Length`."),
        ("Content-Length: 9\r\nExpect: 100-continue",    "{",              "the body ended after 1 of the 9 bytes of `Content-Length`."),
        (CHUNKED,                                        "5\r\n{\"gen",    "the body ended before its last chunk."),
        (CHUNKED,                                        "9\r\n{\"gen",    "the body ended before its last chunk."),
        (CHUNKED,                                        "",               "the body ended before its last chunk."),
        (CHUNKED,                                        "x\r\n",          "the body is not chunked as HTTP/1.1 has it."),
        (CHUNKED,                                        "1\r\n{}\r\n",    "the body is not chunked as HTTP/1.1 has it."),
    ];
    alone(async {
        let world = World::new(fresh(7, 600));
        for (header, body, message) in cases {
            let request =
                format!("POST /v1/accounts/mail/report HTTP/1.1\r\n{header}\r\n\r\n{body}");
            for pace in [Pace::AtOnce, Pace::AfterAccepting, Pace::InPieces] {
                let (reply, millis) = last_words(&world, &request, pace).await;
                let reply = behind_a_continue(reply);
                assert_eq!(reply.status, 400, "{request} {pace:?}: {}", reply.head);
                assert_eq!(reply.code(), "BAD_REQUEST", "{request}");
                assert_eq!(reply.json()["message"], message, "{request}");
                assert_eq!(millis, 0, "{request} {pace:?}: something was waited for");
            }
        }
        assert!(world.is_quiet(), "half a request ordered something");
    });
}

#[test]
fn a_peer_that_has_said_all_waits_for_its_answer() {
    alone(async {
        let world = World::new(expired(7, StateName::Exchanging));
        let asking = last_words(&world, TOKEN, Pace::AfterAccepting);
        let obeying = async {
            let order = world.next_order().await;
            tokio::time::sleep(Duration::from_secs(15)).await;
            world.publish(fresh(8, 600));
            assert!(order.reply.send(Ok(Done::Current(Generation(8)))).is_ok(), "it was given up");
        };
        let ((reply, millis), ()) = tokio::join!(asking, obeying);
        assert_eq!((reply.status, reply.body.as_str(), millis), (200, "token-8", 15_000));
    });
}

#[test]
fn a_follower_that_has_said_all_hears_of_events() {
    alone(async {
        let world = World::new(fresh(7, 600));
        for pace in [Pace::AtOnce, Pace::AfterAccepting] {
            let mut follower = world.connect(READER);
            speak(&mut follower, "GET /v1/events HTTP/1.1\r\n\r\n", pace).await;
            hear_until(&mut follower, "events of tokenkeeper").await;
            // Longer than any limit on a peer that is not answered.
            tokio::time::sleep(Duration::from_secs(100)).await;
            let account = AccountId::parse("mail").unwrap();
            let snapshot = world.mail.borrow().clone();
            let notice = Notice { account, at: clock::now(), event: Event::Expired, snapshot };
            assert!(world.notices.send(Arc::new(notice)).is_ok(), "nobody follows");
            hear_until(&mut follower, "event: expired").await;
        }
    });
}

#[test]
fn an_answer_that_fills_the_socket_comes_whole_to_who_has_said_all() {
    alone(async {
        let world = World::new(fresh(7, 600));
        // More than a socket's buffer takes.
        let documents = 20;
        let request = "GET /v1/openapi.json HTTP/1.1\r\n\r\n".repeat(documents);
        let (reply, millis) = last_words(&world, &request, Pace::AtOnce).await;
        let document = world.desk.openapi.len();
        assert_eq!(reply.body.matches("HTTP/1.1 200 OK").count(), documents - 1);
        assert!(reply.body.len() > documents * document, "{} bytes", reply.body.len());
        assert_eq!(millis, 0);
    });
}

#[test]
fn a_peer_that_hangs_up_is_not_answered_any_more() {
    alone(async {
        let world = World::new(expired(7, StateName::Exchanging));
        let begin = Stopwatch::start();
        let mut peer = world.connect(REFRESHER);
        peer.write_all(b"POST /v1/accounts/mail/refresh?wait=60 HTTP/1.1\r\n\r\n").await.unwrap();
        let order = world.next_order().await;
        drop(peer);
        world.next_end().await;
        assert_eq!(begin.millis(), 0, "its connection was kept until something else happened");
        drop(order);
    });
}

/// When a peer says what it has to say.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// Before it is accepted.
    AtOnce,
    /// When it is listened to.
    AfterAccepting,
    /// The same, the head, each half of the rest and the end by themselves.
    InPieces,
}

/// What comes of a request behind which nothing more is said, and after how many milliseconds.
async fn last_words(world: &World, request: &str, pace: Pace) -> (Reply, u128) {
    let begin = Stopwatch::start();
    let mut stream = world.connect(0);
    let conversation = async {
        speak(&mut stream, request, pace).await;
        read(stream).await
    };
    let reply = tokio::time::timeout(Duration::from_secs(600), conversation).await;
    (reply.expect("the connection never ends"), begin.millis())
}

async fn speak(stream: &mut UnixStream, request: &str, pace: Pace) {
    let head = request.find("\r\n\r\n").map_or(request.len(), |end| end + 4);
    let pieces = match pace {
        Pace::AtOnce | Pace::AfterAccepting => vec![request],
        Pace::InPieces => {
            let (head, body) = request.split_at(head);
            let (half, rest) = body.split_at(body.len() / 2);
            vec![head, half, rest]
        }
    };
    for piece in pieces {
        if !matches!(pace, Pace::AtOnce) {
            listened_to().await;
        }
        // Who is answered already does not read the rest.
        let _heard = stream.write_all(piece.as_bytes()).await.is_ok();
    }
    if !matches!(pace, Pace::AtOnce) {
        listened_to().await;
    }
    let _told = stream.shutdown().await.is_ok();
}

/// Lets the others do all that they can do without time passing.
async fn listened_to() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

async fn hear_until(stream: &mut UnixStream, end: &str) {
    let mut heard = String::new();
    while !heard.ends_with(end) {
        heard.push(char::from(stream.read_u8().await.unwrap()));
    }
}

/// The answer behind `100 Continue`, which a body that has begun to come may be asked for.
fn behind_a_continue(reply: Reply) -> Reply {
    if reply.status != 100 {
        return reply;
    }
    let (head, body) = reply.body.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}
