//! From the configuration to the accounts of the supervisor, and what a change of it means.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::access::Rule;
use crate::config;
use crate::config::Allow;
use crate::config::Config;
use crate::keeper::Directory;
use crate::name::AccountId;
use crate::names::Names;
use crate::protocol::ReloadView;
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

/// A rule by unit that lets nobody in, for want of a user, on a kernel that proves no unit alone.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{place}: this kernel does not prove a unit alone, so the rule by unit {unit} lets nobody in \
     while it does not name the user"
)]
pub(super) struct Weak {
    /// The account, or the key of the daemon's table, that the rule stands at.
    place: String,
    /// What it names.
    unit: Box<str>,
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
        let weak = self.weak_rules();
        let more = unknown.iter().map(ToString::to_string).chain(weak.iter().map(Weak::to_string));
        let warnings = view.warnings.into_iter().chain(more);
        let view = ReloadView { warnings: warnings.collect(), ..view };
        self.unknown = unknown;
        (lineup, view)
    }

    /// Looks up again who the rules speak of.
    pub(super) fn look_up_again(&mut self) -> Lineup {
        let (lineup, unknown) = lineup(&self.config, |id, settings| self.look_again(id, settings));
        self.unknown = unknown;
        lineup
    }

    /// What a change to `config` would do to accounts that stand as `directory` says.
    pub(super) fn compare(&self, config: &Config, directory: &Directory) -> ReloadView {
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

    /// Rules that this kernel is too old for.
    pub(super) fn weak_rules(&self) -> Vec<Weak> {
        match self.proof {
            Proof::Process => Vec::new(),
            Proof::Number => weak_rules(&self.config),
        }
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

fn weak_rules(config: &Config) -> Vec<Weak> {
    let accounts = config.accounts.iter().map(|(id, account)| (id.as_str(), &account.allow));
    let daemon =
        [("daemon.admin", &config.daemon.admin), ("daemon.metrics", &config.daemon.metrics)];
    let rules = accounts
        .chain(daemon)
        .flat_map(|(place, rules)| rules.iter().map(move |rule| (place, rule)));
    let alone = |(place, rule): (&str, &Allow)| match (&rule.unit, &rule.user) {
        (Some(unit), None) => Some(Weak { place: place.to_owned(), unit: unit.clone() }),
        (Some(_), Some(_)) | (None, _) => None,
    };
    rules.filter_map(alone).collect()
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

fn settings(account: &config::Account, rules: Arc<[Rule]>) -> Settings {
    Settings {
        provider: Arc::clone(&account.provider),
        plan: Arc::clone(&account.plan),
        rules,
        hooks: Arc::clone(&account.hooks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Defaults;
    use crate::config::File;
    use crate::section::Mode;

    #[test]
    fn rules_that_name_a_unit_and_no_user_are_told_where_a_number_is_all_the_proof() {
        let text = "[daemon]\nadmin = ['unit:ops.service']\nmetrics = ['prometheus']\n\
                    [accounts.mail]\nprovider = 'google'\nclient_id = 'x'\n\
                    allow = ['unit:a.service', { unit = 'b.service', group = 'mail' }, \
                             { unit = 'c.service', user = 'root' }, 'root']\n";
        let cast = |proof| {
            let file = File { name: "config.toml".into(), text: text.into() };
            let config = Config::parse(&[file], Mode::System, Defaults::system()).ok().unwrap();
            Cast::begin(config, Vec::new(), proof).0
        };
        let weak = cast(Proof::Number).weak_rules();
        let places = weak.iter().map(|weak| (weak.place.as_str(), &*weak.unit));
        assert_eq!(
            places.collect::<Vec<_>>(),
            [("mail", "a.service"), ("mail", "b.service"), ("daemon.admin", "ops.service")]
        );
        assert_eq!(cast(Proof::Process).weak_rules(), []);
    }
}
