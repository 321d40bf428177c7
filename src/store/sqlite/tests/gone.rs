//! Somebody meddles with the files of a store that is open: a write that no restart would find is none.

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::store::ballast::Reserve;
use crate::store::key::KEY_FILE;
use crate::store::key::Keys;
use crate::store::key::StoreKey;

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
fn a_database_that_was_emptied_is_made_anew_as_long_as_its_log_has_everything() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "at-1", Some("rt-1"));
    File::create(&home.place.database).unwrap();

    assert_eq!(refresh_of(&store.spend("mail")), Some("rt-1"));
    store.commit("mail", "at-2", Some("rt-2"));
    assert_eq!((store.health().rewrites, store.health().meddled), (1, 1));
    assert_eq!(access_of(&home.crashed().open().only()), "at-2");
}

#[test]
fn nothing_is_spent_once_what_was_emptied_cannot_be_made_up_for() {
    let long = "x".repeat(4000);
    let home = Home::new();
    let mut store = home.open();
    for n in 0..300 {
        store.commit(&format!("account-{n}"), &long, Some("rt"));
    }
    drop(store);
    let mut store = home.open();
    File::create(&home.place.database).unwrap();
    for _ in 0..2 {
        let refused = store.one(Change::Account(intent("account-7"))).map(drop);
        assert!(matches!(refused, Err(StoreError::Damaged(_) | StoreError::Io(_))), "{refused:?}");
        assert!(!store.health().writable);
    }
}

#[test]
fn a_database_that_somebody_writes_to_is_made_anew_as_the_store_knows_it() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "at-1", Some("rt-1"));
    drop(store);
    let mut store = home.open();
    let old = home.crashed();
    store.commit("mail", "at-2", Some("rt-2"));
    fs::copy(&old.place.database, &home.place.database).unwrap();

    assert_eq!(refresh_of(&store.spend("mail")), Some("rt-2"));
    assert_eq!(store.health().meddled, 1);
    assert_eq!(access_of(&home.crashed().open().only()), "at-2");
}

#[test]
fn checkpoints_of_the_stores_own_are_no_meddling() {
    let home = Home::new();
    let mut store = home.open();
    for n in 0..CHECKPOINT_EVERY + 10 {
        store.commit("mail", &format!("at-{n}"), Some("rt"));
    }
    assert_eq!((store.health().rewrites, store.health().meddled), (0, 0));
}

#[test]
fn when_everything_was_removed_everything_is_put_back_before_anything_is_spent() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "at-1", Some("rt-1"));
    for entry in fs::read_dir(home.at.path()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert_eq!(refresh_of(&store.spend("mail")), Some("rt-1"));
    let crashed = home.crashed();
    let mut next = crashed.open();
    assert_eq!(access_of(&next.only()), "at-1");
    assert!(next.only().intent.is_some());
    // Lock, key and database, of which the ballast is no matter.
    let health = store.health();
    assert_eq!((health.meddled, health.reserve), (3, Reserve::Kept));
    assert_eq!(home.refused().exit_status(), 75);
}

#[test]
fn what_was_taken_away_is_put_back_without_any_write_too() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "at-1", Some("rt-1"));
    for name in ["state.db", KEY_FILE, "store.lock"] {
        fs::remove_file(home.at.path().join(name)).unwrap();
        assert_eq!(store.health().obstacles, Vec::<String>::new());
        assert_eq!(access_of(&home.crashed().open().only()), "at-1", "{name}");
    }
    assert_eq!(store.health().meddled, 3);
}

#[test]
fn nothing_is_spent_while_another_key_lies_in_the_place_of_the_stores_own() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "at-1", Some("rt-1"));
    let other = Keys::one(StoreKey::draw()).text();
    store.dir.replace(KEY_FILE, other.expose().as_bytes()).unwrap();

    let refused = store.one(Change::Account(intent("mail"))).map(drop).unwrap_err().to_string();
    assert!(refused.contains("move that file away"), "{refused}");
    assert_eq!(store.health().obstacles.len(), 1);

    fs::rename(home.at.path().join(KEY_FILE), home.at.path().join("other")).unwrap();
    assert_eq!(refresh_of(&store.spend("mail")), Some("rt-1"));
    assert_eq!(access_of(&home.crashed().open().only()), "at-1");
}

#[test]
fn what_the_next_start_would_refuse_is_told_with_the_command_that_mends_it() {
    let home = Home::new();
    let mut store = home.open();
    let chmod = |name: &str, mode| {
        fs::set_permissions(home.at.path().join(name), Permissions::from_mode(mode)).unwrap();
    };
    for (name, mode) in [("", 0o755), ("state.db", 0o644), (KEY_FILE, 0o644)] {
        chmod(name, mode);
    }
    let told = store.health().obstacles;
    assert_eq!(told.len(), 3, "{told:?}");
    for (told, command) in told.iter().zip(["chmod 0700", "chmod 0600", "chmod 0600"]) {
        assert!(told.contains(command), "{told}");
    }
    for (name, mode) in [("", 0o700), ("state.db", 0o600), (KEY_FILE, 0o600)] {
        chmod(name, mode);
    }
    assert_eq!(store.health().obstacles, Vec::<String>::new());
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
    store.files.disturbed(&store.dir, &store.name).is_none()
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
