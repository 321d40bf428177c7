//! Logins with a person, from their beginning to their end.

use super::account;
use super::code_wanted;
use super::code_wrong;
use super::refreshed;
use super::secrets;
use crate::error::Class;
use crate::error::RefreshError;
use crate::provider::Provider as _;
use crate::provider::Response;
use crate::provider::kasa_monitor::PASSWORD;
use crate::provider::kasa_monitor::TOTP;
use crate::provider::login::Heard;
use crate::provider::login::Login;
use crate::provider::login::LoginStart;
use crate::provider::login::Prompt;
use crate::provider::login::Turn;
use crate::provider::testing::response;
use crate::time::Timestamp;
use crate::token::Secret;

#[test]
fn a_login_asks_for_the_password_and_for_a_code_only_if_the_server_does() {
    let mut login = login(&[]);
    let Turn::Prompt(prompt) = login.next(Heard::Begun) else { panic!("a question") };
    assert_eq!(prompt, Prompt::Password { of: "pat".into() });
    assert_eq!(sent(login.next(answer("typed"))), r#"{"username":"pat","password":"typed"}"#);
    assert_eq!(code_prompt(login.next(heard(code_wanted()))), (PROGRAM, false));
    assert_eq!(
        sent(login.next(answer("123 456\n"))),
        r#"{"username":"pat","password":"typed","totp_code":"123456"}"#
    );
    assert!(matches!(login.next(heard(refreshed())), Turn::Done(Ok(_))));
}

#[test]
fn a_login_with_everything_stored_asks_for_nothing() {
    let mut login = login(&[PASSWORD, TOTP]);
    assert_eq!(
        sent(login.next(Heard::Begun)),
        r#"{"username":"pat","password":"pw","totp_code":"287082"}"#
    );
    assert!(matches!(login.next(heard(refreshed())), Turn::Done(Ok(_))));
}

#[test]
fn a_stored_seed_that_is_refused_makes_room_for_a_person_and_three_codes_are_all() {
    let mut login = login(&[PASSWORD, TOTP]);
    sent(login.next(Heard::Begun));
    let refused = "the code that your authenticator program shows; the one made from the secret totp is refused";
    assert_eq!(code_prompt(login.next(heard(code_wrong()))), (refused, true));
    sent(login.next(answer("1")));
    assert_eq!(code_prompt(login.next(heard(code_wrong()))), (PROGRAM, true));
    sent(login.next(answer("2")));
    let Turn::Done(Err(error)) = login.next(heard(code_wrong())) else { panic!("the end") };
    assert_eq!(error.to_string(), "login refused: TOKEN_INVALID (Invalid 2FA code)");
}

#[test]
fn a_login_sends_again_what_was_lost_once_the_code_included() {
    let lost = || Heard::Lost(RefreshError::Unreachable("x".into()));
    let mut login = login(&[PASSWORD]);
    sent(login.next(Heard::Begun));
    code_prompt(login.next(heard(code_wanted())));
    let body = sent(login.next(answer("123456")));
    assert!(body.contains(r#""totp_code":"123456""#));
    assert_eq!(sent(login.next(lost())), body);
    assert!(matches!(login.next(lost()), Turn::Done(Err(RefreshError::Unreachable(_)))));
}

#[test]
fn a_wrong_password_ends_a_login() {
    let body = r#"{"error":"authentication_error","message":"Invalid username or password","error_code":"TOKEN_INVALID","timestamp":"2026-01-01T00:00:00+00:00","redirect_to":"/login"}"#;
    let mut login = login(&[PASSWORD]);
    sent(login.next(Heard::Begun));
    let Turn::Done(Err(error)) = login.next(heard(response(401, "application/json", body))) else {
        panic!("the end")
    };
    let words = "login refused: TOKEN_INVALID (Invalid username or password)";
    assert_eq!((error.to_string().as_str(), error.class()), (words, Class::Definite));
}

const PROGRAM: &str = "the code that your authenticator program shows";

fn login(slots: &[&'static str]) -> Box<dyn Login> {
    let start = LoginStart {
        secrets: secrets(slots),
        redirect: None,
        learned: None,
        nonce: Secret::new("00"),
        now: Timestamp::from_millis(59_000),
    };
    account("").login(start).unwrap()
}

fn answer(text: &str) -> Heard {
    Heard::Answer(Secret::new(text), Timestamp::from_millis(59_000))
}

fn heard(response: Response) -> Heard {
    Heard::Response(response, Timestamp::from_millis(59_000))
}

fn sent(turn: Turn) -> String {
    match turn {
        Turn::Ask(request) => request.body.expose().to_owned(),
        Turn::Prompt(_) | Turn::Call(_) | Turn::Pause { .. } | Turn::Done(_) => panic!("a request"),
    }
}

/// Where a code that is asked for comes from, and whether it is not the first.
fn code_prompt(turn: Turn) -> (&'static str, bool) {
    let Turn::Prompt(Prompt::Code { from, again, .. }) = turn else { panic!("a question") };
    (Box::leak(from), again)
}
