//! Accounts whose AWS credentials only a sign-in brings.

use super::sim::Sim;
use super::sim::aws;
use super::sim::boot;
use super::sim::grant;
use super::sim::secs;
use super::sim::unreachable;
use super::sim::unshared;
use super::sim::wall;
use crate::error::RefreshError;
use crate::error::code::Code;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Credential;
use crate::lifecycle::words::Input;
use crate::plan::Plan;
use crate::plan::Rotation;
use crate::plan::SignIn;
use crate::provider::Outcome;
use crate::record::Stake;
use crate::time::Now;
use crate::token::Generation;
use crate::token::Grant;
use crate::token::Kind;
use crate::token::Secret;

#[test]
fn aws_credentials_are_renewed_by_a_sign_in_before_they_expire_and_tokens_by_a_refresh() {
    let mut sim = signed_in(1800, 3600);
    sim.fly(2300);
    brings(&mut sim, 2301, Generation(2), 1800, None);
    sim.fly(3610);
    brings(&mut sim, 3611, Generation(3), 1800, Some(3600));

    insta::assert_snapshot!(sim.log, @r"
    1000  queued                 Queue(1, Planned), Publish
    1000  queued                 -
    1000  exchanging             refresh_started, Intend(1), Publish
    1000  exchanging             SignIn(1)
    1001  saving                 Commit, Publish
    1001  fresh until 2271       Publish, token_changed
    2300  queued                 Queue(2, Planned), Publish
    2300  exchanging             refresh_started, Intend(2), Publish
    2300  exchanging             Exchange(2, 15 s)
    2301  saving                 Commit, Publish
    2301  fresh until 3608       Publish, token_changed
    3610  queued                 Queue(3, Planned), Publish
    3610  exchanging             refresh_started, Intend(3), Publish
    3610  exchanging             SignIn(3)
    3611  saving                 Commit, Publish
    3611  fresh until 4817       Publish, token_changed
    ");
}

#[test]
fn who_waits_for_aws_credentials_that_are_over_gets_a_sign_in() {
    let mut sim = signed_in(86_400, 900);
    sim.feed(1300, Input::Ordered(Action::Demand(Kind::Aws)));
    sim.fly(1300);

    insta::assert_snapshot!(sim.log, @r"
    1000  queued                 Queue(1, Planned), Publish
    1000  queued                 -
    1000  exchanging             refresh_started, Intend(1), Publish
    1000  exchanging             SignIn(1)
    1001  saving                 Commit, Publish
    1001  fresh until 1633       Publish, token_changed
    1300  queued                 Queue(2, Wanted), Publish
    1300  queued                 -
    1300  exchanging             refresh_started, Intend(2), Publish
    1300  exchanging             SignIn(2)
    ");
}

#[test]
fn tokens_do_not_suffer_for_a_sign_in_that_fails() {
    let mut sim = signed_in(1800, 1800);
    sim.fly(2300);
    sim.fails_at(2301, unreachable());
    sim.fly(2303);
    brings(&mut sim, 2304, Generation(2), 1800, None);

    insta::assert_snapshot!(sim.log, @r"
    1000  queued                 Queue(1, Planned), Publish
    1000  queued                 -
    1000  exchanging             refresh_started, Intend(1), Publish
    1000  exchanging             SignIn(1)
    1001  saving                 Commit, Publish
    1001  fresh until 2271       Publish, token_changed
    2300  queued                 Queue(2, Planned), Publish
    2300  exchanging             refresh_started, Intend(2), Publish
    2300  exchanging             SignIn(2)
    2301  exchanging             Note, intent over
    2301  waiting until 2302     Publish, refresh_failed
    2303  queued                 Queue(3, Planned), Publish
    2303  exchanging             refresh_started, Intend(3), Publish
    2303  exchanging             Exchange(3, 15 s)
    2304  saving                 Commit, Publish
    2304  fresh until 2308       Publish, token_changed, recovered
    ");
}

#[test]
fn tokens_are_refreshed_while_the_password_for_aws_credentials_is_missing() {
    let mut sim = signed_in(1800, 1800);
    sim.fly(2272);
    sim.fails_at(2272, no_password());
    sim.fly(2275);
    brings(&mut sim, 2276, Generation(2), 1800, None);
    sim.fly(2361);
    sim.fails_at(2361, no_password());

    insta::assert_snapshot!(sim.log, @r"
    1000  queued                 Queue(1, Planned), Publish
    1000  queued                 -
    1000  exchanging             refresh_started, Intend(1), Publish
    1000  exchanging             SignIn(1)
    1001  saving                 Commit, Publish
    1001  fresh until 2271       Publish, token_changed
    2272  queued                 Queue(2, Planned), Publish
    2272  exchanging             refresh_started, Intend(2), Publish
    2272  exchanging             SignIn(2)
    2272  exchanging             Note, intent over
    2272  waiting until 2272     Publish, refresh_failed
    2275  queued                 Queue(3, Planned), Publish
    2275  exchanging             refresh_started, Intend(3), Publish
    2275  exchanging             Exchange(3, 15 s)
    2276  saving                 Commit, Publish
    2276  fresh until 2308       Publish, token_changed, recovered
    2361  queued                 Queue(4, Planned), Publish
    2361  exchanging             refresh_started, Intend(4), Publish
    2361  exchanging             SignIn(4)
    2361  exchanging             Note, intent over
    2361  waiting until 2421     Publish, refresh_failed
    ");
}

/// An account that has never had a credential waits for one without a failure; this one has.
#[test]
fn a_password_that_was_never_stored_is_a_failure_of_an_account_that_has_tokens() {
    let mut sim = signed_in(3600, 600);
    let due = sim.account.snapshot().next.unwrap().as_millis() / 1000 + 1;
    sim.fly(due);
    sim.fails_at(due, RefreshError::SecretNotStored { slot: "mail.password".into() });
    let snapshot = sim.account.snapshot();
    assert_eq!(snapshot.failure.unwrap().error.code(), Code::SecretUnavailable, "{}", sim.log);
}

#[test]
fn who_wants_aws_credentials_gets_a_sign_in_only_where_nothing_else_brings_them() {
    let now = Now { boot: boot(1100), wall: wall(1100, 0) };
    for (plan, stake) in [(for_aws(), Stake::SignIn), (unshared(Rotation::Unknown), Stake::Current)]
    {
        let sim = Sim::planned(plan, 1000);
        assert_eq!(sim.account.stake_for(Kind::Aws, now), stake);
    }
}

/// The exchange that proves a login brings none again, unless it does.
#[test]
fn aws_credentials_that_came_with_a_login_hold_for_what_was_left_when_it_was_proven() {
    for (brought, left) in [(None, 3600 - 110), (Some(900), 900)] {
        let mut sim = Sim::planned(for_aws(), 1000);
        let came = Now { boot: boot(1000), wall: wall(1000, 0) };
        let credential = Credential {
            refresh_token: Secret::new("r9"),
            aws: Some((aws(3600), came)),
            found: false,
        };
        sim.ordered_at(1100, Action::Import(Box::new(credential)));
        sim.go(1110);
        brings(&mut sim, 1111, Generation(1), 3600, brought);
        let held = sim.account.snapshot().held.unwrap();
        assert_eq!(held.aws.clone().unwrap().lifetime, secs(left), "{}", sim.log);
    }
}

#[test]
fn a_step_of_the_clock_that_shortens_aws_credentials_has_them_renewed_sooner() {
    let mut sim = signed_in(86_400, 3600);
    let planned = sim.account.snapshot().next.unwrap();

    sim.wall_ahead = 600;
    sim.feed(1100, Input::ClockStepped);
    assert_eq!(sim.account.snapshot().next, Some(planned.before(secs(600))), "{}", sim.log);
}

/// An account that signed in at 1000, and got tokens and AWS credentials of so many seconds.
fn signed_in(tokens: u64, keys: u64) -> Sim {
    let mut sim = Sim::new(for_aws(), 1000);
    sim.fly(1000);
    brings(&mut sim, 1001, Generation(1), tokens, Some(keys));
    sim
}

/// The exchange under way brings tokens, and perhaps AWS credentials, of so many seconds.
fn brings(sim: &mut Sim, at: u64, generation: Generation, tokens: u64, keys: Option<u64>) {
    let granted = Grant { aws: keys.map(aws), ..grant(tokens) };
    sim.feed(at, Input::Exchanged(sim.ticket(), Outcome::Granted(Box::new(granted))));
    sim.feed(at, Input::Written(sim.ticket(), Ok(Some(generation))));
}

fn for_aws() -> Plan {
    Plan { sign_in: SignIn::ForAws, ..unshared(Rotation::Grace(secs(60))) }
}

fn no_password() -> RefreshError {
    RefreshError::SecretUnavailable { slot: "password".into(), why: "nothing is stored".into() }
}
