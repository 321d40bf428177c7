//! What tokenkeeper costs: `cargo bench`, or `cargo bench -- latency memory …` for some of it.
//!
//! Ratios first: the machine may be shared and noisy, so each number that can be is measured
//! against a baseline in the same run, in rounds that alternate, and its median is taken. The
//! table is printed as it grows; `TARGET/bench/results.json` has the same. A bar that is
//! missed is said, and is no failure: timings are benchmarks and never tests.
//!
//! Reading order: [`run`], one file for each benchmark in its order, `host` (the daemon and
//! its accounts), `wire` (the client), `helper` (what runs in processes of its own), `report`.

mod bus;
mod disturbance;
mod get;
mod helper;
mod host;
mod latency;
mod memory;
mod processor;
mod report;
#[path = "../tests/stage/mod.rs"]
mod stage;
mod stopwatch;
mod throughput;
mod waiters;
mod wire;

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use self::report::Report;
use self::stage::trouble::Trouble;

/// A benchmark.
type Benchmark = fn(&mut Report) -> Result<(), Trouble>;

/// All of them, in their order.
const BENCHMARKS: [(&str, Benchmark); 7] = [
    ("latency", latency::run),
    ("throughput", throughput::run),
    ("memory", memory::run),
    ("get", get::run),
    ("bus", bus::run),
    ("waiters", waiters::run),
    ("disturbance", disturbance::run),
];

#[allow(clippy::print_stderr, reason = "this is where the process says why it failed")]
fn main() -> ExitCode {
    let arguments = env::args_os().skip(1).collect::<Vec<_>>();
    let ran = helper::play(&arguments).unwrap_or_else(|| run(&arguments));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("bench: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[OsString]) -> Result<(), Trouble> {
    // Cargo adds its own option.
    let wanted = arguments.iter().filter(|argument| *argument != "--bench").collect::<Vec<_>>();
    let known = |word: &OsString| BENCHMARKS.iter().any(|(name, _)| word == name);
    if let Some(unknown) = wanted.iter().find(|word| !known(word)) {
        let names = BENCHMARKS.map(|(name, _)| name).join(", ");
        let said = format!("no benchmark {}; there are {names}", unknown.display());
        return Err(Trouble::unexpected("the command line", said.as_bytes()));
    }
    let mut report = Report::default();
    report::print_head();
    for (name, benchmark) in BENCHMARKS {
        if wanted.is_empty() || wanted.iter().any(|word| *word == name) {
            benchmark(&mut report)?;
        }
    }
    report.write(&target().join("bench"))
}

/// Cargo's target directory: this program lies in `TARGET/release/deps`.
fn target() -> &'static Path {
    let daemon = Path::new(env!("CARGO_BIN_EXE_tokenkeeperd"));
    daemon.parent().and_then(Path::parent).unwrap_or(daemon)
}
