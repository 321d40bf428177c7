//! Waiting for an account to change, for at most as long as the peer cares.
//!
//! Nothing here owns what is waited for: a waiter that is dropped, because its peer hung
//! up, changes nothing for the flight or for any other waiter.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Sleep;

use crate::error::code::Code;
use crate::keeper::Keeper;
use crate::keeper::Seat;
use crate::name::AccountId;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::snapshot::StateName;

/// What a wait ended with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Woken {
    /// There is a newer snapshot.
    Changed,
    /// The peer cares to wait no longer.
    Late,
    /// The account is gone, or has a new seat after a reload.
    Gone,
}

/// One peer's patience with one account.
pub(super) struct Follower {
    snapshot: watch::Receiver<Arc<Snapshot>>,
    deadline: Pin<Box<Sleep>>,
}

impl Follower {
    /// Waits from now on, `patience` in all.
    pub(super) fn new(seat: &Seat, patience: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep(patience));
        Self { snapshot: seat.snapshot.clone(), deadline }
    }

    /// Follows another seat of the account, with what is left of the patience.
    pub(super) fn move_to(&mut self, seat: &Seat) {
        self.snapshot = seat.snapshot.clone();
    }

    /// The newest snapshot. [`change`](Self::change) waits for a newer one than this.
    pub(super) fn newest(&mut self) -> Arc<Snapshot> {
        self.snapshot.borrow_and_update().clone()
    }

    /// Waits for a newer snapshot, or for `nap` to pass, which counts as one.
    pub(super) async fn change(&mut self, nap: Option<Duration>) -> Woken {
        let nap = async {
            match nap {
                Some(span) => tokio::time::sleep(span).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            changed = self.snapshot.changed() => match changed {
                Ok(()) => Woken::Changed,
                Err(_) => Woken::Gone,
            },
            () = &mut self.deadline => Woken::Late,
            () = nap => Woken::Changed,
        }
    }

    /// Waits for `work`, no longer than the patience lasts. What was begun goes on without us.
    pub(super) async fn within<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = &mut self.deadline => None,
        }
    }
}

/// That the account whose seat was closed may have another one.
///
/// # Errors
///
/// `STOPPING`, if the seat is closed and still the current one: the supervisor has ended.
pub(super) fn not_stopping(keeper: &Keeper, account: &AccountId) -> Result<(), Refusal> {
    let directory = keeper.directory();
    let seat = directory.seats.get(account);
    if seat.is_some_and(|seat| seat.snapshot.has_changed().is_err()) {
        return Err(Refusal::new(Code::Stopping, "the daemon is stopping"));
    }
    Ok(())
}

/// That the refresh takes longer than the peer cares to wait.
pub(super) fn pending() -> Refusal {
    Refusal::new(Code::RefreshPending, "a refresh is under way and not done yet")
}

/// That the refresh of somebody's demand takes longer than the peer cares to wait: it is under
/// way, or has its time, since the last one was too short ago.
pub(super) fn pending_or_planned(snapshot: &Snapshot) -> Refusal {
    if snapshot.state != StateName::Fresh || snapshot.next.is_none() {
        return pending();
    }
    let message = "no refresh is under way, since the last one was too short ago";
    Refusal { retry_at: snapshot.next, ..Refusal::new(Code::RefreshPending, message) }
}

/// That nobody got round to it.
pub fn late() -> Refusal {
    Refusal::new(Code::Internal, "the daemon did not get round to it in time")
}
