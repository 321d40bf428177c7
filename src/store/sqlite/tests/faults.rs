//! What becomes of a disk that is full, read-only or failing.
//!
//! A full disk is a database that may not grow. A failing one is a limit on the size of
//! files: the write that goes beyond it fails as one on bad sectors does. That limit is
//! the whole process's, so those tests run in a process of their own.

use std::sync::atomic::AtomicBool;

use nix::sys::resource::Resource;
use nix::sys::resource::getrlimit;
use nix::sys::resource::setrlimit;
use signal_hook::consts::SIGXFSZ;

use super::*;
use crate::store::ballast::Reserve;

#[test]
fn on_a_full_disk_the_ballast_goes_and_what_still_fits_is_written() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    assert_eq!(store.health().reserve, Reserve::Kept);
    no_more_room(&store);

    let long = "x".repeat(100_000);
    let note = Write::Note {
        account: account("mail"),
        standing: Standing { hold: Hold::Paused, ..Standing::default() },
        ends_intent: false,
    };
    let batch = vec![Change::Account(commit("big", &long, None)), Change::Account(note)];
    let answers = store.write(batch).into_iter().map(|answer| answer.map(drop));

    assert_eq!(answers.collect::<Vec<_>>(), [Err(StoreError::Full), Ok(())]);
    let after = home.crashed().open().only();
    assert_eq!((access_of(&after), after.standing.hold), ("a1", Hold::Paused));
}

#[test]
fn the_ballast_is_given_up_before_the_disk_is_called_full_and_taken_again_when_there_is_room() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    no_more_room(&store);
    let long = "x".repeat(100_000);
    let full = store.transact(&[Change::Account(commit("big", &long, None))]).map(drop);
    assert_eq!(full, Err(StoreError::Full));

    assert!(matches!(store.mend(StoreError::Full), Mended::Again));
    assert!(!ballast::is_kept(&store.dir));
    assert!(matches!(store.mend(StoreError::Full), Mended::OneByOne));

    store.sql("PRAGMA max_page_count = 4294967294");
    store.commit("big", &long, None);
    assert_eq!(store.health().reserve, Reserve::Kept);
}

#[test]
fn an_account_with_nothing_to_lose_is_not_darkened_by_a_full_disk() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("ci", "a1", Some("r1"));
    no_more_room(&store);
    for spends in [true, false] {
        let attempts = vec![NOW.boot];
        let write = Write::Intent {
            account: account("ci"),
            stake: Stake::Current,
            replays: false,
            spends,
            now: NOW,
            attempts,
        };
        let answer = store.lease_unwritten(&Change::Account(write), StoreError::Full);
        if spends {
            assert_eq!(answer.map(drop), Err(StoreError::Full));
        } else {
            let lease = leased(answer);
            assert_eq!((refresh_of(&lease), lease.durable), (Some("r1"), false));
        }
    }
}

#[test]
fn a_rewrite_keeps_everything_and_leaves_no_second_database() {
    let home = Home::new();
    let mut store = home.open();
    for n in 0..20 {
        store.commit(&format!("account-{n}"), "a", Some("r"));
    }
    let before = store.load().unwrap().records.len();
    store.rewrite().unwrap();

    assert_eq!(store.load().unwrap().records.len(), before);
    assert_eq!(store.commit("account-3", "a2", None), Generation(2));
    assert_eq!(store.health().rewrites, 1);
    assert_eq!(home.crashed().open().load().unwrap().records.len(), before);
    assert!(!home.at.path().join("state.db.fresh").exists());
    assert!(!home.at.path().join("state.db.fresh.new").exists());
}

#[test]
fn a_crash_in_a_switch_is_carried_on_at_the_next_start() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    connection::copy(store.conn.as_ref().unwrap(), &store.dir, "state.db.fresh").unwrap();
    let with_both = home.crashed();
    let without_log = home.crashed();
    std::fs::remove_file(without_log.at.path().join("state.db-wal")).unwrap();

    for crashed in [with_both, without_log] {
        let mut store = crashed.open();
        assert_eq!(access_of(&store.only()), "a1");
        assert_eq!(store.commit("mail", "a2", None), Generation(2));
        assert!(!crashed.at.path().join("state.db.fresh").exists());
    }
}

