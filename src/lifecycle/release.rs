//! A release: the refresh token is to be handed out, and from then on somebody else owns it.
//!
//! The account is frozen first, durably, and only then does the store hand the token out,
//! which it does of no account that is not released. So a crash leaves either nothing done,
//! or a frozen account of which the token can be asked for again. What ends it is an import,
//! a login, or a resume by somebody who knows that nobody else uses the token.

use super::Account;
use super::State;
use super::words::Command;
use crate::error::code::Code;
use crate::record::Hold;
use crate::snapshot::Refusal;
use crate::time::Jitter;
use crate::time::Now;

impl Account {
    /// Freezes the account. Asked again it is made durable again, for the last time may not
    /// have been.
    pub(super) fn release(&mut self, now: Now, jitter: Jitter, out: &mut Vec<Command>) {
        if let Some(refusal) = self.why_not_released() {
            out.push(Command::Answer(Err(refusal)));
            return;
        }
        self.standing.hold = Hold::Released;
        let ticket = self.answered_by_write(out);
        out.push(Command::Write { ticket, write: self.note(now) });
        if let State::Queued(_) = self.state {
            out.push(Command::Unqueue);
            self.state = State::Vacant;
        }
        self.settle(now, jitter, out);
    }

    /// Whether somebody else owns the refresh token.
    pub(super) fn is_released(&self) -> bool {
        self.standing.hold == Hold::Released
    }

    /// A token that may be spent already, or is about to be replaced, is nobody's to own.
    fn why_not_released(&self) -> Option<Refusal> {
        let under_way = match self.state {
            State::Exchanging(..) | State::Saving(..) | State::Leaving(..) => true,
            State::Vacant
            | State::Fresh { .. }
            | State::Queued(_)
            | State::InDoubt { .. }
            | State::Waiting { .. }
            | State::Suspect { .. }
            | State::NeedsLogin
            | State::Frozen { .. } => false,
        };
        let (code, message) = if !self.plan.has_refresh_token {
            (Code::NotSupported, "this account works without a refresh token")
        } else if under_way {
            (Code::RefreshPending, "a refresh is under way; try again when it has ended")
        } else if self.candidate.is_some() {
            (Code::RefreshPending, "a login or an import is still being proven")
        } else if !self.refreshable {
            (Code::TokenMissing, "the account has no refresh token")
        } else if self.doubt.is_some() {
            (Code::InDoubt, "a reply was lost, so its refresh token may be spent already")
        } else {
            return None;
        };
        Some(Refusal { entry: self.entry(), ..Refusal::new(code, message) })
    }
}
