//! Logins, turn by turn.

use std::time::Duration;

use super::*;
use crate::error::code::Code;
use crate::provider::login::Heard;
use crate::provider::login::Prompt;
use crate::provider::login::Turn;
use crate::token::Grant;

const QUESTION: &str = r#"{"ChallengeName":"CUSTOM_CHALLENGE","Session":"s1","ChallengeParameters":{"USERNAME":"u-1"}}"#;

const TOKENS: &str = r#"{"AuthenticationResult":{"AccessToken":"A1","ExpiresIn":3600,"IdToken":"I1","RefreshToken":"r1","TokenType":"Bearer"},"ChallengeParameters":{}}"#;

#[test]
fn a_login_by_code_is_asked_for_as_the_sheet_has_it() {
    let mut talk = Talk::begin(QUILT, &[]);
    let request = talk.asked();
    assert_eq!(
        header(&request, "x-amz-target"),
        Some("AWSCognitoIdentityProviderService.InitiateAuth")
    );
    assert_eq!(
        request.body.expose(),
        r#"{"AuthFlow":"CUSTOM_AUTH","AuthParameters":{"USERNAME":"pat@example.org"},"ClientId":"6lef74vtc8p7pgu47nmqubd9vn","ClientMetadata":{}}"#
    );
    talk.answered(0, QUESTION);
    let prompt = Prompt::Code {
        from: "the code that was sent to pat@example.org".into(),
        again: false,
        good_for: Some(Duration::from_secs(180)),
    };
    assert_eq!(talk.prompted(), prompt);
    let request = talk.typed(60, " 123456 ");
    let target = "AWSCognitoIdentityProviderService.RespondToAuthChallenge";
    assert_eq!(header(&request, "x-amz-target"), Some(target));
    assert_eq!(
        request.body.expose(),
        r#"{"ClientId":"6lef74vtc8p7pgu47nmqubd9vn","ChallengeName":"CUSTOM_CHALLENGE","Session":"s1","ChallengeResponses":{"USERNAME":"u-1","ANSWER":"123456"},"ClientMetadata":{}}"#
    );
    assert!(!request.spends);
    talk.answered(61, TOKENS);
    let grant = talk.granted();
    assert_eq!(grant.refresh_token.unwrap().expose(), "r1");
    assert_eq!(grant.tokens.id.as_ref().unwrap().expose(), "I1");
}

