//! Two files change places: how a file is replaced without losing what somebody else writes
//! into it meanwhile.

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

impl OwnedFile {
    /// Lets the two files change places, and back again if the old one is not what was read.
    pub(super) fn exchange(&self, path: &Path, read: &Content) -> Result<Replaced, FileError> {
        let swap = || renameat_with(CWD, path, CWD, &self.path, RenameFlags::EXCHANGE);
        let failed = |error: Errno| FileError::new("write", &self.path, error.into());
        match swap() {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(Replaced::Changed),
            // A file system without it: what is left is to look just before.
            Err(Errno::INVAL | Errno::NOSYS) => {
                return if self.still_is(&self.path, read)? {
                    self.rename(path)
                } else {
                    Ok(Replaced::Changed)
                };
            }
            Err(error) => return Err(failed(error)),
        }
        // What cannot be read any more is not what was read.
        if self.still_is(path, read).unwrap_or_default() {
            return Ok(Replaced::Done);
        }
        swap().map_err(failed)?;
        Ok(Replaced::Changed)
    }

    /// Whether the file at `path` holds what was read.
    fn still_is(&self, path: &Path, read: &Content) -> Result<bool, FileError> {
        let now =
            Self { path: path.into(), directory: self.directory.clone(), name: OsString::new() };
        Ok(now.read()?.is_some_and(|now| *now.text == *read.text))
    }
}
