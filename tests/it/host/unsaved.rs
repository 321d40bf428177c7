//! What the disk does not take outlives the daemon in systemd's descriptor store.

use std::time::Instant;

use serde_json::json;
use tokenkeeper::protocol::account::AccountView;

use crate::support::PATIENCE;
use crate::support::http::Request;
use crate::support::http::connect;
use crate::support::http::receive;
use crate::support::process::said;

use super::Machine;
use super::on_each;
use super::scene::SERVICE;
use super::scene::Scene;

/// Where the state lies.
const STATE: &str = "/var/lib/tokenkeeper";

/// The first systemd that knows `FileDescriptorStorePreserve=`.
const PRESERVING: u32 = 254;

/// What every start of the service is preceded by: a disk can turn read-only only while nothing is
/// open for writing.
const BEFORE: &str = "[ -e /run/read-only ] || exit 0
rm -f /var/lib/tokenkeeper/filler
exec mount -o remount,ro /var/lib/tokenkeeper
";

/// How a disk comes to take nothing, and to take something again.
struct Trouble {
    what: &'static str,
    begin: &'static str,
    end: &'static str,
    /// How a rekey ends meanwhile, and what it says.
    rekey: (i32, &'static str),
}

const TROUBLES: &[Trouble] = &[
    Trouble {
        what: "a full disk",
        begin: "cat /dev/zero >/var/lib/tokenkeeper/filler 2>/dev/null || true",
        end: "rm /var/lib/tokenkeeper/filler",
        rekey: (75, "(of mail), and they would be lost with the present key"),
    },
    Trouble {
        what: "a full disk that turns read-only",
        begin: "cat /dev/zero >/var/lib/tokenkeeper/filler 2>/dev/null || touch /run/read-only",
        end: "rm /run/read-only && mount -o remount,rw /var/lib/tokenkeeper",
        rekey: (74, "Read-only file system"),
    },
];

#[test]
fn kills_and_restarts_on_a_disk_that_takes_nothing_lose_no_refresh_token() {
    on_each(|machine, package| {
        let scene = Scene::new(machine, package);
        on_a_small_disk(&scene);
        for trouble in TROUBLES {
            let begin = Instant::now();
            outlives(&scene, trouble);
            eprintln!("{}: {:.1} s", trouble.what, begin.elapsed().as_secs_f32());
        }
        let totals = scene.idp.totals("mail");
        assert_eq!((totals.granted, totals.replays, totals.reuses), (5, 0, 0), "{totals:?}");
    });
}

fn outlives(scene: &Scene<'_>, trouble: &Trouble) {
    let machine = scene.machine;
    let before = account(scene).generation;
    scene.idp.hold("mail", true);
    let mut asking = connect(&scene.socket()).unwrap();
    let refresh = Request::get("/v1/accounts/mail/refresh?wait=60");
    Request { method: "POST", ..refresh }.send(&mut asking).unwrap();
    scene.idp.wait("mail", "held=1");
    machine.does(&["sh", "-c", trouble.begin]);
    scene.idp.release("mail");
    receive(asking).unwrap();
    let token = scene.token();
    assert_eq!((token.generation, token.unsaved), (before + 1, true), "{}", trouble.what);
    let message = account(scene).refresh_error.unwrap().message;
    assert!(message.contains("kept by the service manager over restarts"), "{message}");
    machine.until(SERVICE, "NFileDescriptorStore", |count| count == "1");

    let mut ends: Vec<&[&[&str]]> = vec![
        &[&["systemctl", "kill", "--signal=KILL", SERVICE]],
        &[&["systemctl", "restart", SERVICE]],
    ];
    if version(machine) >= PRESERVING {
        ends.push(&[&["systemctl", "stop", SERVICE], &["systemctl", "start", SERVICE]]);
    }
    for end in ends {
        let first = machine.property(SERVICE, "MainPID");
        for command in end {
            machine.does(command);
            if command.contains(&"stop") {
                let refused = machine.run(&["tokenctl", "rekey"]);
                let (status, why) = trouble.rekey;
                assert_eq!(refused.status.code(), Some(status), "{}", said(&refused));
                assert!(said(&refused).contains(why), "{}", said(&refused));
            }
        }
        machine.until(SERVICE, "MainPID", |pid| pid != "0" && pid != first);
        let again = scene.token();
        assert_eq!((again.generation, again.unsaved), (token.generation, true), "{end:?}");
        assert!(again.token == token.token, "{end:?}");
        assert_eq!(machine.property(SERVICE, "NFileDescriptorStore"), "1", "{end:?}");
    }

    machine.does(&["sh", "-c", trouble.end]);
    let begin = Instant::now();
    while account(scene).unsaved {
        // Its changes can be followed over the socket of one daemon only.
        assert!(begin.elapsed() < PATIENCE, "{:#?}\n{}", account(scene), scene.journal());
    }
    machine.until(SERVICE, "NFileDescriptorStore", |count| count == "0");
    machine.does(&["tokenctl", "refresh", "mail"]);
    assert_eq!(account(scene).generation, token.generation + 1);
}

/// Puts the state on a file system of its own, small and in memory, with one account.
fn on_a_small_disk(scene: &Scene<'_>) {
    let machine = scene.machine;
    // A stop waits for the disk.
    let drop_in = "[Service]\nTimeoutStopSec=3s\nExecStartPre=+/bin/sh /root/before\n";
    machine.write("/root/before", BEFORE);
    machine.write("/etc/systemd/system/tokenkeeper.service.d/short.conf", drop_in);
    machine.does(&["systemctl", "daemon-reload"]);
    machine.does(&["systemctl", "stop", SERVICE]);
    let options = "size=4m,mode=0700,uid=tokenkeeper,gid=tokenkeeper";
    machine.does(&["mount", "-t", "tmpfs", "-o", options, "tmpfs", STATE]);
    let behaviour = json!({ "lifetime_secs": 3600, "rotation": { "grace_secs": 0 } });
    let refresh_token = scene.idp.put("mail", &behaviour);
    scene.configure(&scene.mail("rotation = \"strict\"\n"));
    machine.does(&["useradd", "alice"]);
    machine.does(&["systemctl", "start", SERVICE]);
    let import = ["tokenctl", "import", "mail", "--refresh-token-file", "-"];
    machine.does_with(&import, Some(&refresh_token));
}

fn account(scene: &Scene<'_>) -> AccountView {
    Request::get("/v1/accounts/mail").on_socket(&scene.socket()).unwrap().success()
}

fn version(machine: &Machine) -> u32 {
    let told = machine.does(&["systemctl", "--version"]);
    let number = told.split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}
