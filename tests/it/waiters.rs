//! Many programs that wait for one account at once.
//!
//! The token has expired while the provider holds the exchange, so all of them wait for that one
//! flight.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;

use nix::sys::resource::Resource;
use nix::sys::resource::getrlimit;
use nix::sys::resource::setrlimit;
use serde_json::Value;
use serde_json::json;
use tokenkeeper::protocol::account::TokenAnswer;
use tokenkeeper::protocol::error::ErrorBody;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::Request;
use crate::support::http::receive;
use crate::support::idp::Idp;

/// How many wait.
const WAITERS: usize = 1000;

#[test]
fn a_thousand_waiters_share_one_exchange_and_get_the_same_token() {
    let (idp, daemon) = expired_in_mid_exchange(&json!([]));
    let waiters = gather(&daemon, WAITERS);

    idp.release("mail");

    let tokens = waiters.into_iter().map(|waiter| {
        let answer: TokenAnswer = receive(waiter).unwrap().success();
        (answer.generation, answer.token)
    });
    let tokens = tokens.collect::<BTreeSet<_>>();
    assert_eq!(tokens.len(), 1, "all got the same token");
    assert_eq!(tokens.first().unwrap().0, 2);
    assert_eq!(idp.totals("mail").requests, 2);
}

#[test]
fn a_failed_flight_gives_every_waiter_the_same_error() {
    let fault = json!([{ "fault": "status", "status": 503, "retry_after": "seconds:600" }]);
    let (idp, daemon) = expired_in_mid_exchange(&fault);
    let waiters = gather(&daemon, WAITERS);

    idp.release("mail");

    let errors = waiters.into_iter().map(|waiter| {
        let reply = receive(waiter).unwrap();
        let error: ErrorBody = reply.json();
        (reply.status, error.error_code.as_str(), error.message, error.retry_at)
    });
    let errors = errors.collect::<BTreeSet<_>>();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let (status, code, message, retry_at) = errors.first().unwrap();
    assert_eq!((*status, *code), (503, "PROVIDER_UNAVAILABLE"), "{message}");
    assert!(retry_at.is_some(), "they know when to ask again");
    assert_eq!(idp.totals("mail").requests, 2);
}

#[test]
fn waiters_that_hang_up_change_nothing() {
    let (idp, daemon) = expired_in_mid_exchange(&json!([]));
    let waiters = gather(&daemon, WAITERS / 2);
    drop(waiters);
    until_connections(&daemon, |connections| connections < WAITERS / 2);
    let patient = gather(&daemon, 1);

    idp.release("mail");

    for waiter in patient {
        assert_eq!(receive(waiter).unwrap().success::<TokenAnswer>().generation, 2);
    }
    assert_eq!(daemon.account("mail").state, "fresh");
    assert_eq!(idp.totals("mail").requests, 2);
}

/// An account whose token ran out while the provider holds its refresh, which will meet `faults`.
fn expired_in_mid_exchange(faults: &Value) -> (Idp, Daemon) {
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &json!({ "lifetime_secs": 12 }));
    // Such an exchange may take 30 s.
    let keys = idp.keys("mail") + "rotation = \"none\"\n";
    let daemon = Daemon::start(&Config::default().account("mail", &keys));
    daemon.import("mail", &refresh_token);
    idp.next("mail", faults);
    idp.hold("mail", false);
    idp.wait("mail", "held=1");
    // What is granted next lasts long enough for every assertion.
    idp.patch("mail", &json!({ "lifetime_secs": 600 }));
    let view = daemon.until("mail", "expired", |view| view.ttl == 0);
    assert_eq!(view.state, "exchanging");
    (idp, daemon)
}

/// Connects so many, and returns when the daemon has them all.
fn gather(daemon: &Daemon, count: usize) -> Vec<UnixStream> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(2048).min(hard), hard).unwrap();
    let request = Request::get("/v1/accounts/mail/token?wait=60");
    let waiters = (0..count).map(|_| daemon.begin_to(request)).collect();
    until_connections(daemon, |connections| connections > count);
    waiters
}

/// Asks how many connections there are, the asking one included, until that is as wanted. Each
/// question is answered after everything that came before it.
fn until_connections(daemon: &Daemon, wanted: impl Fn(usize) -> bool) {
    const ROUNDS: usize = 10_000;

    let enough = (0..ROUNDS).any(|_| {
        let metrics = daemon.ask(Request::get("/metrics")).body;
        let mut lines = metrics.lines();
        let count = lines.find_map(|line| line.strip_prefix("tokenkeeper_connections "));
        wanted(count.unwrap().parse().unwrap())
    });
    assert!(enough, "the connections never came to what they should");
}
