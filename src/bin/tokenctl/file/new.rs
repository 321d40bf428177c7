//! A file that must not be there yet: where a refresh token goes.
//!
//! # Invariants
//!
//! * It belongs to whoever writes it, and nobody else reads it. A file that is there already
//!   may be anybody's, and is left as it is.
//! * That it can be written is known before there is anything to write.

use std::fs;

use tokenkeeper::limits::BODY;

use super::FileError;
use super::OwnedFile;
use super::Replaced;
use super::beside::Beside;

/// The place of a new file, which is held until it is written.
pub(crate) struct NewFile<'f> {
    file: &'f OwnedFile,
    beside: Beside,
}

impl OwnedFile {
    /// Makes sure of the place and of room for as much as a refresh token can be.
    ///
    /// # Errors
    ///
    /// If there is a file already, or none can be written.
    pub(crate) fn prepare(&self) -> Result<NewFile<'_>, FileError> {
        if self.path.symlink_metadata().is_ok() {
            return Err(FileError::There(self.path.clone()));
        }
        let beside = self.beside()?;
        self.fill(&beside, &" ".repeat(BODY))?;
        Ok(NewFile { file: self, beside })
    }
}

impl NewFile<'_> {
    /// Writes it.
    ///
    /// # Errors
    ///
    /// If somebody else has written it meanwhile, or the disk fails.
    pub(crate) fn write(self, text: &str) -> Result<(), FileError> {
        self.file.fill(&self.beside, text)?;
        match self.file.name_new(&self.beside.path, |from, to| fs::hard_link(from, to))? {
            Replaced::Done => self.file.sync_directory(),
            Replaced::Changed => Err(FileError::There(self.file.path.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::file::tests::file;
    use crate::file::tests::names;
    use crate::file::tests::state;
    use crate::file::tests::write;

    #[test]
    fn a_new_file_is_private_and_holds_nothing_but_what_was_written() {
        let (_directory, file) = file();
        let place = file.prepare().unwrap();
        assert!(file.read().unwrap().is_none(), "there is nothing to read before it is written");
        place.write("R1").unwrap();
        assert_eq!(state(&file), ("R1".into(), 0o600));
        assert_eq!(names(&file), ["tokens.json"]);
    }

    #[test]
    fn what_is_there_stays_whether_it_came_before_the_place_was_made_sure_of_or_after() {
        let (directory, file) = file();
        let place = file.prepare().unwrap();
        write(&file, "theirs");
        for refused in [place.write("R1").unwrap_err(), file.prepare().map(drop).unwrap_err()] {
            assert!(refused.to_string().contains(" is there already"), "{refused}");
        }
        assert_eq!(state(&file).0, "theirs");

        fs::remove_file(file.path()).unwrap();
        symlink(directory.path().join("elsewhere"), file.path()).unwrap();
        assert!(matches!(file.prepare().map(drop), Err(FileError::There(_))));
        assert_eq!(names(&file), ["tokens.json"]);
    }
}
