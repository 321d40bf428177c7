//! The arguments of the verbs about the store key: `init` and `rekey`.

use std::path::PathBuf;

use clap::Args;

/// `init` and `rekey`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct KeyArgs {
    /// The configuration of the daemon whose store it is; without it, the usual one.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Seal a copy of the key to this public key of age, as age-keygen prints it; may stand
    /// several times.
    #[arg(long = "recovery-recipient", value_name = "AGE")]
    pub(crate) recipients: Vec<String>,
    /// Write that copy to this file; without it, to tokenkeeper.store-key.age.
    #[arg(long = "recovery-output", value_name = "FILE", requires = "recipients")]
    pub(crate) recovery: Option<PathBuf>,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
