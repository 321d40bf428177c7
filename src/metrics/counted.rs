//! Which accounts and hooks have been counted, so that what a reload takes away can be forgotten:
//! a family of counters does not tell what is in it.

use std::collections::BTreeSet;

use crate::keeper::Directory;
use crate::name::AccountId;
use crate::notice::Event;
use crate::notice::Notice;

/// What there are numbers about, beside the daemon itself.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) accounts: BTreeSet<AccountId>,
    pub(super) hooks: BTreeSet<(AccountId, Box<str>)>,
}

impl Counted {
    /// Takes down what a notice is counted for.
    pub(super) fn add(&mut self, notice: &Notice) {
        let account = &notice.account;
        if !self.accounts.contains(account) {
            self.accounts.insert(account.clone());
        }
        if let Event::HookFailed { hook, .. } = &notice.event {
            self.hooks.insert((account.clone(), hook.clone()));
        }
    }

    /// Takes out what the directory does not know.
    pub(super) fn leave(&mut self, directory: &Directory) -> Self {
        let accounts = self.accounts.extract_if(.., |it| !directory.seats.contains_key(it));
        let accounts = accounts.collect();
        let hooks = self.hooks.extract_if(.., |(account, hook)| {
            let seat = directory.seats.get(account);
            !seat.is_some_and(|seat| seat.hooks.iter().any(|it| it.name == *hook))
        });
        Self { accounts, hooks: hooks.collect() }
    }
}
