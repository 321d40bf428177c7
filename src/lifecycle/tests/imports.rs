//! A refresh token that an operator hands in.

use std::time::Duration;

use super::sim::Sim;
use super::sim::boot;
use super::sim::failed;
use super::sim::granted;
use super::sim::granted_to;
use super::sim::invalid_client;
use super::sim::invalid_grant;
use super::sim::lost;
use super::sim::plan;
use super::sim::secs;
use super::sim::unreachable;
use super::sim::unshared;
use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Command;
use crate::lifecycle::words::Input;
use crate::plan::Rotation;
use crate::record::Lineage;
use crate::record::StoreError;
use crate::snapshot::StateName;
use crate::snapshot::aid::Aid;
use crate::token::Generation;
use crate::token::Secret;

/// It is the same provider.
#[test]
fn what_is_handed_in_waits_for_as_long_as_the_provider_asked_and_moves_no_alarm() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    let (answer, retry_after) = (OauthError::new("429", None), Some(secs(120)));
    sim.fails_at(3550, RefreshError::Throttled { answer, retry_after });
    let alarm = sim.account.snapshot().alarm;

    sim.imported_at(3560, "r9");
    let snapshot = sim.account.snapshot();
    assert_eq!((snapshot.state, snapshot.next), (StateName::Waiting, Some(boot(3670))));
    assert_eq!(snapshot.alarm, alarm, "{}", sim.log);
}

#[test]
fn an_import_that_fails_leaves_the_old_credential_untouched() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);

    sim.feed(1500, Input::Ordered(Action::Import(Secret::new("typo").into())));
    sim.feed(1500, Input::Ordered(Action::Import(Secret::new("second").into())));
    sim.feed(1500, Input::Written(sim.ticket(), Ok(None)));
    sim.fly(1500);
    sim.fails_at(1501, invalid_grant());

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1500  fresh until 3548       answer 1 later, Stage
    1500  fresh until 3548       refused REFRESH_PENDING
    1500  queued                 Queue(2, Wanted), Publish
    1500  queued                 -
    1500  exchanging             refresh_started, Intend(2), Publish
    1500  exchanging             Exchange(2, 10 s)
    1501  fresh until 3548       Unstage, Publish, state_changed
    1501  fresh until 3548       answer 1: refused GRANT_REJECTED
    ");
}

#[test]
fn who_hands_in_what_is_refused_is_told_that_the_accounts_own_stays() {
    let cases = [
        (invalid_grant(), Some(Aid::Another)),
        (RefreshError::SubjectChanged, Some(Aid::Another)),
        (unreachable(), None),
    ];
    for (error, aid) in cases {
        let mut sim = Sim::resumed(Rotation::Unknown, 1000);
        sim.imported_at(1500, "typo");
        sim.go(1500);
        let told = [
            sim.feed(1501, Input::Exchanged(sim.ticket(), failed(error.clone()))),
            sim.feed(1501, Input::Written(sim.ticket(), Ok(None))),
        ];
        let told = told.iter().flatten().find_map(|command| {
            let Command::AnswerTo(_, Err(refusal)) = command else { return None };
            Some(refusal.clone())
        });
        let refusal = told.unwrap();
        assert_eq!(refusal.aid, aid, "{error}");
        assert!(refusal.message.contains("own credential is untouched"), "{error}");
    }
}

/// Nothing is untouched where there is nothing.
#[test]
fn a_vacant_account_is_not_said_to_keep_a_credential() {
    let mut sim = Sim::new(unshared(Rotation::Unknown), 1000);
    sim.imported_at(1500, "typo");
    sim.go(1500);
    sim.feed(1501, Input::Exchanged(sim.ticket(), failed(invalid_grant())));
    let told = sim.feed(1501, Input::Written(sim.ticket(), Ok(None)));
    let told = told.iter().find_map(|command| {
        let Command::AnswerTo(_, Err(refusal)) = command else { return None };
        Some(refusal.message.clone())
    });
    assert!(!told.unwrap().contains("untouched"));
}

#[test]
fn a_failed_import_sends_the_old_refresh_token_nowhere_else() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.feed(1100, Input::Reconfigured(plan(Rotation::Unknown), Lineage("elsewhere".into())));
    sim.imported_at(1200, "typo");
    sim.fly(1200);
    sim.feed(1201, Input::Exchanged(sim.ticket(), failed(invalid_grant())));
    sim.feed(1202, Input::Woken);

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  needs_login            Publish, state_changed, refresh_failed
    1200  needs_login            answer 1 later, Stage
    1200  queued                 Queue(2, Wanted), Publish
    1200  queued                 alarm
    1200  exchanging             refresh_started, Intend(2), Publish
    1200  exchanging             Exchange(2, 10 s)
    1201  needs_login            Unstage, Publish, state_changed, refresh_failed
    1202  needs_login            alarm
    ");
}

