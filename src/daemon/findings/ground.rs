//! What an administrator should know of the store and of the files that it lies in.

use super::Steward;
use crate::protocol::daemon::Finding;
use crate::protocol::daemon::Severity;
use crate::store::Health;
use crate::store::ballast::Reserve;
use crate::store::key::KeySource;

impl Steward {
    /// Adds what there is to know.
    pub(super) async fn store_findings(&self, findings: &mut Vec<Finding>) {
        for orphan in &self.orphans {
            let message = format!(
                "tokens of another subject were kept aside on {}: the provider answered account {} with them",
                orphan.at, orphan.account
            );
            findings.push(problem(
                message,
                "check whose login the account has, and import the right one",
            ));
        }
        for sentence in &self.damage {
            findings.push(problem(
                sentence.clone(),
                "look at the disk. If accounts are missing: stop the daemon, move state.db aside \
                 (and state.db-wal), start it again, and take the accounts over: tokenctl restore",
            ));
        }
        if self.remade {
            findings.push(weakness(
                "the store was made anew at this start, although its key was there already".into(),
                "if this is not the first start: stop the daemon, put state.db back and start it \
                 again, or take the accounts over from a backup: tokenctl restore",
            ));
        }
        match self.store.probe().await {
            Ok(health) => {
                findings.extend(of_health(&health));
                if matches!(health.key, KeySource::File) {
                    findings.push(weakness(
                        "the store key lies in a file beside the store: who has the disk has the tokens".into(),
                        self.places.advice_on_the_key(),
                    ));
                }
            }
            Err(error) => {
                findings.push(problem(error.to_string(), "see whether the state directory is in its place, free space on its disk, or repair that"));
            }
        }
    }
}

/// What is to be said of a store that stands like that.
fn of_health(health: &Health) -> Vec<Finding> {
    let mut findings = Vec::new();
    if health.read_only {
        findings.push(problem(
            "the store's disk is mounted read-only: what could be lost is not refreshed".into(),
            "mount the disk of the state directory for writing; if the kernel made it \
             read-only after an error, repair that first",
        ));
    } else if !health.writable && health.obstacles.is_empty() {
        findings.push(problem(
            "the store cannot be written: what could be lost is not refreshed".into(),
            "see whether the state directory is in its place, free space on its disk, or repair that",
        ));
    }
    findings.extend(health.obstacles.iter().map(|obstacle| {
        problem(
            obstacle.clone(),
            "put it right while the daemon runs: the next one would not start, or not with this store",
        )
    }));
    if health.writable {
        findings.extend(of_reserve(health.reserve));
    }
    if health.meddled > 0 {
        let times = match health.meddled {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        findings.push(weakness(
            format!(
                "somebody removed, replaced or wrote to files of the store {times} since the start; \
                 the daemon put them back"
            ),
            "find out who does that: journalctl -u tokenkeeper, event store_meddled",
        ));
    }
    findings
}

fn of_reserve(reserve: Reserve) -> Option<Finding> {
    match reserve {
        Reserve::Kept => None,
        Reserve::Missing => Some(weakness(
            "the store's reserve for a full disk, store.ballast, is missing".into(),
            "look at the disk of the state directory, on which it could not be made anew",
        )),
        Reserve::NoRoom => Some(problem(
            format!(
                "the store has no room in reserve: less than {} MiB are free on its disk",
                Reserve::ROOM >> 20
            ),
            "free space on the disk of the state directory, or give it a larger one",
        )),
    }
}

fn problem(message: String, advice: &str) -> Finding {
    Finding { severity: Severity::Problem, account: None, message, advice: advice.to_owned() }
}

fn weakness(message: String, advice: &str) -> Finding {
    Finding { severity: Severity::Weakness, ..problem(message, advice) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Health = Health {
        key: KeySource::Credential,
        writable: true,
        read_only: false,
        reserve: Reserve::Kept,
        rewrites: 0,
        meddled: 0,
        obstacles: Vec::new(),
    };

    #[test]
    fn each_way_in_which_a_store_is_not_well_is_told_by_what_is_wrong() {
        let moved = vec!["the state directory was moved".to_owned()];
        #[rustfmt::skip]
        let cases = [
            (WELL,                                                               None),
            (Health { writable: false, read_only: true, ..WELL },                Some("mounted read-only")),
            (Health { writable: false, ..WELL },                                 Some("cannot be written")),
            (Health { writable: false, obstacles: moved, ..WELL },               Some("directory was moved")),
            (Health { reserve: Reserve::Missing, ..WELL },                       Some("store.ballast, is missing")),
            (Health { reserve: Reserve::NoRoom, ..WELL },                        Some("less than 9 MiB are free")),
            (Health { writable: false, reserve: Reserve::NoRoom, ..WELL },       Some("cannot be written")),
            (Health { meddled: 1, ..WELL },                                      Some("once since the start")),
            (Health { meddled: 3, ..WELL },                                      Some("3 times since the start")),
        ];
        for (health, expected) in cases {
            let found = of_health(&health);
            let messages = found.iter().map(|finding| finding.message.as_str()).collect::<Vec<_>>();
            match expected {
                None => assert_eq!(messages, Vec::<&str>::new()),
                Some(words) => {
                    assert!(messages.len() == 1 && messages[0].contains(words), "{messages:?}");
                }
            }
        }
    }
}
