//! The power goes, again and again, at random moments: what was not synced is gone.
//!
//! The state lies on a file system of its own, in a file that is mounted by a loop device. A cut is
//! the ioctl by which a file system shuts down without writing its log (`GOINGDOWN` of XFS, `SHUTDOWN`
//! of ext4), and a kill; then the file system is mounted again, which replays what its log has.
//! `TOKENKEEPER_TEST_CUTS` says how often, and `TOKENKEEPER_TEST_SEED` repeats the moments.

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::crash::Chance;
use crate::crash::herd::Herd;
use crate::support::daemon::Daemon;
use crate::support::number_from_environment;
use crate::support::process::let_pass;
use crate::support::process::run;
use crate::support::process::said;
use crate::support::skipped;

/// How often the power goes, of each file system, unless the environment says otherwise.
const CUTS: u64 = 30;

const ACCOUNTS: usize = 240;

/// The shortest and the longest life after a start, in milliseconds.
const LIVES: (u64, u64) = (200, 1_400);

#[test]
fn no_power_cut_costs_an_account_on_ext4() {
    the_power_goes("mkfs.ext4", &["-q", "-F"], 64 << 20);
}

/// It is made no smaller than that.
#[test]
fn no_power_cut_costs_an_account_on_xfs() {
    the_power_goes("mkfs.xfs", &["-q"], 320 << 20);
}

fn the_power_goes(make: &str, options: &[&str], bytes: u64) {
    let cuts = number_from_environment("TOKENKEEPER_TEST_CUTS", CUTS);
    let seed = number_from_environment("TOKENKEEPER_TEST_SEED", RandomState::new().hash_one(0));
    eprintln!("TOKENKEEPER_TEST_SEED={seed} TOKENKEEPER_TEST_CUTS={cuts}");
    let mut disk = None;
    let herd = Herd::new(ACCOUNTS, |daemon| {
        disk = Disk::made_for(daemon, make, options, bytes);
        disk.is_some()
    });
    let (Some(mut herd), Some(disk)) = (herd, disk) else { return };
    let mut chance = Chance(seed);
    let (shortest, longest) = LIVES;
    for _ in 0..cuts {
        let_pass(Duration::from_millis(shortest + chance.below(longest - shortest)));
        herd.survives(|daemon| disk.loses_power(daemon));
    }
    // A few dozen cuts are few, and some campaigns have less luck than others.
    herd.recovers().check(5);
}

/// A file system in a file, until this goes.
struct Disk {
    image: PathBuf,
    at: PathBuf,
}

impl Disk {
    /// One that the daemon's state lies on; `None` where there is nothing to make or mount it with.
    fn made_for(daemon: &Daemon, make: &str, options: &[&str], bytes: u64) -> Option<Self> {
        let (image, at) = (daemon.path("disk"), daemon.path("state"));
        if [make, "xfs_io"].iter().any(|it| Command::new(it).arg("-V").output().is_err()) {
            skipped(&format!("no {make}, or no xfs_io, which shuts a file system down"));
            return None;
        }
        File::create(&image).unwrap().set_len(bytes).unwrap();
        let made = run(Command::new(make).args(options).arg(&image), None);
        assert!(made.status.success(), "{}", said(&made));
        fs::create_dir(&at).unwrap();
        let disk = Self { image, at };
        if !disk.mount() {
            skipped("no loop device can be mounted here");
            return None;
        }
        fs::set_permissions(&disk.at, Permissions::from_mode(0o700)).unwrap();
        Some(disk)
    }

    fn mount(&self) -> bool {
        let mut command = Command::new("mount");
        run(command.args(["-o", "loop"]).arg(&self.image).arg(&self.at), None).status.success()
    }

    /// What is not in the log when the power goes never was.
    fn loses_power(&self, daemon: &mut Daemon) {
        does(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&self.at));
        daemon.kill();
        does(Command::new("umount").arg(&self.at));
        assert!(self.mount(), "{} cannot be mounted any more", Path::display(&self.image));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.at), None);
    }
}

fn does(command: &mut Command) {
    let done = run(command, None);
    assert!(done.status.success(), "{}", said(&done));
}
