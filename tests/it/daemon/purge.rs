//! What the store keeps of accounts that are configured no longer.

use serde_json::Value;

use super::forgiving;
use super::with_mail;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::idp::Idp;
use crate::support::process::said;

#[test]
fn a_removed_account_is_found_by_doctor_until_it_is_configured_again_or_purged() {
    let (idp, mut daemon) = with_mail(&forgiving());
    let keys = idp.keys("mail") + "rotation = \"30s\"\nclient_auth = \"post\"\n";
    let with_mail = Config::default().account("mail", &keys);
    daemon.configure(&with_mail);
    daemon.reload_by_signal();
    daemon.tokenctl_does(&["secret", "set", "mail.client_secret", "--file", "-"], Some("hush"));
    assert_eq!(left_over(&daemon), None, "what is configured is not left over");
    let configured = daemon.tokenctl(&["purge", "mail"]);
    assert_eq!(configured.status.code(), Some(3), "{}", said(&configured));

    daemon.configure(&Config::default());
    daemon.reload_by_signal();
    let found = "it is not configured, and the store still has its credential and a secret of it";
    assert_eq!(left_over(&daemon).as_deref(), Some(found));
    daemon.stop();
    daemon.begin();
    assert_eq!(left_over(&daemon).as_deref(), Some(found), "a start knows it as well");

    daemon.tokenctl_does(&["purge", "mail"], None);
    assert_eq!(left_over(&daemon), None);
    let again = daemon.tokenctl(&["purge", "mail"]);
    assert_eq!(again.status.code(), Some(4), "{}", said(&again));
    daemon.configure(&with_mail);
    daemon.reload_by_signal();
    assert_eq!(daemon.account("mail").state, "vacant", "it begins anew");
}

/// What an exchange brings that was under way at the removal would bring the account back
/// into the store.
#[test]
fn an_account_in_mid_exchange_is_not_purged() {
    let (idp, daemon) = with_mail(&forgiving());
    idp.hold("mail", false);
    let _waiting = daemon.begin_refresh("mail");
    idp.wait("mail", "held=1");
    daemon.configure(&Config::default());
    daemon.reload_by_signal();

    let early = daemon.tokenctl(&["purge", "mail"]);
    assert_eq!(early.status.code(), Some(75), "{}", said(&early));
    release_and_purge(&idp, &daemon);
    assert_eq!(left_over(&daemon), None);
}

/// Purges as soon as that is possible.
fn release_and_purge(idp: &Idp, daemon: &Daemon) {
    const ROUNDS: usize = 10_000;

    idp.release("mail");
    let purged = (0..ROUNDS).any(|_| daemon.order("mail", "purge").status == 200);
    assert!(purged, "the exchange never ended");
}

/// What `doctor` says of an account that is not configured.
fn left_over(daemon: &Daemon) -> Option<String> {
    let told = daemon.tokenctl(&["doctor", "--json"]);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let findings = told["findings"].as_array().unwrap().iter();
    let mut messages = findings.filter_map(|finding| finding["message"].as_str());
    messages.find(|message| message.starts_with("it is not configured")).map(str::to_owned)
}
