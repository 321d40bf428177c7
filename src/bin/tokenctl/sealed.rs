//! Backups as files: written whole or not at all, and opened with an identity.
//!
//! The identity opens the backup here and goes nowhere else: the daemon, which talks to the
//! network, never has it.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use tokenkeeper::backup;
use tokenkeeper::backup::Backup;
use tokenkeeper::envelope;
use tokenkeeper::envelope::Identities;
use tokenkeeper::envelope::NoIdentity;
use tokenkeeper::envelope::NoRecipient;
use tokenkeeper::envelope::Unopened;
use tokenkeeper::error::Code;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealedError {
    /// A recipient is none. It is told by its number: what stands there may be the key that opens.
    #[error("--recipient number {number}: {why}")]
    Recipient {
        /// Which, from 1.
        number: usize,
        /// What is wrong.
        why: NoRecipient,
    },
    /// Nobody could read it there.
    #[error("a backup is no text for a terminal; say --output FILE, or send it to a pipe")]
    Terminal,
    /// The file of the identity is none.
    #[error("{}: {why}", .path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: NoIdentity,
    },
    /// The backup cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The backup does not open.
    #[error("{}: {why}", .path.display())]
    Unopened {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: Unopened,
    },
    /// What is in it is no backup.
    #[error("{}: {why}", .path.display())]
    NoBackup {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: backup::Unreadable,
    },
    /// An account that was asked for is not in it.
    #[error("{}: there is no account {account} in it", .path.display())]
    Absent {
        /// The file.
        path: PathBuf,
        /// The account.
        account: String,
    },
    /// The backup cannot be written.
    #[error("cannot write {}: {error}", .path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The backup would take the place of something that is no file.
    #[error(
        "cannot write {}: it is no regular file; leave --output out to write to the standard \
         output", .0.display()
    )]
    NotAFile(PathBuf),
}

impl SealedError {
    /// Exit status of the process.
    pub(crate) const fn exit_status(&self) -> u8 {
        match self {
            Self::Recipient { .. }
            | Self::Terminal
            | Self::Identity { .. }
            | Self::Unreadable { .. }
            | Self::Unopened { .. }
            | Self::NoBackup { .. }
            | Self::Absent { .. }
            | Self::NotAFile(_) => Code::BadRequest.exit_status(),
            Self::Unwritten { .. } => 74,
        }
    }
}

/// Opens the backup in `path` with the identities in the text of `identity`.
///
/// # Errors
///
/// Any [`SealedError`] of a file that is not what it should be.
pub(crate) fn open(path: &Path, identity: &Path, text: &str) -> Result<Backup, SealedError> {
    let keys = Identities::parse(text)
        .map_err(|why| SealedError::Identity { path: identity.into(), why })?;
    let sealed =
        read(path).map_err(|error| SealedError::Unreadable { path: path.into(), error })?;
    let plain = envelope::open(&sealed, &keys)
        .map_err(|why| SealedError::Unopened { path: path.into(), why })?;
    backup::read(&plain).map_err(|why| SealedError::NoBackup { path: path.into(), why })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut sealed = Vec::new();
    // One byte more than a backup can have tells one that is too long.
    File::open(path)?.take(envelope::LONGEST as u64 + 1).read_to_end(&mut sealed)?;
    Ok(sealed)
}

/// Writes a backup for nobody else to read. Whatever happens, the file is the old one or
/// this one.
///
/// # Errors
///
/// [`SealedError::Unwritten`], [`SealedError::NotAFile`].
pub(crate) fn write(path: &Path, sealed: &[u8]) -> Result<(), SealedError> {
    let unwritten = |error| SealedError::Unwritten { path: path.into(), error };
    // A device or a link that is replaced by a file is a mishap.
    if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(SealedError::NotAFile(path.into()));
    }
    let Some(name) = path.file_name() else {
        return Err(SealedError::NotAFile(path.into()));
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut beside = name.to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let beside = directory.join(beside);
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(unwritten)?;
    let written = file
        .write_all(sealed)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, path))
        .and_then(|()| File::open(directory)?.sync_all());
    written.map_err(|error| {
        // It is gone already where the last step failed.
        let _removed = fs::remove_file(&beside);
        unwritten(error)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_backup_is_written_for_its_owner_alone_over_an_older_one_and_leaves_nothing_beside() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("tokens.age");
        for content in ["older", "newer"] {
            write(&path, content.as_bytes()).unwrap();
            assert_eq!(read(&path).unwrap(), content.as_bytes());
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_file_is_never_replaced_by_one() {
        let home = tempfile::tempdir().unwrap();
        let (target, link) = (home.path().join("target"), home.path().join("link"));
        symlink(&target, &link).unwrap();
        for path in [home.path(), &link, Path::new("/dev/null"), Path::new("/")] {
            let refused = write(path, b"x").unwrap_err();
            assert!(matches!(refused, SealedError::NotAFile(_)), "{refused}");
            assert_eq!(refused.exit_status(), 2);
        }
        assert!(!target.exists());
        let absent = write(&home.path().join("no/such"), b"x").unwrap_err();
        assert_eq!(absent.exit_status(), 74);
    }
}
