//! The body of a request, which notices when it is taken.
//!
//! Whether a refresh token can have been spent is the one thing that a failed request has to
//! tell. The errors of a client do not tell it in every case (time may run out while it still
//! connects); that the body was never asked for does.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use hyper::body::Body;
use hyper::body::Frame;
use hyper::body::SizeHint;

use crate::token::Secret;

/// A body that is sent once.
pub(super) struct Outgoing {
    content: Option<Bytes>,
    taken: Taken,
}

/// Whether an [`Outgoing`] was asked for its content.
#[derive(Clone)]
pub(super) struct Taken(Arc<AtomicBool>);

impl Outgoing {
    /// A body of that content, and the means to follow what becomes of it. A body of nothing
    /// counts as taken from the start: there is no moment at which it could be.
    pub(super) fn new(content: Secret) -> (Self, Taken) {
        let taken = Taken(Arc::new(AtomicBool::new(content.is_empty())));
        let content = (!content.is_empty()).then(|| Bytes::from_owner(Wiped(content)));
        (Self { content, taken: taken.clone() }, taken)
    }
}

impl Taken {
    /// Whether any of the content may have left this host.
    pub(super) fn is_taken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Lends a secret's own memory to the connection, so that there is no copy to wipe.
struct Wiped(Secret);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.taken.0.store(true, Ordering::Release);
        Poll::Ready(self.content.take().map(|content| Ok(Frame::data(content))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.as_ref().map_or(0, |content| content.len() as u64))
    }
}
