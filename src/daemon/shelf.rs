//! What the disk does not take is kept by the service manager, where there is one.

use tracing::error;
use tracing::warn;

use crate::activation::Kept;
use crate::message::Message;
use crate::notify::Manager;
use crate::store::shelf::Inherited;
use crate::store::shelf::Leftover;
use crate::store::shelf::Shelf;
use crate::store::sqlite::Sqlite;

impl Shelf for Manager {
    fn exchange(&mut self, set: Option<(&str, &[u8])>, gone: &[String]) -> bool {
        self.keep(set, gone)
    }
}

/// Gives the store the service manager for a shelf, with what an earlier process left there.
/// Where there is none the shelf takes nothing, so that the store knows, and says, what is in this
/// process alone.
pub(super) fn take_over(database: &mut Sqlite, manager: &Manager, kept: Vec<Kept>) {
    let leftovers = kept.into_iter().map(|Kept { name, content }| Leftover { name, content });
    let shelf = Box::new(manager.clone());
    let Inherited { used, refused } = database.keep_on(shelf, leftovers.collect());
    for (account, generation) in used {
        let event = Message::UnsavedUsed.as_str();
        warn!(%account, event, generation = generation.0, "kept by the service manager, and used");
    }
    for sentence in refused {
        error!(event = Message::UnsavedRefused.as_str(), "{sentence}");
    }
}
