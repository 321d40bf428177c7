//! A spend whose reply was lost, and its replays.

use std::time::Duration;

use super::sim::Sim;
use super::sim::boot;
use super::sim::granted;
use super::sim::invalid_client;
use super::sim::invalid_grant;
use super::sim::lost;
use super::sim::secs;
use super::sim::unreachable;
use super::sim::wall;
use crate::error::RefreshError;
use crate::lifecycle::Doubt;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Input;
use crate::plan::Rotation;
use crate::schedule;
use crate::snapshot::StateName;
use crate::time::Moment;
use crate::time::Now;
use crate::token::Generation;

#[test]
fn a_lost_reply_is_replayed_inside_the_grace() {
    let mut sim = lost_at(3564, Rotation::Grace(secs(60)));
    sim.fly(3565);
    sim.fails_at(3566, unreachable());
    sim.fly(3566);
    sim.renewed_at(3567, Generation(2));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 15 s)
    3564  exchanging             Note
    3564  in_doubt until 3564    Publish, refresh_failed
    3565  queued                 Queue(2, InDoubt), Publish
    3565  exchanging             refresh_started, Intend(2), Publish
    3565  exchanging             Exchange(2, 15 s)
    3566  exchanging             Note
    3566  in_doubt until 3566    Publish, refresh_failed
    3566  queued                 Queue(3, InDoubt), Publish
    3566  exchanging             refresh_started, Intend(3), Publish
    3566  exchanging             Exchange(3, 15 s)
    3567  saving                 Commit, Publish
    3567  fresh until 6171       Publish, token_changed, recovered
    ");
}

/// What it brings counts from the first send, which was before this boot.
#[test]
fn a_token_that_is_over_when_a_replay_brings_it_is_renewed_at_once() {
    let mut sim = Sim::rebooted(Rotation::Unknown, 1000, secs(2 * 3600));
    sim.fly(1000);
    sim.renewed_at(1001, Generation(2));

    let snapshot = sim.account.snapshot();
    assert!(snapshot.held.is_some_and(|held| held.expires_wall <= wall(1001, 0)));
    assert!(snapshot.next.is_some_and(|next| next <= boot(1011)), "{:?}", snapshot.next);
}

/// If it was not meant, only another one inside the grace brings what was lost. What that brings
/// counts from the first send.
#[test]
fn a_replay_that_is_refused_is_confirmed_inside_the_grace() {
    let mut sim = lost_at(3550, Rotation::Grace(secs(40)));
    sim.fly(3550);
    sim.fails_at(3551, invalid_grant());
    sim.fly(3554);
    sim.renewed_at(3555, Generation(2));

    let held = sim.account.snapshot().held;
    assert!(held.is_some_and(|held| held.issued_at == wall(3549, 0)));
    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 13 s)
    3550  exchanging             Note
    3550  in_doubt until 3550    Publish, refresh_failed
    3550  queued                 Queue(2, InDoubt), Publish
    3550  exchanging             refresh_started, Intend(2), Publish
    3550  exchanging             Exchange(2, 13 s)
    3551  exchanging             Note
    3551  in_doubt until 3554    Publish, refresh_failed
    3554  queued                 Queue(3, InDoubt), Publish
    3554  exchanging             refresh_started, Intend(3), Publish
    3554  exchanging             Exchange(3, 13 s)
    3555  saving                 Commit, Publish
    3555  fresh until 6171       Publish, token_changed, recovered
    ");
}

/// A refusal that stands is confirmed as any other, once no replay is to come.
#[test]
fn replays_that_are_all_refused_end_in_a_suspicion() {
    let mut sim = lost_at(3550, Rotation::Grace(secs(40)));
    for at in [3550, 3554, 3559, 3569, 3584] {
        sim.fly(at);
        sim.fails_at(at + 1, invalid_grant());
    }
    assert_eq!(sim.account.snapshot().state, StateName::Suspect, "{}", sim.log);
}

