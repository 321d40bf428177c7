//! What must hold of what the daemon tells: at once, once, and what it shows.

use std::time::Duration;

use super::cast::Part;
use super::lost::Why;
use super::witness::Witness;
use crate::error::RefreshError;
use crate::notice::Event;
use crate::notice::Notice;
use crate::snapshot::aid::led_elsewhere;

/// The last part of a token's life, in which a replay has nothing left to kill: a twentieth of it,
/// within these bounds.
const LAST_PART: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// Until a failure must have been told to everyone.
pub(super) const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// What a disk that takes its time may add to that, with the writes of others before.
const SLOW_DISK: Duration = Duration::from_secs(60);

impl Witness {
    /// The daemon tells that something happened.
    pub(super) fn told(&mut self, notice: &Notice, part: &Part, at: Duration) {
        let account = &notice.account;
        let state = notice.snapshot.state.as_str();
        self.trace.note(at, || format!("{account} tells {:?}, {state}", notice.event.name()));
        let life = self.life(account);
        let wrong = match &notice.event {
            Event::RefreshStarted { reason, attempt } => {
                (life.reason, life.attempt) = (Some(*reason), *attempt);
                life.begun = at;
                life.began_at = Some(part.lineage().clone());
                life.hasty = !life.urged && is_good(notice);
                None
            }
            Event::TokenChanged { .. } => {
                let held = notice.snapshot.held.as_ref();
                let token = held.map(|held| held.tokens.access.expose().parse().unwrap());
                let again = token.is_some() && life.told.token == token;
                life.told.token = token;
                (life.told.alarm, life.told.expiry) = (false, false);
                again.then_some("told of the same token twice")
            }
            Event::RefreshFailed { failure, .. } => {
                life.owed = None;
                life.told.failure = true;
                // Whatever failed before, this is something else.
                life.told.alarm &= failure.error != led_elsewhere();
                let shown = notice.snapshot.failure.is_some();
                // A write that no attempt waits for is told beside what is said of the account.
                let unwritten = matches!(failure.error, RefreshError::StoreUnavailable(_));
                // What began at a place that a reload led away from says nothing of the new one,
                // where the account begins anew.
                let elsewhere = !part.plan().has_refresh_token
                    && life.began_at.as_ref().is_some_and(|it| it != part.lineage());
                let beside = unwritten || elsewhere;
                (!shown && !beside).then_some("told of a failure that it does not show")
            }
            Event::Alarm { .. } => {
                let again = std::mem::replace(&mut life.told.alarm, true);
                again.then_some("told of an alarm twice")
            }
            Event::Expired => {
                let again = std::mem::replace(&mut life.told.expiry, true);
                again.then_some("told of an expiry twice")
            }
            Event::Recovered { .. } => {
                let failed = std::mem::take(&mut life.told.failure);
                life.told.alarm = false;
                (!failed).then_some("recovered from nothing")
            }
            Event::ExpiryAhead { .. } | Event::StateChanged | Event::HookFailed { .. } => None,
        };
        if let Some(wrong) = wrong {
            self.violated(account, || wrong.to_owned());
        }
    }

    /// Whether what failed was told in time.
    pub(super) fn check(&mut self, at: Duration) {
        let late = self.lives.iter().find(|(_, life)| life.owed.is_some_and(|owed| owed < at));
        if let Some(account) = late.map(|(account, _)| account.clone()) {
            self.violated(&account, || "a failure was not told in time".to_owned());
        }
    }

    /// By when what fails at `at` must have been told.
    pub(super) fn told_by(&self, at: Duration) -> Duration {
        let slow = !self.slow.is_zero() && at < self.slow + SLOW_DISK;
        at + TOLD_WITHIN + if slow { SLOW_DISK } else { Duration::ZERO }
    }

    /// A write takes its time, and those that are queued behind it do.
    pub(super) fn slowed(&mut self, at: Duration, until: Duration) {
        self.slow = at;
        for life in self.lives.values_mut() {
            life.struggle.is_blocked(at, Some(until), Why::Disk);
            life.owed = life.owed.map(|owed| owed.max(at + TOLD_WITHIN + SLOW_DISK));
        }
    }
}

/// Whether the token is held for longer than its last part.
fn is_good(notice: &Notice) -> bool {
    let (low, high) = LAST_PART;
    let held = notice.snapshot.held.as_ref();
    held.is_some_and(|held| held.ttl(notice.at) > (held.lifetime / 20).clamp(low, high))
}
