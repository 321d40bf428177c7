//! Clocks that are set, sleep, a machine that stands still, a power cut and an old kernel: what takes a
//! kernel of one's own.
//!
//! `tests/run machine` makes the parts of the machine and the package and says where they are in the
//! environment; without that these tests are skipped, which CI forbids. The machine boots once, in an
//! emulated processor, and goes through all cases; each has accounts of its own. With a text in
//! `TOKENKEEPER_TEST_CASE` only those cases are tried whose names contain it. A machine with a TPM boots
//! for itself, because that takes firmware of its own.
//!
//! # Reading order
//!
//! 1. The cases below. [`scene`]: what they have in common.
//! 2. [`guest`]: the machine as a value. [`network`]: that it reaches nothing but the provider.
//! 3. [`watched`]: what a client that asks all the time must never have seen.
//! 4. [`sealing`]: the store key in a machine with a TPM, which is [`tpm`].
//!
//! # Invariants
//!
//! * The provider is outside of the machine. Its time is the real one, whatever the machine believes.
//! * The kernel is that of the Debian that runs the test. Debian 12's has no `SO_PEERPIDFD`.
//! * Nothing that the machine writes outlasts it.

mod guest;
mod network;
mod scene;
mod sealing;
mod tpm;
mod watched;

use std::env;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;

use crate::support::process::let_pass;
use crate::support::skipped;

use self::guest::Guest;
use self::scene::Scene;

/// How long the tokens of most accounts here are good: a refresh is due after 36 to 45 s, and an emulated
/// machine is never so slow that it comes too late.
const LIFETIME: Duration = Duration::from_secs(60);

/// Longer than [`LIFETIME`], and than the timeout of any exchange.
const ABSENCE: Duration = Duration::from_secs(75);

/// Something that the machine is put through.
struct Case {
    /// What must be so.
    what: &'static str,
    put: fn(&mut Scene),
}

const fn case(what: &'static str, put: fn(&mut Scene)) -> Case {
    Case { what, put }
}

/// All of it, one after the other.
#[rustfmt::skip]
const CASES: &[Case] = &[
    case("a clock that is set costs one exchange where it ends a token, and none elsewhere", clock_set),
    case("after sleep there is one exchange for what expired in it", sleep),
    case("an exchange that sleep interrupts costs neither the account nor a second grant", sleep_in_flight),
    case("a machine that stood still knows no better until its clock is set right", standstill),
    case("a power cut in an exchange is replayed, and costs no account", power_cut),
    case("a kernel that tells no more than a number makes rules by unit name the user", old_kernel),
];

#[test]
fn clock_steps_sleep_and_power_cuts_hand_out_nothing_expired_and_cost_no_account() {
    let Some((parts, package)) = built() else {
        skipped("no package and no machine: tests/run machine makes them");
        return;
    };
    let wanted = env::var("TOKENKEEPER_TEST_CASE").unwrap_or_default();
    in_empty_network(&parts, || {
        go_through(&wanted, Scene::new(Guest::boot(&parts, &package, None), &package))
    });
}

/// Does `work` where there is no network, in a thread of its own, because it stays there.
fn in_empty_network(parts: &Path, work: impl FnOnce() + Send) {
    let there = || {
        network::enter_empty(&parts.join("busybox"));
        work();
    };
    thread::scope(|scope| scope.spawn(there).join()).unwrap();
}

/// What `tests/run` made: a directory with the parts of the machine, and the package.
fn built() -> Option<(PathBuf, PathBuf)> {
    let parts = env::var_os("TOKENKEEPER_TEST_MACHINE")?;
    let package = env::var_os("TOKENKEEPER_TEST_PACKAGE")?;
    Some((parts.into(), package.into()))
}

/// Puts the machine through the cases whose names contain `wanted`.
fn go_through(wanted: &str, mut scene: Scene) {
    let cases = CASES.iter().filter(|case| case.what.contains(wanted)).collect::<Vec<_>>();
    assert!(!cases.is_empty(), "no case is named like {wanted:?}");
    let mut failed = Vec::new();
    for Case { what, put } in cases {
        let begin = Instant::now();
        // One that fails says so, and the others are tried all the same.
        let outcome = catch_unwind(AssertUnwindSafe(|| put(&mut scene)));
        let ended = if outcome.is_ok() { "passed" } else { "FAILED" };
        eprintln!("{:4.0} s: {ended}: {what}", begin.elapsed().as_secs_f32());
        if outcome.is_err() {
            failed.push(*what);
        }
    }
    assert_eq!(failed, Vec::<&str>::new());
    for (account, totals) in scene.idp.all_totals() {
        assert_eq!(totals.reuses, 0, "{account}: {totals:?}");
        assert!(totals.max_requests_in_60s <= 5, "a storm for {account}: {totals:?}");
    }
}

/// The token of `long` is good for an hour, so nothing but a step of the clock can be a reason to
/// refresh it. That of `brief` is refreshed as it becomes due, by the clock that nobody sets.
fn clock_set(scene: &mut Scene) {
    scene.account("long", &json!({ "lifetime_secs": 3600, "rotation": {} }), "");
    scene.account("brief", &json!({ "lifetime_secs": LIFETIME.as_secs(), "rotation": {} }), "");
    scene.watch("long brief");

    // Both tokens have expired by the wall clock.
    let brief = scene.requests("brief");
    scene.set_clock("$(date +%s) + 3600");
    let refreshed = Instant::now();
    scene.recovers("long", 2);
    scene.recovers("brief", brief + 1);

    // By the other clock nothing has changed, so the next refresh comes in its own time.
    scene.set_clock("$(date +%s) - 3600");
    scene.recovers("brief", brief + 2);
    let pause = refreshed.elapsed();
    assert!(pause > LIFETIME / 2, "{pause:?} is early: the step is no reason to refresh");
    scene.recovers("long", 2);

    scene.set_clock("$(date +%s) + 2 * 86400");
    scene.recovers("long", 3);
    scene.recovers("brief", brief + 3);

    // The second day of 1970: the kernel does not take a time before its own boot. A token from then has
    // long expired when the clock is set right, and one from two days ahead has not.
    scene.set_clock("86400");
    scene.recovers("brief", brief + 4);
    scene.recovers("long", 3);
    scene.set_clock_right();
    scene.recovers("brief", brief + 5);
    scene.recovers("long", 3);
    scene.watched();
}

