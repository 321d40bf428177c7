//! The handle that front ends hold: published accounts to read, orders to give.
//!
//! Reading never waits for the supervisor: [`Keeper::directory`] is the list of accounts
//! and each [`Seat`] carries its newest [`Snapshot`]. Giving an order is one bounded
//! message and one reply. A front end that goes away takes nothing with it: the
//! supervisor owns what was begun.

pub mod visit;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;

use self::visit::Call;
use self::visit::Visit;
use self::visit::Wish;
use crate::access::Rule;
use crate::error::code::Code;
use crate::hook::Hook;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Done;
use crate::name::AccountId;
use crate::notice::Notice;
use crate::protocol::daemon::BackupView;
use crate::protocol::daemon::Finding;
use crate::protocol::daemon::ReloadView;
use crate::provider::Profile;
use crate::provider::Provider;
use crate::provider::deed::SessionOrder;
use crate::provider::deed::Sessions;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::token::Generation;
use crate::token::Secret;

/// What front ends hold of the engine.
#[derive(Clone)]
pub struct Keeper {
    directory: watch::Receiver<Arc<Directory>>,
    orders: mpsc::Sender<Order>,
    errands: mpsc::Sender<Errand>,
    calls: mpsc::Sender<Call>,
    notices: broadcast::Sender<Arc<Notice>>,
}

/// Every account, by name. A reload publishes a new one.
#[derive(Default)]
pub struct Directory {
    /// The accounts.
    pub seats: BTreeMap<AccountId, Arc<Seat>>,
    /// Who may order about the daemon itself, besides its masters.
    pub admin: Vec<Rule>,
    /// Who may read metrics, besides its masters.
    pub metrics: Vec<Rule>,
    /// Whether any rule takes a unit to match it. Found once: strangers make it be asked.
    names_a_unit: bool,
}

impl Directory {
    /// Those accounts, and who may order about and measure the daemon itself.
    pub fn new(
        seats: BTreeMap<AccountId, Arc<Seat>>,
        admin: Vec<Rule>,
        metrics: Vec<Rule>,
    ) -> Self {
        let mut this = Self { seats, admin, metrics, names_a_unit: false };
        this.names_a_unit =
            this.daemon_names_a_unit() || this.seats.values().any(|seat| seat.names_a_unit());
        this
    }

    /// Whether any rule takes a unit to match it.
    pub const fn names_a_unit(&self) -> bool {
        self.names_a_unit
    }

    /// Whether a rule about the daemon itself does.
    pub fn daemon_names_a_unit(&self) -> bool {
        self.admin.iter().chain(&self.metrics).any(Rule::names_a_unit)
    }
}

/// One account, as front ends see it.
pub struct Seat {
    /// Its name.
    pub account: AccountId,
    /// How its provider is talked to.
    pub provider: Arc<dyn Provider>,
    /// Who may have what of it.
    pub rules: Arc<[Rule]>,
    /// What is called about it.
    pub hooks: Arc<[Arc<Hook>]>,
    /// How it stands.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
}

/// One thing that a front end wants done.
pub struct Order {
    /// With which account.
    pub account: AccountId,
    /// What.
    pub action: Action,
    /// Where to answer.
    pub reply: oneshot::Sender<Result<Done, Refusal>>,
}

/// Something that a front end wants done with the daemon as a whole.
pub enum Errand {
    /// Read the configuration again and apply it, at once or not at all.
    Reload(oneshot::Sender<Result<ReloadView, Refusal>>),
    /// Read the configuration and say what a reload would do.
    CheckConfig(oneshot::Sender<Result<ReloadView, Refusal>>),
    /// Seal everything that the store knows to these age recipients.
    Backup {
        /// Public keys, `age1…`.
        recipients: Vec<String>,
        /// Where to answer.
        reply: oneshot::Sender<Result<BackupView, Refusal>>,
    },
    /// Seal a secret into an account's slot; `None` forgets it. Answered with whether there was
    /// anything to do: an empty slot has nothing to forget.
    PutSecret {
        /// Whose.
        account: AccountId,
        /// Which: `client_secret`, `password`, …
        slot: String,
        /// What.
        secret: Option<Secret>,
        /// Whether it takes the place of another.
        over: Over,
        /// Where to answer.
        reply: oneshot::Sender<Result<bool, Refusal>>,
    },
    /// Hand out the refresh token of an account that is released, with its generation.
    HandOut {
        /// Whose.
        account: AccountId,
        /// Where to answer.
        reply: oneshot::Sender<Result<(Generation, Secret), Refusal>>,
    },
    /// Forget all that the store holds of an account that is not configured.
    Purge {
        /// Which.
        account: AccountId,
        /// Where to answer.
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
    /// What an administrator should know.
    Findings(oneshot::Sender<Vec<Finding>>),
}

/// Which slots a secret is put into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Over {
    /// Any: what was there is replaced.
    Anything,
    /// Empty ones alone.
    Nothing,
}

