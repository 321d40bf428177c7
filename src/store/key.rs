//! The store key: 32 bytes that unwrap the data key, and where they come from.
//!
//! The service manager passes it as the credential [`CREDENTIAL`], sealed to the TPM or
//! the host. Without one it is a file beside the state, which protects against a leaked
//! backup of the database and nothing else; `doctor` says so.
//!
//! # Invariants
//!
//! * A key is only ever made where there is no database yet, and it is durable before the
//!   database is begun: no crash can leave sealed tokens without their key.
//! * Which key opens a database is told by the database alone, so both places may hold
//!   others beside it: that is how a store passes from one key to the next without a moment
//!   at which it would not open ([`custody`](crate::store::custody)).

use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::Digest;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::random;
use crate::store::dir::StateDir;
use crate::store::dir::read_capped;
use crate::store::refusal::OpenError;
use crate::token::Secret;
use crate::token::hex;

/// Name of the systemd credential.
pub const CREDENTIAL: &str = "tokenkeeper.store-key";

/// Name of the key file, beside the database.
pub const KEY_FILE: &str = "store.key";

/// Bytes of a key.
const KEY_LEN: usize = 32;

/// Bytes of a key as a line: its hex digits and a newline.
const LINE_LEN: usize = 2 * KEY_LEN + 1;

/// Longest text of a place for keys, in bytes: two lines.
pub const TEXT_LEN: usize = 2 * LINE_LEN;

/// Where the store key that is in use comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeySource {
    /// A credential of the service manager.
    Credential,
    /// A file beside the state: whoever steals the directory has both.
    File,
}

/// The key that wraps the data key.
#[derive(Clone)]
pub struct StoreKey(Zeroizing<[u8; KEY_LEN]>);

impl StoreKey {
    /// A new key, which nobody else has.
    pub fn draw() -> Self {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        random::fill(bytes.as_mut());
        Self(bytes)
    }

    /// A name for the key that does not tell it: of a random key, a hash gives nothing away.
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"tokenkeeper store key id\0");
        hash.update(self.0.as_slice());
        let hash: [u8; 32] = hash.finalize().into();
        let [a, b, c, d, ..] = hash;
        hex(&[a, b, c, d])
    }

    /// The key itself.
    pub(super) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    fn from_digits(digits: &[u8]) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != KEY_LEN || !rest.is_empty() {
            return None;
        }
        for ([high, low], byte) in pairs.iter().zip(bytes.iter_mut()) {
            let value = char::from(*high).to_digit(16)? << 4 | char::from(*low).to_digit(16)?;
            *byte = u8::try_from(value).ok()?;
        }
        Some(Self(bytes))
    }
}

/// What a place for keys holds: one key, or two while a store passes from one to the other.
#[derive(Clone)]
pub struct Keys {
    newest: StoreKey,
    before: Option<StoreKey>,
}

impl Keys {
    /// One key.
    pub const fn one(key: StoreKey) -> Self {
        Self { newest: key, before: None }
    }

    /// The key that a store is to pass to, and the one that it has.
    pub const fn passing(to: StoreKey, from: StoreKey) -> Self {
        Self { newest: to, before: Some(from) }
    }

    /// Reads what a place for keys holds: a key of 32 raw bytes, or one or two lines of 64 hex
    /// digits, of which the last needs no newline.
    ///
    /// # Errors
    ///
    /// What is there instead, without its content.
    pub fn parse(text: &[u8]) -> Result<Self, &'static str> {
        if let Ok(raw) = <&[u8; KEY_LEN]>::try_from(text) {
            return Ok(Self::one(StoreKey(Zeroizing::new(*raw))));
        }
        if text.is_empty() {
            return Err("an empty file");
        }
        if text.len() > TEXT_LEN {
            return Err("more than two lines of 64 digits");
        }
        let mut lines = text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n');
        let mut next = || {
            let line = lines.next()?;
            if line.len() != 2 * KEY_LEN {
                return Some(Err("another length"));
            }
            let key = StoreKey::from_digits(line);
            Some(key.ok_or("64 characters that are not all hex digits"))
        };
        let newest = next().unwrap_or(Err("an empty file"))?;
        Ok(Self { newest, before: next().transpose()? })
    }

    /// The text that [`parse`](Self::parse) reads.
    pub fn text(&self) -> Secret {
        // The whole capacity at once: a string that grows leaves copies behind.
        let length = LINE_LEN * self.iter().count();
        let mut text = Zeroizing::new(String::with_capacity(length));
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
        for key in self.iter() {
            text.extend(key.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
            text.push('\n');
        }
        Secret::new(text.as_str())
    }

    /// The key of that id, if it is here.
    pub fn get(&self, id: &str) -> Option<&StoreKey> {
        self.iter().find(|key| key.id() == id)
    }

    /// The one that is there to stay.
    pub const fn newest(&self) -> &StoreKey {
        &self.newest
    }

    /// The one that a store is passing from, if it is passing.
    pub const fn before(&self) -> Option<&StoreKey> {
        self.before.as_ref()
    }

    /// Whether both hold the same keys, told by their ids.
    pub fn same_as(&self, other: &Self) -> bool {
        self.iter().map(StoreKey::id).eq(other.iter().map(StoreKey::id))
    }

    fn iter(&self) -> impl Iterator<Item = &StoreKey> {
        std::iter::once(&self.newest).chain(&self.before)
    }
}

