//! What an exchange brought, made durable and published.

use std::sync::Arc;
use std::time::Duration;

use super::Account;
use super::Attempt;
use super::Brought;
use super::Catch;
use super::Proof;
use super::Sent;
use super::State;
use super::words::Command;
use super::words::Done;
use super::words::Risk;
use crate::error::Class;
use crate::error::RefreshError;
use crate::notice::Event;
use crate::notice::Reason;
use crate::record::Condition;
use crate::record::Hold;
use crate::record::Stake;
use crate::record::Standing;
use crate::record::StoreError;
use crate::record::Write;
use crate::schedule;
use crate::snapshot::Held;
use crate::snapshot::HeldAws;
use crate::time::Jitter;
use crate::time::Now;
use crate::token::AwsGrant;
use crate::token::Generation;
use crate::token::Grant;

impl Account {
    /// Tries again to save what could not be saved.
    pub(super) fn save_again(&mut self, now: Now, out: &mut Vec<Command>) {
        let State::Saving(attempt, catch) = &mut self.state else { return };
        catch.retry = None;
        let (attempt, what, sent) = (*attempt, catch.what.clone(), catch.sent);
        let write = self.saving(attempt, &what, sent, now);
        out.push(Command::Write { ticket: attempt.ticket, write });
    }

    pub(super) fn save(
        &mut self,
        attempt: Attempt,
        what: Brought,
        sent: Sent,
        now: Now,
        out: &mut Vec<Command>,
    ) {
        let write = self.saving(attempt, &what, sent, now);
        self.state =
            State::Saving(attempt, Box::new(Catch { what, sent, refused: 0, retry: None }));
        out.push(Command::Write { ticket: attempt.ticket, write });
        out.push(Command::Publish);
    }

    fn saving(&self, attempt: Attempt, what: &Brought, sent: Sent, now: Now) -> Write {
        let account = self.id.clone();
        let stake = attempt.stake;
        let standing = self.standing_after(attempt, what, sent, now);
        match what {
            Brought::Tokens(grant) => Write::Commit {
                account,
                grant: Arc::clone(grant),
                issued: sent.0,
                now,
                lineage: self.destination.clone(),
                stake,
                standing,
            },
            Brought::RefreshToken(refresh_token, _) => Write::Salvage {
                account,
                refresh_token: refresh_token.clone(),
                now,
                lineage: self.destination.clone(),
                stake,
                standing,
            },
            Brought::Inherited => Write::Settle { account },
        }
    }

    /// Lives by what an earlier process could not save, and has it saved before anything else.
    pub(super) fn inherit(&mut self, now: Now, out: &mut Vec<Command>) {
        self.unsaved = true;
        let ticket = self.next_ticket();
        let attempt = Attempt { ticket, reason: Reason::Scheduled, stake: Stake::Current };
        self.save(attempt, Brought::Inherited, Sent(now), now, out);
    }

    /// That is on disk: the account goes on as one does after a start.
    fn inherited_is_saved(
        &mut self,
        generation: Generation,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        self.unsaved = false;
        self.generation = generation;
        let failed = self.standing.failure.is_some();
        self.standing = self.standing_as_inherited();
        self.series.since = None;
        self.settle(now, jitter, out);
        if failed && self.standing.failure.is_none() {
            out.push(Command::Tell(Event::Recovered { failed: 1 }));
        }
    }

    fn standing_as_inherited(&self) -> Standing {
        let failure = self.standing.failure.clone();
        let failure =
            failure.filter(|failure| !matches!(failure.error, RefreshError::StoreUnavailable(_)));
        Standing { failure, ..self.standing.clone() }
    }

