//! Logins and logouts, from their first turn to their end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use url::Url;

use super::account;
use super::discovered;
use super::learned;
use super::metadata;
use super::spend;
use crate::error::RefreshError;
use crate::error::code::Code;
use crate::provider::Method;
use crate::provider::Provider;
use crate::provider::Request;
use crate::provider::Response;
use crate::provider::Spend;
use crate::provider::Step;
use crate::provider::login::Heard;
use crate::provider::login::Login;
use crate::provider::login::LoginStart;
use crate::provider::login::Prompt;
use crate::provider::login::Turn;
use crate::provider::oauth2::CLIENT_SECRET;
use crate::provider::oauth2::ClientAuth;
use crate::provider::oauth2::Doors;
use crate::provider::oauth2::GrantType;
use crate::provider::oauth2::OAuth2;
use crate::provider::oauth2::Way;
use crate::provider::testing::response;
use crate::time::Timestamp;
use crate::token::Secret;

const NONCE: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

#[test]
fn a_device_login_shows_the_code_and_asks_until_it_is_typed() {
    let mut login = device().login(start()).unwrap();
    let request = asked_for(login.next(Heard::Begun));
    assert_eq!(request.url.as_str(), "https://idp.example/device");
    assert_eq!(request.body.expose(), "scope=mail+offline&client_id=the+client&audience=api");
    assert!(!request.spends);

    let (span, shown) = paused(login.next(answer(0, &code())));
    assert_eq!(span, secs(5));
    let good_for = secs(900);
    let (url, complete) =
        ("https://idp.example/d".into(), Some("https://idp.example/d?c=AB-CD".into()));
    assert_eq!(shown, Prompt::Device { url, complete, user_code: "AB-CD".into(), good_for });

    let poll = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=dc&client_id=the+client";
    let request = asked_for(login.next(Heard::Waited(at(5))));
    assert_eq!((request.url.path(), request.body.expose()), ("/token", poll));
    let (span, shown) = paused(login.next(answer(5, &refusal("authorization_pending"))));
    assert_eq!((span, left(&shown)), (secs(5), secs(895)));

    asked_for(login.next(Heard::Waited(at(10))));
    let (span, _) = paused(login.next(answer(10, &refusal("slow_down"))));
    assert_eq!(span, secs(10), "RFC 8628 section 3.5");

    asked_for(login.next(Heard::Waited(at(20))));
    let (span, _) = paused(login.next(Heard::Lost(RefreshError::Unreachable("gone".into()))));
    assert_eq!(span, secs(20), "after a timeout, more slowly");

    asked_for(login.next(Heard::Waited(at(40))));
    let grant = done(login.next(Heard::Response(granted_with_refresh(), at(40)))).ok().unwrap();
    assert_eq!(grant.refresh_token.unwrap().expose(), "r1");
}

#[test]
fn a_provider_is_never_asked_without_a_pause_and_a_long_one_is_cut() {
    for (interval, secs) in
        [("0", 5.0), ("-3", 5.0), ("0.2", 1.0), ("1", 1.0), ("7", 7.0), ("900", 60.0)]
    {
        let mut login = device().login(start()).unwrap();
        asked_for(login.next(Heard::Begun));
        let given = format!(
            r#"{{"device_code":"d","user_code":"u","verification_uri":"https://idp.example/d","interval":{interval}}}"#
        );
        let (span, _) = paused(login.next(answer(0, &response(200, "application/json", &given))));
        assert_eq!(span, Duration::from_secs_f64(secs), "{interval}");
    }
}

