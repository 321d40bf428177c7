//! Runs the errands that concern the daemon as a whole: reloads, secrets, findings, signals.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tracing::info;
use tracing::warn;

use super::Cast;
use super::Failure;
use super::Places;
use super::lineup::strangers;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::Listen;
use crate::error::Code;
use crate::keeper::Directory;
use crate::keeper::Errand;
use crate::keeper::Keeper;
use crate::log::Threshold;
use crate::name::AccountId;
use crate::notify;
use crate::plan::Rotation;
use crate::protocol::Finding;
use crate::protocol::ReloadView;
use crate::protocol::Severity;
use crate::record::StoreError;
use crate::signals::Signal;
use crate::snapshot::Refusal;
use crate::snapshot::StateName;
use crate::store::Orphan;
use crate::store::Store;
use crate::store::key::KeySource;
use crate::supervisor::Control;
use crate::supervisor::Lineup;
use crate::token::Secret;

/// How often names that meant nobody are looked up again.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(60);

/// What a reload cannot change.
pub(super) struct Opened {
    pub(super) socket: PathBuf,
    pub(super) state: PathBuf,
    pub(super) listen: Vec<Listen>,
}

/// What the errands need.
pub(super) struct Steward {
    pub(super) places: Places,
    pub(super) cast: Cast,
    /// What was opened at the start, and stays so whatever a reload says.
    pub(super) opened: Opened,
    pub(super) threshold: Threshold,
    pub(super) store: Store,
    pub(super) control: mpsc::Sender<Control>,
    pub(super) keeper: Keeper,
    pub(super) clock: Clock,
    /// What was wrong at the last reload, if it was refused.
    pub(super) refused: Option<String>,
    /// What the store could not read at start.
    pub(super) damage: Vec<String>,
    /// What was kept aside, as of the start.
    pub(super) orphans: Vec<Orphan>,
}

