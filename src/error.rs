//! What can go wrong, once for three audiences.
//!
//! * The **message** is for people: what happened and to what.
//! * The [`Code`] is for programs, frozen by a test. HTTP status, exit status, D-Bus
//!   error name and journal message derive from it; nothing parses messages.
//! * The [`Class`] and the [`Remedy`] are for the machine: what the account does
//!   next, and who has to act.
//!
//! No error carries a body, a token or a URL's query. What a provider says of itself
//! passes [`OauthError::new`], which caps, escapes and masks it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

/// The public name of an error. Add, never edit: every client reads these.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum Code {
    /// The request itself is wrong.
    BadRequest,
    /// The rules do not allow it.
    InsufficientPermissions,
    /// No such account; told to administrators only.
    AccountUnknown,
    /// A person has to log in.
    NeedsLogin,
    /// The account never had a credential.
    TokenMissing,
    /// The session or refresh token is over by its own dates.
    SessionExpired,
    /// The provider refuses the refresh token; being confirmed.
    GrantRejected,
    /// The provider refuses a login's credentials.
    LoginRejected,
    /// The provider refuses the client: id, secret, scope or grant.
    ClientRejected,
    /// More validity is asked for than the provider ever grants.
    LifetimeTooShort,
    /// This account or provider cannot do that.
    NotSupported,
    /// Another program spends this account's refresh token.
    ForeignWriter,
    /// Too many requests of one local peer.
    RateLimitExceeded,
    /// The configuration is not usable.
    ConfigInvalid,
    /// A referenced secret cannot be read.
    SecretUnavailable,
    /// A fault of this program.
    Internal,
    /// No exchange took place, or its reply was lost.
    ProviderUnreachable,
    /// The provider answers that it cannot just now.
    ProviderUnavailable,
    /// The provider's answer makes no sense.
    ProviderMalformed,
    /// A spent refresh token's reply was lost; a replay is planned.
    InDoubt,
    /// The store cannot be written.
    StoreUnavailable,
    /// A hook failed.
    HookFailed,
    /// The token expired and no newer one could be had yet.
    TokenExpired,
    /// The daemon is stopping.
    Stopping,
    /// A refresh is under way, longer than the peer cares to wait.
    RefreshPending,
}

