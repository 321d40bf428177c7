//! Who gets what: narrowing sockets, and rules by user.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::process::Output;

use serde_json::json;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::Request;
use crate::support::idp::Idp;
use crate::support::process::run;
use crate::support::process::said;
use crate::support::skipped;

/// The user and group that own nothing.
pub(crate) const NOBODY: u32 = 65_534;

#[test]
fn a_narrowing_socket_narrows_for_everyone() {
    let idp = Idp::start();
    let mut daemon = Daemon::new(&Config::default());
    let narrow = daemon.path("ci.sock");
    let config = Config::default()
        .account("ci", &idp.keys("ci"))
        .account("mail", &idp.keys("mail"))
        .table(&format!(
            "[[listen]]\npath = \"{}\"\naccounts = [\"ci\"]\nrights = [\"read\"]\n",
            narrow.display()
        ));
    daemon.configure(&config);
    daemon.begin();
    for account in ["ci", "mail"] {
        daemon.import(account, &idp.put(account, &json!({})));
    }

    #[rustfmt::skip]
    let cases = [
        ("GET",  "/v1/accounts/ci/token",     200),
        ("GET",  "/v1/accounts/mail/token",   403),
        ("GET",  "/v1/accounts/absent/token", 403),
        ("POST", "/v1/accounts/ci/refresh",   403),
        ("POST", "/v1/accounts/ci/pause",     403),
        ("POST", "/v1/reload",                403),
        ("GET",  "/metrics",                  403),
    ];
    for (method, path, status) in cases {
        let reply = Request { method, ..Request::get(path) }.on_socket(&narrow).unwrap();
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.body);
    }
    assert_eq!(idp.totals("ci").requests, 1);
    assert_eq!(daemon.token("mail", "").unwrap().generation, 1, "the ordinary socket does not");
}

#[test]
fn a_user_gets_what_the_rules_name_it_for_and_nothing_else() {
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can ask as another user");
    }
    let idp = Idp::start();
    let rule = |rights: &str| format!("allow = [{{ user = \"{NOBODY}\", rights = [{rights}] }}]\n");
    let config = Config::default()
        .account("open", &(idp.keys("open") + &rule("\"read\", \"refresh\"")))
        .account("shown", &(idp.keys("shown") + &rule("\"read\"")))
        .account("closed", &idp.keys("closed"));
    let daemon = Daemon::start(&config);
    for account in ["open", "shown", "closed"] {
        daemon.import(account, &idp.put(account, &json!({})));
    }

    #[rustfmt::skip]
    let cases = [
        (["get", "open"].as_slice(),  0),
        (&["get", "shown"],           0),
        (&["get", "closed"],         77),
        (&["get", "absent"],         77),
        (&["refresh", "open"],        0),
        (&["refresh", "shown"],      77),
        (&["pause", "open"],         77),
        (&["reload"],                77),
        (&["whoami"],                 0),
    ];
    for (arguments, status) in cases {
        let output = as_nobody(&daemon, arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", said(&output));
        if status == 77 {
            assert!(said(&output).contains(&format!("uid {NOBODY}")), "{}", said(&output));
        }
    }
    let doctor = as_nobody(&daemon, &["doctor"]);
    let seen = String::from_utf8(doctor.stdout).unwrap();
    assert_eq!(doctor.status.code(), Some(0), "{seen}");
    assert!(seen.starts_with("Nothing is wrong with what you may see.\n"), "{seen}");
    let socket = daemon.path("api.sock").display().to_string();
    let command = format!("sudo tokenctl --socket {socket} doctor");
    let end = format!(
        "and accounts that are not yours. An administrator of the daemon sees all of it: {command}\n"
    );
    assert!(seen.ends_with(&end), "{seen}");
    let token = daemon.token("open", "").unwrap();
    assert_eq!(
        as_nobody(&daemon, &["get", "open"]).stdout,
        format!("{}\n", token.token).as_bytes()
    );
    let list: serde_json::Value =
        serde_json::from_slice(&as_nobody(&daemon, &["list", "--json"]).stdout).unwrap();
    let names = list["accounts"].as_array().unwrap().iter().map(|view| &view["account"]);
    assert_eq!(names.collect::<Vec<_>>(), ["open", "shown"]);
    let refused = as_nobody(&daemon, &["get", "closed"]);
    let unknown = as_nobody(&daemon, &["get", "absent"]);
    let same = |output: &Output| said(output).replace("closed", "NAME").replace("absent", "NAME");
    assert_eq!(same(&refused), same(&unknown), "what is forbidden looks like what is not there");
    daemon.logs("it would need a rule like");
}

/// Runs `tokenctl` as a user who owns nothing and is in no group. The build may lie where that user
/// cannot look, so the program is run from a copy. It is made by another process: a program that
/// this one has open for writing could not be run, and neither could one that a child of another
/// test has inherited so.
pub(crate) fn as_nobody(daemon: &Daemon, arguments: &[&str]) -> Output {
    let program = daemon.path("tokenctl");
    if !program.exists() {
        fs::set_permissions(daemon.home(), Permissions::from_mode(0o711)).unwrap();
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_tokenctl")).arg(&program).status();
        assert!(copied.unwrap().success());
    }
    let mut command = Command::new(program);
    command.arg("--socket").arg(daemon.path("api.sock")).args(arguments);
    command.current_dir("/").uid(NOBODY).gid(NOBODY);
    run(&mut command, None)
}
