//! What each write does, and that a restart finds it.

use super::*;
use crate::error::RefreshError;
use crate::record::Condition;
use crate::record::Failure;
use crate::record::Foreign;
use crate::record::LoginEnd;
use crate::record::Stamp;

#[test]
fn a_commit_is_found_after_a_restart_with_its_dates() {
    let home = Home::new();
    let mut store = home.open();
    let mut full = Arc::into_inner(grant("a1", Some("r1"))).unwrap();
    full.subject = Some("pat".into());
    full.aws = Some(aws("k1"));
    let tokens = Arc::get_mut(&mut full.tokens).unwrap();
    tokens.id = Some(Secret::new("i1"));
    tokens.scope = Some("s".into());
    let write = Write::Commit {
        account: account("mail"),
        grant: Arc::new(full),
        issued: NOW,
        now: NOW,
        lineage: Lineage("issuer".into()),
        stake: Stake::Current,
        standing: Standing::default(),
    };
    assert_eq!(committed(store.one(Change::Account(write))), Generation(1));
    drop(store);

    let record = home.open().only();
    assert_eq!((record.account, record.lineage), (account("mail"), Lineage("issuer".into())));
    assert_eq!(record.subject.as_deref(), Some("pat"));
    let saved = record.current.unwrap();
    assert_eq!(saved.generation, Generation(1));
    assert_eq!(saved.issued, Stamp { wall: NOW.wall, boot: Some(NOW.boot) });
    assert_eq!(saved.lifetime, Duration::from_secs(3600));
    let aws = saved.aws.unwrap();
    assert_eq!((aws.issued, aws.lifetime), (saved.issued, Duration::from_secs(900)));
    assert_eq!(aws.credentials.access_key_id.expose(), "k1");
    assert!(saved.refreshable);
    let tokens = saved.tokens.unwrap();
    assert_eq!(tokens.access.expose(), "a1");
    assert_eq!(tokens.id.as_ref().map(Secret::expose), Some("i1"));
    assert_eq!((&*tokens.token_type, tokens.scope.as_deref()), ("Bearer", Some("s")));
}

/// A refresh renews no AWS credentials, and must not cost them either.
#[test]
fn aws_credentials_outlive_the_generation_that_brought_them_and_no_login() {
    let home = Home::new();
    let mut store = home.open();
    let commit = |stake, aws| {
        let mut granted = Arc::into_inner(grant("a", Some("r"))).unwrap();
        granted.aws = aws;
        Write::Commit {
            account: account("boiler"),
            grant: Arc::new(granted),
            issued: NOW,
            now: NOW,
            lineage: Lineage("issuer".into()),
            stake,
            standing: Standing::default(),
        }
    };
    let key = |home: &Home, store: Sqlite| {
        drop(store);
        let saved = home.open().only().current.unwrap();
        saved.aws.map(|aws| aws.credentials.access_key_id.expose().to_owned())
    };
    committed(store.one(Change::Account(commit(Stake::SignIn, Some(aws("k1"))))));
    committed(store.one(Change::Account(commit(Stake::Current, None))));
    assert_eq!(key(&home, store).as_deref(), Some("k1"));

    let mut store = home.open();
    committed(store.one(Change::Account(commit(Stake::Staged, None))));
    assert_eq!(key(&home, store), None, "they are another login's");
}

#[test]
fn a_moment_of_another_boot_is_no_moment() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    store.spend("mail");
    drop(store);

    let record = home.next_boot().open().only();
    let wall_only = Stamp { wall: NOW.wall, boot: None };
    assert_eq!(record.current.unwrap().issued, wall_only);
    assert_eq!(record.intent.unwrap().at, wall_only);
    assert_eq!(record.attempts, [wall_only]);
}

#[test]
fn an_intent_hands_out_the_refresh_token_and_is_known_until_the_commit() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));

    let lease = store.spend("mail");
    assert_eq!((lease.generation, lease.durable), (Generation(1), true));
    assert_eq!(refresh_of(&lease), Some("r1"));
    let intent = home.crashed().open().only().intent.unwrap();
    assert_eq!(intent.generation, Generation(1));
    assert_eq!(intent.at, Stamp { wall: NOW.wall, boot: Some(NOW.boot) });

    store.commit("mail", "a2", Some("r2"));
    assert_eq!(store.only().intent, None);
    assert_eq!(refresh_of(&store.spend("mail")), Some("r2"));
}

