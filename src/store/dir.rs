//! The state directory: every file in it is ours alone, or it is not touched.
//!
//! # Invariants
//!
//! * The directory is ours with mode 0700, and every file of it that is used is a plain
//!   file of ours with mode 0600 and one name. Anything else was planted or has been
//!   tampered with, and is refused with what is wrong and what to type.
//! * Names are resolved below a descriptor of the directory, never through a symbolic link.
//! * What is created is whole and durable before it gets its name; after a name appears
//!   or goes, the directory is synced.

use std::fs::File;
use std::io::Read;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::AtFlags;
use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::Stat;
use rustix::fs::StatVfsMountFlags;
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::store::refusal::Flaw;
use crate::store::refusal::OpenError;

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// What the first write after a start takes at the most: the log's head and some pages.
const FEW_PAGES: u64 = 64 << 10;

/// Copies that are kept of one damaged file. Whoever has that many has to look at the disk.
const COPIES: u8 = 9;

/// Which file a path leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

/// What a file looks like from outside. Whoever writes to it leaves another trace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Trace {
    /// Which file it is.
    pub(super) identity: Identity,
    /// Its length in bytes.
    pub(super) length: u64,
    /// When it was last written, in seconds and nanoseconds.
    modified: (i64, i64),
}

/// An open state directory that has been found safe.
pub(super) struct StateDir {
    fd: OwnedFd,
    path: PathBuf,
}

