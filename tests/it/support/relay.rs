//! A network between the daemon and a provider that can lose a reply.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;

use super::PATIENCE;

/// A relay on loopback. Its threads end with the test process.
pub(crate) struct Relay {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    swallows: Arc<AtomicBool>,
    swallowed: mpsc::Receiver<()>,
}

impl Relay {
    /// A relay to a server, by `127.0.0.1:PORT`.
    pub(crate) fn to(server: &str) -> Self {
        let server = server.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let swallows = Arc::new(AtomicBool::new(false));
        let (tell, swallowed) = mpsc::channel();
        let wish = Arc::clone(&swallows);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (server, wish, tell) = (server.clone(), Arc::clone(&wish), tell.clone());
                thread::spawn(move || relay(&client?, &server, &wish, &tell));
            }
        });
        Self { address, swallows, swallowed }
    }

    /// From now on, replies are read to their end and kept, on connections that stay open.
    pub(crate) fn swallow(&self) {
        self.swallows.store(true, Ordering::SeqCst);
    }

    /// From now on, replies pass.
    pub(crate) fn pass(&self) {
        self.swallows.store(false, Ordering::SeqCst);
    }

    /// Waits until a whole reply was swallowed.
    pub(crate) fn swallowed(&self) {
        self.swallowed.recv_timeout(PATIENCE).expect("no reply came to be swallowed");
    }
}

/// Carries one connection.
fn relay(
    client: &TcpStream,
    server: &str,
    swallows: &AtomicBool,
    tell: &mpsc::Sender<()>,
) -> io::Result<()> {
    let upstream = TcpStream::connect(server)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, upstream.try_clone()?);
    let forth = thread::spawn(move || {
        // Whoever closes first ends this direction.
        drop(io::copy(&mut from_client, &mut to_server));
        drop(to_server.shutdown(Shutdown::Write));
    });
    let mut to_client = client;
    let mut piece = [0; 4096];
    let mut kept = false;
    loop {
        let length = (&upstream).read(&mut piece)?;
        if length == 0 {
            break;
        }
        if swallows.load(Ordering::SeqCst) {
            kept = true;
        } else {
            to_client.write_all(&piece[..length])?;
        }
    }
    if kept {
        // Nobody may be waiting for it any more.
        let _unheard = tell.send(());
    } else {
        client.shutdown(Shutdown::Write)?;
    }
    // The client goes when it wants to.
    drop(forth.join());
    Ok(())
}
