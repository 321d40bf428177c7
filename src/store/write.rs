//! Writes into rows.
//!
//! # Invariants
//!
//! * A write refuses before its first change: what it can object to, it finds by reading.
//!   So one refused write leaves nothing behind in the transaction that it shares with
//!   others, without a savepoint.
//! * The number of a generation is one more than the last ever given, whatever rows are left.
//! * The generation before the new one is kept, until the next but one.
//! * A credential goes only by [`Write::Clear`], [`Write::Unstage`] or [`Change::Purge`].

use std::sync::Arc;

use crate::name::AccountId;
use crate::record::Lineage;
use crate::record::Stake;
use crate::record::StoreError;
use crate::record::Write;
use crate::record::Written;
use crate::store::Change;
use crate::store::body;
use crate::store::body::Aws;
use crate::store::body::Parts;
use crate::store::next::Ground;
use crate::store::next::Next;
use crate::store::next::dates;
use crate::store::read::Attempts;
use crate::store::read::Newest;
use crate::store::read::Seat;
use crate::store::read::Tables;
use crate::store::read::secret_label;
use crate::store::seal::Label;
use crate::store::seal::Sort;
use crate::store::unsaved::Unsaved;
use crate::time::Moment;
use crate::time::Now;
use crate::token::Generation;
use crate::token::Grant;
use crate::token::Secret;

/// Attempts that are kept of an account: as many as its budget counts.
const ATTEMPTS: usize = 10;

/// Orphans that are kept of an account, the newest. Each is a login that went wrong in a
/// way that a person has to look at, so more than a handful tell nothing new.
const ORPHANS: u32 = 16;

