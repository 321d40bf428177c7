//! The drill for a provider that refuses in error: for an hour each fifth of its replies, by chance, is an
//! `invalid_grant` for a refresh token that is good.
//!
//! A keeper that believed it would throw away hundreds of logins, each of which takes a person.

use std::time::Duration;

use super::agenda::Event;
use super::cast::Part;
use super::chance::Chance;
use super::faults::Fault;
use super::faults::Weather;
use super::from_environment;
use super::people::Deed;
use super::play::Play;
use super::scene::Scene;
use super::service::Serial;
use super::trace::Trace;
use super::witness::Witness;
use crate::snapshot::StateName;

const ACCOUNTS: usize = 1_000;

/// The share of replies that is wrong.
const RATE: f64 = 0.2;

/// When the hour begins: everybody has logged in and refreshed.
const BEGIN: Duration = Duration::from_secs(3 * 3_600);

/// How long it lasts.
const HOUR: Duration = Duration::from_secs(3_600);

/// How long after it every account must be well: the longest pause before a confirmation.
const HEALED: Duration = Duration::from_secs(3_600 + 600);

/// Requests in the hour, for each account: its own one or two, and few confirmations.
const REQUESTS: u64 = 3;

#[test]
fn an_hour_of_false_refusals_costs_a_thousand_accounts_no_login() {
    let first = from_environment("TOKENKEEPER_TEST_SEED");
    let drills = from_environment("TOKENKEEPER_TEST_DRILLS").unwrap_or(1);
    for seed in first.unwrap_or(1)..first.unwrap_or(1) + drills {
        drill(seed);
    }
}

fn drill(seed: u64) {
    let cast = (0..ACCOUNTS).map(Part::ordinary).collect();
    let mut scene = Scene::new(Chance::of(!seed), cast, Witness::new(Trace::default()));
    scene.weather = Weather::default();
    let mut play = Play::new(scene, Chance::of(seed));
    // Who interferes with an account asks for a refresh, and neither pauses it nor logs in again.
    play.stormy = false;
    for account in play.accounts.clone() {
        let first = play.chance.span(Duration::from_secs(1), HOUR);
        play.outside.scene().after(first, Event::Does(account, Deed::LogIn));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let requests = runtime.block_on(async {
        play.start();
        play.goes_on_until(BEGIN).await;
        play.outside.scene().weather = Weather::only(Fault::FalseRefusal, RATE, BEGIN + HOUR);
        let before = play.outside.scene().witness.counts.requests;
        play.goes_on_until(BEGIN + HOUR).await;
        let after = play.outside.scene().witness.counts.requests;
        play.goes_on_until(BEGIN + HOUR + HEALED).await;
        after - before
    });
    println!("seed {seed}: {requests} requests of {ACCOUNTS} accounts in the hour");
    assert_eq!(play.outside.scene().witness.violation(), None);
    let mut ill = Vec::new();
    for account in &play.accounts {
        let snapshot = play.snapshot(account).unwrap();
        let flying = snapshot.is_in_flight() || snapshot.state == StateName::Fresh;
        let scene = play.outside.scene();
        let login = scene.disk.refresh_token(account).map(|token| Serial::of(token).login);
        if !flying || snapshot.failure.is_some() || login != Some(1) {
            ill.push(format!("{account}: {:?}, login {login:?}", snapshot.state));
        }
    }
    assert!(ill.is_empty(), "seed {seed}: {} are not well: {ill:#?}", ill.len());
    let most = REQUESTS * u64::try_from(ACCOUNTS).unwrap();
    assert!(requests <= most, "seed {seed}: {requests} requests in the hour");
}
