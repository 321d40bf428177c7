//! One program that a test started. It ends with the test, by its id.

use std::io::BufRead;
use std::io::BufReader;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use rustix::fd::OwnedFd;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;

use super::PATIENCE;

/// A running program.
pub(crate) struct Process {
    child: Child,
    pidfd: OwnedFd,
    what: String,
}

impl Process {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        let pidfd = rustix::process::pidfd_open(pid_of(&child), PidfdFlags::empty()).unwrap();
        Self { child, pidfd, what }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::pidfd_send_signal(&self.pidfd, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let ended = await_any(&[self.pidfd.as_fd()], PATIENCE);
        assert!(ended.is_some(), "still running: {}", self.what);
        self.child.wait().unwrap()
    }

    /// Waits until `other` can be read; false if the program ended first.
    pub(crate) fn lives_until(&self, other: BorrowedFd<'_>) -> bool {
        match await_any(&[other, self.pidfd.as_fd()], PATIENCE) {
            Some(0) => true,
            Some(_) => false,
            None => panic!("nothing came of {}", self.what),
        }
    }

    /// What follows `listening on http://` in the first line that it prints.
    pub(crate) fn address(&mut self) -> String {
        let line = self.first_line();
        let address = line.trim_end().strip_prefix("listening on http://");
        address.unwrap_or_else(|| panic!("{}: {line:?}", self.what)).to_owned()
    }

    /// The first line that it prints.
    pub(crate) fn first_line(&mut self) -> String {
        let stdout: ChildStdout = self.child.stdout.take().unwrap();
        let mut line = String::new();
        assert!(self.lives_until(stdout.as_fd()), "ended at once: {}", self.what);
        BufReader::new(stdout).read_line(&mut line).unwrap();
        line
    }
}

/// One of the programs that are tested: as it was built with the tests, or from the directory that
/// `TOKENKEEPER_TEST_PROGRAMS` names, such as one of optimised programs for a campaign that kills them
/// many thousand times.
pub(crate) fn program(name: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_tokenkeeperd")).with_file_name(name);
    let others = std::env::var_os("TOKENKEEPER_TEST_PROGRAMS");
    others.map_or(built, |others| Path::new(&others).join(name))
}

/// `wrapper`, which runs `program` with its arguments and variables.
pub(crate) fn wrapping(mut wrapper: Command, program: &Command) -> Command {
    wrapper.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => wrapper.env(name, value),
            None => wrapper.env_remove(name),
        };
    }
    wrapper
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a program to its end. Its output must fit a pipe's buffer, 64 KiB.
pub(crate) fn run(command: &mut Command, input: Option<&str>) -> Output {
    use std::io::Write;

    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    if let Some(input) = input {
        // A program that refuses its arguments reads nothing.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    }
    let pidfd = rustix::process::pidfd_open(pid_of(&child), PidfdFlags::empty()).unwrap();
    if await_any(&[pidfd.as_fd()], PATIENCE).is_none() {
        child.kill().unwrap();
        panic!("still running: {command:?}");
    }
    child.wait_with_output().unwrap()
}

/// What a program printed, both streams.
pub(crate) fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Waits until one of these can be read, and says which; `None` after `patience`.
pub(crate) fn await_any(fds: &[BorrowedFd<'_>], patience: Duration) -> Option<usize> {
    let mut polled = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect::<Vec<_>>();
    let timeout = Timespec::try_from(patience).unwrap();
    let ready = poll(&mut polled, Some(&timeout)).unwrap();
    (ready > 0).then(|| polled.iter().position(|fd| !fd.revents().is_empty()).unwrap())
}

/// Lets time pass, for tests whose subject is time itself: waits on a socket on which nobody writes.
pub(crate) fn let_pass(span: Duration) {
    let (quiet, _other_end) = UnixStream::pair().unwrap();
    assert!(await_any(&[quiet.as_fd()], span).is_none(), "nobody writes here");
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}