/// The grace of the provider counts from there, and so does the life of what a replay brings.
#[test]
fn a_replay_leaves_the_time_of_the_first_send_and_the_next_generation_has_its_own() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    let sent = |after: u64| {
        let boot = NOW.boot + Duration::from_secs(after);
        Now { boot, wall: NOW.wall + Duration::from_secs(after) }
    };
    store.done(intent_at("mail", sent(0)));
    store.done(replay_at("mail", sent(5)));
    let first = home.crashed().open().only();
    assert_eq!(first.intent.unwrap().at, Stamp { wall: sent(0).wall, boot: Some(sent(0).boot) });
    assert_eq!(first.attempts.len(), 1, "what counts against the budget is written all the same");
    assert_eq!(first.attempts[0].boot, Some(sent(5).boot));

    store.commit("mail", "a2", Some("r2"));
    store.done(intent_at("mail", sent(9)));
    let next = store.only().intent.unwrap();
    assert_eq!(next.at, Stamp { wall: sent(9).wall, boot: Some(sent(9).boot) });
    assert_eq!(next.generation, Generation(2));
}

/// One was left behind whose end could not be written: the grace of what comes after it is its own.
#[test]
fn an_intent_that_is_no_replay_takes_the_place_of_one_that_was_left_behind() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    let later = Now { boot: NOW.boot + Duration::from_secs(600), ..NOW };
    store.done(intent("mail"));
    store.done(intent_at("mail", later));
    assert_eq!(home.crashed().open().only().intent.unwrap().at.boot, Some(later.boot));
}

#[test]
fn only_the_last_ten_attempts_are_kept() {
    let home = Home::new();
    let mut store = home.open();
    let attempts = (0..12).map(|n| Moment::from_millis(n * 1_000)).collect::<Vec<_>>();
    store.done(Write::Intent {
        account: account("mail"),
        stake: Stake::Current,
        replays: false,
        spends: true,
        now: NOW,
        attempts: attempts.clone(),
    });
    let kept = home.crashed().open().only().attempts;
    let expected =
        attempts.iter().skip(2).map(|at| Stamp { wall: NOW.wall_at(*at), boot: Some(*at) });
    assert_eq!(kept, expected.collect::<Vec<_>>());
}

#[test]
fn an_account_without_a_credential_leases_nothing_and_may_begin() {
    let home = Home::new();
    let mut store = home.open();
    let lease = store.spend("ci");
    assert_eq!((lease.generation, lease.durable), (Generation(0), true));
    assert!(lease.refresh_token.is_none());
    assert!(store.only().intent.is_some());
}

#[test]
fn a_grant_without_a_refresh_token_keeps_the_old_one() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    store.commit("mail", "a2", None);
    assert_eq!(access_of(&store.only()), "a2");
    assert_eq!(refresh_of(&store.spend("mail")), Some("r1"));
}

#[test]
fn the_generation_never_goes_back_not_even_after_a_clear_and_a_restart() {
    let home = Home::new();
    let mut store = home.open();
    assert_eq!(store.commit("mail", "a1", Some("r1")), Generation(1));
    assert_eq!(store.commit("mail", "a2", Some("r2")), Generation(2));
    store.done(Write::Clear { account: account("mail") });
    drop(store);

    let mut store = home.open();
    let record = store.only();
    assert!(record.current.is_none() && record.intent.is_none() && record.staged.is_none());
    assert_eq!((record.lineage, record.subject), (Lineage::default(), None));
    assert_eq!(store.spend("mail").generation, Generation(2));
    assert_eq!(store.commit("mail", "a3", Some("r3")), Generation(3));
}

#[test]
fn the_current_and_the_previous_generation_are_kept_and_no_other() {
    let home = Home::new();
    let mut store = home.open();
    for n in 1..=4 {
        store.commit("mail", &format!("a{n}"), Some(&format!("r{n}")));
    }
    let tables = store.tables().unwrap();
    let mut statement = tables.conn.prepare("SELECT number FROM generation ORDER BY 1").unwrap();
    let kept = statement.query_map([], |row| row.get(0)).unwrap();
    assert_eq!(kept.collect::<Result<Vec<i64>, _>>().unwrap(), [3, 4]);
}

