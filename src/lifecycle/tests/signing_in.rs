//! Accounts that sign in without a person.

use std::sync::Arc;

use super::sim::Sim;
use super::sim::boot;
use super::sim::invalid_client;
use super::sim::invalid_grant;
use super::sim::lost;
use super::sim::unreachable;
use super::sim::unshared;
use crate::error::RefreshError;
use crate::error::code::Code;
use crate::error::foreign::OauthError;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Bar;
use crate::lifecycle::words::Input;
use crate::lifecycle::words::Revocation;
use crate::plan::FailureAction;
use crate::plan::Plan;
use crate::plan::Rotation;
use crate::plan::SignIn;
use crate::record::Lineage;
use crate::snapshot::StateName;
use crate::snapshot::aid::Aid;
use crate::token::Generation;

#[test]
fn a_password_account_signs_in_once_by_itself_and_refreshes_from_then_on() {
    let mut sim = Sim::new(with_password(FailureAction::Raise), 1000);
    sim.fly(1000);
    sim.renewed_at(1001, Generation(1));
    sim.fly(3552);
    sim.renewed_at(3553, Generation(2));

    insta::assert_snapshot!(sim.log, @r"
    1000  queued                 Queue(1, Planned), Publish
    1000  queued                 -
    1000  exchanging             refresh_started, Intend(1), Publish
    1000  exchanging             SignIn(1)
    1001  saving                 Commit, Publish
    1001  fresh until 3548       Publish, token_changed
    3552  queued                 Queue(2, Planned), Publish
    3552  exchanging             refresh_started, Intend(2), Publish
    3552  exchanging             Exchange(2, 30 s)
    3553  saving                 Commit, Publish
    3553  fresh until 6174       Publish, token_changed
    ");
}

#[test]
fn a_wrong_password_is_tried_once_and_again_when_somebody_did_something_about_it() {
    let mut sim = Sim::new(with_password(FailureAction::Raise), 1000);
    sim.fly(1000);
    sim.fails_at(1001, wrong_password());
    let mut sim = sim.restarted(1100);
    sim.feed(1200, Input::Woken);
    sim.feed(1300, Input::Ordered(Action::SecretChanged));
    sim.fly(1300);
    sim.fails_at(1301, wrong_password());
    sim.feed(1400, Input::Ordered(Action::Retry));
    sim.fly(1400);
    sim.renewed_at(1401, Generation(1));

    insta::assert_snapshot!(sim.log, @r"
    1000  queued                 Queue(1, Planned), Publish
    1000  queued                 -
    1000  exchanging             refresh_started, Intend(1), Publish
    1000  exchanging             SignIn(1)
    1001  exchanging             Note, intent over
    1001  needs_login            Publish, refresh_failed
    1100  needs_login            Publish
    1200  needs_login            alarm
    1300  queued                 Queue(1, Wanted), Publish
    1300  queued                 -
    1300  exchanging             refresh_started, Intend(1), Publish
    1300  exchanging             SignIn(1)
    1301  exchanging             Note, intent over
    1301  needs_login            Publish, refresh_failed
    1400  queued                 Queue(2, Wanted), Publish, Joined(Generation(0))
    1400  queued                 -
    1400  exchanging             refresh_started, Intend(2), Publish
    1400  exchanging             SignIn(2)
    1401  saving                 Commit, Publish
    1401  fresh until 3948       Publish, token_changed, recovered
    ");
}

#[test]
fn by_default_a_refused_refresh_token_is_raised_although_a_password_is_stored() {
    let sim = refused(FailureAction::Raise);

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 30 s)
    3550  exchanging             Note, intent over
    3550  suspect until 3610     Publish, refresh_failed
    ");
}

#[test]
fn where_the_policy_says_so_a_refused_refresh_token_is_raised_and_one_sign_in_follows() {
    let mut sim = refused(FailureAction::SignIn);
    sim.fly(3550);
    sim.fails_at(3551, unreachable());
    sim.fly(3553);
    sim.renewed_at(3554, Generation(2));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 30 s)
    3550  exchanging             Note, intent over
    3550  queued                 Queue(2, Planned), Publish, refresh_failed
    3550  queued                 -
    3550  exchanging             refresh_started, Intend(2), Publish
    3550  exchanging             SignIn(2)
    3551  exchanging             Note, intent over
    3551  waiting until 3552     Publish, refresh_failed
    3553  queued                 Queue(3, Planned), Publish
    3553  exchanging             refresh_started, Intend(3), Publish
    3553  exchanging             SignIn(3)
    3554  saving                 Commit, Publish
    3554  fresh until 6175       Publish, token_changed, recovered
    ");
}

