//! Asking polkit(8) where the rules do not let a caller change something.
//!
//! It is asked about what administrators of an account do, and never about reading. It asks a
//! person only if the caller allows that. Where it is absent, the rules decide alone.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;

use futures_core::Stream as _;
use serde::Serialize;
use tokio::time::sleep;
use tokio::time::timeout;
use tracing::debug;
use zbus::Connection;
use zbus::DynamicType;
use zbus::Message;
use zbus::MessageStream;
use zbus::Variant;
use zbus::message::Flags;
use zbus::names::UniqueName;

use crate::limits;

use super::reply::Failed;
use super::reply::Standard;

/// What is asked about, as in `packaging/polkit`.
const ACTION: &str = "org.tokenkeeper1.manage-accounts";

/// Whether polkit lets a caller do what the rules do not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Consent {
    /// It was not asked yet.
    Unasked,
    /// Yes.
    Given,
    /// No, or there is nobody to say yes.
    Withheld,
    /// If a person may be asked, and says so.
    Possible,
}

/// Asks about the sender of a call, for [`limits::BUS_CONSENT`] at the longest.
///
/// The sender is named by its connection, which the bus never gives to anybody else, so that
/// no other process can slip in while a person thinks.
///
/// A question that nobody waits for any more is withdrawn, and with it the dialog that a person
/// has before their eyes: polkit does that by itself only when this daemon leaves the bus.
pub(super) async fn ask(connection: &Connection, call: &Message) -> Consent {
    /// `AllowUserInteraction`
    const INTERACTION: u32 = 1;

    let header = call.header();
    let Some(sender) = header.sender() else { return Consent::Withheld };
    let gone = match departure(connection, sender).await {
        Ok(gone) => gone,
        Err(error) => {
            debug!("the bus does not tell when {sender} leaves: {error}");
            return Consent::Withheld;
        }
    };
    let may_ask = call.primary_header().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH);
    let subject = ("system-bus-name", BTreeMap::from([("name", Variant::from(sender.as_str()))]));
    let details = BTreeMap::<&str, &str>::new();
    let flags = if may_ask { INTERACTION } else { 0 };
    // The bus gives no name twice, and a connection no number: no other question is called so.
    let id = format!("{sender}/{}", call.primary_header().serial_num());
    let question = (subject, ACTION, details, flags, id.as_str());
    let reply = tokio::select! {
        biased;
        reply = order(connection, "CheckAuthorization", &question) => reply,
        () = gone => return withdraw(connection, &id, "its caller has left the bus").await,
        () = sleep(limits::BUS_CONSENT) => return withdraw(connection, &id, "it took too long").await,
    };
    match reply {
        Ok(reply) => read(&reply),
        Err(error) => {
            debug!("polkit does not say whether {sender} may do it: {error}");
            Consent::Withheld
        }
    }
}

/// Ends when that connection has left the bus.
async fn departure(
    connection: &Connection,
    sender: &UniqueName<'_>,
) -> zbus::Result<impl Future<Output = ()> + use<>> {
    let rule = format!(
        "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',\
         member='NameOwnerChanged',arg0='{sender}'"
    );
    let mut changes = MessageStream::for_match_rule(rule.as_str(), connection, None).await?;
    // The name of a connection has one owner, so that the first change is the last; and when the
    // stream ends, everybody has left.
    Ok(async move {
        let _change = poll_fn(|cx| Pin::new(&mut changes).poll_next(cx)).await;
    })
}

async fn withdraw(connection: &Connection, id: &str, why: &str) -> Consent {
    let withdrawn = order(connection, "CancelCheckAuthorization", &id);
    match timeout(limits::BUS_PATIENCE, withdrawn).await {
        Ok(Ok(_)) => debug!("question {id} to polkit is withdrawn: {why}"),
        Ok(Err(error)) => debug!("question {id} to polkit is not withdrawn: {error}"),
        Err(_) => debug!("question {id} to polkit is not withdrawn: it does not answer"),
    }
    Consent::Withheld
}

async fn order(
    connection: &Connection,
    method: &str,
    body: &(impl Serialize + DynamicType),
) -> zbus::Result<Message> {
    const POLKIT: &str = "org.freedesktop.PolicyKit1";
    const AUTHORITY: &str = "org.freedesktop.PolicyKit1.Authority";

    let path = "/org/freedesktop/PolicyKit1/Authority";
    connection.call_method(Some(POLKIT), path, Some(AUTHORITY), method, body).await
}

fn read(reply: &Message) -> Consent {
    match reply.body().deserialize::<(bool, bool, HashMap<&str, &str>)>() {
        Ok((true, _, _)) => Consent::Given,
        Ok((false, true, _)) => Consent::Possible,
        Ok((false, false, _)) | Err(_) => Consent::Withheld,
    }
}

/// What a caller is told that does not allow that a person is asked.
pub(super) fn possible() -> Failed {
    let text = "a person has to allow it, and nobody could be asked";
    Standard::InteractiveAuthorizationRequired.because(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_is_the_one_that_polkit_knows() {
        let policy = include_str!("../../packaging/polkit/org.tokenkeeper1.policy");
        assert!(policy.contains(&format!("<action id=\"{ACTION}\">")), "{policy}");
    }
}
