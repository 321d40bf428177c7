//! Sign-in, refresh and probe with the bodies of the real service.

use serde_json::Value;
use serde_json::json;

use crate::call::Call;
use crate::service::testing::Table;
use crate::service::testing::Told;
use crate::service::testing::claims;

#[test]
fn a_sign_in_answers_with_the_user_and_all_eight_token_fields() {
    let mut table = Table::new(&json!({
        "service": "navien", "username": "pat@example.test", "password": "pw",
    }));
    let told = sign_in(&mut table, "pat@example.test", "pw");
    assert_eq!((told.verdict.as_str(), told.reply.status), ("granted", 200));

    let mut told = told.json();
    let token = told["data"]["token"].take();
    assert_eq!(
        told,
        json!({
            "code": 200, "msg": "SUCCESS",
            "data": {
                "userInfo": {
                    "userType": "O", "userFirstName": "Pat", "userLastName": "Example",
                    "userStatus": "NORMAL", "userSeq": 1,
                },
                "legal": [],
                "token": null,
            },
        })
    );
    assert_eq!(
        token.as_object().unwrap().keys().collect::<Vec<_>>(),
        [
            "accessKeyId",
            "accessToken",
            "authenticationExpiresIn",
            "authorizationExpiresIn",
            "idToken",
            "refreshToken",
            "secretKey",
            "sessionToken",
        ]
    );
    assert_eq!(token["authenticationExpiresIn"], 3600);
    assert_eq!(token["authorizationExpiresIn"], 3600);
    assert_eq!(claims(&token["accessToken"])["exp"], 3600);
    assert_eq!(refresh(&mut table, 1, &token["refreshToken"]).verdict, "granted");
}

#[test]
fn a_refused_sign_in_says_so_in_the_code_and_where_the_script_wants_it() {
    #[rustfmt::skip]
    let cases = [
        // options, HTTP status, envelope
        (json!({}),                                                401, json!({"code": 401, "msg": "UNAUTHORIZED", "data": null})),
        (json!({"errors_in_200": true}),                           200, json!({"code": 401, "msg": "UNAUTHORIZED", "data": null})),
        (json!({"wrong_password_code": 404, "wrong_password_msg": "NOT_FOUND"}), 404, json!({"code": 404, "msg": "NOT_FOUND", "data": null})),
        (json!({"wrong_password_code": 1001, "wrong_password_msg": "Invalid user"}), 400, json!({"code": 1001, "msg": "Invalid user", "data": null})),
    ];
    for (options, status, envelope) in cases {
        let mut table = Table::new(&json!({"service": "navien", "navien": options}));
        for (user, password) in [("a", "nope"), ("b", "password-of-a")] {
            let told = sign_in(&mut table, user, password);
            assert_eq!(told.verdict, "refused:wrong_password", "{options}");
            assert_eq!((told.reply.status, told.json()), (status, envelope.clone()), "{options}");
        }
        assert_eq!(sign_in(&mut table, "a", "password-of-a").verdict, "granted", "{options}");
    }
}

#[test]
fn the_tokens_of_a_sign_in_lie_under_either_name() {
    let mut table =
        Table::new(&json!({"service": "navien", "navien": {"sign_in_member": "tokens"}}));
    let told = sign_in(&mut table, "a", "password-of-a").json();
    assert!(told["data"]["tokens"]["accessToken"].is_string());
    assert!(told["data"].get("token").is_none());
}

#[test]
fn a_refresh_leaves_out_or_empties_what_the_script_says() {
    #[rustfmt::skip]
    let cases = [
        // options, member, value (absent: null)
        (json!({}),                                      "accessKeyId",            None),
        (json!({}),                                      "authorizationExpiresIn", None),
        (json!({"refresh_refresh_token": "empty"}),      "refreshToken",           Some(json!(""))),
        (json!({"refresh_refresh_token": "missing"}),    "refreshToken",           None),
        (json!({"refresh_id_token": "empty"}),           "idToken",                Some(json!(""))),
        (json!({"refresh_id_token": "missing"}),         "idToken",                None),
        (json!({"refresh_access_token": "empty"}),       "accessToken",            Some(json!(""))),
        (json!({"refresh_access_token": "missing"}),     "accessToken",            None),
        (json!({"refresh_aws": "empty"}),                "sessionToken",           Some(json!(""))),
        (json!({"refresh_aws": "empty"}),                "authorizationExpiresIn", Some(json!(0))),
        (json!({"refresh_aws": "sent"}),                 "authorizationExpiresIn", Some(json!(3600))),
        (json!({"refresh_aws": "sent", "authorization_expires_in": 0}),              "authorizationExpiresIn", Some(json!(0))),
        (json!({"refresh_aws": "sent", "authorization_expires_in": null}),           "authorizationExpiresIn", Some(json!(null))),
        (json!({"refresh_aws": "sent", "authorization_expires_in": {"omit": true}}), "authorizationExpiresIn", None),
    ];
    for (options, member, value) in cases {
        let mut table = Table::new(&json!({"service": "navien", "navien": options}));
        let token = table.token().into();
        let told = refresh(&mut table, 0, &token);
        assert_eq!(told.verdict, "granted", "{options}");
        assert_eq!(told.json()["data"].get(member), value.as_ref(), "{options}");
        assert_eq!(told.json()["data"]["authenticationExpiresIn"], 3600, "{options}");
    }
}

