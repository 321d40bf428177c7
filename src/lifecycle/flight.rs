//! One attempt: queued, announced, sent, and its result made durable.
//!
//! ```text
//! launch → Queued → admitted → Exchanging(Intending) → intended → Exchanging(Sent)
//!        → exchanged ┬ grant   → Saving → saved → Fresh
//!                    └ failure → Exchanging(Noting) → concluded → a resting state
//! ```

use std::sync::Arc;
use std::time::Duration;

use super::Account;
use super::Attempt;
use super::Brought;
use super::Catch;
use super::Command;
use super::Doubt;
use super::Rank;
use super::Risk;
use super::Series;
use super::State;
use super::Step;
use super::Ticket;
use super::Urgency;
use crate::error::Class;
use crate::error::RefreshError;
use crate::notice::Event;
use crate::notice::Reason;
use crate::plan::Rotation;
use crate::provider::Outcome;
use crate::record::Condition;
use crate::record::Failure;
use crate::record::Standing;
use crate::record::StoreError;
use crate::record::Write;
use crate::schedule;
use crate::schedule::Spread;
use crate::snapshot::Held;
use crate::snapshot::Refusal;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;
use crate::token::Generation;
use crate::token::Grant;

/// Longest pause before saving is tried again.
const LONGEST_SAVE_PAUSE: Duration = Duration::from_secs(30);

/// What the failure of an attempt is called that the last process began and did not conclude.
pub(super) const ENDED_IN_FLIGHT: &str = "the daemon ended while an exchange was under way";

impl Account {
    /// Queues an attempt, or comes to rest until the budget allows one. Says whether it is queued.
    pub(super) fn launch(
        &mut self,
        reason: Reason,
        staged: bool,
        now: Now,
        out: &mut Vec<Command>,
    ) -> bool {
        let free = self.budgeted(now.boot);
        if free > now.boot {
            self.postpone(free);
            out.push(Command::Publish);
            return false;
        }
        let ticket = self.next_ticket();
        self.state = State::Queued(Attempt { ticket, reason, staged });
        out.push(Command::Queue { ticket, urgency: self.urgency(reason), risk: self.risk() });
        out.push(Command::Publish);
        true
    }

    pub(super) fn admitted(&mut self, ticket: Ticket, now: Now, out: &mut Vec<Command>) {
        let State::Queued(attempt) = self.state else { return };
        if attempt.ticket != ticket {
            return;
        }
        let free = self.budgeted(now.boot);
        if free > now.boot {
            self.postpone(free);
            out.push(Command::Publish);
            return;
        }
        self.requests.take(now.boot, usize::from(self.plan.requests));
        self.series.attempts = self.series.attempts.saturating_add(1);
        if let Some(doubt) = &mut self.doubt {
            doubt.replays = doubt.replays.saturating_add(1);
        }
        self.origin = self.lineage.clone();
        self.state = State::Exchanging(attempt, Step::Intending);
        let write = Write::Intent {
            account: self.id.clone(),
            staged: attempt.staged,
            spends: self.risk() != Risk::None,
            now,
            attempts: self.requests.starts().to_vec(),
        };
        out.push(Command::Intend { ticket, write });
        out.push(Command::Publish);
    }

    pub(super) fn barred(
        &mut self,
        ticket: Ticket,
        until: Moment,
        now: Now,
        out: &mut Vec<Command>,
    ) {
        let State::Queued(attempt) = self.state else { return };
        if attempt.ticket != ticket {
            return;
        }
        if self.standing.failure.is_none() && self.left(now).is_zero() {
            let why = "other accounts at this provider fail too, so this one waits".to_owned();
            self.record_failure(RefreshError::Unreachable(why), now);
        }
        self.postpone(until.max(self.budgeted(now.boot)));
        out.push(Command::Publish);
    }

    pub(super) fn intended(
        &mut self,
        ticket: Ticket,
        result: Result<bool, RefreshError>,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        let State::Exchanging(attempt, Step::Intending) = &self.state else { return };
        let attempt = *attempt;
        if attempt.ticket != ticket {
            return;
        }
        match result {
            Ok(durable) if durable || self.risk() == Risk::None => {
                self.state = State::Exchanging(attempt, Step::Sent { sent: now });
                let timeout = self.plan.rotation.exchange_timeout();
                out.push(Command::Exchange { ticket, timeout });
            }
            Ok(_) => {
                let why = "the attempt could not be announced durably".to_owned();
                self.failed(attempt, RefreshError::StoreUnavailable(why), now, now, jitter, out);
            }
            Err(error) => self.failed(attempt, error, now, now, jitter, out),
        }
    }

