//! A refresh that comes in its time, fails, and comes again.

use std::num::NonZero;

use super::sim::Sim;
use super::sim::boot;
use super::sim::failed;
use super::sim::granted;
use super::sim::invalid_grant;
use super::sim::secs;
use super::sim::unreachable;
use super::sim::unshared;
use super::sim::wall;
use crate::error::RefreshError;
use crate::error::code::Code;
use crate::error::foreign::OauthError;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Command;
use crate::lifecycle::words::Done;
use crate::lifecycle::words::Input;
use crate::lifecycle::words::Ticket;
use crate::plan::Plan;
use crate::plan::Rotation;
use crate::snapshot::StateName;
use crate::time::Now;
use crate::token::Generation;
use crate::token::Kind;

/// Nothing is sent, and nobody wants the gate's program to run every few seconds.
#[test]
fn a_gate_that_refuses_takes_nothing_from_the_budget_and_is_asked_once_a_minute() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    let mut asked = Vec::new();
    for second in 3548..3548 + 600 {
        if sim.account.wake_at().is_some_and(|at| at <= boot(second)) {
            sim.feed(second, Input::Woken);
            if sim.account.snapshot().state == StateName::Queued {
                asked.push(second);
                sim.feed(second, Input::Admitted(sim.ticket()));
                sim.feed(second, Input::Intended(sim.ticket(), Err(gate_refused())));
                sim.feed(second, Input::Written(sim.ticket(), Ok(None)));
            }
        }
    }
    assert!(asked.len() >= 2, "{asked:?}");
    assert!(asked.windows(2).all(|two| two[1] - two[0] >= 60), "{asked:?}");

    for _ in 0..20 {
        let commands = sim.feed(4200, Input::Ordered(Action::Retry));
        let joined = |it: &Command| matches!(it, Command::Answer(Ok(Done::Joined(_))));
        assert!(commands.iter().any(joined), "a retry is refused");
        sim.feed(4200, Input::Admitted(sim.ticket()));
        sim.feed(4200, Input::Intended(sim.ticket(), Err(gate_refused())));
        sim.feed(4200, Input::Written(sim.ticket(), Ok(None)));
    }
}

#[test]
fn a_life_told_by_its_log() {
    let mut sim = Sim::resumed(Rotation::Grace(secs(60)), 1000);
    let [first, second] = [1, 2].map(|number| Ticket::new(NonZero::new(number).unwrap()));

    sim.feed(3549, Input::Woken);
    sim.feed(3549, Input::Admitted(first));
    sim.feed(3549, Input::Intended(first, Ok(true)));
    sim.feed(3550, Input::Exchanged(first, failed(unreachable())));
    sim.feed(3550, Input::Written(first, Ok(None)));
    sim.feed(3551, Input::Woken);
    sim.feed(3551, Input::Admitted(second));
    sim.feed(3551, Input::Intended(second, Ok(true)));
    sim.feed(3552, Input::Exchanged(first, granted(3600)));
    sim.feed(3552, Input::Exchanged(second, granted(3600)));
    sim.feed(3552, Input::Written(second, Ok(Some(Generation(2)))));
    sim.feed(3553, Input::Ordered(Action::Demand(Kind::Access)));
    sim.feed(3554, Input::Ordered(Action::Report { generation: Generation(1), stream: false }));
    sim.feed(3555, Input::Ordered(Action::Report { generation: Generation(2), stream: false }));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 15 s)
    3550  exchanging             Note, intent over
    3550  waiting until 3551     Publish, refresh_failed
    3551  queued                 Queue(2, Planned), Publish
    3551  exchanging             refresh_started, Intend(2), Publish
    3551  exchanging             Exchange(2, 15 s)
    3552  exchanging             -
    3552  saving                 Commit, Publish
    3552  fresh until 6173       Publish, token_changed, recovered
    3553  fresh until 4451       Publish
    3554  fresh until 4451       Current(Generation(2))
    3555  queued                 Queue(3, Wanted), Publish, Joined(Generation(2))
    ");
}

