//! What an earlier process could not write, between its shelf and the disk: it stands in for the
//! newest generation of its account until it is that.

use std::sync::Arc;

use crate::name::AccountId;
use crate::record::Lineage;
use crate::record::Record;
use crate::record::StoreError;
use crate::store::read::Tables;
use crate::store::read::parse_standing;
use crate::store::read::unreadable;
use crate::store::unsaved::Unsaved;
use crate::token::Generation;

impl Tables<'_> {
    /// Whether the exchange that brought `unsaved` is still under way as far as the disk knows, and
    /// the last generation that it knows.
    pub(super) fn awaits(&self, unsaved: &Unsaved) -> Result<(Generation, bool), StoreError> {
        let seat = self.seat(&unsaved.account)?;
        let sql = "SELECT count(*) FROM intent WHERE account = ? AND staged = ?";
        let mut statement = self.conn.prepare_cached(sql)?;
        let intents: i64 = statement.query_row((seat.id, unsaved.staged), |row| row.get(0))?;
        Ok((seat.count, intents > 0))
    }

    /// What stands in for the newest generation of an account.
    pub(super) fn inherited(&self, account: &AccountId) -> Option<&Unsaved> {
        self.inherited?.get(account)
    }

    /// Writes what an earlier process could not, and says of whom it was. What cannot be written
    /// for the damage around it is left out, and keeps nothing else from being written.
    pub(super) fn settle<'a>(
        &self,
        inherited: impl Iterator<Item = &'a Unsaved>,
    ) -> Result<Vec<AccountId>, StoreError> {
        let mut settled = Vec::new();
        for unsaved in inherited {
            let before = self.conn.total_changes();
            match self.settle_one(unsaved) {
                Ok(()) => settled.push(unsaved.account.clone()),
                Err(StoreError::Missing | StoreError::Damaged(_))
                    if self.conn.total_changes() == before => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(settled)
    }

    fn settle_one(&self, unsaved: &Unsaved) -> Result<(), StoreError> {
        let seat = self.seat(&unsaved.account)?;
        let base = self.base(&seat, &unsaved.account)?;
        self.put(&seat, &base, unsaved).map(drop)
    }
}

/// Has what the disk did not take stand in the place of what it has.
pub(super) fn stand_in(record: &mut Record, unsaved: &Unsaved) {
    if let Some((lineage, subject)) = &unsaved.origin {
        record.lineage = Lineage(Arc::from(&**lineage));
        let known = record.subject.take().filter(|_| !unsaved.staged);
        record.subject = subject.clone().or(known);
    }
    record.standing = parse_standing(&unsaved.standing).unwrap_or_else(unreadable);
    record.intent = None;
    if unsaved.staged {
        (record.staged, record.staged_mark) = (None, None);
        record.staged_intent = None;
    }
    record.unsaved = true;
}
