//! A token over the message bus, against `org.freedesktop.DBus.Peer.Ping` of the same daemon on
//! the same connection: what is left is what the daemon does for a token. All share one processor.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use zbus::Connection;
use zbus::Message;
use zbus::Variant;

use crate::host::Accounts;
use crate::host::Host;
use crate::host::name;
use crate::processor::Pinned;
use crate::report::Bar;
use crate::report::Report;
use crate::stage::process::Process;
use crate::stage::process::program;
use crate::stage::trouble::Trouble;
use crate::stopwatch::Stopwatch;
use crate::stopwatch::median;
use crate::stopwatch::micros;

const NAME: &str = "bus";

/// Rounds, in each of which both calls take their turn.
const ROUNDS: usize = 21;

/// Calls of one kind in one round.
const CALLS: usize = 500;

/// Until the daemon has its name.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs it.
///
/// # Errors
///
/// If something does not start, or answers wrongly.
pub(crate) fn run(report: &mut Report) -> Result<(), Trouble> {
    let _pinned = Pinned::first()?;
    let host = Host::with(&Accounts::good(10))?;
    let bus = Bus::beside(&host)?;
    let daemon = host.start()?;
    let client = bus.client()?;

    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let theirs_now = times(|| client.ping().map(drop))?;
        let ours_now = times(|| client.token().map(drop))?;
        ratios.push(ours_now / theirs_now);
        ours.push(ours_now);
        theirs.push(theirs_now);
    }
    report.add(NAME, "GetToken / Peer.Ping", (median(ratios), "x"), Bar::AtMost(1.3));
    report.add(NAME, "GetToken", (median(ours), "us"), Bar::None);
    report.add(NAME, "Peer.Ping", (median(theirs), "us"), Bar::None);
    daemon.end()?;
    bus.end()
}

/// A bus that the daemon of a host takes for the system's.
pub(crate) struct Bus {
    process: Process,
    address: String,
}

impl Bus {
    /// Starts it, and returns when it can be reached.
    ///
    /// # Errors
    ///
    /// If it does not start; `dbus-daemon` has to be installed.
    pub(crate) fn beside(host: &Host) -> Result<Self, Trouble> {
        let failed = || Trouble::system("cannot start dbus-daemon");
        let address = format!("unix:path={}", host.bus().display());
        let config = host.directory().join("bus.conf");
        configure(&config, &address).map_err(failed())?;
        let (reader, writer) = io::pipe().map_err(failed())?;
        let mut command = program("dbus-daemon");
        command.arg("--config-file").arg(&config);
        command.args(["--nofork", "--nopidfile", "--print-address=1"]).stdout(writer);
        let log = host.directory().join("bus.log");
        let process = Process::start("dbus-daemon", &mut command, log)?;
        drop(command);
        let mut line = String::new();
        BufReader::new(reader).read_line(&mut line).map_err(failed())?;
        Ok(Self { process, address })
    }

    /// A client, once the daemon has its name.
    ///
    /// # Errors
    ///
    /// If the bus does not answer, or the daemon is not there in time.
    pub(crate) fn client(&self) -> Result<Client, Trouble> {
        let failed = Trouble::system("cannot reach the bus");
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let connecting =
            async { zbus::connection::Builder::address(self.address.as_str()).build().await };
        let connection = runtime.block_on(connecting).map_err(said)?;
        let client = Client { runtime, connection };
        let watch = Stopwatch::start();
        while client.ping().is_err() {
            if watch.elapsed() > PATIENCE {
                return Err(Trouble::unexpected("the bus", b"the daemon is not on it"));
            }
        }
        Ok(client)
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// If it does not end well.
    pub(crate) fn end(self) -> Result<(), Trouble> {
        self.process.end()
    }
}

/// A connection to the bus.
pub(crate) struct Client {
    runtime: Runtime,
    connection: Connection,
}

impl Client {
    fn ping(&self) -> Result<Message, Trouble> {
        let interface = "org.freedesktop.DBus.Peer";
        let call = self.connection.call_method(
            Some("org.tokenkeeper1"),
            "/org/tokenkeeper1",
            Some(interface),
            "Ping",
            &(),
        );
        self.runtime.block_on(call).map_err(said)
    }

    /// Asks for the token of the first account.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub(crate) fn token(&self) -> Result<Message, Trouble> {
        let arguments = (name(0), HashMap::<&str, Variant<'_>>::new());
        let call = self.connection.call_method(
            Some("org.tokenkeeper1"),
            "/org/tokenkeeper1",
            Some("org.tokenkeeper1.Manager"),
            "GetToken",
            &arguments,
        );
        self.runtime.block_on(call).map_err(said)
    }
}

fn configure(config: &Path, address: &str) -> io::Result<()> {
    let text = format!(
        "<busconfig><type>system</type><listen>{address}</listen><auth>EXTERNAL</auth>\
         <policy context=\"default\"><allow user=\"*\"/><allow send_destination=\"*\"/>\
         <allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>"
    );
    File::create(config)?.write_all(text.as_bytes())
}

fn said(error: zbus::Error) -> Trouble {
    Trouble::unexpected("the bus", error.to_string().as_bytes())
}

/// The median time of a call, in microseconds.
fn times(mut call: impl FnMut() -> Result<(), Trouble>) -> Result<f64, Trouble> {
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let watch = Stopwatch::start();
        call()?;
        times.push(micros(watch.elapsed()));
    }
    Ok(median(times))
}
