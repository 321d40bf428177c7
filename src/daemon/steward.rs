//! Runs the errands that concern the daemon as a whole: reloads, secrets, purges, signals.
//! What it finds wrong is in `findings`, what it seals for a backup in `backup`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tracing::error;
use tracing::info;
use tracing::warn;

use super::Cast;
use super::Failure;
use super::Places;
use super::doubts;
use super::findings;
use super::lineup::Stranger;
use super::lineup::strangers;
use super::unread;
use crate::bus::presence::Presence;
use crate::clock;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::daemon::Bus;
use crate::config::daemon::CredentialTerms;
use crate::config::listen::Listen;
use crate::error::code::Code;
use crate::hooks::Failing;
use crate::keeper::Errand;
use crate::keeper::Keeper;
use crate::keeper::Over;
use crate::message::Message;
use crate::name::AccountId;
use crate::notify::Manager;
use crate::protocol::daemon::ReloadView;
use crate::record::StoreError;
use crate::signals::Signal;
use crate::snapshot::Refusal;
use crate::store::Orphan;
use crate::store::Store;
use crate::supervisor::Control;
use crate::supervisor::lineup::Lineup;
use crate::threshold::Threshold;
use crate::token::Generation;
use crate::token::Secret;

/// How often names that meant nobody are looked up again.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(60);

/// What a reload cannot change.
pub(super) struct Opened {
    pub(super) socket: PathBuf,
    pub(super) state: PathBuf,
    pub(super) listen: Vec<Listen>,
    pub(super) dbus: Bus,
    pub(super) credential_socket: Option<PathBuf>,
}

