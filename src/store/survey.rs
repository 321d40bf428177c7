//! What is made of the files that are found when a store is opened: one total function.
//!
//! | database | log | what happens |
//! |---|---|---|
//! | none, or an empty file | nothing in it | one is made |
//! | none, or an empty file | frames | refused: they are a database's that is not here |
//! | there | nothing in it, or sound | opened |
//! | there | broken or lost | the log is copied, then opened as the older state that it is |
//! | there without a table of its own | lost | refused: everything was in the log |
//!
//! A damaged log does not keep the store shut: all that it leaves is whole and in order, only older, and
//! a daemon that does not start is a host on which every account is dark. What SQLite writes over of it
//! is copied, since refresh tokens may be in there.
//!
//! No crash leaves a log without its database: SQLite makes the database's first page durable before
//! there is a log, and a log is removed before anything takes the place of its database.

use crate::store::wal::Log;

/// What was found of the database file itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Database {
    /// No file, or an empty one.
    Nothing,
    /// A file that holds no table without its log.
    Bare,
    /// A file of which nobody has said that it is bare.
    There,
}

/// What to do about the files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// Make a database: there is none.
    Make,
    /// Open it.
    Open,
    /// Open it, after what SQLite will write over was copied.
    OpenOlder,
    /// Touch nothing.
    Refuse,
}

/// The way on from what was found.
pub(super) const fn way(database: Database, log: Log) -> Way {
    match (database, log) {
        (Database::Nothing, Log::Nothing) => Way::Make,
        (Database::Nothing, Log::Sound | Log::Broken | Log::Lost) | (Database::Bare, Log::Lost) => {
            Way::Refuse
        }
        (Database::Bare | Database::There, Log::Nothing | Log::Sound) => Way::Open,
        (Database::Bare | Database::There, Log::Broken) | (Database::There, Log::Lost) => {
            Way::OpenOlder
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_with_frames_in_it_is_never_left_to_a_database_that_is_made_anew() {
        for log in [Log::Sound, Log::Broken, Log::Lost] {
            assert_eq!(way(Database::Nothing, log), Way::Refuse, "{log:?}");
        }
        assert_eq!(way(Database::Bare, Log::Lost), Way::Refuse);
        assert_eq!(way(Database::Nothing, Log::Nothing), Way::Make);
    }

    #[test]
    fn a_database_that_is_there_is_opened_and_a_damaged_log_is_copied_before() {
        #[rustfmt::skip]
        let cases = [
            (Log::Nothing, Way::Open),
            (Log::Sound,   Way::Open),
            (Log::Broken,  Way::OpenOlder),
            (Log::Lost,    Way::OpenOlder),
        ];
        for (log, expected) in cases {
            assert_eq!(way(Database::There, log), expected, "{log:?}");
        }
    }
}
