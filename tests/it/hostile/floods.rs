//! Connections by the thousand.

use std::io::Read as _;
use std::io::Write as _;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;

use tokenkeeper::limits::CONNECTIONS_PER_UID;
use tokenkeeper::protocol::error::ErrorBody;

use super::crowd::as_other;
use super::crowd::is_root;
use super::crowd::other_is_served;
use super::crowd::raise_limit;
use super::serving;
use crate::support::held::Held;
use crate::support::held::counted;
use crate::support::http;
use crate::support::http::Kept;
use crate::support::http::Request;
use crate::support::http::receive;

/// How many connections there are in all.
const CROWD: usize = 10_000;

/// How often the other user asks while somebody floods the daemon.
const ASKED: usize = 50;

/// How many orders are given until one is refused, on a host that is slow to answer them.
const MOST_ORDERS: usize = 2_000;

#[test]
fn ten_thousand_connections_are_served_and_a_user_with_its_share_is_told_so() {
    if !is_root() {
        return;
    }
    raise_limit();
    let (_idp, daemon) = serving();
    let before = Held::by(&daemon);
    let open = |number: usize| {
        let mut crowd =
            (0..number).map(|_| Kept::open(&daemon.path("api.sock"))).collect::<Vec<_>>();
        for kept in &mut crowd {
            assert_eq!(kept.asks("/v1/whoami").unwrap(), 200);
        }
        crowd
    };

    // In parts: who says nothing for a second is cut off.
    let share = |most: usize| (0..most).step_by(25).flat_map(|_| open(25)).collect::<Vec<_>>();
    let mut ours = share(CONNECTIONS_PER_UID);

    let socket = daemon.path("api.sock");
    let mut turned_away = http::connect(&socket).unwrap();
    // It is closed with what came of the request unread, which is an error after the answer.
    drop(Request::get("/v1/accounts/mail/token").send(&mut turned_away));
    let mut told = Vec::new();
    drop(turned_away.read_to_end(&mut told));
    let refused = receive(told.as_slice()).unwrap();
    assert_eq!(refused.status, 429, "{}", refused.body);
    let told = refused.json::<ErrorBody>();
    assert_eq!(told.error_code.as_str(), "RATE_LIMIT_EXCEEDED");
    assert!(told.message.contains("as many as one user may have"), "{}", told.message);
    assert!(refused.header("retry-after").is_some());

    let mut theirs = as_other(|| share(CROWD - CONNECTIONS_PER_UID));
    assert_eq!(ours.len() + theirs.len(), CROWD);
    for kept in ours.iter_mut().chain(&mut theirs).rev().step_by(50) {
        assert_eq!(kept.asks("/v1/accounts/mail/token").unwrap(), 200);
    }

    drop(ours);
    drop(theirs);
    before.is_back(&daemon);
    assert!(counted(&daemon, "tokenkeeper_turned_away_total{reason=\"user_limit\"}") >= 1);
}

#[test]
fn a_user_that_connects_as_fast_as_it_can_takes_no_answer_from_another() {
    if !is_root() {
        return;
    }
    let (_idp, daemon) = serving();
    let before = Held::by(&daemon);
    let over = AtomicBool::new(false);
    let ended = || over.load(Ordering::Relaxed);
    thread::scope(|scope| {
        let _over = Over(&over);
        for words in [&b""[..], b"GET /v1/status HTTP/1.1\r\n\r\n", b"\0\xff\x16\x03\x01"] {
            let (socket, ended) = (daemon.path("api.sock"), &ended);
            scope.spawn(move || {
                while !ended() {
                    // It hangs up without reading, and may be turned away before.
                    let mut stream = http::connect(&socket).unwrap();
                    drop(stream.write_all(words));
                }
            });
        }
        for _ in 0..ASKED {
            other_is_served(&daemon);
        }
    });
    before.is_back(&daemon);
}

/// Each of them may ask ten times a second for what reaches a provider.
#[test]
fn a_user_that_orders_refresh_upon_refresh_is_refused_and_another_is_not() {
    if !is_root() {
        return;
    }
    let (idp, daemon) = serving();
    let path = "/v1/accounts/mail/report";
    let body = "{\"generation\":0}";
    let refused = (0..MOST_ORDERS).any(|_| {
        let status = daemon.ask(Request::with("POST", path, body)).status;
        assert!([200, 429].contains(&status), "{status}");
        status == 429
    });
    assert!(refused, "none of {MOST_ORDERS} orders was refused");

    let socket = daemon.path("api.sock");
    let reply = as_other(|| Request::with("POST", path, body).on_socket(&socket).unwrap());
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(idp.totals("mail").requests, 1, "an old report costs nothing");
}

/// Ends the flood when it is dropped, also by a panic, since the scope waits for who floods.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
