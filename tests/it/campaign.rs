//! The daemon is struck at one system call after the other: killed, or told that the disk or the
//! network failed.
//!
//! Every call that a refresh, a replay after a lost reply, a start, or the rewrite of the database that
//! follows an I/O error makes on the state directory, and on the connection to the provider, has its
//! turn; which there are is written down first. What must hold after each: what is on disk is whole
//! and tells of every refresh token that was sent; and the account becomes well by itself, after a
//! restart where the process ended. Not one account may be lost, and nothing may hang.
//!
//! `TOKENKEEPER_TEST_EVERY` says that only every so manieth blow is dealt where there are many; those
//! to a refresh, and kills during a replay, are never left out.
//!
//! # Reading order
//!
//! `blow` is what befalls a call, `record` what strace wrote down; `scene` is the account, and what is
//! checked of it. `window` is about providers that forgive nothing, `cuts` about power cuts, `places`
//! about state directories that are moved, removed, or older than they were.

mod blow;
mod cuts;
mod places;
mod record;
mod scene;
mod window;

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use self::blow::Blow;
use self::blow::Point;
use self::blow::Watched;
use self::scene::Before;
use self::scene::Provider;
use self::scene::Scene;
use self::scene::Started;
use crate::support::http::Reply;
use crate::support::http::Request;
use crate::support::http::receive;
use crate::support::number_from_environment;
use crate::support::skipped;

const KILL: &[Blow] = &[Blow::Kill];

/// What a disk says.
const DISK: &[Blow] =
    &[Blow::Once("EIO"), Blow::Once("ENOSPC"), Blow::FromThenOn("EIO"), Blow::FromThenOn("ENOSPC")];

/// What a network says.
const NETWORK: &[Blow] = &[Blow::Once("ECONNRESET"), Blow::Once("EIO")];

/// The threads that are struck.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Thread {
    /// It writes what is to be durable.
    Store,
    /// The same, once the first call of this name has failed: it writes all of it into a fresh
    /// database, and goes on with that.
    StoreAfter(&'static str),
    /// It speaks with the provider.
    Act,
}

/// What the thread that acts does with its connection to the provider.
const CONNECTION: &str = "%network,writev";

/// The one of those calls by which a request is sent.
const SEND: &str = "writev";

/// Waits for a token other than the one that is held, and not for long where a replay cannot succeed.
const POLL: &str = "/v1/accounts/mail/token?wait=60";
const POLL_IN_VAIN: &str = "/v1/accounts/mail/token?wait=3";
const HELD: &[(&str, &str)] = &[("if-none-match", "\"access-1\"")];

/// Every so manieth blow is dealt where there are many, unless the environment says otherwise.
const EVERY: u64 = 10;

/// Which calls of each name there are to strike.
type Calls = BTreeMap<String, RangeInclusive<u32>>;

/// What came of many trials.
#[derive(Clone, Copy, Debug, Default)]
struct Trials {
    struck: u32,
    /// The call was not made this time.
    missed: u32,
}

#[test]
fn a_kill_at_any_call_of_a_refresh_costs_nothing() {
    during(Before::AtRest, KILL, KILL, 1, 25);
}

#[test]
fn a_kill_at_any_call_of_a_replay_costs_nothing() {
    during(Before::InDoubtAndPaused, KILL, KILL, 1, 25);
}

#[test]
fn an_error_of_any_call_of_a_refresh_costs_nothing() {
    during(Before::AtRest, DISK, NETWORK, 1, 80);
}

#[test]
fn an_error_of_any_call_of_a_replay_costs_nothing() {
    during(Before::InDoubtAndPaused, DISK, NETWORK, every(), 8);
}

/// The kill is followed by another one in the start after it.
#[test]
fn kills_in_the_rewrite_after_an_io_error_and_in_the_start_after_that_cost_nothing() {
    during_a_rewrite(KILL, 8);
}

#[test]
fn an_error_of_any_call_of_the_rewrite_after_an_io_error_costs_nothing() {
    during_a_rewrite(DISK, 30);
}

#[test]
fn a_kill_at_any_call_of_a_start_costs_nothing() {
    for before in [Before::Nothing, Before::AtRest, Before::InDoubt] {
        at_start(before, KILL, 6);
    }
}

#[test]
fn an_error_of_any_call_of_a_start_costs_nothing() {
    for before in [Before::Nothing, Before::AtRest, Before::InDoubt] {
        at_start(before, DISK, 24);
    }
}

