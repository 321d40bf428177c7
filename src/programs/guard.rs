//! Whether a program is what an administrator put there.
//!
//! A program has the daemon's trust, and whoever can put another one in its place has it, too.
//! So it and every directory on the way to it may be changed by root and the daemon's user
//! alone. A directory with the sticky bit, as `/tmp`, keeps what lies in it to its owner.

use std::fs;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;

use crate::regular::others_write;

/// Why a program is not run.
#[derive(Debug, thiserror::Error)]
pub enum Unguarded {
    /// Others can write it, or put something else in its place.
    #[error("{}: can be written by others; type: chmod go-w '{}'", .0.display(), .0.display())]
    Writable(PathBuf),
    /// It belongs to somebody who is neither root nor the daemon's user.
    #[error(
        "{}: belongs to user {owner}, expected root or the user that tokenkeeperd runs as",
        .path.display()
    )]
    Foreign {
        /// What.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// It cannot be looked at.
    #[error("{}: {error}", .path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
}

/// Looks at the program of an absolute path, at the directories on the way to it, and at those
/// on the way to what its links lead to. `own` are the users besides root whose it may be.
///
/// # Errors
///
/// The first thing that others can change.
pub fn guarded(program: &Path, own: &[u32]) -> Result<(), Unguarded> {
    let real = fs::canonicalize(program)
        .map_err(|error| Unguarded::Io { path: program.to_owned(), error })?;
    let ways = program.ancestors().skip(1).chain(real.ancestors());
    for path in ways.filter(|path| !path.as_os_str().is_empty()) {
        let path = path.to_owned();
        match fs::metadata(&path) {
            Err(error) => return Err(Unguarded::Io { path, error }),
            Ok(meta) if meta.uid() != 0 && !own.contains(&meta.uid()) => {
                return Err(Unguarded::Foreign { path, owner: meta.uid() });
            }
            Ok(meta) if others_change(&meta) => return Err(Unguarded::Writable(path)),
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Whether group or others can change it, or put something else in its place.
fn others_change(meta: &Metadata) -> bool {
    const STICKY: u32 = 0o1000;

    others_write(meta.mode()) && !(meta.is_dir() && meta.mode() & STICKY != 0)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_program_that_others_can_change_is_not_run() {
        let home = tempfile::tempdir().unwrap();
        let (near, far) = (home.path().join("near"), home.path().join("far"));
        for directory in [&near, &far] {
            fs::create_dir(directory).unwrap();
            fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
        }
        let (program, link) = (far.join("program"), near.join("link"));
        fs::copy("/bin/true", &program).unwrap();
        symlink(&program, &link).unwrap();
        #[rustfmt::skip]
        let cases = [
            // near   far     program  which others can write
            (0o755,  0o755,  0o755,   None),
            (0o755,  0o755,  0o700,   None),
            (0o755,  0o755,  0o775,   Some(&program)),
            (0o755,  0o755,  0o757,   Some(&program)),
            (0o755,  0o777,  0o755,   Some(&far)),
            (0o775,  0o755,  0o755,   Some(&near)),
            (0o755,  0o1777, 0o755,   None),
        ];
        for (of_near, of_far, of_program, expected) in cases {
            for (path, mode) in [(&near, of_near), (&far, of_far), (&program, of_program)] {
                fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            }
            let expected = expected.map(|path| {
                let path = path.display();
                format!("{path}: can be written by others; type: chmod go-w '{path}'")
            });
            let error = guarded(&link, &[own()]).err().map(|error| error.to_string());
            assert_eq!(error, expected, "{of_near:o} {of_far:o} {of_program:o}");
        }
    }

    #[test]
    fn a_program_of_another_user_is_not_run() {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("program");
        fs::copy("/bin/true", &program).unwrap();
        assert!(guarded(&program, &[own()]).is_ok());
        let foreign = matches!(guarded(&program, &[]), Err(Unguarded::Foreign { .. }));
        assert_eq!(foreign, own() != 0, "root's programs are everybody's");
        assert!(guarded(Path::new("/bin/sh"), &[]).is_ok());
        assert!(guarded(&home.path().join("none"), &[]).is_err());
    }

    fn own() -> u32 {
        rustix::process::geteuid().as_raw()
    }
}
