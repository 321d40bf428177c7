//! What becomes of tokens that the disk does not take, over the end of a process.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::MutexGuard;

use super::*;
use crate::record::Refuge;
use crate::store::shelf::Leftover;
use crate::store::shelf::Shelf;

#[test]
fn what_a_full_disk_refuses_is_written_by_the_next_process() {
    let (home, shelf) = left_on_the_shelf();

    let mut store = home.open();
    let inherited = store.keep_on(shelf.boxed(), shelf.leftovers());

    assert_eq!(inherited.used, [(account("mail"), Generation(2))]);
    assert_eq!(inherited.refused, Vec::<String>::new());
    let record = store.only();
    assert_eq!(access_of(&record), long());
    assert_eq!((record.unsaved, record.intent), (false, None));
    assert_eq!(refresh_of(&store.spend("mail")), Some("r2"));
    assert_eq!(shelf.names(), Vec::<String>::new(), "the disk has it");
    assert_eq!(access_of(&home.crashed().open().only()), long());
}

#[test]
fn what_the_disk_still_does_not_take_stands_in_until_it_does() {
    let (home, shelf) = left_on_the_shelf();
    let mut store = home.open();
    no_more_room(&store);
    store.keep_on(shelf.boxed(), shelf.leftovers());

    let record = store.only();
    assert_eq!((access_of(&record), record.unsaved), (&*long(), true));
    assert_eq!((record.intent, record.lineage), (None, Lineage("issuer".into())));
    let lease = store.tables().unwrap().lease(&account("mail"), Stake::Current).unwrap();
    assert_eq!((refresh_of(&lease), lease.generation), (Some("r2"), Generation(2)));
    assert_eq!(store.one(settle()).map(drop), Err(kept(Refuge::ServiceManager)));
    assert_eq!(shelf.names().len(), 1);

    room_again(&store);
    assert_eq!(committed(store.one(settle())), Generation(2));
    assert!(!store.only().unsaved);
    assert_eq!(shelf.names(), Vec::<String>::new());
    assert_eq!(committed(store.one(settle())), Generation(2), "it is asked for once too often");
}

/// Nobody has to ask for an account that is configured no longer.
#[test]
fn whatever_is_written_next_is_preceded_by_what_was_not() {
    let (home, shelf) = left_on_the_shelf();
    let mut store = home.open();
    no_more_room(&store);
    store.keep_on(shelf.boxed(), shelf.leftovers());
    room_again(&store);

    store.commit("other", "a", None);

    let crashed = home.crashed().open().load().unwrap().records;
    assert_eq!(access_of(&crashed[0]), long());
    assert_eq!(shelf.names(), Vec::<String>::new());
}

#[test]
fn a_set_that_is_newer_takes_the_place_of_the_one_before() {
    let (home, shelf) = (Home::new(), Fake::default());
    let mut store = spending(&home, &shelf, &["mail", "boiler"]);
    no_more_room(&store);
    let refused = Err(kept(Refuge::ServiceManager));
    for name in ["mail", "boiler"] {
        assert_eq!(store.one(refused_commit(name)).map(drop), refused);
        assert_eq!(shelf.names().len(), 1, "one set holds them all");
    }
    let both = shelf.names();
    assert_eq!(store.one(refused_commit("mail")).map(drop), refused);
    assert_eq!(shelf.names(), both, "the same once more is no news");

    room_again(&store);
    assert_eq!(committed(store.one(refused_commit("mail"))), Generation(2));
    assert_ne!(shelf.names(), both);
    let crashed = home.crashed();
    let mut next = crashed.open();
    let inherited = next.keep_on(Fake::default().boxed(), shelf.leftovers());
    assert_eq!(inherited.used, [(account("boiler"), Generation(2))]);

    assert_eq!(committed(store.one(refused_commit("boiler"))), Generation(2));
    assert_eq!(shelf.names(), Vec::<String>::new());
}

