//! Daemons are killed again and again, at random moments, while hundreds of accounts refresh.
//!
//! The provider rotates at every use and forgives a spent token for 30 s. An account is lost if it
//! is not fresh in the end without anybody's help; not one may be.
//!
//! The moments are chances of time, soon after each start, so that they fall on every step of a
//! refresh as often as the step takes. `TOKENKEEPER_TEST_KILLS` says how often, over all daemons, and
//! `TOKENKEEPER_TEST_SEED` repeats the choice. An account makes about two requests a minute by
//! itself: with the budget of ten, a storm of kills that hit it more often than that again would
//! make its replays wait past the grace, which is another campaign's question.

pub(crate) mod herd;

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::thread;
use std::time::Duration;

use self::herd::Herd;
use self::herd::Tally;
use crate::support::daemon::Daemon;
use crate::support::number_from_environment;
use crate::support::process::let_pass;

/// Daemons side by side, each with a provider of its own. They wait more than they work.
const DAEMONS: u64 = 12;

/// How many accounts each has, each with a client of its own: over 500 in all.
const ACCOUNTS: usize = 42;

/// How often they are killed, all together, unless the environment says otherwise.
const KILLS: u64 = 1_000;

/// The shortest and the longest life after a start, in milliseconds.
const LIVES: (u64, u64) = (200, 1_400);

#[test]
fn no_kill_costs_an_account() {
    let kills = number_from_environment("TOKENKEEPER_TEST_KILLS", KILLS);
    let seed = number_from_environment("TOKENKEEPER_TEST_SEED", RandomState::new().hash_one(0));
    eprintln!("TOKENKEEPER_TEST_SEED={seed} TOKENKEEPER_TEST_KILLS={kills}");
    let tally = thread::scope(|scope| {
        let campaign = |number| move || campaign(kills.div_ceil(DAEMONS), Chance(seed ^ number));
        let campaigns = (0..DAEMONS).map(|number| scope.spawn(campaign(number)));
        let campaigns = campaigns.collect::<Vec<_>>();
        campaigns.into_iter().map(|it| it.join().unwrap()).fold(Tally::default(), Tally::and)
    });
    tally.check(15);
}

/// What becomes of one daemon.
fn campaign(kills: u64, mut chance: Chance) -> Tally {
    let mut herd = Herd::new(ACCOUNTS, |_| true).unwrap();
    let (shortest, longest) = LIVES;
    for _ in 0..kills {
        let_pass(Duration::from_millis(shortest + chance.below(longest - shortest)));
        herd.survives(Daemon::kill);
    }
    herd.recovers()
}

/// Splitmix64: numbers that a seed repeats.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
