//! `POST /v1/accounts/{account}/release`: the one answer with a refresh token in it.
//!
//! To administrators, through an ordinary socket alone, and of an account that is durably
//! frozen by then. A caller who did not hear the answer asks again.

use std::rc::Rc;
use std::sync::Arc;

use hyper::Response;
use hyper::Uri;
use hyper::body::Incoming;
use tracing::warn;

use crate::asking;
use crate::asking::json::Sheet;
use crate::asking::json::inner_len;
use crate::front::body;
use crate::front::caller::Caller;
use crate::front::query::Query;
use crate::front::reply;
use crate::front::reply::Body;
use crate::front::reply::Refused;
use crate::keeper::Errand;
use crate::keeper::Seat;
use crate::lifecycle::words::Action;
use crate::limits;
use crate::message::Message;

/// Freezes the account, and hands its refresh token out.
pub(super) async fn release(
    caller: Rc<Caller>,
    seat: Arc<Seat>,
    uri: Uri,
    body: Incoming,
) -> Result<Response<Body>, Box<Refused>> {
    /// Names and punctuation.
    const FRAME: usize = 64;

    if caller.door.narrowing.is_some() {
        return Err(caller.not_for_you("hand out refresh tokens", "admin"));
    }
    let about = |refusal| Refused::about(&seat.account, refusal);
    Query::read(uri.query(), &[]).map_err(about)?;
    body::fields(&seat.account, body, &[]).await?;
    asking::order::order(&caller.desk.keeper, &seat, Action::Release).await?;
    let account = seat.account.clone();
    let errand = |reply| Errand::HandOut { account, reply };
    let errand = caller.desk.keeper.errand(errand);
    let outcome = tokio::time::timeout(limits::ORDER, errand).await;
    let (generation, refresh_token) = outcome
        .unwrap_or_else(|_| Err(asking::follow::late()))
        .and_then(|out| out)
        .map_err(about)?;
    warn!(
        account = %seat.account, event = Message::HandedOut.as_str(), peer_uid = caller.peer.uid,
        "its refresh token was handed out; it is frozen until it is taken back"
    );
    let (account, generation) = (seat.account.as_str(), generation.to_string());
    let room = FRAME + account.len() + generation.len() + inner_len(refresh_token.expose());
    let mut sheet = Sheet::new(room);
    sheet.raw("{\"account\":").text(account);
    sheet.raw(",\"refresh_token\":").text(refresh_token.expose());
    sheet.raw(",\"generation\":").raw(&generation).raw("}");
    Ok(reply::ok(reply::JSON, Body::of(sheet.finish())))
}
