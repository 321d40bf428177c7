//! Operations of the user pool with the bodies of the real service.

use serde_json::Value;
use serde_json::json;

use crate::call::Call;
use crate::service::Scripted;
use crate::service::testing::Table;
use crate::service::testing::Told;
use crate::service::testing::claims;
use crate::service::testing::second;

#[test]
fn a_mailed_code_signs_in() {
    let mut table = pool(&json!({"username": "pat@example.test", "subject": "s-1"}));
    let told = initiate(&mut table, 0, "CUSTOM_AUTH", &json!({"USERNAME": "pat@example.test"}));
    assert_eq!((told.verdict.as_str(), told.reply.status), ("challenged", 200));
    assert_eq!(told.header("content-type"), Some("application/x-amz-json-1.1"));
    let told = told.json();
    assert_eq!(told["ChallengeName"], "CUSTOM_CHALLENGE");
    assert_eq!(told["ChallengeParameters"], json!({"USERNAME": "s-1"}));

    let code = table.account.mailed().unwrap().to_owned();
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    let told = answer(&mut table, 60, &told["Session"], "s-1", &code);
    assert_eq!(told.verdict, "granted");
    let result = told.json()["AuthenticationResult"].take();
    assert_eq!(
        result.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["AccessToken", "ExpiresIn", "IdToken", "RefreshToken", "TokenType"]
    );
    assert_eq!((&result["ExpiresIn"], &result["TokenType"]), (&json!(3600), &json!("Bearer")));
    let id = claims(&result["IdToken"]);
    assert_eq!(
        id,
        json!({
            "iss": "http://idp/a", "sub": "s-1", "aud": "a", "exp": 3660, "iat": 60,
            "token_use": "id", "cognito:username": "s-1", "email": "pat@example.test",
        })
    );
    assert_eq!(claims(&result["AccessToken"])["token_use"], "access");
    assert!(table.admits(60, result["IdToken"].as_str().unwrap()));
    assert!(!table.admits(60, &format!("Bearer {}", result["IdToken"].as_str().unwrap())));
    assert!(!table.admits(60, result["AccessToken"].as_str().unwrap()));
    assert!(!table.admits(3660, result["IdToken"].as_str().unwrap()));
}

#[test]
fn a_session_is_good_once_in_time_and_until_the_next_sign_in() {
    let mut table = pool(&json!({"cognito": {"code": "123456"}}));
    let start = |table: &mut Table| {
        initiate(table, 0, "CUSTOM_AUTH", &json!({"USERNAME": "a"})).json()["Session"].take()
    };
    let old = start(&mut table);
    let session = start(&mut table);
    assert_eq!(answer(&mut table, 1, &old, "a", "123456").verdict, "refused:unknown_session");
    assert_eq!(answer(&mut table, 179, &session, "a", "123456").verdict, "granted");
    assert_eq!(answer(&mut table, 179, &session, "a", "123456").verdict, "refused:unknown_session");

    let session = start(&mut table);
    let told = answer(&mut table, 180, &session, "a", "123456");
    assert_eq!(told.verdict, "refused:expired_session");
    assert_eq!(
        told.json(),
        json!({
            "__type": "NotAuthorizedException",
            "message": "Invalid session for the user, session is expired.",
        })
    );
}

#[test]
fn a_wrong_code_comes_to_what_the_script_says() {
    #[rustfmt::skip]
    let cases = [
        ("challenge",      "challenged",                     "granted"),
        ("not_authorized", "refused:wrong_code",             "refused:unknown_session"),
        ("code_mismatch",  "refused:CodeMismatchException",  "granted"),
    ];
    for (wrong_code, first, second) in cases {
        let mut table = pool(&json!({"cognito": {"code": "123456", "wrong_code": wrong_code}}));
        let told = initiate(&mut table, 0, "CUSTOM_AUTH", &json!({"USERNAME": "a"}));
        let session = told.json()["Session"].take();
        let told = answer(&mut table, 0, &session, "a", "000000");
        assert_eq!(told.verdict, first, "{wrong_code}");
        let renewed = told.json()["Session"].take();
        assert_eq!(renewed.is_string(), wrong_code == "challenge");
        assert_ne!(renewed, session);
        let session = if renewed.is_string() { renewed } else { session };
        assert_eq!(answer(&mut table, 0, &session, "a", "123456").verdict, second, "{wrong_code}");
    }
}

