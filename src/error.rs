//! What can go wrong, once for three audiences.
//!
//! * The **message** is for people: what happened and to what.
//! * The [`Code`] is for programs, frozen by a test. HTTP status, exit status, D-Bus
//!   error name and journal message derive from it; nothing parses messages.
//! * The [`Class`] and the [`code::Remedy`] are for the machine: what the account does
//!   next, and who has to act.
//!
//! No error carries a body, a token or a URL's query. What a provider says of itself
//! passes [`OauthError::new`], which caps, escapes and masks it.
//!
//! # Reading order
//!
//! 1. [`RefreshError`]: why one attempt failed, and its [`Class`].
//! 2. `code`: the names that programs read.
//! 3. `foreign`: text of others.

pub mod code;
pub mod foreign;

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use self::code::Code;
use self::foreign::OauthError;
use crate::token::Secret;

/// What is said, and what to do, where the store is damaged. A damaged database takes no account
/// back, so that one has to go first.
pub const STORE_UNREADABLE: &str = "what the store holds of the account cannot be read, so nothing of it is spent; stop the daemon, \
     move its database aside (state.db, and state.db-wal if it is there), start it again, and take \
     the account over from a backup (tokenctl restore), or log in anew";

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
    /// A secret that the exchange needs was never handed in.
    #[error("secret {slot} is not available: nothing is stored; type: tokenctl secret set {slot}")]
    SecretNotStored {
        /// Name of the slot.
        slot: String,
    },
    /// A program that the configuration names is not there, or may not be run.
    #[error("a program that the configuration names cannot be run: {0}")]
    ProgramMissing(String),
    /// The intent could not be made durable, so nothing was sent.
    #[error("the store cannot be written: {0}")]
    StoreUnavailable(String),
    /// What the store holds of the account cannot be read, so nothing was sent.
    #[error("{STORE_UNREADABLE}")]
    StoreUnreadable,
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
    /// A program that keeps its tokens in a file logged in by itself, as somebody else.
    #[error("a program has logged in by itself, as another subject than this account's")]
    ForeignWriter,
    /// RFC 6749 `invalid_grant`, or the provider's word for it.
    #[error("refresh token refused: {0}")]
    GrantRejected(OauthError),
    /// A word that sends a person to log in and leaves no doubt.
    #[error("a new login is needed: {0}")]
    LoginRequired(OauthError),
    /// A sign-in's name, password or code is refused.
    #[error("login refused: {0}")]
    LoginRejected(OauthError),
    /// A sign-in in which no person had a part is refused. A login would take the same secret, so
    /// that one has to be corrected.
    #[error(
        "login refused: {answer}; the {}{slot} was used{}",
        if *.stored { "stored " } else { "" },
        if *.stored { "" } else { " that the configuration leads to" }
    )]
    SecretRefused {
        /// Name of the slot.
        slot: String,
        /// Whether it came out of the store; if not, the configuration says from where.
        stored: bool,
        /// What the provider said.
        answer: OauthError,
    },
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
    /// A person asked for what the provider has not, or what nobody said where it is. Nothing
    /// is wrong with the account.
    #[error("{0}")]
    NotOffered(String),
    /// Our own fault.
    #[error("internal fault: {0}")]
    Internal(Cow<'static, str>),
}

impl RefreshError {
    /// The public name of this failure.
    pub const fn code(&self) -> Code {
        match self {
            Self::SecretUnavailable { .. } | Self::SecretNotStored { .. } => {
                Code::SecretUnavailable
            }
            Self::ProgramMissing(_) => Code::ConfigInvalid,
            Self::StoreUnavailable(_) | Self::StoreUnreadable => Code::StoreUnavailable,
            Self::Unreachable(_) | Self::ReplyLost(_) => Code::ProviderUnreachable,
            Self::Unavailable { .. } | Self::Throttled { .. } => Code::ProviderUnavailable,
            Self::NotTheProvider(_) | Self::Malformed(_) | Self::BornExpired => {
                Code::ProviderMalformed
            }
            Self::SubjectChanged | Self::LoginRequired(_) => Code::NeedsLogin,
            Self::ForeignWriter => Code::ForeignWriter,
            Self::GrantRejected(_) => Code::GrantRejected,
            Self::LoginRejected(_) | Self::SecretRefused { .. } => Code::LoginRejected,
            Self::SessionExpired(_) => Code::SessionExpired,
            Self::HookFailed { .. } => Code::HookFailed,
            Self::ClientRejected(_) | Self::NoEndpoint(_) => Code::ClientRejected,
            Self::NotOffered(_) => Code::NotSupported,
            Self::Internal(_) => Code::Internal,
        }
    }

