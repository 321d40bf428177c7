//! Making a listening socket.

use std::fs::DirBuilder;
use std::fs::Permissions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;

use crate::limits;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody answers there.
    #[error("{} is served by another process", .0.display())]
    InUse(PathBuf),
    /// What is there is no socket, and is left alone.
    #[error("{} exists and is no socket", .0.display())]
    NotASocket(PathBuf),
    /// It, or the path beside it where the socket is made, is too long for the kernel.
    #[error(
        "{} is longer than the {} bytes of a socket's path",
        .0.display(),
        limits::SOCKET_PATH
    )]
    TooLong(PathBuf),
    /// The file system says no.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

/// Listens at `path`, with that mode from the first moment.
///
/// The socket is made beside its place and moved there, so that nobody ever connects to
/// one with a wrong mode. A socket that is there already is replaced only after a
/// connection to it was refused: nobody serves it any more. The directory is made, mode
/// 0755, if only it is missing.
///
/// # Errors
///
/// [`BindError`]; what was there is unchanged then.
pub fn bind(path: &Path, mode: u32) -> Result<UnixListener, BindError> {
    let fails = |source| BindError::Io { path: path.to_owned(), source };
    let beside = beside(path);
    for path in [path, &beside] {
        if path.as_os_str().as_bytes().len() > limits::SOCKET_PATH {
            return Err(BindError::TooLong(path.to_owned()));
        }
    }
    make_directory(path).map_err(fails)?;
    check_place(path)?;
    remove(&beside).map_err(fails)?;
    let socket = UnixListener::bind(&beside).map_err(fails)?;
    let moved = std::fs::set_permissions(&beside, Permissions::from_mode(mode))
        .and_then(|()| std::fs::rename(&beside, path));
    match moved {
        Ok(()) => Ok(socket),
        Err(source) => {
            // The reason for the failure is worth more than that of the cleaning up.
            let _left_over = remove(&beside).is_err();
            Err(fails(source))
        }
    }
}

/// The file of a socket that this process made, and may remove again.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// That of the socket which [`bind`] has just made at `path`; `None` if it is gone already.
    pub fn at(path: &Path) -> Option<Self> {
        let there = std::fs::symlink_metadata(path).ok()?;
        Some(Self { path: path.to_owned(), device: there.dev(), inode: there.ino() })
    }

    /// Removes it, unless something else has taken its place since. Wants the socket still
    /// listening, because another daemon takes the place of one that nobody serves. What cannot be
    /// removed is replaced by the next start.
    pub fn remove(&self) {
        let there = std::fs::symlink_metadata(&self.path);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (self.device, self.inode)) {
            let _left_over = remove(&self.path).is_err();
        }
    }
}

/// Where the socket is made: in the same directory, with this process for a name, which has
/// at most [`limits::SOCKET_BESIDE`] bytes.
fn beside(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{}", std::process::id()))
}

fn make_directory(path: &Path) -> io::Result<()> {
    let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) else {
        return Ok(());
    };
    match DirBuilder::new().mode(0o755).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// That the place is free, or held by a socket that nobody serves.
fn check_place(path: &Path) -> Result<(), BindError> {
    let fails = |source| BindError::Io { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fails(error)),
        Ok(there) if !there.file_type().is_socket() => {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(fails(error)),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_made_with_its_directory_and_its_mode() {
        let place = Place::new("made");
        let path = place.0.join("sub/api.sock");
        for mode in [0o666, 0o600] {
            let socket = bind(&path, mode).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
            UnixStream::connect(&path).unwrap();
            socket.accept().unwrap();
        }
        let left = std::fs::read_dir(place.0.join("sub")).unwrap().count();
        assert_eq!(left, 1, "nothing but the socket is left behind");
    }

    #[test]
    fn a_socket_that_is_served_is_left_alone_and_a_dead_one_is_replaced() {
        let place = Place::new("served");
        let path = place.0.join("api.sock");
        let first = bind(&path, limits::SOCKET_MODE).unwrap();
        assert!(matches!(bind(&path, limits::SOCKET_MODE), Err(BindError::InUse(_))));
        // The refused attempt must not have taken the place of the first.
        first.accept().unwrap();
        UnixStream::connect(&path).unwrap();
        first.accept().unwrap();
        drop(first);
        let second = bind(&path, limits::SOCKET_MODE).unwrap();
        UnixStream::connect(&path).unwrap();
        second.accept().unwrap();
    }

    #[test]
    fn the_file_of_a_socket_is_removed_unless_another_has_its_place() {
        let place = Place::new("removed");
        let path = place.0.join("api.sock");
        let first = bind(&path, limits::SOCKET_MODE).unwrap();
        let file = SocketFile::at(&path).unwrap();
        drop(first);
        let _second = bind(&path, limits::SOCKET_MODE).unwrap();
        file.remove();
        UnixStream::connect(&path).unwrap();
        SocketFile::at(&path).unwrap().remove();
        assert!(!path.exists());
        assert!(SocketFile::at(&path).is_none());
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let place = Place::new("file");
        let path = place.0.join("api.sock");
        std::fs::File::create(&path).unwrap();
        assert!(matches!(bind(&path, limits::SOCKET_MODE), Err(BindError::NotASocket(_))));
        assert!(path.is_file());
    }

    #[test]
    fn a_path_of_the_longest_length_is_made_and_one_byte_more_is_refused() {
        let place = Place::new("long");
        let room = limits::SOCKET_PATH - place.0.as_os_str().as_bytes().len() - 1;
        for (name, fits) in [("x".repeat(room), true), ("x".repeat(room + 1), false)] {
            let made = bind(&place.0.join(&name), limits::SOCKET_MODE);
            assert_eq!(made.is_ok(), fits, "{} bytes", name.len());
            assert!(fits || matches!(made, Err(BindError::TooLong(_))));
        }
    }

    /// The path that is too long is the one that the message names.
    #[test]
    fn a_directory_without_room_for_the_name_beside_is_refused() {
        let path = Path::new("/").join("x".repeat(limits::SOCKET_PATH - 3)).join("s");
        let refused = bind(&path, limits::SOCKET_MODE).unwrap_err();
        let BindError::TooLong(named) = refused else { panic!("{refused}") };
        assert_eq!(named, beside(&path));
    }

    #[test]
    fn the_name_beside_is_as_short_as_the_configuration_counts_on() {
        let name = beside(Path::new("/s")).as_os_str().as_bytes().len() - 1;
        assert!(name <= limits::SOCKET_BESIDE, "{name}");
    }

    #[test]
    fn a_directory_deeper_than_one_is_not_made() {
        let place = Place::new("deep");
        assert!(matches!(
            bind(&place.0.join("a/b/api.sock"), limits::SOCKET_MODE),
            Err(BindError::Io { .. })
        ));
    }

    /// A directory of its own, removed at the end.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let name = format!("tokenkeeper-bind-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }
}
