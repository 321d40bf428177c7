//! What happens to accounts, told once to everyone who follows: the journal, event
//! streams, metrics, hooks.

use std::sync::Arc;
use std::time::Duration;

use crate::name::AccountId;
use crate::record::Failure;
use crate::snapshot::Snapshot;
use crate::time::Now;
use crate::time::Timestamp;

/// Something that happened to an account.
pub struct Notice {
    /// To which.
    pub account: AccountId,
    /// When.
    pub at: Now,
    /// What.
    pub event: Event,
    /// How the account stands after it.
    pub snapshot: Arc<Snapshot>,
}

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// An attempt begins.
    RefreshStarted {
        /// Why it is made.
        reason: Reason,
        /// Its number in its series, from 1.
        attempt: u32,
    },
    /// There is a new token.
    TokenChanged {
        /// Why it was fetched.
        reason: Reason,
        /// The attempt that brought it, from 1.
        attempt: u32,
    },
    /// An attempt failed. Every failure is told at once.
    RefreshFailed {
        /// Why it was made.
        reason: Reason,
        /// The failure.
        failure: Arc<Failure>,
    },
    /// A failure that expires a token, needs a person, or lasts close to the expiry. Once per series.
    Alarm {
        /// The failure.
        failure: Arc<Failure>,
    },
    /// The first good attempt after failures.
    Recovered {
        /// How many attempts failed.
        failed: u32,
    },
    /// The token expired and no newer one is there.
    Expired,
    /// The login itself ends soon: a person has to log in before that.
    ExpiryAhead {
        /// When it ends.
        at: Timestamp,
        /// The rung of the ladder: at most this much is left.
        within: Duration,
    },
    /// The state changed in a way that none of the others tells.
    StateChanged,
    /// A hook could not be called, failed, or was not called for want of room.
    HookFailed {
        /// Its name in the configuration.
        hook: Box<str>,
        /// What it was, or should have been, called about.
        about: EventName,
        /// What went wrong.
        why: Box<str>,
    },
}

impl Event {
    /// Which of them it is.
    pub const fn name(&self) -> EventName {
        match self {
            Self::RefreshStarted { .. } => EventName::RefreshStarted,
            Self::TokenChanged { .. } => EventName::TokenChanged,
            Self::RefreshFailed { .. } => EventName::RefreshFailed,
            Self::Alarm { .. } => EventName::Alarm,
            Self::Recovered { .. } => EventName::Recovered,
            Self::Expired => EventName::Expired,
            Self::ExpiryAhead { .. } => EventName::ExpiryAhead,
            Self::StateChanged => EventName::StateChanged,
            Self::HookFailed { .. } => EventName::HookFailed,
        }
    }
}

/// Names of what happens, as on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventName {
    /// See [`Event::RefreshStarted`].
    RefreshStarted,
    /// See [`Event::TokenChanged`].
    TokenChanged,
    /// See [`Event::RefreshFailed`].
    RefreshFailed,
    /// See [`Event::Alarm`].
    Alarm,
    /// See [`Event::Recovered`].
    Recovered,
    /// See [`Event::Expired`].
    Expired,
    /// See [`Event::ExpiryAhead`].
    ExpiryAhead,
    /// See [`Event::StateChanged`].
    StateChanged,
    /// See [`Event::HookFailed`].
    HookFailed,
}

impl EventName {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefreshStarted => "refresh_started",
            Self::TokenChanged => "token_changed",
            Self::RefreshFailed => "refresh_failed",
            Self::Alarm => "alarm",
            Self::Recovered => "recovered",
            Self::Expired => "expired",
            Self::ExpiryAhead => "expiry_ahead",
            Self::StateChanged => "state_changed",
            Self::HookFailed => "hook_failed",
        }
    }
}

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// Its time had come.
    Scheduled,
    /// Somebody asked for it: for a refresh, for a retry, for a token that is good for longer
    /// than the held one; or a refresh token or a secret was handed in.
    Requested,
    /// The reply of an earlier attempt was lost.
    Replay,
    /// Somebody needs a token and the held one has expired.
    ExpiredCachedToken,
    /// The provider's API rejected the token.
    TransportUnauthenticated,
    /// A stream of the provider's API rejected the token.
    StreamUnauthenticated,
}

impl Reason {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Requested => "requested",
            Self::Replay => "replay",
            Self::ExpiredCachedToken => "expired_cached_token",
            Self::TransportUnauthenticated => "transport_unauthenticated",
            Self::StreamUnauthenticated => "stream_unauthenticated",
        }
    }
}
