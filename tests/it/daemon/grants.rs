//! How tokens are asked for: grants, discovery, client authentication, and where secrets come from.

use serde_json::json;

use super::with_mail;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::receive;
use crate::support::idp::Idp;

#[test]
fn a_client_credentials_account_starts_by_itself_with_a_secret_from_a_file() {
    let idp = Idp::start();
    idp.put("ci", &json!({ "client_auth": "basic" }));
    let mut daemon = Daemon::new(&Config::default());
    daemon.write("ci-secret", "secret-of-ci\n");
    let file = daemon.path("ci-secret");
    let keys = format!(
        "{}grant = \"client_credentials\"\nclient_secret = {{ file = \"{}\" }}\n",
        idp.keys("ci"),
        file.display()
    );
    daemon.configure(&Config::default().account("ci", &keys));

    daemon.begin();

    let token = daemon.token("ci", "").unwrap();
    assert!(idp.accepts("ci", &token.token));
    assert_eq!(token.header.value, format!("Bearer {}", token.token));
}

#[test]
fn every_client_authentication_is_spoken_with_a_secret_from_its_slot() {
    let idp = Idp::start();
    let mut config = Config::default();
    for auth in ["basic", "post", "none"] {
        let keys = format!("{}client_auth = \"{auth}\"\n", idp.keys(auth));
        config = config.account(auth, &keys);
    }
    let daemon = Daemon::start(&config);
    for auth in ["basic", "post", "none"] {
        let refresh_token = idp.put(auth, &json!({ "client_auth": auth, "rotation": {} }));
        if auth != "none" {
            let (slot, secret) = (format!("{auth}.client_secret"), format!("secret-of-{auth}"));
            daemon.tokenctl_does(&["secret", "set", &slot, "--file", "-"], Some(&secret));
        }
        daemon.import(auth, &refresh_token);
        assert!(idp.accepts(auth, &daemon.token(auth, "").unwrap().token), "{auth}");
    }
}

#[test]
fn an_empty_slot_is_not_said_to_be_forgotten() {
    let idp = Idp::start();
    let keys = format!("{}client_auth = \"basic\"\n", idp.keys("mail"));
    let daemon = Daemon::start(&Config::default().account("mail", &keys));
    let forget = || daemon.tokenctl_does(&["secret", "forget", "mail.client_secret"], None);
    let nothing = "account mail: the slot was empty, so there was nothing to forget\n";
    assert_eq!(forget(), nothing);
    let set = ["secret", "set", "mail.client_secret", "--file", "-"];
    daemon.tokenctl_does(&set, Some("secret-of-mail"));
    assert_eq!(forget(), "account mail: the secret is forgotten\n");
    assert_eq!(forget(), nothing);
}

#[test]
fn a_missing_secret_freezes_its_account_until_it_is_set() {
    let idp = Idp::start();
    idp.put("ci", &json!({ "client_auth": "post" }));
    let keys = idp.keys("ci") + "grant = \"client_credentials\"\nclient_auth = \"post\"\n";
    let daemon = Daemon::start(&Config::default().account("ci", &keys));

    let view = daemon.until("ci", "frozen", |view| view.state == "frozen");
    let error = view.refresh_error.unwrap();
    assert_eq!(error.error_code.as_str(), "SECRET_UNAVAILABLE");
    assert!(error.message.contains("tokenctl secret set ci.client_secret"), "{}", error.message);
    assert_eq!(idp.totals("ci").requests, 0);

    let set = ["secret", "set", "ci.client_secret", "--file", "-"];
    daemon.tokenctl_does(&set, Some("secret-of-ci"));
    daemon.until("ci", "fresh", |view| view.state == "fresh");
}

#[test]
fn the_token_endpoint_is_discovered_from_the_issuer() {
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &json!({ "rotation": {} }));
    let keys = format!("issuer = \"{}\"\nclient_id = \"mail\"\n", idp.url("/mail"));
    let daemon = Daemon::start(&Config::default().account("mail", &keys));
    daemon.import("mail", &refresh_token);
    assert!(idp.accepts("mail", &daemon.token("mail", "").unwrap().token));
}

#[test]
fn tokens_of_another_subject_are_refused_and_the_held_one_stays() {
    let (idp, daemon) = with_mail(&json!({ "id_token": true, "subject": "pat", "rotation": {} }));
    let held = daemon.token("mail", "").unwrap();
    idp.next("mail", &json!(["other_subject"]));

    let refused = receive(daemon.begin_refresh("mail")).unwrap();
    assert_eq!(refused.status, 409, "{}", refused.body);
    let still = daemon.token("mail", "").unwrap();
    assert_eq!((still.token, still.generation), (held.token, 1));
    let raised = still.refresh_error.unwrap();
    assert_eq!(raised.error_code.as_str(), "NEEDS_LOGIN");
    assert!(raised.message.contains("another subject"), "{}", raised.message);
}
