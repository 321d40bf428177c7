//! Seeing to it that the next start finds what is written: lock, key, database and log, each where it
//! was and as it was left.
//!
//! Whoever takes one of them away under the daemon takes away what every account lives by. While the
//! daemon runs it still has all of it, so it puts it back, and says so.

use std::fmt::Display;

use tracing::warn;

use crate::message::Message;
use crate::record::StoreError;
use crate::store::connection;
use crate::store::key::KEY_FILE;
use crate::store::lock;
use crate::store::lock::Lock;
use crate::store::refusal::OpenError;

use super::Footing;
use super::Sqlite;

impl Sqlite {
    /// Puts back what somebody took away or changed, so that what is written next outlasts the process.
    /// The lock comes first: without it another daemon may be writing already.
    ///
    /// # Errors
    ///
    /// If it is not to be put back. Then nothing may be written or spent.
    pub(super) fn hold(&mut self) -> Result<(), StoreError> {
        if !self.dir.is_in_place() {
            self.footing = Footing::Suspect;
            return Err(moved());
        }
        if !self.lock.is_in_place(&self.dir) {
            self.lock = Lock::take(&self.dir)?;
            self.meddled(lock::NAME, "was removed or replaced");
        }
        if let Some(key_file) = &mut self.key_file
            && key_file.hold(&self.dir, &self.sealer)?
        {
            self.meddled(KEY_FILE, "was removed or emptied");
        }
        if self.footing == Footing::Sound { self.hold_files() } else { self.rewrite() }
    }

    /// The same of the files that are written.
    pub(super) fn hold_files(&mut self) -> Result<(), StoreError> {
        let Some((file, deed)) = self.files.disturbed(&self.dir, &self.name) else { return Ok(()) };
        self.meddled(&file, deed);
        self.rewrite()
    }

    /// Everything that would keep the next daemon from starting, or the present one from writing.
    pub(super) fn obstacles(&mut self) -> Vec<String> {
        let held = match self.footing {
            Footing::Sound => self.hold().err(),
            Footing::Suspect if !self.dir.is_in_place() => Some(moved()),
            Footing::Suspect | Footing::ReadOnly | Footing::Full => None,
        };
        let unsafe_files = self.unsafe_files();
        held.iter().map(sentence).chain(unsafe_files.iter().map(sentence)).collect()
    }

    /// What the next start would refuse, since others may have had their hands on it.
    fn unsafe_files(&self) -> Vec<OpenError> {
        let log = connection::log_name(&self.name);
        let files = [self.name.as_str(), &log, KEY_FILE, lock::NAME];
        let files = files.into_iter().filter_map(|file| self.dir.inspect(file).err());
        self.dir.inspect_itself().err().into_iter().chain(files).collect()
    }

    fn meddled(&mut self, file: &str, deed: impl Display) {
        self.meddled = self.meddled.saturating_add(1);
        let event = Message::StoreMeddled.as_str();
        warn!(event, "{file} {deed} under the daemon, which puts it back");
    }
}

pub(super) fn moved() -> StoreError {
    StoreError::Io("the state directory was moved or removed".to_owned())
}

fn sentence(flaw: &impl Display) -> String {
    flaw.to_string()
}
