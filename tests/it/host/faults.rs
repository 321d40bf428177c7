//! The table of faults, each of them made to happen: what programs, administrators and the journal
//! see of it, and what is there when it is over.
//!
//! Each row has two accounts of its own: one with a token for an hour, and one whose token expires
//! after a second, ten seconds before it may be refreshed again. A wall clock that is set is not
//! here: a container has that of its host.

use std::time::Instant;

use serde_json::Value;
use serde_json::json;
use tokenkeeper::error::code::Code;
use tokenkeeper::message::Message;
use tokenkeeper::protocol::account::AccountView;
use tokenkeeper::protocol::account::TokenAnswer;
use tokenkeeper::protocol::error::ErrorBody;

use crate::faults::Fault;
use crate::support::PATIENCE;
use crate::support::http::Reply;
use crate::support::http::Request;
use crate::support::idp::Idp;
use crate::support::process::said;

use super::machine::Machine;
use super::on_each;
use super::scene::SERVICE;
use super::scene::SOCKET;
use super::scene::Scene;

const STATE: &str = "/var/lib/tokenkeeper";

/// Where the disk of the state is mounted as well.
const DISK: &str = "/mnt/state";

const BUS: [&str; 2] = ["dbus.socket", "dbus.service"];

const JOURNAL: [&str; 3] =
    ["systemd-journald.socket", "systemd-journald-dev-log.socket", "systemd-journald.service"];

/// A line that no configuration may have.
const WRONG: &str = "\n[daemon]\nlog = \"loud\"\n";

/// Takes all room that is left, whatever has been made of it.
const FILL: &str = "cat /dev/zero >>/var/lib/tokenkeeper/filler 2>/dev/null; true";

#[test]
fn faults_of_the_system_are_as_the_manual_has_them() {
    play(&[Fault::NoBus, Fault::NoJournal]);
}

#[test]
fn faults_of_the_disk_are_as_the_manual_has_them() {
    play(&[Fault::FullDisk, Fault::ReadOnlyDisk]);
}

#[test]
fn faults_that_administrators_cause_or_mend_are_as_the_manual_has_them() {
    // The provider that comes back knows nothing of tokens that last a second.
    play(&[Fault::WrongConfiguration, Fault::NoProvider]);
}

#[test]
fn every_fault_of_the_table_is_played() {
    let here = include_str!("faults.rs");
    for fault in Fault::ALL {
        let name = format!("Fault::{fault:?}");
        // Where it is played, where it begins, and where it ends.
        assert!(here.matches(&name).count() >= 3, "{name}");
    }
}

fn play(faults: &[Fault]) {
    on_each(|machine, package| {
        // A disk of its own for the state, which can be filled up and made read-only. It is the
        // disk that is, as after an error, and not its mount, of which a service has a copy.
        machine.does(&["mkdir", "-p", STATE, DISK]);
        machine.does(&["mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs", DISK]);
        machine.does(&["mount", "--bind", DISK, STATE]);
        let scene = Scene::new(machine, package);
        let mut stage = Stage::new(&scene, faults);
        for fault in faults {
            eprintln!("{}", fault.sight().name);
            stage.play(*fault);
        }
    });
}

/// Where faults are played.
struct Stage<'a> {
    scene: &'a Scene<'a>,
    machine: &'a Machine,
    /// The provider, while it is there.
    provider: Option<Idp>,
    address: String,
    config: String,
    accounts: Vec<String>,
}

/// The two accounts of a row.
struct Pair {
    good: String,
    late: String,
}

impl<'a> Stage<'a> {
    fn new(scene: &'a Scene<'a>, faults: &[Fault]) -> Self {
        let idp = Idp::start();
        let mut config = String::new();
        let mut tokens = Vec::new();
        for Pair { good, late } in faults.iter().map(|fault| pair(*fault)) {
            for (account, lifetime) in [(good, 3600), (late, 1)] {
                let rotation = json!({ "grace_secs": 30 });
                let behaviour = json!({ "lifetime_secs": lifetime, "rotation": rotation });
                let token = idp.put(&account, &behaviour);
                let keys = idp.keys(&account);
                config += &format!("[accounts.{account}]\n{keys}rotation = \"30s\"\n");
                tokens.push((account, token));
            }
        }
        scene.configure(&config);
        let machine = scene.machine;
        machine.does(&["systemctl", "reload", SERVICE]);
        for (account, token) in &tokens {
            let import = ["tokenctl", "import", account, "--refresh-token-file", "-"];
            machine.does_with(&import, Some(token));
        }
        let accounts = tokens.into_iter().map(|(account, _)| account).collect();
        let address = idp.address.clone();
        Self { scene, machine, provider: Some(idp), address, config, accounts }
    }

