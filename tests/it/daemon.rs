//! An ordinary day of the daemon, and the things that operators and programs do to it.

use serde_json::json;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::idp::Idp;

#[test]
fn an_imported_account_is_refreshed_before_each_expiry() {
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &json!({ "lifetime_secs": 12, "rotation": {} }));
    let daemon = Daemon::start(&Config::default().account("mail", &idp.keys("mail")));
    daemon.tokenctl_does(&["import", "mail", "--refresh-token-file", "-"], Some(&refresh_token));

    let mut token = daemon.token("mail", "").unwrap();
    for generation in 2..4 {
        assert!(idp.accepts("mail", &token.token));
        let next = daemon.token_after("mail", token.generation);
        assert_eq!(next.generation, generation);
        assert_ne!(next.token, token.token);
        assert!(idp.accepts("mail", &token.token), "the old one was replaced before its end");
        token = next;
    }
    let totals = idp.totals("mail");
    assert_eq!((totals.granted, totals.reuses), (3, 0));
}
