//! The corpus of answers: what the server, its wiki, and what stands in front of a server are
//! known to say.

use std::time::Duration;

use proptest::proptest;

use super::refusal::OfLogin;
use super::refusal::OfRefresh;
use super::refusal::of_access;
use super::refusal::of_login;
use super::refusal::of_refresh;
use super::refusal::of_unclear;
use super::reply::read;
use super::tests::code_wanted;
use super::tests::code_wrong;
use super::tests::refreshed;
use crate::error::Class;
use crate::error::RefreshError;
use crate::error::code::Code;
use crate::provider::Response;
use crate::provider::testing::Hostile;
use crate::provider::testing::cut;
use crate::provider::testing::hides;
use crate::provider::testing::html;
use crate::provider::testing::json;
use crate::provider::testing::jwt;
use crate::provider::testing::member;
use crate::provider::testing::response;
use crate::provider::testing::retry;
use crate::time::Timestamp;
use crate::token::Secret;

/// One line per refusal of a refresh. The name is the rule that decides.
#[test]
fn every_known_refusal_of_a_refresh_means_what_it_should() {
    #[rustfmt::skip]
    let cases = [
        // The server.
        ("the refresh token is over",              flat("refresh_token_expired", "REFRESH_TOKEN_EXPIRED"),               Code::SessionExpired,      Class::Definite),
        ("the user is gone or inactive",           flat("user_inactive", "USER_INACTIVE"),                               Code::NeedsLogin,          Class::Definite),
        ("a token without a user, or no secret",   flat("refresh_token_invalid", "REFRESH_TOKEN_INVALID"),               Code::GrantRejected,       Class::Suspect),
        ("no token was seen",                      flat("authentication_required", "AUTH_REQUIRED"),                     Code::GrantRejected,       Class::Suspect),
        ("rights",                                 json(403, r#"{"detail":"Admin access required"}"#),                   Code::ClientRejected,      Class::Config),
        ("a rate limit of any other route",        json(429, r#"{"error":"Rate limit exceeded: 200 per 1 minute"}"#),    Code::ProviderUnavailable, Class::Throttled),
        ("a missing field",                        json(422, r#"{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":{"refresh_token":"R1"}}]}"#), Code::ClientRejected, Class::Config),
        ("another method",                         json(405, r#"{"detail":"Method Not Allowed"}"#),                      Code::ClientRejected,      Class::Config),
        ("another path",                           json(404, r#"{"detail":"Not Found"}"#),                               Code::ClientRejected,      Class::Config),
        ("a slash too many",                       response(307, "", ""),                                                Code::ProviderMalformed,   Class::Transient),

        // A server that says what it means to.
        ("an invalid token",                       flat("authentication_failed", "TOKEN_INVALID"),                       Code::GrantRejected,       Class::Suspect),
        ("too many requests",                      json(429, r#"{"error":"rate_limit_exceeded","retry_after":30}"#),     Code::ProviderUnavailable, Class::Throttled),

        // The wiki.
        ("the wiki: an invalid token",             flat("authentication_failed", "INVALID_TOKEN"),                       Code::GrantRejected,       Class::Suspect),
        ("the wiki: no token",                     flat("authentication_failed", "TOKEN_MISSING"),                       Code::GrantRejected,       Class::Suspect),
        ("the wiki: an expired token",             flat("authentication_expired", "TOKEN_EXPIRED"),                      Code::SessionExpired,      Class::Definite),
        ("the wiki: an expired session",           flat("authentication_expired", "SESSION_EXPIRED"),                    Code::SessionExpired,      Class::Definite),
        ("the wiki: rights",                       json(403, r#"{"error":"authorization_failed","message":"You don't have permission to access this resource","error_code":"INSUFFICIENT_PERMISSIONS","required_permission":"ADMIN_ACCESS"}"#), Code::ClientRejected, Class::Config),
        ("the wiki: a rate limit",                 json(429, r#"{"error":"x","error_code":"RATE_LIMIT_EXCEEDED"}"#),     Code::ProviderUnavailable, Class::Throttled),
        ("an unknown word passes",                 flat("authentication_failed", "MADE_UP"),                             Code::ProviderUnavailable, Class::Transient),

        // What stands in front of it.
        ("401 of a proxy",                         html(401),                                                            Code::ProviderMalformed,   Class::Transient),
        ("403 of a proxy",                         html(403),                                                            Code::ProviderMalformed,   Class::Transient),
        ("408",                                    html(408),                                                            Code::ProviderUnavailable, Class::Transient),
        ("500 of a proxy",                         html(500),                                                            Code::ProviderUnavailable, Class::Ambiguous),
        ("502",                                    html(502),                                                            Code::ProviderUnavailable, Class::Ambiguous),
        ("503 with Retry-After asks for patience", retry(html(503)),                                                     Code::ProviderUnavailable, Class::Throttled),
        ("511 never arrived",                      html(511),                                                            Code::ProviderMalformed,   Class::Transient),
    ];
    for (name, response, code, class) in cases {
        let OfRefresh::Failed(error) = of_refresh(&response) else { panic!("{name}") };
        assert_eq!((error.code(), error.class()), (code, class), "{name}: {error}");
    }
}

/// The bodies of both are all that there is.
#[test]
fn the_bare_500_and_no_other_answer_is_unclear() {
    for body in ["Internal Server Error", "", r#"{"detail":"Internal Server Error"}"#] {
        let answer = of_refresh(&response(500, "text/plain", body));
        assert!(matches!(answer, OfRefresh::Unclear), "{body}");
    }
}

/// One line per refusal of a login.
#[test]
fn every_known_refusal_of_a_login_means_what_it_should() {
    #[rustfmt::skip]
    let cases = [
        ("a wrong user or password: judged by the endpoint", flat("authentication_error", "TOKEN_INVALID"),                  Code::LoginRejected,       Class::Definite),
        ("an inactive user, by the wiki",          flat("user_inactive", "USER_INACTIVE"),                                   Code::LoginRejected,       Class::Definite),
        ("rights",                                 json(403, r#"{"detail":"Permission required: users.view"}"#),             Code::LoginRejected,       Class::Definite),
        ("the bare 500",                           response(500, "text/plain", "Internal Server Error"),                     Code::ProviderUnavailable, Class::Transient),
        ("a rate limit that is said",              json(429, r#"{"error":"rate_limit_exceeded","retry_after":30}"#),         Code::ProviderUnavailable, Class::Throttled),
        ("a number for a code",                    json(422, r#"{"detail":[{"type":"string_type","input":287082}]}"#),       Code::ClientRejected,      Class::Config),
        ("401 of a proxy",                         html(401),                                                                Code::ProviderMalformed,   Class::Transient),
        ("403 of a proxy",                         html(403),                                                                Code::ProviderMalformed,   Class::Transient),
        ("another path",                           json(404, r#"{"detail":"Not Found"}"#),                                   Code::ClientRejected,      Class::Config),
        ("502 rotates nothing",                    html(502),                                                                Code::ProviderUnavailable, Class::Transient),
    ];
    for (name, response, code, class) in cases {
        let OfLogin::Failed(error) = of_login(&response) else { panic!("{name}") };
        assert_eq!((error.code(), error.class()), (code, class), "{name}: {error}");
    }
    assert!(matches!(of_login(&code_wanted()), OfLogin::CodeWanted));
    assert!(matches!(of_login(&code_wrong()), OfLogin::CodeWrong(_)));
}

#[test]
fn patience_is_what_the_answer_says_or_the_minute_of_the_limit() {
    #[rustfmt::skip]
    let cases = [
        ("the header wins",  retry(json(429, r#"{"retry_after":30}"#)),                    Some(7)),
        ("the body",         json(429, r#"{"retry_after":30}"#),                           Some(30)),
        ("neither",          json(429, r#"{"error":"Rate limit exceeded: 200 per 1 minute"}"#), Some(60)),
        ("no rate limit",    html(502),                                                    None),
    ];
    for (name, response, secs) in cases {
        let error = of_access(&response);
        assert_eq!(error.retry_after().map(|span| span.as_secs()), secs, "{name}");
    }
}

/// What a server with JWT_SECRET_KEY answers to its own newest token.
#[test]
fn a_server_that_refuses_its_own_tokens_is_told_of() {
    let body = r#"{"error":"refresh_token_invalid","message":"Invalid refresh token","error_code":"REFRESH_TOKEN_INVALID","timestamp":"2026-01-01T00:00:00+00:00","redirect_to":"/login"}"#;
    let OfRefresh::Failed(error) = of_refresh(&json(401, body)) else { panic!("a failure") };
    assert_eq!(
        error.to_string(),
        "refresh token refused: REFRESH_TOKEN_INVALID (Invalid refresh token; its signing key \
         changed, or it has JWT_SECRET_KEY set, with which it refuses its own tokens)"
    );
}

#[test]
fn a_request_that_is_quoted_in_an_answer_is_not_shown() {
    let body = r#"{"detail":[{"msg":"Field required","input":{"refresh_token":"R1"}}]}"#;
    let OfRefresh::Failed(error) = of_refresh(&json(422, body)) else { panic!("a failure") };
    assert_eq!(error.to_string(), "client refused: HTTP 422");
}

#[test]
fn a_grant_has_everything_that_the_reply_says() {
    let grant = read(&refreshed(), Some(&Secret::new("R1"))).ok().unwrap();
    assert_eq!(grant.tokens.access.expose(), "A2");
    assert_eq!(grant.refresh_token.unwrap().expose(), "R2");
    assert_eq!(grant.lifetime, Duration::from_secs(1800));
    assert_eq!(grant.refresh_lifetime, Some(WEEK));
    assert_eq!(grant.subject.as_deref(), Some("pat"));
}

#[test]
fn a_new_refresh_token_may_be_the_old_one() {
    let grant = read(&refreshed(), Some(&Secret::new("R2"))).ok().unwrap();
    assert_eq!(grant.refresh_token.unwrap().expose(), "R2");
}

#[test]
fn a_refresh_token_ends_by_its_own_date_against_that_of_the_response() {
    let dated = |secs: i64| jwt(&format!(r#"{{"exp":{secs}}}"#));
    let date = Some(Timestamp::from_millis(1_000_000));
    #[rustfmt::skip]
    let cases = [
        // name                            new                 old                 Date  seconds
        ("by its date",                    Some(dated(1_600)), None,               date, Some(600)),
        ("no Date: what servers grant",    Some(dated(1_600)), None,               None, Some(604_800)),
        ("over, says somebody's clock",    Some(dated(900)),   None,               date, Some(604_800)),
        ("no JWT",                         Some("R2".into()),  None,               date, Some(604_800)),
        ("the old one stays",              None,               Some(dated(1_300)), date, Some(300)),
        ("the old one, whose end is dark", None,               Some("R1".into()),  date, None),
    ];
    for (name, new, old, date, secs) in cases {
        let new = new.map_or_else(|| "null".into(), |new| format!(r#""{new}""#));
        let body = format!(r#"{{"access_token":"a","refresh_token":{new}}}"#);
        let spent = Secret::new(old.unwrap_or_else(|| "R1".into()));
        let grant = read(&Response { date, ..json(200, &body) }, Some(&spent)).ok().unwrap();
        assert_eq!(grant.refresh_lifetime.map(|span| span.as_secs()), secs, "{name}");
    }
}

#[test]
fn an_access_token_lives_as_long_as_the_reply_says_or_itself() {
    let own = jwt(r#"{"exp":1600}"#);
    #[rustfmt::skip]
    let cases = [
        ("the reply",               format!(r#"{{"access_token":"{own}","expires_in":1700}}"#), 1700),
        ("itself",                  format!(r#"{{"access_token":"{own}"}}"#),                   600),
        ("neither",                 r#"{"access_token":"a"}"#.into(),                           1800),
        ("dead on arrival",         r#"{"access_token":"a","expires_in":-1}"#.into(),           0),
    ];
    for (name, body, secs) in cases {
        let date = Some(Timestamp::from_millis(1_000_000));
        let answer = Response { date, ..json(200, &body) };
        let grant = read(&answer, Some(&Secret::new("R1"))).ok().unwrap();
        assert_eq!(grant.lifetime.as_secs(), secs, "{name}");
    }
}

/// The wiki's refresh leaves out the `id` that its login has.
#[test]
fn the_subject_is_the_name_of_the_user_in_both_dialects() {
    #[rustfmt::skip]
    let cases = [
        (r#"{"id":1,"username":"admin","role":"admin"}"#, Some("admin")),
        (r#"{"username":"admin","role":"admin"}"#,        Some("admin")),
        (r#"{"id":1}"#,                                   Some("1")),
        ("{}",                                            None),
        ("null",                                          None),
    ];
    for (user, subject) in cases {
        let body = format!(r#"{{"access_token":"a","refresh_token":"r","user":{user}}}"#);
        let grant = read(&json(200, &body), None).ok().unwrap();
        assert_eq!(grant.subject.as_deref(), subject, "{user}");
    }
}

#[test]
fn a_success_that_grants_nothing_says_why() {
    #[rustfmt::skip]
    let cases = [
        // name                      answer                                            refresh                login
        ("no access token",          json(200, r#"{"refresh_token":"r"}"#),            "no access token",     "no access token"),
        ("an empty access token",    json(200, r#"{"access_token":""}"#),              "no access token",     "no access token"),
        ("one that breaks a header", json(200, r#"{"access_token":"a\r\nb"}"#),        "no access token",     "no access token"),
        ("a list",                   json(200, "[]"),                                  "no access token",     "no access token"),
        ("an empty body",            json(200, ""),                                    "no JSON object",      "no JSON object"),
        ("a captive portal",         html(200),                                        "a page, with HTTP 200", "a page, with HTTP 200"),
        ("an answer that breaks off", cut(json(200, r#"{"access_token":"a","#)),                  "reply was lost",      "unreachable"),
    ];
    for (name, answer, refresh, login) in cases {
        let said = |spent: Option<&Secret>| read(&answer, spent).err().unwrap().to_string();
        let (by_refresh, by_login) = (said(Some(&Secret::new("R1"))), said(None));
        assert!(by_refresh.contains(refresh), "{name}: {by_refresh}");
        assert!(by_login.contains(login), "{name}: {by_login}");
    }
    let no_refresh_token = read(&json(200, r#"{"access_token":"a"}"#), None).err().unwrap();
    assert!(no_refresh_token.to_string().contains("no refresh token"), "{no_refresh_token}");
}

proptest! {
    #[test]
    fn no_body_panics_or_shows_in_an_error(hostile in Hostile::noise()) {
        passes_over(hostile);
    }

    #[test]
    fn no_member_panics_or_shows_in_an_error(hostile in Hostile::cut(member(NAMES, VALUES))) {
        passes_over(hostile);
    }
}

fn passes_over(hostile: Hostile) {
    let answer = hostile.reply(json(0, ""));
    let refresh = match of_refresh(&answer) {
        OfRefresh::Unclear => None,
        OfRefresh::Failed(error) => Some(error),
    };
    let login = match of_login(&answer) {
        OfLogin::CodeWanted => None,
        OfLogin::CodeWrong(answer) => Some(RefreshError::LoginRejected(answer)),
        OfLogin::Failed(error) => Some(error),
    };
    let other = [of_access(&answer), of_unclear(&answer)];
    let success = read(&answer, None).err();
    for error in refresh.into_iter().chain(login).chain(other).chain(success) {
        hides(&error);
    }
}

const NAMES: &str = "access_token|refresh_token|expires_in|user|error|error_code|message|detail";

const VALUES: &[&str] =
    &[r#""CANARY""#, r#"["CANARY"]"#, r#"{"id":"CANARY","message":"CANARY"}"#, r#""2FA CANARY\n""#];

const WEEK: Duration = Duration::from_secs(604_800);

/// The flat form of an error, which both dialects have.
fn flat(error: &str, code: &str) -> Response {
    let body = format!(
        r#"{{"error":"{error}","message":"Words","error_code":"{code}","timestamp":"2026-01-01T00:00:00+00:00","redirect_to":"/login"}}"#
    );
    json(401, &body)
}
