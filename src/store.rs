//! Where credentials rest: what was granted, what is under way, what was said of it.
//!
//! [`TokenStore`] is the contract, synchronous and small; [`sqlite`] keeps it on this
//! host. [`Store`] is what async callers hold: it sends each call to the one thread that
//! owns the store and gives the answer back when it is durable.
//!
//! # Reading order
//!
//! 1. this file: the contract, and the thread with its group commit;
//! 2. [`sqlite`]: a batch as a transaction, and what becomes of faults; `open` before it
//!    says what is made of what is found, `existing` what the log has to do with it;
//! 3. `next`, `write`, `read` and `export`: rows; `schema`: tables and versions;
//! 4. `seal` and `body`: what a row's body is; [`key`]: the key to it;
//! 5. `dir`, `lock`, `keyfile`, `ballast`, `connection`: files, and how each step survives a crash;
//! 6. [`shelf`], `unsaved` and `inherited`: where what the disk does not take survives the process;
//! 7. [`custody`] and [`reseal`]: how a store passes to another key while no daemon has it.
//!
//! # Invariants
//!
//! * One owner. The lock keeps a second process out; the epoch refuses the writes of one
//!   that was thought dead.
//! * A write is answered after it is durable, and in the order in which it was asked for.
//! * Refresh tokens and secrets leave sealed to the disk and the shelf, and otherwise only through
//!   [`Written::Leased`], [`Store::secret`], for a backup [`Store::export`], and of an account
//!   that is given up [`Store::released`].
//! * Nothing is lost silently: what cannot be read is told in [`Loaded::damage`].

use std::io;
use std::thread;

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::backup::Kept;
use crate::name::AccountId;
use crate::record::Lease;
use crate::record::Record;
use crate::record::StoreError;
use crate::record::Write;
use crate::record::Written;
use crate::residue;
use crate::time::Timestamp;
use crate::token::Secret;

pub mod ballast;
pub mod body;
mod connection;
pub mod custody;
mod dir;
mod existing;
mod export;
mod fault;
mod inherited;
pub mod key;
mod keyfile;
mod lock;
mod next;
mod open;
mod read;
pub mod refusal;
pub mod reseal;
mod schema;
mod seal;
pub mod shelf;
pub mod sqlite;
mod survey;
mod unsaved;
#[cfg(test)]
pub(crate) mod values;
mod wal;
mod write;

/// A store of one owner. Calls block until they are durable, so they are made on a thread
/// of their own.
///
/// Whoever opens a store claims it with a new epoch; every write compares it, and answers
/// [`StoreError::Superseded`] when somebody else has claimed the store since.
pub trait TokenStore: Send {
    /// Reads every account that the store knows, configured or not.
    ///
    /// # Errors
    ///
    /// If nothing can be read. Damage of single accounts is in [`Loaded::damage`] instead.
    fn load(&mut self) -> Result<Loaded, StoreError>;

    /// Makes changes durable together, and answers each in its place. One that fails
    /// takes no other with it.
    ///
    /// After [`StoreError::Io`] nothing is lost and nothing more is written until a fresh
    /// database could be made, which each further write tries: the caller decides how long
    /// to pause between them.
    fn write(&mut self, batch: Vec<Change>) -> Vec<Result<Written, StoreError>>;

    /// Reads the refresh token of an account whose durable standing says that it is released.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if it is not; and if it cannot be read.
    fn released(&mut self, account: &AccountId) -> Result<Lease, StoreError>;

    /// Reads one account secret.
    ///
    /// # Errors
    ///
    /// If it cannot be read or does not open.
    fn secret(&mut self, slot: &str) -> Result<Option<Secret>, StoreError>;

    /// The accounts of which there is anything that a backup could keep.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    fn owners(&mut self) -> Result<Owners, StoreError>;

