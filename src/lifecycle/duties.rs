//! Writes that no attempt waits for, and that must be done all the same.
//!
//! An import that was refused and is still staged would be spent once more after a restart; a
//! grant that was set aside is nowhere but in memory. A duty is tried until the store has
//! taken it, with the pauses of any other write. The first refusal is raised: told to
//! everyone who follows, beside what is said of the account's own credential, which it says
//! nothing of.

use std::sync::Arc;

use super::Account;
use super::words::Command;
use super::words::Ticket;
use crate::error::RefreshError;
use crate::notice::Event;
use crate::notice::Reason;
use crate::record::StoreError;
use crate::record::Write;
use crate::schedule;
use crate::snapshot::Refusal;
use crate::time::Moment;
use crate::time::Now;
use crate::token::Grant;

/// One write that must be done.
pub(super) struct Duty {
    ticket: Ticket,
    what: What,
    /// How often the store refused it.
    refused: u32,
    /// When it is tried again; `None` while it is being tried.
    retry: Option<Moment>,
}

/// What must be written.
pub(super) enum What {
    /// The staged credential is no good. Whoever handed it in hears that once it is forgotten.
    Unstage(Option<Box<Refusal>>),
    /// This belongs to somebody else, and came at that time.
    Orphan(Arc<Grant>, Now),
    /// How the account stands, as of each try.
    Standing,
}

impl Account {
    /// Takes up a duty.
    pub(super) fn owe(&mut self, what: What, now: Now, out: &mut Vec<Command>) {
        let ticket = self.next_ticket();
        out.push(Command::Write { ticket, write: self.dutiful(&what, now) });
        self.duties.push(Duty { ticket, what, refused: 0, retry: None });
    }

    /// A write ended. Says whether it was a duty's.
    pub(super) fn duty_ended(
        &mut self,
        ticket: Ticket,
        error: Option<&StoreError>,
        now: Now,
        out: &mut Vec<Command>,
    ) -> bool {
        let Some(at) = self.duties.iter().position(|duty| duty.ticket == ticket) else {
            return false;
        };
        let mut duty = self.duties.swap_remove(at);
        if let What::Unstage(refusal) = &mut duty.what
            && let Some(refusal) = refusal.take()
        {
            self.answer_importer(Err(*refusal), out);
        }
        if let Some(error) = error {
            if duty.refused == 0 {
                let error = RefreshError::StoreUnavailable(error.to_string());
                let failure = Arc::new(self.failure(error, now));
                out.push(Command::Tell(Event::RefreshFailed { reason: duty.reason(), failure }));
            }
            duty.retry = Some(now.boot + schedule::write_again(duty.refused));
            duty.refused = duty.refused.saturating_add(1);
            self.duties.push(duty);
        }
        true
    }

    /// Tries again what is due.
    pub(super) fn do_duties(&mut self, now: Now, out: &mut Vec<Command>) {
        let mut duties = std::mem::take(&mut self.duties);
        for duty in &mut duties {
            if duty.retry.take_if(|retry| *retry <= now.boot).is_some() {
                out.push(Command::Write {
                    ticket: duty.ticket,
                    write: self.dutiful(&duty.what, now),
                });
            }
        }
        self.duties = duties;
    }

    /// When the next duty is tried again.
    pub(super) fn duty_at(&self) -> Option<Moment> {
        self.duties.iter().filter_map(|duty| duty.retry).min()
    }

    /// Whether a staged credential has still to be forgotten: another one that was staged
    /// before that would be forgotten in its place.
    pub(super) fn owes_an_unstage(&self) -> bool {
        self.duties.iter().any(|duty| matches!(duty.what, What::Unstage(_)))
    }

    /// Whether something would be lost if it ended before its duties are done.
    pub fn is_in_duty(&self) -> bool {
        self.duties.iter().any(|duty| match duty.what {
            What::Unstage(_) | What::Orphan(..) => true,
            What::Standing => false,
        })
    }

    fn dutiful(&self, what: &What, now: Now) -> Write {
        let account = self.id.clone();
        match what {
            What::Unstage(_) => Write::Unstage { account },
            What::Orphan(grant, came) => {
                Write::Orphan { account, grant: Arc::clone(grant), now: *came }
            }
            What::Standing => self.note(now),
        }
    }
}

impl Duty {
    /// What the refresh was for that left it behind.
    const fn reason(&self) -> Reason {
        match self.what {
            What::Unstage(_) => Reason::Requested,
            What::Orphan(..) | What::Standing => Reason::Scheduled,
        }
    }
}
