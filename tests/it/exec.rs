//! Tokens from programs of the operator's: the examples that are shipped, and programs that fail.

use std::fs;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::support::PATIENCE;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::receive;
use crate::support::idp::Idp;
use crate::support::process::run;
use crate::support::process::said;
use crate::support::skipped;

const TOKENS: &str = r#"{"access_token":"a","expires_in":3600,"refresh_token":"r2"}"#;

#[test]
fn the_shell_example_refreshes_at_a_token_endpoint() {
    if lacks(&["curl", "jq"]) {
        return;
    }
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &json!({ "rotation": { "grace_secs": 30 } }));
    let keys = format!(
        "{}context = {{ endpoint = \"{}\", client_id = \"mail\" }}\nrotation = \"30s\"\n",
        example("oauth-endpoint"),
        idp.url("/mail/token"),
    );
    let daemon = Daemon::start(&Config::default().account("mail", &keys));
    daemon.import("mail", &refresh_token);

    receive(daemon.begin_refresh("mail")).unwrap();

    let token = daemon.token("mail", "").unwrap();
    assert_eq!(token.generation, 2, "{}", daemon.log());
    assert!(idp.accepts("mail", &token.token));
    let totals = idp.totals("mail");
    assert_eq!((totals.granted, totals.replays, totals.reuses), (2, 0, 0));
}

#[test]
fn the_shell_example_tells_a_refusal_from_a_host_that_is_not_there() {
    if lacks(&["curl", "jq"]) {
        return;
    }
    let idp = Idp::start();
    idp.put("mail", &json!({ "rotation": {} }));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = |endpoint: &str| {
        let question = json!({
            "version": 1, "action": "refresh", "account": "mail", "secrets": {},
            "context": { "endpoint": endpoint, "client_id": "mail" },
            "refresh_token": "a \"strange\" one & more",
        });
        asked("oauth-endpoint", &question)["error"].clone()
    };
    assert_eq!(said(&idp.url("/mail/token")), "invalid_grant");
    assert_eq!(said(&format!("http://{closed}/token")), "temporarily_unavailable");
    assert_eq!(said(""), "invalid_request");
}

