//! Puts files into directories that something else watches.
//!
//! A file appears under its name whole or not at all, and takes the place of an older one of
//! that name, so a directory that nobody empties does not grow. Nothing secret is ever in one:
//! the directory and the mode of the file decide who may read it.
//!
//! # Invariants
//!
//! * Whoever may write to the directory, or put another into its place, cannot have a file
//!   written, removed or opened up elsewhere: all is done at a descriptor of the directory, which
//!   no symbolic link leads to.
//! * One file is written at a time into a directory, and under a name of its own until it is
//!   whole: one that comes late never mixes with the next.

use std::fs::File;
use std::io;
use std::io::Write as _;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::fs::AtFlags;
use rustix::fs::CWD;
use rustix::fs::Mode;
use rustix::fs::OFlags;

use crate::apart::Apart;
use crate::apart::Undone;

/// Longest time that a file may take: the directory may lie on a network that is gone.
const LIMIT: Duration = Duration::from_secs(10);

/// Files that are written at a time.
static WRITES: Apart = Apart::new("spool", 4);

/// Files that were begun since the start.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// What is to be written.
#[derive(Debug)]
pub struct Sheet {
    /// The file's name.
    pub name: String,
    /// All that is in it.
    pub content: String,
    /// Its mode, whatever the umask says.
    pub mode: u32,
}

