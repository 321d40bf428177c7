//! A login from its beginning to its end, at a provider that this test plays itself.

use serde_json::Value;
use serde_json::json;
use tokenkeeper::protocol::login::LoginView;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::door::Door;
use crate::support::http::Request;

const LOGIN: &str = "/v1/accounts/mail/login?wait=20";

#[test]
fn a_person_logs_in_by_a_device_and_out_again() {
    let door = provider();
    let keys = format!(
        "token_endpoint = \"{0}/token\"\ndevice_endpoint = \"{0}/device\"\n\
         revocation_endpoint = \"{0}/revoke\"\nclient_id = \"x\"\n",
        door.url()
    );
    let daemon = Daemon::start(&Config::default().account("mail", &keys));
    assert_eq!(daemon.account("mail").state, "vacant");

    let begun = daemon.ask(Request::with("POST", LOGIN, "{}")).success::<LoginView>();
    let prompt = begun.prompt.unwrap();
    assert_eq!((&*prompt.kind, prompt.user_code.as_deref()), ("device", Some("ABCD-EFGH")));
    let look = json!({ "login": begun.login, "seen": begun.turn }).to_string();
    let done = daemon.ask(Request::with("POST", LOGIN, &look)).success::<LoginView>();
    assert_eq!((&*done.state, done.generation), ("done", Some(1)));
    assert_eq!(daemon.token("mail", "").unwrap().token, "access-2", "what proved the login");

    let said = daemon.tokenctl_does(&["logout", "mail"], None);
    assert_eq!(said, "account mail: its login is ended at the provider and forgotten here\n");
    assert_eq!(daemon.account("mail").state, "vacant");
    assert_eq!(
        door.asked(),
        [
            "/device client_id=x",
            "/token grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=dc&client_id=x",
            "/token grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=dc&client_id=x",
            "/token grant_type=refresh_token&refresh_token=refresh-1&client_id=x",
            "/revoke token=refresh-2&token_type_hint=refresh_token&client_id=x",
        ]
    );
    assert!(!daemon.log().contains("refresh-") && !daemon.log().contains("access-"));
}

#[test]
fn a_login_that_is_cancelled_leaves_the_account_as_it_was() {
    let door = provider();
    let keys = format!(
        "token_endpoint = \"{0}/token\"\nauthorization_endpoint = \"{0}/authorize\"\n\
         client_id = \"x\"\n",
        door.url()
    );
    let daemon = Daemon::start(&Config::default().account("mail", &keys));
    let begin = r#"{"redirect":"http://127.0.0.1:4711/callback"}"#;
    let begun = daemon.ask(Request::with("POST", LOGIN, begin)).success::<LoginView>();
    assert_eq!(begun.prompt.unwrap().kind, "browser");
    let login = &begun.login;

    let cancel = json!({ "login": login, "cancel": true }).to_string();
    let cancelled = daemon.ask(Request::with("POST", LOGIN, &cancel)).success::<LoginView>();
    assert_eq!(cancelled.state, "cancelled");
    let answer = json!({ "login": login, "answer": "code=c&state=s" }).to_string();
    assert_eq!(daemon.ask(Request::with("POST", LOGIN, &answer)).status, 400);
    assert_eq!(daemon.account("mail").state, "vacant");
    assert!(door.asked().is_empty(), "the provider heard of it");

    let refused = daemon.tokenctl(&["logout", "mail"]);
    assert_eq!(refused.status.code(), Some(3), "there is nothing to end");
}

/// A provider that grants a device code, lets the first question for it wait, and then grants tokens
/// by number.
fn provider() -> Door {
    let (mut questions, mut grants) = (0, 0);
    Door::open(move |path, _| match path {
        "/device" => (200, code()),
        "/token" if questions == 0 => {
            questions += 1;
            (400, json!({ "error": "authorization_pending" }))
        }
        "/token" => {
            grants += 1;
            (200, tokens(grants))
        }
        _ => (200, json!({})),
    })
}

fn code() -> Value {
    json!({
        "device_code": "dc",
        "user_code": "ABCD-EFGH",
        "verification_uri": "https://idp.example/device",
        "expires_in": 600,
        "interval": 1,
    })
}

fn tokens(number: u32) -> Value {
    json!({
        "access_token": format!("access-{number}"),
        "refresh_token": format!("refresh-{number}"),
        "token_type": "Bearer",
        "expires_in": 3600,
    })
}
