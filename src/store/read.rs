//! Rows into records: what is loaded at start, and what is handed out for one exchange.
//!
//! # Invariants
//!
//! * A body that does not open never hides its account: the generation before it stands
//!   in, and what was found damaged is told in [`Loaded::damage`].
//! * One account's damage is that account's; the others load.
//! * What cannot be read of a standing is taken to be paused: nothing is spent on a guess.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::Row;
use serde::Deserialize;
use serde::Serialize;

use crate::name::AccountId;
use crate::record::Hold;
use crate::record::Intent;
use crate::record::Lease;
use crate::record::Lineage;
use crate::record::Record;
use crate::record::Saved;
use crate::record::SavedAws;
use crate::record::Stake;
use crate::record::Stamp;
use crate::record::Standing;
use crate::record::StoreError;
use crate::store::Loaded;
use crate::store::Orphan;
use crate::store::body;
use crate::store::body::Body;
use crate::store::body::Dates;
use crate::store::inherited::stand_in;
use crate::store::seal::Broken;
use crate::store::seal::Label;
use crate::store::seal::Sealer;
use crate::store::seal::Sort;
use crate::store::unsaved::Unsaved;
use crate::store::unsaved::label;
use crate::time::Moment;
use crate::time::Timestamp;
use crate::token::Generation;
use crate::token::Secret;

/// The tables of an open database, with what it takes to make sense of them.
pub(super) struct Tables<'a> {
    /// The database, or a transaction on it.
    pub(super) conn: &'a Connection,
    /// Opens and seals bodies.
    pub(super) sealer: &'a Sealer,
    /// The present boot.
    pub(super) boot_id: &'a str,
    /// What stands in for the newest generation of accounts, because the disk has not taken it
    /// yet. None inside of a transaction: that begins with writing these.
    pub(super) inherited: Option<&'a BTreeMap<AccountId, Unsaved>>,
}

/// An account as a write finds it.
pub(super) struct Seat {
    /// Its row; `None` before its first write.
    pub(super) id: Option<i64>,
    /// The last number that was given to a generation of it.
    pub(super) count: Generation,
}

/// The newest generation that opens, and what was found damaged on the way there.
#[derive(Default)]
pub(super) struct Newest {
    /// What may be used.
    pub(super) readable: Option<(Generation, Body)>,
    /// Newer ones that do not open.
    pub(super) damaged: Vec<Generation>,
    /// Why one of the account's two places cannot be read at all.
    pub(super) unreadable: Option<String>,
    /// Where the next one goes: over the older one, but never to a place that cannot be
    /// read, since it could not be written either.
    pub(super) next_place: i64,
}

/// An account as its rows tell.
pub(super) struct Found {
    /// What they tell.
    pub(super) record: Record,
    /// Whether there may be a generation and none can be read.
    pub(super) unreadable: bool,
}

/// The attempts column: moments of one boot, as `[boot_ms, wall_ms]`.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct Attempts {
    /// The boot that the first numbers count from.
    pub(super) boot_id: String,
    /// When they began, oldest first.
    pub(super) at: Vec<(u64, i64)>,
}

/// What [`Tables::record`] reads of accounts.
pub(super) const RECORD: &str =
    "SELECT id, name, lineage, subject, standing, attempts FROM account";

