//! The store's decisions without a database: what writes leave behind, as values.
//!
//! For worlds that live for years in seconds. What a new generation takes from the one before it
//! is decided by [`Next`], as it is for the database, and its body is written and read by the
//! same code; only the tables are another's.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::body;
use super::body::Body;
use super::next::Ground;
use super::next::Next;
use crate::name::AccountId;
use crate::record::Intent;
use crate::record::Lease;
use crate::record::Lineage;
use crate::record::Record;
use crate::record::Saved;
use crate::record::Stake;
use crate::record::Stamp;
use crate::record::Standing;
use crate::record::StoreError;
use crate::record::Write;
use crate::record::Written;
use crate::time::Moment;
use crate::time::Timestamp;
use crate::token::Generation;
use crate::token::Secret;
use crate::token::TokenSet;

/// What is on a disk.
#[derive(Clone, Default)]
pub(crate) struct Rows(BTreeMap<AccountId, Row>);

/// One account.
#[derive(Clone, Default)]
pub(crate) struct Row {
    count: Generation,
    /// As it would be read again.
    newest: Option<Arc<(Generation, Body)>>,
    lineage: Lineage,
    subject: Option<Box<str>>,
    standing: Standing,
    attempts: Vec<Past>,
    staged: Option<(Lineage, Secret)>,
    intent: Option<(Generation, Past)>,
    staged_intent: Option<(Generation, Past)>,
}

/// A moment of some boot.
#[derive(Clone)]
struct Past {
    boot_id: Arc<str>,
    boot: Moment,
    wall: Timestamp,
}

impl Past {
    fn stamp(&self, boot_id: &str) -> Stamp {
        Stamp { wall: self.wall, boot: (*self.boot_id == *boot_id).then_some(self.boot) }
    }
}

impl Rows {
    /// Carries out a write of the boot that is called so.
    pub(crate) fn apply(
        &mut self,
        write: &Write,
        boot_id: &Arc<str>,
    ) -> Result<Written, StoreError> {
        match write {
            Write::Intent { account, stake, replays, spends: _, now, attempts } => {
                let lease = self.lease(account, *stake)?;
                let past = |moment: Moment| Past {
                    boot_id: Arc::clone(boot_id),
                    boot: moment,
                    wall: now.wall_at(moment),
                };
                let row = self.0.entry(account.clone()).or_default();
                row.attempts.clear();
                row.attempts.extend(attempts.iter().copied().map(past));
                let intent = match stake {
                    Stake::Current => Some(&mut row.intent),
                    Stake::Staged => Some(&mut row.staged_intent),
                    Stake::SignIn => None,
                };
                let goes_on = |it: &Option<(Generation, Past)>| {
                    let generation = it.as_ref().map(|(generation, _)| *generation);
                    *replays && generation == Some(lease.generation)
                };
                if let Some(intent) = intent.filter(|it| !goes_on(it)) {
                    *intent = Some((lease.generation, past(now.boot)));
                }
                Ok(Written::Leased(lease))
            }
            Write::Commit { account, .. } | Write::Salvage { account, .. } => {
                let row = self.0.entry(account.clone()).or_default();
                row.follow(write, boot_id);
                Ok(Written::Committed(row.count))
            }
            Write::Note { account, standing, ends_intent } => {
                let row = self.0.entry(account.clone()).or_default();
                row.standing = standing.clone();
                if *ends_intent {
                    row.intent = None;
                }
                Ok(Written::Done)
            }
            Write::Stage { account, lineage, refresh_token } => {
                let row = self.0.entry(account.clone()).or_default();
                row.staged = Some((lineage.clone(), refresh_token.clone()));
                row.staged_intent = None;
                Ok(Written::Done)
            }
            Write::Unstage { account } => {
                if let Some(row) = self.0.get_mut(account) {
                    (row.staged, row.staged_intent) = (None, None);
                }
                Ok(Written::Done)
            }
            Write::Clear { account } => {
                if let Some(row) = self.0.get_mut(account) {
                    let Row { count, standing, attempts, .. } = std::mem::take(row);
                    *row = Row { count, standing, attempts, ..Row::default() };
                }
                Ok(Written::Done)
            }
            Write::Orphan { .. } => Ok(Written::Done),
            Write::Settle { account } => {
                let count = self.0.get(account).map(|row| row.count);
                Ok(Written::Committed(count.unwrap_or_default()))
            }
        }
    }

    /// How an account would stand after a write, if a crash would lose a refresh token with it.
    pub(crate) fn unsaved(&self, write: &Write, boot_id: &str) -> Option<(AccountId, Row)> {
        let (Write::Commit { account, .. } | Write::Salvage { account, .. }) = write else {
            return None;
        };
        let mut row = self.0.get(account).cloned().unwrap_or_default();
        row.follow(write, boot_id).then(|| (account.clone(), row))
    }

