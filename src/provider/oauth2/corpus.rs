//! The corpus of answers: what providers, and what stands in front of them, are known to say.

use std::time::Duration;

use proptest::proptest;
use zeroize::Zeroizing;

use super::reply::Rules;
use super::reply::read;
use crate::error::Class;
use crate::provider::Outcome;
use crate::provider::Response;
use crate::provider::testing::Ends;
use crate::provider::testing::Hostile;
use crate::provider::testing::cut;
use crate::provider::testing::granted;
use crate::provider::testing::html;
use crate::provider::testing::json;
use crate::provider::testing::member;
use crate::provider::testing::response;
use crate::provider::testing::retry;
use crate::provider::testing::survives;
use crate::token::Kind;

/// One line per answer that a provider, or something in front of it, is known to give. The
/// name is the rule that decides.
#[test]
fn every_known_answer_means_what_it_should() {
    use Class::Ambiguous;
    use Class::Config;
    use Class::Definite;
    use Class::Suspect;
    use Class::Throttled;
    use Class::Transient;

    let form = |status, body: &str| response(status, "application/x-www-form-urlencoded", body);
    let plain = |status, body: &str| response(status, "text/plain", body);

    #[rustfmt::skip]
    let cases = [
        // Tokens.
        ("the RFC's own example",                     json(200, r#"{"access_token":"a","token_type":"example","expires_in":3600,"refresh_token":"r2"}"#), Ends::Granted("a", Some("r2"), 3600)),
        ("no new refresh token keeps the old one",    json(200, r#"{"access_token":"a","token_type":"Bearer","expires_in":3600}"#),      Ends::Granted("a", None, 3600)),
        ("null is no refresh token",                  json(200, r#"{"access_token":"a","expires_in":60,"refresh_token":null}"#),         Ends::Granted("a", None, 60)),
        ("an empty text is no refresh token",         json(200, r#"{"access_token":"a","expires_in":60,"refresh_token":""}"#),           Ends::Granted("a", None, 60)),
        ("a number is no refresh token",              json(200, r#"{"access_token":"a","expires_in":60,"refresh_token":5}"#),            Ends::Granted("a", None, 60)),
        ("expires_in as a string",                    json(200, r#"{"access_token":"a","expires_in":"3600"}"#),                          Ends::Granted("a", None, 3600)),
        ("expires_in as a float",                     json(200, r#"{"access_token":"a","expires_in":3600.0}"#),                          Ends::Granted("a", None, 3600)),
        ("expires_in of 2^63",                        json(200, r#"{"access_token":"a","expires_in":9223372036854775808}"#),             Ends::Granted("a", None, 2_592_000)),
        ("expires_in of 1e308",                       json(200, r#"{"access_token":"a","expires_in":1e308}"#),                           Ends::Granted("a", None, 2_592_000)),
        ("expires_in missing: the default",           json(200, r#"{"access_token":"a"}"#),                                              Ends::Granted("a", None, 600)),
        ("expires_in null: the default",              json(200, r#"{"access_token":"a","expires_in":null}"#),                            Ends::Granted("a", None, 600)),
        ("born expired keeps its refresh token",      json(200, r#"{"access_token":"a","expires_in":0,"refresh_token":"r2"}"#),          Ends::Granted("a", Some("r2"), 0)),
        ("negative is born expired",                  json(200, r#"{"access_token":"a","expires_in":-60}"#),                             Ends::Granted("a", None, 0)),
        ("a JWT that ends sooner wins",               json(200, concat!(r#"{"expires_in":3600,"access_token":"e30."#, "eyJleHAiOjQwMCwiaWF0IjoxMDB9", r#".s"}"#)), Ends::Granted("e30.eyJleHAiOjQwMCwiaWF0IjoxMDB9.s", None, 300)),
        ("201 is a success",                          json(201, r#"{"access_token":"a","expires_in":60}"#),                              Ends::Granted("a", None, 60)),
        ("JSON that is called a page",                response(200, "text/html", r#" {"access_token":"a","expires_in":60}"#),            Ends::Granted("a", None, 60)),
        ("JSON that is called nothing",               response(200, "", r#"{"access_token":"a","expires_in":60}"#),                      Ends::Granted("a", None, 60)),
        ("JSON behind a byte order mark",             json(200, "\u{feff}{\"access_token\":\"a\",\"expires_in\":60}"),                   Ends::Granted("a", None, 60)),
        ("the last of two members wins",              json(200, r#"{"access_token":"b","access_token":"a","expires_in":60}"#),           Ends::Granted("a", None, 60)),
        ("an error that is null is none",             json(200, r#"{"error":null,"access_token":"a","expires_in":60}"#),                 Ends::Granted("a", None, 60)),
        ("an error that is empty is none",            json(200, r#"{"error":"","access_token":"a","expires_in":60}"#),                   Ends::Granted("a", None, 60)),
        ("an error that is false is none",            json(200, r#"{"error":false,"access_token":"a","expires_in":60}"#),                Ends::Granted("a", None, 60)),
        ("a form, as GitHub answers by default",      form(200, "access_token=a%2B&expires_in=60&refresh_token=r2&token_type=bearer"),   Ends::Granted("a+", Some("r2"), 60)),
        ("a form that is called text",                plain(200, "access_token=a&expires_in=60"),                                        Ends::Granted("a", None, 60)),
        ("a form with a bare space in its scope",     form(200, "scope=a b&access_token=a&expires_in=60"),                                Ends::Granted("a", None, 60)),
        ("whole JSON on a broken connection",         cut(json(200, r#"{"access_token":"a","expires_in":60}"#)),                         Ends::Granted("a", None, 60)),

        // Successes that hold no tokens.
        ("no access token",                           json(200, r#"{"token_type":"Bearer"}"#),                                           Ends::Failed(Ambiguous)),
        ("an empty access token",                     json(200, r#"{"access_token":""}"#),                                               Ends::Failed(Ambiguous)),
        ("an access token that breaks a header",      json(200, r#"{"access_token":"a\r\nb"}"#),                                         Ends::Failed(Ambiguous)),
        ("a refresh token alone is kept",             json(200, r#"{"refresh_token":"r2"}"#),                                            Ends::Salvaged("r2", Ambiguous)),
        ("an empty object",                           json(200, "{}"),                                                                   Ends::Failed(Ambiguous)),
        ("an empty body",                             json(200, ""),                                                                     Ends::Failed(Ambiguous)),
        ("204",                                       response(204, "", ""),                                                             Ends::Failed(Ambiguous)),
        ("a list",                                    json(200, r#"[{"access_token":"a"}]"#),                                            Ends::Failed(Ambiguous)),
        ("a string",                                  json(200, r#""access_token=a""#),                                                  Ends::Failed(Ambiguous)),
        ("null",                                      json(200, "null"),                                                                 Ends::Failed(Ambiguous)),
        ("not UTF-8",                                 Response { body: Zeroizing::new(vec![0xff, 0xfe, 0x00]), ..json(200, "") },        Ends::Failed(Ambiguous)),
        ("broken JSON",                               json(200, r#"{"access_token":"a",}"#),                                             Ends::Failed(Ambiguous)),
        ("broken JSON that holds a refresh token",    json(200, r#"{"refresh_token":"r2","access_token":"a"#),                           Ends::Salvaged("r2", Ambiguous)),
        ("broken JSON that quotes a query",           json(200, r#"{"next":"/?a=b&error=invalid_grant"#),                                Ends::Failed(Ambiguous)),
        ("prose that quotes a query",                 plain(200, "Sorry, see /help?a=b&error=invalid_grant"),                            Ends::Failed(Ambiguous)),
        ("cut off before the refresh token",          cut(json(200, r#"{"access_token":"a","#)),                                         Ends::Failed(Ambiguous)),
        ("cut off after the refresh token",           cut(json(200, r#"{"refresh_token":"r2","acc"#)),                                   Ends::Salvaged("r2", Ambiguous)),
        ("a form that is cut off",                    cut(form(200, "access_token=a")),                                                  Ends::Failed(Ambiguous)),
        ("a captive portal",                          html(200),                                                                         Ends::Failed(Transient)),
        ("a page that is called text",                plain(200, " <html></html>"),                                                      Ends::Failed(Transient)),

        // Errors that call themselves a success.
        ("GitHub: bad_refresh_token in a 200",        json(200, r#"{"error":"bad_refresh_token","error_description":"x"}"#),             Ends::Failed(Suspect)),
        ("the same as a form",                        form(200, "error=bad_refresh_token&error_description=The+token"),                  Ends::Failed(Suspect)),
        ("an error wins over a token",                json(200, r#"{"error":"invalid_grant","access_token":"a"}"#),                      Ends::Failed(Suspect)),
        ("Zoho: invalid_code in a 200",               json(200, r#"{"error":"invalid_code"}"#),                                          Ends::Failed(Suspect)),
        ("Slack: a rate limit in a 200",              json(200, r#"{"ok":false,"error":"ratelimited"}"#),                                Ends::Failed(Throttled)),
        ("an unknown error in a 200 passes",          json(200, r#"{"error":"oops"}"#),                                                  Ends::Failed(Transient)),

        // RFC 6749 section 5.2.
        ("invalid_grant is confirmed first",          json(400, r#"{"error":"invalid_grant"}"#),                                         Ends::Failed(Suspect)),
        ("invalid_grant with 401",                    json(401, r#"{"error":"invalid_grant"}"#),                                         Ends::Failed(Suspect)),
        ("invalid_grant with 403, as Atlassian",      json(403, r#"{"error":"invalid_grant"}"#),                                         Ends::Failed(Suspect)),
        ("a known word with 404",                     json(404, r#"{"error":"invalid_grant"}"#),                                         Ends::Failed(Suspect)),
        ("invalid_client",                            json(401, r#"{"error":"invalid_client"}"#),                                        Ends::Failed(Config)),
        ("unauthorized_client",                       json(400, r#"{"error":"unauthorized_client"}"#),                                   Ends::Failed(Config)),
        ("unsupported_grant_type",                    json(400, r#"{"error":"unsupported_grant_type"}"#),                                Ends::Failed(Config)),
        ("invalid_scope",                             json(400, r#"{"error":"invalid_scope"}"#),                                         Ends::Failed(Config)),
        ("invalid_target",                            json(400, r#"{"error":"invalid_target"}"#),                                        Ends::Failed(Config)),
        ("invalid_request",                           json(400, r#"{"error":"invalid_request"}"#),                                       Ends::Failed(Config)),
        ("an error as a form",                        form(400, "error=invalid_client"),                                                 Ends::Failed(Config)),
        ("temporarily_unavailable with 400",          json(400, r#"{"error":"temporarily_unavailable"}"#),                               Ends::Failed(Transient)),
        ("server_error with 400",                     json(400, r#"{"error":"server_error"}"#),                                          Ends::Failed(Transient)),
        ("slow_down",                                 json(400, r#"{"error":"slow_down"}"#),                                             Ends::Failed(Throttled)),
        ("Zoho: Access Denied is a rate limit",       json(400, r#"{"error":"Access Denied","status":"failure"}"#),                      Ends::Failed(Throttled)),
        ("access_denied is not",                      json(403, r#"{"error":"access_denied"}"#),                                         Ends::Failed(Definite)),
        ("interaction_required",                      json(400, r#"{"error":"interaction_required"}"#),                                  Ends::Failed(Definite)),
        ("login_required",                            json(400, r#"{"error":"login_required"}"#),                                        Ends::Failed(Definite)),
        ("consent_required",                          json(400, r#"{"error":"consent_required"}"#),                                      Ends::Failed(Definite)),
        ("expired_token",                             json(400, r#"{"error":"expired_token"}"#),                                         Ends::Failed(Definite)),
        ("OpenAI: refresh_token_reused",              json(401, r#"{"error":{"code":"refresh_token_reused","message":"x"}}"#),           Ends::Failed(Definite)),
        ("an unknown word with 400 passes",           json(400, r#"{"error":"authorization_pending"}"#),                                 Ends::Failed(Transient)),
        ("an unknown object with 401 passes",         json(401, r#"{"error":{"code":401,"message":"x"}}"#),                              Ends::Failed(Transient)),

        // Statuses.
        ("300",                                       response(300, "", ""),                                                             Ends::Failed(Transient)),
        ("a redirect to a portal",                    html(302),                                                                         Ends::Failed(Transient)),
        ("307 with OAuth in it",                      json(307, r#"{"error":"invalid_grant"}"#),                                         Ends::Failed(Transient)),
        ("400 without OAuth",                         html(400),                                                                         Ends::Failed(Transient)),
        ("401 without OAuth",                         json(401, r#"{"message":"Unauthorized"}"#),                                        Ends::Failed(Transient)),
        ("403 of an edge",                            html(403),                                                                         Ends::Failed(Transient)),
        ("404",                                       html(404),                                                                         Ends::Failed(Config)),
        ("404 of a framework",                        json(404, r#"{"status":404,"error":"Not Found","path":"/token"}"#),                Ends::Failed(Config)),
        ("405",                                       plain(405, "Method Not Allowed"),                                                  Ends::Failed(Config)),
        ("407",                                       html(407),                                                                         Ends::Failed(Transient)),
        ("408 did not rotate",                        plain(408, ""),                                                                    Ends::Failed(Transient)),
        ("410",                                       plain(410, ""),                                                                    Ends::Failed(Config)),
        ("413",                                       plain(413, ""),                                                                    Ends::Failed(Config)),
        ("415",                                       plain(415, ""),                                                                    Ends::Failed(Config)),
        ("418",                                       plain(418, ""),                                                                    Ends::Failed(Transient)),
        ("425 did not rotate",                        plain(425, ""),                                                                    Ends::Failed(Transient)),
        ("429",                                       retry(plain(429, "")),                                                             Ends::Failed(Throttled)),
        ("429 wins over its word",                    json(429, r#"{"error":"invalid_grant"}"#),                                         Ends::Failed(Throttled)),
        ("500 may have rotated",                      html(500),                                                                         Ends::Failed(Ambiguous)),
        ("500 wins over its word",                    json(500, r#"{"error":"invalid_grant"}"#),                                         Ends::Failed(Ambiguous)),
        ("502 may have rotated",                      html(502),                                                                         Ends::Failed(Ambiguous)),
        ("503 may have rotated",                      html(503),                                                                         Ends::Failed(Ambiguous)),
        ("503 with Retry-After asks for patience",    retry(html(503)),                                                                  Ends::Failed(Throttled)),
        ("504 may have rotated",                      html(504),                                                                         Ends::Failed(Ambiguous)),
        ("511 never arrived",                         html(511),                                                                         Ends::Failed(Transient)),
        ("520 of an edge may have rotated",           html(520),                                                                         Ends::Failed(Ambiguous)),
        ("an error that breaks off",                  cut(json(400, r#"{"error":"invalid_gr"#)),                                         Ends::Failed(Transient)),
    ];
    for (name, response, expected) in cases {
        expected.check(name, Kind::Access, &response, &read(&response, SPENDING));
    }
}

#[test]
fn a_grant_has_everything_that_the_reply_says() {
    let body = r#"{
        "access_token": "a", "token_type": "bearer", "expires_in": 300, "refresh_token": "r2",
        "refresh_expires_in": 1800, "scope": ["mail", "files"],
        "id_token": "e30.eyJzdWIiOiJwYXQifQ.s", "session_state": {"deep": [1, 2]}
    }"#;
    let grant = granted(read(&json(200, body), SPENDING));
    assert_eq!(&*grant.tokens.token_type, "bearer");
    assert_eq!(grant.tokens.scope.as_deref(), Some("mail files"));
    assert_eq!(grant.tokens.id.as_ref().unwrap().expose(), "e30.eyJzdWIiOiJwYXQifQ.s");
    assert_eq!(grant.subject.as_deref(), Some("pat"));
    assert_eq!(grant.refresh_lifetime, Some(Duration::from_secs(1800)));
    assert_eq!(grant.lifetime, Duration::from_secs(300));
}

#[test]
fn a_grant_is_good_for_no_longer_than_its_id_token() {
    // exp is 400, iat is 100.
    let body =
        r#"{"access_token":"a","expires_in":3600,"id_token":"e30.eyJleHAiOjQwMCwiaWF0IjoxMDB9.s"}"#;
    assert_eq!(granted(read(&json(200, body), SPENDING)).lifetime.as_secs(), 300);
}

#[test]
fn the_subject_is_that_of_the_id_token_before_that_of_the_access_token() {
    let (pat, joe) = ("e30.eyJzdWIiOiJwYXQifQ.s", "e30.eyJzdWIiOiJqb2UifQ.s");
    #[rustfmt::skip]
    let cases = [
        ("both",                        joe,      pat,         Some("pat")),
        ("an ID token that tells none", joe,      "e30.e30.s", Some("joe")),
        ("an ID token that is none",    joe,      "opaque",    Some("joe")),
        ("an access token alone",       joe,      "",          Some("joe")),
        ("an opaque access token",      "opaque", "",          None),
    ];
    for (name, access, id, subject) in cases {
        let body = format!(r#"{{"access_token":"{access}","id_token":"{id}"}}"#);
        let grant = granted(read(&json(200, &body), SPENDING));
        assert_eq!(grant.subject.as_deref(), subject, "{name}");
    }
}

#[test]
fn a_grant_is_not_spoiled_by_members_of_the_wrong_type() {
    let body = r#"{
        "access_token": "e30.eyJzdWIiOiJqb2UifQ.s", "token_type": "Bearer\r\nx: y", "expires_in": {},
        "refresh_token": "r2", "refresh_expires_in": "never", "scope": 5, "id_token": []
    }"#;
    let grant = granted(read(&json(200, body), SPENDING));
    assert_eq!(&*grant.tokens.token_type, "Bearer");
    assert_eq!(grant.tokens.scope, None);
    assert!(grant.tokens.id.is_none());
    assert_eq!(grant.subject.as_deref(), Some("joe"));
    assert_eq!(grant.refresh_lifetime, None);
    assert_eq!(grant.lifetime, SPENDING.default_lifetime);
    assert_eq!(grant.refresh_token.unwrap().expose(), "r2");
}

#[test]
fn a_reply_that_could_not_spend_is_never_in_doubt_for_its_status() {
    let rules = Rules { spends: false, ..SPENDING };
    let broken = Response { complete: false, ..response(200, "application/json", "{") };
    for (response, class) in [(broken, Class::NotSent), (response(500, "", ""), Class::Transient)] {
        let Outcome::Failed(error) = read(&response, rules) else { panic!("a failure") };
        assert_eq!(error.class(), class, "{error}");
    }
}

#[test]
fn a_redirect_is_told_by_its_host_alone() {
    let reply = Response { location: Some("portal.example".into()), ..response(302, "", "") };
    let Outcome::Failed(error) = read(&reply, SPENDING) else { panic!("a failure") };
    let text = "not an answer of the provider: HTTP 302 to portal.example, which is not followed";
    assert_eq!(error.to_string(), text);
}

proptest! {
    #[test]
    fn no_body_panics_or_shows_in_an_error(hostile in Hostile::noise(), content_type in 0..TYPES.len()) {
        passes_over(hostile, TYPES[content_type]);
    }

    #[test]
    fn no_member_panics_or_shows_in_an_error(hostile in Hostile::cut(member(NAMES, VALUES))) {
        passes_over(hostile, "application/json");
    }
}

fn passes_over(hostile: Hostile, content_type: &str) {
    let reply = hostile.reply(response(0, content_type, ""));
    for spends in [true, false] {
        survives(reply.status, &read(&reply, Rules { spends, ..SPENDING }));
    }
}

const TYPES: &[&str] = &["application/json", "application/x-www-form-urlencoded", "text/html", ""];

const NAMES: &str =
    "access_token|refresh_token|expires_in|scope|id_token|error|error_description|token_type";

const VALUES: &[&str] = &[
    r#""CANARY""#,
    r#"["CANARY"]"#,
    r#"{"code":"CANARY","message":"CANARY"}"#,
    r#""invalid_grant","error_description":"see CANARY""#,
    r#""CANARY\n""#,
];

const SPENDING: Rules<'_> = Rules {
    endpoint: "https://idp.example/token",
    default_lifetime: Duration::from_secs(600),
    spends: true,
};
