//! What goes over the Unix socket, as the daemon writes it and `tokenctl` reads it.
//!
//! The document of record is the OpenAPI text at `/v1/openapi.json`, generated from
//! these types. Spans are whole seconds and say so in their names; times are RFC 3339
//! in UTC. Fields are only ever added.
//!
//! Reading order: `account` (a token, and how its account stands), `error`, `login`, `event`,
//! `daemon` (what is no account's).

mod account;
mod daemon;
mod error;
mod event;
mod login;

pub use self::account::AccountList;
pub use self::account::AccountView;
pub use self::account::DoneAnswer;
pub use self::account::HeaderView;
pub use self::account::ImportRequest;
pub use self::account::RefreshAnswer;
pub use self::account::ReleaseAnswer;
pub use self::account::ReportRequest;
pub use self::account::SecretRequest;
pub use self::account::TokenAnswer;
pub use self::daemon::AccessView;
pub use self::daemon::BackupAccount;
pub use self::daemon::BackupRequest;
pub use self::daemon::BackupView;
pub use self::daemon::Finding;
pub use self::daemon::ReloadView;
pub use self::daemon::RuleView;
pub use self::daemon::Severity;
pub use self::daemon::StatusView;
pub use self::daemon::WhoAmI;
pub use self::error::ErrorBody;
pub use self::error::ProviderErrorView;
pub use self::event::EventView;
pub use self::event::HookFailedView;
pub use self::login::LoginRequest;
pub use self::login::LoginView;
pub use self::login::LogoutRequest;
pub use self::login::PromptView;
pub use self::login::SessionView;
pub use self::login::SessionsView;
