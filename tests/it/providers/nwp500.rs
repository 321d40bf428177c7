//! nwp500-python, a library that lives by a file of tokens.

use std::env;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::services::navien::boiler;
use crate::support::daemon::Daemon;
use crate::support::process::run;
use crate::support::process::said;
use crate::support::skipped;

/// West of Greenwich, so that local time and UTC are never taken for each other unseen.
const ZONE: &str = "America/Los_Angeles";

/// What the library says of a file.
#[derive(Debug, Deserialize)]
struct Loaded {
    expired: bool,
    aws_expired: bool,
    seconds_left: i64,
    access_token: String,
}

/// The releases before 7.4.9 know local time without an offset and nothing else.
#[test]
fn the_library_lives_by_a_followed_file_and_asks_nobody() {
    let Some(python) = python() else { return };
    let (idp, daemon) = boiler(&serde_json::json!({}), "aws_credentials = true\n");
    let token = daemon.token_after("boiler", 0);
    let file = daemon.path("tokens.json");
    let path = file.to_str().unwrap();
    let follow = ["follow", "boiler", "--file", path, "--format", "nwp500-legacy", "--once"];
    in_zone(&daemon, &follow);

    let requests = idp.totals("boiler").requests;
    let loaded: Loaded =
        serde_json::from_str(&library(&python, "load", &file, &idp.url("/boiler"), None)).unwrap();

    assert!(!loaded.expired && !loaded.aws_expired, "{loaded:?}");
    assert_eq!(loaded.access_token, token.token);
    let ttl = i64::try_from(token.ttl).unwrap();
    assert!((loaded.seconds_left - ttl).abs() <= 10, "{} of {ttl}", loaded.seconds_left);
    assert_eq!(idp.totals("boiler").requests, requests, "it asked nobody");
}

#[test]
fn what_the_library_saved_is_imported_with_its_dates() {
    let Some(python) = python() else { return };
    let (idp, daemon) = boiler(&serde_json::json!({}), "");
    daemon.token_after("boiler", 0);
    let file = daemon.path("dump.json");
    library(&python, "dump", &file, &idp.url("/boiler"), Some("pw\n"));

    let path = file.to_str().unwrap();
    let told = in_zone(&daemon, &["import", "boiler", "--from", "nwp500-legacy", path]);

    let until = saved_until(&file);
    assert!(told.contains(&format!("whose own token expires at {until}")), "{told}, not {until}");
    assert_eq!(daemon.account("boiler").generation, 2);
}

/// When the dump's token expires, in the words of `tokenctl`.
fn saved_until(file: &Path) -> jiff::Timestamp {
    let text = std::fs::read_to_string(file).unwrap();
    let dump: serde_json::Value = serde_json::from_str(&text).unwrap();
    let issued = dump["issued_at"].as_str().unwrap().parse::<jiff::civil::DateTime>().unwrap();
    let issued = issued.to_zoned(jiff::tz::TimeZone::get(ZONE).unwrap()).unwrap().timestamp();
    let lifetime = dump["authentication_expires_in"].as_i64().unwrap();
    jiff::Timestamp::from_second(issued.as_second() + lifetime).unwrap()
}

/// Runs the program of the library's, and gives back what it prints.
fn library(python: &str, verb: &str, file: &Path, url: &str, input: Option<&str>) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/providers/nwp500/library.py");
    let mut command = Command::new(python);
    let output = run(command.env("TZ", ZONE).arg(script).arg(verb).arg(file).arg(url), input);
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What `tokenctl` says there.
fn in_zone(daemon: &Daemon, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenctl"));
    command.env("TZ", ZONE).env("TOKENKEEPER_SOCKET", daemon.path("api.sock"));
    let output = run(command.args(arguments), None);
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn python() -> Option<String> {
    let python = env::var("TOKENKEEPER_TEST_PYTHON").ok();
    if python.is_none() {
        skipped("TOKENKEEPER_TEST_PYTHON is not set");
    }
    python
}
