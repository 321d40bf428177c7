//! Between the daemon and its providers, and takes down what both say: where a test learns every
//! token that was ever granted.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;

use super::canary::Canary;
use super::canary::Sort;

/// Names of members, in lower case and without `_`, and what sort of secret they hold.
const MEMBERS: &[(&str, Sort)] = &[
    ("refreshtoken", Sort::RefreshToken),
    ("accesstoken", Sort::Token),
    ("idtoken", Sort::Token),
    ("sessiontoken", Sort::Token),
    ("secretkey", Sort::Token),
    ("session", Sort::AccountSecret),
];

/// A relay on loopback. Its threads end with the test process.
pub(super) struct Recorder {
    address: SocketAddr,
    /// What was said on each connection by the server.
    said: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    /// A recorder before a server, by `127.0.0.1:PORT`.
    pub(super) fn before(server: &str) -> Self {
        let server = server.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let said = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let notes = Arc::clone(&said);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (server, notes) = (server.clone(), Arc::clone(&notes));
                thread::spawn(move || carry(&client?, &server, &notes));
            }
        });
        Self { address, said }
    }

    /// The URL of a path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Everything that was granted.
    pub(super) fn granted(&self) -> Vec<Canary> {
        self.said.lock().unwrap().iter().flat_map(|said| granted(said)).collect()
    }
}

/// Everything that a server granted on one connection.
fn granted(said: &[u8]) -> Vec<Canary> {
    let text = String::from_utf8_lossy(said);
    // JSON writes `"name":"value"`, perhaps with a space, and a form `name=value&`.
    let words = text.split(['"', '&', '=', '\n', '\r']);
    let words = words.filter(|word| !matches!(word.trim(), "" | ":")).collect::<Vec<_>>();
    let named = words.windows(2).filter_map(|pair| {
        let name = pair[0].to_ascii_lowercase().replace('_', "");
        let (_, sort) = MEMBERS.iter().find(|(member, _)| *member == name)?;
        let is_opaque = pair[1].len() >= 20 && !pair[1].contains(['{', ' ', ',']);
        is_opaque.then(|| Canary::new(*sort, &format!("{name} {}", pair[1]), pair[1]))
    });
    named.collect()
}

/// Carries one connection, reply by reply as it comes.
fn carry(client: &TcpStream, server: &str, notes: &Mutex<Vec<Vec<u8>>>) -> io::Result<()> {
    let upstream = TcpStream::connect(server)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, upstream.try_clone()?);
    let forth = thread::spawn(move || {
        // Whoever closes first ends this direction.
        drop(io::copy(&mut from_client, &mut to_server));
        drop(to_server.shutdown(Shutdown::Write));
    });
    let own = {
        let mut all = notes.lock().unwrap();
        all.push(Vec::new());
        all.len() - 1
    };
    let mut to_client = client;
    let mut piece = [0; 4096];
    loop {
        // A reset of the server's is the end of what it says.
        let length = (&upstream).read(&mut piece).unwrap_or_default();
        if length == 0 {
            break;
        }
        // What was granted is noted before the daemon can have it.
        notes.lock().unwrap()[own].extend_from_slice(&piece[..length]);
        to_client.write_all(&piece[..length])?;
    }
    client.shutdown(Shutdown::Both)?;
    drop(forth.join());
    Ok(())
}
