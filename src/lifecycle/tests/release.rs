//! A refresh token that is handed out, and one that a program left behind.

use super::sim::Sim;
use super::sim::failed;
use super::sim::granted_to;
use super::sim::invalid_grant;
use super::sim::lost;
use super::sim::wall;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Credential;
use crate::lifecycle::words::Input;
use crate::plan::Rotation;
use crate::record::Hold;
use crate::token::Generation;
use crate::token::Secret;

#[test]
fn a_released_account_spends_nothing_until_an_import_takes_it_back() {
    let mut sim = Sim::resumed(Rotation::Strict, 1000);
    sim.ordered_at(1500, Action::Release);
    sim.feed(3549, Input::Woken);
    sim.ordered_at(3600, Action::Release);
    sim.imported_at(3700, "r8");
    sim.go(3700);
    sim.renewed_at(3701, Generation(2));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1500  frozen                 answer 1 later, Note, Publish, state_changed
    1500  frozen                 answer 1: Changed(Generation(1))
    3549  frozen                 -
    3600  frozen                 answer 2 later, Note, Publish, state_changed
    3600  frozen                 answer 2: Changed(Generation(1))
    3700  frozen                 answer 3 later, Stage
    3700  queued                 Queue(4, Wanted), Publish
    3700  exchanging             refresh_started, Intend(4), Publish
    3700  exchanging             Exchange(4, 60 s)
    3701  saving                 Commit, Publish
    3701  fresh until 6322       Publish, token_changed, answer 3: Changed(Generation(2))
    ");
}

#[test]
fn what_its_owner_hands_back_is_taken_though_the_provider_never_replaces_it() {
    for rotation in [Rotation::Never, Rotation::Strict] {
        let mut sim = Sim::resumed(rotation, 1000);
        sim.taken_over_at(1100, "r5", Generation(2));
        sim.ordered_at(1200, Action::Release);
        sim.log.clear();
        sim.imported_at(1300, "r5");
        sim.go(1300);
        sim.renewed_at(1301, Generation(3));

        assert_eq!(sim.account.standing.hold, Hold::None, "{rotation:?}:\n{}", sim.log);
        assert!(sim.log.contains("Changed(Generation(3))"), "{rotation:?}:\n{}", sim.log);
    }
}

/// A follower may still run at the file of the new owner.
#[test]
fn what_is_found_takes_no_account_back_that_was_handed_out() {
    for rotation in [Rotation::Never, Rotation::Strict] {
        let mut sim = Sim::resumed(rotation, 1000);
        sim.taken_over_at(1100, "r5", Generation(2));
        sim.ordered_at(1200, Action::Release);
        sim.log.clear();
        found(&mut sim, 1300, "r5");
        found(&mut sim, 1301, "r6");

        assert_eq!(
            sim.log,
            " 1300  frozen                 refused NOT_SUPPORTED\n \
             1301  frozen                 refused NOT_SUPPORTED\n",
            "{rotation:?}"
        );
        assert_eq!(sim.account.standing.hold, Hold::Released, "{rotation:?}");
    }
}

#[test]
fn an_import_that_fails_leaves_a_released_account_released() {
    let mut sim = Sim::resumed(Rotation::Strict, 1000);
    sim.ordered_at(1500, Action::Release);
    let mut sim = sim.restarted(1600);
    sim.imported_at(1700, "typo");
    sim.go(1700);
    sim.feed(1701, Input::Exchanged(sim.ticket(), failed(invalid_grant())));
    assert_eq!(sim.account.standing.hold, Hold::Released);
    sim.feed(1702, Input::Written(sim.ticket(), Ok(None)));
    sim.feed(1800, Input::Ordered(Action::Resume));
    assert_eq!(sim.account.standing.hold, Hold::None);

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1500  frozen                 answer 1 later, Note, Publish, state_changed
    1500  frozen                 answer 1: Changed(Generation(1))
    1600  frozen                 Publish
    1700  frozen                 answer 1 later, Stage
    1700  queued                 Queue(2, Wanted), Publish
    1700  exchanging             refresh_started, Intend(2), Publish
    1700  exchanging             Exchange(2, 60 s)
    1701  frozen                 Unstage, Publish, state_changed
    1702  frozen                 answer 1: refused GRANT_REJECTED
    1800  fresh until 3548       answer 4 later, Note, Publish, state_changed
    ");
}

