//! How a reply reaches the client: in one piece, or as a fault would have it.
//!
//! [`plan`] turns a decision and a fault into bytes, pauses and an end; `connection` carries them
//! out. Nothing here touches a socket.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::iter;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::bounded::HeaderName;
use crate::bounded::HeaderText;
use crate::bounded::RetryAfter;
use crate::bounded::Status;
use crate::fault::Kind;
use crate::field::ReplyFormat;
use crate::gzip;
use crate::reply::Connection;
use crate::reply::Reply;
use crate::reply::http_date;
use crate::service::oauth2::client::Refusal;

/// One thing to do on the socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Write these bytes.
    Send(Vec<u8>),
    /// Write the letter `a` so many times.
    Fill(u64),
    /// Write these bytes at this rate.
    Drip {
        /// What to write.
        bytes: Vec<u8>,
        /// Bytes a second, at least 1.
        per_sec: u64,
    },
}

/// What becomes of the connection in the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// The next request may come.
    KeepAlive,
    /// Orderly close.
    Close,
    /// A TCP reset.
    Reset,
    /// Nothing more is written, and the client is told so; but the connection stays until it closes.
    HalfClose,
    /// Nothing more is written, and the client is not told.
    Hang,
}

/// How one reply is delivered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Delivery {
    /// What is written, in order.
    pub(crate) steps: Vec<Step>,
    /// What comes then.
    pub(crate) end: End,
    /// Whether the steps hold a whole HTTP reply.
    pub(crate) whole: bool,
}

/// Where and when a reply is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The path that the request was sent to.
    pub(crate) path: &'a str,
    /// The time for `Date`, since 1970.
    pub(crate) unix: Duration,
    /// What the client wants of the connection.
    pub(crate) connection: Connection,
}

impl Delivery {
    /// `reply` in one piece.
    pub(crate) fn honest(reply: &Reply, place: Place<'_>) -> Self {
        let end = match place.connection {
            Connection::KeepAlive => End::KeepAlive,
            Connection::Close => End::Close,
        };
        let bytes = reply.encode(place.unix, place.connection);
        Self { steps: vec![Step::Send(bytes)], end, whole: true }
    }

    fn closing(bytes: Vec<u8>) -> Self {
        Self { steps: vec![Step::Send(bytes)], end: End::Close, whole: true }
    }

    fn cut(bytes: Vec<u8>, end: End) -> Self {
        let steps = if bytes.is_empty() { Vec::new() } else { vec![Step::Send(bytes)] };
        Self { steps, end, whole: false }
    }
}

/// What `fault` makes of the reply that was decided; `decided` is absent if the fault struck before
/// the commit. A fault that damages a reply then damages a 503.
pub(crate) fn plan(fault: Option<&Kind>, decided: Option<Reply>, place: Place<'_>) -> Delivery {
    let decided_or_503 = || decided.clone().unwrap_or_else(unavailable);
    let Some(fault) = fault else { return Delivery::honest(&decided_or_503(), place) };
    let reply = match fault {
        Kind::Status { status, retry_after, body, content_type, headers } => {
            let reply = with_headers(scripted(*status, body, content_type), headers);
            let reply = retry(reply, retry_after, place);
            if status.0 < 200 {
                return Delivery::closing(reply.encode(place.unix, Connection::Close));
            }
            reply
        }
        Kind::Oauth { error, status, description, retry_after, headers } => {
            let reply = with_headers(refusal(*status, error, description), headers);
            retry(reply, retry_after, place)
        }
        // Whoever decided has put it into the words of the service already.
        Kind::Refusal { retry_after, .. } => retry(decided_or_503(), retry_after, place),
        Kind::ErrorIn200 { error, description } => refusal(Status(200), error, description),
        Kind::Html {} => Reply::new(200, "text/html; charset=utf-8", PORTAL),
        Kind::HtmlStatus { status } => Reply::new(status.0, "text/html; charset=utf-8", PORTAL),
        Kind::Empty {} => Reply::new(200, "application/json", ""),
        Kind::Redirect { status, location } => {
            let location = location.as_ref().map_or(place.path, |location| &location.0);
            Reply::new(status.0, "text/plain", "").header("location", location)
        }
        Kind::MalformedJson {} => malformed(decided),
        Kind::Array {} => Reply::json(200, &json!([{ "access_token": "in-an-array" }])),
        Kind::String {} => Reply::json(200, &json!("access_token")),
        Kind::Null {} => Reply::json(200, &Value::Null),
        Kind::GzipBomb { bytes } => Reply::new(200, "application/json", gzip::blanks(bytes.0))
            .header("content-encoding", "gzip"),
        Kind::HugeHeaders { bytes } => padded_head(decided_or_503(), bytes.0),
        Kind::WrongContentType { content_type } => {
            let wrong = content_type.as_ref().map_or("text/plain", |wrong| &wrong.0);
            Reply { headers: Vec::new(), ..decided_or_503() }.header("content-type", wrong)
        }
        Kind::WrongTypes { .. }
        | Kind::OtherSubject { .. }
        | Kind::DifferentRefreshToken { .. }
        | Kind::RevokedFamily {} => decided_or_503(),

        Kind::Truncate { bytes } => {
            return Delivery::cut(half_sent(&decided_or_503(), *bytes, place), End::Close);
        }
        Kind::HalfClose { bytes } => {
            return Delivery::cut(half_sent(&decided_or_503(), *bytes, place), End::HalfClose);
        }
        Kind::Reset { after_bytes } => {
            let mut bytes = decided_or_503().encode(place.unix, place.connection);
            bytes.truncate(*after_bytes);
            return Delivery::cut(bytes, End::Reset);
        }
        Kind::Lost {} => return Delivery::cut(Vec::new(), End::Close),
        Kind::Hang {} => return Delivery::cut(Vec::new(), End::Hang),
        Kind::NotHttp {} => return Delivery::cut(GARBAGE.to_vec(), End::Close),
        Kind::Drip { bytes_per_sec } => {
            let bytes = decided_or_503().encode(place.unix, Connection::Close);
            let steps = vec![Step::Drip { bytes, per_sec: bytes_per_sec.0 }];
            return Delivery { steps, end: End::Close, whole: true };
        }
        Kind::Huge { bytes } => return huge(&decided_or_503(), bytes.0, place),
        Kind::Early1xx { count } => {
            let mut delivery = Delivery::honest(&decided_or_503(), place);
            let times = usize::try_from(count.0).unwrap_or(usize::MAX);
            delivery.steps.insert(0, Step::Send(EARLY.repeat(times)));
            return delivery;
        }
    };
    Delivery::honest(&reply, place)
}

