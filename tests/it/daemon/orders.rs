//! What programs and operators ask for, and what they get.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use serde_json::json;
use sha2::Digest as _;
use sha2::Sha256;
use tokenkeeper::protocol::account::RefreshAnswer;

use super::forgiving;
use super::with_mail;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::Request;
use crate::support::http::receive;
use crate::support::idp::Idp;
use crate::support::process::said;

#[test]
fn a_paused_account_serves_its_token_and_spends_nothing_until_it_is_resumed() {
    let (idp, daemon) = with_mail(&forgiving());
    daemon.tokenctl_does(&["pause", "mail"], None);
    assert_eq!(daemon.account("mail").state, "frozen");
    let status = daemon.tokenctl_does(&["status"], None);
    assert!(status.contains("1 account: 1 paused\n") && !status.contains("frozen"), "{status}");
    assert_eq!(daemon.token("mail", "").unwrap().generation, 1);
    assert_eq!(receive(daemon.begin_refresh("mail")).unwrap().status, 409);
    assert_eq!(daemon.tokenctl(&["retry", "mail"]).status.code(), Some(3));
    assert_eq!(idp.totals("mail").requests, 1);

    daemon.tokenctl_does(&["resume", "mail"], None);
    assert_eq!(daemon.account("mail").state, "fresh");
    daemon.tokenctl_does(&["refresh", "mail"], None);
    assert_eq!(daemon.token("mail", "").unwrap().generation, 2);
}

#[test]
fn an_order_that_finds_nothing_to_do_is_not_said_to_be_done() {
    let (idp, daemon) = with_mail(&forgiving());
    #[rustfmt::skip]
    let cases: [(&[&str], &str); 7] = [
        (&["resume", "mail"], "account mail: it was not paused\n"),
        (&["retry", "mail"],  "account mail: it was not tried: its last refresh did not fail\n"),
        (&["pause", "mail"],  "account mail: it is paused: nothing is spent until it is resumed\n"),
        (&["pause", "mail"],  "account mail: it was paused already\n"),
        (&["resume", "mail"], "account mail: it is resumed\n"),
        (&["resume", "mail"], "account mail: it was not paused\n"),
        (&["report", "mail", "--generation", "0"],
         "mail: not refreshed, since there is a newer token already, generation 1, good for "),
    ];
    for (arguments, expected) in cases {
        let said = daemon.tokenctl_does(arguments, None);
        assert!(said.starts_with(expected), "{arguments:?}: {said}");
    }
    assert_eq!(idp.totals("mail").requests, 1);
    for arguments in [["pause", "mail", "-q"].as_slice(), &["resume", "mail", "-q", "--json"]] {
        assert_eq!(daemon.tokenctl_does(arguments, None), "", "{arguments:?}");
    }
}

#[test]
fn a_pause_outlives_the_process() {
    let (_idp, mut daemon) = with_mail(&forgiving());
    daemon.tokenctl_does(&["pause", "mail"], None);
    daemon.kill();
    daemon.begin();
    assert!(daemon.account("mail").paused);
}

#[test]
fn an_operators_retry_goes_before_a_backoff() {
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &json!({}));
    let keys = idp.keys("mail") + "rotation = \"none\"\n";
    let daemon = Daemon::start(&Config::default().account("mail", &keys));
    daemon.import("mail", &refresh_token);
    // A client's error waits an hour for its probe.
    idp.next("mail", &json!([{ "fault": "oauth", "error": "invalid_scope" }]));
    let failed = receive(daemon.begin_refresh("mail")).unwrap();
    assert_eq!(failed.json::<Value>()["error_code"], "CLIENT_REJECTED");
    assert_eq!(daemon.account("mail").state, "frozen");

    daemon.tokenctl_does(&["retry", "mail"], None);
    let view = daemon.until("mail", "fresh", |view| view.state == "fresh");
    assert_eq!((view.generation, view.refresh_error), (2, None));
}

#[test]
fn one_failure_of_an_account_with_a_good_token_asks_nobody_for_attention() {
    let (idp, daemon) = with_mail(&forgiving());
    idp.patch("mail", &json!({ "fault": { "fault": "status", "status": 503 } }));
    assert_eq!(receive(daemon.begin_refresh("mail")).unwrap().status, 503);
    let view = daemon.account("mail");
    assert!(view.refresh_error.is_some() && !view.alarm, "{view:?}");

    let status = daemon.tokenctl_does(&["status"], None);
    assert!(status.contains("1 failing") && !status.contains("attention"), "{status}");
    let doctor = daemon.tokenctl_does(&["doctor"], None);
    assert!(doctor.contains("mail fails and is no problem yet: "), "{doctor}");
    assert!(daemon.tokenctl_does(&["why", "mail"], None).contains("Nobody has to do anything"));
}

#[test]
fn a_report_of_the_current_token_refreshes_and_one_of_an_older_token_does_not() {
    let (idp, daemon) = with_mail(&forgiving());
    let first = daemon.token("mail", "").unwrap();

    let answer = report(&daemon, &json!({ "generation": 1, "reason": "stream_unauthenticated" }));
    assert!(answer.refreshed);
    assert_eq!((answer.generation, idp.totals("mail").requests), (2, 2));

    let answer = report(&daemon, &json!({ "generation": 1 }));
    assert!(answer.refreshed, "there is a newer one than the reported");
    assert_eq!((answer.generation, idp.totals("mail").requests), (2, 2));

    let answer = report(&daemon, &json!({ "token_sha256": sha256(&first.token) }));
    assert_eq!((answer.generation, idp.totals("mail").requests), (2, 2));

    let second = daemon.token("mail", "").unwrap();
    let answer = report(&daemon, &json!({ "token_sha256": sha256(&second.token) }));
    assert_eq!((answer.generation, idp.totals("mail").requests), (3, 3));
}

