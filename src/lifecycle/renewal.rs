//! By what an account's tokens are renewed, and when.
//!
//! | what is so | what the next attempt works with |
//! |---|---|
//! | an operator handed a refresh token in | that one |
//! | no refresh token, and none was ever forgotten | a sign-in |
//! | it was refused, and the policy says so | a sign-in, once |
//! | the AWS credentials are due | a sign-in |
//! | anything else | the refresh token |
//!
//! A sign-in is one that needs no person. Where there is none, the account waits for one.

use std::time::Duration;

use super::Account;
use super::state::Attempt;
use crate::error::Class;
use crate::error::RefreshError;
use crate::plan::FailureAction;
use crate::plan::SignIn;
use crate::policy::FailurePolicy;
use crate::policy::RefreshContext;
use crate::record::Condition;
use crate::record::Stake;
use crate::schedule;
use crate::schedule::Spread;
use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;
use crate::token::Kind;

/// How long before the end of a login its last refresh is made: time for a few attempts.
const LAST_CHANCE: Duration = Duration::from_secs(300);

impl Account {
    /// What the next attempt works with.
    pub(super) fn next_stake(&self, now: Now) -> Stake {
        match self.stake_at_rest() {
            Stake::Current if self.should_sign_in_for_aws(now) => Stake::SignIn,
            stake @ (Stake::Current | Stake::Staged | Stake::SignIn) => stake,
        }
    }

    /// The same, apart from what is due beside it.
    pub(super) fn stake_at_rest(&self) -> Stake {
        if self.staged().is_some() {
            Stake::Staged
        } else if self.must_sign_in() {
            Stake::SignIn
        } else {
            Stake::Current
        }
    }

    /// What an attempt works with that somebody wants a token of that kind from.
    pub(super) fn stake_for(&self, kind: Kind, now: Now) -> Stake {
        match kind {
            Kind::Aws if self.plan.sign_in == SignIn::ForAws => Stake::SignIn,
            Kind::Aws | Kind::Access | Kind::Id => self.next_stake(now),
        }
    }

    /// Whether nothing but a sign-in can bring tokens.
    pub(super) fn must_sign_in(&self) -> bool {
        self.plan.has_refresh_token
            && self.plan.sign_in != SignIn::Never
            && match self.standing.condition {
                Condition::SigningIn => true,
                Condition::NeedsLogin => false,
                Condition::Sound | Condition::Suspect { .. } => self.lives_by_sign_ins(),
            }
    }

    /// Whether it has no refresh token, though nobody took one away: it never signed in, or its
    /// sign-ins bring none.
    const fn lives_by_sign_ins(&self) -> bool {
        !self.refreshable && !self.standing.forgotten
    }

    /// Whether the AWS credentials are due, or will be before a refresh of the tokens pays.
    fn should_sign_in_for_aws(&self, now: Now) -> bool {
        let Some(due) = self.aws_due() else { return false };
        let tokens_are_due = self.tokens_due().is_some_and(|tokens| tokens <= now.boot);
        let ahead = if tokens_are_due { self.gap() } else { Duration::ZERO };
        // Where signing in fails, the tokens are not to suffer for it.
        due <= now.boot + ahead && !(self.series.sign_in_failed && tokens_are_due)
    }

    /// When the next renewal of the held tokens is due.
    pub(super) fn due(&self, now: Now) -> Moment {
        let free = self.budgeted(now.boot);
        // After a reboot, only the wall clock knows how old a token is that came for a replay.
        let unseen = self.held.as_ref().map_or(Duration::ZERO, |held| {
            held.expires_boot.since(now.boot).saturating_sub(held.ttl(now))
        });
        let tokens = self.tokens_due().map(|due| due.before(unseen));
        let earliest = [tokens, self.aws_due(), self.idle_due(), self.login_due(now)];
        earliest.into_iter().flatten().min().map_or(free, |due| due.max(free))
    }

    /// When the tokens are due that a refresh renews, though the AWS credentials beside them
    /// cannot be signed in for. `None` if nothing but a sign-in helps, or none has failed.
    pub(super) fn tokens_due_without_sign_in(&self) -> Option<Moment> {
        let apart = self.plan.sign_in == SignIn::ForAws
            && self.series.sign_in_failed
            && self.refreshable
            && !self.must_sign_in();
        self.tokens_due().filter(|_| apart)
    }

    fn tokens_due(&self) -> Option<Moment> {
        let held = self.held.as_ref()?;
        Some(self.due_of(held.lifetime, held.expires_boot))
    }

