//! Where a reference becomes a secret, for the moment of one exchange.
//!
//! Nothing is kept: a rotated password or a re-sealed credential is in use at the next
//! exchange. What is missing is an error of that exchange, which names the slot and the
//! place, never the content.

use std::io;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::apart::Apart;
use crate::apart::Undone;
use crate::error::RefreshError;
use crate::name::AccountId;
use crate::programs;
use crate::programs::Cut;
use crate::programs::NotStarted;
use crate::programs::Program;
use crate::record::StoreError;
use crate::regular;
use crate::regular::Unopened;
use crate::section::SecretRef;
use crate::token::Secret;

/// Largest secret, in bytes: more is a mistaken path.
const LARGEST: usize = 64 * 1024;

/// Longest time that any of them may take: a file may lie on a network that is gone.
const LIMIT: Duration = Duration::from_secs(10);

/// Files that are read at a time.
static READS: Apart = Apart::new("secret", 4);

/// What the name of a credential begins with in `$CREDENTIALS_DIRECTORY`.
const CREDENTIAL_PREFIX: &str = "tokenkeeper.secret.";

/// Gets the secret that `reference` means for `slot` of `account`.
///
/// `credentials` is `$CREDENTIALS_DIRECTORY`; `stored` asks the store for the account's slot
/// and is awaited only if that is what the reference means.
///
/// # Errors
///
/// [`RefreshError::SecretNotStored`] or [`RefreshError::SecretUnavailable`], with what to do in
/// its message.
pub async fn resolve(
    account: &AccountId,
    slot: &'static str,
    reference: &SecretRef,
    credentials: Option<&Path>,
    stored: impl Future<Output = Result<Option<Secret>, StoreError>>,
) -> Result<Secret, RefreshError> {
    let slot = format!("{account}.{slot}");
    let found = match reference {
        SecretRef::Slot => {
            in_time(stored).await.and_then(|stored| stored?.ok_or(Missing::NotStored))
        }
        SecretRef::Credential(name) => match credentials {
            Some(directory) => read(directory.join(format!("{CREDENTIAL_PREFIX}{name}"))).await,
            None => Err(Missing::NoCredentials { name: name.clone() }),
        },
        SecretRef::File(path) => read(PathBuf::from(&**path)).await,
        SecretRef::Command(argv) => run(argv).await,
    };
    match found {
        Ok(secret) if secret.is_empty() => Err(Missing::Empty),
        found => found,
    }
    .map_err(|missing| {
        if matches!(missing, Missing::NotStored) {
            RefreshError::SecretNotStored { slot }
        } else {
            RefreshError::SecretUnavailable { slot, why: missing.to_string() }
        }
    })
}

/// What comes within [`LIMIT`].
async fn in_time<T>(coming: impl Future<Output = T>) -> Result<T, Missing> {
    tokio::time::timeout(LIMIT, coming).await.map_err(|_| Missing::Late)
}

/// Why a secret is not to be had. No part of one is in it.
#[derive(Debug, thiserror::Error)]
enum Missing {
    /// Nobody has handed it in.
    #[error("nothing is stored")]
    NotStored,
    /// The store does not give it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The service was started without credentials.
    #[error(
        "the service has no credentials; give it LoadCredentialEncrypted={CREDENTIAL_PREFIX}{name}"
    )]
    NoCredentials { name: Box<str> },
    /// Something is wrong with the file, which a credential is as well.
    #[error("{}: {flaw}", .path.display())]
    File { path: PathBuf, flaw: Flaw },
    /// Something is wrong with the command.
    #[error("{program}: {flaw}")]
    Command { program: Box<str>, flaw: Flaw },
    /// The command could not be run.
    #[error(transparent)]
    NotStarted(#[from] NotStarted),
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It took too long.
    #[error("it did not come within {} s", LIMIT.as_secs())]
    Late,
}

