//! What people and programs ask of an account, and what they hear.

use super::sim::Sim;
use super::sim::boot;
use super::sim::failed;
use super::sim::here;
use super::sim::invalid_client;
use super::sim::lost;
use super::sim::plan;
use super::sim::secs;
use super::sim::unreachable;
use crate::error::RefreshError;
use crate::error::code::Code;
use crate::error::foreign::OauthError;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Command;
use crate::lifecycle::words::Input;
use crate::notice::Event;
use crate::plan::Rotation;
use crate::snapshot::Refusal;
use crate::snapshot::StateName;
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

/// It may wait for its turn while others are served.
#[test]
fn what_somebody_wanted_outlasts_a_change_of_the_configuration() {
    for (fails, action) in [(None, Action::Refresh), (Some(ended()), Action::Retry)] {
        let mut sim = Sim::resumed(Rotation::Unknown, 1000);
        if let Some(error) = fails {
            sim.fly(3549);
            sim.fails_at(3550, error);
        }
        sim.feed(3600, Input::Ordered(action));
        sim.feed(3600, Input::Reconfigured(plan(Rotation::Unknown), here()));
        sim.go(3600);
        sim.renewed_at(3601, Generation(2));
        assert_eq!(sim.account.snapshot().generation, Generation(2), "{}", sim.log);
    }
}

/// The token that a program has reported is good for nothing; a strict account would rest again.
#[test]
fn a_report_and_a_retry_of_what_is_in_doubt_outlast_one_too() {
    let report = || Action::Report { generation: Generation(1), stream: false };
    for (is_lost, action) in [(false, report()), (true, Action::Retry)] {
        let mut sim = Sim::resumed(Rotation::Strict, 1000);
        if is_lost {
            sim.fly(3549);
            sim.fails_at(3550, lost());
        }
        sim.feed(3560, Input::Ordered(action));
        sim.feed(3560, Input::Reconfigured(plan(Rotation::Strict), here()));
        assert_eq!(sim.account.snapshot().state, StateName::Queued, "{}", sim.log);
    }
}

/// What the plan has for later comes all the same.
#[test]
fn a_retry_of_what_is_in_doubt_takes_the_place_of_no_replay() {
    let mut sim = Sim::resumed(Rotation::Grace(secs(40)), 1000);
    sim.fly(3549);
    sim.fails_at(3551, lost());
    for at in [3551, 3554, 3559] {
        sim.fly(at);
        sim.fails_at(at, lost());
    }
    let half = Some(boot(3549 + 20));
    assert_eq!(sim.account.snapshot().next, half);
    sim.feed(3562, Input::Ordered(Action::Retry));
    sim.go(3562);
    sim.fails_at(3563, lost());
    assert_eq!(sim.account.snapshot().next, half, "{}", sim.log);
}

/// A person who asks again and again must not use up what would have saved the login.
#[test]
fn retries_leave_the_replays_of_a_doubt_what_they_need() {
    let mut sim = Sim::resumed(Rotation::Grace(secs(30)), 1000);
    sim.fly(3549);
    sim.fails_at(3550, lost());
    for at in 3551..3558 {
        sim.feed(at, Input::Ordered(Action::Retry));
        sim.go(at);
        sim.fails_at(at, unreachable());
    }
    let refusal = refused(&sim.feed(3558, Input::Ordered(Action::Retry)));
    insta::assert_snapshot!(refusal.message, @"what is left of the requests of this minute is for the replays that come by themselves, the next one in 6 s; without them the login may be lost");
    let half = Some(boot(3549 + 15));
    assert_eq!((refusal.retry_at, sim.account.snapshot().next), (half, half));
}

/// It was told when that would be.
#[test]
fn a_retry_of_a_lost_login_that_waits_for_its_budget_outlasts_one_too() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.fails_at(3549, ended());
    for at in 3550..3556 {
        sim.feed(at, Input::Ordered(Action::Retry));
        sim.go(at);
        sim.fails_at(at, ended());
    }
    refused(&sim.feed(3556, Input::Ordered(Action::Retry)));
    let next = sim.account.snapshot().next;
    sim.feed(3557, Input::Reconfigured(plan(Rotation::Unknown), here()));
    assert_eq!((sim.account.snapshot().next, next), (next, Some(boot(3610))), "{}", sim.log);
}

#[test]
fn an_endpoint_that_is_not_there_is_probed_each_hour_and_at_a_retry() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.fails_at(3550, RefreshError::NoEndpoint("HTTP 404".to_owned()));
    sim.feed(3600, Input::Ordered(Action::Retry));
    sim.go(3600);
    sim.renewed_at(3601, Generation(2));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  exchanging             Note, intent over
    3550  frozen until 7150      Publish, refresh_failed
    3600  queued                 Queue(2, Wanted), Publish, Joined(Generation(1))
    3600  exchanging             refresh_started, Intend(2), Publish
    3600  exchanging             Exchange(2, 10 s)
    3601  saving                 Commit, Publish
    3601  fresh until 6222       Publish, token_changed, recovered
    ");
}

/// The provider ended it, and a network that is gone says nothing else.
#[test]
fn a_lost_login_that_is_tried_in_vain_stays_lost_for_the_reason_it_had() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.fails_at(3550, ended());
    let own = sim.account.snapshot().failure;
    sim.feed(3600, Input::Ordered(Action::Retry));
    sim.go(3600);
    sim.feed(3601, Input::Exchanged(sim.ticket(), failed(unreachable())));
    let commands = sim.feed(3601, Input::Written(sim.ticket(), Ok(None)));

    assert_eq!(told(&commands), Code::ProviderUnreachable, "the attempt is told as what it was");
    assert_eq!(sim.account.snapshot().failure, own);
    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  exchanging             Note, intent over
    3550  needs_login            Publish, refresh_failed
    3600  queued                 Queue(2, Wanted), Publish, Joined(Generation(1))
    3600  exchanging             refresh_started, Intend(2), Publish
    3600  exchanging             Exchange(2, 10 s)
    3601  exchanging             Note, intent over
    3601  needs_login            Publish, refresh_failed
    ");
}

#[test]
fn a_failure_is_told_by_one_code_also_while_the_next_attempt_is_under_way() {
    let code = |sim: &Sim| sim.account.snapshot().refusal().code;
    for (error, expected) in [(lost(), Code::InDoubt), (ended(), Code::NeedsLogin)] {
        let mut sim = Sim::resumed(Rotation::Unknown, 1000);
        sim.fly(3549);
        sim.feed(3550, Input::Exchanged(sim.ticket(), failed(error)));
        let commands = sim.feed(3550, Input::Written(sim.ticket(), Ok(None)));
        assert_eq!((told(&commands), code(&sim)), (expected, expected));
        sim.feed(3600, Input::Ordered(Action::Retry));
        assert_eq!(code(&sim), expected, "queued");
        sim.go(3600);
        assert_eq!(code(&sim), expected, "under way");
    }
}

/// The code of the failure that is told.
fn told(commands: &[Command]) -> Code {
    let told = commands.iter().find_map(|command| {
        let Command::Tell(Event::RefreshFailed { failure, .. }) = command else { return None };
        Some(failure.code())
    });
    told.unwrap()
}

fn ended() -> RefreshError {
    RefreshError::LoginRequired(OauthError::new("login_required", None))
}

fn refused(commands: &[Command]) -> Refusal {
    let refusal = commands.iter().find_map(|command| {
        let Command::Answer(Err(refusal)) = command else { return None };
        Some(refusal.clone())
    });
    refusal.unwrap()
}
