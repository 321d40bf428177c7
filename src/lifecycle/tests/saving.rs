//! What an exchange brought, and a store that refuses it.

use super::sim::Sim;
use super::sim::granted;
use super::sim::here;
use super::sim::invalid_grant;
use super::sim::plan;
use super::sim::unreachable;
use crate::error::RefreshError;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Command;
use crate::lifecycle::words::Input;
use crate::plan::Rotation;
use crate::provider::Outcome;
use crate::record::Hold;
use crate::record::StoreError;
use crate::snapshot::StateName;
use crate::token::Generation;
use crate::token::Secret;

/// What an earlier process could not save says nothing of why the account is at rest.
#[test]
fn what_was_inherited_and_is_saved_ends_no_pause_and_is_no_recovery() {
    for (hold, state) in [(Hold::None, StateName::Fresh), (Hold::Paused, StateName::Frozen)] {
        let mut sim = Sim::inherited(Rotation::Unknown, 1000);
        sim.account.standing.hold = hold;
        sim.feed(1001, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));
        assert_eq!(sim.account.snapshot().state, state, "{}", sim.log);
        assert!(!sim.log.contains("recovered"), "{}", sim.log);
    }
}

#[test]
fn what_is_handed_in_ends_no_pause_that_came_while_it_was_proven() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.imported_at(1100, "r9");
    let flight = sim.ticket();
    sim.go(1100);
    sim.feed(1101, Input::Ordered(Action::Pause));
    sim.feed(1102, Input::Exchanged(flight, granted(3600)));
    sim.feed(1102, Input::Written(flight, Ok(Some(Generation(2)))));
    let snapshot = sim.account.snapshot();
    assert_eq!((snapshot.state, snapshot.generation), (StateName::Frozen, Generation(2)));
}

#[test]
fn the_end_of_each_token_is_told() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(4600);
    sim.renewed_at(4601, Generation(2));
    sim.feed(8200, Input::Woken);
    assert_eq!(sim.log.matches("expired").count(), 2, "{}", sim.log);
}

#[test]
fn only_the_end_of_the_write_under_way_ends_the_saving() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.fails_at(3549, unreachable());
    let older = sim.ticket();
    sim.fly(3552);
    let ours = sim.ticket();
    sim.feed(3553, Input::Exchanged(ours, granted(3600)));
    sim.feed(3553, Input::Written(older, Ok(Some(Generation(2)))));
    assert_eq!(sim.account.snapshot().state, StateName::Saving, "of another attempt");

    sim.feed(3553, Input::Written(ours, Err(StoreError::Full)));
    sim.feed(3553, Input::Written(ours, Ok(Some(Generation(2)))));
    assert!(sim.account.is_unsaved(), "of a write that is over");
}

#[test]
fn what_cannot_be_saved_is_served_and_saved_again() {
    let mut sim = unsaved(Rotation::Unknown, granted(3600), StoreError::Full);
    assert!(sim.account.is_unsaved());
    sim.feed(3551, Input::Woken);
    sim.feed(3551, Input::Written(sim.ticket(), Err(StoreError::Full)));
    sim.feed(3553, Input::Woken);
    sim.feed(3553, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));
    assert!(!sim.account.is_unsaved());

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  saving                 Commit, Publish
    3550  saving until 3551      Publish, token_changed, refresh_failed
    3551  saving                 alarm, Commit
    3551  saving until 3553      Publish
    3553  saving                 Commit
    3553  fresh until 6171       Publish, recovered
    ");
}

/// The first of them is worth another try at once; a provider that tears one reply after the other
/// is given pauses like one that gives none.
#[test]
fn torn_replies_one_after_the_other_are_given_pauses() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    for at in [3550, 3551, 3553] {
        let error = RefreshError::Malformed("it ends in the middle".into());
        let torn = Outcome::Salvaged(Secret::new("r2"), error);
        sim.feed(at, Input::Exchanged(sim.ticket(), torn));
        sim.feed(at, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));
        sim.fly(at + 1);
    }

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  saving                 Salvage, Publish
    3550  waiting until 3550     Publish, refresh_failed
    3551  queued                 Queue(2, Planned), Publish
    3551  exchanging             refresh_started, Intend(2), Publish
    3551  exchanging             Exchange(2, 10 s)
    3551  saving                 Salvage, Publish
    3551  waiting until 3552     Publish, refresh_failed
    3552  queued                 Queue(3, Planned), Publish
    3552  exchanging             refresh_started, Intend(3), Publish
    3552  exchanging             Exchange(3, 10 s)
    3553  saving                 Salvage, Publish
    3553  waiting until 3554     Publish, refresh_failed
    3554  queued                 Queue(4, Planned), Publish
    3554  exchanging             refresh_started, Intend(4), Publish
    3554  exchanging             Exchange(4, 10 s)
    ");
}

#[test]
fn tokens_that_are_dead_on_arrival_take_nothings_place() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.feed(3550, Input::Exchanged(sim.ticket(), granted(0)));
    sim.feed(3550, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));

    let held = sim.account.snapshot().held.unwrap();
    assert_eq!(held.generation, Generation(1), "the old token is still good, and still served");
    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  saving                 Commit, Publish
    3550  waiting until 3551     Publish, refresh_failed
    ");
}

#[test]
fn a_token_that_expires_before_it_is_saved_is_told_to_expire_once() {
    let mut sim = unsaved(Rotation::Unknown, granted(3600), StoreError::Full);
    sim.feed(7150, Input::Woken);
    sim.feed(7150, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));
    sim.feed(7150, Input::Woken);

    assert_eq!(sim.log.matches("expired").count(), 1, "{}", sim.log);
}

