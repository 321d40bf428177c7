//! Who may look into the daemon: nobody of its own user, and no core file tells of it.

use std::fs;
use std::fs::Permissions;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Instant;

use rustix::process::Signal;

use crate::daemon::access::NOBODY;
use crate::support::PATIENCE;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::process::Process;
use crate::support::process::run;
use crate::support::process::said;
use crate::support::process::wrapping;
use crate::support::skipped;

#[test]
fn a_program_of_the_daemons_own_user_reads_nothing_of_it_and_cannot_trace_it() {
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can run a daemon as another user");
    }
    let mut daemon = Daemon::new(&Config::default());
    give_to_nobody(daemon.home());
    begin_as_nobody(&mut daemon);

    let id = daemon.id();
    let owner = fs::metadata(format!("/proc/{id}/mem")).unwrap().uid();
    assert_eq!(owner, 0, "a process that may be dumped has files of its own user");
    for (program, file) in [
        ("head", "mem"),
        ("head", "environ"),
        ("head", "maps"),
        ("head", "auxv"),
        ("ls", "fd"),
        ("ls", "map_files"),
    ] {
        let looked = run(as_nobody(program).arg(format!("/proc/{id}/{file}")), None);
        assert!(said(&looked).contains("Permission denied"), "{file}: {}", said(&looked));
    }
    if !Path::new("/usr/bin/strace").exists() {
        return skipped("strace is not installed");
    }
    let traced = run(as_nobody("strace").args(["-p", &id.to_string()]), None);
    assert!(said(&traced).contains("Operation not permitted"), "{}", said(&traced));
    // It does not even know of it: the process is as it was.
    daemon.stop();
}

#[test]
fn a_daemon_that_crashes_leaves_no_core_file() {
    let mut daemon = Daemon::new(&Config::default());
    let log = fs::File::options().append(true).create(true).open(daemon.path("log")).unwrap();
    // Where whoever starts it would like one.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -c unlimited && exec \"$0\" \"$@\""]);
    let mut command = wrapping(command, &daemon.command());
    command.current_dir(daemon.home());
    daemon.begin_as(command, log.into());
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let [soft, hard] = [0, 1].map(|at| core[26..].split_whitespace().nth(at).unwrap());
    assert_eq!((soft, hard), ("0", "0"), "{core}");

    // The first one is taken by the handler of the runtime, which looks for an overflow of the
    // stack, finds none, and leaves the next one to the kernel.
    let caught = || {
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        let caught = u64::from_str_radix(line.trim(), 16).unwrap();
        caught >> (Signal::SEGV.as_raw() - 1) & 1 == 1
    };
    if caught() {
        daemon.signal(Signal::SEGV);
        let until = Instant::now() + PATIENCE;
        while caught() {
            assert!(Instant::now() < until, "it goes on catching it");
            thread::yield_now();
        }
    }
    daemon.signal(Signal::SEGV);

    let status = daemon.ended();
    assert_eq!(status.signal(), Some(Signal::SEGV.as_raw()), "{status}");
    assert!(!status.core_dumped(), "{status}");
    let files = fs::read_dir(daemon.home()).unwrap().map(|entry| entry.unwrap().file_name());
    let cores = files.filter(|name| name.to_string_lossy().starts_with("core"));
    assert_eq!(cores.count(), 0);
}

/// Starts a daemon as nobody, and returns when it is ready.
fn begin_as_nobody(daemon: &mut Daemon) {
    give_to_nobody(daemon.home());
    let ready = daemon.path("notify");
    let manager = UnixDatagram::bind(&ready).unwrap();
    fs::set_permissions(&ready, Permissions::from_mode(0o777)).unwrap();
    let mut command = daemon.command();
    command.uid(NOBODY).gid(NOBODY).env("NOTIFY_SOCKET", &ready).stdin(Stdio::null());
    daemon.runs_as(Process::start(&mut command));
    let mut message = [0; 4096];
    let mut told = String::new();
    while !told.contains("READY=1") {
        assert!(daemon.lives_until(manager.as_fd()), "it ended: {told}");
        let length = manager.recv(&mut message).unwrap();
        told = String::from_utf8_lossy(&message[..length]).into_owned();
    }
}

/// Makes a directory and what is in it nobody's.
fn give_to_nobody(directory: &Path) {
    fs::set_permissions(directory, Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        chown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    chown(directory, Some(NOBODY), Some(NOBODY)).unwrap();
}

fn as_nobody(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").uid(NOBODY).gid(NOBODY);
    command
}
