//! Having a token replaced, and hearing what came of it.
//!
//! The supervisor owns the flight. A peer that goes away, or whose patience ends, changes
//! nothing about it.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq;

use crate::access::Right;
use crate::asking::Denied;
use crate::asking::follow;
use crate::asking::follow::Follower;
use crate::asking::follow::Woken;
use crate::error::code::Code;
use crate::keeper::Keeper;
use crate::keeper::Seat;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Done;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::token::Generation;
use crate::token::Kind;

/// Why a token is to be replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Renewal {
    /// Somebody wants a new one.
    Refresh,
    /// The provider's API rejected it.
    Report {
        /// Which one it was.
        rejected: Rejected,
        /// Whether a stream of the API did, and not a request.
        stream: bool,
    },
}

/// Which token was rejected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rejected {
    /// That of a generation.
    Generation(Generation),
    /// The one whose SHA-256 this is.
    Sha256([u8; 32]),
}

impl Rejected {
    /// The token with that SHA-256, in hex of either case.
    pub fn by_sha256(hex: &str) -> Option<Self> {
        let digest = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
        digest.try_into().ok().map(Self::Sha256)
    }
}

impl Renewal {
    /// The right that it needs.
    pub const fn right(self) -> Right {
        match self {
            Self::Refresh => Right::Refresh,
            Self::Report { .. } => Right::Report,
        }
    }

    /// What is ordered; `None` if a newer token is there already.
    fn action(self, before: &Snapshot) -> Result<Option<Action>, Refusal> {
        let Self::Report { rejected, stream } = self else { return Ok(Some(Action::Refresh)) };
        let generation = match rejected {
            Rejected::Generation(generation) => by_generation(generation, before)?,
            Rejected::Sha256(digest) => by_digest(&digest, before)?,
        };
        Ok(generation.map(|generation| Action::Report { generation, stream }))
    }
}

/// Whether the peer has a newer token to fetch, and since when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Renewed {
    /// The refresh that it waited for brought one.
    Now,
    /// It was there already, and nothing was refreshed.
    AlreadyNewer,
    /// There is none.
    Not,
}

/// Has the token replaced and waits for what comes of it, for `patience` at most.
///
/// `find` finds the account again after a reload, if the peer may still have that done.
///
/// # Errors
///
/// The failure of the refresh, or of the report; `REFRESH_PENDING` after `patience`.
pub async fn renewal<E: From<Denied>>(
    keeper: &Keeper,
    seat: &Seat,
    renewal: Renewal,
    patience: Duration,
    find: impl Fn(&str) -> Result<Arc<Seat>, E>,
) -> Result<(Renewed, Arc<Snapshot>), E> {
    let about = |refusal| E::from(Denied::about(&seat.account, refusal));
    let mut follower = Follower::new(seat, patience);
    let before = follower.newest();
    let Some(action) = renewal.action(&before).map_err(about)? else {
        return Ok((Renewed::AlreadyNewer, before));
    };
    let order = keeper.order(&seat.account, action);
    let from = match follower.within(order).await {
        Some(Ok(Done::Joined(generation))) => generation,
        Some(Ok(Done::Current(generation) | Done::Changed(generation))) => {
            let newer = generation > before.generation;
            let how = if newer { Renewed::AlreadyNewer } else { Renewed::Not };
            return Ok((how, follower.newest()));
        }
        Some(Err(refusal)) => return Err(about(refusal)),
        None => return Err(about(follow::pending())),
    };
    loop {
        let snapshot = follower.newest();
        // A generation without new tokens, out of a broken reply, is no refresh.
        let held = snapshot.held.as_ref().map(|held| held.generation);
        if held.is_some_and(|held| held > from) {
            return Ok((Renewed::Now, snapshot));
        }
        // A refused refresh may be followed by a sign-in, which is what is waited for then.
        let failed = snapshot.failure.is_some() && snapshot.failure != before.failure;
        if failed && !snapshot.is_in_flight() {
            return Err(about(snapshot.refusal()));
        }
        match follower.change(None).await {
            Woken::Changed => {}
            Woken::Late => return Err(about(follow::pending())),
            Woken::Gone => {
                follow::not_stopping(keeper, &seat.account).map_err(about)?;
                follower.move_to(&*find(seat.account.as_str())?);
            }
        }
    }
}

/// The generation, if it is the current one; `None` if a newer token has replaced it.
fn by_generation(
    generation: Generation,
    snapshot: &Snapshot,
) -> Result<Option<Generation>, Refusal> {
    let current = snapshot.generation;
    match generation.cmp(&current) {
        Ordering::Less => Ok(None),
        Ordering::Equal => Ok(Some(generation)),
        Ordering::Greater => {
            let message =
                format!("generation {generation} is reported, and the newest token is {current}");
            Err(Refusal::new(Code::BadRequest, message))
        }
    }
}

/// The generation of the token, if it is a current one; `None` if it is another.
fn by_digest(digest: &[u8; 32], snapshot: &Snapshot) -> Result<Option<Generation>, Refusal> {
    let Some(held) = &snapshot.held else { return Err(snapshot.refusal()) };
    let tokens = Kind::ALL.iter().filter_map(|kind| held.tokens.get(*kind));
    let current = tokens.fold(subtle::Choice::from(0), |found, token| {
        found | token.sha256().as_slice().ct_eq(digest)
    });
    Ok(bool::from(current).then_some(held.generation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_64_hex_digits_of_either_case() {
        let [lower, upper] = ["ab".repeat(32), "AB".repeat(32)];
        let expected = Some(Rejected::Sha256([0xab; 32]));
        assert_eq!(Rejected::by_sha256(&lower), expected);
        assert_eq!(Rejected::by_sha256(&upper), expected);
        for wrong in ["", "ab", &"ab".repeat(33), &"xy".repeat(32), &"+a".repeat(32)] {
            assert_eq!(Rejected::by_sha256(wrong), None, "{wrong}");
        }
    }
}
