//! `LoadCredential=` of units of the host, as systemd itself asks for them, and those who would
//! like to be systemd.

use std::time::Instant;

use serde_json::json;

use crate::support::PATIENCE;
use crate::support::credential::Answer;
use crate::support::credential::ask;
use crate::support::process::said;

use super::machine::Machine;
use super::on_each;
use super::scene::SERVICE;
use super::scene::SOCKET;
use super::scene::Scene;

/// The unit that rules of the account name.
const CONSUMER: &str = "consumer.service";

/// The unit of the socket.
const DOOR: &str = "tokenkeeper-credential.socket";

/// Its path.
const PATH: &str = "/run/tokenkeeper/credential.sock";

/// What shows the credentials of a unit. Files of a credential cannot be written, nor their copies.
const SHOW: &str = "/bin/sh -c 'cp --force %d/* /run/consumer'";

/// From this version on systemd fetches credentials again when a unit is reloaded.
const REFRESHES: u32 = 260;

/// Who would like to be systemd.
const FORGER: &str = "/srv/forger";

/// It asks as systemd does for the unit, and prints how many bytes come.
const ASKING: &str = r"
use Socket;
socket(S, PF_UNIX, SOCK_STREAM, 0) or die $!;
bind(S, pack('S a*', PF_UNIX, sprintf(qq(\0%x/unit/consumer.service/mail), $$))) or die $!;
connect(S, pack_sockaddr_un('/run/tokenkeeper/credential.sock')) or die $!;
shutdown(S, 1);
my $bytes = 0;
while (my $read = sysread(S, my $buffer, 65536)) { $bytes += $read }
print $bytes;
";

#[test]
fn a_unit_starts_with_exactly_the_token_in_the_form_that_it_names() {
    on_each(|machine, package| {
        let scene = with_rule(machine, package);
        assert_eq!(machine.property(DOOR, "UnitFileState"), "enabled");
        consumer(machine, CONSUMER, &["mail", "mail.header", "mail.json"], "");
        machine.does(&["systemctl", "start", CONSUMER]);
        let token = scene.token().token;
        assert_eq!(got(machine, "mail"), token);
        assert_eq!(got(machine, "mail.header"), format!("authorization: Bearer {token}"));
        assert!(got(machine, "mail.json").contains(&format!("\"token\":\"{token}\"")));
        assert!(scene.journal().contains("consumer.service was given the credential mail.json"));

        // After an upgrade the socket is the same one, and the unit gets what there is then.
        let before = machine.property(DOOR, "ActiveEnterTimestampMonotonic");
        scene.install();
        assert_eq!(machine.property(DOOR, "ActiveEnterTimestampMonotonic"), before);
        machine.does(&["tokenctl", "refresh", "mail"]);
        machine.does(&["systemctl", "restart", CONSUMER]);
        assert_eq!(got(machine, "mail"), scene.token().token);
        assert_ne!(got(machine, "mail"), token);
    });
}

