//! One account, its token and what is ordered of it.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ErrorBody;
use crate::plan::Entry;

/// An account's current token: `GET /v1/accounts/{account}/token`.
///
/// Written by hand in the daemon, since secrets have no `Serialize`.
#[derive(Deserialize, ToSchema)]
pub struct TokenAnswer {
    /// The account.
    pub account: String,
    /// `access` or `id`.
    pub kind: String,
    /// The token.
    pub token: String,
    /// The provider's `token_type`.
    pub token_type: String,
    /// The header in which the provider's API takes it.
    pub header: HeaderView,
    /// When it was granted.
    pub issued_at: String,
    /// When it expires; it is never handed out at or after this.
    pub expires_at: String,
    /// What is left, in whole seconds.
    pub ttl: u64,
    /// Counts the account's saved token sets.
    pub generation: u64,
    /// Whether it is not on disk yet: a restart now would cost a refresh.
    pub unsaved: bool,
    /// The failure that is raised, if any; the token is good all the same.
    pub refresh_error: Option<ErrorBody>,
}

/// A ready-made HTTP header.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct HeaderView {
    /// Its name, in lower case.
    pub name: String,
    /// Its value, the token included.
    pub value: String,
}

/// One account as a peer sees it: `GET /v1/accounts/{account}`.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct AccountView {
    /// Its name.
    pub account: String,
    /// The provider's name in the configuration.
    pub provider: String,
    /// `vacant`, `fresh`, `queued`, `exchanging`, `saving`, `in_doubt`, `waiting`,
    /// `suspect`, `needs_login` or `frozen`.
    pub state: String,
    /// Whether a token can be had at this moment.
    pub ready: bool,
    /// Whether an operator paused it.
    pub paused: bool,
    /// Whether its refresh token was handed out, so that somebody else owns it; paused with it.
    #[serde(default)]
    pub released: bool,
    /// Counts the saved token sets.
    pub generation: u64,
    /// When the current token was granted.
    pub issued_at: Option<String>,
    /// When it expires.
    pub expires_at: Option<String>,
    /// What is left of it, in whole seconds; 0 when it is over.
    pub ttl: u64,
    /// How long it was good when new, in whole seconds.
    pub lifetime: u64,
    /// When something happens next by itself.
    pub next_at: Option<String>,
    /// When the login itself ends, where that is known: after that a person has to log in.
    #[serde(default)]
    pub login_ends_at: Option<String>,
    /// Whether that is so close that it has been told ahead.
    #[serde(default)]
    pub login_ends_soon: bool,
    /// Whether the token is not on disk yet.
    pub unsaved: bool,
    /// The failure that is raised.
    pub refresh_error: Option<ErrorBody>,
    /// Whether that failure is an alarm: it needs a person, expires the token or lasts close to
    /// its expiry.
    #[serde(default)]
    pub alarm: bool,
    /// Attempts in this series of failures; 0 without one.
    pub attempt: u32,
    /// Until when the provider asked to be left alone, if it did so in its last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// When the first of them failed.
    pub failing_since: Option<String>,
    /// How it comes by a credential, which is what to type when it needs one: `login`, or
    /// `import` where no login is possible.
    #[serde(default = "login")]
    pub entry: String,
    /// The secret for want of which it has not signed in by itself, as `ACCOUNT.SLOT`; while it
    /// is vacant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks_secret: Option<String>,
    /// The secret for which its last sign-in without a person was refused, as
    /// `ACCOUNT.SLOT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_secret: Option<String>,
    /// What this peer may do with it.
    pub rights: Vec<String>,
    /// When a program last logged in as somebody else where it keeps the account's token
    /// (`FOREIGN_WRITER`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_login_at: Option<String>,
    /// The e-mail address by which the provider knows its user, where it does so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Names of the secrets that it takes. Administrators of the account see them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<String>>,
    /// A fingerprint of the place that its credential belongs to: issuer or endpoint, client
    /// and user. Administrators of the account see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<String>,
    /// The refresh token that was handed in last and proven, as the first 32 hex digits of its
    /// SHA-256: that one is not taken over again. Administrators of the account see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_over: Option<String>,
}

/// `GET /v1/accounts`.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct AccountList {
    /// Those that this peer may see, by name.
    pub accounts: Vec<AccountView>,
}

/// `POST /v1/accounts/{account}/refresh` and `…/report`: how it came out.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct RefreshAnswer {
    /// The account.
    pub account: String,
    /// Whether there is a newer token than the peer had.
    pub refreshed: bool,
    /// Whether a refresh took place: false if nothing had to be done, since the newer token
    /// was there already or the current one is good.
    #[serde(default = "assumed")]
    pub changed: bool,
    /// The current generation.
    pub generation: u64,
    /// When the current token expires.
    pub expires_at: Option<String>,
    /// What is left of it, in whole seconds.
    pub ttl: u64,
    /// Whether it is not on disk yet.
    #[serde(default)]
    pub unsaved: bool,
}

/// `POST /v1/accounts/{account}/report`: "this token was rejected". One of the first two is needed.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportRequest {
    /// Generation of the rejected token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// SHA-256 of the rejected token, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    pub token_sha256: Option<String>,
    /// `transport_unauthenticated` (default) or `stream_unauthenticated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(transport|stream)_unauthenticated$")]
    pub reason: Option<String>,
}

/// `POST /v1/accounts/{account}/import`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// The refresh token to take over.
    #[schema(min_length = 1)]
    pub refresh_token: String,
    /// Whether it was found in a file where a program logs in by itself. One that was taken over
    /// before is no fault then, and one of another subject is raised as `FOREIGN_WRITER`.
    #[serde(default)]
    pub found: bool,
}

/// `POST /v1/accounts/{account}/release`: the refresh token, handed out. From then on the
/// account is frozen, and whoever has the token owns it.
///
/// Written by hand in the daemon, since secrets have no `Serialize`.
#[derive(Deserialize, ToSchema)]
pub struct ReleaseAnswer {
    /// The account.
    pub account: String,
    /// Its refresh token.
    pub refresh_token: String,
    /// The generation that it belongs to.
    pub generation: u64,
}

/// `POST /v1/accounts/{account}/secret`: seals one of the account's secrets into the store.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRequest {
    /// The slot: `client_secret`, `password`, …
    #[schema(pattern = "^[a-z_]{1,40}$")]
    pub slot: String,
    /// Its content; `null` forgets it.
    #[schema(min_length = 1, required)]
    pub value: Option<String>,
    /// Whether a slot that is not empty is left as it is.
    #[serde(default)]
    pub if_empty: bool,
}

/// The answer of every verb that has nothing else to say.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct DoneAnswer {
    /// The account, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Whether anything had to be done: false if it was so already.
    #[serde(default = "assumed")]
    pub changed: bool,
    /// What was done, for people.
    pub message: String,
}

/// A daemon that does not say how an account comes by a credential sends everybody to log in.
fn login() -> String {
    Entry::Login.as_str().to_owned()
}

/// A daemon that does not say whether it had anything to do did what it was asked.
const fn assumed() -> bool {
    true
}
