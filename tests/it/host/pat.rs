//! A user of a machine, with a service manager, a bus and sessions of that user's.

use std::process::Output;
use std::time::Instant;

use serde_json::json;

use crate::support::PATIENCE;

use super::machine::Machine;
use super::scene::SERVICE;
use super::scene::SOCKET;
use super::scene::Scene;

/// The units that a user enables.
const UNITS: [&str; 2] = [SOCKET, SERVICE];

const CONFIG: &str = "/home/pat/.config/tokenkeeper/config.toml";

/// What opens a session of the user's, through PAM.
const SESSION: [&str; 5] =
    ["systemd-run", "--quiet", "--collect", "--uid=pat", "--property=PAMName=login"];

/// A user of the machine. What the user does, it does outside of any session, unless said.
pub(super) struct Pat<'a> {
    machine: &'a Machine,
    /// The user's service manager, as the host's knows it.
    pub(super) manager: String,
    /// The directory of the user's sockets.
    pub(super) runtime: String,
    /// That directory, as a variable.
    variable: String,
}

impl<'a> Pat<'a> {
    /// Adds the user, who has no service manager yet.
    pub(super) fn new(machine: &'a Machine) -> Self {
        machine.does(&["useradd", "--create-home", "pat"]);
        let uid = machine.does(&["id", "--user", "pat"]);
        let runtime = format!("/run/user/{uid}");
        let variable = format!("XDG_RUNTIME_DIR={runtime}");
        Self { machine, manager: format!("user@{uid}.service"), runtime, variable }
    }

    /// Adds the user and starts the user's service manager, as a login does.
    pub(super) fn log_in(machine: &'a Machine) -> Self {
        let pat = Self::new(machine);
        machine.does(&["systemctl", "start", &pat.manager]);
        pat
    }

    /// Adds the user, whose service manager runs without any session.
    pub(super) fn lingering(machine: &'a Machine) -> Self {
        let pat = Self::new(machine);
        // systemd-logind asks the control groups who wants that, so it has to be a process of theirs.
        let in_unit = ["systemd-run", "--quiet", "--pipe", "--wait"];
        machine.does(&[in_unit.as_slice(), &["loginctl", "enable-linger", "pat"]].concat());
        machine.until(&pat.manager, "ActiveState", |state| state == "active");
        pat
    }

    /// Runs a command in a session that is opened for it, as a login does.
    pub(super) fn in_session(&self, command: &[&str]) -> Output {
        self.machine.run(&[SESSION.as_slice(), &["--pipe", "--wait"], command].concat())
    }

    /// Opens a session that lasts until a unit of this name is stopped.
    pub(super) fn open_session(&self, unit: &str) {
        let named = ["--unit", unit, "sleep", "infinity"];
        self.machine.does(&[SESSION.as_slice(), &named].concat());
        self.machine.until(&self.manager, "ActiveState", |state| state == "active");
    }

    /// The command that runs another one as the user.
    pub(super) fn command<'b>(&'b self, command: &[&'b str]) -> Vec<&'b str> {
        let as_pat = ["setpriv", "--reuid", "pat", "--regid", "pat", "--init-groups"];
        let env = ["env", "HOME=/home/pat", &self.variable];
        [as_pat.as_slice(), &env, command].concat()
    }

    /// Runs a command that must succeed, and returns what it printed.
    pub(super) fn does(&self, command: &[&str]) -> String {
        self.machine.does(&self.command(command))
    }

    /// Stops the user's daemon and its sockets, so that nothing of it is there but what is on disk.
    pub(super) fn stop(&self) {
        let stop = ["systemctl", "--user", "stop", "tokenkeeper-credential.socket"];
        self.does(&[stop.as_slice(), &UNITS].concat());
        assert_eq!(self.property("ActiveState"), "inactive");
    }

    /// Has the user's daemon keep the account `mail`, with further lines of its table.
    pub(super) fn keep_mail(&self, scene: &Scene<'_>, lines: &str) {
        let refresh_token = scene.idp.put("mail", &json!({}));
        self.configure(&format!("[accounts.mail]\n{}{lines}", scene.idp.keys("mail")));
        self.does(&[&["systemctl", "--user", "enable", "--now"], UNITS.as_slice()].concat());
        let import = ["tokenctl", "import", "mail", "--refresh-token-file", "-"];
        self.machine.does_with(&self.command(&import), Some(&refresh_token));
    }

    /// A property of the user's daemon.
    pub(super) fn property(&self, name: &str) -> String {
        self.property_of(SERVICE, name)
    }

    /// A property of a unit of the user's.
    pub(super) fn property_of(&self, unit: &str, name: &str) -> String {
        self.does(&["systemctl", "--user", "show", "--value", "--property", name, unit])
    }

    /// What the user's daemon wrote to the journal.
    pub(super) fn journal(&self) -> String {
        let of_unit = format!("_SYSTEMD_USER_UNIT={SERVICE}");
        self.machine.does(&["journalctl", "--no-pager", "--output=cat", &of_unit])
    }

    /// Waits until a property of the user's daemon is as wanted.
    pub(super) fn until(&self, name: &str, wanted: impl Fn(&str) -> bool) {
        let begin = Instant::now();
        loop {
            let value = self.property(name);
            if wanted(&value) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "{name} stays {value}");
        }
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        self.machine.write(path, text);
        self.machine.does(&["chown", "--recursive", "pat:", "/home/pat"]);
    }

    pub(super) fn configure(&self, text: &str) {
        self.write(CONFIG, text);
    }
}
