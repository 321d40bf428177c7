//! What users read of every failure, service by service: the tables of tokenkeeper-providers(7),
//! each row of which the real daemon produces here against the scripted service.
//!
//! A row that differs is printed as the page should have it.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tokenkeeper::protocol::error::ErrorBody;
use tokenkeeper::protocol::login::LoginView;

use crate::services::cognito::heatpump;
use crate::services::cognito::pool;
use crate::services::kasa_monitor::SEED;
use crate::services::kasa_monitor::plugs;
use crate::services::navien::boiler_with;
use crate::support::daemon::Daemon;
use crate::support::http::Request;
use crate::support::http::receive;
use crate::support::idp::Idp;
use crate::support::process::let_pass;

const PAGE: &str = include_str!("../../../packaging/man/tokenkeeper-providers.7");

/// The widest line of a table: it stands indented in 78 columns.
const WIDTH: usize = 68;

#[test]
fn the_page_tells_every_failure_of_user_pools_as_users_read_it() {
    let wrong: &[(&str, &str)] = &[("password", "no")];
    let rows = [
        row("wrong password, stored", sealed(pool(&json!({}), "", &[]), "pool", wrong)),
        row("wrong password, out of a file", stored(pool(&json!({}), "", wrong), "pool")),
        row("wrong password, typed", typed(&pool(&json!({}), "", &[]).1, "pool", &["no"])),
        row("wrong code, three times", typed(&heatpump(&json!({})).1, "heatpump", &["1"; 3])),
        row("expired challenge", expired_challenge()),
        row("disabled user", heatpump_fails(|idp| user_is(idp, "disabled"))),
        row("disabled user, at a login", disabled_at_login()),
        row("revoked token", heatpump_fails(|idp| idp.revoke("heatpump"))),
        row("rate limit", heatpump_fails(|idp| refuses(idp, "TooManyRequestsException"))),
        row("captive portal", heatpump_fails(|idp| idp.next("heatpump", &json!(["html"])))),
    ];
    assert_eq!(table("User pools"), rendered(&rows));
}

#[test]
fn the_page_tells_every_failure_of_navien_as_users_read_it() {
    let wrong = sealed(boiler_with(&json!({}), "", &[]), "boiler", &[("password", "no")]);
    let disabled = json!([{ "fault": "refusal", "code": "403", "message": "FORBIDDEN" }]);
    let many = json!([{ "fault": "refusal", "code": "429", "message": "TOO_MANY_REQUESTS" }]);
    let rows = [
        row("wrong password, stored", wrong),
        row("wrong password, typed", typed(&boiler_with(&json!({}), "", &[]).1, "boiler", &["no"])),
        row("disabled user", boiler_fails(|idp| idp.next("boiler", &disabled))),
        row("revoked token, or another signing key", boiler_fails(|idp| idp.revoke("boiler"))),
        row("rate limit", boiler_fails(|idp| idp.next("boiler", &many))),
        row("captive portal", boiler_fails(|idp| idp.next("boiler", &json!(["html"])))),
    ];
    assert_eq!(table("Navien"), rendered(&rows));
}

#[test]
fn the_page_tells_every_failure_of_kasa_monitor_as_users_read_it() {
    let password: &[(&str, &str)] = &[("password", "pw")];
    let other_seed: &[(&str, &str)] = &[("password", "pw"), ("totp", "JBSWY3DPEHPK3PXP")];
    let codes = json!({ "totp_secret": SEED });
    let is = |option: &'static str, value: Value| {
        move |idp: &Idp| idp.patch("plugs", &json!({ "kasa_monitor": { option: value } }))
    };
    let wrong = sealed(plugs(&json!({}), "", &[]), "plugs", &[("password", "no")]);
    let disabled = plugs(&json!({ "kasa_monitor": { "active": false } }), "", &[]);
    let crowded = plugs(&json!({ "kasa_monitor": { "login_per_minute": 0 } }), "", password);
    let rows = [
        row("wrong password, stored", wrong),
        row("wrong password, typed", typed(&plugs(&json!({}), "", &[]).1, "plugs", &["no"])),
        row(
            "a code is wanted, and no seed is stored",
            stored(plugs(&codes, "", password), "plugs"),
        ),
        row(
            "wrong code, of a stored seed",
            sealed(plugs(&codes, "totp = true\n", &[]), "plugs", other_seed),
        ),
        row("wrong code, three times", three_wrong_codes(&codes)),
        row("disabled user", plugs_fail(is("active", json!(false)))),
        row("disabled user, at a login", sealed(disabled, "plugs", password)),
        row("revoked token", plugs_fail(|idp| idp.revoke("plugs"))),
        row("another signing key", plugs_fail(is("key", json!("another")))),
        row(
            "no signing key, or JWT_SECRET_KEY is set",
            plugs_fail(is("verification", json!("no_secret"))),
        ),
        row("rate limit of refreshes", plugs_fail(is("refresh_per_minute", json!(0)))),
        row(
            "rate limit of refreshes, of a mended server",
            plugs_fail(|idp| {
                let mended = json!({ "errors": "mended", "refresh_per_minute": 0 });
                idp.patch("plugs", &json!({ "kasa_monitor": mended }));
            }),
        ),
        row("rate limit of logins", stored(crowded, "plugs")),
        row("captive portal", plugs_fail(|idp| idp.next("plugs", &json!(["html"])))),
    ];
    assert_eq!(table("Kasa Monitor"), rendered(&rows));
}

