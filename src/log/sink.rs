//! Where records go: the journal, or standard error.

use std::env;
use std::io;
use std::io::IsTerminal as _;
use std::io::Write as _;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::poll;
use rustix::fs::fstat;

use super::journal::Journal;
use super::record::Record;

/// Where records go, and in which form.
pub(super) enum Sink {
    /// To the journal's own socket.
    Journal(Journal),
    /// To people.
    Lines,
    /// To programs.
    Json,
}

impl Sink {
    /// What standard error is connected to decides.
    pub(super) fn find() -> Self {
        if is_journal()
            && let Ok(journal) = Journal::find()
        {
            return Self::Journal(journal);
        }
        if io::stderr().is_terminal() { Self::Lines } else { Self::Json }
    }

    /// Writes a record, however long that takes.
    ///
    /// # Errors
    ///
    /// What the kernel says to standard error.
    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        let line = match self {
            Self::Journal(journal) => match journal.send(record) {
                Ok(()) => return Ok(()),
                // Standard error leads to the same place on another way.
                Err(_) => record.stream_line(),
            },
            Self::Lines => record.line(),
            Self::Json => record.json(),
        };
        write_out(line + "\n")
    }

    /// Writes why the daemon did not run, as text for people.
    pub(super) fn refuse(&self, why: &str) {
        let text = match self {
            Self::Journal(_) => why.lines().map(|line| format!("<3>{line}\n")).collect(),
            Self::Lines | Self::Json => format!("tokenkeeperd: {why}\n"),
        };
        // The exit status says the same.
        let _unwritten = write_out(text);
    }
}

/// Whether standard error is what the service manager connected to the journal: it says which
/// device and inode that was (systemd.exec(5), `JOURNAL_STREAM`).
fn is_journal() -> bool {
    let Some(named) = env::var_os("JOURNAL_STREAM") else { return false };
    let Ok(there) = fstat(rustix::stdio::stderr()) else { return false };
    named.to_str() == Some(&*format!("{}:{}", there.st_dev, there.st_ino))
}

/// Writes all of it to standard error. Somebody else may have told the descriptor not to wait.
fn write_out(line: String) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    let mut left = line.as_bytes();
    while !left.is_empty() {
        match stderr.write(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(&rustix::stdio::stderr(), PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
