//! What the tests are made of: programs as values that end with the test.
//!
//! Reading order: [`process`] (one program), [`http`] (one request), [`daemon`] and [`idp`] (the two
//! programs with their vocabulary), [`keeping`] (a service manager that keeps descriptors), [`relay`]
//! (a network that loses replies), [`door`] (a provider that a test plays), [`credential`] (systemd
//! asking for a unit), [`held`] (what a daemon holds and gives back), [`chance`] (choices
//! that a seed repeats).

pub(crate) mod bus;
pub(crate) mod chance;
pub(crate) mod config;
pub(crate) mod credential;
pub(crate) mod daemon;
pub(crate) mod door;
pub(crate) mod held;
pub(crate) mod http;
pub(crate) mod idp;
pub(crate) mod keeping;
pub(crate) mod process;
pub(crate) mod relay;

use std::time::Duration;

/// How long anything may take. It is far more than any test needs on a busy host: reaching it
/// means that what was waited for does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Whether this test may run although something is missing: says so, and fails under `CI=true`.
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "skipped, which CI forbids: {why}");
    eprintln!("SKIPPED: {why}");
}

/// A number that the environment may give in the place of `usual`.
pub(crate) fn number_from_environment(variable: &str, usual: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
        Err(_) => usual,
    }
}