/// What is wrong with the place that a secret comes from.
#[derive(Debug, thiserror::Error)]
enum Flaw {
    #[error(transparent)]
    Unopened(#[from] Unopened),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("larger than {} KiB", LARGEST / 1024)]
    TooLarge,
    #[error("expected UTF-8 text")]
    NotText,
    #[error("{cut}{}{report}", if .report.is_empty() { "" } else { ": " })]
    Cut { cut: Cut, report: String },
    #[error(transparent)]
    Unread(#[from] Undone),
}

/// Reads a file without its last newline.
async fn read(path: PathBuf) -> Result<Secret, Missing> {
    let place = path.clone();
    match READS.run(&path, LIMIT, move || read_now(&place)).await {
        Ok(read) => read.map_err(|flaw| Missing::File { path, flaw }),
        Err(Undone::Late(_)) => Err(Missing::Late),
        Err(undone) => Err(Missing::File { path, flaw: undone.into() }),
    }
}

fn read_now(path: &Path) -> Result<Secret, Flaw> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    regular::open(path)?.take(LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    text(bytes)
}

/// Runs a command and takes what it prints, without its last newline.
async fn run(argv: &[Box<str>]) -> Result<Secret, Missing> {
    let program = Program {
        argv,
        environment: programs::whose(),
        input: None,
        descriptor: None,
        hidden: Vec::new(),
        longest: LARGEST,
        limit: LIMIT,
    };
    let answer = programs::run(program).await?;
    let read = match answer.end {
        Ok(()) => text(answer.output),
        Err(cut) => Err(Flaw::Cut { cut, report: answer.report }),
    };
    let program = argv.first().cloned().unwrap_or_default();
    read.map_err(|flaw| Missing::Command { program, flaw })
}

fn text(mut bytes: Zeroizing<Vec<u8>>) -> Result<Secret, Flaw> {
    if bytes.len() > LARGEST {
        return Err(Flaw::TooLarge);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    std::str::from_utf8(&bytes).map(Secret::new).map_err(|_| Flaw::NotText)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn each_reference_finds_its_secret_or_says_what_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| {
            let path = directory.path().join(name);
            File::create(&path).unwrap().write_all(content).unwrap();
            path.display().to_string()
        };
        let good = write("good", b"hush\n");
        write("tokenkeeper.secret.kasa", b"hush");
        let empty = write("empty", b"\n");
        let binary = write("binary", b"\xff\xfe");
        let large = write("large", &[b'x'; 65 * 1024]);
        let absent = directory.path().join("absent").display().to_string();
        let here = directory.path().display().to_string();
        let command =
            |argv: &[&str]| SecretRef::Command(argv.iter().map(|it| (*it).into()).collect());
        let file = |path: &str| SecretRef::File(path.into());

        let hush = "hush".to_owned();
        #[rustfmt::skip]
        let cases = [
            ("a file",                file(&good),                          hush.clone()),
            ("a credential",          SecretRef::Credential("kasa".into()), hush.clone()),
            ("a command",             command(&["echo", "hush"]),           hush.clone()),
            ("a slot",                SecretRef::Slot,                      "secret mail.password is not available: nothing is stored; type: tokenctl secret set mail.password".to_owned()),
            ("an empty file",         file(&empty),                         "secret mail.password is not available: it is empty".to_owned()),
            ("a file that is absent", file(&absent),                        format!("secret mail.password is not available: {absent}: No such file or directory (os error 2)")),
            ("a directory",           file(&here),                          format!("secret mail.password is not available: {here}: expected a regular file")),
            ("a binary file",         file(&binary),                        format!("secret mail.password is not available: {binary}: expected UTF-8 text")),
            ("a large file",          file(&large),                         format!("secret mail.password is not available: {large}: larger than 64 KiB")),
            ("a command that fails",  command(&["false"]),                  "secret mail.password is not available: false: exit status: 1".to_owned()),
            ("no such command",       command(&["/nonexistent"]),           "secret mail.password is not available: /nonexistent: No such file or directory (os error 2)".to_owned()),
        ];
        let account = AccountId::parse("mail").unwrap();
        for (name, reference, expected) in cases {
            let stored = async { Ok(None) };
            let found =
                resolve(&account, "password", &reference, Some(directory.path()), stored).await;
            let said = found.map_or_else(|error| error.to_string(), |it| it.expose().to_owned());
            assert_eq!(said, expected, "{name}");
        }
    }
}
