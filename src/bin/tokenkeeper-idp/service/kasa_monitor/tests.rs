//! Logins, refreshes and refusals with the bodies of the real server and of its wiki.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::call::Call;
use crate::clock::Moment;
use crate::service::testing::Table;
use crate::service::testing::Told;
use crate::service::testing::claims;

#[test]
fn a_login_answers_as_the_server_does() {
    let mut table = server(&json!({"username": "pat", "password": "pw"}));
    let told = log_in(&mut table, 1_000_000, &json!({"username": "pat", "password": "pw"}));
    assert_eq!((told.verdict.as_str(), told.reply.status), ("granted", 200));

    let mut body = told.json();
    let (access, refresh) = (body["access_token"].take(), body["refresh_token"].take());
    let user = json!({
        "id": 1, "username": "pat", "email": "pat@example.test", "full_name": "Pat Example",
        "role": "admin", "is_active": true, "is_admin": true,
        "created_at": "2026-01-01T00:00:00", "last_login": null, "permissions": [],
    });
    assert_eq!(
        body,
        json!({
            "access_token": null, "token_type": "bearer", "expires_in": 1800, "user": user,
            "refresh_token": null,
        })
    );
    assert_eq!(claims(&access), json!({"user": user, "exp": 1_001_800}));
    assert_eq!(
        claims(&refresh),
        json!({"user": user, "exp": 1_000_000 + 7 * 24 * 3600, "type": "refresh"})
    );

    let again = log_in(&mut table, 1_000_100, &json!({"username": "pat", "password": "pw"}));
    assert_eq!(again.json()["user"]["last_login"], "1970-01-12T13:46:40");
}

#[test]
fn a_refresh_slides_and_leaves_the_old_token_good() {
    let mut table = server(&json!({}));
    let first = table.token();
    let told = refresh(&mut table, 5, &first);
    assert_eq!(told.json()["user"]["username"], "a");
    let next = told.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(next, first);
    assert_eq!(refresh(&mut table, 5, &first).reply, told.reply, "within one second");
    assert_eq!(refresh(&mut table, 6, &next).verdict, "granted");
    let week = 7 * 24 * 3600;
    assert_eq!(refresh(&mut table, week, &first).verdict, "granted");
    assert_eq!(refresh(&mut table, week + 1, &first).verdict, "refused:expired_token");
    assert_eq!(refresh(&mut table, week + 5, &next).verdict, "granted");
}

#[test]
fn tokens_of_one_second_of_the_wall_clock_are_the_same_bytes() {
    let mut table = server(&json!({}));
    let call = post("refresh", &json!({"refresh_token": table.token()}));
    let mut at = |start_ms, unix_ms| {
        let (since_start, unix) = (Duration::from_millis(start_ms), Duration::from_millis(unix_ms));
        table.send_at(Moment { since_start, unix }, &call).reply
    };
    let first = at(5_700, 1_000_100);
    assert_eq!(at(6_500, 1_000_900), first, "in the same second");
    assert_ne!(at(6_600, 1_001_000), first, "in the next one");
    let first = at(7_600, 1_002_000);
    assert_ne!(at(9_000, 1_002_500), first, "in the same one after a step back");
}

#[test]
fn a_refused_login_says_why_in_each_dialect() {
    let flat = |error: &str, code: &str, message: &str, zone: &str| {
        json!({
            "error": error, "message": message, "error_code": code,
            "timestamp": format!("1970-01-01T00:00:09{zone}"), "redirect_to": "/login",
        })
    };
    let real =
        flat("authentication_error", "TOKEN_INVALID", "Invalid username or password", "+00:00");
    let wiki = flat("authentication_failed", "INVALID_TOKEN", "Invalid username or password", "Z");
    #[rustfmt::skip]
    let cases = [
        (json!({}),                  "nope",          401, Some(&real)),
        (json!({"active": false}),   "password-of-a", 401, Some(&real)),
        (json!({"errors": "wiki"}),  "nope",          401, Some(&wiki)),
        (json!({}),                  "password-of-a", 200, None),
    ];
    for (options, password, status, body) in cases {
        let mut table = server(&json!({"kasa_monitor": options}));
        let told = log_in(&mut table, 9, &json!({"username": "a", "password": password}));
        assert_eq!(told.reply.status, status, "{options} {password}");
        if let Some(body) = body {
            assert_eq!(told.json(), *body, "{options}");
            assert_eq!(told.header("www-authenticate"), Some("Bearer"), "{options}");
        }
    }
}

