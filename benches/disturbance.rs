//! What others do to one client: its latency alone, and beside 5,000 idle connections, a
//! peer that sends nothing and one that reads nothing.

use std::path::Path;

use crate::helper::Helper;
use crate::helper::NOBODY;
use crate::helper::Part;
use crate::host::Accounts;
use crate::host::Host;
use crate::host::name;
use crate::report::Bar;
use crate::report::Report;
use crate::stage::trouble::Trouble;
use crate::stopwatch::Stopwatch;
use crate::stopwatch::median;
use crate::stopwatch::micros;
use crate::wire::Connection;
use crate::wire::token_of;

const NAME: &str = "disturbance";

const IDLE: usize = 5_000;

/// Rounds, in each of which the client is measured alone and in company.
const ROUNDS: usize = 9;

const REQUESTS: usize = 5_000;

/// Runs it.
///
/// # Errors
///
/// If something does not start, or answers wrongly.
pub(crate) fn run(report: &mut Report) -> Result<(), Trouble> {
    let host = Host::with(&Accounts::good(10))?;
    let daemon = host.start()?;
    let user = rustix::process::geteuid().is_root().then_some(NOBODY);
    let (mut changes, mut alone, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let alone_now = times(&host.socket())?;
        let crowd = Helper::start(&Part::Crowd(IDLE), &host.socket(), user)?;
        let beside_now = times(&host.socket())?;
        drop(crowd);
        changes.push((beside_now / alone_now - 1.0).abs() * 100.0);
        alone.push(alone_now);
        beside.push(beside_now);
    }
    let change = (median(changes), "%");
    report.add(NAME, "change of one client's median latency", change, Bar::AtMost(20.0));
    report.add(NAME, "alone", (median(alone), "us"), Bar::None);
    report.add(
        NAME,
        "beside 5,000 idle, a silent and a deaf peer",
        (median(beside), "us"),
        Bar::None,
    );
    daemon.end()
}

/// The median time of a request on a kept connection, in microseconds.
fn times(socket: &Path) -> Result<f64, Trouble> {
    let request = token_of(&name(0));
    let mut connection = Connection::open(socket)?;
    let mut times = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let watch = Stopwatch::start();
        connection.ask(&request)?;
        times.push(micros(watch.elapsed()));
    }
    Ok(median(times))
}
