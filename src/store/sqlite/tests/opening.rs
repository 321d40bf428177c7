//! What is refused when a store is opened, and what survives a crash before it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::store::custody::Custody;
use crate::store::key::CREDENTIAL;
use crate::store::key::KEY_FILE;
use crate::store::open::Site;
use crate::store::refusal::Lack;
use crate::store::wal::tests::Written;
use crate::token::hex;

#[test]
fn every_file_is_for_the_owner_alone() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a", Some("r"));
    let mut seen = 0;
    for entry in std::fs::read_dir(home.at.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        seen += 1;
    }
    // Database, its log, key, lock and ballast.
    assert_eq!(seen, 5);
}

#[test]
fn a_crash_at_any_moment_leaves_what_was_answered() {
    let home = Home::new();
    let mut store = home.open();
    for n in 1..=300 {
        let generation = store.commit("mail", &format!("a{n}"), Some(&format!("r{n}")));
        assert_eq!(generation, Generation(n));
        if n % 50 == 0 {
            let crashed = home.crashed();
            let mut after = crashed.open();
            assert_eq!(access_of(&after.only()), format!("a{n}"));
            assert_eq!(refresh_of(&after.spend("mail")), Some(format!("r{n}").as_str()));
        }
    }
}

#[test]
fn a_second_owner_is_refused_with_the_process_that_holds_the_store() {
    let home = Home::new();
    let _first = home.open();
    let refused = home.refused();
    assert_eq!(refused.exit_status(), 75);
    assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
}

#[test]
fn a_write_of_an_owner_who_was_overtaken_is_refused() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    store.sql("UPDATE header SET epoch = epoch + 1");
    for write in [intent("mail"), commit("mail", "a2", Some("r2"))] {
        let refused = store.one(Change::Account(write)).map(drop);
        assert_eq!(refused, Err(StoreError::Superseded));
    }
    assert_eq!(access_of(&store.only()), "a1");
}

#[test]
fn every_opening_claims_a_new_epoch() {
    let home = Home::new();
    let first = home.open().epoch;
    assert_eq!(home.open().epoch, first + 1);
}

#[test]
fn a_database_without_its_key_is_refused_and_no_key_is_made() {
    let home = Home::new();
    drop(home.open());
    let key = home.at.path().join(KEY_FILE);
    let kept = home.at.path().join("kept");
    std::fs::rename(&key, &kept).unwrap();

    let refused = home.refused();
    assert!(matches!(refused, OpenError::KeyMissing { .. }), "{refused}");
    assert_eq!(refused.exit_status(), 78);
    assert!(refused.to_string().contains("Put the key back"), "{refused}");
    assert!(!key.exists());

    std::fs::rename(&kept, &key).unwrap();
    drop(home.open());
}

#[test]
fn a_wrong_key_is_refused_by_its_id() {
    let home = Home::new();
    drop(home.open());
    let key = home.at.path().join(KEY_FILE);
    put(&key, &[b'0'; 64]);
    let refused = home.refused();
    assert!(matches!(refused, OpenError::KeyWrong { .. }), "{refused}");
    assert_eq!(refused.exit_status(), 78);
    assert!(!refused.to_string().contains("000000000000"), "{refused}");
}

#[test]
fn the_service_managers_key_is_used_and_no_key_file_is_made() {
    let mut home = Home::new();
    let credentials = private_dir();
    put(&credentials.path().join(CREDENTIAL), &[7; 32]);
    home.place.credentials = Some(credentials.path().to_owned());

    let mut store = home.open();
    assert_eq!(store.health().key, KeySource::Credential);
    assert!(!home.at.path().join(KEY_FILE).exists());
    store.commit("mail", "a", Some("r"));
    drop(store);
    assert_eq!(access_of(&home.open().only()), "a");
    let other = Home::new();
    assert_eq!(other.open().health().key, KeySource::File);
}

#[test]
fn a_start_that_was_cut_short_is_begun_again() {
    type Begin = fn(&Path);
    #[rustfmt::skip]
    let cases: &[(&str, Begin)] = &[
        ("after the key's unfinished file", |at| put(&at.join("store.key.new"), b"0123")),
        ("after an empty database file",    |at| put(&at.join("state.db"), b"")),
    ];
    for (name, begun) in cases {
        let home = Home::new();
        begun(home.at.path());
        let mut store = home.open();
        assert_eq!(store.commit("mail", "a", Some("r")), Generation(1), "{name}");
    }
}

