//! Files of other programs, as they lie on the disk: read with a limit, replaced whole.
//!
//! # Invariants
//!
//! * Who opens the file sees all of the old content or all of the new one, after a crash too:
//!   the new one is written beside it, synced, and put in its place; then the directory is
//!   synced.
//! * A file with a token in it never has, not for a moment, a wider mode than it is to have.
//! * Nothing that another program has written in between is lost: where the old content took
//!   part in the new one, the two files change places, and if the old one is not what was
//!   read, they change back.
//!
//! # Reading order
//!
//! This file, then `beside` (what a writer has beside its file), `owner` (whose the file is and
//! stays), `exchange` (how two files change places), `new` (a file that must not be there yet) and
//! `lock` (the lock of the file's own program).

mod beside;
mod exchange;
mod lock;
mod new;
mod owner;

use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::fs::Metadata;
use std::fs::OpenOptions;
use std::io;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::CWD;
use rustix::fs::RenameFlags;
use rustix::fs::renameat_with;
use rustix::io::Errno;
use zeroize::Zeroizing;

use self::beside::Beside;
use crate::format::Unfit;

/// Longest file: what programs keep beside their tokens is a small part of it.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Permissions of a file that is new.
const PRIVATE: u32 = 0o600;

/// One file of another program.
pub(crate) struct OwnedFile {
    path: PathBuf,
    directory: PathBuf,
    name: OsString,
}

/// What a file holds.
pub(crate) struct Content {
    /// Its text.
    pub(crate) text: Zeroizing<String>,
    metadata: Metadata,
}

/// What came of replacing a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Replaced {
    /// It has the new content.
    Done,
    /// Somebody else has written it in between: it is as they left it.
    Changed,
}

/// Why a file cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The system refuses.
    #[error("cannot {doing} {}: {error}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// It is no name of a file.
    #[error("{} is no file", .0.display())]
    NoFile(PathBuf),
    /// It was to be printed, and not to a file.
    #[error("it cannot be printed in this form: {0}")]
    Unprintable(Unfit),
    /// It is not there.
    #[error("{} is not there", .0.display())]
    NotThere(PathBuf),
    /// Root is to keep a file for somebody else.
    #[error(
        "{} belongs to user {owner}, and root keeps no file there; put User={owner} into a drop-in \
         of the unit (systemctl edit), or type: setpriv --reuid={owner} --init-groups tokenctl …",
        .directory.display()
    )]
    SomebodyElses {
        /// Where the file is.
        directory: PathBuf,
        /// Whose that is.
        owner: u32,
    },
    /// Its owner is another user than the one who is to keep it.
    #[error(
        "{} belongs to user {owner}, and only root can give a file to somebody else: let user \
         {owner} keep it (User={owner} in a drop-in of the unit, systemctl edit), or type as root: \
         chown {user} {}",
        .path.display(), .path.display()
    )]
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: String,
        /// Who is to keep it.
        user: String,
    },
    /// It belongs to a group that whoever is to keep it is not in.
    #[error(
        "{} belongs to group {group}, and only its members and root can give a file to it, which \
         user {user} is not: put SupplementaryGroups={group} into a drop-in of the unit (systemctl \
         edit), type as root: usermod -aG {group} {user}, and log in anew, or give the file to \
         your own group: chgrp {own} {}",
        .path.display(), .path.display()
    )]
    ForeignGroup {
        /// The file.
        path: PathBuf,
        /// Its group.
        group: String,
        /// Who is to keep it.
        user: String,
        /// The group of that user.
        own: String,
    },
    /// It is there, and was to be new.
    #[error("{} is there already, and a refresh token is only written into a new file", .0.display())]
    There(PathBuf),
    /// It is longer than any file of tokens.
    #[error("{} is longer than {MAX_FILE} bytes, which no file of tokens is", .0.display())]
    TooLong(PathBuf),
    /// It is no text.
    #[error("{} is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// It is not what the program is to keep.
    #[error("{}: {why}", .path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: Unfit,
    },
    /// Each time that it was to be replaced, somebody had written it.
    #[error("{} is written by another program all the time", .0.display())]
    Restless(PathBuf),
    /// It was written twice while it was to be replaced.
    #[error(
        "{} was written twice while it was replaced: it is as it was written last, and {} is as it \
         was before that", .path.display(), .aside.display()
    )]
    Contended {
        /// The file.
        path: PathBuf,
        /// What it was before that.
        aside: PathBuf,
    },
    /// Somebody holds its lock.
    #[error("another program holds the lock {} and does not let go of it", .0.display())]
    Locked(PathBuf),
}