/// The page that a hotel network shows instead of the provider.
const PORTAL: &str = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>\
    <form action=\"/login\"><p>Please accept the terms of this network.</p></form></body></html>\n";
/// Bytes that begin no HTTP reply: the head of a TLS record.
const GARBAGE: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\xff\x00\r\n\r\n";
/// An interim reply (RFC 8297).
const EARLY: &[u8] = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n";
/// Length of one padding line in a head, without its name.
const PADDING_LINE: usize = 1000;

fn scripted(status: Status, body: &Option<Value>, content_type: &Option<HeaderText>) -> Reply {
    let (usual, body) = match body {
        None => ("text/plain", "scripted fault\n".to_owned()),
        Some(Value::String(text)) => ("text/plain", text.clone()),
        Some(value) => ("application/json", value.to_string()),
    };
    Reply::new(status.0, content_type.as_ref().map_or(usual, |scripted| &scripted.0), body)
}

fn with_headers(mut reply: Reply, headers: &BTreeMap<HeaderName, HeaderText>) -> Reply {
    let lines = headers.iter().map(|(name, value)| (Cow::Owned(name.0.clone()), value.0.clone()));
    reply.headers.extend(lines);
    reply
}

fn refusal(status: Status, error: &str, description: &Option<String>) -> Reply {
    let description = description.clone().unwrap_or_else(|| "scripted fault".to_owned());
    Refusal {
        status: status.0,
        code: Cow::Owned(error.to_owned()),
        description: Cow::Owned(description),
        retry_after: None,
    }
    .reply(ReplyFormat::Json)
}

fn retry(reply: Reply, after: &Option<RetryAfter>, place: Place<'_>) -> Reply {
    let value = match after {
        None => return reply,
        Some(RetryAfter::Seconds(secs)) => secs.to_string(),
        Some(RetryAfter::Literal(text)) => text.clone(),
        Some(RetryAfter::Date(secs)) => {
            let distance = Duration::from_secs(secs.unsigned_abs());
            http_date(if *secs < 0 {
                place.unix.saturating_sub(distance)
            } else {
                place.unix.saturating_add(distance)
            })
        }
    };
    reply.header("retry-after", &value)
}

fn unavailable() -> Reply {
    refusal(Status(503), "temporarily_unavailable", &None)
}

fn malformed(decided: Option<Reply>) -> Reply {
    let mut reply = decided.unwrap_or_else(|| {
        Reply::json(200, &json!({ "access_token": "unfinished", "expires_in": 3600 }))
    });
    reply.body.pop();
    reply.body.extend(b",,");
    reply
}

fn padded_head(mut reply: Reply, bytes: u64) -> Reply {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let line = "p".repeat(PADDING_LINE);
    let lines = iter::repeat_n(("x-padding".into(), line), bytes.div_ceil(PADDING_LINE));
    reply.headers.extend(lines);
    reply
}

/// The head as if all would follow, and the first `bytes` of the content; half of it by default.
fn half_sent(reply: &Reply, bytes: Option<usize>, place: Place<'_>) -> Vec<u8> {
    let length = reply.body.len();
    let mut sent = reply.head(place.unix, place.connection, Some(length));
    sent.extend(reply.body.iter().take(bytes.unwrap_or(length / 2)));
    sent
}

/// The reply with one more member that makes its content `bytes` long.
fn huge(reply: &Reply, bytes: u64, place: Place<'_>) -> Delivery {
    let (start, before, after) = match reply.body.split_last() {
        Some((b'}', start)) => (start, r#","padding":""#, r#""}"#),
        _ => (reply.body.as_slice(), "&padding=", ""),
    };
    let wide = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let own = wide(start.len() + before.len() + after.len());
    let filler = bytes.saturating_sub(own);
    let length = usize::try_from(own + filler).unwrap_or(usize::MAX);

    let mut first = reply.head(place.unix, Connection::Close, Some(length));
    first.extend(start);
    first.extend(before.as_bytes());
    let last = after.as_bytes().to_vec();
    let steps = vec![Step::Send(first), Step::Fill(filler), Step::Send(last)];
    Delivery { steps, end: End::Close, whole: true }
}

#[cfg(test)]
mod tests;
