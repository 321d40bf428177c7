//! A provider that a test plays itself.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;
use std::thread::JoinHandle;

use serde_json::Value;

/// A provider that takes note of what it is asked. It answers one request on each connection.
pub(crate) struct Door {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    serving: Option<JoinHandle<()>>,
}

impl Door {
    /// One that answers a path and a body with a status and a document.
    pub(crate) fn open(
        mut answer: impl FnMut(&str, &str) -> (u16, Value) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&asked);
        let serving = thread::spawn(move || {
            loop {
                let (stream, _) = listener.accept().unwrap();
                let Some((path, body, stream)) = hear(stream) else { return };
                noted.lock().unwrap().push(format!("{path} {body}"));
                let (status, document) = answer(&path, &body);
                say(stream, status, &document);
            }
        });
        Self { address, asked, serving: Some(serving) }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Its URL without a path.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Path and body of each request so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // A connection without a request is how it ends.
        drop(TcpStream::connect(self.address));
        if let Some(serving) = self.serving.take() {
            assert!(serving.join().is_ok() || thread::panicking(), "the provider panicked");
        }
    }
}

fn hear(stream: TcpStream) -> Option<(String, String, TcpStream)> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1)?.to_owned();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Some((path, String::from_utf8(body).unwrap(), reader.into_inner()))
}

fn say(mut stream: TcpStream, status: u16, document: &Value) {
    let body = document.to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
    .unwrap();
}
