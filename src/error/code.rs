//! The public names of errors, and what follows from a name alone.
//!
//! HTTP status, exit status and remedy derive from the [`Code`]; a test freezes all four.

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
}
