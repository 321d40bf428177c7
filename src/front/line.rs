//! A connection that keeps its peer to the limits of time.
//!
//! A peer that says nothing, that stops within a head, that does not read its answer or
//! that keeps an idle connection too long is cut off: the read or write in question
//! fails, and the connection ends. One timer per connection, armed only when there is
//! something to wait for, so that a busy connection never touches it.
//!
//! Whether a request is being answered is known by the [`Pulse`] that the connection
//! shares with its service. While one is, nothing is expected of the peer.
//!
//! The end of what a peer says (`nc -N`) and the end of the peer are two things. The first is
//! read where a head or a body is expected, and nowhere else: who has said all waits for its
//! answer, so hyper is told to allow it (`half_close`) and reads nothing while it answers. The
//! second, which ends an answer in the making, is watched for by [`hung_up`].
//!
//! The stream is shared with whoever asks which process is behind it. Nobody holds it from one
//! poll to the next.
//!
//! What is no request at all never comes to the service: hyper answers it by itself, with a
//! status and no body. That answer is held back and ends the connection, so that its owner
//! can answer as every other error is answered.

use std::cell::Cell;
use std::cell::RefCell;
use std::future::Future;
use std::future::poll_fn;
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

use crate::attest::has_hung_up;
use crate::limits;

/// Where a connection is between two requests; shared by a [`Line`] and its service.
#[derive(Default)]
pub(super) struct Pulse {
    phase: Cell<Phase>,
    broken: Cell<Option<u16>>,
}

/// What has come of requests, and what was done with it.
#[derive(Clone, Copy, Default)]
enum Phase {
    /// Nothing has come yet.
    #[default]
    Silent,
    /// Bytes that are no whole head yet.
    InHead,
    /// A request, which is being answered. What is read meanwhile is its body.
    Answering,
    /// Every request that came is answered.
    Idle,
}

impl Pulse {
    /// A whole head has come.
    pub(super) fn begin(&self) {
        self.phase.set(Phase::Answering);
    }

    /// Its answer is made.
    pub(super) fn end(&self) {
        self.phase.set(Phase::Idle);
    }

    /// Bytes have come.
    fn heard(&self) {
        self.phase.set(match self.phase.get() {
            Phase::Answering => Phase::Answering,
            Phase::Silent | Phase::InHead | Phase::Idle => Phase::InHead,
        });
    }

    /// The status that hyper meant to answer with to what is no request.
    pub(super) const fn broken(&self) -> Option<u16> {
        self.broken.get()
    }

    /// Whether what is about to be written is hyper's own answer, which is held back.
    fn holds_back(&self, written: &[u8]) -> bool {
        let status = status_of_hypers_own(written);
        if status.is_some() {
            self.broken.set(status);
        }
        status.is_some()
    }

    fn awaited(&self) -> Option<Limit> {
        match self.phase.get() {
            Phase::Silent => Some(Limit::FirstByte),
            Phase::InHead => Some(Limit::WholeHead),
            Phase::Answering => None,
            Phase::Idle => Some(Limit::Idle),
        }
    }
}

/// The status of an answer that hyper made by itself: an error of the client without a body.
/// Every one of ours has a body, and no body of ours begins like an answer.
fn status_of_hypers_own(written: &[u8]) -> Option<u16> {
    const EMPTY: &[u8] = b"\r\ncontent-length: 0\r\n";

    let status = written.strip_prefix(b"HTTP/1.1 ").or(written.strip_prefix(b"HTTP/1.0 "))?;
    let status = status.get(..3).filter(|status| status.starts_with(b"4"))?;
    let is_empty = written.windows(EMPTY.len()).any(|part| part == EMPTY);
    std::str::from_utf8(status).ok()?.parse().ok().filter(|_| is_empty)
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
    stream: Rc<RefCell<UnixStream>>,
    pulse: Rc<Pulse>,
    timer: Option<Pin<Box<Sleep>>>,
    armed: Option<Limit>,
    /// Whether something happened since the idle limit was armed.
    active: bool,
}

impl Line {
    /// Watches over `stream`.
    pub(super) const fn new(stream: Rc<RefCell<UnixStream>>, pulse: Rc<Pulse>) -> Self {
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
        let outcome = Pin::new(&mut *line.stream.borrow_mut()).poll_read(cx, buffer);
        if outcome.is_ready() {
            if buffer.filled().len() > before {
                line.pulse.heard();
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
        if line.pulse.holds_back(bytes) {
            return Poll::Ready(Err(no_request()));
        }
        let outcome = Pin::new(&mut *line.stream.borrow_mut()).poll_write(cx, bytes);
        line.wrote(outcome, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        if pieces.first().is_some_and(|head| line.pulse.holds_back(head)) {
            return Poll::Ready(Err(no_request()));
        }
        let outcome = Pin::new(&mut *line.stream.borrow_mut()).poll_write_vectored(cx, pieces);
        line.wrote(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream.borrow_mut()).poll_shutdown(cx)
    }
}

/// Waits until the peer has closed its end altogether. Who has said all and reads on, or has sent
/// what nobody has read yet, is found gone when something else wakes the task: at its answer.
///
/// To be polled after the connection, in its task: a stream wakes one task about what comes.
pub(super) async fn hung_up(stream: &RefCell<UnixStream>) {
    poll_fn(|cx| {
        let stream = stream.borrow();
        // A stream with nothing to read is not at its end, which saves the question of the kernel.
        if stream.poll_read_ready(cx).is_ready() && has_hung_up(&*stream) {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

fn no_request() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what came is no request")
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
    async fn a_peer_that_is_gone_is_found_gone_and_one_that_has_said_all_is_not() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let ours = RefCell::new(ours);
        let hour = Duration::from_secs(3_600);
        assert!(tokio::time::timeout(hour, hung_up(&ours)).await.is_err(), "it is there");
        theirs.shutdown().await.unwrap();
        assert!(tokio::time::timeout(hour, hung_up(&ours)).await.is_err(), "it reads on");
        drop(theirs);
        hung_up(&ours).await;
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

    #[tokio::test]
    async fn an_error_of_the_client_without_a_body_is_held_back_and_nothing_else_is() {
        #[rustfmt::skip]
        let cases = [
            ("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\ndate: x\r\n\r\n",      Some(400)),
            ("HTTP/1.0 431 Too Large\r\ncontent-length: 0\r\n\r\n",                   Some(431)),
            ("HTTP/1.1 400 Bad Request\r\ncontent-length: 20\r\n\r\n",                None),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 0\r\n\r\n",                None),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",                          None),
            ("{\"token\":\"HTTP/1.1 400\"}",                                          None),
        ];
        for (written, held_back) in cases {
            let (mut line, mut peer, pulse) = line();
            let failed = line.write_all(written.as_bytes()).await.is_err();
            assert_eq!((failed, pulse.broken()), (held_back.is_some(), held_back), "{written}");
            drop(line);
            let mut arrived = String::new();
            peer.read_to_string(&mut arrived).await.unwrap();
            assert_eq!(arrived.is_empty(), failed, "{written}");
        }
    }

    fn line() -> (Line, UnixStream, Rc<Pulse>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let pulse = Rc::<Pulse>::default();
        (Line::new(Rc::new(RefCell::new(ours)), pulse.clone()), theirs, pulse)
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
