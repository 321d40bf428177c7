//! What the configuration names and this host does not have (yet), or not safely: programs,
//! files and directories. Looked for when it is checked and when it is reloaded, where a typing
//! error is cheap.

use std::collections::HashMap;
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

/// Something that accounts name and that is not there, or would not be run.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}: {what}{flaw}", whose(.accounts))]
pub(super) struct Absent {
    /// Which name it, at least one. A hook of several accounts is one hook.
    accounts: Vec<String>,
    /// What they have it for: `the program of the hook mail`.
    what: String,
    /// What is wrong with which path, as it goes on after that.
    flaw: String,
}

/// Something that accounts name, with a path.
pub(super) struct Named {
    accounts: Vec<String>,
    kind: Kind,
    what: String,
    path: String,
}

/// Everything that the accounts name, once.
pub(super) fn named(config: &Config) -> Vec<Named> {
    let mut all = Vec::<Named>::new();
    let mut places = HashMap::new();
    for (id, account) in &config.accounts {
        for (kind, what, path) in named_by(account) {
            let account = id.to_string();
            let place = *places.entry((what.clone(), path.clone())).or_insert(all.len());
            match all.get_mut(place) {
                Some(named) => named.accounts.push(account),
                None => all.push(Named { accounts: vec![account], kind, what, path }),
            }
        }
    }
    all
}

/// What of that is not there, or not safely, for a daemon of this user.
pub(super) fn look(named: Vec<Named>, own: u32) -> Vec<Absent> {
    let look_at = |Named { accounts, kind, what, path }| {
        let at = Path::new(&path);
        let flaw = kind.flaw_of(at).map(|flaw| format!(", {path}, {flaw}"));
        let flaw = flaw.or_else(|| kind.unguarded(at, own))?;
        Some(Absent { accounts, what, flaw })
    };
    named.into_iter().filter_map(look_at).collect()
}

/// The accounts in words: the first few of many.
fn whose(accounts: &[String]) -> String {
    const SHOWN: usize = 3;

    let shown = accounts.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match accounts.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
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
fn named_by(account: &Account) -> Vec<(Kind, String, String)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_accounts_name_is_told_once_with_the_first_of_them() {
        let of = |count: usize| {
            let accounts = (0..count).map(|number| format!("a{number}")).collect();
            let (what, path) = ("the command of the hook c".into(), "/nonexistent/c".into());
            look(vec![Named { accounts, kind: Kind::Program, what, path }], 0)
        };
        #[rustfmt::skip]
        let cases = [
            (1, "a0: the command of the hook c, /nonexistent/c, is not there"),
            (3, "a0, a1, a2: the command of the hook c, /nonexistent/c, is not there"),
            (9, "a0, a1, a2 and 6 more: the command of the hook c, /nonexistent/c, is not there"),
        ];
        for (count, told) in cases {
            let absent = of(count).iter().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(absent, [told]);
        }
    }
}
