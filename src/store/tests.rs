//! The thread and its handle, over a store that only notes what it is given.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc as std_mpsc;

use super::*;
use crate::record::Lease;
use crate::record::Standing;

#[tokio::test]
async fn a_burst_shares_transactions_and_each_caller_gets_its_own_answer() {
    let (store, seen, gate) = started();
    let mut writers = tokio::task::JoinSet::new();
    let mut write = |name: String| {
        let store = store.clone();
        writers.spawn(async move { store.write(note(&name)).await.map(drop) });
    };
    write("first".to_owned());
    while !seen.entered() {
        tokio::task::yield_now().await;
    }
    // The thread is held up in the first write; all the others queue up behind it.
    (0..500).for_each(|n| write(format!("account-{n}")));
    while store.requests.capacity() > Store::QUEUE - 500 {
        tokio::task::yield_now().await;
    }
    drop(gate);

    let answers = writers.join_all().await;
    let refused = answers.iter().filter(|answer| answer.is_err()).count();
    assert_eq!((answers.len(), refused), (501, 1));
    assert_eq!(seen.batches(), [1, 256, 244]);
}

#[tokio::test]
async fn closing_finishes_what_is_queued_and_refuses_what_comes_after() {
    let (store, seen, gate) = started();
    let queued = store.write(note("mail"));
    let closing = store.close();
    let opening = async { drop(gate) };
    let (written, (), ()) = tokio::join!(queued, closing, opening);

    assert!(written.is_ok());
    assert_eq!(seen.batches(), [1]);
    let refused = store.write(note("mail")).await.map(drop);
    assert_eq!(refused, Err(StoreError::Closed));
    assert_eq!(store.probe().await, Err(StoreError::Closed));
    store.close().await;
}

#[tokio::test]
async fn a_probe_is_answered_behind_what_was_queued_before_it() {
    let (store, seen, gate) = started();
    let queued = store.write(note("mail"));
    let probe = async {
        store.probe().await.unwrap();
        seen.batches().len()
    };
    let opening = async { drop(gate) };
    let (_, batches_before_the_answer, ()) = tokio::join!(queued, probe, opening);
    assert_eq!(batches_before_the_answer, 1);
}

#[tokio::test]
async fn a_commit_that_is_queued_during_a_backup_of_a_thousand_accounts_waits_for_one_piece() {
    let (store, seen, gate) = started();
    let mut asked = tokio::task::JoinSet::new();
    asked.spawn({
        let store = store.clone();
        async move { store.export().await.map(drop) }
    });
    while !seen.entered() {
        tokio::task::yield_now().await;
    }
    // The thread is held up in the first piece.
    asked.spawn({
        let store = store.clone();
        async move { store.write(note("mail")).await.map(drop) }
    });
    while store.requests.capacity() == Store::QUEUE {
        tokio::task::yield_now().await;
    }
    drop(gate);

    assert_eq!(asked.join_all().await, [Ok(()), Ok(())]);
    assert_eq!(seen.batches(), [1]);
    assert_eq!(seen.done(), ["read 256", "wrote 1", "read 256", "read 256", "read 232"]);
}

/// What went through a [`Noting`].
#[derive(Clone, Default)]
struct Seen {
    entered: Arc<AtomicBool>,
    done: Arc<Mutex<Vec<String>>>,
}

impl Seen {
    fn entered(&self) -> bool {
        self.entered.load(Ordering::Acquire)
    }

    /// What was done, in its order, and to how many accounts each time.
    fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }

    fn batches(&self) -> Vec<usize> {
        let size = |done: &String| Some(done.strip_prefix("wrote ")?.parse().unwrap());
        self.done().iter().filter_map(size).collect()
    }
}

/// A store of a thousand accounts that notes the size of each batch and piece, refuses one
/// account, and finishes none of them before the gate is dropped.
struct Noting {
    seen: Seen,
    gate: std_mpsc::Receiver<()>,
}

impl Noting {
    fn pass(&self, what: &str, many: usize) {
        self.seen.entered.store(true, Ordering::Release);
        // An error is what it waits for: the other end was dropped.
        let _opened = self.gate.recv();
        self.seen.done.lock().unwrap().push(format!("{what} {many}"));
    }
}

impl TokenStore for Noting {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(Loaded::default())
    }

    fn write(&mut self, batch: Vec<Change>) -> Vec<Result<Written, StoreError>> {
        self.pass("wrote", batch.len());
        batch
            .iter()
            .map(
                |change| {
                    if is_refused(change) { Err(StoreError::Missing) } else { Ok(Written::Done) }
                },
            )
            .collect()
    }

    fn released(&mut self, _account: &AccountId) -> Result<Lease, StoreError> {
        Err(StoreError::Missing)
    }

    fn secret(&mut self, _slot: &str) -> Result<Option<Secret>, StoreError> {
        Ok(None)
    }

    fn owners(&mut self) -> Result<Owners, StoreError> {
        let accounts = (0..1000).map(|n| AccountId::parse(&format!("account-{n}")).unwrap());
        Ok(Owners { accounts: accounts.collect(), damage: Vec::new() })
    }

    fn export(&mut self, accounts: &[AccountId]) -> Result<Exported, StoreError> {
        self.pass("read", accounts.len());
        Ok(Exported::default())
    }

    fn secret_names(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn health(&mut self) -> Health {
        Health {
            key: key::KeySource::File,
            writable: true,
            read_only: false,
            reserve: ballast::Reserve::Kept,
            rewrites: 0,
            meddled: 0,
            obstacles: Vec::new(),
        }
    }
}

fn is_refused(change: &Change) -> bool {
    matches!(change, Change::Account(Write::Note { account, .. }) if account.as_str() == "account-7")
}

fn started() -> (Store, Seen, std_mpsc::Sender<()>) {
    let seen = Seen::default();
    let (opener, gate) = std_mpsc::channel();
    let store = Store::start(Noting { seen: seen.clone(), gate }).unwrap();
    (store, seen, opener)
}

fn note(name: &str) -> Write {
    Write::Note {
        account: AccountId::parse(name).unwrap(),
        standing: Standing::default(),
        ends_intent: false,
    }
}
