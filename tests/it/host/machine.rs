//! A container with a systemd of its own as its first process.
//!
//! systemd-nspawn(1) lays a file system in memory over the tree. It tells when the machine has
//! booted, and which process is its first, through the socket that a service manager would give it.

use std::fs;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Instant;

use rustix::thread::LinkNameSpaceType;
use rustix::thread::move_into_link_name_space;
use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::process::Process;
use crate::support::process::run;
use crate::support::process::said;

/// What a machine has for a search path; that of the tests means nothing in it.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// From this version on systemd boots with the unified hierarchy of control groups alone. A host
/// may have others besides, which its systemd-nspawn would hand on.
const ONE_HIERARCHY: u32 = 258;

/// A running machine. Dropping it powers it off.
pub(super) struct Machine {
    process: Process,
    /// Its first process, as the host numbers it.
    leader: u32,
    /// What it prints while it boots and ends.
    home: TempDir,
    groups: Groups,
    /// The version of its systemd.
    systemd: u32,
}

impl Machine {
    /// Boots a machine from `tree` and returns when all of its services have started.
    pub(super) fn boot(tree: &Path) -> Self {
        let home = tempfile::tempdir().unwrap();
        let manager = UnixDatagram::bind(home.path().join("notify")).unwrap();
        let log = File::create(home.path().join("log")).unwrap();
        let groups = Groups::new();
        let systemd = version_of_systemd(tree);
        // A shell enters the groups and then is systemd-nspawn: what came later would be too late.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{}exec systemd-nspawn \"$@\"", groups.entering()), "sh"]);
        command.arg("--directory").arg(tree);
        command.args(["--quiet", "--volatile=overlay", "--boot", "--notify-ready=yes"]);
        command.args(["--private-network", "--register=no", "--keep-unit", "--link-journal=no"]);
        command.args(["--console=pipe", "--machine", groups.name()]);
        command.env("NOTIFY_SOCKET", home.path().join("notify"));
        if systemd >= ONE_HIERARCHY {
            command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = Process::start(&mut command);
        let mut machine = Self { process, leader: 0, home, groups, systemd };
        machine.await_boot(&manager);
        machine
    }

    fn await_boot(&mut self, manager: &UnixDatagram) {
        let mut message = [0; 4096];
        loop {
            let alive = self.process.lives_until(manager.as_fd());
            assert!(alive, "it does not boot:\n{}", self.log());
            let length = manager.recv(&mut message).unwrap();
            let told = String::from_utf8_lossy(&message[..length]).into_owned();
            for line in told.lines() {
                if let Some(leader) = line.strip_prefix("X_NSPAWN_LEADER_PID=") {
                    self.leader = leader.parse().unwrap();
                }
            }
            if told.lines().any(|line| line == "READY=1") {
                return;
            }
        }
    }

    /// Moves this thread, and all that it starts, into the network of the machine.
    pub(super) fn join_network(&self) {
        let network = File::open(format!("/proc/{}/ns/net", self.leader)).unwrap();
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(network.as_fd(), kind).unwrap();
    }

    /// The version of its systemd.
    pub(super) const fn systemd(&self) -> u32 {
        self.systemd
    }

    /// Where the host has a path of the machine.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.leader))
    }

    /// Writes a file in it, and the directory that it is in.
    pub(super) fn write(&self, inside: &str, content: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Runs a command in it as root.
    pub(super) fn run(&self, command: &[&str]) -> Output {
        run(&mut self.command(command), None)
    }

    /// Runs a command as somebody else.
    pub(super) fn run_as(&self, user: &str, command: &[&str]) -> Output {
        let as_user = ["setpriv", "--reuid", user, "--regid", user, "--init-groups"];
        self.run(&[as_user.as_slice(), command].concat())
    }

    /// Runs a command that must succeed, and returns what it printed.
    pub(super) fn does(&self, command: &[&str]) -> String {
        self.does_with(command, None)
    }

    /// The same, with something to read.
    pub(super) fn does_with(&self, command: &[&str], input: Option<&str>) -> String {
        let output = run(&mut self.command(command), input);
        let journal = || said(&self.run(&["journalctl", "--no-pager", "--lines=40"]));
        assert!(output.status.success(), "{command:?}: {}\n{}", said(&output), journal());
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// A property of a unit.
    pub(super) fn property(&self, unit: &str, name: &str) -> String {
        self.does(&["systemctl", "show", "--value", "--property", name, unit])
    }

    /// Waits until a property of a unit is as wanted.
    pub(super) fn until(&self, unit: &str, name: &str, wanted: impl Fn(&str) -> bool) {
        let begin = Instant::now();
        loop {
            let value = self.property(unit, name);
            if wanted(&value) {
                return;
            }
            // Nobody tells when it changes, and asking takes its time.
            assert!(begin.elapsed() < PATIENCE, "{name} of {unit} stays {value}");
        }
    }

    /// The command that runs another one in it.
    pub(super) fn command(&self, command: &[&str]) -> Command {
        self.entering(&["--mount"], command)
    }

    /// The command that runs a program of the host among its processes. Files are the host's.
    pub(super) fn command_of_host(&self, command: &[&str]) -> Command {
        self.entering(&[], command)
    }

    fn entering(&self, further: &[&str], command: &[&str]) -> Command {
        let mut entering = Command::new("nsenter");
        entering.args(["--target", &self.leader.to_string()]).args(further);
        entering.args(["--uts", "--ipc", "--net", "--pid", "--"]);
        entering.args(["env", "--ignore-environment", PATH, "LC_ALL=C.UTF-8"]).args(command);
        entering
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.leader != 0 {
            drop(self.command(&["systemctl", "poweroff"]).output());
            self.process.ended();
        }
        self.groups.remove();
    }
}

/// The version of the systemd in a tree, as it tells it itself.
fn version_of_systemd(tree: &Path) -> u32 {
    let told = run(Command::new("chroot").arg(tree).args(["systemctl", "--version"]), None);
    let line = String::from_utf8_lossy(&told.stdout).into_owned();
    let version = line.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    version.unwrap_or_else(|| panic!("{} has no systemd: {}", tree.display(), said(&told)))
}

/// Control groups for one machine in each hierarchy of the host. Without them machines that run
/// side by side would count each other's processes among their own.
struct Groups {
    name: String,
    paths: Vec<PathBuf>,
}

impl Groups {
    fn new() -> Self {
        let name = tempfile::Builder::new().prefix("tokenkeeper-").tempdir().unwrap();
        let name = name.path().file_name().unwrap().to_str().unwrap().replace('.', "");
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"];
        let there = roots.iter().map(Path::new).filter(|it| it.join("cgroup.procs").exists());
        let paths = there.map(|root| root.join(&name)).collect::<Vec<_>>();
        for path in &paths {
            fs::create_dir(path).unwrap();
        }
        Self { name, paths }
    }

    fn name(&self) -> &str {
        &self.name
    }

    /// Lines of a shell that move it there.
    fn entering(&self) -> String {
        let line = |path: &PathBuf| format!("echo $$ >{}/cgroup.procs || exit\n", path.display());
        self.paths.iter().map(line).collect()
    }

    /// Removes what nothing is in any more.
    fn remove(&self) {
        for path in &self.paths {
            remove_group(path);
        }
    }
}

/// Control groups hold files that cannot be removed, so groups are removed from the inside out.
fn remove_group(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path());
        }
    }
    drop(fs::remove_dir(path));
}
