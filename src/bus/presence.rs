//! Whether the daemon is to be had on its bus, and if not, why. For administrators who ask.

use thiserror::Error;

use crate::unit::Proof;

/// How it stands with the bus.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Presence {
    /// Whether programs find the daemon there; `None` while that is being tried, or not wanted.
    pub found: Option<Result<(), Away>>,
    /// How well the bus says which process calls; `None` while there is no connection.
    pub proof: Option<Proof>,
}

/// Why programs do not find the daemon on the bus.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Away {
    /// Nothing listens where the bus would be.
    #[error("there is no bus")]
    NoBus,
    /// There is something, and no connection to it.
    #[error("there is no connection to it: {0}")]
    Unreachable(String),
    /// The policy of the bus does not let this user own the name.
    #[error("its policy does not give the daemon the name org.tokenkeeper1")]
    Forbidden,
    /// Somebody else was first.
    #[error("another program has the name org.tokenkeeper1")]
    Taken,
    /// The bus does not say whether it is given.
    #[error("it does not say whether the daemon has the name org.tokenkeeper1: {0}")]
    Unanswered(String),
}

impl Away {
    /// Whether it may be over by itself within seconds, after so many tries that failed: the
    /// package puts the policy in its place and starts the daemon before the bus has read it.
    pub(super) const fn passes(&self, failed: u32) -> bool {
        /// The tries of the first 15 s: after 0, 1, 3 and 7 s. dpkg has the bus read its policies
        /// again when all packages are set up, an rpm at the end of the transaction.
        const TRIES: u32 = 4;

        match self {
            Self::Forbidden => failed < TRIES,
            Self::NoBus | Self::Unreachable(_) | Self::Taken | Self::Unanswered(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_by_the_policy_may_be_over_in_seconds_and_not_for_ever() {
        let ever = [0, 3, 4, u32::MAX];
        assert_eq!(ever.map(|failed| Away::Forbidden.passes(failed)), [true, true, false, false]);
        let text = || "it does not answer".to_owned();
        for away in [Away::NoBus, Away::Taken, Away::Unreachable(text()), Away::Unanswered(text())]
        {
            assert!(!away.passes(0), "{away}");
        }
    }
}
