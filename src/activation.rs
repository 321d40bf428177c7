//! Sockets that the service manager opened and handed over: `sd_listen_fds(3)`.
//!
//! With them come the files that an earlier process had it keep ([`Kept`]).
//!
//! They go by their names (`FileDescriptorName=`) and never by their order, which differs from
//! start to start when several units of sockets belong to one service.
//!
//! # Invariants
//!
//! * Such a socket belongs to the service manager: its file is neither made nor removed here,
//!   and what connects while no daemon runs waits for the next one.
//! * [`take`] runs before there is a second thread, because it changes the environment.

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::iter;
use std::os::fd::RawFd;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;

use listenfd::ListenFd;
use rustix::fs::SealFlags;

use crate::clock;
use crate::limits;
use crate::time::Moment;

/// The name of the sockets that serve the API.
pub const API: &str = "api";

/// The name of the sockets that serve credentials of units.
pub const CREDENTIAL: &str = "credential";

/// Why what was handed over cannot be used: a unit of a socket is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The environment speaks of descriptors that are not there.
    #[error("the service manager's LISTEN_ variables are wrong: {0}")]
    Environment(io::Error),
    /// It is no stream socket of the Unix domain, or nobody can connect to it.
    #[error("the socket {0:?} of the service manager is not one of ListenStream= with a path")]
    WrongKind(String),
    /// Nothing here is served under that name.
    #[error(
        "the service manager handed over a socket {0:?}; FileDescriptorName=api and \
         FileDescriptorName=credential are those that are known"
    )]
    WrongName(String),
}

/// The sockets that were handed over, listening.
#[derive(Debug, Default)]
pub struct Passed {
    /// Those of the API, with their paths; none if the daemon has to make its own.
    pub api: Vec<(UnixListener, PathBuf)>,
    /// Those for credentials of units, with their paths.
    pub credential: Vec<(UnixListener, PathBuf)>,
    /// What an earlier process had kept.
    pub kept: Vec<Kept>,
}

/// A file that an earlier process had the service manager keep. The manager still has it.
#[derive(Debug, Eq, PartialEq)]
pub struct Kept {
    /// Under which name.
    pub name: String,
    /// What is in it; `None` if it can be changed, is longer than any that was handed over, or
    /// cannot be read.
    pub content: Option<Vec<u8>>,
}

/// Takes over what the service manager opened for this process; nothing, if it opened nothing.
/// What has a name that begins with `kept_prefix` is a file that it was given.
///
/// # Errors
///
/// [`Unusable`] if one of them is not what this daemon serves. Whoever waits at any of them is
/// turned away then: see [`Passed::turn_away`].
pub fn take(kept_prefix: &str) -> Result<Passed, Unusable> {
    // Whether they are meant for this process, and their names. The descriptors become ours
    // below: only that crate owns what is a number here.
    let names = sd_notify::listen_fds_with_names()
        .map_err(Unusable::Environment)?
        .map(|(_, name)| name)
        .collect::<Vec<_>>();
    if names.is_empty() {
        return Ok(Passed::default());
    }
    let mut descriptors = ListenFd::from_env();
    let mut sockets = Vec::new();
    let mut kept = Vec::new();
    for (place, name) in names.into_iter().enumerate() {
        if name.starts_with(kept_prefix) {
            let number = descriptors.take_raw_fd(place).ok().flatten();
            kept.push(Kept { name, content: number.and_then(content_of) });
        } else {
            let socket = descriptors.take_unix_listener(place).ok().flatten();
            sockets.push((name, socket));
        }
    }
    sort(sockets).map(|passed| Passed { kept, ..passed })
}

/// What is in the file with that number, which is closed: the service manager's stays.
fn content_of(number: RawFd) -> Option<Vec<u8>> {
    // A file of our own takes the place of the number, which is nobody's.
    let file = File::open(format!("/proc/self/fd/{number}")).ok();
    let closed = nix::unistd::close(number).is_ok();
    file.filter(|_| closed).and_then(|file| sealed_content(&file))
}

