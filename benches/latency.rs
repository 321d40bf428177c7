//! The time from asking for a token to having it, against a bare server with the same bytes:
//! on a kept connection, and on a fresh one. All of them share one processor.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use crate::helper::Helper;
use crate::helper::Part;
use crate::host::Accounts;
use crate::host::Host;
use crate::host::name;
use crate::processor::Pinned;
use crate::report::Bar;
use crate::report::Report;
use crate::stage::trouble::Trouble;
use crate::stopwatch::Stopwatch;
use crate::stopwatch::median;
use crate::stopwatch::micros;
use crate::wire::Connection;
use crate::wire::token_of;

const NAME: &str = "latency";

/// Rounds, in each of which both servers take their turn.
const ROUNDS: usize = 21;

/// Requests of one server in one round.
const REQUESTS: usize = 1_000;

/// Runs it.
///
/// # Errors
///
/// If something does not start, or answers wrongly.
pub(crate) fn run(report: &mut Report) -> Result<(), Trouble> {
    let _pinned = Pinned::first()?;
    let host = Host::with(&Accounts::good(10))?;
    let daemon = host.start()?;
    let bare = Bare::beside(&host)?;
    let request = token_of(&name(0));

    let kept = compare(&host.socket(), &bare.socket, |socket| {
        let mut connection = Connection::open(socket)?;
        times(|| connection.ask(&request).map(drop))
    })?;
    let fresh = compare(&host.socket(), &bare.socket, |socket| {
        times(|| Connection::open(socket)?.ask(&request).map(drop))
    })?;

    report.add(NAME, "kept connection, daemon / bare server", (kept.ratio, "x"), Bar::AtMost(1.8));
    report.add(
        NAME,
        "fresh connection, daemon / bare server",
        (fresh.ratio, "x"),
        Bar::AtMost(1.9),
    );
    report.add(NAME, "kept connection, daemon", (kept.daemon, "us"), Bar::None);
    report.add(NAME, "kept connection, bare server", (kept.bare, "us"), Bar::None);
    report.add(NAME, "fresh connection, daemon", (fresh.daemon, "us"), Bar::None);
    report.add(NAME, "fresh connection, bare server", (fresh.bare, "us"), Bar::None);
    drop(bare);
    daemon.end()
}

/// The bare server, answering with what the daemon of a host answers.
pub(crate) struct Bare {
    _server: Helper,
    pub(crate) socket: PathBuf,
}

impl Bare {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// If the daemon does not answer, or the server does not start.
    pub(crate) fn beside(host: &Host) -> Result<Self, Trouble> {
        let mut connection = Connection::open(&host.socket())?;
        let reply = connection.ask(&token_of(&name(0)))?;
        let file = host.directory().join("reply");
        File::create(&file)
            .and_then(|mut file| file.write_all(reply))
            .map_err(Trouble::system("cannot write the reply"))?;
        let socket = host.directory().join("bare.sock");
        let server = Helper::start(&Part::Echo(&file), &socket, None)?;
        Ok(Self { _server: server, socket })
    }
}

/// Medians: of the rounds' ratios, and of their times in microseconds.
struct Comparison {
    ratio: f64,
    daemon: f64,
    bare: f64,
}

fn compare(
    daemon: &Path,
    bare: &Path,
    mut measure: impl FnMut(&Path) -> Result<f64, Trouble>,
) -> Result<Comparison, Trouble> {
    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (theirs_now, ours_now) = (measure(bare)?, measure(daemon)?);
        ratios.push(ours_now / theirs_now);
        ours.push(ours_now);
        theirs.push(theirs_now);
    }
    Ok(Comparison { ratio: median(ratios), daemon: median(ours), bare: median(theirs) })
}

/// The median time of a request, in microseconds.
fn times(mut request: impl FnMut() -> Result<(), Trouble>) -> Result<f64, Trouble> {
    let mut times = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let watch = Stopwatch::start();
        request()?;
        times.push(micros(watch.elapsed()));
    }
    Ok(median(times))
}
