//! The person at the terminal, during a login.
//!
//! What a person is told and asked goes to the controlling terminal and never to the standard
//! output or from the standard input, which may be pipes. While it is asked something, the
//! terminal is switched to single characters without echo, so that Ctrl-C is read here as one
//! more character and nothing can end the program with the echo still off. What is secret is
//! never shown; a code is, since people copy it from elsewhere and want to see what they typed.
//!
//! The standard library and rustix, which this package has anyway, are enough for that: a
//! crate for passwords reads a line and knows no countdown, and no browser that answers
//! instead.

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use rustix::io::Errno;
use signal_hook::consts::SIGHUP;
use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGTERM;
use tokenkeeper::clock;
use tokenkeeper::error::foreign::shown;
use tokenkeeper::time::Moment;
use tokenkeeper::time::spoken;
use zeroize::Zeroizing;

use crate::browser::Browser;
use crate::fault::Fault;
use crate::input::InputError;
use crate::input::MAX_SECRET;
use crate::typing::Key;
use crate::typing::QuietTerminal;
use crate::typing::Typing;

/// How often a countdown is drawn again, and a signal looked for.
const TICK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Whom a login speaks with.
pub(crate) trait Person {
    /// Tells a line.
    fn tell(&mut self, line: &str);

    /// Asks a question.
    ///
    /// # Errors
    ///
    /// There is no terminal, or the person thought better of it.
    fn ask(&mut self, question: &Question<'_>) -> Result<Zeroizing<String>, Fault>;

    /// Whether somebody is there who can type an answer.
    fn can_type(&self) -> bool;

    /// Shows what is waited for, in place of what was shown before.
    fn waits_for(&mut self, what: &str, left: Option<Duration>);

    /// Whether the program was told to end.
    fn is_gone(&self) -> bool;
}

/// What a person is asked.
pub(crate) struct Question<'a> {
    /// The words.
    pub(crate) text: &'a str,
    /// What becomes of the typed characters.
    pub(crate) echo: Echo,
    /// How long an answer is good.
    pub(crate) left: Option<Duration>,
    /// Who may answer instead.
    pub(crate) browser: Option<&'a Browser>,
}

/// What becomes of the typed characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Echo {
    /// They are shown.
    Shown,
    /// They are secret.
    Hidden,
}

/// The controlling terminal.
pub(crate) struct Terminal {
    /// None where there is none: then lines go to the standard error, and nothing is asked.
    tty: Option<File>,
    gone: Arc<AtomicBool>,
    /// Whether a line stands there that the next one takes the place of.
    waiting: bool,
}

impl Terminal {
    /// The terminal, if there is one. From now on the signals that end a program are noticed
    /// here, so that a login can be cancelled first.
    ///
    /// # Errors
    ///
    /// Signals that cannot be noticed.
    pub(crate) fn open() -> Result<Self, Fault> {
        let gone = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&gone))
                .map_err(|error| InputError::Unreadable { from: "signals".into(), error })?;
        }
        let tty = File::options().read(true).write(true).open("/dev/tty").ok();
        Ok(Self { tty, gone, waiting: false })
    }

    /// Writes to the terminal. One that has gone away is noticed when it is read.
    fn write(&self, text: &str) {
        let _written = match &self.tty {
            Some(tty) => (&mut &*tty).write_all(text.as_bytes()),
            None => io::stderr().write_all(text.as_bytes()),
        };
    }

    fn converse(&self, question: &Question<'_>) -> io::Result<Result<Zeroizing<String>, Fault>> {
        let until = question.left.map(|left| clock::now().boot + left);
        let quiet = self.tty.as_ref().map(QuietTerminal::new).transpose()?;
        let mut typing = Typing::new(MAX_SECRET);
        let mut drawn = Zeroizing::default();
        let outcome = loop {
            let line = line(question, until, &typing);
            if *line != *drawn {
                self.write(&line);
                drawn = line;
            }
            if self.is_gone() {
                break Err(Fault::Interrupted);
            }
            let (typed, knocked) = self.wait(question.browser)?;
            if knocked && let Some(answer) = question.browser.and_then(Browser::answer) {
                break Ok(answer);
            }
            if !typed {
                continue;
            }
            let mut key = Zeroizing::new([0]);
            let Some(mut tty) = self.tty.as_ref() else { continue };
            match tty.read(&mut *key) {
                Ok(0) => break Err(Fault::Interrupted),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let [byte] = *key;
            match typing.key(byte) {
                Key::More => {}
                Key::Done if typing.so_far().is_empty() => {}
                Key::Done => break text(typing.so_far()),
                Key::Aborted => break Err(Fault::Interrupted),
                Key::TooLong => break Err(InputError::TooLong("what was typed".into()).into()),
            }
        };
        self.write("\r\n");
        drop(quiet);
        Ok(outcome)
    }

    /// Waits a moment for a key or a browser.
    fn wait(&self, browser: Option<&Browser>) -> io::Result<(bool, bool)> {
        let mut fds = Vec::with_capacity(2);
        fds.extend(self.tty.as_ref().map(|tty| PollFd::new(tty, PollFlags::IN)));
        let keys = fds.len();
        fds.extend(browser.map(|browser| PollFd::from_borrowed_fd(browser.as_fd(), PollFlags::IN)));
        match poll(&mut fds, Some(&TICK)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = |fd: Option<&PollFd<'_>>| fd.is_some_and(|fd| !fd.revents().is_empty());
        Ok((keys == 1 && ready(fds.first()), ready(fds.get(keys))))
    }
}

impl Person for Terminal {
    fn tell(&mut self, line: &str) {
        if std::mem::take(&mut self.waiting) {
            self.write("\r\u{1b}[K");
        }
        self.write(&format!("{}\n", shown(line)));
    }

    fn ask(&mut self, question: &Question<'_>) -> Result<Zeroizing<String>, Fault> {
        if self.tty.is_none() && question.browser.is_none() {
            let nobody = match question.echo {
                Echo::Hidden => InputError::NoTerminal,
                Echo::Shown => InputError::NobodyThere,
            };
            return Err(nobody.into());
        }
        if std::mem::take(&mut self.waiting) {
            self.write("\r\u{1b}[K");
        }
        let asked = self.converse(question);
        asked.map_err(|error| InputError::Unreadable { from: "/dev/tty".into(), error })?
    }

    fn can_type(&self) -> bool {
        self.tty.is_some()
    }

    fn waits_for(&mut self, what: &str, left: Option<Duration>) {
        if self.tty.is_some() {
            self.waiting = true;
            let left = left.map(|left| format!(" ({} left)", spoken(left))).unwrap_or_default();
            self.write(&format!("\r\u{1b}[K{}{left}", shown(what)));
        }
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.waiting {
            self.write("\r\u{1b}[K");
        }
    }
}

/// The line on which somebody types.
fn line(question: &Question<'_>, until: Option<Moment>, typing: &Typing) -> Zeroizing<String> {
    let left = until.map(|until| spoken(until.since(clock::now().boot)));
    let left = left.map(|left| format!(" ({left} left)")).unwrap_or_default();
    let typed = match question.echo {
        Echo::Shown => String::from_utf8_lossy(typing.so_far()).into_owned(),
        Echo::Hidden => String::new(),
    };
    Zeroizing::new(format!("\r\u{1b}[K{}{left}: {}", shown(question.text), shown(&typed)))
}

fn text(typed: &[u8]) -> Result<Zeroizing<String>, Fault> {
    match std::str::from_utf8(typed) {
        Ok(text) => Ok(Zeroizing::new(text.into())),
        Err(_) => Err(InputError::NotText("what was typed".into()).into()),
    }
}
