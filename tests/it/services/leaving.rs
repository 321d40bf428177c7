//! The end of a login, and the sessions of an account, as far as each service has them.

use serde_json::Value;
use serde_json::json;

use crate::services::cognito::heatpump;
use crate::services::kasa_monitor::plugs;
use crate::services::navien::boiler_with;
use crate::support::http::Request;
use crate::support::idp::Idp;
use crate::support::process::said;

#[test]
fn a_logout_from_quilt_ends_this_login_at_the_pool_and_is_forgotten_here() {
    let (idp, daemon) = heatpump(&json!({}));
    daemon.import("heatpump", &idp.mint("heatpump"));
    let told = daemon.tokenctl_does(&["logout", "heatpump"], None);
    assert_eq!(told, "account heatpump: its login is ended at the provider and forgotten here\n");
    assert_eq!(daemon.account("heatpump").state, "vacant");
    assert_eq!(idp.story("heatpump"), ["refresh granted", "revoke done"]);
    assert_eq!(logins(&idp, "heatpump"), 1, "the user's other login goes on");
}

#[test]
fn a_pool_lists_no_sessions_and_ends_all_logins_of_the_user_at_once() {
    let (idp, daemon) = heatpump(&json!({}));
    daemon.import("heatpump", &idp.mint("heatpump"));
    for arguments in
        [["sessions", "heatpump"].as_slice(), &["sessions", "heatpump", "--terminate", "1"]]
    {
        let refused = daemon.tokenctl(arguments);
        assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    }
    daemon.tokenctl_does(&["sessions", "heatpump", "--terminate-all"], None);
    assert_eq!(idp.story("heatpump").get(..2).unwrap(), ["refresh granted", "sign-out done"]);
    assert_eq!(logins(&idp, "heatpump"), 0);
    daemon.until("heatpump", "refused", |account| account.refresh_error.is_some());
}

/// The account does not log in again by itself, although its password is stored.
#[test]
fn a_logout_from_navien_or_kasa_monitor_says_that_it_cannot_be_and_forgets_when_told_to() {
    let password: &[(&str, &str)] = &[("password", "pw")];
    let (boilers, boiler) = boiler_with(&json!({}), "", password);
    let (servers, outlets) = plugs(&json!({}), "", password);
    for (idp, mut daemon, account) in [(boilers, boiler, "boiler"), (servers, outlets, "plugs")] {
        daemon.token_after(account, 0);
        let refused = daemon.tokenctl(&["logout", account]);
        let words = said(&refused);
        assert_eq!(refused.status.code(), Some(3), "{words}");
        let socket = daemon.path("api.sock").display().to_string();
        let command = format!("tokenctl --socket {socket} logout {account} --local");
        for part in ["no way to end a login", "stays good until 20", &command] {
            assert!(words.contains(part), "{words}");
        }
        assert_eq!(daemon.account(account).state, "fresh", "nothing was forgotten");

        daemon.tokenctl_does(&["logout", account, "--local"], None);
        daemon.stop();
        daemon.begin();
        assert_eq!(daemon.account(account).state, "vacant");
        let error = daemon.token(account, "?wait=0").err().unwrap();
        assert_eq!(error.error_code.as_str(), "TOKEN_MISSING", "{}", error.message);
        assert_eq!(idp.story(account), ["sign-in granted"]);
    }
}

#[test]
fn the_sessions_of_a_kasa_monitor_that_has_them_are_listed_and_ended() {
    let has = json!({ "kasa_monitor": { "sessions": true, "errors": "wiki" } });
    let (idp, daemon) = plugs(&has, "", &[("password", "pw")]);
    daemon.token_after("plugs", 0);

    let listed = daemon.tokenctl_does(&["sessions", "plugs", "--json"], None);
    let listed = serde_json::from_str::<Value>(&listed).unwrap();
    let sessions = listed["sessions"].as_array().unwrap();
    let own = sessions.iter().find(|session| session["current"] == true).unwrap();
    let table = daemon.tokenctl_does(&["sessions", "plugs"], None);
    let id = own["id"].as_str().unwrap();
    assert!(table.contains(id), "{table}");

    let unknown = daemon.tokenctl(&["sessions", "plugs", "--terminate", "nobodys"]);
    assert!(said(&unknown).contains("no session of that id"), "{}", said(&unknown));
    daemon.tokenctl_does(&["sessions", "plugs", "--terminate", id], None);
    let token = daemon.token("plugs", "").unwrap();
    assert!(!idp.takes("plugs", &token.header), "the end of a session is that of its tokens");
}

#[test]
fn a_kasa_monitor_without_sessions_is_said_to_have_none() {
    let (_idp, daemon) = plugs(&json!({}), "", &[("password", "pw")]);
    daemon.token_after("plugs", 0);
    for arguments in [["sessions", "plugs"].as_slice(), &["sessions", "plugs", "--terminate-all"]] {
        let refused = daemon.tokenctl(arguments);
        assert!(!refused.status.success());
        assert!(said(&refused).contains("this server has no session API"), "{}", said(&refused));
    }
}

/// How many logins of an account are alive at its service.
fn logins(idp: &Idp, account: &str) -> usize {
    let path = format!("/control/accounts/{account}");
    let known: Value = Request::get(&path).on_tcp(&idp.address).unwrap().success();
    known["families"].as_array().unwrap().iter().filter(|family| family["alive"] == true).count()
}
