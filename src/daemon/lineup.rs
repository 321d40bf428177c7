//! From the configuration to the accounts of the supervisor, and what a change of it means.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::weak;
use super::weak::Weak;
use crate::access::Rule;
use crate::config;
use crate::config::Config;
use crate::config::allow::Allow;
use crate::keeper::Directory;
use crate::name::AccountId;
use crate::names::Names;
use crate::protocol::daemon::ReloadView;
use crate::record::Record;
use crate::supervisor::lineup::Change;
use crate::supervisor::lineup::Lineup;
use crate::supervisor::lineup::Settings;
use crate::unit::Proof;

/// Who is on: the configuration in force, and what a later one is compared with.
pub(super) struct Cast {
    config: Config,
    unknown: Vec<Stranger>,
    proof: Proof,
}

/// A name in a rule that means nobody on this host (yet).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{place}: there is no {name} on this host, so its rule lets nobody in")]
pub(super) struct Stranger {
    /// The account, or the key of the daemon's table, that the rule stands at.
    place: String,
    /// What it names: `user alice`, `group mail`.
    name: String,
}

/// Every name in the rules of a configuration that means nobody on this host (yet).
pub(super) fn strangers(config: &Config) -> Vec<Stranger> {
    let (_, unknown) = lineup(config, |_, _| Change::Nothing);
    unknown
}

impl Cast {
    /// The accounts of a first configuration, with what the store knows of them.
    /// `proof` is how well this kernel says which process asks.
    pub(super) fn begin(config: Config, records: Vec<Record>, proof: Proof) -> (Self, Lineup) {
        let mut records = by_account(records);
        let new = |id: &AccountId, settings| Change::New(settings, records.remove(id));
        let (lineup, unknown) = lineup(&config, new);
        (Self { config, unknown, proof }, lineup)
    }

    /// Takes over another configuration. `records` is what the store knows of accounts that
    /// are new in it, and `directory` how the accounts stand.
    pub(super) fn change(
        &mut self,
        config: Config,
        records: Vec<Record>,
        directory: &Directory,
    ) -> (Lineup, ReloadView) {
        let view = self.compare(&config, directory);
        let mut records = by_account(records);
        let (lineup, unknown) = lineup(&config, |id, settings| {
            match (self.config.accounts.get(id), config.accounts.get(id)) {
                (Some(old), Some(new)) if old.fingerprint != new.fingerprint => {
                    Change::Settings(settings)
                }
                (Some(old), Some(new)) if old.hooks != new.hooks => Change::Rules(settings),
                (Some(_), _) => self.look_again(id, settings),
                (None, _) => Change::New(settings, records.remove(id)),
            }
        });
        self.config = config;
        self.unknown = unknown;
        (lineup, view)
    }

    /// Looks up again who the rules speak of.
    pub(super) fn look_up_again(&mut self) -> Lineup {
        let (lineup, unknown) = lineup(&self.config, |id, settings| self.look_again(id, settings));
        self.unknown = unknown;
        lineup
    }

    /// What a change to `config` would do to accounts that stand as `directory` says. What would
    /// not work of it is for others to say.
    pub(super) fn compare(&self, config: &Config, directory: &Directory) -> ReloadView {
        let mut view = ReloadView {
            added: Vec::new(),
            removed: Vec::new(),
            changed: Vec::new(),
            needs_login: Vec::new(),
            unchanged: 0,
            warnings: Vec::new(),
            restart: Vec::new(),
        };
        for (id, account) in &config.accounts {
            let new = account.provider.profile();
            let Some(old) = self.config.accounts.get(id) else {
                view.added.push(id.to_string());
                continue;
            };
            // A credential goes back to where it came from, whatever was configured meanwhile.
            let origin = directory.seats.get(id).and_then(|seat| seat.now().origin.clone());
            let origin = origin.as_ref().unwrap_or(&old.provider.profile().lineage);
            if old.fingerprint == account.fingerprint && old.hooks == account.hooks {
                view.unchanged += 1;
            } else if *origin == new.lineage || !new.has_refresh_token {
                view.changed.push(id.to_string());
            } else {
                view.needs_login.push(id.to_string());
            }
        }
        let gone = self.config.accounts.keys().filter(|id| !config.accounts.contains_key(*id));
        view.removed = gone.map(ToString::to_string).collect();
        view
    }

    /// Whether the configuration names the same accounts as the one in force.
    pub(super) fn names_the_same(&self, config: &Config) -> bool {
        config.accounts.keys().eq(self.config.accounts.keys())
    }

    /// The configuration in force.
    pub(super) const fn config(&self) -> &Config {
        &self.config
    }

    /// Names that mean nobody (yet).
    pub(super) fn unknown(&self) -> &[Stranger] {
        &self.unknown
    }

    /// Rules that this kernel is too old for, or the bus that the daemon is on: `bus` is how well
    /// it says which process calls.
    pub(super) fn weak_rules(&self, bus: Option<Proof>) -> Vec<Weak> {
        weak::weak_rules(&self.config, self.proof, bus)
    }

    /// How well this kernel says which process asks.
    pub(super) const fn proof(&self) -> Proof {
        self.proof
    }

    /// An account whose rules were all understood stays as it is.
    fn look_again(&self, id: &AccountId, settings: Arc<Settings>) -> Change {
        if self.unknown.iter().any(|stranger| stranger.place == id.as_str()) {
            Change::Rules(settings)
        } else {
            Change::Nothing
        }
    }
}

fn by_account(records: Vec<Record>) -> BTreeMap<AccountId, Box<Record>> {
    records.into_iter().map(|record| (record.account.clone(), Box::new(record))).collect()
}

/// The lineup of a configuration, with `decide` to say what changed about each account.
fn lineup(
    config: &Config,
    mut decide: impl FnMut(&AccountId, Arc<Settings>) -> Change,
) -> (Lineup, Vec<Stranger>) {
    let mut names = Names::default();
    let mut unknown = Vec::new();
    let mut rules = |place: &str, allow: &[Allow]| {
        let resolved = names.resolve(allow);
        let strangers = resolved.unknown.into_iter();
        unknown.extend(strangers.map(|name| Stranger { place: place.to_owned(), name }));
        resolved.rules
    };
    // Many accounts have the rules of the one before, and share them.
    let mut shared = Arc::<[Rule]>::default();
    let accounts = config
        .accounts
        .iter()
        .map(|(id, account)| {
            let rules = rules(id.as_str(), &account.allow);
            if *shared != *rules {
                shared = rules.into();
            }
            let settings = settings(account, Arc::clone(&shared));
            (id.clone(), decide(id, Arc::new(settings)))
        })
        .collect();
    let admin = rules("daemon.admin", &config.daemon.admin);
    let metrics = rules("daemon.metrics", &config.daemon.metrics);
    (Lineup { accounts, admin, metrics }, unknown)
}

fn settings(account: &config::account::Account, rules: Arc<[Rule]>) -> Settings {
    Settings {
        provider: Arc::clone(&account.provider),
        plan: Arc::clone(&account.plan),
        rules,
        hooks: Arc::clone(&account.hooks),
    }
}
