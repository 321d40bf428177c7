//! The tables, their versions, and the way from one version to the next.
//!
//! The header says which format the database has and the oldest format that a reader must
//! know to use it (`min_reader`): a change that older versions can live with leaves
//! `min_reader` alone, so that a downgrade needs nothing.
//!
//! A database is made by taking every [`Step`] from nothing, and brought up to date by
//! taking those that it has not taken: there is one way, and it is always tested.

use rusqlite::Connection;
use rusqlite::OptionalExtension;

use crate::store::seal::StoreId;
use crate::store::seal::Wrapped;

/// One step from the format before it to `to`.
pub(super) struct Step {
    /// The format that it leads to.
    pub(super) to: u32,
    /// The oldest reader that can use the result.
    pub(super) min_reader: u32,
    /// What it does.
    pub(super) sql: &'static str,
}

/// Every step, in order. Add, never edit: databases have taken them.
pub(super) const STEPS: &[Step] = &[Step { to: 1, min_reader: 1, sql: FORMAT_1 }];

/// What stands in the one row of the header.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Header {
    /// Names this store; part of every seal.
    pub(super) store: StoreId,
    /// Id of the store key that wraps the data key.
    pub(super) key_id: String,
    /// The wrapped data key.
    pub(super) wrapped: Wrapped,
}

/// Format and oldest reader of a database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Versions {
    /// The format that it has.
    pub(super) format: u32,
    /// The oldest reader that can use it.
    pub(super) min_reader: u32,
}

/// The format that `steps` lead to.
pub(super) fn newest(steps: &[Step]) -> u32 {
    steps.last().map_or(0, |step| step.to)
}

/// The versions of a database; `None` if nothing has been made in it yet. Reads nothing
/// that a newer format could have changed.
pub(super) fn versions(conn: &Connection) -> rusqlite::Result<Option<Versions>> {
    let made = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'header'";
    if conn.query_row(made, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(None);
    }
    conn.query_row("SELECT format, min_reader FROM header", [], |row| {
        Ok(Versions { format: row.get(0)?, min_reader: row.get(1)? })
    })
    .optional()
}

