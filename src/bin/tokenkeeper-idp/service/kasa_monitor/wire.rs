//! How requests and refusals of Kasa Monitor look, in each of its three dialects.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::call::Call;
use crate::ledger::Verdict;
use crate::reply::Reply;
use crate::service::kasa_monitor::page::Page;

/// In whose words refusals are told.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Dialect {
    /// The real server's: invalid tokens and limits crash into a bare 500.
    Server,
    /// The real server's, if somebody mended those crashes.
    Mended,
    /// The wiki's.
    Wiki,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Denial {
    /// There is no such path.
    NotFound,
    /// The path is there under another method.
    Method,
    /// The path is there without its last slash.
    Slash,
    /// The content is wrong; the list of what is.
    Unprocessable(Vec<Value>),
    /// Too many came in the last minute; when the next one passes, in seconds.
    TooOften { limit: Option<u32>, wait: Option<u64>, page: Page },
    /// User or password is wrong, or the user may not come in.
    WrongPassword,
    /// A one-time code is needed.
    CodeNeeded,
    /// The one-time code is wrong.
    WrongCode,
    /// There is no bearer token.
    AuthRequired,
    /// The access token is too old.
    TokenExpired,
    /// The refresh token is too old.
    RefreshExpired,
    /// The user of the refresh token may not come in.
    UserInactive,
    /// The access token is none of this server.
    TokenInvalid,
    /// The refresh token is none of this server.
    RefreshInvalid,
    /// The refresh token was superseded, too long ago.
    Reused,
    /// The server has no secret to verify the access token with.
    TokenUnverified,
    /// The server has no secret to verify the refresh token with.
    RefreshUnverified,
    /// The login of the access token has ended.
    TokenEnded,
    /// The login of the refresh token has ended.
    RefreshEnded,
    /// No login has that session id.
    NoSession,
}

impl Denial {
    /// For the ledger: the cause, whatever the client is told.
    pub(super) fn verdict(&self) -> Verdict {
        let cause = match self {
            Self::Reused => return Verdict::Reused,
            Self::NotFound => "not_found",
            Self::Method => "method_not_allowed",
            Self::Slash => "redirect_slashes",
            Self::Unprocessable(_) => "unprocessable",
            Self::TooOften { .. } => "rate_limit_exceeded",
            Self::WrongPassword => "wrong_password",
            Self::CodeNeeded => "code_needed",
            Self::WrongCode => "wrong_code",
            Self::AuthRequired => "no_token",
            Self::TokenExpired | Self::RefreshExpired => "expired_token",
            Self::UserInactive => "inactive_user",
            Self::TokenInvalid | Self::RefreshInvalid => "unknown_token",
            Self::TokenUnverified | Self::RefreshUnverified => "no_secret",
            Self::TokenEnded | Self::RefreshEnded => "ended_login",
            Self::NoSession => "unknown_session",
        };
        Verdict::Refused(cause.into())
    }

    /// The reply that carries it. `path` is the one of the request, with a leading slash.
    pub(super) fn reply(&self, dialect: Dialect, path: &str, unix: Duration) -> Reply {
        let flat = |error: &str, code: &str, message: &str| {
            flat(dialect, 401, &[error, code, message], unix).header("www-authenticate", "Bearer")
        };
        let invalid = |code: &str| match dialect {
            Dialect::Wiki => flat("authentication_failed", "INVALID_TOKEN", MALFORMED),
            Dialect::Server | Dialect::Mended if code == "TOKEN_INVALID" => {
                flat("authentication_error", code, "Could not validate credentials")
            }
            Dialect::Server | Dialect::Mended => {
                flat("refresh_token_invalid", code, "Invalid refresh token")
            }
        };
        let wrong = |message: &str| match dialect {
            Dialect::Wiki => flat("authentication_failed", "INVALID_TOKEN", message),
            Dialect::Server | Dialect::Mended => {
                flat("authentication_error", "TOKEN_INVALID", message)
            }
        };
        match self {
            Self::NotFound => detail(404, "Not Found"),
            Self::NoSession => detail(404, "Session not found"),
            Self::Method => detail(405, "Method Not Allowed"),
            Self::Slash => {
                Reply::new(307, "text/plain", "").header("location", path.trim_end_matches('/'))
            }
            Self::Unprocessable(mistakes) => Reply::json(422, &json!({ "detail": mistakes })),
            Self::TooOften { limit, wait, page } => too_often(dialect, *page, *limit, *wait, unix),
            Self::WrongPassword => wrong("Invalid username or password"),
            Self::WrongCode => wrong("Invalid 2FA code"),
            Self::CodeNeeded => {
                detail(403, "2FA verification required").header("x-2fa-required", "true")
            }
            Self::AuthRequired => {
                let code = if dialect == Dialect::Wiki { "TOKEN_MISSING" } else { "AUTH_REQUIRED" };
                flat("authentication_required", code, "Authentication required")
            }
            Self::TokenExpired => flat("authentication_expired", "TOKEN_EXPIRED", EXPIRED),
            Self::RefreshExpired => match dialect {
                Dialect::Wiki => flat("authentication_expired", "SESSION_EXPIRED", EXPIRED),
                Dialect::Server | Dialect::Mended => {
                    flat("refresh_token_expired", "REFRESH_TOKEN_EXPIRED", EXPIRED)
                }
            },
            Self::UserInactive => {
                let words = ["user_inactive", "USER_INACTIVE", "User not found or inactive"];
                self::flat(dialect, 401, &words, unix)
            }
            Self::TokenUnverified => invalid("TOKEN_INVALID"),
            Self::RefreshUnverified => invalid("REFRESH_TOKEN_INVALID"),
            Self::TokenEnded | Self::RefreshEnded if dialect == Dialect::Wiki => {
                flat("authentication_expired", "SESSION_EXPIRED", EXPIRED)
            }
            Self::TokenInvalid
            | Self::RefreshInvalid
            | Self::Reused
            | Self::TokenEnded
            | Self::RefreshEnded
                if dialect == Dialect::Server =>
            {
                crash()
            }
            Self::TokenInvalid | Self::TokenEnded => invalid("TOKEN_INVALID"),
            Self::RefreshInvalid | Self::Reused | Self::RefreshEnded => {
                invalid("REFRESH_TOKEN_INVALID")
            }
        }
    }
}

