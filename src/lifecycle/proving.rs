//! What becomes of a credential that was handed in and did not prove itself.
//!
//! It is dropped, and whoever handed it in is told, but where that would throw away a login that may
//! go on: one whose reply was lost is asked for again, one that an earlier process left behind waits for
//! the provider, and one that has proven itself, on a disk that did not take it, is given up as any
//! other login is. None of them keeps the account's own credential from being refreshed in time.

use std::sync::Arc;
use std::time::Duration;

use super::Account;
use super::Doubt;
use super::Proof;
use super::Sent;
use super::State;
use super::What;
use super::failure::config_probe;
use super::failure::is_verdict;
use super::words::Command;
use super::words::Done;
use crate::error::Class;
use crate::error::RefreshError;
use crate::notice::Event;
use crate::notice::Reason;
use crate::record::Condition;
use crate::record::Foreign;
use crate::record::Hold;
use crate::schedule;
use crate::snapshot::Refusal;
use crate::snapshot::aid::Aid;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;

/// How long a credential that cannot be proven keeps an account waiting that has another one, and no
/// token.
const LONGEST_PROOF: Duration = Duration::from_secs(3_600);

impl Account {
    /// The staged credential did not prove itself. The account's own one is untouched.
    pub(super) fn not_proven(
        &mut self,
        class: Class,
        error: &RefreshError,
        sent: Sent,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        let found = self.candidate.as_ref().is_some_and(|candidate| candidate.found);
        let foreign = found && matches!(error, RefreshError::SubjectChanged);
        let error = if foreign { &RefreshError::ForeignWriter } else { error };
        let refusal = Refusal {
            provider_error: error.provider_error().cloned(),
            entry: self.entry(),
            aid: (is_verdict(class) && !foreign).then_some(Aid::Another),
            ..Refusal::new(error.code(), self.not_taken_over(error))
        };
        self.note_patience(class, error, now, jitter);
        let before = self.candidate.as_ref().and_then(|candidate| candidate.doubt);
        let after = self.doubt_after(before, sent);
        let doubt = match &mut self.candidate {
            Some(candidate) if class == Class::Ambiguous => Some(*candidate.doubt.insert(after)),
            Some(candidate) if !is_verdict(class) => candidate.doubt,
            Some(_) | None => None,
        };
        let replay = doubt.and_then(|doubt| self.staged_replay(doubt, class, now, jitter));
        if let Some(next) = replay {
            self.state = State::InDoubt { next };
            out.push(Command::Publish);
            let message = not_known_yet(error);
            self.answer_importer(Err(Refusal { message, ..refusal }), out);
            self.heed_a_pause(now, jitter, out);
        } else if let Some(pause) = self.pause_of_a_login(class, error, now, jitter) {
            self.record_failure(error.clone(), now);
            let until = (now.boot + pause).max(self.budgeted(now.boot));
            self.state = State::Waiting { until };
            out.push(Command::Publish);
            self.tell_failure(Reason::Requested, out);
            self.heed_a_pause(now, jitter, out);
        } else {
            let mark = self.candidate.take().and_then(|candidate| candidate.mark);
            if let Some(mark) = mark.filter(|_| foreign) {
                self.standing.foreign =
                    Some(Box::new(Foreign { mark, at_ms: now.wall.as_millis() }));
                self.owe(What::Standing, now, out);
            }
            self.owe(What::Unstage(Some(Box::new(refusal))), now, out);
            self.take_up_again(now, jitter, out);
            if foreign {
                self.tell_foreign_writer(error, now, out);
            }
        }
    }

    /// An operator may have paused the account while the credential was on its way.
    fn heed_a_pause(&mut self, now: Now, jitter: Jitter, out: &mut Vec<Command>) {
        if self.standing.hold == Hold::Paused {
            self.settle(now, jitter, out);
        }
    }

