//! Hooks that are units, event files that a `.path` unit watches, and what follows a followed file.

use std::time::Instant;

use serde_json::json;

use crate::support::PATIENCE;
use crate::support::process::said;

use super::machine::Machine;
use super::on_each;
use super::scene::SERVICE;
use super::scene::Scene;
use super::user::await_content;

/// The examples of the package.
const EXAMPLES: &str = "/usr/share/doc/tokenkeeper/examples";

/// What the shipped template runs.
const SCRIPT: &str = "/usr/local/lib/tokenkeeper/hook";

/// The instance of the account.
const HOOK: &str = "tokenkeeper-hook@mail.service";

const UNIT: &str = "allow = [\"tokenkeeper-hook\"]
[[accounts.mail.hooks]]
name = \"unit\"
on = [\"token_changed\"]
unit = \"tokenkeeper-hook@.service\"
";

/// A service that takes down what it is told.
const CONSUMER: &str = "[Service]
ExecStart=/usr/bin/sleep infinity
ExecReload=/bin/sh -c 'echo told >>/run/told'
";

#[test]
fn a_hook_that_is_a_unit_has_the_token_and_its_failure_is_raised() {
    on_each(|machine, package| {
        let scene = with_hook(machine, package, UNIT);
        script(machine, "test -n \"$(tokenctl get \"$1\")\" && echo \"$(id -un) serves $1\"");
        machine.does(&["tokenctl", "refresh", "mail"]);
        journal_says(machine, HOOK, "tokenkeeper-hook serves mail");
        let doctor = said(&machine.run(&["tokenctl", "doctor"]));
        assert!(!doctor.contains("hook"), "{doctor}");

        script(machine, "exit 7");
        machine.does(&["tokenctl", "refresh", "mail"]);
        journal_says(machine, SERVICE, "mail: hook unit failed: exit status: 1");
        let doctor = said(&machine.run(&["tokenctl", "doctor"]));
        assert!(doctor.contains("unit"), "{doctor}");
        assert_eq!(machine.property(HOOK, "ExecMainStatus"), "7");
        assert_eq!(scene.token().generation, 3);
    });
}

#[test]
fn the_daemons_user_may_start_hooks_and_do_nothing_else_to_units() {
    on_each(|machine, package| {
        let _scene = Scene::new(machine, package);
        machine.does(&["useradd", "alice"]);
        script(machine, "exit 0");
        machine.write("/etc/systemd/system/consumer.service", CONSUMER);
        machine.does(&["systemctl", "daemon-reload"]);
        let systemctl = |user: &str, words: &str| {
            let words = words.split(' ').collect::<Vec<_>>();
            machine.run_as(user, &[&["systemctl", "--no-ask-password"], words.as_slice()].concat())
        };
        let granted = systemctl("tokenkeeper", &format!("start {HOOK}"));
        assert!(granted.status.success(), "{}", said(&granted));
        #[rustfmt::skip]
        let refused = [
            ("tokenkeeper", "stop tokenkeeper-hook@mail.service"),
            ("tokenkeeper", "restart tokenkeeper-hook@mail.service"),
            ("tokenkeeper", "start tokenkeeper-hook@Mail.service"),
            ("tokenkeeper", "start consumer.service"),
            ("tokenkeeper", "set-property tokenkeeper-hook@mail.service CPUWeight=7"),
            ("tokenkeeper", "daemon-reload"),
            ("alice",       "start tokenkeeper-hook@mail.service"),
        ];
        for (user, words) in refused {
            let refusal = systemctl(user, words);
            assert!(!refusal.status.success(), "{user}: {words}");
        }
        let transient = ["systemd-run", "--no-ask-password", "/bin/true"];
        assert!(!machine.run_as("tokenkeeper", &transient).status.success());
    });
}

#[test]
fn an_instance_reloads_the_service_that_its_drop_in_names() {
    on_each(|machine, package| {
        let _scene = with_hook(machine, package, UNIT);
        consumer(machine, "consumer.service");
        machine.write(
            &format!("/etc/systemd/system/{HOOK}.d/reload.conf"),
            "[Service]\nExecStart=\n\
             ExecStart=+/usr/bin/systemctl try-reload-or-restart consumer.service\n",
        );
        machine.does(&["systemctl", "daemon-reload"]);
        machine.does(&["tokenctl", "refresh", "mail"]);
        await_content(machine, "/run/told", "told\n");
    });
}

#[test]
fn an_event_file_starts_the_unit_that_watches_it_and_polkit_has_no_part_in_it() {
    let hook = "[[accounts.mail.hooks]]\nname = \"watched\"\non = [\"token_changed\"]\n\
                directory = \"/run/tokenkeeper/events\"\n";
    on_each(|machine, package| {
        let _scene = with_hook(machine, package, hook);
        machine.does(&["systemctl", "mask", "--now", "polkit.service"]);
        for unit in ["mail-changed.path", "mail-changed.service"] {
            machine.does(&["cp", &format!("{EXAMPLES}/hooks/{unit}"), "/etc/systemd/system"]);
        }
        machine.does(&["systemctl", "daemon-reload"]);
        machine.does(&["systemctl", "enable", "--now", "mail-changed.path"]);
        machine.does(&["tokenctl", "refresh", "mail"]);
        journal_says(machine, "mail-changed.service", "\"generation\":2");
    });
}

#[test]
fn what_reads_a_followed_file_is_reloaded_after_each_change() {
    on_each(|machine, package| {
        let scene = Scene::with_mail(machine, package, &json!({}));
        machine.does(&["useradd", "quilt"]);
        scene.configure(&scene.mail("").replace("alice", "quilt"));
        machine.does(&["systemctl", "reload", SERVICE]);
        machine.does(&["install", "--directory", "--owner=quilt", "/srv/quilt"]);
        machine.write(
            "/etc/tokenkeeper/follow/quilt.env",
            "ACCOUNT=mail\nFOLLOW=--file /srv/quilt/tokens.json --format json\n",
        );
        machine.write(
            "/etc/systemd/system/tokenkeeper-follow@quilt.service.d/owner.conf",
            "[Service]\nUser=quilt\nReadWritePaths=/srv/quilt\n",
        );
        machine.does(&["systemctl", "daemon-reload"]);
        machine.does(&["systemctl", "enable", "--now", "tokenkeeper-follow@quilt"]);
        let held = |generation: &str| {
            let begin = Instant::now();
            let wanted = format!("\"generation\":{generation}");
            while !file(machine).replace(' ', "").contains(&wanted) {
                assert!(begin.elapsed() < PATIENCE, "{}", file(machine));
            }
        };
        held("1");
        consumer(machine, "quilt.service");
        for unit in ["quilt-reload.path", "quilt-reload.service"] {
            machine.does(&["cp", &format!("{EXAMPLES}/follow/{unit}"), "/etc/systemd/system"]);
        }
        machine.does(&["systemctl", "daemon-reload"]);
        machine.does(&["systemctl", "enable", "--now", "quilt-reload.path"]);
        machine.does(&["tokenctl", "refresh", "mail"]);
        held("2");
        await_content(machine, "/run/told", "told\n");
        let owner = machine.does(&["stat", "--format=%U %a", "/srv/quilt/tokens.json"]);
        assert_eq!(owner, "quilt 600");
    });
}

/// The account with a hook.
fn with_hook<'a>(machine: &'a Machine, package: &std::path::Path, hook: &str) -> Scene<'a> {
    let scene = Scene::with_mail(machine, package, &json!({}));
    let mail = scene.mail("");
    let table = mail.strip_suffix("allow = [\"alice\"]\n").unwrap();
    scene.configure(&format!("{table}{hook}"));
    machine.does(&["systemctl", "reload", SERVICE]);
    scene
}

/// Has the shipped template run these commands.
fn script(machine: &Machine, commands: &str) {
    machine.write(SCRIPT, &format!("#!/bin/sh\n{commands}\n"));
    machine.does(&["chmod", "755", SCRIPT]);
}

/// Starts a service that takes down when it is reloaded.
fn consumer(machine: &Machine, unit: &str) {
    machine.write(&format!("/etc/systemd/system/{unit}"), CONSUMER);
    machine.does(&["systemctl", "daemon-reload"]);
    machine.does(&["systemctl", "start", unit]);
}

fn file(machine: &Machine) -> String {
    said(&machine.run(&["cat", "/srv/quilt/tokens.json"]))
}

/// Waits until the journal of a unit has that.
fn journal_says(machine: &Machine, unit: &str, wanted: &str) {
    let begin = Instant::now();
    loop {
        let journal = machine.does(&["journalctl", "--no-pager", "--output=cat", "--unit", unit]);
        if journal.contains(wanted) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "the journal of {unit} has no {wanted}:\n{journal}");
    }
}