#[test]
fn a_set_that_could_not_be_handed_over_is_told_and_handed_over_later() {
    let (home, shelf) = (Home::new(), Fake::default());
    let mut store = spending(&home, &shelf, &["mail"]);
    no_more_room(&store);
    shelf.inside().deaf = true;
    for _ in 0..3 {
        assert_eq!(store.one(refused_commit("mail")).map(drop), Err(kept(Refuge::Memory)));
    }
    assert_eq!(shelf.names(), Vec::<String>::new());

    shelf.inside().deaf = false;
    let refused = store.one(refused_commit("mail")).map(drop);
    assert_eq!(refused, Err(kept(Refuge::ServiceManager)));
    assert_eq!(shelf.names().len(), 1);
}

#[test]
fn a_set_that_arrives_late_is_replaced_under_its_name_and_names_do_not_add_up() {
    let (home, shelf) = (Home::new(), Fake::default());
    let mut store = spending(&home, &shelf, &["mail", "boiler"]);
    no_more_room(&store);
    shelf.inside().late = true;
    for name in ["mail", "boiler"] {
        let refused = store.one(refused_commit(name)).map(drop);
        assert_eq!(refused, Err(kept(Refuge::Memory)));
        assert_eq!(shelf.names().len(), 1);
    }
    let mut next = home.crashed().open();
    let inherited = next.keep_on(Fake::default().boxed(), shelf.leftovers());
    let both = ["boiler", "mail"].map(|name| (account(name), Generation(2)));
    assert_eq!(inherited.used, both);

    shelf.inside().late = false;
    room_again(&store);
    for name in ["mail", "boiler"] {
        assert_eq!(committed(store.one(refused_commit(name))), Generation(2));
    }
    assert_eq!(shelf.names(), Vec::<String>::new());
}

#[test]
fn without_a_shelf_a_refusal_says_what_it_always_said() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    store.spend("mail");
    no_more_room(&store);
    assert_eq!(store.one(refused_commit("mail")).map(drop), Err(StoreError::Full));
}

#[test]
fn what_a_crash_would_not_lose_is_not_kept() {
    let (home, shelf) = (Home::new(), Fake::default());
    let mut store = spending(&home, &shelf, &["mail"]);
    no_more_room(&store);
    let not_rotated = [commit("mail", &long(), Some("r1")), commit("mail", &long(), None)];
    for write in not_rotated {
        assert_eq!(store.one(Change::Account(write)).map(drop), Err(StoreError::Full));
    }
    let Change::Account(Write::Commit { account, grant, issued, now, lineage, standing, .. }) =
        refused_commit("mail")
    else {
        panic!("no commit")
    };
    let stake = Stake::SignIn;
    let write = Write::Commit { account, grant, issued, now, lineage, stake, standing };
    assert_eq!(store.one(Change::Account(write)).map(drop), Err(StoreError::Full));
    assert_eq!(shelf.names(), Vec::<String>::new());
}

#[test]
fn what_the_disk_has_or_has_gone_beyond_is_not_used() {
    let (home, shelf) = left_on_the_shelf();
    let mut store = home.open();
    assert_eq!(committed(store.one(refused_commit("mail"))), Generation(2));
    let inherited = store.keep_on(shelf.boxed(), shelf.leftovers());
    assert_eq!((inherited.used, inherited.refused), (vec![], vec![]), "the kill came in between");
    assert_eq!(shelf.names(), Vec::<String>::new());

    let (home, shelf) = left_on_the_shelf();
    let mut store = home.open();
    store.commit("mail", "a2", Some("r2"));
    store.commit("mail", "a3", Some("r3"));
    store.spend("mail");
    let inherited = store.keep_on(shelf.boxed(), shelf.leftovers());
    let older = "mail: generation 2, kept by the service manager: 3 is on disk";
    assert_eq!((inherited.used, inherited.refused), (vec![], vec![older.to_owned()]));
    assert_eq!(access_of(&store.only()), "a3");
}