impl Code {
    /// Every code, in the order of [`Code`].
    pub const ALL: &[Self] = &[
        Self::BadRequest,
        Self::InsufficientPermissions,
        Self::AccountUnknown,
        Self::NeedsLogin,
        Self::TokenMissing,
        Self::SessionExpired,
        Self::GrantRejected,
        Self::LoginRejected,
        Self::ClientRejected,
        Self::LifetimeTooShort,
        Self::NotSupported,
        Self::ForeignWriter,
        Self::RateLimitExceeded,
        Self::ConfigInvalid,
        Self::SecretUnavailable,
        Self::Internal,
        Self::ProviderUnreachable,
        Self::ProviderUnavailable,
        Self::ProviderMalformed,
        Self::InDoubt,
        Self::StoreUnavailable,
        Self::HookFailed,
        Self::TokenExpired,
        Self::Stopping,
        Self::RefreshPending,
    ];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "BAD_REQUEST",
            Self::InsufficientPermissions => "INSUFFICIENT_PERMISSIONS",
            Self::AccountUnknown => "ACCOUNT_UNKNOWN",
            Self::NeedsLogin => "NEEDS_LOGIN",
            Self::TokenMissing => "TOKEN_MISSING",
            Self::SessionExpired => "SESSION_EXPIRED",
            Self::GrantRejected => "GRANT_REJECTED",
            Self::LoginRejected => "LOGIN_REJECTED",
            Self::ClientRejected => "CLIENT_REJECTED",
            Self::LifetimeTooShort => "LIFETIME_TOO_SHORT",
            Self::NotSupported => "NOT_SUPPORTED",
            Self::ForeignWriter => "FOREIGN_WRITER",
            Self::RateLimitExceeded => "RATE_LIMIT_EXCEEDED",
            Self::ConfigInvalid => "CONFIG_INVALID",
            Self::SecretUnavailable => "SECRET_UNAVAILABLE",
            Self::Internal => "INTERNAL",
            Self::ProviderUnreachable => "PROVIDER_UNREACHABLE",
            Self::ProviderUnavailable => "PROVIDER_UNAVAILABLE",
            Self::ProviderMalformed => "PROVIDER_MALFORMED",
            Self::InDoubt => "IN_DOUBT",
            Self::StoreUnavailable => "STORE_UNAVAILABLE",
            Self::HookFailed => "HOOK_FAILED",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::Stopping => "STOPPING",
            Self::RefreshPending => "REFRESH_PENDING",
        }
    }

    /// Status of the HTTP answer. Never 401: a client library would start its own login.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::InsufficientPermissions => 403,
            Self::AccountUnknown => 404,
            Self::NeedsLogin
            | Self::TokenMissing
            | Self::SessionExpired
            | Self::GrantRejected
            | Self::LoginRejected
            | Self::ClientRejected
            | Self::LifetimeTooShort
            | Self::NotSupported
            | Self::ForeignWriter => 409,
            Self::RateLimitExceeded => 429,
            Self::ConfigInvalid | Self::SecretUnavailable | Self::Internal => 500,
            Self::ProviderUnreachable
            | Self::ProviderUnavailable
            | Self::ProviderMalformed
            | Self::InDoubt
            | Self::StoreUnavailable
            | Self::HookFailed
            | Self::TokenExpired
            | Self::Stopping => 503,
            Self::RefreshPending => 504,
        }
    }

    /// Exit status of `tokenctl`, after sysexits.h where it has one.
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::BadRequest => 2,
            Self::InsufficientPermissions => 77,
            Self::AccountUnknown => 4,
            Self::NeedsLogin
            | Self::TokenMissing
            | Self::SessionExpired
            | Self::GrantRejected
            | Self::LoginRejected
            | Self::ClientRejected
            | Self::LifetimeTooShort
            | Self::NotSupported
            | Self::ForeignWriter => 3,
            Self::ConfigInvalid | Self::SecretUnavailable => 78,
            Self::Internal => 70,
            Self::RateLimitExceeded
            | Self::ProviderUnreachable
            | Self::ProviderUnavailable
            | Self::ProviderMalformed
            | Self::InDoubt
            | Self::StoreUnavailable
            | Self::HookFailed
            | Self::TokenExpired
            | Self::Stopping
            | Self::RefreshPending => 75,
        }
    }

    /// Who has to act.
    pub const fn remedy(self) -> Remedy {
        match self {
            Self::NeedsLogin
            | Self::TokenMissing
            | Self::SessionExpired
            | Self::LoginRejected
            | Self::ForeignWriter => Remedy::SignIn,
            Self::ClientRejected | Self::ConfigInvalid | Self::SecretUnavailable => {
                Remedy::Reconfigure
            }
            Self::BadRequest
            | Self::InsufficientPermissions
            | Self::AccountUnknown
            | Self::LifetimeTooShort
            | Self::NotSupported => Remedy::ChangeRequest,
            Self::GrantRejected
            | Self::RateLimitExceeded
            | Self::Internal
            | Self::ProviderUnreachable
            | Self::ProviderUnavailable
            | Self::ProviderMalformed
            | Self::InDoubt
            | Self::StoreUnavailable
            | Self::HookFailed
            | Self::TokenExpired
            | Self::Stopping
            | Self::RefreshPending => Remedy::Wait,
        }
    }
}

/// Who has to act before it can succeed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Nobody: it passes, or is tried again, by itself.
    Wait,
    /// The account's owner, by logging in.
    SignIn,
    /// The administrator, by changing the configuration or a secret.
    Reconfigure,
    /// The local program, by asking for something else.
    ChangeRequest,
}

impl Remedy {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::SignIn => "sign_in",
            Self::Reconfigure => "reconfigure",
            Self::ChangeRequest => "change_request",
        }
    }
}

