//! What a writer has beside its file until the new content is in its place.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use rustix::fs::FlockOperation;
use rustix::fs::flock;

use super::FileError;
use super::OwnedFile;
use super::PRIVATE;

impl OwnedFile {
    /// A new file beside it, its lock held: so that one whose writer was killed can be told
    /// from one that is being written.
    pub(super) fn beside(&self) -> Result<(File, PathBuf), FileError> {
        let name = joined(&[&self.prefix(), std::process::id().to_string().as_ref()]);
        let path = self.directory.join(name);
        let create = || {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(PRIVATE).open(&path)
        };
        let failed = |error| FileError::new("write beside", &self.path, error);
        let file = match create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.sweep();
                create()
            }
            other => other,
        }
        .map_err(failed)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| failed(error.into()))?;
        Ok((file, path))
    }

    /// Removes what writers have left behind that were killed. What cannot be removed, or is
    /// still being written, stays.
    pub(crate) fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        let prefix = self.prefix();
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
                continue;
            }
            let file = OpenOptions::new().read(true).write(true).open(entry.path());
            let free = file
                .is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok());
            if free {
                let _removed = fs::remove_file(entry.path());
            }
        }
    }

    fn prefix(&self) -> OsString {
        joined(&[".".as_ref(), &self.name, ".tokenkeeper-".as_ref()])
    }
}

/// Names of files need not be text.
pub(super) fn joined(parts: &[&OsStr]) -> OsString {
    parts.iter().fold(OsString::new(), |mut whole, part| {
        whole.push(part);
        whole
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::file;

    #[test]
    fn what_a_killed_writer_left_is_swept_and_what_is_being_written_is_not() {
        let (directory, file) = file();
        let left = directory.path().join(".tokens.json.tokenkeeper-1");
        let live = directory.path().join(".tokens.json.tokenkeeper-2");
        let other = directory.path().join(".tokens.json.swp");
        for path in [&left, &live, &other] {
            File::create(path).unwrap();
        }
        let held = File::open(&live).unwrap();
        flock(&held, FlockOperation::LockExclusive).unwrap();
        file.sweep();
        assert_eq!([left.exists(), live.exists(), other.exists()], [false, true, true]);
    }
}
