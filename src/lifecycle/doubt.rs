//! A spend whose reply was lost: when it is replayed. The grace of a provider decides, and where there
//! is none, what a replay could kill.

use std::time::Duration;

use super::Account;
use super::Doubt;
use super::Sent;
use crate::plan::Rotation;
use crate::schedule;
use crate::schedule::Replay;
use crate::snapshot::Held;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;

/// So many replays come before the one at half of the grace, or at once after that.
pub(super) const BEFORE_HALF: u32 = 3;

/// So many replays come before the last one that is planned, shortly before the end of the grace.
const BEFORE_LAST: u32 = 4;

/// So long a provider may be at work on a request.
const AT_WORK: Duration = Duration::from_millis(500);

impl Doubt {
    /// One more replay begins. One that a person has ordered, or that comes in the ordinary pace, takes
    /// the place of none that is planned for later.
    pub(super) fn is_replayed(&mut self, now: Moment, rotation: Rotation) {
        let next = self.replays.saturating_add(1);
        let Some(grace) = rotation.grace() else {
            self.replays = next;
            return;
        };
        // What is planned may fall between two whole milliseconds, which moments count.
        let passed = now.since(self.grace_from) + Duration::from_micros(999);
        if passed >= schedule::last_replay(grace) {
            self.replays = schedule::NO_MORE;
        } else if passed >= schedule::planned_replay(next, grace) {
            self.replays = next;
        }
    }
}

impl Account {
    /// The doubt about a credential once one more reply to it was lost.
    ///
    /// A replay that came after the grace may be the one that the provider took, and has a grace of
    /// its own. It gets the last replay of a plan inside of that, and not a whole one each time: the provider
    /// may have trouble enough.
    pub(super) fn doubt_after(&self, doubt: Option<Doubt>, sent: Sent) -> Doubt {
        let Sent(sent) = sent;
        let Some(doubt) = doubt else {
            let (grace_from, last) = (sent.boot, sent.boot);
            return Doubt { sent, grace_from, last, replays: 0, late: false };
        };
        let grace = self.plan.rotation.grace();
        let over = |grace| doubt.late || sent.boot >= doubt.grace_from + grace;
        let doubt = Doubt { last: sent.boot, ..doubt };
        if grace.is_some_and(over) {
            Doubt { grace_from: sent.boot, replays: BEFORE_LAST, late: false, ..doubt }
        } else {
            doubt
        }
    }

    /// When the next replay of a spend in doubt is due; `pause` is the ordinary backoff.
    pub(super) fn next_replay(
        &self,
        doubt: Doubt,
        pause: Duration,
        now: Now,
        jitter: Jitter,
    ) -> Moment {
        let soon = soon(doubt, pause, now, jitter);
        let otherwise = match self.plan.rotation {
            // Nobody said that a replay does harm.
            Rotation::Unknown | Rotation::Never => soon,
            // A replay outside the grace may kill the token that is still good.
            Rotation::Grace(_) | Rotation::Strict => soon.max(self.nearly_spent(now)),
        };
        self.planned_or(otherwise, doubt, now, jitter)
    }

    /// The same of a credential that was handed in: it is of another login than the account's token,
    /// which no replay of it can kill, and whoever handed it in is refused another one meanwhile.
    pub(super) fn next_staged_replay(
        &self,
        doubt: Doubt,
        pause: Duration,
        now: Now,
        jitter: Jitter,
    ) -> Moment {
        self.planned_or(soon(doubt, pause, now, jitter), doubt, now, jitter)
    }

    /// When the next planned replay is due, or `otherwise` where none is. Who has nothing to protect
    /// does not wait for the last one, as long as the budget leaves a request for that.
    ///
    /// None follows the last request at once: the provider may be at work on that, also after a kill,
    /// and of two that it takes within the grace the one that it takes last is what it goes by.
    fn planned_or(&self, otherwise: Moment, doubt: Doubt, now: Now, jitter: Jitter) -> Moment {
        let next = match self.planned_replay(doubt, now, jitter) {
            Some(last) if doubt.replays >= BEFORE_LAST && self.leaves_another(otherwise) => {
                last.min(otherwise)
            }
            Some(planned) => planned,
            None => otherwise,
        };
        let grace = self.plan.rotation.grace();
        next.max(doubt.last + grace.map_or(AT_WORK, |grace| AT_WORK.min(grace / 8)))
    }

    /// Whether the budget allows another attempt together with one at that moment.
    fn leaves_another(&self, moment: Moment) -> bool {
        self.requests.earliest(moment, 2 * self.cost()) <= moment
    }

    /// When the next replay of a spend in doubt is due inside the grace; `None` where none is to come.
    pub(super) fn planned_replay(&self, doubt: Doubt, now: Now, jitter: Jitter) -> Option<Moment> {
        let lost_after = now.boot.since(doubt.grace_from);
        let grace = self.plan.rotation.grace().filter(|_| !doubt.late)?;
        let count = doubt.replays.saturating_add(1);
        let after = schedule::replay_after(Replay { count, grace, lost_after }, jitter)?;
        Some(doubt.grace_from + after)
    }

    /// When a replay that was refused is followed by another one; `None` where none is to come.
    ///
    /// If the provider did not mean it, only another replay inside the grace brings what was lost;
    /// and it confirms no less than a confirmation would. After those that are planned there is one
    /// more, at half of the grace of the request that may have been taken last.
    pub(super) fn replay_once_refused(
        &self,
        doubt: Doubt,
        now: Now,
        jitter: Jitter,
    ) -> Option<Moment> {
        self.planned_replay(doubt, now, jitter).or_else(|| {
            let grace = self.plan.rotation.grace().filter(|_| !doubt.late)?;
            Some(doubt.last + grace / 2).filter(|replay| *replay > now.boot)
        })
    }

    /// When the held token is so close to its end that a replay has nothing left to kill.
    pub(super) fn nearly_spent(&self, now: Now) -> Moment {
        let good = self.held.as_ref().filter(|held| !held.ttl(now).is_zero());
        good.map_or(now.boot, |held| held.expires_boot.before(last_stretch(held)))
    }
}

/// At once the first time, and then in the ordinary pace.
fn soon(doubt: Doubt, pause: Duration, now: Now, jitter: Jitter) -> Moment {
    const AT_ONCE: Duration = Duration::from_millis(500);

    now.boot + if doubt.replays == 0 { jitter.of(AT_ONCE) } else { pause }
}

/// The last part of a token's life, in which nothing is left to protect.
pub(super) fn last_stretch(held: &Held) -> Duration {
    (held.lifetime / 20).clamp(Duration::from_secs(5), Duration::from_secs(60))
}