/// What one failed attempt means for the refresh token and for the next attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// Nothing that spends was sent: the refresh token is as good as before.
    NotSent,
    /// The provider answered, and surely did not rotate. Try again later.
    Transient,
    /// As [`Transient`](Self::Transient), because there were too many requests.
    Throttled,
    /// It may have rotated, and the reply is lost.
    Ambiguous,
    /// The refresh token is refused, which providers also say when it is not true:
    /// to be confirmed before anybody is sent to log in.
    Suspect,
    /// The refresh token is refused by a word that leaves no doubt.
    Definite,
    /// The client is refused, or the endpoint is not there: nothing changes by itself.
    Config,
}

/// Why one attempt failed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefreshError {
    /// A secret that the exchange needs cannot be had.
    #[error("secret {slot} is not available: {why}")]
    SecretUnavailable {
        /// Name of the slot, never its content.
        slot: String,
        /// What is wrong with the place it should come from.
        why: String,
    },
    /// The intent could not be made durable, so nothing was sent.
    #[error("the store cannot be written: {0}")]
    StoreUnavailable(String),
    /// No HTTP exchange took place.
    #[error("provider unreachable: {0}")]
    Unreachable(String),
    /// The request went out and no whole reply came back.
    #[error("the provider's reply was lost: {0}")]
    ReplyLost(String),
    /// 408, 425, 5xx, or an OAuth error that passes.
    #[error("provider unavailable: {answer}")]
    Unavailable {
        /// What it answered.
        answer: OauthError,
        /// Its `Retry-After`.
        retry_after: Option<Duration>,
        /// Whether it may have rotated all the same: a 5xx after the body was sent.
        maybe_rotated: bool,
    },
    /// 429, or a provider's own word for too many requests.
    #[error("provider asks for patience: {answer}")]
    Throttled {
        /// What it answered.
        answer: OauthError,
        /// Its `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The answer came from something else: a captive portal, a proxy, a redirect.
    #[error("not an answer of the provider: {0}")]
    NotTheProvider(String),
    /// A 200 that holds no usable tokens.
    #[error("unusable answer of the provider: {0}")]
    Malformed(Cow<'static, str>),
    /// The tokens were dead on arrival.
    #[error("the provider granted a token with no lifetime")]
    BornExpired,
    /// The tokens belong to somebody else than this account's.
    #[error("the provider answered with tokens of another subject")]
    SubjectChanged,
    /// RFC 6749 `invalid_grant`, or the provider's word for it.
    #[error("refresh token refused: {0}")]
    GrantRejected(OauthError),
    /// A word that sends a person to log in and leaves no doubt.
    #[error("a new login is needed: {0}")]
    LoginRequired(OauthError),
    /// A sign-in's name, password or code is refused.
    #[error("login refused: {0}")]
    LoginRejected(OauthError),
    /// The session, or the refresh token, is over by its own dates.
    #[error("the login is over: {0}")]
    SessionExpired(OauthError),
    /// A hook that may hold a refresh up did so, or could not be asked.
    #[error("hook {hook}: {why}")]
    HookFailed {
        /// Its name in the configuration.
        hook: String,
        /// What went wrong.
        why: String,
    },
    /// RFC 6749 `invalid_client` and kin.
    #[error("client refused: {0}")]
    ClientRejected(OauthError),
    /// 404, 405 or 410 at the endpoint, or a discovery document that does not name one.
    #[error("no such endpoint: {0}")]
    NoEndpoint(String),
    /// Our own fault.
    #[error("internal fault: {0}")]
    Internal(Cow<'static, str>),
}

impl RefreshError {
    /// The public name of this failure.
    pub const fn code(&self) -> Code {
        match self {
            Self::SecretUnavailable { .. } => Code::SecretUnavailable,
            Self::StoreUnavailable(_) => Code::StoreUnavailable,
            Self::Unreachable(_) | Self::ReplyLost(_) => Code::ProviderUnreachable,
            Self::Unavailable { .. } | Self::Throttled { .. } => Code::ProviderUnavailable,
            Self::NotTheProvider(_) | Self::Malformed(_) | Self::BornExpired => {
                Code::ProviderMalformed
            }
            Self::SubjectChanged | Self::LoginRequired(_) => Code::NeedsLogin,
            Self::GrantRejected(_) => Code::GrantRejected,
            Self::LoginRejected(_) => Code::LoginRejected,
            Self::SessionExpired(_) => Code::SessionExpired,
            Self::HookFailed { .. } => Code::HookFailed,
            Self::ClientRejected(_) | Self::NoEndpoint(_) => Code::ClientRejected,
            Self::Internal(_) => Code::Internal,
        }
    }

    /// What it means for the refresh token.
    pub const fn class(&self) -> Class {
        match self {
            Self::StoreUnavailable(_) | Self::Unreachable(_) | Self::HookFailed { .. } => {
                Class::NotSent
            }
            Self::ReplyLost(_) | Self::Malformed(_) | Self::Internal(_) => Class::Ambiguous,
            Self::Unavailable { maybe_rotated: true, .. } => Class::Ambiguous,
            Self::Unavailable { .. } | Self::NotTheProvider(_) | Self::BornExpired => {
                Class::Transient
            }
            Self::Throttled { .. } => Class::Throttled,
            Self::GrantRejected(_) => Class::Suspect,
            Self::LoginRequired(_)
            | Self::LoginRejected(_)
            | Self::SessionExpired(_)
            | Self::SubjectChanged => Class::Definite,
            Self::SecretUnavailable { .. } | Self::ClientRejected(_) | Self::NoEndpoint(_) => {
                Class::Config
            }
        }
    }

    /// How long the provider asks us to stay away.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::Throttled { retry_after, .. } => {
                *retry_after
            }
            Self::SecretUnavailable { .. }
            | Self::StoreUnavailable(_)
            | Self::Unreachable(_)
            | Self::ReplyLost(_)
            | Self::NotTheProvider(_)
            | Self::Malformed(_)
            | Self::BornExpired
            | Self::SubjectChanged
            | Self::GrantRejected(_)
            | Self::LoginRequired(_)
            | Self::LoginRejected(_)
            | Self::SessionExpired(_)
            | Self::HookFailed { .. }
            | Self::ClientRejected(_)
            | Self::NoEndpoint(_)
            | Self::Internal(_) => None,
        }
    }

    /// What the provider itself said, where it said something.
    pub const fn provider_error(&self) -> Option<&OauthError> {
        match self {
            Self::Unavailable { answer, .. } | Self::Throttled { answer, .. } => Some(answer),
            Self::GrantRejected(answer)
            | Self::LoginRequired(answer)
            | Self::LoginRejected(answer)
            | Self::SessionExpired(answer)
            | Self::ClientRejected(answer) => Some(answer),
            Self::SecretUnavailable { .. }
            | Self::StoreUnavailable(_)
            | Self::Unreachable(_)
            | Self::ReplyLost(_)
            | Self::NotTheProvider(_)
            | Self::Malformed(_)
            | Self::BornExpired
            | Self::SubjectChanged
            | Self::NoEndpoint(_)
            | Self::HookFailed { .. }
            | Self::Internal(_) => None,
        }
    }
}

