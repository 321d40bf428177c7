//! An account that is paused, or whose configuration changes.

use std::sync::Arc;

use super::sim::Sim;
use super::sim::boot;
use super::sim::granted;
use super::sim::here;
use super::sim::invalid_client;
use super::sim::plan;
use super::sim::secs;
use super::sim::unshared;
use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Input;
use crate::plan::Plan;
use crate::plan::Rotation;
use crate::record::Lineage;
use crate::record::StoreError;
use crate::snapshot::StateName;

#[test]
fn pause_retry_and_a_configuration_that_leads_elsewhere() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);

    sim.feed(1100, Input::Ordered(Action::Pause));
    sim.feed(1101, Input::Ordered(Action::Refresh));
    sim.feed(1200, Input::Ordered(Action::Resume));
    sim.fly(3549);
    sim.fails_at(3550, invalid_client());
    sim.feed(3559, Input::Ordered(Action::Retry));
    sim.feed(3560, Input::Reconfigured(plan(Rotation::Unknown), elsewhere()));
    sim.feed(3561, Input::Ordered(Action::Retry));
    sim.feed(3562, Input::Reconfigured(plan(Rotation::Unknown), here()));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  frozen                 answer 1 later, Note, Publish, state_changed
    1101  frozen                 refused NOT_SUPPORTED
    1200  fresh until 3548       answer 2 later, Note, Publish, state_changed
    3549  queued                 Queue(3, Planned), Publish
    3549  exchanging             refresh_started, Intend(3), Publish
    3549  exchanging             Exchange(3, 10 s)
    3550  exchanging             Note, intent over
    3550  frozen until 7150      Publish, refresh_failed
    3559  queued                 Queue(4, Wanted), Publish, Joined(Generation(1))
    3560  needs_login            Unqueue, Publish, state_changed, refresh_failed
    3561  needs_login            refused NEEDS_LOGIN
    3562  queued                 Queue(5, Planned), Publish
    ");
}

#[test]
fn a_configuration_that_changes_before_the_send_stops_the_attempt() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.feed(3549, Input::Woken);
    sim.feed(3549, Input::Admitted(sim.ticket()));
    sim.feed(3549, Input::Reconfigured(plan(Rotation::Unknown), elsewhere()));
    sim.feed(3549, Input::Intended(sim.ticket(), Ok(true)));
    sim.feed(3549, Input::Written(sim.ticket(), Ok(None)));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             -
    3549  exchanging             Note, intent over
    3549  needs_login            Publish, refresh_failed, Publish, state_changed, refresh_failed
    ");
}

#[test]
fn an_order_that_finds_nothing_to_do_is_answered_otherwise() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);

    sim.feed(1100, Input::Ordered(Action::Resume));
    sim.feed(1101, Input::Ordered(Action::Retry));
    sim.feed(1102, Input::Ordered(Action::Pause));
    sim.feed(1103, Input::Written(sim.ticket(), Ok(None)));
    sim.feed(1104, Input::Ordered(Action::Pause));
    sim.feed(1105, Input::Ordered(Action::Resume));
    sim.feed(1106, Input::Written(sim.ticket(), Ok(None)));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  fresh until 3548       Current(Generation(1))
    1101  fresh until 3548       Current(Generation(1))
    1102  frozen                 answer 1 later, Note, Publish, state_changed
    1103  frozen                 answer 1: Changed(Generation(1))
    1104  frozen                 Current(Generation(1))
    1105  fresh until 3548       answer 2 later, Note, Publish, state_changed
    1106  fresh until 3548       answer 2: Changed(Generation(1))
    ");
}

/// The attempt was announced, so what came of it is told; it says nothing of the new place.
#[test]
fn what_fails_at_the_old_place_is_told_and_keeps_nobody_from_beginning_at_the_new_one() {
    let mut sim = Sim::planned(without_refresh_token(), 1000);
    sim.fly(3549);
    sim.feed(3549, Input::Reconfigured(Arc::new(without_refresh_token()), elsewhere()));
    sim.fails_at(3550, asks_for_an_hour());
    sim.go(3550);
    sim.fails_at(3551, asks_for_an_hour());

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 30 s)
    3549  exchanging             -
    3550  exchanging             Note, intent over
    3550  queued                 Publish, refresh_failed, Note, Queue(3, Planned), Publish
    3550  exchanging             refresh_started, Intend(3), Publish
    3550  exchanging             Exchange(3, 30 s)
    3551  exchanging             Note, intent over
    3551  waiting until 7151     Publish, refresh_failed
    ");
}

