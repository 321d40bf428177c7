//! Which accounts there are, and how a change of the configuration is applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Seat;
use super::Supervisor;
use super::World;
use crate::access::Rule;
use crate::hook::Hook;
use crate::keeper;
use crate::keeper::Directory;
use crate::lifecycle::Account;
use crate::lifecycle::words::Beginning;
use crate::lifecycle::words::Input;
use crate::name::AccountId;
use crate::pacing::Route;
use crate::plan::Plan;
use crate::provider::Provider;
use crate::record::Record;

/// Every account that the configuration names, and what changed about it.
pub struct Lineup {
    /// The accounts.
    pub accounts: BTreeMap<AccountId, Change>,
    /// Who may order about the daemon itself, besides its masters.
    pub admin: Vec<Rule>,
    /// Who may read metrics, besides its masters.
    pub metrics: Vec<Rule>,
}

/// What changed about an account.
pub enum Change {
    /// Nothing: it keeps token, schedule and waiters.
    Nothing,
    /// Who its rules speak of, or its hooks, and nothing that its life goes by.
    Rules(Arc<Settings>),
    /// Its settings. A new lineage means a new login.
    Settings(Arc<Settings>),
    /// It is new here; the store may know it.
    New(Arc<Settings>, Option<Box<Record>>),
}

/// What the configuration says of an account.
pub struct Settings {
    /// How to talk to its provider.
    pub provider: Arc<dyn Provider>,
    /// What its life goes by.
    pub plan: Arc<Plan>,
    /// Who may have what of it.
    pub rules: Arc<[Rule]>,
    /// What is called about it.
    pub hooks: Arc<[Arc<Hook>]>,
}

impl Settings {
    /// Who is asked before an attempt.
    pub(super) fn gate(&self) -> Option<&Arc<Hook>> {
        self.hooks.iter().find(|hook| hook.is_gate())
    }

    /// What its exchanges are counted by.
    pub(super) fn route(&self) -> Route {
        let profile = self.provider.profile();
        Route { host: Arc::clone(&profile.host), client: Arc::clone(&profile.client) }
    }
}

impl<W: World> Supervisor<W> {
    /// Applies a change, as a whole.
    pub(super) fn apply(&mut self, lineup: Lineup) {
        let now = self.world.now();
        let gone = self
            .seats
            .keys()
            .filter(|account| !lineup.accounts.contains_key(*account))
            .cloned()
            .collect::<Vec<_>>();
        for account in gone {
            if let Some(seat) = self.seats.get_mut(&account) {
                seat.leaving = true;
                self.after(&account, now.boot);
            }
        }
        for (account, change) in lineup.accounts {
            match change {
                Change::Nothing => {}
                Change::Rules(settings) => {
                    if let Some(seat) = self.seats.get_mut(&account) {
                        seat.settings = settings;
                    }
                }
                Change::Settings(settings) => self.change(&account, settings),
                Change::New(settings, record) => self.add(account, settings, record),
            }
        }
        self.hooks.forget(|account, hook| {
            let seat = self.seats.get(account).filter(|seat| !seat.leaving);
            seat.is_some_and(|seat| seat.settings.hooks.iter().any(|it| *it.name == *hook))
        });
        let Lineup { admin, metrics, .. } = lineup;
        self.directory.send_replace(Arc::new(Directory::new(self.shown(), admin, metrics)));
    }

    fn add(&mut self, id: AccountId, settings: Arc<Settings>, record: Option<Box<Record>>) {
        let (now, jitter) = (self.world.now(), self.world.jitter());
        if let Some(seat) = self.seats.get_mut(&id) {
            // It came back before its last exchange had ended.
            seat.leaving = false;
            self.change(&id, settings);
            return;
        }
        let beginning = Beginning {
            id: id.clone(),
            plan: Arc::clone(&settings.plan),
            lineage: settings.provider.profile().lineage.clone(),
            record: record.map(|record| *record),
        };
        let (account, commands) = Account::begin(beginning, now, jitter);
        self.pacing.join(&settings.route());
        self.seats.insert(id.clone(), Box::new(Seat::new(account, settings)));
        self.carry_out(&id, commands);
    }

    fn change(&mut self, id: &AccountId, settings: Arc<Settings>) {
        let now = self.world.now();
        let Some(seat) = self.seats.get_mut(id) else { return };
        let old = seat.resettle(Arc::clone(&settings));
        let (left, route) = (old.route(), settings.route());
        if left != route {
            self.pacing.leave(id, &left, now.boot);
            self.pacing.join(&route);
        }
        let lineage = settings.provider.profile().lineage.clone();
        self.feed(id, Input::Reconfigured(Arc::clone(&settings.plan), lineage));
    }

    /// The accounts as their readers find them.
    fn shown(&self) -> BTreeMap<AccountId, Arc<keeper::Seat>> {
        self.seats
            .iter()
            .filter(|(_, seat)| !seat.leaving)
            .map(|(account, seat)| {
                let shown = keeper::Seat {
                    account: account.clone(),
                    provider: Arc::clone(&seat.settings.provider),
                    rules: Arc::clone(&seat.settings.rules),
                    hooks: Arc::clone(&seat.settings.hooks),
                    snapshot: seat.snapshot.subscribe(),
                };
                (account.clone(), Arc::new(shown))
            })
            .collect()
    }
}
