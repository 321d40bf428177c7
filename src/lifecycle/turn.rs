//! When an attempt may be made, how urgent it is, and what can be lost by it.

use std::time::Duration;

use super::Account;
use super::words::Discovery;
use super::words::Rank;
use super::words::Risk;
use super::words::Urgency;
use crate::budget::RESERVED_FOR_REPLAYS;
use crate::notice::Reason;
use crate::plan::Rotation;
use crate::record::Stake;
use crate::time::Moment;
use crate::time::Now;

impl Account {
    /// The first moment at which the budget and the provider's `Retry-After` allow an attempt with
    /// what is next. What is no replay leaves room for its own replays, even where the budget went
    /// into those of another credential.
    pub(super) fn budgeted(&self, now: Moment) -> Moment {
        let is_replay = self.doubt_about(self.stake_at_rest()).is_some();
        let none_to_come = self.risk() == Risk::None;
        let reserved = if is_replay || none_to_come { 0 } else { RESERVED_FOR_REPLAYS };
        let free = self.requests.earliest(now, self.cost() + reserved);
        self.series.not_before.map_or(free, |bound| bound.max(free))
    }

    /// The first moment at which an attempt may be made: budget and `Retry-After` allow it,
    /// and it is no replay that comes too late for the grace and too early for a token
    /// that it might kill.
    pub(super) fn free_at(&self, stake: Stake, now: Now) -> Moment {
        let free = self.budgeted(now.boot);
        if self.is_too_late(stake, free) { free.max(self.nearly_spent(now)) } else { free }
    }

    /// Whether what would be sent at that moment is a replay after the grace, of the last request that
    /// may have been taken.
    fn is_too_late(&self, stake: Stake, at: Moment) -> bool {
        let doubt = self.doubt.filter(|_| stake == Stake::Current);
        match (doubt, self.plan.rotation) {
            (Some(doubt), Rotation::Grace(grace)) => doubt.late || at >= doubt.last + grace,
            (Some(_), Rotation::Unknown | Rotation::Never | Rotation::Strict) | (None, _) => false,
        }
    }

    /// Whether it is, and may kill a token that is good: what came before it took its time.
    pub(super) fn may_kill(&self, stake: Stake, now: Now) -> bool {
        self.is_too_late(stake, now.boot) && now.boot < self.nearly_spent(now)
    }

    /// How many requests the next attempt may make.
    pub(super) fn cost(&self) -> usize {
        match self.discovery {
            Discovery::Done => 1,
            Discovery::ToDo => usize::from(self.plan.requests),
        }
    }

    pub(super) fn urgency(&self, reason: Reason, stake: Stake, now: Now) -> Urgency {
        let expiry = self.held.as_ref().map_or_else(Moment::default, |held| held.expires_boot);
        if let (Some(doubt), Some(grace)) = (self.doubt_about(stake), self.plan.rotation.grace()) {
            // What is asked for once more than is planned comes within half of another grace.
            let deadline = (doubt.last + grace).min(doubt.grace_from + grace + grace / 2);
            if !doubt.late && now.boot < deadline {
                return Urgency { rank: Rank::InDoubt, deadline };
            }
        }
        let rank = match reason {
            Reason::Scheduled | Reason::Replay => Rank::Planned,
            Reason::Requested
            | Reason::ExpiredCachedToken
            | Reason::TransportUnauthenticated
            | Reason::StreamUnauthenticated => Rank::Wanted,
        };
        Urgency { rank, deadline: expiry }
    }

    /// What is left of the held tokens.
    pub(super) fn left(&self, now: Now) -> Duration {
        self.held.as_ref().map_or(Duration::ZERO, |held| held.ttl(now))
    }

    /// What can be lost by an attempt that works with that.
    pub(super) fn risk_of(&self, stake: Stake) -> Risk {
        match stake {
            Stake::Current | Stake::Staged => self.risk(),
            Stake::SignIn => Risk::None,
        }
    }

    /// What can be lost by a refresh.
    pub(super) fn risk(&self) -> Risk {
        if !self.plan.has_refresh_token {
            return Risk::None;
        }
        match self.plan.rotation {
            Rotation::Never => Risk::None,
            Rotation::Unknown | Rotation::Grace(_) => Risk::Replayable,
            Rotation::Strict => Risk::Account,
        }
    }
}