/// What is in a file that nobody can change.
fn sealed_content(file: &File) -> Option<Vec<u8>> {
    const NEEDED: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::WRITE);

    let seals = rustix::fs::fcntl_get_seals(file).ok()?;
    let length = file.metadata().ok()?.len();
    if !seals.contains(NEEDED) || length > limits::KEPT_FILE {
        return None;
    }
    let mut content = Vec::new();
    file.take(limits::KEPT_FILE).read_to_end(&mut content).ok()?;
    Some(content)
}

/// Which of the sockets with these names is served.
fn sort(sockets: Vec<(String, Option<UnixListener>)>) -> Result<Passed, Unusable> {
    let mut passed = Passed::default();
    let mut strangers = Vec::new();
    let mut wrong = None;
    for (name, socket) in sockets {
        let path = socket.as_ref().and_then(path_of);
        match (socket, path) {
            (Some(socket), Some(path)) if name == API => passed.api.push((socket, path)),
            (Some(socket), Some(path)) if name == CREDENTIAL => {
                passed.credential.push((socket, path));
            }
            (socket, _) => {
                strangers.extend(socket);
                let known = name == API || name == CREDENTIAL;
                let kind = if known { Unusable::WrongKind } else { Unusable::WrongName };
                wrong.get_or_insert_with(|| kind(name));
            }
        }
    }
    match wrong {
        None => Ok(passed),
        Some(wrong) => {
            passed.turn_away();
            strangers.iter().for_each(turn_away);
            Err(wrong)
        }
    }
}

/// Where peers connect to it, if they can. One of the abstract namespace has neither owner nor
/// mode, so it does not count.
fn path_of(socket: &UnixListener) -> Option<PathBuf> {
    if !rustix::net::sockopt::socket_acceptconn(socket).ok()? {
        return None;
    }
    socket.local_addr().ok()?.as_pathname().map(Path::to_owned)
}

impl Passed {
    /// Further handles of the same sockets, without the files.
    ///
    /// # Errors
    ///
    /// If there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        let again =
            |(socket, path): &(UnixListener, PathBuf)| Ok((socket.try_clone()?, path.clone()));
        Ok(Self {
            api: self.api.iter().map(again).collect::<io::Result<_>>()?,
            credential: self.credential.iter().map(again).collect::<io::Result<_>>()?,
            kept: Vec::new(),
        })
    }

    /// Ends the connections that wait to be served, up to [`limits::TURNED_AWAY`] and
    /// [`limits::CREDENTIALS_TURNED_AWAY`] of them at a socket: who connects again and again must
    /// not keep the process from its end. The service manager would start a daemon that cannot
    /// begin again and again for the sake of one that is never accepted. A unit that waits for a
    /// credential fails by that, and does not start with an empty one.
    pub fn turn_away(&self) {
        self.api.iter().for_each(|(socket, _)| turn_away(socket));
        for (socket, _) in &self.credential {
            for stream in waiting(socket, limits::CREDENTIALS_TURNED_AWAY) {
                let until = clock::now().boot + limits::BLOCKED_WRITE;
                // Whoever has enough of it hangs up, and has been refused.
                let _has_enough = overfeed(stream, until).is_err();
            }
        }
    }
}

fn turn_away(socket: &UnixListener) {
    waiting(socket, limits::TURNED_AWAY).for_each(drop);
}

/// Those that wait at a socket, at most so many.
fn waiting(socket: &UnixListener, most: usize) -> impl Iterator<Item = UnixStream> {
    let blocks = socket.set_nonblocking(true).is_err();
    let accepted = iter::from_fn(move || socket.accept().ok()).map(|(stream, _)| stream);
    accepted.take(if blocks { 0 } else { most })
}

