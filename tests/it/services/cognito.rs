//! User pools of Amazon Cognito: Quilt's, and others with passwords, secrets and rotation.

use serde_json::Value;
use serde_json::json;

use crate::services::with_secrets;
use crate::support::daemon::Daemon;
use crate::support::http::receive;
use crate::support::idp::Idp;

#[test]
fn quilt_is_served_the_bare_id_token_and_is_told_as_quilt() {
    let (idp, daemon) = heatpump(&json!({}));
    daemon.import("heatpump", &idp.mint("heatpump"));

    assert_eq!(receive(daemon.begin_refresh("heatpump")).unwrap().status, 200);

    let token = daemon.token("heatpump", "").unwrap();
    assert_eq!((token.kind.as_str(), token.header.name.as_str()), ("id", "authorization"));
    assert_eq!(token.header.value, token.token);
    assert!(idp.takes("heatpump", &token.header));
    assert!(daemon.token("heatpump", "?kind=access").is_ok(), "it is kept for a sign-out");
    assert_eq!(daemon.account("heatpump").provider, "quilt");
    assert_eq!(idp.story("heatpump"), ["refresh granted", "refresh granted"]);
}

#[test]
fn a_stored_password_brings_the_first_tokens_with_and_without_a_client_secret() {
    let proven = "client_auth = \"secret-hash\"\n";
    let cases = [
        (json!({}), "", &[("password", "pw")][..]),
        (
            json!({ "client_secret": "hush" }),
            proven,
            &[("password", "pw"), ("client_secret", "hush")],
        ),
    ];
    for (behaviour, further, secrets) in cases {
        let (idp, daemon) = pool(&behaviour, further, secrets);
        let token = daemon.token_after("pool", 0);
        assert_eq!(token.header.value, format!("Bearer {}", token.token));
        assert_eq!(receive(daemon.begin_refresh("pool")).unwrap().status, 200, "{behaviour}");
        assert_eq!(idp.story("pool"), ["sign-in granted", "refresh granted"], "{behaviour}");
    }
}

#[test]
fn a_pool_that_rotates_is_refreshed_by_its_own_operation_and_forgives_a_lost_reply() {
    let rotates = json!({ "rotation": { "grace_secs": 30 } });
    let (idp, daemon) = pool(&rotates, "rotation = \"30s\"\n", &[("password", "pw")]);
    daemon.token_after("pool", 0);
    assert_eq!(receive(daemon.begin_refresh("pool")).unwrap().status, 200);

    let lost = json!([{ "fault": "lost", "after_commit": true, "on": "refresh" }]);
    idp.next("pool", &lost);
    assert_eq!(receive(daemon.begin_refresh("pool")).unwrap().status, 503);

    daemon.until("pool", "refreshed", |view| view.state == "fresh" && view.generation == 3);
    let totals = idp.totals("pool");
    assert_eq!((totals.replays, totals.reuses), (1, 0));
    assert_eq!(receive(daemon.begin_refresh("pool")).unwrap().status, 200);
}

#[test]
fn a_pool_that_rotates_after_all_refuses_the_other_operation_and_costs_no_login() {
    let rotates = json!({ "rotation": { "grace_secs": 30 } });
    let (_idp, daemon) = pool(&rotates, "", &[("password", "pw")]);
    let first = daemon.token_after("pool", 0);

    assert_eq!(receive(daemon.begin_refresh("pool")).unwrap().status, 409);

    let view = daemon.account("pool");
    let error = view.refresh_error.unwrap();
    assert_eq!(error.error_code.as_str(), "CLIENT_REJECTED", "{}", error.message);
    assert_eq!(view.state, "frozen");
    assert_eq!(daemon.token("pool", "").unwrap().token, first.token);
}

#[test]
fn a_login_that_was_ended_elsewhere_is_noticed_at_once_and_in_the_pools_own_words() {
    for error_type in ["bare", "prefixed", "header"] {
        let spelled = json!({ "cognito": { "error_type": error_type } });
        let (idp, daemon) = pool(&spelled, "", &[("password", "pw")]);
        daemon.token_after("pool", 0);
        idp.revoke("pool");

        assert_eq!(receive(daemon.begin_refresh("pool")).unwrap().status, 409, "{error_type}");

        let view = daemon.account("pool");
        assert_eq!(view.state, "needs_login", "{error_type}");
        let error = view.refresh_error.unwrap();
        assert!(error.message.contains("Refresh Token has been revoked"), "{}", error.message);
    }
}

#[test]
fn an_ended_login_is_followed_by_one_sign_in_where_the_policy_says_so() {
    let policy = "on_refresh_failure = \"sign-in\"\n";
    let (idp, daemon) = pool(&json!({}), policy, &[("password", "pw")]);
    daemon.token_after("pool", 0);
    assert_eq!(receive(daemon.begin_refresh("pool")).unwrap().status, 200);
    idp.revoke("pool");

    assert_eq!(receive(daemon.begin_refresh("pool")).unwrap().status, 200);

    let story = idp.story("pool");
    assert_eq!(story[2..], ["refresh refused:ended_login", "sign-in granted"]);
}

/// A daemon with a heat pump that nobody has logged in.
pub(super) fn heatpump(behaviour: &Value) -> (Idp, Daemon) {
    let mut behaviour = behaviour.clone();
    behaviour["service"] = json!("cognito");
    behaviour["username"] = json!("pat@example.test");
    let keys = |idp: &Idp| {
        let url = idp.url("/heatpump/");
        format!(
            "provider = \"quilt\"\nendpoint = \"{url}\"\nclient_id = \"heatpump\"\n\
             email = \" Pat@Example.test\"\n"
        )
    };
    with_secrets("heatpump", &behaviour, keys, &[])
}

/// A daemon with an account in a pool, whose secrets are stored.
pub(super) fn pool(behaviour: &Value, further: &str, secrets: &[(&str, &str)]) -> (Idp, Daemon) {
    let mut behaviour = behaviour.clone();
    behaviour["service"] = json!("cognito");
    behaviour["username"] = json!("pat");
    behaviour["password"] = json!("pw");
    let keys = |idp: &Idp| {
        let url = idp.url("/pool/");
        format!(
            "provider = \"cognito\"\nendpoint = \"{url}\"\nclient_id = \"pool\"\n\
             username = \"pat\"\n{further}"
        )
    };
    with_secrets("pool", &behaviour, keys, secrets)
}