impl StateDir {
    /// Opens the directory, and creates it where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        if let Some(dir) = Self::open_existing(path)? {
            return Ok(dir);
        }
        create_directory(path).map_err(|errno| OpenError::io("create", path, errno))?;
        Self::open_existing(path)?.ok_or_else(|| OpenError::io("open", path, Errno::NOENT))
    }

    /// Opens the directory; `None` if there is none.
    pub(super) fn open_existing(path: &Path) -> Result<Option<Self>, OpenError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(OpenError::flawed(path, Flaw::NotADirectory));
            }
            Err(errno) => return Err(OpenError::io("open", path, errno)),
        };
        let dir = Self { fd, path: path.to_owned() };
        dir.inspect_itself()?;
        Ok(Some(dir))
    }

    /// Finds the directory safe, or says why not.
    pub(super) fn inspect_itself(&self) -> Result<(), OpenError> {
        let stat = rustix::fs::fstat(&self.fd)
            .map_err(|errno| OpenError::io("inspect", &self.path, errno))?;
        match owner_flaw(&stat).or_else(|| mode_flaw(&stat, DIRECTORY_MODE)) {
            Some(flaw) => Err(OpenError::flawed(&self.path, flaw)),
            None => Ok(()),
        }
    }

    /// What the file looks like to which the path of `name` leads; `None` if to none.
    ///
    /// The path is resolved anew: what was moved away with its directory is not there.
    pub(super) fn trace(&self, name: &str) -> Option<Trace> {
        rustix::fs::lstat(self.path(name)).ok().map(|stat| trace(&stat))
    }

    /// Whether the path of `name` leads to the open file.
    pub(super) fn leads_to(&self, name: &str, file: &File) -> bool {
        let open = rustix::fs::fstat(file).ok().map(|stat| identity(&stat));
        open.is_some() && open == self.trace(name).map(|trace| trace.identity)
    }

    /// Whether its path still leads to the directory that was opened.
    pub(super) fn is_in_place(&self) -> bool {
        let found = rustix::fs::lstat(&self.path).map(|stat| identity(&stat));
        found.is_ok() && found == rustix::fs::fstat(&self.fd).map(|stat| identity(&stat))
    }

    /// Whether the file system, or this mount of it, refuses writes.
    pub(super) fn is_read_only(&self) -> bool {
        rustix::fs::fstatvfs(&self.fd)
            .is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY))
    }

    /// Bytes that this process may still fill; zero if nobody knows.
    pub(super) fn free_bytes(&self) -> u64 {
        rustix::fs::fstatvfs(&self.fd).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Whether there is no room for even a few pages of the database.
    pub(super) fn is_full(&self) -> bool {
        self.free_bytes() < FEW_PAGES
    }

    /// Where the directory itself lies.
    pub(super) fn root(&self) -> &Path {
        &self.path
    }

    /// Where `name` lies, for SQLite and for messages.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The length of the file `name`, found safe; `None` if there is none.
    pub(super) fn inspect(&self, name: &str) -> Result<Option<u64>, OpenError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match file_flaw(&stat) {
                Some(flaw) => Err(OpenError::flawed(&self.path(name), flaw)),
                None => Ok(Some(u64::try_from(stat.st_size).unwrap_or(0))),
            },
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(OpenError::io("inspect", &self.path(name), errno)),
        }
    }

    /// Whether anything has that name, safe or not. A disk that does not say is no answer: what is
    /// taken for absent may be the newer database.
    pub(super) fn has(&self, name: &str) -> Result<bool, Errno> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// The same, where a store is opened.
    pub(super) fn is_there(&self, name: &str) -> Result<bool, OpenError> {
        self.has(name).map_err(|errno| OpenError::io("inspect", &self.path(name), errno))
    }

    /// Opens the file `name` with `flags`, and finds it safe. Created files get mode 0600.
    pub(super) fn open_file(&self, name: &str, flags: OFlags) -> Result<File, OpenError> {
        let path = self.path(name);
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(FILE_MODE))
            .map_err(|errno| match errno {
                Errno::LOOP => OpenError::flawed(&path, Flaw::Symlink),
                errno => OpenError::io("open", &path, errno),
            })?;
        let stat =
            rustix::fs::fstat(&fd).map_err(|errno| OpenError::io("inspect", &path, errno))?;
        match file_flaw(&stat) {
            Some(flaw) => Err(OpenError::flawed(&path, flaw)),
            None => Ok(File::from(fd)),
        }
    }

    /// Reads the file `name`, at most `limit` bytes and one more, by which a file that is
    /// too long shows itself. `None` if there is none.
    pub(super) fn read(
        &self,
        name: &str,
        limit: usize,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, OpenError> {
        if self.inspect(name)?.is_none() {
            return Ok(None);
        }
        let file = self.open_file(name, OFlags::RDONLY)?;
        read_capped(file, limit)
            .map(Some)
            .map_err(|errno| OpenError::io("read", &self.path(name), errno))
    }

    /// Copies the file `name`, durably, beside it, and tells the name of the copy. Never in the place of an
    /// earlier one: with too many of them this is [`Errno::EXIST`].
    pub(super) fn copy_aside(&self, name: &str) -> Result<String, OpenError> {
        let original = self.open_file(name, OFlags::RDONLY)?;
        self.copied(original, name).map_err(|errno| OpenError::io("copy", &self.path(name), errno))
    }

    fn copied(&self, mut original: File, name: &str) -> Result<String, Errno> {
        let unfinished = format!("{name}.copy");
        let mut file = self.create_empty(&unfinished)?;
        std::io::copy(&mut original, &mut file).map_err(|error| errno_of(&error))?;
        rustix::fs::fsync(&file)?;
        for number in 1..=COPIES {
            let copy = format!("{name}.damaged-{number}");
            match self.rename_to_new(&unfinished, &copy) {
                Err(Errno::EXIST) => {}
                renamed => return renamed.map(|()| copy),
            }
        }
        self.remove(&unfinished)?;
        Err(Errno::EXIST)
    }

    /// Creates the empty file `name` in the place of whatever had that name.
    pub(super) fn create_empty(&self, name: &str) -> Result<File, Errno> {
        self.remove(name)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(FILE_MODE)).map(File::from)
    }

    /// Creates the file `name` with `content`, durable and whole or not at all. Never
    /// replaces one: that is [`Errno::EXIST`].
    pub(super) fn create(&self, name: &str, content: &[u8]) -> Result<(), Errno> {
        let unfinished = self.unfinished(name, content)?;
        self.rename_to_new(&unfinished, name)
    }

    /// Gives the file `name` that content, durably. Whatever happens, it is the old one or the
    /// new one.
    pub(super) fn replace(&self, name: &str, content: &[u8]) -> Result<(), Errno> {
        let unfinished = self.unfinished(name, content)?;
        self.rename(&unfinished, name)
    }

    /// Writes what is to become the file `name`, durably, and tells its name until then.
    fn unfinished(&self, name: &str, content: &[u8]) -> Result<String, Errno> {
        let unfinished = format!("{name}.new");
        let mut file = self.create_empty(&unfinished)?;
        file.write_all(content).map_err(|error| errno_of(&error))?;
        rustix::fs::fsync(&file)?;
        Ok(unfinished)
    }

    /// Makes the content of the file `name` durable.
    pub(super) fn sync_file(&self, name: &str) -> Result<(), Errno> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::fsync(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?)
    }

    /// Gives the file `from` the name `to`, durably, in the place of whatever had it.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), Errno> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to)?;
        self.sync()
    }

    /// The same, where nothing has the name `to`; else that is [`Errno::EXIST`].
    fn rename_to_new(&self, from: &str, to: &str) -> Result<(), Errno> {
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        rustix::fs::renameat_with(&self.fd, from, &self.fd, to, flags)?;
        self.sync()
    }

    /// Removes the file `name`, if there is one. Durable only after [`sync`](Self::sync).
    pub(super) fn remove(&self, name: &str) -> Result<(), Errno> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Makes the names in the directory durable.
    pub(super) fn sync(&self) -> Result<(), Errno> {
        rustix::fs::fsync(&self.fd)
    }
}