/// Strikes the thread of the store, and then the one that acts, while a running daemon refreshes.
fn during(before: Before, disk: &[Blow], network: &[Blow], every: usize, least: u32) {
    let Some(mut scene) = scene(Provider::Forgiving) else { return };
    let mut trials = Trials::default();
    for (thread, blows) in [(Thread::Store, disk), (Thread::Act, network)] {
        let calls = calls_during(&mut scene, before, thread);
        let strike = |point: Point<'_>| strike(&mut scene, before, thread, point);
        trials = trials.and(each(&calls, blows, every, strike));
    }
    eprintln!("{trials:?}, {before:?}");
    trials.check(least);
}

/// Strikes the thread of the store while it makes up for an I/O error of a refresh.
fn during_a_rewrite(blows: &[Blow], least: u32) {
    let Some(mut scene) = scene(Provider::Forgiving) else { return };
    let mut trials = Trials::default();
    // strace strikes calls of one name in one way, so each is the one that fails while the other is struck.
    for fault in ["pwrite64", "fsync"] {
        let thread = Thread::StoreAfter(fault);
        let mut calls = calls_during(&mut scene, Before::AtRest, thread);
        calls.remove(fault);
        let strike = |point: Point<'_>| strike(&mut scene, Before::AtRest, thread, point);
        trials = trials.and(each(&calls, blows, every(), strike));
    }
    eprintln!("{trials:?} during a rewrite");
    trials.check(least);
}

/// Strikes what a start does with the state directory.
fn at_start(before: Before, blows: &[Blow], least: u32) {
    let Some(mut scene) = scene(Provider::Forgiving) else { return };
    scene.set(before);
    let watched = watched(&scene, Thread::Store);
    assert!(matches!(scene.starts_under(&watched, None), Started::Ready));
    scene.daemon.kill();
    let calls = watched.made();
    let trials = each(&calls, blows, every(), |point| strike_start(&mut scene, before, point));
    eprintln!("{trials:?} at a start, {before:?}");
    trials.check(least);
}

/// The calls that a thread makes where nothing strikes it.
fn calls_during(scene: &mut Scene, before: Before, thread: Thread) -> Calls {
    scene.set(before);
    scene.daemon.begin();
    let watched = watched(scene, thread);
    let ambush = watched.ambush(id(scene, thread), None);
    assert_eq!(acts(scene, before, POLL).unwrap().status, 200);
    scene.daemon.kill();
    ambush.ends();
    let made = watched.made();
    // A blow that falls on every call but the one that sends tells nothing of what matters most.
    let is_sent = matches!(thread, Thread::Act).then(|| made.contains_key(SEND));
    assert_ne!(is_sent, Some(false), "the request is sent by another call than {SEND}: {made:?}");
    made
}

