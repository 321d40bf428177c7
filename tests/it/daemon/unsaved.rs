//! What the disk does not take survives the daemon all the same, where a service manager keeps it.

use std::fs;
use std::fs::File;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::receive;
use crate::support::idp::Idp;
use crate::support::keeping::Keeping;
use crate::support::process::Process;
use crate::support::process::run;
use crate::support::skipped;

/// What the next daemon finds of a disk that was full.
#[derive(Clone, Copy)]
enum Then {
    /// It is still full, to the last page.
    Full,
    /// There is room, and nothing can be written.
    ReadOnly,
}

#[test]
fn a_kill_on_a_full_disk_loses_no_refresh_token_and_sends_no_spent_one() {
    a_kill_loses_nothing(Then::Full);
}

#[test]
fn a_kill_before_a_disk_turns_read_only_loses_no_refresh_token_and_sends_no_spent_one() {
    a_kill_loses_nothing(Then::ReadOnly);
}

fn a_kill_loses_nothing(then: Then) {
    let (idp, mut daemon) = with_mail();
    let Some(disk) = Disk::mounted_for(&daemon) else { return };
    let mut keeping = Keeping::of(&daemon);
    keeping.start(&mut daemon);
    daemon.import("mail", &idp.put("mail", &strict()));

    disk.fills_up_during_an_exchange(&idp, &daemon);
    keeping.until(&daemon, |_, kept| kept.len() == 1);
    let unsaved = daemon.until("mail", "unsaved", |view| view.unsaved);
    let message = unsaved.refresh_error.unwrap().message;
    assert!(message.contains("kept by the service manager over restarts"), "{message}");
    let token = daemon.token("mail", "").unwrap();
    assert!(token.unsaved && idp.accepts("mail", &token.token));

    for life in 0..2 {
        daemon.kill();
        assert_eq!(keeping.names().len(), 1, "in life {life}");
        disk.turns(then);
        keeping.start(&mut daemon);
        let again = daemon.token("mail", "").unwrap();
        assert_eq!((again.generation, again.unsaved), (token.generation, true));
        assert!(again.token == token.token, "in life {life}");
    }
    assert_eq!(idp.totals("mail").requests, 2, "a start is no reason to refresh");

    disk.recovers(then);
    daemon.until("mail", "saved", |view| !view.unsaved);
    keeping.until(&daemon, |_, kept| kept.is_empty());
    daemon.kill();
    keeping.start(&mut daemon);
    assert_eq!(receive(daemon.begin_refresh("mail")).unwrap().status, 200);
    assert_eq!(daemon.token("mail", "").unwrap().generation, token.generation + 1);
    let totals = idp.totals("mail");
    assert_eq!((totals.granted, totals.replays, totals.reuses), (3, 0, 0));
}

#[test]
fn what_was_tampered_with_is_refused_and_told_and_costs_one_login_at_most() {
    let (idp, mut daemon) = with_mail();
    let Some(disk) = Disk::mounted_for(&daemon) else { return };
    let mut keeping = Keeping::of(&daemon);
    keeping.start(&mut daemon);
    daemon.import("mail", &idp.put("mail", &strict()));
    disk.fills_up_during_an_exchange(&idp, &daemon);
    keeping.until(&daemon, |_, kept| kept.len() == 1);
    daemon.kill();

    let (name, file) = keeping.kept.pop().unwrap();
    keeping.kept.push((name.clone(), tampered(file)));
    disk.recovers(Then::Full);
    keeping.start(&mut daemon);

    daemon.logs("\"event\":\"unsaved_refused\"");
    assert_eq!(daemon.account("mail").generation, 1, "what is on disk counts");
    assert_eq!(keeping.names(), [name], "it is not the daemon's to throw away");
}

