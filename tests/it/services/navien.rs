//! Navien: a login by e-mail address and password, refreshes that leave things out, and AWS
//! credentials that only another login renews.

use std::thread;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;
use tokenkeeper::clock;
use tokenkeeper::protocol::login::LoginView;

use crate::services::with_secrets;
use crate::support::daemon::Daemon;
use crate::support::http::Request;
use crate::support::http::receive;
use crate::support::idp::Idp;

#[test]
fn a_stored_password_brings_the_first_tokens_and_a_refresh_keeps_what_it_leaves_out() {
    let sparse = json!({ "refresh_refresh_token": "empty", "refresh_id_token": "empty" });
    let (idp, daemon) = boiler(&json!({ "navien": sparse }), "");
    let first = daemon.token_after("boiler", 0);
    let id = daemon.token("boiler", "?kind=id").unwrap().token;
    assert_eq!((first.kind.as_str(), first.header.name.as_str()), ("access", "authorization"));
    assert_eq!(first.header.value, first.token, "the bare token");
    assert!(idp.takes("boiler", &first.header));

    for generation in 2..4 {
        assert_eq!(receive(daemon.begin_refresh("boiler")).unwrap().status, 200);
        let token = daemon.token("boiler", "").unwrap();
        assert_eq!(token.generation, generation);
        assert_ne!(token.token, first.token);
        assert!(idp.takes("boiler", &token.header));
        assert_eq!(daemon.token("boiler", "?kind=id").unwrap().token, id);
    }
    assert_eq!(idp.story("boiler"), ["sign-in granted", "refresh granted", "refresh granted"]);
}

#[test]
fn an_empty_access_token_in_a_success_is_a_failure_and_costs_nothing() {
    let (idp, daemon) = boiler(&json!({}), "rotation = \"none\"\n");
    let first = daemon.token_after("boiler", 0);
    idp.patch("boiler", &json!({ "navien": { "refresh_access_token": "empty" } }));

    let refused = receive(daemon.begin_refresh("boiler")).unwrap();

    assert_eq!(refused.status, 503, "{}", refused.body);
    let view = daemon.account("boiler");
    let error = view.refresh_error.unwrap();
    assert_eq!(error.error_code.as_str(), "PROVIDER_MALFORMED", "{}", error.message);
    assert_eq!(daemon.token("boiler", "").unwrap().token, first.token);

    idp.patch("boiler", &json!({ "navien": { "refresh_access_token": "sent" } }));
    daemon.until("boiler", "refreshed", |view| view.state == "fresh" && view.generation > 1);
}

#[test]
fn a_failure_under_http_200_is_a_failure() {
    let (idp, daemon) = boiler(&json!({ "navien": { "errors_in_200": true } }), "");
    daemon.token_after("boiler", 0);
    idp.revoke("boiler");
    let refused = receive(daemon.begin_refresh("boiler")).unwrap();
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert_eq!(daemon.account("boiler").state, "suspect", "one refusal is not believed");
}

#[test]
fn aws_credentials_come_as_credential_process_wants_them() {
    let (_idp, daemon) = boiler(&json!({}), "aws_credentials = true\n");
    daemon.token_after("boiler", 0);
    let printed = daemon.tokenctl_does(&["get", "boiler", "--format", "aws"], None);
    let answer = serde_json::from_str::<Value>(&printed).unwrap();
    let members = answer.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    let wanted = ["AccessKeyId", "Expiration", "SecretAccessKey", "SessionToken", "Version"];
    assert_eq!(members, wanted);
    assert_eq!(answer["Version"], 1);
    let texts = ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(|name| &answer[name]);
    assert!(texts.iter().all(|text| text.as_str().is_some_and(|text| !text.is_empty())));
    assert!(ends(&answer) > now());
}

