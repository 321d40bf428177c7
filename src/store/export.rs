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

use std::collections::BTreeMap;

use crate::backup::Kept;
use crate::name::AccountId;
use crate::record::Hold;
use crate::record::Record;
use crate::record::Stake;
use crate::record::StoreError;
use crate::store::Exported;
use crate::store::Loaded;
use crate::store::read::Tables;
use crate::token::Secret;

impl Tables<'_> {
    /// Every account of which there is a credential or a secret.
    pub(super) fn export(&self) -> Result<Exported, StoreError> {
        let Loaded { records, mut damage, .. } = self.load()?;
        let mut accounts = records
            .iter()
            .map(|record| Ok((record.account.clone(), self.kept(record)?)))
            .collect::<Result<BTreeMap<_, _>, StoreError>>()?;
        for slot in self.secret_names()? {
            // An account's name has no dot. What has another form no account can ask for.
            let Some((owner, name)) = slot.split_once('.') else { continue };
            let Ok(account) = AccountId::parse(owner) else { continue };
            match self.secret(&slot) {
                Ok(Some(secret)) => {
                    let kept = accounts.entry(account.clone());
                    let kept = kept.or_insert_with(|| Kept::new(account));
                    kept.secrets.insert(name.to_owned(), secret);
                }
                Ok(None) => {}
                Err(StoreError::Damaged(why)) => damage.push(why),
                Err(fault) => return Err(fault),
            }
        }
        let holds = |kept: &Kept| {
            kept.refresh_token.is_some() || !kept.secrets.is_empty() || kept.hold == Hold::Released
        };
        Ok(Exported { accounts: accounts.into_values().filter(holds).collect(), damage })
    }

    fn kept(&self, record: &Record) -> Result<Kept, StoreError> {
        let current = record.current.as_ref();
        Ok(Kept {
            lineage: record.lineage.clone(),
            generation: current.map(|saved| saved.generation).unwrap_or_default(),
            issued_at: current.map(|saved| saved.issued.wall),
            subject: record.subject.clone(),
            condition: record.standing.condition,
            hold: record.standing.hold,
            under_way: record.intent.is_some(),
            refresh_token: match record.standing.hold {
                Hold::None | Hold::Paused => self.refresh_token(&record.account)?,
                Hold::Released => None,
            },
            ..Kept::new(record.account.clone())
        })
    }

    fn refresh_token(&self, account: &AccountId) -> Result<Option<Secret>, StoreError> {
        match self.lease(account, Stake::Current) {
            Ok(lease) => Ok(lease.refresh_token),
            // Loading has told of it.
            Err(StoreError::Damaged(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}
