//! The lock that a file's own program takes before it writes.

use std::fs::File;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::fs::flock;
use rustix::io::Errno;
use tokenkeeper::clock;

use super::FileError;
use super::OwnedFile;
use super::PRIVATE;
use super::beside::joined;

/// How long somebody else may hold a lock that every holder needs for milliseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// A lock that is held until it is dropped.
pub(crate) struct Lock {
    _held: File,
}

impl OwnedFile {
    /// Takes the lock that the file's own program takes before it writes: `flock` on a file
    /// beside it, which stays there.
    ///
    /// # Errors
    ///
    /// If it cannot be taken within half a minute.
    pub(crate) fn lock(&self) -> Result<Lock, FileError> {
        let path = self.directory.join(joined(&[&self.name, ".lock".as_ref()]));
        let failed = |error| FileError::new("lock", &path, error);
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).mode(PRIVATE);
        let file = opened.open(&path).map_err(failed)?;
        let deadline = clock::now().boot + LOCK_PATIENCE;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { _held: file }),
                Err(Errno::WOULDBLOCK) if clock::now().boot < deadline => pause(),
                Err(Errno::WOULDBLOCK) => return Err(FileError::Locked(path)),
                Err(error) => return Err(failed(error.into())),
            }
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
