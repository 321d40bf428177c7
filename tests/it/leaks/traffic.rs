//! A message bus on which everything is overheard.

use std::fs::File;
use std::io::Read as _;
use std::process::Command;
use std::process::Stdio;
use std::time::Instant;

use tempfile::NamedTempFile;

use crate::support::PATIENCE;
use crate::support::bus::Bus;
use crate::support::bus::Client;
use crate::support::bus::ROOT;
use crate::support::bus::no_options;
use crate::support::process::Process;

const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";

/// The bus, a client, and who takes down every message between them.
pub(super) struct Traffic {
    bus: Bus,
    client: Client,
    /// Ends with the test.
    _monitor: Process,
    heard: NamedTempFile,
}

impl Traffic {
    /// A bus and its monitor; `None` where there is no bus to be had.
    pub(super) fn begin() -> Option<Self> {
        let bus = Bus::start()?;
        let client = bus.client();
        let heard = NamedTempFile::new().unwrap();
        let mut command = Command::new("dbus-monitor");
        command.args(["--binary", "--address", &bus.address()]).stdin(Stdio::null());
        command.stdout(File::options().append(true).open(heard.path()).unwrap());
        let monitor = Process::start(command.stderr(Stdio::null()));
        Some(Self { bus, client, _monitor: monitor, heard })
    }

    /// Where the bus listens.
    pub(super) fn address(&self) -> String {
        self.bus.address()
    }

    /// Waits until the daemon is on it and each message is taken down.
    pub(super) fn is_followed(&self) {
        self.client.until_served();
        let until = Instant::now() + PATIENCE;
        // The monitor begins some time; a message that it has shows that it has all after it.
        while !self.overheard().windows(4).any(|part| part == b"Ping") {
            assert!(Instant::now() < until, "the monitor does not begin");
            self.client.call_at(ROOT, "org.freedesktop.DBus.Peer", "Ping", &()).unwrap();
        }
    }

    /// Programs that ask for everything but the token itself, which they get as a descriptor.
    pub(super) fn passes(&self) {
        let client = &self.client;
        for account in ["mail", "boiler", "plugs", "meter"] {
            client.call("OpenToken", &(account, no_options())).unwrap();
            client.properties(&format!("{ROOT}/account/{account}"), "org.tokenkeeper1.Account");
        }
        client.call("Refresh", &("heatpump", no_options())).unwrap();
        client.call_at(ROOT, OBJECT_MANAGER, "GetManagedObjects", &()).unwrap();
        client.call("WhoAmI", &()).unwrap();
        drop(client.call("Reload", &()));
    }

    /// Every message that there was.
    pub(super) fn end(self) -> Vec<u8> {
        let heard = self.overheard();
        assert!(heard.windows(9).any(|part| part == b"OpenToken"), "it was not overheard");
        heard
    }

    fn overheard(&self) -> Vec<u8> {
        let mut heard = Vec::new();
        self.heard.reopen().unwrap().read_to_end(&mut heard).unwrap();
        heard
    }
}
