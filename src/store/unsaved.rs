//! Generations that the disk did not take, as bytes for somebody else to keep.
//!
//! One file holds the set of all of them, so that what is kept is whole or not there. Each body
//! is sealed as it would be in its row; around them all is a second seal, because in a file of
//! its own nothing else holds a refresh token together with the place that it may be sent to.
//!
//! A set is `magic (8) ‖ store (16) ‖ number (8) ‖ sealed records`. The number counts the sets
//! of a store, and the seal binds it.

use sha2::Digest;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::name::AccountId;
use crate::record::Stake;
use crate::record::StoreError;
use crate::store::body::Reader;
use crate::store::body::Writer;
use crate::store::next::Next;
use crate::store::seal::Label;
use crate::store::seal::Sealer;
use crate::store::seal::Sort;
use crate::store::seal::StoreId;
use crate::store::write::json;
use crate::token::Generation;

/// What a set begins with; the last character is the version of the layout.
const MAGIC: &[u8; 8] = b"tkunsav1";

/// Records of one set. Until they are on disk no other token is spent, so there are no more than
/// exchanges that are under way at a time, some 256.
pub(super) const RECORDS: usize = 1024;

/// Length of a set, in bytes: the longest reply of a provider, 256 KiB, for many of them.
pub(super) const BYTES: usize = 8 << 20;

/// One generation that is not on disk.
#[derive(Clone)]
pub(super) struct Unsaved {
    /// Whose.
    pub(super) account: AccountId,
    /// Its number.
    pub(super) generation: Generation,
    /// Whether it takes the place of a credential that an operator handed in.
    pub(super) staged: bool,
    /// Where it came from and whose it is; `None` leaves both as they are.
    pub(super) origin: Option<(Box<str>, Option<Box<str>>)>,
    /// The standing from then on, as its column has it.
    pub(super) standing: Box<str>,
    /// The sealed body, as its row has it.
    pub(super) body: Vec<u8>,
    /// A digest of the body before it was sealed, by which the same one is known again.
    mark: [u8; 32],
}

impl Unsaved {
    /// `next`, sealed.
    pub(super) fn of(next: &Next<'_>, sealer: &Sealer) -> Result<Self, StoreError> {
        let account = next.account.clone();
        let label = label(&account, next.generation);
        Ok(Self {
            generation: next.generation,
            staged: next.stake == Stake::Staged,
            origin: next.origin.map(|(lineage, subject)| (lineage.into(), subject.map(Into::into))),
            standing: json(next.standing)?.into(),
            body: sealer.seal(label, &next.body),
            mark: Sha256::digest(&*next.body).into(),
            account,
        })
    }

    /// Whether the other one is the same generation with the same content.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.generation == other.generation && self.mark == other.mark
    }

    /// Bytes that it takes in a set, at the most.
    pub(super) fn len(&self) -> usize {
        let origin = self.origin.as_ref().map_or(0, |(lineage, subject)| {
            lineage.len() + subject.as_ref().map_or(0, |subject| subject.len())
        });
        64 + self.account.as_str().len() + origin + self.standing.len() + self.body.len()
    }
}

/// Why something is not a set of this store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    /// It begins like nothing that was written here.
    NoSet,
    /// It is another store's.
    Foreign,
    /// It does not open: it was changed, cut, or sealed before the store key was changed.
    Broken,
}

/// Seals `records` as the set with that number.
pub(super) fn seal<'a>(
    sealer: &Sealer,
    number: u64,
    records: impl Iterator<Item = &'a Unsaved>,
) -> Vec<u8> {
    let mut out = Writer(Zeroizing::new(Vec::new()));
    for record in records {
        out.presence(true);
        out.text(record.account.as_str());
        out.bytes(&record.generation.0.to_be_bytes());
        out.presence(record.staged);
        out.presence(record.origin.is_some());
        if let Some((lineage, subject)) = &record.origin {
            out.text(lineage);
            out.optional(subject.as_deref());
        }
        out.text(&record.standing);
        out.blob(&record.body);
    }
    out.presence(false);
    let number_bytes = number.to_be_bytes();
    let sealed = sealer.seal(set_label(number), &out.0);
    [MAGIC.as_slice(), sealer.store(), &number_bytes, &sealed].concat()
}

/// Opens a set.
pub(super) fn open(sealer: &Sealer, set: &[u8]) -> Result<(u64, Vec<Unsaved>), Refused> {
    let (store, number, sealed) = parts(set).ok_or(Refused::NoSet)?;
    if store != *sealer.store() {
        return Err(Refused::Foreign);
    }
    let plain = sealer.open(set_label(number), sealed).map_err(|_| Refused::Broken)?;
    let records = records(&plain, sealer).ok_or(Refused::Broken)?;
    Ok((number, records))
}

