//! Exchanges, logins and settings from their beginning to their end.

use super::*;
use crate::error::Class;
use crate::provider::Method;
use crate::provider::login::Heard;
use crate::provider::login::Prompt;
use crate::provider::login::Turn;
use crate::provider::oauth2::tests::spend;
use crate::provider::testing::asked;
use crate::provider::testing::configured;
use crate::provider::testing::header;
use crate::provider::testing::response;
use crate::section::SecretRef;
use crate::time::Timestamp;
use crate::token::Secret;

#[test]
fn a_refresh_sends_the_refresh_token_in_the_body_and_no_authorization() {
    let spend = Spend { refresh_token: Some(Secret::new("RT1")), ..spend() };
    let mut exchange = account("").exchange(spend);
    let request = asked(exchange.next(None));
    assert_eq!(request.method, Method::Post);
    assert_eq!(request.url.as_str(), "https://nlus.naviensmartcontrol.com/api/v2.1/auth/refresh");
    assert_eq!(request.body.expose(), r#"{"refreshToken":"RT1"}"#);
    assert!(request.spends);
    assert_eq!(header(&request, "content-type"), Some("application/json"));
    assert_eq!(header(&request, "authorization"), None);
    assert!(matches!(exchange.next(Some(refreshed())), Step::Done(Outcome::Granted(_))));
    assert_eq!(exchange.learned(), None);
}

#[test]
fn a_sign_in_sends_the_email_as_it_was_typed_and_spends_nothing() {
    let mut exchange = account("email = 'Pat@example.test'").sign_in(with_password()).unwrap();
    let request = asked(exchange.next(None));
    assert_eq!(request.url.as_str(), "https://nlus.naviensmartcontrol.com/api/v2.1/user/sign-in");
    assert_eq!(request.body.expose(), r#"{"userId":"Pat@example.test","password":"pw"}"#);
    assert!(!request.spends);
    assert_eq!(header(&request, "authorization"), None);
    assert!(matches!(exchange.next(Some(signed_in())), Step::Done(Outcome::Granted(_))));
}

#[test]
fn a_sign_in_without_its_password_names_the_slot_and_sends_nothing() {
    let mut exchange = account("").sign_in(spend()).unwrap();
    let Step::Done(Outcome::Failed(error)) = exchange.next(None) else { panic!("a failure") };
    assert_eq!(error.to_string(), "secret password is not available: the sign-in was given none");
}

#[test]
fn an_exchange_that_is_driven_out_of_order_fails_and_sends_nothing() {
    let mut early = account("").exchange(spend());
    assert!(matches!(early.next(Some(refreshed())), Step::Done(Outcome::Failed(_))));
    let mut late = account("").exchange(spend());
    asked(late.next(None));
    assert!(matches!(late.next(None), Step::Done(Outcome::Failed(_))));
}

#[test]
fn a_login_asks_for_a_password_that_is_not_stored_and_for_no_other() {
    let mut stored = login(vec![(PASSWORD, Secret::new("pw"))]);
    let Turn::Ask(request) = stored.next(Heard::Begun) else { panic!("a request") };
    assert!(request.body.expose().ends_with(r#""password":"pw"}"#));

    let mut typed = login(Vec::new());
    let Turn::Prompt(prompt) = typed.next(Heard::Begun) else { panic!("a question") };
    assert_eq!(prompt, Prompt::Password { of: "pat@example.test".into() });
    let answer = Heard::Answer(Secret::new("typed"), Timestamp::default());
    let Turn::Ask(request) = typed.next(answer) else { panic!("a request") };
    assert!(request.body.expose().ends_with(r#""password":"typed"}"#));
    let heard = Heard::Response(signed_in(), Timestamp::default());
    assert!(matches!(typed.next(heard), Turn::Done(Ok(_))));
}

#[test]
fn a_login_sends_again_what_was_lost_once() {
    let lost = || Heard::Lost(RefreshError::Unreachable("x".into()));
    let mut login = login(vec![(PASSWORD, Secret::new("pw"))]);
    assert!(matches!(login.next(Heard::Begun), Turn::Ask(_)));
    assert!(matches!(login.next(lost()), Turn::Ask(_)));
    assert!(matches!(login.next(lost()), Turn::Done(Err(RefreshError::Unreachable(_)))));
}

#[test]
fn a_login_with_a_wrong_password_is_refused_in_the_services_words() {
    let mut login = login(vec![(PASSWORD, Secret::new("pw"))]);
    login.next(Heard::Begun);
    let refusal = response(401, "application/json", r#"{"code":401,"msg":"Invalid"}"#);
    let Turn::Done(Err(error)) = login.next(Heard::Response(refusal, Timestamp::default())) else {
        panic!("a refusal")
    };
    assert_eq!(error.to_string(), "login refused: HTTP 401 (Invalid)");
    assert_eq!(error.class(), Class::Definite);
}

#[test]
fn an_account_is_what_its_keys_say() {
    let account = account("");
    assert_eq!(account.base.as_str(), "https://nlus.naviensmartcontrol.com/api/v2.1");
    let profile = account.profile;
    assert_eq!(&*profile.host, "nlus.naviensmartcontrol.com:443");
    assert_eq!(profile.header().scheme, None);
    assert_eq!(profile.sign_in, Some(vec![(PASSWORD, SecretRef::Slot)]));
    assert!(profile.has_refresh_token && !profile.aws && profile.secrets.is_empty());

    let other = self::account(
        "password = { credential = 'boiler' }\naws_credentials = true\n\
         base_url = 'http://127.0.0.1:8080/navien/'",
    );
    assert_eq!(other.base.as_str(), "http://127.0.0.1:8080/navien");
    assert_eq!(&*other.profile.host, "127.0.0.1:8080");
    let credential = SecretRef::Credential("boiler".into());
    assert_eq!(other.profile.sign_in, Some(vec![(PASSWORD, credential)]));
    assert!(other.profile.aws);
}

#[test]
fn another_place_or_user_is_another_lineage_and_nothing_else_is() {
    let lineage = |keys| account(keys).profile.lineage;
    let base = lineage("");
    #[rustfmt::skip]
    let cases = [
        ("password",  true,  "password = { file = '/p' }"),
        ("AWS",       true,  "aws_credentials = true"),
        ("a slash",   true,  "base_url = 'https://nlus.naviensmartcontrol.com/api/v2.1/'"),
        ("the place", false, "base_url = 'https://navien.example/api/v2.1'"),
        ("the user",  false, "email = 'joe@example.test'"),
    ];
    for (name, same, keys) in cases {
        assert_eq!(lineage(keys) == base, same, "{name}");
    }
}

pub(super) fn account(keys: &str) -> Navien {
    let email = if keys.contains("email") { "" } else { "email = 'pat@example.test'\n" };
    let text = format!("{email}{keys}");
    configured(&text, settings::read)
}

fn login(secrets: Vec<(&'static str, Secret)>) -> Box<dyn Login> {
    let start = LoginStart {
        secrets,
        redirect: None,
        learned: None,
        nonce: Secret::new("00"),
        now: Timestamp::default(),
    };
    account("").login(start).unwrap()
}

fn with_password() -> Spend {
    Spend { refresh_token: None, secrets: vec![(PASSWORD, Secret::new("pw"))], ..spend() }
}

/// The sheet's own sample of a refresh.
pub(super) fn refreshed() -> Response {
    let body = r#"{"code":200,"msg":"SUCCESS","data":{"accessToken":"A2","refreshToken":"","authenticationExpiresIn":3600}}"#;
    response(200, "application/json", body)
}

pub(super) fn signed_in() -> Response {
    let body = r#"{
        "code": 200, "msg": "SUCCESS", "data": {
            "userInfo": {
                "userType": "O", "userFirstName": "Pat", "userLastName": "Example",
                "userStatus": "NORMAL", "userSeq": 36283
            },
            "legal": [],
            "token": {
                "idToken": "I1", "accessToken": "A1", "refreshToken": "R1",
                "authenticationExpiresIn": 3600,
                "accessKeyId": "ASIA1", "secretKey": "S1", "sessionToken": "T1",
                "authorizationExpiresIn": 1800
            }
        }
    }"#;
    response(200, "application/json", body)
}
