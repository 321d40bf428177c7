//! What a backup gets of a store.

use super::*;
use crate::backup::Kept;

#[test]
fn every_credential_and_secret_is_exported_and_nothing_is_spent_by_it() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    store.commit("mail", "a2", Some("r2"));
    store.commit("ci", "a1", None);
    store.commit("plugs", "a1", None);
    secret(&mut store, "plugs.password");
    secret(&mut store, "boiler.password");
    let gone = Write::Clear { account: account("gone") };
    store.commit("gone", "a1", Some("r1"));
    store.done(gone);

    let exported = store.export().unwrap();

    assert_eq!(exported.damage, Vec::<String>::new());
    assert_eq!(
        told(&exported.accounts),
        ["boiler 0 - password", "mail 2 r2", "plugs 1 - password"],
        "ci has nothing that a restore could use, and gone was forgotten"
    );
    assert_eq!(exported.accounts[1].issued_at, Some(NOW.wall));
    assert_eq!(exported.accounts[1].lineage, Lineage("issuer".into()));
    assert!(!exported.accounts[1].under_way);
    assert_eq!(store.load().unwrap().records.iter().filter(|it| it.intent.is_some()).count(), 0);
}

#[test]
fn a_refresh_token_that_is_being_spent_is_exported_as_such() {
    let mut store = Home::new().open();
    store.commit("mail", "a1", Some("r1"));
    store.spend("mail");
    let exported = store.export().unwrap();
    assert!(exported.accounts[0].under_way);
}

#[test]
fn a_refresh_token_that_was_handed_out_is_in_no_backup_and_its_account_is() {
    let mut store = Home::new().open();
    for (name, hold) in [("mail", Hold::Released), ("plugs", Hold::Paused)] {
        store.commit(name, "a1", Some("r1"));
        let standing = Standing { hold, ..Standing::default() };
        store.done(Write::Note { account: account(name), standing, ends_intent: false });
    }

    let exported = store.export().unwrap();

    assert_eq!(told(&exported.accounts), ["mail 1 -", "plugs 1 r1"]);
    let holds = exported.accounts.iter().map(|kept| kept.hold).collect::<Vec<_>>();
    assert_eq!(holds, [Hold::Released, Hold::Paused]);
}

#[test]
fn what_does_not_open_is_told_and_takes_nothing_else_with_it() {
    let mut store = Home::new().open();
    store.commit("mail", "a1", Some("r1"));
    store.commit("ci", "a1", Some("r1"));
    secret(&mut store, "ci.client_secret");
    secret(&mut store, "mail.client_secret");
    store.sql("UPDATE generation SET body = x'00' WHERE place < 4");
    store.sql("UPDATE secret SET body = x'00' WHERE slot = 'mail.client_secret'");

    let exported = store.export().unwrap();

    assert_eq!(told(&exported.accounts), ["ci 1 r1 client_secret"]);
    assert_eq!(
        exported.damage,
        [
            "mail: generation 1 does not open, and none is before it",
            "what is kept for mail.client_secret does not open",
        ]
    );
}

fn secret(store: &mut Sqlite, slot: &str) {
    let change = Change::PutSecret { slot: slot.to_owned(), secret: Secret::new("hush") };
    store.one(change).map(drop).unwrap();
}

/// Each account in a line: name, generation, refresh token, slots.
fn told(accounts: &[Kept]) -> Vec<String> {
    let line = |kept: &Kept| {
        let token = kept.refresh_token.as_ref().map_or("-", Secret::expose);
        let slots = kept.secrets.keys().map(|slot| format!(" {slot}")).collect::<String>();
        format!("{} {} {token}{slots}", kept.account, kept.generation)
    };
    accounts.iter().map(line).collect()
}