/// What becomes of another credential says nothing of the account's own one, which would be
/// asked for at once otherwise.
#[test]
fn a_failed_import_leaves_the_failure_of_the_account_and_when_it_is_tried_next() {
    let mut sim = failing(throttled(300));
    fails_to_import(&mut sim, 3900, throttled(60));
    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  exchanging             Note, intent over
    3550  waiting until 3850     Publish, refresh_failed
    3900  waiting until 3850     answer 2 later, Stage
    3900  queued                 Queue(3, Wanted), Publish
    3900  exchanging             refresh_started, Intend(3), Publish
    3900  exchanging             Exchange(3, 10 s)
    3901  waiting until 3961     Unstage, Publish, state_changed
    3901  waiting until 3961     answer 2: refused PROVIDER_UNAVAILABLE
    ");

    let mut sim = failing(invalid_client());
    fails_to_import(&mut sim, 3600, invalid_grant());

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  exchanging             Note, intent over
    3550  frozen until 7150      Publish, refresh_failed
    3600  frozen until 7150      answer 2 later, Stage
    3600  queued                 Queue(3, Wanted), Publish
    3600  exchanging             refresh_started, Intend(3), Publish
    3600  exchanging             Exchange(3, 10 s)
    3601  frozen until 7150      Unstage, Publish, state_changed
    3601  frozen until 7150      answer 2: refused GRANT_REJECTED
    ");
}

#[test]
fn a_failed_import_leaves_the_doubt_about_the_current_credential() {
    let mut sim = Sim::resumed(Rotation::Strict, 1000);
    sim.fly(3549);
    sim.fails_at(3609, lost());
    sim.imported_at(3700, "typo");
    sim.fly(3700);
    sim.feed(3701, Input::Exchanged(sim.ticket(), failed(unreachable())));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 60 s)
    3609  exchanging             Note
    3609  in_doubt until 4535    Publish, refresh_failed
    3700  in_doubt until 4535    answer 2 later, Stage
    3700  queued                 Queue(3, Wanted), Publish
    3700  queued                 -
    3700  exchanging             refresh_started, Intend(3), Publish
    3700  exchanging             Exchange(3, 60 s)
    3701  in_doubt until 4535    Unstage, Publish, state_changed
    ");
}

/// The account's own token is of another login, which a replay cannot kill.
#[test]
fn a_handed_in_credential_in_doubt_is_replayed_at_once_whatever_the_provider_forgives() {
    for rotation in [Rotation::Strict, Rotation::Grace(secs(30)), Rotation::Unknown] {
        let mut sim = Sim::resumed(rotation, 1000);
        sim.imported_at(1100, "r5");
        sim.go(1100);
        sim.feed(1110, Input::Exchanged(sim.ticket(), failed(lost())));
        assert_eq!(sim.account.snapshot().next, Some(boot(1110)), "{rotation:?}\n{}", sim.log);

        sim.fly(1110);
        sim.feed(1111, Input::Exchanged(sim.ticket(), failed(lost())));
        let next = sim.account.snapshot().next.unwrap();
        assert!(next >= boot(1111) && next < boot(1120), "{rotation:?}\n{}", sim.log);
    }
}

/// The own one is due when its token is nearly spent; without a token it waits for an hour.
#[test]
fn a_handed_in_credential_in_doubt_is_given_up_when_the_account_needs_its_own_one() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.imported_at(1100, "r5");
    sim.go(1100);
    sim.feed(1110, Input::Exchanged(sim.ticket(), failed(lost())));
    while let Some(next) = sim.account.snapshot().next
        && sim.account.snapshot().state == StateName::InDoubt
    {
        let at = next.as_millis().div_ceil(1000);
        sim.fly(at);
        sim.feed(at, Input::Exchanged(sim.ticket(), failed(lost())));
    }
    let snapshot = sim.account.snapshot();
    assert_eq!(snapshot.state, StateName::Fresh, "{}", sim.log);
    assert!(snapshot.next < Some(boot(4600)), "{}", sim.log);
    assert!(sim.log.contains("Unstage"), "{}", sim.log);
}

#[test]
fn a_pause_is_heeded_while_what_was_handed_in_is_in_doubt() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.imported_at(1100, "r5");
    sim.go(1100);
    let under_way = sim.ticket();
    sim.ordered_at(1105, Action::Pause);
    sim.feed(1110, Input::Exchanged(under_way, failed(lost())));
    assert_eq!(sim.account.snapshot().state, StateName::Frozen, "{}", sim.log);

    sim.ordered_at(1200, Action::Resume);
    assert_eq!(sim.account.snapshot().state, StateName::Queued, "{}", sim.log);
}