    pub(super) fn exchanged(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        let State::Exchanging(attempt, Step::Sent { sent }) = &self.state else { return };
        let (attempt, sent) = (*attempt, *sent);
        if attempt.ticket != ticket {
            return;
        }
        let granted = self.granted_at(sent, now);
        match outcome {
            Outcome::Granted(grant) if self.is_foreign(&grant) => {
                let write =
                    Write::Orphan { account: self.id.clone(), grant: Arc::from(grant), now };
                out.push(Command::Write { ticket: Ticket::UNHEARD, write });
                self.failed(attempt, RefreshError::SubjectChanged, sent, now, jitter, out);
            }
            Outcome::Granted(grant) => {
                self.save(attempt, Brought::Tokens(Arc::from(grant)), granted, now, out);
            }
            Outcome::Salvaged(refresh_token, error) => {
                self.save(attempt, Brought::RefreshToken(refresh_token, error), granted, now, out);
            }
            Outcome::Failed(error) => self.failed(attempt, error, sent, now, jitter, out),
        }
    }

    pub(super) fn written(
        &mut self,
        ticket: Ticket,
        result: Result<Option<Generation>, StoreError>,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        if self.staging == Some(ticket) {
            self.staging = None;
            self.staged_or_not(result, now, jitter, out);
            return;
        }
        let ours = match &self.state {
            State::Saving(attempt, catch) => attempt.ticket == ticket && catch.retry.is_none(),
            State::Exchanging(attempt, Step::Noting { .. }) => attempt.ticket == ticket,
            State::Exchanging(_, Step::Intending | Step::Sent { .. })
            | State::Vacant
            | State::Fresh { .. }
            | State::Queued(_)
            | State::InDoubt { .. }
            | State::Waiting { .. }
            | State::Suspect { .. }
            | State::NeedsLogin
            | State::Frozen { .. } => false,
        };
        if !ours {
            return;
        }
        let state = std::mem::replace(&mut self.state, State::Vacant);
        if let State::Exchanging(attempt, Step::Noting { then }) = state {
            self.concluded(attempt, *then, now, jitter, out);
        } else if let State::Saving(attempt, catch) = state {
            match result {
                Ok(generation) => {
                    let generation = generation.unwrap_or_else(|| self.generation.next());
                    self.saved(attempt, catch, generation, now, jitter, out);
                }
                Err(error) => self.not_saved(attempt, catch, &error, now, out),
            }
        }
    }

    /// Tries again to save what could not be saved.
    pub(super) fn save_again(&mut self, now: Now, out: &mut Vec<Command>) {
        let State::Saving(attempt, catch) = &mut self.state else { return };
        catch.retry = None;
        let (attempt, what, sent) = (*attempt, catch.what.clone(), catch.sent);
        let write = self.saving(attempt, &what, sent, now);
        out.push(Command::Write { ticket: attempt.ticket, write });
    }

    fn save(
        &mut self,
        attempt: Attempt,
        what: Brought,
        sent: Now,
        now: Now,
        out: &mut Vec<Command>,
    ) {
        let write = self.saving(attempt, &what, sent, now);
        self.state = State::Saving(attempt, Catch { what, sent, refused: 0, retry: None });
        out.push(Command::Write { ticket: attempt.ticket, write });
        out.push(Command::Publish);
    }

    fn saving(&self, attempt: Attempt, what: &Brought, sent: Now, now: Now) -> Write {
        let account = self.id.clone();
        let staged = attempt.staged;
        let standing = self.standing_after(what, now);
        match what {
            Brought::Tokens(grant) => Write::Commit {
                account,
                grant: Arc::clone(grant),
                issued: sent,
                now,
                lineage: self.origin.clone(),
                staged,
                standing,
            },
            Brought::RefreshToken(refresh_token, _) => Write::Salvage {
                account,
                refresh_token: refresh_token.clone(),
                now,
                staged,
                standing,
            },
        }
    }

    /// How it stands once this is durable.
    fn standing_after(&self, what: &Brought, now: Now) -> Standing {
        let failure = match what {
            Brought::Tokens(grant) if schedule::usable(grant.lifetime).is_zero() => {
                Some(self.failure(RefreshError::BornExpired, now))
            }
            Brought::Tokens(_) => None,
            Brought::RefreshToken(_, error) => Some(self.failure(error.clone(), now)),
        };
        Standing { condition: Condition::Sound, paused: self.standing.paused, failure }
    }