/// Sends more than the service manager takes for a credential, until then at the latest: a peer
/// that reads a little now and then gets no more time than one that reads nothing.
fn overfeed(mut stream: UnixStream, until: Moment) -> io::Result<()> {
    const PIECE: &[u8] = &[b'\n'; 64 * 1024];

    stream.set_nonblocking(false)?;
    let mut sent = 0;
    while sent <= limits::CREDENTIAL {
        // No time left is none that a timeout can be, and so an error.
        stream.set_write_timeout(Some(until.since(clock::now().boot)))?;
        sent += match stream.write(PIECE) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            written => written?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_process_without_a_service_manager_has_no_sockets() {
        let passed = take("unsaved-").unwrap();
        assert!(passed.api.is_empty() && passed.credential.is_empty());
    }

    #[test]
    fn a_file_counts_only_if_nobody_can_change_it() {
        use rustix::fs::MemfdFlags;

        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(rustix::fs::memfd_create("kept", flags).unwrap());
        file.write_all(b"kept").unwrap();
        assert_eq!(sealed_content(&reopened(&file)), None);
        rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW).unwrap();
        assert_eq!(sealed_content(&reopened(&file)), None);
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK).unwrap();
        assert_eq!(sealed_content(&reopened(&file)).unwrap(), b"kept");

        let disk = tempfile::tempfile().unwrap();
        assert_eq!(sealed_content(&disk), None);
    }

    fn reopened(file: &File) -> File {
        use std::os::fd::AsRawFd as _;

        File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap()
    }

    #[test]
    fn a_socket_counts_only_if_peers_can_connect_by_a_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        assert_eq!(path_of(&UnixListener::bind(&path).unwrap()), Some(path));

        let name = format!("tokenkeeper-{}", std::process::id());
        let abstract_one = SocketAddr::from_abstract_name(name).unwrap();
        assert_eq!(path_of(&UnixListener::bind_addr(&abstract_one).unwrap()), None);
    }

    /// Otherwise the service manager starts a daemon again at once that cannot begin.
    #[test]
    fn who_waits_at_a_socket_of_a_unit_that_is_wrong_is_turned_away() {
        let directory = tempfile::tempdir().unwrap();
        #[rustfmt::skip]
        let cases = [
            ("api",   "mine", "the service manager handed over a socket \"mine\"; FileDescriptorName=api and FileDescriptorName=credential are those that are known"),
            ("mine",  "api",  "the service manager handed over a socket \"mine\"; FileDescriptorName=api and FileDescriptorName=credential are those that are known"),
        ];
        for (index, (first, second, expected)) in cases.into_iter().enumerate() {
            let [one, other] = [0, 1].map(|it| directory.path().join(format!("{index}{it}")));
            let listen = |path: &PathBuf| Some(UnixListener::bind(path).unwrap());
            let sockets =
                vec![(first.to_owned(), listen(&one)), (second.to_owned(), listen(&other))];
            let mut waiting = [one, other].map(|path| UnixStream::connect(path).unwrap());
            assert_eq!(sort(sockets).unwrap_err().to_string(), expected);
            for stream in &mut waiting {
                assert_eq!(stream.read(&mut [0]).unwrap(), 0);
            }
        }
    }

    #[test]
    fn who_waits_is_turned_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let api = vec![(UnixListener::bind(&path).unwrap(), path.clone())];
        let passed = Passed { api, ..Passed::default() };
        let mut waiting =
            [UnixStream::connect(&path).unwrap(), UnixStream::connect(&path).unwrap()];
        passed.turn_away();
        for stream in &mut waiting {
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        }
    }

    #[test]
    fn no_more_are_turned_away_than_could_wait_when_it_began() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let socket = UnixListener::bind(&path).unwrap();
        let _crowd = [(); 3].map(|()| UnixStream::connect(&path).unwrap());
        assert_eq!(waiting(&socket, 2).count(), 2);
        assert_eq!(waiting(&socket, 2).count(), 1);
    }

    /// An end without a byte would start the unit with an empty credential.
    #[test]
    fn a_unit_that_waits_for_a_credential_is_refused_by_more_than_one_can_be_long() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let credential = vec![(UnixListener::bind(&path).unwrap(), path.clone())];
        let passed = Passed { credential, ..Passed::default() };
        let reading = std::thread::spawn({
            let mut waiting = UnixStream::connect(&path).unwrap();
            move || {
                let mut read = Vec::new();
                waiting.read_to_end(&mut read).map(|_| read.len())
            }
        });
        passed.turn_away();
        let length = reading.join().unwrap().unwrap();
        assert!(length > limits::CREDENTIAL, "{length}");
    }

    /// Otherwise the peers of one socket could hold up an end for longer than the service manager
    /// waits for it.
    #[test]
    fn a_peer_whose_time_is_over_is_sent_no_further_piece_even_if_it_reads() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let now = clock::now().boot;
        assert!(overfeed(ours, now).is_err());
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
    }
}
