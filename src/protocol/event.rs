//! What happens, as it happens.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ErrorBody;
use crate::error::code::Code;

/// One server-sent event of `GET /v1/events` (`event: <kind>`, `data: <this>`), and what a hook
/// reads on its standard input.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct EventView {
    /// `refresh_started`, `token_changed`, `refresh_failed`, `alarm`, `recovered`, `expired`,
    /// `expiry_ahead`, `state_changed`, `hook_failed`, `lost`.
    pub event: String,
    /// The account.
    pub account: String,
    /// When.
    pub timestamp: String,
    /// Its state after the event.
    pub state: String,
    /// Whether an operator paused it.
    #[serde(default)]
    pub paused: bool,
    /// Its generation after the event.
    pub generation: u64,
    /// When its token expires.
    pub expires_at: Option<String>,
    /// When something happens next by itself.
    pub next_at: Option<String>,
    /// Whether its token is not on disk yet.
    #[serde(default)]
    pub unsaved: bool,
    /// Why the attempt was made: `scheduled`, `requested`, `replay`, `expired_cached_token`,
    /// `transport_unauthenticated`, `stream_unauthenticated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Number of the attempt in its series, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The failure, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_error: Option<ErrorBody>,
    /// Of `expiry_ahead`: when the login ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<String>,
    /// Of `hook_failed`: which hook, and about what it was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookFailedView>,
}

/// A hook that failed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct HookFailedView {
    /// Its name in the configuration.
    pub name: String,
    /// The event that it was called about, or should have been.
    pub about: String,
    /// `HOOK_FAILED`.
    #[schema(value_type = String)]
    pub error_code: Code,
    /// What went wrong.
    pub message: String,
}
