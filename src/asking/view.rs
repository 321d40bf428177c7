//! What a peer is shown of accounts and of itself.

use std::sync::Arc;
use std::time::Duration;

use crate::access::Peer;
use crate::access::Right;
use crate::access::Rights;
use crate::asking::Asker;
use crate::asking::renewal::Renewed;
use crate::keeper::Directory;
use crate::keeper::Seat;
use crate::name::AccountId;
use crate::protocol::account::AccountView;
use crate::protocol::account::RefreshAnswer;
use crate::protocol::daemon::WhoAmI;
use crate::snapshot::Answer;
use crate::snapshot::Demand;
use crate::snapshot::Snapshot;
use crate::time::Now;
use crate::time::Timestamp;
use crate::unit::Unit;
use crate::wording;

/// An account as a peer with these rights sees it.
pub fn account(seat: &Seat, rights: Rights, now: Now) -> AccountView {
    let snapshot = seat.now();
    let demand = Demand { kind: seat.profile().default_kind, min_ttl: Duration::ZERO };
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
        login_ends_at: snapshot
            .login_ends()
            .map(|ends| Timestamp::from_millis(ends.at_ms).to_string()),
        login_ends_soon: snapshot.login_ends().is_some_and(|ends| ends.told_ms.is_some()),
        unsaved: snapshot.unsaved,
        refresh_error: wording::raised(&snapshot, &seat.account, now),
        alarm: snapshot.is_alarming(now),
        attempt: failure.map_or(0, |failure| failure.attempt),
        not_before: failure
            .and_then(|failure| failure.not_before_ms)
            .map(|millis| Timestamp::from_millis(millis).to_string()),
        failing_since: failure.map(|failure| Timestamp::from_millis(failure.since_ms).to_string()),
        entry: snapshot.entry.as_str().to_owned(),
        lacks_secret: snapshot.lacks().map(str::to_owned),
        refused_secret: snapshot.refused_secret().map(|slot| format!("{}.{slot}", seat.account)),
        rights: words(rights),
        foreign_login_at: snapshot.foreign().map(|at| at.to_string()),
        email: seat.profile().email.as_deref().map(str::to_owned),
        secrets: rights
            .has(Right::Admin)
            .then(|| seat.profile().slots().map(str::to_owned).collect()),
        lineage: rights.has(Right::Admin).then(|| seat.profile().lineage.0.to_string()),
        taken_over: snapshot
            .taken_over
            .as_deref()
            .filter(|_| rights.has(Right::Admin))
            .map(str::to_owned),
    }
}

/// The words for rights on the wire.
pub fn words(rights: Rights) -> Vec<String> {
    rights.iter().map(Right::as_str).map(str::to_owned).collect()
}

/// Who the peer is, and what it may do with which account.
pub fn who(asker: Asker<'_>, directory: &Directory, transport: String) -> WhoAmI {
    let rights = directory
        .seats
        .values()
        .map(|seat| (seat.account.to_string(), asker.rights(directory, seat)))
        .filter(|(_, rights)| !rights.is_empty())
        .map(|(account, rights)| (account, words(rights)))
        .collect();
    let Peer { uid, gid, groups, pid, unit } = asker.peer;
    WhoAmI {
        uid: *uid,
        gid: *gid,
        groups: groups.clone(),
        pid: *pid,
        unit: unit.name().map(str::to_owned),
        no_unit: match unit {
            Unit::Unasked => Some("no rule names a unit, so that nobody looked".to_owned()),
            Unit::Unproven(why) => Some(why.to_string()),
            Unit::Proven { .. } => None,
        },
        transport,
        daemon_admin: asker.is_daemon_admin(directory),
        rights,
    }
}

/// How a refresh or a report came out.
pub fn renewed(
    account: &AccountId,
    (how, snapshot): &(Renewed, Arc<Snapshot>),
    now: Now,
) -> RefreshAnswer {
    RefreshAnswer {
        account: account.to_string(),
        refreshed: *how != Renewed::Not,
        changed: *how == Renewed::Now,
        generation: snapshot.generation.0,
        expires_at: snapshot.held.as_ref().map(|held| held.expires_wall.to_string()),
        ttl: snapshot.held.as_ref().map_or(0, |held| held.ttl(now).as_secs()),
        unsaved: snapshot.unsaved,
    }
}