#[test]
fn what_was_forgotten_since_stays_forgotten() {
    let (home, shelf) = left_on_the_shelf();
    let mut store = home.open();
    store.done(Write::Clear { account: account("mail") });
    let inherited = store.keep_on(shelf.boxed(), shelf.leftovers());
    assert_eq!(inherited.used, []);
    assert!(inherited.refused[0].contains("given up since"), "{inherited:?}");
    assert!(store.only().current.is_none());
}

#[test]
fn what_a_disk_that_cannot_be_read_says_nothing_of_is_left_for_the_next_process() {
    let (home, shelf) = left_on_the_shelf();
    let mut store = home.open();
    store.sql("ALTER TABLE intent RENAME TO unreadable");
    let inherited = store.keep_on(shelf.boxed(), shelf.leftovers());
    assert_eq!(inherited.used, []);
    assert!(inherited.refused[0].ends_with("it stays there"), "{inherited:?}");
    store.sql("ALTER TABLE unreadable RENAME TO intent");
    assert!(store.only().intent.is_some(), "it is not used");

    store.commit("boiler", "a1", Some("r1"));
    store.spend("boiler");
    no_more_room(&store);
    let refused = store.one(refused_commit("boiler")).map(drop);
    assert_eq!(refused, Err(kept(Refuge::ServiceManager)));

    let crashed = home.crashed();
    let mut next = crashed.open();
    let mut used = next.keep_on(shelf.boxed(), shelf.leftovers()).used;
    used.sort();
    assert_eq!(used, [(account("boiler"), Generation(2)), (account("mail"), Generation(2))]);
}

#[test]
fn what_is_no_set_of_this_store_is_refused_and_stays_where_it_is() {
    let (home, shelf) = left_on_the_shelf();
    let (other_home, other_shelf) = left_on_the_shelf();
    let name = shelf.names().pop().unwrap();
    let foreign = other_shelf.names().pop().unwrap();
    {
        let mut inside = shelf.inside();
        inside.lying.get_mut(&name).unwrap()[60] ^= 1;
        inside.lying.extend(other_shelf.inside().lying.clone());
        inside.lying.insert("unsaved-torn".to_owned(), b"tkunsav1".to_vec());
    }

    let mut store = home.open();
    let inherited = store.keep_on(shelf.boxed(), shelf.leftovers());

    assert_eq!(inherited.used, []);
    let told = |name: &str, why: &str| {
        let told = inherited.refused.iter().any(|it| it.starts_with(name) && it.contains(why));
        assert!(told, "{name} {why}: {inherited:?}");
    };
    told(&name, "does not open");
    told(&foreign, "belongs to another store");
    told("unsaved-torn", "nothing that was kept there");
    assert_eq!(shelf.names().len(), 3);
    assert!(store.only().intent.is_some(), "the disk decides");

    // The data directory that it belongs to comes back.
    let mut store = other_home.open();
    let inherited = store.keep_on(shelf.boxed(), shelf.leftovers());
    assert_eq!(inherited.used, [(account("mail"), Generation(2))]);
}

#[test]
fn a_disk_that_cannot_even_be_read_costs_no_refresh_token() {
    let (home, shelf) = (Home::new(), Fake::default());
    let mut store = spending(&home, &shelf, &["mail"]);
    let crashed = home.crashed();
    store.sql("DROP TABLE generation");
    let unreadable = vec![Err(StoreError::Io("unreadable".to_owned()))];
    store.keep(&[refused_commit("mail")], unreadable);

    let mut next = crashed.open();
    let inherited = next.keep_on(shelf.boxed(), shelf.leftovers());
    assert_eq!(inherited.used, [(account("mail"), Generation(2))]);
    assert_eq!(refresh_of(&next.spend("mail")), Some("r2"));
}

