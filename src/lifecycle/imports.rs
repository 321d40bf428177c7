//! What is handed in: a refresh token that an operator has, that a login brought, or that was
//! found where another program logs in by itself.
//!
//! It is staged, proven by one exchange, and only then takes the place of the account's own.
//! After a release only its owner's own word takes the account back, and nothing that is found.

use super::Account;
use super::Candidate;
use super::Proof;
use super::words::Command;
use super::words::Credential;
use super::words::Done;
use crate::error::RefreshError;
use crate::error::STORE_UNREADABLE;
use crate::error::code::Code;
use crate::notice::Reason;
use crate::record::Hold;
use crate::record::StoreError;
use crate::record::Write;
use crate::snapshot::Refusal;
use crate::time::Jitter;
use crate::time::Now;
use crate::token::Generation;

impl Account {
    /// An operator hands in a refresh token, or a login brought one. It is staged, proven by
    /// one exchange, and only then replaces the current one. An earlier one that waits, because the
    /// provider says nothing of it, gives way.
    pub(super) fn import(
        &mut self,
        credential: Credential,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        let Credential { refresh_token, aws, found } = credential;
        let mark = refresh_token.mark();
        if found && !self.is_released() && self.was_taken_over(&mark) {
            // Whoever found it did not come to remove it there.
            out.push(Command::Answer(Ok(Done::Current(self.generation))));
            return;
        }
        if let Some(refusal) = self.why_not_taken(&mark, found) {
            out.push(Command::Answer(Err(refusal)));
            return;
        }
        let ticket = self.next_ticket();
        let lineage = self.lineage.clone();
        self.importer = Some(ticket);
        out.push(Command::AnswerLater(ticket));
        if self.asks_once_more(&mark) {
            self.go_on(Reason::Requested, now, out);
            return;
        }
        let replaces = self.candidate.take();
        if replaces.is_some() {
            self.take_up_again(now, jitter, out);
        }
        self.candidate = Some(Box::new(Candidate {
            lineage: lineage.clone(),
            staging: Some(ticket),
            mark: Some(mark),
            aws,
            found,
            proof: Proof::Awaited,
            doubt: None,
            replaces,
        }));
        let write = Write::Stage { account: self.id.clone(), lineage, refresh_token };
        out.push(Command::Write { ticket, write });
    }

    /// Whether it is the very one that waits to be proven: whoever handed it in did not hear what came
    /// of it. What may have been spent goes on as that.
    fn asks_once_more(&mut self, mark: &str) -> bool {
        let waiting = self.candidate.as_mut().filter(|it| it.mark.as_deref() == Some(mark));
        let Some(waiting) = waiting else { return false };
        waiting.proof = Proof::Awaited;
        true
    }

    fn why_not_taken(&self, mark: &str, found: bool) -> Option<Refusal> {
        let (code, message) = if !self.plan.has_refresh_token {
            (Code::NotSupported, "this account works without a refresh token")
        } else if self.is_released() && found {
            // What is found may be the new owner's own, who has given nothing back.
            (
                Code::NotSupported,
                "its refresh token was handed out, and what is found in a file may belong to \
                 whoever has it; the file stays as it is. To take the account back, hand the \
                 refresh token in by an import that names no program, or log in",
            )
        } else if !self.is_released() && self.was_taken_over(mark) {
            // To spend it again may end the login that it began. One that was handed out comes
            // back as it is where the provider never replaces it.
            (Code::NotSupported, "this refresh token was taken over already; nothing was sent")
        } else if self.standing.foreign.as_ref().is_some_and(|foreign| *foreign.mark == *mark) {
            (Code::ForeignWriter, "this login turned out to be another person's; nothing was sent")
        } else if self.standing.hold == Hold::Paused && self.is_unreadable() {
            (Code::StoreUnavailable, STORE_UNREADABLE)
        } else if self.standing.hold == Hold::Paused {
            (Code::NotSupported, "the account is paused; resume it first")
        } else if self.candidate.as_ref().is_some_and(|earlier| self.needs_its_turn(earlier)) {
            (Code::RefreshPending, "an earlier import is still being proven")
        } else if self.owes_an_unstage() {
            (Code::StoreUnavailable, "the store has not forgotten an earlier import yet")
        } else {
            return None;
        };
        Some(Refusal::new(code, message))
    }

    /// Whether a credential that was handed in does not give way to a newer one: it is on its way, or
    /// the account lives by it.
    const fn needs_its_turn(&self, earlier: &Candidate) -> bool {
        let lives_by_it = matches!(earlier.proof, Proof::Unsaved { .. });
        earlier.staging.is_some() || lives_by_it || self.is_flying()
    }

    fn is_unreadable(&self) -> bool {
        let error = self.standing.failure.as_ref().map(|failure| &failure.error);
        matches!(error, Some(RefreshError::StoreUnreadable))
    }

    fn was_taken_over(&self, mark: &str) -> bool {
        self.standing.taken_over.as_deref() == Some(mark)
    }

    pub(super) fn staged_or_not(
        &mut self,
        result: Result<Option<Generation>, StoreError>,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        match result {
            Ok(_) => {
                if let Some(candidate) = &mut self.candidate {
                    candidate.staging = None;
                    candidate.replaces = None;
                }
                self.settle(now, jitter, out);
            }
            Err(error) => {
                self.candidate = self.candidate.take().and_then(|candidate| candidate.replaces);
                let refusal = Refusal::new(Code::StoreUnavailable, error.to_string());
                self.answer_importer(Err(refusal), out);
                if self.candidate.is_some() {
                    self.settle(now, jitter, out);
                }
            }
        }
    }
}
