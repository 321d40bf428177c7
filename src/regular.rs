//! Opens regular files, and nothing that lies in the place of one.
//!
//! A path out of a configuration may lead to a pipe that nobody writes to, or to a terminal:
//! opening must neither wait for the one nor take the other. What is looked at is the open
//! file, not its name.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::Mode;
use rustix::fs::OFlags;

/// Why there is no file to read.
#[derive(Debug, thiserror::Error)]
pub enum Unopened {
    /// It is a directory, a device, a pipe or the like.
    #[error("expected a regular file")]
    NotRegular,
    /// The operating system says no.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Opens a regular file for reading. Symbolic links are followed.
///
/// # Errors
///
/// [`Unopened`], which does not name the path: whoever asked knows it.
pub fn open(path: &Path) -> Result<File, Unopened> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()));
    let file = File::from(opened.map_err(io::Error::from)?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(Unopened::NotRegular) }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_regular_file_opens_also_through_a_symbolic_link() {
        let home = tempfile::tempdir().unwrap();
        File::create(home.path().join("file")).unwrap().write_all(b"here").unwrap();
        symlink("file", home.path().join("link")).unwrap();
        for name in ["file", "link"] {
            let mut text = String::new();
            open(&home.path().join(name)).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "here", "{name}");
        }
    }

    /// A pipe without a writer would hold up whoever opens it in the ordinary way.
    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
        let home = tempfile::tempdir().unwrap();
        let pipe = home.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR).unwrap();
        for path in [&pipe, home.path(), Path::new("/dev/zero")] {
            let refused = open(path).unwrap_err();
            assert!(matches!(refused, Unopened::NotRegular), "{}: {refused}", path.display());
        }
    }

    #[test]
    fn what_is_not_there_is_the_systems_error() {
        let home = tempfile::tempdir().unwrap();
        let Unopened::Io(error) = open(&home.path().join("absent")).unwrap_err() else {
            panic!("nothing is no directory");
        };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
