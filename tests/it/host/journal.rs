//! What the journal of the host has of the daemon, and what the daemon does when the journal is
//! stuck.

use std::io::Write as _;
use std::os::unix::net::UnixStream;

use serde_json::Value;
use serde_json::json;
use tokenkeeper::message::Message;

use super::on_each;
use super::scene::SERVICE;
use super::scene::Scene;

/// Connections that break off.
const BROKEN: usize = 1_500;

const JOURNALD: &str = "systemd-journald.service";

#[test]
fn records_are_found_by_their_fields_and_explained() {
    on_each(|machine, package| {
        let _scene = Scene::with_mail(machine, package, &json!({}));
        machine.does(&["journalctl", "--sync"]);
        let found = machine.does(&[
            "journalctl",
            "--no-pager",
            "--output=json",
            "TOKENKEEPER_ACCOUNT=mail",
            "TOKENKEEPER_EVENT=token_changed",
        ]);
        let record: Value = serde_json::from_str(found.lines().next().unwrap()).unwrap();
        let id = Message::TokenChanged.id();
        #[rustfmt::skip]
        let fields = [
            ("MESSAGE",                "mail: token refreshed"),
            ("MESSAGE_ID",             &id),
            ("PRIORITY",               "6"),
            ("SYSLOG_IDENTIFIER",      "tokenkeeperd"),
            ("TOKENKEEPER_GENERATION", "1"),
            ("_SYSTEMD_UNIT",          SERVICE),
            ("_TRANSPORT",             "journal"),
        ];
        for (field, value) in fields {
            assert_eq!(record[field], value, "{field} of {record}");
        }
        let by_id = format!("MESSAGE_ID={id}");
        let explained = machine.does(&["journalctl", "--no-pager", "--catalog", &by_id]);
        for part in ["mail has a new token", "Cause: ", "Remedy: "] {
            assert!(explained.contains(part), "{part} is missing:\n{explained}");
        }
    });
}

#[test]
fn a_journal_that_is_stuck_holds_nothing_up_and_has_everything_afterwards() {
    on_each(|machine, package| {
        let scene = Scene::with_mail(machine, package, &json!({}));
        scene.configure(&format!("[daemon]\nlog = \"debug\"\n{}", scene.mail("")));
        machine.does(&["tokenctl", "reload"]);
        machine.does(&["systemctl", "kill", "--signal=STOP", JOURNALD]);
        // Each of these is a record, and the journal's socket holds some hundred.
        for _ in 0..BROKEN {
            let mut stream = UnixStream::connect(scene.socket()).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        }
        machine.does(&["tokenctl", "refresh", "mail"]);
        assert_eq!(scene.token().generation, 2);
        machine.does(&["systemctl", "kill", "--signal=CONT", JOURNALD]);
        machine.does(&["systemctl", "stop", SERVICE]);
        machine.does(&["journalctl", "--sync"]);
        let journal = scene.journal();
        assert_eq!(journal.matches("a connection ended early").count(), BROKEN, "{journal}");
        assert_eq!(journal.matches("mail: token refreshed").count(), 2, "{journal}");
        assert!(!journal.contains("were lost"), "{journal}");
    });
}
