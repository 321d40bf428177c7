//! What concerns the daemon as a whole, and verdicts explained beforehand: reload,
//! `config/check`, backups, purges, metrics, access.

use std::rc::Rc;

use bytes::Bytes;
use hyper::Response;
use hyper::Uri;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use tokio::sync::oneshot;

use crate::access::NO_GROUP;
use crate::access::Peer;
use crate::access::Right;
use crate::access::Rights;
use crate::asking;
use crate::asking::view::words;
use crate::error::code::Code;
use crate::front::body;
use crate::front::caller::Caller;
use crate::front::caller::account_named;
use crate::front::query::Param;
use crate::front::query::Query;
use crate::front::query::Shape;
use crate::front::reply;
use crate::front::reply::Body;
use crate::front::reply::Refused;
use crate::front::verdict;
use crate::keeper::Errand;
use crate::limits;
use crate::message::Message;
use crate::metrics;
use crate::protocol::account::DoneAnswer;
use crate::protocol::daemon::AccessView;
use crate::protocol::daemon::ReloadView;
use crate::protocol::daemon::RuleView;
use crate::snapshot::Refusal;
use crate::unit;
use crate::unit::Proof;
use crate::unit::Unit;

/// Fields of `backup`.
pub(super) const BACKUP: &[&str] = &["recipients"];

/// The id of a user or group. The last one means nobody (chown(2)).
const ID: Shape = Shape::Whole(u32::MAX as u64 - 1);

/// The name of a unit, with an instance or without.
const UNIT: &str = r"^([a-zA-Z0-9:_.\\\-]([a-zA-Z0-9:_.\\@\-]{0,240}[a-zA-Z0-9:_.\\\-])?\.(service|scope|socket|mount|swap))?$";

/// What `access` asks about.
pub(super) const ACCESS: &[Param] = &[
    Param {
        name: "uid",
        shape: ID,
        says: "the peer's user id; needed, unless a unit alone is asked about",
    },
    Param { name: "gid", shape: ID, says: "its group id; default: none" },
    Param {
        name: "groups",
        shape: Shape::Like("^([1-3]?[0-9]{1,9}(,[1-3]?[0-9]{1,9})*)?$"),
        says: "its supplementary group ids, separated by commas",
    },
    Param {
        name: "unit",
        shape: Shape::Like(UNIT),
        says: "its systemd system unit; default: none. Without a user: whether that unit gets \
               what its LoadCredential= asks for",
    },
];

/// `POST /v1/reload` and `POST /v1/config/check`: `what` they do, and the errand for it.
pub(super) async fn configuration(
    caller: Rc<Caller>,
    what: &'static str,
    errand: fn(oneshot::Sender<Result<ReloadView, Refusal>>) -> Errand,
    uri: Uri,
    body: Incoming,
) -> Result<Response<Body>, Box<Refused>> {
    if !caller.is_daemon_admin(&caller.desk.keeper.directory()) {
        return Err(caller.not_for_you(what, "admin"));
    }
    Query::read(uri.query(), &[])?;
    body::none(body).await?;
    let errand = caller.desk.keeper.errand(errand);
    let outcome = tokio::time::timeout(limits::ORDER, errand).await;
    let view = outcome.unwrap_or_else(|_| Err(asking::follow::late())).and_then(|view| view)?;
    reply::json(&view)
}

/// `POST /v1/backup`: has everything that the store knows sealed.
pub(super) async fn backup(
    caller: Rc<Caller>,
    uri: Uri,
    body: Incoming,
) -> Result<Response<Body>, Box<Refused>> {
    if !caller.is_daemon_admin(&caller.desk.keeper.directory()) {
        return Err(caller.not_for_you("take a backup", "admin"));
    }
    Query::read(uri.query(), &[])?;
    let fields = body::fields_of_daemon(body, BACKUP).await?;
    let recipients = fields.texts("recipients")?;
    let recipients = recipients.into_iter().map(|text| text.expose().to_owned()).collect();
    let errand = caller.desk.keeper.errand(|reply| Errand::Backup { recipients, reply });
    let outcome = tokio::time::timeout(limits::ORDER, errand).await;
    let view = outcome.unwrap_or_else(|_| Err(asking::follow::late())).and_then(|view| view)?;
    tracing::info!(
        event = Message::BackupSealed.as_str(),
        peer_uid = caller.peer.uid,
        accounts = view.accounts.len(),
        "a backup was sealed, every refresh token in it"
    );
    reply::long_json(view).await
}

