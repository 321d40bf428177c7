//! A place outside of the process for what the disk does not take.
//!
//! [`Shelf`] is that place: the service manager's descriptor store, where there is one.
//! `Shelved` keeps the books: which generations are not on disk, and under which names sets of
//! them lie there.
//!
//! # Invariants
//!
//! * A commit comes before the publication of its tokens. Where the disk refuses the commit, the
//!   shelf comes before it: the write is answered, and only then anything published, when the
//!   set has been handed over or it is known that it was not.
//! * A new set is there before the one that it replaces goes. At a start the one with the highest
//!   number that opens counts.
//! * A set goes when nothing in it is missing on the disk. What cannot be opened is not taken
//!   away: it may be the only trace of a refresh token, and the data directory that it belongs to
//!   may be mounted the next time. Nor is what a disk that cannot be read says nothing of.
//! * Of an account, what counts is a generation after the last one on disk, and only while the
//!   intent of the exchange that brought it is there: what was forgotten since stays forgotten.
//! * Names tell the store by 32 bits of its random id, and the number of the set: nothing secret.

use std::collections::BTreeMap;

use crate::name::AccountId;
use crate::record::Refuge;
use crate::store::seal::Sealer;
use crate::store::seal::StoreId;
use crate::store::unsaved;
use crate::store::unsaved::Refused;
use crate::store::unsaved::Unsaved;
use crate::token::Generation;
use crate::token::hex;

/// What the names on the shelf begin with.
pub const PREFIX: &str = "unsaved-";

/// Where sets can lie while the disk does not take them, and survive the process.
pub trait Shelf: Send {
    /// Lays a set there under its name, and then takes away those with the names `gone`. Its own
    /// name among them means that one may lie there under it already, which goes when the new one
    /// is safe. Says whether that was handed over, which takes a bounded time; what was not may
    /// still arrive, later and before anything that is handed over after it.
    fn exchange(&mut self, set: Option<(&str, &[u8])>, gone: &[String]) -> bool;
}

/// What lay on the shelf when the process began.
pub struct Leftover {
    /// Under which name.
    pub name: String,
    /// The set; `None` if it is nothing that could be read.
    pub content: Option<Vec<u8>>,
}

/// What became of what lay on the shelf.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Inherited {
    /// Newer than the disk, and used.
    pub used: Vec<(AccountId, Generation)>,
    /// Not used, and why: sentences for the journal.
    pub refused: Vec<String>,
}

/// The books.
#[derive(Default)]
pub(super) struct Shelved {
    shelf: Option<Box<dyn Shelf>>,
    /// What an earlier process could not write; the store writes it.
    inherited: BTreeMap<AccountId, Unsaved>,
    /// The same, where the disk does not say whether it wants them: they are not used, and lie
    /// there for the next process.
    undecided: BTreeMap<AccountId, Unsaved>,
    /// What this process could not write; whoever asked for it asks again.
    refused: BTreeMap<AccountId, Unsaved>,
    /// What was handed out last for an exchange, for a disk that cannot even be read after it.
    leased: BTreeMap<AccountId, Generation>,
    /// The highest number of a set that lay there for certain.
    number: u64,
    /// Names under which sets of this store may lie.
    names: Vec<String>,
    /// Whether the set that lies there is the present one.
    current: bool,
}

impl Shelved {
    /// Nothing on that shelf.
    pub(super) fn on(shelf: Box<dyn Shelf>) -> Self {
        Self { shelf: Some(shelf), current: true, ..Self::default() }
    }

    /// Opens what lay on the shelf: the records of the newest set of this store. They count once
    /// [`take_over`](Self::take_over) says so.
    pub(super) fn look(
        &mut self,
        sealer: &Sealer,
        leftovers: Vec<Leftover>,
        told: &mut Inherited,
    ) -> Vec<Unsaved> {
        let mut newest = (0, Vec::new());
        for Leftover { name, content } in leftovers {
            self.number = self.number.max(number_of(&name, sealer.store()).unwrap_or(0));
            let set = content.as_deref().ok_or(Refused::NoSet);
            match set.and_then(|set| unsaved::open(sealer, set)) {
                Ok((number, records)) => {
                    self.names.push(name);
                    self.number = self.number.max(number);
                    if number >= newest.0 {
                        newest = (number, records);
                    }
                }
                Err(refused) => told.refused.push(sentence(&name, refused)),
            }
        }
        // One set lies there, and nothing else of this store.
        self.current = self.names.len() <= 1;
        newest.1
    }

    /// What of an earlier process is to be written.
    pub(super) fn take_over(&mut self, unsaved: Unsaved) {
        self.inherited.insert(unsaved.account.clone(), unsaved);
    }

    /// What is to be done with this is for the next process to find out.
    pub(super) fn leave(&mut self, unsaved: Unsaved) {
        self.undecided.insert(unsaved.account.clone(), unsaved);
    }

    /// The set that lies there has something in it that is not to be kept.
    pub(super) const fn outdated(&mut self) {
        self.current = false;
    }

    pub(super) const fn is_there(&self) -> bool {
        self.shelf.is_some()
    }

    pub(super) const fn inherited(&self) -> &BTreeMap<AccountId, Unsaved> {
        &self.inherited
    }

    /// These of an earlier process are on disk.
    pub(super) fn settled(&mut self, accounts: &[AccountId]) {
        for account in accounts {
            self.current &= self.inherited.remove(account).is_none();
        }
    }

