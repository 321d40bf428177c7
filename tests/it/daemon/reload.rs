//! Changes of the configuration while the daemon runs.

use serde_json::Value;
use serde_json::json;
use tokenkeeper::protocol::account::AccountList;
use tokenkeeper::protocol::account::TokenAnswer;

use super::forgiving;
use super::with_mail;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::Request;
use crate::support::http::receive;
use crate::support::idp::Idp;
use crate::support::process::said;

#[test]
fn a_reload_adds_removes_and_changes_accounts_and_leaves_the_others_alone() {
    let idp = Idp::start();
    let mut config = Config::default();
    for name in ["kept", "changed", "removed"] {
        config = config.account(name, &idp.keys(name));
    }
    let daemon = Daemon::start(&config);
    for name in ["kept", "changed", "removed"] {
        daemon.import(name, &idp.put(name, &json!({ "rotation": {} })));
    }
    let waiter = daemon.begin_poll("kept", 1);

    let config = Config::default()
        .account("kept", &idp.keys("kept"))
        .account("changed", &(idp.keys("changed") + "refresh_before = \"50%\"\n"))
        .account("added", &idp.keys("added"));
    daemon.configure(&config);
    let view: Value =
        serde_json::from_str(&daemon.tokenctl_does(&["reload", "--json"], None)).unwrap();
    assert_eq!(view["added"], json!(["added"]));
    assert_eq!(view["removed"], json!(["removed"]));
    assert_eq!(view["changed"], json!(["changed"]));
    assert_eq!((&view["needs_login"], &view["unchanged"]), (&json!([]), &json!(1)));

    let accounts = daemon.ask(Request::get("/v1/accounts")).success::<AccountList>().accounts;
    let seen = accounts.iter().map(|it| (it.account.as_str(), it.state.as_str(), it.generation));
    let expected = [("added", "vacant", 0), ("changed", "fresh", 1), ("kept", "fresh", 1)];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    let gone = daemon.token("removed", "").err().unwrap();
    assert_eq!(gone.error_code.as_str(), "ACCOUNT_UNKNOWN");

    daemon.tokenctl_does(&["refresh", "kept"], None);
    let answer: TokenAnswer = receive(waiter).unwrap().success();
    assert_eq!(answer.generation, 2, "who waited before the reload is answered after it");
}

#[test]
fn a_removed_account_that_comes_back_has_its_credential() {
    let (idp, daemon) = with_mail(&forgiving());
    daemon.configure(&Config::default());
    daemon.reload_by_signal();
    assert!(daemon.token("mail", "").is_err());

    daemon.configure(&Config::default().account("mail", &idp.keys("mail")));
    daemon.reload_by_signal();
    daemon.until("mail", "fresh", |view| view.state == "fresh");
    assert_eq!(daemon.token("mail", "").unwrap().generation, 1);
    assert_eq!(idp.totals("mail").requests, 1);
}

#[test]
fn a_broken_reload_changes_nothing_and_says_what_is_wrong() {
    let (idp, daemon) = with_mail(&forgiving());
    daemon.configure(&Config::default().account("mail", "client_id = 7").account("new", ""));

    daemon.reload_by_signal();
    // The second question is answered after what the signal led to was logged.
    for verb in [["reload"].as_slice(), &["config", "check"]] {
        let refused = daemon.tokenctl(verb);
        assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
        for part in ["accounts.mail.client_id", "accounts.new"] {
            assert!(said(&refused).contains(part), "{}", said(&refused));
        }
    }
    // Whoever asks by a request is told, and so is whoever reads the log.
    daemon.logs_times("the configuration stays as it was", 2);

    daemon.tokenctl_does(&["refresh", "mail"], None);
    assert_eq!(daemon.token("mail", "").unwrap().generation, 2);
    assert_eq!(idp.totals("mail").granted, 2);
}

#[test]
fn an_account_that_leads_elsewhere_needs_a_login_and_sends_nothing_there() {
    let (idp, daemon) = with_mail(&forgiving());
    let elsewhere = idp.put("other", &forgiving());
    daemon.configure(&Config::default().account("mail", &idp.keys("other")));
    let view: Value =
        serde_json::from_str(&daemon.tokenctl_does(&["reload", "--json"], None)).unwrap();
    assert_eq!(view["needs_login"], json!(["mail"]));

    daemon.until("mail", "in need of a login", |view| view.state == "needs_login");
    let refused = daemon.token("mail", "").err().unwrap();
    assert_eq!(refused.error_code.as_str(), "NEEDS_LOGIN");
    assert_eq!(daemon.tokenctl(&["retry", "mail"]).status.code(), Some(3));
    assert_eq!(receive(daemon.begin_refresh("mail")).unwrap().status, 409);
    assert_eq!((idp.totals("other").requests, idp.totals("mail").requests), (0, 1));

    daemon.configure(&Config::default().account("mail", &idp.keys("mail")));
    for verb in [["config", "check", "--json"].as_slice(), &["reload", "--json"]] {
        let view: Value = serde_json::from_str(&daemon.tokenctl_does(verb, None)).unwrap();
        assert_eq!((&view["changed"], &view["needs_login"]), (&json!(["mail"]), &json!([])));
    }
    daemon.tokenctl_does(&["refresh", "mail"], None);
    daemon.configure(&Config::default().account("mail", &idp.keys("other")));
    daemon.tokenctl_does(&["reload"], None);

    daemon.import("mail", &elsewhere);
    assert!(idp.accepts("other", &daemon.token("mail", "").unwrap().token));
}

#[test]
fn what_only_a_restart_can_change_is_named() {
    let daemon = Daemon::start(&Config::default());
    let listen = "[[listen]]\npath = \"/nonexistent/ci.sock\"\naccounts = [\"ci\"]\n";
    let config = Config::default()
        .account("ci", "client_id = \"ci\"\ntoken_endpoint = \"https://idp.example/token\"\n");
    daemon.configure(&config.table(listen));
    let view: Value =
        serde_json::from_str(&daemon.tokenctl_does(&["reload", "--json"], None)).unwrap();
    assert_eq!(view["restart"], json!(["listen"]));
}