/// A provider may never say anything of the first one, and there may be no other credential.
#[test]
fn a_credential_that_waits_gives_way_to_one_that_is_handed_in_later() {
    for staged in [Ok(None), Err(StoreError::Full)] {
        let full = staged.is_err();
        let mut sim = Sim::new(unshared(Rotation::Unknown), 1000);
        sim.imported_at(1100, "r5");
        sim.go(1100);
        sim.feed(1110, Input::Exchanged(sim.ticket(), failed(lost())));
        sim.feed(1200, Input::Ordered(Action::Import(Secret::new("r6").into())));
        sim.feed(1201, Input::Written(sim.ticket(), staged));
        assert_eq!(sim.account.snapshot().state, StateName::Queued, "{}", sim.log);
        assert_eq!(sim.log.contains("refused STORE_UNAVAILABLE"), full, "{}", sim.log);
        assert!(!sim.log.contains("REFRESH_PENDING"), "{}", sim.log);
    }
}

/// A provider that never rotates loses nothing with tokens that are not saved: what was handed in is
/// sent once more when they are due.
#[test]
fn a_login_that_worked_on_a_full_disk_is_not_given_up_for_a_later_failure() {
    let mut sim = Sim::resumed(Rotation::Never, 1000);
    sim.imported_at(1100, "r5");
    sim.go(1100);
    sim.feed(1101, Input::Exchanged(sim.ticket(), granted(3600)));
    sim.feed(1101, Input::Written(sim.ticket(), Err(StoreError::Full)));
    for (at, error) in [(3723, lost()), (3800, unreachable()), (3900, invalid_grant())] {
        sim.fly(at);
        sim.feed(at, Input::Exchanged(sim.ticket(), failed(error)));
        assert_eq!(sim.account.snapshot().state, StateName::Waiting, "{}", sim.log);
    }
    sim.fly(3960);
    sim.renewed_at(3961, Generation(3));
    assert_eq!(sim.account.snapshot().state, StateName::Fresh, "{}", sim.log);
}

/// Nobody waits for an answer, and the login may be the only one that there is.
#[test]
fn what_an_earlier_process_left_staged_waits_for_a_provider_in_trouble() {
    let mut sim = Sim::left_with_a_staged_credential(Rotation::Unknown, 1000);
    sim.go(1000);
    sim.feed(1001, Input::Exchanged(sim.ticket(), failed(unreachable())));
    assert_eq!(sim.account.snapshot().state, StateName::Waiting, "{}", sim.log);

    sim.fly(1100);
    sim.feed(1101, Input::Exchanged(sim.ticket(), failed(invalid_grant())));
    assert!(sim.log.contains("Unstage"), "{}", sim.log);
}

/// The window of a request is 61 s, and ten fit into it: four are to be free.
#[test]
fn a_handed_in_credential_leaves_room_for_its_own_replays_after_those_of_the_current_one() {
    let (attempts, spent) = (&[50, 45, 40, 35, 30, 20, 10], 1000 - 50);
    let mut sim = Sim::killed_again(Rotation::Grace(secs(10)), 1000, attempts);
    sim.imported_at(1000, "r9");
    assert_eq!(sim.account.snapshot().next, Some(boot(spent + 61)), "{}", sim.log);
}

#[test]
fn a_refresh_token_that_was_taken_over_is_not_spent_again() {
    let mut sim = Sim::resumed(Rotation::Strict, 1000);
    sim.taken_over_at(1100, "r5", Generation(2));
    sim.feed(1200, Input::Ordered(Action::Import(Secret::new("r5").into())));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  fresh until 3548       answer 1 later, Stage
    1100  queued                 Queue(2, Wanted), Publish
    1100  queued                 -
    1100  exchanging             refresh_started, Intend(2), Publish
    1100  exchanging             Exchange(2, 60 s)
    1101  saving                 Commit, Publish
    1101  fresh until 3722       Publish, token_changed, answer 1: Changed(Generation(2))
    1200  fresh until 3722       refused NOT_SUPPORTED
    ");
}

#[test]
fn an_import_after_a_change_of_issuer_is_not_refused_for_its_subject() {
    let mut sim = of_pat();
    sim.feed(3600, Input::Reconfigured(plan(Rotation::Unknown), Lineage("elsewhere".into())));
    sim.imported_at(3700, "r9");
    sim.go(3700);
    sim.renewed_for(3701, "b7c1", Generation(3));
    // From now on it is somebody of the new place.
    sim.fly(6400);
    sim.feed(6401, Input::Exchanged(sim.ticket(), granted_to("pat")));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  saving                 Commit, Publish
    3550  fresh until 6171       Publish, token_changed
    3600  needs_login            Publish, state_changed, refresh_failed
    3700  needs_login            answer 2 later, Stage
    3700  queued                 Queue(3, Wanted), Publish
    3700  exchanging             refresh_started, Intend(3), Publish
    3700  exchanging             Exchange(3, 10 s)
    3701  saving                 Commit, Publish
    3701  fresh until 6119       Publish, token_changed, recovered, answer 2: Changed(Generation(3))
    6400  queued                 Queue(4, Planned), Publish
    6400  exchanging             refresh_started, Intend(4), Publish
    6400  exchanging             Exchange(4, 10 s)
    6401  exchanging             Orphan, Note, intent over
    ");
}

