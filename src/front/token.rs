//! `GET /v1/accounts/{account}/token`: the token.
//!
//! What the held token satisfies is answered at once, from what is written already. What
//! it does not joins the one flight and waits. The clock is read at the moment of
//! answering, so that no token is handed out at or after its expiry, however long the
//! wait was.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::Response;
use hyper::header;
use hyper::header::HeaderMap;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;

use crate::access::Right;
use crate::asking;
use crate::asking::token::Look;
use crate::clock;
use crate::error::code::Code;
use crate::front::caller::Caller;
use crate::front::dispatch::Step;
use crate::front::query::Param;
use crate::front::query::Query;
use crate::front::query::Shape;
use crate::front::reply;
use crate::front::reply::Body;
use crate::front::reply::Refused;
use crate::front::sheets::Format;
use crate::keeper::Seat;
use crate::limits;
use crate::snapshot::Answer;
use crate::snapshot::Demand;
use crate::snapshot::LONGEST_WAIT;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::token::Kind;

/// What a token request may say.
pub(super) const PARAMS: &[Param] = &[
    Param {
        name: "kind",
        shape: Shape::Word(&["access", "id", "aws"]),
        says: "`access`, `id` or `aws`; default: what the provider's API takes",
    },
    Param {
        name: "min_ttl",
        shape: Shape::Whole(limits::LONGEST_MIN_TTL),
        says: "seconds for which the token must still be good",
    },
    WAIT,
    Param {
        name: "format",
        shape: Shape::Word(&["json", "raw", "header"]),
        says: "`json` (default), `raw` (the token) or `header` (a line; not of `aws`)",
    },
];

/// The parameter of every request that can wait.
pub(super) const WAIT: Param = Param {
    name: "wait",
    shape: Shape::Whole(LONGEST_WAIT.as_secs()),
    says: "seconds to wait for a refresh, 0 to 60; default 20",
};

/// Answers, or says what is waited for.
pub(super) fn begin(caller: &Rc<Caller>, name: &str, head: &Parts) -> Step {
    let begun = || {
        let seat = caller.seat(name, Right::Read)?;
        let wish = Wish::read(head, &seat).map_err(|refusal| about(&seat, refusal))?;
        Ok((seat, wish))
    };
    let (seat, wish) = match begun() {
        Ok(begun) => begun,
        Err(refused) => return Step::Now(Err(refused)),
    };
    match look(caller, &seat, &seat.now(), &wish) {
        Look::Answer(response) => Step::Now(Ok(response)),
        Look::Unchanged { answer, .. } if !wish.polls => Step::Now(Ok(answer)),
        Look::Refuse(refusal) => Step::Now(Err(about(&seat, refusal))),
        Look::Unchanged { .. } | Look::Join => Step::later(wait(caller.clone(), seat, wish)),
    }
}

/// `wait`, or its default.
pub(super) fn patience(query: &Query<'_>) -> Result<Duration, Refusal> {
    let asked = query.seconds(WAIT.name, LONGEST_WAIT.as_secs())?;
    Ok(asked.unwrap_or(limits::DEFAULT_WAIT))
}

/// What a request asks for.
struct Wish {
    demand: Demand,
    patience: Duration,
    format: Format,
    /// `If-None-Match`.
    known: Option<HeaderValue>,
    /// Whether it waits for another token than the known one.
    polls: bool,
}

impl Wish {
    fn read(head: &Parts, seat: &Seat) -> Result<Self, Refusal> {
        let query = Query::read(head.uri.query(), PARAMS)?;
        let kind = query.word("kind", KINDS)?.unwrap_or(seat.profile().default_kind);
        let min_ttl = query.seconds("min_ttl", limits::LONGEST_MIN_TTL)?.unwrap_or_default();
        let patience = patience(&query)?;
        let format = query.word("format", FORMATS)?.unwrap_or_else(|| accepted(&head.headers));
        if (kind, format) == (Kind::Aws, Format::Header) {
            let message = "AWS credentials go into no header; ask for `json`";
            return Err(Refusal::new(Code::BadRequest, message));
        }
        let known = head.headers.get(header::IF_NONE_MATCH).cloned();
        let polls = known.is_some() && query.get(WAIT.name).is_some() && !patience.is_zero();
        Ok(Self { demand: Demand { kind, min_ttl }, patience, format, known, polls })
    }
}