    fn play(&mut self, fault: Fault) {
        let sight = fault.sight();
        let Pair { good, late } = pair(fault);
        let before = self.scene.records().len();

        self.begin(fault, &good);
        let token: TokenAnswer = self.get(&good).success();
        self.until_expired(&late);
        settled(&self.get(&late), sight.code);
        settled(&self.post(&format!("{good}/refresh")), sight.code);
        let after: TokenAnswer = self.get(&good).success();
        let raised = after.refresh_error.as_ref().map(|error| error.error_code);
        assert_eq!(raised, sight.code, "it is told beside the token");
        assert_eq!(after.token == token.token, sight.code.is_some());
        let status = self.machine.does(&["tokenctl", "status"]);
        let line = status.lines().skip_while(|line| !line.starts_with(&good)).nth(1);
        let told = sight.code.is_none_or(|code| line.is_some_and(|it| it.contains(code.as_str())));
        assert!(told, "{status}");
        let doctor = said(&self.machine.run(&["tokenctl", "doctor"]));
        for other in Fault::ALL.iter().filter_map(|other| other.sight().finding) {
            assert_eq!(doctor.contains(other), sight.finding == Some(other), "{other}: {doctor}");
        }
        assert_eq!(self.machine.property(SERVICE, "ActiveState"), "active");

        self.end(fault);
        // Whatever account asked meanwhile, and is named by the doctor until it asks again.
        for account in &self.accounts {
            self.until_well(account);
        }
        self.until_told(before, sight.records, sight.records_after);
        if fault == Fault::NoJournal {
            self.accounts_for_records(&good);
        }
        let doctor = said(&self.machine.run(&["tokenctl", "doctor"]));
        assert!(!doctor.contains("problem:"), "{doctor}");
        assert!(sight.finding.is_none_or(|it| !doctor.contains(it)), "{doctor}");
        assert_eq!(self.machine.property(SERVICE, "NRestarts"), "0");
    }

    fn begin(&mut self, fault: Fault, account: &str) {
        match fault {
            Fault::NoBus => {
                self.machine.does(&["systemctl", "kill", "--signal=KILL", BUS[1]]);
                self.machine.does(&[["systemctl", "stop"].as_slice(), &BUS].concat());
            }
            Fault::NoJournal => {
                self.machine.does(&["journalctl", "--sync"]);
                self.machine.does(&[["systemctl", "stop"].as_slice(), &JOURNAL].concat());
            }
            Fault::FullDisk => {
                self.machine.does(&["sh", "-c", FILL]);
                // The first write is made in the room of the reserve.
                settled(&self.post(&format!("{account}/refresh")), None);
                self.machine.does(&["sh", "-c", FILL]);
            }
            Fault::ReadOnlyDisk => {
                self.machine.does(&["systemctl", "stop", SOCKET, SERVICE]);
                self.machine.does(&["mount", "-o", "remount,ro", DISK]);
                self.machine.does(&["systemctl", "start", SOCKET, SERVICE]);
            }
            Fault::NoProvider => self.provider = None,
            Fault::WrongConfiguration => {
                self.scene.configure(&(self.config.clone() + WRONG));
                let reload = self.machine.run(&["systemctl", "reload", SERVICE]);
                assert!(!reload.status.success(), "{}", said(&reload));
            }
        }
    }

    fn end(&mut self, fault: Fault) {
        match fault {
            Fault::NoBus => {
                self.machine.does(&[["systemctl", "start"].as_slice(), &BUS].concat());
            }
            Fault::NoJournal => {
                self.machine.does(&[["systemctl", "start"].as_slice(), &JOURNAL].concat());
            }
            Fault::FullDisk => {
                self.machine.does(&["rm", "/var/lib/tokenkeeper/filler"]);
            }
            Fault::ReadOnlyDisk => {
                self.machine.does(&["mount", "-o", "remount,rw", DISK]);
            }
            Fault::NoProvider => {
                let idp = Idp::start_at(&self.address);
                // It has forgotten everything, and takes what it is shown.
                idp.take_strangers(&json!({ "rotation": { "grace_secs": 30 } }));
                self.provider = Some(idp);
            }
            Fault::WrongConfiguration => {
                self.scene.configure(&self.config);
                self.machine.does(&["systemctl", "reload", SERVICE]);
            }
        }
    }