/// A key, and where it was found.
pub(super) struct Found {
    /// The key.
    pub(super) key: StoreKey,
    /// Where it comes from.
    pub(super) source: KeySource,
    /// The file that it was read from.
    pub(super) path: PathBuf,
}

/// What was found for a database that is there.
pub(super) enum Match {
    /// Its key.
    Right(Found),
    /// Other keys, of which this is the first.
    Wrong(Found),
    /// No key anywhere.
    Missing,
}

impl Found {
    /// The key for a database that is yet to be made: that of the credential if one was passed,
    /// else that of the key file; `None` if there is neither.
    pub(super) fn first(
        dir: &StateDir,
        credentials: Option<&Path>,
    ) -> Result<Option<Self>, OpenError> {
        match Place::passed(credentials)? {
            Some(place) => Ok(Some(place.newest())),
            None => Ok(Place::beside(dir)?.map(Place::newest)),
        }
    }

    /// The key of which a database says that it is its own. The key file is not looked at where
    /// the credential holds it.
    pub(super) fn of_id(
        id: &str,
        dir: &StateDir,
        credentials: Option<&Path>,
    ) -> Result<Match, OpenError> {
        let passed = match Place::passed(credentials)?.map(|place| place.select(id)) {
            Some(Ok(found)) => return Ok(Match::Right(found)),
            Some(Err(other)) => Some(other),
            None => None,
        };
        Ok(match (Place::beside(dir)?.map(|place| place.select(id)), passed) {
            (Some(Ok(found)), _) => Match::Right(found),
            (_, Some(other)) | (Some(Err(other)), None) => Match::Wrong(other),
            (None, None) => Match::Missing,
        })
    }

    /// Makes a new key and its file, durable when this returns. Never replaces a file.
    pub(super) fn create(dir: &StateDir) -> Result<Self, OpenError> {
        let path = dir.path(KEY_FILE);
        let key = StoreKey::draw();
        let text = Keys::one(key.clone()).text();
        dir.create(KEY_FILE, text.expose().as_bytes())
            .map_err(|errno| OpenError::io("create", &path, errno))?;
        Ok(Self { key, source: KeySource::File, path })
    }
}

/// What the key file in `dir` holds, if there is one.
pub(super) fn of_file(dir: &StateDir) -> Result<Option<Keys>, OpenError> {
    Ok(Place::beside(dir)?.map(|place| place.keys))
}

/// A place that holds keys.
struct Place {
    keys: Keys,
    source: KeySource,
    path: PathBuf,
}

impl Place {
    fn passed(credentials: Option<&Path>) -> Result<Option<Self>, OpenError> {
        let Some(path) = credentials.map(|directory| directory.join(CREDENTIAL)) else {
            return Ok(None);
        };
        read_credential(&path)?
            .map(|text| Self::read(&text, KeySource::Credential, path))
            .transpose()
    }

    fn beside(dir: &StateDir) -> Result<Option<Self>, OpenError> {
        dir.read(KEY_FILE, TEXT_LEN)?
            .map(|text| Self::read(&text, KeySource::File, dir.path(KEY_FILE)))
            .transpose()
    }

    fn read(text: &[u8], source: KeySource, path: PathBuf) -> Result<Self, OpenError> {
        match Keys::parse(text) {
            Ok(keys) => Ok(Self { keys, source, path }),
            Err(found) => Err(OpenError::KeyMalformed { path, found }),
        }
    }

    /// The key of that id, or another one.
    fn select(self, id: &str) -> Result<Found, Found> {
        match self.keys.get(id).cloned() {
            Some(key) => Ok(Found { key, source: self.source, path: self.path }),
            None => Err(self.newest()),
        }
    }

    fn newest(self) -> Found {
        Found { key: self.keys.newest, source: self.source, path: self.path }
    }
}