    /// When the AWS credentials are due, where only a sign-in brings them. If there are none,
    /// as soon as the pause after the last attempt is over.
    fn aws_due(&self) -> Option<Moment> {
        if self.plan.sign_in != SignIn::ForAws {
            return None;
        }
        let held = self.held.as_ref()?;
        Some(match &held.aws {
            Some(aws) => self.due_of(aws.lifetime, aws.expires_boot),
            None => held.expires_boot.before(schedule::usable(held.lifetime)) + self.gap(),
        })
    }

    /// When a refresh token has lain unused for half of the time after which it is forgotten.
    fn idle_due(&self) -> Option<Moment> {
        let idle = self.plan.refresh_token_idle.filter(|_| self.refreshable)?;
        let held = self.held.as_ref()?;
        let issued = held.expires_boot.before(schedule::usable(held.lifetime));
        Some(issued + (idle / 2).max(self.gap()))
    }

    /// When a login that has a known end is refreshed for the last time: a little before it,
    /// unless that has been done. After it the refresh token is of no use.
    fn login_due(&self, now: Now) -> Option<Moment> {
        let ends = self.ends().filter(|_| self.refreshable && !self.login_is_over(now))?;
        let held = self.held.as_ref()?;
        let ahead = LAST_CHANCE.min(Duration::from_millis(ends.whole_ms) / 20);
        let due = now.moment_of(Timestamp::from_millis(ends.at_ms).before(ahead));
        let issued = held.expires_boot.before(schedule::usable(held.lifetime));
        Some(due).filter(|due| *due >= issued + self.gap())
    }

    fn due_of(&self, lifetime: Duration, expires_boot: Moment) -> Moment {
        let spread = Spread::of(&self.id, self.generation);
        let after = schedule::refresh_after(lifetime, self.plan.refresh_before, spread);
        // Counted back from the expiry, which a step of the wall clock may have moved.
        let early = schedule::usable(lifetime).saturating_sub(after);
        let late = after.saturating_sub(schedule::usable(lifetime));
        expires_boot.before(early) + late
    }

    fn gap(&self) -> Duration {
        schedule::gap(self.held.as_ref().map_or(Duration::ZERO, |held| held.lifetime))
    }

    /// When a token of that kind may be renewed at the earliest because somebody waits for it.
    pub(super) fn earliest_for(&self, kind: Kind, now: Now) -> Moment {
        let Some(held) = &self.held else { return now.boot };
        let (expires, lifetime) = match (kind, &held.aws) {
            (Kind::Aws, Some(aws)) => (aws.expires_boot, aws.lifetime),
            (Kind::Aws, None) | (Kind::Access | Kind::Id, _) => (held.expires_boot, held.lifetime),
        };
        expires.before(schedule::usable(lifetime)) + schedule::gap(lifetime)
    }

    /// A person did something about it: where a sign-in was given up, there may be one more.
    pub(super) fn arm_sign_in(&mut self) {
        let may = self.plan.sign_in != SignIn::Never
            && (!self.refreshable || self.plan.on_refresh_failure == FailureAction::SignIn);
        if may && self.standing.condition == Condition::NeedsLogin {
            self.standing.condition = Condition::SigningIn;
            self.standing.signed_in = false;
        }
    }

    /// Whether the raised refusal would have been followed by a sign-in, had there not been one
    /// before it.
    pub(super) fn gave_up_signing_in(&self) -> bool {
        let refused = self.standing.failure.as_ref().is_some_and(|failure| {
            matches!(failure.error.class(), Class::Suspect | Class::Definite)
        });
        refused
            && self.standing.signed_in
            && self.plan.sign_in != SignIn::Never
            && self.plan.on_refresh_failure == FailureAction::SignIn
    }

    /// Whether a refused refresh is to be followed by a sign-in: the policy is asked, and a
    /// sign-in whose first refresh was refused is not followed by another.
    pub(super) fn signs_in_instead(
        &self,
        attempt: Attempt,
        class: Class,
        error: &RefreshError,
    ) -> bool {
        let refused = matches!(class, Class::Suspect | Class::Definite);
        if !refused
            || attempt.stake != Stake::Current
            || self.plan.sign_in == SignIn::Never
            || self.standing.signed_in
        {
            return false;
        }
        let context = RefreshContext { reason: attempt.reason, attempt: self.series.attempts };
        self.plan.on_refresh_failure.on_refresh_failure(context, error) == FailureAction::SignIn
    }
}
