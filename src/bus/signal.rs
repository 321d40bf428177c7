//! What is told of accounts without being asked: signals, changed properties, accounts that
//! come and go. Nothing of it has a token in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use zbus::Message;

use crate::keeper::Directory;
use crate::name::AccountId;
use crate::notice::Event;
use crate::notice::Notice;
use crate::protocol::error::ErrorBody;
use crate::time::Now;
use crate::wording;

use super::method::ACCOUNT;
use super::method::MANAGER;
use super::method::OBJECT_MANAGER;
use super::method::PROPERTIES;
use super::object::ROOT;
use super::object::path_of;
use super::property::Shown;
use super::property::seconds;

/// What was told so far of how accounts stand.
pub(super) struct Told {
    directory: Arc<Directory>,
    accounts: BTreeMap<AccountId, Shown>,
}

impl Told {
    /// As it is now, without a word.
    pub(super) fn begin(directory: Arc<Directory>, now: Now) -> Self {
        let accounts = directory.seats.values();
        let accounts =
            accounts.map(|seat| (seat.account.clone(), Shown::of(seat, &seat.now(), now)));
        Self { accounts: accounts.collect(), directory }
    }

    /// What there is to tell after a reload, or after notices were missed.
    ///
    /// # Errors
    ///
    /// If a message cannot be written.
    pub(super) fn look_again(
        &mut self,
        directory: Arc<Directory>,
        now: Now,
    ) -> zbus::Result<Vec<Message>> {
        let mut messages = Vec::new();
        let gone = self.accounts.keys().filter(|account| !directory.seats.contains_key(*account));
        for account in gone.cloned().collect::<Vec<_>>() {
            self.accounts.remove(&account);
            messages.push(removed(&account)?);
        }
        for seat in directory.seats.values() {
            let shown = Shown::of(seat, &seat.now(), now);
            messages.extend(self.change(&seat.account, shown)?);
        }
        self.directory = directory;
        Ok(messages)
    }

    /// What there is to tell of something that happened: the signal, and what it changed.
    ///
    /// # Errors
    ///
    /// If a message cannot be written.
    pub(super) fn hear(
        &mut self,
        notice: &Notice,
        directory: &Arc<Directory>,
    ) -> zbus::Result<Vec<Message>> {
        // An account is there before something is told of it.
        let mut messages = if Arc::ptr_eq(&self.directory, directory) {
            Vec::new()
        } else {
            self.look_again(directory.clone(), notice.at)?
        };
        let Some(seat) = directory.seats.get(&notice.account) else { return Ok(messages) };
        messages.extend(signal(notice)?);
        let shown = Shown::of(seat, &notice.snapshot, notice.at);
        messages.extend(self.change(&notice.account, shown)?);
        Ok(messages)
    }

    fn change(&mut self, account: &AccountId, shown: Shown) -> zbus::Result<Option<Message>> {
        let Some(older) = self.accounts.get(account) else {
            let message = added(account, &shown)?;
            self.accounts.insert(account.clone(), shown);
            return Ok(Some(message));
        };
        let changed = shown.changed_since(older);
        if changed.is_empty() {
            return Ok(None);
        }
        self.accounts.insert(account.clone(), shown);
        let none: [&str; 0] = [];
        let message = Message::signal(path_of(account), PROPERTIES, "PropertiesChanged");
        message.build(&(ACCOUNT, changed, &none[..])).map(Some)
    }
}

fn added(account: &AccountId, shown: &Shown) -> zbus::Result<Message> {
    let interfaces = BTreeMap::from([(ACCOUNT, shown.properties())]);
    Message::signal(ROOT, OBJECT_MANAGER, "InterfacesAdded").build(&(path_of(account), interfaces))
}

fn removed(account: &AccountId) -> zbus::Result<Message> {
    let message = Message::signal(ROOT, OBJECT_MANAGER, "InterfacesRemoved");
    message.build(&(path_of(account), &[ACCOUNT][..]))
}

/// The signal of an event, if it has one. The others are changes of properties.
fn signal(notice: &Notice) -> zbus::Result<Option<Message>> {
    let account = notice.account.as_str();
    let snapshot = &notice.snapshot;
    let of = |name| Message::signal(ROOT, MANAGER, name);
    let message = match &notice.event {
        Event::TokenChanged { .. } => {
            let expires_at = snapshot.held.as_ref().map_or(0, |held| seconds(held.expires_wall));
            of("TokenChanged").build(&(account, snapshot.generation.0, expires_at))
        }
        Event::RefreshFailed { failure, .. } => {
            let ErrorBody { error_code, message, .. } = wording::failed(failure, notice);
            let retry_at = snapshot.next.map_or(0, |next| seconds(notice.at.wall_at(next)));
            of("RefreshFailed").build(&(account, error_code.as_str(), message, retry_at))
        }
        Event::Alarm { failure } => {
            let ErrorBody { error_code, message, .. } = wording::failed(failure, notice);
            of("Alarm").build(&(account, error_code.as_str(), message))
        }
        Event::Recovered { failed } => of("Recovered").build(&(account, *failed)),
        Event::Expired => of("Expired").build(&account),
        Event::ExpiryAhead { at, .. } => of("ExpiryAhead").build(&(account, seconds(*at))),
        Event::HookFailed { hook, about, why } => {
            of("HookFailed").build(&(account, &**hook, about.as_str(), &**why))
        }
        Event::RefreshStarted { .. } | Event::StateChanged => return Ok(None),
    };
    message.map(Some)
}
