//! The message bus: what the socket serves, to programs that speak D-Bus.
//!
//! The bus is a guest. It may be absent, restart, or refuse the name: the daemon starts and
//! serves without it, and is back on it as soon as it can be. Who asks is what the bus says of
//! the sender, never what a message says; what that lets through is decided by the code that
//! decides it for the socket, [`Asker`](crate::asking::Asker).
//!
//! Messages are dispatched here and not by zbus's object server, for three reasons: what an
//! object shows depends on who asks, a call is counted before anything is begun for it, and
//! the interfaces that are served are the files in `packaging/dbus`, word by word.
//!
//! # Reading order
//!
//! 1. `serve`: one connection, from its first message to its last.
//! 2. `method`, `object`: what can be called, and where.
//! 3. `dispatch`: from a call to its answer; `manager`, `order` and `token` carry it out, `option`
//!    reads what it says, `memfd` is the way for a token that shall be in no message.
//! 4. `show`, `property`, `signal`: what is shown of accounts, and told of them.
//! 5. `broker`, `consent`, `units`: what is asked of the bus itself, of polkit, and of systemd;
//!    `turns`: in which order.
//! 6. `peers`, `matter`, `waiting`: who the senders are, what has to be known of them, and how
//!    many of their calls wait.
//! 7. [`presence`]: what administrators are told of all that.
//!
//! # Invariants
//!
//! * Access is decided before anything of an account is looked at.
//! * No property and no signal has a token in it.
//! * A call that waits takes a place of its sender, its user and of all; there are so many.
//! * A caller that goes away changes nothing about what it waited for.

mod broker;
mod consent;
pub mod dispatch;
pub mod manager;
mod matter;
mod memfd;
pub mod method;
pub mod object;
pub mod option;
mod order;
mod peers;
pub mod presence;
mod property;
mod reply;
mod serve;
mod show;
mod signal;
mod token;
mod turns;
mod units;
mod waiting;

use std::convert::Infallible;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tracing::debug;
use tracing::info;
use tracing::warn;
use zbus::Connection;
use zbus::connection::Builder;

use crate::access::Masters;
use crate::attest::Attestor;
use crate::attest::Question;
use crate::config;
use crate::keeper::Keeper;
use crate::limits;
use crate::message::Message;
use crate::metrics::Metrics;
use crate::threshold::Threshold;

use self::presence::Away;
use self::presence::Presence;
use self::serve::Service;
use self::units::Clerk;
use self::units::Link;

/// What the bus serves.
pub struct Bus {
    /// Which bus.
    pub which: config::daemon::Bus,
    /// The supervisor's handle.
    pub keeper: Keeper,
    /// Who may do everything.
    pub masters: Masters,
    /// What is logged.
    pub threshold: Threshold,
    /// Who knows the units of those who call.
    pub attestor: Attestor,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// Where it is told how the bus stands.
    pub presence: watch::Sender<Presence>,
}

impl Bus {
    /// Serves, and answers which units processes belong to, for as long as this is polled.
    pub async fn run(self, questions: mpsc::Receiver<Question>) -> Infallible {
        let (link, linked) = watch::channel(Link::default());
        let wanted = Notify::new();
        let clerk = Clerk::new(questions, linked);
        let system = match self.which {
            config::daemon::Bus::System => Some(&link),
            config::daemon::Bus::Session | config::daemon::Bus::Off => None,
        };
        tokio::select! {
            never = self.serve(system) => never,
            never = keep(&link, &wanted), if system.is_none() => never,
            () = clerk.run(|| wanted.notify_one()) => std::future::pending().await,
        }
    }

    /// Serves on its bus, and tells how the connection stands.
    async fn serve(&self, link: Option<&watch::Sender<Link>>) -> Infallible {
        let lost = Message::BusLost.as_str();
        let tell = |state| link.map(|link| link.send_replace(state));
        let mut failed = 0;
        loop {
            let away = match connect(self.which).await {
                Ok(connection) => {
                    failed = 0;
                    tell(Link::Up(connection.clone()));
                    let gone = Service::new(self, connection).run().await;
                    warn!(event = lost, "the bus is gone, and looked for again: {gone}");
                    Away::Unreachable(gone.to_string())
                }
                Err(error) if is_absent(&error) => {
                    // A host without a bus is nothing to speak of.
                    debug!("no bus yet: {error}");
                    Away::NoBus
                }
                Err(error) => {
                    if failed == 0 {
                        info!(event = lost, "no bus yet, it is looked for again: {error}");
                    }
                    Away::Unreachable(error.to_string())
                }
            };
            self.presence.send_replace(Presence { found: Some(Err(away)), proof: None });
            tell(Link::Down);
            tokio::time::sleep(backoff(failed)).await;
            failed = failed.saturating_add(1);
        }
    }
}

/// Keeps a connection to the system's bus, from when it is wanted for the first time.
async fn keep(link: &watch::Sender<Link>, wanted: &Notify) -> Infallible {
    wanted.notified().await;
    let mut failed = 0;
    loop {
        match connect(config::daemon::Bus::System).await {
            Ok(connection) => {
                failed = 0;
                link.send_replace(Link::Up(connection.clone()));
                connection.closed().await;
            }
            Err(error) => debug!("no system bus to ask about units: {error}"),
        }
        link.send_replace(Link::Down);
        tokio::time::sleep(backoff(failed)).await;
        failed = failed.saturating_add(1);
    }
}

async fn connect(which: config::daemon::Bus) -> zbus::Result<Connection> {
    let builder = match which {
        config::daemon::Bus::System => Builder::system(),
        config::daemon::Bus::Session => Builder::session(),
        config::daemon::Bus::Off => return std::future::pending().await,
    };
    let queue = NonZeroUsize::new(limits::BUS_QUEUE).unwrap_or(NonZeroUsize::MIN);
    let connecting = builder.max_queued(queue).build();
    match tokio::time::timeout(limits::BUS_PATIENCE, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(zbus::Error::Failure("it does not answer".to_owned())),
    }
}

/// Whether there is no socket of a bus.
fn is_absent(error: &zbus::Error) -> bool {
    let (zbus::Error::Connection(error, _) | zbus::Error::InputOutput(error)) = error else {
        return false;
    };
    error.kind() == io::ErrorKind::NotFound
}

/// Pause before the next try, after so many that failed in a row: 1 s to a minute.
fn backoff(failed: u32) -> Duration {
    /// A bus that restarts is back within seconds; one that is not installed costs a look a minute.
    const LONGEST: Duration = Duration::from_secs(60);

    Duration::from_secs(1 << failed.min(6)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_is_looked_for_after_a_second_and_at_least_once_a_minute() {
        let pauses = [0, 1, 2, 5, 6, 7, u32::MAX].map(|failed| backoff(failed).as_secs());
        assert_eq!(pauses, [1, 2, 4, 32, 60, 60, 60]);
    }

    #[test]
    fn a_host_without_a_bus_is_told_from_a_bus_that_does_not_work() {
        let kinds = [(io::ErrorKind::NotFound, true), (io::ErrorKind::ConnectionRefused, false)];
        for (kind, absent) in kinds {
            let error = zbus::Error::from(io::Error::from(kind));
            assert_eq!(is_absent(&error), absent, "{kind:?}");
        }
    }
}
