//! What people and programs may ask of an account.
//!
//! | order | resting after a failure | in doubt | refused for good | paused | released |
//! |---|---|---|---|---|---|
//! | demand | the stored error | waits for the replay | the stored error | the stored error | refused |
//! | refresh, report | the stored error | the stored error | the stored error | refused | refused |
//! | retry | tries now, not before `Retry-After` | replays now | probes once | refused | refused |
//! | import | proves it, then replaces | the same | the same | refused | proves it, then takes back |
//! | import of what was found | the same | the same | the same | refused | refused |
//! | logout | ends the login | refused | ends the login | ends the login | refused |
//! | clear | forgets it | the same | the same | forgets it, stays paused | forgets it, and is released no more |
//! | release | pauses for good | refused | as after a failure | pauses for good | made durable again |
//! | resume | nothing | nothing | nothing | finds its place again | finds its place again |

use std::fmt;
use std::time::Duration;

use super::Account;
use super::State;
use super::What;
use super::words::Action;
use super::words::Command;
use super::words::Done;
use super::words::Ticket;
use crate::budget::FORCED_PER_FIVE_MINUTES;
use crate::error::code::Code;
use crate::notice::Reason;
use crate::record::Hold;
use crate::record::Standing;
use crate::record::Write;
use crate::snapshot::Refusal;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;
use crate::time::secs_until_over;
use crate::time::spoken;
use crate::token::Generation;
use crate::token::Kind;

/// Why an attempt that somebody wants does not begin. Says when it may, since the message may be
/// all that its reader has.
#[derive(Debug, thiserror::Error)]
enum TooSoon {
    #[error(
        "at most {FORCED_PER_FIVE_MINUTES} forced refreshes in five minutes; the next one is \
         allowed in {0}, and the current token stays"
    )]
    Forced(Wait),
    #[error("the request budget is used up; the next request is allowed in {0}")]
    Budget(Wait),
    #[error("the request budget is used up; it is tried again in {0}")]
    Postponed(Wait),
    #[error(
        "what is left of the requests of this minute is for the replays that come by themselves, \
         the next one in {0}; without them the login may be lost"
    )]
    ForReplays(Wait),
}

/// So many requests are left to the replays of a plan when a person wants one at once: to those at half
/// of the grace and shortly before its end.
const LEFT_TO_REPLAYS: usize = 2;

/// How long it is until a moment, as people say it.
#[derive(Debug)]
struct Wait(Duration);

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spoken(Duration::from_secs(secs_until_over(self.0))))
    }
}

impl Account {
    pub(super) fn ordered(
        &mut self,
        action: Action,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        match action {
            Action::Demand(kind) => self.demanded(kind, now, out),
            Action::Refresh => self.forced(Reason::Requested, now, out),
            Action::Report { generation, stream } => {
                let reason = if stream {
                    Reason::StreamUnauthenticated
                } else {
                    Reason::TransportUnauthenticated
                };
                self.rejected(generation, reason, now, out);
            }
            Action::Import(credential) => self.import(*credential, now, jitter, out),
            Action::Pause => self.pause(now, jitter, out),
            Action::Resume => self.resume(now, jitter, out),
            Action::Release => self.release(now, jitter, out),
            Action::Retry => self.retry(now, out),
            Action::Clear => self.clear(now, jitter, out),
            Action::Logout => self.logout(now, out),
            Action::SecretChanged => self.secret_changed(now, out),
        }
    }

    /// Somebody waits for a token: a fresh account refreshes, no sooner than its gap allows.
    fn demanded(&mut self, kind: Kind, now: Now, out: &mut Vec<Command>) {
        let State::Fresh { due } = self.state else { return };
        let earliest = self.earliest_for(kind, now);
        if earliest <= now.boot {
            // A token that is still good was not enough for somebody.
            let good = self.held.as_ref().is_some_and(|held| !held.ttl(now).is_zero());
            let reason = if good { Reason::Requested } else { Reason::ExpiredCachedToken };
            self.launch(reason, self.stake_for(kind, now), now, out);
        } else if earliest < due {
            self.state = State::Fresh { due: earliest };
            out.push(Command::Publish);
        }
    }

