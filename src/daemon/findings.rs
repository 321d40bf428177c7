//! What an administrator should know: the findings of `tokenctl doctor`. Those about the bus and
//! about rules by unit are in `doors`, those about the store and its files in `ground`.

mod doors;
mod ground;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::steward::Steward;
use crate::clock;
use crate::config::Config;
use crate::hooks::Failing;
use crate::hooks::LastFailure;
use crate::keeper::Directory;
use crate::name::AccountId;
use crate::plan::Rotation;
use crate::protocol::daemon::Finding;
use crate::protocol::daemon::Severity;
use crate::record::Record;
use crate::record::StoreError;
use crate::snapshot::Snapshot;
use crate::snapshot::StateName;
use crate::snapshot::aid::Aid;
use crate::time::Now;
use crate::time::Timestamp;
use crate::time::spoken;

/// What the store holds of an account that is not configured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct LeftOver {
    credential: bool,
    secrets: usize,
}

/// The accounts of which a store has a credential, be it one that waits to be proven.
pub(super) fn stored(records: &[Record]) -> BTreeSet<AccountId> {
    let holds = |record: &&Record| record.current.is_some() || record.staged.is_some();
    records.iter().filter(holds).map(|record| record.account.clone()).collect()
}

impl Steward {
    /// What an administrator should know, problems first.
    pub(super) async fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.store_findings(&mut findings).await;
        if let Some(message) = &self.refused {
            findings.push(Finding {
                severity: Severity::Problem,
                account: None,
                message: format!(
                    "the configuration on disk was refused, so an older one is in force: {message}"
                ),
                advice: "correct it, then type: tokenctl reload".into(),
            });
        }
        for stranger in self.cast.unknown() {
            findings.push(Finding {
                severity: Severity::Weakness,
                account: None,
                message: stranger.to_string(),
                advice: "create it, or correct the rule; it is looked up again every minute".into(),
            });
        }
        self.door_findings(&mut findings);
        self.leftover_findings(&mut findings).await;
        let directory = self.keeper.directory();
        account_findings(self.cast.config(), &directory, clock::now(), &mut findings);
        hook_findings(self.cast.config(), &self.failing.borrow(), &mut findings);
        findings.sort_by_key(|finding| finding.severity);
        findings
    }

    /// A credential of an account that is not configured is of no use, and still one to steal.
    async fn leftover_findings(&self, findings: &mut Vec<Finding>) {
        // A store that cannot be read is a finding already.
        let Ok(left) = self.left_over().await else { return };
        findings.extend(left.into_iter().map(|(account, left)| Finding {
            severity: Severity::Weakness,
            message: format!("it is not configured, and the store still has {}", in_words(left)),
            advice: format!("configure it again, or forget it for good: tokenctl purge {account}"),
            account: Some(account.to_string()),
        }));
    }

    /// What the store holds of accounts that are not configured.
    pub(super) async fn left_over(&self) -> Result<BTreeMap<AccountId, LeftOver>, StoreError> {
        let slots = self.store.secrets().await?;
        Ok(left_over(self.cast.config(), &self.stored, &slots))
    }
}

fn left_over(
    config: &Config,
    stored: &BTreeSet<AccountId>,
    slots: &[String],
) -> BTreeMap<AccountId, LeftOver> {
    let mut left = BTreeMap::<AccountId, LeftOver>::new();
    for account in stored {
        left.entry(account.clone()).or_default().credential = true;
    }
    for slot in slots {
        // Every slot is ACCOUNT.NAME.
        let owner = slot.split_once('.').and_then(|(owner, _)| AccountId::parse(owner).ok());
        if let Some(owner) = owner {
            left.entry(owner).or_default().secrets += 1;
        }
    }
    left.retain(|account, _| !config.accounts.contains_key(account));
    left
}

fn in_words(left: LeftOver) -> String {
    let LeftOver { credential, secrets } = left;
    let secrets = match secrets {
        0 => None,
        1 => Some("a secret of it".to_owned()),
        _ => Some(format!("{secrets} secrets of it")),
    };
    match (credential, secrets) {
        (true, Some(secrets)) => format!("its credential and {secrets}"),
        (false, Some(secrets)) => secrets,
        (_, None) => "its credential".to_owned(),
    }
}