impl Tables<'_> {
    /// Every account that the store knows, and what is damaged.
    pub(super) fn load(&self) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded::default();
        let intents = told(self.intents(), "what was under way", &mut loaded.damage)?;
        let staged = told(self.staged_accounts(), "what was staged", &mut loaded.damage)?;
        let mut statement = self.conn.prepare_cached(&format!("{RECORD} ORDER BY id"))?;
        let mut rows = statement.query([])?;
        loop {
            match rows.next().map_err(StoreError::from) {
                Ok(Some(row)) => {
                    let id = row.get(0)?;
                    if let Some(found) = self.record(row, id, &mut loaded.damage)? {
                        let Found { mut record, unreadable } = found;
                        if unreadable {
                            loaded.unreadable.push(record.account.clone());
                        }
                        record.intent = intents.get(&(id, false)).copied();
                        record.staged_intent = intents.get(&(id, true)).copied();
                        record.staged = staged.get(&id).cloned();
                        if record.staged.is_some() {
                            record.staged_mark = self.staged_mark(&record.account);
                        }
                        if let Some(unsaved) = self.inherited(&record.account) {
                            stand_in(&mut record, unsaved);
                        }
                        loaded.records.push(record);
                    }
                }
                Ok(None) => break,
                Err(StoreError::Damaged(why)) => {
                    loaded.damage.push(format!("some accounts cannot be read: {why}"));
                    loaded.partial = true;
                    break;
                }
                Err(fault) => return Err(fault),
            }
        }
        loaded.orphans = told(self.orphans(), "what was kept aside", &mut loaded.damage)?;
        Ok(loaded)
    }

    /// The refresh token that one exchange is to spend. Changes nothing.
    pub(super) fn lease(&self, account: &AccountId, stake: Stake) -> Result<Lease, StoreError> {
        let seat = self.seat(account)?;
        let nothing = Lease { generation: seat.count, refresh_token: None, durable: true };
        match stake {
            Stake::Current => {}
            Stake::Staged => {
                let token = self.staged(&seat, account)?.ok_or(StoreError::Missing)?;
                return Ok(Lease { refresh_token: Some(token), ..nothing });
            }
            Stake::SignIn => return Ok(nothing),
        }
        let Some(id) = seat.id else { return Ok(nothing) };
        let newest = self.newest(id, account)?;
        match newest.readable {
            Some((generation, body)) => {
                Ok(Lease { generation, refresh_token: body.refresh_token, durable: true })
            }
            None if newest.damaged.is_empty() && newest.unreadable.is_none() => Ok(nothing),
            None => Err(StoreError::Damaged(format!("no generation of {account} opens"))),
        }
    }

    /// The refresh token of an account that stands there as released.
    pub(super) fn released(&self, account: &AccountId) -> Result<Lease, StoreError> {
        let sql = "SELECT standing FROM account WHERE name = ?";
        let mut statement = self.conn.prepare_cached(sql)?;
        let standing = statement.query_row([account.as_str()], |row| row.get::<_, String>(0));
        let standing = standing.optional()?.and_then(|text| parse_standing(&text));
        if standing.is_some_and(|standing| standing.hold == Hold::Released) {
            self.lease(account, Stake::Current)
        } else {
            Err(StoreError::Missing)
        }
    }

    /// Where a write to the account begins.
    pub(super) fn seat(&self, account: &AccountId) -> Result<Seat, StoreError> {
        let sql = "SELECT id, generation FROM account WHERE name = ?";
        let found = self
            .conn
            .prepare_cached(sql)?
            .query_row([account.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(match found {
            Some((id, count)) => Seat { id: Some(id), count: Generation(unsigned(count)) },
            None => Seat { id: None, count: Generation::default() },
        })
    }

    /// The newest generation of an account that opens.
    pub(super) fn newest(&self, id: i64, account: &AccountId) -> Result<Newest, StoreError> {
        let mut newest = Newest { next_place: id * 2, ..Newest::default() };
        if let Some(unsaved) = self.inherited(account) {
            let plain = self.sealer.open(label(account, unsaved.generation), &unsaved.body).ok();
            newest.readable =
                plain.and_then(|plain| body::decode(&plain)).map(|body| (unsaved.generation, body));
            return Ok(newest);
        }
        let mut kept = Vec::with_capacity(2);
        for place in [id * 2, id * 2 + 1] {
            match self.sealed_at(place) {
                Ok(Some((number, sealed))) => kept.push((number, place, sealed)),
                Ok(None) => newest.next_place = place,
                Err(StoreError::Damaged(why)) => newest.unreadable = Some(why),
                Err(fault) => return Err(fault),
            }
        }
        kept.sort_unstable_by_key(|(number, ..)| std::cmp::Reverse(*number));
        for (number, place, sealed) in kept {
            let generation = Generation(unsigned(number));
            let plain = self.sealer.open(label(account, generation), &sealed).ok();
            if let Some(body) = plain.and_then(|plain| body::decode(&plain)) {
                newest.readable = Some((generation, body));
                newest.next_place = if newest.unreadable.is_some() { place } else { place ^ 1 };
                break;
            }
            newest.damaged.push(generation);
        }
        Ok(newest)
    }

    /// The staged refresh token of an account.
    pub(super) fn staged(
        &self,
        seat: &Seat,
        account: &AccountId,
    ) -> Result<Option<Secret>, StoreError> {
        let label = Label {
            sort: Sort::Staged,
            owner: account.as_str(),
            generation: Generation::default(),
        };
        let mut statement =
            self.conn.prepare_cached("SELECT body FROM staged WHERE account = ?")?;
        let mut rows = statement.query([seat.id])?;
        match rows.next()? {
            Some(row) => self.text(label, row).map(Some),
            None => Ok(None),
        }
    }

    /// What that is known by. Why it cannot be read, if so, is told when it is to be spent.
    fn staged_mark(&self, account: &AccountId) -> Option<Box<str>> {
        let seat = self.seat(account).ok()?;
        let staged = self.staged(&seat, account).ok()??;
        Some(staged.mark())
    }

    /// One account secret.
    pub(super) fn secret(&self, slot: &str) -> Result<Option<Secret>, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT body FROM secret WHERE slot = ?")?;
        let mut rows = statement.query([slot])?;
        match rows.next()? {
            Some(row) => self.text(secret_label(slot), row).map(Some),
            None => Ok(None),
        }
    }

    /// The names of every account secret, sorted.
    pub(super) fn secret_names(&self) -> Result<Vec<String>, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT slot FROM secret ORDER BY slot")?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// The account of a row of [`RECORD`], but for what is under way and what is staged.
    pub(super) fn record(
        &self,
        row: &Row<'_>,
        id: i64,
        damage: &mut Vec<String>,
    ) -> Result<Option<Found>, StoreError> {
        let name: String = row.get(1)?;
        let Ok(account) = AccountId::parse(&name) else {
            damage.push(format!("an account with an impossible name, row {id}, is left out"));
            return Ok(None);
        };
        let standing = parse_standing(&row.get::<_, String>(4)?).unwrap_or_else(|| {
            damage.push(format!("{account}: how it stood cannot be read; it is paused"));
            unreadable()
        });
        let attempts = parse_attempts(&row.get::<_, String>(5)?).unwrap_or_else(|| {
            damage.push(format!("{account}: its last attempts cannot be read"));
            Attempts::default()
        });
        let newest = self.newest(id, &account)?;
        if let Some(why) = &newest.unreadable {
            damage.push(match &newest.readable {
                Some((kept, _)) => {
                    format!("{account}: there may be a generation after {kept}, but {why}")
                }
                None => format!("{account}: its generations cannot be read: {why}"),
            });
        }
        damage.extend(newest.damaged.iter().map(|lost| match &newest.readable {
            Some((kept, _)) => {
                format!("{account}: generation {lost} does not open; {kept} stands in for it")
            }
            None => format!("{account}: generation {lost} does not open, and none is before it"),
        }));
        let unreadable = newest.readable.is_none() && newest.unreadable.is_some();
        let record = Record {
            account,
            lineage: Lineage(row.get::<_, String>(2)?.into()),
            subject: row.get::<_, Option<String>>(3)?.map(Into::into),
            current: newest.readable.map(|(generation, body)| self.saved(generation, body)),
            staged: None,
            staged_mark: None,
            intent: None,
            staged_intent: None,
            attempts: attempts
                .at
                .iter()
                .map(|(boot, wall)| self.stamp(*wall, *boot, &attempts.boot_id))
                .collect(),
            standing,
            unsaved: false,
        };
        Ok(Some(Found { record, unreadable }))
    }

    fn saved(&self, generation: Generation, body: Body) -> Saved {
        let Body { dates, tokens, aws, refresh_token } = body;
        let stamp = |dates: &Dates| {
            self.stamp(dates.wall.as_millis(), dates.boot.as_millis(), &dates.boot_id)
        };
        Saved {
            generation,
            tokens: tokens.map(Arc::new),
            issued: stamp(&dates),
            lifetime: dates.lifetime,
            aws: aws.map(|aws| SavedAws {
                issued: stamp(&aws.dates),
                lifetime: aws.dates.lifetime,
                credentials: aws.credentials,
            }),
            refreshable: refresh_token.is_some(),
        }
    }

    fn stamp(&self, wall_ms: i64, boot_ms: u64, boot_id: &str) -> Stamp {
        Stamp {
            wall: Timestamp::from_millis(wall_ms),
            boot: (boot_id == self.boot_id).then(|| Moment::from_millis(boot_ms)),
        }
    }

    /// By account, and by whether it is on the staged credential.
    fn intents(&self) -> Result<BTreeMap<(i64, bool), Intent>, StoreError> {
        let sql = "SELECT account, generation, staged, wall_ms, boot_ms, boot_id FROM intent";
        let mut statement = self.conn.prepare_cached(sql)?;
        let intents = statement.query_map([], |row| {
            let boot_id = row.get::<_, String>(5)?;
            let intent = Intent {
                generation: Generation(unsigned(row.get(1)?)),
                at: self.stamp(row.get(3)?, unsigned(row.get(4)?), &boot_id),
            };
            Ok(((row.get(0)?, row.get(2)?), intent))
        })?;
        Ok(intents.collect::<Result<_, _>>()?)
    }

    fn staged_accounts(&self) -> Result<BTreeMap<i64, Lineage>, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT account, lineage FROM staged")?;
        let accounts = statement
            .query_map([], |row| Ok((row.get(0)?, Lineage(row.get::<_, String>(1)?.into()))))?;
        Ok(accounts.collect::<Result<_, _>>()?)
    }

    fn orphans(&self) -> Result<Vec<Orphan>, StoreError> {
        let mut statement =
            self.conn.prepare_cached("SELECT account, wall_ms FROM orphan ORDER BY id")?;
        let orphans = statement.query_map([], |row| {
            Ok(Orphan { account: row.get(0)?, at: Timestamp::from_millis(row.get(1)?) })
        })?;
        Ok(orphans.collect::<Result<_, _>>()?)
    }

    fn sealed_at(&self, place: i64) -> Result<Option<(i64, Vec<u8>)>, StoreError> {
        let sql = "SELECT number, body FROM generation WHERE place = ?";
        let mut statement = self.conn.prepare_cached(sql)?;
        Ok(statement.query_row([place], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    fn text(&self, label: Label<'_>, row: &Row<'_>) -> Result<Secret, StoreError> {
        let broken =
            || StoreError::Damaged(format!("what is kept for {} does not open", label.owner));
        let plain = self.open(label, row, 0)?.map_err(|Broken| broken())?;
        std::str::from_utf8(&plain).map(Secret::new).map_err(|_| broken())
    }

    fn open(
        &self,
        label: Label<'_>,
        row: &Row<'_>,
        column: usize,
    ) -> Result<Result<zeroize::Zeroizing<Vec<u8>>, Broken>, StoreError> {
        let sealed = row.get_ref(column)?;
        Ok(sealed.as_blob().map_err(|_| Broken).and_then(|sealed| self.sealer.open(label, sealed)))
    }
}

/// What cannot be read is taken to be paused.
pub(super) fn unreadable() -> Standing {
    Standing { hold: Hold::Paused, ..Standing::default() }
}

/// What an account secret is bound to.
pub(super) fn secret_label(slot: &str) -> Label<'_> {
    Label { sort: Sort::AccountSecret, owner: slot, generation: Generation::default() }
}

/// SQLite's integers have a sign; ours in these columns have none.
pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Nothing, in the place of a table that is damaged, and a word about it.
fn told<T: Default>(
    found: Result<T, StoreError>,
    what: &str,
    damage: &mut Vec<String>,
) -> Result<T, StoreError> {
    match found {
        Err(StoreError::Damaged(why)) => {
            damage.push(format!("{what} cannot be read: {why}"));
            Ok(T::default())
        }
        other => other,
    }
}

pub(super) fn parse_standing(json: &str) -> Option<Standing> {
    if json.is_empty() { Some(Standing::default()) } else { serde_json::from_str(json).ok() }
}

fn parse_attempts(json: &str) -> Option<Attempts> {
    if json.is_empty() { Some(Attempts::default()) } else { serde_json::from_str(json).ok() }
}
