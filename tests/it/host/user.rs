//! The service of one user, under that user's own service manager.

use std::time::Instant;

use serde_json::json;

use crate::support::PATIENCE;
use crate::support::process::said;

use super::machine::Machine;
use super::on_each;
use super::scene::Scene;

const CONFIG: &str = "/home/pat/.config/tokenkeeper/config.toml";

/// The units that a user enables.
const UNITS: [&str; 2] = ["tokenkeeper-api.socket", "tokenkeeper.service"];

#[test]
fn a_users_own_daemon_serves_that_user_and_outlives_restarts_and_wrong_files() {
    on_each(|machine, package| {
        let scene = Scene::new(machine, package);
        let pat = Pat::log_in(machine);
        let refresh_token = scene.idp.put("mail", &json!({}));
        pat.configure(&format!("[accounts.mail]\n{}", scene.idp.keys("mail")));
        pat.does(&[&["systemctl", "--user", "enable", "--now"], UNITS.as_slice()].concat());
        let import = ["tokenctl", "import", "mail", "--refresh-token-file", "-"];
        machine.does_with(&pat.command(&import), Some(&refresh_token));

        let token = pat.does(&["tokenctl", "get", "mail"]);
        assert!(scene.idp.accepts("mail", &token));
        let status = pat.does(&["tokenctl", "status"]);
        assert!(status.contains("the user's daemon"), "{status}");
        pat.until("StatusText", |text| text.starts_with("1 account; next is mail"));
        // Nothing of it is seen by the host's daemon, and nobody else gets in.
        assert!(!machine.run(&["tokenctl", "--system", "get", "mail"]).status.success());
        machine.does(&["useradd", "bob"]);
        let socket = format!("{}/tokenkeeper/api.sock", pat.runtime);
        let other = machine.run_as("bob", &["tokenctl", "--socket", &socket, "get", "mail"]);
        assert!(!other.status.success(), "{}", said(&other));

        let before = pat.property("MainPID");
        pat.does(&["systemctl", "--user", "restart", UNITS[1]]);
        assert_ne!(pat.property("MainPID"), before);
        assert_eq!(pat.does(&["tokenctl", "get", "mail"]), token);
        assert_eq!(scene.idp.totals("mail").requests, 1);

        pat.configure("[daemon]\nlog = \"loud\"\n");
        let reload = machine.run(&pat.command(&["systemctl", "--user", "reload", UNITS[1]]));
        assert!(!reload.status.success(), "{}", said(&reload));
        assert_eq!(pat.does(&["tokenctl", "get", "mail"]), token);
    });
}

#[test]
fn a_users_follower_keeps_a_file_current_with_a_token_of_the_hosts_daemon() {
    on_each(|machine, package| {
        let scene = Scene::with_mail(machine, package, &json!({}));
        let pat = Pat::log_in(machine);
        scene.configure(&scene.mail("").replace("alice", "pat"));
        machine.does(&["systemctl", "reload", super::scene::SERVICE]);
        let file = "/home/pat/token";
        let followed = format!("ACCOUNT=mail\nFOLLOW=--file {file} --format raw\n");
        pat.write("/home/pat/.config/tokenkeeper/follow/mail.env", &followed);
        pat.does(&["systemctl", "--user", "enable", "--now", "tokenkeeper-follow@mail"]);

        let first = scene.token().token;
        await_content(machine, file, &first);
        machine.does(&["tokenctl", "refresh", "mail"]);
        let second = scene.token().token;
        assert_ne!(second, first);
        await_content(machine, file, &second);
        let owner = machine.does(&["stat", "--format=%U %a", file]);
        assert_eq!(owner, "pat 600");
    });
}

/// Waits until a file of the machine says that and nothing else.
pub(super) fn await_content(machine: &Machine, file: &str, wanted: &str) {
    let begin = Instant::now();
    loop {
        let found = machine.run(&["cat", file]);
        if found.stdout == wanted.as_bytes() {
            return;
        }
        // The file does not tell when it changes, and asking takes its time.
        assert!(begin.elapsed() < PATIENCE, "{file} has {}", said(&found));
    }
}

/// A user with a service manager.
struct Pat<'a> {
    machine: &'a Machine,
    /// The directory of the user's sockets.
    runtime: String,
    /// That directory, as a variable.
    variable: String,
}

impl<'a> Pat<'a> {
    /// Adds the user and starts the user's service manager, as a login does.
    fn log_in(machine: &'a Machine) -> Self {
        machine.does(&["useradd", "--create-home", "pat"]);
        let uid = machine.does(&["id", "--user", "pat"]);
        machine.does(&["systemctl", "start", &format!("user@{uid}.service")]);
        let runtime = format!("/run/user/{uid}");
        let variable = format!("XDG_RUNTIME_DIR={runtime}");
        Self { machine, runtime, variable }
    }

    fn command<'b>(&'b self, command: &[&'b str]) -> Vec<&'b str> {
        let as_pat = ["setpriv", "--reuid", "pat", "--regid", "pat", "--init-groups"];
        let env = ["env", "HOME=/home/pat", &self.variable];
        [as_pat.as_slice(), &env, command].concat()
    }

    fn does(&self, command: &[&str]) -> String {
        self.machine.does(&self.command(command))
    }

    /// A property of the user's daemon.
    fn property(&self, name: &str) -> String {
        self.does(&["systemctl", "--user", "show", "--value", "--property", name, UNITS[1]])
    }

    /// Waits until a property of the user's daemon is as wanted.
    fn until(&self, name: &str, wanted: impl Fn(&str) -> bool) {
        let begin = Instant::now();
        loop {
            let value = self.property(name);
            if wanted(&value) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "{name} stays {value}");
        }
    }

    fn write(&self, path: &str, text: &str) {
        self.machine.write(path, text);
        self.machine.does(&["chown", "--recursive", "pat:", "/home/pat"]);
    }

    fn configure(&self, text: &str) {
        self.write(CONFIG, text);
    }
}