impl Steward {
    /// Runs errands until a signal says to stop, and passes that on.
    pub(super) async fn run(
        mut self,
        mut errands: mpsc::Receiver<Errand>,
        mut signals: mpsc::Receiver<Signal>,
    ) {
        let mut again = tokio::time::interval(LOOK_UP_AGAIN);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                signal = signals.recv() => match signal {
                    Some(Signal::Reload) => self.reload_by_signal().await,
                    Some(Signal::Stop) | None => break,
                },
                Some(errand) = errands.recv() => self.errand(errand).await,
                () = self.clock.stepped() => {
                    info!("the wall clock was set, or the host slept");
                    self.tell(Control::ClockStepped).await;
                }
                _ = again.tick(), if !self.cast.unknown().is_empty() => {
                    let lineup = self.cast.look_up_again();
                    self.apply(lineup).await;
                }
            }
        }
        notify::stopping();
        info!("stopping");
        self.tell(Control::Stop).await;
    }

    async fn errand(&mut self, errand: Errand) {
        // Whoever asked may have gone; what was asked for is done all the same.
        match errand {
            Errand::Reload(reply) => {
                let _gone = reply.send(self.reload().await);
            }
            Errand::CheckConfig(reply) => {
                let _gone = reply.send(self.check());
            }
            Errand::PutSecret { account, slot, secret, reply } => {
                let _gone = reply.send(self.put_secret(&account, &slot, secret).await);
            }
            Errand::Findings(reply) => {
                let _gone = reply.send(self.findings().await);
            }
        }
    }

    async fn reload_by_signal(&mut self) {
        if let Err(refusal) = self.reload().await {
            warn!("the configuration stays as it was");
            for line in refusal.message.lines() {
                warn!("{line}");
            }
        }
    }

    /// Reads, checks and applies the configuration, as a whole or not at all.
    async fn reload(&mut self) -> Result<ReloadView, Refusal> {
        notify::reloading();
        let reloaded = self.reload_now().await;
        self.refused = reloaded.as_ref().err().map(|refusal| refusal.message.clone());
        notify::ready();
        reloaded
    }

    async fn reload_now(&mut self) -> Result<ReloadView, Refusal> {
        let config = self.places.read().map_err(|failure| refused(&failure))?;
        let records = if self.cast.lacks_some(&config) {
            self.store.load().await.map_err(|error| ill(&error))?.records
        } else {
            Vec::new()
        };
        let restart = self.needs_restart(&config);
        self.threshold.set(config.daemon.log);
        let (lineup, view) = self.cast.change(config, records);
        self.apply(lineup).await;
        for warning in &view.warnings {
            warn!("{warning}");
        }
        let view = ReloadView { restart, ..view };
        info!(
            added = view.added.len(),
            removed = view.removed.len(),
            changed = view.changed.len(),
            needs_login = view.needs_login.len(),
            unchanged = view.unchanged,
            "configuration reloaded"
        );
        Ok(view)
    }

    fn check(&self) -> Result<ReloadView, Refusal> {
        let config = self.places.read().map_err(|failure| refused(&failure))?;
        let restart = self.needs_restart(&config);
        let mut view = ReloadView { restart, ..self.cast.compare(&config) };
        view.warnings.extend(strangers(&config).iter().map(ToString::to_string));
        Ok(view)
    }

    /// What a reload cannot change.
    fn needs_restart(&self, config: &Config) -> Vec<String> {
        let mut keys = Vec::new();
        if config.daemon.socket != self.opened.socket {
            keys.push("daemon.socket".to_owned());
        }
        if config.daemon.state != self.opened.state {
            keys.push("daemon.state".to_owned());
        }
        if config.listen != self.opened.listen {
            keys.push("listen".to_owned());
        }
        keys
    }

    async fn put_secret(
        &self,
        account: &AccountId,
        slot: &str,
        secret: Option<Secret>,
    ) -> Result<(), Refusal> {
        self.knows_slot(account, slot)?;
        let name = format!("{account}.{slot}");
        let written = match secret {
            Some(secret) => self.store.put_secret(name, secret).await,
            None => self.store.forget_secret(name).await,
        };
        written.map_err(|error| ill(&error))
    }

    /// A secret that no exchange would ever read is a spelling mistake.
    fn knows_slot(&self, account: &AccountId, slot: &str) -> Result<(), Refusal> {
        let Some(settings) = self.cast.config().accounts.get(account) else {
            return Err(Refusal::new(Code::AccountUnknown, "no such account"));
        };
        let slots = settings.provider.profile().secrets.iter().map(|(slot, _)| *slot);
        let slots = slots.collect::<Vec<_>>();
        if slots.contains(&slot) {
            return Ok(());
        }
        let message = if slots.is_empty() {
            "it uses no secret".to_owned()
        } else {
            format!("it has no slot {slot}; it has {}", slots.join(", "))
        };
        Err(Refusal::new(Code::BadRequest, message))
    }

    /// What an administrator should know, problems first.
    async fn findings(&self) -> Vec<Finding> {
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
        account_findings(self.cast.config(), &self.keeper.directory(), &mut findings);
        findings.sort_by_key(|finding| finding.severity);
        findings
    }

    async fn store_findings(&self, findings: &mut Vec<Finding>) {
        let problem = |message: String, advice: &str| Finding {
            severity: Severity::Problem,
            account: None,
            message,
            advice: advice.to_owned(),
        };
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
                "look at the disk, and restore a backup if tokens are missing",
            ));
        }
        match self.store.probe().await {
            Ok(health) => {
                if !health.writable {
                    findings.push(problem(
                        "the store cannot be written: what could be lost is not refreshed".into(),
                        "free space, or repair the disk of the state directory",
                    ));
                } else if !health.ballast {
                    findings.push(problem(
                        "the store has no room in reserve: the disk is all but full".into(),
                        "free space on the disk of the state directory",
                    ));
                }
                if matches!(health.key, KeySource::File) {
                    findings.push(Finding {
                        severity: Severity::Weakness,
                        account: None,
                        message: "the store key lies in a file beside the store: who has the disk has the tokens".into(),
                        advice: "pass the key as the systemd credential tokenkeeper.store-key".into(),
                    });
                }
            }
            Err(error) => {
                findings.push(problem(error.to_string(), "free space, or repair the disk"));
            }
        }
    }

    /// Puts a change into force. When this returns, everybody sees it.
    async fn apply(&self, lineup: Lineup) {
        let (done, applied) = oneshot::channel();
        self.tell(Control::Apply { lineup: Box::new(lineup), done }).await;
        // A supervisor that has ended applies nothing any more, and nobody is left to see it.
        let _ended = applied.await;
    }

    async fn tell(&self, control: Control) {
        // A supervisor that has ended needs to be told nothing.
        let _ended = self.control.send(control).await;
    }
}

fn account_findings(config: &Config, directory: &Directory, findings: &mut Vec<Finding>) {
    for (id, seat) in &directory.seats {
        let snapshot = seat.now();
        if let Some(failure) = &snapshot.failure {
            findings.push(Finding {
                severity: Severity::Problem,
                account: Some(id.to_string()),
                message: failure.error.to_string(),
                advice: format!("type: tokenctl why {id}"),
            });
        } else if snapshot.state == StateName::Vacant {
            findings.push(Finding {
                severity: Severity::Problem,
                account: Some(id.to_string()),
                message: "the account has no credential yet".into(),
                advice: format!("type: tokenctl import {id}"),
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

fn refused(failure: &Failure) -> Refusal {
    Refusal::new(Code::ConfigInvalid, failure.to_string())
}

fn ill(error: &StoreError) -> Refusal {
    Refusal::new(Code::StoreUnavailable, error.to_string())
}
