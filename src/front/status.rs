//! `GET /v1/whoami` and `GET /v1/status`: how the daemon sees its peer, and itself.

use std::collections::BTreeMap;
use std::rc::Rc;

use hyper::Response;
use hyper::Uri;

use crate::asking;
use crate::asking::Asker;
use crate::clock;
use crate::error::code::Code;
use crate::front::caller::Caller;
use crate::front::query::Query;
use crate::front::reply;
use crate::front::reply::Body;
use crate::front::reply::Refused;
use crate::keeper::Errand;
use crate::keeper::Seat;
use crate::limits;
use crate::protocol::daemon::Finding;
use crate::protocol::daemon::Severity;
use crate::protocol::daemon::StatusView;
use crate::snapshot::Snapshot;
use crate::time::Now;

/// Who the caller is, and what it may do with which account.
pub(super) fn whoami(caller: &Caller, query: Option<&str>) -> Result<Response<Body>, Box<Refused>> {
    Query::read(query, &[])?;
    let directory = caller.desk.keeper.directory();
    let transport = format!("unix:{}", caller.door.path);
    reply::json(&asking::view::who(caller.asker(), &directory, transport))
}

/// How the daemon is. Counts and names are of what the caller may see; for an administrator of the
/// daemon counts are of all that the socket lets through. Only for an administrator does the
/// daemon examine itself, and not once it is stopping: otherwise that it lives is said by the
/// answer, and whether it is degraded by the counted accounts.
pub(super) async fn status(caller: Rc<Caller>, uri: Uri) -> Result<Response<Body>, Box<Refused>> {
    let administers = caller.is_daemon_admin(&caller.desk.keeper.directory());
    Query::read(uri.query(), &[])?;
    let told = if administers { examined(&caller).await } else { Some((true, Vec::new())) };
    let ready = told.is_some() && !caller.desk.keeper.is_stopping();
    let (live, findings) = told.unwrap_or((true, Vec::new()));

    let directory = caller.desk.keeper.directory();
    let now = clock::now();
    let narrowing = caller.door.narrowing.as_ref();
    let here = |seat: &Seat| narrowing.is_none_or(|narrow| narrow.accounts.contains(&seat.account));
    let seen = |seat: &Seat| Asker::may_see(caller.rights(&directory, seat));
    let counted = |seat: &Seat| here(seat) && (administers || seen(seat));
    let seats = directory.seats.values().filter(|seat| counted(seat)).collect::<Vec<_>>();
    let mut states = BTreeMap::<String, u64>::new();
    for seat in &seats {
        *states.entry(seat.now().state.as_str().to_owned()).or_default() += 1;
    }
    let of = |is_so: fn(&Snapshot, Now) -> bool| {
        seats.iter().filter(|seat| is_so(&seat.now(), now)).count()
    };
    let failing = of(|snapshot, _| snapshot.failure.is_some());
    let visible = seats.iter().filter(|seat| seen(seat));
    let next = visible.filter_map(|seat| Some((seat.now().next?, seat))).min_by_key(|(at, _)| *at);
    let problem = findings.iter().any(|finding| finding.severity == Severity::Problem);

    reply::json(&StatusView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        live,
        ready,
        degraded: !live || problem || of(Snapshot::needs_attention) > 0,
        uptime: now.boot.since(caller.desk.started.boot).as_secs(),
        accounts: count(seats.len()),
        states,
        paused: count(of(|snapshot, _| snapshot.is_paused())),
        released: count(of(|snapshot, _| snapshot.released)),
        failing: count(failing),
        unsaved: count(of(|snapshot, _| snapshot.unsaved)),
        next_account: next.map(|(_, seat)| seat.account.to_string()),
        next_at: next.map(|(at, _)| now.wall_at(at).to_string()),
        findings,
    })
}

/// Whether the daemon examined itself in time, and what it found; `None` if nobody examines it any
/// more, who is the first to end when it stops.
async fn examined(caller: &Caller) -> Option<(bool, Vec<Finding>)> {
    let asked = caller.desk.keeper.errand(Errand::Findings);
    match tokio::time::timeout(limits::QUESTION, asked).await {
        Ok(Ok(findings)) => Some((true, findings)),
        Ok(Err(_stopping)) => None,
        Err(_late) => Some((false, vec![unexamined()])),
    }
}

/// That the daemon did not examine itself. Its steward runs one errand after the other.
fn unexamined() -> Finding {
    let (code, patience) = (Code::Internal.as_str(), limits::QUESTION.as_secs());
    Finding {
        severity: Severity::Problem,
        account: None,
        message: format!(
            "the daemon did not examine itself within {patience} s: it is busy with a reload or \
             another errand, or it hangs ({code})"
        ),
        advice: "ask again in a minute, and if it says the same then: \
                 systemctl restart tokenkeeper.service"
            .to_owned(),
    }
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}