#[test]
fn a_read_only_disk_is_read_with_what_a_crash_left_in_the_log_and_never_written() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    let after_crash = home.crashed();
    drop(store);
    for home in [after_crash, home] {
        let dir = StateDir::open(home.at.path()).unwrap();
        let opened = Sqlite::open_on(dir, "state.db", &home.place, Footing::ReadOnly);
        let mut store = opened.map_err(|refused| refused.to_string()).unwrap();

        assert_eq!(access_of(&store.only()), "a1");
        assert!(!store.health().writable);
        let write = Write::Intent {
            account: account("mail"),
            stake: Stake::Current,
            replays: false,
            spends: false,
            now: NOW,
            attempts: Vec::new(),
        };
        let answer = store.lease_unwritten(&Change::Account(write), StoreError::ReadOnly);
        let lease = leased(answer);
        assert_eq!((refresh_of(&lease), lease.durable), (Some("r1"), false));
    }
}

#[test]
fn a_read_only_disk_without_a_database_is_refused() {
    let home = Home::new();
    let dir = StateDir::open(home.at.path()).unwrap();
    let refused = Sqlite::open_on(dir, "state.db", &home.place, Footing::ReadOnly).map(drop);
    assert!(matches!(refused, Err(OpenError::Io { .. })));
}

#[test]
fn an_io_error_moves_the_rows_to_a_fresh_file_and_every_write_is_answered() {
    in_a_process_of_its_own("store::sqlite::tests::faults::child_rewrites_after_an_io_error");
}

#[test]
#[ignore = "limits the size of files for its whole process: its namesake without `child` starts it"]
fn child_rewrites_after_an_io_error() {
    let home = Home::new();
    let mut store = home.open();
    let limit = FileSizeLimit::of(300 << 10);
    let mut written = 0;
    while store.health().rewrites < 3 {
        written += 1;
        assert!(written < 1000, "the log never reached the limit");
        let (access, refresh) = (format!("a{written}"), format!("r{written}"));
        assert_eq!(store.commit("mail", &access, Some(&refresh)), Generation(written));
        assert_eq!(access_of(&store.only()), access);
    }
    drop(limit);
    assert_eq!(access_of(&home.crashed().open().only()), format!("a{written}"));
}

#[test]
fn a_disk_that_keeps_failing_is_read_and_overcome_when_it_recovers() {
    in_a_process_of_its_own("store::sqlite::tests::faults::child_outlives_a_failing_disk");
}

#[test]
#[ignore = "limits the size of files for its whole process: its namesake without `child` starts it"]
fn child_outlives_a_failing_disk() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    let limit = FileSizeLimit::of(4096);
    for _ in 0..3 {
        let answer = store.one(Change::Account(commit("mail", "a2", Some("r2")))).map(drop);
        assert!(matches!(answer, Err(StoreError::Io(_))));
        assert!(!store.health().writable);
        assert_eq!(access_of(&store.only()), "a1");
    }
    drop(limit);

    assert_eq!(store.commit("mail", "a2", Some("r2")), Generation(2));
    assert!(store.health().writable);
    assert_eq!(store.health().rewrites, 1);
    assert_eq!(access_of(&home.crashed().open().only()), "a2");
}

/// Files of this process may not grow beyond some bytes until this goes.
struct FileSizeLimit {
    before: u64,
}

impl FileSizeLimit {
    fn of(bytes: u64) -> Self {
        // Its default action ends the process; with a handler the write fails instead.
        let seen = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGXFSZ, seen).unwrap();
        let (before, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        setrlimit(Resource::RLIMIT_FSIZE, bytes, most).unwrap();
        Self { before }
    }
}

impl Drop for FileSizeLimit {
    fn drop(&mut self) {
        let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        setrlimit(Resource::RLIMIT_FSIZE, self.before, most).unwrap();
    }
}

fn no_more_room(store: &Sqlite) {
    store.sql("PRAGMA max_page_count = 1");
}

#[allow(clippy::disallowed_methods, reason = "a limit of the process must not meet other tests")]
fn in_a_process_of_its_own(test: &str) {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}