/// An eighth of such a grace falls between two milliseconds, and moments have none in between.
#[test]
fn a_replay_that_is_made_when_it_was_planned_is_not_made_again() {
    let rotation = Rotation::Grace(Duration::from_millis(30_001));
    for (millis, replays) in [(3_749, 1), (3_750, 2)] {
        let (sent, grace_from) = (Now { boot: boot(0), wall: wall(0, 0) }, boot(0));
        let mut doubt = Doubt { sent, grace_from, last: boot(0), replays: 1, late: false };
        doubt.is_replayed(Moment::from_millis(millis), rotation);
        assert_eq!(doubt.replays, replays, "at {millis} ms");
    }
}

/// A reply is lost with the network, which is back after 22 s.
#[test]
fn a_network_that_is_away_for_most_of_the_grace_costs_nothing() {
    let mut sim = lost_at(3551, Rotation::Grace(secs(30)));
    for at in [3551, 3553, 3557, 3564] {
        sim.fly(at);
        sim.fails_at(at, unreachable());
    }
    let last = Moment::from_millis(3_575_250);
    assert_eq!(sim.account.snapshot().next, Some(last), "{}", sim.log);
}

/// A file may be replaced within a moment; a client may be known again within a few.
#[test]
fn what_somebody_has_to_mend_ends_no_plan_of_replays() {
    let no_secret =
        || RefreshError::SecretUnavailable { slot: "client_secret".into(), why: "no file".into() };
    for error in [no_secret(), invalid_client()] {
        let mut sim = lost_at(3551, Rotation::Grace(secs(40)));
        sim.fly(3551);
        sim.fails_at(3552, error.clone());
        assert_eq!(sim.account.snapshot().next, Some(boot(3554)), "{}", sim.log);

        for at in [3554, 3559, 3569, 3584] {
            sim.fly(at);
            sim.fails_at(at, error.clone());
        }
        assert_eq!(sim.account.snapshot().state, StateName::Frozen, "{}", sim.log);
    }
}

/// Where the provider had seen none of the others, it is the one that was taken.
#[test]
fn a_request_that_was_lost_after_others_is_asked_for_inside_its_own_grace() {
    let mut sim = Sim::resumed(Rotation::Grace(secs(60)), 1000);
    sim.fly(3549);
    sim.feed(3550, Input::Exchanged(sim.ticket(), granted(60)));
    sim.feed(3550, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));
    for (at, error) in [
        (3594, lost()),
        (3594, invalid_grant()),
        (3602, invalid_grant()),
        (3609, lost()),
        (3624, lost()),
        (3629, invalid_grant()),
        (3647, invalid_grant()),
    ] {
        sim.fly(at);
        sim.fails_at(at, error);
    }
    assert_eq!(sim.account.snapshot().next, Some(boot(3654)), "{}", sim.log);

    sim.fly(3654);
    let once_more = sim.log.lines().find(|line| line.contains("3654  queued"));
    assert!(once_more.unwrap().contains("InDoubt"), "a route that rests holds it up:\n{}", sim.log);
    sim.fails_at(3655, invalid_grant());
    assert_eq!(sim.account.snapshot().state, StateName::Suspect, "{}", sim.log);
}

#[test]
fn a_strict_provider_gets_no_replay_until_the_token_is_nearly_spent() {
    let mut sim = lost_at(3609, Rotation::Strict);
    sim.feed(3809, Input::Ordered(Action::Refresh));
    sim.fly(4535);
    sim.fails_at(4536, invalid_grant());

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 60 s)
    3609  exchanging             Note
    3609  in_doubt until 4535    Publish, refresh_failed
    3809  in_doubt until 4535    refused IN_DOUBT
    4535  queued                 alarm, Queue(2, Planned), Publish
    4535  exchanging             refresh_started, Intend(2), Publish
    4535  exchanging             Exchange(2, 60 s)
    4536  exchanging             Note, intent over
    4536  suspect until 4596     Publish, refresh_failed
    ");
}