const KINDS: &[(&str, Kind)] = &[
    (Kind::Access.as_str(), Kind::Access),
    (Kind::Id.as_str(), Kind::Id),
    (Kind::Aws.as_str(), Kind::Aws),
];

const FORMATS: &[(&str, Format)] =
    &[("json", Format::Json), ("raw", Format::Raw), ("header", Format::Header)];

/// The first type in `Accept` that there is a form for; JSON where none is named.
fn accepted(headers: &HeaderMap) -> Format {
    let Some(Ok(accept)) = headers.get(header::ACCEPT).map(HeaderValue::to_str) else {
        return Format::Json;
    };
    let types = accept.split(',').map(|item| item.split(';').next().unwrap_or_default().trim());
    types
        .filter_map(|media| match media {
            "text/plain" => Some(Format::Raw),
            "application/json" | "application/*" | "*/*" => Some(Format::Json),
            _ => None,
        })
        .next()
        .unwrap_or(Format::Json)
}

fn look(
    caller: &Caller,
    seat: &Seat,
    snapshot: &Arc<Snapshot>,
    wish: &Wish,
) -> Look<Response<Body>> {
    let now = clock::now();
    let (held, ttl) = match snapshot.answer(wish.demand, now) {
        Answer::Token { held, ttl } => (held, ttl),
        Answer::Join => return Look::Join,
        Answer::Refuse(refusal) => return Look::Refuse(refusal),
    };
    let directory = caller.desk.keeper.directory();
    let mut sheets = caller.desk.sheets.borrow_mut();
    let Some(written) = sheets.of(&directory, seat, snapshot, held, wish.demand.kind) else {
        return Look::Refuse(snapshot.refusal());
    };
    if wish.known.as_ref().is_some_and(|known| names(known, written.etag())) {
        let spare = ttl.saturating_sub(wish.demand.min_ttl);
        return Look::Unchanged { answer: reply::not_modified(written.etag().clone()), spare };
    }
    Look::Answer(written.response(wish.format, ttl.as_secs(), now))
}

/// Whether an `If-None-Match` names the tag (RFC 9110 section 13.1.2: weakly compared).
fn names(known: &HeaderValue, etag: &HeaderValue) -> bool {
    let Ok(list) = known.to_str() else { return false };
    list.split(',').map(str::trim).any(|tag| {
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes()
    })
}

/// Joins the flight and follows the account until something answers the wish.
async fn wait(
    caller: Rc<Caller>,
    seat: Arc<Seat>,
    wish: Wish,
) -> Result<Response<Body>, Box<Refused>> {
    let wanted = (seat, wish.demand.kind);
    let look = |seat: &Seat, snapshot: &Arc<Snapshot>| look(&caller, seat, snapshot, &wish);
    let find = |name: &str| caller.seat(name, Right::Read);
    asking::token::token(&caller.desk.keeper, wanted, wish.patience, look, find).await
}

fn about(seat: &Seat, refusal: Refusal) -> Box<Refused> {
    Refused::about(&seat.account, refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_can_be_asked_for() {
        assert!(KINDS.iter().map(|(_, kind)| kind).eq(Kind::ALL));
    }

    #[test]
    fn the_words_that_are_read_are_those_that_the_document_names() {
        let named = |name: &str| {
            let param = PARAMS.iter().find(|param| param.name == name).unwrap();
            let Shape::Word(words) = param.shape else { panic!("{name} is no word") };
            words
        };
        assert!(KINDS.iter().map(|(word, _)| word).eq(named("kind")));
        assert!(FORMATS.iter().map(|(word, _)| word).eq(named("format")));
    }

    #[test]
    fn the_longest_wait_is_the_one_that_the_document_names() {
        let (longest, default) = (LONGEST_WAIT.as_secs(), limits::DEFAULT_WAIT.as_secs());
        let says = format!("seconds to wait for a refresh, 0 to {longest}; default {default}");
        assert_eq!(WAIT.says, says);
    }
}