/// What a provider says of an error: hostile text made harmless.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OauthError {
    /// The `error` member, or `HTTP 503` where there is none.
    pub code: Box<str>,
    /// The `error_description` member.
    pub description: Option<Box<str>>,
}

impl OauthError {
    /// Takes over what a provider sent: capped at 64 and 200 characters, control
    /// characters escaped, whatever looks like a token masked.
    pub fn new(code: &str, description: Option<&str>) -> Self {
        Self {
            code: scrubbed(code, 64).into(),
            description: description.map(|text| scrubbed(text, 200).into()),
        }
    }

    /// An answer of which only the status is known.
    pub fn status(status: u16) -> Self {
        Self { code: format!("HTTP {status}").into(), description: None }
    }
}

impl std::fmt::Display for OauthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.description {
            Some(description) => write!(f, "{} ({description})", self.code),
            None => f.write_str(&self.code),
        }
    }
}

/// Makes foreign text harmless for messages: at most `limit` characters, control and
/// bidirectional characters escaped, runs that look like a token masked.
///
/// A run of 20 or more characters of the base64url, base64, hex or JWT alphabets that
/// holds a digit looks like a token; so does any run of 40.
pub fn scrubbed(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut run = String::new();
    for character in text.chars().take(limit).chain([' ']) {
        if character.is_ascii_alphanumeric() || "-_.~+/=%".contains(character) {
            run.push(character);
            continue;
        }
        push_run(&mut out, &run);
        run.clear();
        if is_unsafe_to_show(character) {
            // Writing into a String cannot fail.
            let _written = write!(out, "{}", character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    push_run(&mut out, &run);
    out.truncate(out.trim_end().len());
    out
}

fn push_run(out: &mut String, run: &str) {
    let length = run.len();
    let token_like = length >= 40 || (length >= 20 && run.bytes().any(|b| b.is_ascii_digit()));
    out.push_str(if token_like { "[masked]" } else { run });
}

/// Whether a character could change what a terminal shows of the text around it: control
/// characters, and those that are invisible or turn the direction of writing.
pub fn is_unsafe_to_show(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A diff here is a breaking change for every client: add, never edit.
    #[test]
    fn codes_statuses_and_exits_are_frozen() {
        let table = Code::ALL
            .iter()
            .map(|code| {
                let (http, exit) = (code.http_status(), code.exit_status());
                format!("{:<24} {http} {exit:>2} {}", code.as_str(), code.remedy().as_str())
            })
            .collect::<Vec<_>>();
        insta::assert_snapshot!(table.join("\n"), @r"
        BAD_REQUEST              400  2 change_request
        INSUFFICIENT_PERMISSIONS 403 77 change_request
        ACCOUNT_UNKNOWN          404  4 change_request
        NEEDS_LOGIN              409  3 sign_in
        TOKEN_MISSING            409  3 sign_in
        SESSION_EXPIRED          409  3 sign_in
        GRANT_REJECTED           409  3 wait
        LOGIN_REJECTED           409  3 sign_in
        CLIENT_REJECTED          409  3 reconfigure
        LIFETIME_TOO_SHORT       409  3 change_request
        NOT_SUPPORTED            409  3 change_request
        FOREIGN_WRITER           409  3 sign_in
        RATE_LIMIT_EXCEEDED      429 75 wait
        CONFIG_INVALID           500 78 reconfigure
        SECRET_UNAVAILABLE       500 78 reconfigure
        INTERNAL                 500 70 wait
        PROVIDER_UNREACHABLE     503 75 wait
        PROVIDER_UNAVAILABLE     503 75 wait
        PROVIDER_MALFORMED       503 75 wait
        IN_DOUBT                 503 75 wait
        STORE_UNAVAILABLE        503 75 wait
        HOOK_FAILED              503 75 wait
        TOKEN_EXPIRED            503 75 wait
        STOPPING                 503 75 wait
        REFRESH_PENDING          504 75 wait
        ");
    }

    #[test]
    fn the_wire_word_is_the_serialized_word() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn foreign_text_is_capped_escaped_and_masked() {
        let long = "word ".repeat(100);
        #[rustfmt::skip]
        let cases = [
            ("plain words stay",          "The token was revoked.",            "The token was revoked."),
            ("control characters",        "a\nb\u{1b}[31m",                    "a\\u{a}b\\u{1b}[31m"),
            ("bidirectional override",    "a\u{202e}b",                        "a\\u{202e}b"),
            ("a token in the middle",     "token 4f9aKq0ZtYxLm3Pq7Rw2 is bad", "token [masked] is bad"),
            ("a JWT",                     "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "[masked]"),
            ("a long word without digit", "internationalisation of errors",    "internationalisation of errors"),
            ("forty letters",             "abcdefghijabcdefghijabcdefghijabcdefghij", "[masked]"),
        ];
        for (name, text, expected) in cases {
            assert_eq!(scrubbed(text, 200), expected, "{name}");
        }
        assert!(scrubbed(&long, 50).chars().count() <= 51);
    }
}