#[test]
fn a_reboot_inside_the_grace_is_followed_by_a_replay_at_once() {
    for (off, next) in [(20, 5), (59, 5), (60, 3540)] {
        let sim = Sim::rebooted(Rotation::Grace(secs(60)), 5, secs(off));
        assert_eq!(sim.account.snapshot().next, Some(boot(next)), "off for {off} s:\n{}", sim.log);
    }
}

/// Ten attempts of earlier hours are kept on disk. Five seconds after the boot, a grace of 10 minutes has
/// 20 s left, and one of 30 s half of it.
#[test]
fn what_was_asked_hours_before_a_boot_does_not_count_after_it() {
    let earlier = [9_000, 8_000, 7_000, 6_000, 5_000, 4_000, 3_000, 2_000, 1_000, 0];
    for (grace, off, replays) in [(600, 580, &[5][..]), (30, 15, &[5, 6])] {
        let rotation = Rotation::Grace(secs(grace));
        let mut sim = Sim::rebooted_after(rotation, 5, off, &earlier);
        for at in replays {
            assert_eq!(sim.account.snapshot().next, Some(boot(*at)), "{}", sim.log);
            sim.fly(*at);
            sim.fails_at(*at + 1, lost());
        }
    }
}

/// A clock that a host keeps over a boot may be some seconds old. Beyond a minute nothing is known of
/// how long ago that was.
#[test]
fn after_a_reboot_with_a_clock_that_was_set_back_far_nothing_is_replayed_at_once() {
    for (by, next) in [(0, 5), (60, 5), (61, 3540)] {
        let sim = Sim::set_back(Rotation::Grace(secs(60)), 5, by);
        assert_eq!(sim.account.snapshot().next, Some(boot(next)), "by {by} s:\n{}", sim.log);
    }
}

/// A twentieth of the token's life, 5 s to a minute: in that, nothing is left to protect.
#[test]
fn the_replay_at_a_strict_provider_waits_for_the_last_stretch_of_the_token() {
    for (lifetime, usable, stretch) in [(7200, 7195, 60), (300, 295, 15), (60, 57, 5)] {
        let mut sim = Sim::resumed(Rotation::Strict, 1000);
        sim.fly(4600);
        sim.feed(4600, Input::Exchanged(sim.ticket(), granted(lifetime)));
        sim.feed(4600, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));
        sim.ordered_at(4600 + lifetime / 2, Action::Refresh);
        sim.go(4600 + lifetime / 2);
        sim.fails_at(4600 + lifetime / 2, lost());
        let next = sim.account.snapshot().next;
        assert_eq!(next, Some(boot(4600 + usable - stretch)), "{lifetime} s:\n{}", sim.log);
    }
}

/// What is resumed, reloaded or restarted finds its place anew.
#[test]
fn a_suspicion_whose_confirmation_was_lost_gets_no_strict_replay_by_a_resume() {
    let mut sim = Sim::resumed(Rotation::Strict, 1000);
    sim.fly(3549);
    sim.fails_at(3550, invalid_grant());
    sim.fly(3610);
    sim.fails_at(3611, lost());
    assert_eq!(sim.account.snapshot().next, Some(boot(4535)), "{}", sim.log);

    sim.feed(3700, Input::Ordered(Action::Pause));
    sim.feed(3800, Input::Ordered(Action::Resume));
    assert_eq!(sim.account.snapshot().state, StateName::InDoubt, "{}", sim.log);
    assert_eq!(sim.account.snapshot().next, Some(boot(4535)), "{}", sim.log);
}

#[test]
fn a_replay_that_waits_for_the_end_of_the_token_follows_a_step_of_the_clock() {
    let mut sim = lost_at(3609, Rotation::Strict);
    assert_eq!(sim.account.snapshot().next, Some(boot(4535)));

    sim.wall_ahead = 600;
    sim.feed(3700, Input::ClockStepped);
    assert_eq!(sim.account.snapshot().next, Some(boot(3935)));
}

