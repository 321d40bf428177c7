//! What is asked of the bus itself: who a sender is, and for our name.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;
use tracing::info;
use tracing::warn;
use zbus::Connection;
use zbus::DynamicType;
use zbus::Message;
use zbus::fdo;
use zbus::fdo::ConnectionCredentials;

use crate::access::NO_GROUP;
use crate::access::Peer;
use crate::attest::Attestor;
use crate::attest::Process;
use crate::limits;
use crate::message;
use crate::unit::NoUnit;
use crate::unit::Proof;
use crate::unit::Unit;

use super::backoff;
use super::presence::Away;
use super::presence::Presence;

/// The name that programs call.
const NAME: &str = "org.tokenkeeper1";

/// Who a sender is.
///
/// # Errors
///
/// If the bus does not say, or the sender is gone.
pub(super) async fn attested(connection: &Connection, sender: &str) -> zbus::Result<Peer> {
    let credentials = credentials(connection, sender).await?;
    let uid = credentials.unix_user_id().ok_or(zbus::Error::MissingField)?;
    let pid = credentials.process_id().filter(|pid| *pid > 0);
    let mut groups = credentials.into_unix_group_ids().unwrap_or_default();
    groups.dedup();
    groups.truncate(limits::GROUPS);
    // The bus does not say which of the groups is the first among them.
    Ok(Peer { uid, gid: NO_GROUP, groups, pid, unit: Unit::Unasked })
}

/// The system unit of a sender, which is a process of `uid`.
///
/// A bus of version 1.16 hands the process over that connected. An older one tells its number;
/// that is the sender's only if it is still connected after all has been asked.
pub(super) async fn unit_of(
    connection: &Connection,
    sender: &str,
    uid: u32,
    attestor: &Attestor,
) -> Unit {
    let process = match process_of(connection, sender).await {
        Ok(process) => process,
        Err(why) => return Unit::Unproven(why),
    };
    let proof = process.proof();
    let found = attestor.unit_of(process, uid).await;
    if proof == Proof::Number && !is_connected(connection, sender).await {
        return Unit::Unproven(NoUnit::HungUp);
    }
    Unit::of(found, proof)
}

async fn process_of(connection: &Connection, sender: &str) -> Result<Process, NoUnit> {
    let credentials = credentials(connection, sender).await.map_err(|_| NoUnit::HungUp)?;
    let number = credentials.process_id().filter(|pid| *pid > 0).ok_or(NoUnit::Elsewhere)?;
    if !counts_as_we_do(connection).await.map_err(|_| NoUnit::Unreachable)? {
        return Err(NoUnit::Elsewhere);
    }
    match credentials.into_process_fd() {
        Some(handle) => Ok(Process::handed_over(handle.into(), number)),
        None => Process::numbered(number),
    }
}

/// Whether the bus has our own process under our own number: only then are its numbers of others
/// those of our pid namespace.
///
/// # Errors
///
/// If the bus does not say.
pub(super) async fn counts_as_we_do(connection: &Connection) -> zbus::Result<bool> {
    let own = connection.unique_name().ok_or(zbus::Error::MissingField)?;
    let told = credentials(connection, own.as_str()).await?;
    Ok(told.process_id() == Some(std::process::id()))
}

async fn is_connected(connection: &Connection, sender: &str) -> bool {
    let reply = ask(connection, "NameHasOwner", &sender).await;
    reply.is_ok_and(|reply| reply.body().deserialize::<bool>().unwrap_or(false))
}

async fn credentials(connection: &Connection, sender: &str) -> zbus::Result<ConnectionCredentials> {
    let reply = ask(connection, "GetConnectionCredentials", &sender).await?;
    reply.body().deserialize::<ConnectionCredentials>()
}

/// Asks for the name until it is had, and tells how that goes. A bus lets nobody take it away.
pub(super) async fn own(connection: Connection, presence: &watch::Sender<Presence>) {
    let (served, lost) = (message::Message::BusServed.as_str(), message::Message::BusLost.as_str());
    let proof = proof(&connection).await;
    presence.send_replace(Presence { found: None, proof });
    let (mut failed, mut told) = (0, false);
    loop {
        let found = request(&connection).await;
        presence.send_replace(Presence { found: Some(found.clone()), proof });
        match found {
            Ok(()) => return info!(event = served, "served on the bus as {NAME}"),
            Err(away) if told || away.passes(failed) => debug!("not served on the bus: {away}"),
            Err(away) => {
                warn!(event = lost, "not served on the bus: {away}");
                told = true;
            }
        }
        let pause: Duration = backoff(failed);
        tokio::time::sleep(pause).await;
        failed = failed.saturating_add(1);
    }
}

/// How well the bus says who calls, as it does of this process; `None` if it says nothing.
async fn proof(connection: &Connection) -> Option<Proof> {
    let own = connection.unique_name()?;
    let told = credentials(connection, own.as_str()).await.ok()?;
    Some(if told.into_process_fd().is_some() { Proof::Process } else { Proof::Number })
}

/// Asks for the name once.
///
/// # Errors
///
/// Why it is not had.
async fn request(connection: &Connection) -> Result<(), Away> {
    /// `DBUS_NAME_FLAG_DO_NOT_QUEUE`
    const DO_NOT_QUEUE: u32 = 4;
    /// `DBUS_REQUEST_NAME_REPLY_PRIMARY_OWNER` and `…_ALREADY_OWNER`
    const OWNED: [u32; 2] = [1, 4];

    let reply = match ask(connection, "RequestName", &(NAME, DO_NOT_QUEUE)).await {
        Ok(reply) => reply,
        Err(zbus::Error::FDO(error)) if matches!(*error, fdo::Error::AccessDenied(_)) => {
            return Err(Away::Forbidden);
        }
        Err(error) => return Err(Away::Unanswered(error.to_string())),
    };
    match reply.body().deserialize::<u32>() {
        Ok(answer) if OWNED.contains(&answer) => Ok(()),
        Ok(_) => Err(Away::Taken),
        Err(error) => Err(Away::Unanswered(error.to_string())),
    }
}

async fn ask(
    connection: &Connection,
    method: &str,
    body: &(impl Serialize + DynamicType),
) -> zbus::Result<Message> {
    const BUS: &str = "org.freedesktop.DBus";

    let path = "/org/freedesktop/DBus";
    let call = connection.call_method(Some(BUS), path, Some(BUS), method, body);
    let silent = || zbus::Error::Failure("it does not answer".to_owned());
    timeout(limits::BUS_PATIENCE, call).await.unwrap_or_else(|_| Err(silent()))
}