/// Reads at most `limit` bytes and one more, into memory that is wiped.
pub(super) fn read_capped(file: File, limit: usize) -> Result<Zeroizing<Vec<u8>>, Errno> {
    // The whole capacity at once: a vector that grows leaves copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(limit + 1));
    let cap = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(cap).read_to_end(&mut content).map_err(|error| errno_of(&error))?;
    Ok(content)
}

const fn identity(stat: &Stat) -> Identity {
    Identity { device: stat.st_dev, inode: stat.st_ino }
}

fn trace(stat: &Stat) -> Trace {
    Trace {
        identity: identity(stat),
        length: u64::try_from(stat.st_size).unwrap_or(0),
        modified: (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
    }
}

/// Makes a directory, and those above it that are missing too (a fresh home has no
/// `~/.local/state`), each for its owner alone and durable in the one above.
fn create_directory(path: &Path) -> Result<(), Errno> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match rustix::fs::mkdir(path, Mode::from_raw_mode(DIRECTORY_MODE)) {
        Err(Errno::NOENT) if parent != Path::new(".") => {
            create_directory(parent)?;
            rustix::fs::mkdir(path, Mode::from_raw_mode(DIRECTORY_MODE))?;
        }
        made => made?,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::fsync(rustix::fs::open(parent, flags, Mode::empty())?)
}

fn file_flaw(stat: &Stat) -> Option<Flaw> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind == FileType::Symlink {
        return Some(Flaw::Symlink);
    }
    if kind != FileType::RegularFile {
        return Some(Flaw::NotAFile);
    }
    if let Some(flaw) = owner_flaw(stat).or_else(|| mode_flaw(stat, FILE_MODE)) {
        return Some(flaw);
    }
    (stat.st_nlink != 1).then_some(Flaw::Links)
}

fn owner_flaw(stat: &Stat) -> Option<Flaw> {
    let ours = rustix::process::geteuid().as_raw();
    (stat.st_uid != ours).then_some(Flaw::Owner { found: stat.st_uid, ours })
}