    /// Reads everything that a backup keeps of these accounts, refresh tokens and secrets
    /// included. One that is not there any more is left out.
    ///
    /// # Errors
    ///
    /// If nothing can be read. Damage of single accounts is in [`Exported::damage`] instead.
    fn export(&mut self, accounts: &[AccountId]) -> Result<Exported, StoreError>;

    /// The slots that hold an account secret, sorted.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    fn secret_names(&mut self) -> Result<Vec<String>, StoreError>;

    /// How the store stands, as of its last write.
    /// It looks after its files first: what somebody took away is put back where that can be done.
    fn health(&mut self) -> Health;
}

/// One change to make durable. Each is atomic.
pub enum Change {
    /// To an account's credential.
    Account(Write),
    /// Seals an account secret into its slot, in the place of an earlier one.
    PutSecret {
        /// The slot, such as `mail.client_secret`.
        slot: String,
        /// The secret.
        secret: Secret,
    },
    /// Forgets an account secret.
    ForgetSecret {
        /// The slot.
        slot: String,
    },
    /// Forgets all of an account: credential, history, orphans and secrets.
    Purge {
        /// Which.
        account: AccountId,
    },
}

/// What a store holds.
#[derive(Default)]
pub struct Loaded {
    /// Every account, also those that the configuration no longer names.
    pub records: Vec<Record>,
    /// Grants that were kept aside for the operator.
    pub orphans: Vec<Orphan>,
    /// What could not be read, and what stands in for it: sentences for the journal.
    pub damage: Vec<String>,
    /// Those of the records of which there may be a credential that cannot be read.
    pub unreadable: Vec<AccountId>,
    /// Whether there may be more accounts than these, which cannot be read.
    pub partial: bool,
    /// Whether the store was made at this start, although a store key was there already: then there
    /// may have been another one.
    pub remade: bool,
}

/// Whose credentials and secrets a store has.
#[derive(Default)]
pub struct Owners {
    /// Their names, sorted.
    pub accounts: Vec<AccountId>,
    /// What could not be read: sentences for people.
    pub damage: Vec<String>,
}

/// What a backup keeps of a store.
#[derive(Default)]
pub struct Exported {
    /// Every account of which there is a credential or a secret, by name. What their
    /// provider does with spent refresh tokens is not the store's to know.
    pub accounts: Vec<Kept>,
    /// What could not be read: sentences for people.
    pub damage: Vec<String>,
}

/// A grant that was kept aside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Orphan {
    /// Name of the account whose exchange brought it.
    pub account: String,
    /// When.
    pub at: Timestamp,
}

/// How a store stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Health {
    /// Where the store key comes from; a key file is a security finding.
    pub key: key::KeySource,
    /// Whether the last write found the disk writable.
    pub writable: bool,
    /// Whether that was because the file system is mounted read-only, where no space helps.
    pub read_only: bool,
    /// Whether there is room in reserve for a full disk.
    pub reserve: ballast::Reserve,
    /// How often it went on in a fresh file, since it was opened: after an I/O error, or because
    /// somebody had meddled with the old one.
    pub rewrites: u32,
    /// How often it put a file back that somebody had taken away or changed, since it was opened.
    pub meddled: u32,
    /// What would keep the next daemon from starting on it, or this one from writing to it:
    /// sentences for people.
    pub obstacles: Vec<String>,
}

/// What async callers hold of the store.
///
/// A call that is dropped half-way is carried out all the same.
#[derive(Clone)]
pub struct Store {
    requests: mpsc::Sender<Request>,
}

impl Store {
    /// Requests that may wait before a caller has to. Beyond 10,000 accounts in one
    /// burst, callers queue here rather than in memory.
    pub const QUEUE: usize = 1024;

    /// Changes that share one transaction at most: few enough that the log stays small.
    pub const BATCH: usize = 256;

    /// Accounts that are read for a backup at one go: a commit waits no longer for a backup than
    /// these take, some milliseconds.
    pub const PIECE: usize = 256;

