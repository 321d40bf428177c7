//! A database that is there already, and the write-ahead log beside it.
//!
//! The log is looked at before SQLite has it: it may belong to a database that is not there, and SQLite
//! would remove it; or it may be damaged, and SQLite would go on with an older state and say nothing.
//! What it is worth is judged in `wal`, and what comes of that is decided in `survey`.

use rusqlite::Connection;
use rustix::fs::OFlags;

use crate::record::StoreError;
use crate::store::connection;
use crate::store::open::Site;
use crate::store::refusal::Lack;
use crate::store::refusal::OpenError;
use crate::store::schema;
use crate::store::schema::Versions;
use crate::store::survey::Database;
use crate::store::survey::Way;
use crate::store::survey::way;
use crate::store::wal;
use crate::store::wal::Log;

/// A database that was found.
pub(super) struct Existing {
    /// The database.
    pub(super) conn: Connection,
    /// Its format.
    pub(super) versions: Versions,
    /// What is wrong with its log: a sentence for people.
    pub(super) flaw: Option<String>,
}

impl Site<'_> {
    /// The database, if there is one with a header. A start that was cut short before the
    /// header was durable left nothing worth keeping.
    pub(super) fn existing(&self) -> Result<Option<Existing>, OpenError> {
        let Self { dir, name, .. } = *self;
        let length = dir.inspect(name)?;
        let log = self.log()?;
        let database = match length {
            None | Some(0) => Database::Nothing,
            // SQLite removes a log that it cannot read when it lets go of the database.
            Some(_) if log == Log::Lost && self.is_bare()? => Database::Bare,
            Some(_) => Database::There,
        };
        let flaw = match way(database, log) {
            Way::Make => return Ok(None),
            Way::Refuse => {
                let lack = match length {
                    None => Lack::Missing,
                    Some(0) => Lack::Empty,
                    Some(_) => Lack::Bare,
                };
                let [database, log] = [name, &connection::log_name(name)].map(|it| dir.path(it));
                return Err(OpenError::LogAlone { database, log, lack });
            }
            Way::Open => None,
            Way::OpenOlder => {
                let copy = dir.copy_aside(&connection::log_name(name))?;
                flaw_of_log(log, Some(&copy))
            }
        };
        let conn = connection::connect(dir, name).map_err(|fault| self.refused(fault))?;
        if flaw.is_some() {
            // Or the damage would be found, and the log copied, at each start that follows.
            connection::checkpoint_and_empty(&conn).map_err(|fault| self.refused(fault))?;
        }
        match schema::versions(&conn).map_err(|error| self.refused(error))? {
            Some(versions) => Ok(Some(Existing { conn, versions, flaw })),
            None if schema::is_bare(&conn).map_err(|error| self.refused(error))? => Ok(None),
            None => {
                let why = "it is a database, and not one of tokenkeeper".to_owned();
                Err(self.refused(StoreError::Damaged(why)))
            }
        }
    }

    /// What the log is worth.
    pub(super) fn log(&self) -> Result<Log, OpenError> {
        let name = connection::log_name(self.name);
        if self.dir.inspect(&name)?.is_none() {
            return Ok(Log::Nothing);
        }
        let file = self.dir.open_file(&name, OFlags::RDONLY)?;
        wal::judge(file).map_err(|error| OpenError::Io {
            verb: "read",
            path: self.dir.path(&name),
            why: error.to_string(),
        })
    }

    fn is_bare(&self) -> Result<bool, OpenError> {
        let conn = connection::connect_without_log(self.dir, self.name);
        let bare = conn.and_then(|conn| Ok(schema::is_bare(&conn)?));
        bare.map_err(|fault| self.refused(fault))
    }
}

/// What is wrong with a log, as a sentence, and where a copy of it is.
pub(super) fn flaw_of_log(log: Log, copy: Option<&str>) -> Option<String> {
    let flaw = match log {
        Log::Nothing | Log::Sound => return None,
        Log::Broken => {
            "the write-ahead log is damaged: what was written behind that place is missing"
        }
        Log::Lost => "the write-ahead log cannot be read: what was written last is missing",
    };
    let kept = copy.map(|copy| format!("; a copy of it is kept as {copy}")).unwrap_or_default();
    Some(format!(
        "{flaw}, and refresh tokens that were replaced since then may be refused by their \
         providers{kept}"
    ))
}
