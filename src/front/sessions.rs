//! `GET …/sessions` and `DELETE …/sessions`: an account's sessions at its provider.

use std::rc::Rc;
use std::sync::Arc;

use hyper::Response;
use hyper::Uri;

use crate::asking;
use crate::clock;
use crate::error::code::Code;
use crate::front::caller::Caller;
use crate::front::query::Param;
use crate::front::query::Query;
use crate::front::query::Shape;
use crate::front::reply;
use crate::front::reply::Body;
use crate::front::reply::Refused;
use crate::keeper::Seat;
use crate::limits;
use crate::protocol::account::DoneAnswer;
use crate::protocol::login::SessionView;
use crate::protocol::login::SessionsView;
use crate::provider::deed::Session;
use crate::provider::deed::SessionOrder;
use crate::provider::deed::Sessions;
use crate::snapshot::Refusal;

/// What says which sessions are to be ended.
pub(super) const WHICH: &[Param] = &[
    Param {
        name: "id",
        shape: Shape::Text(limits::SESSION_ID),
        says: "the session to end; this or `all` is needed",
    },
    Param { name: "all", shape: Shape::Word(&["true", "false"]), says: "`true` ends all of them" },
];

/// What is wanted of sessions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Act {
    /// `GET`
    List,
    /// `DELETE`
    End,
}

/// Asks the provider, and tells what it says.
pub(super) async fn sessions(
    caller: Rc<Caller>,
    seat: Arc<Seat>,
    act: Act,
    uri: Uri,
) -> Result<Response<Body>, Box<Refused>> {
    let about = |refusal| Refused::about(&seat.account, refusal);
    let order = match act {
        Act::List => Query::read(uri.query(), &[]).map(|_| SessionOrder::List),
        Act::End => Query::read(uri.query(), WHICH).and_then(|query| which(&query)),
    };
    let order = order.map_err(about)?;
    caller.pace_logins(&seat.account, clock::now())?;
    let asking = caller.desk.keeper.sessions(&seat.account, order);
    let told = tokio::time::timeout(limits::ORDER, asking).await;
    match told.unwrap_or_else(|_| Err(asking::follow::late())).map_err(about)? {
        Sessions::Listed(sessions) => reply::json(&SessionsView {
            account: seat.account.to_string(),
            sessions: sessions.into_iter().map(view).collect(),
        }),
        Sessions::Ended(count) => {
            let what = match count {
                None => "what was asked for is ended".to_owned(),
                Some(1) => "1 session is ended".to_owned(),
                Some(count) => format!("{count} sessions are ended"),
            };
            let confirmed = match count {
                Some(0) => String::new(),
                None | Some(_) => format!(
                    "; whether the daemon's own login was among that is found out now, by a \
                     refresh; to see it, type: tokenctl status {}",
                    seat.account
                ),
            };
            reply::json(&DoneAnswer {
                account: Some(seat.account.to_string()),
                changed: count != Some(0),
                message: format!("account {}: {what}{confirmed}", seat.account),
            })
        }
    }
}

fn which(query: &Query<'_>) -> Result<SessionOrder, Refusal> {
    let all = query.word("all", &[("true", true), ("false", false)])?.unwrap_or(false);
    match (query.get("id"), all) {
        (Some(id), false) if (1..=limits::SESSION_ID).contains(&id.len()) => {
            Ok(SessionOrder::End(id.into()))
        }
        (Some(_), false) => {
            let expected = format!("1 to {} bytes", limits::SESSION_ID);
            Err(query.wrong("id", &expected))
        }
        (None, true) => Ok(SessionOrder::EndAll),
        (Some(_), true) => Err(bad("query parameters `id` and `all` cannot be there both")),
        (None, false) => Err(bad("query parameter `id` or `all` is missing")),
    }
}

fn view(session: Session) -> SessionView {
    let Session { id, device, address, begun, used, ends, current } = session;
    SessionView {
        id: id.into(),
        device: device.map(String::from),
        address: address.map(String::from),
        begun: begun.map(String::from),
        used: used.map(String::from),
        ends: ends.map(String::from),
        current,
    }
}

fn bad(message: &str) -> Refusal {
    Refusal::new(Code::BadRequest, message)
}
