//! Why a store cannot be opened, with the way back in the message.
//!
//! Opening is the one moment at which a person is likely to read: each message says what
//! is wrong, where, and what to type. None ever suggests to throw the state away without
//! saying what that costs, and none carries a secret.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;

use rustix::io::Errno;

/// Why the store was not opened.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    /// A file or directory that others could have planted or changed.
    #[error("{} is not safe to use: {flaw}", .path.display())]
    Unsafe {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// Another process owns the store.
    #[error(
        "the store in {} is in use by {}: stop that one first, or give this one another `state`",
        .dir.display(),
        .pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Held {
        /// The state directory.
        dir: PathBuf,
        /// Who holds it, as far as is known.
        pid: Option<u32>,
    },
    /// There is a database and no key to open it with.
    #[error(
        "{} is sealed and its store key is missing: neither the credential {} nor {} is there. \
         Put the key back from its backup or its recovery copy (tokenkeeperd(8), \"The store key\"), \
         or have systemd pass the credential again. Only if the key is lost for good: move the \
         database away, start again, and log in to every account anew",
        .database.display(),
        crate::store::key::CREDENTIAL,
        .key_file.display()
    )]
    KeyMissing {
        /// The database.
        database: PathBuf,
        /// Where its key file would be.
        key_file: PathBuf,
    },
    /// What should be a store key is none.
    #[error(
        "{} is no store key: expected 32 raw bytes, or 64 hex digits on a line (two lines while \
         a rekey is under way), found {found}. Restore it from its backup",
        .path.display()
    )]
    KeyMalformed {
        /// The file.
        path: PathBuf,
        /// What is in it, without its content.
        found: &'static str,
    },
    /// The key is not this store's.
    #[error(
        "{} was sealed with store key {wanted}, and {} holds key {found}: put key {wanted} back, \
         from its backup or its recovery copy (tokenkeeperd(8), \"The store key\")",
        .database.display(),
        .path.display()
    )]
    KeyWrong {
        /// The database.
        database: PathBuf,
        /// The file that holds the other key.
        path: PathBuf,
        /// Id of the key that is needed.
        wanted: String,
        /// Id of the key that was found.
        found: String,
    },
    /// A newer version has written the store, in a way that this one cannot follow.
    #[error(
        "{} has format {found}, which needs a version that reads format {min_reader}; this one \
         reads up to {ours}. Install the newer version again, or stop it and put back the copy \
         that it made before its first write: {}",
        .database.display(),
        .copy.display()
    )]
    NewerFormat {
        /// The database.
        database: PathBuf,
        /// Format it has.
        found: u32,
        /// Oldest reader that understands it.
        min_reader: u32,
        /// Newest format that this version reads.
        ours: u32,
        /// Where the newer version put a copy in this version's format.
        copy: PathBuf,
    },
    /// A write-ahead log with something in it, and no database to which that could belong.
    #[error(
        "{} {lack}, and its log {} is not empty: what was written last is in there, and a new \
         database would be its end. Nothing was touched. Put the database back where it was, or \
         both files out of one copy of the directory. Only if they are gone for good: move the \
         log away, start again, and take the accounts over from a backup (tokenctl restore) or log \
         in to every one anew",
        .database.display(),
        .log.display()
    )]
    LogAlone {
        /// The database.
        database: PathBuf,
        /// Its log.
        log: PathBuf,
        /// What is wrong with the database.
        lack: Lack,
    },
    /// What is there is no database of ours, or too broken to be read at all.
    #[error(
        "{} cannot be read: {why}. Move it away, together with its log {}-wal if that is there, \
         start again, and take the accounts over from a backup (tokenctl restore) or log in to \
         every one anew",
        .path.display(),
        .path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The disk refuses.
    #[error("cannot {verb} {}: {why}", .path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// With what.
        path: PathBuf,
        /// What came of it.
        why: String,
    },
}

impl OpenError {
    /// Exit status of the daemon, after sysexits.h: 75 where it passes when the other
    /// process ends, 74 where the disk refuses, 78 where an administrator has to act.
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::Held { .. } => 75,
            Self::Io { .. } => 74,
            Self::Unsafe { .. }
            | Self::KeyMissing { .. }
            | Self::KeyMalformed { .. }
            | Self::KeyWrong { .. }
            | Self::NewerFormat { .. }
            | Self::LogAlone { .. }
            | Self::Damaged { .. } => 78,
        }
    }

    pub(super) fn flawed(path: &Path, flaw: Flaw) -> Self {
        Self::Unsafe { path: path.to_owned(), flaw }
    }

    pub(super) fn io(verb: &'static str, path: &Path, errno: Errno) -> Self {
        Self::Io { verb, path: path.to_owned(), why: errno.to_string() }
    }
}

/// Why a database is not the one that a log belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lack {
    /// There is no such file.
    Missing,
    /// The file is empty.
    Empty,
    /// Everything was in the log, which is damaged.
    Bare,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Empty => "is empty",
            Self::Bare => "holds nothing without its log, which cannot be read",
        })
    }
}

/// What makes a file unsafe to use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flaw {
    /// It is a symbolic link.
    Symlink,
    /// It is a directory, a device or the like.
    NotAFile,
    /// It is no directory.
    NotADirectory,
    /// Somebody else owns it.
    Owner {
        /// Uid of the owner.
        found: u32,
        /// Uid of this process.
        ours: u32,
    },
    /// Others may use it.
    Mode {
        /// Its permission bits.
        found: u32,
        /// The permission bits that it must have.
        wanted: u32,
    },
    /// It has another name, through which others may reach it.
    Links,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symlink => f.write_str("it is a symbolic link; put the file itself there"),
            Self::NotAFile => f.write_str("it is not a plain file; move it away"),
            Self::NotADirectory => {
                f.write_str("it is not a directory, or a symbolic link to one; name the real one")
            }
            Self::Owner { found, ours } => write!(
                f,
                "it belongs to user {found} and this process is user {ours}; find out why, then \
                 `chown {ours}` it"
            ),
            Self::Mode { found, wanted } => write!(
                f,
                "its mode is {found:04o}, so that others may have read or changed it; find out \
                 why, then `chmod {wanted:04o}` it"
            ),
            Self::Links => {
                f.write_str("it has more than one name; remove the other hard link to it")
            }
        }
    }
}
