//! Runs an operator's program, or asks one that listens on a socket: one question, one answer.
//!
//! What the question is about is decided elsewhere. Here a program is started, fed, heard and
//! ended, or a socket is connected to, written to and read to its end.
//!
//! # Reading order
//!
//! [`run`] and [`ask`] here, then `guard` (who can change a program), `group` (the process and
//! all that it starts), `streams` (its three streams), `report` (what of its standard error may be told),
//! `handed` (a secret as a descriptor).
//!
//! # Invariants
//!
//! * A program that others can change is not started.
//! * There is no shell. The program finds `/` as its directory, an environment that holds
//!   nothing but [`PATH`], [`LANG`] and what the caller names, none of the daemon's signal
//!   masks, and of the daemon's descriptors the one that the caller hands over.
//! * A secret reaches it through standard input, the socket or that descriptor, and never
//!   through its arguments or its environment, which other processes can read.
//! * Nothing of its process group outlives the call. When the program exits, what it left
//!   behind is killed; when its time is over, the group gets SIGTERM and [`GRACE`] later SIGKILL;
//!   when the call is dropped, there is nobody left to wait and SIGKILL comes at once.
//! * A program is started on a thread of its own: its file may lie on a mount that is dead. One
//!   that comes to life when nobody waits for it any more is killed.
//! * When memory runs out, programs and what they start die before the daemon does.
//! * Everything is bounded: the programs that run at a time, the time, the output, what is kept
//!   of standard error.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio::time::timeout;
use zeroize::Zeroizing;

use self::group::Group;
use self::report::report;
use self::streams::Full;
use self::streams::read_into;
use crate::apart::Undone;
use crate::token::Secret;

use self::guard::Unguarded;

mod group;
pub mod guard;
pub mod handed;
mod report;
mod streams;

/// Where a program finds others. A path of the daemon's own is nobody else's business.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The language that a program speaks.
pub const LANG: &str = "C.UTF-8";

/// Number of the descriptor that [`Program::descriptor`] becomes: the first after the streams.
pub const DESCRIPTOR: i32 = 3;

/// Programs that run at a time, whatever they are run for. Further ones wait, and their time
/// passes. They are fewer than the attempts that may be under way: each takes memory and tasks
/// from the service.
pub const AT_A_TIME: usize = 32;

static ROOM: Semaphore = Semaphore::const_new(AT_A_TIME);

/// Time between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(2);

/// Until a killed process must be gone. One that hangs in the kernel is left to it.
pub const GONE: Duration = Duration::from_secs(1);

/// A program to be run.
pub struct Program<'a> {
    /// The program, which is an absolute path or is looked for in [`PATH`], and its arguments.
    pub argv: &'a [Box<str>],
    /// Its environment, besides `PATH` and `LANG`. Nothing secret.
    pub environment: Vec<(&'static str, OsString)>,
    /// What it reads on standard input, which is `/dev/null` without it.
    pub input: Option<Secret>,
    /// A descriptor that it inherits as number [`DESCRIPTOR`].
    pub descriptor: Option<OwnedFd>,
    /// Texts that its standard error is searched for, and that are masked there.
    pub hidden: Vec<Secret>,
    /// Longest output that is taken, in bytes.
    pub longest: usize,
    /// Longest time from the call to the program's end, [`GRACE`] not counted.
    pub limit: Duration,
}

/// What came of a question that was asked.
pub struct Answer {
    /// Whether it is the whole answer, of a program that ended well.
    pub end: Result<(), Cut>,
    /// What was said, or the part of it that was heard.
    pub output: Zeroizing<Vec<u8>>,
    /// What the program wrote to standard error: in one line, capped, free of control
    /// characters and of what looks like a token.
    pub report: String,
}

/// Why an answer is not to be relied on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Cut {
    /// The program says itself that it failed.
    #[error("{0}")]
    Exited(ExitStatus),
    /// There was more of it than is taken.
    #[error("larger than {} KiB", .0 / 1024)]
    TooLarge(usize),
    /// The answer of a socket did not come in time.
    #[error("it did not come within {} s", .0.as_secs_f32())]
    Late(Duration),
    /// The program did not end in time.
    #[error("it did not end within {} s", .0.as_secs_f32())]
    Endless(Duration),
    /// The connection broke.
    #[error("{0}")]
    Broken(String),
}