/// Its first start.
#[test]
fn an_account_without_a_stored_password_is_vacant_until_somebody_stores_it_or_logs_in() {
    let mut sim = Sim::new(with_password(FailureAction::Raise), 1000);
    sim.feed(1000, Input::Admitted(sim.ticket()));
    let error = RefreshError::SecretNotStored { slot: "mail.password".into() };
    sim.feed(1000, Input::Intended(sim.ticket(), Err(error)));
    assert_eq!(sim.account.wake_at(), None);
    let refusal = sim.account.snapshot().refusal();
    assert_eq!(refusal.code, Code::TokenMissing);
    assert_eq!(refusal.aid, Some(Aid::Secret("mail.password".into())));
    sim.feed(1010, Input::Ordered(Action::SecretChanged));

    insta::assert_snapshot!(sim.log, @r"
    1000  queued                 Queue(1, Planned), Publish
    1000  exchanging             refresh_started, Intend(1), Publish
    1000  vacant                 Publish, state_changed
    1010  queued                 Queue(2, Wanted), Publish
    ");
}

/// Other accounts have used up the logins of the host.
#[test]
fn a_secret_that_was_seen_to_is_not_blamed_for_the_wait_that_follows() {
    let mut sim = Sim::new(with_password(FailureAction::Raise), 1000);
    sim.feed(1000, Input::Admitted(sim.ticket()));
    sim.feed(1000, Input::Intended(sim.ticket(), Err(unreadable_password())));
    sim.feed(1000, Input::Written(sim.ticket(), Ok(None)));
    assert_eq!(sim.account.snapshot().refusal().code, Code::SecretUnavailable);

    sim.feed(1010, Input::Ordered(Action::SecretChanged));
    let (ticket, until) = (sim.ticket(), boot(1034));
    sim.feed(1010, Input::Barred { ticket, until, why: Bar::Logins });

    let refusal = sim.account.snapshot().refusal();
    assert!(refusal.message.contains("as many logins"), "{}", refusal.message);
    assert_eq!(refusal.retry_at, Some(until));
}

/// A server that refuses what it issues must not be logged in to for ever.
#[test]
fn when_the_first_refresh_after_a_sign_in_is_refused_too_there_is_no_second_one() {
    let mut sim = refused(FailureAction::SignIn);
    sim.fly(3550);
    sim.renewed_at(3551, Generation(2));
    let mut sim = sim.restarted(4000);
    sim.fly(6200);
    sim.fails_at(6201, invalid_grant());
    sim.fly(6261);
    sim.fails_at(6262, invalid_grant());

    let message = sim.account.snapshot().refusal().message;
    assert!(message.contains("does not sign in again by itself"), "{message}");
    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 30 s)
    3550  exchanging             Note, intent over
    3550  queued                 Queue(2, Planned), Publish, refresh_failed
    3550  queued                 -
    3550  exchanging             refresh_started, Intend(2), Publish
    3550  exchanging             SignIn(2)
    3551  saving                 Commit, Publish
    3551  fresh until 6172       Publish, token_changed, recovered
    4000  fresh until 6172       Publish
    6200  queued                 Queue(1, Planned), Publish
    6200  exchanging             refresh_started, Intend(1), Publish
    6200  exchanging             Exchange(1, 30 s)
    6201  exchanging             Note, intent over
    6201  suspect until 6261     Publish, refresh_failed
    6261  queued                 Queue(2, Planned), Publish
    6261  exchanging             refresh_started, Intend(2), Publish
    6261  exchanging             Exchange(2, 30 s)
    6262  exchanging             Note, intent over
    6262  suspect until 6862     Publish, refresh_failed
    ");
}

