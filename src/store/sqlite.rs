//! The store on this host: one SQLite database, owned by one process.
//!
//! Reading order: [`Sqlite::open`] in `begin`, then [`TokenStore::write`] and the private
//! `Sqlite::mend`, which says what becomes of a disk that is full or fails; `keep` is about what
//! the disk did not take, `hold` about what people do to the files.
//!
//! # Invariants
//!
//! * A batch is one transaction: it is answered when it is durable, and none of it is
//!   there otherwise.
//! * Every transaction compares the owner's epoch. Whoever opens the store later has
//!   bumped it, so that a write of an owner who was thought dead is refused.
//! * After an I/O error the database file is not written again. Its live rows go to a
//!   fresh one; until that has been made, every write is refused.
//! * A disk that could not be written at the start is looked at again with every write.
//! * Every transaction begins with what an earlier process could not write.
//! * Before each batch and after its commit it is looked whether lock, key, database and log are where
//!   they were and as they were left: what is written into a file that nobody finds, or that nobody
//!   can open, is gone with the process. If not, they are put back, and only then is the batch
//!   answered. Whoever takes files away after that takes away what was durable.

use std::path::Path;
use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::TransactionBehavior;
use rusqlite::config::DbConfig;

use crate::name::AccountId;
use crate::record::Lease;
use crate::record::StoreError;
use crate::record::Write;
use crate::record::Written;
use crate::store::Change;
use crate::store::Exported;
use crate::store::Health;
use crate::store::Loaded;
use crate::store::Owners;
use crate::store::TokenStore;
use crate::store::ballast;
use crate::store::connection;
use crate::store::dir::StateDir;
use crate::store::key::KeySource;
use crate::store::keyfile::KeyFile;
use crate::store::lock::Lock;
use crate::store::read::Tables;
use crate::store::refusal::OpenError;
use crate::store::schema::Header;
use crate::store::seal::Sealer;
use crate::store::shelf::Shelved;
use crate::token::Secret;

use self::files::Files;

mod begin;
mod files;
mod hold;
mod keep;

/// Writes between two checkpoints: some 5 MB of log at 1 kB a token.
const CHECKPOINT_EVERY: usize = 256;

/// Where a store lies, and what it takes to open it.
pub struct Place {
    /// The database file. Its directory is the store's alone.
    pub database: PathBuf,
    /// `$CREDENTIALS_DIRECTORY`, where the service manager may have put the store key.
    pub credentials: Option<PathBuf>,
    /// The kernel's id of this boot: a moment of another boot means nothing now.
    pub boot_id: String,
}

/// An open store.
pub struct Sqlite {
    dir: StateDir,
    name: String,
    lock: Lock,
    header: Header,
    /// `None` only after a switch of files that stopped half-way.
    conn: Option<Connection>,
    /// Which files are written.
    files: Files,
    sealer: Sealer,
    boot_id: String,
    epoch: i64,
    key: KeySource,
    /// The file with the store key, if it is ours to keep.
    key_file: Option<KeyFile>,
    footing: Footing,
    /// What was wrong with the files at the start: sentences for people.
    flaws: Vec<String>,
    /// Whether the database was made at the start, although its key was there already.
    remade: bool,
    rewrites: u32,
    /// How often a file was put back that somebody had taken away or changed.
    meddled: u32,
    /// Writes since the last checkpoint.
    in_log: usize,
    /// What is not on disk, and where else it is.
    shelved: Shelved,
}

/// What may be done with the database file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Footing {
    /// Everything.
    Sound,
    /// Reading. An I/O error left it in doubt and a fresh one could not be made yet.
    Suspect,
    /// Reading. The disk was read-only when it was last looked at.
    ReadOnly,
    /// Reading. The disk was full at the start.
    Full,
}

/// What to do with a batch after its transaction failed.
enum Mended {
    /// Try the same batch again.
    Again,
    /// Try each change alone: one of them may be what failed.
    OneByOne,
    /// Nothing can be written.
    Refuse(StoreError),
}

type Answers = Vec<Result<Written, StoreError>>;

