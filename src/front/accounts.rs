//! `GET /v1/accounts` and `GET /v1/accounts/{account}`: how accounts stand.

use hyper::Response;

use crate::access::Right;
use crate::access::Rights;
use crate::clock;
use crate::front::caller::Caller;
use crate::front::query::Query;
use crate::front::reply;
use crate::front::reply::Body;
use crate::front::reply::Refused;
use crate::keeper::Seat;
use crate::protocol::AccountList;
use crate::protocol::AccountView;
use crate::snapshot::Answer;
use crate::snapshot::Demand;
use crate::time::Now;
use crate::time::Timestamp;
use crate::wording;

/// Those that the caller may see, by name.
pub(super) fn list(caller: &Caller, query: Option<&str>) -> Result<Response<Body>, Box<Refused>> {
    Query::read(query, &[])?;
    let directory = caller.desk.keeper.directory();
    let now = clock::now();
    let accounts = directory
        .seats
        .values()
        .map(|seat| (seat, caller.rights(&directory, seat)))
        .filter(|(_, rights)| Caller::may_see(*rights))
        .map(|(seat, rights)| view(seat, rights, now))
        .collect();
    reply::json(&AccountList { accounts })
}

/// One of them.
pub(super) fn one(
    caller: &Caller,
    name: &str,
    query: Option<&str>,
) -> Result<Response<Body>, Box<Refused>> {
    let seat = caller.visible_seat(name)?;
    Query::read(query, &[]).map_err(|refusal| Refused::about(&seat.account, refusal))?;
    let rights = caller.rights(&caller.desk.keeper.directory(), &seat);
    reply::json(&view(&seat, rights, clock::now()))
}

/// An account as a peer with these rights sees it.
fn view(seat: &Seat, rights: Rights, now: Now) -> AccountView {
    let snapshot = seat.now();
    let demand = Demand { kind: seat.profile().default_kind, min_ttl: std::time::Duration::ZERO };
    let held = snapshot.held.as_ref();
    let failure = snapshot.failure.as_deref();
    AccountView {
        account: seat.account.to_string(),
        provider: seat.profile().name.to_owned(),
        state: snapshot.state.as_str().to_owned(),
        ready: matches!(snapshot.answer(demand, now), Answer::Token { .. }),
        paused: snapshot.is_paused(),
        released: snapshot.released,
        generation: snapshot.generation.0,
        issued_at: held.map(|held| held.issued_at.to_string()),
        expires_at: held.map(|held| held.expires_wall.to_string()),
        ttl: held.map_or(0, |held| held.ttl(now).as_secs()),
        lifetime: held.map_or(0, |held| held.lifetime.as_secs()),
        next_at: snapshot.next.map(|next| now.wall_at(next).to_string()),
        unsaved: snapshot.unsaved,
        refresh_error: wording::raised(&snapshot, &seat.account, now),
        alarm: snapshot.is_alarming(now),
        attempt: failure.map_or(0, |failure| failure.attempt),
        failing_since: failure.map(|failure| Timestamp::from_millis(failure.since_ms).to_string()),
        rights: words(rights),
        lineage: rights.has(Right::Admin).then(|| seat.profile().lineage.0.to_string()),
    }
}

/// The words for rights on the wire.
pub(super) fn words(rights: Rights) -> Vec<String> {
    rights.iter().map(Right::as_str).map(str::to_owned).collect()
}
