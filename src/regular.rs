//! Opens regular files and writes them as a whole, and nothing that lies in the place of one.
//!
//! A path out of a configuration may lead to a pipe that nobody writes to, or to a terminal:
//! opening must neither wait for the one nor take the other. What is looked at is the open
//! file, not its name.
//!
//! Who else may write a file is read from its mode here too, once for all who refuse such ones.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
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

/// Whether group or others may write what has that mode. An access list is part of this: its mask
/// shows as the group's bits.
pub const fn others_write(mode: u32) -> bool {
    mode & 0o022 != 0
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum Unwritten {
    /// What is there is a directory, a device, a link or the like.
    #[error("it is no regular file")]
    NotRegular,
    /// The operating system says no.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Writes a file that nobody but its owner can read, durably, in the place of an older one.
/// Whatever happens, the file is the old one or this one.
///
/// # Errors
///
/// [`Unwritten`], which does not name the path: whoever asked knows it.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), Unwritten> {
    // A device or a link that is replaced by a file is a mishap.
    if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(Unwritten::NotRegular);
    }
    let name = path.file_name().ok_or(Unwritten::NotRegular)?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut beside = name.to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let beside = directory.join(beside);
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&beside)?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, path))
        .and_then(|()| File::open(directory)?.sync_all());
    if written.is_err() {
        // It is gone already where the last step failed.
        let _removed = fs::remove_file(&beside);
    }
    Ok(written?)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::MetadataExt as _;
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

    #[test]
    fn a_file_is_written_for_its_owner_alone_over_an_older_one_and_leaves_nothing_beside() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        for content in ["older", "newer"] {
            replace(&path, content.as_bytes()).unwrap();
            let mut text = String::new();
            open(&path).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, content);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_regular_file_is_never_replaced_by_one() {
        let home = tempfile::tempdir().unwrap();
        let (target, link) = (home.path().join("target"), home.path().join("link"));
        symlink(&target, &link).unwrap();
        for path in [home.path(), &link, Path::new("/dev/null"), Path::new("/")] {
            let refused = replace(path, b"x").unwrap_err();
            assert!(matches!(refused, Unwritten::NotRegular), "{}: {refused}", path.display());
        }
        assert!(!target.exists());
        let absent = replace(&home.path().join("no/such"), b"x").unwrap_err();
        assert!(matches!(absent, Unwritten::Io(_)), "{absent}");
    }
}