#[test]
fn a_log_without_its_database_is_refused_and_left_for_when_that_is_back() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a", Some("r"));
    for (lack, text) in [(Lack::Missing, "is missing"), (Lack::Empty, "is empty")] {
        let home = home.crashed();
        let (database, aside) = (&home.place.database, home.at.path().join("aside"));
        std::fs::rename(database, &aside).unwrap();
        if lack == Lack::Empty {
            put(database, b"");
        }
        for _ in 0..2 {
            let refused = home.refused();
            assert!(matches!(refused, OpenError::LogAlone { lack: found, .. } if found == lack));
            assert_eq!(refused.exit_status(), 78);
            let told = refused.to_string();
            assert!(told.contains(text) && told.contains("Put the database back"), "{told}");
            assert!(Custody::take(database).is_err(), "no key is changed meanwhile");
        }
        std::fs::rename(&aside, database).unwrap();
        assert_eq!(access_of(&home.open().only()), "a");
    }
}

#[test]
fn a_store_that_is_made_under_a_key_that_was_there_says_so() {
    let home = Home::new();
    assert!(!home.open().load().unwrap().remade, "the first start");
    assert!(!home.open().load().unwrap().remade, "the second");
    std::fs::remove_file(&home.place.database).unwrap();
    assert!(home.open().load().unwrap().remade);
    assert!(!home.open().load().unwrap().remade);
}

#[test]
fn another_programs_database_is_refused_and_left_as_it_is() {
    let home = Home::new();
    let other = Connection::open(&home.place.database).unwrap();
    other.execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
    drop(other);
    std::fs::set_permissions(&home.place.database, Permissions::from_mode(0o600)).unwrap();
    let refused = home.refused();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    let other = Connection::open(&home.place.database).unwrap();
    other.query_row("SELECT count(*) FROM notes", [], |_| Ok(())).unwrap();
}

#[test]
fn a_store_that_another_process_has_open_is_held_and_not_damaged() {
    let home = Home::new();
    let first = home.open();
    std::fs::remove_file(home.at.path().join("store.lock")).unwrap();
    let refused = home.refused();
    assert!(matches!(refused, OpenError::Held { .. }), "{refused}");
    assert_eq!(refused.exit_status(), 75);
    drop(first);

    let other = Connection::open(&home.place.database).unwrap();
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    let refused = home.refused();
    assert!(matches!(refused, OpenError::Held { .. }), "{refused}");
    drop(other);
    drop(home.open());
}

#[test]
fn a_log_that_is_none_is_told_and_kept_and_the_database_is_used_as_it_is() {
    let home = with_log();
    let log = home.at.path().join("state.db-wal");
    let noise = vec![0xa5; content_of(&log).len()];
    put(&log, &noise);

    let mut store = home.open();
    let loaded = store.load().unwrap();
    let [told] = loaded.damage.as_slice() else { panic!("{:?}", loaded.damage) };
    assert!(told.contains("cannot be read") && told.contains("state.db-wal.damaged-1"), "{told}");
    assert_eq!(access_of(&loaded.records[0]), "a0");
    assert_eq!(content_of(&home.at.path().join("state.db-wal.damaged-1")), noise);
    assert_eq!(store.commit("mail", "new", Some("r")), Generation(2));
    let crashed = home.crashed();
    drop(store);
    for home in [crashed, home] {
        assert_eq!(access_of(&home.open().only()), "new", "nothing is wrong any more");
    }
}

#[test]
fn damage_in_the_middle_of_a_log_is_told_and_kept_and_what_is_before_it_is_used() {
    let home = with_log();
    let log = home.at.path().join("state.db-wal");
    let mut hurt = Written::of(content_of(&log));
    // The first transaction claims the store, and each that follows is a commit.
    hurt.bytes[hurt.transactions[3].start + 100] ^= 1;
    put(&log, &hurt.bytes);

    let loaded = home.open().load().unwrap();
    let [told] = loaded.damage.as_slice() else { panic!("{:?}", loaded.damage) };
    assert!(told.contains("behind that place") && told.contains(".damaged-1"), "{told}");
    assert_eq!(access_of(&loaded.records[0]), "a2");
    assert_eq!(content_of(&home.at.path().join("state.db-wal.damaged-1")), hurt.bytes);
    assert_eq!(access_of(&home.crashed().open().only()), "a2", "nothing is wrong any more");
}

