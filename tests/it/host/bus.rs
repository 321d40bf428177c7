//! The system's message bus: its policy, its way to start the daemon, and polkit.

use std::process::Output;

use serde_json::json;

use crate::support::process::said;

use super::machine::Machine;
use super::on_each;
use super::scene::SERVICE;
use super::scene::SOCKET;
use super::scene::Scene;

#[test]
fn a_call_starts_the_daemon_and_the_rules_say_who_gets_what() {
    on_each(|machine, package| {
        let scene = Scene::with_mail(machine, package, &json!({}));
        let token = scene.token().token;
        machine.does(&["systemctl", "stop", SOCKET, SERVICE]);

        let got = said(&token_as(machine, "alice"));
        assert!(got.contains(&token), "{got}");
        assert_eq!(machine.property(SERVICE, "ActiveState"), "active");
        let refused = token_as(machine, "bob");
        let told = said(&refused);
        assert!(!refused.status.success() && !told.contains(&token), "{told}");
        assert!(told.contains("no right `read` on it, or there is no such account"), "{told}");

        // As an administrator asks, by the name of the unit.
        machine.does(&["systemctl", "service-log-level", SERVICE, "debug"]);
        assert_eq!(machine.does(&["systemctl", "service-log-level", SERVICE]), "debug");
        let description = "/usr/share/dbus-1/interfaces/org.tokenkeeper1.Manager.xml";
        assert!(machine.path(description).exists());
    });
}

#[test]
fn nobody_but_the_daemon_may_have_its_name() {
    on_each(|machine, package| {
        let _scene = Scene::with_mail(machine, package, &json!({}));
        machine.does(&["systemctl", "stop", SOCKET, SERVICE]);
        let ask = ["busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus"];
        let name = ["org.freedesktop.DBus", "RequestName", "su", "org.tokenkeeper1", "0"];
        let refused = machine.run_as("alice", &[ask.as_slice(), &name].concat());
        assert!(!refused.status.success(), "{}", said(&refused));
    });
}

#[test]
fn whom_polkit_lets_change_accounts_is_no_reader_of_their_tokens() {
    on_each(|machine, package| {
        let scene = Scene::with_mail(machine, package, &json!({}));
        machine.write("/etc/polkit-1/rules.d/50-bob.rules", BOB);
        let pause_as = |user: &str| {
            let method = ["org.tokenkeeper1.Manager", "Pause", "sa{sv}", "mail", "0"];
            said(&machine.run_as(user, &[CALL.as_slice(), &method].concat()))
        };
        let refused = pause_as("alice");
        assert!(refused.contains("a person has to allow it"), "nobody is there: {refused}");
        assert_eq!(pause_as("bob"), "b true\n");
        let told = scene.journal();
        assert!(told.contains("polkit lets the peer change it"), "{told}");
        let refused = said(&token_as(machine, "bob"));
        assert!(refused.contains("no right `read` on it"), "{refused}");
    });
}

/// What an administrator writes who lets bob change accounts.
const BOB: &str = r#"
polkit.addRule(function (action, subject) {
    if (action.id == "org.tokenkeeper1.manage-accounts" && subject.user == "bob") {
        return polkit.Result.YES;
    }
});
"#;

const CALL: [&str; 4] = ["busctl", "call", "org.tokenkeeper1", "/org/tokenkeeper1"];

fn token_as(machine: &Machine, user: &str) -> Output {
    let method = ["org.tokenkeeper1.Manager", "GetToken", "sa{sv}", "mail", "0"];
    machine.run_as(user, &[CALL.as_slice(), &method].concat())
}