    fn get(&self, account: &str) -> Reply {
        let path = format!("/v1/accounts/{account}/token");
        Request::get(&path).on_socket(&self.scene.socket()).unwrap()
    }

    fn post(&self, order: &str) -> Reply {
        let path = format!("/v1/accounts/{order}");
        Request::with("POST", &path, "{}").on_socket(&self.scene.socket()).unwrap()
    }

    /// Waits until the account has no token that is good.
    fn until_expired(&self, account: &str) {
        let begin = Instant::now();
        let path = format!("/v1/accounts/{account}/token?wait=0");
        // Nobody tells when a token expires, and asking takes its time.
        while Request::get(&path).on_socket(&self.scene.socket()).unwrap().status == 200 {
            assert!(begin.elapsed() < PATIENCE, "the token of {account} never expires");
        }
    }

    /// Waits until nothing is raised of the account any more, and it has a token.
    fn until_well(&self, account: &str) {
        let begin = Instant::now();
        let path = format!("/v1/accounts/{account}");
        loop {
            let reply = Request::get(&path).on_socket(&self.scene.socket()).unwrap();
            let view: AccountView = reply.success();
            if view.state == "fresh" && view.refresh_error.is_none() {
                return;
            }
            // It gets well by itself, and asking takes its time.
            assert!(begin.elapsed() < PATIENCE, "{view:?}");
        }
    }

    /// Records of the time without a journal are there afterwards, or counted as lost.
    fn accounts_for_records(&self, account: &str) {
        let begin = Instant::now();
        let generation = self.get(account).success::<TokenAnswer>().generation;
        let told = format!("{account}: token refreshed");
        loop {
            let told = self.scene.journal().matches(&told).count();
            let records = self.scene.records();
            let lost = records.iter().any(|it| kind(it) == Some(Message::RecordsLost));
            if lost || told as u64 == generation {
                return;
            }
            // The next record brings the count, and reading takes its time.
            assert!(begin.elapsed() < PATIENCE, "{told} of {generation} and none lost");
        }
    }

    /// Waits until the journal has these, the first ones before the others.
    fn until_told(&self, before: usize, first: &[Message], then: &[Message]) {
        let begin = Instant::now();
        loop {
            let records = self.scene.records();
            let kinds = records.iter().skip(before).filter_map(kind).collect::<Vec<_>>();
            let first_of = |wanted: &Message| kinds.iter().position(|kind| kind == wanted);
            let last_of = |wanted: &Message| kinds.iter().rposition(|kind| kind == wanted);
            let first = first.iter().map(first_of).collect::<Vec<_>>();
            let then = then.iter().map(last_of).collect::<Vec<_>>();
            // A record from before may come late and look like one of the others.
            let are_there = first.iter().chain(&then).all(Option::is_some);
            if are_there && first.iter().max() <= then.iter().min() {
                return;
            }
            // What is told comes by itself, and reading takes its time.
            assert!(begin.elapsed() < PATIENCE, "{kinds:?}");
        }
    }
}

fn pair(fault: Fault) -> Pair {
    let name = format!("{fault:?}").to_lowercase();
    Pair { good: format!("{name}-good"), late: format!("{name}-late") }
}

/// A request has what it asked for, or this error.
fn settled(reply: &Reply, code: Option<Code>) {
    match code {
        None => assert_eq!(reply.status, 200, "{}", reply.body),
        Some(code) => {
            let error: ErrorBody = reply.json();
            assert_eq!((reply.status, error.error_code), (code.http_status(), code), "{error:?}");
            assert!(error.retry_at.is_some(), "{error:?}");
        }
    }
}

/// What a record is about, if it is one of the daemon's kinds.
fn kind(record: &Value) -> Option<Message> {
    Message::named(record["TOKENKEEPER_EVENT"].as_str()?)
}
