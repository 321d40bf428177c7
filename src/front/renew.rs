//! `POST …/refresh` and `POST …/report`: have a token replaced, and hear what came of it.
//!
//! What is wrong with a request is said here; the rest is [`asking::renewal::renewal`].

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::Response;
use hyper::Uri;
use hyper::body::Incoming;

use crate::asking;
use crate::asking::renewal::Rejected;
use crate::asking::renewal::Renewal;
use crate::clock;
use crate::error::code::Code;
use crate::front::body;
use crate::front::body::Fields;
use crate::front::caller::Caller;
use crate::front::query::Query;
use crate::front::reply;
use crate::front::reply::Body;
use crate::front::reply::Refused;
use crate::front::spelling::hint;
use crate::front::token;
use crate::keeper::Seat;
use crate::snapshot::Refusal;
use crate::token::Generation;

/// Fields of `report`.
pub(super) const REPORT: &[&str] = &["generation", "token_sha256", "reason"];

/// `POST …/refresh`.
pub(super) async fn refresh(
    caller: Rc<Caller>,
    seat: Arc<Seat>,
    uri: Uri,
    body: Incoming,
) -> Result<Response<Body>, Box<Refused>> {
    let patience = patience(&seat, &uri)?;
    body::fields(&seat.account, body, &[]).await?;
    caller.pace(&seat.account, clock::now())?;
    renew(&caller, &seat, Renewal::Refresh, patience).await
}

/// `POST …/report`.
pub(super) async fn report(
    caller: Rc<Caller>,
    seat: Arc<Seat>,
    uri: Uri,
    body: Incoming,
) -> Result<Response<Body>, Box<Refused>> {
    let patience = patience(&seat, &uri)?;
    let fields = body::fields(&seat.account, body, REPORT).await?;
    caller.pace(&seat.account, clock::now())?;
    let about = |refusal| Refused::about(&seat.account, refusal);
    let stream = is_of_a_stream(&fields).map_err(about)?;
    let rejected = rejected(&fields).map_err(about)?;
    renew(&caller, &seat, Renewal::Report { rejected, stream }, patience).await
}

fn patience(seat: &Seat, uri: &Uri) -> Result<Duration, Box<Refused>> {
    let query = Query::read(uri.query(), &[token::WAIT]);
    let patience = query.and_then(|query| token::patience(&query));
    patience.map_err(|refusal| Refused::about(&seat.account, refusal))
}

async fn renew(
    caller: &Caller,
    seat: &Seat,
    renewal: Renewal,
    patience: Duration,
) -> Result<Response<Body>, Box<Refused>> {
    let find = |name: &str| caller.seat(name, renewal.right());
    let came = asking::renewal::renewal(&caller.desk.keeper, seat, renewal, patience, find).await?;
    reply::json(&asking::view::renewed(&seat.account, &came, clock::now()))
}

fn rejected(fields: &Fields) -> Result<Rejected, Refusal> {
    let generation = fields.optional_number("generation")?;
    let digest = fields.optional_text("token_sha256")?;
    match (generation, digest) {
        (Some(generation), None) => Ok(Rejected::Generation(Generation(generation))),
        (None, Some(digest)) => Rejected::by_sha256(digest.expose())
            .ok_or_else(|| bad("body field `token_sha256` must be 64 hex digits".into())),
        (Some(_), Some(_)) => {
            Err(bad("body fields `generation` and `token_sha256` cannot be there both".into()))
        }
        (None, None) => Err(bad("body field `generation` or `token_sha256` is missing".into())),
    }
}

/// Whether a stream of the provider's API rejected the token, and not a request.
fn is_of_a_stream(fields: &Fields) -> Result<bool, Refusal> {
    const REASONS: [&str; 2] = ["transport_unauthenticated", "stream_unauthenticated"];

    let Some(reason) = fields.optional_text("reason")? else { return Ok(false) };
    let [transport, stream] = REASONS;
    if reason.expose() == transport || reason.expose() == stream {
        return Ok(reason.expose() == stream);
    }
    let hint = hint(reason.expose(), REASONS);
    Err(bad(format!("body field `reason` must be one of {}{hint}", REASONS.join(", "))))
}

fn bad(message: String) -> Refusal {
    Refusal::new(Code::BadRequest, message)
}
