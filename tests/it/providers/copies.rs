//! Eight copies of a command-line program that keeps its login in a file, at npm `oidc-provider`,
//! which ends the family of a refresh token that is used twice. Each copy refreshes by itself.
//!
//! Left alone they lose their login: the reason for this program. Adopted they never ask for a
//! token, and none of them is ever without one.

use std::fs;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use serde::Deserialize;
use serde_json::json;

use super::Login;
use super::Provider;
use super::oidc::LIFETIME_SECS;
use super::oidc::config;
use crate::support::PATIENCE;
use crate::support::daemon::Daemon;
use crate::support::number_from_environment;
use crate::support::process::Process;
use crate::support::process::await_any;
use crate::support::skipped;

const COPIES: usize = 8;

/// What one copy counted.
#[derive(Debug, Deserialize)]
struct Count {
    calls: u64,
    refused: u64,
    refreshes: u64,
    lost: u64,
    without: u64,
}

#[test]
fn eight_copies_of_a_program_that_refreshes_by_itself_keep_their_login_once_it_is_adopted() {
    let minutes = number_from_environment("TOKENKEEPER_TEST_MINUTES", 1);
    let Some((provider, python)) = start() else { return };
    let login = provider.mint("account-1");
    let names = ["account-1".to_owned()];
    let daemon = Daemon::start(&config(&names, std::slice::from_ref(&login)));
    let secret = Some(login.client_secret.as_str());
    let slot = "account-1.client_secret";
    daemon.tokenctl_does(&["secret", "set", slot, "--file", "-"], secret);
    let file = saved(&daemon.path("auth.json"), &login);

    let name = file.to_str().unwrap();
    let places = [
        "--at",
        "/tokens/refresh_token",
        "--access-at",
        "/tokens/access_token",
        "--expires-at",
        "/tokens/expires",
    ];
    let adopt = ["adopt", "account-1", "--file", name];
    daemon.tokenctl_does(&[&adopt[..], &places[..]].concat(), None);
    let mut follow = Command::new(env!("CARGO_BIN_EXE_tokenctl"));
    follow.env("TOKENKEEPER_SOCKET", daemon.path("api.sock"));
    follow.args(["follow", "account-1", "--file", name, "--format", "json"]).args(places);
    let _follower = Process::start(&mut follow);
    let copies = (0..COPIES).map(|_| begin(&python, &file)).collect::<Vec<_>>();
    // A token is replaced every 12 to 15 s, so these are at least so many minutes.
    let mut generation = 1;
    while generation <= minutes * 60 / 12 {
        generation = daemon.token_after("account-1", generation).generation;
    }

    let counts = copies.into_iter().map(end).collect::<Vec<_>>();
    let tally = provider.tally("account-1");
    eprintln!("{counts:#?}, {tally:?}");
    assert_eq!((tally.reused, tally.refused, tally.revoked), (0, 0, 0), "{tally:?}");
    assert_eq!(tally.refreshed, generation, "the daemon alone has refreshed");
    for count in counts {
        let Count { calls, refused, refreshes, lost, without } = count;
        assert!(calls > minutes * 60, "{calls}");
        assert_eq!((refused, refreshes, lost, without), (0, 0, 0, 0));
    }
}

#[test]
fn eight_copies_of_a_program_that_refreshes_by_itself_lose_their_login_without_an_owner() {
    let Some((provider, python)) = start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = saved(&directory.path().join("auth.json"), &provider.mint("account-1"));
    let copies = (0..COPIES).map(|_| begin(&python, &file)).collect::<Vec<_>>();
    // The first one that has lost it says so.
    let heard = copies.iter().map(|copy| copy.stdout.as_ref().unwrap().as_fd());
    let heard = await_any(&heard.collect::<Vec<_>>(), PATIENCE);
    assert!(heard.is_some(), "they all have their login still");
    let counts = copies.into_iter().map(end).collect::<Vec<_>>();
    let tally = provider.tally("account-1");
    eprintln!("{counts:#?}, {tally:?}");
    assert!(tally.reused > 0 && tally.revoked > 0, "{tally:?}");
}

fn start() -> Option<(Provider, String)> {
    let lifetime = LIFETIME_SECS.to_string();
    let server = ["$TOKENKEEPER_TEST_NODE", "$TOKENKEEPER_TEST_OIDC_PROVIDER"];
    let provider = Provider::start(&server, &["--accounts", "1", "--lifetime", &lifetime]);
    let python = std::env::var("TOKENKEEPER_TEST_PYTHON").ok();
    if provider.is_none() || python.is_none() {
        skipped(
            "TOKENKEEPER_TEST_NODE, TOKENKEEPER_TEST_OIDC_PROVIDER or TOKENKEEPER_TEST_PYTHON is \
             not set",
        );
    }
    provider.zip(python)
}

/// The program's file as it is after its login.
fn saved(path: &Path, login: &Login) -> PathBuf {
    let content = json!({
        "token_endpoint": login.token_endpoint,
        "try_endpoint": login.try_endpoint,
        "client_id": login.client_id,
        "client_secret": login.client_secret,
        "tokens": { "refresh_token": login.refresh_token, "access_token": "", "expires": 0 },
    });
    fs::write(path, content.to_string()).unwrap();
    path.to_owned()
}

fn begin(python: &str, file: &Path) -> Child {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/providers/command-line/cli.py");
    let mut command = Command::new(python);
    command.arg(script).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// Ends a copy, and reads what it counted.
fn end(mut copy: Child) -> Count {
    drop(copy.stdin.take());
    let mut text = String::new();
    copy.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(copy.wait().unwrap().success());
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}