impl OwnedFile {
    /// The file at `path`, there or not. A symbolic link is followed once and for all, so that
    /// what it leads to is replaced and not the link.
    ///
    /// # Errors
    ///
    /// If it can be no file, or its directory is not there.
    pub(crate) fn at(path: &Path) -> Result<Self, FileError> {
        let found = match fs::canonicalize(path) {
            Ok(found) if found.is_dir() => return Err(FileError::NoFile(found)),
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(FileError::new("find", path, error)),
        };
        let name = found.file_name().ok_or_else(|| FileError::NoFile(found.clone()))?.to_owned();
        let parent = match found.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let directory =
            fs::canonicalize(parent).map_err(|error| FileError::new("find", parent, error))?;
        Ok(Self { path: directory.join(&name), directory, name })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is none that this program would write.
    pub(crate) fn read(&self) -> Result<Option<Content>, FileError> {
        let failed = |error| FileError::new("read", &self.path, error);
        // A pipe in its place must not hold this up.
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = match OpenOptions::new().read(true).custom_flags(nonblocking).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(FileError::NoFile(self.path.clone()));
        }
        let length = metadata.len().min(MAX_FILE);
        let room = usize::try_from(length).unwrap_or_default().saturating_add(2);
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(FileError::TooLong(self.path.clone()));
        }
        let text = std::str::from_utf8(&bytes);
        let text = text.map_err(|_| FileError::NotText(self.path.clone()))?;
        Ok(Some(Content { text: Zeroizing::new(text.to_owned()), metadata }))
    }

    /// Puts `text` in its place. It keeps its owner, and its mode unless `mode` says otherwise.
    /// `read` is what was there when `text` was made.
    ///
    /// # Errors
    ///
    /// If it cannot be written; the old content is there then.
    pub(crate) fn replace(
        &self,
        text: &str,
        read: Option<&Content>,
        mode: Option<u32>,
    ) -> Result<Replaced, FileError> {
        let mut beside = self.beside()?;
        self.dress(&beside, read, mode)?;
        self.fill(&beside, text)?;
        let replaced = match read {
            None => self.put_new(&beside.path),
            Some(read) => self.exchange(&mut beside, text, read),
        }?;
        self.sync_directory()?;
        Ok(replaced)
    }

    /// Writes all of the new file, so that it is whole after a crash too.
    fn fill(&self, beside: &Beside, text: &str) -> Result<(), FileError> {
        let mut file = &beside.file;
        file.rewind()
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.set_len(text.len() as u64))
            .and_then(|()| file.sync_all())
            .map_err(|error| FileError::new("write", &self.path, error))
    }

    fn sync_directory(&self) -> Result<(), FileError> {
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| FileError::new("write", &self.path, error))
    }

    /// Puts the file at `path` where none was; one that is there by now is somebody else's.
    fn put_new(&self, path: &Path) -> Result<Replaced, FileError> {
        self.name_new(path, |from, to| fs::rename(from, to))
    }

    /// Gives the file at `path` its name, which nothing else has. A file system that cannot do
    /// that gives it `otherwise`.
    fn name_new(
        &self,
        path: &Path,
        otherwise: impl FnOnce(&Path, &Path) -> io::Result<()>,
    ) -> Result<Replaced, FileError> {
        let named = match renameat_with(CWD, path, CWD, &self.path, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS) => otherwise(path, &self.path),
            named => named.map_err(Into::into),
        };
        match named {
            Ok(()) => Ok(Replaced::Done),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Replaced::Changed),
            Err(error) => Err(FileError::new("write", &self.path, error)),
        }
    }

    fn rename(&self, path: &Path) -> Result<Replaced, FileError> {
        fs::rename(path, &self.path).map_err(|error| FileError::new("write", &self.path, error))?;
        Ok(Replaced::Done)
    }
}

