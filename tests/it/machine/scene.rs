//! What the cases have in common: the package in the machine, a provider outside of it, accounts, and
//! a client that watches.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;
use tokenkeeper::protocol::account::TokenAnswer;

use crate::support::idp::Idp;

use super::guest::Guest;
use super::watched::Watched;

/// How the machine sees a service of the host's loopback.
const HOST: &str = "10.0.2.2";

/// Counts what the daemon said by the `MESSAGE_ID` for a clock that was set, or a host that slept.
const STEPS: &str = "journalctl --quiet --output=cat --unit=tokenkeeper \
                     MESSAGE_ID=fa0ee4e27ed648f1afb3a6212edd7984 | wc --lines";

/// What the client that watches wrote.
const WATCHED: &str = "/run/watched";

/// Counts its lines, of which there are none while it begins.
const ROWS: &str = "cat /run/watched 2>/dev/null | wc --lines";

/// How many accounts it is told of at the most.
const MOST_WATCHED: usize = 2;

/// A machine with the package, and the provider of its accounts.
pub(super) struct Scene {
    /// The machine.
    pub(super) guest: Guest,
    /// The provider. Its time is the host's, so nothing that is done to the machine changes how long a
    /// token really is good.
    pub(super) idp: Idp,
    config: String,
}

impl Scene {
    /// Installs the package, which is the second disk of the machine.
    pub(super) fn new(mut guest: Guest, package: &Path) -> Self {
        // The disk is longer than the package by what fills its last block.
        let bytes = fs::metadata(package).unwrap().len();
        let file = "/root/tokenkeeper.deb";
        guest.does(&format!(
            "head --bytes={bytes} /dev/vdb >{file} && dpkg --install {file} && sync"
        ));
        Self { guest, idp: Idp::start(), config: String::new() }
    }

    /// Adds an account with further lines, and logs it in.
    pub(super) fn account(&mut self, name: &str, behaviour: &Value, lines: &str) {
        let refresh_token = self.idp.put(name, behaviour);
        let keys = self.idp.keys(name).replace("127.0.0.1", HOST);
        writeln!(self.config, "[accounts.{name}]\n{keys}plain_http = true\n{lines}").unwrap();
        let config = &self.config;
        self.guest.does(&format!(
            "cat >/etc/tokenkeeper/config.toml <<'END' && systemctl reload tokenkeeper && \
             tokenctl import {name} --refresh-token-file - <<<{refresh_token} && sync\n{config}END\n"
        ));
    }

    /// The token of an account, as soon as there is one.
    pub(super) fn token(&mut self, account: &str) -> TokenAnswer {
        let answer = self.guest.does(&format!("tokenctl get {account} --json"));
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// Waits for a token of an account that the provider takes, and that is its only answer to so many
    /// requests.
    pub(super) fn recovers(&mut self, account: &str, requests: u64) -> TokenAnswer {
        self.idp.wait(account, &format!("requests={requests}&replied={requests}"));
        let answer = self.token(account);
        assert!(self.idp.accepts(account, &answer.token), "{account} has no good token");
        assert_eq!(self.requests(account), requests, "{account}: one exchange is enough");
        answer
    }

    /// How many requests the provider has had for an account.
    pub(super) fn requests(&self, account: &str) -> u64 {
        self.idp.totals(account).requests
    }

    /// Has an account refreshed, and waits for nothing.
    pub(super) fn begin_refresh(&mut self, account: &str) {
        self.guest.does(&format!("systemd-run --quiet --no-block tokenctl refresh {account}"));
    }

    /// Sets the wall clock to what a shell makes of `seconds`, and returns when the daemon has noticed.
    pub(super) fn set_clock(&mut self, seconds: &str) {
        let steps = self.steps();
        self.guest.does(&format!("date --set=@$(({seconds}))"));
        self.notices_more_than(steps);
    }

    /// Sets the wall clock to the time of the host.
    pub(super) fn set_clock_right(&mut self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        self.set_clock(&now.as_secs().to_string());
    }

    /// How often the daemon has told of a step or of sleep.
    pub(super) fn steps(&mut self) -> usize {
        self.guest.does(STEPS).parse().unwrap()
    }

    /// Waits until the daemon has told of another step, or of sleep, than these.
    pub(super) fn notices_more_than(&mut self, steps: usize) {
        self.guest.until(STEPS, |told| told.parse::<usize>().unwrap() > steps);
    }

    /// Has a client ask for the tokens of these accounts all the time, until [`watched`](Self::watched).
    /// Returns when it is at it.
    pub(super) fn watch(&mut self, accounts: &str) {
        let output = format!("--property=StandardOutput=truncate:{WATCHED}");
        // A case that failed left its own behind.
        self.guest.does(&format!(
            "systemctl --quiet stop watch; rm -f {WATCHED}
             systemd-run --quiet --collect --unit=watch {output} /usr/local/lib/watch {accounts}"
        ));
        self.guest.until(ROWS, |rows| rows != "0");
    }

    /// Ends the watching, when that client has asked once more. What it was handed was good by both clocks
    /// whenever it asked.
    pub(super) fn watched(&mut self) {
        let count = |rows: &str| rows.parse::<usize>().unwrap();
        let before = count(&self.guest.does(ROWS));
        // One round may have begun before this, and is over with its last account.
        self.guest.until(ROWS, |rows| count(rows) > before + MOST_WATCHED);
        let rows = self.guest.does(&format!("systemctl stop watch && cat {WATCHED}"));
        let mut watched = Watched::default();
        rows.lines().for_each(|row| watched.note(row));
        assert!(watched.answers() > 0, "the client was never handed a token");
        let late = watched.too_late();
        assert!(late.is_empty(), "{} too late, the first: {}", late.len(), late[0]);
        eprintln!("a client that watches was handed {} good tokens", watched.answers());
    }
}
