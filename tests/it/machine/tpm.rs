//! A TPM 2.0 for the machine: swtpm(8), an emulator, and firmware that uses it.
//!
//! The kernel finds the TPM without that firmware too, but systemd counts on none that the firmware
//! has not measured the boot into.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use tempfile::TempDir;

use crate::support::process::Process;

/// What of the firmware `tests/run` lays down: its code, and the variables of a board that is new.
const FIRMWARE: [&str; 2] = ["firmware", "variables"];

/// A TPM that nobody has used before. Dropping it ends it, with all that it knows.
pub(super) struct Tpm {
    _emulator: Process,
    /// Its state, its socket, and a copy of the firmware, which writes to its variables.
    home: TempDir,
}

impl Tpm {
    /// Starts one, with the firmware in `parts`; none where either is missing.
    pub(super) fn start(parts: &Path) -> Option<Self> {
        let is_whole = FIRMWARE.iter().all(|name| parts.join(name).exists());
        let version = Command::new("swtpm").arg("--version").stdout(Stdio::null()).status();
        if !is_whole || version.is_err() {
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        for name in FIRMWARE {
            fs::copy(parts.join(name), home.path().join(name)).unwrap();
        }
        let state = home.path().join("state");
        fs::create_dir(&state).unwrap();
        // It listens before the emulator runs, so that nobody has to wait for that.
        let socket = UnixListener::bind(home.path().join("socket")).unwrap();
        let mut swtpm = Command::new("swtpm");
        swtpm.args(["socket", "--tpm2", "--terminate", "--ctrl", "type=unixio,fd=0"]);
        swtpm.arg("--tpmstate").arg(format!("dir={}", state.display()));
        swtpm.stdin(OwnedFd::from(socket));
        Some(Self { _emulator: Process::start(&mut swtpm), home })
    }

    /// Adds it and its firmware to the machine that is started by `qemu`.
    pub(super) fn plug_into(&self, qemu: &mut Command) {
        let at = |name: &str| self.home.path().join(name).display().to_string();
        let [code, variables] = FIRMWARE.map(at);
        qemu.args(["-drive", &format!("if=pflash,format=raw,readonly=on,file={code}")]);
        qemu.args(["-drive", &format!("if=pflash,format=raw,file={variables}")]);
        qemu.args(["-chardev", &format!("socket,id=tpm,path={}", at("socket"))]);
        qemu.args(["-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm"]);
    }

    /// Forgets all that it knows when it next begins, which is when its machine does: it is another one
    /// then. Until that it must not be asked anything.
    pub(super) fn forget(&self) {
        fs::remove_file(self.home.path().join("state/tpm2-00.permall")).unwrap();
    }
}