impl Sqlite {
    fn tables(&self) -> Result<Tables<'_>, StoreError> {
        let conn = self.conn.as_ref().ok_or_else(lost)?;
        let inherited = Some(self.shelved.inherited());
        Ok(Tables { conn, sealer: &self.sealer, boot_id: &self.boot_id, inherited })
    }

    fn write_all(&mut self, batch: &[Change]) -> Answers {
        let all = |fault: &StoreError| batch.iter().map(|_| Err(fault.clone())).collect();
        let able = match self.footing {
            Footing::Sound | Footing::Suspect => self.hold(),
            Footing::ReadOnly if self.dir.is_read_only() => Err(StoreError::ReadOnly),
            Footing::ReadOnly | Footing::Full => self.open_again(),
        };
        if let Err(fault) = able {
            return all(&fault);
        }
        let fault = match self.transact(batch) {
            Ok(answers) => return answers,
            Err(fault) => fault,
        };
        let next = match self.mend(fault) {
            Mended::Again => match self.transact(batch) {
                Ok(answers) => return answers,
                Err(fault @ StoreError::Io(_)) => {
                    self.footing = Footing::Suspect;
                    Mended::Refuse(fault)
                }
                Err(_) => Mended::OneByOne,
            },
            next @ (Mended::OneByOne | Mended::Refuse(_)) => next,
        };
        match next {
            Mended::Refuse(fault) => all(&fault),
            Mended::Again | Mended::OneByOne => self.write_one_by_one(batch),
        }
    }

    fn write_one_by_one(&mut self, batch: &[Change]) -> Answers {
        let mut answers = Answers::with_capacity(batch.len());
        for change in batch {
            let answer = match self.footing {
                Footing::Sound => self.transact(std::slice::from_ref(change)),
                Footing::Suspect | Footing::ReadOnly | Footing::Full => Err(lost()),
            };
            if matches!(answer, Err(StoreError::Io(_))) {
                self.footing = Footing::Suspect;
            }
            answers.push(answer.and_then(|mut one| one.pop().unwrap_or_else(|| Err(lost()))));
        }
        answers
    }

    /// Makes every change of the batch in one transaction, in files that are there when it is over.
    /// An error is one of all of them; only one of files that were taken away meanwhile, and could
    /// not be made anew, leaves the changes in what somebody may put back.
    fn transact(&mut self, batch: &[Change]) -> Result<Answers, StoreError> {
        let made = self.make(batch);
        self.files.logged(&self.dir, &self.name);
        let (answers, settled) = made?;
        self.hold_files()?;
        self.shelved.settled(&settled);
        Ok(answers)
    }

    /// The transaction itself. With the answers, the accounts of which something was written that an
    /// earlier process could not write.
    fn make(&mut self, batch: &[Change]) -> Result<(Answers, Vec<AccountId>), StoreError> {
        let conn = self.conn.as_mut().ok_or_else(lost)?;
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let epoch = transaction
            .prepare_cached("SELECT epoch FROM header")?
            .query_row([], |row| row.get::<_, i64>(0))?;
        if epoch != self.epoch {
            return Err(StoreError::Superseded);
        }
        let (sealer, boot_id) = (&self.sealer, &*self.boot_id);
        let tables = Tables { conn: &transaction, sealer, boot_id, inherited: None };
        let inherited = self.shelved.inherited();
        let settled = tables.settle(inherited.values())?;
        let mut answers = Answers::with_capacity(batch.len());
        for change in batch {
            let before = transaction.total_changes();
            let applied = if let Change::Account(Write::Settle { account }) = change
                && inherited.contains_key(account)
                && !settled.contains(account)
            {
                Err(StoreError::Damaged(format!("the rows of {account} cannot be read")))
            } else {
                tables.apply(change)
            };
            match applied {
                Err(refusal @ (StoreError::Missing | StoreError::Damaged(_)))
                    if transaction.total_changes() == before =>
                {
                    answers.push(Err(refusal));
                }
                answer => answers.push(Ok(answer?)),
            }
        }
        transaction.commit()?;
        Ok((answers, settled))
    }

    /// What can be done about a transaction that failed.
    fn mend(&mut self, fault: StoreError) -> Mended {
        match fault {
            StoreError::Full if ballast::give_up(&self.dir) => Mended::Again,
            StoreError::Io(_) => match self.rewrite() {
                Ok(()) => Mended::Again,
                Err(fault) => Mended::Refuse(fault),
            },
            StoreError::Full | StoreError::Damaged(_) | StoreError::Missing => Mended::OneByOne,
            StoreError::ReadOnly
            | StoreError::Superseded
            | StoreError::Held
            | StoreError::Closed
            | StoreError::Unsaved { .. } => Mended::Refuse(fault),
        }
    }

    /// Goes on in a fresh database with every live row of this one.
    fn rewrite(&mut self) -> Result<(), StoreError> {
        self.footing = Footing::Suspect;
        if !self.dir.is_in_place() {
            // Half of what follows goes by the path, and would meet another directory.
            return Err(hold::moved());
        }
        if let Some(conn) = &self.conn {
            let fresh = connection::fresh_name(&self.name);
            match connection::copy(conn, &self.dir, &fresh) {
                Err(StoreError::Full) if ballast::give_up(&self.dir) => {
                    connection::copy(conn, &self.dir, &fresh)?;
                }
                copied => copied?,
            }
            // The last act on the old file would be a checkpoint, on a disk that failed.
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        }
        self.conn = None;
        self.files = Files::default();
        connection::finish_switch(&self.dir, &self.name)?;
        self.conn = Some(connection::connect(&self.dir, &self.name)?);
        self.files = Files::of(&self.dir, &self.name);
        self.footing = Footing::Sound;
        self.rewrites = self.rewrites.saturating_add(1);
        self.in_log = 0;
        Ok(())
    }

    /// What is due after a batch: a checkpoint now and then, and ballast that was given up.
    fn tidy(&mut self, written: usize) {
        self.in_log += written;
        if self.footing != Footing::Sound {
            return;
        }
        if !ballast::is_kept(&self.dir) {
            ballast::restore(&self.dir);
        }
        if self.in_log < CHECKPOINT_EVERY {
            return;
        }
        self.in_log = 0;
        let done = self.conn.as_ref().map_or_else(|| Err(lost()), connection::checkpoint);
        self.files.checkpointed(&self.dir, &self.name);
        if matches!(done, Err(StoreError::Io(_))) && self.rewrite().is_err() {
            // What was written is safe in the log. The next write tries the rewrite again.
            self.footing = Footing::Suspect;
        }
    }

    /// The refresh token for an exchange that a crash could not make dangerous.
    fn lease_unwritten(&self, change: &Change, fault: StoreError) -> Result<Written, StoreError> {
        let Change::Account(Write::Intent { account, stake, spends: false, .. }) = change else {
            return Err(fault);
        };
        let unwritable =
            matches!(fault, StoreError::Full | StoreError::ReadOnly | StoreError::Io(_));
        match self.tables() {
            Ok(tables) if unwritable => {
                let lease = tables.lease(account, *stake)?;
                Ok(Written::Leased(Lease { durable: false, ..lease }))
            }
            _ => Err(fault),
        }
    }
}

