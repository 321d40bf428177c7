//! A process without descriptors: who is connected stays served, and everything recovers.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Command;

use super::crowd::is_root;
use super::provide;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::held::Held;
use crate::support::held::counted;
use crate::support::http::Kept;
use crate::support::http::Request;
use crate::support::http::receive;
use crate::support::idp::Idp;
use crate::support::process::wrapping;

/// Descriptors of the process, its own included.
const DESCRIPTORS: usize = 96;

#[test]
fn a_daemon_without_descriptors_serves_whom_it_has_and_recovers_when_they_leave() {
    if !is_root() {
        return;
    }
    let (idp, mut daemon) = (Idp::start(), Daemon::new(&Config::default()));
    provide(&idp, &mut daemon);
    begin_with_few(&mut daemon);
    daemon.import("mail", &idp.mint("mail"));
    let before = Held::by(&daemon);

    let mut served = Vec::new();
    // Who connects last is closed without a word: an answer would take a descriptor as well.
    let closed = (0..DESCRIPTORS).find_map(|_| {
        let mut kept = Kept::open(&daemon.path("api.sock"));
        match kept.asks("/v1/accounts/mail/token") {
            Ok(status) => {
                assert_eq!(status, 200);
                served.push(kept);
                None
            }
            Err(error) => Some(error),
        }
    });
    let closed = closed.expect("there are not as many descriptors");
    assert!(served.len() > DESCRIPTORS / 4, "{} were served, then {closed}", served.len());
    for _ in 0..3 {
        for kept in &mut served {
            assert_eq!(kept.asks("/v1/accounts/mail/token").unwrap(), 200);
        }
    }

    // A refresh needs a descriptor too: it fails before anything is sent, and costs nothing.
    let first = served.first_mut().unwrap();
    let stream = first.stream();
    Request { method: "POST", ..Request::get("/v1/accounts/mail/refresh?wait=60") }
        .send(stream)
        .unwrap();
    let failed = receive(stream).unwrap();
    assert_eq!(failed.status, 503, "{}", failed.body);
    assert!(failed.body.contains("PROVIDER_UNREACHABLE"), "{}", failed.body);
    assert_eq!(idp.totals("mail").requests, 1);

    served.clear();
    before.is_back(&daemon);
    assert!(counted(&daemon, "tokenkeeper_turned_away_total{reason=\"no_descriptor\"}") >= 1);
    daemon.logs("no descriptor left for a new connection");
    assert_eq!(daemon.order("mail", "retry").status, 200);
    assert_eq!(daemon.token_after("mail", 1).generation, 2);
    daemon.stop();
}

/// Starts a daemon whose limit of descriptors nothing in it can raise.
fn begin_with_few(daemon: &mut Daemon) {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\"")]);
    let log = File::options().append(true).create(true).open(daemon.path("log")).unwrap();
    daemon.begin_as(wrapping(command, &daemon.command()), OwnedFd::from(log));
}
