//! A connection that keeps its peer to the limits of time.
//!
//! A peer that says nothing, that stops within a head, that does not read its answer or
//! that keeps an idle connection too long is cut off: the read or write in question
//! fails, and the connection ends. One timer per connection, armed only when there is
//! something to wait for, so that a busy connection never touches it.
//!
//! Whether a request is being answered is known by the [`Pulse`] that the connection
//! shares with its service. While one is, nothing is expected of the peer.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::UnixStream;
use tokio::time::Sleep;

use crate::limits;

/// Where a connection is between two requests; shared by a [`Line`] and its service.
#[derive(Default)]
pub(super) struct Pulse {
    answering: Cell<bool>,
    answered: Cell<bool>,
    unclaimed: Cell<bool>,
}

impl Pulse {
    /// A whole head has come.
    pub(super) fn begin(&self) {
        self.answering.set(true);
        self.unclaimed.set(false);
    }

    /// Its answer is made.
    pub(super) fn end(&self) {
        self.answering.set(false);
        self.answered.set(true);
    }

    fn awaited(&self) -> Option<Limit> {
        if self.answering.get() {
            None
        } else if self.unclaimed.get() {
            Some(Limit::WholeHead)
        } else if self.answered.get() {
            Some(Limit::Idle)
        } else {
            Some(Limit::FirstByte)
        }
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Limit {
    FirstByte,
    WholeHead,
    Idle,
    BlockedWrite,
}

impl Limit {
    const fn span(self) -> Duration {
        match self {
            Self::FirstByte => limits::FIRST_BYTE,
            Self::WholeHead => limits::WHOLE_HEAD,
            Self::Idle => limits::IDLE,
            Self::BlockedWrite => limits::BLOCKED_WRITE,
        }
    }

    const fn broken(self) -> &'static str {
        match self {
            Self::FirstByte => "no byte came",
            Self::WholeHead => "the head did not end",
            Self::Idle => "nothing happened",
            Self::BlockedWrite => "the answer was not read",
        }
    }
}

/// The stream of one connection.
pub(super) struct Line {
    stream: UnixStream,
    pulse: Rc<Pulse>,
    timer: Option<Pin<Box<Sleep>>>,
    armed: Option<Limit>,
    /// Whether something happened since the idle limit was armed.
    active: bool,
}

impl Line {
    /// Watches over `stream`.
    pub(super) const fn new(stream: UnixStream, pulse: Rc<Pulse>) -> Self {
        Self { stream, pulse, timer: None, armed: None, active: false }
    }

    /// Waits for what `limit` allows. Ready, with an error, if the peer took too long.
    fn poll_limit(&mut self, limit: Limit, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.armed != Some(limit) {
            self.arm(limit);
        }
        while let Some(timer) = &mut self.timer {
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if limit != Limit::Idle || !self.active {
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, limit.broken()));
            }
            self.arm(limit);
        }
        Poll::Pending
    }

    fn arm(&mut self, limit: Limit) {
        let sleep = tokio::time::sleep(limit.span());
        match &mut self.timer {
            Some(timer) => timer.set(sleep),
            None => self.timer = Some(Box::pin(sleep)),
        }
        self.armed = Some(limit);
        self.active = false;
    }

    fn wrote<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_pending() {
            return self.poll_limit(Limit::BlockedWrite, cx).map(Err);
        }
        if self.armed == Some(Limit::BlockedWrite) {
            self.armed = None;
        }
        self.active = true;
        outcome
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut line.stream).poll_read(cx, buffer);
        if outcome.is_ready() {
            if buffer.filled().len() > before {
                line.pulse.unclaimed.set(true);
                line.active = true;
            }
            return outcome;
        }
        // A blocked write has the timer, and the shorter patience.
        if line.armed == Some(Limit::BlockedWrite) {
            return Poll::Pending;
        }
        match line.pulse.awaited() {
            Some(limit) => line.poll_limit(limit, cx).map(Err),
            None => Poll::Pending,
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        let outcome = Pin::new(&mut line.stream).poll_write(cx, bytes);
        line.wrote(outcome, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        let outcome = Pin::new(&mut line.stream).poll_write_vectored(cx, pieces);
        line.wrote(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_nothing_is_cut_off_after_a_second() {
        let (mut line, _peer, _pulse) = line();
        assert_eq!(cut_off(&mut line).await, (limits::FIRST_BYTE, "no byte came"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_end_is_cut_off_a_second_after_its_beginning() {
        let (mut line, mut peer, _pulse) = line();
        peer.write_all(b"GET /v1").await.unwrap();
        line.read_u8().await.unwrap();
        let mut rest = [0; 6];
        line.read_exact(&mut rest).await.unwrap();
        assert_eq!(cut_off(&mut line).await, (limits::WHOLE_HEAD, "the head did not end"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_kept_connection_is_closed_after_the_idle_limit_to_twice_that() {
        let (mut line, mut peer, pulse) = line();
        for _ in 0..3 {
            peer.write_all(b"x").await.unwrap();
            line.read_u8().await.unwrap();
            pulse.begin();
            pulse.end();
            let half = tokio::time::timeout(limits::IDLE / 2, line.read_u8()).await;
            assert!(half.is_err(), "an active connection was cut off");
        }
        let (span, why) = cut_off(&mut line).await;
        assert_eq!(why, "nothing happened");
        assert!(span >= limits::IDLE / 2 && span <= limits::IDLE * 2, "{span:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_expected_of_a_peer_that_waits_for_its_answer() {
        let (mut line, mut peer, pulse) = line();
        peer.write_all(b"x").await.unwrap();
        line.read_u8().await.unwrap();
        pulse.begin();
        let hour = tokio::time::timeout(Duration::from_secs(3_600), line.read_u8()).await;
        assert!(hour.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_read_is_given_up_after_two_seconds() {
        let (mut line, _peer, _pulse) = line();
        let begin = paused_clock();
        let large = vec![0; 16 * 1024 * 1024];
        let error = line.write_all(&large).await.unwrap_err();
        assert_eq!(error.to_string(), "the answer was not read");
        assert!(begin.elapsed() >= limits::BLOCKED_WRITE);
        assert!(begin.elapsed() < limits::BLOCKED_WRITE * 2);
    }

    fn line() -> (Line, UnixStream, Rc<Pulse>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let pulse = Rc::<Pulse>::default();
        (Line::new(ours, pulse.clone()), theirs, pulse)
    }

    #[allow(clippy::disallowed_methods, reason = "the paused clock stands still by itself")]
    fn paused_clock() -> Instant {
        Instant::now()
    }

    async fn cut_off(line: &mut Line) -> (Duration, &'static str) {
        let begin = paused_clock();
        let error = line.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let limits = [Limit::FirstByte, Limit::WholeHead, Limit::Idle, Limit::BlockedWrite];
        let why = limits.into_iter().find(|limit| limit.broken() == error.to_string()).unwrap();
        // The runtime's timer counts in milliseconds and rounds up.
        let span = Duration::from_millis(u64::try_from(begin.elapsed().as_millis()).unwrap());
        (span, why.broken())
    }
}