impl TokenStore for Sqlite {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        let mut loaded = self.tables()?.load()?;
        loaded.damage.extend(self.flaws.iter().cloned());
        loaded.remade = self.remade;
        Ok(loaded)
    }

    fn write(&mut self, batch: Vec<Change>) -> Vec<Result<Written, StoreError>> {
        let answers = self.write_all(&batch);
        self.tidy(answers.iter().filter(|answer| answer.is_ok()).count());
        let answers = self.keep(&batch, answers);
        let answered = batch.iter().zip(answers);
        answered
            .map(|(change, answer)| answer.or_else(|fault| self.lease_unwritten(change, fault)))
            .collect()
    }

    fn released(&mut self, account: &AccountId) -> Result<Lease, StoreError> {
        self.tables()?.released(account)
    }

    fn secret(&mut self, slot: &str) -> Result<Option<Secret>, StoreError> {
        self.tables()?.secret(slot)
    }

    fn owners(&mut self) -> Result<Owners, StoreError> {
        self.tables()?.owners()
    }

    fn export(&mut self, accounts: &[AccountId]) -> Result<Exported, StoreError> {
        self.tables()?.export(accounts)
    }

    fn secret_names(&mut self) -> Result<Vec<String>, StoreError> {
        self.tables()?.secret_names()
    }

    fn health(&mut self) -> Health {
        let obstacles = self.obstacles();
        if self.footing == Footing::Sound {
            ballast::restore(&self.dir);
        }
        Health {
            key: self.key,
            writable: self.footing == Footing::Sound,
            read_only: self.footing == Footing::ReadOnly,
            reserve: ballast::reserve(&self.dir),
            rewrites: self.rewrites,
            meddled: self.meddled,
            obstacles,
        }
    }
}

/// The state directory and the name of the database in it.
pub(super) fn split(database: &Path) -> Result<(&Path, &str), OpenError> {
    let name = database.file_name().and_then(|name| name.to_str());
    match (database.parent(), name) {
        (Some(parent), Some(name)) if !parent.as_os_str().is_empty() => Ok((parent, name)),
        _ => Err(OpenError::Io {
            verb: "use",
            path: database.to_owned(),
            why: "it is not the path of a file in a directory".to_owned(),
        }),
    }
}

fn lost() -> StoreError {
    StoreError::Io("an earlier failure of the disk has not been overcome".to_owned())
}

#[cfg(test)]
mod tests;
