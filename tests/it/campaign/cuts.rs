//! The power goes, again and again, at random moments: what was not synced is gone.
//!
//! The state lies on a file system of its own, in a file that is mounted by a loop device. A cut is
//! the ioctl by which a file system shuts down without writing its log (`GOINGDOWN` of XFS, `SHUTDOWN`
//! of ext4), and a kill; then the file system is mounted again, which replays what its log has.
//! `TOKENKEEPER_TEST_CUTS` says how often, over all the disks, `TOKENKEEPER_TEST_DISKS` how many there
//! are, and `TOKENKEEPER_TEST_SEED` repeats the moments.

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use crate::crash::herd::Herd;
use crate::crash::herd::Tally;
use crate::crash::side_by_side;
use crate::support::daemon::Daemon;
use crate::support::number_from_environment;
use crate::support::process::run;
use crate::support::process::said;
use crate::support::skipped;

/// How often the power goes, of each file system, unless the environment says otherwise.
const CUTS: u64 = 30;

/// Disks of each file system, each with a daemon of its own, unless the environment says otherwise.
const DISKS: u64 = 2;

/// Accounts on each disk.
const ACCOUNTS: usize = 40;

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
    let disks = number_from_environment("TOKENKEEPER_TEST_DISKS", DISKS);
    let seed = number_from_environment("TOKENKEEPER_TEST_SEED", RandomState::new().hash_one(0));
    eprintln!("TOKENKEEPER_TEST_SEED={seed} TOKENKEEPER_TEST_CUTS={cuts}");
    let tallies = side_by_side(disks, seed, |mut chance| {
        let mut disk = None;
        let herd = Herd::new(ACCOUNTS, |daemon| {
            disk = Disk::made_for(daemon, make, options, bytes);
            disk.is_some()
        });
        // The disk goes first, and then the directory that it was mounted in.
        let (mut herd, disk) = (herd?, disk?);
        herd.survives(cuts.div_ceil(disks), &mut chance, |daemon| disk.loses_power(daemon));
        Some(herd.recovers())
    });
    let tallies = tallies.into_iter().flatten().collect::<Vec<_>>();
    // Without a disk, what is missing was said.
    if !tallies.is_empty() {
        tallies.into_iter().fold(Tally::default(), Tally::and).check(15);
    }
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

    /// What is not in the log when the power goes never was. The power always goes.
    fn loses_power(&self, daemon: &mut Daemon) -> bool {
        does(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&self.at));
        daemon.kill();
        does(Command::new("umount").arg(&self.at));
        assert!(self.mount(), "{} cannot be mounted any more", Path::display(&self.image));
        true
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
