//! A failed attempt: what it means, how long to wait, and when it is raised.

use std::sync::Arc;
use std::time::Duration;

use super::Account;
use super::Attempt;
use super::Sent;
use super::Series;
use super::State;
use super::Step;
use super::What;
use super::doubt::last_stretch;
use super::words::Command;
use super::words::Risk;
use crate::error::Class;
use crate::error::RefreshError;
use crate::error::code::Code;
use crate::notice::Event;
use crate::notice::Reason;
use crate::record::Condition;
use crate::record::Failure;
use crate::record::Stake;
use crate::record::Write;
use crate::schedule;
use crate::schedule::Backoff;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;

/// Shortest pause before a refused refresh token is confirmed.
const SOONEST_CONFIRMATION: Duration = schedule::LOCAL_PROBE;

impl Account {
    /// An attempt failed. It is raised once that is durable, in [`Self::concluded`].
    pub(super) fn failed(
        &mut self,
        attempt: Attempt,
        error: RefreshError,
        sent: Sent,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        if let Some(slot) = self.kept_from_beginning(attempt, &error) {
            self.wait_for_a_login(slot, now, jitter, out);
            return;
        }
        let class = self.class_for_us(attempt.stake, &error, now);
        if attempt.stake == Stake::Staged {
            self.not_proven(class, &error, sent, now, jitter, out);
            return;
        }
        self.note_patience(class, &error, now, jitter);
        if self.is_unheard(class) {
            // The account's own failure is the provider's word, and says more than this one.
            let failure = Arc::new(self.failure(error, now));
            self.note_failure(attempt, State::NeedsLogin, failure, out);
            return;
        }
        self.record_failure(error.clone(), now);
        self.series.sign_in_failed = attempt.stake == Stake::SignIn;
        if class == Class::Ambiguous {
            self.doubt = Some(self.doubt_after(self.doubt, sent));
        }
        let then = if self.signs_in_instead(attempt, class, &error) {
            self.standing.condition = Condition::SigningIn;
            self.doubt = None;
            State::Waiting { until: self.budgeted(now.boot) }
        } else {
            self.rest_after(class, &error, now, jitter)
        };
        let failure = Arc::new(Failure { told_as: self.told_as(), ..self.failure(error, now) });
        self.note_failure(attempt, then, failure, out);
    }

    /// Whether an operator had a lost login probed, and the provider said nothing of it.
    fn is_unheard(&self, class: Class) -> bool {
        let says_nothing = matches!(class, Class::NotSent | Class::Transient | Class::Throttled);
        says_nothing && self.standing.condition == Condition::NeedsLogin && self.doubt.is_none()
    }

    /// Makes durable how the account stands, before `failure` is told.
    fn note_failure(
        &mut self,
        attempt: Attempt,
        then: State,
        failure: Arc<Failure>,
        out: &mut Vec<Command>,
    ) {
        let write = Write::Note {
            account: self.id.clone(),
            standing: self.standing.clone(),
            ends_intent: self.doubt.is_none(),
        };
        let then = Box::new(then);
        self.state = State::Exchanging(attempt, Step::Noting { then, failure });
        out.push(Command::Write { ticket: attempt.ticket, write });
    }