impl Tables<'_> {
    /// Makes one change, inside the caller's transaction.
    pub(super) fn apply(&self, change: &Change) -> Result<Written, StoreError> {
        match change {
            Change::Account(write) => self.write(write),
            Change::PutSecret { slot, secret } => {
                let sealed = self.sealer.seal(secret_label(slot), secret.expose().as_bytes());
                self.run("INSERT OR REPLACE INTO secret (slot, body) VALUES (?, ?)", (slot, sealed))
            }
            Change::ForgetSecret { slot } => self.run("DELETE FROM secret WHERE slot = ?", [slot]),
            Change::Purge { account } => self.purge(account),
        }
    }

    fn write(&self, write: &Write) -> Result<Written, StoreError> {
        match write {
            Write::Intent { account, stake, replays, spends: _, now, attempts } => {
                self.intend(account, *stake, *replays, *now, attempts)
            }
            Write::Commit { account, .. } | Write::Salvage { account, .. } => {
                let seat = self.seat(account)?;
                let base = self.base(&seat, account)?;
                match self.next(write, &seat, &base)? {
                    Some(next) => self.advance(&seat, &base, &next),
                    None => Ok(Written::Done),
                }
            }
            Write::Note { account, standing, ends_intent } => {
                let standing = json(standing)?;
                let id = self.enter(&self.seat(account)?, account)?;
                if *ends_intent {
                    self.run("DELETE FROM intent WHERE account = ? AND NOT staged", [id])?;
                }
                self.run("UPDATE account SET standing = ? WHERE id = ?", (standing, id))
            }
            Write::Stage { account, lineage, refresh_token } => {
                self.stage(account, lineage, refresh_token)
            }
            Write::Unstage { account } => match self.seat(account)?.id {
                Some(id) => self.unstage(id),
                None => Ok(Written::Done),
            },
            Write::Clear { account } => match self.seat(account)?.id {
                Some(id) => self.clear(id),
                None => Ok(Written::Done),
            },
            Write::Orphan { account, grant, now } => self.keep_aside(account, grant, *now),
            // Every transaction begins with what it asks for.
            Write::Settle { account } => Ok(Written::Committed(self.seat(account)?.count)),
        }
    }

    fn intend(
        &self,
        account: &AccountId,
        stake: Stake,
        replays: bool,
        now: Now,
        attempts: &[Moment],
    ) -> Result<Written, StoreError> {
        let lease = self.lease(account, stake)?;
        let newest = attempts.len().saturating_sub(ATTEMPTS);
        let at = attempts
            .iter()
            .skip(newest)
            .map(|moment| (moment.as_millis(), now.wall_at(*moment).as_millis()))
            .collect();
        let attempts = json(&Attempts { boot_id: self.boot_id.to_owned(), at })?;

        let id = self.enter(&self.seat(account)?, account)?;
        self.run("UPDATE account SET attempts = ? WHERE id = ?", (attempts, id))?;
        if stake == Stake::SignIn {
            // It spends nothing that could be in doubt after a crash.
            return Ok(Written::Leased(lease));
        }
        // A replay spends what was spent before: the grace of its provider counts from the first send.
        self.run(
            "INSERT INTO intent (account, generation, staged, wall_ms, boot_ms, boot_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET generation = excluded.generation,
                wall_ms = excluded.wall_ms, boot_ms = excluded.boot_ms, boot_id = excluded.boot_id
             WHERE generation <> excluded.generation OR NOT ?7",
            (
                id,
                signed(lease.generation.0),
                stake == Stake::Staged,
                now.wall.as_millis(),
                signed(now.boot.as_millis()),
                self.boot_id,
                replays,
            ),
        )?;
        Ok(Written::Leased(lease))
    }

    /// The generation that `write` makes out of what is there.
    fn next<'a>(
        &self,
        write: &'a Write,
        seat: &Seat,
        base: &Newest,
    ) -> Result<Option<Next<'a>>, StoreError> {
        let staged = if let Write::Commit { account, stake: Stake::Staged, .. }
        | Write::Salvage { account, stake: Stake::Staged, .. } = write
        {
            self.staged_if_readable(seat, account)?
        } else {
            None
        };
        let base = base.readable.as_ref();
        let staged = staged.as_ref();
        Ok(Next::of(write, Ground { count: seat.count, base, staged, boot_id: self.boot_id }))
    }

    /// The generation that `write` would make, sealed as it would be on disk, if a crash would
    /// lose a refresh token with it.
    pub(super) fn unsaved(&self, write: &Write) -> Result<Option<Unsaved>, StoreError> {
        let (Write::Commit { account, .. } | Write::Salvage { account, .. }) = write else {
            return Ok(None);
        };
        let seat = self.seat(account)?;
        let base = self.base(&seat, account)?;
        let next = self.next(write, &seat, &base)?;
        next.filter(|next| next.rotates).map(|next| Unsaved::of(&next, self.sealer)).transpose()
    }

    /// Saves `next` as the generation after the last, ends the intent, and keeps `base`.
    fn advance(&self, seat: &Seat, base: &Newest, next: &Next<'_>) -> Result<Written, StoreError> {
        self.put(seat, base, &Unsaved::of(next, self.sealer)?)
    }

    /// Makes a sealed generation the account's newest.
    pub(super) fn put(
        &self,
        seat: &Seat,
        base: &Newest,
        next: &Unsaved,
    ) -> Result<Written, StoreError> {
        let id = self.enter(seat, &next.account)?;
        let number = signed(next.generation.0);
        let place = if seat.id.is_some() { base.next_place } else { id * 2 };
        self.run(
            "INSERT OR REPLACE INTO generation (place, number, body) VALUES (?, ?, ?)",
            (place, number, &next.body),
        )?;
        self.run(
            "UPDATE account SET generation = ?, standing = ? WHERE id = ?",
            (number, &next.standing, id),
        )?;
        if let Some((lineage, subject)) = &next.origin {
            // A proven new credential may be somebody else's; a refreshed one is not.
            self.run(
                "UPDATE account SET lineage = ?1,
                     subject = CASE WHEN ?2 THEN ?3 ELSE coalesce(?3, subject) END
                 WHERE id = ?4",
                (lineage, next.staged, subject, id),
            )?;
        }
        self.run("DELETE FROM intent WHERE account = ? AND NOT staged", [id])?;
        if next.staged {
            // It took the place of the current one: what was under way with that is moot.
            self.unstage(id)?;
        }
        Ok(Written::Committed(next.generation))
    }

    fn stage(
        &self,
        account: &AccountId,
        lineage: &Lineage,
        refresh_token: &Secret,
    ) -> Result<Written, StoreError> {
        let label = Label {
            sort: Sort::Staged,
            owner: account.as_str(),
            generation: Generation::default(),
        };
        let sealed = self.sealer.seal(label, refresh_token.expose().as_bytes());
        let id = self.enter(&self.seat(account)?, account)?;
        // An intent on the one that this replaces would say that this one was spent.
        self.unstage(id)?;
        let sql = "INSERT INTO staged (account, lineage, body) VALUES (?, ?, ?)";
        self.run(sql, (id, &lineage.0, sealed))
    }

    fn unstage(&self, id: i64) -> Result<Written, StoreError> {
        self.run("DELETE FROM staged WHERE account = ?", [id])?;
        self.run("DELETE FROM intent WHERE account = ? AND staged", [id])
    }

    /// Forgets the credential with what is known of it: where it came from, whose it is,
    /// what is under way with it. The count of generations stays.
    fn clear(&self, id: i64) -> Result<Written, StoreError> {
        self.run("DELETE FROM generation WHERE place IN (?1 * 2, ?1 * 2 + 1)", [id])?;
        self.run("DELETE FROM staged WHERE account = ?", [id])?;
        self.run("DELETE FROM intent WHERE account = ?", [id])?;
        self.run("UPDATE account SET lineage = '', subject = NULL WHERE id = ?", [id])
    }

    fn keep_aside(
        &self,
        account: &AccountId,
        grant: &Grant,
        now: Now,
    ) -> Result<Written, StoreError> {
        let aws = grant.aws.as_ref().map(|aws| Aws {
            dates: dates(now, aws.lifetime, self.boot_id),
            credentials: Arc::clone(&aws.credentials),
        });
        let body = body::encode(Parts {
            dates: &dates(now, grant.lifetime, self.boot_id),
            tokens: Some(&grant.tokens),
            aws: aws.as_ref(),
            refresh_token: grant.refresh_token.as_ref(),
        });
        let label = Label {
            sort: Sort::Orphan,
            owner: account.as_str(),
            generation: Generation::default(),
        };
        self.run(
            "INSERT INTO orphan (account, wall_ms, body) VALUES (?, ?, ?)",
            (account.as_str(), now.wall.as_millis(), self.sealer.seal(label, &body)),
        )?;
        self.run(
            "DELETE FROM orphan WHERE account = ?1 AND id NOT IN
                 (SELECT id FROM orphan WHERE account = ?1 ORDER BY id DESC LIMIT ?2)",
            (account.as_str(), ORPHANS),
        )
    }

    fn purge(&self, account: &AccountId) -> Result<Written, StoreError> {
        let name = account.as_str();
        if let Some(id) = self.seat(account)?.id {
            self.clear(id)?;
            self.run("DELETE FROM account WHERE id = ?", [id])?;
        }
        self.run("DELETE FROM orphan WHERE account = ?", [name])?;
        // Account names have no dot, and '/' is the character after it.
        self.run("DELETE FROM secret WHERE slot > ?1 || '.' AND slot < ?1 || '/'", [name])
    }

    /// The row of an account, which its first write makes.
    fn enter(&self, seat: &Seat, account: &AccountId) -> Result<i64, StoreError> {
        if let Some(id) = seat.id {
            return Ok(id);
        }
        self.run("INSERT INTO account (name) VALUES (?)", [account.as_str()])?;
        Ok(self.conn.last_insert_rowid())
    }

    /// The generation that the next one builds on.
    pub(super) fn base(&self, seat: &Seat, account: &AccountId) -> Result<Newest, StoreError> {
        match seat.id {
            Some(id) => self.newest(id, account),
            None => Ok(Newest::default()),
        }
    }

    /// The staged refresh token for a grant that has none of its own. A damaged one is as
    /// good as none: the grant must be saved all the same.
    fn staged_if_readable(
        &self,
        seat: &Seat,
        account: &AccountId,
    ) -> Result<Option<Secret>, StoreError> {
        match self.staged(seat, account) {
            Err(StoreError::Damaged(_)) => Ok(None),
            other => other,
        }
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params) -> Result<Written, StoreError> {
        self.conn.prepare_cached(sql)?.execute(values)?;
        Ok(Written::Done)
    }
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Damaged(error.to_string()))
}

/// SQLite's integers have a sign. Neither a generation nor a moment in milliseconds
/// reaches 2^63.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
