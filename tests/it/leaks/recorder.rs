//! Between the daemon and its providers, and takes down what both say: where a test learns every
//! token that was ever granted.

use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;

use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::ServerConnection;
use tokio_rustls::rustls::StreamOwned;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

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
    ("codeverifier", Sort::AccountSecret),
];

/// The certificate of a recorder that speaks TLS: its own authority, for 127.0.0.1.
pub(super) const CERTIFICATE: &str = include_str!("../../../src/http/tests/loopback.crt");
const KEY: &str = include_str!("../../../src/http/tests/loopback.key");

/// A relay on loopback. Its threads end with the test process.
pub(super) struct Recorder {
    address: SocketAddr,
    scheme: &'static str,
    said: Arc<Said>,
}

/// What was said on each connection, by either side.
#[derive(Default)]
struct Said(Mutex<Vec<Vec<u8>>>);

impl Recorder {
    /// A recorder before a server, by `127.0.0.1:PORT`.
    pub(super) fn before(server: &str) -> Self {
        let server = server.to_owned();
        Self::carrying("http", move |client, said| carry(&client, &server, said))
    }

    /// The same, which speaks TLS with whoever asks, under its [`CERTIFICATE`].
    pub(super) fn before_in_tls(server: &str) -> Self {
        let server = server.to_owned();
        let config = Arc::new(tls());
        Self::carrying("https", move |client, said| {
            carry_in_tls(client, &server, Arc::clone(&config), said)
        })
    }

    fn carrying(
        scheme: &'static str,
        carry: impl Fn(TcpStream, &Said) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let said = Arc::<Said>::default();
        let (notes, carry) = (Arc::clone(&said), Arc::new(carry));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (carry, notes) = (Arc::clone(&carry), Arc::clone(&notes));
                thread::spawn(move || carry(client?, &notes));
            }
        });
        Self { address, scheme, said }
    }

    /// The URL of a path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Everything secret that was granted, or told by a login to prove that it is the one.
    pub(super) fn secrets(&self) -> Vec<Canary> {
        self.said().iter().flat_map(|said| secrets(said)).collect()
    }

    /// All that was said, each direction of each connection by itself.
    pub(super) fn said(&self) -> Vec<Vec<u8>> {
        self.said.0.lock().unwrap().clone()
    }
}

impl Said {
    /// Where what is said next in one direction is taken down.
    fn begin(&self) -> usize {
        let mut all = self.0.lock().unwrap();
        all.push(Vec::new());
        all.len() - 1
    }

    /// Passes on what `from` says, to its end. It is noted before the other side can have it.
    fn pass(&self, mut from: impl Read, mut to: impl Write) -> io::Result<()> {
        let own = self.begin();
        let mut piece = [0; 4096];
        loop {
            // A reset is the end of what is said.
            let length = from.read(&mut piece).unwrap_or_default();
            if length == 0 {
                return Ok(());
            }
            self.0.lock().unwrap()[own].extend_from_slice(&piece[..length]);
            to.write_all(&piece[..length])?;
            to.flush()?;
        }
    }
}

/// Everything secret that was said in one direction.
fn secrets(said: &[u8]) -> Vec<Canary> {
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

/// Carries one connection, piece by piece as they come.
fn carry(client: &TcpStream, server: &str, said: &Said) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    thread::scope(|scope| {
        scope.spawn(|| {
            // Whoever closes first ends this direction.
            drop(said.pass(client, &server));
            drop(server.shutdown(Shutdown::Write));
        });
        said.pass(&server, client)?;
        client.shutdown(Shutdown::Both)
    })
}

/// Carries one request and its reply.
fn carry_in_tls(
    client: TcpStream,
    server: &str,
    config: Arc<ServerConfig>,
    said: &Said,
) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut client = BufReader::new(StreamOwned::new(connection, client));
    let (mut request, mut length) = (Vec::new(), 0);
    while !request.ends_with(b"\r\n\r\n") {
        let mut line = Vec::new();
        if client.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let header = String::from_utf8_lossy(&line).to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        request.extend(line);
    }
    said.pass(request.as_slice().chain(client.by_ref().take(length)), &server)?;
    said.pass(&server, client.get_mut())?;
    client.get_mut().conn.send_close_notify();
    client.get_mut().flush()
}

fn tls() -> ServerConfig {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}
