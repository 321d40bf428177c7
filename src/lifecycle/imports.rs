//! What is handed in: a refresh token that an operator has, that a login brought, or that was
//! found where another program logs in by itself.
//!
//! It is staged, proven by one exchange, and only then takes the place of the account's own.

use super::Account;
use super::Candidate;
use super::Command;
use super::Credential;
use super::Done;
use crate::error::Code;
use crate::record::StoreError;
use crate::record::Write;
use crate::snapshot::Refusal;
use crate::time::Jitter;
use crate::time::Now;
use crate::token::Generation;
use crate::token::Secret;
use crate::token::hex;

impl Account {
    /// An operator hands in a refresh token, or a login brought one. It is staged, proven by
    /// one exchange, and only then replaces the current one.
    pub(super) fn import(&mut self, credential: Credential, out: &mut Vec<Command>) {
        let Credential { refresh_token, aws, found } = credential;
        let mark = mark(&refresh_token);
        if found && self.standing.taken_over.as_ref() == Some(&mark) {
            // Whoever found it did not come to remove it there.
            out.push(Command::Answer(Ok(Done::Current(self.generation))));
            return;
        }
        let refusal = if self.standing.taken_over.as_ref() == Some(&mark) {
            // To spend it again may end the login that it began.
            Some((
                Code::NotSupported,
                "this refresh token was taken over already; nothing was sent",
            ))
        } else if !self.plan.has_refresh_token {
            Some((Code::NotSupported, "this account works without a refresh token"))
        } else if self.standing.paused && !self.standing.released {
            Some((Code::NotSupported, "the account is paused; resume it first"))
        } else if self.candidate.is_some() {
            Some((Code::RefreshPending, "an earlier import is still being proven"))
        } else if self.owes_an_unstage() {
            Some((Code::StoreUnavailable, "the store has not forgotten an earlier import yet"))
        } else {
            None
        };
        if let Some((code, message)) = refusal {
            out.push(Command::Answer(Err(Refusal::new(code, message))));
            return;
        }
        let ticket = self.next_ticket();
        let lineage = self.lineage.clone();
        self.importer = Some(ticket);
        out.push(Command::AnswerLater(ticket));
        self.candidate = Some(Box::new(Candidate {
            lineage: lineage.clone(),
            staging: Some(ticket),
            mark: Some(mark),
            aws,
            found,
            doubt: None,
        }));
        let write = Write::Stage { account: self.id.clone(), lineage, refresh_token };
        out.push(Command::Write { ticket, write });
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
                }
                self.settle(now, jitter, out);
            }
            Err(error) => {
                self.candidate = None;
                let refusal = Refusal::new(Code::StoreUnavailable, error.to_string());
                self.answer_importer(Err(refusal), out);
            }
        }
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

/// What a refresh token is known by once it is spent.
fn mark(refresh_token: &Secret) -> Box<str> {
    /// 128 bits of the hash: no two tokens of an account share them.
    const DIGITS: usize = 32;

    let mut mark = hex(&refresh_token.sha256());
    mark.truncate(DIGITS);
    mark.into()
}
