//! One owner: logins that other programs keep in files, from end to end.
//!
//! Reading order: this file (`follow`, `adopt`, `handover`), `writers` (many at one file, and
//! ones that are killed), `strangers` (followers who may not do all that it takes).

mod strangers;
mod writers;

use std::fs;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use rustix::fs::inotify;
use rustix::fs::inotify::CreateFlags;
use rustix::fs::inotify::WatchFlags;
use rustix::process::Signal;
use serde_json::Value;
use serde_json::json;

use crate::daemon::forgiving;
use crate::daemon::with_mail;
use crate::support::PATIENCE;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::idp::Idp;
use crate::support::process::Process;
use crate::support::process::await_any;
use crate::support::process::run;
use crate::support::process::said;

#[test]
fn a_followed_file_has_each_token_over_a_restart_of_the_daemon_until_a_signal_ends_it() {
    let (idp, mut daemon) =
        with_mail(&json!({ "lifetime_secs": 16, "rotation": { "grace_secs": 30 } }));
    let file = daemon.path("token");
    let mut follower = follow(&daemon, &["--file", "token", "--template", "{generation} {token}"]);
    let first = daemon.token("mail", "").unwrap();
    until(&file, "the first token", |text| text == format!("1 {}", first.token));
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);

    daemon.stop();
    daemon.begin();
    let next = daemon.token_after("mail", 1);
    until(&file, "the next token", |text| text == format!("2 {}", next.token));
    assert!(idp.accepts("mail", &next.token));

    follower.signal(Signal::TERM);
    assert_eq!(follower.ended().code(), Some(0));
    assert_eq!(names(&daemon, "token"), ["token"], "nothing is left beside it");
}

#[test]
fn an_adopted_login_leaves_its_file_and_a_later_login_of_the_same_person_follows_it() {
    let idp = Idp::start();
    let behaviour = json!({ "rotation": { "grace_secs": 30 }, "id_token": true });
    let refresh_token = idp.put("mail", &behaviour);
    let keys = idp.keys("mail") + "rotation = \"30s\"\n";
    let daemon = Daemon::start(&Config::default().account("mail", &keys));
    let auth = |token: &str| {
        format!(
            "{{\"v\": 1.50,\n  \"tokens\": {{\"refresh\": \"{token}\", \"access\": \"old\"}},\n  \"until\": 5}}\n"
        )
    };
    daemon.write("auth.json", &auth(&refresh_token));
    let file = daemon.path("auth.json");

    let path = file.to_str().unwrap();
    let adopt = ["adopt", "mail", "--file", path, "--at", "/tokens/refresh"];
    let told = daemon.tokenctl_does(&adopt, None);
    let socket = daemon.path("api.sock").display().to_string();
    let next = format!("tokenctl --socket {socket} follow mail --file {path} --format json");
    assert!(told.contains(&next), "{told}");
    assert_eq!(read(&file), auth(""), "every other byte stays");
    let again = daemon.tokenctl(&adopt);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));

    let places = [
        "--file",
        "auth.json",
        "--format",
        "json",
        "--at",
        "/tokens/refresh",
        "--access-at",
        "/tokens/access",
        "--expires-at",
        "/until",
    ];
    let mut follower = follow(&daemon, &places);
    let kept = |token: &str, expires: &str| {
        let expires = expires.parse::<jiff::Timestamp>().unwrap().as_second();
        auth("").replace("\"old\"", &format!("\"{token}\"")).replace("5}", &format!("{expires}}}"))
    };
    let token = daemon.token("mail", "").unwrap();
    until(&file, "the token", |text| text == kept(&token.token, &token.expires_at));

    // Its program logs in by itself.
    let theirs = auth(&idp.mint("mail"));
    File::create(&file).unwrap().write_all(theirs.as_bytes()).unwrap();
    let token = daemon.token_after("mail", token.generation);
    until(&file, "the taken over login", |text| text == kept(&token.token, &token.expires_at));

    // Somebody else logs in there.
    idp.next("mail", &json!(["other_subject"]));
    let theirs = auth(&idp.mint("mail"));
    File::create(&file).unwrap().write_all(theirs.as_bytes()).unwrap();
    assert_eq!(follower.ended().code(), Some(3));
    assert_eq!(read(&file), theirs, "the file of another person's login stays as it is");
    daemon.logs("FOREIGN_WRITER");
    assert_eq!(daemon.token("mail", "").unwrap().token, token.token);
    for verb in [&["doctor"][..], &["why", "mail"]] {
        let told = said(&daemon.tokenctl(verb));
        assert!(told.contains("logged in as another person"), "{told}");
    }

    // A service manager starts it again.
    let requests = idp.totals("mail").requests;
    assert_eq!(follow(&daemon, &places).ended().code(), Some(3));
    assert_eq!((idp.totals("mail").requests, read(&file)), (requests, theirs));
    assert_eq!(idp.totals("mail").reuses, 0);
}

