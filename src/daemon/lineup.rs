//! From the configuration to the accounts of the supervisor, and what a change of it means.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config;
use crate::config::Config;
use crate::name::AccountId;
use crate::names::Names;
use crate::pacing::Route;
use crate::protocol::ReloadView;
use crate::record::Lineage;
use crate::record::Record;
use crate::supervisor::Change;
use crate::supervisor::Lineup;
use crate::supervisor::Settings;

/// Who is on: what a later configuration is compared with.
pub(super) struct Cast {
    members: BTreeMap<AccountId, Member>,
    /// Names in rules that mean nobody on this host, with the account or key they stand at.
    unknown: Vec<(String, String)>,
}

struct Member {
    fingerprint: [u8; 32],
    lineage: Lineage,
}

impl Cast {
    /// The accounts of a first configuration, with what the store knows of them.
    pub(super) fn begin(config: &Config, records: Vec<Record>) -> (Self, Lineup) {
        let mut cast = Self { members: BTreeMap::new(), unknown: Vec::new() };
        let (lineup, _) = cast.change(config, records);
        (cast, lineup)
    }

    /// Takes over another configuration. `records` is what the store knows of accounts that are new in it.
    pub(super) fn change(&mut self, config: &Config, records: Vec<Record>) -> (Lineup, ReloadView) {
        let mut records = records
            .into_iter()
            .map(|record| (record.account.clone(), Box::new(record)))
            .collect::<BTreeMap<_, _>>();
        let view = self.compare(config);
        let mut names = Names::default();
        let mut unknown = Vec::new();
        let mut accounts = BTreeMap::new();
        let mut members = BTreeMap::new();
        for (id, account) in &config.accounts {
            let settings = settings(id, account, &mut names, &mut unknown);
            let lineage = settings.provider.profile().lineage.clone();
            let change = match self.members.get(id) {
                None => Change::New(Arc::new(settings), records.remove(id)),
                Some(member) if member.fingerprint != account.fingerprint => {
                    Change::Settings(Arc::new(settings))
                }
                Some(_) if self.knows_all(id) => Change::Nothing,
                Some(_) => Change::Rules(Arc::new(settings)),
            };
            accounts.insert(id.clone(), change);
            members.insert(id.clone(), Member { fingerprint: account.fingerprint, lineage });
        }
        let mut rules = |key: &str, allow: &[config::Allow]| {
            let resolved = names.resolve(allow);
            unknown.extend(resolved.unknown.into_iter().map(|name| (key.to_owned(), name)));
            resolved.rules
        };
        let admin = rules("daemon.admin", &config.daemon.admin);
        let metrics = rules("daemon.metrics", &config.daemon.metrics);
        self.members = members;
        self.unknown = unknown;
        (Lineup { accounts, admin, metrics }, view)
    }

    /// What a change to `config` would do.
    pub(super) fn compare(&self, config: &Config) -> ReloadView {
        let mut view = ReloadView {
            added: Vec::new(),
            removed: Vec::new(),
            changed: Vec::new(),
            needs_login: Vec::new(),
            unchanged: 0,
            warnings: config.warnings.iter().map(ToString::to_string).collect(),
            restart: Vec::new(),
        };
        for (id, account) in &config.accounts {
            let lineage = &account.provider.profile().lineage;
            match self.members.get(id) {
                None => view.added.push(id.to_string()),
                Some(member) if member.fingerprint == account.fingerprint => view.unchanged += 1,
                Some(member) if member.lineage == *lineage => view.changed.push(id.to_string()),
                Some(_) => view.needs_login.push(id.to_string()),
            }
        }
        let gone = self.members.keys().filter(|id| !config.accounts.contains_key(*id));
        view.removed = gone.map(ToString::to_string).collect();
        view
    }

    /// Whether the configuration has accounts that are not on yet.
    pub(super) fn lacks_some(&self, config: &Config) -> bool {
        config.accounts.keys().any(|id| !self.members.contains_key(id))
    }

    /// Names that mean nobody (yet), with where they stand.
    pub(super) fn unknown(&self) -> &[(String, String)] {
        &self.unknown
    }

    /// How many accounts are on.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    fn knows_all(&self, id: &AccountId) -> bool {
        !self.unknown.iter().any(|(place, _)| place == id.as_str())
    }
}

fn settings(
    id: &AccountId,
    account: &config::Account,
    names: &mut Names,
    unknown: &mut Vec<(String, String)>,
) -> Settings {
    let resolved = names.resolve(&account.allow);
    unknown.extend(resolved.unknown.into_iter().map(|name| (id.to_string(), name)));
    let profile = account.provider.profile();
    Settings {
        provider: Arc::clone(&account.provider),
        plan: Arc::clone(&account.plan),
        route: Route { host: Arc::clone(&profile.host), client: Arc::clone(&profile.client) },
        rules: resolved.rules.into(),
    }
}
