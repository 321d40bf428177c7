//! What is no request, is too long, or brings along what nobody asked for.

use std::fs::File;
use std::io::IoSlice;
use std::io::Read as _;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsFd as _;

use rustix::net::SendAncillaryBuffer;
use rustix::net::SendAncillaryMessage;
use rustix::net::SendFlags;
use rustix::net::sendmsg;
use tokenkeeper::limits;

use super::crowd::is_root;
use super::crowd::other_is_served;
use super::serving;
use crate::support::chance::Chance;
use crate::support::config::Config;
use crate::support::credential;
use crate::support::daemon::Daemon;
use crate::support::held::Held;
use crate::support::http;
use crate::support::http::Kept;
use crate::support::http::receive;

/// How many peers send noise.
const NOISE: u64 = 500;

#[test]
fn noise_is_answered_by_a_refusal_or_by_nothing() {
    if !is_root() {
        return;
    }
    let (_idp, daemon) = serving();
    let before = Held::by(&daemon);
    let mut chance = Chance(0);
    for number in 0..NOISE {
        let mut stream = http::connect(&daemon.path("api.sock")).unwrap();
        let bytes = noise(&mut chance);
        // The daemon may close before it has read all of it.
        drop(stream.write_all(&bytes));
        drop(stream.shutdown(Shutdown::Write));
        let mut told = Vec::new();
        drop(stream.read_to_end(&mut told));
        if told.is_empty() {
            continue;
        }
        let reply = receive(told.as_slice());
        let reply = reply.unwrap_or_else(|error| panic!("{number}: {error} to {bytes:?}"));
        let status = reply.status;
        assert!([400, 404, 405, 408, 431].contains(&status), "{number}: {status} to {bytes:?}");
    }
    other_is_served(&daemon);
    before.is_back(&daemon);
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

#[test]
fn heads_and_bodies_are_taken_up_to_their_limit_and_refused_beyond() {
    let (_idp, daemon) = serving();
    let before = Held::by(&daemon);
    let head = |length: usize| {
        let begin = "GET /v1/status HTTP/1.0\r\nx: ";
        let end = "\r\n\r\n";
        format!("{begin}{}{end}", "x".repeat(length - begin.len() - end.len()))
    };
    let body = |length: usize| {
        let text = format!("{{}}{}", " ".repeat(length - 2));
        format!("POST /v1/accounts/mail/retry HTTP/1.0\r\ncontent-length: {length}\r\n\r\n{text}")
    };
    #[rustfmt::skip]
    let cases = [
        ("a head at its limit", head(limits::HEAD - 1),   200),
        ("a longer head",       head(limits::HEAD + 1),   431),
        ("a body at its limit", body(limits::BODY),       200),
        ("a longer body",       body(limits::BODY + 1),   413),
        ("an endless head",     head(64 * limits::HEAD),  431),
        ("a long body",         body(64 * limits::BODY),  413),
    ];
    for (name, request, status) in cases {
        let mut stream = http::connect(&daemon.path("api.sock")).unwrap();
        drop(stream.write_all(request.as_bytes()));
        let mut told = Vec::new();
        // Whoever has sent something that was not read sees the end as a reset.
        drop(stream.read_to_end(&mut told));
        assert_eq!(receive(told.as_slice()).unwrap().status, status, "{name}");
    }
    before.is_back(&daemon);
}

/// What follows a request on its connection is another request, and a wrong one ends it.
#[test]
fn noise_behind_a_request_spoils_no_answer() {
    let (_idp, daemon) = serving();
    let before = Held::by(&daemon);
    for _ in 0..100 {
        let mut kept = Kept::open(&daemon.path("api.sock"));
        assert_eq!(kept.asks("/v1/accounts/mail/token").unwrap(), 200);
        kept.stream().write_all(b"\x16\x03\x01\r\n\r\n").unwrap();
        let mut told = String::new();
        drop(kept.stream().read_to_string(&mut told));
        assert!(told.starts_with("HTTP/1.1 400"), "{told}");
    }
    before.is_back(&daemon);
}

#[test]
fn descriptors_that_are_sent_along_are_not_taken() {
    let (_idp, daemon) = serving();
    let before = Held::by(&daemon);
    let null = File::open("/dev/null").unwrap();
    let descriptors = [null.as_fd(); 32];
    let mut peers = Vec::new();
    for _ in 0..50 {
        let stream = http::connect(&daemon.path("api.sock")).unwrap();
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(32))];
        let mut along = SendAncillaryBuffer::new(&mut room);
        assert!(along.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let words = b"GET /v1/status HTTP/1.0\r\nhost: localhost\r\n\r\n";
        sendmsg(&stream, &[IoSlice::new(words)], &mut along, SendFlags::empty()).unwrap();
        peers.push(stream);
    }
    for peer in peers {
        assert_eq!(receive(peer).unwrap().status, 200);
    }
    before.is_back(&daemon);
}

#[test]
fn names_that_no_service_manager_has_are_refused_by_the_credential_socket_and_leave_nothing() {
    let config = Config::default()
        .credentials()
        .account("mail", "client_id = \"m\"\ntoken_endpoint = \"https://idp.example/t\"\n");
    let daemon = Daemon::start(&config);
    let before = Held::by(&daemon);
    let door = daemon.path("credential.sock");
    // An abstract name is unique on its host, and 107 bytes at most.
    let own = |rest: &str| {
        let name = credential::name("u", "").replace("/unit/u/", rest);
        Some(name.chars().take(107).collect::<String>())
    };
    let long = "x".repeat(107);
    for name in [
        own(&format!("/unit/{long}")),
        own(&format!("/unit/a.service/{long}")),
        own("/unit//mail"),
        own("/unit/a.service/"),
        own("/unit/../../mail"),
        own("/unit/a.service/mail\n/mail"),
        own("/unit/a.service/\0mail"),
        own("//"),
        own(""),
        None,
    ] {
        let answer = credential::ask_wrongly(&door, name.as_deref(), "");
        assert_eq!(answer, credential::Answer::Refused, "{name:?}");
    }
    let many = (0..limits::CREDENTIALS + 44).map(|number| {
        let name = own(&format!("/unit/a{number}.service/{}", "y".repeat(60)));
        credential::connect(&door, name.as_deref()).unwrap()
    });
    drop(many.collect::<Vec<_>>());
    before.is_back(&daemon);
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

/// Something that may begin like a request, and goes wrong sooner or later.
fn noise(chance: &mut Chance) -> Vec<u8> {
    const PIECES: &[&str] = &[
        "GET ",
        "POST ",
        "/v1/accounts/mail/nothing",
        "/",
        " HTTP/1.1",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "host: localhost\r\n",
        "content-length: ",
        "transfer-encoding: chunked\r\n",
        ": ",
        "7",
        "ffffffff\r\n",
        "\0",
        "\u{202e}",
        "expect: 100-continue\r\n",
    ];
    let mut bytes = Vec::new();
    for _ in 0..=chance.below(24) {
        if chance.below(4) == 0 {
            bytes.extend_from_slice(&chance.next().to_le_bytes());
        } else {
            bytes.extend_from_slice(PIECES[chance.index(PIECES.len())].as_bytes());
        }
    }
    bytes
}