    /// Somebody wants a refresh for a reason of their own.
    fn forced(&mut self, reason: Reason, now: Now, out: &mut Vec<Command>) {
        if self.is_flying() {
            out.push(Command::Answer(Ok(Done::Joined(self.generation))));
            return;
        }
        let State::Fresh { .. } = self.state else {
            out.push(Command::Answer(Err(self.snapshot().refusal())));
            return;
        };
        let forced = self.forced.earliest(now.boot, 1);
        let free = self.budgeted(now.boot).max(forced);
        if free > now.boot {
            let wait = Wait(free.since(now.boot));
            let why = if forced > now.boot { TooSoon::Forced(wait) } else { TooSoon::Budget(wait) };
            out.push(Command::Answer(Err(too_soon(&why, free))));
            return;
        }
        self.forced.take(now.boot, 1);
        self.launch(reason, self.next_stake(now), now, out);
        out.push(Command::Answer(Ok(Done::Joined(self.generation))));
    }

    /// The token of `generation` was rejected: only the current one is worth a refresh.
    fn rejected(
        &mut self,
        generation: Generation,
        reason: Reason,
        now: Now,
        out: &mut Vec<Command>,
    ) {
        let current = self.held.as_ref().map_or(self.generation, |held| held.generation);
        if generation != current {
            out.push(Command::Answer(Ok(Done::Current(current))));
            return;
        }
        self.forced(reason, now, out);
    }

    fn pause(&mut self, now: Now, jitter: Jitter, out: &mut Vec<Command>) {
        if self.standing.hold == Hold::None {
            self.standing.hold = Hold::Paused;
            let ticket = self.answered_by_write(out);
            out.push(Command::Write { ticket, write: self.note(now) });
            if let State::Queued(_) = self.state {
                out.push(Command::Unqueue);
                self.state = State::Vacant;
            }
            self.settle(now, jitter, out);
        } else {
            out.push(Command::Answer(Ok(Done::Current(self.generation))));
        }
    }

    /// The order that is being carried out is answered when a write has ended.
    pub(super) fn answered_by_write(&mut self, out: &mut Vec<Command>) -> Ticket {
        let ticket = self.next_ticket();
        self.ordered.push((ticket, Done::Changed(self.generation)));
        out.push(Command::AnswerLater(ticket));
        ticket
    }

    fn resume(&mut self, now: Now, jitter: Jitter, out: &mut Vec<Command>) {
        if self.standing.hold != Hold::None {
            self.standing.hold = Hold::None;
            self.aside = None;
            let ticket = self.answered_by_write(out);
            out.push(Command::Write { ticket, write: self.note(now) });
            self.settle(now, jitter, out);
        } else {
            out.push(Command::Answer(Ok(Done::Current(self.generation))));
        }
    }

    /// An operator wants a resting account tried now. `Retry-After` still holds.
    fn retry(&mut self, now: Now, out: &mut Vec<Command>) {
        if self.is_flying() {
            out.push(Command::Answer(Ok(Done::Joined(self.generation))));
            return;
        }
        match self.state {
            State::Fresh { .. } => {
                out.push(Command::Answer(Ok(Done::Current(self.generation))));
                return;
            }
            State::Vacant | State::Frozen { until: None } => {
                out.push(Command::Answer(Err(self.snapshot().refusal())));
                return;
            }
            State::NeedsLogin if self.leads_elsewhere() => {
                out.push(Command::Answer(Err(self.snapshot().refusal())));
                return;
            }
            State::InDoubt { .. }
            | State::Waiting { .. }
            | State::Suspect { .. }
            | State::NeedsLogin
            | State::Frozen { .. }
            | State::Queued(_)
            | State::Exchanging(..)
            | State::Saving(..)
            | State::Leaving(..) => {}
        }
        if let Some(next) = self.replays_would_lack(now) {
            let why = TooSoon::ForReplays(Wait(next.since(now.boot)));
            out.push(Command::Answer(Err(too_soon(&why, next))));
            return;
        }
        self.arm_sign_in();
        let bound = self.series.not_before.filter(|bound| *bound > now.boot);
        if let Some(bound) = bound {
            let last = self.snapshot().refusal();
            let wait = spoken(bound.since(now.boot));
            let message = format!(
                "not tried, since the provider asked to wait, {wait} from now on; the last attempt: {}",
                last.message
            );
            let refusal = Refusal { retry_at: Some(bound), message, ..last };
            out.push(Command::Answer(Err(refusal)));
        } else if self.go_on(Reason::Requested, now, out) {
            out.push(Command::Answer(Ok(Done::Joined(self.generation))));
        } else if let State::InDoubt { .. } = self.state {
            out.push(Command::Answer(Err(self.snapshot().refusal())));
        } else {
            let at = self.planned().unwrap_or(now.boot);
            let why = TooSoon::Postponed(Wait(at.since(now.boot)));
            out.push(Command::Answer(Err(too_soon(&why, at))));
        }
    }