#[test]
fn the_end_of_a_device_login_is_told_in_the_right_words() {
    #[rustfmt::skip]
    let cases = [
        // name                        status  the provider says                    code
        ("the person refused",         400,    r#"{"error":"access_denied"}"#,      Code::LoginRejected),
        ("the same, at Microsoft",     400,    r#"{"error":"authorization_declined"}"#, Code::LoginRejected),
        ("Microsoft knows no code",    400,    r#"{"error":"bad_verification_code"}"#,  Code::LoginRejected),
        ("GitHub knows no code",       200,    r#"{"error":"incorrect_device_code"}"#,  Code::LoginRejected),
        ("GitHub: it is switched off", 200,    r#"{"error":"device_flow_disabled"}"#,   Code::LoginRejected),
        ("the code expired",           400,    r#"{"error":"expired_token"}"#,      Code::SessionExpired),
        ("GitHub says it with a 200",  200,    r#"{"error":"expired_token"}"#,      Code::SessionExpired),
        ("the client may not do it",   400,    r#"{"error":"unauthorized_client"}"#, Code::ClientRejected),
        ("the code is refused",        400,    r#"{"error":"invalid_grant"}"#,      Code::LoginRejected),
        ("the client is refused",      401,    r#"{"error":"invalid_client"}"#,     Code::ClientRejected),
        ("a page",                     200,    "<html>",                            Code::ProviderMalformed),
    ];
    for (name, status, body, code) in cases {
        let mut login = polling();
        let reply = response(status, "application/json", body);
        let error = done(login.next(Heard::Response(reply, at(5)))).err().unwrap();
        assert_eq!(error.code(), code, "{name}");
    }
    for status in [429, 500, 503] {
        for body in ["<html>", r#"{"error":"something"}"#] {
            let mut login = polling();
            let reply = response(status, "application/json", body);
            let (span, _) = paused(login.next(Heard::Response(reply, at(5))));
            assert_eq!(span, secs(10), "HTTP {status} passes: {body}");
        }
    }
}

#[test]
fn google_says_with_statuses_of_its_own_that_the_code_is_not_typed_yet() {
    let said = |status, body: &str| {
        let reply = response(status, "application/json", body);
        paused(polling().next(Heard::Response(reply, at(5)))).0
    };
    assert_eq!(said(428, r#"{"error":"authorization_pending"}"#), secs(5));
    assert_eq!(said(403, r#"{"error":"slow_down"}"#), secs(10));
}

#[test]
fn a_code_that_is_over_is_not_asked_about_any_more() {
    let mut login = device().login(start()).unwrap();
    asked_for(login.next(Heard::Begun));
    paused(login.next(answer(0, &code())));
    let error = done(login.next(Heard::Waited(at(900)))).err().unwrap();
    assert_eq!(error.code(), Code::SessionExpired);
}

#[test]
fn an_answer_without_a_code_is_told_as_what_it_is() {
    #[rustfmt::skip]
    let cases = [
        ("no device flow for this client", 400, r#"{"error":"unauthorized_client"}"#,                                   Code::ClientRejected),
        ("a word that nobody knows",       400, r#"{"error":"device_flow_disabled"}"#,                                  Code::LoginRejected),
        ("nothing there",                  404, "",                                                                     Code::ClientRejected),
        ("a page",                         200, "<html>",                                                               Code::ProviderMalformed),
        ("no address",                     200, r#"{"device_code":"d","user_code":"u"}"#,                               Code::ProviderMalformed),
        ("an address that is none",        200, r#"{"device_code":"d","user_code":"u","verification_uri":"javascript:alert(1)"}"#, Code::ProviderMalformed),
        ("a code to play with a terminal", 200, "{\"device_code\":\"d\",\"user_code\":\"\\u001b[2J\",\"verification_uri\":\"https://a.example\"}", Code::ProviderMalformed),
    ];
    for (name, status, body, code) in cases {
        let mut login = device().login(start()).unwrap();
        asked_for(login.next(Heard::Begun));
        let reply = response(status, "application/json", body);
        let error = done(login.next(Heard::Response(reply, at(0)))).err().unwrap();
        assert_eq!(error.code(), code, "{name}");
    }
}

/// The challenge is the one that RFC 7636 section 4.2 makes of the verifier.
#[test]
fn a_browser_login_proves_with_the_code_that_it_is_the_one_that_asked() {
    let mut login = browser().login(start()).unwrap();
    let params = opened(login.next(Heard::Begun));
    let find = |name: &str| params.iter().find(|(own, _)| own == name).map(|(_, value)| &**value);
    assert_eq!(find("tenant"), Some("t"), "the endpoint's own query stays");
    assert_eq!(find("response_type"), Some("code"));
    assert_eq!(find("client_id"), Some("the client"));
    assert_eq!(find("redirect_uri"), Some("http://127.0.0.1:4711/callback"));
    assert_eq!(find("scope"), Some("mail offline"));
    assert_eq!(find("code_challenge_method"), Some("S256"));
    assert_eq!(find("code_challenge"), Some("Koq_qMuZBikEN4VBk8prykHU1OJtHUVL1mo1FYCV5zc"));
    assert_eq!(find("audience"), Some("api"));
    let state = find("state").unwrap();
    assert!(!state.contains(NONCE) && state.len() == 43);

    let request = asked_for(login.next(typed(&format!("code=c%2F1&state={state}"))));
    let expected = format!(
        "grant_type=authorization_code&code=c%2F1\
         &redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcallback&code_verifier={NONCE}\
         &client_id=the+client"
    );
    assert_eq!((request.url.path(), request.body.expose()), ("/token", &*expected));
    let again = asked_for(login.next(Heard::Lost(RefreshError::Unreachable("gone".into()))));
    assert_eq!(again.body.expose(), expected);
    assert!(done(login.next(Heard::Response(granted_with_refresh(), at(9)))).is_ok());
}

/// GitHub says it with a 200.
#[test]
fn a_code_of_the_browser_that_the_provider_does_not_take_is_a_refused_login() {
    let mut login = came_back_with("c");
    let reply = response(200, "application/json", r#"{"error":"bad_verification_code"}"#);
    let error = done(login.next(Heard::Response(reply, at(9)))).err().unwrap();
    assert_eq!(error.code(), Code::LoginRejected, "{error}");
}

#[test]
fn what_a_login_told_the_provider_is_masked_where_that_says_it_back() {
    let mut login = came_back_with("a+code+of+words");
    let said = format!("a code of words and {NONCE}");
    let reply = json!({ "error": "invalid_grant", "error_description": said }).to_string();
    let reply = response(400, "application/json", &reply);
    let error = done(login.next(Heard::Response(reply, at(9)))).err().unwrap();
    assert!(error.to_string().ends_with("invalid_grant ([masked] and [masked])"), "{error}");

    let mut login = device().login(start()).unwrap();
    asked_for(login.next(Heard::Begun));
    let given = r#"{"device_code":"a device of words","user_code":"AB-CD","verification_uri":"https://idp.example/d","expires_in":900}"#;
    paused(login.next(answer(0, &response(200, "application/json", given))));
    asked_for(login.next(Heard::Waited(at(5))));
    let reply = r#"{"error":"access_denied","error_description":"a device of words"}"#;
    let reply = response(400, "application/json", reply);
    let error = done(login.next(Heard::Response(reply, at(5)))).err().unwrap();
    assert!(error.to_string().ends_with("access_denied ([masked])"), "{error}");
}

#[test]
fn what_a_browser_brings_is_believed_by_its_state_and_issuer_alone() {
    #[rustfmt::skip]
    let cases = [
        // name                         query                                          code
        ("no state",                    "code=c&iss=IDP",                                      Code::LoginRejected),
        ("another state",               "code=c&state=x&iss=IDP",                              Code::LoginRejected),
        ("two states",                  "code=c&state=STATE&state=STATE&iss=IDP",              Code::LoginRejected),
        ("an error without state",      "error=server_error&iss=IDP",                          Code::LoginRejected),
        ("the person refused",          "error=access_denied&state=STATE&iss=IDP",             Code::LoginRejected),
        ("a scope that is not there",   "error=invalid_scope&state=STATE&iss=IDP",             Code::ClientRejected),
        ("the provider cannot",         "error=temporarily_unavailable&state=STATE&iss=IDP",   Code::ProviderUnavailable),
        ("neither code nor error",      "state=STATE&iss=IDP",                                 Code::LoginRejected),
        ("two codes",                   "code=a&code=b&state=STATE&iss=IDP",                   Code::LoginRejected),
        ("another issuer",              "code=c&state=STATE&iss=https://evil.example", Code::LoginRejected),
        ("no issuer, which it says it names", "code=c&state=STATE",                    Code::LoginRejected),
    ];
    for (name, query, code) in cases {
        let mut login = named_by_issuer();
        let params = opened(login.next(Heard::Response(metadata_with_doors(), at(0))));
        let state = params.iter().find_map(|(name, value)| (name == "state").then_some(value));
        let query = query.replace("STATE", state.unwrap()).replace("IDP", "https://idp.example");
        let error = done(login.next(typed(&query))).err().unwrap();
        assert_eq!(error.code(), code, "{name}");
    }
    let mut login = named_by_issuer();
    let params = opened(login.next(Heard::Response(metadata_with_doors(), at(0))));
    let state = params.iter().find_map(|(name, value)| (name == "state").then_some(value)).unwrap();
    let query = format!("code=c&state={state}&iss=https%3A%2F%2Fidp.example");
    assert_eq!(asked_for(login.next(typed(&query))).url, learned());
}

#[test]
fn the_way_is_the_configurations_or_the_one_that_there_is() {
    let both = || Doors { way: None, ..doors() };
    let redirect = || LoginStart { redirect: None, ..start() };
    #[rustfmt::skip]
    let cases: [(&str, Doors, LoginStart, &str); 7] = [
        ("both: the device",               both(),                                                start(),    "device"),
        ("a browser that is asked for",    Doors { way: Some(Way::Browser), ..both() },           start(),    "browser"),
        ("only a browser",                 Doors { device: None, ..both() },                      start(),    "browser"),
        ("asked for, and none here",       Doors { way: Some(Way::Browser), ..both() },           redirect(), "device"),
        ("only a browser, and none here",  Doors { device: None, ..both() },                      redirect(), "LOGIN_REJECTED"),
        ("a device that is not there",     Doors { way: Some(Way::Device), device: None, ..both() }, start(), "NOT_SUPPORTED"),
        ("nothing",                        Doors::default(),                                      start(),    "NOT_SUPPORTED"),
    ];
    for (name, doors, start, expected) in cases {
        let account = OAuth2 { doors: Arc::new(doors), ..account("https://idp.example/token") };
        let took = match account.login(start).unwrap().next(Heard::Begun) {
            Turn::Ask(_) => "device",
            Turn::Prompt(Prompt::Browser { .. }) => "browser",
            Turn::Done(Err(error)) => error.code().as_str(),
            Turn::Prompt(_) | Turn::Call(_) | Turn::Pause { .. } | Turn::Done(Ok(_)) => {
                "something else"
            }
        };
        assert_eq!(took, expected, "{name}");
    }
    let program = OAuth2 { grant: GrantType::ClientCredentials, ..device() };
    assert!(program.login(start()).is_none());
}

#[test]
fn a_confidential_client_needs_its_secret_to_log_in() {
    let post = || OAuth2 { client_auth: ClientAuth::Post, ..device() };
    let mut login = post().login(start()).unwrap();
    let error = done(login.next(Heard::Begun)).err().unwrap();
    assert_eq!(error.code(), Code::SecretUnavailable);
    let with = LoginStart { secrets: vec![(CLIENT_SECRET, Secret::new("s"))], ..start() };
    let request = asked_for(post().login(with).unwrap().next(Heard::Begun));
    assert!(request.body.expose().contains("client_secret=s"), "{}", request.body.expose());
}

#[test]
fn a_login_is_ended_where_the_provider_says() {
    let mut deed = device().revoke(spend()).unwrap();
    let Step::Ask(request) = deed.next(None) else { panic!("nothing asked") };
    assert_eq!(request.url.as_str(), "https://idp.example/revoke");
    let expected = "token=r%2B1&token_type_hint=refresh_token&client_id=the+client";
    assert_eq!(request.body.expose(), expected);
    assert!(matches!(deed.next(Some(response(200, "", ""))), Step::Done(Ok(()))));

    let given = account("https://idp.example/token");
    assert!(given.revoke(spend()).is_none(), "no place is known");
    assert!(device().revoke(Spend { refresh_token: None, ..spend() }).is_none());

    let mut deed = discovered().revoke(spend()).unwrap();
    assert!(matches!(deed.next(None), Step::Ask(_)));
    let Step::Ask(request) = deed.next(Some(metadata_with_doors())) else {
        panic!("nothing asked")
    };
    assert_eq!(request.url.as_str(), "https://idp.example/r");
    let mut deed = discovered().revoke(spend()).unwrap();
    assert!(matches!(deed.next(None), Step::Ask(_)));
    assert!(matches!(deed.next(Some(metadata())), Step::Done(Err(RefreshError::NotOffered(_)))));
}

#[test]
fn a_logout_that_fails_says_so_and_one_of_a_dead_token_does_not() {
    #[rustfmt::skip]
    let cases = [
        (400, r#"{"error":"invalid_token"}"#,          None),
        (400, r#"{"error":"unsupported_token_type"}"#, Some(Code::ProviderUnavailable)),
        (401, r#"{"error":"invalid_client"}"#,         Some(Code::ClientRejected)),
        (404, "",                                      Some(Code::ClientRejected)),
        (503, "",                                      Some(Code::ProviderUnavailable)),
    ];
    for (status, body, code) in cases {
        let mut deed = device().revoke(spend()).unwrap();
        assert!(matches!(deed.next(None), Step::Ask(_)));
        let Step::Done(outcome) = deed.next(Some(response(status, "application/json", body)))
        else {
            panic!("asked again")
        };
        assert_eq!(outcome.err().map(|error| error.code()), code, "{status} {body}");
    }
}

/// A login that has shown its code and asked once whether it was typed.
fn polling() -> Box<dyn Login> {
    let mut login = device().login(start()).unwrap();
    asked_for(login.next(Heard::Begun));
    paused(login.next(answer(0, &code())));
    asked_for(login.next(Heard::Waited(at(5))));
    login
}

/// A login by browser at an issuer, which has been asked for its metadata.
fn named_by_issuer() -> Box<dyn Login> {
    let doors = Doors { way: Some(Way::Browser), ..Doors::default() };
    let account = OAuth2 { doors: Arc::new(doors), ..discovered() };
    let mut login = account.login(start()).unwrap();
    let request = asked_for(login.next(Heard::Begun));
    assert_eq!(request.method, Method::Get);
    asked_for(login.next(Heard::Lost(RefreshError::Unreachable("gone".into()))));
    login
}

fn device() -> OAuth2 {
    let scope = Some("mail offline".into());
    OAuth2 { doors: Arc::new(doors()), scope, ..account("https://idp.example/token") }
}

fn browser() -> OAuth2 {
    let doors = Doors { way: Some(Way::Browser), ..doors() };
    OAuth2 { doors: Arc::new(doors), ..device() }
}

fn doors() -> Doors {
    let url = |text: &str| Some(Url::parse(text).unwrap());
    Doors {
        way: None,
        device: url("https://idp.example/device"),
        authorization: url("https://idp.example/authorize?tenant=t"),
        revocation: url("https://idp.example/revoke"),
        auth_params: vec![("audience".into(), "api".into())],
    }
}

fn start() -> LoginStart {
    LoginStart {
        secrets: Vec::new(),
        redirect: Some(Url::parse("http://127.0.0.1:4711/callback").unwrap()),
        learned: None,
        nonce: Secret::new(NONCE),
        now: at(0),
    }
}

fn code() -> Response {
    let body = r#"{"device_code":"dc","user_code":"AB-CD","verification_uri":"https://idp.example/d",
        "verification_uri_complete":"https://idp.example/d?c=AB-CD","expires_in":900}"#;
    response(200, "application/json", body)
}

fn refusal(word: &str) -> Response {
    response(400, "application/json", &format!(r#"{{"error":"{word}"}}"#))
}

fn granted_with_refresh() -> Response {
    let body = r#"{"access_token":"a","expires_in":60,"refresh_token":"r1"}"#;
    response(200, "application/json", body)
}

fn metadata_with_doors() -> Response {
    let body = r#"{"issuer":"https://idp.example","token_endpoint":"https://login.example/token",
        "authorization_endpoint":"https://idp.example/a","revocation_endpoint":"https://idp.example/r",
        "authorization_response_iss_parameter_supported":true}"#;
    response(200, "application/json", body)
}

fn answer(secs: u64, response: &Response) -> Heard {
    let response = Response {
        body: response.body.clone(),
        content_type: response.content_type.clone(),
        location: None,
        error_type: None,
        ..*response
    };
    Heard::Response(response, at(secs))
}

/// A login from whose browser that code came, as a form spells it, and which asks for tokens.
fn came_back_with(code: &str) -> Box<dyn Login> {
    let mut login = browser().login(start()).unwrap();
    let params = opened(login.next(Heard::Begun));
    let (_, state) = params.iter().find(|(name, _)| name == "state").unwrap();
    asked_for(login.next(typed(&format!("code={code}&state={state}"))));
    login
}

fn typed(query: &str) -> Heard {
    Heard::Answer(Secret::new(query), at(1))
}

fn asked_for(turn: Turn) -> Request {
    match turn {
        Turn::Ask(request) => request,
        Turn::Done(Err(error)) => panic!("{error}"),
        Turn::Prompt(_) | Turn::Call(_) | Turn::Pause { .. } | Turn::Done(Ok(_)) => {
            panic!("nothing is asked")
        }
    }
}

fn paused(turn: Turn) -> (Duration, Prompt) {
    match turn {
        Turn::Pause { span, shown } => (span, shown),
        Turn::Done(Err(error)) => panic!("{error}"),
        Turn::Prompt(_) | Turn::Call(_) | Turn::Ask(_) | Turn::Done(Ok(_)) => panic!("no pause"),
    }
}

/// The parameters of the address that a browser is to open.
fn opened(turn: Turn) -> Vec<(String, String)> {
    match turn {
        Turn::Prompt(Prompt::Browser { url }) => {
            Url::parse(&url).unwrap().query_pairs().into_owned().collect()
        }
        Turn::Done(Err(error)) => panic!("{error}"),
        Turn::Prompt(_) | Turn::Call(_) | Turn::Pause { .. } | Turn::Ask(_) | Turn::Done(Ok(_)) => {
            panic!("no browser")
        }
    }
}

fn done(turn: Turn) -> Result<Box<crate::token::Grant>, RefreshError> {
    match turn {
        Turn::Done(outcome) => outcome,
        Turn::Prompt(_) | Turn::Call(_) | Turn::Pause { .. } | Turn::Ask(_) => panic!("it goes on"),
    }
}

fn left(prompt: &Prompt) -> Duration {
    match prompt {
        Prompt::Device { good_for, .. } => *good_for,
        Prompt::Password { .. } | Prompt::Code { .. } | Prompt::Browser { .. } => Duration::ZERO,
    }
}

const fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(secs.cast_signed() * 1000)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
