//! What goes over the Unix socket, as the daemon writes it and `tokenctl` reads it.
//!
//! The document of record is the OpenAPI text at `/v1/openapi.json`, generated from
//! these types. Spans are whole seconds and say so in their names; times are RFC 3339
//! in UTC. Fields are only ever added.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Code;
use crate::error::OauthError;
use crate::error::Remedy;

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

/// Every error, flat.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct ErrorBody {
    /// Family of the code, in lower case: `needs_login`, `provider`, `request`, …
    pub error: String,
    /// What happened and what to do next, for people.
    pub message: String,
    /// The code, for programs.
    #[schema(value_type = String)]
    pub error_code: Code,
    /// When this was said.
    pub timestamp: String,
    /// The account it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// When the daemon tries again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<String>,
    /// Who has to act: `wait`, `sign_in`, `reconfigure`, `change_request`.
    #[schema(value_type = String)]
    pub remedy: Remedy,
    /// What the provider itself said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ProviderErrorView>)]
    pub provider_error: Option<OauthError>,
}

/// What a provider said, scrubbed.
#[derive(Serialize, ToSchema)]
pub struct ProviderErrorView {
    /// Its `error`.
    pub code: String,
    /// Its `error_description`.
    pub description: Option<String>,
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
    /// When the first of them failed.
    pub failing_since: Option<String>,
    /// What this peer may do with it.
    pub rights: Vec<String>,
    /// A fingerprint of the place that its credential belongs to: issuer or endpoint, client
    /// and user. Administrators of the account see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<String>,
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
    pub token_sha256: Option<String>,
    /// `transport_unauthenticated` (default) or `stream_unauthenticated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/accounts/{account}/import`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// The refresh token to take over.
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

/// `POST /v1/accounts/{account}/login`. Without `login` it begins a login; with it, it gives
/// an answer, looks how it stands, or cancels it.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The login that is meant, as [`LoginView`] names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// What the person answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The last turn that was seen: the request is answered when there is a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    /// Whether the login is to end, without a trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<bool>,
    /// At the beginning: where on this host a browser can be sent back to,
    /// `http://127.0.0.1:PORT/PATH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
}

/// How a login stands.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct LoginView {
    /// The account.
    pub account: String,
    /// Names the login in further requests.
    pub login: String,
    /// `busy` (the provider is asked), `asked` (the person is), `proving`, `done` or `cancelled`.
    pub state: String,
    /// Counts what was shown.
    pub turn: u64,
    /// What the person is asked.
    pub prompt: Option<PromptView>,
    /// Once it is done: the generation that it began.
    pub generation: Option<u64>,
    /// Once it is done: when its token expires.
    pub expires_at: Option<String>,
    /// Once it is done: what is left of the token, in whole seconds.
    pub ttl: Option<u64>,
    /// How it stands, for people.
    pub message: String,
}

/// What a person is asked, or told to do.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
pub struct PromptView {
    /// `password`, `code`, `device` or `browser`.
    pub kind: String,
    /// Whether the answer is waited for; if not, the provider learns by itself what the person did.
    pub answerable: bool,
    /// Whether the last answer was not right.
    pub again: bool,
    /// Of a password: whose it is.
    pub of: Option<String>,
    /// Of a code: where it comes from.
    pub from: Option<String>,
    /// Of a device or a browser: what to open. A browser comes back with the answer, which is
    /// the query of the address that it is sent back to.
    pub url: Option<String>,
    /// Of a device: the same with the code in it.
    pub complete_url: Option<String>,
    /// Of a device: what to type there.
    pub user_code: Option<String>,
    /// How long it is good, in whole seconds.
    pub ttl: Option<u64>,
}

/// `POST /v1/accounts/{account}/logout`: ends the login at the provider and forgets it.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogoutRequest {
    /// Whether it is only forgotten here, and the provider is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<bool>,
}

/// `GET /v1/accounts/{account}/sessions`.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct SessionsView {
    /// The account.
    pub account: String,
    /// What the provider lists, in its order.
    pub sessions: Vec<SessionView>,
}

/// One session at the provider, as far as it tells. Times are in the provider's own words.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct SessionView {
    /// Its id.
    pub id: String,
    /// Program or browser.
    pub device: Option<String>,
    /// Address that it was begun from.
    pub address: Option<String>,
    /// When it was begun.
    pub begun: Option<String>,
    /// When it was last used.
    pub used: Option<String>,
    /// When it ends.
    pub ends: Option<String>,
    /// Whether it is the daemon's own.
    pub current: bool,
}

/// `POST /v1/accounts/{account}/secret`: seals one of the account's secrets into the store.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRequest {
    /// The slot: `client_secret`, `password`, …
    pub slot: String,
    /// Its content; `null` forgets it.
    pub value: Option<String>,
    /// Whether a slot that is not empty is left as it is.
    #[serde(default)]
    pub if_empty: bool,
}