/// Why there is no such file.
#[derive(Debug, thiserror::Error)]
pub enum Unwritten {
    /// The operating system says no.
    #[error("{}: {error}", .directory.display())]
    Io {
        /// Where.
        directory: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// It took too long, or could not even begin.
    #[error("{}: {undone}", .directory.display())]
    Apart {
        /// Where.
        directory: PathBuf,
        /// Why.
        undone: Undone,
    },
}

/// Puts a file into a directory, which is made if it is missing, but not what is above it. Who
/// may read the file may look into a directory that is made.
///
/// # Errors
///
/// [`Unwritten`], and then no part of the file is there, unless it was late.
pub async fn put(directory: &Path, sheet: Sheet) -> Result<(), Unwritten> {
    let place = directory.to_owned();
    let put = WRITES.run(directory, LIMIT, move || put_now(&place, &sheet)).await;
    let directory = directory.to_owned();
    match put {
        Ok(put) => put.map_err(|error| Unwritten::Io { directory, error }),
        Err(undone) => Err(Unwritten::Apart { directory, undone }),
    }
}

fn put_now(directory: &Path, sheet: &Sheet) -> io::Result<()> {
    let directory = open(directory, sheet.mode)?;
    // Watchers pass over names that begin with a dot. The count begins anew with each start, so
    // what a daemon left that was killed is met again, and taken away.
    let beside = format!(".{}.{}", sheet.name, BEGUN.fetch_add(1, Ordering::Relaxed));
    let put = write(&directory, &beside, sheet)
        .and_then(|()| Ok(rustix::fs::renameat(&directory, &*beside, &directory, &*sheet.name)?));
    if put.is_err() {
        // What is there in part is of no use.
        let _left = rustix::fs::unlinkat(&directory, &*beside, AtFlags::empty());
    }
    put
}

/// Opens the directory, which need not be readable for that; makes it if it is missing.
fn open(path: &Path, mode: u32) -> io::Result<OwnedFd> {
    // Who reads a directory's files has to get through it.
    let mode = Mode::from_raw_mode(0o700 | mode | (mode & 0o444) >> 2);
    let made = match rustix::fs::mkdir(path, mode) {
        Ok(()) => true,
        Err(rustix::io::Errno::EXIST) => false,
        Err(error) => return Err(error.into()),
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    if made {
        // Somebody may have put another in its place.
        if rustix::fs::fstat(&directory)?.st_uid != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other("it was exchanged while it was made"));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let readable = rustix::fs::openat(&directory, ".", flags, Mode::empty())?;
        rustix::fs::fchmod(&readable, mode)?;
    }
    Ok(directory)
}

/// Writes a new file.
fn write(directory: impl AsFd, name: &str, sheet: &Sheet) -> io::Result<()> {
    match rustix::fs::unlinkat(&directory, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(sheet.mode);
    let mut file = File::from(rustix::fs::openat(&directory, name, flags, mode)?);
    rustix::fs::fchmod(&file, mode)?;
    file.write_all(sheet.content.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn a_file_takes_the_place_of_an_older_one_and_leaves_nothing_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let events = home.path().join("events");
        for content in ["first", "second"] {
            put(&events, sheet("mail.alarm.json", content)).await.unwrap();
        }
        assert_eq!(names(&events), ["mail.alarm.json"]);
        assert_eq!(text(&events.join("mail.alarm.json")), "second");
    }

    #[tokio::test]
    async fn who_may_read_the_file_may_look_into_a_directory_that_is_made() {
        let home = tempfile::tempdir().unwrap();
        for (file, directory) in [(0o640, 0o750), (0o644, 0o755), (0o600, 0o700), (0o660, 0o770)] {
            let events = home.path().join(format!("{file:o}"));
            put(&events, Sheet { mode: file, ..sheet("a.json", "x") }).await.unwrap();
            assert_eq!((mode(&events), mode(&events.join("a.json"))), (directory, file));
        }
    }

    #[tokio::test]
    async fn a_directory_that_is_there_keeps_its_mode() {
        let home = tempfile::tempdir().unwrap();
        let (events, write_only) = (home.path().join("events"), 0o300);
        std::fs::create_dir(&events).unwrap();
        std::fs::set_permissions(&events, std::fs::Permissions::from_mode(write_only)).unwrap();
        put(&events, sheet("a.json", "x")).await.unwrap();
        assert_eq!(mode(&events), write_only);
        std::fs::set_permissions(&events, std::fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[tokio::test]
    async fn what_others_put_in_the_way_is_not_written_through() {
        let home = tempfile::tempdir().unwrap();
        let (events, victim) = (home.path().join("events"), home.path().join("victim"));
        std::fs::create_dir(&events).unwrap();
        symlink(&victim, events.join("a.json")).unwrap();
        let next = BEGUN.load(Ordering::Relaxed);
        for begun in next..next + 50 {
            symlink(&victim, events.join(format!(".a.json.{begun}"))).unwrap();
        }
        put(&events, sheet("a.json", "x")).await.unwrap();
        assert!(!victim.exists());
        assert_eq!(text(&events.join("a.json")), "x");
    }

    /// It could lead into a directory of the daemon's own.
    #[tokio::test]
    async fn a_link_in_place_of_the_directory_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let (events, own) = (home.path().join("events"), home.path().join("own"));
        std::fs::create_dir(&own).unwrap();
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o700)).unwrap();
        symlink(&own, &events).unwrap();
        let error = put(&events, sheet("a.json", "x")).await.unwrap_err().to_string();
        assert!(error.ends_with("Not a directory (os error 20)"), "{error}");
        assert_eq!((mode(&own), names(&own)), (0o700, Vec::new()));
    }

    /// What hangs cannot be had without a dead mount, so something else stands where it would.
    #[tokio::test]
    async fn nothing_is_written_into_a_directory_while_something_hangs_there() {
        let home = tempfile::tempdir().unwrap();
        let (dead, fine) = (home.path().join("dead"), home.path().join("fine"));
        let (release, until_released) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let hanging = WRITES.run(&dead, LIMIT, move || {
            begun.send(()).unwrap();
            until_released.recv()
        });
        let meanwhile = async {
            has_begun.await.unwrap();
            put(&fine, sheet("a.json", "x")).await.unwrap();
            tokio::time::pause();
            let late = put(&dead, sheet("a.json", "x")).await.unwrap_err().to_string();
            tokio::time::resume();
            assert!(late.ends_with("dead: it was not done within 10 s"), "{late}");
            assert!(!dead.exists());
            release.send(()).unwrap();
        };
        let (_late, ()) = tokio::join!(hanging, meanwhile);
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_made_is_named() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a/b");
        let error = put(&deep, sheet("a.json", "")).await.unwrap_err().to_string();
        assert!(error.starts_with(&deep.display().to_string()), "{error}");
    }

    fn sheet(name: &str, content: &str) -> Sheet {
        Sheet { name: name.to_owned(), content: content.to_owned(), mode: 0o640 }
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn text(path: &Path) -> String {
        let mut text = String::new();
        File::open(path).unwrap().read_to_string(&mut text).unwrap();
        text
    }
}
