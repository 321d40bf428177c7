//! Exchanges, sign-ins and deeds from their request to their outcome.

use super::*;
use crate::error::Class;
use crate::provider::Method;
use crate::provider::testing;
use crate::provider::testing::asked;
use crate::provider::testing::configured;
use crate::provider::testing::header;
use crate::time::Timestamp;
use crate::token::TokenSet;

mod login;

const QUILT: &str = "provider = 'quilt'\nemail = 'pat@example.org'\n";

const POOL: &str = "region = 'eu-central-1'\nclient_id = 'c'\nusername = 'pat'\n";

const SECRET: &str = "client_auth = 'secret-hash'\n";

/// HMAC-SHA-256 of `patc` under `s3cret`.
const HASH_OF_PAT: &str = "uz3dfnGAdms29Ser/rn7uHSjRUjmmWSO3Ct7+ty03ao=";

/// HMAC-SHA-256 of `u-1c` under `s3cret`.
const HASH_OF_U1: &str = "AjVaQu9/Uhil/ppO2ccZ7QxrSz++Ql7vO6ScxiR6mAI=";

#[test]
fn a_refresh_is_asked_for_as_the_sheet_has_it() {
    let request = asked(account(QUILT).exchange(spend()).next(None));
    assert_eq!(request.method, Method::Post);
    assert_eq!(request.url.as_str(), "https://cognito-idp.us-west-2.amazonaws.com/");
    assert_eq!(header(&request, "content-type"), Some("application/x-amz-json-1.1"));
    assert_eq!(header(&request, "accept-encoding"), Some("identity"));
    assert_eq!(header(&request, "authorization"), None);
    let target = "AWSCognitoIdentityProviderService.InitiateAuth";
    assert_eq!(header(&request, "x-amz-target"), Some(target));
    assert_eq!(
        request.body.expose(),
        r#"{"AuthFlow":"REFRESH_TOKEN_AUTH","AuthParameters":{"REFRESH_TOKEN":"r1"},"ClientId":"6lef74vtc8p7pgu47nmqubd9vn"}"#
    );
    assert!(request.spends);
}

