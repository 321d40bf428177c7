//! A process, and all that it starts, as one thing that can be ended.
//!
//! # Invariants
//!
//! * The process is reaped at the very end and not before. Until then the number of its group
//!   is taken, so a signal to the group cannot reach a stranger.
//! * A [`Group`] that is dropped is killed.

use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::process::Stdio;

use command_fds::CommandFdExt as _;
use command_fds::FdMapping;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;
use rustix::process::kill_process_group;
use rustix::process::pidfd_open;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::Child;
use tokio::process::Command;
use tokio::time::timeout;

use super::DESCRIPTOR;
use super::GONE;
use super::LANG;
use super::NotStarted;
use super::PATH;
use super::Program;
use super::streams::Streams;

/// A process that was started, and its group.
pub(super) struct Group {
    child: Child,
    /// The process's number, and its group's.
    number: Pid,
    /// Becomes readable when the process exits, whether it is reaped or not.
    life: AsyncFd<OwnedFd>,
    reaped: bool,
}

impl Group {
    /// Starts a program.
    pub(super) fn start(program: &mut Program<'_>) -> Result<(Self, Streams), NotStarted> {
        let Some((name, arguments)) = program.argv.split_first() else {
            return Err(NotStarted("the command is empty".to_owned()));
        };
        let failed = |error: &dyn std::fmt::Display| NotStarted(format!("{name}: {error}"));
        let mut command = command(name);
        command.args(arguments.iter().map(|argument| &**argument));
        command.envs(program.environment.drain(..));
        command.stdin(if program.input.is_some() { Stdio::piped() } else { Stdio::null() });
        if let Some(descriptor) = program.descriptor.take() {
            let mapping = FdMapping { parent_fd: descriptor, child_fd: DESCRIPTOR };
            command.fd_mappings(vec![mapping]).map_err(|error| failed(&error))?;
        }
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        let streams = Streams::of(&mut child, program.input.take(), program.longest);
        match Self::of(child) {
            Some(group) => Ok((group, streams)),
            // Nothing was written to it yet.
            None => Err(failed(&"its process cannot be followed")),
        }
    }

    fn of(mut child: Child) -> Option<Self> {
        let number = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))?;
        match pidfd_open(number, PidfdFlags::NONBLOCK).ok().and_then(followed) {
            Some(life) => Some(Self { child, number, life, reaped: false }),
            None => {
                // Whether it is gone is for the runtime to see to.
                let _gone = kill_process_group(number, Signal::KILL);
                let _gone = child.start_kill();
                None
            }
        }
    }

    /// Returns when the process has exited.
    pub(super) async fn exited(&self) {
        // The descriptor of a process has no errors to tell.
        let _readable = self.life.readable().await;
    }

    /// Asks all of the group to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends all of the group.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Ends what is left of the group, and says how the process itself ended. `None` if the
    /// kernel does not let go of it.
    pub(super) async fn end(&mut self) -> Option<ExitStatus> {
        self.kill();
        let status = timeout(GONE, self.child.wait()).await.ok()?.ok();
        self.reaped = true;
        status
    }

    fn signal(&self, signal: Signal) {
        if !self.reaped {
            // A group of which nobody is left but the exited process may be signalled too.
            let _refused = kill_process_group(self.number, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Follows a descriptor of a process with the runtime.
fn followed(process: OwnedFd) -> Option<AsyncFd<OwnedFd>> {
    #[allow(
        deprecated,
        reason = "its successor is unsafe for types that may change their descriptor; an \
                  OwnedFd keeps the one it has"
    )]
    AsyncFd::with_interest(process, Interest::READABLE).ok()
}

/// The one place where a process is made: nothing of the daemon's own environment goes with it.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
fn command(name: &str) -> Command {
    let mut command = Command::new(name);
    command
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", LANG)
        .current_dir("/")
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}