#[test]
fn a_refused_refresh_token_is_confirmed_three_times_before_anyone_must_log_in() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);

    for at in [3549, 3611, 4212, 7813] {
        sim.fly(at);
        sim.fails_at(at + 1, invalid_grant());
    }
    sim.taken_over_at(7815, "r9", Generation(2));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  exchanging             Note, intent over
    3550  suspect until 3610     Publish, refresh_failed
    3611  queued                 Queue(2, Planned), Publish
    3611  exchanging             refresh_started, Intend(2), Publish
    3611  exchanging             Exchange(2, 10 s)
    3612  exchanging             Note, intent over
    3612  suspect until 4212     Publish, refresh_failed
    4212  queued                 alarm, Queue(3, Planned), Publish
    4212  exchanging             refresh_started, Intend(3), Publish
    4212  exchanging             Exchange(3, 10 s)
    4213  exchanging             Note, intent over
    4213  suspect until 4535     Publish, refresh_failed
    7813  queued                 Publish, expired, Queue(4, Planned), Publish
    7813  exchanging             refresh_started, Intend(4), Publish
    7813  exchanging             Exchange(4, 10 s)
    7814  exchanging             Note, intent over
    7814  needs_login            Publish, refresh_failed
    7815  needs_login            answer 5 later, Stage
    7815  queued                 Queue(6, Wanted), Publish
    7815  queued                 -
    7815  exchanging             refresh_started, Intend(6), Publish
    7815  exchanging             Exchange(6, 10 s)
    7816  saving                 Commit, Publish
    7816  fresh until 10437      Publish, token_changed, recovered, answer 5: Changed(Generation(2))
    ");
}

/// For the token's sake the third confirmation comes early, and an hour of trouble outlasts it.
#[test]
fn a_login_is_not_given_up_within_an_hour_because_its_token_ended_in_it() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);

    for at in [3549, 3611, 4212, 4535] {
        sim.fly(at);
        sim.fails_at(at + 1, invalid_grant());
    }
    assert!(sim.log.contains("4536  suspect until 8136"), "{}", sim.log);
    sim.fly(8136);
    sim.fails_at(8137, invalid_grant());
    assert!(sim.log.contains("8137  needs_login"), "{}", sim.log);
}

/// What else failed before is no part of the hour.
#[test]
fn a_login_is_not_given_up_within_an_hour_of_its_first_refusal_after_a_long_outage() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);

    let mut at = 3549;
    while at < 3549 + 6 * 3600 {
        sim.fly(at);
        sim.fails_at(at + 1, unreachable());
        at += 600;
    }
    for _refusal in 0..4 {
        sim.fly(at);
        sim.fails_at(at + 1, invalid_grant());
        at += 600;
    }
    assert_eq!(sim.account.snapshot().state, StateName::Suspect, "{}", sim.log);
}

#[test]
fn a_clock_that_jumps_ahead_withholds_the_token_and_refreshes() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.wall_ahead = 7200;
    sim.feed(1100, Input::ClockStepped);

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  queued                 Publish, Publish, expired, Queue(1, Planned), Publish
    ");
}

#[test]
fn a_failure_is_an_alarm_close_to_the_expiry_and_until_an_attempt_is_good() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    let alarming = |sim: &Sim, at| {
        sim.account.snapshot().is_alarming(Now { boot: boot(at), wall: wall(at, 0) })
    };

    sim.fly(3549);
    sim.fails_at(3550, unreachable());
    assert_eq!((alarming(&sim, 3550), alarming(&sim, 4100)), (false, true));
    sim.fly(4100);
    assert!(alarming(&sim, 4100), "while the next attempt is under way");
    sim.renewed_at(4101, Generation(2));
    assert!(!alarming(&sim, 4101), "{}", sim.log);
}

#[test]
fn a_refusal_is_confirmed_before_the_token_ends_and_in_its_time_after_that() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3900);
    sim.fails_at(3900, invalid_grant());
    sim.fly(3960);
    sim.fails_at(3960, invalid_grant());
    // The token ends at 4595; the next confirmation was to be at 4560.
    assert_eq!(sim.account.snapshot().next, Some(boot(4535)), "{}", sim.log);
    sim.fly(4535);
    sim.fails_at(4535, invalid_grant());
    assert_eq!(sim.account.snapshot().next, Some(boot(4535 + 3600)), "{}", sim.log);
}

/// What is stored is a time of the wall clock.
#[test]
fn a_clock_that_was_set_back_makes_no_patience_longer_than_a_provider_can_ask_for() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.wall_ahead = 86_400;
    sim.fly(3549);
    let (answer, retry_after) = (OauthError::status(503), Some(secs(3600)));
    sim.fails_at(3550, RefreshError::Unavailable { answer, retry_after, maybe_rotated: false });

    let sim = sim.restarted(3600);
    assert_eq!(sim.account.snapshot().next, Some(boot(3600 + 3960)));
}

