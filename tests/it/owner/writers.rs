//! Many writers at one file, and writers that are killed.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;
use std::thread;

use rustix::process::Signal;
use serde_json::Value;
use serde_json::json;

use super::read;
use super::run;
use super::said;
use super::tokenctl;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::idp::Idp;
use crate::support::number_from_environment;
use crate::support::process::Process;

/// Each writes an entry of its own. One that wrote without the lock would take an entry of
/// another's with it.
#[test]
fn eight_writers_of_one_tokens_json_lose_no_entry() {
    const WRITERS: usize = 8;
    const ROUNDS: usize = 6;

    let (_idp, daemon) = with_id_token();
    daemon.write("tokens.json", "{\"kim@example.test\": {\"id_token\": \"I1\"}}");
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let daemon = &daemon;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let email = format!("{writer}-{round}@example.test");
                    let form =
                        ["--format", "quilt-hp", "--email", &email, "--output", "tokens.json"];
                    let written = run(tokenctl(daemon).args(["export", "mail"]).args(form), None);
                    assert!(written.status.success(), "{}", said(&written));
                }
            });
        }
    });

    let text = read(&daemon.path("tokens.json"));
    let entries = serde_json::from_str::<serde_json::Map<String, Value>>(&text).unwrap();
    assert_eq!(entries.len(), 1 + WRITERS * ROUNDS, "{text}");
    assert!(text.starts_with("{\n  \"kim@example.test\": {\n    \"id_token\": \"I1\"\n  },\n"));
    let lock = fs::metadata(daemon.path("tokens.json.lock")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&lock.permissions()) & 0o777, 0o600);
}

/// A program that holds the lock is waited for.
#[test]
fn a_lock_that_another_program_holds_is_honoured() {
    let (_idp, daemon) = with_id_token();
    let lock = fs::File::create(daemon.path("tokens.json.lock")).unwrap();
    lock.lock().unwrap();
    let form = ["--format", "quilt-hp", "--email", "pat@example.test", "--output", "tokens.json"];
    let mut command = tokenctl(&daemon);
    let mut writer = Process::start(command.args(["export", "mail"]).args(form));
    // It has read its token and opened the lock when the kernel tells of a second holder's try;
    // that tells nobody, so the file is looked at after a while.
    crate::support::process::let_pass(std::time::Duration::from_millis(500));
    assert!(!daemon.path("tokens.json").exists(), "it was written under another's lock");
    lock.unlock().unwrap();
    assert!(writer.ended().success());
    assert!(daemon.path("tokens.json").exists());
}

/// Whenever its writer dies, who reads the file finds all of one content.
#[test]
fn a_killed_writer_leaves_the_whole_old_file_or_the_whole_new_one() {
    let (_idp, daemon) = with_id_token();
    let kills = number_from_environment("TOKENKEEPER_TEST_KILLS", 60);
    let long = "x".repeat(300_000);
    let whole =
        |text: &str| serde_json::from_str::<Value>(text).is_ok_and(|it| it["pad"] == json!(long));
    daemon.write("auth.json", &json!({ "pad": long, "access": "", "until": 0 }).to_string());
    for kill in 0..kills {
        let places = ["--format", "json", "--access-at", "/access", "--expires-at", "/until"];
        let until = if kill % 2 == 0 { "seconds" } else { "millis" };
        let mut command = tokenctl(&daemon);
        command.args(["follow", "mail", "--file", "auth.json", "--expires-as", until]).args(places);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut writer = Process::start(&mut command);
        // From before it asks to after it has written.
        crate::support::process::let_pass(std::time::Duration::from_micros(500 * (kill % 40)));
        writer.signal(Signal::KILL);
        writer.ended();
        let mut text = String::new();
        fs::File::open(daemon.path("auth.json")).unwrap().read_to_string(&mut text).unwrap();
        assert!(whole(&text), "kill {kill} left {} bytes", text.len());
    }
    let places = ["--format", "json", "--access-at", "/access", "--once"];
    let mut command = tokenctl(&daemon);
    let written = run(command.args(["follow", "mail", "--file", "auth.json"]).args(places), None);
    assert!(written.status.success(), "{}", said(&written));
    assert_eq!(super::names(&daemon, "auth"), ["auth.json"], "what was left is swept");
}

fn with_id_token() -> (Idp, Daemon) {
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &json!({ "id_token": true }));
    let daemon = Daemon::start(&Config::default().account("mail", &idp.keys("mail")));
    daemon.import("mail", &refresh_token);
    (idp, daemon)
}
