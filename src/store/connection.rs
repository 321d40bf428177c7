//! How a database file is opened, copied and switched.
//!
//! # Invariants
//!
//! * A transaction that was answered is on the disk: WAL with `synchronous=FULL` syncs
//!   each commit.
//! * Checkpoints are ours ([`checkpoint`]): SQLite's own run inside a commit and swallow
//!   their errors, and after a failed `fsync(2)` the kernel takes the lost pages for
//!   clean, so that the next one would seem to succeed (Rebello et al., ATC'20).
//! * A copy gets its name when it is whole and durable. From the moment the fresh
//!   database has its name ([`fresh_name`]) it is the store, whatever else is there:
//!   [`finish_switch`] carries on from any crash.

use rusqlite::Connection;
use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;
use rustix::io::Errno;

use crate::record::StoreError;
use crate::store::dir::StateDir;

/// Statements kept prepared: all that the store has.
const STATEMENTS: usize = 64;

/// Settings that make every commit durable and leave nothing readable behind. The page
/// cache is small (KiB, negative by SQLite's convention): bodies are read once at start,
/// and then one account at a time.
const SETTINGS: &str = "
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 0;
PRAGMA foreign_keys = ON;
PRAGMA secure_delete = ON;
PRAGMA cell_size_check = ON;
PRAGMA trusted_schema = OFF;
PRAGMA temp_store = MEMORY;
PRAGMA mmap_size = 0;
PRAGMA cache_size = -512;
";

/// Settings for reading alone. The wal-index goes to the heap, since no file can be made.
const READ_ONLY_SETTINGS: &str = "
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA query_only = ON;
PRAGMA cell_size_check = ON;
PRAGMA trusted_schema = OFF;
PRAGMA temp_store = MEMORY;
PRAGMA mmap_size = 0;
PRAGMA cache_size = -512;
";

/// Opens the database `name`, which is there, for reading and writing.
pub(super) fn connect(dir: &StateDir, name: &str) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(dir.path(name), flags)?;
    conn.busy_timeout(std::time::Duration::ZERO)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.execute_batch(SETTINGS)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

/// Opens the database `name` on a disk that cannot be written.
///
/// What a crash left in the write-ahead log is read along. SQLite's locks need a file
/// that can be written, so they are left out (`unix-none`, since `nolock` would leave the
/// log out as well): nobody can write, and the lock beside the database keeps other
/// processes of ours away.
pub(super) fn connect_read_only(dir: &StateDir, name: &str) -> Result<Connection, StoreError> {
    let log = dir.inspect(&log_name(name))?.unwrap_or(0);
    connect_to_read(dir, name, if log > 0 { "vfs=unix-none" } else { "immutable=1" })
}

/// The database `name` as it is without its log, of which nothing is touched.
pub(super) fn connect_without_log(dir: &StateDir, name: &str) -> Result<Connection, StoreError> {
    connect_to_read(dir, name, "immutable=1")
}

fn connect_to_read(dir: &StateDir, name: &str, how: &str) -> Result<Connection, StoreError> {
    let path = dir.path(name);
    let path = path.to_str().ok_or_else(|| StoreError::Io("its path is not UTF-8".to_owned()))?;
    let escaped = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");

    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let conn = Connection::open_with_flags(format!("file:{escaped}?mode=ro&{how}"), flags)?;
    conn.execute_batch(READ_ONLY_SETTINGS)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

/// Moves what the write-ahead log holds into the database, and syncs both, so that the
/// log is used again from its beginning. It keeps its size: its room is paid for.
pub(super) fn checkpoint(conn: &Connection) -> Result<(), StoreError> {
    Ok(conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
}

/// The same, and empties the log: what rows held before is not left in it.
pub(super) fn checkpoint_and_empty(conn: &Connection) -> Result<(), StoreError> {
    Ok(conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
}

/// What SQLite finds wrong with the database's structure, at most a few words on one line.
pub(super) fn flaws(conn: &Connection) -> Option<String> {
    let verdict = match conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)) {
        Ok(verdict) => verdict,
        Err(error) => error.to_string(),
    };
    // Above each finding SQLite names the database, which is the only one.
    let findings = verdict.lines().filter(|line| !line.starts_with("***"));
    (verdict != "ok").then(|| findings.collect::<Vec<_>>().join("; "))
}

/// Writes every live row into the new database `name`, durable when this returns.
pub(super) fn copy(conn: &Connection, dir: &StateDir, name: &str) -> Result<(), StoreError> {
    let unfinished = format!("{name}.new");
    let copied = copy_unnamed(conn, dir, &unfinished)
        .and_then(|()| dir.rename(&unfinished, name).map_err(StoreError::from));
    if copied.is_err() {
        // Half a copy only takes room; the next copy begins by removing it.
        let _gone = dir.remove(&unfinished);
    }
    copied
}

/// Makes the fresh database, if one was finished, the store. Does nothing if there is none.
///
/// The old log goes first: beside the fresh database it would be taken for its own.
pub(super) fn finish_switch(dir: &StateDir, name: &str) -> Result<(), Errno> {
    let fresh = fresh_name(name);
    if !dir.has(&fresh)? {
        return Ok(());
    }
    dir.remove(&log_name(name))?;
    dir.remove(&format!("{name}-journal"))?;
    dir.sync()?;
    dir.rename(&fresh, name)
}

/// What a fresh database is called until it takes the old one's place.
pub(super) fn fresh_name(name: &str) -> String {
    format!("{name}.fresh")
}

/// What the copy is called that is taken before a database of `format` is changed.
pub(super) fn snapshot_name(name: &str, format: u32) -> String {
    format!("{name}.format-{format}")
}

/// What SQLite calls the write-ahead log.
pub(super) fn log_name(name: &str) -> String {
    format!("{name}-wal")
}

fn copy_unnamed(conn: &Connection, dir: &StateDir, name: &str) -> Result<(), StoreError> {
    // SQLite would create it with the umask's mode; an empty file it takes as it is.
    dir.create_empty(name)?;
    let path = dir.path(name);
    let path = path.to_str().ok_or_else(|| StoreError::Io("its path is not UTF-8".to_owned()))?;
    conn.execute("VACUUM INTO ?", [path])?;
    dir.sync_file(name)?;
    Ok(())
}
