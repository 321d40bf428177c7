//! Rows into what a backup keeps: refresh tokens and secrets opened, to be sealed again for
//! whoever the backup is for.
//!
//! # Invariants
//!
//! * Nothing is changed: no intent, no attempt. A refresh token that is read here is not
//!   spent by it.
//! * A refresh token that was handed out is somebody else's, and goes into no backup. That the
//!   account was released is told there.
//! * What does not open takes nothing else with it, and is told in [`Exported::damage`].
//! * What is read of one account is read at one go, its secrets too: a write is before all of it
//!   or after all of it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::backup::Kept;
use crate::name::AccountId;
use crate::record::Hold;
use crate::record::Record;
use crate::record::Stake;
use crate::record::StoreError;
use crate::store::Exported;
use crate::store::Owners;
use crate::store::inherited::stand_in;
use crate::store::read::RECORD;
use crate::store::read::Tables;
use crate::token::Secret;

impl Tables<'_> {
    /// Every account that has a row or a secret. Names only, so that ten thousand take no longer
    /// than a piece of them does.
    pub(super) fn owners(&self) -> Result<Owners, StoreError> {
        let mut owners = BTreeSet::new();
        let mut damage = Vec::new();
        let mut statement = self.conn.prepare_cached("SELECT id, name FROM account ORDER BY id")?;
        let mut rows = statement.query([])?;
        loop {
            match rows.next().map_err(StoreError::from) {
                Ok(Some(row)) => match AccountId::parse(&row.get::<_, String>(1)?) {
                    Ok(account) => {
                        owners.insert(account);
                    }
                    Err(_) => {
                        let id = row.get::<_, i64>(0)?;
                        damage.push(format!("row {id} has an impossible name, and is left out"));
                    }
                },
                Ok(None) => break,
                Err(StoreError::Damaged(why)) => {
                    damage.push(format!("some accounts cannot be read: {why}"));
                    break;
                }
                Err(fault) => return Err(fault),
            }
        }
        // An account's name has no dot. What has another form no account can ask for.
        let slots = self.secret_names()?;
        let owner = |slot: &String| AccountId::parse(slot.split_once('.')?.0).ok();
        owners.extend(slots.iter().filter_map(owner));
        Ok(Owners { accounts: owners.into_iter().collect(), damage })
    }

    /// What these accounts have of a credential or of secrets.
    pub(super) fn export(&self, accounts: &[AccountId]) -> Result<Exported, StoreError> {
        let mut exported = Exported::default();
        for account in accounts {
            let damage = &mut exported.damage;
            let kept = match self.kept(account, damage) {
                Err(StoreError::Damaged(why)) => {
                    damage.push(format!("{account} cannot be read: {why}"));
                    Kept::new(account.clone())
                }
                kept => kept?,
            };
            let kept = Kept { secrets: self.secrets(account, damage)?, ..kept };
            if kept.refresh_token.is_some()
                || !kept.secrets.is_empty()
                || kept.hold == Hold::Released
            {
                exported.accounts.push(kept);
            }
        }
        Ok(exported)
    }

    /// All but the secrets.
    fn kept(&self, account: &AccountId, damage: &mut Vec<String>) -> Result<Kept, StoreError> {
        let Some(record) = self.record_of(account, damage)? else {
            return Ok(Kept::new(account.clone()));
        };
        let current = record.current.as_ref();
        Ok(Kept {
            generation: current.map(|saved| saved.generation).unwrap_or_default(),
            issued_at: current.map(|saved| saved.issued.wall),
            refresh_token: match record.standing.hold {
                Hold::None | Hold::Paused => self.refresh_token(account)?,
                Hold::Released => None,
            },
            under_way: self.is_under_way(&record, damage)?,
            condition: record.standing.condition,
            hold: record.standing.hold,
            lineage: record.lineage,
            subject: record.subject,
            ..Kept::new(record.account)
        })
    }

    fn record_of(
        &self,
        account: &AccountId,
        damage: &mut Vec<String>,
    ) -> Result<Option<Record>, StoreError> {
        let mut statement = self.conn.prepare_cached(&format!("{RECORD} WHERE name = ?"))?;
        let mut rows = statement.query([account.as_str()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let record = self.record(row, row.get(0)?, damage)?.map(|found| found.record);
        Ok(record.map(|mut record| {
            if let Some(unsaved) = self.inherited(account) {
                stand_in(&mut record, unsaved);
            }
            record
        }))
    }

    /// Whether the refresh token of an account may be spent since. One that an earlier process
    /// left unsaved is not: its exchange has ended.
    fn is_under_way(&self, record: &Record, damage: &mut Vec<String>) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT count(*) FROM intent WHERE NOT staged
             AND account = (SELECT id FROM account WHERE name = ?)";

        let account = record.account.as_str();
        let mut statement = self.conn.prepare_cached(SQL)?;
        match statement.query_row([account], |row| row.get::<_, i64>(0)).map_err(StoreError::from) {
            Ok(intents) => Ok(intents > 0 && !record.unsaved),
            Err(StoreError::Damaged(why)) => {
                damage.push(format!("{account}: what was under way cannot be read: {why}"));
                Ok(false)
            }
            Err(fault) => Err(fault),
        }
    }

    fn refresh_token(&self, account: &AccountId) -> Result<Option<Secret>, StoreError> {
        match self.lease(account, Stake::Current) {
            Ok(lease) => Ok(lease.refresh_token),
            // Reading the record has told of it.
            Err(StoreError::Damaged(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The secrets of an account by their slots' names, which are its name, a dot and the rest.
    fn secrets(
        &self,
        account: &AccountId,
        damage: &mut Vec<String>,
    ) -> Result<BTreeMap<String, Secret>, StoreError> {
        // The next character after the dot is the slash.
        let sql = "SELECT slot FROM secret WHERE slot > ?1 || '.' AND slot < ?1 || '/'";
        let mut statement = self.conn.prepare_cached(sql)?;
        let slots = statement.query_map([account.as_str()], |row| row.get::<_, String>(0))?;
        let mut secrets = BTreeMap::new();
        for slot in slots {
            let slot = slot?;
            let Some((_, name)) = slot.split_once('.') else { continue };
            match self.secret(&slot) {
                Ok(Some(secret)) => {
                    secrets.insert(name.to_owned(), secret);
                }
                Ok(None) => {}
                Err(StoreError::Damaged(why)) => damage.push(why),
                Err(fault) => return Err(fault),
            }
        }
        Ok(secrets)
    }
}
