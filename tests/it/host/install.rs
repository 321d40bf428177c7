//! From the fresh package to the first token, and all of it away again.

use std::fs;
use std::time::Instant;

use serde_json::json;
use tokenkeeper::message::Message;
use tokenkeeper::protocol::error::ErrorBody;

use crate::support::PATIENCE;
use crate::support::process::said;

use super::machine::Machine;
use super::on_each;
use super::scene::CONFIG;
use super::scene::PACKAGE;
use super::scene::SERVICE;
use super::scene::SOCKET;
use super::scene::Scene;

#[test]
fn a_fresh_package_runs_and_waits_for_its_first_account() {
    on_each(|machine, package| {
        let scene = Scene::new(machine, package);
        for unit in [SERVICE, SOCKET] {
            assert_eq!(machine.property(unit, "ActiveState"), "active", "{unit}");
            assert_eq!(machine.property(unit, "UnitFileState"), "enabled", "{unit}");
        }
        let status = machine.does(&["systemctl", "status", "--no-pager", SERVICE]);
        assert!(status.contains(r#"Status: "no account yet"#), "{status}");
        assert!(machine.does(&["tokenctl", "status"]).contains("/run/tokenkeeper/api.sock"));
        let doctor = said(&machine.run(&["tokenctl", "doctor"]));
        assert!(doctor.contains("there is no account yet"), "{doctor}");
        machine.does(&["tokenkeeperd", "--check"]);
        machine.does(&["systemctl", "reload", SERVICE]);
        // Who may not read the configuration cannot: it names people and clients.
        assert!(!machine.run_as("nobody", &["cat", CONFIG]).status.success());

        let listed = machine.does(&["dpkg", "--listfiles", "tokenkeeper"]);
        assert!(!listed.contains("tokenkeeper-idp"), "{listed}");
        for page in ["man1/tokenctl.1", "man5/tokenkeeper.toml.5", "man8/tokenkeeperd.8"] {
            assert!(listed.contains(&format!("/usr/share/man/{page}.gz")), "{page}: {listed}");
        }
        drop(scene);
    });
}

#[test]
fn a_fresh_installation_warns_of_nothing_and_ends_with_what_works() {
    on_each(|machine, package| {
        let scene = Scene::before(machine, package);
        machine.does(&["apt-get", "install", "--yes", PACKAGE]);
        is_quiet_and_served(&scene);
    });
}

/// dpkg has the bus read its policies when all packages are set up, and until then it knows neither the
/// policy of this one nor its user.
#[test]
fn a_bus_that_reads_the_policy_late_is_waited_for_without_a_warning() {
    on_each(|machine, package| {
        let scene = Scene::before(machine, package);
        machine.does(&["dpkg", "--no-triggers", "--install", PACKAGE]);
        let begin = Instant::now();
        loop {
            let doctor = said(&machine.run(&["tokenctl", "doctor"]));
            if doctor.contains("its policy does not give the daemon the name") {
                break;
            }
            assert!(begin.elapsed() < PATIENCE, "{doctor}");
        }
        machine.does(&["dpkg", "--triggers-only", "--pending"]);
        is_quiet_and_served(&scene);
    });
}

#[test]
fn one_edited_file_serves_a_token_to_whom_it_names_and_to_nobody_else() {
    on_each(|machine, package| {
        let scene = Scene::with_mail(machine, package, &json!({}));
        let token = scene.token().token;

        let curled = said(&scene.curl_as("alice", "raw"));
        assert_eq!(curled.trim_end(), format!("{token}\n200"));
        let got = machine.run_as("alice", &["tokenctl", "get", "mail"]);
        assert_eq!(said(&got).trim_end(), token);
        assert!(scene.idp.accepts("mail", &token));
        machine.until(SERVICE, "StatusText", |text| text.starts_with("1 account; next is mail"));

        let refused = said(&scene.curl_as("bob", "json"));
        let (body, status) = refused.rsplit_once('\n').unwrap();
        assert_eq!(status, "403", "{body}");
        let body: ErrorBody = serde_json::from_str(body).unwrap();
        assert_eq!(body.error_code.as_str(), "INSUFFICIENT_PERMISSIONS");
        let got = machine.run_as("bob", &["tokenctl", "get", "mail"]);
        assert_eq!(got.status.code(), Some(77), "{}", said(&got));
        assert!(!said(&got).contains(&token));
    });
}

/// Whoever installs an older version meets a store that a newer one has written.
#[test]
fn a_downgrade_that_cannot_read_the_store_is_refused_and_harms_nothing() {
    on_each(|machine, package| {
        let scene = Scene::with_mail(machine, package, &json!({}));
        let before = scene.token();
        let rewrite = |header: &str| {
            machine.does(&["systemctl", "stop", SOCKET, SERVICE]);
            let database = machine.path("/var/lib/tokenkeeper/state.db");
            // SQLite follows links, and the way into the machine is one: so a copy is changed.
            let home = tempfile::tempdir().unwrap();
            let copy = home.path().join("state.db");
            fs::copy(&database, &copy).unwrap();
            let store = rusqlite::Connection::open(&copy).unwrap();
            store.execute(&format!("UPDATE header SET {header}"), []).unwrap();
            store.close().unwrap();
            fs::copy(&copy, &database).unwrap();
        };

        rewrite("format = 7, min_reader = 7");
        scene.install();
        machine.until(SERVICE, "ActiveState", |state| state == "failed");
        assert_eq!(machine.property(SERVICE, "ExecMainStatus"), "78");
        let journal = scene.journal();
        assert!(journal.contains("Install the newer version again"), "{journal}");

        rewrite("format = 1, min_reader = 1");
        scene.install();
        let after = scene.token();
        assert_eq!((after.generation, after.token), (before.generation, before.token));
        assert_eq!(scene.idp.totals("mail").requests, 1);
    });
}

#[test]
fn a_removed_package_keeps_the_credentials_and_a_purged_one_leaves_nothing() {
    on_each(|machine, package| {
        let scene = Scene::with_mail(machine, package, &json!({}));
        let before = scene.token();

        machine.does(&["dpkg", "--remove", "tokenkeeper"]);
        assert!(!scene.socket().exists(), "nobody would answer there");
        let installed = machine.run(&["dpkg", "--install", PACKAGE]);
        assert!(installed.status.success(), "{}", said(&installed));
        assert!(!said(&installed).contains("systemctl"), "{}", said(&installed));
        for unit in [SERVICE, SOCKET, "tokenkeeper-credential.socket"] {
            assert_eq!(machine.property(unit, "ActiveState"), "active", "{unit}");
        }
        let after = scene.token();
        assert_eq!((after.generation, after.token), (before.generation, before.token));
        assert_eq!(scene.idp.totals("mail").requests, 1);

        let key = "/etc/credstore.encrypted/tokenkeeper.store-key";
        machine.write(key, "sealed");
        // What a hook with a directory leaves.
        machine.write("/run/tokenkeeper/events/mail.token_changed.json", "{}");
        machine.does(&["dpkg", "--purge", "tokenkeeper"]);
        for path in ["/etc/tokenkeeper", "/run/tokenkeeper", "/var/lib/tokenkeeper", key] {
            assert!(!machine.path(path).exists(), "{path} is left");
        }
        let units = machine.does(&["systemctl", "list-units", "--all", "--plain", "--no-legend"]);
        assert!(!units.contains("tokenkeeper"), "{units}");
        assert_eq!(machine.does(&["systemctl", "--failed", "--plain", "--no-legend"]), "");
    });
}

/// Asserts that nothing is wrong after an installation, and that the service says what comes next.
fn is_quiet_and_served(scene: &Scene<'_>) {
    scene.until_told(Message::BusServed);
    let machine = scene.machine;
    let priority = ["journalctl", "--no-pager", "--output=cat", "--priority=warning"];
    let told = machine.does(&[priority.as_slice(), &["--unit", "tokenkeeper*"]].concat());
    let warnings = told.lines().filter(|line| !is_of_an_old_systemd(machine, line));
    assert_eq!(warnings.collect::<Vec<_>>(), [""; 0]);
    assert_eq!(machine.does(&["systemctl", "--failed", "--plain", "--no-legend"]), "");

    let status = machine.does(&["systemctl", "status", "--no-pager", SERVICE]);
    let next = r#"Status: "no account yet: tokenkeeper.toml(5) says how to add one""#;
    assert!(status.contains(next), "{status}");
    assert!(status.ends_with("served on the bus as org.tokenkeeper1"), "{status}");
}

/// Whether systemd before 254 says in it that it passes over the one key of the unit that is younger.
fn is_of_an_old_systemd(machine: &Machine, line: &str) -> bool {
    machine.systemd() < 254 && line.contains("Unknown key 'FileDescriptorStorePreserve'")
}
