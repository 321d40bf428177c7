//! Following the daemon's server-sent events.
//!
//! Only what the daemon writes is read: one `data:` line per event; every other field and
//! the comments that keep the stream alive are passed over.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use tokenkeeper::clock;
use tokenkeeper::protocol::event::EventView;
use zeroize::Zeroizing;

use super::reply::Garbled;
use super::reply::is_timeout;
use super::reply::read_some;
use crate::fault::Fault;
use crate::wake::Wake;
use crate::wake::Woken;

/// Longest line: an event with an error in it takes a thirtieth.
const MAX_LINE: usize = 64 * 1024;

/// An event stream that has begun.
pub(crate) struct Events {
    stream: UnixStream,
    buffer: Zeroizing<Vec<u8>>,
    socket: PathBuf,
}

/// What came of waiting for an event.
pub(crate) enum Next {
    /// One event.
    Event(Box<EventView>),
    /// Something came that is not an event: the daemon is alive.
    Alive,
    /// Nothing at all came in time.
    Silence,
    /// The daemon has ended the stream.
    End,
}

impl Events {
    /// The stream, of which `buffer` has been read already.
    pub(super) const fn new(
        stream: UnixStream,
        buffer: Zeroizing<Vec<u8>>,
        socket: PathBuf,
    ) -> Self {
        Self { stream, buffer, socket }
    }

    /// Waits at most `patience` for an event, or for the end of the stream or the program.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next), and a `wake` that fails.
    pub(crate) fn next_or(&mut self, wake: &Wake, patience: Duration) -> Result<Woken, Fault> {
        let deadline = clock::now().boot + patience;
        loop {
            let left = deadline.since(clock::now().boot);
            if !self.buffer.contains(&b'\n') {
                match wake.until(Some(self.stream.as_fd()), left).map_err(Fault::Output)? {
                    Woken::Ready => {}
                    Woken::Ended => return Ok(Woken::Ended),
                    Woken::Touched => return Ok(Woken::Touched),
                    Woken::Late => return Ok(Woken::Late),
                }
            }
            match self.next(left)? {
                Next::Alive => {}
                Next::Event(_) | Next::Silence | Next::End => return Ok(Woken::Ready),
            }
        }
    }

    /// Waits for the next line, at most `patience`.
    ///
    /// # Errors
    ///
    /// A line without an end, or an event that is none.
    pub(crate) fn next(&mut self, patience: Duration) -> Result<Next, Fault> {
        self.line(patience).map_err(|why| Fault::NotTheDaemon { socket: self.socket.clone(), why })
    }

    fn line(&mut self, patience: Duration) -> Result<Next, Garbled> {
        // A timeout of zero would mean none.
        let patience = patience.max(Duration::from_millis(1));
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.drain(..=end).collect::<Vec<_>>();
                return event(&line);
            }
            if self.buffer.len() > MAX_LINE {
                return Err(Garbled::LineTooLong(MAX_LINE));
            }
            self.stream.set_read_timeout(Some(patience)).map_err(Garbled::Broken)?;
            let mut chunk = [0; 4096];
            match read_some(&mut self.stream, &mut chunk) {
                Ok(0) => return Ok(Next::End),
                Ok(got) => self.buffer.extend_from_slice(chunk.get(..got).unwrap_or_default()),
                Err(Garbled::Broken(error)) => return ended(error),
                Err(other) => return Err(other),
            }
        }
    }
}

fn event(line: &[u8]) -> Result<Next, Garbled> {
    let Some(data) = line.strip_prefix(b"data:") else { return Ok(Next::Alive) };
    let event = serde_json::from_slice(data).map_err(|_| Garbled::Unexpected)?;
    Ok(Next::Event(Box::new(event)))
}

fn ended(error: io::Error) -> Result<Next, Garbled> {
    if is_timeout(&error) {
        Ok(Next::Silence)
    } else if error.kind() == io::ErrorKind::ConnectionReset {
        Ok(Next::End)
    } else {
        Err(Garbled::Broken(error))
    }
}
