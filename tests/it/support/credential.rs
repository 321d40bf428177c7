//! The service manager as it asks for a credential: from an abstract name, and without a word.

use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use rustix::net::AddressFamily;
use rustix::net::SocketAddrUnix;
use rustix::net::SocketFlags;
use rustix::net::SocketType;

use super::PATIENCE;

/// The most that it takes for one credential, in bytes.
const MOST: usize = 1024 * 1024;

/// What came of asking.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// The credential.
    Given(String),
    /// More than it takes: the unit fails.
    Refused,
    /// Nothing: the unit would start with an empty credential.
    Nothing,
}

/// Asks for a credential of a unit, and waits for what comes of it.
pub(crate) fn ask(socket: &Path, unit: &str, id: &str) -> Answer {
    begin(socket, unit, id).end()
}

/// Begins to ask.
pub(crate) fn begin(socket: &Path, unit: &str, id: &str) -> Asking {
    let asking = Asking(connect(socket, Some(&name(unit, id))).unwrap());
    asking.0.shutdown(Shutdown::Write).unwrap();
    asking
}

/// Connects from a name of its own making, or from none, and says something.
pub(crate) fn ask_wrongly(socket: &Path, name: Option<&str>, words: &str) -> Answer {
    let mut asking = Asking(connect(socket, name).unwrap());
    asking.0.write_all(words.as_bytes()).unwrap();
    asking.0.shutdown(Shutdown::Write).unwrap();
    asking.end()
}

/// A name that systemd would have, without the zero before it. No two are the same.
pub(crate) fn name(unit: &str, id: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = u64::from(std::process::id()) << 32 | NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{number:x}/unit/{unit}/{id}")
}

/// Connects from an abstract name.
pub(crate) fn connect(socket: &Path, name: Option<&str>) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC;
    let own = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    if let Some(name) = name {
        rustix::net::bind(&own, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
    }
    rustix::net::connect(&own, &SocketAddrUnix::new(socket)?)?;
    let own = UnixStream::from(own);
    own.set_read_timeout(Some(PATIENCE))?;
    Ok(own)
}

/// A unit that waits for its credential.
pub(crate) struct Asking(UnixStream);

impl Asking {
    /// Waits for what comes of it.
    pub(crate) fn end(self) -> Answer {
        let mut read = Vec::new();
        // Whoever sent something unread sees the end as a reset.
        match self.0.take(2 * 1024 * 1024).read_to_end(&mut read) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
        match read.len() {
            0 => Answer::Nothing,
            length if length > MOST => Answer::Refused,
            _ => Answer::Given(String::from_utf8(read).unwrap()),
        }
    }
}
