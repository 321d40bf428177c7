//! When an attempt may be made, and how urgent it is.

use super::sim::Sim;
use super::sim::boot;
use super::sim::lost;
use super::sim::secs;
use super::sim::unreachable;
use super::sim::unshared;
use crate::budget::REQUESTS_PER_MINUTE;
use crate::budget::RESERVED_FOR_REPLAYS;
use crate::error::RefreshError;
use crate::error::code::Code;
use crate::error::foreign::OauthError;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Bar;
use crate::lifecycle::words::Command;
use crate::lifecycle::words::Discovery;
use crate::lifecycle::words::Input;
use crate::lifecycle::words::Rank;
use crate::plan::Plan;
use crate::plan::Rotation;
use crate::record::Write;
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
        let urgency = commands.iter().find_map(|command| {
            let Command::Queue { urgency, .. } = command else { return None };
            Some(*urgency)
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

#[test]
fn an_attempt_for_which_nothing_is_left_when_its_turn_comes_waits_once_more() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.feed(3549, Input::Woken);
    sim.account.requests.take(boot(3549), REQUESTS_PER_MINUTE - RESERVED_FOR_REPLAYS);
    sim.feed(3550, Input::Admitted(sim.ticket()));
    let snapshot = sim.account.snapshot();
    assert_eq!((snapshot.state, snapshot.next), (StateName::Fresh, Some(boot(3549 + 61))));
}

#[test]
fn an_intent_says_whether_the_attempt_spends_what_could_be_lost() {
    for (rotation, expected) in [(Rotation::Unknown, true), (Rotation::Never, false)] {
        let mut sim = Sim::resumed(rotation, 1000);
        sim.feed(3549, Input::Woken);
        let commands = sim.feed(3549, Input::Admitted(sim.ticket()));
        let spends = commands.iter().find_map(|command| {
            let Command::Intend { write: Write::Intent { spends, .. }, .. } = command else {
                return None;
            };
            Some(*spends)
        });
        assert_eq!(spends, Some(expected), "{rotation:?}");
    }
}

/// What is raised is why there is no token; that others keep an attempt from being made is a reason
/// only where there is no other.
#[test]
fn an_attempt_that_is_barred_is_raised_where_nothing_else_says_why_there_is_no_token() {
    let unavailable = Code::ProviderUnreachable;
    let secret = Code::SecretUnavailable;
    let refused = Code::ProviderUnavailable;
    #[rustfmt::skip]
    let cases = [
        // name                                       at    raised before        wanted  raised after
        ("the token is good",                         3549, None,                false,  None),
        ("the token is over",                         4600, None,                false,  Some(unavailable)),
        ("the provider has said why",                 4600, Some(busy()),        false,  Some(refused)),
        ("the same, and somebody asks",               4600, Some(busy()),        true,   Some(refused)),
        ("a secret is missing",                       4600, Some(no_secret()),   false,  Some(secret)),
        ("a secret was missing that was seen to",     4600, Some(no_secret()),   true,   Some(unavailable)),
    ];
    for (name, at, before, wanted, after) in cases {
        let mut sim = Sim::resumed(Rotation::Unknown, 1000);
        if let Some(failure) = before {
            sim.fly(at);
            sim.fails_at(at, failure);
        }
        let at = at + 400;
        let input = if wanted { Input::Ordered(Action::Retry) } else { Input::Woken };
        sim.feed(at, input);
        assert_eq!(sim.account.snapshot().state, StateName::Queued, "{name}:\n{}", sim.log);
        let (ticket, until) = (sim.ticket(), boot(at + 30));
        sim.feed(at, Input::Barred { ticket, until, why: Bar::OthersFail });
        let snapshot = sim.account.snapshot();
        let raised = snapshot.failure.map(|failure| failure.error.code());
        assert_eq!(raised, after, "{name}:\n{}", sim.log);
        assert_eq!(snapshot.next, Some(until), "{name}");
    }
}

/// Nothing is known of the account's own credential by that.
#[test]
fn that_what_was_handed_in_is_barred_is_not_raised() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.imported_at(4600, "r9");
    let (ticket, until) = (sim.ticket(), boot(4630));
    sim.feed(4600, Input::Barred { ticket, until, why: Bar::OthersFail });
    assert_eq!(sim.account.snapshot().failure, None, "{}", sim.log);
}

fn busy() -> RefreshError {
    let answer = OauthError::new("503", None);
    RefreshError::Unavailable { answer, retry_after: None, maybe_rotated: false }
}

fn no_secret() -> RefreshError {
    RefreshError::SecretUnavailable { slot: "mail.client_secret".into(), why: "no file".into() }
}
