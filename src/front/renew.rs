//! `POST …/refresh` and `POST …/report`: have a token replaced, and hear what came of it.
//!
//! The supervisor owns the flight. A peer that hangs up, or whose patience ends, changes
//! nothing about it.

use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

use hyper::Response;
use hyper::Uri;
use hyper::body::Incoming;
use subtle::ConstantTimeEq;

use crate::access::Right;
use crate::clock;
use crate::error::Code;
use crate::front::body;
use crate::front::body::Fields;
use crate::front::caller::Caller;
use crate::front::follow;
use crate::front::follow::Follower;
use crate::front::follow::Woken;
use crate::front::query::Query;
use crate::front::reply;
use crate::front::reply::Body;
use crate::front::reply::Refused;
use crate::front::spelling::hint;
use crate::front::token;
use crate::keeper::Seat;
use crate::lifecycle::Action;
use crate::lifecycle::Done;
use crate::protocol::RefreshAnswer;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::token::Generation;
use crate::token::Kind;
use crate::token::Secret;

/// Fields of `report`.
pub(super) const REPORT: &[&str] = &["generation", "token_sha256", "reason"];

/// Why a token is to be replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Renewal {
    /// Somebody wants a new one.
    Refresh,
    /// The provider's API rejected it.
    Report,
}

impl Renewal {
    /// The right that it needs.
    pub(super) const fn right(self) -> Right {
        match self {
            Self::Refresh => Right::Refresh,
            Self::Report => Right::Report,
        }
    }
}

/// `POST …/refresh` and `POST …/report`.
pub(super) async fn renew(
    caller: Rc<Caller>,
    seat: Arc<Seat>,
    renewal: Renewal,
    uri: Uri,
    body: Incoming,
) -> Result<Response<Body>, Box<Refused>> {
    let about = |refusal| Refused::about(&seat.account, refusal);
    let query = Query::read(uri.query(), &[token::WAIT]).map_err(about)?;
    let patience = token::patience(&query).map_err(about)?;
    let known = match renewal {
        Renewal::Refresh => &[],
        Renewal::Report => REPORT,
    };
    let fields = body::fields(&seat.account, body, known).await?;
    caller.pace(&seat.account, clock::now())?;

    let mut follower = Follower::new(&seat, patience);
    let before = follower.newest();
    let action = match renewal {
        Renewal::Refresh => Action::Refresh,
        Renewal::Report => {
            let stream = is_of_a_stream(&fields).map_err(about)?;
            match report(&fields, &before).map_err(about)? {
                Reported::Current(generation) => Action::Report { generation, stream },
                Reported::Older => return renewed(&seat, &before, Renewed::AlreadyNewer),
            }
        }
    };
    let order = caller.desk.keeper.order(&seat.account, action);
    let from = match follower.within(order).await {
        Some(Ok(Done::Joined(generation))) => generation,
        Some(Ok(Done::Current(generation) | Done::Changed(generation))) => {
            let newer = generation > before.generation;
            let how = if newer { Renewed::AlreadyNewer } else { Renewed::Not };
            return renewed(&seat, &follower.newest(), how);
        }
        Some(Err(refusal)) => return Err(about(refusal)),
        None => return Err(about(follow::pending())),
    };
    loop {
        let snapshot = follower.newest();
        // A generation without new tokens, out of a broken reply, is no refresh.
        let held = snapshot.held.as_ref().map(|held| held.generation);
        if held.is_some_and(|held| held > from) {
            return renewed(&seat, &snapshot, Renewed::Now);
        }
        // A refused refresh may be followed by a sign-in, which is what is waited for then.
        let failed = snapshot.failure.is_some() && snapshot.failure != before.failure;
        if failed && !snapshot.is_in_flight() {
            return Err(about(snapshot.refusal()));
        }
        match follower.change(None).await {
            Woken::Changed => {}
            Woken::Late => return Err(about(follow::pending())),
            Woken::Gone => {
                follow::not_stopping(&caller.desk.keeper, &seat.account).map_err(about)?;
                follower.move_to(&*caller.seat(seat.account.as_str(), renewal.right())?);
            }
        }
    }
}

/// Whether the peer has a newer token to fetch, and since when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Renewed {
    /// The refresh that it waited for brought one.
    Now,
    /// It was there already, and nothing was refreshed.
    AlreadyNewer,
    /// There is none.
    Not,
}

fn renewed(seat: &Seat, snapshot: &Snapshot, how: Renewed) -> Result<Response<Body>, Box<Refused>> {
    let now = clock::now();
    reply::json(&RefreshAnswer {
        account: seat.account.to_string(),
        refreshed: how != Renewed::Not,
        changed: how == Renewed::Now,
        generation: snapshot.generation.0,
        expires_at: snapshot.held.as_ref().map(|held| held.expires_wall.to_string()),
        ttl: snapshot.held.as_ref().map_or(0, |held| held.ttl(now).as_secs()),
    })
}

/// Which token was reported.
enum Reported {
    /// The current one.
    Current(Generation),
    /// One that a newer token has replaced: nothing has to be refreshed.
    Older,
}

fn report(fields: &Fields, snapshot: &Snapshot) -> Result<Reported, Refusal> {
    let generation = fields.optional_number("generation")?;
    let digest = fields.optional_text("token_sha256")?;
    match (generation, digest) {
        (Some(generation), None) => by_generation(Generation(generation), snapshot),
        (None, Some(digest)) => by_digest(digest, snapshot),
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

fn by_generation(generation: Generation, snapshot: &Snapshot) -> Result<Reported, Refusal> {
    let current = snapshot.generation;
    match generation.cmp(&current) {
        Ordering::Less => Ok(Reported::Older),
        Ordering::Equal => Ok(Reported::Current(generation)),
        Ordering::Greater => Err(bad(format!(
            "body field `generation` is {generation}, and the newest token is {current}"
        ))),
    }
}

fn by_digest(digest: &Secret, snapshot: &Snapshot) -> Result<Reported, Refusal> {
    let Some(reported) = sha256(digest.expose()) else {
        return Err(bad("body field `token_sha256` must be 64 hex digits".into()));
    };
    let Some(held) = &snapshot.held else { return Err(snapshot.refusal()) };
    let tokens = Kind::ALL.iter().filter_map(|kind| held.tokens.get(*kind));
    let current = tokens.fold(subtle::Choice::from(0), |found, token| {
        found | token.sha256().as_slice().ct_eq(&reported)
    });
    if bool::from(current) { Ok(Reported::Current(held.generation)) } else { Ok(Reported::Older) }
}

/// A digest in hex of either case.
fn sha256(hex: &str) -> Option<Vec<u8>> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| pair.and_then(byte)).collect()
}

fn byte(pair: &str) -> Option<u8> {
    let digits = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(pair, 16).ok().filter(|_| digits)
}

fn bad(message: String) -> Refusal {
    Refusal::new(Code::BadRequest, message)
}