impl Keeper {
    /// Orders that may wait for the supervisor before a front end has to.
    pub const ORDERS: usize = 1024;

    /// Notices that a slow follower may be behind before it misses some.
    pub const NOTICES: usize = 4096;

    /// Calls that may wait before a front end has to.
    pub const CALLS: usize = 64;

    /// A keeper of what `directory` publishes, whose orders go to `orders`, whose errands to
    /// `errands` and whose calls to `calls`.
    pub const fn new(
        directory: watch::Receiver<Arc<Directory>>,
        orders: mpsc::Sender<Order>,
        errands: mpsc::Sender<Errand>,
        calls: mpsc::Sender<Call>,
        notices: broadcast::Sender<Arc<Notice>>,
    ) -> Self {
        Self { directory, orders, errands, calls, notices }
    }

    /// The accounts, as of the last reload.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.borrow().clone()
    }

    /// Follows reloads from now on.
    pub fn directories(&self) -> watch::Receiver<Arc<Directory>> {
        let mut directories = self.directory.clone();
        directories.mark_unchanged();
        directories
    }

    /// Follows what happens from now on.
    pub fn notices(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.notices.subscribe()
    }

    /// Whether the end of the daemon has begun: no order is taken any more.
    pub fn is_stopping(&self) -> bool {
        self.orders.is_closed()
    }

    /// Gives an order and waits for what came of it.
    ///
    /// # Errors
    ///
    /// The supervisor's refusal; `STOPPING` if it has ended.
    pub async fn order(&self, account: &AccountId, action: Action) -> Result<Done, Refusal> {
        let (reply, answer) = oneshot::channel();
        let order = Order { account: account.clone(), action, reply };
        self.orders.send(order).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }

    /// Sends somebody off with an errand and waits for what came of it.
    ///
    /// # Errors
    ///
    /// `STOPPING` if nobody runs errands any more.
    pub async fn errand<T>(
        &self,
        errand: impl FnOnce(oneshot::Sender<T>) -> Errand,
    ) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.errands.send(errand(reply)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())
    }

    /// Wants something of a login, and hears how it stands then.
    ///
    /// # Errors
    ///
    /// The engine's refusal; `STOPPING` if it has ended.
    pub async fn login(&self, account: &AccountId, wish: Wish) -> Result<Visit, Refusal> {
        let (reply, answer) = oneshot::channel();
        let call = Call::Login { account: account.clone(), wish, reply };
        self.calls.send(call).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }

    /// Asks the account's provider about its sessions.
    ///
    /// # Errors
    ///
    /// The engine's refusal; `STOPPING` if it has ended.
    pub async fn sessions(
        &self,
        account: &AccountId,
        order: SessionOrder,
    ) -> Result<Sessions, Refusal> {
        let (reply, answer) = oneshot::channel();
        let call = Call::Sessions { account: account.clone(), order, reply };
        self.calls.send(call).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

fn stopping() -> Refusal {
    Refusal::new(Code::Stopping, "the daemon is stopping")
}

impl Seat {
    /// Whether one of its rules takes a unit to match it.
    pub fn names_a_unit(&self) -> bool {
        self.rules.iter().any(Rule::names_a_unit)
    }

    /// What its provider's configuration decides.
    pub fn profile(&self) -> &Profile {
        self.provider.profile()
    }

    /// How it stands at this moment.
    pub fn now(&self) -> Arc<Snapshot> {
        self.snapshot.borrow().clone()
    }
}
