//! A service manager that keeps descriptors: what is sent to it with `FDSTORE=1` comes back at
//! the next start, as `sd_notify(3)` has it.

use std::fs::File;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::process::Stdio;

use command_fds::CommandFdExt as _;
use command_fds::FdMapping;
use rustix::net::RecvAncillaryBuffer;
use rustix::net::RecvAncillaryMessage;
use rustix::net::RecvFlags;

use super::daemon::Daemon;
use super::process::Process;
use super::process::wrapping;

/// What a manager has of one service.
pub(crate) struct Keeping {
    socket: UnixDatagram,
    /// What it keeps, oldest first.
    pub(crate) kept: Vec<(String, OwnedFd)>,
}

impl Keeping {
    /// A manager that listens at the `notify` of the daemon's directory.
    pub(crate) fn of(daemon: &Daemon) -> Self {
        let socket = UnixDatagram::bind(daemon.path("notify")).unwrap();
        Self { socket, kept: Vec::new() }
    }

    /// Starts the daemon with what is kept, and returns when it is ready.
    pub(crate) fn start(&mut self, daemon: &mut Daemon) {
        // Only the shell knows the id of the process that it becomes.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""]);
        let mut command = wrapping(command, &daemon.command());
        let names = self.names().join(":");
        if !names.is_empty() {
            command.env("LISTEN_FDS", self.kept.len().to_string()).env("LISTEN_FDNAMES", names);
        }
        command.env("NOTIFY_SOCKET", daemon.path("notify"));
        let numbered = (3..).zip(&self.kept);
        let mappings = numbered.map(|(child_fd, (_, file))| FdMapping {
            parent_fd: file.try_clone().unwrap(),
            child_fd,
        });
        command.fd_mappings(mappings.collect()).unwrap();
        let log = File::options().append(true).create(true).open(daemon.path("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        daemon.runs_as(Process::start(&mut command));
        self.until(daemon, |told, _| told.lines().any(|line| line == "READY=1"));
    }

    /// Hears the daemon until that is so of a message and of what is kept after it.
    pub(crate) fn until(
        &mut self,
        daemon: &Daemon,
        wanted: impl Fn(&str, &[(String, OwnedFd)]) -> bool,
    ) {
        loop {
            assert!(daemon.lives_until(self.socket.as_fd()), "{}", daemon.log());
            let told = self.hear();
            if wanted(&told, &self.kept) {
                return;
            }
        }
    }

    /// The names of what is kept.
    pub(crate) fn names(&self) -> Vec<String> {
        self.kept.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Takes one message, and does what it asks for.
    fn hear(&mut self) -> String {
        let mut message = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut message)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let heard = rustix::net::recvmsg(&self.socket, &mut parts, &mut rights, flags).unwrap();
        let files = rights.drain().filter_map(|message| {
            if let RecvAncillaryMessage::ScmRights(files) = message { Some(files) } else { None }
        });
        let files = files.flatten().collect::<Vec<_>>();
        let told = String::from_utf8_lossy(&message[..heard.bytes]).into_owned();
        let name = told.lines().find_map(|line| line.strip_prefix("FDNAME="));
        let name = name.unwrap_or_default().to_owned();
        if told.lines().any(|line| line == "FDSTORE=1") {
            assert!(told.lines().any(|line| line == "FDPOLL=0"), "{told}");
            self.kept.extend(files.into_iter().map(|file| (name.clone(), file)));
        } else if told.lines().any(|line| line == "FDSTOREREMOVE=1") {
            self.kept.retain(|(kept, _)| *kept != name);
        }
        told
    }
}