impl FileError {
    /// What the exit status says: the input is wrong, or the disk is.
    pub(crate) const fn is_input(&self) -> bool {
        match self {
            Self::NoFile(_)
            | Self::NotThere(_)
            | Self::There(_)
            | Self::SomebodyElses { .. }
            | Self::ForeignOwner { .. }
            | Self::ForeignGroup { .. }
            | Self::TooLong(_)
            | Self::NotText(_)
            | Self::Unprintable(_)
            | Self::Unfit { .. } => true,
            Self::Io { .. } | Self::Restless(_) | Self::Contended { .. } | Self::Locked(_) => false,
        }
    }

    fn new(doing: &'static str, path: &Path, error: io::Error) -> Self {
        Self::Io { doing, path: path.into(), error }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_new_file_is_private_and_an_old_one_keeps_its_mode() {
        let (_directory, file) = file();
        assert_eq!(file.replace("one", None, None).unwrap(), Replaced::Done);
        assert_eq!(state(&file), ("one".into(), 0o600));

        fs::set_permissions(file.path(), Permissions::from_mode(0o640)).unwrap();
        let read = file.read().unwrap();
        assert_eq!(file.replace("two", read.as_ref(), None).unwrap(), Replaced::Done);
        assert_eq!(state(&file), ("two".into(), 0o640));

        let read = file.read().unwrap();
        assert_eq!(file.replace("three", read.as_ref(), Some(0o400)).unwrap(), Replaced::Done);
        assert_eq!(state(&file), ("three".into(), 0o400));
        assert_eq!(names(&file), ["tokens.json"]);
    }

    #[test]
    fn what_somebody_else_wrote_in_between_stays() {
        let (_directory, file) = file();
        file.replace("one", None, None).unwrap();
        let read = file.read().unwrap();
        write(&file, "theirs");
        assert_eq!(file.replace("two", read.as_ref(), None).unwrap(), Replaced::Changed);
        assert_eq!(state(&file).0, "theirs");
        assert_eq!(file.replace("two", None, None).unwrap(), Replaced::Changed);
        assert_eq!(state(&file).0, "theirs");
        fs::remove_file(file.path()).unwrap();
        assert_eq!(file.replace("two", read.as_ref(), None).unwrap(), Replaced::Changed);
        assert!(file.read().unwrap().is_none());
        assert_eq!(names(&file), [""; 0]);
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let (directory, file) = file();
        file.replace("one", None, None).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(file.path(), &link).unwrap();
        let linked = OwnedFile::at(&link).unwrap();
        let read = linked.read().unwrap();
        linked.replace("two", read.as_ref(), None).unwrap();
        assert!(link.is_symlink());
        assert_eq!(state(&file).0, "two");
    }

    #[test]
    fn what_is_no_file_of_tokens_is_refused() {
        let (directory, file) = file();
        let refused = OwnedFile::at(directory.path()).map(|_| ()).unwrap_err();
        assert!(refused.to_string().ends_with(" is no file"), "{refused}");
        File::create(file.path()).unwrap().set_len(MAX_FILE + 1).unwrap();
        let refused = file.read().map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("is longer than 4194304 bytes"), "{refused}");
        File::create(file.path()).unwrap().write_all(b"\xff").unwrap();
        let refused = file.read().map(|_| ()).unwrap_err();
        assert!(refused.to_string().ends_with("is not UTF-8 text"), "{refused}");
        let nowhere = directory.path().join("none/tokens.json");
        let refused = OwnedFile::at(&nowhere).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("No such file"), "{refused}");
    }

    pub(super) fn file() -> (TempDir, OwnedFile) {
        let directory = tempfile::tempdir().unwrap();
        let file = OwnedFile::at(&directory.path().join("tokens.json")).unwrap();
        (directory, file)
    }

    pub(super) fn state(file: &OwnedFile) -> (String, u32) {
        let content = file.read().unwrap().unwrap();
        (content.text.to_string(), content.metadata.mode() & 0o7777)
    }

    pub(super) fn write(file: &OwnedFile, text: &str) {
        File::create(file.path()).unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub(super) fn names(file: &OwnedFile) -> Vec<String> {
        let entries = fs::read_dir(&file.directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}