#[test]
fn the_last_wrong_code_ends_the_sign_in() {
    let mut table = pool(&json!({"cognito": {"code": "123456"}}));
    let told = initiate(&mut table, 0, "CUSTOM_AUTH", &json!({"USERNAME": "a"}));
    let mut session = told.json()["Session"].take();
    for _ in 0..2 {
        session = answer(&mut table, 0, &session, "a", "0").json()["Session"].take();
    }
    let told = answer(&mut table, 0, &session, "a", "0");
    assert_eq!(told.verdict, "refused:wrong_code");
    assert_eq!(told.json()["message"], "Incorrect username or password.");
}

#[test]
fn without_rotation_a_refresh_carries_no_refresh_token() {
    let mut table = pool(&json!({}));
    let token = table.token();
    let told = refresh(&mut table, 5, &token);
    assert_eq!(told.verdict, "granted");
    assert_eq!(told.json()["ChallengeParameters"], json!({}));
    assert_eq!(told.json()["AuthenticationResult"].get("RefreshToken"), None);
    assert_eq!(get_tokens(&mut table, 6, &token).verdict, "refused:InvalidParameterException");
}

#[test]
fn with_rotation_only_the_rotating_operation_refreshes() {
    let mut table = pool(&json!({"rotation": {"grace_secs": 30}}));
    let first = table.token();
    let told = refresh(&mut table, 0, &first);
    assert_eq!(told.verdict, "refused:UnsupportedOperationException");

    let told = get_tokens(&mut table, 0, &first).json();
    let next = told["AuthenticationResult"]["RefreshToken"].as_str().unwrap().to_owned();
    assert_ne!(next, first);
    assert_eq!(get_tokens(&mut table, 29, &first).verdict, "replayed");
    let told = get_tokens(&mut table, 30, &first);
    assert_eq!((told.verdict.as_str(), told.reply.status), ("reused", 400));
    assert_eq!(told.json()["__type"], "RefreshTokenReuseException");
    let told = get_tokens(&mut table, 31, &next);
    assert_eq!(told.json()["message"], "Refresh Token has been revoked");
}

#[test]
fn a_refresh_token_is_refused_with_the_words_of_its_end() {
    let mut table = pool(&json!({"refresh_lifetime_secs": 60}));
    let token = table.token();
    #[rustfmt::skip]
    let cases = [
        (59, token.as_str(), "granted",               ""),
        (60, token.as_str(), "refused:expired_login", "Refresh Token has expired"),
        (0,  "someone's",    "refused:unknown_token", "Invalid Refresh Token."),
    ];
    for (at, token, verdict, message) in cases {
        let told = refresh(&mut table, at, token);
        assert_eq!(told.verdict, verdict);
        assert_eq!(told.json()["message"].as_str().unwrap_or_default(), message);
    }
    table.account.revoke_all();
    let told = refresh(&mut table, 0, &token);
    assert_eq!(told.json()["message"], "Refresh Token has been revoked");
}

#[test]
fn a_user_in_disgrace_is_refused_by_name() {
    #[rustfmt::skip]
    let cases = [
        ("disabled",                "NotAuthorizedException",         "User is disabled."),
        ("not_found",               "UserNotFoundException",          "User does not exist."),
        ("not_confirmed",           "UserNotConfirmedException",      "User is not confirmed."),
        ("password_reset_required", "PasswordResetRequiredException", "Password reset required for the user"),
    ];
    for (user, code, message) in cases {
        let mut table = pool(&json!({"cognito": {"user": user}}));
        let token = table.token();
        let password = json!({"USERNAME": "a", "PASSWORD": "password-of-a"});
        let refusals = [
            refresh(&mut table, 0, &token),
            initiate(&mut table, 0, "CUSTOM_AUTH", &json!({"USERNAME": "a"})),
            initiate(&mut table, 0, "USER_PASSWORD_AUTH", &password),
        ];
        for told in refusals {
            assert_eq!(told.reply.status, 400, "{user}");
            assert_eq!(told.json(), json!({"__type": code, "message": message}), "{user}");
        }
    }
}

