//! One attempt, from its place in the queue to the answer of the provider.
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
use super::Sent;
use super::State;
use super::Step;
use super::What;
use super::state::Leaving;
use super::words::Bar;
use super::words::Command;
use super::words::Risk;
use super::words::Ticket;
use crate::error::RefreshError;
use crate::error::code::Code;
use crate::notice::Event;
use crate::notice::Reason;
use crate::provider::Outcome;
use crate::record::Stake;
use crate::record::StoreError;
use crate::record::Write;
use crate::snapshot::Refusal;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;
use crate::token::AwsGrant;
use crate::token::Generation;
use crate::token::Grant;

/// How long a sign-in may take: it spends nothing, and hashing a password takes its time.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(30);

impl Account {
    /// Queues an attempt, or comes to rest until the budget allows one. Says whether it is queued.
    pub(super) fn launch(
        &mut self,
        reason: Reason,
        stake: Stake,
        now: Now,
        out: &mut Vec<Command>,
    ) -> bool {
        if stake == Stake::Staged {
            self.set_aside();
        }
        let free = self.free_at(stake, now);
        if free > now.boot {
            self.postpone(free);
            out.push(Command::Publish);
            return false;
        }
        let ticket = self.next_ticket();
        self.state = State::Queued(Attempt { ticket, reason, stake });
        let urgency = self.urgency(reason, stake, now);
        out.push(Command::Queue { ticket, stake, urgency, risk: self.risk_of(stake) });
        out.push(Command::Publish);
        true
    }

    pub(super) fn admitted(&mut self, ticket: Ticket, now: Now, out: &mut Vec<Command>) {
        let State::Queued(attempt) = self.state else { return };
        if attempt.ticket != ticket {
            return;
        }
        let free = self.free_at(attempt.stake, now);
        if free > now.boot {
            self.postpone(free);
            out.push(Command::Publish);
            return;
        }
        self.requests.take(now.boot, self.cost());
        self.series.attempts = self.series.attempts.saturating_add(1);
        let doubt = match attempt.stake {
            Stake::Current => self.doubt.as_mut(),
            Stake::Staged => self.candidate.as_mut().and_then(|it| it.doubt.as_mut()),
            Stake::SignIn => None,
        };
        if let Some(doubt) = doubt {
            doubt.is_replayed(now.boot, self.plan.rotation);
        }
        self.destination = self.lineage.clone();
        self.state = State::Exchanging(attempt, Step::Intending);
        let write = Write::Intent {
            account: self.id.clone(),
            stake: attempt.stake,
            replays: self.doubt_about(attempt.stake).is_some(),
            spends: self.risk_of(attempt.stake) != Risk::None,
            now,
            attempts: self.requests.starts().to_vec(),
        };
        let (reason, attempts) = (attempt.reason, self.series.attempts);
        out.push(Command::Tell(Event::RefreshStarted { reason, attempt: attempts }));
        out.push(Command::Intend { ticket, stake: attempt.stake, write });
        out.push(Command::Publish);
    }

    pub(super) fn barred(
        &mut self,
        ticket: Ticket,
        until: Moment,
        why: Bar,
        now: Now,
        out: &mut Vec<Command>,
    ) {
        let State::Queued(attempt) = self.state else { return };
        if attempt.ticket != ticket {
            return;
        }
        // Of one that was handed in, the account's own failure says nothing.
        let own = attempt.stake != Stake::Staged;
        if own && self.left(now).is_zero() && self.would_mislead(attempt.reason) {
            self.record_failure(RefreshError::Unreachable(why.words().to_owned()), now);
            self.tell_failure(attempt.reason, out);
        }
        self.postpone(until.max(self.budgeted(now.boot)));
        out.push(Command::Publish);
    }

    /// Whether the raised failure is not why an attempt waits that was begun for that reason:
    /// there is none, or it is about a secret that somebody has just seen to.
    fn would_mislead(&self, reason: Reason) -> bool {
        match self.standing.failure.as_deref() {
            Some(failure) => {
                let secret = failure.error.code() == Code::SecretUnavailable;
                secret && reason == Reason::Requested
            }
            None => true,
        }
    }

    pub(super) fn intended(
        &mut self,
        ticket: Ticket,
        result: Result<bool, RefreshError>,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        if let State::Leaving(ours, Leaving::Intending) = self.state
            && ours == ticket
        {
            self.ready_to_leave(ticket, result, now, jitter, out);
            return;
        }
        let State::Exchanging(attempt, Step::Intending) = &self.state else { return };
        let attempt = *attempt;
        if attempt.ticket != ticket {
            return;
        }
        match self.may_send(attempt.stake, result, now) {
            Ok(()) => {
                self.requests.put_off(now.boot, self.cost());
                self.state = State::Exchanging(attempt, Step::Sent(Sent(now)));
                let timeout = match attempt.stake {
                    Stake::Current | Stake::Staged => self.plan.rotation.exchange_timeout(),
                    Stake::SignIn => SIGN_IN_TIMEOUT,
                };
                out.push(Command::Exchange { ticket, stake: attempt.stake, timeout });
            }
            Err(error) => {
                self.give_requests_back();
                self.failed(attempt, error, Sent(now), now, jitter, out);
            }
        }
    }

