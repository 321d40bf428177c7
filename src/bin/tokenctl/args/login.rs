//! The arguments of the verbs about a login: `login`, `logout` and `sessions`.

use std::ffi::OsString;

use clap::Args;
use tokenkeeper::name::AccountId;

use super::value::account;

/// `login`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct LoginArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// Read the password from the standard input.
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Offer no browser of this host: log in by a code typed on another device.
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// A password, which is refused in words.
    #[arg(hide = true)]
    pub(crate) literal: Option<OsString>,
}

/// `logout`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct LogoutArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// Only forget it here; at the provider the login goes on.
    #[arg(long)]
    pub(crate) local: bool,
}

/// `sessions`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct SessionsArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// End this session; if it is the daemon's own, the account needs a login.
    #[arg(long, value_name = "ID", conflicts_with = "terminate_all")]
    pub(crate) terminate: Option<String>,
    /// End all of them, the daemon's own login included: the account needs a new one.
    #[arg(long)]
    pub(crate) terminate_all: bool,
}
