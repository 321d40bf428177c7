//! Whether a peer is the service manager, and who asks through it.
//!
//! The name that a peer claims is worth what its process proves. On the host's own socket that is
//! a process of root's, in the unit that it names, where systemd sets a credential up, or in
//! `init.scope`, where it renews one (`RefreshOnReload=credentials`). Root elsewhere, in a
//! container for instance, is neither. In the service of one user the user's own processes prove
//! that user and no more: a user can name and fill units at will. Pure and total.

use crate::access::NO_GROUP;
use crate::access::Peer;
use crate::credential::claim::Claim;
use crate::credential::claim::Unfit;
use crate::unit::NoUnit;
use crate::unit::Unit;

/// Where the service manager itself runs, and what it sends for a running unit.
const SERVICE_MANAGER: &str = "init.scope";

/// Whose units are served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// The host's: each speaks for itself.
    Host,
    /// Those of one user, who may have what the user may have.
    User {
        /// The user.
        uid: u32,
    },
}

/// Why a peer is not the service manager.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Stranger {
    /// It is somebody else's process.
    #[error("it is a process of uid {0}")]
    Uid(u32),
    /// systemd has no such name.
    #[error("{0}")]
    Name(#[from] Unfit),
    /// It says something.
    #[error("it sends something, which the service manager never does")]
    Talks,
    /// It does not say that it has nothing to say.
    #[error("it does not end what it sends, which the service manager does at once")]
    Lingers,
    /// It is in no unit of this host's.
    #[error("{0}")]
    Nowhere(NoUnit),
    /// It is in another unit.
    #[error("it belongs to {0}")]
    Elsewhere(Box<str>),
}

impl Scope {
    /// Whether a process of this user may ask for units at all.
    ///
    /// # Errors
    ///
    /// [`Stranger::Uid`], if it may not.
    pub(super) const fn admits(self, uid: u32) -> Result<(), Stranger> {
        let expected = match self {
            Self::Host => 0,
            Self::User { uid } => uid,
        };
        if uid == expected { Ok(()) } else { Err(Stranger::Uid(uid)) }
    }

    /// Whether the unit of the process has to be proven.
    pub(super) const fn wants_proof(self) -> bool {
        match self {
            Self::Host => true,
            Self::User { .. } => false,
        }
    }

    /// Who asks, the claim being proven as far as it has to be.
    pub(super) fn subject(self, claim: &Claim) -> Peer {
        match self {
            Self::Host => Peer::of_unit(claim.unit.clone()),
            Self::User { uid } => {
                Peer { uid, gid: NO_GROUP, groups: Vec::new(), pid: None, unit: Unit::Unasked }
            }
        }
    }
}

/// Whether a process that belongs to the unit `found` asks for the unit that it claims.
///
/// # Errors
///
/// [`Stranger::Elsewhere`], if it does not.
pub(super) fn proves(found: Box<str>, claim: &Claim) -> Result<(), Stranger> {
    if found == claim.unit || &*found == SERVICE_MANAGER {
        Ok(())
    } else {
        Err(Stranger::Elsewhere(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Masters;

    #[test]
    fn only_the_service_manager_whose_units_are_served_may_ask() {
        let (host, user) = (Scope::Host, Scope::User { uid: 1000 });
        #[rustfmt::skip]
        let cases = [
            (host, 0,      true),
            (host, 1000,   false),
            (host, 65_534, false),
            (user, 1000,   true),
            (user, 0,      false),
            (user, 1001,   false),
        ];
        for (scope, uid, admitted) in cases {
            let expected = if admitted { Ok(()) } else { Err(Stranger::Uid(uid)) };
            assert_eq!(scope.admits(uid), expected, "{scope:?} {uid}");
        }
    }

    #[test]
    fn a_claim_is_proven_by_the_unit_itself_and_by_the_service_manager() {
        #[rustfmt::skip]
        let cases = [
            ("backup.service",    true),
            ("init.scope",        true),
            ("backup",            false),
            ("backup.service.d",  false),
            ("other.service",     false),
            ("user@0.service",    false),
            ("session-1.scope",   false),
        ];
        for (found, proven) in cases {
            let expected = if proven { Ok(()) } else { Err(Stranger::Elsewhere(found.into())) };
            assert_eq!(proves(found.into(), &claim()), expected, "{found}");
        }
    }

    #[test]
    fn a_unit_of_the_host_is_no_master_and_a_users_unit_is_the_user() {
        let masters = Masters { own_uid: 1000 };
        let unit = Scope::Host.subject(&claim());
        assert!(!masters.include(&unit) && unit.unit.name() == Some("backup.service"));
        let user = Scope::User { uid: 1000 }.subject(&claim());
        assert!(masters.include(&user) && user.unit.name().is_none());
    }

    fn claim() -> Claim {
        Claim { unit: "backup.service".into(), id: "mail".into() }
    }
}
