//! What most of these tests begin with: the package installed, one account, and its provider.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Output;
use std::time::Instant;

use serde_json::Value;
use tokenkeeper::message::Message;
use tokenkeeper::protocol::account::TokenAnswer;

use crate::support::PATIENCE;
use crate::support::http::Request;
use crate::support::idp::Idp;

use super::machine::Machine;

/// The service.
pub(super) const SERVICE: &str = "tokenkeeper.service";

/// The unit of the socket.
pub(super) const SOCKET: &str = "tokenkeeper-api.socket";

/// Its configuration.
pub(super) const CONFIG: &str = "/etc/tokenkeeper/config.toml";

/// Where the package lies in the machine.
pub(super) const PACKAGE: &str = "/root/tokenkeeper.deb";

/// A machine with the package in it.
pub(super) struct Scene<'a> {
    /// The machine.
    pub(super) machine: &'a Machine,
    /// The provider, in the network of the machine.
    pub(super) idp: Idp,
}

impl<'a> Scene<'a> {
    /// Installs the package, as an administrator does, and starts a provider.
    pub(super) fn new(machine: &'a Machine, package: &Path) -> Self {
        let scene = Self::before(machine, package);
        scene.install();
        scene
    }

    /// Puts the package there and starts a provider. Nothing is installed.
    pub(super) fn before(machine: &'a Machine, package: &Path) -> Self {
        fs::copy(package, machine.path(PACKAGE)).unwrap();
        Self { machine, idp: Idp::start() }
    }

    /// The same with the account `mail`, whose token root and the user alice may have.
    pub(super) fn with_mail(machine: &'a Machine, package: &Path, behaviour: &Value) -> Self {
        let scene = Self::new(machine, package);
        scene.enrol_mail(behaviour);
        scene
    }

    /// Adds that account and its users to a service that runs.
    pub(super) fn enrol_mail(&self, behaviour: &Value) {
        self.machine.does(&["useradd", "alice"]);
        self.machine.does(&["useradd", "bob"]);
        let refresh_token = self.idp.put("mail", behaviour);
        self.configure(&self.mail(""));
        self.machine.does(&["systemctl", "reload", SERVICE]);
        let import = ["tokenctl", "import", "mail", "--refresh-token-file", "-"];
        self.machine.does_with(&import, Some(&refresh_token));
    }

    /// Installs the package, or installs it once more.
    pub(super) fn install(&self) {
        self.machine.does(&["dpkg", "--install", PACKAGE]);
    }

    /// The table of the account, with further lines.
    pub(super) fn mail(&self, lines: &str) -> String {
        format!("[accounts.mail]\n{}allow = [\"alice\"]\n{lines}", self.idp.keys("mail"))
    }

    /// Writes the configuration, as an editor does.
    pub(super) fn configure(&self, text: &str) {
        self.machine.write(CONFIG, text);
    }

    /// Where the host has the socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.machine.path("/run/tokenkeeper/api.sock")
    }

    /// The account's token, asked for as root.
    pub(super) fn token(&self) -> TokenAnswer {
        Request::get("/v1/accounts/mail/token").on_socket(&self.socket()).unwrap().success()
    }

    /// Asks for the token with curl, as a user; prints the body and, on a line of its own, the status.
    pub(super) fn curl_as(&self, user: &str, format: &str) -> Output {
        let url = format!("http://localhost/v1/accounts/mail/token?format={format}");
        let socket = "/run/tokenkeeper/api.sock";
        let curl = ["curl", "--silent", "--write-out", "\n%{http_code}", "--unix-socket", socket];
        self.machine.run_as(user, &[curl.as_slice(), &[&url]].concat())
    }

    /// The records that the daemon wrote to the journal, field by field, without those whose kind
    /// has no name. What is there is read as it is: a record may yet come.
    pub(super) fn records(&self) -> Vec<Value> {
        const INTO: &str = "journalctl --no-pager --output=json --unit tokenkeeper.service \
                            SYSLOG_IDENTIFIER=tokenkeeperd >/root/records";

        self.machine.does(&["sh", "-c", INTO]);
        let text = fs::read_to_string(self.machine.path("/root/records")).unwrap();
        let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.filter(|record| record["MESSAGE_ID"].is_string()).collect()
    }

    /// Waits until the daemon has told of that.
    pub(super) fn until_told(&self, what: Message) {
        let begin = Instant::now();
        while !self.records().iter().any(|record| record["MESSAGE_ID"] == what.id()) {
            // Nobody tells when it is told, and asking takes its time.
            assert!(begin.elapsed() < PATIENCE, "{}", self.journal());
        }
    }

    /// What the service wrote to the journal.
    pub(super) fn journal(&self) -> String {
        self.machine.does(&["journalctl", "--no-pager", "--output=cat", "--unit", SERVICE])
    }
}