    /// The secret for want of which an account that has no credential did not sign in.
    fn kept_from_beginning<'a>(
        &self,
        attempt: Attempt,
        error: &'a RefreshError,
    ) -> Option<&'a str> {
        let RefreshError::SecretNotStored { slot } = error else { return None };
        (attempt.stake == Stake::SignIn && !self.has_credential()).then_some(slot)
    }

    /// There is nothing that failed: a person logs in, or stores the secret.
    fn wait_for_a_login(&mut self, lacks: &str, now: Now, jitter: Jitter, out: &mut Vec<Command>) {
        self.series = Series::default();
        self.told.alarm = false;
        if self.standing.failure.take().is_some() {
            self.owe(What::Standing, now, out);
        }
        self.rest(State::Vacant, out);
        if self.staged().is_some() {
            // Somebody has logged in meanwhile.
            self.settle(now, jitter, out);
        } else {
            self.lacks = Some(lacks.into());
        }
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
                let doubt = self.doubt.take();
                let replay = doubt.and_then(|doubt| self.replay_once_refused(doubt, now, jitter));
                if let Some(replay) = replay {
                    self.doubt = doubt;
                    State::InDoubt { next: replay.max(self.budgeted(now.boot)) }
                } else {
                    self.suspect(now)
                }
            }
            Class::Config => {
                let until = now.boot + config_probe(error);
                if let Some(next) = self.replay_all_the_same(now, jitter) {
                    return State::InDoubt { next: next.min(until).max(self.budgeted(now.boot)) };
                }
                match self.tokens_due_without_sign_in().filter(|_| error.is_local()) {
                    Some(due) => {
                        State::Waiting { until: until.min(due).max(self.budgeted(now.boot)) }
                    }
                    None => State::Frozen { until: Some(until) },
                }
            }
            Class::NotSent | Class::Transient | Class::Throttled | Class::Ambiguous => {
                let pause = self.next_pause(class, now, jitter);
                let gate = matches!(error, RefreshError::HookFailed { .. });
                let pause = if gate { pause.max(schedule::GATE_PROBE) } else { pause };
                let next = match self.doubt {
                    Some(doubt) => self.next_replay(doubt, pause, now, jitter),
                    None => now.boot + pause,
                };
                let next = next.max(self.budgeted(now.boot));
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

    /// When the next planned replay is due, though somebody has to mend something: that may be done
    /// within the grace, and the replay afterwards comes too late.
    fn replay_all_the_same(&self, now: Now, jitter: Jitter) -> Option<Moment> {
        self.planned_replay(self.doubt?, now, jitter)
    }

    /// The refresh token is refused once more.
    ///
    /// Confirmations may come early, so that all of them meet the same trouble of the provider's.
    /// Where they did, or the token is still good after them, there is one more, after the longest
    /// pause.
    fn suspect(&mut self, now: Now) -> State {
        let probes = match self.standing.condition {
            Condition::Sound => 0,
            Condition::Suspect { probes } => probes + 1,
            Condition::SigningIn | Condition::NeedsLogin => u8::MAX,
        };
        let [.., longest] = schedule::SUSPECT_PROBES;
        let tried = usize::from(probes);
        let whole = schedule::SUSPECT_PROBES.iter().sum();
        let refused_since = *self.series.refused_since.get_or_insert(now.boot);
        let is_early = now.boot.since(refused_since) < whole;
        let is_good = self.held.as_ref().is_some_and(|held| !held.ttl(now).is_zero());
        let more = tried == schedule::SUSPECT_PROBES.len() && (is_early || is_good);
        let once_more = more.then_some(&longest);
        if let Some(pause) = schedule::SUSPECT_PROBES.get(tried).or(once_more) {
            self.standing.condition = Condition::Suspect { probes };
            State::Suspect { until: self.before_the_token_ends(now.boot + *pause, now) }
        } else {
            self.standing.condition = Condition::NeedsLogin;
            State::NeedsLogin
        }
    }

    /// A confirmation that would come after the end of the token comes shortly before it.
    pub(super) fn before_the_token_ends(&self, until: Moment, now: Now) -> Moment {
        let soonest = now.boot + SOONEST_CONFIRMATION;
        let end = self.held.as_ref().map(|held| held.expires_boot.before(last_stretch(held)));
        end.filter(|end| *end >= soonest).map_or(until, |end| until.min(end))
    }

    pub(super) fn concluded(
        &mut self,
        attempt: Attempt,
        then: State,
        failure: Arc<Failure>,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        self.state = then;
        if self.standing.condition == Condition::SigningIn && attempt.stake == Stake::Current {
            // Before anybody sees where it rests: who waits for the token goes on waiting.
            self.go_on(Reason::Scheduled, now, out);
        } else {
            out.push(Command::Publish);
        }
        let reason = attempt.reason;
        out.push(Command::Tell(Event::RefreshFailed { reason, failure }));
        self.settle_if_due_elsewhere(now, jitter, out);
    }

    /// The pause after a failure, remembered for the next one.
    pub(super) fn next_pause(&mut self, class: Class, now: Now, jitter: Jitter) -> Duration {
        if class == Class::Throttled {
            return schedule::throttled(self.series.throttles, jitter);
        }
        let so_far = Backoff { last: self.series.pause, left: self.left(now) };
        self.series.pause = schedule::backoff(so_far, jitter);
        self.series.pause
    }

    /// Takes down how long the provider asks us to stay away. What another place asks for does not
    /// hold here: the configuration has led elsewhere since the attempt was sent.
    pub(super) fn note_patience(
        &mut self,
        class: Class,
        error: &RefreshError,
        now: Now,
        jitter: Jitter,
    ) {
        self.series.throttles =
            if class == Class::Throttled { self.series.throttles.saturating_add(1) } else { 0 };
        let asked = error.retry_after().filter(|_| self.destination == self.lineage);
        self.series.not_before = asked.map(|asked| now.boot + schedule::retry_after(asked, jitter));
    }

    /// What an error means for this attempt: without a refresh token, nothing can be lost
    /// and nobody can log in. A sign-in that is refused, and a refresh token past its own end,
    /// leave nothing to confirm.
    fn class_for_us(&self, stake: Stake, error: &RefreshError, now: Now) -> Class {
        let class = error.class();
        let final_word = match stake {
            Stake::SignIn => true,
            Stake::Current => self.login_is_over(now),
            Stake::Staged => false,
        };
        if class == Class::Ambiguous && self.risk_of(stake) == Risk::None {
            Class::Transient
        } else if class == Class::Suspect && final_word && self.plan.has_refresh_token {
            Class::Definite
        } else if is_verdict(class) && !self.plan.has_refresh_token {
            Class::Config
        } else {
            class
        }
    }

    pub(super) fn record_failure(&mut self, error: RefreshError, now: Now) {
        let failure = self.failure(error, now);
        self.series.since.get_or_insert(now.boot);
        self.standing.failure = Some(Box::new(failure));
    }

    pub(super) fn failure(&self, error: RefreshError, now: Now) -> Failure {
        let since_ms = match &self.standing.failure {
            Some(failure) => failure.since_ms,
            None => now.wall.as_millis(),
        };
        let not_before_ms = self.series.not_before.map(|moment| now.wall_at(moment).as_millis());
        let attempt = self.series.attempts;
        Failure { error, since_ms, attempt, not_before_ms, told_as: None }
    }

    pub(super) fn tell_failure(&self, reason: Reason, out: &mut Vec<Command>) {
        if let Some(failure) = self.raised() {
            out.push(Command::Tell(Event::RefreshFailed { reason, failure }));
        }
    }

    /// The failure that is raised, with the code by which everyone tells it.
    pub(super) fn raised(&self) -> Option<Arc<Failure>> {
        let failure = self.standing.failure.as_deref()?;
        Some(Arc::new(Failure { told_as: self.told_as(), ..failure.clone() }))
    }

    /// What the raised failure is called where its error does not say what it led to. It stays
    /// so while the next attempt is under way.
    fn told_as(&self) -> Option<Code> {
        let lost = self.standing.condition == Condition::NeedsLogin
            || matches!(self.state, State::NeedsLogin);
        if self.unsaved {
            None
        } else if lost {
            Some(Code::NeedsLogin)
        } else {
            self.doubt.map(|_| Code::InDoubt)
        }
    }
}

/// After what pause it is tried again what somebody has to mend.
pub(super) const fn config_probe(error: &RefreshError) -> Duration {
    if error.is_local() { schedule::LOCAL_PROBE } else { schedule::CONFIG_PROBE }
}

/// Whether the provider has spoken about the credential itself.
pub(super) const fn is_verdict(class: Class) -> bool {
    matches!(class, Class::Suspect | Class::Definite)
}