    /// Whether what was handed out for an attempt may be sent, or why not.
    fn may_send(
        &self,
        stake: Stake,
        handed_out: Result<bool, RefreshError>,
        now: Now,
    ) -> Result<(), RefreshError> {
        if self.destination != self.lineage {
            // It belongs elsewhere by now.
            let why = "the configuration changed before it was sent";
            return Err(RefreshError::Unreachable(why.to_owned()));
        }
        if self.may_kill(stake, now) {
            let why =
                "the provider forgives no replay any more by the time at which it could be sent";
            return Err(RefreshError::Unreachable(why.to_owned()));
        }
        let why = match (handed_out?, self.risk_of(stake)) {
            (true, _) => return Ok(()),
            (false, Risk::Replayable | Risk::Account) => {
                "the attempt could not be announced durably"
            }
            (false, Risk::None) if self.requests.covers(self.begun, now.boot) => return Ok(()),
            // Kill upon kill would send one each time.
            (false, Risk::None) => {
                "the attempt could not be announced durably, and for a minute after a start the \
                 daemon cannot know what it asked for before"
            }
        };
        Err(RefreshError::StoreUnavailable(why.to_owned()))
    }

    /// The attempt that was counted last was not sent: the provider knows nothing of it.
    fn give_requests_back(&mut self) {
        if let Some(counted) = self.requests.starts().last().copied() {
            self.requests.give_back(counted, self.cost());
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
        let State::Exchanging(attempt, Step::Sent(sent)) = &self.state else { return };
        let (attempt, sent) = (*attempt, *sent);
        if attempt.ticket != ticket {
            return;
        }
        let granted = self.granted_at(attempt, sent);
        match outcome {
            Outcome::Granted(grant) if self.is_foreign(&grant) => {
                self.owe(What::Orphan(Arc::from(grant), now), now, out);
                self.failed(attempt, RefreshError::SubjectChanged, sent, now, jitter, out);
            }
            Outcome::Granted(mut grant) => {
                if attempt.stake == Stake::Staged && grant.aws.is_none() {
                    grant.aws = self.aws_of_the_login(granted);
                }
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
        if self.candidate.as_ref().is_some_and(|candidate| candidate.staging == Some(ticket)) {
            self.staged_or_not(result, now, jitter, out);
            return;
        }
        if let Some(at) = self.ordered.iter().position(|(ordered, _)| *ordered == ticket) {
            let (_, done) = self.ordered.swap_remove(at);
            let answer = result.map(|_| done).map_err(|error| {
                let message =
                    format!("done, but not on disk, so that a restart would undo it: {error}");
                Refusal::new(Code::StoreUnavailable, message)
            });
            out.push(Command::AnswerTo(ticket, answer));
            return;
        }
        if self.duty_ended(ticket, result.as_ref().err(), now, out) {
            return;
        }
        let ours = match &self.state {
            State::Saving(attempt, catch) => attempt.ticket == ticket && catch.retry.is_none(),
            State::Exchanging(attempt, Step::Noting { .. }) => attempt.ticket == ticket,
            State::Exchanging(_, Step::Intending | Step::Sent(_))
            | State::Vacant
            | State::Fresh { .. }
            | State::Queued(_)
            | State::Leaving(..)
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
        if let State::Exchanging(attempt, Step::Noting { then, failure }) = state {
            self.concluded(attempt, *then, failure, now, jitter, out);
        } else if let State::Saving(attempt, catch) = state {
            match result {
                Ok(generation) => {
                    let generation = generation.unwrap_or_else(|| self.generation.next());
                    self.saved(attempt, &catch, generation, now, jitter, out);
                }
                Err(error) => self.not_saved(attempt, catch, &error, now, jitter, out),
            }
        }
    }

    /// The AWS credentials that came with the staged credential, with what was left of them at
    /// `sent`: an exchange that proves a login does not bring them again.
    fn aws_of_the_login(&mut self, sent: Sent) -> Option<AwsGrant> {
        let (aws, came) = self.candidate.as_mut()?.aws.take()?;
        let lifetime = aws.lifetime.saturating_sub(sent.0.boot.since(came.boot));
        Some(AwsGrant { lifetime, ..aws })
    }

    /// From when the lifetime of what an exchange brought counts.
    ///
    /// After a replay, from the first send of that refresh token: a provider may answer
    /// with the very tokens whose reply was lost, and with their whole lifetime.
    fn granted_at(&self, attempt: Attempt, sent: Sent) -> Sent {
        let Some(doubt) = self.doubt_about(attempt.stake) else { return sent };
        Sent(Now { boot: doubt.sent.boot.min(sent.0.boot), wall: doubt.sent.wall.min(sent.0.wall) })
    }

    fn is_foreign(&self, grant: &Grant) -> bool {
        // Another place has other names for everybody.
        self.origin == self.destination
            && match (&self.subject, &grant.subject) {
                (Some(ours), Some(theirs)) => ours != theirs,
                _ => false,
            }
    }
}
