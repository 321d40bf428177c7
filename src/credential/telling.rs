//! What is recorded of credentials: each answer, since a unit that fails for want of one says
//! only that it failed.

use tracing::info;
use tracing::warn;

use crate::access::Right;
use crate::asking::Denied;
use crate::asking::Unavailable;
use crate::credential::claim::Claim;
use crate::credential::given::Given;
use crate::credential::subject::Scope;
use crate::credential::subject::Stranger;
use crate::credential::wanted::NoSuchKind;
use crate::error::code::Code;
use crate::message::Message;
use crate::name::AccountId;
use crate::unit::NoUnit;

/// Why there is no credential for a unit.
#[derive(Debug)]
pub(super) enum Refused {
    /// Who asks is not the service manager.
    Stranger(Stranger),
    /// Nobody could say whether it is.
    Unproven(NoUnit),
    /// There is nothing of that name.
    Misnamed(NoSuchKind),
    /// The account is not to be had.
    Unavailable(Unavailable),
    /// The account has nothing to give.
    Denied(Denied),
    /// The daemon stops.
    Stopping,
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<Stranger> for Refused {
    fn from(stranger: Stranger) -> Self {
        Self::Stranger(stranger)
    }
}

/// Records what a unit was given.
pub(super) fn gave(claim: &Claim, account: &AccountId, given: &Given) {
    let Claim { unit, id } = claim;
    info!(
        %account,
        event = Message::UnitServed.as_str(),
        unit = &**unit,
        credential = &**id,
        generation = given.generation.0,
        ttl = given.ttl.as_secs(),
        "{unit} was given the credential {id}"
    );
}

/// Records that somebody is not who it would have to be. `claim` is what it says, if anything.
pub(super) fn met(claim: Option<&Claim>, stranger: &Stranger) {
    let event = Message::NotSystemd.as_str();
    match claim {
        Some(Claim { unit, id }) => warn!(
            event,
            unit = &**unit,
            credential = &**id,
            "who asked for the credential {id} of {unit} is not the service manager: {stranger}"
        ),
        None => warn!(event, "who asked for a credential is not the service manager: {stranger}"),
    }
}

/// Records why a unit has no credential, and what would have to be done.
pub(super) fn refused(scope: Scope, claim: &Claim, why: &Refused) {
    let (account, code, reason) = match why {
        Refused::Stranger(stranger) => return met(Some(claim), stranger),
        Refused::Unproven(why) => {
            let reason = format!("the service manager does not say that it is its own wish: {why}");
            (None, Code::InsufficientPermissions, reason)
        }
        Refused::Misnamed(misnamed) => (None, Code::BadRequest, misnamed.to_string()),
        Refused::Unavailable(why) => unavailable(scope, claim, why),
        Refused::Denied(Denied { account, refusal }) => {
            (account.as_ref(), refusal.code, refusal.message.clone())
        }
        Refused::Stopping => (None, Code::Stopping, "the daemon is stopping".to_owned()),
    };
    let Claim { unit, id } = claim;
    let (event, code) = (Message::UnitRefused.as_str(), code.as_str());
    match account {
        Some(account) => warn!(
            %account, event, code, unit = &**unit, credential = &**id,
            "{unit} was refused the credential {id}: {reason}"
        ),
        None => warn!(
            event,
            code,
            unit = &**unit,
            credential = &**id,
            "{unit} was refused the credential {id}: {reason}"
        ),
    }
}

/// Records that a unit did not take what it was given.
pub(super) fn not_taken(claim: &Claim, account: &AccountId, error: &std::io::Error) {
    let Claim { unit, id } = claim;
    warn!(
        %account,
        event = Message::UnitRefused.as_str(),
        code = Code::Internal.as_str(),
        unit = &**unit,
        credential = &**id,
        "{unit} did not take the credential {id}: {error}"
    );
}

fn unavailable<'a>(
    scope: Scope,
    claim: &Claim,
    why: &'a Unavailable,
) -> (Option<&'a AccountId>, Code, String) {
    let absent = || "there is no such account".to_owned();
    match why {
        Unavailable::NoName => (None, Code::AccountUnknown, absent()),
        Unavailable::Unknown(account) => (Some(account), Code::AccountUnknown, absent()),
        Unavailable::Forbidden { account, there: false, .. } => {
            (Some(account), Code::AccountUnknown, absent())
        }
        Unavailable::Forbidden { account, there: true, .. } => {
            (Some(account), Code::InsufficientPermissions, rule(scope, claim))
        }
    }
}

/// The rule that would be needed.
fn rule(scope: Scope, claim: &Claim) -> String {
    let read = Right::Read.as_str();
    match scope {
        Scope::Host => format!(
            "it would need a rule like allow = [{{ unit = '{}', rights = ['{read}'] }}], without \
             a user or a group",
            claim.unit
        ),
        Scope::User { uid } => format!("uid {uid} has no right `{read}` on it"),
    }
}
