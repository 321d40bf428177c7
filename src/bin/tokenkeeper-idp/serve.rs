//! The listening socket, and the end.

use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::getrlimit;
use rustix::process::setrlimit;
use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGTERM;
use signal_hook::low_level::pipe;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time;

use crate::connection;
use crate::provider::Server;

/// Connections at a time; more wait in the listening queue.
const MOST_CONNECTIONS: usize = 30_000;
/// How long accepting rests after it failed, as it does when descriptors run out.
const REST: Duration = Duration::from_millis(20);

/// Becomes readable with the first SIGTERM or SIGINT.
pub(crate) struct Stop(tokio::net::UnixStream);

impl Stop {
    /// Asks for both signals.
    ///
    /// # Errors
    ///
    /// The kernel refuses a socket pair or a handler.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        pipe::register(SIGTERM, theirs.try_clone()?)?;
        pipe::register(SIGINT, theirs)?;
        ours.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(ours).map(Self)
    }

    async fn asked(&mut self) {
        // Whatever the pipe says, there is nothing more to wait for.
        drop(self.0.read_u8().await);
    }
}

/// Lets this process have as many descriptors as the system allows it.
///
/// # Errors
///
/// The kernel refuses.
pub(crate) fn raise_descriptor_limit() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    Ok(())
}

/// Serves every client that comes, until a signal.
pub(crate) async fn run(listener: TcpListener, server: Rc<Server>, mut stop: Stop) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.asked() => return,
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => {
                let Ok((stream, _peer)) = accepted else {
                    time::sleep(REST).await;
                    continue;
                };
                // Small replies must not wait for acknowledgements; a socket that refuses is
                // merely slow.
                drop(stream.set_nodelay(true));
                let server = Rc::clone(&server);
                connections.spawn_local(async move { connection::serve(&server, stream).await });
            }
        }
    }
}
