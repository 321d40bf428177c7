//! The window in which a kill costs an account whose provider forgives no spent token: from the sending
//! of a request to the writing of its reply.
//!
//! Which side of it a kill falls on is read from what strace wrote down of both threads in that life,
//! and not from the name of the call: the same calls are made before the request, for the intent.

use std::fs;

use super::CONNECTION;
use super::KILL;
use super::POLL;
use super::SEND;
use super::Thread;
use super::Trials;
use super::acts;
use super::blow::Ambush;
use super::blow::Point;
use super::calls_during;
use super::each;
use super::id;
use super::record::calls_of;
use super::record_of;
use super::scene;
use super::scene::Before;
use super::scene::Provider;
use super::scene::Scene;
use super::watched;

/// Both threads that a refresh is the work of.
const BOTH: [Thread; 2] = [Thread::Store, Thread::Act];

/// How many refreshes are measured, each of a daemon of its own.
const MEASURED: usize = 12;

/// Where a life had come to when it ended.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Place {
    /// Its request was not sent.
    BeforeTheSend,
    /// Its request was sent, and the reply not synced.
    Window,
    /// What the reply brought was synced.
    Kept,
}

#[test]
fn without_a_grace_only_a_kill_between_the_request_and_the_writing_of_its_reply_loses_an_account() {
    let Some(mut scene) = scene(Provider::Strict) else { return };
    let mut kills = Vec::new();
    let mut trials = Trials::default();
    for thread in BOTH {
        let calls = calls_during(&mut scene, Before::AtRest, thread);
        trials = trials.and(each(&calls, KILL, 1, |point| {
            let Some((place, is_lost)) = killed(&mut scene, thread, point) else { return false };
            kills.push((place, is_lost, format!("{} {} of {thread:?}", point.call, point.count)));
            true
        }));
    }
    let at = |wanted| kills.iter().filter(move |(place, ..)| *place == wanted).count();
    let places = [Place::BeforeTheSend, Place::Window, Place::Kept].map(|it| (it, at(it)));
    let lost = kills.iter().filter(|(_, is_lost, _)| *is_lost).collect::<Vec<_>>();
    eprintln!("{trials:?}, {places:?}, {} of which lost the account: {lost:?}", lost.len());
    trials.check(25);
    assert!(places.iter().all(|(_, kills)| *kills > 0), "no kill on one side of it: {places:?}");
    assert!(lost.iter().all(|(place, ..)| *place == Place::Window), "{lost:?}");
    assert!(!lost.is_empty(), "the provider rotates, and forgives nothing");
}

/// Its figures are for people: how long a host takes is no promise. That nothing comes of a reply
/// before it is synced is one.
#[test]
fn the_window_from_a_reply_to_the_end_of_its_sync_is_measured() {
    let Some(mut scene) = scene(Provider::Strict) else { return };
    let mut windows_us = (0..MEASURED).map(|_| measured(&mut scene)).collect::<Vec<_>>();
    windows_us.sort_unstable();
    let [least, median, most] = [0, MEASURED / 2, MEASURED - 1].map(|at| windows_us[at]);
    eprintln!(
        "from the last byte of a reply to the end of its sync, under strace, in microseconds: \
         {least} at the least, {median} in the middle, {most} at the most of {MEASURED}"
    );
}

/// Where a kill fell and whether the account is lost by it; `None` if there was no such call this time.
fn killed(scene: &mut Scene, thread: Thread, point: Point<'_>) -> Option<(Place, bool)> {
    let requests = scene.set(Before::AtRest);
    scene.daemon.begin();
    let ambushes = BOTH.map(|it| ambush(scene, it, (it == thread).then_some(point)));
    let was_killed = acts(scene, Before::AtRest, POLL).is_err();
    if was_killed {
        scene.daemon.ended();
    } else {
        scene.daemon.kill();
    }
    ambushes.into_iter().for_each(Ambush::ends);
    if !was_killed {
        return None;
    }
    scene.check_remains(requests, &format!("{point:?} of {thread:?}"));
    Some((place(scene), scene.is_lost()))
}

/// How long one refresh takes from the last byte of the reply to the end of its sync, in microseconds.
fn measured(scene: &mut Scene) -> u64 {
    scene.set(Before::AtRest);
    scene.daemon.begin();
    let ambushes = BOTH.map(|it| ambush(scene, it, None));
    assert_eq!(acts(scene, Before::AtRest, POLL).unwrap().status, 200);
    scene.daemon.kill();
    ambushes.into_iter().for_each(Ambush::ends);
    let record = recorded(scene, Thread::Act);
    let came = calls_of(&record).filter(|call| call.name == "recvfrom");
    let came = came.filter_map(|call| call.ended.filter(|(length, _)| *length > 0)).last();
    let (_, came_us) = came.unwrap_or_else(|| panic!("no reply of {CONNECTION}: {record}"));
    let synced_us = synced_after(scene, came_us);
    synced_us.expect("whoever asked was answered, so the reply is synced") - came_us
}

/// Where a life that is over had come to.
fn place(scene: &Scene) -> Place {
    let record = recorded(scene, Thread::Act);
    let sent = calls_of(&record).find(|call| call.name == SEND).and_then(|call| call.ended);
    match sent {
        Some((length, sent_us)) if length > 0 => {
            synced_after(scene, sent_us).map_or(Place::Window, |_| Place::Kept)
        }
        Some(_) | None => Place::BeforeTheSend,
    }
}

/// When the first sync that began after that moment had succeeded.
fn synced_after(scene: &Scene, moment_us: u64) -> Option<u64> {
    let record = recorded(scene, Thread::Store);
    let mut syncs = calls_of(&record).filter(|call| matches!(call.name, "fsync" | "fdatasync"));
    syncs.find_map(|call| match call.ended {
        Some((0, ended_us)) if call.begun_us > moment_us => Some(ended_us),
        _ => None,
    })
}

fn ambush(scene: &Scene, thread: Thread, point: Option<Point<'_>>) -> Ambush {
    watched(scene, thread).ambush(id(scene, thread), point)
}

fn recorded(scene: &Scene, thread: Thread) -> String {
    fs::read_to_string(record_of(scene, thread)).unwrap()
}
