//! The serve thread: the API on local sockets.
//!
//! It reads what the supervisor publishes and gives it orders; it decides nothing about
//! an account. A thread of its own, with a runtime that serves it alone, because an answer
//! from memory must not wait for a TLS handshake on the thread that acts.
//!
//! # Reading order
//!
//! 1. `router`: every request there is.
//! 2. `dispatch`: from a request's head to who answers it.
//! 3. `caller`: who asks, and what that lets them do. The only way to an account.
//! 4. `token`, with `sheets`: the one request that matters most.
//! 5. `renew`, `orders`, `login`, `sessions`, `accounts`, `admin`, `events`, `status`, `openapi`: the others.
//! 6. `listener`, with `line`, `places`, `peer` and `behind`: connections and their limits.
//!
//! # Invariants
//!
//! * Access is decided before anything of an account is looked at, parsed or begun.
//! * Everything from outside is bounded by [`limits`].
//! * A peer that hangs up changes nothing but its own connection.
//! * The clock is read at the moment of answering.
//! * No answer from memory allocates a copy of the token.

use std::cell::RefCell;
use std::io;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::runtime::Builder;
use tokio::runtime::LocalOptions;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::access::Masters;
use crate::access::Narrowing;
use crate::asking::pace::Pace;
use crate::attest;
use crate::attest::Attestor;
use crate::clock;
use crate::front::caller::Desk;
use crate::front::caller::Door;
use crate::front::listener::Listener;
use crate::front::places::Places;
use crate::front::router::Router;
use crate::keeper::Keeper;
use crate::limits;
use crate::message::Message;
use crate::metrics::Metrics;

mod accounts;
mod admin;
mod arrival;
mod behind;
pub mod bind;
mod body;
mod caller;
mod dispatch;
mod events;
mod groups;
mod line;
mod listener;
mod login;
mod openapi;
mod orders;
mod peer;
mod places;
mod query;
mod release;
mod renew;
mod reply;
mod router;
mod sessions;
mod sheets;
mod spelling;
mod status;
#[cfg(test)]
mod tests;
mod token;
mod verdict;

/// One socket to serve.
pub struct Listening {
    /// The socket, listening.
    pub socket: StdUnixListener,
    /// Its path, for messages.
    pub path: Box<str>,
    /// What it lets through; `None` on the ordinary socket.
    pub narrowing: Option<Narrowing>,
}

/// The serve thread.
pub struct Front {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
    probe: Probe,
}

/// Serves `listening` on a thread of its own, until [`Front::stop`] or until the [`Front`] is gone.
///
/// # Errors
///
/// If the thread, its runtime or one of its sockets cannot be set up.
pub fn start(
    listening: Vec<Listening>,
    keeper: Keeper,
    masters: Masters,
    attestor: Attestor,
    metrics: Arc<Metrics>,
) -> io::Result<Front> {
    let (stop, stopping) = watch::channel(false);
    let (probes, probed) = listening.iter().map(|_| mpsc::channel(1)).unzip();
    let (report, ready) = std::sync::mpsc::channel();
    let work = Work { listening, keeper, masters, attestor, metrics, stopping, probed };
    let thread = thread::Builder::new().name("serve".into()).spawn(move || {
        let begun = work.begin();
        let (outcome, run) = match begun {
            Ok(run) => (Ok(()), Some(run)),
            Err(error) => (Err(error), None),
        };
        // Who started us waits for this; it is never gone.
        let _told = report.send(outcome).is_ok();
        if let Some(run) = run {
            run();
        }
    })?;
    let ended = || io::Error::other("the serve thread ended at its start");
    ready.recv().map_err(|_| ended())??;
    Ok(Front { stop, thread, probe: Probe { probes } })
}

impl Front {
    /// Accepts nothing any more. Requests in flight have
    /// [`GRACE`](crate::limits::GRACE) to finish.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for the end that [`stop`](Self::stop) begins.
    ///
    /// # Errors
    ///
    /// If the thread ended in a panic.
    pub fn join(self) -> thread::Result<()> {
        self.thread.join()
    }

    /// For the watchdog.
    pub fn probe(&self) -> Probe {
        self.probe.clone()
    }
}

/// Asks the serve thread whether it answers, through its own listeners and all that is
/// behind them, past the limits that keep peers out.
#[derive(Clone)]
pub struct Probe {
    probes: Vec<mpsc::Sender<StdUnixStream>>,
}

impl Probe {
    /// Whether each listener answers a request within `patience`.
    pub async fn answers(&self, patience: Duration) -> bool {
        let asking = async {
            for listener in &self.probes {
                if !ask(listener).await.unwrap_or(false) {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(patience, asking).await.unwrap_or(false)
    }
}

async fn ask(listener: &mpsc::Sender<StdUnixStream>) -> io::Result<bool> {
    const REQUEST: &[u8] = b"GET /v1/whoami HTTP/1.0\r\n\r\n";
    const GOOD: &[u8] = b"HTTP/1.0 200";

    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut ours = UnixStream::from_std(ours)?;
    listener.send(theirs).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
    ours.write_all(REQUEST).await?;
    let mut begin = [0; GOOD.len()];
    ours.read_exact(&mut begin).await?;
    Ok(begin == *GOOD)
}

/// What the serve thread is given.
struct Work {
    listening: Vec<Listening>,
    keeper: Keeper,
    masters: Masters,
    attestor: Attestor,
    metrics: Arc<Metrics>,
    stopping: watch::Receiver<bool>,
    probed: Vec<mpsc::Receiver<StdUnixStream>>,
}

impl Work {
    /// Sets everything up that can fail; what is returned serves.
    fn begin(self) -> io::Result<impl FnOnce()> {
        let Self { listening, keeper, masters, attestor, metrics, stopping, probed } = self;
        let runtime =
            Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
        let (notices, directory) = (keeper.notices(), keeper.directories());
        let desk = Rc::new(Desk {
            keeper,
            masters,
            attestor,
            proof: attest::proof_of_kernel()?,
            held: Rc::new(Places::of(limits::HELD_PROCESSES, limits::HELD_PROCESSES_PER_UID)),
            metrics: metrics.clone(),
            router: Router::new().map_err(io::Error::other)?,
            started: clock::now(),
            openapi: openapi::text().map_err(io::Error::other)?,
            sheets: RefCell::default(),
            pace: RefCell::new(Pace::refreshes()),
            logins: RefCell::new(Pace::logins()),
            refusals: RefCell::default(),
            stopping,
        });
        let places = Rc::new(Places::new());
        let mut listeners = Vec::new();
        let entered = runtime.enter();
        for (Listening { socket, path, narrowing }, probes) in listening.into_iter().zip(probed) {
            socket.set_nonblocking(true)?;
            let socket = UnixListener::from_std(socket)?;
            let door = Rc::new(Door { path, narrowing });
            listeners.push(Listener::new(socket, door, desk.clone(), places.clone(), probes));
        }
        drop(entered);
        Ok(move || {
            runtime.block_on(async {
                let mut running = JoinSet::new();
                for listener in listeners {
                    running.spawn_local(listener.run());
                }
                let counting = metrics.follow(notices, directory);
                tokio::pin!(counting);
                let mut counts = true;
                loop {
                    tokio::select! {
                        () = &mut counting, if counts => counts = false,
                        ended = running.join_next() => match ended {
                            Some(Ok(())) => {}
                            Some(Err(_)) => {
                                let event = Message::Panicked.as_str();
                                tracing::error!(event, "a listener ended in a panic");
                            },
                            None => break,
                        },
                    }
                }
            });
        })
    }
}
