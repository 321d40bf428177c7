//! The lock by which one process owns a state directory.
//!
//! An advisory `flock(2)` on a file beside the database, held as long as the process
//! lives: the kernel lets go of it however the process ends, so it never goes stale. The
//! file tells the holder's process id, for the message to a second one.

use std::fs::File;
use std::io::Read;
use std::io::Seek;
use std::io::Write;

use rustix::fs::FlockOperation;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::store::dir::StateDir;
use crate::store::refusal::OpenError;

/// Name of the lock, beside the database.
pub(super) const NAME: &str = "store.lock";

/// Longest process id that is read back: 2^22 is the kernel's largest.
const PID_LEN: u64 = 10;

/// The directory is ours until this goes.
pub(super) struct Lock {
    file: Option<File>,
}

impl Lock {
    /// Takes the lock.
    pub(super) fn take(dir: &StateDir) -> Result<Self, OpenError> {
        let file = dir.open_file(NAME, OFlags::RDWR | OFlags::CREATE)?;
        let mut file = claimed(dir, file)?;
        record_pid(&mut file).map_err(|error| OpenError::Io {
            verb: "write",
            path: dir.path(NAME),
            why: error.kind().to_string(),
        })?;
        Ok(Self { file: Some(file) })
    }

    /// Takes the lock of a directory that cannot be written. Where there is no lock file
    /// nothing can be locked, and nobody can write.
    pub(super) fn take_read_only(dir: &StateDir) -> Result<Self, OpenError> {
        if dir.inspect(NAME)?.is_none() {
            return Ok(Self { file: None });
        }
        let file = dir.open_file(NAME, OFlags::RDONLY)?;
        Ok(Self { file: Some(claimed(dir, file)?) })
    }

    /// Whether the path of the lock still leads to the file that is locked. Another process would
    /// not find it locked otherwise.
    pub(super) fn is_in_place(&self, dir: &StateDir) -> bool {
        self.file.as_ref().is_none_or(|file| dir.leads_to(NAME, file))
    }

    /// Takes the lock where there was none to take, because the directory could not be written.
    pub(super) fn complete(&mut self, dir: &StateDir) -> Result<(), OpenError> {
        if self.file.is_none() {
            *self = Self::take(dir)?;
        }
        Ok(())
    }
}

fn claimed(dir: &StateDir, mut file: File) -> Result<File, OpenError> {
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => {
            Err(OpenError::Held { dir: dir.root().to_owned(), pid: recorded_pid(&mut file) })
        }
        Err(errno) => Err(OpenError::io("lock", &dir.path(NAME), errno)),
    }
}

fn record_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn recorded_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_LEN + 1).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::dir::tests::state_dir;

    #[test]
    fn a_second_owner_is_told_who_the_first_is() {
        let (_at, dir) = state_dir();
        let first = Lock::take(&dir).unwrap();

        for second in [Lock::take(&dir), Lock::take_read_only(&dir)] {
            let refused = second.map(drop).unwrap_err();
            assert_eq!(refused.exit_status(), 75);
            assert!(refused.to_string().contains(&format!("process {}", std::process::id())));
        }

        drop(first);
        Lock::take(&dir).map(drop).unwrap();
    }
}
