//! `GET /v1/accounts` and `GET /v1/accounts/{account}`: how accounts stand.

use hyper::Response;

use crate::asking;
use crate::asking::Asker;
use crate::clock;
use crate::front::caller::Caller;
use crate::front::query::Query;
use crate::front::reply;
use crate::front::reply::Body;
use crate::front::reply::Refused;
use crate::protocol::account::AccountList;

/// Those that the caller may see, by name.
pub(super) fn list(caller: &Caller, query: Option<&str>) -> Result<Response<Body>, Box<Refused>> {
    Query::read(query, &[])?;
    let directory = caller.desk.keeper.directory();
    let now = clock::now();
    let accounts = directory
        .seats
        .values()
        .map(|seat| (seat, caller.rights(&directory, seat)))
        .filter(|(_, rights)| Asker::may_see(*rights))
        .map(|(seat, rights)| asking::view::account(seat, rights, now))
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
    reply::json(&asking::view::account(&seat, rights, clock::now()))
}