#[test]
fn a_log_that_ends_early_is_what_a_crash_leaves() {
    let home = with_log();
    let log = home.at.path().join("state.db-wal");
    let content = content_of(&log);
    put(&log, &content[..content.len() - 100]);
    assert_eq!(access_of(&home.open().only()), "a4");
}

#[test]
fn a_store_whose_content_was_all_in_a_log_that_cannot_be_read_is_refused() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a", Some("r"));
    let home = home.crashed();
    let log = home.at.path().join("state.db-wal");
    let whole = content_of(&log);
    put(&log, &vec![0xa5; whole.len()]);
    for _ in 0..2 {
        let refused = home.refused();
        assert!(matches!(refused, OpenError::LogAlone { lack: Lack::Bare, .. }), "{refused}");
    }
    put(&log, &whole);
    assert_eq!(access_of(&home.open().only()), "a");
}

#[test]
fn what_is_no_database_is_refused_and_left_as_it_is() {
    let home = Home::new();
    let database = home.at.path().join("state.db");
    put(&database, &[b'x'; 8192]);
    let refused = home.refused();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    assert_eq!(std::fs::metadata(&database).unwrap().len(), 8192);
    assert!(!home.at.path().join(KEY_FILE).exists());
}

#[test]
fn a_newer_format_is_refused_with_both_versions_unless_it_allows_older_readers() {
    let home = Home::new();
    let store = home.open();
    store.sql("UPDATE header SET format = 7, min_reader = 1");
    drop(store);
    let store = home.open();
    store.sql("UPDATE header SET min_reader = 6");
    drop(store);

    let refused = home.refused();
    assert_eq!(refused.exit_status(), 78);
    let text = refused.to_string();
    for word in ["format 7", "reads format 6", "up to 1", "state.db.format-1"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn before_the_first_write_of_a_newer_format_a_copy_is_taken_that_the_older_one_opens() {
    const NEXT: &[crate::store::schema::Step] = &[
        crate::store::schema::Step { to: 1, min_reader: 1, sql: "" },
        crate::store::schema::Step { to: 2, min_reader: 2, sql: "DROP TABLE orphan;" },
    ];
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    drop(store);

    let dir = StateDir::open(home.at.path()).unwrap();
    let site = Site { dir: &dir, name: "state.db", credentials: None, steps: NEXT };
    drop(site.open().map_err(|refused| refused.to_string()).unwrap());
    assert!(matches!(home.refused(), OpenError::NewerFormat { found: 2, min_reader: 2, .. }));

    std::fs::rename(home.at.path().join("state.db.format-1"), &home.place.database).unwrap();
    assert_eq!(access_of(&home.open().only()), "a1");
}

#[test]
fn a_damaged_body_is_told_and_the_generation_before_it_stands_in() {
    #[rustfmt::skip]
    let cases = [
        ("flipped bits",    "UPDATE generation SET body = zeroblob(100) WHERE number = 2"),
        ("empty",           "UPDATE generation SET body = x'' WHERE number = 2"),
        ("put back",        "UPDATE generation SET body =
                                 (SELECT body FROM generation WHERE number = 1) WHERE number = 2"),
    ];
    for (name, damage) in cases {
        let home = Home::new();
        let mut store = home.open();
        store.commit("mail", "a1", Some("r1"));
        store.commit("mail", "a2", Some("r2"));
        store.sql(damage);
        drop(store);

        let mut store = home.open();
        let loaded = store.load().unwrap();
        assert_eq!(
            loaded.damage,
            ["mail: generation 2 does not open; 1 stands in for it"],
            "{name}"
        );
        assert_eq!(access_of(&loaded.records[0]), "a1", "{name}");
        assert_eq!(refresh_of(&store.spend("mail")), Some("r1"), "{name}");
        assert_eq!(store.commit("mail", "a3", Some("r3")), Generation(3), "{name}");
        assert_eq!(access_of(&store.only()), "a3", "{name}");
    }
}

#[test]
fn bodies_that_were_swapped_between_accounts_do_not_open() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("one", "a1", Some("r1"));
    store.commit("two", "a2", Some("r2"));
    store.sql(
        "CREATE TEMP TABLE t AS SELECT place, body FROM generation;
         UPDATE generation SET body = (SELECT body FROM t WHERE t.place <> generation.place)",
    );
    let loaded = store.load().unwrap();
    assert_eq!(loaded.damage.len(), 2);
    assert!(loaded.records.iter().all(|record| record.current.is_none()));
    let refused = store.one(Change::Account(intent("one"))).map(drop);
    assert!(matches!(refused, Err(StoreError::Damaged(_))));
}

#[test]
fn a_standing_that_cannot_be_read_is_paused_and_told() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    store.sql("UPDATE account SET standing = '{', attempts = '['");
    let loaded = store.load().unwrap();
    assert_eq!(loaded.damage.len(), 2);
    assert_eq!(loaded.records[0].standing.hold, Hold::Paused);
    assert_eq!(access_of(&loaded.records[0]), "a1");
}

#[test]
fn a_broken_page_is_told_and_costs_only_what_was_on_it() {
    const PAGE: usize = 4096;

    let home = Home::new();
    let mut store = home.open();
    let long = "x".repeat(2000);
    for n in 0..20 {
        store.commit(&format!("account-{n}"), &long, Some("r"));
    }
    drop(store);
    let whole = content_of(&home.place.database);
    let pages = whole.len() / PAGE;
    let mut hurt_many = 0;
    // The first page is the file's header and the list of tables.
    for page in 1..pages {
        let broken = home.crashed();
        let mut content = whole.clone();
        content[page * PAGE..][..PAGE].fill(0xa5);
        put(&broken.place.database, &content);

        let mut store = match Sqlite::open(&broken.place) {
            Ok(store) => store,
            Err(refused) => {
                assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
                hurt_many += 1;
                continue;
            }
        };
        let loaded = store.load().unwrap();
        assert!(!loaded.damage.is_empty(), "page {page}");
        let usable = loaded.records.iter().filter(|record| record.current.is_some());
        hurt_many += u32::from(usable.count() < 19);
    }
    // The header, the list of accounts, and the root above all generations.
    assert!(pages > 20);
    assert_eq!(hurt_many, 3);
}

#[test]
fn no_secret_is_readable_in_any_file() {
    let home = Home::new();
    let mut store = home.open();
    let canaries = [
        "canary-access-8c1f",
        "canary-refresh-77aa",
        "canary-staged-09b2",
        "canary-orphan-51de",
        "canary-secret-e3f4",
        "canary-salvage-b6c7",
    ];
    store.commit("mail", canaries[0], Some(canaries[1]));
    store.done(Write::Stage {
        account: account("mail"),
        lineage: Lineage("staged".into()),
        refresh_token: Secret::new(canaries[2]),
    });
    let orphan = grant(canaries[3], Some(canaries[3]));
    store.done(Write::Orphan { account: account("mail"), grant: orphan, now: NOW });
    let put = Change::PutSecret { slot: "mail.x".to_owned(), secret: Secret::new(canaries[4]) };
    store.one(put).map(drop).unwrap();
    store.done(Write::Salvage {
        account: account("mail"),
        refresh_token: Secret::new(canaries[5]),
        now: NOW,
        lineage: Lineage("issuer".into()),
        stake: Stake::Current,
        standing: Standing::default(),
    });

    assert_hidden(home.at.path(), &canaries);
    store.rewrite().unwrap();
    assert_hidden(home.at.path(), &canaries);
    drop(store);
    assert_hidden(home.at.path(), &canaries);
}

/// As after a crash: a generation in the database, and five that follow in its log.
fn with_log() -> Home {
    let home = Home::new();
    home.open().commit("mail", "a0", Some("r0"));
    let mut store = home.open();
    for n in 1..=5 {
        store.commit("mail", &format!("a{n}"), Some("r"));
    }
    home.crashed()
}

fn assert_hidden(at: &Path, canaries: &[&str]) {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD_NO_PAD;

    for entry in std::fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        let content = content_of(&path);
        for canary in canaries {
            // Base64 of a text depends on where it begins: the middle of each shift is enough.
            let shifted =
                (0..3).map(|skip| STANDARD_NO_PAD.encode(&canary[skip..canary.len() - 3]));
            let hex = hex(canary.as_bytes());
            let upper = hex.to_uppercase();
            for form in shifted.chain([(*canary).to_owned(), hex, upper]) {
                let needle = &form.as_bytes()[..form.len() - 2];
                let found = content.windows(needle.len()).any(|window| window == needle);
                assert!(!found, "{canary} in {}", path.display());
            }
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a file of a few hundred kilobytes that the test made"
)]
fn content_of(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[allow(clippy::disallowed_methods, reason = "the test needs neither durability nor the umask")]
fn put(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}
