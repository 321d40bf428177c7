//! A terminal, on which the daemon logs lines for people.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use rustix::fs::CWD;
use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::mknodat;

use crate::support::process::Process;
use crate::support::skipped;

/// A terminal whose screen is taken down. It is gone with the value.
pub(super) struct Terminal {
    /// `script`, which reads what is shown.
    _reader: Process,
    device: PathBuf,
}

impl Terminal {
    /// A terminal, with what it shows in the file `shown` beside which a pipe is made; `None` where
    /// none is to be had.
    pub(super) fn open(shown: &Path) -> Option<Self> {
        if !Path::new("/usr/bin/script").exists() {
            skipped("script is not installed");
            return None;
        }
        let pipe = shown.with_extension("device");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let mut options = File::options();
        options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let named = options.open(&pipe).unwrap();
        // The shell says which it is, and keeps it open.
        let holds = format!("tty > '{}'; exec sleep infinity", pipe.display());
        let mut command = Command::new("script");
        command.args(["--quiet", "--flush", "--command", &holds]).arg(shown);
        let nobody = || Stdio::null();
        let reader = Process::start(command.stdin(nobody()).stdout(nobody()).stderr(nobody()));
        assert!(reader.lives_until(named.as_fd()), "there is no terminal");
        let mut name = [0; 64];
        let length = rustix::io::read(&named, &mut name).unwrap();
        let name = std::str::from_utf8(&name[..length]).unwrap();
        Some(Self { _reader: reader, device: name.trim().into() })
    }

    /// What a program writes to.
    pub(super) fn screen(&self) -> OwnedFd {
        let flags = OFlags::NOCTTY.bits().cast_signed();
        File::options().write(true).custom_flags(flags).open(&self.device).unwrap().into()
    }
}
