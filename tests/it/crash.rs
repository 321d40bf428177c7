//! Daemons are killed again and again, at random moments, while hundreds of accounts refresh.
//!
//! What an account is lost by, and which moments there are, [`herd`] says; not one may be lost. [`lives`]
//! is when there was a daemon, and what the last ones logged.
//! `TOKENKEEPER_TEST_KILLS` says how often they are killed, over all of them,
//! `TOKENKEEPER_TEST_DAEMONS` how many there are, and `TOKENKEEPER_TEST_SEED` repeats the choice of
//! moments.
//!
//! No storm of kills is survived whatever it does: an account makes at most ten requests a minute, and
//! where one kill cuts an exchange, and others each replay of it for as long as the grace lasts, it is
//! lost. So more kills come from more daemons, and not from shorter lives. An account makes about three
//! requests a minute by itself, and a kill falls on an exchange of it once. One replay in ten is
//! cut again, so that all that a grace has room for are as good as never.

pub(crate) mod herd;
mod lives;

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::os::unix::process::ExitStatusExt as _;
use std::thread;

use rustix::process::Signal;

use self::herd::Herd;
use self::herd::Tally;
use crate::support::chance::Chance;
use crate::support::daemon::Daemon;
use crate::support::number_from_environment;
use crate::support::own_name;

/// Daemons side by side, each with a provider of its own. They wait more than they work.
const DAEMONS: u64 = 16;

/// How many accounts each has, each with a client of its own: over 500 in all.
const ACCOUNTS: usize = 36;

/// How often they are killed, all together, unless the environment says otherwise.
const KILLS: u64 = 1_000;

#[test]
fn no_kill_costs_an_account() {
    let kills = number_from_environment("TOKENKEEPER_TEST_KILLS", KILLS);
    let daemons = number_from_environment("TOKENKEEPER_TEST_DAEMONS", DAEMONS);
    let seed = number_from_environment("TOKENKEEPER_TEST_SEED", RandomState::new().hash_one(0));
    eprintln!("TOKENKEEPER_TEST_SEED={seed} TOKENKEEPER_TEST_KILLS={kills}");
    let tallies = side_by_side(daemons, seed, |mut chance| {
        let mut herd = Herd::new(ACCOUNTS, |_| true).unwrap();
        herd.survives(kills.div_ceil(daemons), &mut chance, was_killed);
        herd.recovers()
    });
    tallies.into_iter().fold(Tally::default(), Tally::and).check(15);
}

/// So many campaigns at the same time, each with chances of its own.
pub(crate) fn side_by_side<T: Send>(
    campaigns: u64,
    seed: u64,
    campaign: impl Fn(Chance) -> T + Sync,
) -> Vec<T> {
    let campaign = &campaign;
    let name = own_name().unwrap_or_default();
    thread::scope(|scope| {
        let begin = |number| {
            let thread = thread::Builder::new().name(name.clone());
            thread.spawn_scoped(scope, move || campaign(Chance(seed ^ number))).unwrap()
        };
        let begun = (0..campaigns).map(begin).collect::<Vec<_>>();
        begun.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

/// Kills it; false if it had ended as it was told to.
fn was_killed(daemon: &mut Daemon) -> bool {
    let status = daemon.kill();
    let killed = status.signal() == Some(Signal::KILL.as_raw());
    assert!(killed || status.success(), "{status}\n{}", daemon.log());
    killed
}
