//! Where a reference becomes a secret, for the moment of one exchange.
//!
//! Nothing is kept: a rotated password or a re-sealed credential is in use at the next
//! exchange. What is missing is an error of that exchange, which names the slot and the
//! place, never the content.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::sync::Semaphore;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::error::RefreshError;
use crate::name::AccountId;
use crate::record::StoreError;
use crate::section::SecretRef;
use crate::token::Secret;

/// Largest secret, in bytes: more is a mistaken path.
const LARGEST: u64 = 64 * 1024;

/// Longest time that any of them may take: a file may lie on a network that is gone.
const LIMIT: Duration = Duration::from_secs(10);

/// Files that are read at a time.
static READS: Semaphore = Semaphore::const_new(4);

/// What the name of a credential begins with in `$CREDENTIALS_DIRECTORY`.
const CREDENTIAL_PREFIX: &str = "tokenkeeper.secret.";

/// Gets the secret that `reference` means for `slot` of `account`.
///
/// `credentials` is `$CREDENTIALS_DIRECTORY`; `stored` asks the store for the account's slot
/// and is awaited only if that is what the reference means.
///
/// # Errors
///
/// [`RefreshError::SecretUnavailable`], with what to do in its message.
pub async fn resolve(
    account: &AccountId,
    slot: &'static str,
    reference: &SecretRef,
    credentials: Option<&Path>,
    stored: impl Future<Output = Result<Option<Secret>, StoreError>>,
) -> Result<Secret, RefreshError> {
    let found = async {
        match reference {
            SecretRef::Slot => match stored.await {
                Ok(Some(secret)) => Ok(secret),
                Ok(None) => {
                    Err(format!("nothing is stored; type: tokenctl secret set {account}.{slot}"))
                }
                Err(error) => Err(error.to_string()),
            },
            SecretRef::Credential(name) => match credentials {
                Some(directory) => read(directory.join(format!("{CREDENTIAL_PREFIX}{name}"))).await,
                None => Err(format!(
                    "the service has no credentials; give it LoadCredentialEncrypted={CREDENTIAL_PREFIX}{name}"
                )),
            },
            SecretRef::File(path) => read(PathBuf::from(&**path)).await,
            SecretRef::Command(argv) => run(argv).await,
        }
    };
    match tokio::time::timeout(LIMIT, found).await {
        Ok(Ok(secret)) if secret.is_empty() => Err("it is empty".to_owned()),
        Ok(found) => found,
        Err(_) => Err(format!("it did not come within {} s", LIMIT.as_secs())),
    }
    .map_err(|why| RefreshError::SecretUnavailable { slot: format!("{account}.{slot}"), why })
}

/// Reads a file without its last newline, on a thread of its own: one that hangs on a dead
/// mount must take nothing else with it, name resolution least of all.
async fn read(path: PathBuf) -> Result<Secret, String> {
    let named = path.display().to_string();
    // The semaphore is never closed.
    let permit = READS.acquire().await.map_err(|error| error.to_string())?;
    let (reply, answer) = oneshot::channel();
    let reading = move || {
        let _permit = permit;
        // Whoever asked may have lost patience.
        let _gone = reply.send(read_now(&path));
    };
    thread::Builder::new()
        .name("secret".to_owned())
        .spawn(reading)
        .map_err(|error| error.to_string())?;
    answer
        .await
        .map_err(|_| "reading it panicked".to_owned())
        .and_then(|read| read)
        .map_err(|why| format!("{named}: {why}"))
}

fn read_now(path: &Path) -> Result<Secret, String> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = File::options()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| error.to_string())?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err("expected a regular file".to_owned());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    text(bytes)
}

/// Runs a command without a shell and takes what it prints, without its last newline.
async fn run(argv: &[Box<str>]) -> Result<Secret, String> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err("the command is empty".to_owned());
    };
    let mut child = tokio::process::Command::new(&**program)
        .args(arguments.iter().map(|argument| &**argument))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    let output = child.stdout.take();
    let whole = async {
        if let Some(output) = output {
            output.take(LARGEST + 1).read_to_end(&mut bytes).await?;
        }
        child.wait().await
    };
    match whole.await {
        Ok(status) if status.success() => text(bytes).map_err(|why| format!("{program}: {why}")),
        Ok(status) => Err(format!("{program}: {status}")),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

fn text(mut bytes: Zeroizing<Vec<u8>>) -> Result<Secret, String> {
    if bytes.len() as u64 > LARGEST {
        return Err(format!("larger than {} KiB", LARGEST / 1024));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    std::str::from_utf8(&bytes).map(Secret::new).map_err(|_| "expected UTF-8 text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

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