#[test]
fn a_second_factor_is_asked_for_and_checked() {
    let mut table = server(&json!({
        "totp_secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
        "kasa_monitor": {"login_per_minute": null},
    }));
    #[rustfmt::skip]
    let cases = [
        // at (s), code, status; RFC 6238 has 287082 for 59 s
        (59,  None,           403),
        (59,  Some("287082"), 200),
        (89,  Some("287082"), 200),
        (90,  Some("287082"), 401),
        (59,  Some("000000"), 401),
    ];
    for (at, code, status) in cases {
        let body = json!({"username": "a", "password": "password-of-a", "totp_code": code});
        assert_eq!(log_in(&mut table, at, &body).reply.status, status, "{code:?} at {at} s");
    }
    let told = log_in(&mut table, 59, &json!({"username": "a", "password": "password-of-a"}));
    assert_eq!(told.header("x-2fa-required"), Some("true"));
    assert_eq!(told.json(), json!({"detail": "2FA verification required"}));
    let body = json!({"username": "a", "password": "password-of-a", "totp_code": "0"});
    assert_eq!(log_in(&mut table, 59, &body).json()["message"], "Invalid 2FA code");
    let token = table.token();
    assert_eq!(refresh(&mut table, 60, &token).verdict, "granted");
}

#[test]
fn what_is_no_json_of_strings_is_unprocessable() {
    let mut table = server(&json!({}));
    let number = json!({"username": "a", "password": "p", "totp_code": 123_456});
    let told = log_in(&mut table, 0, &number);
    assert_eq!((told.verdict.as_str(), told.reply.status), ("refused:unprocessable", 422));
    assert_eq!(
        told.json(),
        json!({"detail": [{
            "type": "string_type", "loc": ["body", "totp_code"],
            "msg": "Input should be a valid string", "input": 123_456,
        }]})
    );
    let told = log_in(&mut table, 0, &json!({"username": "a"}));
    assert_eq!(told.json()["detail"][0]["type"], "missing");
    assert_eq!(told.json()["detail"][0]["loc"], json!(["body", "password"]));

    let form = Some("application/x-www-form-urlencoded".to_owned());
    let body = b"username=a&password=password-of-a".to_vec();
    let form = Call { content_type: form, body, ..post("login", &json!({})) };
    assert_eq!(table.send(0, &form).reply.status, 422);
    let broken = Call { body: b"{".to_vec(), ..post("refresh", &json!({})) };
    assert_eq!(table.send(0, &broken).json()["detail"][0]["type"], "json_invalid");
}

