//! A client that costs as little as possible: one write and one read a request.

use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::stage::trouble::Trouble;

/// Longest answer that is taken, in bytes. Those of the benchmarks have about 2 kB.
const LONGEST: usize = 64 * 1024;

/// Until an answer must have come: longer than any request asks to wait.
const PATIENCE: Duration = Duration::from_secs(90);

/// One kept connection.
pub(crate) struct Connection {
    stream: UnixStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If nobody listens.
    pub(crate) fn open(socket: &Path) -> Result<Self, Trouble> {
        let stream = UnixStream::connect(socket).map_err(Trouble::system("cannot connect"))?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(Trouble::system("cannot connect"))?;
        Ok(Self { stream, buffer: vec![0; 4096], filled: 0 })
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// If the connection is gone.
    pub(crate) fn send(&mut self, request: &[u8]) -> Result<(), Trouble> {
        self.stream.write_all(request).map_err(Trouble::system("cannot send a request"))
    }

    /// Receives its answer, which is to be a success. The connection is empty after it.
    ///
    /// # Errors
    ///
    /// If it is anything else.
    pub(crate) fn receive(&mut self) -> Result<&[u8], Trouble> {
        self.filled = 0;
        loop {
            if self.filled == self.buffer.len() {
                if self.filled >= LONGEST {
                    return Err(self.no_answer());
                }
                self.buffer.resize(self.filled * 2, 0);
            }
            let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
            let got = self.stream.read(room).map_err(Trouble::system("cannot read an answer"))?;
            self.filled += got;
            let answer = self.buffer.get(..self.filled).unwrap_or_default();
            if got == 0 || !b"HTTP/1.1 200".iter().zip(answer).all(|(right, is)| right == is) {
                return Err(self.no_answer());
            }
            if length(answer).is_some_and(|length| self.filled >= length) {
                return Ok(self.buffer.get(..self.filled).unwrap_or_default());
            }
        }
    }

    /// Both.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send) and [`receive`](Self::receive).
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<&[u8], Trouble> {
        self.send(request)?;
        self.receive()
    }

    fn no_answer(&self) -> Trouble {
        // A token of a benchmark is no secret.
        Trouble::unexpected("the server", self.buffer.get(..self.filled).unwrap_or_default())
    }
}

/// The request for an account's token.
pub(crate) fn token_of(account: &str) -> Vec<u8> {
    format!("GET /v1/accounts/{account}/token HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// The request for another path.
pub(crate) fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// How long an answer is, once its head is there.
fn length(answer: &[u8]) -> Option<usize> {
    const FIELD: &[u8] = b"\r\ncontent-length: ";
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let field = answer.windows(FIELD.len()).position(|bytes| bytes == FIELD)?;
    let digits = answer.get(field + FIELD.len()..head)?;
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let content = digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    Some(head + 4 + content)
}
