//! An account that is paused, or whose configuration changes.

use super::sim::Sim;
use super::sim::here;
use super::sim::invalid_client;
use super::sim::plan;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Input;
use crate::plan::Rotation;
use crate::record::Lineage;

#[test]
fn pause_retry_and_a_configuration_that_leads_elsewhere() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);

    sim.feed(1100, Input::Ordered(Action::Pause));
    sim.feed(1101, Input::Ordered(Action::Refresh));
    sim.feed(1200, Input::Ordered(Action::Resume));
    sim.fly(3549);
    sim.fails_at(3550, invalid_client());
    sim.feed(3559, Input::Ordered(Action::Retry));
    sim.feed(3560, Input::Reconfigured(plan(Rotation::Unknown), Lineage("elsewhere".into())));
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
    sim.feed(3549, Input::Reconfigured(plan(Rotation::Unknown), Lineage("elsewhere".into())));
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
