//! Faults that stay, and operators who do not want to wait: the budget of requests holds.

use std::thread;

use serde_json::Value;
use serde_json::json;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::receive;
use crate::support::idp::Idp;

/// What stays wrong. None of them takes long to answer, and they are as many as one user may have
/// refreshed in a second.
const FAULTS: &[&str] = &[
    r#"{"fault":{"fault":"status","status":503}}"#,
    r#"{"fault":{"fault":"status","status":429}}"#,
    r#"{"fault":{"fault":"oauth","error":"invalid_grant"}}"#,
    r#"{"fault":{"fault":"oauth","error":"invalid_client"}}"#,
    r#"{"fault":{"fault":"oauth","error":"login_required"}}"#,
    r#"{"fault":"lost"}"#,
    r#"{"fault":"malformed_json"}"#,
    r#"{"lifetime_secs":0}"#,
    r#"{"lifetime_secs":-1}"#,
    r#"{"expires_in":0}"#,
];

#[test]
fn no_minute_holds_more_than_ten_requests_whatever_stays_wrong_and_whoever_insists() {
    let idp = Idp::start();
    let accounts = (0..FAULTS.len()).map(|number| format!("standing-{number}")).collect::<Vec<_>>();
    let mut config = Config::default();
    for account in &accounts {
        config = config.account(account, &(idp.keys(account) + "rotation = \"none\"\n"));
    }
    let mut daemon = Daemon::start(&config);
    for (account, fault) in accounts.iter().zip(FAULTS) {
        daemon.import(account, &idp.put(account, &json!({})));
        let fault: Value = serde_json::from_str(fault).unwrap();
        idp.patch(account, &fault);
    }

    thread::scope(|scope| {
        for account in &accounts {
            scope.spawn(|| insist(&daemon, account));
        }
    });
    // A restart forgets no request.
    for _ in 0..3 {
        daemon.kill();
        daemon.begin();
        for account in &accounts {
            daemon.order(account, "retry");
        }
    }
    for (account, fault) in accounts.iter().zip(FAULTS) {
        let view = daemon.account(account);
        assert_ne!(view.state, "vacant", "{fault}");
        let totals = idp.totals(account);
        assert!(totals.requests >= 10, "{fault}: {totals:?}");
        assert!(totals.max_requests_in_60s <= 10, "{fault}: {totals:?}");
    }
}

/// Has an account tried again and again until it is refused for its budget.
fn insist(daemon: &Daemon, account: &str) {
    let first = receive(daemon.begin_refresh(account)).unwrap();
    assert!(![429, 504].contains(&first.status), "{}", first.body);
    // A minute has room for ten, and more than a few minutes would be another test.
    for _ in 0..60 {
        let flying = ["queued", "exchanging", "saving"];
        daemon.until(account, "at rest", |view| !flying.contains(&view.state.as_str()));
        let reply = daemon.order(account, "retry");
        if reply.status == 429 {
            assert!(reply.json::<Value>()["retry_at"].is_string(), "{}", reply.body);
            return;
        }
        assert_eq!(reply.status, 200, "{account}: {}", reply.body);
    }
    panic!("{account} was tried without an end: {:#?}", daemon.account(account));
}