#[test]
fn after_a_kill_in_an_exchange_the_replay_comes_before_anything_else() {
    let mut sim = Sim::killed(Rotation::Grace(secs(30)), 1000);
    sim.fly(1000);
    sim.feed(1001, Input::Exchanged(sim.ticket(), granted(60)));
    sim.feed(1001, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));

    insta::assert_snapshot!(sim.log, @r"
    1000  in_doubt until 1000    refresh_failed, Publish
    1000  queued                 Queue(1, InDoubt), Publish
    1000  exchanging             refresh_started, Intend(1), Publish
    1000  exchanging             Exchange(1, 10 s)
    1001  saving                 Commit, Publish
    1001  fresh until 1035       Publish, token_changed, recovered
    ");
}

/// If each life had a replay at once, four kills within seconds would use up what a minute has left.
#[test]
fn kills_in_a_row_leave_replays_for_the_rest_of_the_grace() {
    #[rustfmt::skip]
    let cases: &[(&str, &[u64], u64)] = &[
        // name                                      requests, s ago     due (s after the start)
        ("the first replay comes at once",           &[2],                 0),
        ("the second at an eighth of the grace",     &[2, 1],              3),
        ("the third at a quarter",                   &[6, 5, 1],           4),
        ("the fourth at half",                       &[12, 11, 7, 1],      8),
        ("after that at once, while there are any",  &[21, 20, 16, 11, 1], 0),
        ("a start that asks twice is one attempt",   &[2, 2, 1, 1],        3),
    ];
    for (name, ago, due) in cases {
        let sim = Sim::killed_again(Rotation::Grace(secs(40)), 1000, ago);
        assert_eq!(sim.account.snapshot().next, Some(boot(1000 + due)), "{name}");
    }
}

/// It may be at the provider still, and be taken after the replay.
#[test]
fn a_replay_does_not_overtake_the_request_that_a_kill_cut() {
    for (grace, after) in [(40, 500), (2, 250)] {
        let sim = Sim::killed_again(Rotation::Grace(secs(grace)), 1000, &[0]);
        let next = Moment::from_millis(1_000_000 + after);
        assert_eq!(sim.account.snapshot().next, Some(next), "{}", sim.log);
    }
}

/// What comes before a request takes its time: secrets, and the disk.
#[test]
fn a_replay_that_could_be_sent_only_after_the_grace_is_not_sent_while_the_token_is_good() {
    for (ready, next) in [(3568, None), (3569, Some(boot(4535)))] {
        let mut sim = lost_at(3555, Rotation::Grace(secs(20)));
        sim.feed(3556, Input::Woken);
        sim.feed(3556, Input::Admitted(sim.ticket()));
        sim.feed(ready, Input::Intended(sim.ticket(), Ok(true)));
        sim.feed(ready, Input::Written(sim.ticket(), Ok(None)));
        assert_eq!(sim.account.snapshot().next, next, "{}", sim.log);
    }
}

/// Somebody had it tried, and it may have worked.
#[test]
fn a_retry_of_a_lost_login_that_a_kill_cut_is_replayed() {
    let mut sim = Sim::killed_when_lost(Rotation::Grace(secs(60)), 1000);
    assert_eq!(sim.account.snapshot().next, Some(boot(1000)), "{}", sim.log);

    for at in [1000, 1003, 1010, 1025, 1048] {
        sim.fly(at);
        sim.fails_at(at, invalid_grant());
    }
    assert_eq!(sim.account.snapshot().state, StateName::NeedsLogin, "{}", sim.log);
}

/// The last process may have made it when its token was over and its plan used up.
#[test]
fn the_last_request_of_a_killed_process_has_a_grace_of_its_own() {
    let mut sim = Sim::killed_again(Rotation::Grace(secs(60)), 1000, &[50, 49, 42, 35, 20, 12]);
    for at in [1000, 1003] {
        sim.fly(at);
        sim.fails_at(at, invalid_grant());
    }
    assert_eq!(sim.account.snapshot().next, Some(boot(1000 - 12 + 30)), "{}", sim.log);
}

#[test]
fn a_replay_that_is_too_late_waits_until_the_token_is_nearly_spent() {
    let mut sim = lost_at(3555, Rotation::Grace(secs(20)));
    sim.feed(3600, Input::Woken);

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 6 s)
    3555  exchanging             Note
    3555  in_doubt until 3555    Publish, refresh_failed
    3600  in_doubt until 4535    Publish
    ");
}