/// Nobody was asked: the program did not start, or nothing listens on the socket.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// There is no program.
    #[error("the command is empty")]
    Empty,
    /// The operating system says no.
    #[error("{name}: {error}")]
    Refused {
        /// The program.
        name: Box<str>,
        /// What it says.
        error: io::Error,
    },
    /// Nobody listens on the socket.
    #[error("{path}: {error}")]
    Closed {
        /// The socket.
        path: Box<str>,
        /// What the operating system says.
        error: io::Error,
    },
    /// Others can change it.
    #[error(transparent)]
    Unguarded(#[from] Unguarded),
    /// It was not read in time.
    #[error("{name}: {undone}")]
    Unread {
        /// The program.
        name: Box<str>,
        /// Why.
        undone: Undone,
    },
    /// All the time passed while others ran.
    #[error("{0}: {AT_A_TIME} programs run already, and none of them has ended")]
    NoRoom(Box<str>),
    /// All the time passed before whoever listens on the socket took the connection.
    #[error("{0}: nobody accepts")]
    Unheard(Box<str>),
}

impl NotStarted {
    /// Whether the program is not there, or is not one that may be run: that does not pass by
    /// itself, as everything else may.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Refused { error, .. } => {
                matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
            }
            Self::Empty | Self::Unguarded(_) => true,
            Self::Closed { .. } | Self::Unread { .. } | Self::NoRoom(_) | Self::Unheard(_) => false,
        }
    }
}

/// Runs a program to its end.
///
/// # Errors
///
/// [`NotStarted`], and then it has seen nothing of its input.
pub async fn run(mut program: Program<'_>) -> Result<Answer, NotStarted> {
    let name = program.argv.first().ok_or(NotStarted::Empty)?;
    let mut time_is_up = pin!(sleep(program.limit));
    let room = tokio::select! {
        biased;
        room = ROOM.acquire() => room.ok(),
        () = &mut time_is_up => None,
    };
    let _until_its_end = room.ok_or_else(|| NotStarted::NoRoom(name.clone()))?;
    let (mut group, mut streams) = Group::start(&mut program).await?;
    let whole = async {
        tokio::select! {
            pumped = streams.pump() => {
                pumped?;
                group.exited().await;
                Ok(())
            }
            () = group.exited() => {
                // What it left behind may hold the streams open.
                group.kill();
                streams.pump().await
            }
        }
    };
    let mut end = tokio::select! {
        biased;
        whole = whole => whole.map_err(|Full| Cut::TooLarge(program.longest)),
        () = &mut time_is_up => Err(Cut::Endless(program.limit)),
    };
    if end.is_err() {
        group.terminate();
        let farewell = async {
            // What it still says may hold a token, and a stream that is full is closed.
            let _full = streams.pump().await;
            group.exited().await;
        };
        // Whoever does not go by itself is made to.
        let _unwilling = timeout(GRACE, farewell).await;
    }
    if let Some(status) = group.end().await
        && end.is_ok()
        && !status.success()
    {
        end = Err(Cut::Exited(status));
    }
    let (output, said) = streams.into_parts();
    Ok(Answer { end, output, report: report(&said, &program.hidden) })
}

/// Asks whoever listens on the socket at `path`: connects, writes the question, ends its own
/// side, and reads the answer to its end.
///
/// # Errors
///
/// [`NotStarted`], and then nothing of the question left this process.
pub async fn ask(
    path: &Path,
    question: &Secret,
    longest: usize,
    limit: Duration,
) -> Result<Answer, NotStarted> {
    let name = || path.display().to_string().into();
    let mut output = Zeroizing::new(Vec::with_capacity(longest.saturating_add(1)));
    let mut time_is_up = pin!(sleep(limit));
    let mut stream = tokio::select! {
        biased;
        stream = UnixStream::connect(path) => {
            stream.map_err(|error| NotStarted::Closed { path: name(), error })?
        }
        () = &mut time_is_up => return Err(NotStarted::Unheard(name())),
    };
    let conversation = async {
        let (mut reader, mut writer) = stream.split();
        let talk = async {
            // Who answers without having read everything has its reasons.
            let _unread = writer.write_all(question.expose().as_bytes()).await;
            let _unread = writer.shutdown().await;
        };
        let listen = async {
            while read_into(&mut reader, &mut output, longest).await?.is_continue() {}
            Ok::<_, io::Error>(())
        };
        let ((), heard) = tokio::join!(talk, listen);
        heard
    };
    let end = tokio::select! {
        biased;
        heard = conversation => heard.map_err(|error| Cut::Broken(error.to_string())),
        () = &mut time_is_up => Err(Cut::Late(limit)),
    };
    let end = end.and_then(|()| match output.len() > longest {
        true => Err(Cut::TooLarge(longest)),
        false => Ok(()),
    });
    Ok(Answer { end, output, report: String::new() })
}

/// What programs of a user look for in their environment: who that is and where its things
/// are, as far as the daemon knows it itself. None of it is secret.
pub fn whose() -> Vec<(&'static str, OsString)> {
    const WHOSE: &[&str] = &[
        "HOME",
        "USER",
        "LOGNAME",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME",
        "DBUS_SESSION_BUS_ADDRESS",
        "GNUPGHOME",
        "PASSWORD_STORE_DIR",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
    ];
    WHOSE.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))).collect()
}

#[cfg(test)]
mod tests;
