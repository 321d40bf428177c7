//! The door for systemd's `LoadCredential=NAME:/run/tokenkeeper/credential.sock`, by which a unit
//! has a token as a file from the moment it starts.
//!
//! The service manager connects as root from a name that says for which unit and which credential,
//! sends nothing, and takes all that it reads for the credential (systemd.exec(5)). The unit is
//! who asks: the rules that name it decide, and what root may do counts for nothing.
//!
//! # Reading order
//!
//! 1. `claim`: what the name of the peer says, and `wanted`: what the credential's name means.
//! 2. `subject`: whether that is to be believed, and who asks then.
//! 3. `visit`: one connection, from there to its answer.
//! 4. `given`: the bytes of a credential. `delivery`: how they, or a refusal, get across.
//! 5. `telling`: what is recorded of it.
//!
//! # Invariants
//!
//! * A name is no proof. Whoever connects has to be root, and in the unit that it names or in the
//!   service manager's own, as the service manager itself attests.
//! * There is no channel for errors: an end without bytes starts the unit with an empty
//!   credential, and half a token with half of it. So a connection ends with the whole credential
//!   or with more than the service manager takes, which fails the unit, in every way but one: a
//!   daemon that is killed can say nothing any more.
//! * What passes is waited for; what needs somebody is refused at once.
//! * Each answer has a record, since nobody else hears why.

use std::future::poll_fn;
use std::io;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::error;
use tracing::info;
use tracing::warn;

use self::subject::Scope;
use crate::access::Masters;
use crate::attest::Attestor;
use crate::config::daemon::CredentialTerms;
use crate::keeper::Keeper;
use crate::limits;
use crate::message::Message;
use crate::metrics::Metrics;

pub mod claim;
mod delivery;
mod given;
pub mod subject;
mod telling;
mod visit;
pub mod wanted;

/// What the door is given.
pub struct Settings {
    /// The sockets, listening; there may be none.
    pub sockets: Vec<StdUnixListener>,
    /// The supervisor's handle.
    pub keeper: Keeper,
    /// Who may do everything.
    pub masters: Masters,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// Who knows units of processes.
    pub attestor: Attestor,
    /// Whose units are served.
    pub scope: Scope,
    /// How long is waited, and for what. A reload changes it.
    pub terms: watch::Receiver<CredentialTerms>,
}

/// The door, before it opens.
pub struct Door {
    sockets: Vec<UnixListener>,
    desk: Arc<Desk>,
    probed: mpsc::Receiver<oneshot::Sender<()>>,
}

/// What all connections share.
struct Desk {
    keeper: Keeper,
    masters: Masters,
    metrics: Arc<Metrics>,
    attestor: Attestor,
    scope: Scope,
    terms: watch::Receiver<CredentialTerms>,
}

/// Asks the door whether it gets on. For the watchdog.
#[derive(Clone)]
pub struct Probe(mpsc::Sender<oneshot::Sender<()>>);

impl Probe {
    /// Whether it answers within `patience`.
    pub async fn answers(&self, patience: Duration) -> bool {
        let asking = async {
            let (reply, proven) = oneshot::channel();
            self.0.send(reply).await.is_ok() && proven.await.is_ok()
        };
        tokio::time::timeout(patience, asking).await.unwrap_or(false)
    }
}

impl Door {
    /// A door that is shut: who connects waits in the backlog.
    ///
    /// # Errors
    ///
    /// If a socket is not to be used.
    pub fn new(settings: Settings) -> io::Result<(Self, Probe)> {
        let Settings { sockets, keeper, masters, metrics, attestor, scope, terms } = settings;
        let sockets = sockets.into_iter().map(|socket| {
            socket.set_nonblocking(true)?;
            UnixListener::from_std(socket)
        });
        let sockets = sockets.collect::<io::Result<_>>()?;
        let desk = Arc::new(Desk { keeper, masters, metrics, attestor, scope, terms });
        let (probes, probed) = mpsc::channel(1);
        Ok((Self { sockets, desk, probed }, Probe(probes)))
    }

    /// Serves until `stopping` is true. Whoever waits is then refused, so that no unit starts
    /// with nothing; who has not been accepted waits for the next daemon.
    pub async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut visits = JoinSet::new();
        let until = stopping.clone();
        loop {
            let room = visits.len() < limits::CREDENTIALS;
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => break,
                Some(ended) = visits.join_next() => report_panic(ended),
                Some(probe) = self.probed.recv() => {
                    // A watchdog that lost its patience does not listen any more.
                    let _late = probe.send(());
                }
                accepted = accept(&self.sockets), if room => match accepted {
                    Ok(stream) => {
                        visits.spawn(visit::serve(self.desk.clone(), stream, until.clone()));
                    }
                    Err(error) => {
                        let event = Message::NotAccepted.as_str();
                        warn!(event, %error, "a connection for a credential was not accepted");
                        tokio::time::sleep(limits::ACCEPT_BACKOFF).await;
                    }
                },
            }
        }
        let rest = async {
            while let Some(ended) = visits.join_next().await {
                report_panic(ended);
            }
        };
        if tokio::time::timeout(limits::GRACE, rest).await.is_err() {
            let event = Message::Stopping.as_str();
            info!(event, "units that wait for a credential were cut off by the stop");
        }
    }
}

/// The next connection on any of the sockets; of none there is no next one.
async fn accept(sockets: &[UnixListener]) -> io::Result<UnixStream> {
    poll_fn(|cx| {
        for socket in sockets {
            if let Poll::Ready(accepted) = socket.poll_accept(cx) {
                return Poll::Ready(accepted.map(|(stream, _)| stream));
            }
        }
        Poll::Pending
    })
    .await
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        let event = Message::Panicked.as_str();
        error!(event, "a connection for a credential ended in a panic");
    }
}
