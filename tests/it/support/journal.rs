//! The journal as the daemon finds it, played by a test.
//!
//! Its socket has one place on every host, so the daemon runs in a mount namespace of its own, in which
//! the test's socket is there.

use std::fs;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::thread::JoinHandle;

use rustix::fs::fstat;
use tempfile::TempDir;
use tokenkeeper::message::Message;

use super::PATIENCE;
use super::daemon::Daemon;
use super::process::await_any;
use super::process::run;
use super::process::said;
use super::process::wrapping;
use super::skipped;

/// A journal that takes the records of one life after the other.
pub(crate) struct Journal {
    directory: TempDir,
    socket: UnixDatagram,
    reading: JoinHandle<Vec<Vec<u8>>>,
    /// What the service manager would have connected standard error to.
    writer: UnixStream,
    reader: UnixStream,
}

impl Journal {
    /// Begins to take records; nothing where the host allows no namespaces.
    pub(crate) fn play() -> Option<Self> {
        let mut probe = Command::new("unshare");
        let probe = run(probe.args(["--user", "--map-root-user", "--mount", "true"]), None);
        if !probe.status.success() {
            skipped(&format!("no mount namespace is to be had: {}", said(&probe)));
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("socket")).unwrap();
        let reading = reads(&socket);
        let (writer, reader) = UnixStream::pair().unwrap();
        Some(Self { directory, socket, reading, writer, reader })
    }

    /// What the daemon's standard error is to be.
    pub(crate) fn stream(&self) -> OwnedFd {
        self.writer.try_clone().unwrap().into()
    }

    /// The daemon's command, in a namespace where this is the journal.
    pub(crate) fn around(&self, daemon: &Daemon) -> Command {
        const INSIDE: &str = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
                              mount --bind \"$0\" /run/systemd/journal && exec \"$@\"";

        let stream = fstat(&self.writer).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", INSIDE]);
        command.arg(self.directory.path());
        let mut command = wrapping(command, &daemon.command());
        command.env("JOURNAL_STREAM", format!("{}:{}", stream.st_dev, stream.st_ino));
        command
    }

    /// Nobody listens any more.
    pub(crate) fn is_gone(&self) {
        fs::remove_file(self.directory.path().join("socket")).unwrap();
    }

    /// The records of a life, once the daemon has said its last, each as it came. Those of another life
    /// may follow.
    pub(crate) fn end(&mut self) -> Vec<Vec<u8>> {
        let ended = std::mem::replace(&mut self.reading, reads(&self.socket));
        let records = ended.join().unwrap();
        let is_whole = records.last().is_some_and(|record| is_last(record));
        assert!(is_whole, "the daemon never ended: {} records", records.len());
        records
    }

    /// All that was written to the stream.
    pub(crate) fn end_of_stream(mut self) -> String {
        drop(self.writer);
        let mut text = String::new();
        self.reader.read_to_string(&mut text).unwrap();
        text
    }
}

/// Takes records until the one of the daemon's end, or until none comes.
fn reads(socket: &UnixDatagram) -> JoinHandle<Vec<Vec<u8>>> {
    let socket = socket.try_clone().unwrap();
    thread::spawn(move || {
        let mut records = Vec::new();
        let mut datagram = vec![0; 256 * 1024];
        while await_any(&[socket.as_fd()], PATIENCE).is_some() {
            let length = socket.recv(&mut datagram).unwrap();
            // One that is too long for a datagram comes as a descriptor.
            assert!(length > 0, "a record that is not in its datagram");
            records.push(datagram[..length].to_vec());
            if is_last(&datagram[..length]) {
                break;
            }
        }
        records
    })
}

/// Whether a record is the one of the daemon's end.
fn is_last(record: &[u8]) -> bool {
    let last = format!("MESSAGE_ID={}", Message::Stopped.id());
    record.split(|byte| *byte == b'\n').any(|line| line == last.as_bytes())
}