#[test]
fn an_import_that_could_not_be_saved_is_not_lost_either() {
    let (home, shelf) = (Home::new(), Fake::default());
    let mut store = home.open();
    store.keep_on(shelf.boxed(), Vec::new());
    let stage = Write::Stage {
        account: account("mail"),
        lineage: Lineage("issuer".into()),
        refresh_token: Secret::new("handed in"),
    };
    store.done(stage);
    let intent = Write::Intent {
        account: account("mail"),
        stake: Stake::Staged,
        replays: false,
        spends: true,
        now: NOW,
        attempts: vec![NOW.boot],
    };
    store.done(intent);
    no_more_room(&store);
    let Change::Account(Write::Commit { account, grant, issued, now, lineage, standing, .. }) =
        refused_commit("mail")
    else {
        panic!("no commit")
    };
    let stake = Stake::Staged;
    let write = Write::Commit { account, grant, issued, now, lineage, stake, standing };
    let refused = store.one(Change::Account(write)).map(drop);
    assert_eq!(refused, Err(kept(Refuge::ServiceManager)));

    let crashed = home.crashed();
    let mut next = crashed.open();
    no_more_room(&next);
    next.keep_on(shelf.boxed(), shelf.leftovers());
    let record = next.only();
    assert_eq!((&record.staged, record.staged_intent), (&None, None));
    room_again(&next);
    assert_eq!(refresh_of(&next.spend("mail")), Some("r2"));
    assert_eq!(next.only().staged, None);
}

/// A shelf with what a process left there that a full disk kept from writing; and its files.
fn left_on_the_shelf() -> (Home, Fake) {
    let (home, shelf) = (Home::new(), Fake::default());
    let mut store = spending(&home, &shelf, &["mail"]);
    no_more_room(&store);
    let refused = store.one(refused_commit("mail")).map(drop);
    assert_eq!(refused, Err(kept(Refuge::ServiceManager)));
    (home.crashed(), shelf)
}

/// A store that has handed out the refresh tokens `r1` of accounts.
fn spending(home: &Home, shelf: &Fake, accounts: &[&str]) -> Sqlite {
    let mut store = home.open();
    store.keep_on(shelf.boxed(), Vec::new());
    for name in accounts {
        store.commit(name, "a1", Some("r1"));
        store.spend(name);
    }
    store
}

fn refused_commit(name: &str) -> Change {
    Change::Account(commit(name, &long(), Some("r2")))
}

fn settle() -> Change {
    Change::Account(Write::Settle { account: account("mail") })
}

fn kept(refuge: Refuge) -> StoreError {
    StoreError::Unsaved { why: Box::new(StoreError::Full), refuge }
}

/// An access token that a database without room cannot take.
fn long() -> String {
    "x".repeat(100_000)
}

fn no_more_room(store: &Sqlite) {
    store.sql("PRAGMA max_page_count = 1");
}

fn room_again(store: &Sqlite) {
    store.sql("PRAGMA max_page_count = 4294967294");
}

/// A service manager that keeps what it is given.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    lying: BTreeMap<String, Vec<u8>>,
    /// Whether nothing arrives.
    deaf: bool,
    /// Whether it arrives too late to be known of.
    late: bool,
}

impl Fake {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }

    fn boxed(&self) -> Box<dyn Shelf> {
        Box::new(self.clone())
    }

    fn names(&self) -> Vec<String> {
        self.inside().lying.keys().cloned().collect()
    }

    fn leftovers(&self) -> Vec<Leftover> {
        let lying = self.inside().lying.clone();
        lying.into_iter().map(|(name, set)| Leftover { name, content: Some(set) }).collect()
    }
}

impl Shelf for Fake {
    fn exchange(&mut self, set: Option<(&str, &[u8])>, gone: &[String]) -> bool {
        let mut inside = self.inside();
        if inside.deaf {
            return false;
        }
        let name = set.map(|(name, _)| name);
        let replaced = name.is_some_and(|name| inside.lying.contains_key(name));
        let known = name.is_some_and(|name| gone.iter().any(|gone| gone == name));
        assert!(known || !replaced, "what lies there under that name would stay");
        for name in gone {
            inside.lying.remove(name);
        }
        if let Some((name, set)) = set {
            inside.lying.insert(name.to_owned(), set.to_vec());
        }
        !inside.late
    }
}
