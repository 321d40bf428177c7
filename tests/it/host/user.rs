//! The service of one user, under that user's own service manager.

use std::time::Instant;

use serde_json::json;

use crate::support::PATIENCE;
use crate::support::process::said;

use super::machine::Machine;
use super::on_each;
use super::pat::Pat;
use super::scene::SERVICE;
use super::scene::Scene;

#[test]
fn a_users_own_daemon_serves_that_user_and_outlives_restarts_and_wrong_files() {
    on_each(|machine, package| {
        let scene = Scene::new(machine, package);
        let pat = Pat::log_in(machine);
        pat.keep_mail(&scene, "");

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
        pat.does(&["systemctl", "--user", "restart", SERVICE]);
        assert_ne!(pat.property("MainPID"), before);
        assert_eq!(pat.does(&["tokenctl", "get", "mail"]), token);
        assert_eq!(scene.idp.totals("mail").requests, 1);

        pat.configure("[daemon]\nlog = \"loud\"\n");
        let reload = machine.run(&pat.command(&["systemctl", "--user", "reload", SERVICE]));
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
        machine.does(&["systemctl", "reload", SERVICE]);
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

#[test]
fn a_users_hook_is_a_unit_of_that_users_and_its_failure_is_raised() {
    let hook = "[[accounts.mail.hooks]]\nname = \"telling\"\non = [\"token_changed\"]\n\
                unit = \"told@.service\"\n";
    on_each(|machine, package| {
        let scene = Scene::new(machine, package);
        let pat = Pat::log_in(machine);
        let telling = |commands: &str| {
            let start = format!("[Service]\nType=oneshot\nExecStart=/bin/sh -c '{commands}'\n");
            pat.write("/home/pat/.config/systemd/user/told@.service", &start);
            pat.does(&["systemctl", "--user", "daemon-reload"]);
        };
        telling("tokenctl get %i >%t/told");
        pat.keep_mail(&scene, hook);
        pat.does(&["tokenctl", "refresh", "mail"]);
        let token = pat.does(&["tokenctl", "get", "mail"]);
        await_content(machine, &format!("{}/told", pat.runtime), &format!("{token}\n"));
        // The host's manager has no part in it.
        assert_eq!(machine.property("told@mail.service", "LoadState"), "not-found");

        telling("exit 7");
        pat.does(&["tokenctl", "refresh", "mail"]);
        let begin = Instant::now();
        while !pat.journal().contains("mail: hook telling failed: exit status: 1") {
            assert!(begin.elapsed() < PATIENCE, "{}", pat.journal());
        }
        let doctor = said(&machine.run(&pat.command(&["tokenctl", "doctor"])));
        assert!(doctor.contains("telling"), "{doctor}");
        assert_eq!(pat.property_of("told@mail.service", "ExecMainStatus"), "7");
    });
}

#[test]
fn a_users_units_start_with_tokens_of_the_users_daemon_and_fail_where_it_has_none() {
    on_each(|machine, package| {
        let scene = Scene::new(machine, package);
        let pat = Pat::log_in(machine);
        pat.keep_mail(&scene, "");
        pat.does(&["systemctl", "--user", "enable", "--now", "tokenkeeper-credential.socket"]);
        let consumer = |unit: &str, id: &str| {
            pat.write(
                &format!("/home/pat/.config/systemd/user/{unit}"),
                &format!(
                    "[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                     LoadCredential={id}:%t/tokenkeeper/credential.sock\n\
                     ExecStart=/bin/sh -c 'cp --force \"$CREDENTIALS_DIRECTORY\"/{id} %t/given'\n"
                ),
            );
            pat.does(&["systemctl", "--user", "daemon-reload"]);
        };
        let given = || pat.does(&["cat", &format!("{}/given", pat.runtime)]);

        consumer("consumer.service", "mail.header");
        pat.does(&["systemctl", "--user", "start", "consumer.service"]);
        let token = pat.does(&["tokenctl", "get", "mail"]);
        assert_eq!(given(), format!("authorization: Bearer {token}"));
        pat.does(&["tokenctl", "refresh", "mail"]);
        pat.does(&["systemctl", "--user", "restart", "consumer.service"]);
        let newer = pat.does(&["tokenctl", "get", "mail"]);
        assert_ne!(newer, token);
        assert_eq!(given(), format!("authorization: Bearer {newer}"));

        consumer("other.service", "nothing");
        let start = pat.command(&["systemctl", "--user", "start", "other.service"]);
        assert!(!machine.run(&start).status.success());
        assert_eq!(pat.property_of("other.service", "ExecMainStatus"), "243");
        let journal = pat.journal();
        assert!(journal.contains("other.service was refused the credential nothing"), "{journal}");
        // Nobody else gets as far as that socket.
        machine.does(&["useradd", "bob"]);
        let socket = format!("{}/tokenkeeper/credential.sock", pat.runtime);
        let connect = ["curl", "--silent", "--unix-socket", &socket, "http://localhost/"];
        assert_eq!(machine.run_as("bob", &connect).status.code(), Some(7));
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
