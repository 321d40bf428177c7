//! Builds everything and runs it. The only place that knows every type.
//!
//! # Threads
//!
//! * *act*, the main thread: supervisor, exchanges, logins, hooks, the steward, the bus
//!   ([`bus`](crate::bus)), credentials of units ([`credential`]);
//! * *serve*: the socket front ends ([`front`]);
//! * *store*: SQLite ([`store`]);
//! * *clock* and *signals*: wait, and say so;
//! * *notify*: tells the service manager, which may be slow to listen;
//! * *log*: writes the log, which may be read slowly or not at all ([`log`](crate::log));
//! * *secret*, *spool*, *start*: wait for files and programs that may hang, and end
//!   ([`apart`](crate::apart)).
//!
//! # Order
//!
//! Configuration, store, accounts, sockets, and only then `READY=1`: readiness is that
//! requests are answered, not that every provider has been. A broken configuration ends
//! the start with everything that is wrong in it, and so does a store that is not ours;
//! one broken account is that account's business.

mod absent;
mod backup;
mod call;
pub mod check;
mod doubts;
mod findings;
mod hook;
mod lineup;
mod outside;
mod places;
mod shelf;
mod sockets;
mod standing;
mod state;
mod steward;
mod unread;
mod watchdog;
mod weak;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::access::Masters;
use crate::activation;
use crate::activation::Passed;
use crate::attest;
use crate::attest::Attestor;
use crate::bus::Bus;
use crate::bus::presence::Presence;
use crate::clock;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::Invalid;
use crate::credential;
use crate::error::code::Code;
use crate::files::Unreadable;
use crate::front;
use crate::harden;
use crate::hooks::Caller;
use crate::hooks::Failing;
use crate::hooks::Hooks;
use crate::keeper::Directory;
use crate::keeper::Keeper;
use crate::limits;
use crate::log::Log;
use crate::logins::Logins;
use crate::message::Message;
use crate::metrics::Metrics;
use crate::notify::Manager;
use crate::residue;
use crate::signals;
use crate::store;
use crate::store::Store;
use crate::store::refusal::OpenError;
use crate::store::sqlite::Sqlite;
use crate::supervisor::Control;
use crate::supervisor::Supervisor;
use crate::threshold::Threshold;

use self::lineup::Cast;
use self::outside::Outside;
use self::places::Places;
use self::sockets::Made;
use self::standing::Standing;
use self::steward::Opened;
use self::steward::Steward;

/// How the daemon was called.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The main file of the configuration, if another than the usual one.
    pub config: Option<PathBuf>,
    /// Whether it runs for one user, with that user's directories.
    pub user: bool,
}

