//! What becomes of a store that passes from one key to the next.

use std::path::Path;

use super::*;
use crate::store::custody;
use crate::store::custody::Custody;
use crate::store::key::CREDENTIAL;
use crate::store::key::KEY_FILE;
use crate::store::key::Keys;
use crate::store::key::StoreKey;
use crate::store::reseal::Tally;

#[test]
fn after_a_rekey_everything_opens_with_the_new_key_and_nothing_with_the_old_one() {
    let home = full_home();
    let (mut custody, old) = taken(&home);
    let before = home.crashed();
    let new = StoreKey::draw();
    custody.put_key_file(&Keys::passing(new.clone(), old.clone())).unwrap();
    let tally = custody.rekey(&old, &new).unwrap();
    assert_eq!(tally, Tally { sound: 5, broken: 0 });
    assert_eq!(custody.key_id(), Some(new.id().as_str()));
    custody.put_key_file(&Keys::one(new)).unwrap();
    drop(custody);
    check_full(&home);

    // The old key does not open it, and neither does the old header, which wraps the old data key.
    let (_, newest) = taken(&home);
    let (custody, _) = taken(&before);
    custody.put_key_file(&Keys::one(newest)).unwrap();
    drop(custody);
    assert!(matches!(before.refused(), OpenError::KeyWrong { .. }));
    let (custody, _) = taken(&home);
    custody.put_key_file(&Keys::one(old)).unwrap();
    drop(custody);
    assert!(matches!(home.refused(), OpenError::KeyWrong { .. }));
}

#[test]
fn an_exchange_without_an_end_is_told_by_its_account_until_it_has_one() {
    let home = Home::new();
    let mut store = home.open();
    for name in ["mail", "boiler"] {
        store.commit(name, "a1", Some("r1"));
        store.spend(name);
    }
    store.commit("boiler", "a2", Some("r2"));
    drop(store);
    let (custody, _) = taken(&home);
    assert_eq!(custody.under_way().unwrap(), ["mail"]);
}

#[test]
fn no_sealed_body_of_before_is_left_in_any_file() {
    let home = full_home();
    let store = home.open();
    let sql = "SELECT body FROM generation UNION ALL SELECT body FROM secret
               UNION ALL SELECT body FROM staged UNION ALL SELECT body FROM orphan
               UNION ALL SELECT wrapped FROM header";
    let conn = store.conn.as_ref().unwrap();
    let mut statement = conn.prepare(sql).unwrap();
    let bodies = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let bodies = bodies.collect::<Result<Vec<_>, _>>().unwrap();
    drop(statement);
    drop(store);
    assert_eq!(bodies.len(), 6);
    for body in &bodies {
        assert!(is_in_a_file(home.at.path(), body));
    }

    let (mut custody, old) = taken(&home);
    let new = StoreKey::draw();
    custody.put_key_file(&Keys::one(new.clone())).unwrap();
    custody.rekey(&old, &new).unwrap();
    for body in &bodies {
        assert!(!is_in_a_file(home.at.path(), body));
    }
}

#[test]
fn a_crash_between_the_steps_of_a_rekey_leaves_a_store_that_opens() {
    let home = full_home();
    let (mut custody, old) = taken(&home);
    let new = StoreKey::draw();
    let both = Keys::passing(new.clone(), old.clone());

    custody.put_key_file(&both).unwrap();
    check_full(&home.crashed());
    custody.rekey(&old, &new).unwrap();
    check_full(&home.crashed());
    custody.put_key_file(&Keys::one(new)).unwrap();
    check_full(&home.crashed());
}

#[test]
fn a_store_passes_from_its_key_file_to_a_credential_and_opens_at_every_step() {
    let mut home = full_home();
    let credentials = private_dir();
    home.place.credentials = Some(credentials.path().to_owned());
    let opens = |home: &Home, source| {
        let mut copy = home.crashed();
        copy.place.credentials.clone_from(&home.place.credentials);
        assert_eq!(copy.open().health().key, source);
        check_full(&copy);
    };

    let (mut custody, old) = taken(&home);
    let new = StoreKey::draw();
    opens(&home, KeySource::File);
    let passed = StateDir::open(credentials.path()).unwrap();
    passed.create(CREDENTIAL, Keys::one(new.clone()).text().expose().as_bytes()).unwrap();
    opens(&home, KeySource::File);
    custody.rekey(&old, &new).unwrap();
    opens(&home, KeySource::Credential);
    assert!(custody::has_key_file(&home.place.database).unwrap());
    custody.remove_key_file().unwrap();
    assert!(!custody::has_key_file(&home.place.database).unwrap());
    opens(&home, KeySource::Credential);
}

