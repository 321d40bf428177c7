//! `GET /v1/events`: what happens to accounts, as server-sent events.
//!
//! The format is that of the HTML standard, section *Server-sent events*. `id` is the time of
//! the event in Unix milliseconds. There is no history: a follower that comes back with
//! `Last-Event-ID`, or that falls too far behind, first hears `lost`, which means "read
//! the accounts again", and then goes on.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use hyper::Response;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::asking::Asker;
use crate::asking::matter::Matter;
use crate::clock;
use crate::front::caller::Caller;
use crate::front::query::Param;
use crate::front::query::Query;
use crate::front::query::Shape;
use crate::front::reply;
use crate::front::reply::Body;
use crate::front::reply::Refused;
use crate::limits;
use crate::name::ACCOUNT_NAME_PATTERN;
use crate::name::AccountId;
use crate::notice::Notice;
use crate::protocol::event::EventView;
use crate::time::Now;
use crate::wording;

/// What a follower may say.
pub(super) const PARAMS: &[Param] = &[Param {
    name: "account",
    shape: Shape::Like(ACCOUNT_NAME_PATTERN),
    says: "only this account's events; default: all that it may see",
}];

/// Begins a stream.
pub(super) fn begin(caller: &Rc<Caller>, head: &Parts) -> Result<Response<Body>, Box<Refused>> {
    let query = Query::read(head.uri.query(), PARAMS)?;
    let account = match query.get("account") {
        Some(name) => Some(caller.visible_seat(name)?.account.clone()),
        None => None,
    };
    let follower = Follower {
        notices: caller.desk.keeper.notices(),
        stopping: caller.desk.stopping.clone(),
        caller: caller.clone(),
        account,
    };
    let mut greeting = String::from(": events of tokenkeeper\n\n");
    if head.headers.contains_key("last-event-id") {
        greeting.push_str(&text(&lost(clock::now()), clock::now()));
    }
    let stream = Stream { ready: Some(greeting.into()), next: Box::pin(follower.next()) };
    Ok(reply::ok(HeaderValue::from_static("text/event-stream"), Body::Events(stream)))
}

/// A body that goes on.
pub(super) struct Stream {
    ready: Option<Bytes>,
    #[allow(clippy::type_complexity, reason = "said once; an alias would only hide it")]
    next: Pin<Box<dyn Future<Output = Option<(Bytes, Follower)>>>>,
}

impl Stream {
    /// The next piece; `None` when the daemon stops.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(ready) = self.ready.take() {
            return Poll::Ready(Some(ready));
        }
        match std::task::ready!(self.next.as_mut().poll(cx)) {
            Some((event, follower)) => {
                self.next = Box::pin(follower.next());
                Poll::Ready(Some(event))
            }
            None => {
                self.next = Box::pin(std::future::pending());
                Poll::Ready(None)
            }
        }
    }
}

struct Follower {
    notices: broadcast::Receiver<Arc<Notice>>,
    stopping: watch::Receiver<bool>,
    caller: Rc<Caller>,
    account: Option<AccountId>,
}

impl Follower {
    /// The next thing to send: an event, or a comment after a silence.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        let mut silence = std::pin::pin!(tokio::time::sleep(limits::KEEP_ALIVE));
        loop {
            let heard = tokio::select! {
                biased;
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
                notice = self.notices.recv() => Some(notice),
                () = &mut silence => None,
            };
            match heard {
                Some(Ok(notice)) => {
                    // A reload may have brought the first rule that names a unit.
                    if self.caller.lacks_unit(Matter::News(notice.account.as_str())) {
                        self.caller = self.caller.with_unit().await;
                    }
                    if self.hears_of(&notice.account) {
                        let event = text(&wording::event(&notice), notice.at);
                        return Some((event.into(), self));
                    }
                }
                Some(Err(RecvError::Lagged(_))) => {
                    let now = clock::now();
                    return Some((text(&lost(now), now).into(), self));
                }
                Some(Err(RecvError::Closed)) => return None,
                None => return Some((Bytes::from_static(b":\n\n"), self)),
            }
        }
    }

    /// Whether the peer may, by the rules of this moment, and wants to.
    fn hears_of(&self, account: &AccountId) -> bool {
        if self.account.as_ref().is_some_and(|wanted| wanted != account) {
            return false;
        }
        let directory = self.caller.desk.keeper.directory();
        let seat = directory.seats.get(account);
        seat.is_some_and(|seat| Asker::may_see(self.caller.rights(&directory, seat)))
    }
}

fn text(view: &EventView, at: Now) -> String {
    // A view of strings and numbers always has a JSON text, on one line.
    let data = serde_json::to_string(view).unwrap_or_default();
    let (id, event) = (at.wall.as_millis(), &view.event);
    format!("id: {id}\nevent: {event}\ndata: {data}\n\n")
}

/// That events are missing, nobody knows of which accounts.
fn lost(now: Now) -> EventView {
    EventView {
        event: "lost".to_owned(),
        account: String::new(),
        timestamp: now.wall.to_string(),
        state: String::new(),
        paused: false,
        generation: 0,
        expires_at: None,
        next_at: None,
        unsaved: false,
        reason: None,
        attempt: None,
        refresh_error: None,
        ends_at: None,
        hook: None,
    }
}
