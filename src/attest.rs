//! The process of a peer, held so that it cannot turn into another, and the way to who knows its
//! unit.
//!
//! A number of a process is given to another one when the first has ended. What is asked about
//! is therefore a pidfd (pidfd_open(2)): as long as its process is alive, that process has the
//! number, and an answer about the number is one about the process. The answer counts only if
//! the process is alive *after* it.
//!
//! Who answers is on the other end of [`Attestor`]: the message bus, on the thread that acts. A
//! door waits there for its own connection and for no other, no longer than [`limits::UNIT`].

use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::pidfd_open;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::limits;
use crate::unit::NoUnit;
use crate::unit::Proof;

/// A process that cannot turn into another.
#[derive(Debug)]
pub struct Process {
    number: u32,
    handle: OwnedFd,
    proof: Proof,
}

impl Process {
    /// The process that connected to the other end of a socket, from the kernel itself
    /// (`SO_PEERPIDFD`, Linux 6.5). It is the same one whenever it is asked for.
    ///
    /// # Errors
    ///
    /// [`NoUnit::Withheld`] where the kernel has no such thing, see [`proof_of_kernel`]; else why
    /// this process is not to be had.
    pub fn behind(socket: &impl AsFd) -> Result<Self, NoUnit> {
        let number = number_behind(socket)?;
        match getsockopt(socket, sockopt::PeerPidfd) {
            Ok(handle) => Ok(Self { number, handle, proof: Proof::Process }),
            Err(nix::Error::ENOPROTOOPT) => Err(NoUnit::Withheld),
            Err(nix::Error::EMFILE | nix::Error::ENFILE) => Err(NoUnit::Crowded),
            // Older kernels have no handle of a process that nobody waits for any more.
            Err(_) => Err(NoUnit::Gone),
        }
    }

    /// The process that has the number of who connected. To be called right after accepting.
    ///
    /// # Errors
    ///
    /// Why it is not to be had.
    pub fn numbered_behind(socket: &impl AsFd) -> Result<Self, NoUnit> {
        Self::numbered(number_behind(socket)?)
    }

    /// The process that has this number in our pid namespace.
    ///
    /// # Errors
    ///
    /// Why it is not to be had.
    pub fn numbered(number: u32) -> Result<Self, NoUnit> {
        let pid = i32::try_from(number).ok().and_then(Pid::from_raw).ok_or(NoUnit::Elsewhere)?;
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => Ok(Self { number, handle, proof: Proof::Number }),
            Err(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => Err(NoUnit::Crowded),
            Err(rustix::io::Errno::SRCH) => Err(NoUnit::Gone),
            Err(_) => Err(NoUnit::Withheld),
        }
    }

    /// The process that somebody who knows handed over as a pidfd, with its number.
    pub const fn handed_over(handle: OwnedFd, number: u32) -> Self {
        Self { number, handle, proof: Proof::Process }
    }

    /// The same process, to be asked about once more.
    ///
    /// # Errors
    ///
    /// [`NoUnit::Crowded`], if there is no descriptor left for it.
    pub fn again(&self) -> Result<Self, NoUnit> {
        let handle = self.handle.try_clone().map_err(|_| NoUnit::Crowded)?;
        Ok(Self { number: self.number, handle, proof: self.proof })
    }

    /// Its number in our pid namespace, which is its own as long as it has not ended.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// How it is known that it is the peer.
    pub const fn proof(&self) -> Proof {
        self.proof
    }