#[test]
fn a_salvaged_refresh_token_goes_with_the_tokens_of_the_current_generation() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    store.spend("mail");
    let salvage = Write::Salvage {
        account: account("mail"),
        refresh_token: Secret::new("r2"),
        now: NOW,
        lineage: Lineage("issuer".into()),
        stake: Stake::Current,
        standing: Standing::default(),
    };
    assert_eq!(committed(store.one(Change::Account(salvage))), Generation(2));
    let record = store.only();
    assert_eq!(access_of(&record), "a1");
    assert_eq!((record.lineage, record.intent), (Lineage("issuer".into()), None));
    assert_eq!(refresh_of(&store.spend("mail")), Some("r2"));
}

#[test]
fn tokens_that_are_dead_on_arrival_leave_those_before_them_on_disk() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    store.spend("mail");
    let mut dead = Arc::into_inner(grant("a2", Some("r2"))).unwrap();
    dead.lifetime = Duration::ZERO;
    assert_eq!(committed(store.one(Change::Account(proven(dead, Stake::Current)))), Generation(2));
    drop(store);

    let mut store = home.open();
    let record = store.only();
    assert_eq!(access_of(&record), "a1");
    assert_eq!(
        record.current.unwrap().lifetime,
        Duration::from_secs(3600),
        "it is as good as ever"
    );
    assert_eq!(refresh_of(&store.spend("mail")), Some("r2"));
}

#[test]
fn tokens_of_one_login_do_not_outlive_it_where_the_next_one_brings_none() {
    let home = Home::new();
    let mut store = home.open();
    let stage = || Write::Stage {
        account: account("mail"),
        lineage: Lineage("issuer".into()),
        refresh_token: Secret::new("s"),
    };
    let salvage = Write::Salvage {
        account: account("mail"),
        refresh_token: Secret::new("s2"),
        now: NOW,
        lineage: Lineage("issuer".into()),
        stake: Stake::Staged,
        standing: Standing::default(),
    };
    let mut dead = Arc::into_inner(grant("a2", Some("s2"))).unwrap();
    dead.lifetime = Duration::ZERO;
    for write in [salvage, proven(dead, Stake::Staged)] {
        store.commit("mail", "a1", Some("r1"));
        store.done(stage());
        committed(store.one(Change::Account(write)));
        assert!(store.only().current.unwrap().tokens.is_none(), "they are another login's");
        assert_eq!(refresh_of(&store.spend("mail")), Some("s2"));
    }
}

#[test]
fn a_salvage_before_the_first_commit_saves_a_refresh_token_and_no_tokens() {
    let home = Home::new();
    let mut store = home.open();
    store.done(Write::Stage {
        account: account("mail"),
        lineage: Lineage("staged".into()),
        refresh_token: Secret::new("s"),
    });
    store.done(Write::Salvage {
        account: account("mail"),
        refresh_token: Secret::new("r1"),
        now: NOW,
        lineage: Lineage("staged".into()),
        stake: Stake::Staged,
        standing: Standing::default(),
    });
    let record = store.only();
    assert_eq!(record.staged, None);
    assert_eq!(record.lineage, Lineage("staged".into()), "it is whose it was staged as");
    let saved = record.current.unwrap();
    assert!(saved.tokens.is_none() && saved.refreshable);
    assert_eq!(saved.lifetime, Duration::ZERO);
}

#[test]
fn only_a_released_account_hands_its_refresh_token_out() {
    let home = Home::new();
    let mut store = home.open();
    let mail = AccountId::parse("mail").unwrap();
    assert_eq!(store.released(&mail).err(), Some(StoreError::Missing));
    store.commit("mail", "a1", Some("r1"));
    assert_eq!(store.released(&mail).err(), Some(StoreError::Missing));
    for hold in [Hold::Released, Hold::Paused, Hold::None] {
        let standing = Standing { hold, ..Standing::default() };
        let account = mail.clone();
        let note = Write::Note { account, standing, ends_intent: false };
        store.one(Change::Account(note)).map(drop).unwrap();
        let lease = store.released(&mail).ok();
        let handed_out = lease.as_ref().and_then(refresh_of);
        assert_eq!(handed_out, (hold == Hold::Released).then_some("r1"), "{hold:?}");
    }
}