/// The login's own credentials are kept: nothing but another login would bring some.
#[test]
fn a_login_with_a_typed_password_brings_aws_credentials_too() {
    let (idp, mut daemon) = boiler_with(&json!({}), "aws_credentials = true\n", &[]);
    let login = "/v1/accounts/boiler/login?wait=60";
    let asked = daemon.ask(Request::with("POST", login, "{}")).success::<LoginView>();
    assert_eq!(asked.prompt.unwrap().kind, "password");
    let answer = json!({ "login": asked.login, "answer": "pw", "seen": asked.turn }).to_string();
    let done = daemon.ask(Request::with("POST", login, &answer)).success::<LoginView>();
    assert_eq!(done.state, "done", "{}", daemon.log());
    let brought = aws(&daemon, None).credentials;
    assert!(ends(&brought) > now());
    assert_eq!(idp.story("boiler"), ["sign-in granted", "refresh granted"]);
    daemon.stop();
    daemon.begin();
    assert_eq!(aws(&daemon, None).credentials, brought, "a restart costs nothing");
}

#[test]
fn without_aws_credentials_in_the_configuration_none_are_kept() {
    let (_idp, daemon) = boiler(&json!({}), "");
    daemon.token_after("boiler", 0);
    let refused = daemon.token("boiler", "?kind=aws").err().unwrap();
    assert_eq!(refused.error_code.as_str(), "NOT_SUPPORTED", "{}", refused.message);
}

/// The tokens live three times as long as the credentials, so nothing but a login renews these.
#[test]
fn aws_credentials_are_renewed_by_a_login_before_they_end_and_nobody_sees_one_that_has_ended() {
    let brief = json!({
        "lifetime_secs": 60, "navien": { "authorization_expires_in": 20 },
    });
    let (idp, daemon) = boiler(&brief, "aws_credentials = true\n");
    let first = aws(&daemon, None);
    let key = first.credentials["AccessKeyId"].clone();
    thread::scope(|scope| {
        let renewed = scope.spawn(|| {
            let second = aws(&daemon, Some(&first.etag));
            aws(&daemon, Some(&second.etag))
        });
        while !renewed.is_finished() {
            let asked = now();
            let seen = aws(&daemon, None);
            assert!(ends(&seen.credentials) > asked, "{asked}: {}", seen.credentials);
        }
        assert_ne!(renewed.join().unwrap().credentials["AccessKeyId"], key);
    });
    let story = idp.story("boiler");
    assert_eq!(story, ["sign-in granted"; 3], "{}", daemon.log());
}

/// AWS credentials with their tag.
struct Aws {
    etag: String,
    credentials: Value,
}

/// Asks for AWS credentials, or waits for others than those of a tag.
fn aws(daemon: &Daemon, known: Option<&str>) -> Aws {
    let headers = known.map(|tag| ("if-none-match", tag));
    let path = "/v1/accounts/boiler/token?kind=aws&wait=60";
    let headers = headers.as_slice();
    let reply = daemon.ask(Request { headers, ..Request::get(path) });
    assert_eq!(reply.status, 200, "{}\n{}", reply.body, daemon.log());
    Aws { etag: reply.header("etag").unwrap().to_owned(), credentials: reply.json() }
}

fn ends(credentials: &Value) -> Timestamp {
    credentials["Expiration"].as_str().unwrap().parse().unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_millisecond(clock::now().wall.as_millis()).unwrap()
}

/// A daemon with a boiler, whose password is stored.
pub(crate) fn boiler(behaviour: &Value, further: &str) -> (Idp, Daemon) {
    boiler_with(behaviour, further, &[("password", "pw")])
}

/// A daemon with a boiler and these secrets.
pub(super) fn boiler_with(
    behaviour: &Value,
    further: &str,
    secrets: &[(&str, &str)],
) -> (Idp, Daemon) {
    let mut behaviour = behaviour.clone();
    behaviour["service"] = json!("navien");
    behaviour["username"] = json!("pat@example.test");
    behaviour["password"] = json!("pw");
    let keys = |idp: &Idp| {
        let url = idp.url("/boiler");
        format!(
            "provider = \"navien\"\nbase_url = \"{url}\"\nemail = \"pat@example.test\"\n{further}"
        )
    };
    with_secrets("boiler", &behaviour, keys, secrets)
}