fn mode_flaw(stat: &Stat, wanted: u32) -> Option<Flaw> {
    let found = stat.st_mode & 0o7777;
    (found != wanted).then_some(Flaw::Mode { found, wanted })
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_directory_is_made_with_those_above_it_for_its_owner_alone() {
        let home = private_dir();
        let path = home.path().join("local/state/tokenkeeper");
        StateDir::open(&path).unwrap();
        for made in [path.as_path(), path.parent().unwrap()] {
            let mode = std::fs::metadata(made).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", made.display());
        }
    }

    #[test]
    fn what_the_disk_does_not_say_is_not_taken_for_absent() {
        let (at, dir) = state_dir();
        plant(&at.path().join("state.db"), 0o600);
        assert_eq!(dir.has("state.db"), Ok(true));
        assert_eq!(dir.has("state.db.fresh"), Ok(false));
        assert_eq!(dir.has("state.db/fresh"), Err(Errno::NOTDIR));
    }

    #[test]
    fn what_is_not_ours_alone_is_refused_with_its_flaw() {
        type Plant = fn(&Path);
        #[rustfmt::skip]
        let cases: &[(&str, Plant, &str)] = &[
            ("symbolic link", |at| symlink("elsewhere", at).unwrap(),                        "symbolic link"),
            ("directory",     |at| std::fs::create_dir(at).unwrap(),                         "not a plain file"),
            ("readable",      |at| plant(at, 0o640),                                         "0640"),
            ("hard link",     |at| { plant(at, 0o600); std::fs::hard_link(at, at.with_extension("2")).unwrap() }, "more than one name"),
        ];
        for (name, plant, word) in cases {
            let (at, dir) = state_dir();
            plant(&at.path().join("state.db"));
            let refused = dir.inspect("state.db").unwrap_err().to_string();
            assert!(refused.contains(word), "{name}: {refused}");
            let refused = dir.open_file("state.db", OFlags::RDONLY).map(drop);
            assert!(refused.is_err(), "{name}");
        }
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused_with_the_command_that_closes_it() {
        let (at, _dir) = state_dir();
        std::fs::set_permissions(at.path(), Permissions::from_mode(0o755)).unwrap();
        let refused = StateDir::open(at.path()).map(drop).unwrap_err().to_string();
        assert!(refused.contains("0755") && refused.contains("chmod 0700"), "{refused}");
    }

    #[test]
    fn a_symbolic_link_is_no_state_directory() {
        let (at, _dir) = state_dir();
        symlink(at.path(), at.path().join("link")).unwrap();
        let refused = StateDir::open(&at.path().join("link")).map(drop);
        assert!(matches!(refused, Err(OpenError::Unsafe { flaw: Flaw::NotADirectory, .. })));
    }

    #[test]
    fn a_missing_directory_is_created_for_us_alone() {
        let (at, _dir) = state_dir();
        let path = at.path().join("tokenkeeper");
        StateDir::open(&path).map(drop).unwrap();
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o700);
    }

    #[test]
    fn create_never_replaces_a_file() {
        let (_at, dir) = state_dir();
        dir.create("store.key", b"first").unwrap();
        assert_eq!(dir.create("store.key", b"second"), Err(Errno::EXIST));
        assert_eq!(dir.read("store.key", 100).unwrap().unwrap().as_slice(), b"first");
    }

    #[test]
    fn replace_leaves_the_new_content_and_nothing_beside_it() {
        let (at, dir) = state_dir();
        for content in [b"first", b"later"] {
            dir.replace("store.key", content).unwrap();
            assert_eq!(dir.read("store.key", 100).unwrap().unwrap().as_slice(), content);
        }
        assert_eq!(std::fs::read_dir(at.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_that_is_only_looked_for_is_not_made() {
        let (at, _dir) = state_dir();
        let path = at.path().join("absent");
        assert!(StateDir::open_existing(&path).unwrap().is_none());
        assert!(!path.exists());
    }

    #[test]
    fn a_file_beyond_its_limit_shows_itself_by_one_byte() {
        let (_at, dir) = state_dir();
        dir.create("long", &[7; 100]).unwrap();
        assert_eq!(dir.read("long", 10).unwrap().unwrap().len(), 11);
    }

    /// A temporary directory for the owner alone, whatever the umask, and opened.
    pub(in crate::store) fn state_dir() -> (TempDir, StateDir) {
        let at = private_dir();
        let dir = StateDir::open(at.path()).unwrap();
        (at, dir)
    }

    /// A temporary directory for the owner alone, whatever the umask.
    pub(in crate::store) fn private_dir() -> TempDir {
        let mode = Permissions::from_mode(DIRECTORY_MODE);
        tempfile::Builder::new().permissions(mode).tempdir().unwrap()
    }

    fn plant(at: &Path, mode: u32) {
        File::create(at).unwrap();
        std::fs::set_permissions(at, Permissions::from_mode(mode)).unwrap();
    }
}
