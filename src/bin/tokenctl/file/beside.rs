//! What a writer has beside its file until the new content is in its place.
//!
//! # Invariants
//!
//! * It goes when its writer is done with it, whatever came of that: either has a token in it,
//!   the new content that did not come to its place and the old one that has changed places.
//!   What is another program's is kept, under a name that nobody sweeps.
//! * One whose writer was killed can be told from one that is being written: by its lock.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use rustix::fs::CWD;
use rustix::fs::FlockOperation;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::RenameFlags;
use rustix::fs::flock;
use rustix::fs::open;
use rustix::fs::renameat_with;

use super::FileError;
use super::OwnedFile;
use super::PRIVATE;

/// A private file beside another one, its lock held. It goes with this value, unless it has
/// another name by then.
pub(super) struct Beside {
    /// It is open for writing.
    pub(super) file: File,
    /// Where it is.
    pub(super) path: PathBuf,
    kept: bool,
}

impl Beside {
    /// Gives it a name under which it stays: it is another program's. Says where it is.
    pub(super) fn keep(&mut self, of: &OwnedFile) -> Result<PathBuf, FileError> {
        self.kept = true;
        let id = std::process::id().to_string();
        let aside = of.directory.join(joined(&[&of.name, ".before-".as_ref(), id.as_ref()]));
        renameat_with(CWD, &self.path, CWD, &aside, RenameFlags::NOREPLACE)
            .map_err(|error| FileError::new("keep", &self.path, error.into()))?;
        Ok(aside)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.kept {
            let _removed = fs::remove_file(&self.path);
        }
    }
}

impl OwnedFile {
    /// A new file beside it.
    pub(super) fn beside(&self) -> Result<Beside, FileError> {
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
        let beside = Beside { file, path, kept: false };
        flock(&beside.file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| failed(error.into()))?;
        Ok(beside)
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
            // `flock` needs no right to write, which a file with a token need not grant.
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let free = open(entry.path(), flags, Mode::empty())
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
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::fs::chown;
    use std::os::unix::fs::symlink;
    use std::thread;

    use nix::unistd::Uid;
    use nix::unistd::setfsuid;
    use rustix::fs::mkfifoat;

    use super::*;
    use crate::file::tests::file;

    const SOMEBODY: u32 = 65_534;

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

    /// A file may have been given a mode that not even its owner writes by.
    #[test]
    fn what_is_read_only_is_swept_by_its_owner_and_a_link_is_not_followed() {
        let (directory, file) = file();
        let left = directory.path().join(".tokens.json.tokenkeeper-1");
        let pipe = directory.path().join(".tokens.json.tokenkeeper-2");
        let link = directory.path().join(".tokens.json.tokenkeeper-3");
        File::create(&left).unwrap().set_permissions(Permissions::from_mode(0o400)).unwrap();
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        symlink(directory.path().join("elsewhere"), &link).unwrap();
        for path in [directory.path(), &left, &pipe] {
            chown(path, Some(SOMEBODY), None).unwrap();
        }
        thread::scope(|scope| {
            scope.spawn(|| {
                // Of this thread alone. Whom the kernel takes for root may write anything.
                setfsuid(Uid::from_raw(SOMEBODY));
                file.sweep();
            });
        });
        assert_eq!([left.exists(), link.is_symlink()], [false, true]);
    }
}