/// Why the daemon did not run.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Files of the configuration cannot be read.
    #[error("{}", lines(.0))]
    Unreadable(Vec<Unreadable>),
    /// The configuration is wrong.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// The environment does not say where a user's files are.
    #[error("{0} is not set, so it is not known where this user's files are")]
    Homeless(&'static str),
    /// What the service manager handed over is not what is served.
    #[error("{0}")]
    Passed(#[from] activation::Unusable),
    /// The state directory is not to be used.
    #[error("{0}")]
    State(state::Flaw),
    /// The store is not to be had.
    #[error("{0}")]
    Store(#[from] OpenError),
    /// The store cannot be read.
    #[error("{0}")]
    Unloaded(#[from] crate::record::StoreError),
    /// A socket cannot be had.
    #[error("{0}")]
    Socket(#[from] front::bind::BindError),
    /// The system says no.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
}

impl Failure {
    /// Exit status, after sysexits.h: 78 for what an administrator has to change before a
    /// new start makes sense, 75 for what passes, 74 for the disk, 71 for the system.
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::Unreadable(_)
            | Self::Invalid(_)
            | Self::Homeless(_)
            | Self::Passed(_)
            | Self::State(_) => 78,
            Self::Store(refused) => refused.exit_status(),
            Self::Unloaded(_) => 74,
            Self::Socket(_) => 75,
            Self::System(..) => 71,
        }
    }
}

fn lines(errors: &[Unreadable]) -> String {
    errors.iter().map(Unreadable::to_string).collect::<Vec<_>>().join("\n")
}

/// Where the daemon of those options has its database, be it there or not.
///
/// # Errors
///
/// If the configuration does not say so.
pub fn state_of(options: &Options) -> Result<PathBuf, Failure> {
    Ok(Places::find(options)?.read()?.daemon.state)
}

/// Runs until a signal ends it.
///
/// # Errors
///
/// Why it could not begin. Once it runs, nothing ends it but a signal.
pub fn run(options: &Options, log: &Log) -> Result<(), Failure> {
    let passed = activation::take(store::shelf::PREFIX)?;
    let waiting = passed.try_clone().map_err(|error| Failure::System("sockets", error))?;
    let ended = keep(options, log.threshold(), passed);
    if let Err(failure) = &ended
        && failure.exit_status() == Code::ConfigInvalid.exit_status()
    {
        waiting.turn_away();
    }
    ended
}

fn keep(options: &Options, threshold: &Threshold, mut passed: Passed) -> Result<(), Failure> {
    let places = Places::find(options)?;
    let config = places.read()?;
    threshold.set(config.daemon.log);
    for complaint in &config.warnings {
        warn!(event = Message::Doubtful.as_str(), "{complaint}");
    }
    harden::against_onlookers().map_err(|error| Failure::System("hardening", error))?;
    let descriptors = harden::descriptors(limits::FILE_DESCRIPTORS)
        .map_err(|error| Failure::System("limit of descriptors", error))?;
    if descriptors < limits::FILE_DESCRIPTORS {
        let event = Message::Doubtful.as_str();
        warn!(
            event,
            descriptors,
            "few descriptors; LimitNOFILE={} is meant",
            limits::FILE_DESCRIPTORS
        );
    }
    let signals = signals::follow().map_err(|error| Failure::System("signals", error))?;
    let clock = Clock::start().map_err(|error| Failure::System("clock", error))?;
    let manager = Manager::find().map_err(|error| Failure::System("notify thread", error))?;
    let mut database = Sqlite::open(&places.store(&config)).map_err(|refused| {
        state::flaw_of(&refused, &config.daemon.state)
            .map_or(Failure::Store(refused), Failure::State)
    })?;
    shelf::take_over(&mut database, &manager, std::mem::take(&mut passed.kept));
    let store = Store::start(database).map_err(|error| Failure::System("store thread", error))?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("act")
        .max_blocking_threads(8)
        .thread_keep_alive(FOR_GOOD)
        .on_thread_park(residue::wipe)
        .build()
        .map_err(|error| Failure::System("runtime", error))?;
    let ground = Ground { signals, clock, store, manager };
    // The runtime panics if it has no thread to block and can make none, and with one it waits.
    let _kept = runtime.spawn_blocking(|| {});
    let ended = runtime.block_on(live(places, config, threshold.clone(), ground, passed));
    // A name that is still being looked up is of no use to anybody any more.
    runtime.shutdown_background();
    ended
}

/// What is said of a store that was made although its key was there.
const REMADE: &str = "a new store was made under a store key that was there already: there may have \
                      been another one";

/// Longer than a daemon runs without looking up a name.
const FOR_GOOD: Duration = Duration::from_secs(366 * 86_400);

/// What has a thread of its own before there are any accounts.
struct Ground {
    signals: mpsc::Receiver<signals::Signal>,
    clock: Clock,
    store: Store,
    manager: Manager,
}

async fn live(
    places: Places,
    config: Config,
    threshold: Threshold,
    ground: Ground,
    passed: Passed,
) -> Result<(), Failure> {
    let Ground { signals, clock, store, manager } = ground;
    let mut loaded = store.load().await?;
    unread::hold_back(&mut loaded, &config, clock::now().wall);
    for sentence in &loaded.damage {
        error!(event = Message::StoreDamaged.as_str(), "{sentence}");
    }
    if loaded.remade {
        warn!(event = Message::StoreMade.as_str(), "{REMADE}");
    }
    let (control, controls) = mpsc::channel(16);
    let (orders_in, orders) = mpsc::channel(Keeper::ORDERS);
    let (errands_in, errands) = mpsc::channel(16);
    let (calls_in, calls) = mpsc::channel(Keeper::CALLS);
    let (notices, _) = broadcast::channel(Keeper::NOTICES);
    let (directory_in, directory) = watch::channel(Arc::new(Directory::default()));
    let standing = Standing {
        directory: directory.clone(),
        notices: notices.subscribe(),
        manager: manager.clone(),
    };
    let keeper = Keeper::new(directory, orders_in, errands_in, calls_in, notices.clone());
    let metrics = Arc::new(Metrics::new());

    let Passed { api, credential, kept: _ } = passed;
    let mut made = Made::default();
    let listening = sockets::listening(&config, api, &mut made)?;
    let (credentials, terms) = watch::channel(config.daemon.credentials);
    let opened = Opened {
        socket: config.daemon.socket.clone(),
        state: config.daemon.state.clone(),
        listen: config.listen.clone(),
        dbus: config.daemon.dbus,
        credential_socket: config.daemon.credential_socket.clone(),
    };
    let stored = findings::stored(&loaded.records);
    let masters = Masters { own_uid: rustix::process::geteuid().as_raw() };
    let (attestor, questions) = Attestor::new();
    let proof = attest::proof_of_kernel().map_err(|error| Failure::System("sockets", error))?;
    let (presence, stands) = watch::channel(Presence::default());
    let bus = Bus {
        which: config.daemon.dbus,
        keeper: keeper.clone(),
        masters,
        threshold: threshold.clone(),
        attestor: attestor.clone(),
        metrics: metrics.clone(),
        presence,
    };
    let (door, credential_probe) = credential::Door::new(credential::Settings {
        sockets: sockets::for_credentials(&config, credential, &mut made)?,
        keeper: keeper.clone(),
        masters,
        metrics: metrics.clone(),
        attestor: attestor.clone(),
        scope: places.scope(masters.own_uid),
        terms,
    })
    .map_err(|error| Failure::System("socket for credentials", error))?;
    let (cast, lineup) = Cast::begin(config, loaded.records, proof);
    let outside = Outside::new(store.clone(), clock.clone(), places.credentials.clone());
    let logins = Logins::new(outside.clone(), keeper.clone(), control.clone());
    let (failing_in, failing) = watch::channel(Failing::default());
    let hooks = Hooks::new(outside.clone(), notices.clone(), failing_in.clone());
    let (caller, hook_calls) = Caller::new(failing_in);
    let supervisor = Supervisor::new(outside, directory_in, notices, caller);
    // The queue has room: nobody else has sent yet.
    let (done, applied) = oneshot::channel();
    let _sent = control.send(Control::Apply { lineup: Box::new(lineup), done }).await;

    for stranger in cast.unknown() {
        warn!(event = Message::Doubtful.as_str(), "{stranger}");
    }
    for rule in weak::useless_rules(cast.config(), proof) {
        warn!(event = Message::Doubtful.as_str(), "{rule}");
    }
    let steward = Steward {
        places,
        cast,
        opened,
        threshold,
        credentials,
        store: store.clone(),
        control,
        keeper: keeper.clone(),
        clock,
        manager: manager.clone(),
        refused: None,
        damage: loaded.damage,
        remade: loaded.remade,
        orphans: loaded.orphans,
        stored,
        failing,
        presence: stands,
    };
    let accounts = steward.cast.config().accounts.len();
    let stop = steward.control.clone();
    let (serves, served_now) = watch::channel(false);
    let serving = async {
        // The supervisor ends only after it was told to, so it applies this before.
        let _applied = applied.await;
        let front = match front::start(listening, keeper, masters, attestor, metrics) {
            Ok(front) => front,
            Err(error) => {
                // A supervisor that has ended needs to be told nothing.
                let _ended = stop.send(Control::Stop).await;
                return Err(Failure::System("serve thread", error));
            }
        };
        manager.ready();
        serves.send_replace(true);
        info!(event = Message::Ready.as_str(), accounts, "ready");
        let proofs = watchdog::Proofs {
            control: stop.clone(),
            store: store.clone(),
            front: front.probe(),
            credential: credential_probe,
            manager,
        };
        tokio::select! {
            () = steward.run(errands, signals) => {}
            () = proofs.feed() => {}
            () = standing.tell() => {}
        }
        Ok(front)
    };
    let supervised = supervisor.run(orders, controls);
    // When the supervisor has ended, there is nobody left who could hand a call over.
    let hooked = hooks.run(hook_calls);
    let lasting = async { tokio::join!(supervised, hooked, serving).2 };
    tokio::pin!(lasting);
    // What starts the daemon is heard when every account is there. A start that fails ends all
    // of this.
    let every_account = |mut served: watch::Receiver<bool>| async move {
        let _failed = served.wait_for(|served| *served).await.is_err();
    };
    let on_bus = async {
        every_account(served_now.clone()).await;
        bus.run(questions).await
    };
    let (shut, mut shutting) = watch::channel(false);
    let stopping = shutting.clone();
    let at_the_door = async {
        tokio::select! {
            () = every_account(served_now.clone()) => door.run(stopping).await,
            _ = shutting.wait_for(|shut| *shut) => {}
        }
    };
    let within = async {
        let served = tokio::select! {
            served = &mut lasting => served,
            // Nobody can call any more, which is an end of its own.
            () = logins.run(calls) => lasting.await,
            never = on_bus => match never {},
        };
        shut.send_replace(true);
        served
    };
    let (served, ()) = tokio::join!(within, at_the_door);
    let front = served?;
    // While the sockets still listen.
    drop(made);
    front.stop();
    if front.join().is_err() {
        error!(event = Message::Panicked.as_str(), "the serve thread ended in a panic");
    }
    store.close().await;
    info!(event = Message::Stopped.as_str(), "stopped");
    Ok(())
}
