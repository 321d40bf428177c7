//! A disk that takes its time, refuses writes, and loses what it has not taken when the power goes.
//!
//! Beside it stands the service manager, which keeps what the disk did not take for as long as
//! the host is up.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::name::AccountId;
use crate::record::Record;
use crate::record::Refuge;
use crate::record::Stake;
use crate::record::StoreError;
use crate::record::Write;
use crate::record::Written;
use crate::store::values::Row;
use crate::store::values::Rows;
use crate::token::Secret;

/// Where the answer to a write goes.
pub(super) type Waiter = oneshot::Sender<Result<Written, StoreError>>;

/// What the store's disk and the service manager hold.
#[derive(Default)]
pub(super) struct Disk {
    rows: Rows,
    /// What the disk did not take.
    shelf: BTreeMap<AccountId, Row>,
    /// What is under way, in its order.
    queue: VecDeque<(Write, Waiter)>,
}

impl Disk {
    /// Takes a write in; it ends when [`write_next`](Self::write_next) is called for it.
    pub(super) fn put(&mut self, write: Write, waiter: Waiter) {
        self.queue.push_back((write, waiter));
    }

    /// The oldest write ends: with a refusal, if there is one, and then what must not be lost is kept
    /// at `refuge`. Returns what it was.
    pub(super) fn write_next(
        &mut self,
        refusal: Option<StoreError>,
        refuge: Refuge,
        boot_id: &Arc<str>,
    ) -> Option<(Write, Waiter, Result<Written, StoreError>)> {
        let (write, waiter) = self.queue.pop_front()?;
        let result = match refusal {
            None => self.take(&write, boot_id),
            Some(refusal) => self.refuse(&write, refusal, refuge, boot_id),
        };
        Some((write, waiter, result))
    }

    fn take(&mut self, write: &Write, boot_id: &Arc<str>) -> Result<Written, StoreError> {
        let makes_one = matches!(write, Write::Commit { .. } | Write::Salvage { .. });
        for (account, row) in std::mem::take(&mut self.shelf) {
            // What this very write brings is what could not be taken before.
            if !makes_one || whose(write) != &account {
                self.rows.put(account, row);
            }
        }
        self.rows.apply(write, boot_id)
    }

    fn refuse(
        &mut self,
        write: &Write,
        refusal: StoreError,
        refuge: Refuge,
        boot_id: &str,
    ) -> Result<Written, StoreError> {
        if let Write::Intent { account, stake, spends: false, .. } = write {
            let mut lease = self.rows.lease(account, *stake)?;
            lease.durable = false;
            return Ok(Written::Leased(lease));
        }
        match self.rows.unsaved(write, boot_id) {
            Some((account, row)) => {
                if refuge == Refuge::ServiceManager {
                    self.shelf.insert(account, row);
                }
                Err(StoreError::Unsaved { why: Box::new(refusal), refuge })
            }
            None => Err(refusal),
        }
    }

    /// The process has ended; the first of its writes may have come through.
    pub(super) fn lose_all_but(&mut self, count: usize, boot_id: &Arc<str>) {
        for (write, _) in self.queue.drain(..).take(count).collect::<Vec<_>>() {
            let _nobody_hears = self.take(&write, boot_id);
        }
        self.queue.clear();
    }

    /// The power has gone, and with it what the service manager kept.
    pub(super) fn forget_shelf(&mut self) {
        self.shelf.clear();
    }

    /// Whose tokens the service manager keeps.
    pub(super) fn shelved(&self) -> BTreeSet<AccountId> {
        self.shelf.keys().cloned().collect()
    }

    /// Whose write is the oldest that is under way.
    pub(super) fn front(&self) -> Option<&AccountId> {
        self.queue.front().map(|(write, _)| whose(write))
    }

    /// How many writes are under way.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// An account as a process finds it that begins.
    pub(super) fn record(&self, account: &AccountId, boot_id: &str) -> Option<Record> {
        match self.shelf.get(account) {
            Some(row) => {
                let mut rows = Rows::default();
                rows.put(account.clone(), row.clone());
                let record = rows.record(account, boot_id)?;
                Some(Record { unsaved: true, ..record })
            }
            None => self.rows.record(account, boot_id),
        }
    }

    /// The refresh token that an account lives by, wherever it is kept.
    pub(super) fn refresh_token(&self, account: &AccountId) -> Option<&Secret> {
        match self.shelf.get(account) {
            Some(row) => row.refresh_token(),
            None => self.rows.refresh_token(account),
        }
    }

    /// The refresh token that was handed in and has yet to prove itself.
    pub(super) fn staged(&self, account: &AccountId) -> Option<Secret> {
        self.rows.lease(account, Stake::Staged).ok()?.refresh_token
    }

    /// The access token that survives a kill.
    pub(super) fn access_token(&self, account: &AccountId) -> Option<&Secret> {
        self.rows.access_token(account)
    }

    /// Whether a spend is announced.
    pub(super) fn is_announced(&self, account: &AccountId, stake: Stake) -> bool {
        self.rows.is_announced(account, stake)
    }
}

/// Whose write it is.
pub(super) const fn whose(write: &Write) -> &AccountId {
    match write {
        Write::Intent { account, .. }
        | Write::Commit { account, .. }
        | Write::Salvage { account, .. }
        | Write::Note { account, .. }
        | Write::Stage { account, .. }
        | Write::Unstage { account }
        | Write::Clear { account }
        | Write::Orphan { account, .. }
        | Write::Settle { account } => account,
    }
}
