//! Starts that are refused, and what they say.

use std::fs;

use serde_json::json;

use super::with_mail;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::process::run;
use crate::support::process::said;

#[test]
fn a_second_daemon_on_the_same_state_ends_and_names_the_first() {
    let daemon = Daemon::start(&Config::default());
    let second = run(&mut daemon.command(), None);
    assert_eq!(second.status.code(), Some(75), "{}", said(&second));
    assert!(said(&second).contains(&format!("process {}", daemon.id())), "{}", said(&second));
    assert_eq!(daemon.tokenctl(&["status"]).status.code(), Some(0));
}

#[test]
fn a_store_without_its_key_is_refused_and_left_alone() {
    let (_idp, mut daemon) = with_mail(&json!({}));
    daemon.stop();
    let key = daemon.path("state/store.key");
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();

    let refused = run(&mut daemon.command(), None);
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    assert!(said(&refused).contains("store key is missing"), "{}", said(&refused));
    assert!(!key.exists(), "a new key would open nothing");

    daemon.write("state/store.key", std::str::from_utf8(&kept).unwrap());
    daemon.begin();
    assert_eq!(daemon.token("mail", "").unwrap().generation, 1);
}

#[test]
fn a_broken_configuration_is_refused_with_every_error() {
    let config = Config::default()
        .daemon("log = \"loud\"")
        .account("Mail", "client_id = \"a\"\ntoken_endpoint = \"https://idp.example/token\"")
        .account("a", "clientid = \"a\"\ntoken_endpoint = \"https://idp.example/token\"")
        .account("b", "client_id = \"b\"\ntoken_endpoint = \"http://idp.example/token\"")
        .account("c", "client_id = \"c\"\nissuer = \"https://idp.example\"\nrotation = \"often\"");
    let daemon = Daemon::new(&config);

    let refused = run(&mut daemon.command(), None);
    let said = said(&refused);
    assert_eq!(refused.status.code(), Some(78), "{said}");
    for part in
        ["daemon.log", "Mail", "clientid", "accounts.b.token_endpoint", "accounts.c.rotation"]
    {
        assert!(said.contains(part), "{part} is missing:\n{said}");
    }
    assert!(!daemon.path("state").exists(), "nothing is touched before the configuration is right");
}

#[test]
fn a_daemon_without_accounts_answers() {
    let daemon = Daemon::start(&Config::default());
    assert_eq!(daemon.tokenctl_does(&["list", "--json"], None).trim(), "{\"accounts\":[]}");
}
