//! What the store holds of an account, taken over at a start.
//!
//! Of an attempt that the last process began and did not conclude nobody knows whether its refresh
//! token was spent: it is in doubt.

use std::sync::Arc;
use std::time::Duration;

use super::Account;
use super::Candidate;
use super::Doubt;
use super::doubt::BEFORE_HALF;
use super::words::Command;
use crate::error::RefreshError;
use crate::notice::Reason;
use crate::record::Record;
use crate::record::Saved;
use crate::record::Stamp;
use crate::schedule;
use crate::schedule::LONGEST_RETRY_AFTER;
use crate::snapshot::Held;
use crate::snapshot::HeldAws;
use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;

/// What the failure of an attempt is called that the last process began and did not conclude.
const ENDED_IN_FLIGHT: &str = "the daemon ended while an exchange was under way";

/// A wall clock that is this much behind the newest record was set back, or starts
/// without a battery: nothing can be said of what is left of a token.
const TRUSTED_SETBACK: Duration = Duration::from_secs(60);

impl Account {
    /// Takes over what the store holds.
    pub(super) fn restore(&mut self, record: Record, now: Now, out: &mut Vec<Command>) {
        self.take_over(record, now, out);
        // The last process may have waited for its disk before it sent what it had announced: until
        // just now, and not later than what this one will send.
        self.requests.put_off_the_last(now.boot.before(Duration::from_millis(1)));
    }

    fn take_over(&mut self, record: Record, now: Now, out: &mut Vec<Command>) {
        // Nearly all are where the configuration sends them, and one copy of that is enough.
        self.origin =
            if record.lineage == self.lineage { self.lineage.clone() } else { record.lineage };
        self.subject = record.subject;
        let mark = record.staged_mark;
        self.candidate = record.staged.map(|lineage| Box::new(Candidate::left_over(lineage, mark)));
        self.standing = record.standing;
        // A wall clock that is behind the newest of them knows at least how far they lie apart.
        let newest = record.attempts.iter().map(|begun| begun.wall).max();
        let now_or_later = Now { wall: newest.map_or(now.wall, |it| it.max(now.wall)), ..now };
        let begun = record.attempts.iter().map(|begun| moment(*begun, now_or_later));
        self.requests = self.requests.clone().after(begun);
        if let Some(failure) = &self.standing.failure {
            self.series.attempts = failure.attempt;
            self.series.since = Some(now.boot);
            // A wall clock that was set back since makes it no longer than it can have been.
            let longest = now.boot + LONGEST_RETRY_AFTER + LONGEST_RETRY_AFTER / 10;
            let asked = failure.not_before_ms.map(Timestamp::from_millis);
            self.series.not_before = asked.map(|asked| now.moment_of(asked).min(longest));
        }
        if let Some(saved) = record.current {
            self.generation = saved.generation;
            self.refreshable = saved.refreshable;
            self.held = held(&saved, now);
            self.told.expiry = self.held.is_none();
        }
        self.begin_where_it_is_led();
        if self.risk() == super::words::Risk::None {
            return;
        }
        let doubt = record.staged_intent.map(|intent| self.doubt_since(intent.at, now));
        if let Some(candidate) = &mut self.candidate {
            candidate.doubt = doubt;
        }
        if let Some(intent) = record.intent {
            self.doubt = Some(self.doubt_since(intent.at, now));
            self.series.attempts = self.series.attempts.max(1);
            let error = RefreshError::ReplyLost(ENDED_IN_FLIGHT.to_owned());
            self.record_failure(error, now);
            self.tell_failure(Reason::Replay, out);
        }
    }

    /// The doubt about a spend that the last process began. After a reboot only the wall
    /// clock tells how long ago; if it was set back, it tells nothing.
    ///
    /// The plan of its replays goes on where it was: if each life had a replay at once, a few kills
    /// in a row would use up the requests of a minute long before the grace is over. However
    /// many the last processes made, two are still to come.
    fn doubt_since(&self, at: Stamp, now: Now) -> Doubt {
        let sent = Now { boot: moment(at, now), wall: at.wall };
        let elapsed = now.wall.since(at.wall);
        let grace = self.plan.rotation.grace().unwrap_or_default();
        let set_back = now.wall + TRUSTED_SETBACK < at.wall;
        let late = at.boot.is_none() && (elapsed >= grace || set_back);
        let replays = self.attempts_since(sent.boot).saturating_sub(1).min(BEFORE_HALF);
        let last = self.requests.starts().last().map_or(sent.boot, |begun| sent.boot.max(*begun));
        Doubt { sent, grace_from: sent.boot, last, replays, late }
    }

    /// How many attempts were begun at `moment` or later, of those that still count. One may be of
    /// several requests, which are counted at one moment.
    fn attempts_since(&self, moment: Moment) -> u32 {
        let starts = self.requests.starts();
        let since = starts.get(starts.partition_point(|start| *start < moment)..);
        let attempts = since.unwrap_or_default().chunk_by(PartialEq::eq).count();
        u32::try_from(attempts).unwrap_or(u32::MAX)
    }
}

/// The moment of a stamp, as far as it can be told after a reboot: before that at any rate.
fn moment(stamp: Stamp, now: Now) -> Moment {
    let told = now.boot.before(now.wall.since(stamp.wall));
    stamp.boot.unwrap_or_else(|| told.min(Moment::default()))
}

/// The tokens of a saved generation, with what is left of them.
fn held(saved: &Saved, now: Now) -> Option<Held> {
    let tokens = Arc::clone(saved.tokens.as_ref()?);
    let usable = schedule::usable(saved.lifetime);
    Some(Held {
        tokens,
        generation: saved.generation,
        issued_at: saved.issued.wall,
        lifetime: saved.lifetime,
        expires_boot: expiry(saved.issued, usable, now),
        expires_wall: saved.issued.wall + usable,
        aws: saved.aws.as_ref().map(|aws| {
            let usable = schedule::usable(aws.lifetime);
            Arc::new(HeldAws {
                credentials: Arc::clone(&aws.credentials),
                issued_at: aws.issued.wall,
                lifetime: aws.lifetime,
                expires_boot: expiry(aws.issued, usable, now),
                expires_wall: aws.issued.wall + usable,
            })
        }),
    })
}

/// When something ends that was issued then and is usable for so long. If the wall clock
/// was set back and the host booted since, nothing is known of it, and it counts as ended.
fn expiry(issued: Stamp, usable: Duration, now: Now) -> Moment {
    let by_wall = now.boot + (issued.wall + usable).since(now.wall);
    let set_back = now.wall + TRUSTED_SETBACK < issued.wall;
    match issued.boot {
        Some(boot) => (boot + usable).min(by_wall),
        None if set_back => now.boot,
        None => by_wall.min(now.boot + usable),
    }
}
