//! What people and programs ask of an account, and what they hear.

use super::sim::Sim;
use super::sim::boot;
use super::sim::invalid_client;
use super::sim::secs;
use crate::lifecycle::Action;
use crate::lifecycle::Command;
use crate::lifecycle::Input;
use crate::plan::Rotation;
use crate::snapshot::Refusal;
use crate::token::Generation;

#[test]
fn a_fourth_forced_refresh_hears_when_it_is_allowed() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    for (at, generation) in [(1100, 2), (1200, 3), (1300, 4)] {
        sim.feed(at, Input::Ordered(Action::Refresh));
        sim.go(at);
        sim.renewed_at(at, Generation(generation));
    }
    let refusal = refused(&sim.feed(1330, Input::Ordered(Action::Refresh)));

    assert_eq!(refusal.retry_at, Some(boot(1400)));
    insta::assert_snapshot!(refusal.message, @"at most 3 forced refreshes in five minutes; the next one is allowed in 1 min 10 s, and the current token stays");
}

#[test]
fn a_retry_beyond_the_budget_hears_when_it_is_tried() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.fails_at(3549, invalid_client());
    for at in 3550..3556 {
        sim.feed(at, Input::Ordered(Action::Retry));
        sim.go(at);
        sim.fails_at(at, invalid_client());
    }
    let refusal = refused(&sim.feed(3556, Input::Ordered(Action::Retry)));

    assert_eq!(refusal.retry_at, Some(boot(3549) + secs(61)));
    insta::assert_snapshot!(refusal.message, @"the request budget is used up; it is tried again in 54 s");
}

fn refused(commands: &[Command]) -> Refusal {
    let refusal = commands.iter().find_map(|command| match command {
        Command::Answer(Err(refusal)) => Some(refusal.clone()),
        _ => None,
    });
    refusal.unwrap()
}
