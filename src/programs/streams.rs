//! The three streams of a program, all at once and in small steps.

use std::io;
use std::ops::ControlFlow;
use std::ops::ControlFlow::Break;
use std::ops::ControlFlow::Continue;

use bytes::BufMut as _;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Child;
use tokio::process::ChildStderr;
use tokio::process::ChildStdin;
use tokio::process::ChildStdout;
use zeroize::Zeroizing;

use crate::token::Secret;

/// What is kept of standard error, in bytes: a traceback, and no log.
pub(super) const KEPT: usize = 4096;

/// The streams that are still open, and what was heard so far.
pub(super) struct Streams {
    input: Option<(ChildStdin, Secret)>,
    /// How much of the input is written.
    written: usize,
    output: Option<ChildStdout>,
    error: Option<ChildStderr>,
    heard: Zeroizing<Vec<u8>>,
    longest: usize,
    said: Zeroizing<Vec<u8>>,
}

/// There is more output than is taken.
pub(super) struct Full;

impl Streams {
    /// Takes a program's streams.
    pub(super) fn of(child: &mut Child, input: Option<Secret>, longest: usize) -> Self {
        Self {
            input: child.stdin.take().zip(input),
            written: 0,
            output: child.stdout.take(),
            error: child.stderr.take(),
            // As large as it can get from the start: growing would leave copies behind.
            heard: Zeroizing::new(Vec::with_capacity(longest.saturating_add(1))),
            longest,
            said: Zeroizing::new(Vec::with_capacity(2 * KEPT + 1)),
        }
    }

    /// Writes and reads until all streams are at their end. It can be dropped and begun again;
    /// an output that is too large is closed and what was heard of it kept.
    pub(super) async fn pump(&mut self) -> Result<(), Full> {
        loop {
            tokio::select! {
                flow = feed(&mut self.input, &mut self.written), if self.input.is_some() => {
                    if flow.is_break() {
                        self.input = None;
                    }
                }
                flow = hear(&mut self.output, &mut self.heard, self.longest),
                    if self.output.is_some() =>
                {
                    if self.heard.len() > self.longest {
                        self.output = None;
                        return Err(Full);
                    }
                    if flow.is_break() {
                        self.output = None;
                    }
                }
                flow = hear(&mut self.error, &mut self.said, 2 * KEPT), if self.error.is_some() => {
                    if flow.is_break() {
                        self.error = None;
                    } else if self.said.len() > KEPT {
                        // The rest is read so that the program is not held up by it.
                        self.said.truncate(KEPT);
                    }
                }
                else => return Ok(()),
            }
        }
    }

    /// What standard output and standard error said.
    pub(super) fn into_parts(self) -> (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>) {
        (self.heard, self.said)
    }
}

/// Reads once into a buffer that has room for one byte more than `longest`. Says whether there
/// is reason to go on.
pub(super) async fn read_into(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    longest: usize,
) -> io::Result<ControlFlow<()>> {
    let room = longest.saturating_add(1).saturating_sub(buffer.len());
    let read = stream.read_buf(&mut buffer.limit(room)).await?;
    Ok(if read == 0 { Break(()) } else { Continue(()) })
}

/// As [`read_into`]. A stream that breaks is at its end.
async fn hear(
    stream: &mut Option<impl AsyncRead + Unpin>,
    buffer: &mut Vec<u8>,
    longest: usize,
) -> ControlFlow<()> {
    match stream {
        Some(stream) => read_into(stream, buffer, longest).await.unwrap_or(Break(())),
        None => Break(()),
    }
}

/// Writes once. A program that does not read its input has no need of it.
async fn feed(input: &mut Option<(ChildStdin, Secret)>, written: &mut usize) -> ControlFlow<()> {
    let Some((stream, text)) = input else { return Break(()) };
    let rest = text.expose().as_bytes().get(*written..).unwrap_or_default();
    match stream.write(rest).await {
        Ok(0) | Err(_) => Break(()),
        Ok(count) => {
            *written += count;
            Continue(())
        }
    }
}