/// The hardware clock wakes the machine. The wall clock was set back in time, so by it the token has an hour
/// to go: only the clock that counts time asleep tells that it has expired.
fn sleep(scene: &mut Scene) {
    scene.account("lid", &json!({ "lifetime_secs": LIFETIME.as_secs(), "rotation": {} }), "");
    scene.account("night", &json!({ "lifetime_secs": 3600, "rotation": {} }), "");
    let asleep = scene.token("lid");
    scene.set_clock("$(date +%s) - 3600");
    let steps = scene.steps();
    scene.watch("lid night");

    let alarm = "/sys/class/rtc/rtc0/wakealarm";
    let seconds = ABSENCE.as_secs();
    scene.guest.does(&format!("echo +{seconds} >{alarm} && echo mem >/sys/power/state"));

    let awake = scene.recovers("lid", 2);
    assert_ne!(awake.token, asleep.token);
    assert!(!scene.idp.accepts("lid", &asleep.token), "it slept for longer than that");
    scene.recovers("night", 1);
    scene.notices_more_than(steps);
    scene.watched();
    scene.set_clock_right();
}

/// The provider has granted, and answers when the machine is awake again. By then the token has expired.
/// The refresh token that came with it is good, and must not be lost.
fn sleep_in_flight(scene: &mut Scene) {
    let rotation = json!({ "grace_secs": 600 });
    let behaviour = json!({ "lifetime_secs": LIFETIME.as_secs(), "rotation": rotation });
    scene.account("flight", &behaviour, "rotation = \"10m\"\n");
    scene.watch("flight");
    scene.idp.hold("flight", true);
    scene.begin_refresh("flight");
    scene.idp.wait("flight", "held=1");

    scene.guest.begin("echo mem >/sys/power/state");
    scene.guest.tells("SUSPEND");
    let_pass(ABSENCE);
    scene.guest.order("system_wakeup");
    scene.guest.ended();
    scene.idp.release("flight");

    scene.recovers("flight", 3);
    assert_eq!(scene.idp.totals("flight").replays, 0, "the reply was waited for");
    scene.watched();
}

/// Neither clock of a machine goes on while it stands still, so it hands out what it must take for good,
/// until somebody sets its clock: a time daemon, or whoever resumed it.
fn standstill(scene: &mut Scene) {
    scene.account("frozen", &json!({ "lifetime_secs": LIFETIME.as_secs(), "rotation": {} }), "");
    let before = scene.token("frozen");
    scene.watch("frozen");

    scene.guest.order("stop");
    let_pass(ABSENCE);
    scene.guest.order("cont");
    assert_eq!(scene.token("frozen").token, before.token);
    assert!(!scene.idp.accepts("frozen", &before.token), "it stood still for longer than that");

    scene.set_clock_right();
    let after = scene.recovers("frozen", 2);
    assert_ne!(after.token, before.token);
    scene.watched();
}

/// The provider has granted and rotated when the power goes. What the store knows of the attempt is all
/// that is left of it.
fn power_cut(scene: &mut Scene) {
    scene.account("rest", &json!({ "lifetime_secs": 3600, "rotation": {} }), "");
    scene.recovers("rest", 1);
    let behaviour = json!({ "lifetime_secs": 3600, "rotation": { "grace_secs": 600 } });
    scene.account("cut", &behaviour, "rotation = \"10m\"\n");
    scene.idp.hold("cut", true);
    scene.begin_refresh("cut");
    scene.idp.wait("cut", "held=1");

    scene.guest.cut_power();
    scene.idp.release("cut");

    scene.idp.wait("cut", "replays=1");
    scene.watch("cut");
    scene.recovers("cut", 3);
    scene.watched();
    // What was at rest meanwhile is as it was.
    scene.recovers("rest", 1);
}

/// Before Linux 6.5 a peer is the number of its process, which may be another's by the time that systemd
/// is asked about it. A rule by unit holds there only with the user, whom the number is not asked for.
fn old_kernel(scene: &mut Scene) {
    let release = scene.guest.does("uname --kernel-release");
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    let old = (numbers.next(), numbers.next()) < (Some(6), Some(5));
    scene.guest.does("useradd alice");
    let unit = r#"allow = [{ unit = "reader.service" }]"#;
    scene.account("unit", &json!({}), &format!("{unit}\n"));
    let both = r#"allow = [{ unit = "reader.service", user = "alice" }]"#;
    scene.account("both", &json!({}), &format!("{both}\n"));

    let mut ask = |unit: &str, account: &str| {
        let run = format!("systemd-run --quiet --collect --wait --uid=alice --unit={unit}");
        scene.guest.does(&format!("{run} tokenctl --system get {account} && echo given || echo $?"))
    };
    assert_eq!(ask("reader", "both"), "given");
    assert_eq!(ask("other", "both"), "77");
    assert_eq!(ask("reader", "unit"), if old { "77" } else { "given" });
    assert_eq!(ask("other", "unit"), "77");
    let doctor = scene.guest.does("tokenctl doctor || true");
    assert_eq!(doctor.contains("or run Linux 6.5 or later"), old, "{doctor}");
}
