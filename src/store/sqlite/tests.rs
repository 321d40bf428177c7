//! The store against real files in temporary directories: [`writes`] is what each write does,
//! [`exports`] what a backup gets, [`opening`] what is refused and what survives, [`keys`] what
//! becomes of it under another key, [`faults`] and [`mounts`] what a failing disk does, [`gone`] what
//! comes of files that somebody takes away, and [`shelf`] what survives the process all the same.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::name::AccountId;
use crate::record::Hold;
use crate::record::Lease;
use crate::record::Lineage;
use crate::record::Record;
use crate::record::Stake;
use crate::record::Standing;
use crate::store::dir::tests::private_dir;
use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;
use crate::token::AwsCredentials;
use crate::token::AwsGrant;
use crate::token::Generation;
use crate::token::Grant;
use crate::token::TokenSet;

mod exports;
mod faults;
mod gone;
mod keys;
mod mounts;
mod opening;
mod shelf;
mod writes;

const NOW: Now =
    Now { boot: Moment::from_millis(500_000), wall: Timestamp::from_millis(1_700_000_000_000) };

/// A state directory that outlives the stores which are opened in it.
struct Home {
    at: TempDir,
    place: Place,
}

impl Home {
    fn new() -> Self {
        let at = private_dir();
        Self::at(at)
    }

    fn at(at: TempDir) -> Self {
        let database = at.path().join("state.db");
        let place = Place { database, credentials: None, boot_id: "boot-1".to_owned() };
        Self { at, place }
    }

    fn open(&self) -> Sqlite {
        Sqlite::open(&self.place).unwrap()
    }

    fn refused(&self) -> OpenError {
        Sqlite::open(&self.place).map(drop).unwrap_err()
    }

    /// The files as a crash would leave them at this moment, in a directory of their own.
    fn crashed(&self) -> Self {
        let at = private_dir();
        for entry in std::fs::read_dir(self.at.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), at.path().join(entry.file_name())).unwrap();
        }
        Self::at(at)
    }

    fn next_boot(self) -> Self {
        Self { place: Place { boot_id: "boot-2".to_owned(), ..self.place }, ..self }
    }
}

impl Sqlite {
    fn one(&mut self, change: Change) -> Result<Written, StoreError> {
        self.write(vec![change]).pop().unwrap()
    }

    fn done(&mut self, write: Write) {
        self.one(Change::Account(write)).map(drop).unwrap();
    }

    fn commit(&mut self, account: &str, access: &str, refresh: Option<&str>) -> Generation {
        committed(self.one(Change::Account(commit(account, access, refresh))))
    }

    fn spend(&mut self, account: &str) -> Lease {
        leased(self.one(Change::Account(intent(account))))
    }

    fn only(&mut self) -> Record {
        let loaded = self.load().unwrap();
        assert_eq!(loaded.damage, Vec::<String>::new());
        let mut records = loaded.records;
        assert_eq!(records.len(), 1);
        records.pop().unwrap()
    }

    fn sql(&self, sql: &str) {
        self.conn.as_ref().unwrap().execute_batch(sql).unwrap();
    }
}

fn account(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

fn grant(access: &str, refresh: Option<&str>) -> Arc<Grant> {
    Arc::new(Grant {
        tokens: Arc::new(TokenSet {
            access: Secret::new(access),
            id: None,
            token_type: "Bearer".into(),
            scope: None,
        }),
        refresh_token: refresh.map(Secret::new),
        lifetime: Duration::from_secs(3600),
        refresh_lifetime: None,
        aws: None,
        subject: None,
    })
}

fn commit(name: &str, access: &str, refresh: Option<&str>) -> Write {
    Write::Commit {
        account: account(name),
        grant: grant(access, refresh),
        issued: NOW,
        now: NOW,
        lineage: Lineage("issuer".into()),
        stake: Stake::Current,
        standing: Standing::default(),
    }
}

fn intent(name: &str) -> Write {
    intent_at(name, NOW)
}

fn intent_at(name: &str, now: Now) -> Write {
    Write::Intent {
        account: account(name),
        stake: Stake::Current,
        replays: false,
        spends: true,
        now,
        attempts: vec![now.boot],
    }
}

fn aws(key: &str) -> AwsGrant {
    AwsGrant {
        credentials: Arc::new(AwsCredentials {
            access_key_id: Secret::new(key),
            secret_access_key: Secret::new("s"),
            session_token: Secret::new("t"),
        }),
        lifetime: Duration::from_secs(900),
    }
}

fn committed(answer: Result<Written, StoreError>) -> Generation {
    match answer {
        Ok(Written::Committed(generation)) => generation,
        Ok(Written::Leased(_) | Written::Done) => panic!("not a commit"),
        Err(fault) => panic!("{fault}"),
    }
}

fn leased(answer: Result<Written, StoreError>) -> Lease {
    match answer {
        Ok(Written::Leased(lease)) => lease,
        Ok(Written::Committed(_) | Written::Done) => panic!("not a lease"),
        Err(fault) => panic!("{fault}"),
    }
}

fn refresh_of(lease: &Lease) -> Option<&str> {
    lease.refresh_token.as_ref().map(Secret::expose)
}

fn access_of(record: &Record) -> &str {
    record.current.as_ref().unwrap().tokens.as_ref().unwrap().access.expose()
}
