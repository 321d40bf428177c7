//! What a backup gets of a store.

use super::*;
use crate::backup::Kept;
use crate::store::Store;

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

    let exported = export(&mut store);

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
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    store.spend("mail");
    let exported = export(&mut store);
    assert!(exported.accounts[0].under_way);
}

#[test]
fn a_refresh_token_that_was_handed_out_is_in_no_backup_and_its_account_is() {
    let home = Home::new();
    let mut store = home.open();
    for (name, hold) in [("mail", Hold::Released), ("plugs", Hold::Paused)] {
        store.commit(name, "a1", Some("r1"));
        let standing = Standing { hold, ..Standing::default() };
        store.done(Write::Note { account: account(name), standing, ends_intent: false });
    }

    let exported = export(&mut store);

    assert_eq!(told(&exported.accounts), ["mail 1 -", "plugs 1 r1"]);
    let holds = exported.accounts.iter().map(|kept| kept.hold).collect::<Vec<_>>();
    assert_eq!(holds, [Hold::Released, Hold::Paused]);
}

#[test]
fn what_does_not_open_is_told_and_takes_nothing_else_with_it() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    store.commit("ci", "a1", Some("r1"));
    secret(&mut store, "ci.client_secret");
    secret(&mut store, "mail.client_secret");
    store.sql("UPDATE generation SET body = x'00' WHERE place < 4");
    store.sql("UPDATE secret SET body = x'00' WHERE slot = 'mail.client_secret'");

    let exported = export(&mut store);

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

#[test]
fn an_account_that_changes_between_two_pieces_is_whole_and_as_new_as_its_own_piece() {
    let home = Home::new();
    let mut store = home.open();
    for name in ["first", "gone", "last"] {
        store.commit(name, "a1", Some("r1"));
    }
    let owners = store.owners().unwrap().accounts;
    let (before, after) = owners.split_at(1);
    let mut accounts = store.export(before).unwrap().accounts;

    store.commit("first", "a2", Some("r2"));
    store.commit("last", "a2", Some("r2"));
    secret(&mut store, "last.password");
    store.one(Change::Purge { account: account("gone") }).map(drop).unwrap();
    let rest = store.export(after).unwrap();
    accounts.extend(rest.accounts);

    assert_eq!(told(&accounts), ["first 1 r1", "last 2 r2 password"]);
    assert_eq!(rest.damage, Vec::<String>::new(), "what was purged meanwhile is no damage");
}

#[tokio::test]
async fn a_thousand_accounts_are_exported_by_their_names_each_with_its_own_secrets() {
    let home = Home::new();
    let mut sqlite = home.open();
    let names = (0..1000).map(|number| format!("a-{number:04}")).collect::<Vec<_>>();
    let commits = names.iter().map(|name| Change::Account(commit(name, "a1", Some("r1"))));
    assert!(sqlite.write(commits.collect()).iter().all(Result::is_ok));
    // As names go, `a` stands before them all; as slots go, behind them.
    for slot in ["a.password", "a-0999.password"] {
        secret(&mut sqlite, slot);
    }
    let store = Store::start(sqlite).unwrap();

    let exported = store.export().await.unwrap();

    let mut expected = vec!["a 0 - password".to_owned()];
    expected.extend(names.iter().map(|name| format!("{name} 1 r1")));
    expected.last_mut().unwrap().push_str(" password");
    assert_eq!(told(&exported.accounts), expected);
    assert_eq!(exported.damage, Vec::<String>::new());
}

/// Everything, at one go.
fn export(store: &mut Sqlite) -> Exported {
    let Owners { accounts, damage } = store.owners().unwrap();
    assert_eq!(damage, Vec::<String>::new());
    store.export(&accounts).unwrap()
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