    /// Starts the thread that owns `store`. It ends with [`close`](Self::close), or when
    /// the last handle goes.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn start(store: impl TokenStore + 'static) -> io::Result<Self> {
        let (requests, inbox) = mpsc::channel(Self::QUEUE);
        thread::Builder::new().name("store".to_owned()).spawn(move || serve(store, inbox))?;
        Ok(Self { requests })
    }

    /// Reads every account.
    ///
    /// # Errors
    ///
    /// As [`TokenStore::load`]; [`StoreError::Closed`] after [`close`](Self::close).
    pub async fn load(&self) -> Result<Loaded, StoreError> {
        self.ask(Question::Load).await?
    }

    /// Makes one write durable.
    ///
    /// # Errors
    ///
    /// Why it is not durable; [`StoreError::Closed`] after [`close`](Self::close).
    pub async fn write(&self, write: Write) -> Result<Written, StoreError> {
        self.change(Change::Account(write)).await
    }

    /// Reads the refresh token of a released account.
    ///
    /// # Errors
    ///
    /// As [`TokenStore::released`]; [`StoreError::Closed`] after [`close`](Self::close).
    pub async fn released(&self, account: AccountId) -> Result<Lease, StoreError> {
        self.ask(|reply| Question::Released(account, reply)).await?
    }

    /// Reads one account secret.
    ///
    /// # Errors
    ///
    /// As [`TokenStore::secret`]; [`StoreError::Closed`] after [`close`](Self::close).
    pub async fn secret(&self, slot: impl Into<String>) -> Result<Option<Secret>, StoreError> {
        let slot = slot.into();
        self.ask(|reply| Question::Secret(slot, reply)).await?
    }

    /// Reads everything that a backup keeps. What comes back is to be sealed at once.
    ///
    /// It is read in pieces, between which the thread does what else was asked of it. So each
    /// account is whole, and as new as it was when its own piece was read; two accounts need not
    /// be of the same moment. An account that came after the first piece is not in it.
    ///
    /// # Errors
    ///
    /// As [`TokenStore::export`]; [`StoreError::Closed`] after [`close`](Self::close).
    pub async fn export(&self) -> Result<Exported, StoreError> {
        let Owners { accounts, damage } = self.ask(Question::Owners).await??;
        let mut exported = Exported { accounts: Vec::with_capacity(accounts.len()), damage };
        for piece in accounts.chunks(Self::PIECE) {
            let piece = piece.to_vec();
            let read = self.ask(|reply| Question::Export(piece, reply)).await??;
            exported.accounts.extend(read.accounts);
            exported.damage.extend(read.damage);
        }
        Ok(exported)
    }

    /// The slots that hold an account secret, sorted.
    ///
    /// # Errors
    ///
    /// As [`TokenStore::secret_names`]; [`StoreError::Closed`] after [`close`](Self::close).
    pub async fn secrets(&self) -> Result<Vec<String>, StoreError> {
        self.ask(Question::SecretNames).await?
    }

    /// Seals an account secret into its slot.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn put_secret(
        &self,
        slot: impl Into<String>,
        secret: Secret,
    ) -> Result<(), StoreError> {
        self.change(Change::PutSecret { slot: slot.into(), secret }).await.map(drop)
    }

    /// Forgets an account secret, if there is one.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn forget_secret(&self, slot: impl Into<String>) -> Result<(), StoreError> {
        self.change(Change::ForgetSecret { slot: slot.into() }).await.map(drop)
    }

    /// Forgets all of an account.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn purge(&self, account: AccountId) -> Result<(), StoreError> {
        self.change(Change::Purge { account }).await.map(drop)
    }

    /// How the store stands. The answer comes from the thread itself, behind everything
    /// that was queued before: it proves that queued work gets done.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`] after [`close`](Self::close).
    pub async fn probe(&self) -> Result<Health, StoreError> {
        self.ask(Question::Probe).await
    }

    /// Finishes what is queued and closes the store. Every later call is
    /// [`StoreError::Closed`].
    pub async fn close(&self) {
        // A store that is closed already is what was asked for.
        let _closed = self.ask(Question::Close).await;
    }

    async fn change(&self, change: Change) -> Result<Written, StoreError> {
        self.send(|reply| Request::Change(change, reply)).await?
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, StoreError> {
        self.send(|reply| Request::Ask(question(reply))).await
    }

    async fn send<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)
    }
}

