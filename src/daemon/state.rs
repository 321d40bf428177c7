//! The directory of the key `state`, looked at without touching it: for `--check`, and for a
//! start that was refused because of it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Access;
use rustix::fs::AtFlags;

use crate::names;
use crate::store::refusal;
use crate::store::refusal::OpenError;

/// The one mode that is accepted.
const MODE: u32 = 0o700;

/// How the state directory was found, where a start would go on.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// There is none yet, and it can be made.
    Nothing,
    /// It is as it has to be, for a daemon of this user.
    OwnedBy(u32),
}

/// What keeps a daemon from using the state directory.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// Others may look into it.
    #[error(
        "{}, the directory of `state`, has mode {found:04o} and must have 0700: it is for the \
         daemon alone, and sockets that others shall reach belong elsewhere; type: chmod 0700 '{}'",
        .path.display(), .path.display()
    )]
    Mode {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        found: u32,
    },
    /// It is a file, or a symbolic link.
    #[error("{}, the directory of `state`, is no directory, or a link to one", .0.display())]
    NotADirectory(PathBuf),
    /// Another user's daemon could use it, and not ours.
    #[error(
        "{}, the directory of `state`, belongs to {}, and this is {}: only its owner can run the \
         daemon",
        .path.display(), names::of_user(*.owner), names::of_user(*.ours)
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// This process.
        ours: u32,
    },
    /// It cannot be written, or not be made.
    #[error("{}, the directory of `state`, cannot be {verb}: {error}", .path.display())]
    Closed {
        /// The directory.
        path: PathBuf,
        /// What cannot be done with it: written, made, looked at.
        verb: &'static str,
        /// Why.
        error: io::Error,
    },
}

/// Looks at the directory of the database `state`.
///
/// # Errors
///
/// What would keep a daemon of this user from using it. Whom it belongs to is no matter to
/// root, who looks at it for another user.
pub(super) fn look(state: &Path) -> Result<Found, Flaw> {
    let path = directory(state);
    let closed = |verb, error| Flaw::Closed { path: path.to_owned(), verb, error };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return can_be_made(path).map_err(|error| closed("made", error));
        }
        Err(error) => return Err(closed("looked at", error)),
    };
    let (owner, ours) = (metadata.uid(), rustix::process::geteuid().as_raw());
    let found = metadata.mode() & 0o7777;
    if !metadata.is_dir() {
        return Err(Flaw::NotADirectory(path.to_owned()));
    }
    if owner != ours && ours != 0 {
        return Err(Flaw::Foreign { path: path.to_owned(), owner, ours });
    }
    if found != MODE {
        return Err(Flaw::Mode { path: path.to_owned(), found });
    }
    writable(path).map_err(|error| closed("written", error))?;
    Ok(Found::OwnedBy(owner))
}

/// The flaw that a store was refused for, if it is one of its directory's mode.
pub(super) fn flaw_of(refused: &OpenError, state: &Path) -> Option<Flaw> {
    if let OpenError::Unsafe { path, flaw: refusal::Flaw::Mode { found, .. } } = refused
        && path == directory(state)
    {
        return Some(Flaw::Mode { path: path.clone(), found: *found });
    }
    None
}

/// The state directory: the one of the database.
pub(super) fn directory(state: &Path) -> &Path {
    match state.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The daemon makes what is missing below the nearest directory that is there.
fn can_be_made(path: &Path) -> io::Result<Found> {
    let there = path.ancestors().skip(1).find(|above| above.exists());
    writable(there.unwrap_or(Path::new("."))).map(|()| Found::Nothing)
}

fn writable(directory: &Path) -> io::Result<()> {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    Ok(rustix::fs::accessat(rustix::fs::CWD, directory, access, AtFlags::EACCESS)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_directory_is_good_with_mode_0700_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("state");
        assert_eq!(look(&directory.join("state.db")).unwrap(), Found::Nothing);

        fs::create_dir(&directory).unwrap();
        let own = rustix::process::geteuid().as_raw();
        for (mode, good) in [(0o700, true), (0o711, false), (0o755, false), (0o750, false)] {
            fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
            match look(&directory.join("state.db")) {
                Ok(found) => assert!(good && found == Found::OwnedBy(own), "{mode:o}"),
                Err(flaw) => {
                    let path = directory.display();
                    let begin =
                        format!("{path}, the directory of `state`, has mode {mode:04o} and");
                    let flaw = flaw.to_string();
                    assert!(!good && flaw.starts_with(&begin), "{flaw}");
                    assert!(flaw.ends_with(&format!("type: chmod 0700 '{path}'")), "{flaw}");
                }
            }
        }
    }

    #[test]
    fn a_file_and_a_link_in_its_place_are_no_directory() {
        let home = tempfile::tempdir().unwrap();
        fs::File::create(home.path().join("file")).unwrap();
        symlink(home.path(), home.path().join("link")).unwrap();
        for name in ["file", "link"] {
            let flaw = look(&home.path().join(name).join("state.db")).unwrap_err();
            assert!(matches!(flaw, Flaw::NotADirectory(_)), "{flaw}");
        }
    }

    #[test]
    fn a_refused_mode_is_told_of_the_directory_and_not_of_its_files() {
        let mode = refusal::Flaw::Mode { found: 0o711, wanted: 0o700 };
        let refused = |path: &str| OpenError::Unsafe { path: path.into(), flaw: mode };
        let state = Path::new("/var/lib/tokenkeeper/state.db");
        let flaw = flaw_of(&refused("/var/lib/tokenkeeper"), state).unwrap();
        assert!(flaw.to_string().contains("the directory of `state`, has mode 0711"), "{flaw}");
        assert!(flaw_of(&refused("/var/lib/tokenkeeper/state.db"), state).is_none());
    }
}
