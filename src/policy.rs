//! What happens after a refresh that was refused: the one decision that can be handed over.
//!
//! Asked once per refused attempt, after the failure is known and before the account comes
//! to rest. It decides nothing else: the failure is reported to everyone concerned whatever
//! it says, and no answer leads to a prompt.

use crate::error::RefreshError;
use crate::notice::Reason;
use crate::plan::FailureAction;

/// What an attempt was about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefreshContext {
    /// Why it was made.
    pub reason: Reason,
    /// Number of the attempt in its series, from 1.
    pub attempt: u32,
}

/// Decides what happens after a refresh that was refused.
pub trait FailurePolicy {
    /// What to do about it.
    fn on_refresh_failure(&self, context: RefreshContext, error: &RefreshError) -> FailureAction;
}

/// The policy that the configuration words: the same answer to everything.
impl FailurePolicy for FailureAction {
    fn on_refresh_failure(&self, _: RefreshContext, _: &RefreshError) -> FailureAction {
        *self
    }
}
