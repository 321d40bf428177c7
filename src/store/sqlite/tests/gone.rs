//! Somebody takes files away under a store that is open: a write that no restart would find is none.

use std::fs;

use super::*;

#[test]
fn what_is_not_touched_is_in_place() {
    let home = Home::new();
    let mut store = home.open();
    assert!(is_in_place(&store));
    store.commit("mail", "at-1", Some("rt-1"));
    assert!(is_in_place(&store));
    store.rewrite().unwrap();
    assert!(is_in_place(&store));
    store.commit("mail", "at-2", Some("rt-2"));
    assert_eq!(store.health().rewrites, 1);
}

#[test]
fn a_database_or_a_log_that_was_removed_is_made_anew_with_everything_in_it() {
    for name in ["state.db", "state.db-wal"] {
        let home = Home::new();
        let mut store = home.open();
        store.commit("mail", "at-1", Some("rt-1"));
        fs::remove_file(home.at.path().join(name)).unwrap();

        assert_eq!(refresh_of(&store.spend("mail")), Some("rt-1"), "{name}");
        store.commit("mail", "at-2", Some("rt-2"));
        assert_eq!(store.health().rewrites, 1, "{name}");
        let crashed = home.crashed();
        let mut next = crashed.open();
        assert_eq!(access_of(&next.only()), "at-2", "{name}");
    }
}

#[test]
fn a_copy_that_is_put_in_the_place_of_an_open_database_gives_way_to_what_is_newer() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "at-1", Some("rt-1"));
    let old = home.crashed();
    store.commit("mail", "at-2", Some("rt-2"));
    for name in ["state.db", "state.db-wal"] {
        fs::rename(old.at.path().join(name), home.at.path().join(name)).unwrap();
    }

    assert_eq!(refresh_of(&store.spend("mail")), Some("rt-2"));
    let crashed = home.crashed();
    let mut next = crashed.open();
    assert_eq!(access_of(&next.only()), "at-2");
}

#[test]
fn nothing_is_spent_while_the_directory_is_elsewhere_and_all_is_there_when_it_is_back() {
    let Elsewhere { above: _above, state, away, place } = Elsewhere::begin();
    let mut store = Sqlite::open(&place).unwrap();
    store.commit("mail", "at-1", Some("rt-1"));

    fs::rename(&state, &away).unwrap();
    for stranger in [false, true] {
        if stranger {
            // Somebody else's, or an older copy.
            drop(Sqlite::open(&place).unwrap());
        }
        let refused = store.one(Change::Account(intent("mail"))).map(drop);
        assert_eq!(refused, Err(moved()), "{stranger}");
        assert!(!store.health().writable);
    }

    fs::remove_dir_all(&state).unwrap();
    fs::rename(&away, &state).unwrap();
    assert_eq!(refresh_of(&store.spend("mail")), Some("rt-1"));
    drop(store);
    assert_eq!(access_of(&Sqlite::open(&place).unwrap().only()), "at-1");
}

/// Between the look before a batch and its commit.
#[test]
fn what_was_committed_while_its_files_were_taken_away_is_answered_only_when_it_has_files_again() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "at-1", Some("rt-1"));
    fs::remove_file(home.at.path().join("state.db")).unwrap();
    let mut answers = store.transact(&[Change::Account(intent("mail"))]).unwrap();

    assert_eq!(refresh_of(&leased(answers.remove(0))), Some("rt-1"));
    assert!(is_in_place(&store));
    assert!(home.crashed().open().only().intent.is_some());
}

#[test]
fn what_was_committed_while_the_directory_was_taken_away_is_refused_and_there_when_it_is_back() {
    let Elsewhere { above: _above, state, away, place } = Elsewhere::begin();
    let mut store = Sqlite::open(&place).unwrap();
    store.commit("mail", "at-1", Some("rt-1"));
    fs::rename(&state, &away).unwrap();
    let refused = store.transact(&[Change::Account(intent("mail"))]).map(drop);
    assert_eq!(refused, Err(moved()));
    assert!(!store.health().writable, "the next write begins with fresh files");

    fs::rename(&away, &state).unwrap();
    assert_eq!(refresh_of(&store.spend("mail")), Some("rt-1"));
}

fn is_in_place(store: &Sqlite) -> bool {
    store.files.are_in_place(&store.dir, &store.name)
}

/// Where a state directory lies, and where it can be moved to.
struct Elsewhere {
    above: TempDir,
    state: PathBuf,
    away: PathBuf,
    place: Place,
}

impl Elsewhere {
    fn begin() -> Self {
        let above = private_dir();
        let [state, away] = ["state", "away"].map(|name| above.path().join(name));
        let database = state.join("state.db");
        let place = Place { database, credentials: None, boot_id: "boot-1".to_owned() };
        Self { above, state, away, place }
    }
}

fn moved() -> StoreError {
    StoreError::Io("the state directory was moved or removed".to_owned())
}
