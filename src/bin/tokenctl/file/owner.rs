//! Whose a kept file is, and that it stays so.

use std::fs;
use std::fs::Metadata;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::fchown;

use nix::unistd::Gid;
use nix::unistd::Group;
use nix::unistd::Uid;
use nix::unistd::User;
use rustix::process::getegid;
use rustix::process::geteuid;

use super::Content;
use super::FileError;
use super::OwnedFile;
use super::PRIVATE;
use super::beside::Beside;

impl OwnedFile {
    /// That this is not root in the directory of somebody else, who could let root write
    /// wherever he likes, and to whom a file of root's is of no use.
    ///
    /// # Errors
    ///
    /// If it is.
    pub(crate) fn is_ours_to_keep(&self) -> Result<(), FileError> {
        let directory = fs::metadata(&self.directory);
        let directory =
            directory.map_err(|error| FileError::new("find", &self.directory, error))?;
        let (owner, us) = (directory.uid(), geteuid());
        if us.is_root() && owner != us.as_raw() {
            return Err(FileError::SomebodyElses { directory: self.directory.clone(), owner });
        }
        Ok(())
    }

    /// Gives the new file the owner of the old one, and its mode unless `mode` says otherwise.
    pub(super) fn dress(
        &self,
        beside: &Beside,
        read: Option<&Content>,
        mode: Option<u32>,
    ) -> Result<(), FileError> {
        const PERMISSIONS: u32 = 0o777;

        let failed = |error| FileError::new("write", &self.path, error);
        let before = read.map(|content| &content.metadata);
        let mine = beside.file.metadata().map_err(failed)?;
        if let Some(before) = before
            && (before.uid(), before.gid()) != (mine.uid(), mine.gid())
        {
            fchown(&beside.file, Some(before.uid()), Some(before.gid()))
                .map_err(|error| self.not_given(before, error))?;
        }
        let kept = before.map_or(PRIVATE, |before| before.mode() & PERMISSIONS);
        let permissions = Permissions::from_mode(mode.unwrap_or(kept));
        beside.file.set_permissions(permissions).map_err(failed)
    }

    /// Why the new file cannot have the owner and the group that the old one has.
    fn not_given(&self, before: &Metadata, error: io::Error) -> FileError {
        if error.kind() != io::ErrorKind::PermissionDenied {
            return FileError::new("keep the owner of", &self.path, error);
        }
        let (path, us) = (self.path.clone(), geteuid().as_raw());
        let user = user(us);
        if before.uid() == us {
            let own = group(getegid().as_raw());
            FileError::ForeignGroup { path, group: group(before.gid()), user, own }
        } else {
            FileError::ForeignOwner { path, owner: self::user(before.uid()), user }
        }
    }
}

/// The user's name, or its number where it has none.
fn user(uid: u32) -> String {
    let known = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    known.map_or_else(|| uid.to_string(), |user| user.name)
}

/// The group's name, or its number where it has none.
fn group(gid: u32) -> String {
    let known = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    known.map_or_else(|| gid.to_string(), |group| group.name)
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn root_keeps_no_file_in_the_directory_of_another_user() {
        if !geteuid().is_root() {
            return;
        }
        let (directory, file) = file();
        file.is_ours_to_keep().unwrap();
        std::os::unix::fs::chown(directory.path(), Some(65_534), None).unwrap();
        let refused = file.is_ours_to_keep().unwrap_err();
        assert!(refused.to_string().contains("put User=65534 into a drop-in"), "{refused}");
        assert!(refused.is_input());
    }
}
