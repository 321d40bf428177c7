//! The other methods of the manager.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use zbus::Message;
use zbus::ObjectPath;
use zbus::OwnedVariant;
use zbus::Variant;

use crate::asking;
use crate::asking::Asker;
use crate::asking::Denied;
use crate::asking::renewal::Rejected;
use crate::asking::renewal::Renewal;
use crate::clock;
use crate::keeper::Errand;
use crate::keeper::Seat;
use crate::limits;
use crate::protocol::daemon::ReloadView;
use crate::protocol::daemon::WhoAmI;
use crate::snapshot::Refusal;
use crate::token::Generation;

use super::dispatch::Call;
use super::dispatch::Step;
use super::method::ACCOUNT;
use super::object::path_of;
use super::option::Options;
use super::option::WAIT;
use super::option::bad;
use super::property::Shown;
use super::property::seconds;
use super::reply;
use super::reply::Failed;

/// `ListAccounts`: name, object and state of those that the caller may see.
pub(super) fn list(call: &Call) -> Result<Message, Failed> {
    let visible = visible(call);
    let list = visible
        .iter()
        .map(|seat| (seat.account.as_str(), path_of(&seat.account), seat.now().state.as_str()));
    reply::answer(&call.message, &list.collect::<Vec<_>>())
}

/// `GetManagedObjects`: those that the caller may see, with all that is shown of them.
pub(super) fn objects(call: &Call) -> Result<Message, Failed> {
    let now = clock::now();
    let objects = visible(call)
        .iter()
        .map(|seat| {
            let shown = Shown::of(seat, &seat.now(), now).properties();
            (path_of(&seat.account), BTreeMap::from([(ACCOUNT, shown)]))
        })
        .collect::<BTreeMap<ObjectPath<'_>, _>>();
    reply::answer(&call.message, &objects)
}

/// The accounts that the caller may see.
pub(super) fn visible(call: &Call) -> Vec<Arc<Seat>> {
    let directory = call.keeper.directory();
    let asker = call.asker();
    let visible = |seat: &&Arc<Seat>| Asker::may_see(asker.rights(&directory, seat));
    directory.seats.values().filter(visible).cloned().collect()
}

/// `Refresh` or `Report`, as the options of a call say it.
///
/// # Errors
///
/// `BAD_REQUEST`.
pub fn read(
    given: HashMap<String, OwnedVariant>,
    is_report: bool,
) -> Result<(Renewal, Options), Refusal> {
    const REPORT: &[&str] = &["generation", "token_sha256", "reason", WAIT];
    const REASONS: &[(&str, bool)] =
        &[("transport_unauthenticated", false), ("stream_unauthenticated", true)];

    if !is_report {
        return Ok((Renewal::Refresh, Options::read(given, &[WAIT])?));
    }
    let options = Options::read(given, REPORT)?;
    let stream = options.word("reason", REASONS)?.unwrap_or_default();
    let rejected = match (options.number("generation")?, options.text("token_sha256")?) {
        (Some(generation), None) => Rejected::Generation(Generation(generation)),
        (None, Some(digest)) => Rejected::by_sha256(digest)
            .ok_or_else(|| bad("option `token_sha256` must be 64 hex digits".into()))?,
        (Some(_), Some(_)) => {
            return Err(bad("options `generation` and `token_sha256` cannot be there both".into()));
        }
        (None, None) => return Err(bad("option `generation` or `token_sha256` is missing".into())),
    };
    Ok((Renewal::Report { rejected, stream }, options))
}

/// Has a token replaced.
pub(super) fn renew(call: &Call, seat: Arc<Seat>, renewal: Renewal, options: &Options) -> Step {
    let patience = match options.patience() {
        Ok(patience) => patience,
        Err(refusal) => return Step::Now(Err(Denied::about(&seat.account, refusal).into())),
    };
    let call = call.clone();
    Step::later(async move {
        let find = |name: &str| call.find(name, renewal.right());
        let came = asking::renewal::renewal::<Failed>(&call.keeper, &seat, renewal, patience, find)
            .await?;
        let view = asking::view::renewed(&seat.account, &came, clock::now());
        let held = came.1.held.as_ref();
        let expires_at = held.map_or(0, |held| seconds(held.expires_wall));
        reply::answer(&call.message, &(view.refreshed, view.generation, expires_at))
    })
}

/// `Reload`, of a caller that may.
pub(super) fn reload(call: &Call) -> Step {
    let call = call.clone();
    Step::later(async move {
        let errand = call.keeper.errand(Errand::Reload);
        let outcome = tokio::time::timeout(limits::ORDER, errand).await;
        let view = outcome.unwrap_or_else(|_| Err(asking::follow::late())).and_then(|view| view);
        let ReloadView { added, removed, changed, needs_login, unchanged, warnings, restart } =
            view.map_err(Denied::from)?;
        let outcome = BTreeMap::from([
            ("added", Variant::from(added)),
            ("removed", removed.into()),
            ("changed", changed.into()),
            ("needs_login", needs_login.into()),
            ("unchanged", unchanged.into()),
            ("warnings", warnings.into()),
            ("restart", restart.into()),
        ]);
        reply::answer(&call.message, &outcome)
    })
}

/// `WhoAmI`. The bus does not say which of the groups is the caller's first.
pub(super) fn who(call: &Call, transport: &str) -> Result<Message, Failed> {
    let directory = call.keeper.directory();
    let WhoAmI { uid, gid: _, groups, pid, unit, no_unit, transport, daemon_admin, rights } =
        asking::view::who(call.asker(), &directory, transport.to_owned());
    let mut peer = BTreeMap::from([
        ("uid", Variant::from(uid)),
        ("groups", groups.into()),
        ("transport", transport.into()),
        ("daemon_admin", daemon_admin.into()),
        ("rights", rights.into()),
    ]);
    if let Some(pid) = pid {
        peer.insert("pid", pid.into());
    }
    if let Some(unit) = unit {
        peer.insert("unit", unit.into());
    }
    if let Some(why) = no_unit {
        peer.insert("no_unit", why.into());
    }
    reply::answer(&call.message, &peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_which_token_it_means_and_only_once() {
        let digest = "ab".repeat(32);
        let generation = ("generation", Variant::U32(7));
        let sha256 = ("token_sha256", Variant::from(digest));
        let stream = ("reason", Variant::from("stream_unauthenticated"));
        let rejected = Rejected::Generation(Generation(7));
        #[rustfmt::skip]
        let cases = [
            (vec![generation.clone()],                  Ok(Renewal::Report { rejected, stream: false })),
            (vec![generation.clone(), stream],          Ok(Renewal::Report { rejected, stream: true })),
            (vec![sha256.clone()],                      Ok(Renewal::Report { rejected: Rejected::Sha256([0xab; 32]), stream: false })),
            (vec![generation, sha256],                  Err("options `generation` and `token_sha256` cannot be there both")),
            (vec![],                                    Err("option `generation` or `token_sha256` is missing")),
            (vec![("token_sha256", Variant::from(""))], Err("option `token_sha256` must be 64 hex digits")),
        ];
        for (given, expected) in cases {
            let given = given
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.try_into().unwrap()))
                .collect::<HashMap<_, _>>();
            let got = read(given, true).map(|(renewal, _)| renewal);
            assert_eq!(got, expected.map_err(|message| bad(message.to_owned())));
        }
    }
}