#[test]
fn a_token_that_is_about_to_change_or_may_be_spent_is_not_released() {
    let mut sim = Sim::resumed(Rotation::Strict, 1000);
    sim.fly(3549);
    sim.feed(3550, Input::Ordered(Action::Release));
    sim.fails_at(3609, lost());
    sim.feed(3700, Input::Ordered(Action::Release));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 60 s)
    3550  exchanging             refused REFRESH_PENDING
    3609  exchanging             Note
    3609  in_doubt until 4535    Publish, refresh_failed
    3700  in_doubt until 4535    refused IN_DOUBT
    ");
}

#[test]
fn a_login_of_somebody_else_where_a_program_keeps_its_token_is_raised_and_sent_once() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.renewed_for(3550, "pat", Generation(2));
    found(&mut sim, 3600, "r8");
    sim.fly(3600);
    sim.feed(3601, Input::Exchanged(sim.ticket(), granted_to("kim")));
    sim.feed(3601, Input::Written(sim.ticket(), Ok(None)));
    assert_eq!(sim.account.snapshot().foreign(), Some(wall(3601, 0)));
    let mut sim = sim.restarted(3700);
    found(&mut sim, 3701, "r8");
    sim.feed(3702, Input::Ordered(Action::Import(Secret::new("r8").into())));
    sim.taken_over_at(3800, "r9", Generation(3));
    assert_eq!(sim.account.snapshot().foreign(), None);

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  saving                 Commit, Publish
    3550  fresh until 6171       Publish, token_changed
    3600  fresh until 6171       answer 2 later, Stage
    3600  queued                 Queue(3, Wanted), Publish
    3600  queued                 -
    3600  exchanging             refresh_started, Intend(3), Publish
    3600  exchanging             Exchange(3, 10 s)
    3601  fresh until 6171       Orphan, Note, Unstage, Publish, state_changed, refresh_failed
    3601  fresh until 6171       answer 2: refused FOREIGN_WRITER
    3700  fresh until 6171       Publish
    3701  fresh until 6171       refused FOREIGN_WRITER
    3702  fresh until 6171       refused FOREIGN_WRITER
    3800  fresh until 6171       answer 1 later, Stage
    3800  queued                 Queue(2, Wanted), Publish
    3800  queued                 -
    3800  exchanging             refresh_started, Intend(2), Publish
    3800  exchanging             Exchange(2, 10 s)
    3801  saving                 Commit, Publish
    3801  fresh until 6219       Publish, token_changed, answer 1: Changed(Generation(3))
    ");
}

#[test]
fn a_token_that_was_taken_over_and_is_found_again_is_no_fault() {
    let mut sim = Sim::resumed(Rotation::Strict, 1000);
    sim.taken_over_at(1100, "r5", Generation(2));
    found(&mut sim, 1200, "r5");

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  fresh until 3548       answer 1 later, Stage
    1100  queued                 Queue(2, Wanted), Publish
    1100  queued                 -
    1100  exchanging             refresh_started, Intend(2), Publish
    1100  exchanging             Exchange(2, 60 s)
    1101  saving                 Commit, Publish
    1101  fresh until 3722       Publish, token_changed, answer 1: Changed(Generation(2))
    1200  fresh until 3722       Current(Generation(2))
    ");
}

fn found(sim: &mut Sim, at: u64, refresh_token: &str) {
    let refresh_token = Secret::new(refresh_token);
    let credential = Credential { refresh_token, aws: None, found: true };
    sim.feed(at, Input::Ordered(Action::Import(Box::new(credential))));
    if sim.account.candidate.as_ref().is_some_and(|candidate| candidate.staging.is_some()) {
        sim.feed(at, Input::Written(sim.ticket(), Ok(None)));
    }
}