/// `POST /v1/backup`: everything that the store knows, sealed.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// Public keys of those who can open it: `age1…`, one to 16.
    pub recipients: Vec<String>,
}

/// The answer to [`BackupRequest`].
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct BackupView {
    /// The age file, in base64 (RFC 4648 section 4).
    pub sealed: String,
    /// When the store was read.
    pub made_at: String,
    /// What is in it.
    pub accounts: Vec<BackupAccount>,
    /// What is missing in it: sentences for people.
    pub damage: Vec<String>,
}

/// One account in a backup.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct BackupAccount {
    /// Its name.
    pub account: String,
    /// The generation of its credential.
    pub generation: u64,
    /// Whether there is a refresh token.
    pub refresh_token: bool,
    /// Whether that is good only until the next refresh: its provider rotates, or may.
    pub rotates: bool,
    /// Whether a refresh was under way, or is not saved: the refresh token may be spent.
    pub doubtful: bool,
    /// The slots of its secrets.
    pub secrets: Vec<String>,
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

/// A daemon that does not say whether it had anything to do did what it was asked.
const fn assumed() -> bool {
    true
}

/// `GET /v1/status`.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct StatusView {
    /// Version of the daemon.
    pub version: String,
    /// Process id of the daemon.
    pub pid: u32,
    /// Whether the daemon examined itself in time; only for administrators does it, and to
    /// anyone else the answer itself says that it lives.
    pub live: bool,
    /// Whether it goes on serving: false once it is stopping.
    pub ready: bool,
    /// Whether something is wrong that an administrator should see: an account in alarm or
    /// without a credential, a problem of the daemon's own.
    pub degraded: bool,
    /// How long the daemon runs, in whole seconds.
    pub uptime: u64,
    /// Number of accounts.
    pub accounts: u64,
    /// Accounts by state, states without any left out.
    pub states: std::collections::BTreeMap<String, u64>,
    /// Accounts that an operator paused; they are `frozen` in `states`.
    #[serde(default)]
    pub paused: u64,
    /// Accounts with a raised failure.
    pub failing: u64,
    /// What happens next by itself: the account (for those who may see it) and when.
    pub next_account: Option<String>,
    /// When it happens.
    pub next_at: Option<String>,
    /// What `doctor` reports; administrators see it, others see none.
    pub findings: Vec<Finding>,
}

/// One thing that an administrator should know.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Finding {
    /// `problem`: something does not work. `weakness`: it works and could be safer.
    pub severity: Severity,
    /// The account it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What is so.
    pub message: String,
    /// What to do about it, ready to type where possible.
    pub advice: String,
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work.
    Problem,
    /// It works and could be safer.
    Weakness,
}

/// `GET /v1/whoami`: how the daemon sees this peer.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct WhoAmI {
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its supplementary groups.
    pub groups: Vec<u32>,
    /// Its process.
    pub pid: Option<u32>,
    /// Its system unit, where proven.
    pub unit: Option<String>,
    /// `unix`, with the socket's path behind a colon.
    pub transport: String,
    /// Whether it may reload and see everything.
    pub daemon_admin: bool,
    /// Its rights by account, accounts without any left out.
    pub rights: std::collections::BTreeMap<String, Vec<String>>,
}

/// `GET /v1/accounts/{account}/access?uid=&gid=&groups=&unit=`: a verdict explained beforehand (admin).
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct AccessView {
    /// The account.
    pub account: String,
    /// What that peer may do.
    pub rights: Vec<String>,
    /// Each rule of the account: as written, what it gives, whether it speaks of that peer and why.
    pub rules: Vec<RuleView>,
}

/// One rule and whether it speaks of a peer.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct RuleView {
    /// The rule, in words.
    pub rule: String,
    /// What it gives.
    pub rights: Vec<String>,
    /// Whether it speaks of that peer.
    pub matches: bool,
    /// Why, or why not.
    pub because: String,
}

/// `POST /v1/reload` and `POST /v1/config/check`: what came of it. Errors come as [`ErrorBody`] with
/// `CONFIG_INVALID`, one line per error in `message`.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ReloadView {
    /// Accounts that are new.
    pub added: Vec<String>,
    /// Accounts that are gone.
    pub removed: Vec<String>,
    /// Accounts that changed and keep their credential.
    pub changed: Vec<String>,
    /// Accounts that changed so that they need a new login.
    pub needs_login: Vec<String>,
    /// How many did not change.
    pub unchanged: u64,
    /// Things that work and could be better.
    pub warnings: Vec<String>,
    /// What needs a restart to take effect.
    pub restart: Vec<String>,
}

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
