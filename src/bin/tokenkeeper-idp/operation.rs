//! What a request asks for, in words that hold for every service.

use std::fmt;

use serde::Deserialize;

/// What a request asks for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    /// Tokens for a refresh token.
    Refresh,
    /// Tokens for the client itself (RFC 6749, 4.4).
    ClientCredentials,
    /// Tokens for a user, or the challenge that comes before them.
    SignIn,
    /// Tokens for the answer to a challenge.
    Answer,
    /// The end of one token or login.
    Revoke,
    /// The end of a login, by its own access token.
    SignOut,
    /// Something that takes an access token.
    Probe,
    /// Whether the server still waits for its first administrator.
    SetupRequired,
    /// The list of logins.
    Sessions,
    /// The end of one login in that list.
    EndSession,
    /// The end of every login in that list.
    EndSessions,
    /// Nothing that the service knows.
    Unknown,
}

impl Operation {
    /// The word of the ledger and of scripts.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::ClientCredentials => "client-credentials",
            Self::SignIn => "sign-in",
            Self::Answer => "answer",
            Self::Revoke => "revoke",
            Self::SignOut => "sign-out",
            Self::Probe => "probe",
            Self::SetupRequired => "setup-required",
            Self::Sessions => "sessions",
            Self::EndSession => "end-session",
            Self::EndSessions => "end-sessions",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
