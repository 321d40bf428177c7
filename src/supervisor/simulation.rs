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
//! 3. `faults`: what goes wrong; `host`: what befalls the host; `people`: what people and programs
//!    do; `recovery`: all is well again, for a while.
//! 4. `scene`: what the supervisor is given for a world; `disk`, `clocks`: parts of it.
//! 5. `drill`: a thousand accounts and a provider that refuses in error.
//! 6. `witness`: what must hold, of requests (`life`), of what is heard (`heard`), told (`told`)
//!    and handed out (`served`), and of what is lost (`lost`); `pairs`: what was seen of the lifecycle.
//!
//! # How the years are made up
//!
//! A world is 60 days of two to eight accounts, in which a fault sets in at once and then every two
//! hours, for seconds or hours. Nearly all time goes into requests, so what an account-year costs depends on how
//! long its tokens live, and how many faults it meets hardly does: `cast` says which lifetimes there
//! are, and a run says how often each kind of fault was met.
//!
//! # What is excused
//!
//! Each excuse is as narrow as what it is about, is counted, and has a ceiling where enough years are
//! played: the time in which somebody else is recorded as whose an account is, and what is lost in spite of
//! its replays, by why.
//!
//! # What must hold
//!
//! * No token is served at or after its end by either clock, nor is one ever published that is neither
//!   on disk nor said to be unsaved.
//! * One request of an account at a time, at most ten in any minute, 240 in an hour where lifetimes
//!   are not odd, none before the provider wants one, and none for the sake of a token that is not
//!   the current one. What the provider wants is forgotten over a restart only where it was said of
//!   a credential that was handed in, where the failure that says so had not reached the disk, or
//!   where the wall clock was set since.
//! * No reply is waited for so long that it could not be asked for again inside the grace.
//! * No refresh token is spent without a durable intent, and none twice but as a replay; where a
//!   replay may kill the login, not of the account's own accord before its token is nearly spent.
//! * No write erases a refresh token, but for an order to forget it.
//! * With a grace of 10 s or more no rotated refresh token is lost unless each of the replays that are
//!   planned met something, or could not be made from when it was due until the next one was (`lost`).
//!   What is lost is counted by why, and has a ceiling. Without a grace, none is that had reached the
//!   host.
//! * A failure is told to those who follow within a second, and what is to be told once is.
//! * A login that goes on is not given up, unless it was refused four times in a row itself: what
//!   was said of a credential that was handed in beside it does not count.
//! * Once all is well, every account has a token again: in 20 minutes where nobody has to do
//!   anything, and with what a person does otherwise.

#[macro_use]
mod listed;

mod agenda;
mod cast;
mod chance;
mod clocks;
mod disk;
mod drill;
mod faults;
mod heard;
mod host;
mod life;
mod lost;
mod pairs;
mod people;
mod play;
mod recovery;
mod reply;
mod scene;
mod served;
mod service;
mod told;
mod trace;
mod witness;

use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::str::FromStr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use self::cast::Part;
use self::chance::Chance;
use self::faults::Met;
use self::pairs::Pairs;
use self::play::Play;
use self::scene::Scene;
use self::trace::Trace;
use self::witness::Counts;
use self::witness::Witness;

/// Account-years of a run, unless the environment says otherwise.
const YEARS: f64 = 15.0;

/// Account-years in which every pair of the lifecycle is seen that there is.
const ALL_PAIRS: f64 = 1_000.0;

/// Account-years in which what is excused keeps below its ceiling.
const ENOUGH: f64 = 100.0;

/// The largest share of all account-time in which an account may be recorded as somebody else's. Such
/// an account has a person see to it before it must be well.
const MOST_MISTAKEN: f64 = 0.005;

/// How long a world lasts.
const WORLD: Duration = Duration::from_secs(60 * 86_400);

/// A year, for sums.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// `TOKENKEEPER_TEST_SEED` is the first world, and the only one unless `TOKENKEEPER_TEST_YEARS` says
/// how many account-years are to be lived in it and those after it.
#[test]
fn whatever_goes_wrong_no_promise_is_broken() {
    let first = from_environment("TOKENKEEPER_TEST_SEED");
    let years = from_environment("TOKENKEEPER_TEST_YEARS");
    let years = years.unwrap_or(if first.is_some() { 0.0 } else { YEARS });
    let worlds = Worlds::of(first.unwrap_or(1), years);
    let run = worlds.play();
    if let Some(seed) = run.violated {
        panic!("{}", world(seed, Trace::kept()).told(seed));
    }
    println!("{:.1} account-years in {} worlds: {:?}", run.years, run.worlds, run.counts);
    println!("Lost, by why:{}", run.counts.lost);
    println!("Faults met:{}", run.met);
    println!("{}", run.pairs);
    assert_eq!(run.pairs.impossible(), []);
    let mistaken = run.counts.mistaken.as_secs_f64() / YEAR.as_secs_f64() / run.years;
    println!(
        "Of the time, {:.2} % is that of accounts recorded as somebody else's",
        100.0 * mistaken
    );
    if run.years >= ENOUGH {
        assert_eq!(run.met.missing(), []);
        assert_eq!(run.counts.lost.above_ceiling(run.years), []);
    }
    assert!(run.years < ENOUGH || mistaken < MOST_MISTAKEN, "{mistaken} of the time");
    if run.years >= ALL_PAIRS {
        assert_eq!(run.pairs.missing(), []);
    }
}

