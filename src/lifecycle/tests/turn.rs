//! When an attempt may be made, and how urgent it is.

use super::sim::Sim;
use super::sim::boot;
use super::sim::lost;
use super::sim::secs;
use super::sim::unreachable;
use super::sim::unshared;
use crate::budget::REQUESTS_PER_MINUTE;
use crate::budget::RESERVED_FOR_REPLAYS;
use crate::lifecycle::words::Command;
use crate::lifecycle::words::Discovery;
use crate::lifecycle::words::Input;
use crate::lifecycle::words::Rank;
use crate::plan::Plan;
use crate::plan::Rotation;
use crate::snapshot::StateName;

#[test]
fn the_last_requests_of_a_minute_are_for_replays_and_for_who_will_never_need_one() {
    const REST: usize = REQUESTS_PER_MINUTE - RESERVED_FOR_REPLAYS;
    #[rustfmt::skip]
    let cases = [
        // name                                       rotation                  in doubt  made                 may
        ("a replay may come, and room is left",       Rotation::Grace(secs(60)), false,   REST - 1,            true),
        ("a replay may come",                         Rotation::Grace(secs(60)), false,   REST,                false),
        ("this is a replay",                          Rotation::Grace(secs(60)), true,    REQUESTS_PER_MINUTE - 1, true),
        ("even replays end with the minute's budget", Rotation::Grace(secs(60)), true,    REQUESTS_PER_MINUTE, false),
        ("there is nothing to replay",                Rotation::Never,           false,   REQUESTS_PER_MINUTE - 1, true),
    ];
    for (name, rotation, in_doubt, made, may) in cases {
        let mut sim = Sim::resumed(rotation, 1000);
        if in_doubt {
            sim.fly(3549);
            sim.fails_at(3550, lost());
        }
        let so_far = sim.account.requests.starts().len();
        sim.account.requests.take(boot(3550), made - so_far);
        sim.feed(3551, Input::Woken);
        assert_eq!(sim.account.snapshot().state == StateName::Queued, may, "{name}:\n{}", sim.log);
    }
}

#[test]
fn an_attempt_costs_its_discovery_until_the_endpoint_is_known() {
    for (discovery, cost) in [(Discovery::ToDo, 2), (Discovery::Done, 1)] {
        let plan = Plan { requests: 2, ..unshared(Rotation::Unknown) };
        let mut sim = Sim::planned(plan, 1000);
        sim.account.discovery_is(discovery);
        sim.fly(3549);
        assert_eq!(sim.account.requests.starts().len(), cost, "{discovery:?}");
    }
}

/// From then on nothing is gained by being the first in the queue.
#[test]
fn a_replay_is_urgent_until_its_grace_is_over() {
    for (at, rank) in [(4649, Rank::InDoubt), (4650, Rank::Planned)] {
        let mut sim = Sim::resumed(Rotation::Grace(secs(60)), 1000);
        sim.fly(4590);
        sim.fails_at(4596, lost());
        let commands = sim.feed(at, Input::Woken);
        let urgency = commands.iter().find_map(|command| match command {
            Command::Queue { urgency, .. } => Some(*urgency),
            _ => None,
        });
        assert_eq!(urgency.unwrap().rank, rank, "{}", sim.log);
    }
}

#[test]
fn who_holds_a_token_tries_again_within_a_quarter_of_what_is_left_of_it() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.jitter = 1.0;
    for (at, pause) in [(4500, 3), (4504, 9), (4514, 20), (4596, 60)] {
        sim.fly(at);
        sim.fails_at(at + 1, unreachable());
        assert_eq!(sim.account.snapshot().next, Some(boot(at + 1 + pause)), "{}", sim.log);
    }
}
