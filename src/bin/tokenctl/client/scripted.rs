//! A daemon for tests: a listener whose every byte is the test's.

use std::fs;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use super::Daemon;
use crate::find::Origin;
use crate::find::Place;

/// A listener on a socket in a directory of its own, which goes with it.
pub(crate) struct Scripted {
    directory: PathBuf,
    listener: UnixListener,
}

impl Scripted {
    /// Listens.
    pub(crate) fn new() -> Self {
        static SERIAL: AtomicUsize = AtomicUsize::new(0);

        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("tokenctl-test-{}-{serial}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let listener = UnixListener::bind(directory.join("api.sock")).unwrap();
        Self { directory, listener }
    }

    /// Its socket.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join("api.sock")
    }

    /// A client that asks it.
    pub(crate) fn client(&self) -> Daemon {
        client(&[&self.path()])
    }

    /// The next connection, its request read.
    pub(crate) fn accept(&self) -> Peer {
        let (stream, _) = self.listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut request).unwrap() > 0, "the request was cut");
        }
        let length = request.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        Peer { request, body, stream: reader.into_inner() }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.directory).unwrap();
    }
}

/// A client that asks at `paths`.
pub(crate) fn client(paths: &[&Path]) -> Daemon {
    let place = |path: &&Path| Place { path: path.into(), origin: Origin::User };
    Daemon::new(paths.iter().map(place).collect())
}

/// One connection, which ends when this is dropped.
pub(crate) struct Peer {
    /// What it asked.
    pub(crate) request: String,
    /// The body that came with it.
    pub(crate) body: String,
    stream: UnixStream,
}

impl Peer {
    /// Answers. A client that has heard enough may have hung up.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        let _heard = self.stream.write_all(bytes);
    }

    /// Waits until the client hangs up.
    pub(crate) fn wait_for_the_end(mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
    }
}