/// What a person reads whose session is over.
const EXPIRED: &str = "Your session has expired. Please log in again.";
/// What the wiki says of a token that cannot be read.
const MALFORMED: &str = "Invalid or malformed token";

/// The members of a JSON object that must be strings.
#[derive(Debug)]
pub(super) struct Fields {
    members: Map<String, Value>,
    mistakes: Vec<Value>,
}

impl Fields {
    /// Reads the content of a request.
    ///
    /// # Errors
    ///
    /// It is no JSON object.
    pub(super) fn read(call: &Call) -> Result<Self, Denial> {
        let mistake = |kind: &str, loc: Value, msg: &str, input: Value| {
            let mistake = json!({ "type": kind, "loc": loc, "msg": msg, "input": input });
            Err(Denial::Unprocessable(vec![mistake]))
        };
        let no_object = "Input should be a valid dictionary or object to extract fields from";
        if call.media_type() != Some("application/json") {
            let text = String::from_utf8_lossy(&call.body).into_owned();
            return mistake("model_attributes_type", json!(["body"]), no_object, text.into());
        }
        match serde_json::from_slice(&call.body) {
            Ok(Value::Object(members)) => Ok(Self { members, mistakes: Vec::new() }),
            Ok(other) => mistake("model_attributes_type", json!(["body"]), no_object, other),
            Err(_) => mistake("json_invalid", json!(["body", 0]), "JSON decode error", json!({})),
        }
    }

    /// A member that must be there; without it, an empty text and a mistake.
    pub(super) fn needed(&mut self, name: &str) -> String {
        if !self.members.contains_key(name) {
            self.mistakes.push(json!({
                "type": "missing",
                "loc": ["body", name],
                "msg": "Field required",
                "input": self.members,
            }));
        }
        self.optional(name).unwrap_or_default()
    }

    /// A member that may be missing or null.
    pub(super) fn optional(&mut self, name: &str) -> Option<String> {
        match self.members.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                self.mistakes.push(json!({
                    "type": "string_type",
                    "loc": ["body", name],
                    "msg": "Input should be a valid string",
                    "input": other,
                }));
                None
            }
        }
    }

    /// The end of the reading.
    ///
    /// # Errors
    ///
    /// There were mistakes.
    pub(super) fn done(self) -> Result<(), Denial> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(Denial::Unprocessable(self.mistakes)) }
    }
}

/// A refusal of the flat shape: error, code and message.
pub(super) fn flat(
    dialect: Dialect,
    status: u16,
    [error, code, message]: &[&str; 3],
    unix: Duration,
) -> Reply {
    let zone = if dialect == Dialect::Wiki { "Z" } else { "+00:00" };
    Reply::json(
        status,
        &json!({
            "error": error,
            "message": message,
            "error_code": code,
            "timestamp": format!("{}{zone}", naive(unix)),
            "redirect_to": "/login",
        }),
    )
}

/// A time since 1970 as the server writes it: UTC, without saying so.
pub(super) fn naive(unix: Duration) -> String {
    let secs = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
    let text = Timestamp::from_second(secs).unwrap_or(Timestamp::MAX).to_string();
    text.trim_end_matches('Z').to_owned()
}

fn detail(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({ "detail": text }))
}

/// What an unforeseen exception looks like from outside.
fn crash() -> Reply {
    Reply::new(500, "text/plain; charset=utf-8", "Internal Server Error")
}

/// On login and refresh the handler of the real server crashes; elsewhere it works.
fn too_often(
    dialect: Dialect,
    page: Page,
    limit: Option<u32>,
    wait: Option<u64>,
    unix: Duration,
) -> Reply {
    let limit = limit.map_or_else(|| "0".to_owned(), |limit| limit.to_string());
    let guarded = matches!(page, Page::Login | Page::Refresh);
    match dialect {
        Dialect::Server if guarded => crash(),
        Dialect::Server => {
            let error = format!("Rate limit exceeded: {limit} per 1 minute");
            Reply::json(429, &json!({ "error": error }))
        }
        Dialect::Mended => {
            let wait = wait.unwrap_or(60);
            let message = "Too many requests. Please try again later.";
            let body =
                json!({ "error": "rate_limit_exceeded", "message": message, "retry_after": wait });
            Reply::json(429, &body)
                .header("retry-after", &wait.to_string())
                .header("x-ratelimit-limit", &limit)
                .header("x-ratelimit-remaining", "0")
                .header("x-ratelimit-reset", &(unix.as_secs() + wait).to_string())
        }
        Dialect::Wiki => {
            let message = "Too many authentication attempts";
            let words = ["rate_limit_exceeded", "RATE_LIMIT_EXCEEDED", message];
            flat(dialect, 429, &words, unix)
        }
    }
}
