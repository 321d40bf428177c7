//! Exchanges and settings from their beginning to their end.

use super::*;
use crate::error::Class;
use crate::plan::Rotation;
use crate::provider::BEARER;
use crate::provider::Method;
use crate::provider::Outcome;
use crate::provider::Response;
use crate::provider::Step;
use crate::provider::oauth2::tests::spend;
use crate::provider::testing::asked;
use crate::provider::testing::configured;
use crate::provider::testing::failed;
use crate::provider::testing::header;
use crate::provider::testing::json;
use crate::provider::testing::jwt;
use crate::provider::testing::response;
use crate::section::SecretRef;
use crate::time::Timestamp;

mod login;
mod sessions;

#[test]
fn a_refresh_sends_the_refresh_token_in_the_body_and_no_authorization() {
    let mut exchange = account("").exchange(with_token("R1", 0));
    let request = asked(exchange.next(None));
    assert_eq!(request.method, Method::Post);
    assert_eq!(request.url.as_str(), "http://127.0.0.1:5272/api/auth/refresh");
    assert_eq!(request.body.expose(), r#"{"refresh_token":"R1"}"#);
    assert!(request.spends);
    assert_eq!(header(&request, "content-type"), Some("application/json"));
    assert_eq!(header(&request, "authorization"), None);
    assert!(matches!(exchange.next(Some(refreshed())), Step::Done(Outcome::Granted(_))));
    assert_eq!(exchange.learned(), None);
}

#[test]
fn a_refresh_token_that_is_over_by_its_own_date_is_not_sent() {
    let token = jwt(r#"{"user":{"id":1},"type":"refresh","exp":1700000000}"#);
    for (now, sent) in [(1_699_999_999, true), (1_700_000_000, true), (1_700_000_001, false)] {
        match (account("").exchange(with_token(&token, now)).next(None), sent) {
            (Step::Ask(_), true) => {}
            (Step::Done(Outcome::Failed(error)), false) => {
                assert_eq!(error.class(), Class::Definite);
                assert_eq!(
                    error.to_string(),
                    "the login is over: REFRESH_TOKEN_EXPIRED (the refresh token ended at \
                     2023-11-14T22:13:20Z by its own date; nothing was sent)"
                );
            }
            (_, _) => panic!("{now}"),
        }
    }
}

#[test]
fn a_bare_500_is_judged_by_a_sign_of_life() {
    let crash = || response(500, "text/plain", "Internal Server Error");
    #[rustfmt::skip]
    let cases = [
        ("a server that is well",        json(200, r#"{"setup_required":false}"#),     Class::Suspect),
        ("one that was set up anew",     json(200, r#"{"setup_required":true}"#),      Class::Suspect),
        ("one that crashes here too",    crash(),                                      Class::Ambiguous),
        ("something else that is well",  response(200, "text/html", "<html></html>"),  Class::Ambiguous),
        ("JSON of something else",       json(200, "{}"),                              Class::Ambiguous),
        ("a gateway",                    json(502, ""),                                Class::Ambiguous),
    ];
    for (name, life, class) in cases {
        let mut exchange = account("").exchange(with_token("R1", 0));
        asked(exchange.next(None));
        let request = asked(exchange.next(Some(crash())));
        assert_eq!(request.method, Method::Get);
        assert_eq!(request.url.as_str(), "http://127.0.0.1:5272/api/auth/setup-required");
        assert!(!request.spends && request.body.is_empty());
        assert_eq!(header(&request, "authorization"), None);
        let Step::Done(Outcome::Failed(error)) = exchange.next(Some(life)) else {
            panic!("{name}")
        };
        assert_eq!(error.class(), class, "{name}: {error}");
        if class == Class::Suspect {
            assert_eq!(
                error.to_string(),
                "refresh token refused: HTTP 500 (too many refreshes from this host in a minute, \
                 or a refresh token that the server does not know: its signing key changed, or \
                 JWT_SECRET_KEY is set)"
            );
        } else {
            assert_eq!(error.to_string(), "provider unavailable: HTTP 500");
            assert_eq!(error.retry_after().map(|span| span.as_secs()), Some(60), "{name}");
        }
    }
}

#[test]
fn no_exchange_makes_more_requests_than_the_profile_says() {
    let mut exchange = account("").exchange(with_token("R1", 0));
    let mut reply = None;
    let mut requests = 0;
    while let Step::Ask(_) = exchange.next(reply.take()) {
        requests += 1;
        reply = Some(response(500, "text/plain", "Internal Server Error"));
    }
    assert_eq!(requests, account("").profile.requests);
}

#[test]
fn a_sign_in_sends_what_is_stored_and_the_code_as_a_text() {
    #[rustfmt::skip]
    let cases = [
        (vec![PASSWORD],       r#"{"username":"pat","password":"pw"}"#),
        (vec![PASSWORD, TOTP], r#"{"username":"pat","password":"pw","totp_code":"287082"}"#),
    ];
    for (slots, body) in cases {
        let mut exchange = account("totp = true").sign_in(signing_in(&slots)).unwrap();
        let request = asked(exchange.next(None));
        assert_eq!(request.url.as_str(), "http://127.0.0.1:5272/api/auth/login");
        assert_eq!(request.body.expose(), body);
        assert!(!request.spends);
        assert!(matches!(exchange.next(Some(refreshed())), Step::Done(Outcome::Granted(_))));
    }
}

#[test]
fn a_sign_in_that_cannot_be_made_says_what_is_missing_and_sends_nothing() {
    let no_password = account("").sign_in(signing_in(&[])).unwrap().next(None);
    assert_eq!(
        failed(no_password).to_string(),
        "secret password is not available: the sign-in was given none"
    );
    let broken = (TOTP, Secret::new("no seed!"));
    let spend = Spend { secrets: vec![(PASSWORD, Secret::new("pw")), broken], ..spend() };
    let no_seed = account("").sign_in(spend).unwrap().next(None);
    assert_eq!(
        failed(no_seed).to_string(),
        "secret totp is not available: it is no base32, which a seed of one-time codes is"
    );
}

#[test]
fn a_sign_in_says_what_a_person_has_to_do_about_the_second_factor() {
    #[rustfmt::skip]
    let cases = [
        (code_wanted(), "login refused: 2FA verification required (set totp for this account, or log in with tokenctl login)"),
        (code_wrong(),  "login refused: TOKEN_INVALID (Invalid 2FA code; it may be the clock of this host, too); the totp was used that the configuration leads to"),
    ];
    for (answer, message) in cases {
        let mut exchange = account("").sign_in(signing_in(&[PASSWORD])).unwrap();
        asked(exchange.next(None));
        assert_eq!(failed(exchange.next(Some(answer))).to_string(), message);
    }
}

#[test]
fn exchanges_that_are_driven_out_of_order_fail_and_send_nothing() {
    let out_of_order = "internal fault: an exchange was driven out of order";
    let refresh = || account("").exchange(with_token("R1", 0));
    let sign_in = || account("").sign_in(signing_in(&[PASSWORD])).unwrap();
    for begin in [&refresh as &dyn Fn() -> Box<dyn Exchange>, &sign_in] {
        assert_eq!(failed(begin().next(Some(refreshed()))).to_string(), out_of_order);
        let mut late = begin();
        asked(late.next(None));
        assert_eq!(failed(late.next(None)).to_string(), out_of_order);
    }
}

/// Its logout ends no token, so it would be a lie to offer it.
#[test]
fn there_is_nothing_to_revoke_with() {
    assert!(account("").revoke(with_token("R1", 0)).is_none());
}

#[test]
fn an_account_is_what_its_keys_say() {
    let plain = account("");
    assert_eq!(plain.base.as_str(), "http://127.0.0.1:5272/");
    let profile = plain.profile;
    assert_eq!(&*profile.host, "127.0.0.1:5272");
    assert_eq!((profile.header(), profile.rotation), (&BEARER, Rotation::Never));
    assert_eq!(profile.sign_in, Some(vec![(PASSWORD, SecretRef::Slot)]));
    assert!(profile.has_refresh_token && profile.secrets.is_empty());

    let sign_in = |keys| account(keys).profile.sign_in.unwrap();
    let file = |path: &str| SecretRef::File(path.into());
    assert_eq!(sign_in("totp = false"), [(PASSWORD, SecretRef::Slot)]);
    assert_eq!(sign_in("totp = true"), [(PASSWORD, SecretRef::Slot), (TOTP, SecretRef::Slot)]);
    assert_eq!(
        sign_in("password = { file = '/p' }\ntotp = { file = '/t' }"),
        [(PASSWORD, file("/p")), (TOTP, file("/t"))]
    );
}

#[test]
fn another_place_or_user_is_another_lineage_and_nothing_else_is() {
    let lineage = |keys| account(keys).profile.lineage;
    let base = lineage("");
    #[rustfmt::skip]
    let cases = [
        ("secrets",   true,  "password = { file = '/p' }\ntotp = true"),
        ("a slash",   true,  "base_url = 'http://127.0.0.1:5272/'"),
        ("the place", false, "base_url = 'http://127.0.0.1:3000'"),
        ("the user",  false, "username = 'joe'"),
    ];
    for (name, same, keys) in cases {
        assert_eq!(lineage(keys) == base, same, "{name}");
    }
}

/// An account with those keys, besides the two that it needs.
fn account(keys: &str) -> KasaMonitor {
    let mut text = keys.to_owned();
    for (key, value) in [("base_url", "http://127.0.0.1:5272"), ("username", "pat")] {
        if !keys.contains(key) {
            text = format!("{key} = '{value}'\n{text}");
        }
    }
    configured(&text, settings::read)
}

fn with_token(token: &str, now_secs: i64) -> Spend {
    let now = Timestamp::from_millis(now_secs * 1000);
    Spend { refresh_token: Some(Secret::new(token)), now, ..spend() }
}

/// Fifty-nine seconds after the epoch, for which RFC 6238 tells the code of this seed.
fn signing_in(slots: &[&'static str]) -> Spend {
    let now = Timestamp::from_millis(59_000);
    Spend { refresh_token: None, secrets: secrets(slots), now, ..spend() }
}

fn secrets(slots: &[&'static str]) -> Vec<(&'static str, Secret)> {
    let secret = |slot| match slot {
        TOTP => Secret::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
        _ => Secret::new("pw"),
    };
    slots.iter().map(|slot| (*slot, secret(*slot))).collect()
}

/// The sheet's own sample of a refresh.
pub(super) fn refreshed() -> Response {
    let body = r#"{"access_token":"A2","token_type":"bearer","expires_in":1800,"user":{"id":1,"username":"pat","email":"pat@example.test","full_name":"Pat","role":"viewer","is_active":true,"is_admin":false,"created_at":"2026-01-01T00:00:00","last_login":null,"permissions":[]},"refresh_token":"R2"}"#;
    response(200, "application/json", body)
}

pub(super) fn code_wanted() -> Response {
    response(403, "application/json", r#"{"detail":"2FA verification required"}"#)
}

pub(super) fn code_wrong() -> Response {
    let body = r#"{"error":"authentication_error","message":"Invalid 2FA code","error_code":"TOKEN_INVALID","timestamp":"2026-01-01T00:00:00+00:00","redirect_to":"/login"}"#;
    response(401, "application/json", body)
}