/// What GitHub is asked is verified here as GitHub would: with the public key.
#[test]
fn the_github_example_signs_a_statement_and_passes_the_token_on() {
    if lacks(&["curl", "jq", "openssl"]) {
        return;
    }
    let github = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = github.local_addr().unwrap();
    let mut daemon = Daemon::new(&Config::default());
    let (key, public) = (daemon.path("key.pem"), daemon.path("public.pem"));
    openssl(&["genrsa", "-out", &key.display().to_string(), "2048"]);
    openssl(&[
        "rsa",
        "-in",
        &key.display().to_string(),
        "-pubout",
        "-out",
        &public.display().to_string(),
    ]);
    let keys = format!(
        "{}grant = \"client_credentials\"\nsecrets = {{ private_key = {{ file = \"{}\" }} }}\n\
         context = {{ api = \"http://{address}\", app_id = \"12345\", installation_id = \"67890\" }}\n",
        example("github-app"),
        key.display(),
    );
    daemon.configure(&Config::default().account("deploy", &keys));
    daemon.begin();

    let (mut stream, _) = github.accept().unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    let request = lines.next().unwrap();
    let bearer =
        lines.find_map(|line| line.strip_prefix("Authorization: Bearer ").map(str::to_owned));
    let body = r#"{"token":"ghs_x","expires_at":"2099-01-01T00:00:00Z"}"#;
    write!(stream, "HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();

    assert_eq!(request, "POST /app/installations/67890/access_tokens HTTP/1.1");
    let bearer = bearer.unwrap();
    let (signed, signature) = bearer.rsplit_once('.').unwrap();
    daemon.write("signed", signed);
    daemon.write("signature", signature);
    let verified = format!(
        "tr '_-' '/+' < signature | sed 's/$/==/' | openssl base64 -d -A > raw; \
         openssl dgst -sha256 -verify {} -signature raw signed",
        public.display()
    );
    let verified = run(Command::new("sh").args(["-c", &verified]).current_dir(daemon.home()), None);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    assert_eq!(daemon.token("deploy", "").unwrap().token, "ghs_x");
}

#[test]
fn each_way_to_fail_is_told_apart() {
    #[rustfmt::skip]
    let cases = [
        // name       what the program does                                  state          code
        ("refused",   r#"echo '{"error":"invalid_grant"}'"#,                 "suspect",     "GRANT_REJECTED"),
        ("over",      r#"echo '{"error":"login_required"}'"#,                "needs_login", "NEEDS_LOGIN"),
        ("client",    r#"echo '{"error":"invalid_client"}'"#,                "frozen",      "CLIENT_REJECTED"),
        ("passing",   r#"echo '{"error":"temporarily_unavailable"}'"#,       "waiting",     "PROVIDER_UNAVAILABLE"),
        ("often",     r#"echo '{"error":"rate_limited","retry_after":60}'"#, "waiting",     "PROVIDER_UNAVAILABLE"),
        ("garbage",   "echo 'Traceback: no such thing'",                     "in_doubt",    "IN_DOUBT"),
        ("status",    "exit 3",                                              "in_doubt",    "IN_DOUBT"),
        ("large",     "yes",                                                 "in_doubt",    "IN_DOUBT"),
        // The refresh token that it was given is no new one.
        ("repeating", r#"echo '{"refresh_token":"r2"}'"#,                    "in_doubt",    "IN_DOUBT"),
    ];
    let mut daemon = Daemon::new(&Config::default());
    let mut config = Config::default();
    for (name, _, _, _) in cases {
        daemon.write(&format!("{name}.sh"), &format!("cat >/dev/null; echo '{TOKENS}'"));
        config = config.account(name, &(script(&daemon, name) + "rotation = \"strict\"\n"));
    }
    daemon.configure(&config);
    daemon.begin();
    for (name, does, state, code) in cases {
        daemon.import(name, "r1");
        daemon.write(&format!("{name}.sh"), &format!("cat >/dev/null; {does}"));
        receive(daemon.begin_refresh(name)).unwrap();
        let view = daemon.until(name, state, |view| view.state == state);
        assert_eq!(view.refresh_error.unwrap().error_code.as_str(), code, "{name}");
        // The token that it has is still good.
        assert_eq!(daemon.token(name, "").unwrap().token, "a", "{name}");
    }
}

#[test]
fn an_account_whose_program_logs_in_is_logged_in_by_it_and_any_other_by_an_import() {
    let mut daemon = Daemon::new(&Config::default());
    for name in ["gauge", "meter"] {
        daemon.write(&format!("{name}.sh"), &format!("cat >/dev/null; echo '{TOKENS}'"));
    }
    let gauge = script(&daemon, "gauge") + "login = true\nrotation = \"none\"\n";
    let config = Config::default().account("gauge", &gauge);
    daemon.configure(&config.account("meter", &script(&daemon, "meter")));
    daemon.begin();
    daemon.until("gauge", "fresh", |view| view.state == "fresh");
    daemon.tokenctl_does(&["logout", "gauge", "--local"], None);
    let why = daemon.tokenctl_does(&["why", "gauge"], None);
    assert!(why.trim_end().ends_with("login gauge"), "{why}");

    let typed = daemon.tokenctl_given(&["login", "gauge", "--password-stdin"], "x");
    assert_eq!(typed.status.code(), Some(3), "{}", said(&typed));
    assert!(said(&typed).contains("takes no password"), "{}", said(&typed));

    let told = daemon.tokenctl_does(&["login", "gauge"], None);
    assert!(told.contains("logged in"), "{told}");
    assert_eq!(daemon.token("gauge", "").unwrap().token, "a");

    let status = daemon.tokenctl_does(&["why", "meter"], None);
    assert!(status.trim_end().ends_with("import meter"), "{status}");
    for verb in ["login", "get", "retry"] {
        let refused = daemon.tokenctl(&[verb, "meter"]);
        let said = said(&refused);
        assert_eq!(refused.status.code(), Some(3), "{verb}: {said}");
        assert!(said.trim_end().ends_with("import meter"), "{verb}: {said}");
    }
}

#[test]
fn a_program_that_others_can_write_is_not_run_and_a_check_warns_of_it() {
    let mut daemon = Daemon::new(&Config::default());
    let program = daemon.path("open");
    daemon.write("open", &format!("#!/bin/sh\ncat >/dev/null; echo '{TOKENS}'\n"));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o777)).unwrap();
    let shown = program.display();
    let keys = format!("provider = \"exec\"\ncommand = [\"{shown}\"]\nlogin = true\n");
    daemon.configure(&Config::default().account("open", &keys));
    let flaw = format!("{shown}: can be written by others; type: chmod go-w '{shown}'");

    let checked = run(daemon.command().arg("--check"), None);
    assert!(said(&checked).contains(&flaw), "{}", said(&checked));
    daemon.begin();
    let login = daemon.tokenctl(&["login", "open"]);
    assert!(said(&login).contains(&flaw), "{}", said(&login));

    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    daemon.tokenctl_does(&["login", "open"], None);
}

#[test]
fn a_program_whose_time_is_over_is_gone_with_all_that_it_started() {
    let mut daemon = Daemon::new(&Config::default());
    let keys = script(&daemon, "slow") + "timeout = \"1s\"\nrotation = \"none\"\n";
    daemon.write("slow.sh", &format!("cat >/dev/null; echo '{TOKENS}'"));
    daemon.configure(&Config::default().account("slow", &keys));
    daemon.begin();
    daemon.import("slow", "r1");
    let group = daemon.path("group");
    let stubborn = format!(
        "trap '' TERM; sh -c 'while :; do sleep 1000; done' & echo $$ > {}; \
         while :; do sleep 1000; done",
        group.display()
    );
    daemon.write("slow.sh", &stubborn);

    let reply = receive(daemon.begin_refresh("slow")).unwrap();

    assert!(reply.body.contains("did not end within 1 s"), "{}", reply.body);
    let group = fs::read_to_string(group).unwrap();
    let until = Instant::now() + PATIENCE;
    // Who is killed is gone soon, and not at once.
    while !members(group.trim()).is_empty() {
        assert!(Instant::now() < until, "{:?}", members(group.trim()));
        thread::yield_now();
    }
}

#[test]
fn what_is_secret_is_in_no_environment_no_argument_and_no_log() {
    let mut daemon = Daemon::new(&Config::default());
    let home = daemon.home().display().to_string();
    let keys = script(&daemon, "mail") + "secrets = { password = {} }\nrotation = \"none\"\n";
    daemon.write(
        "mail.sh",
        &format!(
            "tee {home}/question >&2; cat /proc/$$/environ /proc/$$/cmdline > {home}/seen; \
             echo '{TOKENS}'"
        ),
    );
    daemon.configure(&Config::default().account("mail", &keys));
    daemon.begin();
    daemon.tokenctl_does(&["secret", "set", "mail.password", "--file", "-"], Some("correct horse"));
    daemon.import("mail", "a-short-token");

    let question = fs::read_to_string(daemon.path("question")).unwrap();
    let question: Value = serde_json::from_str(&question).unwrap();
    assert_eq!(question["refresh_token"], "a-short-token");
    assert_eq!(question["secrets"]["password"], "correct horse");
    let seen = String::from_utf8_lossy(&fs::read(daemon.path("seen")).unwrap()).into_owned();
    assert!(seen.contains("LANG=C.UTF-8") && seen.contains("mail.sh"), "{seen}");
    daemon.logs("the program says");
    let log = daemon.log();
    for secret in ["a-short-token", "correct horse"] {
        assert!(!seen.contains(secret), "{seen}");
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_service_on_a_socket_is_asked_once_for_each_exchange() {
    let mut daemon = Daemon::new(&Config::default());
    let socket = daemon.path("door.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let service = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut question = String::new();
        stream.read_to_string(&mut question).unwrap();
        stream.write_all(br#"{"access_token":"open","expires_in":3600}"#).unwrap();
        question
    });
    let keys = format!(
        "provider = \"exec\"\nsocket = \"{}\"\ngrant = \"client_credentials\"\n",
        socket.display()
    );
    daemon.configure(&Config::default().account("door", &keys));
    daemon.begin();

    let question: Value = serde_json::from_str(&service.join().unwrap()).unwrap();
    let expected = json!({
        "version": 1, "action": "refresh", "account": "door", "context": {}, "secrets": {},
    });
    assert_eq!(question, expected);
    assert_eq!(daemon.token("door", "").unwrap().token, "open");
}

/// The keys of an account with the script `NAME.sh` beside the configuration.
fn script(daemon: &Daemon, name: &str) -> String {
    let path = daemon.path(&format!("{name}.sh"));
    format!("provider = \"exec\"\ncommand = [\"/bin/sh\", \"{}\"]\n", path.display())
}

/// The keys of an account with a shipped example.
fn example(name: &str) -> String {
    format!("provider = \"exec\"\ncommand = [\"{}\"]\n", path_of(name))
}

fn path_of(example: &str) -> String {
    format!("{}/packaging/examples/exec/{example}", env!("CARGO_MANIFEST_DIR"))
}

/// What a shipped example answers.
fn asked(example: &str, question: &Value) -> Value {
    let output = run(&mut Command::new(path_of(example)), Some(&question.to_string()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn lacks(programs: &[&str]) -> bool {
    let is_there = |name: &str| Path::new("/usr/bin").join(name).exists();
    let missing = programs.iter().filter(|name| !is_there(name)).collect::<Vec<_>>();
    if !missing.is_empty() {
        skipped(&format!("{missing:?} is not installed"));
    }
    !missing.is_empty()
}

fn openssl(arguments: &[&str]) {
    let output = run(Command::new("openssl").args(arguments), None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The processes of a group that are alive, as proc(5) lists them.
fn members(group: &str) -> Vec<String> {
    let stats = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        // A process may end while it is looked at.
        fs::read_to_string(entry.unwrap().path().join("stat")).ok()
    });
    stats
        .filter(|stat| {
            // "pid (comm) state ppid pgrp …". Who is dead and not reaped is a zombie.
            let mut fields = stat.rsplit(") ").next().unwrap().split(' ');
            fields.next() != Some("Z") && fields.nth(1) == Some(group)
        })
        .collect()
}
