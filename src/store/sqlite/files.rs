//! Which files are written, and what they look like, so that it shows when somebody meddles with them.

use std::fmt;

use crate::store::connection;
use crate::store::dir::StateDir;
use crate::store::dir::Trace;

/// The files of an open database.
#[derive(Default)]
pub(super) struct Files {
    /// SQLite writes it in a checkpoint alone.
    database: Option<Trace>,
    /// SQLite makes it with the first transaction, where it is not there yet, and never shortens it.
    log: Option<Trace>,
}

/// What somebody did to a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Deed {
    /// Nothing has its name.
    Removed,
    /// Another file has its name.
    Replaced,
    /// It was written, or cut short.
    Changed,
}

impl Files {
    /// Those of the database `name`, which was just opened.
    pub(super) fn of(dir: &StateDir, name: &str) -> Self {
        Self { database: dir.trace(name), log: dir.trace(&connection::log_name(name)) }
    }

    /// A transaction was made, or tried: there is a log, and it may be longer.
    pub(super) fn logged(&mut self, dir: &StateDir, name: &str) {
        let found = dir.trace(&connection::log_name(name));
        if self.log.is_none_or(|log| log.disturbed_to(found).is_none()) {
            self.log = found;
        }
    }

    /// A checkpoint was made, or tried: the database looks different.
    pub(super) fn checkpointed(&mut self, dir: &StateDir, name: &str) {
        let found = dir.trace(name);
        let same = |known: Trace, found: Trace| known.identity == found.identity;
        if self.database.zip(found).is_some_and(|(known, found)| same(known, found)) {
            self.database = found;
        }
    }

    /// The first of them that is not as it was left, and what was done to it.
    pub(super) fn disturbed(&self, dir: &StateDir, name: &str) -> Option<(String, Deed)> {
        let log = connection::log_name(name);
        let found = Self::of(dir, name);
        let database = match self.database {
            Some(known) => known.changed_to(found.database),
            None => Some(Deed::Removed),
        };
        let of_log = || self.log.and_then(|known| known.disturbed_to(found.log));
        database.map(|deed| (name.to_owned(), deed)).or_else(|| of_log().map(|deed| (log, deed)))
    }
}

impl Trace {
    /// What was done to a file that nobody had a reason to touch.
    fn changed_to(self, found: Option<Self>) -> Option<Deed> {
        match found {
            Some(found) if found.identity == self.identity => {
                (found != self).then_some(Deed::Changed)
            }
            found => Deed::of_another(found),
        }
    }

    /// What was done to a file that may only have become longer.
    fn disturbed_to(self, found: Option<Self>) -> Option<Deed> {
        match found {
            Some(found) if found.identity == self.identity => {
                (found.length < self.length).then_some(Deed::Changed)
            }
            found => Deed::of_another(found),
        }
    }
}

impl Deed {
    fn of_another(found: Option<Trace>) -> Option<Self> {
        Some(found.map_or(Self::Removed, |_| Self::Replaced))
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "was removed",
            Self::Replaced => "was replaced",
            Self::Changed => "was changed",
        })
    }
}