/// The worlds of a run: as many as it takes for so many account-years, and one at the least.
struct Worlds {
    next: AtomicU64,
    last: u64,
    /// The first world in which something did not hold, once there is one.
    violated: AtomicU64,
}

impl Worlds {
    fn of(first: u64, years: f64) -> Self {
        let mut last = first;
        let mut lived = years_of(count_of(&mut Chance::of(last)));
        while lived < years {
            last += 1;
            lived += years_of(count_of(&mut Chance::of(last)));
        }
        Self { next: AtomicU64::new(first), last, violated: AtomicU64::new(u64::MAX) }
    }

    /// Plays them on all processors, the first ones first.
    fn play(&self) -> Run {
        let count = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let players = (0..count).map(|_| scope.spawn(|| self.played())).collect::<Vec<_>>();
            let mut run = Run::default();
            for player in players {
                match player.join() {
                    Ok(part) => run.add(part),
                    Err(panic) => resume_unwind(panic),
                }
            }
            run.violated = Some(self.violated.load(Ordering::Relaxed)).filter(|it| *it != u64::MAX);
            run
        })
    }

    /// Plays one after the other, until there are none left or a promise is broken.
    fn played(&self) -> Run {
        let mut run = Run::default();
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed > self.last || seed > self.violated.load(Ordering::Relaxed) {
                return run;
            }
            let end = match catch_unwind(AssertUnwindSafe(|| world(seed, Trace::default()))) {
                Ok(end) => end,
                Err(panic) => {
                    println!("world {seed} panicked: {}", again(seed));
                    resume_unwind(panic);
                }
            };
            if end.violation.is_some() {
                self.violated.fetch_min(seed, Ordering::Relaxed);
            }
            run.worlds += 1;
            run.years += end.years;
            run.pairs.add(&end.pairs);
            run.counts.add(end.counts);
            run.met.add(&end.met);
        }
    }
}

/// What came of some worlds.
#[derive(Default)]
struct Run {
    worlds: u64,
    years: f64,
    pairs: Pairs,
    counts: Counts,
    met: Met,
    violated: Option<u64>,
}

impl Run {
    fn add(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.years += other.years;
        self.pairs.add(&other.pairs);
        self.counts.add(other.counts);
        self.met.add(&other.met);
    }
}

/// What came of a world.
struct End {
    violation: Option<String>,
    trace: String,
    pairs: Pairs,
    years: f64,
    counts: Counts,
    met: Met,
    faults: String,
}

impl End {
    fn told(&self, seed: u64) -> String {
        let violation = self.violation.as_deref().unwrap_or("it went well the second time");
        let (trace, faults, again) = (&self.trace, &self.faults, again(seed));
        format!("\n{trace}\nworld {seed}, with {faults}: {violation}\n\nAgain:\n    {again}\n")
    }
}

/// The command that plays a world once more.
fn again(seed: u64) -> String {
    format!(
        "TOKENKEEPER_TEST_SEED={seed} cargo test --lib \
         simulation::whatever_goes_wrong_no_promise_is_broken"
    )
}

/// Plays the world of a seed.
fn world(seed: u64, trace: Trace) -> End {
    let mut chance = Chance::of(seed);
    let count = count_of(&mut chance);
    let cast = (0..count).map(|index| Part::drawn(index, &mut chance)).collect();
    let scene = Scene::new(Chance::of(!seed), cast, Witness::new(trace));
    let faults = format!("{:?}", scene.weather.possible());
    let mut play = Play::new(scene, chance);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(play.run(WORLD));
    let mut scene = play.outside.scene();
    scene.witness.ends(WORLD);
    let violation = scene.witness.violation();
    let whose = violation.and_then(|it| it.split(':').next()).unwrap_or_default();
    End {
        trace: scene.witness.trace.about(whose),
        violation: violation.map(str::to_owned),
        years: years_of(count),
        counts: scene.witness.counts,
        met: scene.weather.met(),
        faults,
        pairs: std::mem::take(&mut play.pairs),
    }
}

/// How many accounts there are, which is the first thing that is drawn.
fn count_of(chance: &mut Chance) -> u64 {
    2 + chance.below(7)
}

fn years_of(accounts: u64) -> f64 {
    let accounts = f64::from(u32::try_from(accounts).unwrap());
    accounts * WORLD.as_secs_f64() / YEAR.as_secs_f64()
}

fn from_environment<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}