/// `POST /v1/accounts/{account}/purge`: has the store forget an account that is not
/// configured, so that no seat and no rule of its own is there.
pub(super) async fn purge(
    caller: Rc<Caller>,
    name: String,
    uri: Uri,
    body: Incoming,
) -> Result<Response<Body>, Box<Refused>> {
    if !caller.is_daemon_admin(&caller.desk.keeper.directory()) {
        return Err(caller.not_for_you("purge accounts", "admin"));
    }
    let account = account_named(&name)?;
    let about = |refusal| Refused::about(&account, refusal);
    Query::read(uri.query(), &[]).map_err(about)?;
    body::none(body).await?;
    let errand = |reply| Errand::Purge { account: account.clone(), reply };
    let errand = caller.desk.keeper.errand(errand);
    let outcome = tokio::time::timeout(limits::ORDER, errand).await;
    outcome
        .unwrap_or_else(|_| Err(asking::follow::late()))
        .and_then(|purged| purged)
        .map_err(about)?;
    reply::json(&DoneAnswer {
        changed: true,
        account: Some(account.to_string()),
        message: format!("account {account}: all that the store held of it is forgotten"),
    })
}

/// `GET /metrics`.
pub(super) fn metrics(
    caller: &Caller,
    query: Option<&str>,
) -> Result<Response<Body>, Box<Refused>> {
    let directory = caller.desk.keeper.directory();
    if !caller.may_read_metrics(&directory) {
        return Err(caller.not_for_you("read metrics", "metrics"));
    }
    Query::read(query, &[])?;
    let text = caller.desk.metrics.scrape(&directory).map_err(|_| {
        Refused::boxed(Refusal::new(Code::Internal, "metrics cannot be written as text"))
    })?;
    let content_type = HeaderValue::from_static(metrics::CONTENT_TYPE);
    Ok(reply::ok(content_type, Body::of(Bytes::from(text))))
}

/// `GET /v1/accounts/{account}/access`: what a peer could do here, and why.
pub(super) fn access(
    caller: &Caller,
    name: &str,
    query: Option<&str>,
) -> Result<Response<Body>, Box<Refused>> {
    let seat = caller.seat(name, Right::Admin)?;
    let peer =
        peer(query, caller.desk.proof).map_err(|refusal| Refused::about(&seat.account, refusal))?;
    let directory = caller.desk.keeper.directory();
    let masters = caller.desk.masters;
    let narrowing = caller.door.narrowing.as_ref();
    let other = caller.another(peer);
    let rights = other.rights(&directory, &seat);

    let peer = &other.peer;
    let master = verdict::of_masters(masters, peer);
    let own = seat.rules.iter().map(|rule| verdict::of_rule(rule, peer));
    let admins = directory.admin.iter().map(|rule| RuleView {
        rights: words(Rights::NONE.with(Right::Admin)),
        ..verdict::of_rule(rule, peer)
    });
    let narrowed = narrowing.map(|narrow| verdict::of_narrowing(narrow, &seat.account));
    reply::json(&AccessView {
        account: seat.account.to_string(),
        rights: words(rights),
        rules: [master].into_iter().chain(own).chain(admins).chain(narrowed).collect(),
    })
}

/// The peer that is asked about, with the proof of its unit that this kernel has. A unit alone is
/// one for which the service manager asks.
fn peer(query: Option<&str>, proof: Proof) -> Result<Peer, Refusal> {
    let query = Query::read(query, ACCESS)?;
    let groups = match query.get("groups").filter(|list| !list.is_empty()) {
        None => Vec::new(),
        Some(list) => list
            .split(',')
            .map(|gid| gid.parse::<u32>().ok())
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| query.wrong("groups", "group ids, separated by commas"))?,
    };
    let unit = query.get("unit").filter(|name| !name.is_empty());
    if unit.is_some_and(|name| !unit::is_name(name)) {
        return Err(query.wrong("unit", "a system unit with its suffix, and no template"));
    }
    let gid = query.id("gid")?;
    let (Some(uid), unit) = (query.id("uid")?, unit) else {
        return match unit.filter(|_| gid.is_none() && groups.is_empty()) {
            Some(name) => Ok(Peer::of_unit(name.into())),
            None => {
                let message = "query parameter `uid` is missing; it must be a user id";
                Err(Refusal::new(Code::BadRequest, message))
            }
        };
    };
    let unit = match unit {
        None => Unit::Unasked,
        Some(name) => Unit::Proven { name: name.into(), proof },
    };
    Ok(Peer { uid, gid: gid.unwrap_or(NO_GROUP), groups, pid: None, unit })
}
