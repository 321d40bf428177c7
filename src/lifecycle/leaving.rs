//! A logout: the login is ended at the provider, and only then forgotten here.
//!
//! ```text
//! logout → Leaving(Intending) → intended → Leaving(Asked) → revoked ┬ ended  → forgotten
//!                                                                    └ failed → as before
//! ```
//!
//! It is a state of the account, like an attempt, because it holds the refresh token: nothing
//! else may spend that meanwhile, and a stop waits for it. Its intent is written like an
//! attempt's, so that a crash in the middle leaves an account in doubt, whose next exchange
//! shows whether the provider had ended the login.

use std::time::Duration;

use super::Account;
use super::State;
use super::state::Leaving;
use super::words::Command;
use super::words::Done;
use super::words::Revocation;
use super::words::Ticket;
use crate::error::RefreshError;
use crate::error::code::Code;
use crate::record::Stake;
use crate::record::Write;
use crate::snapshot::Refusal;
use crate::time::Jitter;
use crate::time::Now;

/// How long ending a login may take in all. It is not repeated, so it may take its time.
const TIMEOUT: Duration = Duration::from_secs(30);

impl Account {
    /// An operator wants the login ended at the provider and the credential forgotten.
    pub(super) fn logout(&mut self, now: Now, out: &mut Vec<Command>) {
        if let Some(refusal) = self.why_no_logout(now) {
            out.push(Command::Answer(Err(refusal)));
            return;
        }
        let ticket = self.next_ticket();
        self.requests.take(now.boot, usize::from(self.plan.requests));
        self.destination = self.lineage.clone();
        self.set_aside();
        self.state = State::Leaving(ticket, Leaving::Intending);
        let write = Write::Intent {
            account: self.id.clone(),
            stake: Stake::Current,
            replays: self.doubt.is_some(),
            // A store that cannot be written must not keep a stolen login alive.
            spends: false,
            now,
            attempts: self.requests.starts().to_vec(),
        };
        out.push(Command::AnswerLater(ticket));
        out.push(Command::Intend { ticket, stake: Stake::Current, write });
        out.push(Command::Publish);
    }

    fn why_no_logout(&self, now: Now) -> Option<Refusal> {
        if self.is_released() {
            // To end it at the provider would end it for whoever owns it.
            let message = format!(
                "its refresh token was handed out, and a logout would end the login of whoever has \
                 it; to forget it here alone, type: tokenctl logout {} --local",
                self.id
            );
            return Some(Refusal::new(Code::NotSupported, message));
        }
        let (code, message) = if !self.plan.has_refresh_token {
            (Code::NotSupported, "this account works without a login")
        } else if let State::Leaving(..) = self.state {
            (Code::RefreshPending, "an earlier logout is under way")
        } else if self.candidate.is_some() {
            (Code::RefreshPending, "a login or an import is still being proven")
        } else if self.is_flying() {
            (Code::RefreshPending, "a refresh is under way; try again when it has ended")
        } else if !self.refreshable {
            (Code::TokenMissing, "the account has no credential")
        } else if self.leads_elsewhere() {
            (
                Code::NotSupported,
                "its credential came from another place than the configuration names, and is not \
                 sent elsewhere",
            )
        } else if self.doubt.is_some() {
            (
                Code::InDoubt,
                "a reply was lost, so it is not known which refresh token is to be ended",
            )
        } else {
            let free = self.requests.earliest(now.boot, usize::from(self.plan.requests));
            return (free > now.boot).then(|| Refusal {
                retry_at: Some(free),
                ..Refusal::new(Code::RateLimitExceeded, "the request budget is used up")
            });
        };
        Some(Refusal { entry: self.entry(), ..Refusal::new(code, message) })
    }

    /// Secrets and refresh token are at hand, or not.
    pub(super) fn ready_to_leave(
        &mut self,
        ticket: Ticket,
        result: Result<bool, RefreshError>,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        match result {
            _ if self.destination != self.lineage => {
                // Nothing has been sent, and what was handed out belongs elsewhere by now.
                let why = "the configuration changed before it was sent".to_owned();
                let failed = Revocation::Failed(RefreshError::Unreachable(why));
                self.still_here(ticket, failed, now, jitter, out);
            }
            Ok(_) => {
                self.requests.put_off(now.boot, usize::from(self.plan.requests));
                self.state = State::Leaving(ticket, Leaving::Asked);
                out.push(Command::Revoke { ticket, timeout: TIMEOUT });
            }
            Err(error) => self.still_here(ticket, Revocation::Failed(error), now, jitter, out),
        }
    }

    /// The provider was asked to end the login.
    pub(super) fn revoked(
        &mut self,
        ticket: Ticket,
        revocation: Revocation,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        if !matches!(self.state, State::Leaving(ours, Leaving::Asked) if ours == ticket) {
            return;
        }
        match revocation {
            Revocation::Ended => {
                self.ordered.push((ticket, Done::Changed(self.generation)));
                self.state = State::Vacant;
                self.forget(ticket, now, jitter, out);
            }
            Revocation::Impossible | Revocation::Failed(_) => {
                self.still_here(ticket, revocation, now, jitter, out);
            }
        }
    }

    /// The login was not ended: the account goes on as before.
    fn still_here(
        &mut self,
        ticket: Ticket,
        revocation: Revocation,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        let here = format!("to forget it here alone, type: tokenctl logout {} --local", self.id);
        let refusal = match revocation {
            Revocation::Failed(error) => Refusal {
                provider_error: error.provider_error().cloned(),
                ..Refusal::new(
                    error.code(),
                    format!("the login was not ended, and nothing was forgotten: {error}; {here}"),
                )
            },
            Revocation::Ended | Revocation::Impossible => {
                let access = match &self.held {
                    Some(held) if !held.ttl(now).is_zero() => {
                        format!("the access token stays good until {}", held.expires_wall)
                    }
                    Some(_) | None => "no access token is good any more".to_owned(),
                };
                let message = format!(
                    "this provider has no way to end a login, and nothing was forgotten: {access}, \
                     the refresh token for as long as the provider keeps it; {here}"
                );
                Refusal::new(Code::NotSupported, message)
            }
        };
        let write = Write::Note {
            account: self.id.clone(),
            standing: self.standing.clone(),
            ends_intent: true,
        };
        // Lost, it leaves a doubt to a restart, which the next exchange clears up.
        out.push(Command::Write { ticket, write });
        self.take_up_again(now, jitter, out);
        out.push(Command::AnswerTo(ticket, Err(refusal)));
    }
}
