//! An ordinary day of the daemon, and the things that operators and programs do to it.

pub(crate) mod access;
mod activation;
mod backup;
mod grants;
mod lives;
mod login;
mod orders;
mod purge;
mod reload;
mod start;
mod unsaved;
mod who;

use serde_json::json;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::idp::Idp;

#[test]
fn an_imported_account_is_refreshed_before_each_expiry() {
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &json!({ "lifetime_secs": 16, "rotation": {} }));
    let daemon = Daemon::start(&Config::default().account("mail", &idp.keys("mail")));
    daemon.tokenctl_does(&["import", "mail", "--refresh-token-file", "-"], Some(&refresh_token));

    let mut token = daemon.token("mail", "").unwrap();
    for generation in 2..5 {
        let next = daemon.token_after("mail", token.generation);
        assert_eq!(next.generation, generation);
        assert_ne!(next.token, token.token);
        assert!(idp.accepts("mail", &token.token), "the old one was replaced before its end");
        assert!(idp.accepts("mail", &next.token));
        token = next;
    }
    let totals = idp.totals("mail");
    assert_eq!((totals.granted, totals.reuses), (4, 0));
}

/// A daemon with the account `mail`, which has its first token, and its provider.
///
/// The provider rotates at every use and forgives a spent token for 30 s; the daemon knows.
pub(crate) fn with_mail(behaviour: &serde_json::Value) -> (Idp, Daemon) {
    let idp = Idp::start();
    let refresh_token = idp.put("mail", behaviour);
    let keys = idp.keys("mail") + "rotation = \"30s\"\n";
    let daemon = Daemon::start(&Config::default().account("mail", &keys));
    daemon.import("mail", &refresh_token);
    (idp, daemon)
}

/// A provider's behaviour that fits [`with_mail`].
pub(crate) fn forgiving() -> serde_json::Value {
    json!({ "rotation": { "grace_secs": 30 } })
}
