//! Memory, and the time from starting the program to an answered request, by the number of
//! accounts. Memory is read after every account's token was asked for once, so that whatever
//! is kept for answering is there.

use std::fs::File;
use std::io::Read as _;

use crate::bus::Bus;
use crate::host::Accounts;
use crate::host::Host;
use crate::host::name;
use crate::report::Bar;
use crate::report::Report;
use crate::stage::trouble::Trouble;
use crate::stopwatch::Stopwatch;
use crate::stopwatch::median;
use crate::stopwatch::millis;
use crate::wire::Connection;
use crate::wire::token_of;

const NAME: &str = "memory";

/// How many accounts.
const SIZES: [usize; 3] = [10, 1_000, 10_000];

/// Starts with each number of accounts.
const ROUNDS: usize = 5;

/// Runs it.
///
/// # Errors
///
/// If the daemon does not start, or answers wrongly.
pub(crate) fn run(report: &mut Report) -> Result<(), Trouble> {
    let mut smallest = None;
    for size in SIZES {
        let few = size == 10;
        let host = Host::with(&Accounts::good(size))?;
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(measure(&host, size, None)?);
        }
        let of = |pick: fn(&Start) -> f64| median(rounds.iter().map(pick).collect());
        let (private, resident) = (of(|start| start.private), of(|start| start.resident));
        let (private_bar, resident_bar) =
            if few { (Bar::AtMost(6.0), Bar::AtMost(18.0)) } else { (Bar::None, Bar::None) };
        let ready_bar = if size == 10_000 { Bar::AtMost(1_000.0) } else { Bar::None };
        let mib = |kib: f64| (kib / 1024.0, "MiB");
        report.add(NAME, format!("{size} accounts, RssAnon"), mib(private), private_bar);
        report.add(NAME, format!("{size} accounts, RSS"), mib(resident), resident_bar);
        if few {
            let bus = Bus::beside(&host)?;
            let private = measure(&host, size, Some(&bus))?.private;
            report.add(
                NAME,
                format!("{size} accounts, RssAnon on a bus"),
                mib(private),
                private_bar,
            );
            bus.end()?;
        }
        let ready = (of(|start| start.ready), "ms");
        report.add(NAME, format!("{size} accounts, start to an answer"), ready, ready_bar);
        let (least, base) = *smallest.get_or_insert((size, private));
        if size > least {
            let further = u32::try_from(size - least).map_or(f64::INFINITY, f64::from);
            let each = ((private - base) / further, "KiB");
            let what = format!("{size} accounts, RssAnon of each further one");
            // Caches of a fixed size fill up with the first accounts: the bar is on the many.
            let bar = if size == 10_000 { Bar::AtMost(4.0) } else { Bar::None };
            report.add(NAME, what, each, bar);
        }
    }
    Ok(())
}

/// One start: milliseconds to an answer, and KiB of memory after all.
struct Start {
    ready: f64,
    private: f64,
    resident: f64,
}

fn measure(host: &Host, size: usize, bus: Option<&Bus>) -> Result<Start, Trouble> {
    let watch = Stopwatch::start();
    let daemon = host.start()?;
    let mut connection = Connection::open(&host.socket())?;
    connection.ask(&token_of(&name(size - 1)))?;
    let ready = millis(watch.elapsed());
    for number in 0..size {
        connection.ask(&token_of(&name(number)))?;
    }
    if let Some(bus) = bus {
        bus.client()?.token()?;
    }
    let status = status(daemon.id())?;
    let start = Start {
        ready,
        private: kibibytes(&status, "RssAnon:")?,
        resident: kibibytes(&status, "VmRSS:")?,
    };
    daemon.end()?;
    Ok(start)
}

fn status(id: u32) -> Result<String, Trouble> {
    const LONGEST: u64 = 64 * 1024;
    let mut text = String::new();
    File::open(format!("/proc/{id}/status"))
        .and_then(|file| file.take(LONGEST).read_to_string(&mut text))
        .map_err(Trouble::system("cannot read the memory of the daemon"))?;
    Ok(text)
}

fn kibibytes(status: &str, field: &str) -> Result<f64, Trouble> {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| Trouble::unexpected("/proc", status.as_bytes()))
}