#[test]
fn an_import_of_somebody_else_at_the_same_issuer_is_refused_and_set_aside() {
    let mut sim = of_pat();
    sim.imported_at(3700, "r9");
    sim.go(3700);
    sim.feed(3701, Input::Exchanged(sim.ticket(), granted_to("sam")));
    sim.feed(3701, Input::Written(sim.ticket(), Ok(None)));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  saving                 Commit, Publish
    3550  fresh until 6171       Publish, token_changed
    3700  fresh until 6171       answer 2 later, Stage
    3700  queued                 Queue(3, Wanted), Publish
    3700  exchanging             refresh_started, Intend(3), Publish
    3700  exchanging             Exchange(3, 10 s)
    3701  fresh until 6171       Orphan, Unstage, Publish, state_changed
    3701  fresh until 6171       answer 2: refused NEEDS_LOGIN
    ");
}

#[test]
fn a_credential_that_is_forgotten_while_another_is_staged_takes_that_one_with_it() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.feed(1100, Input::Ordered(Action::Import(Secret::new("other").into())));
    let staging = sim.ticket();
    sim.feed(1100, Input::Ordered(Action::Clear));
    // The store does one after the other, and has none staged in the end.
    sim.feed(1101, Input::Written(staging, Ok(None)));
    sim.feed(1101, Input::Written(sim.ticket(), Ok(None)));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  fresh until 3548       answer 1 later, Stage
    1100  vacant                 answer 2 later, Clear, answer 1: refused NEEDS_LOGIN, Note, Publish, state_changed
    1101  vacant                 -
    1101  vacant                 -
    ");
}

/// An account whose refresh fails at 3550.
fn failing(error: RefreshError) -> Sim {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.fails_at(3550, error);
    sim
}

/// What is handed in at `at` fails within a second, and leaves the account's own failure.
fn fails_to_import(sim: &mut Sim, at: u64, error: RefreshError) {
    let own = sim.account.snapshot().failure;
    sim.imported_at(at, "typo");
    sim.go(at);
    sim.fails_at(at + 1, error);
    assert_eq!(sim.account.snapshot().failure, own);
}

/// An account that is known to be Pat's.
fn of_pat() -> Sim {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.renewed_for(3550, "pat", Generation(2));
    sim
}

fn throttled(secs: u64) -> RefreshError {
    let retry_after = Some(Duration::from_secs(secs));
    RefreshError::Throttled { answer: OauthError::status(429), retry_after }
}

/// A kill cut the answer to an import, and whoever handed it in does so again.
#[test]
fn what_an_earlier_process_left_staged_is_known_when_it_is_handed_in_again() {
    let import = || Action::Import(Secret::new("staged").into());
    let mut sim = Sim::left_with_a_staged_credential(Rotation::Strict, 1000);
    sim.fly(1000);
    sim.renewed_at(1001, Generation(2));
    let commands = sim.feed(1100, Input::Ordered(import()));
    let refused = commands.iter().find_map(|command| {
        let Command::Answer(Err(refusal)) = command else { return None };
        Some(refusal.message.as_str())
    });
    assert_eq!(refused, Some("this refresh token was taken over already; nothing was sent"));

    // What is in doubt is asked for again, and as what it is.
    let mut sim = Sim::left_with_a_staged_credential(Rotation::Unknown, 1000);
    sim.fly(1000);
    sim.fails_at(1001, lost());
    sim.feed(1001, Input::Ordered(import()));
    sim.go(1001);
    sim.renewed_at(1002, Generation(2));
    insta::assert_snapshot!(sim.log, @r"
    1000  queued                 Queue(1, Wanted), Publish
    1000  queued                 -
    1000  exchanging             refresh_started, Intend(1), Publish
    1000  exchanging             Exchange(1, 10 s)
    1001  in_doubt until 1001    Publish
    1001  in_doubt until 1001    -
    1001  queued                 answer 2 later, Queue(3, InDoubt), Publish
    1001  exchanging             refresh_started, Intend(3), Publish
    1001  exchanging             Exchange(3, 10 s)
    1002  saving                 Commit, Publish
    1002  fresh until 3622       Publish, token_changed, answer 2: Changed(Generation(2))
    ");
}
