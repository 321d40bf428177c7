//! The store, worked on as its owner while no daemon has it, and the place that holds its key.

use std::path::Path;
use std::path::PathBuf;

use tokenkeeper::daemon;
use tokenkeeper::daemon::Options;
use tokenkeeper::harden;
use tokenkeeper::section::Mode;
use tokenkeeper::store::custody;
use tokenkeeper::store::custody::Custody;
use tokenkeeper::store::key::KEY_FILE;
use tokenkeeper::store::key::Keys;
use tokenkeeper::store::key::StoreKey;
use tokenkeeper::store::refusal::OpenError;
use tokenkeeper::store::reseal::Tally;

use super::credstore;
use super::error::KeyError;
use super::keeping;
use super::keeping::Refusal;
use super::keeping::Standing;
use super::kept;
use super::owner::Owner;

/// The store, worked on as its owner.
pub(super) struct Store {
    database: PathBuf,
    owner: Owner,
    custody: Option<Custody>,
}

impl Store {
    pub(super) fn find(options: &Options) -> Result<Self, KeyError> {
        harden::against_onlookers().map_err(|error| KeyError::System("hardening", error))?;
        let is_usual = !options.user && options.config.is_none();
        let database = daemon::state_of(options).map_err(if is_usual {
            KeyError::of_host
        } else {
            KeyError::Config
        })?;
        let owner = Owner::of(database.parent().unwrap_or(Path::new("/")))?;
        Ok(Self { database, owner, custody: None })
    }

    /// Takes the store, if nobody has it, and looks at it.
    pub(super) fn take(&mut self) -> Result<Standing, KeyError> {
        let Self { database, owner, custody } = self;
        as_owner(owner, || match Custody::take(database) {
            Ok(taken) => {
                *custody = taken;
                Standing::of(custody.as_ref())
            }
            Err(OpenError::Held { pid, .. }) => {
                Ok(Standing::InUse { pid, key_file: custody::has_key_file(database)? })
            }
            Err(refused) => Err(refused),
        })
    }

    /// Finds that nothing outside of the store is sealed as the store is. What the service manager
    /// keeps counts only for an account whose exchange was under way, so that it is asked for the
    /// sake of those alone.
    pub(super) fn may_pass(&self, mode: Mode) -> Result<(), KeyError> {
        let Some(custody) = &self.custody else { return Ok(()) };
        let under_way = as_owner(&self.owner, || custody.under_way())?;
        if under_way.is_empty() {
            return Ok(());
        }
        Ok(keeping::may_pass(under_way, kept::count(mode)?, mode)?)
    }

    pub(super) fn pass(&mut self, from: &StoreKey, to: &StoreKey) -> Result<Tally, KeyError> {
        let Self { owner, custody, .. } = self;
        as_owner(owner, || match custody {
            Some(custody) => custody.rekey(from, to),
            None => Ok(Tally::default()),
        })
    }

    pub(super) fn remove_key_file(&self) -> Result<(), KeyError> {
        as_owner(&self.owner, || self.custody.as_ref().map_or(Ok(()), Custody::remove_key_file))
    }

    fn put_key_file(&self, keys: &Keys) -> Result<(), KeyError> {
        as_owner(&self.owner, || {
            self.custody.as_ref().map_or(Ok(()), |custody| custody.put_key_file(keys))
        })
    }

    /// Of what the safe holds, the newest key alone.
    pub(super) fn newest_of(&self, safe: Safe) -> Result<Keys, KeyError> {
        let keys = match (safe, &self.custody) {
            (Safe::File, Some(custody)) => as_owner(&self.owner, || custody.key_file())?,
            (Safe::File, None) => None,
            (Safe::Credential, _) => credstore::read()?,
        };
        let keys = keys.ok_or(Refusal::NoStore)?;
        Ok(Keys::one(keys.newest().clone()))
    }
}

fn as_owner<T>(owner: &Owner, work: impl FnOnce() -> Result<T, OpenError>) -> Result<T, KeyError> {
    let done = owner.act(work).map_err(|error| KeyError::System("rights of the owner", error))?;
    Ok(done?)
}

/// The place that holds the store's key.
#[derive(Clone, Copy)]
pub(super) enum Safe {
    /// The key file beside the store.
    File,
    /// The sealed credential.
    Credential,
}

impl Safe {
    pub(super) fn put(self, store: &Store, keys: &Keys) -> Result<(), KeyError> {
        match self {
            Self::File => store.put_key_file(keys),
            Self::Credential => Ok(credstore::install(keys)?),
        }
    }

    pub(super) fn path(self, store: &Store) -> String {
        match self {
            Self::File => store.database.with_file_name(KEY_FILE).display().to_string(),
            Self::Credential => credstore::PATH.to_owned(),
        }
    }
}
