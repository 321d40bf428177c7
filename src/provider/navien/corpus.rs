//! The corpus of answers: what the service, and what stands in front of it, are known to say.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::Strategy;
use proptest::prop_oneof;
use proptest::proptest;
use proptest::sample::select;

use super::reply::Purpose;
use super::reply::Rules;
use super::reply::read;
use super::tests::refreshed;
use super::tests::signed_in;
use crate::error::Class;
use crate::error::code::Code;
use crate::provider::Outcome;
use crate::provider::Response;
use crate::provider::testing::CANARY;
use crate::provider::testing::Ends;
use crate::provider::testing::Hostile;
use crate::provider::testing::cut;
use crate::provider::testing::granted;
use crate::provider::testing::html;
use crate::provider::testing::json;
use crate::provider::testing::member;
use crate::provider::testing::response;
use crate::provider::testing::retry;
use crate::provider::testing::spoken;
use crate::provider::testing::survives;
use crate::token::Kind;
use crate::token::Secret;
use crate::token::TokenSet;

/// One line per answer to a refresh. The name is the rule that decides.
#[test]
fn every_known_answer_to_a_refresh_means_what_it_should() {
    use Class::Ambiguous;
    use Class::Config;
    use Class::Suspect;
    use Class::Throttled;
    use Class::Transient;

    #[rustfmt::skip]
    let cases = [
        // Tokens.
        ("the sheet's sample: an empty refresh token",  refreshed(),                                                                Ends::Granted("A2", None, 3600)),
        ("a new refresh token",                         data(r#"{"accessToken":"a","refreshToken":"r2","authenticationExpiresIn":60}"#), Ends::Granted("a", Some("r2"), 60)),
        ("no lifetime: an hour",                        data(r#"{"accessToken":"a"}"#),                                             Ends::Granted("a", None, 3600)),
        ("a lifetime of null: an hour",                 data(r#"{"accessToken":"a","authenticationExpiresIn":null}"#),              Ends::Granted("a", None, 3600)),
        ("a lifetime as a text",                        data(r#"{"accessToken":"a","authenticationExpiresIn":"60"}"#),              Ends::Granted("a", None, 60)),
        ("a negative lifetime is dead on arrival",      data(r#"{"accessToken":"a","authenticationExpiresIn":-1}"#),                Ends::Granted("a", None, 0)),
        ("the shape of a sign-in",                      data(r#"{"token":{"accessToken":"a"}}"#),                                   Ends::Granted("a", None, 3600)),
        ("the other name of that",                      data(r#"{"tokens":{"accessToken":"a"}}"#),                                  Ends::Granted("a", None, 3600)),
        ("tokens beside an empty token object",         data(r#"{"token":{},"accessToken":"a"}"#),                                  Ends::Granted("a", None, 3600)),
        ("no code: the status stands in for it",        json(200, r#"{"data":{"accessToken":"a"}}"#),                               Ends::Granted("a", None, 3600)),
        ("a code of null",                              json(200, r#"{"code":null,"data":{"accessToken":"a"}}"#),                   Ends::Granted("a", None, 3600)),
        ("a code as a text",                            json(200, r#"{"code":"200","data":{"accessToken":"a"}}"#),                  Ends::Granted("a", None, 3600)),
        ("JSON that is called a page",                  response(200, "text/html", r#"{"code":200,"data":{"accessToken":"a"}}"#),   Ends::Granted("a", None, 3600)),

        // Successes that hold no tokens.
        ("empty data",                                  data("{}"),                                                                 Ends::Failed(Ambiguous)),
        ("data of null",                                data("null"),                                                               Ends::Failed(Ambiguous)),
        ("data that is a list",                         data("[]"),                                                                 Ends::Failed(Ambiguous)),
        ("an empty access token",                       data(r#"{"accessToken":""}"#),                                              Ends::Failed(Ambiguous)),
        ("an access token of null",                     data(r#"{"accessToken":null}"#),                                            Ends::Failed(Ambiguous)),
        ("an access token that breaks a header",        data(r#"{"accessToken":"a\r\nb"}"#),                                        Ends::Failed(Ambiguous)),
        ("a refresh token alone is kept",               data(r#"{"accessToken":"","refreshToken":"r2"}"#),                          Ends::Salvaged("r2", Ambiguous)),
        ("a list",                                      json(200, r#"[200,"SUCCESS",{"accessToken":"a"}]"#),                        Ends::Failed(Ambiguous)),
        ("a string",                                    json(200, r#""accessToken""#),                                              Ends::Failed(Ambiguous)),
        ("null",                                        json(200, "null"),                                                          Ends::Failed(Ambiguous)),
        ("an empty body",                               json(200, ""),                                                              Ends::Failed(Ambiguous)),
        ("204",                                         response(204, "", ""),                                                      Ends::Failed(Ambiguous)),
        ("cut off before the refresh token",            cut(json(200, r#"{"code":200,"data":{"accessTok"#)),                        Ends::Failed(Ambiguous)),
        ("cut off after the refresh token",             cut(json(200, r#"{"code":200,"data":{"refreshToken":"r2","acc"#)),          Ends::Salvaged("r2", Ambiguous)),
        ("a captive portal",                            html(200),                                                                  Ends::Failed(Transient)),

        // Failures by the envelope.
        ("401 is confirmed first",                      json(401, r#"{"code":401,"msg":"x"}"#),                                     Ends::Failed(Suspect)),
        ("401 under HTTP 200",                          json(200, r#"{"code":401,"msg":"x","data":null}"#),                         Ends::Failed(Suspect)),
        ("401 beside tokens",                           json(200, r#"{"code":401,"data":{"accessToken":"a"}}"#),                    Ends::Failed(Suspect)),
        ("HTTP 401 under code 200",                     json(401, r#"{"code":200,"msg":"SUCCESS"}"#),                               Ends::Failed(Suspect)),
        ("HTTP 401 with a code of the service's own",   json(401, r#"{"code":10001,"msg":"x"}"#),                                   Ends::Failed(Suspect)),
        ("400",                                         json(400, r#"{"code":400,"msg":"x"}"#),                                     Ends::Failed(Suspect)),
        ("403",                                         json(403, r#"{"code":403,"msg":"x"}"#),                                     Ends::Failed(Suspect)),
        ("404 in an envelope",                          json(200, r#"{"code":404,"msg":"NOT_FOUND","data":null}"#),                 Ends::Failed(Suspect)),
        ("409 passes",                                  json(200, r#"{"code":409,"msg":"x"}"#),                                     Ends::Failed(Transient)),
        ("an unknown code passes",                      json(200, r#"{"code":10001,"msg":"x","data":{"accessToken":"a"}}"#),        Ends::Failed(Transient)),
        ("a code of 0 passes",                          json(200, r#"{"code":0,"data":{"accessToken":"a"}}"#),                      Ends::Failed(Transient)),
        ("a code of 201 passes",                        json(200, r#"{"code":201,"data":{"accessToken":"a"}}"#),                    Ends::Failed(Transient)),
        ("429",                                         json(200, r#"{"code":429,"msg":"x"}"#),                                     Ends::Failed(Throttled)),
        ("500 may have rotated",                        json(200, r#"{"code":500,"msg":"x"}"#),                                     Ends::Failed(Ambiguous)),
        ("the worse of both: HTTP",                     json(500, r#"{"code":401,"msg":"x"}"#),                                     Ends::Failed(Ambiguous)),
        ("the worse of both: the code",                 json(401, r#"{"code":500,"msg":"x"}"#),                                     Ends::Failed(Ambiguous)),

        // Statuses.
        ("a redirect to a portal",                      html(302),                                                                  Ends::Failed(Transient)),
        ("401 of something in between",                 json(401, r#"{"message":"Unauthorized"}"#),                                 Ends::Failed(Transient)),
        ("401 as a list",                               json(401, "[]"),                                                            Ends::Failed(Transient)),
        ("403 of an edge",                              html(403),                                                                  Ends::Failed(Transient)),
        ("404",                                         html(404),                                                                  Ends::Failed(Config)),
        ("405",                                         html(405),                                                                  Ends::Failed(Config)),
        ("408 did not rotate",                          html(408),                                                                  Ends::Failed(Transient)),
        ("413",                                         html(413),                                                                  Ends::Failed(Config)),
        ("418",                                         html(418),                                                                  Ends::Failed(Transient)),
        ("429 of an edge",                              retry(html(429)),                                                           Ends::Failed(Throttled)),
        ("502 may have rotated",                        html(502),                                                                  Ends::Failed(Ambiguous)),
        ("503 with Retry-After asks for patience",      retry(html(503)),                                                           Ends::Failed(Throttled)),
        ("511 never arrived",                           html(511),                                                                  Ends::Failed(Transient)),
    ];
    for (name, response, expected) in cases {
        expected.check(name, Kind::Access, &response, &read(&response, &rules(Purpose::Refresh)));
    }
}

/// One line per answer to a sign-in that grants nothing, with the code that everyone sees.
#[test]
fn every_known_refusal_of_a_sign_in_means_what_it_should() {
    #[rustfmt::skip]
    let cases = [
        ("a wrong password",                            json(401, r#"{"code":401,"msg":"x"}"#),                       Code::LoginRejected),
        ("the same under HTTP 200",                     json(200, r#"{"code":401,"msg":"x","data":null}"#),           Code::LoginRejected),
        ("a word for it with any code",                 json(200, r#"{"code":500,"msg":"INVALID_USER"}"#),            Code::LoginRejected),
        ("the other word for it",                       json(500, r#"{"code":500,"msg":"Unauthorized access"}"#),     Code::LoginRejected),
        ("no such user",                                json(200, r#"{"code":404,"msg":"NOT_FOUND","data":null}"#),   Code::LoginRejected),
        ("any other 4xx",                               json(400, r#"{"code":400,"msg":"x"}"#),                       Code::LoginRejected),
        ("a rate limit",                                json(429, r#"{"code":429,"msg":"x"}"#),                       Code::ProviderUnavailable),
        ("a fault",                                     json(200, r#"{"code":500,"msg":"x"}"#),                       Code::ProviderUnavailable),
        ("an unknown code",                             json(200, r#"{"code":10001,"msg":"x"}"#),                     Code::ProviderUnavailable),
        ("401 of something in between",                 html(401),                                                    Code::ProviderMalformed),
        ("a captive portal",                            html(200),                                                    Code::ProviderMalformed),
        ("a bad gateway",                               html(502),                                                    Code::ProviderUnavailable),
        ("another path",                                html(404),                                                    Code::ClientRejected),
        ("a success without an access token",           data(r#"{"token":{"refreshToken":"r"}}"#),                    Code::ProviderMalformed),
        ("a success without a refresh token",           data(r#"{"token":{"accessToken":"a","refreshToken":""}}"#),   Code::ProviderMalformed),
        ("an answer that breaks off",                   cut(json(200, r#"{"code":200,"data":{"refreshToken":"r","#)), Code::ProviderUnreachable),
    ];
    for (name, response, code) in cases {
        let outcome = read(&response, &rules(Purpose::SignIn));
        let Outcome::Failed(error) = outcome else { panic!("{name}: {}", spoken(&outcome)) };
        assert_eq!(error.code(), code, "{name}: {error}");
        let in_doubt = error.class() == Class::Ambiguous;
        assert_eq!(in_doubt, name.starts_with("a success"), "{name}: {error}");
    }
}

#[test]
fn a_message_tells_status_code_and_words() {
    #[rustfmt::skip]
    let cases = [
        (json(401, r#"{"code":401,"msg":"No session"}"#), "refresh token refused: HTTP 401 (No session)"),
        (json(200, r#"{"code":401}"#),                    "refresh token refused: HTTP 200 with code 401"),
        (json(200, r#"{"code":7,"msg":"x"}"#),            "provider unavailable: HTTP 200 with an unknown code (x)"),
        (html(418),                                       "not an answer of the provider: HTTP 418 without Navien's code"),
    ];
    for (response, message) in cases {
        let Outcome::Failed(error) = read(&response, &rules(Purpose::Refresh)) else {
            panic!("a failure")
        };
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_sign_in_brings_everything() {
    let grant = granted(read(&signed_in(), &rules(Purpose::SignIn)));
    assert_eq!(grant.tokens.access.expose(), "A1");
    assert_eq!(grant.tokens.get(Kind::Id).unwrap().expose(), "I1");
    assert_eq!(grant.refresh_token.unwrap().expose(), "R1");
    assert_eq!(grant.lifetime, HOUR);
    assert_eq!(grant.subject.as_deref(), Some("36283"));
    let aws = grant.aws.unwrap();
    assert_eq!(aws.lifetime, Duration::from_secs(1800));
    assert_eq!(aws.credentials.access_key_id.expose(), "ASIA1");
    assert_eq!(aws.credentials.secret_access_key.expose(), "S1");
    assert_eq!(aws.credentials.session_token.expose(), "T1");
}

#[test]
fn aws_credentials_are_taken_by_accounts_that_want_them_and_no_others() {
    let rules = Rules { aws: false, ..rules(Purpose::SignIn) };
    assert!(granted(read(&signed_in(), &rules)).aws.is_none());
}

#[test]
fn aws_credentials_are_whole_and_have_an_end() {
    let parts = r#""accessToken":"a","accessKeyId":"k","secretKey":"s","sessionToken":"t""#;
    #[rustfmt::skip]
    let cases = [
        // name                         members                                                             seconds
        ("a lifetime",                  format!(r#"{{{parts},"authorizationExpiresIn":900}}"#),             Some(900)),
        ("none: an hour",               format!("{{{parts}}}"),                                             Some(3600)),
        ("null: an hour",               format!(r#"{{{parts},"authorizationExpiresIn":null}}"#),            Some(3600)),
        ("zero: an hour",               format!(r#"{{{parts},"authorizationExpiresIn":0}}"#),               Some(3600)),
        ("negative: dead",              format!(r#"{{{parts},"authorizationExpiresIn":-1}}"#),              Some(0)),
        ("no key",                      r#"{"accessToken":"a","secretKey":"s","sessionToken":"t"}"#.into(), None),
        ("an empty key",                parts_without(parts, r#""k""#),                                     None),
        ("an empty secret",             parts_without(parts, r#""s""#),                                     None),
        ("an empty session token",      parts_without(parts, r#""t""#),                                     None),
        ("a refresh without any",       r#"{"accessToken":"a"}"#.into(),                                    None),
    ];
    for (name, members, secs) in cases {
        let grant = granted(read(&data(&members), &rules(Purpose::Refresh)));
        let lifetime = grant.aws.map(|aws| aws.lifetime.as_secs());
        assert_eq!(lifetime, secs, "{name}");
    }
}

#[test]
fn a_refresh_keeps_the_id_token_that_it_does_not_renew() {
    let held = Arc::new(TokenSet {
        access: Secret::new("A1"),
        id: Some(Secret::new("I1")),
        token_type: "Bearer".into(),
        scope: None,
    });
    let rules = Rules { held: Some(held), ..rules(Purpose::Refresh) };
    #[rustfmt::skip]
    let cases = [
        (r#"{"accessToken":"a"}"#,                "I1"),
        (r#"{"accessToken":"a","idToken":""}"#,   "I1"),
        (r#"{"accessToken":"a","idToken":null}"#, "I1"),
        (r#"{"accessToken":"a","idToken":"I2"}"#, "I2"),
    ];
    for (members, id) in cases {
        let grant = granted(read(&data(members), &rules));
        assert_eq!(grant.tokens.id.as_ref().unwrap().expose(), id, "{members}");
    }
}

#[test]
fn the_subject_is_that_of_the_tokens_before_the_number_of_the_user() {
    let (pat, joe) = ("e30.eyJzdWIiOiJwYXQifQ.s", "e30.eyJzdWIiOiJqb2UifQ.s");
    #[rustfmt::skip]
    let cases = [
        ("the ID token",     pat, joe, Some("pat")),
        ("the access token", "",  joe, Some("joe")),
        ("the user",         "",  "a", Some("7")),
    ];
    for (name, id, access, subject) in cases {
        let members =
            format!(r#"{{"userInfo":{{"userSeq":7}},"idToken":"{id}","accessToken":"{access}"}}"#);
        let grant = granted(read(&data(&members), &rules(Purpose::Refresh)));
        assert_eq!(grant.subject.as_deref(), subject, "{name}");
    }
    let nobody = granted(read(&refreshed(), &rules(Purpose::Refresh)));
    assert_eq!(nobody.subject, None);
}

proptest! {
    #[test]
    fn no_body_panics_or_shows_in_an_error(hostile in Hostile::noise()) {
        passes_over(hostile);
    }

    #[test]
    fn no_member_panics_or_shows_in_an_error(hostile in Hostile::cut(envelopes())) {
        passes_over(hostile);
    }
}

fn passes_over(hostile: Hostile) {
    let reply = hostile.reply(json(0, ""));
    for purpose in [Purpose::Refresh, Purpose::SignIn] {
        survives(reply.status, &read(&reply, &rules(purpose)));
    }
}

/// Envelopes with a text, a list or an object of one member in one of their places.
fn envelopes() -> impl Strategy<Value = String> {
    let inner = "accessToken|refreshToken|token|idToken|userInfo|authenticationExpiresIn";
    let values = prop_oneof![
        select(&[r#""CANARY""#, r#"["CANARY"]"#][..]).prop_map(|it| it.replace("CANARY", CANARY)),
        member(inner, &[r#""CANARY""#, r#""CANARY\n""#]),
    ];
    ("code|msg|data|token", values).prop_map(|(outer, value)| format!(r#"{{"{outer}":{value}}}"#))
}

const HOUR: Duration = Duration::from_secs(3600);

fn rules(purpose: Purpose) -> Rules {
    Rules { purpose, aws: true, held: None }
}

fn data(data: &str) -> Response {
    json(200, &format!(r#"{{"code":200,"msg":"SUCCESS","data":{data}}}"#))
}

fn parts_without(parts: &str, part: &str) -> String {
    format!("{{{}}}", parts.replace(part, r#""""#))
}
