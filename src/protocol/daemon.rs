//! The daemon as a whole, its backup, and who may do what.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

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
    pub states: BTreeMap<String, u64>,
    /// Accounts that an operator paused; they are `frozen` in `states`.
    #[serde(default)]
    pub paused: u64,
    /// Those of them whose refresh token was handed out.
    #[serde(default)]
    pub released: u64,
    /// Accounts with a raised failure.
    pub failing: u64,
    /// Accounts whose newest tokens are not on disk yet: a daemon that is stopping waits for them.
    #[serde(default)]
    pub unsaved: u64,
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

/// `POST /v1/reload` and `POST /v1/config/check`: what came of it. Errors come as `ErrorBody` with
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

/// `POST /v1/backup`: everything that the store knows, sealed.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// Public keys of those who can open it: `age1…`, one to 16.
    #[schema(min_items = 1, max_items = 16)]
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
    /// Whether its refresh token was handed out, and is not in the backup for that.
    #[serde(default)]
    pub released: bool,
    /// The slots of its secrets.
    pub secrets: Vec<String>,
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
    /// Why there is none.
    #[serde(default)]
    pub no_unit: Option<String>,
    /// `unix`, with the socket's path behind a colon.
    pub transport: String,
    /// Whether it may reload and see everything.
    pub daemon_admin: bool,
    /// Its rights by account, accounts without any left out.
    pub rights: BTreeMap<String, Vec<String>>,
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
