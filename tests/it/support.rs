//! What the tests are made of: programs as values that end with the test.
//!
//! Reading order: [`process`] (one program), [`http`] (one request), [`daemon`] and [`idp`] (the two
//! programs with their vocabulary), [`keeping`] (a service manager that keeps descriptors),
//! [`journal`] (a journal that a test plays), [`relay`]
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
pub(crate) mod journal;
pub(crate) mod keeping;
pub(crate) mod process;
pub(crate) mod relay;

use std::fs::File;
use std::io::Write as _;
use std::thread;
use std::time::Duration;

/// How long anything may take. It is far more than any test needs on a busy host: reaching it
/// means that what was waited for does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Says that a test, or a part of it, cannot be run here, and fails under `CI=true`.
///
/// What a test prints that passes is shown to nobody. So it is also written to the file that
/// `TOKENKEEPER_TEST_SKIPS` names, a line for each test and reason: `tests/run` tells those lines, and
/// counts their tests as skipped.
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "skipped, which CI forbids: {why}");
    eprintln!("SKIPPED: {why}");
    if let Some(file) = std::env::var_os("TOKENKEEPER_TEST_SKIPS") {
        // In one piece, since other tests write as well.
        let line = format!("{}: {why}\n", own_name().as_deref().unwrap_or("a test"));
        let mut file = File::options().append(true).create(true).open(file).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// The name of the test that asks. Its thread has it, or what runs one test in a process has asked for
/// it by name.
pub(crate) fn own_name() -> Option<String> {
    let named = thread::current().name().filter(|name| name.contains("::")).map(str::to_owned);
    named.or_else(|| std::env::args().skip_while(|argument| argument != "--exact").nth(1))
}

/// A number that the environment may give in the place of `usual`.
pub(crate) fn number_from_environment(variable: &str, usual: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
        Err(_) => usual,
    }
}