#[test]
fn a_pool_that_rotates_is_asked_by_the_operation_that_it_wants() {
    let pool = account(&format!("{POOL}rotation = '30s'"));
    let request = asked(pool.exchange(spend()).next(None));
    let target = "AWSCognitoIdentityProviderService.GetTokensFromRefreshToken";
    assert_eq!(header(&request, "x-amz-target"), Some(target));
    assert_eq!(request.body.expose(), r#"{"RefreshToken":"r1","ClientId":"c"}"#);
    assert!(request.spends);
}

#[test]
fn a_client_with_a_secret_proves_it_in_every_operation_that_wants_it() {
    let pool = account(&format!("{POOL}{SECRET}"));
    let rotating = account(&format!("{POOL}{SECRET}refresh_operation = 'get-tokens'"));
    let deed = |step| match step {
        Step::Ask(request) => request,
        Step::Call(_) | Step::Done(_) => panic!("a request"),
    };
    #[rustfmt::skip]
    let cases = [
        ("refresh",           asked(pool.exchange(spend()).next(None)),
         format!(r#"{{"AuthFlow":"REFRESH_TOKEN_AUTH","AuthParameters":{{"REFRESH_TOKEN":"r1","SECRET_HASH":"{HASH_OF_PAT}"}},"ClientId":"c"}}"#)),
        ("rotating refresh",  asked(rotating.exchange(spend()).next(None)),
         r#"{"RefreshToken":"r1","ClientId":"c","ClientSecret":"s3cret"}"#.into()),
        ("sign-in",           asked(pool.sign_in(spend()).unwrap().next(None)),
         format!(r#"{{"AuthFlow":"USER_PASSWORD_AUTH","AuthParameters":{{"USERNAME":"pat","PASSWORD":"p4ss","SECRET_HASH":"{HASH_OF_PAT}"}},"ClientId":"c"}}"#)),
        ("revocation",        deed(pool.revoke(spend()).unwrap().next(None)),
         r#"{"Token":"r1","ClientId":"c","ClientSecret":"s3cret"}"#.into()),
    ];
    for (name, request, body) in cases {
        assert_eq!(request.body.expose(), body, "{name}");
    }
}

#[test]
fn a_refresh_is_proven_in_the_name_that_the_pool_itself_uses() {
    let held = TokenSet {
        access: Secret::new("opaque"),
        id: Some(jwt(r#"{"cognito:username":"u-1"}"#)),
        token_type: "Bearer".into(),
        scope: None,
    };
    let spend = Spend { held: Some(Arc::new(held)), ..spend() };
    let pool = account(&format!("{POOL}{SECRET}"));
    let request = asked(pool.exchange(spend).next(None));
    assert!(request.body.expose().contains(HASH_OF_U1), "{}", request.body.expose());
}

#[test]
fn a_secret_that_is_not_there_is_named_and_nothing_is_sent() {
    let pool = account(&format!("{POOL}{SECRET}"));
    let none = || Spend { secrets: Vec::new(), ..spend() };
    let mut deed = pool.revoke(none()).unwrap();
    let Step::Done(Err(error)) = deed.next(None) else { panic!("a failure") };
    assert_eq!(error.class(), Class::Config);
    for (mut exchange, slot) in
        [(pool.exchange(none()), "client_secret"), (pool.sign_in(none()).unwrap(), "password")]
    {
        let Step::Done(Outcome::Failed(error)) = exchange.next(None) else { panic!("a failure") };
        assert_eq!(error.class(), Class::Config);
        assert!(error.to_string().contains(slot), "{error}");
    }
}

#[test]
fn a_refresh_keeps_the_old_refresh_token_unless_the_answer_has_another() {
    for (member, new) in
        [("", None), (r#""RefreshToken":"","#, None), (r#""RefreshToken":"r2","#, Some("r2"))]
    {
        let mut exchange = account(QUILT).exchange(spend());
        asked(exchange.next(None));
        let body = format!(
            r#"{{"AuthenticationResult":{{{member}"AccessToken":"A2","ExpiresIn":3600,"IdToken":"I2","TokenType":"Bearer"}},"ChallengeParameters":{{}}}}"#
        );
        let Step::Done(Outcome::Granted(grant)) = exchange.next(Some(response(200, &body))) else {
            panic!("{member}: no grant")
        };
        assert_eq!(grant.refresh_token.as_ref().map(Secret::expose), new);
        assert_eq!(grant.tokens.access.expose(), "A2");
        assert_eq!(grant.tokens.id.as_ref().map(Secret::expose), Some("I2"));
        assert_eq!(exchange.learned(), None);
    }
}

#[test]
fn a_sign_in_that_is_asked_back_says_what_to_do() {
    #[rustfmt::skip]
    let cases = [
        ("SMS_MFA",               "a new login is needed: SMS_MFA (the pool asks for a code; log in with tokenctl login)"),
        ("SOFTWARE_TOKEN_MFA",    "a new login is needed: SOFTWARE_TOKEN_MFA (the pool asks for a code; log in with tokenctl login)"),
        ("EMAIL_OTP",             "a new login is needed: EMAIL_OTP (the pool asks for a code; log in with tokenctl login)"),
        ("NEW_PASSWORD_REQUIRED", "login refused: NEW_PASSWORD_REQUIRED (the pool wants a new password; choose one where you use the service, then log in again)"),
        ("MFA_SETUP",             "login refused: MFA_SETUP (the pool wants a second factor; set one up where you use the service, then log in again)"),
        ("DEVICE_SRP_AUTH",       "client refused: DEVICE_SRP_AUTH (the pool asks for something that cannot be answered here; look at auth_flow)"),
    ];
    for (name, words) in cases {
        let mut exchange = account(POOL).sign_in(spend()).unwrap();
        assert!(!asked(exchange.next(None)).spends);
        let body =
            format!(r#"{{"ChallengeName":"{name}","Session":"s","ChallengeParameters":{{}}}}"#);
        let Step::Done(Outcome::Failed(error)) = exchange.next(Some(response(200, &body))) else {
            panic!("{name}: no failure")
        };
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn an_account_whose_login_needs_a_person_has_no_sign_in() {
    assert!(account(QUILT).sign_in(spend()).is_none());
}

#[test]
fn a_revocation_ends_with_any_success_and_fails_with_words() {
    let mut deed = account(QUILT).revoke(spend()).unwrap();
    let Step::Ask(request) = deed.next(None) else { panic!("a request") };
    let target = "AWSCognitoIdentityProviderService.RevokeToken";
    assert_eq!(header(&request, "x-amz-target"), Some(target));
    let body = r#"{"Token":"r1","ClientId":"6lef74vtc8p7pgu47nmqubd9vn"}"#;
    assert_eq!(request.body.expose(), body);
    assert!(matches!(deed.next(Some(response(200, ""))), Step::Done(Ok(()))));

    let refusal =
        r#"{"__type":"UnsupportedOperationException","message":"Token revocation is disabled"}"#;
    let page = Response { content_type: "text/html".into(), ..response(200, "<p>Wi-Fi</p>") };
    for (answer, class) in [(response(400, refusal), Class::Config), (page, Class::Transient)] {
        let mut deed = account(QUILT).revoke(spend()).unwrap();
        deed.next(None);
        let Step::Done(Err(error)) = deed.next(Some(answer)) else { panic!("a failure") };
        assert_eq!(error.class(), class, "{error}");
    }
}

#[test]
fn all_sessions_end_at_once_or_none_does() {
    let quilt = account(QUILT);
    assert!(quilt.sessions(SessionOrder::List, Secret::new("A1")).is_none());
    assert!(quilt.sessions(SessionOrder::End("1".into()), Secret::new("A1")).is_none());
    let mut deed = quilt.sessions(SessionOrder::EndAll, Secret::new("A1")).unwrap();
    let Step::Ask(request) = deed.next(None) else { panic!("a request") };
    let target = "AWSCognitoIdentityProviderService.GlobalSignOut";
    assert_eq!(header(&request, "x-amz-target"), Some(target));
    assert_eq!(request.body.expose(), r#"{"AccessToken":"A1"}"#);
    assert!(!request.spends);
    let ended = deed.next(Some(response(200, "{}")));
    assert!(matches!(ended, Step::Done(Ok(Sessions::Ended(None)))));
}

#[test]
fn an_exchange_that_is_driven_out_of_order_fails_and_sends_nothing() {
    let mut early = account(QUILT).exchange(spend());
    assert!(matches!(early.next(Some(response(200, ""))), Step::Done(Outcome::Failed(_))));
    let mut late = account(QUILT).exchange(spend());
    asked(late.next(None));
    assert!(matches!(late.next(None), Step::Done(Outcome::Failed(_))));
}

fn spend() -> Spend {
    Spend {
        refresh_token: Some(Secret::new("r1")),
        secrets: vec![(CLIENT_SECRET, Secret::new("s3cret")), (PASSWORD, Secret::new("p4ss"))],
        learned: None,
        held: None,
        now: Timestamp::default(),
    }
}

pub(super) fn response(status: u16, body: &str) -> Response {
    testing::response(status, "application/x-amz-json-1.1", body)
}

pub(super) fn jwt(payload: &str) -> Secret {
    Secret::new(testing::jwt(payload))
}

/// The account that a table of the configuration means.
pub(super) fn account(text: &str) -> Cognito {
    configured(text, |section| {
        let account = settings::read(section);
        section.knows("rotation");
        account
    })
}
