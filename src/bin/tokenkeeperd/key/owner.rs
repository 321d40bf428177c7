//! Root, acting as the owner of a state directory.
//!
//! What is made in the directory must be its owner's, or the daemon would refuse it; and to follow
//! names in a directory that another user can write is nothing that root should do. So root takes
//! on the owner's rights for that part of its work, and its own again afterwards. The real user id
//! stays root's: no process of the owner can signal or trace this one meanwhile.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::Gid;
use nix::unistd::Uid;

/// Whose rights a store is worked on with.
pub(crate) struct Owner(Option<Ids>);

#[derive(Clone, Copy)]
struct Ids {
    uid: Uid,
    gid: Gid,
}

/// Why there is no acting as the owner.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnerError {
    /// The caller is somebody else.
    #[error(
        "{directory} belongs to another user: only its owner and root can change the key of the \
         store in it; try again with sudo"
    )]
    NotYours {
        /// The state directory.
        directory: String,
    },
    /// The system refuses.
    #[error("{directory}: {error}")]
    System {
        /// The state directory.
        directory: String,
        /// What it says.
        error: io::Error,
    },
}

impl Owner {
    /// The owner of `directory`. One that is not there belongs to whoever asks.
    ///
    /// # Errors
    ///
    /// [`OwnerError::NotYours`] unless the caller is root or that owner.
    pub(crate) fn of(directory: &Path) -> Result<Self, OwnerError> {
        let name = directory.display().to_string();
        let metadata = match fs::symlink_metadata(directory) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self(None)),
            Err(error) => return Err(OwnerError::System { directory: name, error }),
        };
        let us = Uid::effective();
        let ids = Ids { uid: Uid::from_raw(metadata.uid()), gid: Gid::from_raw(metadata.gid()) };
        if us == ids.uid {
            Ok(Self(None))
        } else if us.is_root() {
            Ok(Self(Some(ids)))
        } else {
            Err(OwnerError::NotYours { directory: name })
        }
    }

    /// Does `work` with the owner's rights.
    ///
    /// # Errors
    ///
    /// If the system does not let this process change its rights, there or back.
    pub(crate) fn act<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        let Some(ids) = self.0 else { return Ok(work()) };
        let groups = nix::unistd::getgroups()?;
        let back = Ids { uid: Uid::effective(), gid: Gid::effective() };
        become_one(ids, &[ids.gid])?;
        let done = work();
        // The user first: only root may choose its groups.
        nix::unistd::seteuid(back.uid)?;
        become_one(back, &groups)?;
        Ok(done)
    }
}

fn become_one(ids: Ids, groups: &[Gid]) -> io::Result<()> {
    nix::unistd::setgroups(groups)?;
    nix::unistd::setegid(ids.gid)?;
    Ok(nix::unistd::seteuid(ids.uid)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_acts_as_another_user_but_root() {
        let own = tempfile::tempdir().unwrap();
        assert!(Owner::of(own.path()).unwrap().0.is_none());
        assert!(Owner::of(&own.path().join("absent")).unwrap().0.is_none());
        if !Uid::effective().is_root() {
            let refused = Owner::of(Path::new("/")).map(drop).unwrap_err();
            assert!(matches!(refused, OwnerError::NotYours { .. }), "{refused}");
        }
    }
}
