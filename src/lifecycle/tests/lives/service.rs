//! The three services, by the rules of their sheets, healthy and truthful.
//!
//! Every member of their replies that a codec looks at is there, and the tokens are JWTs where
//! theirs are.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;
use zeroize::Zeroizing;

use super::keeper::BEGIN;
use crate::provider::Request;
use crate::provider::Response;
use crate::time::Timestamp;

const DAY: u64 = 86_400;

/// Something that answers requests.
pub(super) trait Service {
    /// The answer at so many seconds after the begin.
    fn answer(&mut self, request: &Request, at: u64) -> Response;
}

/// Quilt's user pool: it never rotates, and a login ends 30 days after it was made.
#[derive(Default)]
pub(super) struct Quilt {
    /// When each login was made; its refresh token is named by its place.
    logins: Vec<u64>,
}

impl Quilt {
    /// A new login by code, which brings this refresh token.
    pub(super) fn person_logs_in(&mut self, at: u64) -> String {
        self.logins.push(at);
        format!("R{}", self.logins.len())
    }
}

impl Service for Quilt {
    fn answer(&mut self, request: &Request, at: u64) -> Response {
        let asked = body(request);
        assert_eq!(asked["AuthFlow"], "REFRESH_TOKEN_AUTH");
        let token = asked["AuthParameters"]["REFRESH_TOKEN"].as_str().unwrap();
        let number: usize = token.strip_prefix('R').unwrap().parse().unwrap();
        if at >= self.logins[number - 1] + 30 * DAY {
            let message = "Refresh Token has expired";
            return json(
                400,
                at,
                &json!({ "__type": "NotAuthorizedException", "message": message }),
            );
        }
        let claims = json!({ "sub": "pat", "iat": BEGIN + at, "exp": BEGIN + at + 3600 });
        let granted = json!({
            "AuthenticationResult": {
                "AccessToken": jwt(&claims), "IdToken": jwt(&claims), "ExpiresIn": 3600,
                "TokenType": "Bearer",
            },
            "ChallengeParameters": {},
        });
        json(200, at, &granted)
    }
}

/// Navien: every second refresh brings another refresh token and ends the old one, the others
/// leave it empty; none has AWS credentials.
pub(super) struct Navien {
    /// How long AWS credentials are good, in seconds.
    aws_secs: u64,
    /// The number of the refresh token that is good.
    newest: u64,
    refreshes: u64,
}

impl Navien {
    /// One whose logins bring AWS credentials of so many seconds.
    pub(super) const fn with_aws_of(aws_secs: u64) -> Self {
        Self { aws_secs, newest: 0, refreshes: 0 }
    }
}

impl Service for Navien {
    fn answer(&mut self, request: &Request, at: u64) -> Response {
        let asked = body(request);
        let claims = json!({ "sub": "pat", "iat": BEGIN + at, "exp": BEGIN + at + 3600 });
        let tokens = |refresh_token: &str| {
            json!({
                "accessToken": jwt(&claims), "refreshToken": refresh_token, "idToken": "",
                "authenticationExpiresIn": 3600,
            })
        };
        let data = if request.url.path().ends_with("/user/sign-in") {
            assert_eq!(
                (&asked["userId"], &asked["password"]),
                (&json!("pat@example.test"), &json!("pw"))
            );
            self.newest += 1;
            let mut token = tokens(&self.newest.to_string());
            for (name, value) in [
                ("accessKeyId", json!("key")),
                ("secretKey", json!("secret")),
                ("sessionToken", json!("session")),
                ("authorizationExpiresIn", json!(self.aws_secs)),
            ] {
                token[name] = value;
            }
            json!({ "userInfo": { "userSeq": 7 }, "legal": [], "token": token })
        } else if asked["refreshToken"] != json!(self.newest.to_string()) {
            return json(401, at, &json!({ "code": 401, "msg": "TOKEN_INVALID", "data": null }));
        } else {
            self.refreshes += 1;
            let rotates = self.refreshes.is_multiple_of(2);
            self.newest += u64::from(rotates);
            tokens(&if rotates { self.newest.to_string() } else { String::new() })
        };
        json(200, at, &json!({ "code": 200, "msg": "SUCCESS", "data": data }))
    }
}

/// Kasa Monitor: refresh tokens of seven days, any number of which are good at a time; a signing
/// key of 90 days; limits that answer with a crash.
#[derive(Default)]
pub(super) struct KasaMonitor {
    logins: BTreeSet<u64>,
    refreshes: BTreeSet<u64>,
}

impl KasaMonitor {
    fn granted(at: u64) -> Response {
        let user = json!({ "id": 1, "username": "pat", "is_active": true });
        let ends = |secs: u64| BEGIN + at + secs;
        let key = at / (90 * DAY);
        let granted = json!({
            "access_token": jwt(&json!({ "user": user, "exp": ends(1800) })),
            "refresh_token":
                jwt(&json!({ "user": user, "exp": ends(7 * DAY), "type": "refresh", "key": key })),
            "token_type": "bearer", "expires_in": 1800, "user": user,
        });
        json(200, at, &granted)
    }

    /// Whether there were more than so many requests in the last minute.
    fn is_too_often(seen: &mut BTreeSet<u64>, at: u64, most: usize) -> bool {
        seen.insert(at);
        seen.range(at.saturating_sub(59)..).count() > most
    }
}

impl Service for KasaMonitor {
    fn answer(&mut self, request: &Request, at: u64) -> Response {
        let crash = || response(500, "text/plain", at, "Internal Server Error");
        match request.url.path() {
            "/api/auth/setup-required" => json(200, at, &json!({ "setup_required": false })),
            "/api/auth/login" if Self::is_too_often(&mut self.logins, at, 5) => crash(),
            "/api/auth/login" => {
                let asked = body(request);
                assert_eq!((&asked["username"], &asked["password"]), (&json!("pat"), &json!("pw")));
                Self::granted(at)
            }
            "/api/auth/refresh" if Self::is_too_often(&mut self.refreshes, at, 30) => crash(),
            "/api/auth/refresh" => {
                let claims = claims(body(request)["refresh_token"].as_str().unwrap());
                if claims["key"] != json!(at / (90 * DAY)) {
                    crash()
                } else if claims["exp"].as_u64().unwrap() < BEGIN + at {
                    let code = "REFRESH_TOKEN_EXPIRED";
                    json(401, at, &json!({ "error": "refresh_token_expired", "error_code": code }))
                } else {
                    Self::granted(at)
                }
            }
            other => panic!("{other}"),
        }
    }
}

fn body(request: &Request) -> Value {
    serde_json::from_str(request.body.expose()).unwrap()
}

fn jwt(claims: &Value) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn json(status: u16, at: u64, body: &Value) -> Response {
    response(status, "application/json", at, &body.to_string())
}

fn response(status: u16, content_type: &str, at: u64, body: &str) -> Response {
    Response {
        status,
        content_type: content_type.into(),
        retry_after: None,
        date: Some(Timestamp::from_millis(((BEGIN + at) * 1000) as i64)),
        location: None,
        error_type: None,
        body: Zeroizing::new(body.as_bytes().to_vec()),
        complete: true,
    }
}