/// What the errands need.
pub(super) struct Steward {
    pub(super) places: Places,
    pub(super) cast: Cast,
    /// What was opened at the start, and stays so whatever a reload says.
    pub(super) opened: Opened,
    pub(super) threshold: Threshold,
    /// What units wait for.
    pub(super) credentials: watch::Sender<CredentialTerms>,
    pub(super) store: Store,
    pub(super) control: mpsc::Sender<Control>,
    pub(super) keeper: Keeper,
    pub(super) clock: Clock,
    pub(super) manager: Manager,
    /// What was wrong at the last reload, if it was refused.
    pub(super) refused: Option<String>,
    /// What the store could not read at start.
    pub(super) damage: Vec<String>,
    /// Whether the store was made at the start, although its key was there already.
    pub(super) remade: bool,
    /// What was kept aside, as of the start.
    pub(super) orphans: Vec<Orphan>,
    /// Accounts whose credential the store held when it was last read, configured or not.
    pub(super) stored: BTreeSet<AccountId>,
    /// The hooks that failed when they were last called.
    pub(super) failing: watch::Receiver<Failing>,
    /// How it stands with the bus.
    pub(super) presence: watch::Receiver<Presence>,
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
                    // Nobody waits for the outcome: it is in the log.
                    Some(Signal::Reload) => drop(self.reload().await),
                    Some(Signal::Stop) | None => break,
                },
                Some(errand) = errands.recv() => self.errand(errand).await,
                () = self.clock.stepped() => {
                    let event = Message::ClockStepped.as_str();
                    info!(event, "the wall clock was set, or the host slept");
                    self.tell(Control::ClockStepped).await;
                }
                _ = again.tick(), if !self.cast.unknown().is_empty() => {
                    let lineup = self.cast.look_up_again();
                    self.apply(lineup).await;
                }
            }
        }
        self.manager.stopping();
        info!(event = Message::Stopping.as_str(), "stopping");
        self.tell(Control::Stop).await;
    }

    async fn errand(&mut self, errand: Errand) {
        // Whoever asked may have gone; what was asked for is done all the same.
        match errand {
            Errand::Reload(reply) => {
                let _gone = reply.send(self.reload().await);
            }
            Errand::CheckConfig(reply) => {
                let _gone = reply.send(self.check().await);
            }
            Errand::Backup { recipients, reply } => {
                let _gone = reply.send(self.backup(&recipients).await);
            }
            Errand::PutSecret { account, slot, secret, over, reply } => {
                let _gone = reply.send(self.put_secret(&account, &slot, secret, over).await);
            }
            Errand::HandOut { account, reply } => {
                let _gone = reply.send(self.hand_out(account).await);
            }
            Errand::Purge { account, reply } => {
                let _gone = reply.send(self.purge(&account).await);
            }
            Errand::Findings(reply) => {
                let _gone = reply.send(self.findings().await);
            }
        }
    }

    /// Reads, checks and applies the configuration, as a whole or not at all. A refusal is told in
    /// the log as well: whoever asked may not be who has to know.
    async fn reload(&mut self) -> Result<ReloadView, Refusal> {
        self.manager.reloading();
        let reloaded = self.reload_now().await;
        if let Err(refusal) = &reloaded {
            let event = Message::ReloadRefused.as_str();
            error!(event, "the configuration stays as it was");
            for line in refusal.message.lines() {
                error!(event, "{line}");
            }
        }
        self.refused = reloaded.as_ref().err().map(|refusal| refusal.message.clone());
        self.manager.ready();
        reloaded
    }

    async fn reload_now(&mut self) -> Result<ReloadView, Refusal> {
        let config = self.places.read().map_err(|failure| refused(&failure))?;
        let records = if self.cast.names_the_same(&config) {
            Vec::new()
        } else {
            let mut loaded = self.store.load().await.map_err(|error| ill(&error))?;
            unread::hold_back(&mut loaded, &config, clock::now().wall);
            self.stored = findings::stored(&loaded.records);
            loaded.records
        };
        let restart = self.needs_restart(&config);
        self.threshold.set(config.daemon.log);
        self.credentials.send_replace(config.daemon.credentials);
        let (lineup, view) = self.cast.change(config, records, &self.keeper.directory());
        self.apply(lineup).await;
        let warnings = self.doubts(self.cast.config(), self.cast.unknown()).await;
        for warning in &warnings {
            warn!(event = Message::Doubtful.as_str(), "{warning}");
        }
        let view = ReloadView { restart, warnings, ..view };
        info!(
            event = Message::Reloaded.as_str(),
            added = view.added.len(),
            removed = view.removed.len(),
            changed = view.changed.len(),
            needs_login = view.needs_login.len(),
            unchanged = view.unchanged,
            "configuration reloaded"
        );
        Ok(view)
    }

    async fn check(&self) -> Result<ReloadView, Refusal> {
        let config = self.places.read().map_err(|failure| refused(&failure))?;
        let restart = self.needs_restart(&config);
        let compared = self.cast.compare(&config, &self.keeper.directory());
        let warnings = self.doubts(&config, &strangers(&config)).await;
        Ok(ReloadView { restart, warnings, ..compared })
    }

    /// What would not work of a configuration.
    async fn doubts(&self, config: &Config, strangers: &[Stranger]) -> Vec<String> {
        let own = rustix::process::geteuid().as_raw();
        let mut doubts = doubts::of(config, strangers, self.cast.proof());
        doubts.extend(doubts::on_disk_in_time(config, own).await);
        doubts
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
        if config.daemon.dbus != self.opened.dbus {
            keys.push("daemon.dbus".to_owned());
        }
        if config.daemon.credential_socket != self.opened.credential_socket {
            keys.push("daemon.credential_socket".to_owned());
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
        over: Over,
    ) -> Result<bool, Refusal> {
        self.knows_slot(account, slot)?;
        let settings = self.cast.config().accounts.get(account);
        let flaw = settings.zip(secret.as_ref());
        let flaw = flaw.and_then(|(it, secret)| it.provider.flaw_of_secret(slot, secret));
        if let Some(flaw) = flaw {
            return Err(Refusal::new(Code::BadRequest, format!("{slot} is not sealed: {flaw}")));
        }
        let name = format!("{account}.{slot}");
        // Nobody else writes secrets, so none comes in between.
        let filled = self.store.secrets().await.map_err(|error| ill(&error))?.contains(&name);
        let written = match secret {
            Some(_) if filled && over == Over::Nothing => return Ok(false),
            Some(secret) => self.store.put_secret(name, secret).await,
            None if filled => self.store.forget_secret(name).await,
            None => return Ok(false),
        };
        written.map(|()| true).map_err(|error| ill(&error))
    }

    /// A secret that no exchange and no sign-in would ever read is a spelling mistake.
    fn knows_slot(&self, account: &AccountId, slot: &str) -> Result<(), Refusal> {
        let Some(settings) = self.cast.config().accounts.get(account) else {
            return Err(Refusal::new(Code::AccountUnknown, "no such account"));
        };
        let slots = settings.provider.profile().slots().collect::<Vec<_>>();
        if slots.contains(&slot) {
            return Ok(());
        }
        let message = if slots.is_empty() {
            "it uses no secret; a client that has one needs client_auth = \"basic\" or \"post\" in \
             the configuration"
                .to_owned()
        } else {
            format!("it has no slot {slot}; it has {}", slots.join(", "))
        };
        Err(Refusal::new(Code::BadRequest, message))
    }

    /// The refresh token of an account that is durably released, and of no other.
    ///
    /// The supervisor has the last word, after the store: a resume counts from the moment at
    /// which it is ordered, and its row is written later.
    async fn hand_out(&self, account: AccountId) -> Result<(Generation, Secret), Refusal> {
        let taken_back =
            || Refusal::new(Code::NotSupported, "somebody has taken it back meanwhile");
        let lease = match self.store.released(account.clone()).await {
            Ok(lease) => lease,
            Err(StoreError::Missing) => return Err(taken_back()),
            Err(error) => return Err(ill(&error)),
        };
        if self.released(account).await != Some(lease.generation) {
            return Err(taken_back());
        }
        match lease.refresh_token {
            Some(token) => Ok((lease.generation, token)),
            None => Err(Refusal::new(Code::TokenMissing, "the account has no refresh token")),
        }
    }

    /// At which generation the account is released, if it is.
    async fn released(&self, account: AccountId) -> Option<Generation> {
        let (reply, answer) = oneshot::channel();
        self.tell(Control::Released { account, reply }).await;
        // A supervisor that has ended vouches for nothing.
        answer.await.ok().flatten()
    }

    /// Forgets all of an account that is not configured.
    async fn purge(&mut self, account: &AccountId) -> Result<(), Refusal> {
        if self.cast.config().accounts.contains_key(account) {
            let message = "it is configured; take it out of the configuration and reload first";
            return Err(Refusal::new(Code::NotSupported, message));
        }
        if self.is_here(account).await {
            let message = "what it began before it was removed is not saved yet";
            return Err(Refusal::new(Code::RefreshPending, message));
        }
        let left = self.left_over().await.map_err(|error| ill(&error))?;
        let kept_aside = self.orphans.iter().any(|orphan| orphan.account == account.as_str());
        if !left.contains_key(account) && !kept_aside {
            return Err(Refusal::new(Code::AccountUnknown, "the store holds nothing of it"));
        }
        self.store.purge(account.clone()).await.map_err(|error| ill(&error))?;
        self.stored.remove(account);
        self.orphans.retain(|orphan| orphan.account != account.as_str());
        info!(%account, event = Message::Purged.as_str(), "all that the store held of it is forgotten");
        Ok(())
    }

    /// Whether the supervisor still has it, perhaps after its removal.
    async fn is_here(&self, account: &AccountId) -> bool {
        let (reply, answer) = oneshot::channel();
        self.tell(Control::IsHere { account: account.clone(), reply }).await;
        // A supervisor that has ended has no account.
        answer.await.unwrap_or(false)
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

fn refused(failure: &Failure) -> Refusal {
    Refusal::new(Code::ConfigInvalid, failure.to_string())
}

pub(super) fn ill(error: &StoreError) -> Refusal {
    Refusal::new(Code::StoreUnavailable, error.to_string())
}