/// It may be the one that the provider took, if it had not seen those before. With a token that is
/// nearly spent nothing waits for the last one of its grace.
#[test]
fn a_replay_that_comes_after_the_grace_is_replayed_inside_its_own() {
    let mut sim = lost_at(3564, Rotation::Grace(secs(60)));
    sim.feed(3700, Input::Woken);
    for (at, fails) in [(4535, 4536), (4537, 4552), (4555, 4570), (4579, 4587)] {
        sim.fly(at);
        sim.fails_at(fails, lost());
    }

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 15 s)
    3564  exchanging             Note
    3564  in_doubt until 3564    Publish, refresh_failed
    3700  in_doubt until 4535    Publish
    4535  queued                 alarm, Queue(2, Planned), Publish
    4535  exchanging             refresh_started, Intend(2), Publish
    4535  exchanging             Exchange(2, 15 s)
    4536  exchanging             Note
    4536  in_doubt until 4537    Publish, refresh_failed
    4537  queued                 Queue(3, InDoubt), Publish
    4537  exchanging             refresh_started, Intend(3), Publish
    4537  exchanging             Exchange(3, 15 s)
    4552  exchanging             Note
    4552  in_doubt until 4553    Publish, refresh_failed
    4555  queued                 Queue(4, InDoubt), Publish
    4555  exchanging             refresh_started, Intend(4), Publish
    4555  exchanging             Exchange(4, 15 s)
    4570  exchanging             Note
    4570  in_doubt until 4571    Publish, refresh_failed
    4579  queued                 Queue(5, InDoubt), Publish
    4579  exchanging             refresh_started, Intend(5), Publish
    4579  exchanging             Exchange(5, 15 s)
    4587  exchanging             Note
    4587  in_doubt until 4587    Publish, refresh_failed
    ");
}

#[test]
fn a_replay_after_a_reboot_that_outlasted_the_grace_is_replayed_inside_its_own() {
    let mut sim = Sim::rebooted(Rotation::Grace(secs(60)), 1000, secs(120));
    sim.fly(4535);
    sim.fails_at(4587, lost());
    let last = Moment::from_millis(4_535_000 + 52_500);
    assert_eq!(sim.account.snapshot().next, Some(last), "{}", sim.log);
}

/// A provider may answer a replay with the very tokens whose reply was lost, and with their
/// whole lifetime.
#[test]
fn what_a_replay_brings_is_good_from_the_first_send_on() {
    let mut sim = lost_at(3564, Rotation::Grace(secs(60)));
    sim.fly(3565);
    sim.fails_at(3566, unreachable());
    sim.fly(3566);
    sim.renewed_at(3567, Generation(2));
    assert_eq!(expiry(&sim), boot(3549) + schedule::usable(secs(3600)));

    let mut killed = Sim::killed(Rotation::Grace(secs(30)), 1000);
    killed.fly(1000);
    killed.renewed_at(1001, Generation(2));
    assert_eq!(expiry(&killed), boot(995) + schedule::usable(secs(3600)));
}

#[test]
fn what_a_first_send_brings_is_good_from_that_send_on() {
    let mut sim = Sim::resumed(Rotation::Grace(secs(60)), 1000);
    sim.fly(3549);
    sim.fails_at(3550, unreachable());
    sim.fly(3551);
    sim.renewed_at(3553, Generation(2));
    assert_eq!(expiry(&sim), boot(3551) + schedule::usable(secs(3600)));
}

/// An account that was refreshed at 3549, when the reply was lost at `at`.
fn lost_at(at: u64, rotation: Rotation) -> Sim {
    let mut sim = Sim::resumed(rotation, 1000);
    sim.fly(3549);
    sim.fails_at(at, lost());
    sim
}

fn expiry(sim: &Sim) -> Moment {
    sim.account.snapshot().held.unwrap().expires_boot
}