/// Whether there is no table in a database, of whatever program.
pub(super) fn is_bare(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// The header of a database whose versions have been found to fit.
pub(super) fn header(conn: &Connection) -> rusqlite::Result<Header> {
    conn.query_row("SELECT store, key_id, wrapped, commitment FROM header", [], |row| {
        Ok(Header {
            store: row.get(0)?,
            key_id: row.get(1)?,
            wrapped: Wrapped { sealed: row.get(2)?, commitment: row.get(3)? },
        })
    })
}

/// Makes the tables and the header, all or nothing.
pub(super) fn create(
    conn: &mut Connection,
    steps: &[Step],
    header: &Header,
) -> rusqlite::Result<()> {
    let transaction = conn.transaction()?;
    take(&transaction, 0, steps)?;
    let versions = steps.last().map_or((0, 0), |step| (step.to, step.min_reader));
    transaction.execute(
        "INSERT INTO header (format, min_reader, store, epoch, key_id, wrapped, commitment)
         VALUES (?, ?, ?, 0, ?, ?, ?)",
        (
            versions.0,
            versions.1,
            header.store,
            &header.key_id,
            &header.wrapped.sealed,
            header.wrapped.commitment,
        ),
    )?;
    transaction.commit()
}

/// Brings a database of format `from` up to date, all or nothing.
pub(super) fn upgrade(conn: &mut Connection, from: u32, steps: &[Step]) -> rusqlite::Result<()> {
    let transaction = conn.transaction()?;
    take(&transaction, from, steps)?;
    if let Some(last) = steps.last() {
        transaction
            .execute("UPDATE header SET format = ?, min_reader = ?", (last.to, last.min_reader))?;
    }
    transaction.commit()
}

fn take(conn: &Connection, from: u32, steps: &[Step]) -> rusqlite::Result<()> {
    steps.iter().filter(|step| step.to > from).try_for_each(|step| conn.execute_batch(step.sql))
}

/// An account has two places in `generation`, twice its id and the next: the current one
/// and the one before take turns in them. So there is no index that could break, and a
/// page that breaks costs the few accounts on it. `account.generation` counts on when both
/// are gone. An orphan names its account by name, so that it outlasts it.
const FORMAT_1: &str = "
CREATE TABLE header (
    one         INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    format      INTEGER NOT NULL,
    min_reader  INTEGER NOT NULL,
    store       BLOB NOT NULL,
    epoch       INTEGER NOT NULL,
    key_id      TEXT NOT NULL,
    wrapped     BLOB NOT NULL,
    commitment  BLOB NOT NULL
) STRICT;

CREATE TABLE account (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    lineage     TEXT NOT NULL DEFAULT '',
    subject     TEXT,
    generation  INTEGER NOT NULL DEFAULT 0,
    standing    TEXT NOT NULL DEFAULT '',
    attempts    TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE generation (
    place       INTEGER PRIMARY KEY,
    number      INTEGER NOT NULL,
    body        BLOB NOT NULL
) STRICT;

CREATE TABLE staged (
    account     INTEGER PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    lineage     TEXT NOT NULL,
    body        BLOB NOT NULL
) STRICT;

CREATE TABLE intent (
    account     INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    staged      INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    wall_ms     INTEGER NOT NULL,
    boot_ms     INTEGER NOT NULL,
    boot_id     TEXT NOT NULL,
    PRIMARY KEY (account, staged)
) STRICT, WITHOUT ROWID;

CREATE TABLE orphan (
    id          INTEGER PRIMARY KEY,
    account     TEXT NOT NULL,
    wall_ms     INTEGER NOT NULL,
    body        BLOB NOT NULL
) STRICT;
CREATE INDEX orphan_account ON orphan (account);

CREATE TABLE secret (
    slot        TEXT PRIMARY KEY,
    body        BLOB NOT NULL
) STRICT;
";

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_STEPS: &[Step] = &[
        Step { to: 1, min_reader: 1, sql: FORMAT_1 },
        Step { to: 2, min_reader: 1, sql: "ALTER TABLE account ADD COLUMN note TEXT;" },
    ];

    #[test]
    fn steps_lead_from_one_format_to_the_next() {
        for (index, step) in STEPS.iter().enumerate() {
            assert_eq!(usize::try_from(step.to).unwrap(), index + 1);
            assert!(step.min_reader <= step.to);
        }
    }

    #[test]
    fn an_upgraded_database_has_the_tables_of_a_new_one() {
        let mut new = Connection::open_in_memory().unwrap();
        create(&mut new, TWO_STEPS, &some_header()).unwrap();
        let mut old = Connection::open_in_memory().unwrap();
        create(&mut old, STEPS, &some_header()).unwrap();
        assert_ne!(tables(&old), tables(&new));

        upgrade(&mut old, 1, TWO_STEPS).unwrap();

        assert_eq!(tables(&old), tables(&new));
        assert_eq!(versions(&old).unwrap(), Some(Versions { format: 2, min_reader: 1 }));
        assert_eq!(header(&old).unwrap().wrapped, some_header().wrapped);
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_format_whole() {
        const BROKEN: &[Step] = &[
            Step { to: 1, min_reader: 1, sql: FORMAT_1 },
            Step { to: 2, min_reader: 2, sql: "DROP TABLE secret; DROP TABLE no_such_table;" },
        ];
        let mut conn = Connection::open_in_memory().unwrap();
        create(&mut conn, STEPS, &some_header()).unwrap();
        let before = tables(&conn);

        upgrade(&mut conn, 1, BROKEN).unwrap_err();

        assert_eq!(tables(&conn), before);
        assert_eq!(versions(&conn).unwrap(), Some(Versions { format: 1, min_reader: 1 }));
    }

    #[test]
    fn an_empty_database_has_no_versions() {
        let conn = Connection::open_in_memory().unwrap();
        assert_eq!(versions(&conn).unwrap(), None);
    }

    fn some_header() -> Header {
        let wrapped = Wrapped { sealed: vec![1; 72], commitment: [2; 32] };
        Header { store: [3; 16], key_id: "key".to_owned(), wrapped }
    }

    fn tables(conn: &Connection) -> Vec<String> {
        let sql = "SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name";
        let mut statement = conn.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }
}
