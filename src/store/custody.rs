//! A store in the hands of an administrator while no daemon has it: its key is looked at, and
//! changed.
//!
//! A store passes from one key to the next in one transaction, [`Custody::rekey`]: before it the
//! one opens everything and after it the other. What must hold around it is the caller's part: at
//! every moment, the key that the database names is durable in one of the places where the daemon
//! looks for it. Both keys lie there while the transaction runs.
//!
//! The data key changes with the store key. To wrap the old one anew would be one record and of no
//! use: who has the old store key and an old copy of the header has the data key.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::TransactionBehavior;

use crate::record::StoreError;
use crate::store::connection;
use crate::store::dir::StateDir;
use crate::store::existing::Existing;
use crate::store::key;
use crate::store::key::KEY_FILE;
use crate::store::key::Keys;
use crate::store::key::StoreKey;
use crate::store::lock::Lock;
use crate::store::open::Site;
use crate::store::refusal::OpenError;
use crate::store::reseal;
use crate::store::reseal::Tally;
use crate::store::schema::Header;
use crate::store::schema::STEPS;
use crate::store::seal::Sealer;
use crate::store::sqlite::split;

/// A state directory that is ours alone, until this goes.
pub struct Custody {
    dir: StateDir,
    name: String,
    _lock: Lock,
    opened: Option<(Connection, Header)>,
}

impl Custody {
    /// Takes the store at `database`, which must be of this user. `None` where there is not even
    /// a directory; nothing is made.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; [`OpenError::Held`] while a daemon has it.
    pub fn take(database: &Path) -> Result<Option<Self>, OpenError> {
        let (parent, name) = split(database)?;
        let Some(dir) = StateDir::open_existing(parent)? else { return Ok(None) };
        let lock = Lock::take(&dir)?;
        let site = site(&dir, name);
        site.settle()?;
        let opened = match site.existing()? {
            Some(Existing { mut conn, versions, .. }) => {
                let header = site.header(&conn, versions)?;
                site.bring_up_to_date(&mut conn, versions).map_err(|fault| site.refused(fault))?;
                Some((conn, header))
            }
            None => None,
        };
        Ok(Some(Self { name: name.to_owned(), _lock: lock, opened, dir }))
    }

    /// The id of the key that opens the database. `None` where there is none, or nothing in it.
    pub fn key_id(&self) -> Option<&str> {
        self.opened.as_ref().map(|(_, header)| header.key_id.as_str())
    }

    /// The accounts with an exchange of which the database has the intent and no end, by name.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub fn under_way(&self) -> Result<Vec<String>, OpenError> {
        let Some((conn, _)) = &self.opened else { return Ok(Vec::new()) };
        under_way(conn).map_err(|fault| site(&self.dir, &self.name).refused(fault))
    }

    /// What the key file holds, if there is one.
    ///
    /// # Errors
    ///
    /// If it is no key file of ours.
    pub fn key_file(&self) -> Result<Option<Keys>, OpenError> {
        key::of_file(&self.dir)
    }

    /// Gives the key file those keys, durably.
    ///
    /// # Errors
    ///
    /// If the disk refuses; then it is as it was.
    pub fn put_key_file(&self, keys: &Keys) -> Result<(), OpenError> {
        let text = keys.text();
        self.dir
            .replace(KEY_FILE, text.expose().as_bytes())
            .map_err(|errno| OpenError::io("write", &self.dir.path(KEY_FILE), errno))
    }

    /// Removes the key file, durably.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    pub fn remove_key_file(&self) -> Result<(), OpenError> {
        self.dir
            .remove(KEY_FILE)
            .and_then(|()| self.dir.sync())
            .map_err(|errno| OpenError::io("remove", &self.dir.path(KEY_FILE), errno))
    }

    /// Seals the whole store under `to` and a new data key, all or nothing, then opens it with
    /// `to` as the daemon will and reads every body. A store that is not there has nothing to seal.
    ///
    /// # Errors
    ///
    /// If `from` is not its key, or the disk refuses. The header says which key it has then.
    pub fn rekey(&mut self, from: &StoreKey, to: &StoreKey) -> Result<Tally, OpenError> {
        let site = site(&self.dir, &self.name);
        let Some((mut conn, header)) = self.opened.take() else { return Ok(Tally::default()) };
        let old = site.unseal(&header, from)?;
        let sealed = pass(&mut conn, &header, &old, to).map_err(|fault| site.refused(fault))?;
        drop(conn);

        let Some(Existing { conn, versions, .. }) = site.existing()? else {
            return Err(site.refused(StoreError::Missing));
        };
        let header = site.header(&conn, versions)?;
        let new = site.unseal(&header, to)?;
        let found = reseal::count(&conn, &new).map_err(|fault| site.refused(fault))?;
        self.opened = Some((conn, header));
        if found == sealed {
            Ok(found)
        } else {
            let why = format!(
                "of {} sealed values that were written, {} open",
                sealed.sound, found.sound
            );
            Err(site.refused(StoreError::Damaged(why)))
        }
    }
}

/// Whether there is a key file beside `database`, be the store in use or not.
///
/// # Errors
///
/// If the state directory or the file is not safe to use.
pub fn has_key_file(database: &Path) -> Result<bool, OpenError> {
    let (parent, _) = split(database)?;
    match StateDir::open_existing(parent)? {
        Some(dir) => Ok(dir.inspect(KEY_FILE)?.is_some()),
        None => Ok(false),
    }
}

const fn site<'a>(dir: &'a StateDir, name: &'a str) -> Site<'a> {
    Site { dir, name, credentials: None, steps: STEPS }
}

fn under_way(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT DISTINCT account.name FROM intent JOIN account ON account.id = intent.account
               ORDER BY account.name";
    conn.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// The transaction.
fn pass(
    conn: &mut Connection,
    header: &Header,
    old: &Sealer,
    to: &StoreKey,
) -> Result<Tally, StoreError> {
    let (new, wrapped) = Sealer::create(header.store, to.bytes());
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tally = reseal::reseal(&transaction, old, &new)?;
    transaction.execute(
        "UPDATE header SET epoch = epoch + 1, key_id = ?, wrapped = ?, commitment = ?",
        (to.id(), &wrapped.sealed, wrapped.commitment),
    )?;
    transaction.commit()?;
    connection::checkpoint_and_empty(conn)?;
    Ok(tally)
}