/// Deals every so manieth of these blows to these calls.
fn each(
    calls: &Calls,
    blows: &[Blow],
    every: usize,
    mut strike: impl FnMut(Point<'_>) -> bool,
) -> Trials {
    let all =
        calls.iter().flat_map(|(call, counts)| counts.clone().map(move |count| (call, count)));
    let dealt = |blow: &Blow| {
        let blow = *blow;
        all.clone().map(move |(call, count)| Point { call, count, blow })
    };
    let points = blows.iter().flat_map(dealt);
    let mut trials = Trials::default();
    for point in points.step_by(every) {
        if strike(point) {
            trials.struck += 1;
        } else {
            trials.missed += 1;
        }
    }
    trials
}

impl Trials {
    const fn and(self, other: Self) -> Self {
        Self { struck: self.struck + other.struck, missed: self.missed + other.missed }
    }

    /// Nearly all calls that were written down are made each time.
    fn check(self, least: u32) {
        assert!(self.struck >= least && self.missed * 10 <= self.struck, "{self:?}, not {least}");
    }
}

/// One trial with a daemon that runs. Tells whether there was such a call.
fn strike(scene: &mut Scene, before: Before, thread: Thread, point: Point<'_>) -> bool {
    let when = format!("{point:?} of {thread:?}, {before:?}");
    let requests = scene.set(before);
    scene.daemon.begin();
    let watched = watched(scene, thread);
    let ambush = watched.ambush(id(scene, thread), Some(point));
    let lasts = matches!(point.blow, Blow::FromThenOn(_));
    let answer = acts(scene, before, if lasts { POLL_IN_VAIN } else { POLL });
    let was_killed = point.blow == Blow::Kill && answer.is_err();
    assert!(was_killed || answer.is_ok(), "{when}: {answer:?}\n{}", scene.daemon.log());
    let struck = was_killed || watched.struck();
    if was_killed {
        scene.daemon.ended();
    } else if struck && !lasts {
        scene.check_well(&when);
        scene.daemon.stop();
    } else {
        scene.daemon.kill();
    }
    ambush.ends();
    if struck {
        scene.check_remains(requests, &when);
        if was_killed && matches!(thread, Thread::StoreAfter(_)) {
            start_is_killed(scene, point);
            scene.check_remains(requests, &when);
        }
        scene.daemon.begin();
        resume_where_that_was_lost(scene);
        scene.check_well(&when);
        scene.daemon.kill();
    }
    struck
}

/// Kills a start at one of the first calls of that name, or when it is ready.
fn start_is_killed(scene: &mut Scene, point: Point<'_>) {
    const FIRST: u32 = 4;

    let again = Point { count: 1 + point.count % FIRST, ..point };
    if let Started::Ready = scene.starts_under(&watched(scene, Thread::Store), Some(again)) {
        scene.daemon.kill();
    }
}

/// Has the daemon refresh, or replay, and waits for what comes of it.
fn acts(scene: &Scene, before: Before, poll: &str) -> io::Result<Reply> {
    receive(match before {
        Before::InDoubtAndPaused => {
            let polling = scene.daemon.begin_to(Request { headers: HELD, ..Request::get(poll) });
            let order = Request { method: "POST", ..Request::get("/v1/accounts/mail/resume") };
            // A kill ends the connection without an answer.
            drop(receive(scene.daemon.begin_to(order)));
            polling
        }
        Before::Nothing | Before::AtRest | Before::InDoubt => scene.daemon.begin_refresh("mail"),
    })
}

/// One trial with a daemon that starts. Tells whether there was such a call.
fn strike_start(scene: &mut Scene, before: Before, point: Point<'_>) -> bool {
    let when = format!("{point:?} of a start, {before:?}");
    let requests = scene.set(before);
    let watched = watched(scene, Thread::Store);
    let struck = match scene.starts_under(&watched, Some(point)) {
        Started::Ended(status) => {
            assert!(!status.success(), "{when}: {status}");
            true
        }
        Started::Ready => {
            scene.daemon.kill();
            watched.struck()
        }
    };
    if !struck {
        return false;
    }
    if before == Before::Nothing {
        scene.daemon.begin();
        scene.daemon.import("mail", &scene.idp.mint("mail"));
    } else {
        scene.check_remains(requests, &when);
        scene.daemon.begin();
    }
    scene.check_well(&when);
    scene.daemon.kill();
    true
}

/// An operator whose order was not answered gives it again.
fn resume_where_that_was_lost(scene: &Scene) {
    if scene.daemon.account("mail").paused {
        assert_eq!(scene.daemon.order("mail", "resume").status, 200);
    }
}

/// What is watched of a thread, in a new record.
fn watched(scene: &Scene, thread: Thread) -> Watched {
    let record = record_of(scene, thread);
    drop(std::fs::remove_file(&record));
    let fault = match thread {
        Thread::StoreAfter(fault) => Some(fault),
        Thread::Store | Thread::Act => None,
    };
    match thread {
        Thread::Store | Thread::StoreAfter(_) => {
            Watched { calls: "all", paths: scene.state_files(), fault, record }
        }
        Thread::Act => Watched { calls: CONNECTION, paths: Vec::new(), fault, record },
    }
}

/// Where strace writes what it sees of a thread.
fn record_of(scene: &Scene, thread: Thread) -> PathBuf {
    scene.daemon.path(match thread {
        Thread::Store | Thread::StoreAfter(_) => "strace.store",
        Thread::Act => "strace.act",
    })
}

fn id(scene: &Scene, thread: Thread) -> u32 {
    match thread {
        Thread::Store | Thread::StoreAfter(_) => scene.thread("store"),
        Thread::Act => scene.daemon.id(),
    }
}

/// `None` where nothing can be struck: whoever may attach to a process that is not dumpable is root.
fn scene(provider: Provider) -> Option<Scene> {
    if !rustix::process::geteuid().is_root() {
        skipped("only root may strike a process at its system calls");
        return None;
    }
    if !blow::is_possible() {
        skipped("no strace, which strikes at a system call");
        return None;
    }
    Some(Scene::new(provider))
}

fn every() -> usize {
    usize::try_from(number_from_environment("TOKENKEEPER_TEST_EVERY", EVERY)).unwrap()
}
