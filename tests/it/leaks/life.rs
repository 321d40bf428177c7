//! A life of accounts of every provider, with all that goes wrong in one, and what was said about it
//! to whom.
//!
//! Reading order: [`Life::begin`], with the accounts of `cast`; [`Life::passes`] in `passing`, what
//! happens; [`Life::told`], everything that left the daemon but for files, of which the log and a
//! backup are two.

mod passing;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::thread;
use std::thread::JoinHandle;

use data_encoding::HEXLOWER;
use serde_json::Value;

use super::canary::Canaries;
use super::canary::Canary;
use super::canary::Sort;
use super::cast;
use super::cast::BOILER_PASSWORD;
use super::cast::HOOK;
use super::cast::LOGGED_IN;
use super::cast::METER;
use super::cast::PLUGS_PASSWORD;
use super::cast::POOL_SECRET;
use super::cast::POST_SECRET;
use super::cast::REFRESHED;
use super::cast::SEED;
use super::cast::config;
use super::cast::provider_of_logins;
use super::cast::script;
use super::recorder::CERTIFICATE;
use super::recorder::Recorder;
use super::terminal::Terminal;
use crate::support::daemon::Daemon;
use crate::support::door::Door;
use crate::support::http::Kept;
use crate::support::http::Reply;
use crate::support::http::Request;
use crate::support::http::receive;
use crate::support::idp::Idp;
use crate::support::journal::Journal;

/// What somebody was told.
pub(super) struct Told {
    /// Who, and about what.
    pub(super) what: String,
    /// All of it.
    pub(super) text: Vec<u8>,
    /// Whether a token that programs are given is what was asked for.
    pub(super) is_token: bool,
}

/// Where the daemon logs.
pub(super) enum Log {
    /// A file, for programs.
    File,
    /// A terminal, for people.
    Terminal(Terminal),
    Journal(Journal),
}

/// The accounts, where they get their tokens, and what is said of them.
pub(super) struct Life {
    idp: Idp,
    /// The provider of logins. Ends with the test.
    _door: Door,
    /// One for each account: providers count logins by address.
    recorders: BTreeMap<&'static str, Recorder>,
    log: Log,
    /// The daemon.
    pub(super) daemon: Daemon,
    told: Vec<Told>,
    handed_in: Vec<Canary>,
    events: Option<JoinHandle<Vec<u8>>>,
    /// The connection of a program that is there for good.
    kept: Option<Kept>,
}

impl Life {
    /// A daemon with every sort of account, with files of its own and perhaps on a bus.
    pub(super) fn begin(daemon: Daemon, log: Log) -> Self {
        let idp = Idp::start();
        let door = provider_of_logins();
        let recorder = |account| match account {
            "form" => Recorder::before_in_tls(&idp.address),
            account if LOGGED_IN.contains(&account) => Recorder::before(&door.address()),
            _ => Recorder::before(&idp.address),
        };
        let accounts = REFRESHED.into_iter().chain(LOGGED_IN).chain(["ci", "cellar"]);
        let recorders = accounts.map(|account| (account, recorder(account))).collect();
        daemon.write("ca.pem", CERTIFICATE);
        for (file, secret) in [
            ("secret.post", POST_SECRET),
            ("secret.pool", POOL_SECRET),
            ("secret.boiler", BOILER_PASSWORD),
            ("secret.plugs", PLUGS_PASSWORD),
            ("secret.seed", SEED),
        ] {
            daemon.write(file, secret);
        }
        daemon.write("meter.sh", METER);
        daemon.write("told.sh", HOOK);
        fs::create_dir(daemon.path("spool")).unwrap();
        fs::set_permissions(daemon.path("spool"), fs::Permissions::from_mode(0o700)).unwrap();
        script(&idp);
        daemon.configure(&config(&recorders, &daemon));
        let mut life = Self {
            idp,
            _door: door,
            recorders,
            log,
            daemon,
            told: Vec::new(),
            handed_in: Vec::new(),
            events: None,
            kept: None,
        };
        life.the_daemon_begins();
        life
    }

    /// It is followed from then on.
    fn the_daemon_begins(&mut self) {
        match &self.log {
            Log::File => self.daemon.begin(),
            Log::Terminal(terminal) => {
                self.daemon.begin_as(self.daemon.command(), terminal.screen());
            }
            Log::Journal(journal) => {
                self.daemon.begin_as(journal.around(&self.daemon), journal.stream());
            }
        }
        let stream = self.daemon.begin_to(Request::get("/v1/events"));
        self.events = Some(thread::spawn(move || {
            let (mut stream, mut heard) = (stream, Vec::new());
            // It ends with the daemon.
            drop(stream.read_to_end(&mut heard));
            heard
        }));
    }

