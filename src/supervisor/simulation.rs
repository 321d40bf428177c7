//! The deterministic world: years of a host in seconds, around the very supervisor that ships.
//!
//! A seed decides everything: which accounts there are, what their providers do with refresh
//! tokens, what goes wrong and when. No real time passes and nothing is shared between worlds, so
//! a world that ends badly ends so again. What it prints then is the command that plays it once
//! more, and the last steps that led there.
//!
//! # Reading order
//!
//! 1. `play`: one world, from event to event; `agenda`: what the events are.
//! 2. `cast`: the accounts; `service`: what is true of their tokens; `reply`: what providers answer.
//! 3. `faults`: what goes wrong; `host`: what befalls the host, and what people and programs do.
//! 4. `scene`: what the supervisor is given for a world; `disk`, `clocks`: parts of it.
//! 5. `witness`, `served`: what must hold; `pairs`: what was seen of the lifecycle.
//!
//! # What must hold
//!
//! * No token is served at or after its end by either clock, nor one that is neither on disk nor
//!   said to be unsaved.
//! * One request of an account at a time, at most ten in any minute, and none before the provider
//!   wants one.
//! * No refresh token is spent without a durable intent, and none twice but as a replay.
//! * No write erases a refresh token, but for an order to forget it.
//! * With a grace of 10 s or more no rotated refresh token is lost, unless something kept the host
//!   from asking again for most of that time. Without a grace, none is that had reached the host.
//! * A failure is told to those who follow within a second, and what is to be told once is.
//! * A login that goes on is not given up, unless it was refused four times in a row.
//! * Once all is well, every account has a token again: in 20 minutes where nobody has to do
//!   anything, and with what a person does otherwise.

mod agenda;
mod cast;
mod chance;
mod clocks;
mod disk;
mod faults;
mod host;
mod pairs;
mod play;
mod reply;
mod scene;
mod served;
mod service;
mod trace;
mod witness;

use std::time::Duration;

use self::cast::Part;
use self::chance::Chance;
use self::pairs::Pairs;
use self::play::Play;
use self::scene::Scene;
use self::trace::Trace;
use self::witness::Counts;
use self::witness::Witness;

/// Worlds of a run, unless the environment says otherwise.
const WORLDS: u64 = 25;

/// How long a world lasts.
const WORLD: Duration = Duration::from_secs(60 * 86_400);

/// A year, for sums.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

#[test]
fn whatever_goes_wrong_no_promise_is_broken() {
    let first = number_from_environment("TOKENKEEPER_TEST_SEED");
    let worlds = number_from_environment("TOKENKEEPER_TEST_WORLDS");
    let worlds = worlds.unwrap_or(if first.is_some() { 1 } else { WORLDS });
    let first = first.unwrap_or(1);
    let (mut pairs, mut years, mut sum) = (Pairs::default(), 0.0, Counts::default());
    for seed in first..first + worlds {
        let world = world(seed, Trace::default());
        if world.violation.is_some() {
            let again = self::world(seed, Trace::kept());
            panic!("{}", again.told(seed));
        }
        pairs.add(&world.pairs);
        years += world.years;
        sum.add(world.counts);
    }
    println!("{years:.1} account-years in {worlds} worlds: {sum:?}");
    println!("{pairs}");
    assert_eq!(pairs.impossible(), []);
}

/// What came of a world.
struct End {
    violation: Option<String>,
    trace: String,
    pairs: Pairs,
    years: f64,
    counts: Counts,
    faults: String,
}

impl End {
    fn told(&self, seed: u64) -> String {
        let violation = self.violation.as_deref().unwrap_or("it went well the second time");
        format!(
            "\n{}\nworld {seed}, with {}: {violation}\n\nAgain:\n    TOKENKEEPER_TEST_SEED={seed} \
             cargo test --lib simulation::whatever_goes_wrong_no_promise_is_broken\n",
            self.trace, self.faults
        )
    }
}

/// Plays the world of a seed.
fn world(seed: u64, trace: Trace) -> End {
    let mut chance = Chance::of(seed);
    let count = 2 + usize::try_from(chance.below(7)).unwrap();
    let cast = (0..count).map(|index| Part::drawn(index, &mut chance)).collect();
    let scene = Scene::new(Chance::of(!seed), cast, Witness::new(trace));
    let faults = format!("{:?}", scene.weather.possible());
    let mut play = Play::new(scene, chance);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(play.run(WORLD));
    let scene = play.outside.scene();
    let accounts = f64::from(u32::try_from(count).unwrap());
    let violation = scene.witness.violation();
    let whose = violation.and_then(|it| it.split(':').next()).unwrap_or_default();
    End {
        trace: scene.witness.trace.about(whose),
        violation: violation.map(str::to_owned),
        years: accounts * WORLD.as_secs_f64() / YEAR.as_secs_f64(),
        counts: scene.witness.counts,
        faults,
        pairs: std::mem::take(&mut play.pairs),
    }
}

fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}
