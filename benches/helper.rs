//! What a benchmark runs in processes of their own: this program again, in another part.
//!
//! A helper says one line when it has begun, does its part until its standard input ends or
//! its work is done, and then says another.
#![allow(clippy::print_stdout, reason = "a helper talks to its benchmark by lines")]

mod crowd;
mod echo;

use std::env;
use std::ffi::OsString;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Stdio;

use crate::stage::process::program;
use crate::stage::trouble::Trouble;

/// A running helper. It is killed when it is dropped.
pub(crate) struct Helper {
    child: Child,
    lines: BufReader<ChildStdout>,
}

/// The parts.
pub(crate) enum Part<'a> {
    /// The bare server: answers every request with the content of that file.
    Echo(&'a Path),
    /// So many callers who wait for the token of account 0.
    Waiters(usize),
    /// So many connections that have asked once, a peer that sends nothing, and one that
    /// reads nothing.
    Crowd(usize),
}

/// The user that callers are who shall not be root: `nobody`.
pub(crate) const NOBODY: u32 = 65_534;

impl Helper {
    /// Starts a helper on `socket`, as that user if one is named, and returns when it has begun.
    ///
    /// # Errors
    ///
    /// If it does not begin.
    pub(crate) fn start(
        part: &Part<'_>,
        socket: &Path,
        user: Option<u32>,
    ) -> Result<Self, Trouble> {
        let failed = || Trouble::system("cannot start a helper");
        let own = env::current_exe().map_err(failed())?;
        let (word, value) = match part {
            Part::Echo(reply) => ("helper-echo", reply.as_os_str().to_owned()),
            Part::Waiters(number) => ("helper-waiters", OsString::from(number.to_string())),
            Part::Crowd(number) => ("helper-crowd", OsString::from(number.to_string())),
        };
        let mut command = program(own);
        command.arg(word).arg(socket).arg(value).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let mut child = command.spawn().map_err(failed())?;
        let Some(output) = child.stdout.take() else {
            return Err(Trouble::unexpected("a helper", b"nothing"));
        };
        let mut helper = Self { child, lines: BufReader::new(output) };
        helper.hear("begun")?;
        Ok(helper)
    }

    /// Waits until its work is done.
    ///
    /// # Errors
    ///
    /// If it ends without having done it.
    pub(crate) fn done(mut self) -> Result<(), Trouble> {
        self.hear("done")
    }

    fn hear(&mut self, word: &str) -> Result<(), Trouble> {
        let mut line = String::new();
        self.lines.read_line(&mut line).map_err(Trouble::system("cannot hear a helper"))?;
        if line.trim_end() == word {
            return Ok(());
        }
        Err(Trouble::unexpected("a helper", line.as_bytes()))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Plays a part, if the arguments name one.
///
/// # Errors
///
/// What the part meets.
pub(crate) fn play(arguments: &[OsString]) -> Option<Result<(), Trouble>> {
    let [part, socket, value] = arguments else { return None };
    let socket = PathBuf::from(socket);
    let number = || value.to_str().and_then(|text| text.parse().ok()).unwrap_or_default();
    match part.to_str()? {
        "helper-echo" => Some(echo::serve(&socket, Path::new(value))),
        "helper-waiters" => Some(crowd::wait(&socket, number())),
        "helper-crowd" => Some(crowd::stand(&socket, number())),
        _ => None,
    }
}

/// Says a line to the benchmark.
fn say(word: &str) {
    println!("{word}");
}

/// Returns when the benchmark has gone.
fn until_alone() -> Result<(), Trouble> {
    let mut nothing = [0; 1];
    std::io::stdin().read(&mut nothing).map(drop).map_err(Trouble::system("cannot wait"))
}