#[test]
fn a_password_signs_in_where_the_flow_is_enabled() {
    #[rustfmt::skip]
    let cases = [
        // options, user, password, verdict
        (json!({}),                        "a", "password-of-a", "granted"),
        (json!({}),                        "a", "nope",          "refused:wrong_password"),
        (json!({}),                        "b", "password-of-a", "refused:UserNotFoundException"),
        (json!({"flows": ["CUSTOM_AUTH"]}), "a", "password-of-a", "refused:InvalidParameterException"),
    ];
    for (options, user, password, verdict) in cases {
        let mut table = pool(&json!({"cognito": options}));
        let params = json!({"USERNAME": user, "PASSWORD": password});
        let told = initiate(&mut table, 0, "USER_PASSWORD_AUTH", &params);
        assert_eq!(told.verdict, verdict, "{options} {user} {password}");
    }
}

#[test]
fn a_client_with_a_secret_proves_it() {
    // printf 'auserclientid' | openssl dgst -sha256 -hmac 'hush' -binary | base64
    let hash = "UOs7cPvT9Y42okNfEsyuvOEqUHuOb5JkiD5KEUSF/0M=";
    let with_secret = json!({
        "client_id": "clientid", "client_secret": "hush", "username": "auser",
    });
    let without = json!({"client_id": "clientid", "username": "auser"});
    #[rustfmt::skip]
    let cases = [
        (&with_secret, Some(hash), "granted"),
        (&with_secret, Some("x"),  "refused:wrong_client_secret"),
        (&with_secret, None,       "refused:wrong_client_secret"),
        (&without,     Some(hash), "refused:wrong_client_secret"),
        (&without,     None,       "granted"),
    ];
    for (script, hash, verdict) in cases {
        let mut table = pool(script);
        let mut params = json!({"REFRESH_TOKEN": table.token()});
        if let Some(hash) = hash {
            params["SECRET_HASH"] = hash.into();
        }
        let body = json!({
            "AuthFlow": "REFRESH_TOKEN_AUTH", "AuthParameters": params, "ClientId": "clientid",
        });
        assert_eq!(
            table.send(0, &call("InitiateAuth", &body)).verdict,
            verdict,
            "{script} {hash:?}"
        );
    }
}

#[test]
fn another_client_does_not_exist() {
    let mut table = pool(&json!({}));
    let body = json!({"AuthFlow": "CUSTOM_AUTH", "ClientId": "other"});
    let told = table.send(0, &call("InitiateAuth", &body));
    assert_eq!(
        told.json(),
        json!({
            "__type": "ResourceNotFoundException",
            "message": "User pool client other does not exist.",
        })
    );
}

#[test]
fn a_revoked_token_and_a_signed_out_user_refresh_no_more() {
    let mut table = pool(&json!({}));
    let token = table.token();
    let revoke = call("RevokeToken", &json!({"Token": token, "ClientId": "a"}));
    let told = table.send(0, &revoke);
    assert_eq!((told.verdict.as_str(), told.reply.body.as_slice()), ("done", b"".as_slice()));
    assert_eq!(refresh(&mut table, 0, &token).verdict, "refused:ended_login");

    let mut table = pool(&json!({}));
    let token = table.token();
    let access =
        refresh(&mut table, 0, &token).json()["AuthenticationResult"]["AccessToken"].take();
    let sign_out = call("GlobalSignOut", &json!({"AccessToken": access}));
    assert_eq!(table.send(1, &sign_out).verdict, "done");
    assert_eq!(table.send(1, &sign_out).verdict, "refused:unknown_token");
    assert_eq!(refresh(&mut table, 2, &token).verdict, "refused:ended_login");
}

#[test]
fn a_refusal_tells_its_type_in_three_ways() {
    let text = "Invalid Refresh Token.";
    let long = "com.amazonaws.cognito.identity.idp.model#NotAuthorizedException";
    #[rustfmt::skip]
    let cases = [
        (json!({}),                           json!({"__type": "NotAuthorizedException", "message": text})),
        (json!({"error_type": "prefixed"}),   json!({"__type": long, "message": text})),
        (json!({"error_type": "header"}),     json!({"message": text})),
        (json!({"error_message": "Message"}), json!({"__type": "NotAuthorizedException", "Message": text})),
    ];
    for (options, body) in cases {
        let mut table = pool(&json!({"cognito": options}));
        let told = refresh(&mut table, 0, "x");
        assert_eq!((told.reply.status, told.json()), (400, body), "{options}");
        assert_eq!(told.header("x-amzn-errortype"), Some("NotAuthorizedException:"), "{options}");
        assert_eq!(told.header("x-amzn-errormessage"), Some(text), "{options}");
    }
}

