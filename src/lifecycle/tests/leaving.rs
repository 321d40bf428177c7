//! Logouts, told by their logs.

use super::sim::Sim;
use super::sim::invalid_client;
use super::sim::lost;
use super::sim::secs;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Input;
use crate::lifecycle::words::Revocation;
use crate::plan::Rotation;
use crate::record::Hold;
use crate::token::Generation;

#[test]
fn a_logout_ends_the_login_and_then_forgets_it() {
    let mut sim = Sim::resumed(Rotation::Grace(secs(60)), 1000);
    sim.feed(1100, Input::Ordered(Action::Logout));
    sim.feed(1100, Input::Ordered(Action::Refresh));
    sim.feed(1100, Input::Ordered(Action::Logout));
    sim.feed(1100, Input::Ordered(Action::Clear));
    sim.feed(1100, Input::Intended(sim.ticket(), Ok(true)));
    let logout = sim.ticket();
    sim.feed(1101, Input::Revoked(logout, Revocation::Ended));
    sim.feed(1101, Input::Written(logout, Ok(None)));
    sim.feed(1200, Input::Ordered(Action::Logout));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  exchanging             answer 1 later, Intend(1), Publish
    1100  exchanging             Joined(Generation(1))
    1100  exchanging             refused REFRESH_PENDING
    1100  exchanging             refused REFRESH_PENDING
    1100  exchanging             Revoke(1, 30 s)
    1101  vacant                 Clear, Note, Publish, state_changed
    1101  vacant                 answer 1: Changed(Generation(1))
    1200  vacant                 refused TOKEN_MISSING
    ");
}

#[test]
fn a_logout_that_fails_forgets_nothing() {
    let mut sim = Sim::resumed(Rotation::Grace(secs(60)), 1000);
    for revocation in [Revocation::Failed(lost()), Revocation::Impossible] {
        sim.feed(1100, Input::Ordered(Action::Logout));
        sim.feed(1100, Input::Intended(sim.ticket(), Ok(true)));
        sim.feed(1101, Input::Revoked(sim.ticket(), revocation));
        sim.feed(1101, Input::Revoked(sim.ticket(), Revocation::Ended));
    }
    sim.fly(3549);
    sim.renewed_at(3550, Generation(2));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  exchanging             answer 1 later, Intend(1), Publish
    1100  exchanging             Revoke(1, 30 s)
    1101  fresh until 3548       Note, intent over, Publish, state_changed, answer 1: refused PROVIDER_UNREACHABLE
    1101  fresh until 3548       -
    1100  exchanging             answer 2 later, Intend(2), Publish
    1100  exchanging             Revoke(2, 30 s)
    1101  fresh until 3548       Note, intent over, Publish, state_changed, answer 2: refused NOT_SUPPORTED
    1101  fresh until 3548       -
    3549  queued                 Queue(3, Planned), Publish
    3549  exchanging             refresh_started, Intend(3), Publish
    3549  exchanging             Exchange(3, 15 s)
    3550  saving                 Commit, Publish
    3550  fresh until 6171       Publish, token_changed
    ");
}

#[test]
fn a_logout_that_fails_is_no_reason_to_try_the_account_sooner() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.fails_at(3550, invalid_client());
    sim.feed(3600, Input::Ordered(Action::Logout));
    sim.feed(3600, Input::Intended(sim.ticket(), Ok(true)));
    sim.feed(3601, Input::Revoked(sim.ticket(), Revocation::Failed(lost())));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  exchanging             Note, intent over
    3550  frozen until 7150      Publish, refresh_failed
    3600  exchanging             answer 2 later, Intend(2), Publish
    3600  exchanging             Revoke(2, 30 s)
    3601  frozen until 7150      Note, intent over, Publish, state_changed, answer 2: refused PROVIDER_UNREACHABLE
    ");
}

#[test]
fn an_account_that_works_with_something_else_is_not_logged_out_meanwhile() {
    let mut sim = Sim::resumed(Rotation::Grace(secs(60)), 1000);
    sim.fly(3549);
    sim.feed(3550, Input::Ordered(Action::Logout));
    sim.fails_at(3551, lost());
    sim.feed(3551, Input::Ordered(Action::Logout));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 15 s)
    3550  exchanging             refused REFRESH_PENDING
    3551  exchanging             Note
    3551  in_doubt until 3551    Publish, refresh_failed
    3551  in_doubt until 3551    refused IN_DOUBT
    ");
}

/// A revocation would end the login of whoever owns the refresh token.
#[test]
fn a_login_that_was_handed_out_is_forgotten_here_and_not_ended() {
    let mut sim = Sim::resumed(Rotation::Never, 1000);
    sim.ordered_at(1100, Action::Release);
    sim.feed(1200, Input::Ordered(Action::Logout));
    sim.feed(1300, Input::Ordered(Action::Clear));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  frozen                 answer 1 later, Note, Publish, state_changed
    1100  frozen                 answer 1: Changed(Generation(1))
    1200  frozen                 refused NOT_SUPPORTED
    1300  vacant                 answer 2 later, Clear, Note, Publish, state_changed
    ");
}

#[test]
fn a_pause_outlasts_what_is_forgotten_and_ends_with_what_was_handed_out() {
    for (handed_out, stays_paused) in [(Action::Pause, true), (Action::Release, false)] {
        let mut sim = Sim::resumed(Rotation::Never, 1000);
        sim.ordered_at(1100, handed_out);
        sim.ordered_at(1200, Action::Clear);
        sim.imported_at(1300, "r8");

        assert_eq!(sim.account.standing.hold == Hold::Paused, stays_paused, "{}", sim.log);
        assert_eq!(sim.log.contains("refused NOT_SUPPORTED"), stays_paused, "{}", sim.log);
    }
}