    fn saved(
        &mut self,
        attempt: Attempt,
        catch: Catch,
        generation: Generation,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        let known = std::mem::take(&mut self.unsaved);
        let failed_before = self.standing.failure.is_some();
        self.standing = self.standing_after(&catch.what, now);
        self.generation = generation;
        self.refreshable = self.plan.has_refresh_token;
        self.doubt = None;
        if attempt.staged {
            self.staged = false;
            out.push(Command::Proven(Ok(generation)));
        }
        match &catch.what {
            Brought::Tokens(grant) => {
                self.hold(grant, catch.sent, generation);
                if let Some(subject) = &grant.subject {
                    self.subject = Some(subject.clone());
                }
            }
            Brought::RefreshToken(..) => {}
        }
        if let Some(failure) = self.standing.failure.clone() {
            let pause = match catch.what {
                Brought::Tokens(_) => self.next_pause(Class::Transient, now, jitter),
                Brought::RefreshToken(..) => jitter.of(Duration::from_millis(500)),
            };
            let until = (now.boot + pause).max(self.budgeted(now.boot));
            self.series.since.get_or_insert(now.boot);
            self.state = State::Waiting { until };
            let failure = Arc::new(failure);
            out.push(Command::Publish);
            out.push(Command::Tell(Event::RefreshFailed { reason: attempt.reason, failure }));
        } else {
            let attempts = std::mem::take(&mut self.series).attempts;
            self.state = State::Fresh { due: self.due(now) };
            out.push(Command::Publish);
            if !known {
                let event = Event::TokenChanged { reason: attempt.reason, attempt: attempts };
                out.push(Command::Tell(event));
            }
            if failed_before {
                let failed = attempts.saturating_sub(1).max(1);
                out.push(Command::Tell(Event::Recovered { failed }));
            }
        }
        self.settle_if_due_elsewhere(now, jitter, out);
    }

    fn not_saved(
        &mut self,
        attempt: Attempt,
        mut catch: Catch,
        error: &StoreError,
        now: Now,
        out: &mut Vec<Command>,
    ) {
        let pause = Duration::from_secs(1 << catch.refused.min(5)).min(LONGEST_SAVE_PAUSE);
        catch.refused = catch.refused.saturating_add(1);
        catch.retry = Some(now.boot + pause);
        let first = !std::mem::replace(&mut self.unsaved, true);
        self.record_failure(RefreshError::StoreUnavailable(error.to_string()), now);
        if first && let Brought::Tokens(grant) = &catch.what {
            self.generation = self.generation.next();
            self.hold(grant, catch.sent, self.generation);
        }
        self.state = State::Saving(attempt, catch);
        out.push(Command::Publish);
        if first {
            let attempts = self.series.attempts;
            let event = Event::TokenChanged { reason: attempt.reason, attempt: attempts };
            out.push(Command::Tell(event));
            self.tell_failure(attempt.reason, out);
        }
    }

    /// Makes `grant` the held tokens. Those that were dead on arrival take nothing's place:
    /// what is held may still be good.
    fn hold(&mut self, grant: &Grant, sent: Now, generation: Generation) {
        let usable = schedule::usable(grant.lifetime);
        if usable.is_zero() {
            return;
        }
        self.held = Some(Held {
            tokens: Arc::clone(&grant.tokens),
            generation,
            issued_at: sent.wall,
            lifetime: grant.lifetime,
            expires_boot: sent.boot + usable,
            expires_wall: sent.wall + usable,
        });
        // A token that cannot live until its refresh may be due expires by plan.
        self.told.expiry = usable <= schedule::gap(grant.lifetime);
        if self.standing.failure.is_none() {
            self.told.alarm = false;
        }
    }

    /// An attempt failed. It is raised once that is durable, in [`Self::concluded`].
    fn failed(
        &mut self,
        attempt: Attempt,
        error: RefreshError,
        sent: Now,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        let class = self.class_for_us(&error);
        if attempt.staged {
            self.not_proven(class, &error, sent, now, jitter, out);
            return;
        }
        self.note_patience(class, &error, now, jitter);
        self.record_failure(error.clone(), now);
        if class == Class::Ambiguous {
            self.doubt.get_or_insert(Doubt { sent: sent.boot, replays: 0, staged: false });
        }
        let then = self.rest_after(class, &error, now, jitter);
        let write = Write::Note {
            account: self.id.clone(),
            standing: self.standing.clone(),
            ends_intent: self.doubt.is_none(),
        };
        self.state = State::Exchanging(attempt, Step::Noting { then: Box::new(then) });
        out.push(Command::Write { ticket: attempt.ticket, write });
    }