    /// A refresh token is about to be spent.
    pub(super) fn leased(&mut self, account: &AccountId, generation: Generation) {
        self.leased.insert(account.clone(), generation);
    }

    /// The generation whose refresh token was handed out last.
    pub(super) fn lease_of(&self, account: &AccountId) -> Option<Generation> {
        self.leased.get(account).copied()
    }

    /// The disk did not take this.
    pub(super) fn add(&mut self, unsaved: Unsaved) {
        let known = self.refused.get(&unsaved.account).is_some_and(|earlier| earlier.is(&unsaved));
        if !known {
            self.current = false;
            self.refused.insert(unsaved.account.clone(), unsaved);
        }
    }

    /// The disk has the newest of the account, or there is nothing to be kept of it any more.
    pub(super) fn remove(&mut self, account: &AccountId) {
        self.leased.remove(account);
        for records in [&mut self.inherited, &mut self.undecided, &mut self.refused] {
            self.current &= records.remove(account).is_none();
        }
    }

    /// Has the shelf hold what is not on disk, and nothing else, unless it does already.
    pub(super) fn shelve(&mut self, sealer: &Sealer) {
        let Some(shelf) = self.shelf.as_mut().filter(|_| !self.current) else { return };
        let fitting = fitting([&self.inherited, &self.undecided, &self.refused]);
        if fitting.is_empty() {
            self.current = shelf.exchange(None, &self.names);
            if self.current {
                self.names.clear();
            }
            return;
        }
        // It is used until a set has arrived under it for certain, so that names do not add up.
        let number = self.number.saturating_add(1);
        let name = name_of(sealer.store(), number);
        let set = unsaved::seal(sealer, number, fitting.into_iter());
        self.current = shelf.exchange(Some((&name, &set)), &self.names);
        if self.current {
            self.number = number;
            self.names = vec![name];
        } else if !self.names.contains(&name) {
            // It may arrive yet.
            self.names.push(name);
        }
    }

    /// Whether anything of an account is not on disk.
    pub(super) fn has(&self, account: &AccountId) -> bool {
        self.inherited.contains_key(account) || self.refused.contains_key(account)
    }

    /// Where the newest refresh token of an account is that the disk did not take.
    pub(super) fn refuge(&self, account: &AccountId) -> Refuge {
        let fits = || {
            let fitting = fitting([&self.inherited, &self.undecided, &self.refused]);
            fitting.iter().any(|record| record.account == *account)
        };
        if self.current && fits() { Refuge::ServiceManager } else { Refuge::Memory }
    }
}

/// What one set has room for. Of two records of an account the later one counts when it is opened.
fn fitting(records: [&BTreeMap<AccountId, Unsaved>; 3]) -> Vec<&Unsaved> {
    let mut room = unsaved::BYTES;
    let mut fitting = Vec::new();
    for record in records.into_iter().flat_map(BTreeMap::values) {
        if fitting.len() < unsaved::RECORDS
            && let Some(left) = room.checked_sub(record.len())
        {
            room = left;
            fitting.push(record);
        }
    }
    fitting
}

fn sentence(name: &str, refused: Refused) -> String {
    match refused {
        Refused::NoSet => format!("{name} of the service manager is nothing that was kept there"),
        Refused::Foreign => {
            format!("{name} of the service manager belongs to another store, and stays there")
        }
        Refused::Broken => format!(
            "{name} of the service manager does not open: it was changed, or the store key was; \
             it stays there"
        ),
    }
}

fn name_of(store: &StoreId, number: u64) -> String {
    format!("{}{number}", own_prefix(store))
}

fn number_of(name: &str, store: &StoreId) -> Option<u64> {
    name.strip_prefix(&own_prefix(store))?.parse().ok()
}

fn own_prefix(store: &StoreId) -> String {
    let [a, b, c, d, ..] = *store;
    format!("{PREFIX}{}-", hex(&[a, b, c, d]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::unsaved::tests::sealer;
    use crate::store::unsaved::tests::unsaved;

    #[test]
    fn what_one_set_has_no_room_for_is_told_to_be_in_memory_alone() {
        let sealer = sealer(1);
        let mut shelved = Shelved::on(Box::new(Taking));
        let name = |number: usize| format!("account-{number:04}");
        for number in 0..=unsaved::RECORDS {
            shelved.add(unsaved(&sealer, &name(number), 7));
        }
        shelved.shelve(&sealer);
        let refuge = |number| shelved.refuge(&AccountId::parse(&name(number)).unwrap());
        assert_eq!(refuge(unsaved::RECORDS - 1), Refuge::ServiceManager);
        assert_eq!(refuge(unsaved::RECORDS), Refuge::Memory);
    }

    #[test]
    fn the_longest_set_is_no_longer_than_what_is_read_back() {
        let longest = unsaved::BYTES + unsaved::RECORDS * 64;
        assert!(u64::try_from(longest).unwrap() < crate::limits::KEPT_FILE);
    }

    #[test]
    fn a_name_tells_the_store_and_nothing_else() {
        assert_eq!(name_of(&[0xab; 16], 7), "unsaved-abababab-7");
        assert_eq!(number_of("unsaved-abababab-7", &[0xab; 16]), Some(7));
        assert_eq!(number_of("unsaved-abababab-7", &[0xac; 16]), None);
    }

    /// A shelf that takes everything.
    struct Taking;

    impl Shelf for Taking {
        fn exchange(&mut self, set: Option<(&str, &[u8])>, _: &[String]) -> bool {
            assert!(set.is_none_or(|(_, set)| set.len() <= unsaved::BYTES));
            true
        }
    }
}