fn parts(set: &[u8]) -> Option<(StoreId, u64, &[u8])> {
    let mut rest = Reader(set.strip_prefix(MAGIC)?);
    let store = rest.array()?;
    let number = u64::from_be_bytes(rest.array()?);
    Some((store, number, rest.0))
}

fn records(plain: &[u8], sealer: &Sealer) -> Option<Vec<Unsaved>> {
    let mut rest = Reader(plain);
    let mut records = Vec::new();
    while rest.is_present()? {
        let account = AccountId::parse(rest.text()?).ok()?;
        let generation = Generation(u64::from_be_bytes(rest.array()?));
        let staged = rest.is_present()?;
        let origin = match rest.is_present()? {
            true => Some((rest.text()?.into(), rest.optional()?.map(Into::into))),
            false => None,
        };
        let standing = rest.text()?.into();
        let body = rest.blob()?.to_vec();
        let opened = sealer.open(label(&account, generation), &body).ok()?;
        let mark = Sha256::digest(&*opened).into();
        records.push(Unsaved { account, generation, staged, origin, standing, body, mark });
    }
    rest.0.is_empty().then_some(records)
}

/// What a generation is bound to.
pub(super) fn label(account: &AccountId, generation: Generation) -> Label<'_> {
    Label { sort: Sort::Generation, owner: account.as_str(), generation }
}

const fn set_label(number: u64) -> Label<'static> {
    Label { sort: Sort::Unsaved, owner: "", generation: Generation(number) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn a_set_opens_as_it_was_sealed() {
        let sealer = sealer(1);
        let both = [unsaved(&sealer, "mail", 7), unsaved(&sealer, "boiler", 3)];
        let (number, read) = open(&sealer, &seal(&sealer, 5, both.iter())).unwrap();
        assert_eq!(number, 5);
        for (read, written) in read.iter().zip(&both) {
            assert!(read.is(written));
            assert_eq!((&read.account, &read.origin), (&written.account, &written.origin));
            assert_eq!((&read.standing, &read.body), (&written.standing, &written.body));
        }
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn a_set_that_was_changed_or_cut_is_refused() {
        let sealer = sealer(1);
        let set = seal(&sealer, 5, [unsaved(&sealer, "mail", 7)].iter());
        for position in 0..set.len() {
            let mut changed = set.clone();
            changed[position] ^= 1;
            assert!(open(&sealer, &changed).is_err(), "byte {position}");
            assert!(open(&sealer, &set[..position]).is_err(), "cut to {position}");
        }
        assert_eq!(open(&sealer, &[set, vec![0]].concat()).err(), Some(Refused::Broken));
    }

    #[test]
    fn a_set_of_another_store_or_of_another_data_key_is_refused() {
        let ours = sealer(1);
        let set = seal(&ours, 5, [unsaved(&ours, "mail", 7)].iter());
        assert_eq!(open(&sealer(2), &set).err(), Some(Refused::Foreign));
        assert_eq!(open(&sealer(1), &set).err(), Some(Refused::Broken));
        assert_eq!(open(&ours, b"something else").err(), Some(Refused::NoSet));
    }

    /// A record of one account put in the place of another's.
    #[test]
    fn a_body_counts_only_for_its_account_and_generation() {
        let sealer = sealer(1);
        let mut moved = unsaved(&sealer, "mail", 7);
        moved.generation = Generation(8);
        let set = seal(&sealer, 5, [moved].iter());
        assert_eq!(open(&sealer, &set).err(), Some(Refused::Broken));
    }

    #[test]
    fn nothing_of_a_token_can_be_read_in_a_set() {
        let sealer = sealer(1);
        let set = seal(&sealer, 5, [unsaved(&sealer, "mail", 7)].iter());
        for plain in [b"a body".as_slice(), b"mail", b"issuer"] {
            assert!(!set.windows(plain.len()).any(|window| window == plain));
        }
    }

    pub(in crate::store) fn sealer(store: u8) -> Sealer {
        Sealer::create([store; 16], &[2; 32]).0
    }

    pub(in crate::store) fn unsaved(sealer: &Sealer, account: &str, generation: u64) -> Unsaved {
        let account = AccountId::parse(account).unwrap();
        let generation = Generation(generation);
        let body = sealer.seal(label(&account, generation), b"a body");
        let origin = Some(("issuer".into(), Some("pat".into())));
        let (standing, mark) = ("{}".into(), Sha256::digest(b"a body").into());
        Unsaved { account, generation, staged: false, origin, standing, body, mark }
    }
}
