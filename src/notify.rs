//! What the service manager is told. Without one, every call does nothing.
//!
//! Its socket is one that blocks when the manager is slow to read, and nothing here may wait for
//! that: a thread of its own does. While it waits, the newest word of each kind is kept, and in
//! the order in which they were said. Who has files kept ([`Manager::keep`]) hears whether they
//! were sent, and waits for that no longer than [`SENDING`].

use std::collections::VecDeque;
use std::env;
use std::io;
use std::mem::discriminant;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::net::SocketAddrUnix;
use sd_notify::NotifyState;

mod shelf;

use self::shelf::Exchange;

/// How long the sending of a file may take before it counts as not sent. A manager reads at once
/// but while it reads all its units again; and whoever waits is the thread of the store.
pub const SENDING: Duration = Duration::from_secs(1);

/// The service manager's end, as far as the daemon has one.
#[derive(Clone)]
pub struct Manager(Option<Arc<Unsaid>>);

/// What the thread has yet to say.
#[derive(Default)]
struct Unsaid {
    words: Mutex<VecDeque<Word>>,
    more: Condvar,
}

/// What there is to say, in the manager's terms (sd_notify(3)).
#[derive(Debug)]
enum Word {
    Ready,
    Reloading {
        /// By the monotonic clock, in microseconds.
        since: i128,
    },
    Alive,
    Stopping,
    Status(String),
    Keep {
        exchange: Exchange,
        manager: SocketAddrUnix,
        /// Told how it went.
        sent: mpsc::SyncSender<bool>,
    },
}

impl Manager {
    /// Starts the thread, which ends with the process; none where nobody listens.
    ///
    /// # Errors
    ///
    /// What the kernel says to threads.
    pub fn find() -> io::Result<Self> {
        if env::var_os("NOTIFY_SOCKET").is_none() {
            return Ok(Self(None));
        }
        let unsaid = Arc::new(Unsaid::default());
        let theirs = Arc::clone(&unsaid);
        thread::Builder::new().name("notify".to_owned()).stack_size(64 * 1024).spawn(
            move || {
                loop {
                    theirs.next().send();
                }
            },
        )?;
        Ok(Self(Some(unsaid)))
    }

    /// Requests are answered.
    pub fn ready(&self) {
        self.say(Word::Ready);
    }

    /// The configuration is being read again; [`ready`](Self::ready) says when that is over.
    pub fn reloading(&self) {
        if let Ok(NotifyState::MonotonicUsec(since)) = NotifyState::monotonic_usec_now() {
            self.say(Word::Reloading { since });
        }
    }

    /// Everything gets on.
    pub fn alive(&self) {
        self.say(Word::Alive);
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.say(Word::Stopping);
    }

    /// One line for `systemctl status`. A newline would inject assignments, so control
    /// characters become spaces.
    pub fn status(&self, line: &str) {
        self.say(Word::Status(one_line(line)));
    }

    /// Has the manager keep a file with that name and content for the next process, and then no
    /// longer keep those with the names `gone`. Says whether that was sent, after [`SENDING`] at
    /// the latest; a later call takes the place of one that was not.
    pub fn keep(&self, put: Option<(&str, &[u8])>, gone: &[String]) -> bool {
        let variable = env::var_os("NOTIFY_SOCKET").unwrap_or_default();
        let Ok(manager) = shelf::address(variable.as_bytes()) else { return false };
        let Ok(exchange) = Exchange::new(put, gone) else { return false };
        let (sent, answer) = mpsc::sync_channel(1);
        self.say(Word::Keep { exchange, manager, sent });
        answer.recv_timeout(SENDING).unwrap_or(false)
    }

    fn say(&self, word: Word) {
        if let Some(unsaid) = &self.0 {
            unsaid.add(word);
        }
    }
}

/// How often the service manager wants to hear [`Manager::alive`], at the least; `None` if it
/// does not.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

impl Unsaid {
    fn add(&self, word: Word) {
        let mut words = self.words();
        words.retain(|earlier| discriminant(earlier) != discriminant(&word));
        words.push_back(word);
        self.more.notify_one();
    }

    /// The next word, when there is one.
    fn next(&self) -> Word {
        let mut words = self.words();
        loop {
            if let Some(word) = words.pop_front() {
                return word;
            }
            words = self.more.wait(words).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn words(&self) -> MutexGuard<'_, VecDeque<Word>> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Word {
    fn send(&self) {
        // The service manager may be gone, or not listen: that stops nothing.
        let _unheard = match self {
            Self::Ready => sd_notify::notify(&[NotifyState::Ready]),
            Self::Reloading { since } => {
                sd_notify::notify(&[NotifyState::Reloading, NotifyState::MonotonicUsec(*since)])
            }
            Self::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
            Self::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
            Self::Status(line) => sd_notify::notify(&[NotifyState::Status(line)]),
            Self::Keep { exchange, manager, sent } => {
                let ended = exchange.send(manager);
                // Whoever asked may have lost patience.
                let _gone = sent.send(ended.is_ok());
                ended
            }
        };
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_stays_on_one_line() {
        assert_eq!(one_line("a\nMAINPID=1\tb"), "a MAINPID=1 b");
    }

    #[test]
    fn a_manager_that_does_not_listen_is_told_the_newest_of_each_kind() {
        let unsaid = Unsaid::default();
        for round in 0..3 {
            unsaid.add(Word::Status(format!("round {round}")));
            unsaid.add(Word::Reloading { since: round });
            unsaid.add(Word::Ready);
        }
        let said = (0..3).map(|_| unsaid.next()).collect::<Vec<_>>();
        assert_eq!(format!("{said:?}"), r#"[Status("round 2"), Reloading { since: 2 }, Ready]"#);
        assert!(unsaid.words().is_empty());
    }
}