#[test]
fn a_unit_fails_with_243_where_no_rule_names_it_or_nobody_has_logged_in() {
    on_each(|machine, package| {
        let scene = with_rule(machine, package);
        let bare =
            format!("[accounts.bare]\n{}allow = [\"unit:{CONSUMER}\"]\n", scene.idp.keys("bare"));
        scene.configure(&format!("{}{bare}", mail(&scene)));
        machine.does(&["systemctl", "reload", SERVICE]);
        #[rustfmt::skip]
        let cases = [
            ("other.service", "mail",         "it would need a rule like allow = [{ unit = 'other.service', rights = ['read'] }]"),
            (CONSUMER,        "mail.refresh", "its credential has no kind that there is"),
            (CONSUMER,        "nothing",      "there is no such account"),
            (CONSUMER,        "bare",         "the account has no credential yet"),
        ];
        for (unit, id, why) in cases {
            consumer(machine, unit, &[id], "");
            let started = machine.run(&["systemctl", "start", unit]);
            assert!(!started.status.success(), "{unit} {id}");
            assert_eq!(machine.property(unit, "ExecMainStatus"), "243", "{unit} {id}");
            let told = format!("{unit} was refused the credential {id}: ");
            let journal = scene.journal();
            assert!(journal.contains(&told) && journal.contains(why), "{journal}");
            let field = format!("TOKENKEEPER_UNIT={unit}");
            let record = format!("TOKENKEEPER_CREDENTIAL={id}");
            let found =
                machine.does(&["journalctl", "--no-pager", "--output=cat", &field, &record]);
            assert!(found.contains(why), "{found}");
        }
        // Root's mastership would have let the first one through.
        assert!(machine.run(&["tokenctl", "get", "mail"]).status.success());
        // A wrong configuration fails the unit as well, and starts it with nothing never.
        scene.configure("[daemon]\nlog = \"loud\"\n");
        machine.does(&["systemctl", "stop", SOCKET, SERVICE]);
        machine.does(&["systemctl", "reset-failed"]);
        consumer(machine, CONSUMER, &["mail"], "");
        assert!(!machine.run(&["systemctl", "start", CONSUMER]).status.success());
        assert_eq!(machine.property(CONSUMER, "ExecMainStatus"), "243");
    });
}

#[test]
fn a_unit_waits_for_an_outage_to_end_and_for_a_daemon_that_restarts() {
    on_each(|machine, package| {
        let scene = Scene::new(machine, package);
        scene.idp.put("ci", &json!({ "client_auth": "basic" }));
        let away = json!({ "fault": "status", "status": 503 });
        scene.idp.next("ci", &json!([away, away]));
        machine.write("/root/ci", "secret-of-ci");
        machine.write(
            "/etc/systemd/system/tokenkeeper.service.d/secrets.conf",
            "[Service]\nLoadCredential=tokenkeeper.secret.ci:/root/ci\n",
        );
        scene.configure(&format!(
            "[accounts.ci]\n{}grant = \"client_credentials\"\n\
             client_secret = {{ credential = \"ci\" }}\nallow = [\"unit:{CONSUMER}\"]\n",
            scene.idp.keys("ci")
        ));
        consumer(machine, CONSUMER, &["ci"], "");
        machine.does(&["systemctl", "daemon-reload"]);
        // The unit asks while there is no daemon, which then finds its provider away twice.
        machine.does(&["systemctl", "stop", SERVICE]);
        machine.does(&["systemctl", "start", "--no-block", CONSUMER]);
        machine.until(CONSUMER, "ActiveState", |state| state == "active");
        assert!(scene.idp.accepts("ci", &got(machine, "ci")));
        assert_eq!(scene.idp.totals("ci").faults, 2);
    });
}

#[test]
fn a_reload_brings_the_newer_token_where_systemd_can_and_the_old_one_stays_elsewhere() {
    on_each(|machine, package| {
        let scene = with_rule(machine, package);
        let lines = format!("RefreshOnReload=credentials\nExecReload={SHOW}\n");
        consumer(machine, CONSUMER, &["mail"], &lines);
        machine.does(&["systemctl", "start", CONSUMER]);
        let first = scene.token().token;
        assert_eq!(got(machine, "mail"), first);
        machine.does(&["tokenctl", "refresh", "mail"]);
        let second = scene.token().token;
        assert_ne!(second, first);
        let reload = ["systemctl", "reload", CONSUMER];
        machine.does(&reload);
        if machine.systemd() < REFRESHES {
            assert_eq!(got(machine, "mail"), first);
            return;
        }
        assert_eq!(got(machine, "mail"), second);

        // What is refused then fails the reload, and takes nothing away.
        scene.configure(&scene.mail(""));
        machine.does(&["systemctl", "reload", SERVICE]);
        assert!(!machine.run(&reload).status.success());
        assert_eq!(machine.property(CONSUMER, "ActiveState"), "active");
        scene.configure(&mail(&scene));
        machine.does(&["systemctl", "reload", SERVICE]);
        machine.does(&["tokenctl", "refresh", "mail"]);
        machine.does(&reload);
        assert_eq!(got(machine, "mail"), scene.token().token);
        assert_ne!(got(machine, "mail"), second);
    });
}

