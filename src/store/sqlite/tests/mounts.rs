//! The same on file systems that really are full or read-only.
//!
//! Mounting them needs privileges. Without them these tests say so and test nothing, which
//! is a failure where `CI` is set.

use std::io::Write as _;
use std::path::Path;

use super::*;
use crate::store::ballast::Reserve;

#[test]
fn a_disk_that_fills_up_costs_the_ballast_before_it_costs_a_write() {
    let Some(disk) = Disk::mounted() else { return };
    let home = disk.home();
    let mut store = home.open();
    store.commit("mail", "a0", Some("r0"));
    assert_eq!(store.health().reserve, Reserve::Kept);
    fill(&home.at.path().join("filler"));

    let mut written = 0;
    while store.health().reserve == Reserve::Kept {
        written += 1;
        assert!(written < 1000, "the disk never filled up");
        store.commit("mail", &format!("a{written}"), Some("r"));
    }
    // The write that met the full disk was made in the ballast's room.
    assert_eq!(access_of(&store.only()), format!("a{written}"));

    let long = "x".repeat(4 << 20);
    let full = store.one(Change::Account(commit("mail", &long, None))).map(drop);
    assert_eq!(full, Err(StoreError::Full));
    assert_eq!(access_of(&store.only()), format!("a{written}"));

    std::fs::remove_file(home.at.path().join("filler")).unwrap();
    store.commit("mail", "after", None);
    assert_eq!(store.health().reserve, Reserve::Kept);
    assert_eq!(access_of(&home.crashed().open().only()), "after");
}

#[test]
fn a_disk_that_turns_read_only_is_served_from_and_a_restart_finds_it_so() {
    let Some(disk) = Disk::mounted() else { return };
    let home = disk.home();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    drop(store);
    disk.remount_read_only();

    let mut store = home.open();
    assert_eq!(access_of(&store.only()), "a1");
    assert!(!store.health().writable && store.health().read_only);
    for write in [commit("mail", "a2", None), intent("mail")] {
        let answer = store.one(Change::Account(write)).map(drop);
        assert_eq!(answer, Err(StoreError::ReadOnly));
    }
    assert_eq!(home.refused().exit_status(), 75);

    disk.remount_writable();
    store.commit("mail", "a2", Some("r2"));
    assert!(store.health().writable);
    assert_eq!(access_of(&home.crashed().open().only()), "a2");
}

#[test]
fn a_disk_that_is_full_at_a_start_is_served_from_and_written_when_there_is_room() {
    let Some(disk) = Disk::mounted() else { return };
    let home = disk.home();
    let mut store = home.open();
    store.commit("mail", "a1", Some("r1"));
    let filler = home.at.path().join("filler");
    fill(&filler);
    std::fs::remove_file(home.at.path().join("store.ballast")).unwrap();
    drop(store);
    fill(&home.at.path().join("more"));

    let mut store = home.open();
    assert_eq!(access_of(&store.only()), "a1");
    let answer = store.one(Change::Account(commit("mail", "a2", Some("r2")))).map(drop);
    assert_eq!(answer, Err(StoreError::Full));
    assert!(!store.health().writable && !store.health().read_only);

    std::fs::remove_file(filler).unwrap();
    store.commit("mail", "a2", Some("r2"));
    assert!(store.health().writable);
    assert_eq!(access_of(&home.crashed().open().only()), "a2");
}

/// A small file system in memory, until this goes.
struct Disk {
    at: TempDir,
}

impl Disk {
    fn mounted() -> Option<Self> {
        let at = private_dir();
        let options = ["-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs"];
        if mount(&options, at.path()) {
            return Some(Self { at });
        }
        eprintln!("SKIPPED: no file system can be mounted here");
        assert!(std::env::var_os("CI").is_none(), "skipped where nothing may be");
        None
    }

    fn home(&self) -> Home {
        let at = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .tempdir_in(self.at.path())
            .unwrap();
        Home::at(at)
    }

    fn remount_read_only(&self) {
        assert!(mount(&["-o", "remount,ro"], self.at.path()));
    }

    fn remount_writable(&self) {
        assert!(mount(&["-o", "remount,rw"], self.at.path()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["--lazy"], self.at.path());
    }
}

fn mount(options: &[&str], at: &Path) -> bool {
    run("mount", options, at)
}

#[allow(clippy::disallowed_methods, reason = "mounting is a program's business")]
fn run(program: &str, options: &[&str], at: &Path) -> bool {
    let mut command = std::process::Command::new(program);
    command.args(options).arg(at).output().is_ok_and(|done| done.status.success())
}

/// Takes all room that is left.
fn fill(at: &Path) {
    let mut file = std::fs::File::create(at).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
}
