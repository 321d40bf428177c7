//! Which files are written, so that it shows when somebody takes them away.

use crate::store::connection;
use crate::store::dir::Identity;
use crate::store::dir::StateDir;

/// The files of an open database.
#[derive(Default)]
pub(super) struct Files {
    database: Option<Identity>,
    /// SQLite makes it with the first transaction, where it is not there yet.
    log: Option<Identity>,
}

impl Files {
    /// Those of the database `name`, which was just opened.
    pub(super) fn of(dir: &StateDir, name: &str) -> Self {
        let log = connection::log_name(name);
        Self { database: dir.identify(name), log: dir.identify(&log) }
    }

    /// A transaction was made: from now on there is a log.
    pub(super) fn complete(&mut self, dir: &StateDir, name: &str) {
        if self.log.is_none() {
            self.log = dir.identify(&connection::log_name(name));
        }
    }

    /// Whether their paths still lead to them. Somebody may have removed them, or put a copy in their
    /// place.
    pub(super) fn are_in_place(&self, dir: &StateDir, name: &str) -> bool {
        let found = Self::of(dir, name);
        let log_is = self.log.is_none() || self.log == found.log;
        self.database.is_some() && self.database == found.database && log_is
    }
}