#[test]
fn whoever_is_not_the_service_manager_is_given_nothing_whatever_its_name() {
    on_each(|machine, package| {
        let scene = with_rule(machine, package);
        // Another pid namespace, as in a container: the kernel does not say which process it is.
        let far = machine.path(PATH);
        assert_eq!(ask(&far, CONSUMER, "mail"), Answer::Refused);
        says(&scene, "its process is in another pid namespace");

        // Root of the host, in no unit and in another one.
        machine.write(FORGER, ASKING);
        let forged = machine.does(&["perl", FORGER]);
        assert!(forged.parse::<usize>().unwrap() > 1024 * 1024, "{forged}");
        says(&scene, "it belongs to no unit");
        let command = ["systemd-run", "--wait", "--pipe", "--quiet", "--unit=forger.service"];
        let forged = machine.does(&[command.as_slice(), &["perl", FORGER]].concat());
        assert!(forged.parse::<usize>().unwrap() > 1024 * 1024, "{forged}");
        says(&scene, "it belongs to forger.service");
        // The same in the unit itself is what systemd does.
        let command = ["systemd-run", "--wait", "--pipe", "--quiet", "--unit", CONSUMER];
        let given = machine.does(&[command.as_slice(), &["perl", FORGER]].concat());
        assert_eq!(given, scene.token().token.len().to_string());

        // A user cannot connect; and if an administrator opens the socket, asks for nothing.
        let closed = said(&machine.run_as("alice", &["perl", FORGER]));
        assert!(closed.contains("Permission denied"), "{closed}");
        machine.does(&["chmod", "666", PATH]);
        let forged = said(&machine.run_as("alice", &["perl", FORGER]));
        assert!(forged.parse::<usize>().unwrap() > 1024 * 1024, "{forged}");
        let uid = machine.does(&["id", "--user", "alice"]);
        says(&scene, &format!("it is a process of uid {uid}"));
        assert!(!scene.journal().contains(&scene.token().token));
    });
}

/// The account `mail`, and a rule for the unit.
fn with_rule<'a>(machine: &'a Machine, package: &std::path::Path) -> Scene<'a> {
    let scene = Scene::with_mail(machine, package, &json!({}));
    scene.configure(&mail(&scene));
    machine.does(&["systemctl", "reload", SERVICE]);
    scene
}

fn mail(scene: &Scene<'_>) -> String {
    scene.mail("").replace("alice", &format!("unit:{CONSUMER}"))
}

/// A service that shows the credentials that it was given.
fn consumer(machine: &Machine, unit: &str, ids: &[&str], lines: &str) {
    let load = ids.iter().map(|id| format!("LoadCredential={id}:{PATH}\n")).collect::<String>();
    machine.write(
        &format!("/etc/systemd/system/{unit}"),
        &format!(
            "[Service]\nType=oneshot\nRemainAfterExit=yes\nUser=nobody\n{load}{lines}\
             RuntimeDirectory=consumer\nExecStart={SHOW}\n"
        ),
    );
    machine.does(&["systemctl", "daemon-reload"]);
}

/// What it was given.
fn got(machine: &Machine, id: &str) -> String {
    let shown = machine.run(&["cat", &format!("/run/consumer/{id}")]);
    assert!(shown.status.success(), "{}", said(&shown));
    String::from_utf8(shown.stdout).unwrap()
}

/// Waits until the service has recorded this.
fn says(scene: &Scene<'_>, wanted: &str) {
    let begin = Instant::now();
    while !scene.journal().contains(wanted) {
        assert!(begin.elapsed() < PATIENCE, "no {wanted}: {}", scene.journal());
    }
}
