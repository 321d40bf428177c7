//! The real programs: built, found and run.

use std::env;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;

use super::stage::process::Process;
use super::stage::process::program;
use super::stage::trouble::Trouble;
use super::tell;

/// Where the programs of this package are.
pub(super) struct Programs {
    pub(super) daemon: PathBuf,
    pub(super) idp: PathBuf,
    pub(super) tokenctl: PathBuf,
}

impl Programs {
    /// Builds them with the profile of this program, and returns where they are. Cargo tells
    /// on the terminal how far it is.
    ///
    /// # Errors
    ///
    /// If they cannot be built.
    pub(super) fn build() -> Result<Self, Trouble> {
        let own = env::current_exe().map_err(Trouble::system("cannot find this program"))?;
        // TARGET/PROFILE/examples/demo
        let Some(folder) = own.parent().and_then(Path::parent) else {
            return Err(Trouble::unexpected("cargo", own.as_os_str().as_encoded_bytes()));
        };
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let status = program(cargo)
            .args(["build", "--locked", "--bins", "--profile", profile])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("CARGO_TARGET_DIR", folder.parent().unwrap_or(folder))
            .status()
            .map_err(Trouble::system("cannot start cargo"))?;
        if !status.success() {
            return Err(Trouble::Ended { program: "cargo build", status, said: String::new() });
        }
        Ok(Self {
            daemon: folder.join("tokenkeeperd"),
            idp: folder.join("tokenkeeper-idp"),
            tokenctl: folder.join("tokenctl"),
        })
    }

    /// `tokenctl` for the daemon at `socket`.
    pub(super) fn control<'a>(&'a self, socket: &'a Path) -> Control<'a> {
        Control { tokenctl: &self.tokenctl, socket }
    }
}

/// `tokenctl`, as the operator of the demo uses it.
pub(super) struct Control<'a> {
    tokenctl: &'a Path,
    socket: &'a Path,
}

impl Control<'_> {
    /// Runs it with `input`, and shows what is run and what it answers.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub(super) fn run(&self, arguments: &[&str], input: &str) -> Result<(), Trouble> {
        let failed = || Trouble::system("cannot run tokenctl");
        tell::typed(arguments);
        let mut child =
            self.command().args(arguments).stdin(Stdio::piped()).spawn().map_err(failed())?;
        if let Some(mut stdin) = child.stdin.take() {
            // A verb that reads nothing may have ended before.
            let _unread = stdin.write_all(input.as_bytes());
        }
        let status = child.wait().map_err(failed())?;
        if status.success() {
            return Ok(());
        }
        Err(Trouble::Ended { program: "tokenctl", status, said: String::new() })
    }

    /// Starts `tokenctl watch`, with its log in `directory`.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub(super) fn watch(&self, directory: &Path) -> Result<Watch, Trouble> {
        let mut command = self.command();
        command.args(["--json", "watch"]).stdout(Stdio::piped());
        Process::start("tokenctl watch", &mut command, directory.join("watch.log")).map(Watch)
    }

    fn command(&self) -> Command {
        let mut command = program(self.tokenctl);
        command.env("TOKENKEEPER_SOCKET", self.socket);
        command
    }
}

/// A running `tokenctl watch`.
pub(super) struct Watch(Process);

impl Watch {
    /// What it prints; once.
    pub(super) fn output(&mut self) -> Option<ChildStdout> {
        self.0.output()
    }

    /// Ends it. It has no end of its own, so a signal is its good end.
    pub(super) fn end_at_once(self) {
        drop(self.0);
    }
}
