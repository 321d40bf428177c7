//! What the disk did not take: taken over from an earlier process, and laid aside for the next.

use crate::record::StoreError;
use crate::record::Write;
use crate::record::Written;
use crate::store::Change;
use crate::store::next::Ground;
use crate::store::next::Next;
use crate::store::shelf::Inherited;
use crate::store::shelf::Leftover;
use crate::store::shelf::Shelf;
use crate::store::shelf::Shelved;
use crate::store::unsaved::Unsaved;
use crate::token::Generation;

use super::Answers;
use super::Footing;
use super::Sqlite;

/// What is to be done with a generation that an earlier process could not write.
enum Verdict {
    /// It is used, and written.
    Wanted,
    /// The disk has it.
    There,
    /// It must not be used, for this reason.
    Useless(String),
    /// The disk cannot be read, so nobody can say.
    Open(StoreError),
}

impl Sqlite {
    /// Has what the disk does not take kept on `shelf` from now on, and takes over what an earlier
    /// process left there: what is newer than the disk is written, at once or as soon as that is
    /// possible, and until then stands in for what is on disk.
    pub fn keep_on(&mut self, shelf: Box<dyn Shelf>, leftovers: Vec<Leftover>) -> Inherited {
        let mut told = Inherited::default();
        let mut shelved = Shelved::on(shelf);
        for unsaved in shelved.look(&self.sealer, leftovers, &mut told) {
            match self.verdict(&unsaved) {
                Verdict::Wanted => {
                    told.used.push((unsaved.account.clone(), unsaved.generation));
                    shelved.take_over(unsaved);
                }
                Verdict::There => shelved.outdated(),
                Verdict::Useless(why) => {
                    shelved.outdated();
                    told.refused.push(sentence(&unsaved, &why));
                }
                Verdict::Open(fault) => {
                    told.refused.push(sentence(&unsaved, &format!("{fault}; it stays there")));
                    shelved.leave(unsaved);
                }
            }
        }
        self.shelved = shelved;
        if self.footing == Footing::Sound && !told.used.is_empty() {
            // A disk that does not take it yet is tried again by whoever wants the account.
            let _not_yet = self.transact(&[]);
        }
        self.shelved.shelve(&self.sealer);
        told
    }

    /// What the disk says of a generation that it did not take from an earlier process.
    fn verdict(&self, unsaved: &Unsaved) -> Verdict {
        match self.tables().and_then(|tables| tables.awaits(unsaved)) {
            Ok((count, _)) if count == unsaved.generation => Verdict::There,
            Ok((count, _)) if count > unsaved.generation => {
                Verdict::Useless(format!("{count} is on disk"))
            }
            Ok((_, true)) => Verdict::Wanted,
            Ok((_, false)) => Verdict::Useless("what it belongs to was given up since".to_owned()),
            Err(fault) => Verdict::Open(fault),
        }
    }

    /// Lays aside what of `batch` a crash would lose, and says in the answers where it is.
    pub(super) fn keep(&mut self, batch: &[Change], answers: Answers) -> Answers {
        if !self.shelved.is_there() {
            return answers;
        }
        for (change, answer) in batch.iter().zip(&answers) {
            match answer {
                Ok(written) => self.is_durable(change, written),
                Err(
                    StoreError::Full
                    | StoreError::ReadOnly
                    | StoreError::Io(_)
                    | StoreError::Damaged(_)
                    | StoreError::Held,
                ) => {
                    if let Change::Account(write) = change
                        && let Some(unsaved) = self.unsaved(write)
                    {
                        self.shelved.add(unsaved);
                    }
                }
                Err(_) => {}
            }
        }
        self.shelved.shelve(&self.sealer);
        let answered = batch.iter().zip(answers);
        answered.map(|(change, answer)| answer.map_err(|why| self.told(change, why))).collect()
    }

    fn is_durable(&mut self, change: &Change, written: &Written) {
        match change {
            Change::Account(Write::Intent { account, spends: true, .. }) => {
                if let Written::Leased(lease) = written {
                    self.shelved.leased(account, lease.generation);
                }
            }
            Change::Account(
                Write::Commit { account, .. }
                | Write::Salvage { account, .. }
                | Write::Clear { account },
            )
            | Change::Purge { account } => self.shelved.remove(account),
            Change::Account(_) | Change::PutSecret { .. } | Change::ForgetSecret { .. } => {}
        }
    }

    /// What `write` would have made durable, if a crash would lose it. A disk that cannot be read
    /// either is asked nothing: the number that was leased last is known.
    fn unsaved(&self, write: &Write) -> Option<Unsaved> {
        if let Ok(unsaved) = self.tables().and_then(|tables| tables.unsaved(write)) {
            return unsaved;
        }
        let (Write::Commit { account, .. } | Write::Salvage { account, .. }) = write else {
            return None;
        };
        let count: Generation = self.shelved.lease_of(account)?;
        let ground = Ground { count, base: None, staged: None, boot_id: &self.boot_id };
        let next = Next::of(write, ground).filter(|next| next.rotates)?;
        Unsaved::of(&next, &self.sealer).ok()
    }

    /// A refusal, with the place where the refresh token is meanwhile.
    fn told(&self, change: &Change, why: StoreError) -> StoreError {
        let Change::Account(
            Write::Commit { account, .. }
            | Write::Salvage { account, .. }
            | Write::Settle { account },
        ) = change
        else {
            return why;
        };
        if self.shelved.has(account) {
            let refuge = self.shelved.refuge(account);
            StoreError::Unsaved { why: Box::new(why), refuge }
        } else {
            why
        }
    }
}

fn sentence(Unsaved { account, generation, .. }: &Unsaved, why: &str) -> String {
    format!("{account}: generation {generation}, kept by the service manager: {why}")
}
