//! Kasa Monitor: a login with or without one-time codes, and a server that crashes where it means
//! to refuse.

use serde_json::Value;
use serde_json::json;

use crate::services::with_secrets;
use crate::support::daemon::Daemon;
use crate::support::http::receive;
use crate::support::idp::Idp;

/// RFC 6238's own seed, in base32.
pub(super) const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

#[test]
fn a_stored_password_brings_the_first_tokens_with_and_without_one_time_codes() {
    let with_codes = json!({ "totp_secret": SEED });
    let secrets: [(Value, &[(&str, &str)]); 2] =
        [(json!({}), &[("password", "pw")]), (with_codes, &[("password", "pw"), ("totp", SEED)])];
    for (behaviour, secrets) in secrets {
        let (idp, daemon) = plugs(&behaviour, "", secrets);
        let token = daemon.token_after("plugs", 0);
        assert_eq!(token.header.value, format!("Bearer {}", token.token));
        assert!(idp.takes("plugs", &token.header));
        assert_eq!(receive(daemon.begin_refresh("plugs")).unwrap().status, 200);
        assert!(idp.takes("plugs", &daemon.token("plugs", "").unwrap().header));
        assert_eq!(idp.story("plugs"), ["sign-in granted", "refresh granted"]);
    }
}

/// The refresh token is good for seven days and opens the API as well, so it stays inside.
#[test]
fn two_refreshes_in_one_second_are_two_successes_and_the_old_refresh_token_is_no_loss() {
    let (idp, daemon) = plugs(&json!({}), "", &[("password", "pw")]);
    daemon.token_after("plugs", 0);
    for generation in 2..4 {
        assert_eq!(receive(daemon.begin_refresh("plugs")).unwrap().status, 200);
        assert_eq!(daemon.token("plugs", "").unwrap().generation, generation);
    }
    let totals = idp.totals("plugs");
    assert_eq!((totals.granted, totals.reuses), (3, 0));
}

#[test]
fn a_login_that_wants_a_code_which_nobody_stored_says_how_to_go_on() {
    let (idp, daemon) = plugs(&json!({ "totp_secret": SEED }), "", &[("password", "pw")]);
    let view = daemon.until("plugs", "refused", |view| view.refresh_error.is_some());
    let error = view.refresh_error.unwrap();
    assert_eq!((view.state.as_str(), error.error_code.as_str()), ("needs_login", "NEEDS_LOGIN"));
    assert!(error.message.contains("set totp for this account"), "{}", error.message);
    assert_eq!(idp.story("plugs").len(), 1, "one login, and no second one of the same kind");
}

#[test]
fn another_signing_key_costs_one_login_where_the_policy_says_so() {
    let (idp, daemon) = plugs(&json!({}), SIGN_IN, &[("password", "pw")]);
    daemon.token_after("plugs", 0);
    assert_eq!(receive(daemon.begin_refresh("plugs")).unwrap().status, 200);
    idp.patch("plugs", &json!({ "kasa_monitor": { "key": "another" } }));

    let waited = receive(daemon.begin_refresh("plugs")).unwrap();

    assert_eq!(waited.status, 200, "who waits gets what the login brought: {}", waited.body);
    let token = daemon.token("plugs", "").unwrap();
    assert_eq!(token.generation, 3);
    assert!(idp.takes("plugs", &token.header));
    let story = idp.story("plugs");
    assert_eq!(
        story,
        [
            "sign-in granted",
            "refresh granted",
            "refresh refused:unknown_token",
            "setup-required done",
            "sign-in granted"
        ]
    );
}

#[test]
fn by_default_another_signing_key_is_raised_although_a_password_is_stored() {
    let (idp, daemon) = plugs(&json!({}), "", &[("password", "pw")]);
    daemon.token_after("plugs", 0);
    idp.patch("plugs", &json!({ "kasa_monitor": { "key": "another" } }));

    assert_eq!(receive(daemon.begin_refresh("plugs")).unwrap().status, 409);

    assert_eq!(daemon.account("plugs").state, "suspect");
    let story = idp.story("plugs");
    assert_eq!(story.iter().filter(|told| told.starts_with("sign-in")).count(), 1, "{story:?}");
}

/// With `JWT_SECRET_KEY` in its environment the server refuses the tokens that it has just issued:
/// a keeper that logs in whenever a refresh is refused would do so for ever.
#[test]
fn a_server_that_refuses_its_own_tokens_gets_one_login_and_never_a_second() {
    for verification in ["no_secret", "other_secret"] {
        let (idp, daemon) = plugs(&json!({}), SIGN_IN, &[("password", "pw")]);
        daemon.token_after("plugs", 0);
        assert_eq!(receive(daemon.begin_refresh("plugs")).unwrap().status, 200);
        idp.patch("plugs", &json!({ "kasa_monitor": { "verification": verification } }));

        assert_eq!(receive(daemon.begin_refresh("plugs")).unwrap().status, 200, "{verification}");
        assert_eq!(receive(daemon.begin_refresh("plugs")).unwrap().status, 409, "{verification}");

        let error = daemon.account("plugs").refresh_error.unwrap();
        assert_eq!(error.error_code.as_str(), "GRANT_REJECTED", "{}", error.message);
        assert!(error.message.contains("JWT_SECRET_KEY"), "{}", error.message);
        let story = idp.story("plugs");
        let logins = story.iter().filter(|told| told.starts_with("sign-in")).count();
        assert_eq!(logins, 2, "{verification}: {story:?}");
    }
}

#[test]
fn the_words_of_the_mended_server_and_of_the_wiki_are_understood_like_the_crash() {
    for errors in ["server", "mended", "wiki"] {
        let words = json!({ "kasa_monitor": { "errors": errors } });
        let (idp, daemon) = plugs(&words, "", &[("password", "pw")]);
        daemon.token_after("plugs", 0);
        idp.patch("plugs", &json!({ "kasa_monitor": { "key": "another" } }));
        assert_eq!(receive(daemon.begin_refresh("plugs")).unwrap().status, 409, "{errors}");
        let view = daemon.account("plugs");
        let error = view.refresh_error.unwrap();
        assert_eq!(error.error_code.as_str(), "GRANT_REJECTED", "{errors}: {}", error.message);
        assert_eq!(view.state, "suspect", "{errors}");
    }
}

const SIGN_IN: &str = "on_refresh_failure = \"sign-in\"\n";

/// A daemon with the plugs of a home, whose secrets are stored.
pub(super) fn plugs(behaviour: &Value, further: &str, secrets: &[(&str, &str)]) -> (Idp, Daemon) {
    let mut behaviour = behaviour.clone();
    behaviour["service"] = json!("kasa-monitor");
    behaviour["username"] = json!("admin");
    behaviour["password"] = json!("pw");
    let keys = |idp: &Idp| {
        let url = idp.url("/plugs");
        format!(
            "provider = \"kasa-monitor\"\nbase_url = \"{url}\"\nusername = \"admin\"\n{further}"
        )
    };
    with_secrets("plugs", &behaviour, keys, secrets)
}