    /// Where a failure of this class leaves the account.
    fn rest_after(
        &mut self,
        class: Class,
        error: &RefreshError,
        now: Now,
        jitter: Jitter,
    ) -> State {
        match class {
            Class::Definite => {
                self.standing.condition = Condition::NeedsLogin;
                self.doubt = None;
                State::NeedsLogin
            }
            Class::Suspect => {
                self.doubt = None;
                self.suspect(now)
            }
            Class::Config => {
                let local = matches!(error, RefreshError::SecretUnavailable { .. });
                let probe = if local { schedule::SECRET_PROBE } else { schedule::CONFIG_PROBE };
                State::Frozen { until: Some(now.boot + probe) }
            }
            Class::NotSent | Class::Transient | Class::Throttled | Class::Ambiguous => {
                let pause = self.next_pause(class, now, jitter);
                let next = match self.doubt {
                    Some(doubt) => self.next_replay(doubt, pause, now, jitter),
                    None => now.boot + pause,
                };
                let next = next.max(self.budgeted(now.boot));
                let next = self.series.not_before.map_or(next, |bound| next.max(bound));
                if self.doubt.is_some() {
                    State::InDoubt { next }
                } else if let Condition::Suspect { .. } = self.standing.condition {
                    State::Suspect { until: next }
                } else {
                    State::Waiting { until: next }
                }
            }
        }
    }

    /// The refresh token is refused once more.
    fn suspect(&mut self, now: Now) -> State {
        let probes = match self.standing.condition {
            Condition::Sound => 0,
            Condition::Suspect { probes } => probes + 1,
            Condition::NeedsLogin => u8::MAX,
        };
        if let Some(pause) = schedule::SUSPECT_PROBES.get(usize::from(probes)) {
            self.standing.condition = Condition::Suspect { probes };
            State::Suspect { until: now.boot + *pause }
        } else {
            self.standing.condition = Condition::NeedsLogin;
            State::NeedsLogin
        }
    }

    fn concluded(
        &mut self,
        attempt: Attempt,
        then: State,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        self.state = then;
        out.push(Command::Publish);
        self.tell_failure(attempt.reason, out);
        self.settle_if_due_elsewhere(now, jitter, out);
    }

    /// The staged credential did not prove itself. The account's own one is untouched.
    fn not_proven(
        &mut self,
        class: Class,
        error: &RefreshError,
        sent: Now,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        let refusal = Refusal {
            provider_error: error.provider_error().cloned(),
            ..Refusal::new(error.code(), error.to_string())
        };
        if class == Class::Ambiguous
            || self.doubt.is_some_and(|doubt| doubt.staged) && !is_verdict(class)
        {
            let first = Doubt { sent: sent.boot, replays: 0, staged: true };
            let doubt = *self.doubt.get_or_insert(first);
            let pause = self.next_pause(class, now, jitter);
            let next = self.next_replay(doubt, pause, now, jitter).max(self.budgeted(now.boot));
            self.state = State::InDoubt { next };
            out.push(Command::Publish);
        } else {
            self.staged = false;
            self.doubt = None;
            self.series = Series::default();
            let write = Write::Unstage { account: self.id.clone() };
            out.push(Command::Write { ticket: Ticket::UNHEARD, write });
            self.state = State::Vacant;
            self.settle(now, jitter, out);
        }
        out.push(Command::Proven(Err(refusal)));
    }

    /// When the next replay of a spend in doubt is due; `pause` is the ordinary backoff.
    pub(super) fn next_replay(
        &self,
        doubt: Doubt,
        pause: Duration,
        now: Now,
        jitter: Jitter,
    ) -> Moment {
        const AT_ONCE: Duration = Duration::from_millis(500);

        let first = doubt.replays == 0;
        let lost_after = now.boot.since(doubt.sent);
        let planned = self.plan.rotation.grace().and_then(|grace| {
            schedule::replay_after(doubt.replays.saturating_add(1), grace, lost_after, jitter)
        });
        if let Some(after) = planned {
            return doubt.sent + after;
        }
        let soon = now.boot + if first { jitter.of(AT_ONCE) } else { pause };
        match self.plan.rotation {
            // Nobody said that a replay does harm.
            Rotation::Unknown | Rotation::Never => soon,
            // A replay outside the grace may kill the token that is still good.
            Rotation::Grace(_) | Rotation::Strict => self
                .held
                .as_ref()
                .filter(|held| !held.ttl(now).is_zero())
                .map_or(soon, |held| soon.max(held.expires_boot.before(last_stretch(held)))),
        }
    }

