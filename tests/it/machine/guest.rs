//! A virtual machine with a kernel of its own, and the two ways into it: an agent inside, which runs
//! commands, and qemu's own protocol, which has power over the machine.
//!
//! The processor is emulated, because there may be no other way to have one. So everything in it takes
//! some ten times as long as outside.

use std::fs;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::process::Process;

use super::tpm::Tpm;

/// How long anything may take in a machine that is emulated.
const LONG_PATIENCE: Duration = Duration::from_secs(3 * PATIENCE.as_secs());

/// A running machine. Dropping it cuts its power and removes what it wrote.
pub(super) struct Guest {
    process: Process,
    agent: BufReader<UnixStream>,
    monitor: BufReader<UnixStream>,
    /// What qemu told unasked, and nobody has waited for yet.
    events: Vec<String>,
    tpm: Option<Tpm>,
    /// What it prints while it boots.
    home: TempDir,
}

impl Guest {
    /// Boots the machine that `tests/run` made in `parts`, with a file as its second disk, and returns
    /// when all of its services have started.
    pub(super) fn boot(parts: &Path, second_disk: &Path, tpm: Option<Tpm>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        let agent = UnixListener::bind(path("agent")).unwrap();
        let monitor = UnixListener::bind(path("monitor")).unwrap();
        let mut qemu = qemu(parts, second_disk, home.path());
        if let Some(tpm) = &tpm {
            tpm.plug_into(&mut qemu);
        }
        let process = Process::start(&mut qemu);
        let [agent, monitor] = [agent, monitor].map(|listener| {
            let alive = process.lives_until(listener.as_fd());
            assert!(alive, "no machine:\n{}", fs::read_to_string(path("log")).unwrap());
            let stream = listener.accept().unwrap().0;
            stream.set_read_timeout(Some(LONG_PATIENCE)).unwrap();
            BufReader::new(stream)
        });
        let mut guest = Self { process, agent, monitor, events: Vec::new(), tpm, home };
        guest.monitor_line();
        guest.order("qmp_capabilities");
        guest.await_services();
        guest
    }

    /// Runs a command of a shell as root, which must succeed, and returns what it printed.
    pub(super) fn does(&mut self, command: &str) -> String {
        self.begin(command);
        self.ended()
    }

    /// Begins a command, and waits for nothing. [`ended`](Self::ended) must follow.
    pub(super) fn begin(&mut self, command: &str) {
        let line = STANDARD.encode(command) + "\n";
        self.agent.get_mut().write_all(line.as_bytes()).unwrap();
    }

    /// Waits for the end of what was begun, which must be a success, and returns what it printed.
    pub(super) fn ended(&mut self) -> String {
        let mut line = String::new();
        let read = self.agent.read_line(&mut line);
        assert!(read.is_ok_and(|length| length > 0), "the agent is silent:\n{}", self.log());
        let (status, printed) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        let printed = String::from_utf8(STANDARD.decode(printed).unwrap()).unwrap();
        assert_eq!(status, "0", "{printed}\n{}", self.log());
        printed.trim_end().to_owned()
    }

    /// Runs a command again and again until it prints what is wanted: nobody tells when that is.
    pub(super) fn until(&mut self, command: &str, wanted: impl Fn(&str) -> bool) {
        let begin = Instant::now();
        loop {
            let printed = self.does(command);
            if wanted(&printed) {
                return;
            }
            assert!(begin.elapsed() < LONG_PATIENCE, "{command} stays at {printed}");
        }
    }

    /// Gives an order to qemu: `stop`, `cont`, `system_wakeup`, `system_reset`.
    pub(super) fn order(&mut self, what: &str) {
        let line = json!({ "execute": what }).to_string() + "\n";
        self.monitor.get_mut().write_all(line.as_bytes()).unwrap();
        loop {
            let told = self.monitor_line();
            if let Some(event) = told["event"].as_str() {
                self.events.push(event.to_owned());
            } else {
                assert!(told.get("return").is_some(), "{what}: {told}");
                return;
            }
        }
    }

    /// Waits until qemu tells that something happened to the machine: `SUSPEND`, `WAKEUP`, `RESET`.
    pub(super) fn tells(&mut self, event: &str) {
        while !self.events.iter().any(|told| told == event) {
            let told = self.monitor_line();
            self.events.extend(told["event"].as_str().map(str::to_owned));
        }
        self.events.clear();
    }

    /// Cuts the power, and returns when the machine has booted again. What was not written to the disk
    /// is lost.
    pub(super) fn cut_power(&mut self) {
        self.order("system_reset");
        self.tells("RESET");
        self.await_services();
    }

    /// Puts another TPM into the machine and returns when it has booted with it.
    pub(super) fn change_tpm(&mut self) {
        self.order("stop");
        self.tpm.as_ref().expect("this machine was to have a TPM").forget();
        self.order("system_reset");
        self.tells("RESET");
        self.order("cont");
        self.await_services();
    }

    fn await_services(&mut self) {
        let state = self.does("systemctl is-system-running --wait || systemctl --failed");
        assert_eq!(state, "running");
    }

    fn monitor_line(&mut self) -> Value {
        let mut line = String::new();
        let read = self.monitor.read_line(&mut line);
        assert!(read.is_ok_and(|length| length > 0), "qemu is silent:\n{}", self.log());
        serde_json::from_str(&line).unwrap()
    }

    fn log(&self) -> String {
        let text = |name| fs::read(self.home.path().join(name)).unwrap_or_default();
        let text = [text("log"), text("console")].concat();
        format!("{} {}", self.process.id(), String::from_utf8_lossy(&text))
    }
}

/// The command that starts the machine. It writes to neither of its disks, but to a copy that is gone
/// with it. The hardware clock follows the host's, whatever happens to the machine.
fn qemu(parts: &Path, second_disk: &Path, home: &Path) -> Command {
    let part = |name| parts.join(name);
    let at = |name: &str| home.join(name).display().to_string();
    let disk = |path: &Path| format!("file={},format=raw,if=virtio,snapshot=on", path.display());
    let socket = |id: &str| format!("socket,id={id},path={}", at(id));
    let log = File::create(home.join("log")).unwrap();

    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-nodefaults", "-no-user-config", "-display", "none"]);
    qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"]);
    qemu.args(["-rtc", "base=utc,clock=host"]);
    qemu.arg("-kernel").arg(part("kernel")).arg("-initrd").arg(part("initrd"));
    qemu.args(["-append", "console=ttyS0 quiet systemd.getty_auto=no"]);
    qemu.args(["-drive", &disk(&part("image")), "-drive", &disk(second_disk)]);
    qemu.args(["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]);
    qemu.args(["-chardev", &socket("agent"), "-device", "virtio-serial-pci"]);
    qemu.args(["-device", "virtserialport,chardev=agent,name=agent"]);
    qemu.args(["-chardev", &socket("monitor"), "-mon", "chardev=monitor,mode=control"]);
    qemu.args(["-chardev", &format!("file,id=console,path={}", at("console"))]);
    qemu.args(["-serial", "chardev:console"]);
    qemu.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    qemu
}
