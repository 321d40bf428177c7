//! The options about the store key, which are orders of their own: no daemon runs.

use std::path::PathBuf;

use clap::Args;

/// What is wanted of the store key, and how.
#[derive(Args)]
pub(crate) struct KeyArgs {
    /// Seal the store key to this machine, print where it lies, and end: what "tokenctl init"
    /// runs
    #[arg(long, groups = ["order", "work"])]
    init: bool,
    /// Change the store key, and end: what "tokenctl rekey" runs
    #[arg(long, groups = ["order", "work"])]
    rekey: bool,
    /// With --init or --rekey: seal a copy of the key to this public key of age, as age-keygen
    /// prints it; may stand several times
    #[arg(long = "recovery-recipient", value_name = "AGE", requires = "work")]
    pub(crate) recipients: Vec<String>,
    /// Write that copy to this file
    #[arg(
        long = "recovery-output",
        value_name = "FILE",
        default_value = "tokenkeeper.store-key.age",
        requires = "recipients"
    )]
    pub(crate) recovery: PathBuf,
    /// With --init or --rekey: say what would be done, and do nothing
    #[arg(long, requires = "work")]
    pub(crate) dry_run: bool,
    /// With --init or --rekey: print JSON, errors too
    #[arg(long, requires = "work")]
    pub(crate) json: bool,
}

/// What is wanted of the store key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Work {
    /// It is to be sealed to this machine.
    Init,
    /// It is to be changed, wherever it lies.
    Rekey,
}

impl KeyArgs {
    /// What is wanted, if it is about the key at all.
    pub(crate) const fn work(&self) -> Option<Work> {
        match (self.init, self.rekey) {
            (true, _) => Some(Work::Init),
            (false, true) => Some(Work::Rekey),
            (false, false) => None,
        }
    }
}