#[test]
fn a_dead_token_is_a_bare_500_a_401_or_an_invalid_token() {
    #[rustfmt::skip]
    let cases = [
        // dialect, of a refresh, of a probe
        ("server", (500, None),                          (500, None)),
        ("mended", (401, Some("REFRESH_TOKEN_INVALID")), (401, Some("TOKEN_INVALID"))),
        ("wiki",   (401, Some("INVALID_TOKEN")),         (401, Some("INVALID_TOKEN"))),
    ];
    for (dialect, of_refresh, of_probe) in cases {
        let mut table = server(&json!({"kasa_monitor": {"errors": dialect}}));
        let token = table.token();
        let access = refresh(&mut table, 0, &token).json()["access_token"].take();
        let access = access.as_str().unwrap();
        let dead = ["", "garbage", access];
        for token in dead {
            let told = refresh(&mut table, 0, token);
            assert_eq!(told.verdict, "refused:unknown_token", "{dialect} {token}");
            assert_eq!(code(&told), of_refresh, "{dialect} {token}");
        }
        table.patch(&json!({"kasa_monitor": {"key": "another"}}));
        assert_eq!(code(&refresh(&mut table, 0, &token)), of_refresh, "{dialect}, another key");
        assert_eq!(code(&me(&mut table, 0, access)), of_probe, "{dialect}, another key");
        table.patch(&json!({"kasa_monitor": {"key": ""}}));
        assert_eq!(refresh(&mut table, 0, &token).verdict, "granted", "{dialect}");
    }
    let mut table = server(&json!({}));
    let told = refresh(&mut table, 0, "garbage");
    assert_eq!(told.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(told.reply.body, b"Internal Server Error");
}

#[test]
fn with_the_secret_trap_every_token_just_issued_is_refused() {
    #[rustfmt::skip]
    let cases = [
        ("no_secret",    (401, Some("REFRESH_TOKEN_INVALID")), (401, Some("TOKEN_INVALID"))),
        ("other_secret", (500, None),                          (500, None)),
    ];
    for (verification, of_refresh, of_probe) in cases {
        let mut table = server(&json!({"kasa_monitor": {"verification": verification}}));
        let told = log_in(&mut table, 0, &json!({"username": "a", "password": "password-of-a"}));
        assert_eq!(told.verdict, "granted", "{verification}");
        let body = told.json();
        let (access, token) = (&body["access_token"], &body["refresh_token"]);
        assert_eq!(code(&refresh(&mut table, 0, token.as_str().unwrap())), of_refresh);
        assert_eq!(code(&me(&mut table, 0, access.as_str().unwrap())), of_probe);
        assert!(!table.admits(0, &format!("Bearer {}", access.as_str().unwrap())));
    }
}

#[test]
fn an_inactive_user_refreshes_no_more_but_keeps_what_it_has() {
    let mut table = server(&json!({}));
    let token = table.token();
    let access = refresh(&mut table, 0, &token).json()["access_token"].take();
    table.patch(&json!({"kasa_monitor": {"active": false}}));
    let told = refresh(&mut table, 0, &token);
    assert_eq!(code(&told), (401, Some("USER_INACTIVE")));
    assert_eq!(told.header("www-authenticate"), None);
    assert_eq!(refresh(&mut table, 0, "garbage").reply.status, 500);
    assert_eq!(me(&mut table, 0, access.as_str().unwrap()).reply.status, 200);
}

#[test]
fn an_ended_login_is_told_as_any_invalid_token_but_in_the_wiki() {
    #[rustfmt::skip]
    let cases = [
        ("server", (500, None),                          (500, None)),
        ("mended", (401, Some("REFRESH_TOKEN_INVALID")), (401, Some("TOKEN_INVALID"))),
        ("wiki",   (401, Some("SESSION_EXPIRED")),       (401, Some("SESSION_EXPIRED"))),
    ];
    for (dialect, of_refresh, of_probe) in cases {
        let mut table = server(&json!({"kasa_monitor": {"errors": dialect}}));
        let token = table.token();
        table.account.revoke_all();
        let told = refresh(&mut table, 0, &token);
        assert_eq!((told.verdict.as_str(), code(&told)), ("refused:ended_login", of_refresh));
        let told = me(&mut table, 0, &token);
        assert_eq!((told.verdict.as_str(), code(&told)), ("refused:ended_login", of_probe));
    }
}

#[test]
fn the_probe_takes_a_bearer_token_through_the_last_second_of_either_kind() {
    let mut table = server(&json!({}));
    let token = table.token();
    let access = refresh(&mut table, 0, &token).json()["access_token"].take();
    let access = access.as_str().unwrap();
    let told = me(&mut table, 1800, access);
    assert_eq!(told.verdict, "done");
    assert_eq!(told.json()["permissions"], json!(["devices.view", "devices.control"]));
    assert_eq!(code(&me(&mut table, 1801, access)), (401, Some("TOKEN_EXPIRED")));
    assert_eq!(me(&mut table, 1801, &token).reply.status, 200, "a refresh token");

    let mut raw = get("me");
    assert_eq!(code(&table.send(0, &raw)), (401, Some("AUTH_REQUIRED")));
    raw.authorization = Some(access.to_owned());
    assert_eq!(code(&table.send(0, &raw)), (401, Some("AUTH_REQUIRED")));
    raw.authorization = Some(format!("bearer {access}"));
    assert_eq!(table.send(0, &raw).reply.status, 200);
}

#[test]
fn limits_count_every_attempt_in_windows_of_a_minute() {
    #[rustfmt::skip]
    let cases = [
        ("server", 500, None),
        ("mended", 429, Some("60")),
        ("wiki",   429, None),
    ];
    for (dialect, status, retry_after) in cases {
        let mut table = server(&json!({"kasa_monitor": {"errors": dialect}}));
        let body = json!({"username": "a", "password": "password-of-a"});
        for attempt in 0..5 {
            let password = if attempt == 0 { "nope" } else { "password-of-a" };
            let told = log_in(&mut table, 100, &json!({"username": "a", "password": password}));
            assert_ne!(told.verdict, "refused:rate_limit_exceeded", "{dialect} {attempt}");
        }
        let told = log_in(&mut table, 100, &body);
        assert_eq!(told.verdict, "refused:rate_limit_exceeded", "{dialect}");
        assert_eq!(told.reply.status, status, "{dialect}");
        assert_eq!(told.header("retry-after"), retry_after, "{dialect}");
        assert_eq!(log_in(&mut table, 159, &body).reply.status, status, "{dialect}");
        assert_eq!(log_in(&mut table, 160, &body).reply.status, 200, "{dialect}");

        let token = table.token();
        for _ in 0..30 {
            assert_eq!(refresh(&mut table, 200, &token).reply.status, 200, "{dialect}");
        }
        assert_eq!(refresh(&mut table, 200, &token).reply.status, status, "{dialect}");
    }
    let mut table = server(&json!({"kasa_monitor": {"other_per_minute": 1}}));
    assert_eq!(table.send(0, &get("setup-required")).json(), json!({"setup_required": false}));
    let told = table.send(0, &get("setup-required"));
    assert_eq!(told.reply.status, 429);
    assert_eq!(told.json(), json!({"error": "Rate limit exceeded: 1 per 1 minute"}));
}

#[test]
fn a_logout_ends_nothing_on_the_real_server() {
    let mut table = server(&json!({}));
    let token = table.token();
    let access = refresh(&mut table, 0, &token).json()["access_token"].take();
    let access = access.as_str().unwrap();
    let told = table.send(0, &bearing(post("logout", &json!({})), access));
    assert_eq!(told.json(), json!({"message": "Logged out successfully", "status": "success"}));
    assert_eq!(me(&mut table, 0, access).reply.status, 200);
    assert_eq!(refresh(&mut table, 0, &token).verdict, "granted");
}

#[test]
fn paths_that_are_not_there_are_refused_as_the_server_does() {
    let mut table = server(&json!({}));
    let delete = Call { method: "DELETE".to_owned(), ..get("sessions/sess_1") };
    #[rustfmt::skip]
    let cases = [
        (get("sessions"),                       404),
        (delete,                                404),
        (post("sessions/logout-all", &json!({})), 404),
        (get("security-status"),                404),
        (get("login"),                          405),
        (get("me/"),                            307),
    ];
    for (call, status) in cases {
        let told = table.send(0, &call);
        assert_eq!(told.reply.status, status, "{}", call.path);
        if status == 404 {
            assert_eq!(told.json(), json!({"detail": "Not Found"}));
        }
    }
    assert_eq!(table.send(0, &get("me/")).header("location"), Some("/a/api/auth/me"));
}

#[test]
fn sessions_are_listed_and_ended_as_in_the_wiki() {
    let mut table = server(&json!({"kasa_monitor": {"sessions": true, "errors": "wiki"}}));
    let body = json!({"username": "a", "password": "password-of-a"});
    let agent = Some("tokenkeeper".to_owned());
    let told = table.send(10, &Call { user_agent: agent, ..post("login", &body) }).json();
    let access = told["access_token"].as_str().unwrap().to_owned();
    let own = told["session"]["session_id"].clone();
    assert_eq!(
        told["session"],
        json!({
            "session_id": own, "created_at": "1970-01-01T00:00:10Z",
            "expires_at": "1970-01-01T00:30:10Z",
        })
    );

    let told = table.send(20, &bearing(get("sessions"), &access)).json();
    assert_eq!((&told["total"], &told["max_allowed"]), (&json!(2), &json!(3)));
    assert_eq!(
        told["sessions"][1],
        json!({
            "session_id": own, "ip_address": "127.0.0.1", "user_agent": "tokenkeeper",
            "created_at": "1970-01-01T00:00:10Z", "last_activity": "1970-01-01T00:00:10Z",
            "expires_at": "1970-01-01T00:30:10Z", "is_current": true,
        })
    );
    assert_eq!(told["sessions"][0]["is_current"], false);

    let other = told["sessions"][0]["session_id"].as_str().unwrap();
    let path = format!("sessions/{other}");
    let end = bearing(Call { method: "DELETE".to_owned(), ..get(&path) }, &access);
    assert_eq!(table.send(30, &end).verdict, "done");
    assert_eq!(table.send(30, &end).verdict, "refused:unknown_session");

    let all = bearing(post("sessions/logout-all", &json!({})), &access);
    assert_eq!(table.send(40, &all).json()["sessions_terminated"], 1);
    assert_eq!(code(&me(&mut table, 40, &access)), (401, Some("SESSION_EXPIRED")));
}

#[test]
fn a_fourth_session_ends_the_oldest() {
    let mut table = server(&json!({"kasa_monitor": {"sessions": true, "errors": "wiki"}}));
    let first = table.token();
    let body = json!({"username": "a", "password": "password-of-a"});
    for _ in 0..2 {
        log_in(&mut table, 0, &body);
    }
    assert_eq!(refresh(&mut table, 0, &first).verdict, "granted");
    log_in(&mut table, 0, &body);
    let told = refresh(&mut table, 0, &first);
    assert_eq!(told.verdict, "refused:ended_login");
    assert_eq!(code(&told), (401, Some("SESSION_EXPIRED")));
}

#[test]
fn with_rotation_a_spent_token_is_reused_as_everywhere() {
    let mut table = server(&json!({"rotation": {}, "kasa_monitor": {"errors": "wiki"}}));
    let first = table.token();
    assert_eq!(refresh(&mut table, 0, &first).verdict, "granted");
    let told = refresh(&mut table, 1, &first);
    assert_eq!((told.verdict.as_str(), code(&told)), ("reused", (401, Some("INVALID_TOKEN"))));
}

#[test]
fn a_fault_in_the_grant_changes_the_reply() {
    let mut table = server(&json!({}));
    let token = table.token();
    table.queue(&json!({"fault": "other_subject", "subject": "z"}));
    assert_eq!(refresh(&mut table, 0, &token).json()["user"]["username"], "z");
    table.queue(&json!({"fault": "different_refresh_token", "valid": false}));
    let nobodys = refresh(&mut table, 0, &token).json()["refresh_token"].take();
    assert_eq!(refresh(&mut table, 0, nobodys.as_str().unwrap()).verdict, "refused:unknown_token");
    table.queue(&json!({"fault": "wrong_types", "user": 7}));
    assert_eq!(refresh(&mut table, 0, &token).json()["user"], 7);
}

fn server(script: &Value) -> Table {
    let mut script = script.clone();
    script["service"] = "kasa-monitor".into();
    Table::new(&script)
}

fn log_in(table: &mut Table, at: u64, body: &Value) -> Told {
    table.send(at, &post("login", body))
}

fn refresh(table: &mut Table, at: u64, token: &str) -> Told {
    table.send(at, &post("refresh", &json!({"refresh_token": token})))
}

fn me(table: &mut Table, at: u64, token: &str) -> Told {
    table.send(at, &bearing(get("me"), token))
}

/// The status of a reply, and its `error_code` if it has one.
fn code(told: &Told) -> (u16, Option<&'static str>) {
    const CODES: [&str; 8] = [
        "TOKEN_INVALID",
        "REFRESH_TOKEN_INVALID",
        "INVALID_TOKEN",
        "TOKEN_EXPIRED",
        "SESSION_EXPIRED",
        "AUTH_REQUIRED",
        "TOKEN_MISSING",
        "USER_INACTIVE",
    ];
    let body: Value = serde_json::from_slice(&told.reply.body).unwrap_or_default();
    (told.reply.status, CODES.into_iter().find(|code| body["error_code"] == *code))
}

fn post(name: &str, body: &Value) -> Call {
    Call {
        method: "POST".to_owned(),
        path: format!("api/auth/{name}"),
        content_type: Some("application/json".to_owned()),
        body: body.to_string().into_bytes(),
        ..Call::default()
    }
}

fn get(name: &str) -> Call {
    Call { method: "GET".to_owned(), path: format!("api/auth/{name}"), ..Call::default() }
}

fn bearing(call: Call, token: &str) -> Call {
    Call { authorization: Some(format!("Bearer {token}")), ..call }
}
