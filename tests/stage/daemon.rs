//! `tokenkeeperd` as a child process. This program plays the service manager for it, so that
//! the daemon itself says when it is ready (`sd_notify(3)`).

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use super::process::Process;
use super::process::program;
use super::trouble::Trouble;

/// Until it is ready. A start with 10,000 accounts is a hundredth of this.
const PATIENCE: Duration = Duration::from_secs(60);

/// The socket of the system's bus, in the directory of its log: the one of the host is no
/// business of a stage.
pub(crate) const BUS: &str = "bus.sock";

/// The daemon.
pub(crate) struct Daemon {
    process: Process,
}

impl Daemon {
    /// Starts the program at `binary` with the configuration file `config`, with its log and
    /// the socket on which it reports in `directory`, and returns when it is ready.
    ///
    /// # Errors
    ///
    /// If it ends instead, or says nothing.
    pub(crate) fn start(binary: &Path, directory: &Path, config: &Path) -> Result<Self, Trouble> {
        let failed = || Trouble::system("cannot hear the daemon");
        let address = directory.join("notify.sock");
        // What an earlier daemon left; there need not be one.
        let _none = std::fs::remove_file(&address);
        let reports = UnixDatagram::bind(&address).map_err(failed())?;
        let mut command = program(binary);
        command
            .arg("--config")
            .arg(config)
            .env("NOTIFY_SOCKET", &address)
            .env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", directory.join(BUS).display()))
            .env_remove("CREDENTIALS_DIRECTORY");
        let mut process =
            Process::start("tokenkeeperd", &mut command, directory.join("daemon.log"))?;
        let mut report = [0; 4096];
        loop {
            process.wait_for(&reports, PATIENCE)?;
            let length = reports.recv(&mut report).map_err(failed())?;
            let report = report.get(..length).unwrap_or_default();
            if report.split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                return Ok(Self { process });
            }
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
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
