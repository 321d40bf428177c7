//! A scripted identity provider for the demo, the tests and the benchmarks of tokenkeeper.
//!
//! It speaks OAuth 2.0, and the protocols of Cognito, Navien and Kasa Monitor. It is a sound
//! provider until a script says otherwise, for one account or for one request; then
//! it misbehaves exactly as told, byte for byte. What it did is in its ledger, so that a test can
//! compare both sides of a story.
//!
//! # Reading order
//!
//! 1. The reference below: every path, field and fault, as `--help` prints it.
//! 2. [`family`]: what a login goes through. [`vault`]: the logins of an account.
//! 3. [`account`]: what a request comes to. [`service`]: in which protocol.
//! 4. [`fault`] and [`delivery`]: a fault as a value, and as bytes.
//! 5. [`exchange`]: one request from its arrival to the plan of its reply, in order.
//! 6. [`connection`]: the only file that writes to a client.
//!
//! # Invariants
//!
//! * It listens on loopback addresses only.
//! * A rotation stands before the first byte of its reply is written.
//! * Decisions read no clock, socket or random source: only `clock`, `random`, `request`,
//!   `connection` and `serve` do, and time is an argument everywhere else.
//! * One thread owns everything; nothing is borrowed across an `.await`.
//! * Its secrets are test data. They appear in control answers and nowhere else.
//!
#![doc = include_str!("reference.md")]

mod account;
mod bad_control;
mod behaviour;
mod bounded;
mod call;
mod clock;
mod connection;
mod control;
mod delivery;
mod exchange;
mod family;
mod fault;
mod field;
mod gzip;
mod hmac;
mod ledger;
mod operation;
mod provider;
mod query;
mod random;
mod reply;
mod request;
mod route;
mod serve;
mod service;
mod summary;
mod token;
mod vault;
mod wait;
mod window;

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::task::LocalSet;

use crate::bad_control::BadControl;
use crate::clock::Clock;
use crate::provider::Provider;
use crate::provider::Server;
use crate::serve::Stop;

/// Longest script file, in bytes.
const LONGEST_SCRIPT: u64 = 64 * 1024 * 1024;

/// A scripted identity provider for tests: sound until told otherwise.
#[derive(Debug, Parser)]
// The reference has its lines already: to break them again would leave every other one with a word.
#[command(
    name = "tokenkeeper-idp",
    version,
    after_long_help = include_str!("reference.md"),
    term_width = 0
)]
struct Cli {
    /// Loopback address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = loopback)]
    listen: SocketAddr,
    /// Accounts to begin with: a JSON object {account: behaviour}.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

/// Why an address is not listened on.
#[derive(Debug, thiserror::Error)]
enum BadAddress {
    #[error("{0}, expected an address and a port, as in 127.0.0.1:0")]
    Unreadable(std::net::AddrParseError),
    #[error("not a loopback address; this provider hands out tokens to everybody")]
    NotLoopback,
}

/// Why there is no provider.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("cannot listen on {address}: {cause}")]
    Listen { address: SocketAddr, cause: io::Error },
    #[error("cannot read the script {}: {cause}", path.display())]
    ReadScript { path: PathBuf, cause: io::Error },
    #[error("the script {} is longer than {LONGEST_SCRIPT} bytes", path.display())]
    LongScript { path: PathBuf },
    #[error("the script {}: {problem}", path.display())]
    Script { path: PathBuf, problem: BadControl },
    #[error("no randomness: {0}")]
    Seed(getrandom::Error),
    #[error(transparent)]
    System(#[from] io::Error),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell if standard error is gone.
            drop(writeln!(io::stderr(), "tokenkeeper-idp: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> Result<(), StartError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, provide(cli))
}

async fn provide(cli: Cli) -> Result<(), StartError> {
    serve::raise_descriptor_limit()?;
    let stop = Stop::on_signals()?;
    let address = cli.listen;
    let listener =
        TcpListener::bind(address).await.map_err(|cause| StartError::Listen { address, cause })?;

    let origin = format!("http://{}", listener.local_addr()?);
    let seed = random::seed().map_err(StartError::Seed)?;
    let clock = Clock::start();
    let mut provider = Provider::new(origin.clone(), seed);
    if let Some(path) = cli.script {
        let script = read(&path)?;
        control::load(&mut provider, &script, clock.now())
            .map_err(|problem| StartError::Script { path, problem })?;
    }

    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on {origin}")?;
    stdout.flush()?;
    drop(stdout);

    let server = Rc::new(Server { clock, provider: RefCell::new(provider) });
    serve::run(listener, server, stop).await;
    Ok(())
}

fn loopback(text: &str) -> Result<SocketAddr, BadAddress> {
    let address: SocketAddr = text.parse().map_err(BadAddress::Unreadable)?;
    if address.ip().is_loopback() { Ok(address) } else { Err(BadAddress::NotLoopback) }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, StartError> {
    let failed = |cause| StartError::ReadScript { path: path.clone(), cause };
    let mut script = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(LONGEST_SCRIPT + 1).read_to_end(&mut script).map_err(failed)?;
    if u64::try_from(script.len()).is_ok_and(|length| length > LONGEST_SCRIPT) {
        return Err(StartError::LongScript { path: path.clone() });
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_listened_on() {
        for address in ["127.0.0.1:0", "127.9.9.9:80", "[::1]:0"] {
            assert!(loopback(address).is_ok(), "{address}");
        }
        for address in ["0.0.0.0:0", "[::]:0", "192.168.1.9:80", "localhost:80", "127.0.0.1"] {
            assert!(loopback(address).is_err(), "{address}");
        }
    }

    #[test]
    fn the_reference_names_every_field_and_fault_that_is_read() {
        let reference = include_str!("reference.md");
        let unknown = |text: &str, script: serde_json::Value| -> Vec<String> {
            let object = script.as_object().unwrap().clone();
            let refusal = behaviour::Script::parse(object).unwrap_err().to_string();
            let (_, names) = refusal.split_once("expected one of ").expect(text);
            names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };

        let fields = unknown("fields", serde_json::json!({ "no": 1 }));
        let faults = unknown("faults", serde_json::json!({ "fault": "no" }));
        let mut options = Vec::new();
        for (field, service) in behaviour::OPTIONS {
            let script = serde_json::json!({ "service": service.as_str(), field: { "no": 1 } });
            options.extend(unknown(field, script));
        }
        assert!(fields.len() >= 28 && faults.len() >= 27, "{fields:?} {faults:?}");
        assert!(options.len() >= 10, "{options:?}");
        let missing = fields
            .iter()
            .chain(&faults)
            .chain(&options)
            .filter(|name| !reference.contains(&format!("`{name}`")));
        assert_eq!(missing.collect::<Vec<_>>(), Vec::<&String>::new());
    }
}