    /// The pause after a failure, remembered for the next one.
    fn next_pause(&mut self, class: Class, now: Now, jitter: Jitter) -> Duration {
        if class == Class::Throttled {
            return schedule::throttled(self.series.throttles, jitter);
        }
        let left = self.left(now);
        self.series.pause = schedule::backoff(self.series.pause, left, jitter);
        self.series.pause
    }

    /// Takes down how long the provider asks us to stay away.
    fn note_patience(&mut self, class: Class, error: &RefreshError, now: Now, jitter: Jitter) {
        self.series.throttles =
            if class == Class::Throttled { self.series.throttles.saturating_add(1) } else { 0 };
        self.series.not_before =
            error.retry_after().map(|asked| now.boot + schedule::retry_after(asked, jitter));
    }

    /// What an error means for this account: without a refresh token, nothing can be lost
    /// and nobody can log in.
    fn class_for_us(&self, error: &RefreshError) -> Class {
        let class = error.class();
        if class == Class::Ambiguous && self.risk() == Risk::None {
            Class::Transient
        } else if is_verdict(class) && !self.plan.has_refresh_token {
            Class::Config
        } else {
            class
        }
    }

    pub(super) fn record_failure(&mut self, error: RefreshError, now: Now) {
        let failure = self.failure(error, now);
        self.series.since.get_or_insert(now.boot);
        self.standing.failure = Some(failure);
    }

    fn failure(&self, error: RefreshError, now: Now) -> Failure {
        let since_ms = match &self.standing.failure {
            Some(failure) => failure.since_ms,
            None => now.wall.as_millis(),
        };
        let not_before_ms = self.series.not_before.map(|moment| now.wall_at(moment).as_millis());
        Failure { error, since_ms, attempt: self.series.attempts, not_before_ms }
    }

    pub(super) fn tell_failure(&self, reason: Reason, out: &mut Vec<Command>) {
        if let Some(failure) = &self.standing.failure {
            let failure = Arc::new(failure.clone());
            out.push(Command::Tell(Event::RefreshFailed { reason, failure }));
        }
    }

    /// From when the lifetime of what an exchange brought counts.
    ///
    /// After a replay, from the first send of that refresh token: a provider may answer
    /// with the very tokens whose reply was lost, and with their whole lifetime.
    fn granted_at(&self, sent: Now, now: Now) -> Now {
        let first = self.doubt.map_or(sent.boot, |doubt| doubt.sent.min(sent.boot));
        Now { boot: first, wall: now.wall_at(first).min(sent.wall) }
    }

    fn is_foreign(&self, grant: &Grant) -> bool {
        match (&self.subject, &grant.subject) {
            (Some(ours), Some(theirs)) => ours != theirs,
            _ => false,
        }
    }

    /// When the refresh of the held tokens is due.
    pub(super) fn due(&self, now: Now) -> Moment {
        let free = self.budgeted(now.boot);
        let Some(held) = &self.held else { return free };
        let spread = Spread::of(&self.id, self.generation);
        let after = schedule::refresh_after(held.lifetime, self.plan.refresh_before, spread);
        // Counted back from the expiry, which a step of the wall clock may have moved.
        let early = schedule::usable(held.lifetime).saturating_sub(after);
        let late = after.saturating_sub(schedule::usable(held.lifetime));
        (held.expires_boot.before(early) + late).max(free)
    }

    /// What is left of the held tokens.
    pub(super) fn left(&self, now: Now) -> Duration {
        self.held.as_ref().map_or(Duration::ZERO, |held| held.ttl(now))
    }

    /// The first moment at which the budget allows an attempt.
    pub(super) fn budgeted(&self, now: Moment) -> Moment {
        self.requests.earliest(now, usize::from(self.plan.requests))
    }

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

    fn urgency(&self, reason: Reason) -> Urgency {
        let expiry = self.held.as_ref().map_or_else(Moment::default, |held| held.expires_boot);
        if let (Some(doubt), Some(grace)) = (self.doubt, self.plan.rotation.grace()) {
            return Urgency { rank: Rank::InDoubt, deadline: doubt.sent + grace };
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
}

/// Whether the provider has spoken about the credential itself.
const fn is_verdict(class: Class) -> bool {
    matches!(class, Class::Suspect | Class::Definite)
}

/// The last part of a token's life, in which nothing is left to protect.
fn last_stretch(held: &Held) -> Duration {
    (held.lifetime / 20).clamp(Duration::from_secs(5), Duration::from_secs(60))
}