#[test]
fn a_program_that_logs_in_again_while_its_account_has_no_login_helps_itself() {
    let (idp, daemon) = with_mail(&forgiving());
    // For another user, of whom there is neither a login nor a token.
    let keys = idp.keys("mail") + "rotation = \"30s\"\nusername = \"pat\"\n";
    daemon.configure(&Config::default().account("mail", &keys));
    daemon.tokenctl_does(&["reload"], None);
    assert_eq!(daemon.account("mail").state, "needs_login");
    assert_eq!(daemon.account("mail").expires_at, None);

    let auth = |token: &str| format!("{{\"r\": \"{token}\", \"a\": \"old\"}}");
    let file = daemon.path("auth.json");
    daemon.write("auth.json", &auth("no token of this provider"));
    let _follower = follow(&daemon, &AUTH);
    idp.wait("mail", "refused=1");

    let theirs = auth(&idp.mint("mail"));
    File::create(&file).unwrap().write_all(theirs.as_bytes()).unwrap();
    daemon.until("mail", "logged in again", |view| view.state == "fresh");
    let token = daemon.token("mail", "").unwrap();
    let kept = auth("").replace("old", &token.token);
    until(&file, "the taken over login", |text| text == kept);
}

#[test]
fn a_login_that_the_provider_refuses_is_written_over_only_after_its_last_word() {
    let (idp, daemon) = with_mail(&forgiving());
    let theirs = "{\"r\": \"no token of this provider\", \"a\": \"old\"}";
    daemon.write("auth.json", theirs);
    let once = || {
        let once = [&["follow", "mail", "--once"], AUTH.as_slice()].concat();
        tokenctl(&daemon).args(once).output().unwrap()
    };
    let refused = once();
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    assert_eq!(read(&daemon.path("auth.json")), theirs, "it may be alive all the same");

    idp.next("mail", &json!([{ "fault": "oauth", "error": "interaction_required" }]));
    let dead = once();
    assert_eq!(dead.status.code(), Some(0), "{}", said(&dead));
    let token = daemon.token("mail", "").unwrap().token;
    let kept = theirs.replace("no token of this provider", "").replace("old", &token);
    assert_eq!(read(&daemon.path("auth.json")), kept);
}

#[test]
fn a_refused_token_is_not_taken_out_of_its_file() {
    let (_idp, daemon) = with_mail(&forgiving());
    daemon.write("auth.json", "{\"r\": \"no token of this provider\"}");
    let path = daemon.path("auth.json");
    let adopt = ["adopt", "mail", "--file", path.to_str().unwrap(), "--at", "/r"];
    let refused = daemon.tokenctl(&adopt);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    assert_eq!(read(&path), "{\"r\": \"no token of this provider\"}");
}

#[test]
fn what_other_programs_saved_is_imported() {
    let idp = Idp::start();
    let (keys, token) = (idp.keys("mail"), idp.put("mail", &forgiving()));
    let daemon = Daemon::start(&Config::default().account("mail", &keys));
    let quilt = json!({ "pat@example.test": { "id_token": "I", "refresh_token": token, "expires_at": 1.5 } });
    let dump = json!({ "tokens": { "refresh_token": idp.mint("mail"), "issued_at": "2026-11-21T19:20:25Z" } });
    for (program, content, until) in
        [("quilt-hp", quilt, "1970-01-01T00:00:01Z"), ("nwp500", dump, "2026-11-21T20:20:25Z")]
    {
        daemon.write("saved.json", &content.to_string());
        let path = daemon.path("saved.json");
        let import = ["import", "mail", "--from", program, path.to_str().unwrap()];
        let told = daemon.tokenctl_does(&import, None);
        assert!(told.contains(&format!("whose own token expires at {until}")), "{told}");
        assert_eq!(read(&path), content.to_string());
        assert_eq!(names(&daemon, "saved"), ["saved.json"], "nothing is made beside it");
    }
    assert_eq!(daemon.account("mail").generation, 2);
}