#[test]
fn a_pool_that_does_not_name_the_user_is_answered_in_the_configured_name() {
    let mut talk = Talk::begin(QUILT, &[]);
    talk.asked();
    talk.answered(0, r#"{"ChallengeName":"CUSTOM_CHALLENGE","Session":"s1"}"#);
    let request = talk.typed(1, "123456");
    let body = request.body.expose();
    assert!(body.contains(r#""USERNAME":"pat@example.org""#), "{body}");
}

/// A pool says "wrong code" by asking again, in a new session.
#[test]
fn another_challenge_after_an_answer_is_a_wrong_code_and_its_session_is_the_one_to_use() {
    let mut talk = Talk::begin(QUILT, &[]);
    talk.asked();
    talk.answered(0, QUESTION);
    talk.typed(100, "000000");
    talk.answered(
        101,
        r#"{"ChallengeName":"CUSTOM_CHALLENGE","Session":"s2","ChallengeParameters":{}}"#,
    );
    let Prompt::Code { again, good_for, .. } = talk.prompted() else { panic!("a code") };
    assert_eq!((again, good_for), (true, Some(Duration::from_secs(180))));
    let request = talk.typed(160, "123456");
    assert!(request.body.expose().contains(r#""Session":"s2""#), "{}", request.body.expose());
    assert!(request.body.expose().contains(r#""USERNAME":"u-1""#), "{}", request.body.expose());
}

#[test]
fn a_code_mismatch_leaves_the_session_standing_for_the_rest_of_its_time() {
    let mismatch = r#"{"__type":"CodeMismatchException","message":"Invalid code"}"#;
    let mut talk = Talk::begin(QUILT, &[]);
    talk.asked();
    talk.answered(0, QUESTION);
    talk.typed(50, "000000");
    talk.refused(60, mismatch);
    let Prompt::Code { again, good_for, .. } = talk.prompted() else { panic!("a code") };
    assert_eq!((again, good_for), (true, Some(Duration::from_secs(120))));
    let request = talk.typed(170, "111111");
    assert!(request.body.expose().contains(r#""Session":"s1""#), "{}", request.body.expose());
    talk.refused(180, mismatch);
    talk.failed(Code::LoginRejected, "login refused: CodeMismatchException (Invalid code)");
}

#[test]
fn a_session_that_is_over_says_to_start_again() {
    #[rustfmt::skip]
    let cases = [
        (r#"{"__type":"NotAuthorizedException","message":"Invalid session for the user, session is expired."}"#, Code::SessionExpired,
         "the login is over: NotAuthorizedException (start the login again: Invalid session for the user, session is expired.)"),
        (r#"{"__type":"NotAuthorizedException","message":"Incorrect username or password."}"#, Code::LoginRejected,
         "login refused: NotAuthorizedException (start the login again: Incorrect username or password.)"),
        (r#"{"__type":"ExpiredCodeException"}"#, Code::SessionExpired,
         "the login is over: ExpiredCodeException (start the login again)"),
        (r#"{"__type":"UserLambdaValidationException","message":"VerifyAuthChallenge failed with error Try later."}"#, Code::LoginRejected,
         "login refused: UserLambdaValidationException (VerifyAuthChallenge failed with error Try later.)"),
    ];
    for (body, code, words) in cases {
        let mut talk = Talk::begin(QUILT, &[]);
        talk.asked();
        talk.answered(0, QUESTION);
        talk.typed(5, "000000");
        talk.refused(6, body);
        talk.failed(code, words);
    }
}

#[test]
fn a_lost_reply_costs_no_login_while_the_session_may_be_good() {
    let lost = || RefreshError::Unreachable("connection reset".into());
    let mut talk = Talk::begin(QUILT, &[]);
    talk.asked();
    talk.answered(0, QUESTION);
    talk.typed(30, "123456");
    talk.hear(Heard::Lost(lost()));
    let Prompt::Code { again, good_for, .. } = talk.prompted() else { panic!("a code") };
    assert_eq!((again, good_for), (false, Some(Duration::from_secs(150))));
    talk.typed(200, "123456");
    talk.hear(Heard::Lost(lost()));
    talk.failed(Code::ProviderUnreachable, "provider unreachable: connection reset");

    let mut early = Talk::begin(QUILT, &[]);
    early.asked();
    early.hear(Heard::Lost(lost()));
    early.failed(Code::ProviderUnreachable, "provider unreachable: connection reset");
}

#[test]
fn questions_are_counted() {
    let mut talk = Talk::begin(QUILT, &[]);
    talk.asked();
    for secs in 0..6 {
        talk.answered(secs, QUESTION);
        talk.typed(secs, "000000");
    }
    talk.answered(7, QUESTION);
    let words = "login refused: CUSTOM_CHALLENGE (6 codes were of no use; start the login again)";
    talk.failed(Code::LoginRejected, words);
}

#[test]
fn a_stored_password_is_not_asked_for_and_any_other_is() {
    let mut stored = Talk::begin(POOL, &[(PASSWORD, "p4ss")]);
    let body = r#"{"AuthFlow":"USER_PASSWORD_AUTH","AuthParameters":{"USERNAME":"pat","PASSWORD":"p4ss"},"ClientId":"c"}"#;
    assert_eq!(stored.asked().body.expose(), body);
    stored.answered(0, TOKENS);
    stored.granted();

    let mut typed = Talk::begin(POOL, &[]);
    assert_eq!(typed.prompted(), Prompt::Password { of: "pat".into() });
    assert_eq!(typed.typed(0, "p4ss").body.expose(), body);
    typed.refused(
        0,
        r#"{"__type":"NotAuthorizedException","message":"Incorrect username or password."}"#,
    );
    let words = "login refused: NotAuthorizedException (Incorrect username or password.)";
    typed.failed(Code::LoginRejected, words);
}

#[test]
fn a_second_factor_is_asked_for_by_where_it_comes_from() {
    #[rustfmt::skip]
    let cases = [
        ("SMS_MFA",            r#"{"CODE_DELIVERY_DESTINATION":"+*******1234","USER_ID_FOR_SRP":"u-1"}"#, "the code that was sent to +*******1234",        r#""USERNAME":"u-1","SMS_MFA_CODE":"123456""#),
        ("SMS_MFA",            "{}",                                                                      "the code that was sent to your telephone",      r#""USERNAME":"pat","SMS_MFA_CODE":"123456""#),
        ("EMAIL_OTP",          r#"{"CODE_DELIVERY_DESTINATION":"p***@e***"}"#,                            "the code that was sent to p***@e***",           r#""USERNAME":"pat","EMAIL_OTP_CODE":"123456""#),
        ("SOFTWARE_TOKEN_MFA", r#"{"FRIENDLY_DEVICE_NAME":"phone"}"#,                                     "the code in the authenticator app",             r#""USERNAME":"pat","SOFTWARE_TOKEN_MFA_CODE":"123456""#),
    ];
    for (challenge, parameters, words, responses) in cases {
        let mut talk = Talk::begin(POOL, &[(PASSWORD, "p4ss")]);
        talk.asked();
        talk.answered(
            0,
            &format!(r#"{{"ChallengeName":"{challenge}","Session":"s1","ChallengeParameters":{parameters}}}"#),
        );
        let Prompt::Code { from, again, .. } = talk.prompted() else { panic!("a code") };
        assert_eq!((&*from, again), (words, false));
        let request = talk.typed(1, "123456");
        assert!(request.body.expose().contains(responses), "{}", request.body.expose());
    }
}

#[test]
fn an_answer_is_proven_in_the_name_that_it_is_given_in() {
    let mut talk =
        Talk::begin(&format!("{POOL}{SECRET}auth_flow = 'custom'"), &[(CLIENT_SECRET, "s3cret")]);
    assert!(talk.asked().body.expose().contains(HASH_OF_PAT));
    talk.answered(0, QUESTION);
    assert!(talk.typed(1, "123456").body.expose().contains(HASH_OF_U1));
}

#[test]
fn a_login_without_a_refresh_token_is_none() {
    let mut talk = Talk::begin(QUILT, &[]);
    talk.asked();
    talk.answered(0, &TOKENS.replace(r#""RefreshToken":"r1","#, ""));
    let words = "unusable answer of the provider: the login brought no refresh token";
    talk.failed(Code::ProviderMalformed, words);
}

#[test]
fn a_login_that_is_driven_out_of_order_fails_and_sends_nothing() {
    let mut talk = Talk::begin(QUILT, &[]);
    talk.hear(Heard::Waited(Timestamp::default()));
    assert!(matches!(&talk.turn, Turn::Done(Err(RefreshError::Internal(_)))));
    talk.hear(Heard::Begun);
    assert!(matches!(&talk.turn, Turn::Done(Err(RefreshError::Internal(_)))));
}

/// A login and what it wants.
struct Talk {
    login: Box<dyn Login>,
    turn: Turn,
}

impl Talk {
    fn begin(text: &str, secrets: &[(&'static str, &str)]) -> Self {
        let secret = |(slot, text): &(&'static str, &str)| (*slot, Secret::new(*text));
        let start = LoginStart {
            secrets: secrets.iter().map(secret).collect(),
            redirect: None,
            learned: None,
            nonce: Secret::new("0".repeat(64)),
            now: Timestamp::default(),
        };
        let mut login = account(text).login(start).unwrap();
        let turn = login.next(Heard::Begun);
        Self { login, turn }
    }

    fn hear(&mut self, heard: Heard) {
        self.turn = self.login.next(heard);
    }

    fn answered(&mut self, secs: u64, body: &str) {
        self.hear(Heard::Response(response(200, body), at(secs)));
    }

    fn refused(&mut self, secs: u64, body: &str) {
        self.hear(Heard::Response(response(400, body), at(secs)));
    }

    /// Types something, and has the request that carries it.
    fn typed(&mut self, secs: u64, text: &str) -> Request {
        self.hear(Heard::Answer(Secret::new(text), at(secs)));
        self.asked()
    }

    fn asked(&mut self) -> Request {
        let (turn, said) = self.take();
        let Turn::Ask(request) = turn else { panic!("{said}") };
        request
    }

    fn prompted(&mut self) -> Prompt {
        let (turn, said) = self.take();
        let Turn::Prompt(prompt) = turn else { panic!("{said}") };
        prompt
    }

    fn granted(&mut self) -> Grant {
        let (turn, said) = self.take();
        let Turn::Done(Ok(grant)) = turn else { panic!("{said}") };
        *grant
    }

    fn failed(&mut self, code: Code, words: &str) {
        let (turn, said) = self.take();
        let Turn::Done(Err(error)) = turn else { panic!("{said}") };
        assert_eq!((error.code(), error.to_string().as_str()), (code, words));
    }

    /// Takes what the login wants, and that in words.
    fn take(&mut self) -> (Turn, String) {
        let over = Turn::Done(Err(RefreshError::Internal("taken".into())));
        let turn = std::mem::replace(&mut self.turn, over);
        let said = said(&turn);
        (turn, said)
    }
}

fn at(secs: u64) -> Timestamp {
    Timestamp::default() + Duration::from_secs(secs)
}

fn said(turn: &Turn) -> String {
    match turn {
        Turn::Ask(request) => format!("asks {}", request.url),
        Turn::Prompt(prompt) => format!("prompts {prompt:?}"),
        Turn::Call(_) => "calls".into(),
        Turn::Pause { span, .. } => format!("pauses {span:?}"),
        Turn::Done(Ok(_)) => "granted".into(),
        Turn::Done(Err(error)) => format!("{error}"),
    }
}
