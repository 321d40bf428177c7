//! `tokenctl get` as scripts run it, a process each time, against a process that does nothing.

use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use crate::host::Accounts;
use crate::host::Host;
use crate::host::name;
use crate::report::Bar;
use crate::report::Report;
use crate::stage::process::program;
use crate::stage::trouble::Trouble;
use crate::stopwatch::Stopwatch;
use crate::stopwatch::median;
use crate::stopwatch::micros;

const NAME: &str = "get";

/// Rounds, in each of which both programs take their turn.
const ROUNDS: usize = 15;

/// Runs of one program in one round.
const RUNS: usize = 40;

/// Runs it.
///
/// # Errors
///
/// If something does not start, or fails.
pub(crate) fn run(report: &mut Report) -> Result<(), Trouble> {
    let host = Host::with(&Accounts::good(10))?;
    let daemon = host.start()?;
    let mut get = program(Path::new(env!("CARGO_BIN_EXE_tokenctl")));
    get.args(["get", &name(0)]).env("TOKENKEEPER_SOCKET", host.socket());
    let mut nothing = program("/bin/true");

    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (theirs_now, ours_now) = (times(&mut nothing)?, times(&mut get)?);
        ratios.push(ours_now / theirs_now);
        ours.push(ours_now);
        theirs.push(theirs_now);
    }
    let ratio = (median(ratios), "x");
    report.add(NAME, "tokenctl get / true, whole processes", ratio, Bar::AtMost(2.0));
    report.add(NAME, "tokenctl get", (median(ours), "us"), Bar::None);
    report.add(NAME, "true", (median(theirs), "us"), Bar::None);
    daemon.end()
}

/// The median time of a run, in microseconds.
fn times(command: &mut Command) -> Result<f64, Trouble> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let watch = Stopwatch::start();
        let status = command.status().map_err(Trouble::system("cannot run a program"))?;
        times.push(micros(watch.elapsed()));
        if !status.success() {
            return Err(Trouble::Ended { program: "a program", status, said: String::new() });
        }
    }
    Ok(median(times))
}
