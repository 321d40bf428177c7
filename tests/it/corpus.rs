//! Everything that a provider can answer, once, to an account whose token is still good.
//!
//! One daemon has one account for each row, so that all rows happen at once. An account is given a
//! first token, then its next refresh meets the fault, and from then on the provider is sound. What
//! must hold for each: the failure is raised as what the row says, the token that is still good
//! is served beside it, the refresh token is kept, and the account becomes fresh by itself, or after
//! `tokenctl retry` where the provider's word is one that is believed.

mod rows;
mod standing;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;
use tokenkeeper::error::code::Code;
use tokenkeeper::protocol::error::ErrorBody;

use self::rows::Row;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::daemon::Event;
use crate::support::idp::Idp;

/// How long first tokens are good. Half of it is left when the fault strikes.
const FIRST_LIFETIME_SECS: u64 = 60;

#[test]
fn no_single_answer_costs_a_refresh_token_or_a_good_token() {
    let idp = Idp::start();
    let rows = rows::all();
    let rows = rows.iter().map(|row| (row.account(), row)).collect::<BTreeMap<_, _>>();
    let daemon = prepared(&idp, &rows);

    let mut failures = BTreeMap::<String, String>::new();
    let mut wrong = Vec::new();
    let mut events = daemon.events();
    let mut ahead = rows.keys().cloned().collect::<BTreeSet<_>>();
    while !ahead.is_empty() {
        let event = events.next().unwrap_or_else(|| panic!("{ahead:?} ahead\n{}", daemon.log()));
        let Event::Of(event) = event else { continue };
        let event = *event;
        let row = rows[&event.account];
        match (event.event.as_str(), event.refresh_error) {
            ("refresh_failed", Some(error)) => {
                let code = cause(&error).to_owned();
                if !failures.contains_key(&event.account) {
                    check_served(&daemon, &event.account, row, &mut wrong);
                    failures.insert(event.account.clone(), code);
                }
                // A word that is believed waits for longer than a test.
                if row.is_believed() {
                    daemon.order(&event.account, "retry");
                }
            }
            ("token_changed", _) => {
                ahead.remove(&event.account);
            }
            _ => {}
        }
    }
    for (account, row) in &rows {
        let name = &row.name;
        let failed = failures.get(account).map_or("", String::as_str);
        if failed != row.code {
            wrong.push(format!("{name}: expected {:?}, raised {failed:?}", row.code));
        }
        let view = daemon.account(account);
        let token = daemon.token(account, "");
        if view.state != "fresh" || view.refresh_error.is_some() {
            wrong.push(format!("{name}: ends {} with {:?}", view.state, view.refresh_error));
        }
        if !token.is_ok_and(|token| idp.accepts(account, &token.token)) {
            wrong.push(format!("{name}: ends without a good token"));
        }
        let totals = idp.totals(account);
        if totals.reuses > 0 || totals.max_requests_in_60s > 10 || totals.faults != 1 {
            wrong.push(format!("{name}: {totals:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// The code of what went wrong. A spend whose reply was lost is told as in doubt, whatever went
/// wrong with the reply, which its words tell.
fn cause(error: &ErrorBody) -> &'static str {
    const CAUSES: [(&str, &str); 3] = [
        ("unusable answer of the provider", "PROVIDER_MALFORMED"),
        ("provider unavailable", "PROVIDER_UNAVAILABLE"),
        ("the provider's reply was lost", "PROVIDER_UNREACHABLE"),
    ];

    if error.error_code != Code::InDoubt {
        return error.error_code.as_str();
    }
    let told = CAUSES.iter().find(|(words, _)| error.message.contains(words));
    told.map_or("IN_DOUBT", |(_, code)| *code)
}

/// A daemon whose accounts have their first token, and meet their fault at the next refresh.
fn prepared(idp: &Idp, rows: &BTreeMap<String, &Row>) -> Daemon {
    let behaviours = rows.keys().map(|account| (account.clone(), behaviour()));
    let refresh_tokens = idp.put_all(&behaviours.collect());
    let mut config = Config::default();
    for account in rows.keys() {
        // A third of the grace is the timeout of an exchange: 15 s, half of what is left.
        let keys = idp.keys(account) + "rotation = \"45s\"\nrefresh_before = \"50%\"\n";
        config = config.account(account, &keys);
    }
    let daemon = Daemon::start(&config);
    for (account, row) in rows {
        daemon.import(account, &refresh_tokens[account]);
        idp.patch(account, &json!({ "lifetime_secs": 3600 }));
        idp.next(account, &row.fault);
    }
    daemon
}

/// The provider forgives for longer than the daemon counts on, so that a busy host loses nothing.
fn behaviour() -> Value {
    json!({
        "lifetime_secs": FIRST_LIFETIME_SECS,
        "rotation": { "grace_secs": 120 },
        "id_token": true,
    })
}

/// The token that is still good is served, with the failure beside it or already overcome.
fn check_served(daemon: &Daemon, account: &str, row: &Row, wrong: &mut Vec<String>) {
    let name = &row.name;
    match daemon.token(account, "?wait=0") {
        Ok(token) if token.generation > 1 || token.refresh_error.is_some() => {}
        Ok(token) => {
            wrong.push(format!("{name}: served without its failure: {}", token.generation))
        }
        Err(error) => wrong.push(format!("{name}: not served: {}", error.message)),
    }
    let view = daemon.account(account);
    if view.state == "vacant" {
        wrong.push(format!("{name}: the refresh token is gone"));
    }
}
