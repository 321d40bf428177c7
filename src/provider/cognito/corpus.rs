//! The corpus of answers: what pools, and what stands in front of them, are known to say.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::proptest;
use zeroize::Zeroizing;

use super::refusal::Asked;
use super::reply::Reply;
use super::reply::done;
use super::reply::read;
use super::reply::refreshed;
use super::tests::jwt;
use super::tests::response;
use crate::error::Class;
use crate::provider::Outcome;
use crate::provider::Response;
use crate::token::Grant;
use crate::token::Secret;

/// One line per answer to a refresh that is known. The name is the rule that decides.
#[test]
fn every_known_answer_to_a_refresh_means_what_it_should() {
    use Class::{Ambiguous, Config, Definite, Suspect, Throttled, Transient};

    let ok = |body: &str| response(200, body);
    let no = |name: &str, message: &str| {
        response(400, &format!(r#"{{"__type":"{name}","message":"{message}"}}"#))
    };
    let named = |status, body: &str, name: &str| Response {
        error_type: Some(name.into()),
        ..response(status, body)
    };
    let html = |status| Response {
        content_type: "text/html".into(),
        ..response(status, "<!DOCTYPE html><title>x</title>")
    };
    let retry = |response| Response { retry_after: Some(Duration::from_secs(7)), ..response };
    let cut = |response| Response { complete: false, ..response };

    #[rustfmt::skip]
    let cases = [
        // Tokens.
        ("the sheet's own sample",                  ok(r#"{"AuthenticationResult":{"AccessToken":"A2","ExpiresIn":3600,"IdToken":"I2","TokenType":"Bearer"},"ChallengeParameters":{}}"#), Ends::Granted("I2", None, 3600)),
        ("a new refresh token",                     ok(r#"{"AuthenticationResult":{"AccessToken":"A2","ExpiresIn":300,"IdToken":"I2","RefreshToken":"r2"}}"#),   Ends::Granted("I2", Some("r2"), 300)),
        ("an empty one keeps the old",              ok(r#"{"AuthenticationResult":{"AccessToken":"A2","ExpiresIn":300,"IdToken":"I2","RefreshToken":""}}"#),     Ends::Granted("I2", None, 300)),
        ("null keeps the old",                      ok(r#"{"AuthenticationResult":{"AccessToken":"A2","ExpiresIn":300,"IdToken":"I2","RefreshToken":null}}"#),   Ends::Granted("I2", None, 300)),
        ("ExpiresIn missing: an hour",              ok(r#"{"AuthenticationResult":{"AccessToken":"A2","IdToken":"I2"}}"#),                                       Ends::Granted("I2", None, 3600)),
        ("ExpiresIn no number: an hour",            ok(r#"{"AuthenticationResult":{"AccessToken":"A2","IdToken":"I2","ExpiresIn":"soon"}}"#),                    Ends::Granted("I2", None, 3600)),
        ("born expired",                            ok(r#"{"AuthenticationResult":{"AccessToken":"A2","IdToken":"I2","ExpiresIn":0}}"#),                         Ends::Granted("I2", None, 0)),
        ("parameters of the wrong type",            ok(r#"{"AuthenticationResult":{"AccessToken":"A2","IdToken":"I2","ExpiresIn":60},"ChallengeParameters":7}"#), Ends::Granted("I2", None, 60)),
        // Successes that are none.
        ("no ID token",                             ok(r#"{"AuthenticationResult":{"AccessToken":"A2","ExpiresIn":60}}"#),                                       Ends::Failed(Ambiguous)),
        ("an empty ID token",                       ok(r#"{"AuthenticationResult":{"AccessToken":"A2","IdToken":"","ExpiresIn":60}}"#),                          Ends::Failed(Ambiguous)),
        ("no ID token and a new refresh token",     ok(r#"{"AuthenticationResult":{"AccessToken":"A2","RefreshToken":"r2"}}"#),                                  Ends::Salvaged("r2", Ambiguous)),
        ("no access token and a new refresh token", ok(r#"{"AuthenticationResult":{"IdToken":"I2","RefreshToken":"r2"}}"#),                                      Ends::Salvaged("r2", Ambiguous)),
        ("an ID token that breaks a header",        ok(r#"{"AuthenticationResult":{"AccessToken":"A2","IdToken":"I\n2"}}"#),                                     Ends::Failed(Ambiguous)),
        ("a challenge",                             ok(r#"{"ChallengeName":"SMS_MFA","Session":"s","ChallengeParameters":{}}"#),                                 Ends::Failed(Definite)),
        ("a challenge without a session",           ok(r#"{"ChallengeName":"SMS_MFA"}"#),                                                                        Ends::Failed(Ambiguous)),
        ("nothing",                                 ok(""),                                                                                                      Ends::Failed(Ambiguous)),
        ("an empty object",                         ok("{}"),                                                                                                    Ends::Failed(Ambiguous)),
        ("a list",                                  ok("[]"),                                                                                                    Ends::Failed(Ambiguous)),
        ("a captive portal",                        html(200),                                                                                                   Ends::Failed(Transient)),
        ("cut off",                                 cut(ok(r#"{"AuthenticationResult":{"AccessToken":"A2","Id"#)),                                               Ends::Failed(Ambiguous)),
        ("cut off after a new refresh token",       cut(ok(r#"{"AuthenticationResult":{"RefreshToken":"r2","Id"#)),                                              Ends::Salvaged("r2", Ambiguous)),
        ("cut off and whole",                       cut(ok(r#"{"AuthenticationResult":{"AccessToken":"A2","IdToken":"I2","ExpiresIn":60}}"#)),                   Ends::Granted("I2", None, 60)),
        // The sheet's table.
        ("the refresh token is too old",            no("NotAuthorizedException", "Refresh Token has expired"),                                                   Ends::Failed(Definite)),
        ("revoked",                                 no("NotAuthorizedException", "Refresh Token has been revoked"),                                              Ends::Failed(Definite)),
        ("of another client",                       no("NotAuthorizedException", "Invalid Refresh Token."),                                                      Ends::Failed(Definite)),
        ("disabled",                                no("NotAuthorizedException", "User is disabled."),                                                           Ends::Failed(Definite)),
        ("the secret hash is wrong",                no("NotAuthorizedException", "Unable to verify secret hash for client c"),                                   Ends::Failed(Config)),
        ("used twice",                              no("RefreshTokenReuseException", "x"),                                                                       Ends::Failed(Definite)),
        ("no such user",                            no("UserNotFoundException", "x"),                                                                            Ends::Failed(Definite)),
        ("not confirmed",                           no("UserNotConfirmedException", "x"),                                                                        Ends::Failed(Definite)),
        ("the password was reset",                  no("PasswordResetRequiredException", "x"),                                                                   Ends::Failed(Definite)),
        ("a code where none was asked for",         no("CodeMismatchException", "x"),                                                                            Ends::Failed(Definite)),
        ("an old code",                             no("ExpiredCodeException", "x"),                                                                             Ends::Failed(Definite)),
        ("the pool's own trigger",                  no("UserLambdaValidationException", "PreTokenGeneration failed with error x"),                               Ends::Failed(Suspect)),
        ("the flow is not enabled",                 no("InvalidParameterException", "Auth flow not enabled for this client"),                                    Ends::Failed(Config)),
        ("no such client",                          no("ResourceNotFoundException", "User pool client c does not exist."),                                       Ends::Failed(Config)),
        ("the pool rotates",                        no("UnsupportedOperationException", "Refresh token rotation is enabled"),                                    Ends::Failed(Config)),
        ("the pool is not set up",                  no("InvalidUserPoolConfigurationException", "x"),                                                            Ends::Failed(Config)),
        ("too many requests",                       no("TooManyRequestsException", "Rate exceeded"),                                                             Ends::Failed(Throttled)),
        ("limit exceeded",                          no("LimitExceededException", "Attempt limit exceeded"),                                                      Ends::Failed(Throttled)),
        ("InternalErrorException",                  response(500, r#"{"__type":"InternalErrorException","message":"Something went wrong"}"#),                    Ends::Failed(Ambiguous)),
        ("a trigger broke",                         no("UnexpectedLambdaException", "x"),                                                                        Ends::Failed(Ambiguous)),
        ("a trigger answered nonsense",             no("InvalidLambdaResponseException", "x"),                                                                   Ends::Failed(Ambiguous)),
        ("the firewall",                            named(403, r#"{"message":"Request not allowed due to WAF block."}"#, "ForbiddenException:"),                 Ends::Failed(Throttled)),
        // Where the name stands.
        ("behind a prefix",                         no("com.amazonaws.cognito.idp#UserNotFoundException", "x"),                                                 Ends::Failed(Definite)),
        ("in the header alone",                     named(400, "", "NotAuthorizedException:"),                                                                   Ends::Failed(Definite)),
        ("in the header, with an address",          named(400, "{}", "TooManyRequestsException:http://internal.amazon.com/coral/com.amazon.coral.service/"),     Ends::Failed(Throttled)),
        ("the body wins over the header",           named(400, r#"{"__type":"TooManyRequestsException"}"#, "NotAuthorizedException:"),                           Ends::Failed(Throttled)),
        ("the message in capitals",                 response(400, r#"{"__type":"NotAuthorizedException","Message":"Refresh Token has expired"}"#),              Ends::Failed(Definite)),
        ("a name that nobody knows",                no("SomethingException", "x"),                                                                               Ends::Failed(Transient)),
        ("a name that is no text",                  response(400, r#"{"__type":7}"#),                                                                            Ends::Failed(Transient)),
        ("an error of OAuth's",                     response(400, r#"{"error":"invalid_grant"}"#),                                                               Ends::Failed(Transient)),
        // Statuses.
        ("a redirect",                              response(302, ""),                                                                                           Ends::Failed(Transient)),
        ("400 of a proxy",                          html(400),                                                                                                   Ends::Failed(Transient)),
        ("404",                                     html(404),                                                                                                   Ends::Failed(Config)),
        ("408 did not rotate",                      html(408),                                                                                                   Ends::Failed(Transient)),
        ("413",                                     html(413),                                                                                                   Ends::Failed(Config)),
        ("429",                                     retry(html(429)),                                                                                            Ends::Failed(Throttled)),
        ("500 of a server that is no pool",         html(500),                                                                                                   Ends::Failed(Ambiguous)),
        ("500 wins over its name",                  response(500, r#"{"__type":"NotAuthorizedException"}"#),                                                     Ends::Failed(Ambiguous)),
        ("502",                                     html(502),                                                                                                   Ends::Failed(Ambiguous)),
        ("503 with Retry-After",                    retry(html(503)),                                                                                            Ends::Failed(Throttled)),
        ("504",                                     html(504),                                                                                                   Ends::Failed(Ambiguous)),
        ("511 never arrived",                       html(511),                                                                                                   Ends::Failed(Transient)),
    ];
    for (name, response, expected) in cases {
        match (refreshed(&response), expected) {
            (Outcome::Granted(grant), Ends::Granted(id, refresh, secs)) => {
                assert_eq!(grant.tokens.id.as_ref().map(Secret::expose), Some(id), "{name}");
                assert_eq!(grant.refresh_token.as_ref().map(Secret::expose), refresh, "{name}");
                assert_eq!(grant.lifetime.as_secs(), secs, "{name}");
            }
            (Outcome::Salvaged(token, error), Ends::Salvaged(expected, class)) => {
                assert_eq!(token.expose(), expected, "{name}");
                assert_eq!(error.class(), class, "{name}: {error}");
            }
            (Outcome::Failed(error), Ends::Failed(class)) => {
                assert_eq!(error.class(), class, "{name}: {error}");
                assert_eq!(error.retry_after(), response.retry_after, "{name}: {error}");
            }
            (other, _) => panic!("{name}: {}", spoken(&other)),
        }
    }
}

#[test]
fn the_earliest_of_all_expiries_counts() {
    let (short, long) = (jwt(r#"{"iat":100,"exp":400}"#), jwt(r#"{"iat":100,"exp":3700}"#));
    for (id, access) in [(&short, &long), (&long, &short)] {
        let grant = granted(id, access);
        assert_eq!(grant.lifetime, Duration::from_secs(300));
    }
}

#[test]
fn the_subject_is_that_of_the_id_token_before_that_of_the_access_token() {
    let (pat, joe, nobody) = (jwt(r#"{"sub":"pat"}"#), jwt(r#"{"sub":"joe"}"#), jwt("{}"));
    assert_eq!(granted(&pat, &joe).subject.as_deref(), Some("pat"));
    assert_eq!(granted(&nobody, &joe).subject.as_deref(), Some("joe"));
    assert_eq!(granted(&nobody, &nobody).subject, None);
}

/// Only a refresh can have rotated something.
#[test]
fn a_login_is_never_in_doubt() {
    let broken = Response { complete: false, ..response(200, r#"{"AuthenticationResult":{"#) };
    for asked in [Asked::SignIn, Asked::Answer] {
        for (response, class) in [(&broken, Class::NotSent), (&response(500, ""), Class::Transient)]
        {
            let Reply::Failed(error) = read(response, asked) else { panic!("a failure") };
            assert_eq!(error.class(), class, "{error}");
        }
    }
}

/// Looks like a token, so what shows foreign text has to mask it.
const CANARY: &str = "canary-4f9aKq0ZtYxLm3Pq7Rw2";

proptest! {
    #[test]
    fn no_body_panics_or_shows_in_an_error(
        status in 100_u16..600,
        complete: bool,
        before in vec(any::<u8>(), 0..40),
        after in vec(any::<u8>(), 0..40),
    ) {
        survives(status, complete, [&before, CANARY.as_bytes(), &after].concat());
    }

    #[test]
    fn no_member_panics_or_shows_in_an_error(
        status in 100_u16..600,
        complete: bool,
        name in "IdToken|AccessToken|RefreshToken|ExpiresIn|ChallengeName|Session|__type|message|Message",
        wrap in 0_usize..4,
        length in 0_usize..200,
    ) {
        let value = match wrap {
            0 => format!(r#""{CANARY}""#),
            1 => format!(r#"["{CANARY}"]"#),
            2 => format!(r#"{{"{CANARY}":"{CANARY}"}}"#),
            _ => format!(r#""NotAuthorizedException","message":"see {CANARY}""#),
        };
        let mut body = match name.as_str() {
            "IdToken" | "AccessToken" | "RefreshToken" | "ExpiresIn" => {
                format!(r#"{{"AuthenticationResult":{{"{name}":{value}}}}}"#)
            }
            _ => format!(r#"{{"{name}":{value}}}"#),
        }
        .into_bytes();
        body.truncate(length);
        survives(status, complete, body);
    }
}

fn survives(status: u16, complete: bool, body: Vec<u8>) {
    let name = Some(CANARY.into());
    let reply =
        Response { complete, error_type: name, body: Zeroizing::new(body), ..response(status, "") };
    let outcome = refreshed(&reply);
    assert!(!spoken(&outcome).contains(CANARY), "{}", spoken(&outcome));
    if !(200..300).contains(&status) {
        assert!(matches!(outcome, Outcome::Failed(_)));
    }
    for asked in [Asked::SignIn, Asked::Answer] {
        if let Reply::Failed(error) = read(&reply, asked) {
            assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
        }
    }
    if let Err(error) = done(&reply) {
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
    }
}

/// How a refresh should end: ID token, refresh token and seconds; or the class.
enum Ends {
    Granted(&'static str, Option<&'static str>, u64),
    Salvaged(&'static str, Class),
    Failed(Class),
}

/// Everything of an outcome that may be seen.
pub(super) fn spoken(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Granted(_) => "granted".into(),
        Outcome::Salvaged(_, error) | Outcome::Failed(error) => format!("{error} {error:?}"),
    }
}

fn granted(id: &Secret, access: &Secret) -> Grant {
    let (id, access) = (id.expose(), access.expose());
    let body = format!(
        r#"{{"AuthenticationResult":{{"IdToken":"{id}","AccessToken":"{access}","ExpiresIn":3600}}}}"#
    );
    match refreshed(&response(200, &body)) {
        Outcome::Granted(grant) => *grant,
        other @ (Outcome::Salvaged(..) | Outcome::Failed(_)) => panic!("{}", spoken(&other)),
    }
}
