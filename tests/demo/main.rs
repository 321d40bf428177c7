//! The main job, live: `cargo demo` runs the daemon beside a scripted identity provider.
//!
//! Six accounts, three of them of services with manners of their own, are kept fresh until
//! Ctrl-C (or SIGTERM, or the end of `--for`, or of `--once`). What it prints says what happens,
//! and which commands to try meanwhile.
//!
//! Reading order: [`run`], then `cast` (the accounts), `tell` (what is printed), `programs`
//! (the real binaries) and `happening` (events and signals).
//!
//! # Invariants
//!
//! * Everything lies in one temporary directory (0700) and goes with it.
//! * The demo uses the programs as anybody would: files, arguments, sockets. Nothing of the
//!   daemon is linked in for it but the types on the wire and the clock.

mod cast;
mod happening;
mod programs;
#[path = "../stage/mod.rs"]
mod stage;
mod tell;

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::fs::Permissions;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tempfile::TempDir;
use tokenkeeper::time::parse_span;

use self::happening::Happening;
use self::happening::Happenings;
use self::programs::Programs;
use self::stage::daemon::Daemon;
use self::stage::idp::Idp;
use self::stage::trouble::Trouble;

/// Shows tokenkeeper at work: a daemon with six accounts of a scripted identity provider.
#[derive(Parser)]
#[command(name = "cargo demo --")]
struct Arguments {
    /// End by itself after this: "30s", "5m"
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    duration: Option<Duration>,
    /// End when each account has been refreshed once, which takes less than a minute
    #[arg(long)]
    once: bool,
}

fn span(text: &str) -> Result<Duration, &'static str> {
    parse_span(text).ok_or("expected a whole number and a unit, such as 30s or 5m")
}

#[allow(clippy::print_stderr, reason = "this is where the demo says why it failed")]
fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("demo: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Trouble> {
    let happenings = Happenings::begin()?;
    let programs = Programs::build()?;
    let directory = private_directory()?;
    let place = directory.path();

    tell::beginning(place);
    let idp = Idp::start(&programs.idp, place)?;
    let logins = idp.control("POST", "accounts", &cast::behaviours())?;
    let config = place.join("config.toml");
    cast::write_config(&config, place, &idp.url())?;
    let daemon = Daemon::start(&programs.daemon, place, &config)?;

    let socket = place.join(cast::SOCKET);
    let control = programs.control(&socket);
    let mut watch = control.watch(place)?;
    happenings.follow(&mut watch)?;
    cast::hand_over(&control, &logins)?;
    tell::running(daemon.id());
    tell::commands(&programs, &socket);
    tell::outlook(arguments.duration, arguments.once);

    let shown = show(&happenings, arguments);
    tell::ending();
    watch.end_at_once();
    let ended = daemon.end().and(idp.end());
    directory.close().map_err(Trouble::system("cannot remove the directory"))?;
    shown.and(ended)
}

/// Prints what happens, until it is enough.
fn show(happenings: &Happenings, arguments: &Arguments) -> Result<(), Trouble> {
    let mut refreshed = BTreeSet::new();
    let mut last = happenings.until(arguments.duration);
    loop {
        match last.next()? {
            Happening::Event(event) => {
                if let Some(line) = tell::line(&event) {
                    tell::print(&line);
                }
                // The first generation is the takeover, so the first refresh is the second.
                if event.event == "token_changed" && event.generation > 1 {
                    refreshed.insert(event.account);
                }
                if arguments.once && refreshed.len() == cast::ACCOUNTS {
                    return Ok(());
                }
            }
            Happening::Stop => return Ok(()),
            Happening::WatchEnded => return Err(Trouble::unexpected("tokenctl watch", b"nothing")),
        }
    }
}

/// A directory that nobody else can look into.
fn private_directory() -> Result<TempDir, Trouble> {
    let directory = tempfile::Builder::new()
        .prefix("tokenkeeper-demo-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .map_err(Trouble::system("cannot make a temporary directory"))?;
    DirBuilder::new()
        .mode(0o700)
        .create(directory.path().join(cast::STATE))
        .map_err(Trouble::system("cannot make a temporary directory"))?;
    Ok(directory)
}
