//! Backups as files: written whole or not at all, and opened with an identity.
//!
//! The identity opens the backup here and goes nowhere else: the daemon, which talks to the
//! network, never has it.

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use tokenkeeper::backup;
use tokenkeeper::backup::Backup;
use tokenkeeper::envelope;
use tokenkeeper::envelope::Identities;
use tokenkeeper::envelope::NoIdentity;
use tokenkeeper::envelope::NoRecipient;
use tokenkeeper::envelope::Unopened;
use tokenkeeper::error::code::Code;
use tokenkeeper::regular;
use tokenkeeper::regular::Unwritten;

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
    regular::replace(path, sealed).map_err(|why| match why {
        Unwritten::NotRegular => SealedError::NotAFile(path.into()),
        Unwritten::Io(error) => SealedError::Unwritten { path: path.into(), error },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_no_file_is_a_mistake_and_a_disk_that_refuses_is_none() {
        let home = tempfile::tempdir().unwrap();
        let directory = write(home.path(), b"x").unwrap_err();
        assert!(matches!(directory, SealedError::NotAFile(_)), "{directory}");
        assert_eq!(directory.exit_status(), 2);
        let absent = write(&home.path().join("no/such"), b"x").unwrap_err();
        assert_eq!(absent.exit_status(), 74);
    }
}