    /// How it stands once this is durable.
    pub(super) fn standing_after(
        &self,
        attempt: Attempt,
        what: &Brought,
        sent: Sent,
        now: Now,
    ) -> Standing {
        let failure = match what {
            Brought::Inherited => return self.standing_as_inherited(),
            Brought::Tokens(grant) if schedule::usable(grant.lifetime).is_zero() => {
                Some(Box::new(self.failure(RefreshError::BornExpired, now)))
            }
            Brought::Tokens(_) => None,
            Brought::RefreshToken(_, error) => Some(Box::new(self.failure(error.clone(), now))),
        };
        let newest = match attempt.stake {
            Stake::Staged => self.candidate.as_ref().and_then(|candidate| candidate.mark.as_ref()),
            Stake::Current | Stake::SignIn => self.standing.taken_over.as_ref(),
        };
        // What replaces a credential that was handed out ends the pause that came with that.
        let taken_back = self.is_released() && attempt.stake == Stake::Staged;
        Standing {
            condition: Condition::Sound,
            hold: if taken_back { Hold::None } else { self.standing.hold },
            failure,
            taken_over: newest.cloned(),
            // What is taken over next may be that very person's.
            foreign: self.standing.foreign.clone().filter(|_| attempt.stake != Stake::Staged),
            signed_in: attempt.stake == Stake::SignIn,
            forgotten: false,
            ends: match what {
                Brought::Tokens(grant) => {
                    self.login_end(attempt.stake, grant, sent.0).map(Box::new)
                }
                Brought::RefreshToken(..) | Brought::Inherited => None,
            },
        }
    }