    /// The same, with `secrets` masked that a provider was told and says back.
    #[must_use]
    pub fn hiding(self, secrets: &[Secret]) -> Self {
        let words = |words: String| foreign::hiding(&words, secrets);
        match self {
            Self::Unavailable { answer, retry_after, maybe_rotated } => {
                Self::Unavailable { answer: answer.hiding(secrets), retry_after, maybe_rotated }
            }
            Self::Throttled { answer, retry_after } => {
                Self::Throttled { answer: answer.hiding(secrets), retry_after }
            }
            Self::GrantRejected(answer) => Self::GrantRejected(answer.hiding(secrets)),
            Self::LoginRequired(answer) => Self::LoginRequired(answer.hiding(secrets)),
            Self::LoginRejected(answer) => Self::LoginRejected(answer.hiding(secrets)),
            Self::SecretRefused { slot, stored, answer } => {
                Self::SecretRefused { slot, stored, answer: answer.hiding(secrets) }
            }
            Self::SessionExpired(answer) => Self::SessionExpired(answer.hiding(secrets)),
            Self::ClientRejected(answer) => Self::ClientRejected(answer.hiding(secrets)),
            Self::NotTheProvider(why) => Self::NotTheProvider(words(why)),
            Self::NoEndpoint(why) => Self::NoEndpoint(words(why)),
            Self::NotOffered(why) => Self::NotOffered(words(why)),
            Self::Malformed(why) => Self::Malformed(words(why.into_owned()).into()),
            Self::SecretUnavailable { .. }
            | Self::SecretNotStored { .. }
            | Self::ProgramMissing(_)
            | Self::StoreUnavailable(_)
            | Self::StoreUnreadable
            | Self::Unreachable(_)
            | Self::ReplyLost(_)
            | Self::BornExpired
            | Self::SubjectChanged
            | Self::ForeignWriter
            | Self::HookFailed { .. }
            | Self::Internal(_) => self,
        }
    }

    /// What it means for the refresh token.
    pub const fn class(&self) -> Class {
        match self {
            Self::StoreUnavailable(_)
            | Self::StoreUnreadable
            | Self::Unreachable(_)
            | Self::HookFailed { .. } => Class::NotSent,
            Self::ReplyLost(_) | Self::Malformed(_) | Self::Internal(_) => Class::Ambiguous,
            Self::Unavailable { maybe_rotated: true, .. } => Class::Ambiguous,
            Self::Unavailable { .. } | Self::NotTheProvider(_) | Self::BornExpired => {
                Class::Transient
            }
            Self::Throttled { .. } => Class::Throttled,
            Self::GrantRejected(_) => Class::Suspect,
            Self::LoginRequired(_)
            | Self::LoginRejected(_)
            | Self::SecretRefused { .. }
            | Self::SessionExpired(_)
            | Self::SubjectChanged
            | Self::ForeignWriter => Class::Definite,
            Self::SecretUnavailable { .. }
            | Self::SecretNotStored { .. }
            | Self::ProgramMissing(_)
            | Self::ClientRejected(_)
            | Self::NoEndpoint(_)
            | Self::NotOffered(_) => Class::Config,
        }
    }

    /// Whether something is missing on this host, so that nothing was sent.
    pub const fn is_local(&self) -> bool {
        matches!(
            self,
            Self::SecretUnavailable { .. } | Self::SecretNotStored { .. } | Self::ProgramMissing(_)
        )
    }

    /// How long the provider asks us to stay away.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.said().1
    }

    /// What the provider itself said, where it said something.
    pub const fn provider_error(&self) -> Option<&OauthError> {
        self.said().0
    }

    /// What the provider said of the error and of patience.
    const fn said(&self) -> (Option<&OauthError>, Option<Duration>) {
        match self {
            Self::Unavailable { answer, retry_after, .. }
            | Self::Throttled { answer, retry_after } => (Some(answer), *retry_after),
            Self::GrantRejected(answer)
            | Self::LoginRequired(answer)
            | Self::LoginRejected(answer)
            | Self::SecretRefused { answer, .. }
            | Self::SessionExpired(answer)
            | Self::ClientRejected(answer) => (Some(answer), None),
            Self::SecretUnavailable { .. }
            | Self::SecretNotStored { .. }
            | Self::ProgramMissing(_)
            | Self::StoreUnavailable(_)
            | Self::StoreUnreadable
            | Self::Unreachable(_)
            | Self::ReplyLost(_)
            | Self::NotTheProvider(_)
            | Self::Malformed(_)
            | Self::BornExpired
            | Self::SubjectChanged
            | Self::ForeignWriter
            | Self::NoEndpoint(_)
            | Self::NotOffered(_)
            | Self::HookFailed { .. }
            | Self::Internal(_) => (None, None),
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
    /// The client is refused, or the endpoint, a secret or a program is not there: nothing
    /// changes by itself.
    Config,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_provider_said_goes_with_every_failure_in_which_it_spoke() {
        let answer = || OauthError::new("its_word", None);
        let patience = Some(Duration::from_secs(7));
        let (stored, slot) = (true, "mail.password".to_owned());
        #[rustfmt::skip]
        let cases = [
            // failure                                                                                   said   retry after
            (RefreshError::Unavailable { answer: answer(), retry_after: patience, maybe_rotated: true }, true,  patience),
            (RefreshError::Throttled { answer: answer(), retry_after: patience },                        true,  patience),
            (RefreshError::GrantRejected(answer()),                                                      true,  None),
            (RefreshError::LoginRequired(answer()),                                                      true,  None),
            (RefreshError::LoginRejected(answer()),                                                      true,  None),
            (RefreshError::SecretRefused { slot, stored, answer: answer() },                             true,  None),
            (RefreshError::SessionExpired(answer()),                                                     true,  None),
            (RefreshError::ClientRejected(answer()),                                                     true,  None),
            (RefreshError::Unreachable("refused".to_owned()),                                            false, None),
            (RefreshError::NotTheProvider("a portal".to_owned()),                                        false, None),
            (RefreshError::BornExpired,                                                                  false, None),
        ];
        for (failure, said, retry_after) in cases {
            assert_eq!(failure.provider_error(), said.then(answer).as_ref(), "{failure}");
            assert_eq!(failure.retry_after(), retry_after, "{failure}");
        }
    }
}
