//! A child process that does not outlive whoever started it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;
use rustix::process::kill_process;
use rustix::process::pidfd_open;

use super::trouble::Trouble;

/// Until a child that was asked to end has ended: more than any of ours takes to finish what
/// it may not lose.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// A program to run.
#[allow(clippy::disallowed_methods, reason = "what is on a stage is started here")]
pub(crate) fn program(path: impl AsRef<OsStr>) -> Command {
    Command::new(path)
}

/// A running program.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    /// Becomes readable when the program has ended.
    end: OwnedFd,
    /// Where it writes what it has to say.
    log: PathBuf,
}

impl Process {
    /// Starts `command`, its standard error going to the file `log`. It gets a process group
    /// of its own, so that Ctrl-C in a terminal reaches it only through us.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn start(
        name: &'static str,
        command: &mut Command,
        log: PathBuf,
    ) -> Result<Self, Trouble> {
        let words = File::create(&log).map_err(Trouble::system("cannot make a log"))?;
        let mut child = command
            .stdin(Stdio::null())
            .stderr(words)
            .process_group(0)
            .spawn()
            .map_err(Trouble::system("cannot start a program"))?;
        let Ok(end) = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) else {
            // Without it nobody could wait for the child, so it may not live.
            let _killed = child.kill().and_then(|()| child.wait());
            let error = io::Error::other("a kernel before 5.3");
            return Err(Trouble::System("cannot follow a program", error));
        };
        Ok(Self { name, child, end, log })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it writes to its standard output, if that was piped; once.
    pub(crate) fn output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits until `source` can be read.
    ///
    /// # Errors
    ///
    /// [`Trouble::Silent`] after `patience`, and [`Trouble::Ended`] if the program ends first.
    pub(crate) fn wait_for(
        &mut self,
        source: impl AsFd,
        patience: Duration,
    ) -> Result<(), Trouble> {
        let (source, end) = (source.as_fd(), self.end.as_fd());
        let mut fds = [PollFd::new(&source, PollFlags::IN), PollFd::new(&end, PollFlags::IN)];
        poll(&mut fds, Some(&timespec(patience))).map_err(Trouble::system("cannot wait"))?;
        let [readable, ended] = fds.map(|fd| !fd.revents().is_empty());
        if readable {
            return Ok(());
        }
        let (program, said) = (self.name, self.said());
        if !ended {
            return Err(Trouble::Silent { program, said });
        }
        let status = self.child.wait().map_err(Trouble::system("cannot wait for a program"))?;
        Err(Trouble::Ended { program, status, said })
    }

    /// Asks it to end and waits for it.
    ///
    /// # Errors
    ///
    /// If it ends with a failure, or has to be killed.
    pub(crate) fn end(mut self) -> Result<(), Trouble> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .map_err(Trouble::system("cannot signal a program"))?;
        let end = self.end.as_fd();
        let mut fds = [PollFd::new(&end, PollFlags::IN)];
        if poll(&mut fds, Some(&timespec(LAST_WORDS))).is_ok_and(|ready| ready == 0) {
            self.child.kill().map_err(Trouble::system("cannot kill a program"))?;
        }
        let status = self.child.wait().map_err(Trouble::system("cannot wait for a program"))?;
        if status.success() {
            return Ok(());
        }
        Err(Trouble::Ended { program: self.name, status, said: self.said() })
    }

    /// The end of what it wrote; empty if that cannot be read.
    fn said(&self) -> String {
        const READ: u64 = 1024 * 1024;
        const LINES: usize = 20;
        let mut text = String::new();
        let _read = File::open(&self.log).and_then(|log| log.take(READ).read_to_string(&mut text));
        let lines = text.lines().collect::<Vec<_>>();
        lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // It may end by itself in between, which is what is wanted.
            let _killed = self.child.kill().and_then(|()| self.child.wait());
        }
    }
}

fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}