    pub(super) fn saved(
        &mut self,
        attempt: Attempt,
        catch: &Catch,
        generation: Generation,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        if let Brought::Inherited = catch.what {
            self.inherited_is_saved(generation, now, jitter, out);
            return;
        }
        let known = std::mem::take(&mut self.unsaved);
        let failed_before = self.standing.failure.is_some();
        self.standing = self.standing_after(attempt, &catch.what, catch.sent, now);
        self.generation = generation;
        self.refreshable = match (&catch.what, attempt.stake) {
            (Brought::Tokens(grant), Stake::SignIn) => {
                self.refreshable || grant.refresh_token.is_some()
            }
            (Brought::Tokens(_) | Brought::RefreshToken(..) | Brought::Inherited, _) => {
                self.plan.has_refresh_token
            }
        };
        self.doubt = None;
        if attempt.stake != Stake::Current {
            self.origin = self.destination.clone();
        }
        if attempt.stake == Stake::Staged {
            self.subject = None;
            self.candidate = None;
            self.aside = None;
            // What came with another login goes with it.
            self.held = None;
        }
        match &catch.what {
            Brought::Tokens(grant) => {
                let expiry = self.told.expiry;
                let held = self.hold(grant, attempt.stake, catch.sent, generation);
                if held && known {
                    // What could not be saved may have expired meanwhile, which was told.
                    self.told.expiry = expiry;
                }
                if let Some(subject) = &grant.subject {
                    self.subject = Some(subject.clone());
                }
            }
            Brought::RefreshToken(..) | Brought::Inherited => {}
        }
        if let Some(failure) = self.standing.failure.as_deref().cloned() {
            let pause = match &catch.what {
                Brought::Tokens(_) => self.next_pause(Class::Transient, now, jitter),
                // With the new refresh token it is worth another try at once, but a provider that
                // tears one reply after the other is as much in trouble as one that gives none.
                Brought::RefreshToken(..) if self.series.attempts > 1 => {
                    self.next_pause(Class::Transient, now, jitter)
                }
                Brought::RefreshToken(..) | Brought::Inherited => {
                    jitter.of(Duration::from_millis(500))
                }
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
        if attempt.stake == Stake::Staged {
            // After the publication: whoever hears of it finds it done.
            self.answer_importer(Ok(Done::Changed(generation)), out);
        }
        self.look_ahead(now);
        self.settle_if_due_elsewhere(now, jitter, out);
    }

    pub(super) fn not_saved(
        &mut self,
        attempt: Attempt,
        mut catch: Box<Catch>,
        error: &StoreError,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        catch.retry = Some(now.boot + schedule::write_again(catch.refused));
        catch.refused = catch.refused.saturating_add(1);
        let first = !std::mem::replace(&mut self.unsaved, true);
        // The tokens themselves are no news.
        let first_of_inherited = matches!(catch.what, Brought::Inherited) && catch.refused == 1;
        self.record_failure(RefreshError::StoreUnavailable(error.to_string()), now);
        let mut changed = false;
        if first && let Brought::Tokens(grant) = &catch.what {
            self.generation = self.generation.next();
            changed = self.hold(grant, attempt.stake, catch.sent, self.generation);
            let proven = changed && attempt.stake == Stake::Staged;
            if let Some(candidate) = self.candidate.as_mut().filter(|_| proven) {
                candidate.proof = Proof::Unsaved { refusals: 0 };
            }
        }
        // What is unsaved stays so whatever the configuration says of the provider by now.
        self.state = if !first || self.risk() != Risk::None {
            State::Saving(attempt, catch)
        } else {
            // Nothing is lost with these tokens but a refresh: a full disk must not darken the
            // account, so the next refresh comes in its time and is saved then.
            self.unsaved = false;
            if changed {
                self.series.attempts = 0;
                self.trust_again(attempt.stake);
                State::Fresh { due: self.due(now) }
            } else {
                let until = now.boot + self.next_pause(Class::Transient, now, jitter);
                State::Waiting { until: until.max(self.budgeted(now.boot)) }
            }
        };
        out.push(Command::Publish);
        if changed {
            let attempts = self.series.attempts;
            let event = Event::TokenChanged { reason: attempt.reason, attempt: attempts };
            out.push(Command::Tell(event));
        }
        if first || first_of_inherited {
            self.tell_failure(attempt.reason, out);
        }
        // What was handed in is proven once more when these tokens are due, and not at once.
        let once_more = attempt.stake == Stake::Staged
            && self.standing.hold != Hold::Paused
            && self.staged().is_some_and(|staged| staged.lineage == self.lineage);
        if !once_more {
            self.settle_if_due_elsewhere(now, jitter, out);
        }
    }

    /// The provider has taken the account's own credential: no refusal of it stands any more.
    fn trust_again(&mut self, stake: Stake) {
        if stake == Stake::Current {
            self.standing.condition = Condition::Sound;
            self.series.refused_since = None;
        }
    }

    /// Makes `grant` the held tokens, and says whether it did. Those that were dead on arrival
    /// take nothing's place: what is held may still be good.
    fn hold(&mut self, grant: &Grant, stake: Stake, sent: Sent, generation: Generation) -> bool {
        let usable = schedule::usable(grant.lifetime);
        if usable.is_zero() {
            return false;
        }
        let aws = match (&grant.aws, stake) {
            (Some(aws), _) => Some(Arc::new(held_aws(aws, sent))),
            // What came with another login goes with it.
            (None, Stake::Staged) => None,
            (None, Stake::Current | Stake::SignIn) => self.held.take().and_then(|held| held.aws),
        };
        self.held = Some(Held {
            tokens: Arc::clone(&grant.tokens),
            generation,
            issued_at: sent.0.wall,
            lifetime: grant.lifetime,
            expires_boot: sent.0.boot + usable,
            expires_wall: sent.0.wall + usable,
            aws,
        });
        // A token that cannot live until its refresh may be due expires by plan.
        self.told.expiry = usable <= schedule::gap(grant.lifetime);
        if self.standing.failure.is_none() {
            self.told.alarm = false;
        }
        true
    }
}

fn held_aws(aws: &AwsGrant, sent: Sent) -> HeldAws {
    let usable = schedule::usable(aws.lifetime);
    HeldAws {
        credentials: Arc::clone(&aws.credentials),
        issued_at: sent.0.wall,
        lifetime: aws.lifetime,
        expires_boot: sent.0.boot + usable,
        expires_wall: sent.0.wall + usable,
    }
}
