//! `tokenkeeper-idp` as a child process, and its control paths.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::process::Process;
use super::process::program;
use super::trouble::Trouble;

/// Until it listens, and until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest line or answer of a control path, in bytes: a summary of 10,000 accounts.
const LONGEST: u64 = 16 * 1024 * 1024;

const NAME: &str = "tokenkeeper-idp";

/// The provider.
pub(crate) struct Idp {
    process: Process,
    authority: String,
}

impl Idp {
    /// Starts the program at `binary`, with its log in `directory`.
    ///
    /// # Errors
    ///
    /// If it does not say that it listens.
    pub(crate) fn start(binary: &Path, directory: &Path) -> Result<Self, Trouble> {
        let mut command = program(binary);
        command.stdout(Stdio::piped());
        let mut process = Process::start(NAME, &mut command, directory.join("idp.log"))?;
        let Some(output) = process.output() else {
            return Err(Trouble::unexpected(NAME, b"nothing: its output is not piped"));
        };
        process.wait_for(&output, PATIENCE)?;
        let mut line = String::new();
        BufReader::new(output.take(LONGEST))
            .read_line(&mut line)
            .map_err(Trouble::system("cannot read from the provider"))?;
        match line.trim_end().strip_prefix("listening on http://") {
            Some(authority) => Ok(Self { process, authority: authority.to_owned() }),
            None => Err(Trouble::unexpected(NAME, line.as_bytes())),
        }
    }

    /// Its URL, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// Asks a control path, and returns what it answers.
    ///
    /// # Errors
    ///
    /// If it answers anything but success.
    pub(crate) fn control(
        &self,
        method: &str,
        path: &str,
        content: &Value,
    ) -> Result<Value, Trouble> {
        let failed = || Trouble::system("cannot talk to the provider");
        let mut stream = TcpStream::connect(&self.authority).map_err(failed())?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed())?;
        let content = content.to_string();
        let request = format!(
            "{method} /control/{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{content}",
            self.authority,
            content.len(),
        );
        stream.write_all(request.as_bytes()).map_err(failed())?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer).map_err(failed())?;
        parse(&answer).ok_or_else(|| Trouble::unexpected(NAME, &answer))
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// If it does not end well.
    pub(crate) fn end(self) -> Result<(), Trouble> {
        self.process.end()
    }
}

/// The JSON of an answer with a status of success.
fn parse(answer: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, content) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?;
    if !status.starts_with('2') {
        return None;
    }
    if content.is_empty() { Some(Value::Null) } else { serde_json::from_str(content).ok() }
}
