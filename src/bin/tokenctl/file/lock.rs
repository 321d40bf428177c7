//! The lock that a file's own program takes before it writes: `flock` on a file beside it,
//! which stays there.
//!
//! # Invariants
//!
//! * What lies in the lock's place was put there by whoever may write to the directory. It is
//!   opened without following a link and without waiting for anybody, and nothing is created
//!   elsewhere.
//! * A lock that root makes is no obstacle to the file's own program: it belongs to whom the
//!   file belongs, or to the directory's owner if there is no file.

use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::fchown;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::flock;
use rustix::fs::open;
use rustix::io::Errno;
use rustix::process::geteuid;
use tokenkeeper::clock;

use super::FileError;
use super::OwnedFile;
use super::beside::joined;

/// How long somebody else may hold a lock that every holder needs for milliseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// A lock that is held until it is dropped.
pub(crate) struct Lock {
    _held: File,
}

impl OwnedFile {
    /// Takes the lock before the file is written. It is made if it is not there.
    ///
    /// # Errors
    ///
    /// If it cannot be taken within half a minute, or something else lies in its place.
    pub(crate) fn lock(&self) -> Result<Lock, FileError> {
        let path = self.lock_path();
        let file = match existing(&path) {
            Err(Errno::NOENT) => self.made(&path),
            found => found,
        };
        held(&path, file.map_err(|error| FileError::new("lock", &path, error.into()))?)
    }

    /// Takes the lock before the file is only read. Where there is none, none of its programs
    /// is writing under one.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    pub(crate) fn lock_if_there(&self) -> Result<Option<Lock>, FileError> {
        let path = self.lock_path();
        match existing(&path) {
            Ok(file) => held(&path, file).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(FileError::new("lock", &path, error.into())),
        }
    }

    fn lock_path(&self) -> PathBuf {
        self.directory.join(joined(&[&self.name, ".lock".as_ref()]))
    }

    /// A new lock file, or the one that somebody made in this moment.
    fn made(&self, path: &Path) -> Result<File, Errno> {
        let create = OFlags::CREATE | OFlags::EXCL;
        let file = match open(path, FLAGS | create, Mode::RUSR | Mode::WUSR) {
            Ok(file) => File::from(file),
            Err(Errno::EXIST) => return existing(path),
            Err(error) => return Err(error),
        };
        // Nobody else can give files away, and what is his own locks nobody out.
        if geteuid().is_root() {
            let owner = fs::symlink_metadata(&self.path)
                .or_else(|_| fs::metadata(&self.directory))
                .and_then(|owner| fchown(&file, Some(owner.uid()), Some(owner.gid())));
            owner.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        }
        Ok(file)
    }
}

/// `flock` on some network file systems needs a descriptor that can write.
const FLAGS: OFlags = OFlags::RDWR
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

fn existing(path: &Path) -> Result<File, Errno> {
    open(path, FLAGS, Mode::empty()).map(File::from)
}

/// Waits for the lock on `file`, which was opened at `path`.
fn held(path: &Path, file: File) -> Result<Lock, FileError> {
    let failed = |error: io::Error| FileError::new("lock", path, error);
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(FileError::NoFile(path.to_owned()));
    }
    let deadline = clock::now().boot + LOCK_PATIENCE;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Lock { _held: file }),
            Err(Errno::WOULDBLOCK) if clock::now().boot < deadline => pause(),
            Err(Errno::WOULDBLOCK) => return Err(FileError::Locked(path.to_owned())),
            Err(error) => return Err(failed(error.into())),
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a lock tells nobody when it is free, and one that is waited for cannot time out"
)]
fn pause() {
    const SHORT: Duration = Duration::from_millis(10);
    std::thread::sleep(SHORT);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;
    use std::os::unix::fs::symlink;

    use rustix::fs::CWD;
    use rustix::fs::mkfifoat;

    use super::*;
    use crate::file::tests::file;

    /// Whoever may write to the directory may put anything in the lock's place.
    #[test]
    fn a_lock_that_is_a_link_or_no_file_is_neither_followed_nor_waited_for() {
        let (directory, file) = file();
        let (lock, elsewhere) = (directory.path().join("tokens.json.lock"), file.path());
        symlink(elsewhere, &lock).unwrap();
        let refused = file.lock().map(drop).unwrap_err();
        assert!(refused.to_string().starts_with("cannot lock "), "{refused}");
        assert!(!elsewhere.exists(), "the link was followed");

        fs::remove_file(&lock).unwrap();
        mkfifoat(CWD, &lock, Mode::RUSR | Mode::WUSR).unwrap();
        let refused = file.lock().map(drop).unwrap_err();
        assert!(refused.to_string().ends_with(" is no file"), "{refused}");
    }

    #[test]
    fn who_only_reads_makes_no_lock_and_takes_the_one_that_is_there() {
        let (directory, file) = file();
        assert!(file.lock_if_there().unwrap().is_none());
        let path = directory.path().join("tokens.json.lock");
        assert!(!path.exists());
        let lock = File::create(&path).unwrap();
        let held = file.lock_if_there().unwrap();
        assert!(held.is_some() && lock.try_lock().is_err());
        drop(held);
        lock.try_lock().unwrap();
    }

    #[test]
    fn a_lock_that_root_makes_belongs_to_whom_the_file_does_or_its_directory() {
        const SOMEBODY: u32 = 65_534;

        if !geteuid().is_root() {
            return;
        }
        for there in [false, true] {
            let (directory, file) = file();
            let owned = if there { file.path() } else { directory.path() };
            if there {
                File::create(owned).unwrap();
            }
            chown(owned, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
            drop(file.lock().unwrap());
            let lock = fs::metadata(directory.path().join("tokens.json.lock")).unwrap();
            assert_eq!((lock.uid(), lock.gid()), (SOMEBODY, SOMEBODY));
            assert_eq!(lock.mode() & 0o7777, 0o600);
        }
    }
}
