//! Requests in a second, from one client to many, all on kept connections.
//!
//! The clients share one thread that takes their answers in turn and sends the next request
//! of each at once: two system calls a request, and as many requests under way as clients.
//! The daemon has the other core.

use std::path::Path;
use std::time::Duration;

use crate::host::Accounts;
use crate::host::Host;
use crate::host::name;
use crate::latency::Bare;
use crate::report::Bar;
use crate::report::Report;
use crate::stage::trouble::Trouble;
use crate::stopwatch::Stopwatch;
use crate::stopwatch::median;
use crate::wire::Connection;
use crate::wire::token_of;

const NAME: &str = "throughput";

/// How many clients, and the least requests in a second.
const LOADS: [(usize, Bar); 4] =
    [(1, Bar::None), (8, Bar::None), (64, Bar::AtLeast(90_000.0)), (512, Bar::None)];

/// Rounds, in each of which both servers take their turn.
const ROUNDS: usize = 7;

/// How long one server is asked in one round.
const TURN: Duration = Duration::from_millis(500);

/// Runs it.
///
/// # Errors
///
/// If something does not start, or answers wrongly.
pub(crate) fn run(report: &mut Report) -> Result<(), Trouble> {
    let host = Host::with(&Accounts::good(10))?;
    let daemon = host.start()?;
    let bare = Bare::beside(&host)?;
    for (clients, bar) in LOADS {
        let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (theirs_now, ours_now) =
                (measure(&bare.socket, clients)?, measure(&host.socket(), clients)?);
            ratios.push(ours_now / theirs_now);
            ours.push(ours_now);
            theirs.push(theirs_now);
        }
        let ratio = (median(ratios), "x");
        report.add(NAME, format!("{clients} clients, daemon / bare server"), ratio, Bar::None);
        report.add(NAME, format!("{clients} clients, daemon"), (median(ours), "1/s"), bar);
        let theirs = (median(theirs), "1/s");
        report.add(NAME, format!("{clients} clients, bare server"), theirs, Bar::None);
    }
    drop(bare);
    daemon.end()
}

/// Requests in a second.
fn measure(socket: &Path, clients: usize) -> Result<f64, Trouble> {
    let request = token_of(&name(0));
    let mut connections =
        (0..clients).map(|_| Connection::open(socket)).collect::<Result<Vec<_>, _>>()?;
    for connection in &mut connections {
        connection.send(&request)?;
    }
    let watch = Stopwatch::start();
    let mut answers = 0_u32;
    while watch.elapsed() < TURN {
        for connection in &mut connections {
            connection.receive()?;
            connection.send(&request)?;
            answers += 1;
        }
    }
    Ok(f64::from(answers) / watch.elapsed().as_secs_f64())
}