#[test]
fn a_note_changes_the_standing_and_ends_the_intent_only_when_told() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    store.spend("mail");
    let standing = Standing {
        condition: Condition::Suspect { probes: 1 },
        hold: Hold::Released,
        failure: Some(Box::new(Failure {
            error: RefreshError::BornExpired,
            since_ms: 5,
            attempt: 2,
            not_before_ms: Some(9),
            told_as: None,
        })),
        taken_over: Some("0123".into()),
        foreign: Some(Box::new(Foreign { mark: "4567".into(), at_ms: 3 })),
        signed_in: true,
        forgotten: true,
        ends: Some(Box::new(LoginEnd { at_ms: 7, whole_ms: 8, told_ms: Some(6) })),
    };
    for ends_intent in [false, true] {
        let standing = standing.clone();
        store.done(Write::Note { account: account("mail"), standing, ends_intent });
        let record = home.crashed().open().only();
        assert_eq!(record.intent.is_none(), ends_intent);
        assert_eq!(record.standing, standing_of(&mut store));
        assert_eq!(
            refresh_of(&store.tables().unwrap().lease(&account("mail"), Stake::Current).unwrap()),
            Some("r1")
        );
    }
    assert_eq!(standing_of(&mut store), standing);
}

#[test]
fn a_staged_credential_waits_beside_the_current_one_until_it_is_proven() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    store.done(Write::Stage {
        account: account("mail"),
        lineage: Lineage("staged".into()),
        refresh_token: Secret::new("s0"),
    });
    store.done(Write::Stage {
        account: account("mail"),
        lineage: Lineage("staged".into()),
        refresh_token: Secret::new("s1"),
    });
    assert_eq!(store.only().staged, Some(Lineage("staged".into())));
    assert_eq!(store.only().staged_mark, Some(Secret::new("s1").mark()));
    assert_eq!(access_of(&store.only()), "a1");
    assert_eq!(refresh_of(&store.spend("mail")), Some("r1"));

    let lease = leased(store.one(Change::Account(staged_intent("mail"))));
    assert_eq!(refresh_of(&lease), Some("s1"));
    let crashed = home.crashed().open().only();
    assert!(crashed.staged_intent.is_some());
    assert!(crashed.intent.is_some(), "the spend of the current one is still known");

    let Write::Commit { account, grant, issued, now, standing, .. } = commit("mail", "a2", None)
    else {
        panic!("commit makes commits");
    };
    let lineage = Lineage("new issuer".into());
    store.done(Write::Commit {
        account,
        grant,
        issued,
        now,
        lineage,
        stake: Stake::Staged,
        standing,
    });
    let record = store.only();
    assert_eq!((record.staged, record.intent, record.staged_intent), (None, None, None));
    assert_eq!(record.lineage, Lineage("new issuer".into()));
    assert_eq!(refresh_of(&store.spend("mail")), Some("s1"));
}

#[test]
fn an_unstaged_credential_is_gone_with_its_intent_and_the_current_one_stays() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    store.done(Write::Stage {
        account: account("mail"),
        lineage: Lineage("staged".into()),
        refresh_token: Secret::new("s1"),
    });
    store.done(staged_intent("mail"));
    store.done(Write::Unstage { account: account("mail") });
    let record = store.only();
    assert_eq!((&record.staged, record.staged_intent), (&None, None));
    assert_eq!(access_of(&record), "a1");
    let missing = store.one(Change::Account(staged_intent("mail"))).map(drop);
    assert_eq!(missing, Err(StoreError::Missing));
}

#[test]
fn a_new_staged_credential_is_not_taken_for_spent() {
    let home = Home::new();
    let mut store = home.open();
    store.done(Write::Stage {
        account: account("mail"),
        lineage: Lineage("staged".into()),
        refresh_token: Secret::new("s1"),
    });
    store.done(staged_intent("mail"));
    store.done(Write::Stage {
        account: account("mail"),
        lineage: Lineage("staged".into()),
        refresh_token: Secret::new("s2"),
    });
    let record = store.only();
    assert!(record.staged.is_some());
    assert_eq!(record.staged_intent, None);
}

