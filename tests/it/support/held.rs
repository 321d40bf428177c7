//! What a daemon holds of the system's, and that it gives back what it took.

use std::fs;
use std::thread;
use std::time::Instant;

use super::PATIENCE;
use super::daemon::Daemon;
use super::http::Request;

/// What a daemon holds: its connections, and its descriptors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Held {
    connections: u64,
    descriptors: usize,
}

impl Held {
    /// What it holds now. The connection that asks is there both times.
    pub(crate) fn by(daemon: &Daemon) -> Self {
        let connections = counted(daemon, "tokenkeeper_connections");
        Self { connections, descriptors: descriptors(daemon) }
    }

    /// Waits until the daemon holds no more than this.
    pub(crate) fn is_back(self, daemon: &Daemon) {
        let until = Instant::now() + PATIENCE;
        let waits = |what: &str, now: &dyn Fn() -> bool| {
            while !now() {
                assert!(
                    Instant::now() < until,
                    "more {what} than {self:?}: {:?}",
                    Self::by(daemon)
                );
                thread::yield_now();
            }
        };
        waits("connections", &|| counted(daemon, "tokenkeeper_connections") <= self.connections);
        // While nobody asks: the connection of a question goes a moment after its answer.
        waits("descriptors", &|| {
            // A message that no service manager reads holds a socket.
            daemon.is_heard();
            descriptors(daemon) <= self.descriptors
        });
    }
}

fn descriptors(daemon: &Daemon) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.id())).unwrap().count()
}

/// A sample of the metrics by its name and labels; 0 if there is none.
pub(crate) fn counted(daemon: &Daemon, sample: &str) -> u64 {
    let metrics = daemon.ask(Request::get("/metrics")).body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map_or(0, |number| number.parse().unwrap())
}

/// Memory of its own, in KiB: what no file is behind (proc(5), `RssAnon`).
pub(crate) fn memory(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}
