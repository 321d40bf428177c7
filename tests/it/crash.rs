//! The daemon is killed again and again, at random moments, while hundreds of accounts refresh.
//!
//! The provider rotates at every use and forgives a spent token for 30 s. An account is lost if it
//! is not fresh in the end without anybody's help; not one may be.
//!
//! The moments are chances of time, soon after each start, so that they fall on every step of a
//! refresh as often as the step takes. `TOKENKEEPER_TEST_KILLS` says how often, and
//! `TOKENKEEPER_TEST_SEED` repeats the choice. An account makes about three requests a minute by
//! itself: with the budget of ten, a storm of kills that hit it more often than that again would
//! make its replays wait past the grace, which is another campaign's question.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::time::Duration;

use serde_json::json;
use tokenkeeper::protocol::account::AccountList;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::Request;
use crate::support::idp::Idp;
use crate::support::idp::Totals;
use crate::support::number_from_environment;
use crate::support::process::let_pass;

/// How many accounts, each with a client of its own.
const ACCOUNTS: usize = 200;

/// How often it is killed, unless the environment says otherwise.
const KILLS: u64 = 60;

/// What a daemon says of each account whose exchange its predecessor did not conclude.
const OPEN_INTENT: &str = "the daemon ended while an exchange was under way";

/// What each of its lives says.
const READY: &str = "\"event\":\"ready\"";

#[test]
fn no_kill_costs_an_account() {
    let kills = number_from_environment("TOKENKEEPER_TEST_KILLS", KILLS);
    let seed = number_from_environment("TOKENKEEPER_TEST_SEED", RandomState::new().hash_one(0));
    eprintln!("TOKENKEEPER_TEST_SEED={seed} TOKENKEEPER_TEST_KILLS={kills}");
    let mut chance = Chance(seed);
    let (idp, mut daemon) = refreshing();

    let mut generations = BTreeMap::new();
    let (mut hits, mut opened) = (0, 0);
    for life in 0..kills {
        let_pass(Duration::from_millis(200 + chance.below(2_000)));
        daemon.kill();
        daemon.begin();

        // It says that it is ready after all that its predecessor left.
        daemon.logs_times(READY, usize::try_from(life).unwrap() + 2);
        let opened_so_far = daemon.log().matches(OPEN_INTENT).count();
        hits += u64::from(opened_so_far > opened);
        opened = opened_so_far;
        check_progress(&daemon, &mut generations);
    }

    eprintln!("the campaign is over; waiting for every account to be fresh");
    for account in generations.keys() {
        daemon.until(account, "fresh", |view| {
            view.ready && view.refresh_error.is_none() && view.state == "fresh"
        });
        let token = daemon.token(account, "").unwrap();
        assert!(idp.accepts(account, &token.token), "{account} has a token that is not good");
    }
    report(&idp, kills, hits, opened);
}

/// A daemon whose accounts all have a token, and a provider that takes its time.
fn refreshing() -> (Idp, Daemon) {
    let idp = Idp::start();
    let accounts = (0..ACCOUNTS).map(|number| format!("crash-{number}")).collect::<Vec<_>>();
    let behaviour = json!({ "lifetime_secs": 15, "rotation": { "grace_secs": 30 } });
    let behaviours = accounts.iter().map(|account| (account.clone(), behaviour.clone()));
    let refresh_tokens = idp.put_all(&behaviours.collect());
    // So that what many accounts say alike is said by each.
    let mut config = Config::default().daemon("log = \"debug\"");
    for account in &accounts {
        config = config.account(account, &(idp.keys(account) + "rotation = \"30s\"\n"));
    }
    let daemon = Daemon::start(&config);
    daemon.logs(READY);
    for account in &accounts {
        daemon.import(account, &refresh_tokens[account]);
        // The reply is decided and on its way for a while: that is when a kill hurts.
        let pause = json!({ "min": 25, "max": 200 });
        idp.patch(account, &json!({ "delay_ms": pause, "delay_after_commit_ms": pause }));
    }
    (idp, daemon)
}

/// Nothing goes back, and nothing is forgotten.
fn check_progress(daemon: &Daemon, generations: &mut BTreeMap<String, u64>) {
    let accounts = daemon.ask(Request::get("/v1/accounts")).success::<AccountList>().accounts;
    assert_eq!(accounts.len(), ACCOUNTS);
    for view in accounts {
        assert_ne!(view.state, "vacant", "{}", view.account);
        let before = generations.insert(view.account.clone(), view.generation).unwrap_or_default();
        assert!(view.generation >= before, "{} went back to {}", view.account, view.generation);
    }
}

fn report(idp: &Idp, kills: u64, hits: u64, opened: usize) {
    let totals = idp.all_totals();
    let sum = |of: fn(&Totals) -> u64| totals.values().map(of).sum::<u64>();
    let fullest = totals.values().map(|totals| totals.max_requests_in_60s).max().unwrap();
    let (granted, replays) = (sum(|it| it.granted), sum(|it| it.replays));
    let reuses = sum(|it| it.reuses);
    eprintln!(
        "{kills} kills, {hits} of them with {opened} exchanges under way; {granted} grants, \
         {replays} replays, {reuses} reuses, at most {fullest} requests of an account in 60 s"
    );
    assert_eq!(reuses, 0, "a spent refresh token was presented outside its grace");
    assert!(fullest <= 10, "an account made {fullest} requests in a minute");
    assert!(hits * 100 >= kills * 15, "only {hits} of {kills} kills fell on an exchange");
}

/// Splitmix64: numbers that a seed repeats.
struct Chance(u64);

impl Chance {
    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