    /// When the next replay comes by itself, if one more request now left none for those that are to
    /// come within the grace.
    fn replays_would_lack(&self, now: Now) -> Option<Moment> {
        let State::InDoubt { next } = self.state else { return None };
        let grace = self.plan.rotation.grace()?;
        let doubt = self.doubt.filter(|doubt| !doubt.late && next < doubt.grace_from + grace);
        let wanted = self.cost() * (1 + LEFT_TO_REPLAYS);
        doubt.filter(|_| self.requests.earliest(now.boot, wanted) > now.boot).map(|_| next)
    }

    /// An operator wants the credential forgotten.
    fn clear(&mut self, now: Now, jitter: Jitter, out: &mut Vec<Command>) {
        if self.is_flying() {
            let message = "a refresh is under way; try again when it has ended";
            out.push(Command::Answer(Err(Refusal::new(Code::RefreshPending, message))));
            return;
        }
        let ticket = self.answered_by_write(out);
        self.forget(ticket, now, jitter, out);
    }

    /// Forgets the credential and all that is known of it. `ticket` is the write that makes it so.
    pub(super) fn forget(
        &mut self,
        ticket: Ticket,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        let write = Write::Clear { account: self.id.clone() };
        out.push(Command::Write { ticket, write });
        let message = "the credential was forgotten before it was proven";
        let entry = self.entry();
        let refusal = Refusal { entry, ..Refusal::new(Code::NeedsLogin, message) };
        self.answer_importer(Err(refusal), out);
        self.held = None;
        self.unsaved = false;
        self.refreshable = false;
        self.candidate = None;
        self.aside = None;
        self.subject = None;
        self.doubt = None;
        self.series = super::Series::default();
        // What was handed out ends with what is known of it; the next login is this account's own.
        let hold = if self.is_released() { Hold::None } else { self.standing.hold };
        self.standing = Standing { hold, forgotten: true, ..Standing::default() };
        self.look_ahead(now);
        self.owe(What::Standing, now, out);
        self.settle(now, jitter, out);
    }

    /// One of its secrets changed: what failed for want of it is tried again.
    fn secret_changed(&mut self, now: Now, out: &mut Vec<Command>) {
        self.arm_sign_in();
        self.aside = None;
        let waits = match self.state {
            State::Frozen { until } => until.is_some(),
            State::Waiting { .. } => true,
            State::Vacant | State::NeedsLogin => self.must_sign_in(),
            State::Fresh { .. }
            | State::Queued(_)
            | State::Exchanging(..)
            | State::Saving(..)
            | State::Leaving(..)
            | State::InDoubt { .. }
            | State::Suspect { .. } => false,
        };
        if waits {
            self.go_on(Reason::Requested, now, out);
        }
    }
}

fn too_soon(why: &TooSoon, retry_at: Moment) -> Refusal {
    let refusal = Refusal::new(Code::RateLimitExceeded, why.to_string());
    Refusal { retry_at: Some(retry_at), ..refusal }
}