/// A person who answers too late is asked for a new login, by the daemon's own clock as well.
#[test]
fn a_wrong_code_is_asked_for_again_with_the_time_that_is_left() {
    let (_idp, daemon) = heatpump(&json!({}));
    let asked = begin(&daemon, "heatpump");
    let prompt = asked.prompt.as_ref().unwrap();
    assert_eq!((&*prompt.kind, prompt.again), ("code", false));
    assert!(prompt.ttl.is_some_and(|ttl| (170..=180).contains(&ttl)), "{:?}", prompt.ttl);
    let asked = answer(&daemon, "heatpump", &asked, "1").unwrap();
    assert!(asked.prompt.unwrap().again);
}

#[test]
fn no_code_is_sent_where_nobody_can_type_it_and_no_login_is_counted() {
    let (idp, daemon) = heatpump(&json!({}));
    // More than a minute allows one user.
    for _ in 0..6 {
        let body = json!({ "unattended": true }).to_string();
        let reply = daemon.ask(Request::with("POST", &path("heatpump"), &body));
        let error = reply.json::<ErrorBody>();
        assert_eq!(error.error_code.as_str(), "NOT_SUPPORTED", "{}", error.message);
        assert!(!error.message.contains("tokenctl"), "{}", error.message);
    }
    assert_eq!(idp.totals("heatpump").requests, 0);
    assert!(begin(&daemon, "heatpump").prompt.is_some());
}

#[test]
fn the_right_code_logs_in() {
    let (idp, daemon) = heatpump(&json!({ "cognito": { "code": "204817" } }));
    let asked = begin(&daemon, "heatpump");
    let done = answer(&daemon, "heatpump", &asked, "204817").unwrap();
    assert_eq!((&*done.state, done.generation), ("done", Some(1)));
    assert!(idp.takes("heatpump", &daemon.token("heatpump", "").unwrap().header));
}

/// One row of a table.
struct Row {
    situation: &'static str,
    error: ErrorBody,
}

const fn row(situation: &'static str, error: ErrorBody) -> Row {
    Row { situation, error }
}

/// The table as the page has it.
fn rendered(rows: &[Row]) -> String {
    rows.iter()
        .map(|Row { situation, error }| {
            let (code, remedy) = (error.error_code.as_str(), error.remedy.as_str());
            format!("{situation}:\n  {code} ({remedy})\n{}", wrapped(&error.message))
        })
        .collect()
}

fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            lines.push_str(&format!("  {line}\n"));
            line.clear();
        }
        line.push_str(if line.is_empty() { "" } else { " " });
        line.push_str(word);
    }
    lines + &format!("  {line}\n")
}

/// The table below a heading of the page.
fn table(heading: &str) -> String {
    let (_, rest) = PAGE.split_once(&format!(".Ss {heading}: what is said\n")).unwrap();
    let (_, rest) = rest.split_once(".Bd -literal\n").unwrap();
    rest.split_once(".Ed\n").unwrap().0.to_owned()
}

/// The failure of a sign-in with these secrets, once they are sealed into the store.
fn sealed((idp, daemon): (Idp, Daemon), account: &str, secrets: &[(&str, &str)]) -> ErrorBody {
    for (slot, value) in secrets {
        let body = json!({ "slot": slot, "value": value }).to_string();
        let target = format!("/v1/accounts/{account}/secret");
        assert_eq!(daemon.ask(Request::with("POST", &target, &body)).status, 200);
    }
    stored((idp, daemon), account)
}