    /// Whether it has ended (pidfd_open(2): its descriptor is readable then). What cannot be
    /// asked has.
    pub fn has_ended(&self) -> bool {
        is_told(&self.handle, PollFlags::IN)
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Whether the peer has closed its connection altogether, and is not only done with sending: its
/// number may be another's by now. What cannot be asked is as good as gone.
pub fn has_hung_up(socket: &impl AsFd) -> bool {
    // The end of a connection is told by poll(2) without being asked for.
    is_told(socket, PollFlags::empty())
}

/// Whether poll(2) has something to tell of a descriptor.
fn is_told(descriptor: &impl AsFd, asked: PollFlags) -> bool {
    let mut fds = [PollFd::new(descriptor, asked)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    !matches!(poll(&mut fds, Some(&at_once)), Ok(0))
}

/// How well this kernel says which process is at the other end of a socket.
///
/// # Errors
///
/// If there is no socket to try it on.
pub fn proof_of_kernel() -> io::Result<Proof> {
    let (ours, _theirs) = UnixStream::pair()?;
    Ok(match Process::behind(&ours) {
        Err(NoUnit::Withheld) => Proof::Number,
        Ok(_) | Err(_) => Proof::Process,
    })
}

/// The number of who connected. Zero stands for a process of another pid namespace.
fn number_behind(socket: &impl AsFd) -> Result<u32, NoUnit> {
    let credentials = getsockopt(socket, sockopt::PeerCredentials).map_err(|_| NoUnit::Withheld)?;
    let number = u32::try_from(credentials.pid()).ok().filter(|number| *number > 0);
    number.ok_or(NoUnit::Elsewhere)
}

/// One question: which unit a process belongs to.
pub struct Question {
    /// The process.
    pub process: Process,
    /// Whose it is: each user waits behind its own questions.
    pub uid: u32,
    /// Where to answer.
    pub reply: oneshot::Sender<Result<Box<str>, NoUnit>>,
}

/// Knows units of processes, or whom to ask.
#[derive(Clone)]
pub struct Attestor {
    questions: mpsc::Sender<Question>,
}

impl Attestor {
    /// One, and where its questions come out.
    pub fn new() -> (Self, mpsc::Receiver<Question>) {
        let (questions, asked) = mpsc::channel(limits::UNIT_QUESTIONS);
        (Self { questions }, asked)
    }

    /// The system unit that a process belongs to: `backup.service`, `user@1000.service` for all
    /// of a user's own units, `init.scope` for the service manager itself. `uid` is whose process
    /// it is.
    ///
    /// # Errors
    ///
    /// Why there is none, after [`limits::UNIT`] at the latest.
    pub async fn unit_of(&self, process: Process, uid: u32) -> Result<Box<str>, NoUnit> {
        let (reply, answer) = oneshot::channel();
        let question = Question { process, uid, reply };
        self.questions.try_send(question).map_err(|error| match error {
            TrySendError::Full(_) => NoUnit::Crowded,
            // Nobody answers while the daemon ends.
            TrySendError::Closed(_) => NoUnit::Unreachable,
        })?;
        match timeout(limits::UNIT, answer).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => Err(NoUnit::Unreachable),
            Err(_) => Err(NoUnit::Silent),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::io::Write as _;
    use std::process::Stdio;

    use super::*;

    #[test]
    fn what_is_behind_a_socket_is_the_process_that_connected() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let by_number = Process::numbered_behind(&ours).unwrap();
        assert_eq!((by_number.number(), by_number.proof()), (std::process::id(), Proof::Number));
        assert!(!by_number.has_ended());
        match (Process::behind(&ours), proof_of_kernel().unwrap()) {
            (Ok(process), Proof::Process) => {
                assert_eq!(process.number(), std::process::id());
                assert_eq!(process.proof(), Proof::Process);
                assert!(!process.has_ended());
            }
            (handed_over, proof) => {
                assert_eq!(handed_over.map(|_| ()), Err(NoUnit::Withheld));
                assert_eq!(proof, Proof::Number);
            }
        }
    }

    #[test]
    fn a_process_that_has_ended_is_told_from_one_that_runs_and_keeps_its_handle() {
        #[allow(clippy::disallowed_methods, reason = "a test needs a process that ends")]
        let mut child = std::process::Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let process = Process::numbered(child.id()).unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"x").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        assert!(!process.has_ended());
        drop(stdin);
        child.wait().unwrap();
        assert!(process.has_ended());
        assert!(matches!(Process::numbered(child.id()), Err(NoUnit::Gone)));
    }

    #[test]
    fn who_ends_what_it_sends_has_not_hung_up_and_who_closes_has() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        assert!(!has_hung_up(&ours));
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(!has_hung_up(&ours));
        drop(theirs);
        assert!(has_hung_up(&ours));
    }

    #[test]
    fn a_number_that_no_process_has_is_none() {
        for number in [0, u32::MAX] {
            assert_eq!(Process::numbered(number).map(|_| ()), Err(NoUnit::Elsewhere), "{number}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_question_more_than_there_is_room_for_is_not_asked() {
        let (attestor, _asked) = Attestor::new();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..=limits::UNIT_QUESTIONS {
            let attestor = attestor.clone();
            let process = Process::numbered(std::process::id()).unwrap();
            waiting.spawn(async move { attestor.unit_of(process, 0).await });
        }
        let answers = waiting.join_all().await;
        let crowded = answers.iter().filter(|it| **it == Err(NoUnit::Crowded)).count();
        let silent = answers.iter().filter(|it| **it == Err(NoUnit::Silent)).count();
        assert_eq!((crowded, silent), (1, limits::UNIT_QUESTIONS));
    }

    #[tokio::test]
    async fn a_daemon_that_ends_answers_nobody() {
        let (attestor, asked) = Attestor::new();
        drop(asked);
        let process = Process::numbered(std::process::id()).unwrap();
        assert_eq!(attestor.unit_of(process, 0).await, Err(NoUnit::Unreachable));
    }
}
