//! The end of a login, told ahead.

use std::time::Duration;

use super::sim::Sim;
use super::sim::boot;
use super::sim::grant;
use super::sim::invalid_grant;
use super::sim::secs;
use super::sim::unshared;
use crate::lifecycle::words::Command;
use crate::lifecycle::words::Input;
use crate::notice::Event;
use crate::plan::Plan;
use crate::plan::Rotation;
use crate::provider::Outcome;
use crate::token::Generation;
use crate::token::Grant;

const DAY: u64 = 86_400;

#[test]
fn each_rung_is_told_once_over_restarts_and_clock_steps() {
    let mut sim = Sim::planned(unshared(Rotation::Never), 1000);
    let mut told = Vec::new();
    sim.fly(3549);
    brings(&mut sim, 3550, Some(30 * DAY), None);
    let ends = 3549 + 30 * DAY;
    let mut at = 3550;
    while at < ends {
        at += 3600;
        told.extend(rungs(&sim.feed(at, Input::Woken)));
        if at % (5 * 3600) == 3550 {
            sim = sim.restarted(at);
        }
        for step in [7 * 3600, -7 * 3600] {
            sim.wall_ahead += step;
            told.extend(rungs(&sim.feed(at, Input::ClockStepped)));
        }
    }
    assert_eq!(told, [14 * DAY, 7 * DAY, 3 * DAY, DAY, DAY / 4].map(secs));
}

#[test]
fn what_was_missed_is_told_by_the_last_rung_alone() {
    let mut sim = Sim::planned(unshared(Rotation::Never), 1000);
    sim.fly(3549);
    brings(&mut sim, 3550, Some(30 * DAY), None);
    assert!(sim.account.ahead_at().is_some_and(|at| at == boot(3549 + 16 * DAY)));
    let mut sim = sim.restarted(3549 + 28 * DAY);
    assert!(sim.account.wake_at().is_some_and(|at| at <= boot(3550 + 28 * DAY)));
    assert_eq!(rungs(&sim.feed(3550 + 28 * DAY, Input::Woken)), [secs(3 * DAY)]);
    assert_eq!(rungs(&sim.feed(3551 + 28 * DAY, Input::Woken)), []);
}

/// Kasa Monitor: seven days, from each refresh on.
#[test]
fn a_login_that_every_refresh_renews_is_not_announced_to_end() {
    let mut sim = Sim::planned(unshared(Rotation::Never), 1000);
    let mut at = 1000;
    for generation in 2..400 {
        at += 3000;
        sim.fly(at);
        let commands = brings(&mut sim, at, Some(7 * DAY), Some(Generation(generation)));
        assert_eq!(rungs(&commands), []);
    }
    // From here on it is refused, and nobody logs in.
    let stopped = at + 3000;
    sim.fly(stopped);
    sim.fails_at(stopped, invalid_grant());
    let mut told = Vec::new();
    for hour in 1..24 * 8 {
        told.extend(rungs(&sim.feed(at + 3600 * hour, Input::Woken)));
    }
    assert_eq!(told, [3 * DAY, DAY, DAY / 4].map(secs));
}

#[test]
fn a_lifetime_that_only_the_configuration_knows_counts_from_the_login() {
    let plan = Plan { refresh_token_lifetime: Some(secs(30 * DAY)), ..unshared(Rotation::Never) };
    let mut sim = Sim::planned(plan, 1000);
    sim.imported_at(2000, "r9");
    sim.fly(2000);
    brings(&mut sim, 2001, None, Some(Generation(2)));
    // A refresh that brings no other refresh token changes nothing about its end.
    sim.fly(5000);
    let kept = Grant { refresh_token: None, ..grant(3600) };
    sim.feed(5001, Input::Exchanged(sim.ticket(), Outcome::Granted(Box::new(kept))));
    sim.feed(5001, Input::Written(sim.ticket(), Ok(Some(Generation(3)))));
    assert_eq!(rungs(&sim.feed(1999 + 16 * DAY, Input::Woken)), []);
    assert_eq!(rungs(&sim.feed(2001 + 16 * DAY, Input::Woken)), [secs(14 * DAY)]);
}

/// The next refresh would come when the refresh token is of no use any more.
#[test]
fn the_last_refresh_of_a_login_is_made_before_it_ends_and_once() {
    let mut sim = Sim::planned(unshared(Rotation::Never), 1000);
    sim.fly(3549);
    brings(&mut sim, 3549, Some(2500), None);
    let last = 3549 + 2500 - 125;
    assert_eq!(sim.account.snapshot().next, Some(boot(last)), "{}", sim.log);

    sim.fly(last);
    let kept = Grant { refresh_token: None, ..grant(3600) };
    sim.feed(last, Input::Exchanged(sim.ticket(), Outcome::Granted(Box::new(kept))));
    sim.feed(last, Input::Written(sim.ticket(), Ok(Some(Generation(3)))));
    assert!(sim.account.snapshot().next > Some(boot(3549 + 2500)), "{}", sim.log);
}

#[test]
fn a_login_that_ends_is_shown_until_it_is_forgotten() {
    let mut sim = Sim::planned(unshared(Rotation::Never), 1000);
    assert_eq!(sim.account.snapshot().login_ends(), None);
    sim.fly(3549);
    brings(&mut sim, 3550, Some(30 * DAY), None);
    let shown = |sim: &Sim| sim.account.snapshot().login_ends().map(|ends| ends.told_ms.is_some());
    assert_eq!(shown(&sim), Some(false));
    sim.feed(3550 + 28 * DAY, Input::Woken);
    assert_eq!(shown(&sim), Some(true));
}

#[test]
fn a_refresh_token_past_its_end_is_refused_for_good() {
    let mut sim = Sim::planned(unshared(Rotation::Never), 1000);
    sim.fly(3549);
    brings(&mut sim, 3550, Some(600), None);
    sim.fly(6200);
    sim.fails_at(6201, invalid_grant());
    assert!(
        sim.log.ends_with("6201  needs_login            Publish, refresh_failed\n"),
        "{}",
        sim.log
    );
}

/// The exchange under way brings tokens of an hour, and a refresh token of so many seconds.
fn brings(
    sim: &mut Sim,
    at: u64,
    login: Option<u64>,
    generation: Option<Generation>,
) -> Vec<Command> {
    let granted = Grant { refresh_lifetime: login.map(secs), ..grant(3600) };
    sim.feed(at, Input::Exchanged(sim.ticket(), Outcome::Granted(Box::new(granted))));
    let generation = generation.or(Some(Generation(2)));
    sim.feed(at, Input::Written(sim.ticket(), Ok(generation)))
}

fn rungs(commands: &[Command]) -> Vec<Duration> {
    let rung = |command: &Command| {
        let Command::Tell(Event::ExpiryAhead { within, .. }) = command else { return None };
        Some(*within)
    };
    commands.iter().filter_map(rung).collect()
}