#[test]
fn an_alarm_of_the_old_place_hides_none_of_the_new_one() {
    let mut sim = Sim::planned(without_refresh_token(), 1000);
    sim.fly(3549);
    sim.fails_at(3550, invalid_client());
    sim.feed(3550, Input::Woken);
    sim.feed(3600, Input::Reconfigured(Arc::new(without_refresh_token()), elsewhere()));
    sim.go(3600);
    sim.fails_at(3601, invalid_client());
    sim.feed(3601, Input::Woken);

    assert_eq!(sim.log.matches("alarm").count(), 2, "{}", sim.log);
}

#[test]
fn a_restart_that_leads_elsewhere_sends_the_credential_nowhere_and_one_that_leads_back_does() {
    let sim = Sim::resumed(Rotation::Unknown, 1000).restarted_with(1100, elsewhere());
    let snapshot = sim.account.snapshot();
    assert_eq!(snapshot.state, StateName::NeedsLogin, "{}", sim.log);
    assert_eq!(snapshot.origin, Some(here()));

    let sim = Sim::resumed(Rotation::Unknown, 1000).restarted_with(1100, here());
    assert_eq!(sim.account.snapshot().state, StateName::Fresh, "{}", sim.log);
}

/// Which of the two asked for it, the store does not know.
#[test]
fn after_a_restart_that_leads_elsewhere_patience_goes_on_and_says_why() {
    let mut sim = Sim::planned(without_refresh_token(), 1000);
    sim.fly(3549);
    sim.fails_at(3550, asks_for_an_hour());
    let sim = sim.restarted_with(3600, elsewhere()).restarted_with(3660, elsewhere());

    let snapshot = sim.account.snapshot();
    assert_eq!(snapshot.state, StateName::Waiting, "{}", sim.log);
    assert!(snapshot.failure.is_some());
    assert!(snapshot.next.is_some_and(|next| next >= boot(3550 + 3600)), "{}", sim.log);
}

/// Nothing is lost with those tokens, so that nothing waits for the disk.
#[test]
fn a_pause_in_mid_flight_holds_though_the_disk_takes_no_tokens() {
    let mut sim = Sim::resumed(Rotation::Never, 1000);
    sim.fly(3549);
    let flight = sim.ticket();
    sim.feed(3549, Input::Ordered(Action::Pause));
    sim.feed(3550, Input::Exchanged(flight, granted(3600)));
    sim.feed(3550, Input::Written(flight, Err(StoreError::Full)));

    assert_eq!(sim.account.snapshot().state, StateName::Frozen, "{}", sim.log);
    assert_eq!(sim.account.snapshot().next, None);
}

/// It was handed in for the old place, and is sent nowhere else.
#[test]
fn what_was_handed_in_is_not_proven_elsewhere_though_the_disk_took_no_tokens() {
    let mut sim = Sim::resumed(Rotation::Never, 1000);
    sim.imported_at(1100, "r9");
    sim.go(1100);
    sim.feed(1100, Input::Reconfigured(plan(Rotation::Never), elsewhere()));
    sim.feed(1101, Input::Exchanged(sim.ticket(), granted(3600)));
    sim.feed(1101, Input::Written(sim.ticket(), Err(StoreError::Full)));

    assert!(sim.log.contains("Unstage"), "{}", sim.log);
    assert_eq!(sim.account.snapshot().state, StateName::NeedsLogin, "{}", sim.log);
}

fn elsewhere() -> Lineage {
    Lineage("elsewhere".into())
}

/// An account of client credentials.
fn without_refresh_token() -> Plan {
    Plan { has_refresh_token: false, ..unshared(Rotation::Never) }
}

fn asks_for_an_hour() -> RefreshError {
    let (answer, retry_after) = (OauthError::status(503), Some(secs(3600)));
    RefreshError::Unavailable { answer, retry_after, maybe_rotated: false }
}
