//! The client against a scripted daemon, whose answers are bytes.

use std::io::Read as _;
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::thread;

use tokenkeeper::error::code::Code;

use super::events::Next;
use super::scripted::Scripted;
use super::scripted::client;
use super::*;

#[test]
fn a_whole_answer_is_read() {
    let with_length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntoken";
    let to_the_end = "HTTP/1.0 200 OK\r\n\r\ntoken";
    let more_than_promised = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ntoken and more";
    for answer in [with_length, to_the_end, more_than_promised] {
        let (got, _) = ask(&[answer.as_bytes()]);
        assert_eq!(&**got.unwrap().body, b"token", "{answer:?}");
    }
}

#[test]
fn an_answer_may_come_in_any_pieces() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntoken";
    let pieces = answer.chunks(1).collect::<Vec<_>>();
    assert_eq!(&**ask(&pieces).0.unwrap().body, b"token");
}

#[test]
fn a_long_answer_is_read_to_its_end() {
    let body = "x".repeat(200_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(ask(&[answer.as_bytes()]).0.unwrap().body.len(), body.len());
}

#[test]
fn an_answer_that_is_none_is_told_apart() {
    let long_head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(9_000));
    let endless_head = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(20_000));
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(40));
    #[rustfmt::skip]
    let cases = [
        ("half a head",        "HTTP/1.1 200 OK\r\nContent-Le",                            "it ended after 27 bytes of its head"),
        ("half a body",        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ntoken",        "it ended after 5 of 9 bytes"),
        ("not HTTP",           "SSH-2.0-OpenSSH_9.2\r\n",                                  "it does not speak HTTP (invalid HTTP version)"),
        ("HTTP/2",             "\0\0\0\x04\0\0\0\0\0",                                     "it does not speak HTTP (invalid HTTP version)"),
        ("two lengths",        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\ntoken", "its Content-Length makes no sense"),
        ("a negative length",  "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\ntoken",       "its Content-Length makes no sense"),
        ("a signed length",    "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\ntoken",       "its Content-Length makes no sense"),
        ("an empty length",    "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\ntoken",          "its Content-Length makes no sense"),
        ("an absurd length",   "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", "its Content-Length makes no sense"),
        ("an oversized body",  "HTTP/1.1 200 OK\r\nContent-Length: 25165825\r\n\r\n",      "its body is longer than 25165824 bytes"),
        ("chunks",             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "it is sent in a transfer coding, which was not asked for"),
        ("a long head",        &long_head,                                                 "its head is longer than 8192 bytes"),
        ("an endless head",    &endless_head,                                              "its head is longer than 8192 bytes"),
        ("too many headers",   &many_headers,                                              "it does not speak HTTP (too many headers)"),
        ("a wordless refusal", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",    "HTTP 502 without a message"),
        ("a redirect",         "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n",               "HTTP 302 without a message"),
    ];
    for (name, answer, expected) in cases {
        match ask(&[answer.as_bytes()]).0.map(|_| ()) {
            Err(fault @ Fault::NotTheDaemon { .. }) => {
                let message = fault.to_string();
                assert!(message.ends_with(expected), "{name}: {message}");
                assert_eq!(fault.exit_status(), 70, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_daemon_that_ends_during_a_request_is_no_stranger_but_gone() {
    let fault = ask(&[b""]).0.map(|_| ()).unwrap_err();
    assert!(matches!(fault, Fault::WentAway { .. }), "{fault:?}");
    assert_eq!(fault.exit_status(), 69);
}

/// No time passes: that of an untold wait is an argument.
#[test]
fn a_daemon_that_is_silent_for_a_while_is_waited_for_and_that_is_told() {
    let daemon = Scripted::new();
    let (client, request) = (daemon.client(), Request::get("/"));
    let (told, heard) = mpsc::channel();
    thread::scope(|scope| {
        let daemon = &daemon;
        scope.spawn(move || {
            let mut peer = daemon.accept();
            heard.recv().unwrap();
            peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntoken");
        });
        let tell = |place: &Place, left| {
            told.send(()).unwrap();
            assert_eq!((&place.path, left), (&daemon.path(), Request::PATIENCE));
        };
        let reply = client.ask_telling(&request, Duration::ZERO, tell).unwrap();
        assert_eq!(&**reply.body, b"token");
    });
}

#[test]
fn a_daemon_that_answers_in_time_is_not_told_to_be_waited_for() {
    let daemon = Scripted::new();
    let (client, request) = (daemon.client(), Request::get("/"));
    let (got, _) = thread::scope(|scope| {
        let serving = scope.spawn(|| serve(&daemon, &[&refusal(502, "{}")]));
        let tell = |_: &Place, _| panic!("it is told");
        let got = client.ask_telling(&request, Duration::from_secs(60), tell).map(|_| ());
        (got, serving.join().unwrap())
    });
    assert!(matches!(got, Err(Fault::NotTheDaemon { .. })), "{got:?}");
}

#[test]
fn a_body_without_end_is_read_to_the_limit_only() {
    let head: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n";
    let mut endless = head.chain(io::repeat(b'x'));
    assert!(matches!(reply::read(&mut endless), Err(Garbled::BodyTooLong)));
}

#[test]
fn a_refusal_is_the_daemons_own() {
    let body = r#"{"error":"needs_login","message":"log in","error_code":"NEEDS_LOGIN","timestamp":"2023-11-14T22:13:20Z","remedy":"sign_in"}"#;
    let fault = refused(409, body);
    let Fault::Refused { body, .. } = fault else { panic!("{fault:?}") };
    assert_eq!(body.error_code, Code::NeedsLogin);
}

#[test]
fn a_code_that_is_not_known_yet_keeps_its_message() {
    let fault = refused(409, r#"{"message":"ask Pat","error_code":"NEEDS_PAT","remedy":"pat"}"#);
    assert_eq!(fault.to_string(), "ask Pat (NEEDS_PAT; the daemon is newer than this tokenctl)");
}

#[test]
fn a_daemon_that_says_nothing_is_given_up() {
    let daemon = Scripted::new();
    let request = Request { patience: Duration::from_millis(20), ..Request::get("/v1/status") };
    let fault = daemon.client().ask(&request).map(|_| ()).unwrap_err();
    assert!(matches!(fault, Fault::Silent { .. }), "{fault:?}");
    assert_eq!(fault.exit_status(), 75);
}

#[test]
fn requests_are_http_1_0_and_carry_their_length() {
    let request = Request::get("/v1/status");
    assert_eq!(
        String::from_utf8_lossy(&request.bytes()),
        "GET /v1/status HTTP/1.0\r\nHost: localhost\r\n\r\n"
    );
    let request = Request::post("/v1/reload").json(Zeroizing::new(b"{}".to_vec()));
    assert_eq!(
        String::from_utf8_lossy(&request.bytes()),
        "POST /v1/reload HTTP/1.0\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    );
}

#[test]
fn the_request_reaches_the_daemon_as_it_is() {
    let (_, request) = ask(&[b"HTTP/1.0 200 OK\r\n\r\n"]);
    assert_eq!(request, "GET /v1/status HTTP/1.0\r\nHost: localhost\r\n\r\n");
}

#[test]
fn a_socket_that_is_not_there_lets_the_next_one_answer() {
    let daemon = Scripted::new();
    let absent = daemon.path().with_file_name("absent.sock");
    let client = client(&[&absent, &daemon.path()]);
    thread::scope(|scope| {
        scope.spawn(|| serve(&daemon, &[b"HTTP/1.0 200 OK\r\n\r\n"]));
        client.ask(&Request::get("/v1/status")).map(|_| ()).unwrap();
    });
    assert_eq!(client.place().unwrap().path, daemon.path());
}

#[test]
fn a_socket_without_a_listener_decides() {
    let other = Scripted::new();
    let dead = other.path().with_file_name("dead.sock");
    drop(UnixListener::bind(&dead).unwrap());
    let fault = client(&[&dead, &other.path()]).ask(&Request::get("/")).map(|_| ()).unwrap_err();
    let expected = format!(
        "no daemon answers: {} (the user's daemon) is left of a daemon that runs no more; \
         try \"tokenkeeperd --user\"",
        dead.display()
    );
    assert_eq!(fault.to_string(), expected);
    assert_eq!(fault.exit_status(), 69);

    let named = Daemon::new(vec![Place { path: dead.clone(), origin: Origin::Option }]);
    let expected = format!(
        "no daemon answers: {} (from --socket) is left of a daemon that runs no more; start that \
         tokenkeeperd again",
        dead.display()
    );
    let fault = named.ask(&Request::get("/")).map(|_| ()).unwrap_err();
    assert_eq!(fault.to_string(), expected);
}

#[test]
fn without_any_socket_every_path_is_named() {
    let daemon = Daemon::new(vec![
        Place { path: "/nowhere/a.sock".into(), origin: Origin::User },
        Place { path: "/nowhere/b.sock".into(), origin: Origin::System },
    ]);
    let fault = daemon.ask(&Request::get("/")).map(|_| ()).unwrap_err();
    insta::assert_snapshot!(fault.to_string(), @r#"no daemon answers: /nowhere/a.sock (the user's daemon) is not there, /nowhere/b.sock (the system's daemon) is not there; try "systemctl start tokenkeeper""#);
}

#[test]
fn events_are_followed_to_the_end_of_the_stream() {
    let event = r#"{"event":"token_changed","account":"mail","timestamp":"t","state":"fresh","generation":8,"expires_at":null,"next_at":null}"#;
    let first = format!("id: 1\nevent: token_changed\ndata: {event}\n\ndata: ");
    let (half, rest) = event.split_at(40);
    let generations = follow(&[
        b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n",
        first.as_bytes(),
        half.as_bytes(),
        rest.as_bytes(),
        b"\n\n",
    ]);
    assert_eq!(generations.unwrap(), [8, 8]);
}

#[test]
fn a_stream_that_is_no_event_stream_is_told_apart() {
    let endless = format!("data: {}", "x".repeat(70_000));
    for (answer, expected) in [
        ("data: {}\n", "it has another form than this version of tokenctl knows"),
        (endless.as_str(), "a line of its event stream is longer than 65536 bytes"),
    ] {
        let fault = follow(&[b"HTTP/1.0 200 OK\r\n\r\n", answer.as_bytes()]).unwrap_err();
        assert!(fault.to_string().ends_with(expected), "{fault}");
    }
}

#[test]
fn a_stream_that_is_refused_gives_the_refusal() {
    let body = r#"{"error":"request","message":"no","error_code":"INSUFFICIENT_PERMISSIONS","timestamp":"t","remedy":"change_request"}"#;
    let fault = follow(&[&refusal(403, body)]).unwrap_err();
    assert_eq!(fault.exit_status(), 77);
}

/// What `GET /v1/status` gives when the daemon writes `pieces`, and what it was sent.
fn ask(pieces: &[&[u8]]) -> (Result<Reply, Fault>, String) {
    let daemon = Scripted::new();
    thread::scope(|scope| {
        let serving = scope.spawn(|| serve(&daemon, pieces));
        let got = daemon.client().ask(&Request::get("/v1/status"));
        (got, serving.join().unwrap())
    })
}

/// The same for an event stream.
fn follow(pieces: &[&[u8]]) -> Result<Vec<u64>, Fault> {
    let daemon = Scripted::new();
    thread::scope(|scope| {
        scope.spawn(|| serve(&daemon, pieces));
        let mut events = daemon.client().follow(&Request::get("/v1/events"))?;
        let mut generations = Vec::new();
        loop {
            match events.next(Duration::from_secs(10))? {
                Next::Event(event) => generations.push(event.generation),
                Next::Alive => {}
                Next::Silence => panic!("the stream fell silent"),
                Next::End => return Ok(generations),
            }
        }
    })
}

/// Answers one request and hangs up; returns the request.
fn serve(daemon: &Scripted, pieces: &[&[u8]]) -> String {
    let mut peer = daemon.accept();
    for piece in pieces {
        peer.say(piece);
    }
    peer.request.clone()
}

fn refused(status: u16, body: &str) -> Fault {
    ask(&[&refusal(status, body)]).0.map(|_| ()).unwrap_err()
}

fn refusal(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} No\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}
