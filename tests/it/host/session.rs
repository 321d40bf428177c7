//! The service of one user in that user's sessions, on that user's own bus.

use crate::support::process::said;

use super::on_each;
use super::pat::Pat;
use super::scene::SERVICE;
use super::scene::SOCKET;
use super::scene::Scene;

/// What the manual says that a user types.
const RECIPE: &str = "umask 077 && mkdir -p ~/.config/tokenkeeper && \
                      touch ~/.config/tokenkeeper/config.toml && \
                      systemctl --user enable --now tokenkeeper-api.socket tokenkeeper";

#[test]
fn a_call_on_the_bus_of_a_session_starts_that_users_daemon_and_so_does_its_socket() {
    on_each(|machine, package| {
        let scene = Scene::new(machine, package);
        let pat = Pat::lingering(machine);
        let refused = pat.in_session(&token_on("--user"));
        assert!(said(&refused).contains("dbus-org.tokenkeeper1.service not found"), "no unit yet");

        pat.in_session(&["sh", "-c", RECIPE]);
        assert_eq!(pat.property("ActiveState"), "active", "{}", pat.journal());
        pat.stop();
        pat.keep_mail(&scene, "");
        let token = pat.does(&["tokenctl", "get", "mail"]);
        assert!(scene.idp.accepts("mail", &token));

        pat.stop();
        let called = said(&pat.in_session(&token_on("--user")));
        assert!(called.contains(&token), "{called}");
        assert_eq!(pat.property("ActiveState"), "active");
        let status = said(&pat.in_session(&["tokenctl", "--user", "status"]));
        assert!(status.contains("the user's daemon") && status.contains("mail"), "{status}");
        // A unit of the user's is no process of the session.
        let unit = ["systemd-run", "--user", "--quiet", "--pipe", "--wait"];
        let called = said(&pat.in_session(&[unit.as_slice(), &token_on("--user")].concat()));
        assert!(called.contains(&token), "{called}");
        let level = ["systemctl", "--user", "service-log-level", SERVICE];
        pat.does(&[level.as_slice(), &["debug"]].concat());
        assert_eq!(pat.does(&level), "debug");

        pat.stop();
        pat.does(&["systemctl", "--user", "start", SOCKET]);
        assert_eq!(pat.property("ActiveState"), "inactive");
        let got = said(&pat.in_session(&["tokenctl", "--user", "get", "mail"]));
        assert_eq!(got.trim_end(), token);
        assert_eq!(pat.property("ActiveState"), "active");

        // The host's bus has the host's daemon, which knows nothing of that account.
        let other = said(&machine.run(&token_on("--system")));
        assert!(other.contains("there is no such account"), "{other}");
        assert_eq!(scene.idp.totals("mail").requests, 1);
    });
}

#[test]
fn a_users_daemon_ends_with_the_last_session_and_serves_the_same_token_in_the_next() {
    on_each(|machine, package| {
        let scene = Scene::new(machine, package);
        let pat = Pat::new(machine);
        pat.open_session("first.service");
        pat.keep_mail(&scene, "");
        let token = pat.does(&["tokenctl", "get", "mail"]);
        let before = pat.property("MainPID");

        machine.does(&["systemctl", "stop", "first.service"]);
        machine.until(&pat.manager, "ActiveState", |state| state == "inactive");
        assert!(!machine.path(&format!("/proc/{before}")).exists());
        // It goes after the manager has.
        let directory = pat.manager.replace("user@", "user-runtime-dir@");
        machine.until(&directory, "ActiveState", |state| state == "inactive");
        assert!(!machine.path(&pat.runtime).exists(), "nobody would answer there");

        pat.open_session("second.service");
        assert_eq!(pat.does(&["tokenctl", "get", "mail"]), token);
        assert_eq!(scene.idp.totals("mail").requests, 1);
        assert_eq!(pat.does(&["systemctl", "--user", "--failed", "--plain", "--no-legend"]), "");
    });
}

/// The call for the user's token on one of the two buses.
#[rustfmt::skip]
const fn token_on(bus: &str) -> [&str; 10] {
    [
        "busctl", bus, "call", "org.tokenkeeper1", "/org/tokenkeeper1", "org.tokenkeeper1.Manager",
        "GetToken", "sa{sv}", "mail", "0",
    ]
}