/// All that was refused may have met the same trouble of the provider's, and there is no hurry.
#[test]
fn there_is_a_fourth_confirmation_where_the_others_came_early_or_a_token_is_left() {
    const WHOLE: u64 = 60 + 600 + 3600;
    #[rustfmt::skip]
    let cases = [
        // name                                       lifetime  refusals after the first one   asked again
        ("a person had all of them made at once",     3_600,    [1, 2, 3],                     true),
        ("they came in their time",                   3_600,    [60, 660, WHOLE],              false),
        ("they came almost in their time",            3_600,    [60, 660, WHOLE - 1],          true),
        ("the token is still good",                   86_400,   [60, 660, WHOLE],              true),
    ];
    for (name, lifetime, after, expected) in cases {
        let mut sim = Sim::resumed(Rotation::Never, 1000);
        sim.fly(4600);
        sim.feed(4600, Input::Exchanged(sim.ticket(), granted(lifetime)));
        sim.feed(4600, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));
        let first = 4600 + lifetime - lifetime / 10;
        for at in [0].into_iter().chain(after).map(|after| first + after) {
            sim.feed(at, Input::Ordered(Action::Retry));
            sim.feed(at, Input::Woken);
            sim.go(at);
            sim.fails_at(at, invalid_grant());
        }
        let asked_again = sim.account.snapshot().state == StateName::Suspect;
        assert_eq!(asked_again, expected, "{name}:\n{}", sim.log);
    }
}

#[test]
fn a_provider_that_asks_for_patience_is_left_alone_for_as_long() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    let answer = OauthError::new("429", None);
    sim.fails_at(3550, RefreshError::Throttled { answer, retry_after: Some(secs(120)) });
    assert_eq!(sim.account.snapshot().next, Some(boot(3550 + 120)));
}

#[test]
fn the_pause_doubles_with_each_answer_that_there_were_too_many_requests() {
    let throttled = || {
        let answer = OauthError::new("429", None);
        RefreshError::Throttled { answer, retry_after: None }
    };
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    let mut at = 3549;
    for (failure, pause) in
        [(throttled(), 5), (throttled(), 10), (unreachable(), 1), (throttled(), 5)]
    {
        sim.fly(at);
        sim.fails_at(at, failure);
        assert_eq!(sim.account.snapshot().next, Some(boot(at + pause)), "{}", sim.log);
        at += pause;
    }
}

#[test]
fn a_lost_login_is_told_as_one_while_it_is_tried_once_more() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.fails_at(3550, RefreshError::SessionExpired(OauthError::new("expired", None)));
    sim.feed(3600, Input::Ordered(Action::Retry));
    let snapshot = sim.account.snapshot();
    assert_eq!(snapshot.state, StateName::Queued, "{}", sim.log);
    assert_eq!(snapshot.refusal().code, Code::NeedsLogin);
}

/// Nobody can log in there: what refuses its grant is its configuration.
#[test]
fn a_refused_grant_of_an_account_without_a_refresh_token_is_one_of_its_configuration() {
    let plan = Plan { has_refresh_token: false, ..unshared(Rotation::Never) };
    let mut sim = Sim::planned(plan, 1000);
    sim.fly(3549);
    sim.fails_at(3550, invalid_grant());
    let snapshot = sim.account.snapshot();
    assert_eq!((snapshot.state, snapshot.next), (StateName::Frozen, Some(boot(3550 + 3600))));
}

/// It does not pass by itself.
#[test]
fn a_program_that_is_missing_is_an_alarm_at_once_and_looked_for_every_minute() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.fails_at(3550, RefreshError::ProgramMissing("/opt/token: No such file".into()));
    let snapshot = sim.account.snapshot();
    assert!(snapshot.is_alarming(Now { boot: boot(3550), wall: wall(3550, 0) }));
    assert_eq!((snapshot.state, snapshot.next), (StateName::Frozen, Some(boot(3610))));
    assert_eq!(snapshot.refusal().code, Code::ConfigInvalid);
    assert!(snapshot.refusal().message.contains("/opt/token"));
}

fn gate_refused() -> RefreshError {
    RefreshError::HookFailed { hook: "vpn".into(), why: "exit status: 1".into() }
}