#[test]
fn a_forgotten_login_is_not_begun_anew_by_itself() {
    let mut sim = Sim::planned(with_password(FailureAction::SignIn), 1000);
    sim.feed(1100, Input::Ordered(Action::Clear));
    let sim = sim.restarted(1200);

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  vacant                 answer 1 later, Clear, Note, Publish, state_changed
    1200  vacant                 Publish
    ");
}

#[test]
fn a_sign_in_that_was_to_come_comes_after_a_restart_if_it_still_may() {
    for (sign_in, state) in
        [(SignIn::Possible, StateName::Waiting), (SignIn::Never, StateName::NeedsLogin)]
    {
        let mut sim = refused(FailureAction::SignIn);
        let plan = Plan { sign_in, ..with_password(FailureAction::SignIn) };
        sim.account.plan = Arc::new(plan);
        let sim = sim.restarted(3551);
        assert_eq!(sim.account.snapshot().state, state, "{}", sim.log);
    }
}

/// An account with a password whose refresh token is refused at 3550.
/// Nothing was there that belongs to another place.
#[test]
fn a_first_sign_in_that_failed_is_made_by_the_next_process_or_at_another_place() {
    for moves in [false, true] {
        let plan = with_password(FailureAction::Raise);
        let mut sim = Sim::new(plan.clone(), 1000);
        sim.fly(1000);
        sim.fails_at(1001, unreachable());
        if moves {
            sim.feed(1100, Input::Reconfigured(Arc::new(plan), Lineage("elsewhere".into())));
        } else {
            sim = sim.restarted(1100);
        }
        sim.fly(1110);
        sim.renewed_at(1111, Generation(1));
        assert_eq!(sim.account.snapshot().state, StateName::Fresh, "{}", sim.log);
    }
}

/// An import is staged while an attempt waits for its secrets, or during a logout.
#[test]
fn what_was_handed_in_meanwhile_has_its_turn_when_what_was_under_way_has_failed() {
    let mut sim = Sim::new(with_password(FailureAction::Raise), 1000);
    sim.feed(1000, Input::Admitted(sim.ticket()));
    let under_way = sim.ticket();
    sim.imported_at(1005, "r1");
    let why = RefreshError::SecretNotStored { slot: "password".into() };
    sim.feed(1010, Input::Intended(under_way, Err(why)));
    assert_eq!(sim.account.snapshot().state, StateName::Queued, "{}", sim.log);

    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.fails_at(3550, invalid_client());
    sim.feed(3600, Input::Ordered(Action::Logout));
    let under_way = sim.ticket();
    sim.imported_at(3601, "r9");
    sim.feed(3602, Input::Intended(under_way, Ok(true)));
    sim.feed(3603, Input::Revoked(under_way, Revocation::Failed(lost())));
    assert_eq!(sim.account.snapshot().state, StateName::Queued, "{}", sim.log);
}

fn refused(on_refresh_failure: FailureAction) -> Sim {
    let mut sim = Sim::planned(with_password(on_refresh_failure), 1000);
    sim.fly(3549);
    sim.fails_at(3550, invalid_grant());
    sim
}

fn with_password(on_refresh_failure: FailureAction) -> Plan {
    Plan { on_refresh_failure, sign_in: SignIn::Possible, ..unshared(Rotation::Never) }
}

/// Of a file, say.
fn unreadable_password() -> RefreshError {
    let why = "/run/password: No such file or directory".into();
    RefreshError::SecretUnavailable { slot: "password".into(), why }
}

fn wrong_password() -> RefreshError {
    RefreshError::LoginRejected(OauthError::new("401", None))
}
