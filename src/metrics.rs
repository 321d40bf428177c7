//! What monitoring reads: OpenMetrics text.
//!
//! Counters are fed by notices and by the front ends as things happen. How accounts
//! stand is read from the directory at each scrape, so those numbers cannot drift
//! from what is served. Names, types and labels are an interface: add, never edit.

mod counted;

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_eof;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use prometheus_client::registry::Unit;
use tokio::sync::broadcast;
use tokio::sync::watch;

use crate::error::code::Code;
use crate::keeper::Directory;
use crate::name::AccountId;
use crate::notice::Event;
use crate::notice::Notice;
use crate::snapshot::Snapshot;
use crate::snapshot::StateName;

use self::counted::Counted;

/// `Content-Type` of [`Metrics::scrape`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const PREFIX: &str = "tokenkeeper";

/// Everything that is counted since the start of the process.
pub struct Metrics {
    registry: Registry,
    refreshes: Family<Outcome, Counter>,
    failures: Family<Failed, Counter>,
    alarms: Family<Account, Counter>,
    expirations: Family<Account, Counter>,
    hook_failures: Family<Hooked, Counter>,
    notices_lost: Counter,
    answers: Family<Status, Counter>,
    answers_ok: Counter,
    requests: Family<Through, Counter>,
    requests_on_socket: Counter,
    connections: Gauge,
    turned_away: Family<Why, Counter>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Account {
    account: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    account: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Failed {
    account: String,
    code: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Hooked {
    account: String,
    hook: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct InState {
    account: String,
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Status {
    status: u32,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Through {
    door: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Why {
    reason: &'static str,
}

/// How an attempt ends.
const OUTCOMES: [&str; 2] = [SUCCESS, FAILURE];
const SUCCESS: &str = "success";
const FAILURE: &str = "failure";

/// Where local programs ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Door {
    /// The sockets of the API.
    Socket,
    /// The message bus.
    Bus,
    /// The sockets for credentials of units.
    Credential,
}

impl Door {
    const fn through(self) -> Through {
        let door = match self {
            Self::Socket => "socket",
            Self::Bus => "bus",
            Self::Credential => "credential",
        };
        Through { door }
    }
}

/// Why a connection was closed before a request was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TurnedAway {
    /// Its user has as many as one may have.
    UserLimit,
    /// The process has no descriptor left.
    NoDescriptor,
    /// The kernel cannot name its user.
    UnknownPeer,
}

impl Metrics {
    /// Counters at zero.
    pub fn new() -> Self {
        let answers = Family::<Status, Counter>::default();
        let answers_ok = answers.get_or_create_owned(&Status { status: 200 });
        let requests = Family::<Through, Counter>::default();
        let requests_on_socket = requests.get_or_create_owned(&Door::Socket.through());
        let mut metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            refreshes: Family::default(),
            failures: Family::default(),
            alarms: Family::default(),
            expirations: Family::default(),
            hook_failures: Family::default(),
            notices_lost: Counter::default(),
            answers,
            answers_ok,
            requests,
            requests_on_socket,
            connections: Gauge::default(),
            turned_away: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let Self {
            registry,
            refreshes,
            failures,
            alarms,
            expirations,
            hook_failures,
            notices_lost,
            answers,
            answers_ok: _,
            requests,
            requests_on_socket: _,
            connections,
            turned_away,
        } = self;
        registry.register("refreshes", "Attempts that ended, by outcome", refreshes.clone());
        registry.register("refresh_failures", "Attempts that failed, by code", failures.clone());
        registry.register("alarms", "Failures that need attention", alarms.clone());
        registry.register("expirations", "Tokens that expired unreplaced", expirations.clone());
        registry.register(
            "hook_failures",
            "Calls of hooks that failed or found no room",
            hook_failures.clone(),
        );
        registry.register("notices_lost", "Events not counted here", notices_lost.clone());
        registry.register("answers", "Answers on local sockets, by status", answers.clone());
        registry.register("requests", "Requests of local programs, by door", requests.clone());
        registry.register("connections", "Open connections of local peers", connections.clone());
        registry.register("turned_away", "Connections closed unread", turned_away.clone());
    }

    /// Counts what `notice` tells.
    pub fn notice(&self, notice: &Notice) {
        let account = notice.account.to_string();
        match &notice.event {
            Event::TokenChanged { .. } => {
                self.refreshes.get_or_create(&Outcome { account, outcome: SUCCESS }).inc();
            }
            Event::RefreshFailed { failure, .. } => {
                let code = failure.code().as_str();
                self.failures.get_or_create(&Failed { account: account.clone(), code }).inc();
                self.refreshes.get_or_create(&Outcome { account, outcome: FAILURE }).inc();
            }
            Event::Alarm { .. } => {
                self.alarms.get_or_create(&Account { account }).inc();
            }
            Event::Expired => {
                self.expirations.get_or_create(&Account { account }).inc();
            }
            Event::HookFailed { hook, .. } => {
                let hook = hook.to_string();
                self.hook_failures.get_or_create(&Hooked { account, hook }).inc();
            }
            Event::RefreshStarted { .. }
            | Event::Recovered { .. }
            | Event::ExpiryAhead { .. }
            | Event::StateChanged => {}
        }
    }

    /// Counts every notice until nobody can send any more, and forgets the accounts and hooks
    /// that a reload took away: a scrape would show them for ever.
    pub async fn follow(
        &self,
        mut notices: broadcast::Receiver<Arc<Notice>>,
        mut directory: watch::Receiver<Arc<Directory>>,
    ) {
        let mut counted = Counted::default();
        loop {
            let heard = tokio::select! {
                biased;
                heard = notices.recv() => heard,
                Ok(()) = directory.changed() => {
                    let gone = counted.leave(&directory.borrow_and_update());
                    self.forget(gone);
                    continue;
                }
            };
            match heard {
                Ok(notice) => {
                    counted.add(&notice);
                    self.notice(&notice);
                }
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    self.notices_lost.inc_by(missed);
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    fn forget(&self, gone: Counted) {
        for account in gone.accounts {
            let name = || account.to_string();
            for outcome in OUTCOMES {
                self.refreshes.remove(&Outcome { account: name(), outcome });
            }
            for code in Code::ALL {
                self.failures.remove(&Failed { account: name(), code: code.as_str() });
            }
            self.alarms.remove(&Account { account: name() });
            self.expirations.remove(&Account { account: name() });
        }
        for (account, hook) in gone.hooks {
            let hook = hook.into_string();
            self.hook_failures.remove(&Hooked { account: account.to_string(), hook });
        }
    }

    /// Counts a request.
    pub fn asked(&self, door: Door) {
        match door {
            Door::Socket => self.requests_on_socket.inc(),
            Door::Bus | Door::Credential => self.requests.get_or_create(&door.through()).inc(),
        };
    }

    /// Counts an answer to a request on the socket.
    pub fn answered(&self, status: u16) {
        self.asked(Door::Socket);
        if status == 200 {
            self.answers_ok.inc();
        } else {
            self.answers.get_or_create(&Status { status: status.into() }).inc();
        }
    }

    /// Counts a connection that was opened.
    pub fn connected(&self) {
        self.connections.inc();
    }

    /// Counts a connection that was closed.
    pub fn disconnected(&self) {
        self.connections.dec();
    }

    /// Counts a connection that was closed before a request was read.
    pub fn turned_away(&self, why: TurnedAway) {
        let reason = match why {
            TurnedAway::UserLimit => "user_limit",
            TurnedAway::NoDescriptor => "no_descriptor",
            TurnedAway::UnknownPeer => "unknown_peer",
        };
        self.turned_away.get_or_create(&Why { reason }).inc();
    }

    /// All of it, with how the accounts of `directory` stand, as OpenMetrics text.
    ///
    /// # Errors
    ///
    /// A value that cannot be written as text; none of ours is one.
    pub fn scrape(&self, directory: &Directory) -> Result<String, fmt::Error> {
        let accounts = Standing::of(directory);
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &accounts.registry)?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// How accounts stand, read at one scrape.
struct Standing {
    registry: Registry,
    state: Family<InState, Gauge>,
    generation: Family<Account, Gauge>,
    expiry: Family<Account, Gauge>,
    failing: Family<Failed, Gauge>,
    attempt: Family<Account, Gauge>,
    unsaved: Family<Account, Gauge>,
}

impl Standing {
    fn of(directory: &Directory) -> Self {
        let mut standing = Self {
            registry: Registry::with_prefix(PREFIX),
            state: Family::default(),
            generation: Family::default(),
            expiry: Family::default(),
            failing: Family::default(),
            attempt: Family::default(),
            unsaved: Family::default(),
        };
        standing.register();
        for seat in directory.seats.values() {
            standing.add(&seat.account, &seat.now());
        }
        standing
    }

    fn register(&mut self) {
        let Self { registry, state, generation, expiry, failing, attempt, unsaved } = self;
        registry.register("account_state", "1 for the state that it is in", state.clone());
        registry.register("generation", "Token sets saved so far", generation.clone());
        registry.register_with_unit(
            "token_expiry_timestamp",
            "When the held token expires, Unix time",
            Unit::Seconds,
            expiry.clone(),
        );
        registry.register("failing", "1 while a failure is raised, by code", failing.clone());
        registry.register("attempt", "Failed attempts of this series", attempt.clone());
        registry.register("unsaved", "1 while the tokens are not on disk", unsaved.clone());
    }

    fn add(&self, id: &AccountId, snapshot: &Snapshot) {
        let name = || id.to_string();
        let account = || Account { account: name() };
        let generation = i64::try_from(snapshot.generation.0).unwrap_or(i64::MAX);
        self.generation.get_or_create(&account()).set(generation);
        self.unsaved.get_or_create(&account()).set(snapshot.unsaved.into());
        for state in StateName::ALL {
            let label = InState { account: name(), state: state.as_str() };
            self.state.get_or_create(&label).set((snapshot.state == *state).into());
        }
        if let Some(held) = &snapshot.held {
            self.expiry.get_or_create(&account()).set(held.expires_wall.as_secs());
        }
        let attempt = snapshot.failure.as_ref().map_or(0, |failure| failure.attempt);
        self.attempt.get_or_create(&account()).set(attempt.into());
        if let Some(failure) = &snapshot.failure {
            let label = Failed { account: name(), code: failure.code().as_str() };
            self.failing.get_or_create(&label).set(1);
        }
    }
}

#[cfg(test)]
mod tests;