fn account_findings(config: &Config, directory: &Directory, now: Now, findings: &mut Vec<Finding>) {
    for (id, seat) in &directory.seats {
        let snapshot = seat.now();
        if snapshot.needs_attention(now) {
            let enter = format!("tokenctl {} {id}", snapshot.entry.as_str());
            let (message, command) = match (&snapshot.failure, snapshot.lacks()) {
                (Some(failure), _) => {
                    let command = match Aid::against(&failure.error) {
                        Some(Aid::OtherSecret(slot)) => format!("tokenctl secret set {id}.{slot}"),
                        Some(
                            Aid::OldSettings
                            | Aid::OwnSecret
                            | Aid::Secret(_)
                            | Aid::Import
                            | Aid::Another,
                        )
                        | None => {
                            format!("tokenctl why {id}")
                        }
                    };
                    (failure.error.to_string(), command)
                }
                (None, Some(slot)) => {
                    (snapshot.vacancy(), format!("tokenctl secret set {slot}; or: {enter}"))
                }
                (None, None) => (snapshot.vacancy(), enter),
            };
            findings.push(Finding {
                severity: Severity::Problem,
                account: Some(id.to_string()),
                message,
                advice: format!("type: {command}"),
            });
        }
        if let Some(at) = snapshot.foreign() {
            findings.push(Finding {
                severity: Severity::Problem,
                account: Some(id.to_string()),
                message: format!(
                    "a program that keeps its token logged in as another person, as was found on {at}"
                ),
                advice: "log that program in as this account's user, or give its login an account \
                         of its own"
                    .into(),
            });
        }
        if snapshot.released {
            findings.push(Finding {
                severity: Severity::Weakness,
                account: Some(id.to_string()),
                message: "it is given up: its refresh token was handed out, and whoever has it \
                          owns it"
                    .into(),
                advice: format!("to take it back, type: tokenctl import {id}"),
            });
        }
        if let Some(ends) = snapshot.login_ends().filter(|ends| ends.told_ms.is_some()) {
            let at = Timestamp::from_millis(ends.at_ms);
            let left = at.since(now.wall);
            let (severity, message) = if left.is_zero() {
                (Severity::Problem, format!("its login ended at {at}"))
            } else {
                (Severity::Weakness, format!("its login ends in {}, at {at}", spoken(left)))
            };
            findings.push(Finding {
                severity,
                account: Some(id.to_string()),
                message,
                advice: format!("log in again: tokenctl login {id}"),
            });
        }
        if let Some(message) = short_lived(&snapshot) {
            findings.push(Finding {
                severity: Severity::Weakness,
                account: Some(id.to_string()),
                message,
                advice: "have the provider grant tokens that live longer".into(),
            });
        }
        if seat.profile().transport.plain_http {
            findings.push(Finding {
                severity: Severity::Weakness,
                account: Some(id.to_string()),
                message: "its tokens travel in plain http".into(),
                advice: "give the provider a certificate and set its ca_file".into(),
            });
        }
        if config.accounts.get(id).is_some_and(|it| it.plan.rotation == Rotation::Strict) {
            findings.push(Finding {
                severity: Severity::Weakness,
                account: Some(id.to_string()),
                message:
                    "its provider forgives no lost reply: a crash at the wrong moment costs a login"
                        .into(),
                advice: "ask the provider for a grace period, and set rotation to it".into(),
            });
        }
    }
}

/// A token that is over before it may be refreshed again: an account has a least pause between
/// its refreshes, and a budget of them.
fn short_lived(snapshot: &Snapshot) -> Option<String> {
    let held = snapshot.held.as_ref().filter(|_| snapshot.state == StateName::Fresh)?;
    snapshot.next.filter(|next| *next > held.expires_boot)?;
    let lifetime = spoken(held.lifetime);
    Some(format!(
        "its tokens live {lifetime}, which is too short to refresh each in time: in between there \
         is none"
    ))
}

/// A hook that is configured no longer, or not for that account, is nobody's concern.
fn hook_findings(config: &Config, failing: &Failing, findings: &mut Vec<Finding>) {
    for (account, hook, failure) in failing.iter() {
        let hooks = config.accounts.get(account).map(|account| &account.hooks);
        if !hooks.is_some_and(|hooks| hooks.iter().any(|it| *it.name == *hook)) {
            continue;
        }
        let LastFailure { about, at, why } = failure;
        let about = about.as_str();
        findings.push(Finding {
            severity: Severity::Problem,
            account: Some(account.to_string()),
            message: format!("its hook {hook} failed about {about} of {at}: {why}"),
            advice: "correct it; it is called again when its next event comes".into(),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::config::File;
    use crate::config::daemon::Defaults;
    use crate::section::Mode;
    use crate::snapshot::Held;
    use crate::time::Moment;
    use crate::token::Generation;
    use crate::token::Secret;
    use crate::token::TokenSet;

    #[test]
    fn tokens_that_end_before_they_may_be_refreshed_are_a_finding() {
        let ends = Moment::from_millis(3_000);
        let held = || Held {
            tokens: Arc::new(TokenSet {
                access: Secret::new("a"),
                id: None,
                token_type: "Bearer".into(),
                scope: None,
            }),
            generation: Generation(1),
            issued_at: Timestamp::default(),
            lifetime: Duration::from_secs(3),
            expires_boot: ends,
            expires_wall: Timestamp::from_millis(3_000),
            aws: None,
        };
        let finding = |state, next| {
            short_lived(&Snapshot { state, held: Some(held()), next, ..Snapshot::vacant() })
        };
        let late = Some(ends + Duration::from_secs(7));
        let told = finding(StateName::Fresh, late).unwrap();
        assert!(told.starts_with("its tokens live 3 s, which is too short"), "{told}");
        assert_eq!(finding(StateName::Fresh, Some(ends)), None);
        assert_eq!(finding(StateName::Waiting, late), None);
    }

    #[test]
    fn what_is_left_over_is_what_the_store_has_and_the_configuration_names_not() {
        let text = "[accounts.mail]\nprovider = 'google'\nclient_id = 'x'\n";
        let file = File { name: "config.toml".into(), text: text.into() };
        let config = Config::parse(&[file], Mode::System, Defaults::system()).ok().unwrap();
        let id = |name| AccountId::parse(name).unwrap();
        let stored = ["mail", "old", "older"].map(id).into();
        let slots = ["ci.client_secret", "mail.client_secret", "old.a", "old.b", "older.a"];

        let left = left_over(&config, &stored, &slots.map(str::to_owned));

        let told = left.into_iter().map(|(account, left)| format!("{account}: {}", in_words(left)));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                "ci: a secret of it",
                "old: its credential and 2 secrets of it",
                "older: its credential and a secret of it",
            ]
        );
    }
}