    /// Puts an account's row in the place of the one that is there.
    pub(crate) fn put(&mut self, account: AccountId, row: Row) {
        self.0.insert(account, row);
    }

    /// What one exchange may spend.
    pub(crate) fn lease(&self, account: &AccountId, stake: Stake) -> Result<Lease, StoreError> {
        let row = self.0.get(account);
        let generation = row.map_or_else(Generation::default, |row| row.count);
        let refresh_token = match stake {
            Stake::Current => row.and_then(Row::refresh_token).cloned(),
            Stake::Staged => {
                let staged = row.and_then(|row| row.staged.as_ref());
                Some(staged.ok_or(StoreError::Missing)?.1.clone())
            }
            Stake::SignIn => None,
        };
        Ok(Lease { generation, refresh_token, durable: true })
    }

    /// The refresh token that an account lives by.
    pub(crate) fn refresh_token(&self, account: &AccountId) -> Option<&Secret> {
        self.0.get(account)?.refresh_token()
    }

    /// The access token of the newest generation.
    pub(crate) fn access_token(&self, account: &AccountId) -> Option<&Secret> {
        let (_, body) = self.0.get(account)?.newest.as_deref()?;
        Some(&body.tokens.as_ref()?.access)
    }

    /// Whether a spend of it is announced.
    pub(crate) fn is_announced(&self, account: &AccountId, stake: Stake) -> bool {
        self.0.get(account).is_some_and(|row| match stake {
            Stake::Current => row.intent.is_some(),
            Stake::Staged => row.staged_intent.is_some(),
            Stake::SignIn => false,
        })
    }

    /// An account as a process finds it that begins in the boot that is called so.
    pub(crate) fn record(&self, account: &AccountId, boot_id: &str) -> Option<Record> {
        let row = self.0.get(account)?;
        let intent = |it: &(Generation, Past)| Intent { generation: it.0, at: it.1.stamp(boot_id) };
        Some(Record {
            account: account.clone(),
            lineage: row.lineage.clone(),
            subject: row.subject.clone(),
            current: row.newest.as_deref().map(|(number, body)| saved(*number, body, boot_id)),
            staged: row.staged.as_ref().map(|(lineage, _)| lineage.clone()),
            staged_mark: row.staged.as_ref().map(|(_, token)| token.mark()),
            intent: row.intent.as_ref().map(intent),
            staged_intent: row.staged_intent.as_ref().map(intent),
            attempts: row.attempts.iter().map(|past| past.stamp(boot_id)).collect(),
            standing: row.standing.clone(),
            unsaved: false,
        })
    }
}

impl Row {
    /// Its refresh token.
    pub(crate) fn refresh_token(&self) -> Option<&Secret> {
        self.newest.as_ref()?.1.refresh_token.as_ref()
    }

    /// Goes on as it stands after a write that makes a generation. Says whether that brings a
    /// refresh token in the place of one that was spent for it.
    fn follow(&mut self, write: &Write, boot_id: &str) -> bool {
        let base = self.newest.clone();
        let ground = Ground {
            count: self.count,
            base: base.as_deref(),
            staged: self.staged.as_ref().map(|(_, token)| token),
            boot_id,
        };
        let Some(next) = Next::of(write, ground) else { return false };
        let rotates = next.rotates;
        self.take(next);
        rotates
    }

    fn take(&mut self, next: Next<'_>) {
        self.count = next.generation;
        let body = body::decode(&next.body).unwrap();
        self.newest = Some(Arc::new((next.generation, body)));
        self.standing = next.standing.clone();
        self.intent = None;
        let staged = next.stake == Stake::Staged;
        if let Some((lineage, subject)) = next.origin {
            self.lineage = Lineage(lineage.into());
            if staged || subject.is_some() {
                self.subject = subject.map(Into::into);
            }
        }
        if staged {
            (self.staged, self.staged_intent) = (None, None);
        }
    }
}

fn saved(generation: Generation, body: &Body, boot_id: &str) -> Saved {
    let dates = &body.dates;
    let past = Past { boot_id: (*dates.boot_id).into(), boot: dates.boot, wall: dates.wall };
    Saved {
        generation,
        refreshable: body.refresh_token.is_some(),
        tokens: body.tokens.as_ref().map(|set| Arc::new(copy(set))),
        issued: past.stamp(boot_id),
        lifetime: dates.lifetime,
        aws: None,
    }
}

fn copy(set: &TokenSet) -> TokenSet {
    let TokenSet { access, id, token_type, scope } = set;
    TokenSet {
        access: access.clone(),
        id: id.clone(),
        token_type: token_type.clone(),
        scope: scope.clone(),
    }
}
