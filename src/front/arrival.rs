//! The bytes of a body: all of them, in time, and no more than the limit.
//!
//! What came of a body that is refused is wiped, as that of every other is by who reads it.

use std::error::Error;
use std::io;

use http_body_util::BodyExt;
use hyper::body::Body as _;
use hyper::body::Incoming;
use zeroize::Zeroizing;

use crate::error::code::Code;
use crate::front::reply::Refused;
use crate::limits;
use crate::snapshot::Refusal;

/// Reads a body whole, within [`limits::BODY`] bytes and [`limits::WHOLE_BODY`].
///
/// # Errors
///
/// `BAD_REQUEST`: with status 413 if it is too long, 408 if it does not come, and 400 at once if
/// it ends early or is not chunked as RFC 9112, section 7.1, has it.
pub(super) async fn whole(mut body: Incoming) -> Result<Zeroizing<Vec<u8>>, Box<Refused>> {
    let reading = async {
        // Most requests have none, and whole room at once would be wasted on them.
        let mut bytes = Zeroizing::new(Vec::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| broken(&error, bytes.len(), &body))?;
            let Ok(data) = frame.into_data() else { continue };
            let Some(room) = limits::BODY.checked_sub(bytes.len() + data.len()) else {
                return Err(too_long());
            };
            // Growing later would leave copies in freed memory.
            bytes.reserve_exact(data.len() + room);
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    };
    tokio::time::timeout(limits::WHOLE_BODY, reading).await.unwrap_or_else(|_| Err(late()))
}

/// That a body broke off after `came` bytes. hyper says by the kind of its cause whether what came
/// is no chunk; for every other reason nothing more comes.
fn broken(error: &hyper::Error, came: usize, body: &Incoming) -> Box<Refused> {
    let kind = error.source().and_then(|cause| cause.downcast_ref()).map(io::Error::kind);
    if matches!(kind, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)) {
        return Refused::boxed(bad("the body is not chunked as HTTP/1.1 has it"));
    }
    // The hint counts what is still to come.
    let message = match body.size_hint().exact() {
        Some(missing) => {
            let promised = missing.saturating_add(u64::try_from(came).unwrap_or(u64::MAX));
            format!("the body ended after {came} of the {promised} bytes of `Content-Length`")
        }
        None => "the body ended before its last chunk".to_owned(),
    };
    Refused::boxed(bad(message))
}

fn too_long() -> Box<Refused> {
    let message = format!("the body is longer than {} bytes", limits::BODY);
    Box::new(Refused::with_status(413, bad(message)))
}

fn late() -> Box<Refused> {
    Box::new(Refused::with_status(408, bad("the body did not come")))
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::BadRequest, message)
}
