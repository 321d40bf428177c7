//! Many writers at one file, and writers that are killed.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;
use serde_json::json;

use super::read;
use super::run;
use super::said;
use super::tokenctl;
use crate::support::PATIENCE;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::idp::Idp;
use crate::support::number_from_environment;
use crate::support::process::Process;

/// Each writes an entry of its own into what it has read, as fast as it can. The lock has them
/// write one after the other. What keeps the entries without it is the exchange of two files,
/// which notices what another has written in between.
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

/// As the library does it: it reads, takes its time and writes in place, all under its lock. The
/// lock is all that saves an entry here: one that was written meanwhile would be written over, and
/// no exchange of files would notice, since the library makes none.
#[test]
fn a_program_that_writes_in_place_under_its_lock_takes_no_entry_with_it() {
    const WRITERS: usize = 8;

    let (_idp, daemon) = with_id_token();
    daemon.write("tokens.json", "{\"kim@example.test\": {\"id_token\": \"I1\"}}");
    let lock_path = daemon.path("tokens.json.lock");
    let lock = fs::File::create(&lock_path).unwrap();
    lock.lock().unwrap();
    let mut theirs = serde_json::from_str::<Value>(&read(&daemon.path("tokens.json"))).unwrap();

    let start = |writer| {
        let email = format!("{writer}@example.test");
        let form = ["--format", "quilt-hp", "--email", &email, "--output", "tokens.json"];
        Process::start(tokenctl(&daemon).args(["export", "mail"]).args(form))
    };
    let mut writers = (0..WRITERS).map(start).collect::<Vec<_>>();
    for writer in &writers {
        until_it_waits(writer, &lock_path);
    }
    theirs["lee@example.test"] = json!({ "id_token": "I2" });
    daemon.write("tokens.json", &theirs.to_string());
    lock.unlock().unwrap();
    for writer in &mut writers {
        assert!(writer.ended().success());
    }

    let text = read(&daemon.path("tokens.json"));
    let entries = serde_json::from_str::<serde_json::Map<String, Value>>(&text).unwrap();
    assert_eq!(entries.len(), 2 + WRITERS, "{text}");
}

/// Whenever its writer dies, who reads the file finds all of one content.
#[test]
fn a_killed_writer_leaves_the_whole_old_file_or_the_whole_new_one() {
    let (_idp, daemon) = with_id_token();
    let kills = number_from_environment("TOKENKEEPER_TEST_WRITER_KILLS", 60);
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

/// Waits until a program has the lock open and sleeps: between these two it does nothing that
/// it would have to wait for.
fn until_it_waits(program: &Process, lock: &Path) {
    let about = PathBuf::from(format!("/proc/{}", program.id()));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let open = fs::read_dir(about.join("fd")).into_iter().flatten().flatten();
        let has_it =
            open.map(|fd| fs::read_link(fd.path())).any(|to| to.is_ok_and(|to| to == lock));
        let stat = fs::read_to_string(about.join("stat")).unwrap();
        // The state stands behind the name, which is in parentheses.
        match stat.rsplit(") ").next().and_then(|rest| rest.chars().next()) {
            Some('S') if has_it => return,
            Some('Z') => panic!("it did not wait for the lock"),
            _ => assert!(Instant::now() < deadline, "it neither waits nor ends: {stat}"),
        }
        thread::yield_now();
    }
}
