//! npm `oidc-provider`: certified, rotates at every use, and ends the family of a token that is
//! used twice.
//!
//! Here real time is the subject: programs that ask ten times a second, minute after minute, must
//! never be without a token that the provider takes. Nothing is asserted about how long anything took.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::Login;
use super::Provider;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::number_from_environment;
use crate::support::process::let_pass;
use crate::support::skipped;

/// How long access tokens are good there.
pub(super) const LIFETIME_SECS: u64 = 20;

/// Between two questions of a program.
const PACE: Duration = Duration::from_millis(100);

/// What one account's program counted.
#[derive(Debug, Default)]
struct Count {
    asked: u64,
    without: u64,
    refused: u64,
    generations: u64,
}

#[test]
fn a_certified_provider_never_refuses_a_token_and_no_program_is_ever_without_one() {
    let minutes = number_from_environment("TOKENKEEPER_TEST_MINUTES", 2);
    let accounts: u64 = if minutes > 2 { 10 } else { 2 };
    let (lifetime, count) = (LIFETIME_SECS.to_string(), accounts.to_string());
    let server = ["$TOKENKEEPER_TEST_NODE", "$TOKENKEEPER_TEST_OIDC_PROVIDER"];
    let arguments = ["--accounts", &count, "--lifetime", &lifetime];
    let Some(provider) = Provider::start(&server, &arguments) else {
        return skipped("TOKENKEEPER_TEST_NODE or TOKENKEEPER_TEST_OIDC_PROVIDER is not set");
    };
    let names = (1..=accounts).map(|number| format!("account-{number}")).collect::<Vec<_>>();
    let logins = names.iter().map(|name| provider.mint(name)).collect::<Vec<_>>();
    let daemon = Daemon::start(&config(&names, &logins));
    for (name, login) in names.iter().zip(&logins) {
        let slot = format!("{name}.client_secret");
        daemon.tokenctl_does(&["secret", "set", &slot, "--file", "-"], Some(&login.client_secret));
        daemon.import(name, &login.refresh_token);
    }

    // A token is replaced every 12 to 15 s, so these are at least so many minutes.
    let changes = minutes * 60 / 12;
    let counts = thread::scope(|scope| {
        let programs = names.iter().zip(&logins).map(|(name, login)| {
            let daemon = &daemon;
            scope.spawn(move || program(daemon, name, login, changes))
        });
        let programs = programs.collect::<Vec<_>>();
        programs.into_iter().map(|program| program.join().unwrap()).collect::<Vec<_>>()
    });

    for (name, count) in names.iter().zip(&counts) {
        let tally = provider.tally(name);
        eprintln!("{name}: {count:?}, {tally:?}");
        assert_eq!((count.without, count.refused), (0, 0), "{name}\n{}", daemon.log());
        assert_eq!((tally.reused, tally.refused, tally.revoked), (0, 0, 0), "{name}: {tally:?}");
        assert!(tally.refreshed > changes && count.generations >= changes, "{name}: {tally:?}");
    }
}

pub(super) fn config(names: &[String], logins: &[Login]) -> Config {
    names.iter().zip(logins).fold(Config::default(), |config, (name, login)| {
        let keys = format!(
            "token_endpoint = \"{}\"\nclient_id = \"{}\"\nclient_auth = \"basic\"\n\
             rotation = \"strict\"\n",
            login.token_endpoint, login.client_id
        );
        config.account(name, &keys)
    })
}

/// Asks at its pace and tries each token, until the token changed so many times.
fn program(daemon: &Daemon, name: &str, login: &Login, changes: u64) -> Count {
    let over = AtomicBool::new(false);
    let mut count = Count::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            // The token changes while somebody waits for that, too.
            let mut generation = 1;
            while generation <= changes {
                generation = daemon.token_after(name, generation).generation;
            }
            over.store(true, Ordering::SeqCst);
        });
        while !over.load(Ordering::SeqCst) {
            count.asked += 1;
            match daemon.token(name, "?wait=0") {
                Ok(token) => {
                    count.generations = count.generations.max(token.generation);
                    count.refused += u64::from(!login.accepts(&token.token));
                }
                Err(_) => count.without += 1,
            }
            let_pass(PACE);
        }
    });
    count
}
