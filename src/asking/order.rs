//! Having the supervisor do something to an account.

use crate::asking::Denied;
use crate::asking::follow;
use crate::keeper::Keeper;
use crate::keeper::Seat;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Done;
use crate::limits;

/// Orders it, and says when it is done whether there was anything to do.
///
/// # Errors
///
/// Why it is not done; `REFRESH_PENDING` after [`limits::ORDER`].
pub async fn order(keeper: &Keeper, seat: &Seat, action: Action) -> Result<bool, Denied> {
    let order = keeper.order(&seat.account, action);
    let outcome = tokio::time::timeout(limits::ORDER, order).await;
    let outcome = outcome.unwrap_or_else(|_| Err(follow::pending()));
    match outcome.map_err(|refusal| Denied::about(&seat.account, refusal))? {
        Done::Joined(_) | Done::Changed(_) => Ok(true),
        Done::Current(_) => Ok(false),
    }
}
