//! A process, and all that it starts, as one thing that can be ended.
//!
//! # Invariants
//!
//! * The process is reaped at the very end and not before. Until then the number of its group
//!   is taken, so a signal to the group cannot reach a stranger.
//! * A [`Group`] that is dropped is killed.

use std::fs::File;
use std::io;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;
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
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::DESCRIPTOR;
use super::GONE;
use super::LANG;
use super::NotStarted;
use super::PATH;
use super::Program;
use super::guard::guarded;
use super::streams::Streams;
use crate::apart::Apart;

/// A process that was started, and its group.
pub(super) struct Group {
    child: Child,
    /// The process's number, and its group's.
    number: Pid,
    /// Becomes readable when the process exits, whether it is reaped or not.
    life: AsyncFd<OwnedFd>,
    reaped: bool,
}

/// Programs that are being started, which takes a millisecond or two unless one's file cannot
/// be read.
pub(super) static STARTS: Apart = Apart::new("start", 4);

impl Group {
    /// Starts a program, within its limit.
    pub(super) async fn start(program: &mut Program<'_>) -> Result<(Self, Streams), NotStarted> {
        let (name, arguments) = program.argv.split_first().ok_or(NotStarted::Empty)?;
        let refused = |error| NotStarted::Refused { name: name.clone(), error };
        let mut command = command(name);
        command.args(arguments.iter().map(|argument| &**argument));
        command.envs(program.environment.drain(..));
        command.stdin(if program.input.is_some() { Stdio::piped() } else { Stdio::null() });
        if let Some(descriptor) = program.descriptor.take() {
            let mapping = FdMapping { parent_fd: descriptor, child_fd: DESCRIPTOR };
            let mapped = command.fd_mappings(vec![mapping]);
            mapped.map_err(|collision| refused(io::Error::other(collision)))?;
        }
        let runtime = Handle::current();
        let (path, own) = (name.clone(), rustix::process::geteuid().as_raw());
        // A process is there when it has read its program. That is what may hang.
        let starting = STARTS.run(Path::new(&**name), program.limit, move || {
            // What is looked for in PATH is in directories of the system.
            if path.starts_with('/') {
                guarded(Path::new(&*path), &[own])?;
            }
            let _follows_it = runtime.enter();
            let started = command.spawn().and_then(Self::of);
            started.map_err(|error| NotStarted::Refused { name: path, error })
        });
        let started = starting.await;
        let mut group =
            started.map_err(|undone| NotStarted::Unread { name: name.clone(), undone })??;
        let streams = Streams::of(&mut group.child, program.input.take(), program.longest);
        Ok((group, streams))
    }

    /// Follows a process, to which nothing was written yet.
    fn of(mut child: Child) -> io::Result<Self> {
        let gone = || io::Error::other("its process cannot be followed");
        let number = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let number = number.ok_or_else(gone)?;
        die_first(number);
        match pidfd_open(number, PidfdFlags::NONBLOCK).ok().and_then(followed) {
            Some(life) => Ok(Self { child, number, life, reaped: false }),
            None => {
                // Whether it is gone is for the runtime to see to.
                let _gone = kill_process_group(number, Signal::KILL);
                let _gone = child.start_kill();
                Err(gone())
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

/// Has the kernel end this process, and what it starts from here on, before the daemon when
/// memory runs out: the two share the service's.
fn die_first(number: Pid) {
    /// The largest, proc_pid_oom_score_adj(5).
    const FIRST: &[u8] = b"1000";

    let path = format!("/proc/{}/oom_score_adj", number.as_raw_pid());
    let adjusted = File::options().write(true).open(path);
    // One that has ended already takes no memory, and of one that is no longer ours (it may
    // have other rights than we) the kernel's own choice is as good.
    let _refused = adjusted.and_then(|mut file| file.write_all(FIRST));
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
