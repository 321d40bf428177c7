//! A blocking HTTP client for one request on one connection.
//!
//! It speaks HTTP/1.0, so that replies end with their connection and no server sends them in chunks;
//! [`Kept`] is a connection for more than one.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::PATIENCE;

/// Most bytes of a reply that a test reads.
const LONGEST_REPLY: u64 = 256 * 1024 * 1024;

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: u16,
    head: String,
    /// The content.
    pub(crate) body: String,
}

impl Reply {
    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// All of it, as it came.
    pub(crate) fn text(&self) -> String {
        format!("{}\r\n\r\n{}", self.head, self.body)
    }

    /// The content as what it should be.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {} {}", self.status, self.body))
    }

    /// The content of a reply that must be a success.
    pub(crate) fn success<T: DeserializeOwned>(&self) -> T {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        self.json()
    }
}

/// A request in the making.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    /// `GET`, `POST`, …
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) path: &'a str,
    /// Further headers.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// JSON content, called so unless a header calls it otherwise.
    pub(crate) body: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// A `GET` without anything else.
    pub(crate) const fn get(path: &'a str) -> Self {
        Self { method: "GET", path, headers: &[], body: None }
    }

    /// A request that carries JSON.
    pub(crate) const fn with(method: &'a str, path: &'a str, body: &'a str) -> Self {
        Self { method, path, headers: &[], body: Some(body) }
    }

    /// Asks on a Unix socket.
    pub(crate) fn on_socket(self, socket: &Path) -> io::Result<Reply> {
        let mut stream = connect(socket)?;
        self.send(&mut stream)?;
        receive(stream)
    }

    /// Asks a server on loopback, by `127.0.0.1:PORT`.
    pub(crate) fn on_tcp(self, address: &str) -> io::Result<Reply> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        self.send(&mut stream)?;
        receive(stream)
    }

    /// Writes the request and leaves the reply to [`receive`].
    pub(crate) fn send(self, stream: &mut impl Write) -> io::Result<()> {
        let Self { method, path, headers, body } = self;
        let mut text = format!("{method} {path} HTTP/1.0\r\nhost: localhost\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
            if !headers.iter().any(|(name, _)| *name == "content-type") {
                text.push_str("content-type: application/json\r\n");
            }
        }
        text.push_str("\r\n");
        text.push_str(body.unwrap_or_default());
        stream.write_all(text.as_bytes())
    }
}

/// A connection that waits no longer than [`PATIENCE`] for anything.
pub(crate) fn connect(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads a reply to the end of its connection.
pub(crate) fn receive(stream: impl Read) -> io::Result<Reply> {
    let mut text = String::new();
    stream.take(LONGEST_REPLY).read_to_string(&mut text)?;
    let parted = text.split_once("\r\n\r\n");
    let (head, body) = parted.ok_or_else(|| io::Error::other(format!("no reply: {text:?}")))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status: {head:?}")))?;
    Ok(Reply { status, head: head.to_owned(), body: body.to_owned() })
}

/// A connection that is kept, and can be asked again and again.
pub(crate) struct Kept(UnixStream);

impl Kept {
    /// Connects, and asks for nothing.
    pub(crate) fn open(socket: &Path) -> Self {
        Self(connect(socket).unwrap())
    }

    /// Asks, and returns the status of the answer, which it reads whole.
    pub(crate) fn asks(&mut self, path: &str) -> io::Result<u16> {
        write!(self.0, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let length = value("content-length: ").map_or(0, |length| length.parse().unwrap());
        self.0.read_exact(&mut vec![0; length])?;
        Ok(head[9..12].parse().unwrap())
    }

    /// The connection itself.
    pub(crate) fn stream(&mut self) -> &mut UnixStream {
        &mut self.0
    }
}