#[test]
fn an_orphan_is_kept_aside_and_changes_nothing_else() {
    let home = Home::new();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    for _ in 0..20 {
        let grant = grant("other", Some("other"));
        store.done(Write::Orphan { account: account("mail"), grant, now: NOW });
    }
    let loaded = store.load().unwrap();
    assert_eq!(loaded.orphans.len(), 16);
    assert_eq!(loaded.orphans[0].account, "mail");
    assert_eq!(loaded.orphans[0].at, NOW.wall);
    assert_eq!(access_of(&store.only()), "a1");
}

#[test]
fn secrets_are_put_listed_replaced_and_forgotten() {
    let home = Home::new();
    let mut store = home.open();
    let put = |slot: &str, secret: &str| Change::PutSecret {
        slot: slot.to_owned(),
        secret: Secret::new(secret),
    };
    for change in
        [put("mail.password", "p"), put("ci.client_secret", "c0"), put("ci.client_secret", "c1")]
    {
        store.one(change).map(drop).unwrap();
    }
    drop(store);

    let mut store = home.open();
    assert_eq!(store.secret_names().unwrap(), ["ci.client_secret", "mail.password"]);
    assert_eq!(store.secret("ci.client_secret").unwrap().unwrap().expose(), "c1");
    store.one(Change::ForgetSecret { slot: "ci.client_secret".to_owned() }).map(drop).unwrap();
    assert!(store.secret("ci.client_secret").unwrap().is_none());
    assert_eq!(store.secret_names().unwrap(), ["mail.password"]);
}

#[test]
fn a_purge_takes_all_of_one_account_and_nothing_of_its_namesakes() {
    let home = Home::new();
    let mut store = home.open();
    for name in ["mail", "mail-2", "mai"] {
        store.commit(name, name, Some(name));
        store.done(Write::Orphan { account: account(name), grant: grant("o", None), now: NOW });
        let slot = format!("{name}.password");
        store.one(Change::PutSecret { slot, secret: Secret::new("p") }).map(drop).unwrap();
    }
    store.one(Change::Purge { account: account("mail") }).map(drop).unwrap();

    let loaded = store.load().unwrap();
    let names = loaded.records.iter().map(|record| record.account.to_string());
    assert_eq!(names.collect::<Vec<_>>(), ["mail-2", "mai"]);
    assert_eq!(loaded.orphans.len(), 2);
    assert_eq!(store.secret_names().unwrap(), ["mai.password", "mail-2.password"]);
}

#[test]
fn one_refused_write_of_a_batch_loses_none_of_the_others() {
    let home = Home::new();
    let mut store = home.open();
    let batch = vec![
        Change::Account(commit("one", "a", Some("r"))),
        Change::Account(staged_intent("one")),
        Change::Account(staged_intent("two")),
        Change::Account(commit("three", "a", Some("r"))),
    ];
    let answers = store.write(batch);
    let verdicts = answers.into_iter().map(|answer| answer.map(drop)).collect::<Vec<_>>();
    let missing = Err(StoreError::Missing);
    assert_eq!(verdicts, [Ok(()), missing.clone(), missing, Ok(())]);
    let loaded = home.crashed().open().load().unwrap();
    let names = loaded.records.iter().map(|record| record.account.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["one", "three"]);
}

fn replay_at(name: &str, now: Now) -> Write {
    let Write::Intent { account, stake, replays: false, spends, now, attempts } =
        intent_at(name, now)
    else {
        panic!("no first send")
    };
    Write::Intent { account, stake, replays: true, spends, now, attempts }
}

fn staged_intent(name: &str) -> Write {
    Write::Intent {
        account: account(name),
        stake: Stake::Staged,
        replays: false,
        spends: true,
        now: NOW,
        attempts: Vec::new(),
    }
}

fn standing_of(store: &mut Sqlite) -> Standing {
    store.only().standing
}

/// The write of what an exchange with that credential brought.
fn proven(grant: Grant, stake: Stake) -> Write {
    Write::Commit {
        account: account("mail"),
        grant: Arc::new(grant),
        issued: NOW,
        now: NOW,
        lineage: Lineage("issuer".into()),
        stake,
        standing: Standing::default(),
    }
}
