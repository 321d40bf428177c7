//! Answers and errors as HTTP.
//!
//! Every answer says `no-store`: no cache on the way has any business with tokens or with
//! how an account stands. Every error has the one body of `protocol::error::ErrorBody`.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Frame;
use hyper::body::SizeHint;
use hyper::header;
use hyper::header::HeaderValue;
use serde::Serialize;

use crate::asking::Denied;
use crate::error::code::Code;
use crate::front::events::Stream;
use crate::name::AccountId;
use crate::snapshot::Refusal;
use crate::time::Now;
use crate::wording;

/// A body of an answer.
pub(super) enum Body {
    /// Pieces that are all there, sent in this order. Shared, not copied.
    Whole([Bytes; 3]),
    /// Events as they happen.
    Events(Stream),
}

impl Body {
    /// A body of one piece.
    pub(super) const fn of(bytes: Bytes) -> Self {
        Self::Whole([bytes, Bytes::new(), Bytes::new()])
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(pieces) => {
                let next = pieces.iter_mut().find(|piece| !piece.is_empty());
                Poll::Ready(next.map(|piece| Ok(Frame::data(std::mem::take(piece)))))
            }
            Self::Events(stream) => stream.poll_next(cx).map(|event| Some(Ok(Frame::data(event?)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(pieces) => pieces.iter().all(Bytes::is_empty),
            Self::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(pieces) => {
                let length = pieces.iter().map(Bytes::len).sum::<usize>();
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
            Self::Events(_) => SizeHint::default(),
        }
    }
}

/// Type of a JSON answer.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Type of a bare token.
pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// An answer with a body of that type.
pub(super) fn ok(content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    response
}

/// A view as JSON.
pub(super) fn json(view: &impl Serialize) -> Result<Response<Body>, Box<Refused>> {
    written(serde_json::to_vec(view).map_err(NoJson::Unwritable))
}

/// The same for one that may be megabytes long: it is written on a thread of its own, and others
/// are answered meanwhile.
pub(super) async fn long_json(
    view: impl Serialize + Send + 'static,
) -> Result<Response<Body>, Box<Refused>> {
    let writing = tokio::task::spawn_blocking(move || serde_json::to_vec(&view));
    written(writing.await.map_err(NoJson::Broken).and_then(|it| it.map_err(NoJson::Unwritable)))
}

fn written(bytes: Result<Vec<u8>, NoJson>) -> Result<Response<Body>, Box<Refused>> {
    let bytes = bytes.map_err(|error| Refusal::new(Code::Internal, error.to_string()))?;
    Ok(ok(JSON, Body::of(bytes.into())))
}

/// An answer that cannot be written.
#[derive(Debug, thiserror::Error)]
enum NoJson {
    #[error("no JSON of an answer: {0}")]
    Unwritable(serde_json::Error),
    #[error("no JSON of an answer: {0}")]
    Broken(tokio::task::JoinError),
}

/// What the peer has is what there is.
pub(super) fn not_modified(etag: HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::of(Bytes::new()));
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().insert(header::ETAG, etag);
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    response
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A request that is not satisfied, with what HTTP wants to know of it.
pub(super) struct Refused {
    /// Why.
    pub(super) refusal: Refusal,
    /// The account that it is about.
    pub(super) account: Option<AccountId>,
    status: Option<u16>,
    allow: Option<String>,
}

impl Refused {
    /// A refusal that is about no account, or does not say about which.
    pub(super) fn boxed(refusal: Refusal) -> Box<Self> {
        Box::new(Self { refusal, account: None, status: None, allow: None })
    }

    /// A refusal about an account.
    pub(super) fn about(account: &AccountId, refusal: Refusal) -> Box<Self> {
        Box::new(Self { account: Some(account.clone()), ..*Self::boxed(refusal) })
    }

    /// A wrong request for which HTTP has a status of its own.
    pub(super) fn with_status(status: u16, refusal: Refusal) -> Self {
        Self { refusal, account: None, status: Some(status), allow: None }
    }

    /// With the methods that the path has.
    pub(super) fn allowing(self, methods: String) -> Self {
        Self { allow: Some(methods), ..self }
    }

    /// Its HTTP status.
    pub(super) fn status(&self) -> u16 {
        self.status.unwrap_or_else(|| self.refusal.code.http_status())
    }

    /// It as an answer.
    pub(super) fn into_response(self, now: Now) -> Response<Body> {
        let body = wording::error_body(&self.refusal, self.account.as_ref(), now);
        // A body of strings and numbers always has a JSON text.
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = ok(JSON, Body::of(bytes.into()));
        *response.status_mut() =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if let Some(secs) = wording::retry_after(&self.refusal, now) {
            headers.insert(header::RETRY_AFTER, secs.into());
        }
        if let Some(allow) = self.allow
            && let Ok(value) = HeaderValue::from_str(&allow)
        {
            headers.insert(header::ALLOW, value);
        }
        response
    }
}

impl From<Denied> for Box<Refused> {
    fn from(denied: Denied) -> Self {
        let Denied { account, refusal } = denied;
        Self::new(Refused { account, ..*Refused::boxed(refusal) })
    }
}

impl From<Refusal> for Box<Refused> {
    fn from(refusal: Refusal) -> Self {
        Refused::boxed(refusal)
    }
}