    /// When a staged credential in doubt is sent again; `None` if it is given up.
    fn staged_replay(
        &mut self,
        doubt: Doubt,
        class: Class,
        now: Now,
        jitter: Jitter,
    ) -> Option<Moment> {
        let pause = self.next_pause(class, now, jitter);
        let next = self.next_staged_replay(doubt, pause, now, jitter);
        let next = next.max(self.budgeted(now.boot));
        (!self.keeps_another_waiting(doubt.sent.boot, next, now)).then_some(next)
    }

    /// How long a staged credential waits after a failure that is no reason to drop it: there was
    /// trouble, and nobody waits for an answer, or it is the login that the account lives by.
    fn pause_of_a_login(
        &mut self,
        class: Class,
        error: &RefreshError,
        now: Now,
        jitter: Jitter,
    ) -> Option<Duration> {
        let candidate = self.candidate.as_mut()?;
        match (&mut candidate.proof, class) {
            (Proof::Awaited, _)
            | (
                Proof::LeftOver,
                Class::Suspect | Class::Definite | Class::Config | Class::Ambiguous,
            )
            | (Proof::Unsaved { .. }, Class::Definite) => None,
            (Proof::LeftOver, Class::NotSent | Class::Transient | Class::Throttled) => {
                let pause = self.next_pause(class, now, jitter);
                let waits = self.keeps_another_waiting(self.begun, now.boot + pause, now);
                (!waits).then_some(pause)
            }
            (
                Proof::Unsaved { .. },
                Class::NotSent | Class::Transient | Class::Throttled | Class::Ambiguous,
            ) => Some(self.next_pause(class, now, jitter)),
            (Proof::Unsaved { .. }, Class::Config) => Some(config_probe(error)),
            (Proof::Unsaved { refusals }, Class::Suspect) => {
                let pause = schedule::SUSPECT_PROBES.get(usize::from(*refusals)).copied();
                *refusals = refusals.saturating_add(1);
                pause
            }
        }
    }

    /// Whether an account that has another credential, which may work, needs its turn for that: its
    /// token is nearly spent by `next`, or it has had none since `since`, an hour ago.
    fn keeps_another_waiting(&self, since: Moment, next: Moment, now: Now) -> bool {
        let proof = self.candidate.as_ref().map(|candidate| &candidate.proof);
        let has_another = self.has_credential()
            && !self.leads_elsewhere()
            && self.standing.condition != Condition::NeedsLogin
            && !matches!(proof, Some(Proof::Unsaved { .. }));
        let needs_it = if self.left(now).is_zero() {
            now.boot.since(since) >= LONGEST_PROOF
        } else {
            next >= self.nearly_spent(now)
        };
        has_another && needs_it
    }

    fn not_taken_over(&self, error: &RefreshError) -> String {
        let own = ". The account's own credential is untouched";
        let own = if self.has_credential() { own } else { "" };
        format!("the credential was not taken over: {error}{own}")
    }

    /// Raises that somebody else logged in where the account's token is kept: to everyone who
    /// follows, beside what is said of the account's own credential, of which it says nothing.
    fn tell_foreign_writer(&self, error: &RefreshError, now: Now, out: &mut Vec<Command>) {
        let failure = Arc::new(self.failure(error.clone(), now));
        out.push(Command::Tell(Event::RefreshFailed { reason: Reason::Requested, failure }));
    }

    /// Tells whoever handed in the staged credential what came of it.
    pub(super) fn answer_importer(
        &mut self,
        answer: Result<Done, Refusal>,
        out: &mut Vec<Command>,
    ) {
        if let Some(ticket) = self.importer.take() {
            out.push(Command::AnswerTo(ticket, answer));
        }
    }
}

/// What is said of a credential whose proof was not heard.
fn not_known_yet(error: &RefreshError) -> String {
    format!(
        "whether the credential works is not known yet: {error}. It is kept, and the daemon asks \
         again by itself; it may be handed in again, and goes nowhere else meanwhile"
    )
}
