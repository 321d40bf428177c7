//! The daemon against identity providers that this project did not write.
//!
//! `tests/run providers` installs them and says where they are in the environment; without that
//! these tests are skipped, which CI forbids.

mod copies;
mod django;
mod document;
mod moto;
mod nwp500;
mod oidc;

use std::collections::BTreeMap;
use std::env;
use std::process::Command;
use std::process::Stdio;

use serde::Deserialize;

use crate::support::http::Request;
use crate::support::process::Process;

/// A provider that somebody else wrote, with this project's two endpoints beside it.
struct Provider {
    /// Ends it with the test.
    _process: Process,
    /// `127.0.0.1:PORT`.
    address: String,
}

/// A new login, and how to use it.
#[derive(Deserialize)]
struct Login {
    token_endpoint: String,
    try_endpoint: String,
    client_id: String,
    client_secret: String,
    refresh_token: String,
}

/// What the provider saw of one account.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Tally {
    refreshed: u64,
    replayed: u64,
    refused: u64,
    reused: u64,
    revoked: u64,
}

impl Provider {
    /// Starts what `command` is, by variables of the environment; `None` if one is missing.
    fn start(command: &[&str], arguments: &[&str]) -> Option<Self> {
        let words = command.iter().map(|word| match word.strip_prefix('$') {
            Some(variable) => env::var(variable).ok(),
            None => Some(format!("{}/{word}", env!("CARGO_MANIFEST_DIR"))),
        });
        let words = words.collect::<Option<Vec<_>>>()?;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = Process::start(&mut command);
        let address = process.address();
        Some(Self { _process: process, address })
    }

    /// A new login of an account.
    fn mint(&self, account: &str) -> Login {
        let path = format!("/mint/{account}");
        let request = Request { method: "POST", ..Request::get(&path) };
        request.on_tcp(&self.address).unwrap().success()
    }

    /// What it saw of an account.
    fn tally(&self, account: &str) -> Tally {
        let reply = Request::get("/events").on_tcp(&self.address).unwrap();
        reply.success::<BTreeMap<String, Tally>>()[account]
    }
}

impl Login {
    /// Whether the provider takes an access token.
    fn accepts(&self, access_token: &str) -> bool {
        let (address, path) = split(&self.try_endpoint);
        let bearer = format!("Bearer {access_token}");
        let headers = [("authorization", bearer.as_str())];
        Request { headers: &headers, ..Request::get(path) }.on_tcp(address).unwrap().status == 200
    }
}

/// `127.0.0.1:PORT` and the path of a URL.
fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap();
    rest.split_at(rest.find('/').unwrap())
}