#[test]
fn the_fourth_forced_refresh_in_five_minutes_is_refused_with_its_time() {
    let (idp, daemon) = with_mail(&forgiving());
    for _ in 0..3 {
        assert_eq!(receive(daemon.begin_refresh("mail")).unwrap().status, 200);
    }
    let refused = receive(daemon.begin_refresh("mail")).unwrap();
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert_eq!(refused.json::<Value>()["error_code"], "RATE_LIMIT_EXCEEDED");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(daemon.tokenctl(&["refresh", "mail"]).status.code(), Some(75));
    assert_eq!(idp.totals("mail").requests, 4);
    assert_eq!(daemon.token("mail", "").unwrap().generation, 4, "the current token stays");
}

#[test]
fn more_validity_than_the_provider_grants_is_refused_without_an_exchange() {
    let (idp, daemon) = with_mail(&json!({ "lifetime_secs": 600 }));
    let refused = daemon.token("mail", "?min_ttl=3600").err().unwrap();
    assert_eq!(refused.error_code.as_str(), "LIFETIME_TOO_SHORT");
    assert_eq!(daemon.token("mail", "?min_ttl=60").unwrap().generation, 1);
    assert_eq!(idp.totals("mail").requests, 1);
}

#[test]
fn an_expired_token_is_never_served() {
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &json!({ "lifetime_secs": 3 }));
    let keys = idp.keys("mail") + "rotation = \"none\"\n";
    let daemon = Daemon::start(&Config::default().account("mail", &keys));
    daemon.import("mail", &refresh_token);
    let token = daemon.token("mail", "").unwrap().token;
    idp.patch("mail", &json!({ "fault": { "fault": "status", "status": 503 } }));

    // The poll waits for another token. It ends when the known one has run out and the refresh failed.
    let reply = receive(daemon.begin_poll("mail", 1)).unwrap();
    assert_eq!(reply.status, 503, "{}", reply.body);
    assert!(!reply.body.contains(&token));
    let error = daemon.token("mail", "?wait=0").err().unwrap();
    assert_eq!(error.error_code.as_str(), "PROVIDER_UNAVAILABLE");
    let get = daemon.tokenctl(&["get", "mail", "--wait", "0s"]);
    assert_eq!((get.status.code(), get.stdout), (Some(75), Vec::new()));
    assert_eq!(daemon.account("mail").ttl, 0);

    idp.patch("mail", &json!({ "fault": null, "lifetime_secs": 600 }));
    daemon.tokenctl_does(&["wait", "mail"], None);
    assert!(idp.accepts("mail", &daemon.token("mail", "").unwrap().token));
}

#[test]
fn a_forgotten_refresh_token_can_be_replaced_by_an_import() {
    let (idp, daemon) = with_mail(&forgiving());
    idp.revoke("mail");
    let refused = receive(daemon.begin_refresh("mail")).unwrap();
    assert_eq!(refused.json::<Value>()["error_code"], "GRANT_REJECTED");
    let view = daemon.account("mail");
    assert_eq!(view.state, "suspect", "one refusal is not believed");

    daemon.import("mail", &idp.mint("mail"));
    let view = daemon.account("mail");
    assert_eq!((view.state.as_str(), view.refresh_error), ("fresh", None));
}

#[test]
fn a_refresh_token_out_of_an_open_file_is_imported_with_a_warning() {
    let (idp, daemon) = with_mail(&forgiving());
    let file = daemon.path("old-token");
    let import = ["import", "mail", "--refresh-token-file", file.to_str().unwrap()];
    for (mode, warns) in [(0o600, false), (0o644, true)] {
        fs::write(&file, idp.mint("mail")).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let output = daemon.tokenctl(&import);
        assert!(output.status.success(), "{}", said(&output));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(stderr.contains("(mode 0644); type: chmod 600 "), warns, "{stderr}");
    }
}

#[test]
fn a_secret_that_an_account_does_not_take_is_refused_before_it_is_asked_for() {
    let keys = "provider = \"navien\"\nemail = \"pat@example.test\"\n";
    let daemon = Daemon::start(&Config::default().account("boiler", keys));
    // Who asks for a secret that is not there says so.
    let refused = daemon.tokenctl(&["secret", "set", "boiler.totp"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert_eq!(
        said(&refused),
        "tokenctl: account boiler has no slot totp; it has password; see \"tokenctl secret set \
         --help\"\n"
    );
    daemon.tokenctl_does(&["secret", "set", "boiler.password"], Some("a password"));
}

#[test]
fn an_import_that_the_provider_refuses_replaces_nothing() {
    let (idp, daemon) = with_mail(&forgiving());
    let body = json!({ "refresh_token": "rt_of-nobody" }).to_string();
    let refused = daemon.ask(Request::with("POST", "/v1/accounts/mail/import", &body));
    assert_eq!(refused.status, 409, "{}", refused.body);
    let view = daemon.account("mail");
    assert_eq!((view.state.as_str(), view.generation, view.refresh_error), ("fresh", 1, None));
    daemon.tokenctl_does(&["refresh", "mail"], None);
    assert_eq!(idp.totals("mail").granted, 2);
}

fn report(daemon: &Daemon, body: &Value) -> RefreshAnswer {
    let body = body.to_string();
    daemon.ask(Request::with("POST", "/v1/accounts/mail/report?wait=60", &body)).success()
}

fn sha256(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