    /// Ends the daemon, whose log is whole then, and what its followers were told.
    pub(super) fn ends(&mut self) {
        drop(self.kept.take());
        self.daemon.stop();
        let text = self.events.take().unwrap().join().unwrap();
        assert!(!text.is_empty(), "nobody was told of anything");
        self.told.push(Told { what: "events".to_owned(), text, is_token: false });
        if let Log::Journal(journal) = &mut self.log {
            let text = journal.end().join(&b'\n');
            self.told.push(Told { what: "the journal".to_owned(), text, is_token: false });
        }
    }

    /// Ends the daemon and begins it again, so that all that it holds comes from its store. Nobody asks
    /// it for a token.
    pub(super) fn begins_again(&mut self) {
        self.ends();
        self.the_daemon_begins();
        for account in REFRESHED.into_iter().chain(LOGGED_IN) {
            self.daemon.until(account, "there", |view| view.generation > 0);
        }
    }

    /// Everything that was secret in it so far.
    pub(super) fn canaries(&self) -> Canaries {
        let key = fs::read(self.daemon.path("state/store.key")).unwrap();
        let key = HEXLOWER.decode(key.trim_ascii_end()).unwrap();
        let key = Canary::new(Sort::StoreKey, "store key", key);
        let handed_in = self.handed_in.iter().cloned();
        let granted = self.recorders.iter().flat_map(|(account, recorder)| {
            recorder.secrets().into_iter().map(|secret| secret.of(account))
        });
        Canaries::new(cast::secrets().into_iter().chain([key]).chain(handed_in).chain(granted))
    }

    /// The tokens that it serves, after it has been asked for each.
    pub(super) fn served(&self) -> BTreeSet<String> {
        let mut served = BTreeSet::new();
        let served_ones = REFRESHED.into_iter().chain(LOGGED_IN);
        for account in served_ones.chain(["ci", "cellar", "meter"]) {
            for kind in ["access", "id", "aws"] {
                let path = format!("/v1/accounts/{account}/token?kind={kind}");
                let reply = self.daemon.ask(Request::get(&path));
                // Not every provider has each kind.
                if reply.status == 200 {
                    let answer = reply.json::<Value>();
                    let members =
                        ["token", "SecretAccessKey", "SessionToken"].map(|it| &answer[it]);
                    served.extend(members.iter().filter_map(|it| it.as_str()).map(str::to_owned));
                }
            }
        }
        served
    }

    /// What each account and its provider said to each other, each direction by itself.
    pub(super) fn said(&self) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
        let said = |recorder: &Recorder| recorder.said();
        self.recorders.iter().flat_map(move |(account, recorder)| {
            said(recorder).into_iter().map(move |text| (*account, text))
        })
    }

    /// Every text that anybody was told.
    pub(super) fn told(&self) -> &[Told] {
        &self.told
    }

    fn newest_refresh_token(&self, account: &str) -> String {
        let path = format!("/control/accounts/{account}");
        let known: Value = Request::get(&path).on_tcp(&self.idp.address).unwrap().success();
        known["refresh_token"].as_str().unwrap().to_owned()
    }

    fn import(&mut self, account: &'static str, refresh_token: &str) {
        self.handed_in(account, refresh_token);
        self.daemon.import(account, refresh_token);
    }

    /// Takes down a refresh token that no provider granted over the wire.
    fn handed_in(&mut self, account: &'static str, refresh_token: &str) {
        let name = format!("handed in, {refresh_token}");
        let canary = Canary::new(Sort::RefreshToken, &name, refresh_token);
        self.handed_in.push(canary.of(account));
    }

    /// Asks for what is no token.
    fn answer(&mut self, request: Request<'_>) {
        let reply = self.daemon.ask(request);
        self.heard(&format!("answer to {}", request.path), &reply, false);
    }

    /// Asks for a token.
    fn fetch(&mut self, path: &str) {
        let reply = self.daemon.ask(Request::get(path));
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        self.heard(path, &reply, true);
    }

    /// Has an account refreshed, which answers with its token.
    fn refresh(&mut self, account: &str) {
        let reply = receive(self.daemon.begin_refresh(account)).unwrap();
        self.heard(&format!("refresh of {account}"), &reply, reply.status == 200);
    }

    fn heard(&mut self, of: &str, reply: &Reply, is_token: bool) {
        let what = format!("{of}, {}", reply.status);
        self.told.push(Told { what, text: reply.text().into_bytes(), is_token });
    }

    fn tokenctl(&mut self, arguments: &[&str]) {
        let output = self.daemon.tokenctl(arguments);
        self.printed(arguments, output);
    }

    fn tokenctl_given(&mut self, arguments: &[&str], input: &str) {
        let output = self.daemon.tokenctl_given(arguments, input);
        self.printed(arguments, output);
    }

    fn printed(&mut self, arguments: &[&str], output: Output) {
        let what = format!("tokenctl {}, {}", arguments.join(" "), output.status);
        let text = [output.stdout, output.stderr].concat();
        self.told.push(Told { what, text, is_token: arguments[0] == "get" });
    }
}