/// Credentials are the service manager's files: read-only, on a file system of their own,
/// and not always owned by us, so they are not held to the rules of the state directory.
fn read_credential(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, OpenError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(OpenError::io("open", path, errno)),
    };
    read_capped(file.into(), TEXT_LEN).map(Some).map_err(|errno| OpenError::io("read", path, errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::dir::tests::private_dir;
    use crate::store::dir::tests::state_dir;

    #[test]
    fn keys_are_32_bytes_or_one_or_two_lines_of_64_hex_digits_and_nothing_else() {
        let hex = "00ff10203040506070809000a0b0c0d0e0f0112233445566778899AABBCCDDee";
        let line = format!("{hex}\n");
        let blank = format!("{hex}\n\n");
        let not_hex = hex.replace("00", "0g");
        let (two, two_lines) = (format!("{line}{hex}"), format!("{line}{line}"));
        let half = format!("{line}{}", &hex[1..]);
        let three = format!("{line}{line}{hex}");
        #[rustfmt::skip]
        let cases: &[(&str, &[u8], bool)] = &[
            ("raw",                &[7; 32],              true),
            ("hex",                hex.as_bytes(),        true),
            ("hex and newline",    line.as_bytes(),       true),
            ("two keys",           two.as_bytes(),        true),
            ("two whole lines",    two_lines.as_bytes(),  true),
            ("an empty line",      blank.as_bytes(),      false),
            ("a key and a part",   half.as_bytes(),       false),
            ("three keys",         three.as_bytes(),      false),
            ("not hex",            not_hex.as_bytes(),    false),
            ("empty",              b"",                   false),
            ("a newline",          b"\n",                 false),
            ("31 bytes",           &[7; 31],              false),
            ("33 bytes",           &[7; 33],              false),
            ("a megabyte",         &[b'a'; 1 << 20],      false),
        ];
        for (name, text, good) in cases {
            let (_at, dir) = state_dir();
            dir.create(KEY_FILE, text).unwrap();
            let found = Found::first(&dir, None).map(|found| found.is_some());
            assert_eq!(found.is_ok(), *good, "{name}");
            if let Err(refused) = found {
                assert!(refused.to_string().contains("expected 32 raw bytes"), "{refused}");
            }
        }
    }

    #[test]
    fn keys_read_back_as_they_were_written_the_newest_first() {
        let (to, from) = (StoreKey::draw(), StoreKey::draw());
        let passing = Keys::passing(to.clone(), from.clone());
        let read = Keys::parse(passing.text().expose().as_bytes()).ok().unwrap();
        assert!(read.same_as(&passing));
        assert!(!read.same_as(&Keys::passing(from.clone(), to.clone())));
        assert!(!read.same_as(&Keys::one(to.clone())));
        assert_eq!(read.newest().bytes(), to.bytes());
        assert_eq!(read.before().unwrap().bytes(), from.bytes());
        assert_eq!(read.get(&from.id()).unwrap().bytes(), from.bytes());
        assert!(read.get("00000000").is_none());
    }

    #[test]
    fn a_created_key_reads_back_as_the_same_key() {
        let (_at, dir) = state_dir();
        assert!(Found::first(&dir, None).unwrap().is_none());
        let made = Found::create(&dir).unwrap();
        let read = Found::first(&dir, None).unwrap().unwrap();
        assert_eq!(made.key.bytes(), read.key.bytes());
        assert_eq!(made.key.id(), read.key.id());
        assert_eq!(read.source, KeySource::File);
    }

    #[test]
    fn a_second_key_is_never_made_over_the_first() {
        let (_at, dir) = state_dir();
        let first = Found::create(&dir).unwrap();
        assert!(Found::create(&dir).is_err());
        assert_eq!(Found::first(&dir, None).unwrap().unwrap().key.bytes(), first.key.bytes());
    }

    #[test]
    fn a_new_store_gets_the_key_of_the_credential_and_an_old_one_its_own_wherever_it_is() {
        let (_at, dir) = state_dir();
        let in_file = Found::create(&dir).unwrap().key;
        let (credentials, passed) = state_dir();
        passed.create(CREDENTIAL, &[9; 32]).unwrap();
        let credentials = Some(credentials.path());

        let first = Found::first(&dir, credentials).unwrap().unwrap();
        assert_eq!((first.key.bytes(), first.source), (&[9; 32], KeySource::Credential));
        for (id, source) in
            [(first.key.id(), KeySource::Credential), (in_file.id(), KeySource::File)]
        {
            let found = Found::of_id(&id, &dir, credentials).unwrap();
            assert!(matches!(found, Match::Right(found) if found.source == source));
        }
        let other = Found::of_id("00000000", &dir, credentials).unwrap();
        assert!(matches!(other, Match::Wrong(found) if found.source == KeySource::Credential));

        let none_passed = private_dir();
        let first = Found::first(&dir, Some(none_passed.path())).unwrap().unwrap();
        assert_eq!(first.source, KeySource::File);
    }

    #[test]
    fn a_key_file_that_is_none_matters_only_where_the_credential_has_not_the_key() {
        let (_at, dir) = state_dir();
        dir.create(KEY_FILE, b"no key").unwrap();
        let (credentials, passed) = state_dir();
        passed.create(CREDENTIAL, &[9; 32]).unwrap();
        let id = Found::first(&dir, Some(credentials.path())).unwrap().unwrap().key.id();
        assert!(Found::of_id(&id, &dir, Some(credentials.path())).is_ok());
        assert!(Found::of_id("00000000", &dir, Some(credentials.path())).is_err());
    }
}
