//! Asking polkit(8) where the rules do not let a caller change something.
//!
//! It is asked about what administrators of an account do, and never about reading. It asks a
//! person only if the caller allows that. Where it is absent, the rules decide alone.

use std::collections::BTreeMap;
use std::collections::HashMap;

use tokio::time::timeout;
use tracing::debug;
use zbus::Connection;
use zbus::Message;
use zbus::Variant;
use zbus::message::Flags;

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

/// Asks about the sender of a call.
///
/// The sender is named by its connection, which the bus never gives to anybody else, so that
/// no other process can slip in while a person thinks.
pub(super) async fn ask(connection: &Connection, call: &Message) -> Consent {
    const POLKIT: &str = "org.freedesktop.PolicyKit1";
    const AUTHORITY: &str = "org.freedesktop.PolicyKit1.Authority";
    /// `AllowUserInteraction`
    const INTERACTION: u32 = 1;

    let header = call.header();
    let Some(sender) = header.sender() else { return Consent::Withheld };
    let may_ask = call.primary_header().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH);
    let subject = ("system-bus-name", BTreeMap::from([("name", Variant::from(sender.as_str()))]));
    let details = BTreeMap::<&str, &str>::new();
    let flags = if may_ask { INTERACTION } else { 0 };
    let question = (subject, ACTION, details, flags, "");
    let path = "/org/freedesktop/PolicyKit1/Authority";
    let asking = connection.call_method(
        Some(POLKIT),
        path,
        Some(AUTHORITY),
        "CheckAuthorization",
        &question,
    );
    let reply = match timeout(limits::BUS_CONSENT, asking).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => {
            debug!("polkit does not say whether {sender} may do it: {error}");
            return Consent::Withheld;
        }
        Err(_) => return Consent::Withheld,
    };
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
