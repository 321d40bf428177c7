//! Puts files into directories that something else watches.
//!
//! A file appears under its name whole or not at all, and takes the place of an older one of
//! that name, so a directory that nobody empties does not grow. Nothing secret is ever in one:
//! the directory decides who may read it.

use std::fs::File;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::fs::OFlags;

use crate::apart::Apart;
use crate::apart::Undone;

/// Longest time that a file may take: the directory may lie on a network that is gone.
const LIMIT: Duration = Duration::from_secs(10);

/// Files that are written at a time.
static WRITES: Apart = Apart::new("spool", 4);

/// Mode of a file, whatever the umask says.
const FILE: u32 = 0o644;

/// Mode of a directory that is made, whatever the umask says.
const DIRECTORY: u32 = 0o755;

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

/// Puts a file into a directory, which is made if it is missing, but not what is above it.
///
/// # Errors
///
/// [`Unwritten`], and then no part of the file is there, unless it was late.
pub async fn put(directory: &Path, name: String, content: String) -> Result<(), Unwritten> {
    let place = directory.to_owned();
    let putting = move || put_now(&place, &name, &content);
    let directory = directory.to_owned();
    match WRITES.run(&directory.clone(), LIMIT, putting).await {
        Ok(put) => put.map_err(|error| Unwritten::Io { directory, error }),
        Err(undone) => Err(Unwritten::Apart { directory, undone }),
    }
}

fn put_now(directory: &Path, name: &str, content: &str) -> io::Result<()> {
    make(directory)?;
    // Watchers pass over names that begin with a dot.
    let beside = directory.join(format!(".{name}"));
    let put = write(&beside, content).and_then(|()| std::fs::rename(&beside, directory.join(name)));
    if put.is_err() {
        // What is there in part is of no use, and the next one begins by taking it away.
        let _left = std::fs::remove_file(&beside);
    }
    put
}

fn make(directory: &Path) -> io::Result<()> {
    match rustix::fs::mkdir(directory, Mode::from_raw_mode(DIRECTORY)) {
        Ok(()) => Ok(rustix::fs::chmod(directory, Mode::from_raw_mode(DIRECTORY))?),
        Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes a new file. Whoever may write to the directory cannot have it written elsewhere.
fn write(path: &Path, content: &str) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(FILE))?);
    rustix::fs::fchmod(&file, Mode::from_raw_mode(FILE))?;
    file.write_all(content.as_bytes())
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
            put(&events, "mail.alarm.json".to_owned(), content.to_owned()).await.unwrap();
        }
        assert_eq!(names(&events), ["mail.alarm.json"]);
        assert_eq!(text(&events.join("mail.alarm.json")), "second");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&events), mode(&events.join("mail.alarm.json"))), (0o755, 0o644));
    }

    #[tokio::test]
    async fn what_others_put_in_the_way_is_not_written_through() {
        let home = tempfile::tempdir().unwrap();
        let (events, victim) = (home.path().join("events"), home.path().join("victim"));
        std::fs::create_dir(&events).unwrap();
        for name in [".a.json", "a.json"] {
            symlink(&victim, events.join(name)).unwrap();
        }
        put(&events, "a.json".to_owned(), "x".to_owned()).await.unwrap();
        assert!(!victim.exists());
        assert_eq!(text(&events.join("a.json")), "x");
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_made_is_named() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a/b");
        let error = put(&deep, "a.json".to_owned(), String::new()).await.unwrap_err().to_string();
        assert!(error.starts_with(&deep.display().to_string()), "{error}");
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