#[test]
fn what_brings_no_tokens_is_not_told_as_a_change_of_them_where_it_cannot_be_saved() {
    let torn = RefreshError::Malformed("it ends in the middle".into());
    for outcome in [granted(0), Outcome::Salvaged(Secret::new("r2"), torn)] {
        let sim = unsaved(Rotation::Unknown, outcome, StoreError::Full);

        assert!(sim.account.is_unsaved());
        assert!(!sim.log.contains("token_changed"), "{}", sim.log);
    }
}

/// It gives no tokens, and the disk takes none: what there is to do is to wait.
#[test]
fn an_account_with_nothing_to_lose_waits_where_tokens_are_dead_on_arrival() {
    let sim = unsaved(Rotation::Never, granted(0), StoreError::Full);

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 30 s)
    3550  saving                 Commit, Publish
    3550  waiting until 3551     Publish, refresh_failed
    ");
}

/// It may be another person's, and comes from another login for sure.
#[test]
fn a_token_of_one_login_is_not_served_after_another_one_has_taken_its_place() {
    let torn = RefreshError::Malformed("it ends in the middle".into());
    let without_tokens = [granted(0), Outcome::Salvaged(Secret::new("r2"), torn)];
    for outcome in without_tokens {
        let mut sim = Sim::resumed(Rotation::Unknown, 1000);
        sim.imported_at(1200, "s");
        sim.go(1200);
        assert!(sim.account.snapshot().held.is_some(), "nothing has taken its place yet");
        sim.feed(1201, Input::Exchanged(sim.ticket(), outcome));
        sim.feed(1201, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));

        assert!(sim.account.snapshot().held.is_none());
    }
}

/// The refresh token in memory is the only one that is good.
#[test]
fn a_reload_does_not_give_up_what_is_unsaved() {
    let mut sim = unsaved(Rotation::Unknown, granted(3600), StoreError::ReadOnly);
    assert!(sim.account.is_unsaved());

    sim.feed(3551, Input::Reconfigured(plan(Rotation::Never), here()));
    sim.feed(3552, Input::Woken);
    sim.feed(3552, Input::Written(sim.ticket(), Err(StoreError::ReadOnly)));
    assert!(sim.account.is_unsaved(), "{}", sim.log);
}

#[test]
fn what_an_earlier_process_could_not_save_is_served_and_saved_first() {
    let mut sim = Sim::inherited(Rotation::Strict, 1000);
    assert!(sim.account.is_unsaved());
    assert!(sim.account.snapshot().held.is_some(), "it is served");

    sim.feed(1000, Input::Written(sim.ticket(), Err(StoreError::ReadOnly)));
    sim.feed(1001, Input::Woken);
    sim.feed(1001, Input::Written(sim.ticket(), Err(StoreError::ReadOnly)));
    sim.feed(1003, Input::Woken);
    sim.feed(1003, Input::Written(sim.ticket(), Ok(Some(Generation(1)))));
    assert!(!sim.account.is_unsaved());

    insta::assert_snapshot!(sim.log, @r"
    1000  saving                 Settle, Publish
    1000  saving until 1001      Publish, refresh_failed
    1001  saving                 alarm, Settle
    1001  saving until 1003      Publish
    1003  saving                 Settle
    1003  fresh until 3548       Publish, state_changed, recovered
    ");
}

#[test]
fn a_full_disk_does_not_hold_up_an_account_with_nothing_to_lose() {
    let sim = unsaved(Rotation::Never, granted(3600), StoreError::Full);
    assert!(!sim.account.is_unsaved());

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 30 s)
    3550  saving                 Commit, Publish
    3550  fresh until 6171       Publish, token_changed, refresh_failed
    ");
}

/// What was refused before was no more than one of the provider's troubles.
#[test]
fn a_credential_that_works_is_no_suspect_though_no_disk_takes_what_it_brought() {
    let mut sim = Sim::resumed(Rotation::Never, 1000);
    for at in [3549, 3610] {
        sim.fly(at);
        sim.fails_at(at, invalid_grant());
    }
    sim.fly(4300);
    sim.feed(4300, Input::Exchanged(sim.ticket(), granted(3600)));
    sim.feed(4300, Input::Written(sim.ticket(), Err(StoreError::Full)));
    assert_eq!(sim.account.snapshot().state, StateName::Fresh, "{}", sim.log);

    for at in [6950, 7011] {
        sim.fly(at);
        sim.fails_at(at, invalid_grant());
        assert_eq!(sim.account.snapshot().state, StateName::Suspect, "{}", sim.log);
    }
}

#[test]
fn what_no_disk_remembers_is_asked_for_only_when_a_minute_can_be_accounted_for() {
    // A minute and a second after the start it knows all that it can have asked for.
    for (at, goes) in [(1060, false), (1061, true)] {
        let mut sim = Sim::resumed(Rotation::Never, 1000);
        sim.feed(at, Input::Ordered(Action::Refresh));
        sim.feed(at, Input::Admitted(sim.ticket()));
        let commands = sim.feed(at, Input::Intended(sim.ticket(), Ok(false)));
        let sent = |command: &Command| matches!(command, Command::Exchange { .. });
        assert_eq!(commands.iter().any(sent), goes, "at {at} s");
    }
}

/// An account that was refreshed at 3549, which brought this at 3550, when the store refused it.
fn unsaved(rotation: Rotation, outcome: Outcome, why: StoreError) -> Sim {
    let mut sim = Sim::resumed(rotation, 1000);
    sim.fly(3549);
    sim.feed(3550, Input::Exchanged(sim.ticket(), outcome));
    sim.feed(3550, Input::Written(sim.ticket(), Err(why)));
    sim
}