/// The failure of a sign-in with the secrets that it finds.
fn stored((_idp, daemon): (Idp, Daemon), account: &str) -> ErrorBody {
    daemon.until(account, "refused", |view| view.refresh_error.is_some());
    let error = *daemon.token(account, "?wait=0").err().unwrap();
    seen_everywhere(&daemon, account, error)
}

/// The failure of a refresh.
fn refreshed(daemon: &Daemon, account: &str) -> ErrorBody {
    let reply = receive(daemon.begin_refresh(account)).unwrap();
    seen_everywhere(daemon, account, reply.json())
}

/// The failure of a login by a person who answers like that.
fn typed(daemon: &Daemon, account: &str, answers: &[&str]) -> ErrorBody {
    let mut view = begin(daemon, account);
    for text in answers {
        match answer(daemon, account, &view, text) {
            Ok(next) => view = next,
            Err(error) => return *error,
        }
    }
    panic!("the login did not fail: {}", view.message)
}

/// That whoever asks reads the same: the account's view, and `tokenctl why`, which puts into
/// commands what chose the daemon.
fn seen_everywhere(daemon: &Daemon, account: &str, error: ErrorBody) -> ErrorBody {
    let shown = daemon.account(account).refresh_error.unwrap();
    assert_eq!((shown.error_code, &shown.message), (error.error_code, &error.message));
    let words = error.message.strip_prefix(&format!("account {account}: ")).unwrap();
    let choice = format!(" --socket {}", daemon.path("api.sock").display());
    let why = daemon.tokenctl_does(&["why", account], None).replace(&choice, "");
    let told = format!("The error is {}: {words}", error.error_code.as_str());
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat(&why).contains(&flat(&told)), "{told}\n{why}");
    error
}

fn begin(daemon: &Daemon, account: &str) -> LoginView {
    daemon.ask(Request::with("POST", &path(account), "{}")).success()
}

fn answer(
    daemon: &Daemon,
    account: &str,
    view: &LoginView,
    text: &str,
) -> Result<LoginView, Box<ErrorBody>> {
    let body = json!({ "login": view.login, "answer": text, "seen": view.turn }).to_string();
    let reply = daemon.ask(Request::with("POST", &path(account), &body));
    if reply.status == 200 { Ok(reply.json()) } else { Err(reply.json()) }
}

fn path(account: &str) -> String {
    format!("/v1/accounts/{account}/login?wait=60")
}

fn expired_challenge() -> ErrorBody {
    let behaviour = json!({ "cognito": { "session_secs": 1, "code": "204817" } });
    let (_idp, daemon) = heatpump(&behaviour);
    let asked = begin(&daemon, "heatpump");
    let_pass(Duration::from_millis(1100));
    *answer(&daemon, "heatpump", &asked, "204817").err().unwrap()
}

fn disabled_at_login() -> ErrorBody {
    let (_idp, daemon) = heatpump(&json!({ "cognito": { "user": "disabled" } }));
    daemon.ask(Request::with("POST", &path("heatpump"), "{}")).json()
}

fn three_wrong_codes(behaviour: &Value) -> ErrorBody {
    let (_idp, daemon) = plugs(behaviour, "", &[]);
    typed(&daemon, "plugs", &["pw", "1", "1", "1"])
}

fn user_is(idp: &Idp, how: &str) {
    idp.patch("heatpump", &json!({ "cognito": { "user": how } }));
}

fn refuses(idp: &Idp, exception: &str) {
    idp.next(
        "heatpump",
        &json!([{ "fault": "refusal", "code": exception, "message": "Rate exceeded" }]),
    );
}

/// The failure of a heat pump's refresh after something happened at the service.
fn heatpump_fails(happens: impl FnOnce(&Idp)) -> ErrorBody {
    let (idp, daemon) = heatpump(&json!({}));
    daemon.import("heatpump", &idp.mint("heatpump"));
    happens(&idp);
    refreshed(&daemon, "heatpump")
}

fn boiler_fails(happens: impl FnOnce(&Idp)) -> ErrorBody {
    let (idp, daemon) = boiler_with(&json!({}), "", &[("password", "pw")]);
    daemon.token_after("boiler", 0);
    happens(&idp);
    refreshed(&daemon, "boiler")
}

fn plugs_fail(happens: impl FnOnce(&Idp)) -> ErrorBody {
    let (idp, daemon) = plugs(&json!({}), "", &[("password", "pw")]);
    daemon.token_after("plugs", 0);
    happens(&idp);
    refreshed(&daemon, "plugs")
}
