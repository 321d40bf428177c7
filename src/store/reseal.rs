//! Every sealed body of a database, opened under one data key and sealed under the next.
//!
//! # Invariants
//!
//! * `BODIES` names every column that holds a sealed body, which a test compares with the
//!   tables: what is left out would never open again.
//! * A body that does not open is left as it is and counted: it opened before neither, and one
//!   that is damaged must not keep the others under a key that somebody else may have.

use rusqlite::Connection;
use rusqlite::OptionalExtension as _;
use serde::Serialize;

use crate::record::StoreError;
use crate::store::read::unsigned;
use crate::store::seal::Label;
use crate::store::seal::Sealer;
use crate::store::seal::Sort;
use crate::token::Generation;

/// How many bodies there are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Tally {
    /// That open.
    pub sound: u64,
    /// That do not.
    pub broken: u64,
}

/// Seals everything under `new` that `old` opens. Wants a transaction.
pub(super) fn reseal(
    transaction: &Connection,
    old: &Sealer,
    new: &Sealer,
) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    for bodies in BODIES {
        let mut put = transaction.prepare(bodies.put)?;
        bodies.each(transaction, |label, row, sealed| {
            match sealed.and_then(|sealed| old.open(label, &sealed).ok()) {
                Some(plain) => {
                    put.execute((row, new.seal(label, &plain)))?;
                    tally.sound += 1;
                }
                None => tally.broken += 1,
            }
            Ok(())
        })?;
    }
    Ok(tally)
}

/// Counts what opens under `sealer`.
pub(super) fn count(conn: &Connection, sealer: &Sealer) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    for bodies in BODIES {
        bodies.each(conn, |label, _, sealed| {
            match sealed.and_then(|sealed| sealer.open(label, &sealed).ok()) {
                Some(_) => tally.sound += 1,
                None => tally.broken += 1,
            }
            Ok(())
        })?;
    }
    Ok(tally)
}

/// One table with sealed bodies.
struct Bodies {
    sort: Sort,
    /// Its rows: what identifies one, whose it is, and its generation.
    list: &'static str,
    /// The body of a row.
    get: &'static str,
    /// Gives a row another body.
    put: &'static str,
}

const BODIES: &[Bodies] = &[
    Bodies {
        sort: Sort::Generation,
        list: "SELECT generation.place, account.name, generation.number
               FROM generation JOIN account ON account.id = generation.place / 2",
        get: "SELECT body FROM generation WHERE place = ?",
        put: "UPDATE generation SET body = ?2 WHERE place = ?1",
    },
    Bodies {
        sort: Sort::Staged,
        list: "SELECT staged.account, account.name, 0
               FROM staged JOIN account ON account.id = staged.account",
        get: "SELECT body FROM staged WHERE account = ?",
        put: "UPDATE staged SET body = ?2 WHERE account = ?1",
    },
    Bodies {
        sort: Sort::Orphan,
        list: "SELECT id, account, 0 FROM orphan",
        get: "SELECT body FROM orphan WHERE id = ?",
        put: "UPDATE orphan SET body = ?2 WHERE id = ?1",
    },
    Bodies {
        sort: Sort::AccountSecret,
        list: "SELECT rowid, slot, 0 FROM secret",
        get: "SELECT body FROM secret WHERE rowid = ?",
        put: "UPDATE secret SET body = ?2 WHERE rowid = ?1",
    },
];

impl Bodies {
    /// Calls `visit` with the label, the row and the body of each; `None` is no body at all.
    fn each(
        &self,
        conn: &Connection,
        mut visit: impl FnMut(Label<'_>, i64, Option<Vec<u8>>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // The list at once and the bodies one by one: some 50 bytes a row, and rows may change.
        let mut list = conn.prepare(self.list)?;
        let rows = list.query_map([], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
        })?;
        let mut get = conn.prepare(self.get)?;
        for (row, owner, number) in rows.collect::<Result<Vec<_>, _>>()? {
            let body = get
                .query_row([row], |row| Ok(row.get_ref(0)?.as_blob().ok().map(<[u8]>::to_vec)))
                .optional()?
                .flatten();
            let generation = Generation(unsigned(number));
            visit(Label { sort: self.sort, owner: &owner, generation }, row, body)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::schema::Header;
    use crate::store::schema::STEPS;
    use crate::store::schema::create;
    use crate::store::seal::Wrapped;

    #[test]
    fn every_table_with_a_body_is_resealed() {
        let mut conn = Connection::open_in_memory().unwrap();
        let wrapped = Wrapped { sealed: vec![1; 72], commitment: [2; 32] };
        create(&mut conn, STEPS, &Header { store: [3; 16], key_id: String::new(), wrapped })
            .unwrap();
        let sql = "SELECT tables.name FROM sqlite_schema AS tables
                   JOIN pragma_table_info(tables.name) AS columns WHERE columns.type = 'BLOB'";
        let mut statement = conn.prepare(sql).unwrap();
        let tables = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let mut tables = tables.collect::<Result<BTreeSet<_>, _>>().unwrap();
        assert!(tables.remove("header"));
        let named = |bodies: &Bodies| bodies.put.split(' ').nth(1).unwrap().to_owned();
        assert_eq!(BODIES.iter().map(named).collect::<BTreeSet<_>>(), tables);
    }
}
