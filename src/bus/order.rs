//! `Pause`, `Resume` and `Retry`: what an administrator of an account changes about it.

use std::collections::HashMap;
use std::sync::Arc;

use zbus::OwnedVariant;

use crate::asking;
use crate::keeper::Seat;
use crate::lifecycle::words::Action;
use crate::snapshot::Refusal;

use super::dispatch::Call;
use super::dispatch::Step;
use super::option::Options;
use super::reply;

/// What is ordered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    Pause,
    Resume,
    Retry,
}

/// That a call has no option; there are none yet.
///
/// # Errors
///
/// `BAD_REQUEST`.
pub(super) fn read(given: HashMap<String, OwnedVariant>) -> Result<(), Refusal> {
    Options::read(given, &[]).map(drop)
}

/// Has it done, for a caller that may, and tells whether there was anything to do.
pub(super) fn carry_out(call: &Call, seat: Arc<Seat>, order: Order) -> Step {
    let call = call.clone();
    let action = match order {
        Order::Pause => Action::Pause,
        Order::Resume => Action::Resume,
        Order::Retry => Action::Retry,
    };
    Step::later(async move {
        let changed = asking::order::order(&call.keeper, &seat, action).await?;
        reply::answer(&call.message, &changed)
    })
}