#[test]
fn what_is_no_request_is_refused_as_the_protocol_does() {
    let good = json!({"AuthFlow": "CUSTOM_AUTH", "ClientId": "a"});
    let form = Some("application/x-www-form-urlencoded".to_owned());
    let untargeted = Call { target: None, ..call("InitiateAuth", &good) };
    #[rustfmt::skip]
    let cases = [
        (untargeted,                                                   "UnknownOperationException"),
        (call("DescribeUserPool", &good),                              "UnknownOperationException"),
        (Call { content_type: form, ..call("InitiateAuth", &good) },   "SerializationException"),
        (Call { body: b"{".to_vec(), ..call("InitiateAuth", &good) },  "SerializationException"),
        (call("InitiateAuth", &json!({"ClientId": "a"})),              "InvalidParameterException"),
        (call("InitiateAuth", &good),                                  "InvalidParameterException"),
    ];
    for (call, code) in cases {
        let mut table = pool(&json!({}));
        assert_eq!(table.send(0, &call).json()["__type"], code, "{call:?}");
    }
}

#[test]
fn a_request_too_many_is_a_400_without_retry_after() {
    let limit = json!({"requests": 0, "per_secs": 60});
    let mut table = pool(&json!({"rate_limit": limit}));
    let told = refresh(&mut table, 0, "x");
    assert_eq!((told.verdict.as_str(), told.reply.status), ("refused:rate_limit_exceeded", 400));
    assert_eq!(told.json()["__type"], "TooManyRequestsException");
    assert_eq!(told.header("retry-after"), None);
}

#[test]
fn a_scripted_refusal_has_the_status_of_its_code() {
    #[rustfmt::skip]
    let cases = [
        ("InternalErrorException",   None,      500),
        ("TooManyRequestsException", None,      400),
        ("ForbiddenException",       None,      400),
        ("ForbiddenException",       Some(403), 403),
    ];
    let table = pool(&json!({}));
    for (code, status, expected) in cases {
        let scripted = Scripted { code: &code.into(), status, message: "no" };
        let reply = table.account.refusal(&scripted, second(0));
        assert_eq!(reply.status, expected, "{code}");
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body, json!({"__type": code, "message": "no"}));
    }
}

#[test]
fn a_fault_in_the_grant_changes_the_authentication_result() {
    let mut table = pool(&json!({}));
    let token = table.token();
    table.queue(&json!({"fault": "other_subject", "subject": "z"}));
    let told = refresh(&mut table, 0, &token).json();
    assert_eq!(claims(&told["AuthenticationResult"]["IdToken"])["sub"], "z");
    table.queue(&json!("different_refresh_token"));
    let told = refresh(&mut table, 0, &token).json();
    assert_ne!(told["AuthenticationResult"]["RefreshToken"], token);
    table.queue(&json!({"fault": "wrong_types", "ExpiresIn": null}));
    let told = refresh(&mut table, 0, &token).json();
    assert_eq!(told["AuthenticationResult"]["ExpiresIn"], json!(null));
}

fn pool(script: &Value) -> Table {
    let mut script = script.clone();
    script["service"] = "cognito".into();
    Table::new(&script)
}

fn initiate(table: &mut Table, at: u64, flow: &str, params: &Value) -> Told {
    let body = json!({
        "AuthFlow": flow, "AuthParameters": params, "ClientId": "a", "ClientMetadata": {},
    });
    table.send(at, &call("InitiateAuth", &body))
}

fn answer(table: &mut Table, at: u64, session: &Value, user: &str, code: &str) -> Told {
    let body = json!({
        "ClientId": "a", "ChallengeName": "CUSTOM_CHALLENGE", "Session": session,
        "ChallengeResponses": {"USERNAME": user, "ANSWER": code}, "ClientMetadata": {},
    });
    table.send(at, &call("RespondToAuthChallenge", &body))
}

fn refresh(table: &mut Table, at: u64, token: &str) -> Told {
    initiate(table, at, "REFRESH_TOKEN_AUTH", &json!({"REFRESH_TOKEN": token}))
}

fn get_tokens(table: &mut Table, at: u64, token: &str) -> Told {
    let body = json!({"RefreshToken": token, "ClientId": "a"});
    table.send(at, &call("GetTokensFromRefreshToken", &body))
}

fn call(operation: &str, body: &Value) -> Call {
    Call {
        method: "POST".to_owned(),
        target: Some(format!("AWSCognitoIdentityProviderService.{operation}")),
        content_type: Some("application/x-amz-json-1.1".to_owned()),
        body: body.to_string().into_bytes(),
        ..Call::default()
    }
}
