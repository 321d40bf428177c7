//! Waiting for a token.
//!
//! A demand joins the one flight and follows the account until something answers it. How the
//! newest snapshot stands to what the peer wants is the door's to say, at the moment of
//! answering, so that no token is handed out at or after its expiry, however long the wait was.

use std::sync::Arc;
use std::time::Duration;

use crate::asking::Denied;
use crate::asking::follow;
use crate::asking::follow::Follower;
use crate::asking::follow::Woken;
use crate::keeper::Keeper;
use crate::keeper::Seat;
use crate::lifecycle::words::Action;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::token::Kind;

/// How a snapshot stands to what a peer wants.
pub enum Look<T> {
    /// This is its answer.
    Answer(T),
    /// It has what there is, and that is good for `spare` longer than it needs.
    Unchanged {
        /// What it is told if it waits no longer.
        answer: T,
        /// How long that lasts.
        spare: Duration,
    },
    /// A refresh may bring it.
    Join,
    /// It cannot be had now.
    Refuse(Refusal),
}

/// Joins the flight and follows the account until `look` has an answer, or for `patience`.
///
/// `find` finds the account again after a reload, if the peer may still have it.
///
/// # Errors
///
/// What refuses it in the end; `REFRESH_PENDING` after `patience`.
pub async fn token<T, E: From<Denied>>(
    keeper: &Keeper,
    (mut seat, kind): (Arc<Seat>, Kind),
    patience: Duration,
    look: impl Fn(&Seat, &Arc<Snapshot>) -> Look<T>,
    find: impl Fn(&str) -> Result<Arc<Seat>, E>,
) -> Result<T, E> {
    let refused = |seat: &Seat, refusal| E::from(Denied::about(&seat.account, refusal));
    let mut follower = Follower::new(&seat, patience);
    let mut demanded = false;
    // Whether the account knows of the demand, so that its next refresh is the one that
    // answers it.
    let mut heard = false;
    loop {
        let nap = match look(&seat, &follower.newest()) {
            Look::Answer(answer) => return Ok(answer),
            Look::Refuse(refusal) => return Err(refused(&seat, refusal)),
            // When the known token is not good enough any more, that is news as well. The
            // clocks count milliseconds, so one more is surely past it.
            Look::Unchanged { spare, .. } => Some(spare + Duration::from_millis(1)),
            Look::Join => {
                if !demanded {
                    demanded = true;
                    let order = keeper.order(&seat.account, Action::Demand(kind));
                    match follower.within(order).await {
                        Some(Ok(_)) => {
                            heard = true;
                            continue;
                        }
                        Some(Err(refusal)) => return Err(refused(&seat, refusal)),
                        None => {}
                    }
                }
                None
            }
        };
        match follower.change(nap).await {
            Woken::Changed => {}
            Woken::Late => {
                let snapshot = follower.newest();
                return match look(&seat, &snapshot) {
                    Look::Answer(answer) | Look::Unchanged { answer, .. } => Ok(answer),
                    Look::Refuse(refusal) => Err(refused(&seat, refusal)),
                    Look::Join if heard => {
                        Err(refused(&seat, follow::pending_or_planned(&snapshot)))
                    }
                    Look::Join => Err(refused(&seat, follow::pending())),
                };
            }
            Woken::Gone => {
                follow::not_stopping(keeper, &seat.account)
                    .map_err(|refusal| refused(&seat, refusal))?;
                (demanded, heard) = (false, false);
                seat = find(seat.account.as_str())?;
                follower.move_to(&seat);
            }
        }
    }
}
