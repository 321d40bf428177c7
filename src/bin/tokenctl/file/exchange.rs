//! Two files change places: how a file is replaced without losing what somebody else writes
//! into it meanwhile.
//!
//! # Invariants
//!
//! * A file is removed only if it holds what was read or what was to be written. Anything else
//!   is another program's, and is in the file's place or beside it in the end.

use std::ffi::OsString;
use std::path::Path;

use rustix::fs::CWD;
use rustix::fs::RenameFlags;
use rustix::fs::renameat_with;
use rustix::io::Errno;

use super::Content;
use super::FileError;
use super::OwnedFile;
use super::Replaced;
use super::beside::Beside;

impl OwnedFile {
    /// Lets `beside`, which has `text` in it, and the file change places, and back again if the
    /// file is not what was read.
    pub(super) fn exchange(
        &self,
        beside: &mut Beside,
        text: &str,
        read: &Content,
    ) -> Result<Replaced, FileError> {
        match self.swap(&beside.path) {
            Ok(()) => self.settle(beside, text, read),
            Err(Errno::NOENT) => Ok(Replaced::Changed),
            // A file system without it: what is left is to look just before.
            Err(Errno::INVAL | Errno::NOSYS) => {
                if self.still_is(&self.path, &read.text) {
                    self.rename(&beside.path)
                } else {
                    Ok(Replaced::Changed)
                }
            }
            Err(error) => Err(self.not_written(error)),
        }
    }

    /// Looks at what came out of the file's place. `beside` has it by now.
    fn settle(
        &self,
        beside: &mut Beside,
        text: &str,
        read: &Content,
    ) -> Result<Replaced, FileError> {
        if self.still_is(&beside.path, &read.text) {
            return Ok(Replaced::Done);
        }
        // The file's place has `text` in it, unless somebody has written once more.
        if let Err(error) = self.swap(&beside.path) {
            let aside = beside.keep(self)?;
            return Err(FileError::new("put back", &aside, error.into()));
        }
        if self.still_is(&beside.path, text) {
            return Ok(Replaced::Changed);
        }
        // What was written last goes to its place, and what was written before it is kept.
        let swapped = self.swap(&beside.path);
        let aside = beside.keep(self)?;
        swapped.map_err(|error| self.not_written(error))?;
        Err(FileError::Contended { path: self.path.clone(), aside })
    }

    fn swap(&self, path: &Path) -> Result<(), Errno> {
        renameat_with(CWD, path, CWD, &self.path, RenameFlags::EXCHANGE)
    }

    fn not_written(&self, error: Errno) -> FileError {
        FileError::new("write", &self.path, error.into())
    }

    /// Whether the file at `path` holds `text`. One that cannot be read is another one.
    fn still_is(&self, path: &Path, text: &str) -> bool {
        let there =
            Self { path: path.into(), directory: self.directory.clone(), name: OsString::new() };
        there.read().ok().flatten().is_some_and(|there| *there.text == *text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::file;
    use crate::file::tests::names;
    use crate::file::tests::state;
    use crate::file::tests::write;

    #[test]
    fn what_two_others_wrote_meanwhile_is_all_there_and_the_last_one_is_in_its_place() {
        let (directory, file) = file();
        write(&file, "read");
        let read = file.read().unwrap().unwrap();
        let mut beside = file.beside().unwrap();
        file.fill(&beside, "ours").unwrap();

        write(&file, "first");
        file.swap(&beside.path).unwrap();
        write(&file, "last");
        let refused = file.settle(&mut beside, "ours", &read).unwrap_err();
        drop(beside);

        assert_eq!(state(&file).0, "last");
        let FileError::Contended { aside, .. } = refused else { panic!("{refused}") };
        assert_eq!(state(&OwnedFile::at(&aside).unwrap()).0, "first");
        file.sweep();
        assert_eq!((names(&file).len(), aside.parent()), (2, Some(directory.path())));
    }

    #[test]
    fn what_another_wrote_stays_when_the_file_is_removed_meanwhile() {
        let (_directory, file) = file();
        write(&file, "read");
        let read = file.read().unwrap().unwrap();
        let mut beside = file.beside().unwrap();
        file.fill(&beside, "ours").unwrap();

        write(&file, "first");
        file.swap(&beside.path).unwrap();
        std::fs::remove_file(file.path()).unwrap();
        let refused = file.settle(&mut beside, "ours", &read).unwrap_err();
        drop(beside);

        let FileError::Io { doing: "put back", path, .. } = refused else { panic!("{refused}") };
        assert_eq!(state(&OwnedFile::at(&path).unwrap()).0, "first");
    }

    #[test]
    fn what_one_other_wrote_meanwhile_goes_back_to_its_place() {
        let (_directory, file) = file();
        write(&file, "read");
        let read = file.read().unwrap().unwrap();
        let mut beside = file.beside().unwrap();
        file.fill(&beside, "ours").unwrap();

        write(&file, "first");
        assert_eq!(file.exchange(&mut beside, "ours", &read).unwrap(), Replaced::Changed);
        drop(beside);

        assert_eq!((state(&file).0.as_str(), names(&file).len()), ("first", 1));
    }
}