#[test]
fn a_rotated_token_has_its_grace_and_its_end_here_too() {
    let rotation = json!({"grace_secs": 30});
    let mut table = Table::new(&json!({"service": "navien", "rotation": rotation}));
    let first = table.token().into();
    let next = refresh(&mut table, 0, &first).json()["data"]["refreshToken"].take();
    assert_eq!(refresh(&mut table, 29, &first).verdict, "replayed");
    let told = refresh(&mut table, 30, &first);
    assert_eq!((told.verdict.as_str(), told.reply.status), ("reused", 401));
    assert_eq!(told.json(), json!({"code": 401, "msg": "INVALID_REFRESH_TOKEN", "data": null}));
    assert_eq!(refresh(&mut table, 31, &next).verdict, "refused:ended_login");
}

#[test]
fn the_probe_takes_the_raw_access_token_and_nothing_else() {
    let mut table = Table::new(&json!({"service": "navien"}));
    let token = table.token().into();
    let data = refresh(&mut table, 0, &token).json()["data"].take();
    let access = data["accessToken"].as_str().unwrap();
    let bearer = format!("Bearer {access}");
    let id = data["idToken"].as_str().unwrap();

    #[rustfmt::skip]
    let cases = [
        (10,   access,                 200),
        (3600, access,                 401),
        (10,   bearer.as_str(),        401),
        (10,   id,                     401),
        (10,   token.as_str().unwrap(), 401),
        (10,   "",                     401),
    ];
    for (at, authorization, status) in cases {
        let mut call = call("device/list", &json!({"offset": 0, "count": 20, "userId": "a"}));
        call.authorization = Some(authorization.to_owned());
        let told = table.send(at, &call);
        assert_eq!(told.reply.status, status, "{authorization} at {at}");
        assert_eq!(told.json()["code"], status, "{authorization} at {at}");
        assert_eq!(table.admits(at, authorization), status == 200, "{authorization} at {at}");
    }
}

#[test]
fn what_is_no_json_of_the_right_shape_is_a_bad_request() {
    let mut table = Table::new(&json!({"service": "navien"}));
    let form = Call {
        content_type: Some("text/plain".to_owned()),
        ..call("auth/refresh", &json!({"refreshToken": "x"}))
    };
    for call in [form, call("auth/refresh", &json!({})), call("user/sign-in", &json!([1]))] {
        let told = table.send(0, &call);
        assert_eq!(told.verdict, "refused:bad_request");
        assert_eq!(told.json(), json!({"code": 400, "msg": "BAD_REQUEST", "data": null}));
    }
}

#[test]
fn a_fault_in_the_grant_changes_the_token_object() {
    let mut table = Table::new(&json!({"service": "navien"}));
    let token = table.token().into();
    table.queue(&json!({"fault": "wrong_types", "authenticationExpiresIn": "soon"}));
    let told = refresh(&mut table, 0, &token).json();
    assert_eq!(told["data"]["authenticationExpiresIn"], "soon");
    table.queue(&json!({"fault": "other_subject", "subject": "z"}));
    let told = refresh(&mut table, 0, &token).json();
    assert_eq!(claims(&told["data"]["accessToken"])["sub"], "z");
}

#[test]
fn a_request_too_many_is_told_so_in_the_envelope() {
    let limit = json!({"requests": 0, "per_secs": 60, "retry_after": true});
    let mut table = Table::new(&json!({"service": "navien", "rate_limit": limit}));
    let token = table.token().into();
    let told = refresh(&mut table, 0, &token);
    assert_eq!((told.verdict.as_str(), told.reply.status), ("refused:rate_limit_exceeded", 429));
    assert_eq!(told.json()["msg"], "TOO_MANY_REQUESTS");
    assert!(told.header("retry-after").is_some());
}

fn sign_in(table: &mut Table, user: &str, password: &str) -> Told {
    table.send(0, &call("user/sign-in", &json!({"userId": user, "password": password})))
}

fn refresh(table: &mut Table, at: u64, token: &Value) -> Told {
    table.send(at, &call("auth/refresh", &json!({"refreshToken": token})))
}

fn call(path: &str, body: &Value) -> Call {
    Call {
        method: "POST".to_owned(),
        path: path.to_owned(),
        content_type: Some("application/json".to_owned()),
        body: body.to_string().into_bytes(),
        ..Call::default()
    }
}
