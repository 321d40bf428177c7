//! A life in a hurry: tokens of seconds, providers that fail, logins, reloads, and clients that come
//! and go, with descriptors and memory that stay as they are.
//!
//! `TOKENKEEPER_TEST_SOAK_SECS` says for how long. The pace is that of the tokens: each round begins
//! when one has changed.

use std::time::Duration;
use std::time::Instant;

use serde_json::json;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::held::Held;
use crate::support::held::memory;
use crate::support::http::Request;
use crate::support::http::receive;
use crate::support::idp::Idp;
use crate::support::number_from_environment;

/// How long it takes, in seconds, unless the environment says otherwise.
const USUAL: u64 = 60;

/// Accounts that refresh all the time.
const ACCOUNTS: usize = 12;

/// Clients that come in each round.
const CLIENTS: usize = 50;

/// How much more memory it may have in the last quarter than in the second one, in KiB. An
/// allocator has pages of its own; a leak of one reply in each refresh is more than that in the
/// long form, and one of a whole connection in the short one.
const GROWTH: u64 = 2 * 1024;

#[test]
fn memory_and_descriptors_stay_as_they_are_in_a_long_life() {
    let span = number_from_environment("TOKENKEEPER_TEST_SOAK_SECS", USUAL);
    let (idp, daemon) = begun();
    let mut held = None;
    let mut samples = Vec::new();
    let begin = Instant::now();
    let mut round = 0;
    while begin.elapsed() < Duration::from_secs(span) {
        let account = name(round % ACCOUNTS);
        let generation = daemon.account(&account).generation;
        trouble(&idp, round);
        visit(&daemon, &account);
        operate(&idp, &daemon, round);
        daemon.until(&account, "refreshed or refused", |view| {
            view.generation > generation || view.refresh_error.is_some()
        });
        // The first round has what is made once: clients for TLS and plain, threads that are kept.
        held.get_or_insert_with(|| Held::by(&daemon)).is_back(&daemon);
        samples.push(memory(&daemon));
        round += 1;
    }

    let requests = idp.all_totals().values().map(|totals| totals.requests).sum::<u64>();
    let (second, last) = (mean(&samples, 1), mean(&samples, 3));
    eprintln!(
        "{span} s, {round} rounds, {requests} token requests: RssAnon {second} KiB in the second \
         quarter, {last} KiB in the last; {:?}",
        Held::by(&daemon)
    );
    assert!(round >= 8, "too few rounds to compare: {round}");
    assert!(last < second + GROWTH, "it grows: {samples:?}");
    for number in 0..ACCOUNTS {
        daemon.until(&name(number), "fresh in the end", |view| view.state == "fresh");
    }
}

/// A daemon whose accounts all have a token, at a provider that fails at every ninth request.
fn begun() -> (Idp, Daemon) {
    let idp = Idp::start();
    let daemon = Daemon::start(&config(&idp));
    for number in 0..ACCOUNTS {
        let behaviour = json!({
            "lifetime_secs": 12 + number % 5, "rotation": { "grace_secs": 30 }, "jwt": true,
        });
        let refresh_token = idp.put(&name(number), &behaviour);
        daemon.import(&name(number), &refresh_token);
    }
    (idp, daemon)
}

fn config(idp: &Idp) -> Config {
    let keys = |name: &str| idp.keys(name) + "rotation = \"30s\"\n";
    (0..ACCOUNTS)
        .map(name)
        .fold(Config::default(), |config, name| config.account(&name, &keys(&name)))
}

/// What is wrong with the provider in this round.
fn trouble(idp: &Idp, round: usize) {
    let account = name((round + 1) % ACCOUNTS);
    let faults = [
        json!({ "fault": "status", "status": 503 }),
        json!({ "fault": "lost" }),
        json!({ "fault": "html" }),
        json!({ "fault": "truncate" }),
        json!({ "fault": "oauth", "error": "temporarily_unavailable" }),
        json!({ "fault": "huge", "bytes": 1_000_000 }),
    ];
    idp.next(&account, &json!([faults[round % faults.len()]]));
}

/// Clients that come, ask and go, some of them in the middle of something.
fn visit(daemon: &Daemon, account: &str) {
    let path = format!("/v1/accounts/{account}/token");
    let waiting = (0..CLIENTS).map(|_| {
        let waits = format!("{path}?min_ttl=11&wait=1");
        daemon.begin_to(Request::get(&waits))
    });
    let waiting = waiting.collect::<Vec<_>>();
    for number in 0..CLIENTS {
        let streams = daemon.begin_to(Request::get("/v1/events"));
        // Some read their answer and some do not.
        if number.is_multiple_of(2) {
            drop(receive(daemon.begin_to(Request::get(&path))).unwrap());
        }
        drop(streams);
    }
    drop(waiting);
}

/// What an operator does in this round.
fn operate(idp: &Idp, daemon: &Daemon, round: usize) {
    match round % 4 {
        0 => {
            let more = format!("extra-{}", round % 8);
            daemon.configure(&config(idp).account(&more, &idp.keys(&more)));
            assert_eq!(reload(daemon), 200);
        }
        1 => {
            daemon.configure(&config(idp).account("wrong", "provider = \"none\"\n"));
            assert_eq!(reload(daemon), 500, "a wrong configuration changes nothing");
        }
        2 => {
            daemon.configure(&config(idp));
            assert_eq!(reload(daemon), 200);
        }
        _ => {
            let account = name(round % ACCOUNTS);
            let refresh_token = idp.mint(&account);
            let body = json!({ "refresh_token": refresh_token }).to_string();
            // The provider may fail at it, which is its part here.
            daemon.ask(Request::with("POST", &format!("/v1/accounts/{account}/import"), &body));
        }
    }
}

fn reload(daemon: &Daemon) -> u16 {
    daemon.ask(Request { method: "POST", ..Request::get("/v1/reload") }).status
}

fn name(number: usize) -> String {
    format!("soak-{number}")
}

/// The mean of one quarter of the samples.
fn mean(samples: &[u64], quarter: usize) -> u64 {
    let part = &samples[samples.len() * quarter / 4..samples.len() * (quarter + 1) / 4];
    part.iter().sum::<u64>() / u64::try_from(part.len().max(1)).unwrap()
}
