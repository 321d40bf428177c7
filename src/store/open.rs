//! From a directory to an open database: what is found there decides what is made.
//!
//! | database | key | what happens |
//! |---|---|---|
//! | none, or nothing in it yet | none | the key is made and durable, then the database |
//! | none, or nothing in it yet | there | the database is made, which is told: there may have been one |
//! | there | none | refused: a new key would open nothing |
//! | there | others only | refused |
//! | there, of a newer format | any | refused, unless that format allows older readers |
//! | there, of an older format | its own | copied, then brought up to date |
//!
//! Before any of that the write-ahead log has its say, in `existing`.

use std::path::Path;

use rusqlite::Connection;

use crate::random;
use crate::record::StoreError;
use crate::store::connection;
use crate::store::dir::StateDir;
use crate::store::existing::Existing;
use crate::store::existing::flaw_of_log;
use crate::store::key::Found;
use crate::store::key::KEY_FILE;
use crate::store::key::KeySource;
use crate::store::key::Match;
use crate::store::key::StoreKey;
use crate::store::keyfile::KeyFile;
use crate::store::lock::Lock;
use crate::store::refusal::OpenError;
use crate::store::schema;
use crate::store::schema::Header;
use crate::store::schema::Step;
use crate::store::schema::Versions;
use crate::store::seal::Sealer;

/// What is to be opened.
pub(super) struct Site<'a> {
    /// The state directory.
    pub(super) dir: &'a StateDir,
    /// The database in it.
    pub(super) name: &'a str,
    /// Where credentials are passed.
    pub(super) credentials: Option<&'a Path>,
    /// The way from nothing to the format of this version.
    pub(super) steps: &'a [Step],
}

/// What was opened.
pub(super) struct Opened {
    /// Keeps others out.
    pub(super) lock: Lock,
    /// The database.
    pub(super) conn: Connection,
    /// The data key at work.
    pub(super) sealer: Sealer,
    /// Where the store key came from.
    pub(super) key: KeySource,
    /// The key file, if it came from there.
    pub(super) key_file: Option<KeyFile>,
    /// The owner's epoch, which every write compares.
    pub(super) epoch: i64,
    /// What stands in the header.
    pub(super) header: Header,
    /// What is wrong with the files: sentences for people.
    pub(super) flaws: Vec<String>,
    /// Whether it was made, although its store key was there already.
    pub(super) remade: bool,
}