/// One thing asked of the thread, and where to answer.
enum Request {
    Change(Change, oneshot::Sender<Result<Written, StoreError>>),
    Ask(Question),
}

/// What is asked without changing anything.
enum Question {
    Load(oneshot::Sender<Result<Loaded, StoreError>>),
    Released(AccountId, oneshot::Sender<Result<Lease, StoreError>>),
    Secret(String, oneshot::Sender<Result<Option<Secret>, StoreError>>),
    Owners(oneshot::Sender<Result<Owners, StoreError>>),
    Export(Vec<AccountId>, oneshot::Sender<Result<Exported, StoreError>>),
    SecretNames(oneshot::Sender<Result<Vec<String>, StoreError>>),
    Probe(oneshot::Sender<Health>),
    Close(oneshot::Sender<()>),
}

/// Changes that wait to be made together.
#[derive(Default)]
struct Batch {
    changes: Vec<Change>,
    replies: Vec<oneshot::Sender<Result<Written, StoreError>>>,
}

/// The thread: everything that is queued when a transaction begins goes into it, so that
/// a burst shares one sync and a single write waits for none.
fn serve(mut store: impl TokenStore, mut inbox: mpsc::Receiver<Request>) {
    let mut closing = Vec::new();
    let mut batch = Batch::default();
    while let Some(first) = inbox.blocking_recv() {
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Change(change, reply) => batch.push(change, reply, &mut store),
                Request::Ask(question) => {
                    // What was asked first is done first.
                    batch.write(&mut store);
                    answer(question, &mut store, &mut inbox, &mut closing);
                }
            }
            next = inbox.try_recv().ok();
        }
        batch.write(&mut store);
        residue::wipe();
    }
    drop(store);
    closing.into_iter().for_each(|reply| reply_to(reply, ()));
}

fn answer(
    question: Question,
    store: &mut impl TokenStore,
    inbox: &mut mpsc::Receiver<Request>,
    closing: &mut Vec<oneshot::Sender<()>>,
) {
    match question {
        Question::Load(reply) => reply_to(reply, store.load()),
        Question::Released(account, reply) => reply_to(reply, store.released(&account)),
        Question::Secret(slot, reply) => reply_to(reply, store.secret(&slot)),
        Question::Owners(reply) => reply_to(reply, store.owners()),
        Question::Export(accounts, reply) => reply_to(reply, store.export(&accounts)),
        Question::SecretNames(reply) => reply_to(reply, store.secret_names()),
        Question::Probe(reply) => reply_to(reply, store.health()),
        Question::Close(reply) => {
            inbox.close();
            closing.push(reply);
        }
    }
}

impl Batch {
    fn push(
        &mut self,
        change: Change,
        reply: oneshot::Sender<Result<Written, StoreError>>,
        store: &mut impl TokenStore,
    ) {
        self.changes.push(change);
        self.replies.push(reply);
        if self.changes.len() >= Store::BATCH {
            self.write(store);
        }
    }

    fn write(&mut self, store: &mut impl TokenStore) {
        if self.changes.is_empty() {
            return;
        }
        let answers = store.write(std::mem::take(&mut self.changes));
        for (reply, answer) in self.replies.drain(..).zip(answers) {
            reply_to(reply, answer);
        }
    }
}

/// A caller who has gone does not need the answer.
fn reply_to<T>(reply: oneshot::Sender<T>, answer: T) {
    let _gone = reply.send(answer);
}

#[cfg(test)]
mod tests;
