//! `GET /v1/events`: what a follower hears.

use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::world::READER;
use super::world::STRANGER;
use super::world::Stopwatch;
use super::world::World;
use super::world::alone;
use super::world::fresh;
use super::world::unreachable;
use crate::clock;
use crate::limits;
use crate::name::AccountId;
use crate::notice::Event;
use crate::notice::Notice;
use crate::notice::Reason;

#[test]
fn a_follower_hears_of_the_accounts_that_it_may_see() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let mut follower = follow(&world, READER, "", "").await;
        tell(&world, "ci", Event::Expired);
        tell(&world, "mail", Event::TokenChanged { reason: Reason::Scheduled, attempt: 1 });
        let heard = hear(&mut follower).await;
        assert!(heard.contains("\nevent: token_changed\ndata: {"), "{heard}");
        assert!(heard.starts_with("id: "), "{heard}");
        let view = data(&heard);
        assert_eq!((&view["account"], &view["generation"]), (&"mail".into(), &7.into()));
        assert_eq!((&view["reason"], &view["attempt"]), (&"scheduled".into(), &1.into()));
        assert!(!heard.contains("token-7"), "an event holds no token");

        let failure = unreachable(2).unwrap();
        tell(&world, "mail", Event::RefreshFailed { reason: Reason::Replay, failure });
        let view = data(&hear(&mut follower).await);
        assert_eq!(view["event"], "refresh_failed");
        assert_eq!(view["refresh_error"]["error_code"], "PROVIDER_UNREACHABLE");
        assert_eq!(view["attempt"], 2);
    });
}

#[test]
fn a_follower_of_one_account_hears_of_no_other() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let mut follower = follow(&world, 0, "?account=mail", "").await;
        tell(&world, "ci", Event::Expired);
        tell(&world, "mail", Event::Recovered { failed: 1 });
        assert_eq!(data(&hear(&mut follower).await)["event"], "recovered");
    });
}

#[test]
fn who_may_not_see_an_account_cannot_follow_it() {
    alone(async {
        let world = World::new(fresh(7, 600));
        for account in ["mail", "no"] {
            let reply = world.ask(STRANGER, &format!("GET /v1/events?account={account}")).await;
            assert_eq!(reply.status, 403, "{account}");
        }
    });
}

#[test]
fn a_silence_is_filled_with_comments_that_keep_the_stream_open() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let mut follower = follow(&world, READER, "", "").await;
        let begin = Stopwatch::start();
        for turn in 1..=10 {
            // News of other accounts does not put the comment off.
            tell(&world, "ci", Event::StateChanged);
            assert_eq!(hear(&mut follower).await, ":\n\n");
            assert_eq!(begin.secs(), limits::KEEP_ALIVE.as_secs() * turn);
        }
    });
}

#[test]
fn a_follower_that_lags_or_comes_back_hears_that_it_lost_something_and_goes_on() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let mut follower = follow(&world, READER, "", "").await;
        for failed in 0..20 {
            tell(&world, "mail", Event::Recovered { failed });
        }
        assert_eq!(data(&hear(&mut follower).await)["event"], "lost");
        assert_eq!(data(&hear(&mut follower).await)["event"], "recovered");

        let mut back = follow(&world, READER, "", "Last-Event-ID: 5\r\n").await;
        assert_eq!(data(&hear(&mut back).await)["event"], "lost");
        tell(&world, "mail", Event::Expired);
        assert_eq!(data(&hear(&mut back).await)["event"], "expired");
    });
}

#[test]
fn a_stop_ends_the_stream() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let mut follower = follow(&world, READER, "", "").await;
        world.stop.send_replace(true);
        let mut rest = String::new();
        follower.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "\r\n0\r\n\r\n", "the last chunk");
    });
}

/// Opens a stream and reads its head and greeting.
async fn follow(world: &World, uid: u32, query: &str, headers: &str) -> UnixStream {
    let mut stream = world.connect(uid);
    let request = format!("GET /v1/events{query} HTTP/1.1\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(stream.read_u8().await.unwrap()));
    }
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
    assert_eq!(hear(&mut stream).await, ": events of tokenkeeper\n\n");
    stream
}

/// Reads the next block of the stream, out of however many chunks.
async fn hear(stream: &mut UnixStream) -> String {
    let mut block = String::new();
    while !block.ends_with("\n\n") {
        let byte = stream.read_u8().await.unwrap();
        block.push(char::from(byte));
        // Chunks are framed by a line with their length before and an empty one after.
        if block.ends_with("\r\n") {
            block.clear();
        }
    }
    block
}

fn data(block: &str) -> serde_json::Value {
    let data = block.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    serde_json::from_str(data).unwrap()
}

fn tell(world: &World, account: &str, event: Event) {
    let snapshot = world.mail.borrow().clone();
    let account = AccountId::parse(account).unwrap();
    let notice = Notice { account, at: clock::now(), event, snapshot };
    assert!(world.notices.send(Arc::new(notice)).is_ok(), "nobody follows");
}
