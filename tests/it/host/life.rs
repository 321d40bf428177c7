//! The life of an account as the host's journal tells it, and one failure wherever it is to be
//! seen.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;
use tokenkeeper::message::Message;
use tokenkeeper::protocol::daemon::StatusView;
use tokenkeeper::protocol::error::ErrorBody;

use crate::support::PATIENCE;
use crate::support::http::Request;
use crate::support::http::connect;
use crate::support::process::Process;

use super::machine::Machine;
use super::on_each;
use super::scene::SERVICE;
use super::scene::Scene;

/// The longest that a failure may be unseen, in milliseconds.
const AT_ONCE: u64 = 1_000;

/// Follows what goes over the bus, with the time at which the bus had each.
const FOLLOW: &str = "exec busctl --json=short monitor >/root/messages 2>&1";

/// A call that changes nothing.
const LIST: [&str; 6] = [
    "busctl",
    "call",
    "org.tokenkeeper1",
    "/org/tokenkeeper1",
    "org.tokenkeeper1.Manager",
    "ListAccounts",
];

#[test]
fn the_journal_has_the_whole_life_of_an_account_and_explains_each_record() {
    on_each(|machine, package| {
        let scene = Scene::new(machine, package);
        let refresh_token = scene.idp.put("mail", &json!({}));
        // Where nothing rotates, none of the ten requests of a minute is kept for replays.
        let keys = scene.idp.keys("mail");
        scene.configure(&format!("[accounts.mail]\n{keys}rotation = \"none\"\n"));
        machine.does(&["systemctl", "reload", SERVICE]);
        live(&scene, &refresh_token);
        machine.does(&["systemctl", "restart", SERVICE]);
        machine.does(&["journalctl", "--sync"]);

        let records = scene.records();
        let is_told = |record: &&Value| !is_of_the_bus(record);
        let records = records.iter().skip_while(|it| it["TOKENKEEPER_ACCOUNT"].is_null());
        let records = records.filter(is_told).collect::<Vec<_>>();
        let rows = records.iter().map(|record| row(record)).collect::<Vec<_>>();
        insta::allow_duplicates! {
            insta::assert_snapshot!(rows.join("\n"), @r"
            6 token_changed fresh 1 - mail: token refreshed
            6 token_changed fresh 2 - mail: token refreshed
            4 refresh_failed waiting 2 PROVIDER_UNAVAILABLE mail: refresh failed: provider unavailable: HTTP 503
            4 refresh_failed frozen 2 CLIENT_REJECTED mail: refresh failed: client refused: invalid_client (scripted fault)
            3 alarm frozen 2 CLIENT_REJECTED mail: account needs attention: client refused: invalid_client (scripted fault)
            6 token_changed fresh 3 - mail: token refreshed
            5 recovered fresh 3 - mail: account recovered
            2 needs_login needs_login 3 NEEDS_LOGIN mail: the login is lost: a new login is needed: login_required (scripted fault)
            6 token_changed fresh 4 - mail: token refreshed
            5 recovered fresh 4 - mail: account recovered
            6 state_changed frozen 4 - mail: state changed: paused
            6 state_changed fresh 4 - mail: state changed: fresh
            6 stopping - - - stopping
            6 stopped - - - stopped
            6 ready - - - ready
            ");
        }

        for kind in records.iter().map(|record| kind(record)).collect::<BTreeSet<_>>() {
            let by_id = format!("MESSAGE_ID={}", kind.id());
            let command = ["journalctl", "--no-pager", "--catalog", "--lines=1", &by_id];
            let explained = machine.does(&command);
            for part in ["Subject: ", "Cause: ", "Remedy: ", "man:tokenkeeperd(8)"] {
                assert!(explained.contains(part), "{part} is missing:\n{explained}");
            }
            assert!(!explained.contains("@TOKENKEEPER"), "{explained}");
        }
    });
}

/// What was asked of the account and what came of it, before the daemon is restarted.
fn live(scene: &Scene<'_>, refresh_token: &str) {
    let away = json!({ "fault": { "fault": "status", "status": 503 } });
    let refused = json!({ "fault": "oauth", "error": "invalid_client", "status": 401 });
    let over = json!([{ "fault": "oauth", "error": "login_required" }]);
    let import = ["tokenctl", "import", "mail", "--refresh-token-file", "-"];
    let refresh = ["tokenctl", "refresh", "mail"];
    let machine = scene.machine;

    machine.does_with(&import, Some(refresh_token));
    machine.does(&refresh);
    scene.idp.patch("mail", &away);
    assert!(!machine.run(&refresh).status.success());
    scene.idp.patch("mail", &json!({ "fault": refused }));
    machine.does(&["tokenctl", "retry", "mail"]);
    until_state(scene, "frozen");
    scene.idp.patch("mail", &json!({ "fault": null }));
    machine.does(&["tokenctl", "retry", "mail"]);
    until_state(scene, "fresh");
    scene.idp.next("mail", &over);
    assert!(!machine.run(&refresh).status.success());
    machine.does_with(&import, Some(&scene.idp.mint("mail")));
    machine.does(&["tokenctl", "pause", "mail"]);
    machine.does(&["tokenctl", "resume", "mail"]);
}

#[test]
fn one_failure_is_seen_at_once_wherever_it_is_looked_for() {
    on_each(|machine, package| {
        let scene = Scene::with_mail(machine, package, &json!({}));
        let mut follower = machine.command(&["sh", "-c", FOLLOW]);
        let _follower = Process::start(follower.stdin(Stdio::null()));
        until_followed(machine, "ListAccounts", || {
            machine.does(&LIST);
        });
        let mut events = connect(&scene.socket()).unwrap();
        Request::get("/v1/events?account=mail").send(&mut events).unwrap();
        until_read(&mut events, "\r\n\r\n");

        let code = "CLIENT_REJECTED";
        let fault = json!([{ "fault": "oauth", "error": "invalid_client", "status": 401 }]);
        scene.idp.next("mail", &fault);
        let refused = Request::with("POST", "/v1/accounts/mail/refresh", "{}");
        let refused: ErrorBody = refused.on_socket(&scene.socket()).unwrap().json();
        let begin = Instant::now();

        // Who looks when the answer is there finds it.
        assert_eq!(refused.error_code.as_str(), code);
        let status = machine.does(&["tokenctl", "status"]);
        assert!(status.contains(code), "{status}");
        let view: StatusView =
            Request::get("/v1/status").on_socket(&scene.socket()).unwrap().success();
        assert_eq!(view.failing, 1);
        let metrics = Request::get("/metrics").on_socket(&scene.socket()).unwrap().body;
        let counted = format!("{{account=\"mail\",code=\"{code}\"}} 1\n");
        assert!(metrics.contains(&counted), "{metrics}");

        // Who is told has it at once, by the clocks of those who tell.
        let asked = scene.idp.last_asked_at("mail");
        let at_once = |told: u64, who: &str| {
            let after = told.checked_sub(asked).unwrap_or_else(|| panic!("{who} at {told}"));
            eprintln!("{who} has it after {after} ms");
            assert!(after <= AT_ONCE, "{who} has it after {after} ms");
        };
        machine.until(SERVICE, "StatusText", |text| text.contains("1 needs attention"));
        eprintln!(
            "the service manager was seen to have it {} ms later",
            begin.elapsed().as_millis()
        );
        let event = until_read(&mut events, "event: refresh_failed");
        assert!(event.contains(code) || until_read(&mut events, code).contains(code), "{event}");
        let signal = until_followed(machine, "\"RefreshFailed\"", || ());
        let signal: Value = serde_json::from_str(&signal).unwrap();
        assert_eq!(signal["payload"]["data"][1], code, "{signal}");
        at_once(signal["timestamp-realtime"].as_u64().unwrap() / 1_000, "the bus");
        machine.does(&["journalctl", "--sync"]);
        let records = scene.records();
        for wanted in [Message::RefreshFailed, Message::Alarm] {
            let record = records.iter().find(|it| kind(it) == wanted).unwrap();
            assert_eq!(record["TOKENKEEPER_CODE"], code, "{record}");
            let told = record["__REALTIME_TIMESTAMP"].as_str().unwrap().parse::<u64>().unwrap();
            at_once(told / 1_000, "the journal");
        }
    });
}

/// A record in one line, once it is known to be the service's.
fn row(record: &Value) -> String {
    let kind = kind(record);
    assert_eq!(record["MESSAGE_ID"], kind.id(), "{record}");
    assert_eq!(record["PRIORITY"], kind.priority().number().to_string(), "{record}");
    assert_eq!(
        (&record["_SYSTEMD_UNIT"], &record["_TRANSPORT"]),
        (&json!(SERVICE), &json!("journal"))
    );
    let of = |field: &str| record[format!("TOKENKEEPER_{field}")].as_str().unwrap_or("-");
    let (event, state, generation, code) = (of("EVENT"), of("STATE"), of("GENERATION"), of("CODE"));
    let (priority, message) = (kind.priority().number(), record["MESSAGE"].as_str().unwrap());
    format!("{priority} {event} {state} {generation} {code} {message}")
}

fn kind(record: &Value) -> Message {
    let event = record["TOKENKEEPER_EVENT"].as_str();
    event.and_then(Message::named).unwrap_or_else(|| panic!("{record}"))
}

/// The bus comes and goes by itself while a package is installed.
fn is_of_the_bus(record: &Value) -> bool {
    matches!(kind(record), Message::BusServed | Message::BusLost)
}

fn until_state(scene: &Scene<'_>, state: &str) {
    let begin = Instant::now();
    let wanted = format!("\"state\":\"{state}\"");
    loop {
        let reply = Request::get("/v1/accounts/mail").on_socket(&scene.socket()).unwrap();
        if reply.body.contains(&wanted) {
            return;
        }
        // Asking takes its time.
        assert!(begin.elapsed() < PATIENCE, "{}", reply.body);
    }
}

/// Waits for the first message with this in it, and does something before each look.
fn until_followed(machine: &Machine, wanted: &str, ask: impl Fn()) -> String {
    let begin = Instant::now();
    loop {
        ask();
        let text = fs::read_to_string(machine.path("/root/messages")).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        if let Some(line) = whole.lines().find(|line| line.contains(wanted)) {
            return line.to_owned();
        }
        assert!(begin.elapsed() < PATIENCE, "{wanted} is missing: {text}");
    }
}

/// Reads on until this has come, and returns what came.
fn until_read(stream: &mut UnixStream, wanted: &str) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&text).contains(wanted) {
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "it ended after {}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&piece[..length]);
    }
    String::from_utf8_lossy(&text).into_owned()
}