impl Site<'_> {
    /// Opens the database for reading and writing, and makes it where there is none.
    pub(super) fn open(&self) -> Result<Opened, OpenError> {
        let Self { dir, .. } = *self;
        let lock = Lock::take(dir)?;
        self.settle()?;

        let (conn, header, found, flaws, remade) = match self.existing()? {
            Some(Existing { mut conn, versions, flaw }) => {
                let (header, found) = self.identify(&conn, versions)?;
                let flaws = flaw.into_iter().chain(structure(&conn)).collect();
                self.bring_up_to_date(&mut conn, versions).map_err(|fault| self.refused(fault))?;
                (conn, header, found, flaws, false)
            }
            None => {
                let found = Found::first(dir, self.credentials)?;
                let remade = found.is_some();
                let found = found.map_or_else(|| Found::create(dir), Ok)?;
                let (conn, header) =
                    self.create(&found.key).map_err(|fault| self.refused(fault))?;
                (conn, header, found, Vec::new(), remade)
            }
        };
        let sealer = self.unseal(&header, &found.key)?;
        let epoch = claim(&conn).map_err(|fault| self.refused(fault))?;
        let Found { key, source, .. } = found;
        let key_file = (source == KeySource::File).then(|| KeyFile::of(dir, &sealer, &key));
        Ok(Opened { lock, conn, sealer, key: source, key_file, epoch, header, flaws, remade })
    }

    /// Opens the database of a disk that cannot be written. It must be there already.
    pub(super) fn open_read_only(&self) -> Result<Opened, OpenError> {
        let Self { dir, name, .. } = *self;
        let lock = Lock::take_read_only(dir)?;
        // A switch that stopped half-way cannot be finished here; its result can be read.
        let fresh = connection::fresh_name(name);
        let name = if dir.is_there(&fresh)? { fresh.as_str() } else { name };
        if dir.inspect(name)?.is_none() {
            return Err(self.refused(StoreError::ReadOnly));
        }
        // It stays as it is, so there is no need of a copy.
        let log = flaw_of_log(self.log()?, None);
        let conn = connection::connect_read_only(dir, name).map_err(|fault| self.refused(fault))?;
        let versions = schema::versions(&conn)
            .map_err(|error| self.refused(error))?
            .ok_or_else(|| self.refused(StoreError::ReadOnly))?;
        let (header, found) = self.identify(&conn, versions)?;
        let flaws = log.into_iter().chain(structure(&conn)).collect();
        let sealer = self.unseal(&header, &found.key)?;
        let Found { key, source, .. } = found;
        let key_file = (source == KeySource::File).then(|| KeyFile::of(dir, &sealer, &key));
        let remade = false;
        Ok(Opened { lock, conn, sealer, key: source, key_file, epoch: 0, header, flaws, remade })
    }

    /// Opens for writing what [`open_read_only`](Self::open_read_only) opened, now that the disk
    /// may be written; with the owner's epoch. It has to be the same database: `known` is its
    /// header.
    pub(super) fn open_again(&self, known: &Header) -> Result<(Connection, i64), OpenError> {
        self.settle()?;
        let Some(Existing { mut conn, versions, .. }) = self.existing()? else {
            return Err(self.refused(StoreError::Missing));
        };
        let header = self.header(&conn, versions)?;
        if header != *known {
            let why = "another one has taken its place".to_owned();
            return Err(self.refused(StoreError::Io(why)));
        }
        self.bring_up_to_date(&mut conn, versions).map_err(|fault| self.refused(fault))?;
        let epoch = claim(&conn).map_err(|fault| self.refused(fault))?;
        Ok((conn, epoch))
    }

    /// Ends what a crash left half-way. Wants the lock.
    pub(super) fn settle(&self) -> Result<(), OpenError> {
        connection::finish_switch(self.dir, self.name).map_err(|errno| self.refused(errno))
    }

    /// The header of the database, if this version can use it.
    pub(super) fn header(
        &self,
        conn: &Connection,
        versions: Versions,
    ) -> Result<Header, OpenError> {
        let ours = schema::newest(self.steps);
        if versions.min_reader > ours {
            return Err(OpenError::NewerFormat {
                database: self.dir.path(self.name),
                found: versions.format,
                min_reader: versions.min_reader,
                ours,
                copy: self.dir.path(&connection::snapshot_name(self.name, ours)),
            });
        }
        schema::header(conn).map_err(|error| self.refused(error))
    }

    /// The header, and the key that belongs to it.
    fn identify(
        &self,
        conn: &Connection,
        versions: Versions,
    ) -> Result<(Header, Found), OpenError> {
        let database = self.dir.path(self.name);
        let header = self.header(conn, versions)?;
        match Found::of_id(&header.key_id, self.dir, self.credentials)? {
            Match::Right(found) => Ok((header, found)),
            Match::Wrong(other) => Err(OpenError::KeyWrong {
                database,
                path: other.path,
                wanted: header.key_id,
                found: other.key.id(),
            }),
            Match::Missing => {
                Err(OpenError::KeyMissing { database, key_file: self.dir.path(KEY_FILE) })
            }
        }
    }

    fn create(&self, key: &StoreKey) -> Result<(Connection, Header), StoreError> {
        let mut store = [0; 16];
        random::fill(&mut store);
        let (_, wrapped) = Sealer::create(store, key.bytes());
        let header = Header { store, key_id: key.id(), wrapped };

        self.dir.remove(&connection::log_name(self.name))?;
        self.dir.create_empty(self.name)?;
        self.dir.sync()?;
        let mut conn = connection::connect(self.dir, self.name)?;
        schema::create(&mut conn, self.steps, &header)?;
        self.dir.sync()?;
        Ok((conn, header))
    }

    /// Takes the steps that are missing, after a copy for the way back.
    pub(super) fn bring_up_to_date(
        &self,
        conn: &mut Connection,
        versions: Versions,
    ) -> Result<(), StoreError> {
        if versions.format >= schema::newest(self.steps) {
            return Ok(());
        }
        let copy = connection::snapshot_name(self.name, versions.format);
        connection::copy(conn, self.dir, &copy)?;
        Ok(schema::upgrade(conn, versions.format, self.steps)?)
    }

    /// The data key at work, if `key` is the one of the header.
    pub(super) fn unseal(&self, header: &Header, key: &StoreKey) -> Result<Sealer, OpenError> {
        Sealer::unwrap(header.store, key.bytes(), &header.wrapped).map_err(|_| {
            let why = "its header does not open under its own store key".to_owned();
            OpenError::Damaged { path: self.dir.path(self.name), why }
        })
    }

    /// A fault of the database, in the words of a refusal.
    pub(super) fn refused(&self, fault: impl Into<StoreError>) -> OpenError {
        let path = self.dir.path(self.name);
        match fault.into() {
            StoreError::Damaged(why) => OpenError::Damaged { path, why },
            StoreError::Held => OpenError::Held { dir: self.dir.root().to_owned(), pid: None },
            fault @ (StoreError::Full
            | StoreError::ReadOnly
            | StoreError::Io(_)
            | StoreError::Missing
            | StoreError::Superseded
            | StoreError::Closed
            | StoreError::Unsaved { .. }) => {
                OpenError::Io { verb: "open", path, why: fault.to_string() }
            }
        }
    }
}

/// What SQLite finds wrong with the database, as a sentence.
fn structure(conn: &Connection) -> Option<String> {
    connection::flaws(conn).map(|flaw| format!("the structure of the database is damaged: {flaw}"))
}

/// Makes this process the owner, as its writes must prove.
fn claim(conn: &Connection) -> rusqlite::Result<i64> {
    // With RETURNING the epoch would come before the commit, whose failure nobody would see.
    conn.execute("UPDATE header SET epoch = epoch + 1", [])?;
    conn.query_row("SELECT epoch FROM header", [], |row| row.get(0))
}