/// Whoever reads that stops the daemon and not the process: what only memory has is gone with it.
#[test]
fn without_a_service_manager_everyone_is_told_that_only_memory_has_it() {
    let (idp, mut daemon) = with_mail();
    let Some(disk) = Disk::mounted_for(&daemon) else { return };
    let log = File::options().append(true).create(true).open(daemon.path("log")).unwrap();
    let mut command = daemon.command();
    let process = Process::start(command.env_remove("NOTIFY_SOCKET").stderr(log));
    daemon.runs_as(process);
    daemon.logs("\"event\":\"ready\"");
    daemon.import("mail", &idp.put("mail", &strict()));
    disk.fills_up_during_an_exchange(&idp, &daemon);
    let unsaved = daemon.until("mail", "unsaved", |view| view.unsaved);
    let message = unsaved.refresh_error.unwrap().message;
    let told = "its refresh token is only in memory, so do not kill the daemon.";
    assert!(message.contains(told), "{message}");
    let story = daemon.tokenctl_does(&["why", "mail"], None);
    assert!(story.contains(told), "{story}");
    assert!(story.contains("Somebody has to see to the store's disk, before"), "{story}");

    daemon.signal(Signal::TERM);
    daemon.logs("\"event\":\"stop_waits\"");
    let status = daemon.tokenctl_does(&["status"], None);
    assert!(status.contains("waits for the disk") && !status.contains("reload"), "{status}");
    disk.recovers(Then::Full);
    let status = daemon.ended();
    assert!(status.success(), "{status}");
}

fn strict() -> serde_json::Value {
    json!({ "lifetime_secs": 3600, "rotation": { "grace_secs": 0 } })
}

/// A daemon that does not run yet, and its provider, which forgives nothing.
fn with_mail() -> (Idp, Daemon) {
    let idp = Idp::start();
    let keys = idp.keys("mail") + "rotation = \"strict\"\n";
    let daemon = Daemon::new(&Config::default().account("mail", &keys));
    (idp, daemon)
}

/// A copy of a file with one bit changed, sealed as well.
fn tampered(file: OwnedFd) -> OwnedFd {
    use rustix::fs::MemfdFlags;
    use rustix::fs::SealFlags;

    let mut bytes = Vec::new();
    let mut original = File::from(file);
    original.rewind().unwrap();
    original.read_to_end(&mut bytes).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut copy = File::from(rustix::fs::memfd_create("tampered", flags).unwrap());
    copy.write_all(&bytes).unwrap();
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&copy, seals).unwrap();
    copy.into()
}

/// A small file system in memory, until this goes.
struct Disk {
    at: PathBuf,
}

impl Disk {
    /// One that the daemon's state lies on; `None` where nothing may be mounted.
    fn mounted_for(daemon: &Daemon) -> Option<Self> {
        let at = daemon.path("state");
        fs::create_dir(&at).unwrap();
        if mount(&["-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs"], &at) {
            return Some(Self { at });
        }
        skipped("no file system can be mounted here");
        None
    }

    /// The disk fills up while an exchange is under way, whose intent it has taken.
    fn fills_up_during_an_exchange(&self, idp: &Idp, daemon: &Daemon) {
        idp.hold("mail", true);
        let asking = daemon.begin_refresh("mail");
        idp.wait("mail", "held=1");
        // The ballast is what would let the commit through. There is none on so small a disk.
        assert!(!self.at.join("store.ballast").exists());
        fill(&self.at.join("filler"));
        idp.release("mail");
        receive(asking).unwrap();
    }

    /// No daemon runs, so that nothing is open for writing.
    fn turns(&self, then: Then) {
        match then {
            Then::Full => fill(&self.at.join("more")),
            Then::ReadOnly => {
                // It may have turned already.
                drop(fs::remove_file(self.at.join("filler")));
                assert!(mount(&["-o", "remount,ro"], &self.at));
            }
        }
    }

    fn recovers(&self, then: Then) {
        match then {
            Then::Full => fs::remove_file(self.at.join("filler")).unwrap(),
            Then::ReadOnly => assert!(mount(&["-o", "remount,rw"], &self.at)),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.at), None);
    }
}

fn mount(options: &[&str], at: &Path) -> bool {
    run(Command::new("mount").args(options).arg(at), None).status.success()
}

/// Takes all room that is left.
fn fill(at: &Path) {
    let mut file = File::create(at).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
}
