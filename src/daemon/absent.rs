//! What the configuration names and this host does not have (yet), or not safely: programs,
//! files and directories. For `--check`, where a typing error is cheap.

use std::fs;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::hook::SYSTEMCTL;
use crate::config::Config;
use crate::config::account::Account;
use crate::hook::Deed;
use crate::programs;
use crate::section::SecretRef;

/// Permission bits of which a program needs one.
const EXECUTABLE: u32 = 0o111;

/// Something that an account names and that is not there, or would not be run.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{account}: {what}{flaw}")]
pub(super) struct Absent {
    account: String,
    /// What the account has it for: `the program of the hook mail`.
    what: String,
    /// What is wrong with which path, as it goes on after that.
    flaw: String,
}

/// Everything of that kind, by account, for a daemon of this user.
pub(super) fn absent(config: &Config, own: u32) -> Vec<Absent> {
    let mut absent = Vec::new();
    for (id, account) in &config.accounts {
        let named = named(account).into_iter();
        absent.extend(named.filter_map(|(kind, what, path)| {
            let flaw = kind.flaw_of(Path::new(&path)).map(|flaw| format!(", {path}, {flaw}"));
            let flaw = flaw.or_else(|| kind.unguarded(Path::new(&path), own))?;
            Some(Absent { account: id.to_string(), what, flaw })
        }));
    }
    absent
}

/// What something named has to be.
#[derive(Clone, Copy)]
enum Kind {
    File,
    Program,
    /// A program, or a socket with one behind it.
    Callee,
    Directory,
}

impl Kind {
    /// What is wrong with it, as far as can be seen: who may not look there knows nothing.
    fn flaw_of(self, path: &Path) -> Option<&'static str> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Some("is not there");
            }
            Err(_) => return None,
        };
        match self {
            Self::File => (!metadata.is_file()).then_some("is no regular file"),
            Self::Program => (!runs(&metadata)).then_some("is no program that could be run"),
            Self::Callee => {
                let answers = runs(&metadata) || metadata.file_type().is_socket();
                (!answers).then_some("is neither a program that could be run nor a socket")
            }
            Self::Directory => (!metadata.is_dir()).then_some("is no directory"),
        }
    }

    /// Who else can change a program. A socket is whose it is.
    fn unguarded(self, path: &Path, own: u32) -> Option<String> {
        let is_program = match self {
            Self::File | Self::Directory => false,
            Self::Program => true,
            Self::Callee => fs::metadata(path).is_ok_and(|metadata| metadata.is_file()),
        };
        let found = programs::guard::guarded(path, &[own]);
        found.err().filter(|_| is_program).map(|error| format!(" is not run: {error}"))
    }
}

fn runs(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.mode() & EXECUTABLE != 0
}

/// What an account names, and what it has to be.
fn named(account: &Account) -> Vec<(Kind, String, String)> {
    let profile = account.provider.profile();
    let mut named = Vec::new();
    for (slot, reference) in profile.secrets.iter().chain(profile.sign_in.iter().flatten()) {
        match reference {
            SecretRef::Slot | SecretRef::Credential(_) => {}
            SecretRef::File(path) => {
                named.push((Kind::File, format!("the file for {slot}"), path.to_string()));
            }
            SecretRef::Command(argv) => named.extend(argv.first().map(|program| {
                (Kind::Program, format!("the command for {slot}"), program.to_string())
            })),
        }
    }
    if let Some(path) = &profile.transport.ca_file {
        named.push((Kind::File, "the ca_file".into(), path.to_string()));
    }
    if profile.host.starts_with('/') {
        named.push((Kind::Callee, "its command or socket".into(), profile.host.to_string()));
    }
    for hook in account.hooks.iter() {
        let name = &hook.name;
        match &hook.deed {
            Deed::Run { argv, .. } => named.extend(argv.first().map(|program| {
                (Kind::Program, format!("the command of the hook {name}"), program.to_string())
            })),
            Deed::Start { .. } => {
                let what = format!("the program that starts the unit of the hook {name}");
                named.push((Kind::Program, what, SYSTEMCTL.into()));
            }
            Deed::File { directory, mode: _ } => {
                let path = directory.display().to_string();
                named.push((Kind::Directory, format!("the directory of the hook {name}"), path));
            }
        }
    }
    named
}
