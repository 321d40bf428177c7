//! Peers that take their time, and peers that are gone in the middle.

use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::process::Stdio;

use rustix::process::Signal;

use super::crowd::is_root;
use super::crowd::other_is_served;
use super::serving;
use crate::support::daemon::Daemon;
use crate::support::held::Held;
use crate::support::held::counted;
use crate::support::http;
use crate::support::http::Kept;
use crate::support::http::Request;
use crate::support::http::receive;
use crate::support::process::Process;

/// How many there are of each sort.
const MANY: usize = 100;

/// What a peer sends that never sends all of it.
const BEGINNINGS: &[&str] = &[
    "",
    "G",
    "GET /v1/status HTTP/1.1\r\n",
    "GET /v1/status HTTP/1.1\r\nhost: localhost\r\nx: ",
    "POST /v1/accounts/mail/import HTTP/1.1\r\ncontent-length: 100\r\n\r\n{\"refresh_token\":\"",
    "POST /v1/accounts/mail/import HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
];

#[test]
fn who_stops_in_the_middle_of_a_request_is_cut_off_and_everybody_else_is_served() {
    if !is_root() {
        return;
    }
    let (_idp, daemon) = serving();
    let before = Held::by(&daemon);
    let begun = BEGINNINGS.iter().cycle().take(MANY).map(|beginning| {
        let mut stream = connect(&daemon);
        stream.write_all(beginning.as_bytes()).unwrap();
        (*beginning, stream)
    });
    let begun = begun.collect::<Vec<_>>();
    other_is_served(&daemon);
    for (beginning, mut stream) in begun {
        let mut told = String::new();
        stream.read_to_string(&mut told).unwrap();
        let expected = if beginning.starts_with("POST") { "HTTP/1.1 408" } else { "" };
        assert_eq!(told.get(..12).unwrap_or(&told), expected, "{beginning:?}: {told}");
        other_is_served(&daemon);
    }
    before.is_back(&daemon);
}

#[test]
fn a_request_and_its_answer_may_come_and_go_byte_by_byte() {
    if !is_root() {
        return;
    }
    let (_idp, daemon) = serving();
    let mut stream = connect(&daemon);
    for byte in b"GET /v1/openapi.json HTTP/1.0\r\nhost: localhost\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    let whole = daemon.ask(Request::get("/v1/openapi.json"));
    let mut answer = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap() == 1 {
        answer.push(byte[0]);
    }
    let answer = receive(answer.as_slice()).unwrap();
    assert_eq!((answer.status, answer.body), (200, whole.body));
}

#[test]
fn who_asks_and_asks_and_reads_nothing_is_cut_off_and_everybody_else_is_served() {
    if !is_root() {
        return;
    }
    let (_idp, daemon) = serving();
    let before = Held::by(&daemon);
    let mut deaf = (0..MANY / 10).map(|_| connect(&daemon)).collect::<Vec<_>>();
    for stream in &mut deaf {
        let ended = (0..1_000_000).find_map(|_| {
            let request = "GET /v1/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n";
            stream.write_all(request.as_bytes()).err()
        });
        let ended = ended.expect("it takes request upon request without an answer read");
        let kind = ended.kind();
        assert!(
            matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset),
            "{ended}"
        );
        other_is_served(&daemon);
    }
    // Their connections are gone although they keep their own ends.
    before.is_back(&daemon);
    drop(deaf);
}

#[test]
fn who_has_said_all_is_answered_and_who_has_gone_leaves_nothing() {
    if !is_root() {
        return;
    }
    let (idp, daemon) = serving();
    let before = Held::by(&daemon);
    for _ in 0..MANY {
        let half = connect(&daemon);
        Request::get("/v1/accounts/mail/token").send(&mut &half).unwrap();
        half.shutdown(Shutdown::Write).unwrap();
        assert_eq!(receive(half).unwrap().status, 200);

        let mut deaf = Kept::open(&daemon.path("api.sock"));
        deaf.stream().shutdown(Shutdown::Read).unwrap();
        drop(Request::get("/v1/accounts/mail/token").send(deaf.stream()));

        let nothing = connect(&daemon);
        nothing.shutdown(Shutdown::Both).unwrap();
    }
    before.is_back(&daemon);
    assert_eq!(idp.totals("mail").requests, 1);
}

/// They wait for a refresh, which goes on without them.
#[test]
fn peers_that_are_killed_while_they_wait_end_no_refresh_and_leave_nothing() {
    if !is_root() {
        return;
    }
    let (idp, daemon) = serving();
    let before = Held::by(&daemon);
    idp.hold("mail", false);
    let waiting = (0..MANY).map(|_| daemon.begin_refresh("mail")).collect::<Vec<_>>();
    let programs = (0..10).map(|_| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenctl"));
        command.arg("--socket").arg(daemon.path("api.sock")).args(["refresh", "mail"]);
        Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
    });
    let programs = programs.collect::<Vec<_>>();
    idp.wait("mail", "requests=2&held=1");

    for mut program in programs {
        program.signal(Signal::KILL);
        program.ended();
    }
    drop(waiting);
    other_is_served(&daemon);
    idp.release("mail");

    assert_eq!(daemon.token_after("mail", 1).generation, 2);
    assert_eq!(idp.totals("mail").requests, 2, "one flight for all of them");
    before.is_back(&daemon);
    assert_eq!(counted(&daemon, "tokenkeeper_connections"), 1, "the one that asks");
}

fn connect(daemon: &Daemon) -> UnixStream {
    http::connect(&daemon.path("api.sock")).unwrap()
}
