//! The corpus of answers: what pools, and what stands in front of them, are known to say.

use std::time::Duration;

use proptest::prelude::Strategy;
use proptest::prop_oneof;
use proptest::proptest;

use super::refusal::Asked;
use super::reply::Reply;
use super::reply::done;
use super::reply::read;
use super::reply::refreshed;
use super::tests::jwt;
use super::tests::response;
use crate::error::Class;
use crate::provider::Response;
use crate::provider::testing::CANARY;
use crate::provider::testing::Ends;
use crate::provider::testing::Hostile;
use crate::provider::testing::cut;
use crate::provider::testing::granted;
use crate::provider::testing::hides;
use crate::provider::testing::html;
use crate::provider::testing::member;
use crate::provider::testing::retry;
use crate::provider::testing::survives;
use crate::token::Grant;
use crate::token::Kind;
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
        expected.check(name, Kind::Id, &response, &refreshed(&response));
    }
}

#[test]
fn the_earliest_of_all_expiries_counts() {
    let (short, long) = (jwt(r#"{"iat":100,"exp":400}"#), jwt(r#"{"iat":100,"exp":3700}"#));
    for (id, access) in [(&short, &long), (&long, &short)] {
        let grant = both(id, access);
        assert_eq!(grant.lifetime, Duration::from_secs(300));
    }
}

#[test]
fn the_subject_is_that_of_the_id_token_before_that_of_the_access_token() {
    let (pat, joe, nobody) = (jwt(r#"{"sub":"pat"}"#), jwt(r#"{"sub":"joe"}"#), jwt("{}"));
    assert_eq!(both(&pat, &joe).subject.as_deref(), Some("pat"));
    assert_eq!(both(&nobody, &joe).subject.as_deref(), Some("joe"));
    assert_eq!(both(&nobody, &nobody).subject, None);
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

proptest! {
    #[test]
    fn no_body_panics_or_shows_in_an_error(hostile in Hostile::noise()) {
        passes_over(hostile);
    }

    #[test]
    fn no_member_panics_or_shows_in_an_error(hostile in Hostile::cut(answers())) {
        passes_over(hostile);
    }
}

fn passes_over(hostile: Hostile) {
    let named = Response { error_type: Some(CANARY.into()), ..response(0, "") };
    let reply = hostile.reply(named);
    survives(reply.status, &refreshed(&reply));
    for asked in [Asked::SignIn, Asked::Answer] {
        if let Reply::Failed(error) = read(&reply, asked) {
            hides(&error);
        }
    }
    if let Err(error) = done(&reply) {
        hides(&error);
    }
}

/// Tokens, challenges and exceptions of one member.
fn answers() -> impl Strategy<Value = String> {
    let tokens = member("IdToken|AccessToken|RefreshToken|ExpiresIn", VALUES);
    prop_oneof![
        tokens.prop_map(|tokens| format!(r#"{{"AuthenticationResult":{tokens}}}"#)),
        member("ChallengeName|Session|__type|message|Message", VALUES),
    ]
}

const VALUES: &[&str] = &[
    r#""CANARY""#,
    r#"["CANARY"]"#,
    r#"{"CANARY":"CANARY"}"#,
    r#""NotAuthorizedException","message":"see CANARY""#,
];

fn both(id: &Secret, access: &Secret) -> Grant {
    let (id, access) = (id.expose(), access.expose());
    let body = format!(
        r#"{{"AuthenticationResult":{{"IdToken":"{id}","AccessToken":"{access}","ExpiresIn":3600}}}}"#
    );
    granted(refreshed(&response(200, &body)))
}
