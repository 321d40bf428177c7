//! What befalls the daemon at one of its system calls, and who deals it: strace, which injects a
//! signal or an error into the `count`th call of a name, or only writes down which calls there are.
//!
//! strace counts the calls of each thread by itself, so a thread is attached to alone where its calls
//! are the subject, and a program that is started under strace is its first thread alone.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use super::record::calls_of;
use crate::support::process::Process;
use crate::support::process::wrapping;

/// What strace writes behind an error that is its own.
const INJECTED: &str = "(INJECTED)";

/// What a call comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Blow {
    /// The process is killed when the call begins.
    Kill,
    /// The call does nothing and fails with this error.
    Once(&'static str),
    /// So does every later one of that name.
    FromThenOn(&'static str),
}

/// The call that is struck.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point<'a> {
    /// The call's name.
    pub(super) call: &'a str,
    /// Which one of that name, from 1.
    pub(super) count: u32,
    pub(super) blow: Blow,
}

/// The calls that count.
pub(super) struct Watched {
    /// What strace calls them.
    pub(super) calls: &'static str,
    /// Only those on one of these, if there are any.
    pub(super) paths: Vec<PathBuf>,
    /// The first call of this name fails with `EIO`, and what counts is what comes after it.
    pub(super) fault: Option<&'static str>,
    /// The file that strace writes to.
    pub(super) record: PathBuf,
}

impl Watched {
    /// The options of strace that write these calls down, and deal a blow to one of them.
    fn options(&self, point: Option<Point<'_>>) -> Vec<String> {
        let record = self.record.display().to_string();
        let trace = format!("trace={}", self.calls);
        let mut options = ["-ttt", "-T", "-o", &record, "-e", &trace].map(str::to_owned).to_vec();
        if let Some(Point { call, count, blow }) = point {
            let inject = match blow {
                Blow::Kill => format!("inject={call}:signal=KILL:when={count}"),
                Blow::Once(error) => format!("inject={call}:error={error}:when={count}"),
                Blow::FromThenOn(error) => format!("inject={call}:error={error}:when={count}+"),
            };
            options.extend(["-e".to_owned(), inject]);
        }
        if let Some(fault) = self.fault {
            options.extend(["-e".to_owned(), format!("inject={fault}:error=EIO:when=1")]);
        }
        for path in &self.paths {
            options.extend(["-P".to_owned(), path.display().to_string()]);
        }
        options
    }

    /// The command that runs `program` under strace. The process that it starts is the program itself.
    pub(super) fn around(&self, program: &Command, point: Option<Point<'_>>) -> Command {
        let mut command = Command::new("strace");
        command.args(["-D", "-qq"]).args(self.options(point));
        wrapping(command, program)
    }

    /// Lies in wait for a thread of a running process; returns when strace has attached to it.
    pub(super) fn ambush(&self, thread: u32, point: Option<Point<'_>>) -> Ambush {
        let mut command = Command::new("/bin/sh");
        // It says on standard error that it has attached.
        command.args(["-c", "exec strace \"$@\" 2>&1", "strace"]);
        command.args(self.options(point)).args(["-p", &thread.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command);
        let line = process.first_line();
        assert!(line.contains(" attached"), "{line}");
        Ambush { process }
    }

    /// Whether an error was injected, beside the fault that came before.
    pub(super) fn struck(&self) -> bool {
        let injected = |text: String| text.matches(INJECTED).count();
        let injected = fs::read_to_string(&self.record).map_or(0, injected);
        injected > usize::from(self.fault.is_some())
    }

    /// Which calls of each name were made, from 1.
    pub(super) fn made(&self) -> BTreeMap<String, RangeInclusive<u32>> {
        let text = fs::read_to_string(&self.record).unwrap();
        let before = match self.fault {
            None => BTreeMap::new(),
            Some(fault) => {
                let at = text.find(INJECTED).unwrap_or_else(|| panic!("no {fault} was made"));
                made_in(&text[..at])
            }
        };
        let since = |name: &str, all: u32| before.get(name).map_or(0, |before| *before) + 1..=all;
        let all = made_in(&text).into_iter();
        all.map(|(name, all)| (name.to_owned(), since(name, all))).collect()
    }
}

/// How often each call is in a record.
fn made_in(record: &str) -> BTreeMap<&str, u32> {
    let mut made = BTreeMap::new();
    for call in calls_of(record) {
        *made.entry(call.name).or_default() += 1;
    }
    made
}

/// A strace that lies in wait.
pub(super) struct Ambush {
    process: Process,
}

impl Ambush {
    /// Waits for its end, which is that of the process it waited for.
    pub(super) fn ends(mut self) {
        self.process.ended();
    }
}

/// Whether strace can be run.
pub(super) fn is_possible() -> bool {
    Command::new("strace").arg("--version").output().is_ok()
}