#[test]
fn a_body_that_does_not_open_is_counted_and_takes_no_other_with_it() {
    let home = full_home();
    let store = home.open();
    store.sql("UPDATE generation SET body = zeroblob(100) WHERE number = 1");
    drop(store);
    let (mut custody, old) = taken(&home);
    let new = StoreKey::draw();
    custody.put_key_file(&Keys::one(new.clone())).unwrap();
    assert_eq!(custody.rekey(&old, &new).unwrap(), Tally { sound: 4, broken: 1 });
    drop(custody);
    check_full(&home);
}

#[test]
fn another_key_than_its_own_changes_nothing() {
    let home = full_home();
    let (mut custody, _) = taken(&home);
    let refused = custody.rekey(&StoreKey::draw(), &StoreKey::draw()).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    drop(custody);
    check_full(&home);
}

#[test]
fn a_store_in_use_is_not_taken_and_one_that_is_not_there_is_not_made() {
    let home = full_home();
    let store = home.open();
    let refused = Custody::take(&home.place.database).map(drop).unwrap_err();
    assert!(matches!(refused, OpenError::Held { .. }), "{refused}");
    drop(store);

    let absent = home.at.path().join("absent/state.db");
    assert!(Custody::take(&absent).unwrap().is_none());
    assert!(!custody::has_key_file(&absent).unwrap());
    assert!(!absent.parent().unwrap().exists());
    let empty = private_dir();
    let mut custody = Custody::take(&empty.path().join("state.db")).unwrap().unwrap();
    assert_eq!(custody.key_id(), None);
    assert!(custody.key_file().unwrap().is_none());
    let nothing = custody.rekey(&StoreKey::draw(), &StoreKey::draw()).unwrap();
    assert_eq!(nothing, Tally::default());
    assert!(!empty.path().join("state.db").exists());
}

/// A store with a body of every sort, two of them generations.
fn full_home() -> Home {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    store.commit("mail", "a2", Some("r2"));
    store.done(Write::Stage {
        account: account("mail"),
        lineage: Lineage("staged".into()),
        refresh_token: Secret::new("staged"),
    });
    let orphan = grant("orphan", Some("orphan"));
    store.done(Write::Orphan { account: account("mail"), grant: orphan, now: NOW });
    let put = Change::PutSecret { slot: "mail.x".to_owned(), secret: Secret::new("hush") };
    store.one(put).map(drop).unwrap();
    home
}

/// Looks at what a daemon would have of it, in a copy.
fn check_full(home: &Home) {
    let mut copy = home.crashed();
    copy.place.credentials.clone_from(&home.place.credentials);
    let mut store = copy.open();
    let loaded = store.load().unwrap();
    assert_eq!(loaded.damage, Vec::<String>::new());
    assert_eq!((loaded.records.len(), loaded.orphans.len()), (1, 1));
    assert_eq!(access_of(&loaded.records[0]), "a2");
    assert_eq!(store.secret("mail.x").unwrap().unwrap().expose(), "hush");
    assert_eq!(refresh_of(&store.spend("mail")), Some("r2"));
}

/// The store in our hands, and its key.
fn taken(home: &Home) -> (Custody, StoreKey) {
    let custody = Custody::take(&home.place.database).unwrap().unwrap();
    let keys = custody.key_file().unwrap().unwrap();
    let key = keys.get(custody.key_id().unwrap()).unwrap().clone();
    assert!(home.at.path().join(KEY_FILE).exists());
    (custody, key)
}

#[allow(clippy::disallowed_methods, reason = "files of a few hundred kilobytes that the test made")]
fn is_in_a_file(at: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(at).unwrap().any(|entry| {
        let content = std::fs::read(entry.unwrap().path()).unwrap();
        content.windows(needle.len()).any(|window| window == needle)
    })
}
