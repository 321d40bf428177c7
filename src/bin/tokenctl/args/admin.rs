//! The arguments of the verbs for administrators: `access`, `import`, `secret`, `backup`,
//! `restore` and `config`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use clap::Subcommand;
use tokenkeeper::name::AccountId;

use super::owner::FromArgs;
use super::value::Slot;
use super::value::account;
use super::value::number;
use super::value::slot;
use crate::help;

/// `access`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct AccessArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// This user, with all groups that the host gives it.
    #[arg(long = "user", value_name = "NAME", conflicts_with = "uid")]
    pub(crate) of_user: Option<String>,
    /// This user id.
    #[arg(long, value_name = "N", value_parser = number::<u32>)]
    pub(crate) uid: Option<u32>,
    /// And this group, by name or number.
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// In this system unit, escaped as systemctl shows it; without a user, whether the unit gets
    /// what its LoadCredential= asks for.
    #[arg(long, value_name = "UNIT")]
    pub(crate) unit: Option<String>,
    /// Stands in for the `--user` of every verb, whose name means a user here: the daemon of
    /// the session is asked by `tokenctl --user access …`.
    #[arg(id = "user", long = "of-session", hide = true)]
    pub(crate) of_session: bool,
}

/// `import`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct ImportArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// Read the refresh token from this file, "-" being the standard input; without it, a
    /// terminal is asked and anything else is read.
    #[arg(long, value_name = "FILE")]
    pub(crate) refresh_token_file: Option<PathBuf>,
    /// Out of which file of another program.
    #[command(flatten)]
    pub(crate) from: FromArgs,
    /// With --from, the file. A token in its place is refused in words.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<OsString>,
}

/// `backup`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct BackupArgs {
    /// Seal it to this public key of age, as age-keygen prints it; may stand several times.
    #[arg(long = "recipient", value_name = "AGE", required = true)]
    pub(crate) recipients: Vec<String>,
    /// Write it to this file, as a whole or not at all; without it, to the standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// `restore`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct RestoreArgs {
    /// The backup.
    #[arg(value_name = "BACKUP")]
    pub(crate) file: PathBuf,
    /// Open it with the identities of this file, as age-keygen writes it. They stay in this
    /// process.
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: PathBuf,
    /// Restore this account alone; may stand several times.
    #[arg(long = "account", value_name = "NAME", value_parser = account)]
    pub(crate) accounts: Vec<AccountId>,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace what is newer here, or belongs elsewhere, and secrets that are there.
    #[arg(long)]
    pub(crate) force: bool,
}

/// `secret …`.
#[derive(Debug, PartialEq, Subcommand)]
pub(crate) enum SecretVerb {
    /// Store a secret in a slot of an account.
    #[command(after_help = help::SECRET_SET)]
    Set {
        /// Where it belongs, such as mail.client_secret.
        #[arg(value_parser = slot, value_name = "ACCOUNT.SLOT")]
        slot: Slot,
        /// Read it from this file, "-" being the standard input; without it, a terminal is
        /// asked and anything else is read.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// A secret, which is refused in words.
        #[arg(hide = true)]
        literal: Option<OsString>,
    },
    /// Forget what a slot holds.
    #[command(after_help = help::SECRET_FORGET)]
    Forget {
        /// Which.
        #[arg(value_parser = slot, value_name = "ACCOUNT.SLOT")]
        slot: Slot,
    },
}

/// `config …`.
#[derive(Debug, PartialEq, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Have the daemon read the configuration and say what a reload would do.
    #[command(after_help = help::CONFIG_CHECK)]
    Check,
}