/// A token in another person's entry would pass for that person's.
#[test]
fn the_address_in_a_file_is_the_accounts_own_and_needs_no_word() {
    let keys = "provider = \"quilt\"\nemail = \"pat@example.test\"\n";
    let daemon = Daemon::start(&Config::default().account("heat", keys));
    daemon.write("tokens.json", "{\"sam@example.test\": {\"id_token\": \"I\", \"refresh_token\": \"R\", \"expires_at\": 1}}");
    let file = daemon.path("tokens.json");
    let file = file.to_str().unwrap();
    #[rustfmt::skip]
    let cases: [(&[&str], i32, &str); 6] = [
        (&["export", "heat", "--format", "quilt-hp"],                                                          3, "no credential yet"),
        (&["export", "heat", "--format", "quilt-hp", "--email", "Pat@example.test"],                           3, "no credential yet"),
        (&["export", "heat", "--format", "nwp500", "--email", "sam@example.test"],                             2, "the account is pat@example.test"),
        (&["follow", "heat", "--format", "quilt-hp", "--email", "sam@example.test", "--once", "--file", file], 2, "the account is pat@example.test"),
        (&["import", "heat", "--from", "quilt-hp", "--email", "sam@example.test", file],                       2, "the account is pat@example.test"),
        (&["import", "heat", "--from", "quilt-hp", file],                                                      2, "pat@example.test"),
    ];
    for (arguments, status, words) in cases {
        let output = daemon.tokenctl(arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(words), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn an_account_that_is_given_up_is_frozen_over_a_restart_and_taken_back_by_an_import() {
    let (idp, mut daemon) = with_mail(&forgiving());
    let handed_out = daemon.tokenctl_does(&["handover", "mail"], None);
    daemon.kill();
    daemon.begin();
    let view = daemon.account("mail");
    assert!(view.released && view.paused, "{view:?}");
    assert_eq!(daemon.tokenctl_does(&["export", "mail", "--release"], None), handed_out);
    assert_eq!(daemon.order("mail", "refresh").status, 409);
    assert_eq!(idp.totals("mail").requests, 1, "nothing was spent");

    daemon.import("mail", handed_out.trim_end());
    let view = daemon.account("mail");
    assert!(!view.released && !view.paused, "{view:?}");
    assert_eq!((view.state.as_str(), view.generation), ("fresh", 2));
    assert!(!daemon.log().contains(handed_out.trim_end()), "no log has it");
}

/// Left to itself the daemon would refresh 2 s before the expiry, which is 14 s after the grant.
#[test]
fn a_program_that_refreshes_by_itself_gets_its_token_when_half_of_the_last_ones_life_is_over() {
    let idp = Idp::start();
    let behaviour = json!({ "lifetime_secs": 16, "rotation": { "grace_secs": 30 } });
    let refresh_token = idp.put("mail", &behaviour);
    let keys = idp.keys("mail") + "rotation = \"30s\"\nrefresh_before = \"2s\"\n";
    let daemon = Daemon::start(&Config::default().account("mail", &keys));
    daemon.import("mail", &refresh_token);
    let _follower = follow(&daemon, &["--file", "dump", "--format", "nwp500"]);
    let issued = |token: &str| token.parse::<jiff::Timestamp>().unwrap();
    let first = daemon.token("mail", "").unwrap();
    let next = daemon.token_after("mail", 1);
    until(&daemon.path("dump"), "the next token", |text| text.contains(&next.token));
    let between = issued(&next.issued_at).duration_since(issued(&first.issued_at));
    assert!(between.as_secs() < 13, "{between}");
}

/// Whoever made the file may read it, whatever its mode becomes.
#[test]
fn an_account_is_given_up_into_a_new_file_only_and_not_before_it_can_be_written() {
    let (_idp, daemon) = with_mail(&forgiving());
    daemon.write("theirs", "something");
    let path = |name: &str| daemon.path(name).to_str().unwrap().to_owned();
    let link = daemon.path("link");
    std::os::unix::fs::symlink(daemon.path("nowhere"), &link).unwrap();
    for (file, status) in [(path("theirs"), 2), (path("link"), 2), ("/proc/token".to_owned(), 74)] {
        let refused = daemon.tokenctl(&["handover", "mail", "--output", &file]);
        assert_eq!(refused.status.code(), Some(status), "{}", said(&refused));
        let view = daemon.account("mail");
        assert!(!view.released && !view.paused, "{file}: {view:?}");
    }
    assert_eq!((read(&daemon.path("theirs")).as_str(), link.exists()), ("something", false));

    daemon.tokenctl_does(&["handover", "mail", "--output", &path("new")], None);
    let mode = fs::metadata(path("new")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let token = daemon.tokenctl_does(&["handover", "mail"], None);
    assert_eq!(read(&daemon.path("new")), token.trim_end());
    assert_eq!(names(&daemon, "new"), ["new"], "nothing is left beside it");
}

#[test]
fn an_account_that_never_rotates_is_taken_back_by_its_owner_and_by_no_follower() {
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &json!({}));
    let keys = idp.keys("mail") + "rotation = \"none\"\n";
    let daemon = Daemon::start(&Config::default().account("mail", &keys));
    daemon.import("mail", &refresh_token);
    assert_eq!(daemon.tokenctl_does(&["handover", "mail"], None).trim_end(), refresh_token);
    let logout = daemon.tokenctl(&["logout", "mail"]);
    assert_eq!(logout.status.code(), Some(3), "{}", said(&logout));
    assert!(said(&logout).contains("logout mail --local"), "{}", said(&logout));

    // Its new owner keeps it in a file that a follower still knows.
    let theirs = format!("{{\"r\": \"{refresh_token}\", \"a\": \"theirs\"}}");
    daemon.write("auth.json", &theirs);
    let once = [&["follow", "mail", "--once"], AUTH.as_slice()].concat();
    let adopt = ["adopt", "mail", "--file", "auth.json", "--at", "/r"];
    for verb in [once.as_slice(), &adopt] {
        let refused = tokenctl(&daemon).args(verb).output().unwrap();
        assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
        assert!(said(&refused).contains("was handed out"), "{}", said(&refused));
        assert_eq!(read(&daemon.path("auth.json")), theirs);
    }
    assert!(daemon.account("mail").released);
    assert_eq!(idp.totals("mail").requests, 1, "nothing was spent");

    daemon.import("mail", &refresh_token);
    let view = daemon.account("mail");
    assert!(!view.released && !view.paused, "{view:?}");
    assert_eq!((view.state.as_str(), view.generation), ("fresh", 2));
}

#[test]
fn a_form_is_exported_without_the_refresh_token() {
    let (_idp, daemon) = with_mail(&forgiving());
    let token = daemon.token("mail", "").unwrap();
    let raw = daemon.tokenctl_does(&["export", "mail", "--format", "raw"], None);
    assert_eq!(raw, token.token);
    let dump = daemon.tokenctl_does(&["export", "mail", "--format", "nwp500"], None);
    let dump: Value = serde_json::from_str(&dump).unwrap();
    assert_eq!((&dump["access_token"], &dump["refresh_token"]), (&json!(token.token), &json!("")));
    assert_eq!(dump["issued_at"], token.issued_at);
}

#[test]
fn a_follower_of_a_place_in_a_file_that_is_not_there_says_so() {
    let (_idp, daemon) = with_mail(&forgiving());
    let follow = [["follow", "mail", "--once"].as_slice(), &AUTH].concat();
    let refused = run(tokenctl(&daemon).args(follow), None);
    assert!(!refused.status.success() && said(&refused).contains("auth.json is not there"));
    assert!(!daemon.path("auth.json").exists());
}

/// Where a program's file `auth.json` has its tokens.
const AUTH: [&str; 8] =
    ["--file", "auth.json", "--format", "json", "--at", "/r", "--access-at", "/a"];

/// Starts `tokenctl follow mail` in the daemon's directory.
fn follow(daemon: &Daemon, options: &[&str]) -> Process {
    Process::start(tokenctl(daemon).args(["follow", "mail"]).args(options))
}

/// `tokenctl`, asking that daemon, in its directory.
fn tokenctl(daemon: &Daemon) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenctl"));
    command.env("TOKENKEEPER_SOCKET", daemon.path("api.sock")).current_dir(daemon.home());
    command.stdin(Stdio::null());
    command
}

/// Waits until the file is as `wanted`.
fn until(path: &Path, what: &str, wanted: impl Fn(&str) -> bool) {
    let watch = inotify::init(CreateFlags::NONBLOCK).unwrap();
    let changes = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO;
    inotify::add_watch(&watch, path.parent().unwrap(), changes).unwrap();
    // Watching begins before looking, so that no change is missed.
    while !fs::read_to_string(path).is_ok_and(|text| wanted(&text)) {
        let changed = await_any(&[std::os::fd::AsFd::as_fd(&watch)], PATIENCE);
        assert!(changed.is_some(), "{what} did not come: {}", read(path));
        while rustix::io::read(&watch, &mut [0; 4096]).is_ok() {}
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// The files in the daemon's directory whose names have that in them.
fn names(daemon: &Daemon, part: &str) -> Vec<String> {
    let entries = fs::read_dir(daemon.home()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(part)).collect()
}
