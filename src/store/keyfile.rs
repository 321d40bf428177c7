//! The key file of an open store: looked at before anything is spent, and put back.
//!
//! Without it the next start would have a database that nobody can open. Meanwhile the key is known
//! here, sealed under the data key, which is in memory anyway: it is plain for as long as it takes to
//! write it.
//!
//! A credential of the service manager is not watched. It is a copy that lasts as long as the process;
//! the next one gets another, out of a place that the daemon cannot see.

use zeroize::Zeroizing;

use crate::record::StoreError;
use crate::store::dir::StateDir;
use crate::store::dir::Trace;
use crate::store::key;
use crate::store::key::KEY_FILE;
use crate::store::key::Keys;
use crate::store::key::StoreKey;
use crate::store::refusal::OpenError;
use crate::store::seal::Broken;
use crate::store::seal::Label;
use crate::store::seal::Sealer;
use crate::store::seal::Sort;
use crate::token::Generation;

const LABEL: Label<'_> = Label { sort: Sort::StoreKey, owner: KEY_FILE, generation: Generation(0) };

/// What the key file has to hold.
pub(super) struct KeyFile {
    /// Its text, sealed.
    sealed: Vec<u8>,
    /// Id of the key.
    id: String,
    /// What the file looked like when the key was last seen in it.
    seen: Option<Trace>,
}

impl KeyFile {
    /// The file out of which `key` was just read, or into which it was written.
    pub(super) fn of(dir: &StateDir, sealer: &Sealer, key: &StoreKey) -> Self {
        let text = Keys::one(key.clone()).text();
        let sealed = sealer.seal(LABEL, text.expose().as_bytes());
        Self { sealed, id: key.id(), seen: dir.trace(KEY_FILE) }
    }

    /// Sees to it that the file holds the key, durably, and says whether it had to be written.
    ///
    /// What is no empty file is not written over: it may be the only copy of another store's key.
    ///
    /// # Errors
    ///
    /// If it holds something else, or is not to be written.
    pub(super) fn hold(&mut self, dir: &StateDir, sealer: &Sealer) -> Result<bool, StoreError> {
        let found = dir.trace(KEY_FILE);
        if found.is_some() && found == self.seen {
            return Ok(false);
        }
        let written = match found.map(|trace| trace.length) {
            None => dir.create(KEY_FILE, &self.text(sealer)?).map(|()| true)?,
            Some(0) => dir.replace(KEY_FILE, &self.text(sealer)?).map(|()| true)?,
            Some(_) if self.is_in(dir)? => false,
            Some(_) => {
                let path = dir.path(KEY_FILE);
                return Err(StoreError::Io(format!(
                    "{} holds another key than the store was sealed with, and the next start would \
                     not open it; move that file away, and the right one is written in its place",
                    path.display()
                )));
            }
        };
        self.seen = dir.trace(KEY_FILE);
        Ok(written)
    }

    fn is_in(&self, dir: &StateDir) -> Result<bool, StoreError> {
        match key::of_file(dir) {
            Ok(keys) => Ok(keys.is_some_and(|keys| keys.get(&self.id).is_some())),
            Err(OpenError::KeyMalformed { .. }) => Ok(false),
            Err(refused) => Err(refused.into()),
        }
    }

    fn text(&self, sealer: &Sealer) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let broken = || StoreError::Damaged("the store key in memory does not open".to_owned());
        sealer.open(LABEL, &self.sealed).map_err(|Broken| broken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::dir::tests::state_dir;

    const OURS: [u8; 32] = [7; 32];

    #[test]
    fn a_file_that_was_removed_or_emptied_is_written_again_with_the_same_key() {
        let (at, dir) = state_dir();
        let (sealer, mut file, key) = with_key(&dir);
        assert_eq!(file.hold(&dir, &sealer), Ok(false));
        for emptied in [false, true] {
            std::fs::remove_file(at.path().join(KEY_FILE)).unwrap();
            if emptied {
                drop(dir.create_empty(KEY_FILE).unwrap());
            }
            assert_eq!(file.hold(&dir, &sealer), Ok(true), "emptied: {emptied}");
            let keys = key::of_file(&dir).unwrap().unwrap();
            assert_eq!(keys.newest().bytes(), key.bytes());
            assert_eq!(file.hold(&dir, &sealer), Ok(false));
        }
    }

    #[test]
    fn a_copy_of_the_file_is_as_good_as_the_file() {
        let (_at, dir) = state_dir();
        let (sealer, mut file, key) = with_key(&dir);
        let both = Keys::passing(StoreKey::draw(), key);
        dir.replace(KEY_FILE, both.text().expose().as_bytes()).unwrap();
        assert_eq!(file.hold(&dir, &sealer), Ok(false));
    }

    #[test]
    fn what_else_lies_in_its_place_is_left_there_and_nothing_is_spent() {
        let (at, dir) = state_dir();
        let (sealer, mut file, _key) = with_key(&dir);
        let other = Keys::one(StoreKey::draw()).text();
        for text in [other.expose().as_bytes(), b"not a key"] {
            dir.replace(KEY_FILE, text).unwrap();
            for _ in 0..2 {
                let refused = file.hold(&dir, &sealer).unwrap_err().to_string();
                assert!(refused.contains("move that file away"), "{refused}");
            }
            assert_eq!(dir.read(KEY_FILE, 100).unwrap().unwrap().as_slice(), text);
        }
        std::fs::remove_file(at.path().join(KEY_FILE)).unwrap();
        assert_eq!(file.hold(&dir, &sealer), Ok(true));
    }

    #[test]
    fn the_key_is_not_in_what_is_kept_of_it() {
        let (_at, dir) = state_dir();
        let (_sealer, file, key) = with_key(&dir);
        let text = Keys::one(key).text();
        let found = file.sealed.windows(16).any(|part| text.expose().as_bytes().starts_with(part));
        assert!(!found);
    }

    fn with_key(dir: &StateDir) -> (Sealer, KeyFile, StoreKey) {
        let (sealer, _) = Sealer::create([1; 16], &OURS);
        let key = StoreKey::draw();
        dir.create(KEY_FILE, Keys::one(key.clone()).text().expose().as_bytes()).unwrap();
        let file = KeyFile::of(dir, &sealer, &key);
        (sealer, file, key)
    }
}
