//! The log as others find it: the journal's records of an account's life, a journal that is not
//! there, and a log that nobody reads.

use std::collections::BTreeMap;
use std::io::PipeReader;
use std::io::Read as _;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::thread;

use rustix::fs::OFlags;
use rustix::fs::fcntl_getfl;
use rustix::fs::fcntl_setfl;
use rustix::process::Signal;
use serde_json::json;
use tokenkeeper::message::Message;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::idp::Idp;
use crate::support::journal::Journal;
use crate::support::process::Process;

const CATALOG: &str = include_str!("../../packaging/journal/tokenkeeper.catalog");
const PAGE: &str = include_str!("../../packaging/man/tokenkeeperd.8");

/// What stands for the account in the catalogue.
const ACCOUNT: &str = "@TOKENKEEPER_ACCOUNT@";

#[test]
fn the_journal_tells_the_whole_life_of_an_account() {
    let Some(mut journal) = Journal::play() else { return };
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &json!({}));
    // Where nothing rotates, none of the ten requests of a minute is kept for replays.
    let keys = idp.keys("mail") + "rotation = \"none\"\n";
    let mut daemon = Daemon::new(&Config::default().account("mail", &keys));
    daemon.begin_as(journal.around(&daemon), journal.stream());
    let refused = json!([{ "fault": "oauth", "error": "invalid_client", "status": 401 }]);
    let over = json!([{ "fault": "oauth", "error": "login_required" }]);
    let away = json!([{ "fault": "status", "status": 429 }, { "fault": "status", "status": 429 }]);

    let retried = |state: &str| {
        assert_eq!(daemon.order("mail", "retry").status, 200);
        daemon.until("mail", state, |view| view.state == state);
    };
    daemon.import("mail", &refresh_token);
    idp.next("mail", &away);
    daemon.order("mail", "refresh");
    retried("waiting");
    retried("fresh");
    idp.next("mail", &refused);
    daemon.order("mail", "refresh");
    retried("fresh");
    idp.next("mail", &over);
    daemon.order("mail", "refresh");
    daemon.import("mail", &idp.mint("mail"));
    daemon.order("mail", "pause");
    daemon.stop();

    let records = journal.end().iter().map(|it| fields(it)).collect::<Vec<_>>();
    let rows = records.iter().map(|record| {
        let of = |field: &str| record.get(&format!("TOKENKEEPER_{field}")).map_or("-", |it| it);
        let kind = Message::named(of("EVENT")).unwrap_or_else(|| panic!("{record:?}"));
        assert_eq!(record["MESSAGE_ID"], kind.id());
        assert_eq!(record["SYSLOG_IDENTIFIER"], "tokenkeeperd");
        for field in record.keys().filter(|field| field.starts_with("TOKENKEEPER_")) {
            assert!(PAGE.contains(&format!(".It Li {field}\n")), "{field} is not in the manual");
        }
        let (event, state, generation) = (of("EVENT"), of("STATE"), of("GENERATION"));
        format!(
            "{} {event} {state} {generation} {} {}",
            record["PRIORITY"],
            of("CODE"),
            record["MESSAGE"]
        )
    });
    insta::assert_snapshot!(rows.collect::<Vec<_>>().join("\n"), @r"
    6 ready - - - ready
    6 token_changed fresh 1 - mail: token refreshed
    4 refresh_failed waiting 1 PROVIDER_UNAVAILABLE mail: refresh failed: provider asks for patience: HTTP 429
    6 token_changed fresh 2 - mail: token refreshed
    5 recovered fresh 2 - mail: account recovered
    4 refresh_failed frozen 2 CLIENT_REJECTED mail: refresh failed: client refused: invalid_client (scripted fault)
    3 alarm frozen 2 CLIENT_REJECTED mail: account needs attention: client refused: invalid_client (scripted fault)
    6 token_changed fresh 3 - mail: token refreshed
    5 recovered fresh 3 - mail: account recovered
    2 needs_login needs_login 3 NEEDS_LOGIN mail: the login is lost: a new login is needed: login_required (scripted fault)
    6 token_changed fresh 4 - mail: token refreshed
    5 recovered fresh 4 - mail: account recovered
    6 state_changed frozen 4 - mail: state changed: paused
    6 stopping - - - stopping
    6 stopped - - - stopped
    ");
}

#[test]
fn a_journal_that_is_not_there_gets_lines_on_the_stream() {
    let Some(journal) = Journal::play() else { return };
    journal.is_gone();
    let mut daemon = Daemon::new(&Config::default());
    let stream = journal.stream();
    daemon.begin_as(journal.around(&daemon), stream);
    daemon.stop();
    assert_eq!(journal.end_of_stream(), "<6>ready accounts=0\n<6>stopping\n<6>stopped\n");
}

#[test]
fn each_message_is_explained_with_its_cause_and_its_remedy() {
    let entries = CATALOG.split("\n-- ").skip(1).collect::<Vec<_>>();
    let ids = entries.iter().map(|entry| entry.lines().next().unwrap().to_owned());
    assert_eq!(ids.collect::<Vec<_>>(), Message::ALL.iter().map(|it| it.id()).collect::<Vec<_>>());
    for entry in entries {
        for line in ["\nSubject: ", "\nDefined-By: tokenkeeper\n", "\n\nCause: ", "\n\nRemedy: "] {
            assert_eq!(entry.matches(line).count(), 1, "{line:?} in {entry}");
        }
        // What a record has not would stand there as it is.
        let fields = entry.split('@').skip(1).step_by(2);
        assert!(fields.into_iter().all(|field| field == "TOKENKEEPER_ACCOUNT"), "{entry}");
    }
}

#[test]
fn the_page_of_the_daemon_tells_each_message_as_the_catalogue_does() {
    let subjects = CATALOG.lines().filter_map(|line| line.strip_prefix("Subject: "));
    let rows = Message::ALL.iter().zip(subjects).map(|(message, subject)| {
        let (name, priority) = (message.as_str(), message.priority().as_str());
        let subject = match subject.strip_prefix(ACCOUNT) {
            Some(rest) => format!("An account{rest}"),
            None => subject.replace(ACCOUNT, "an account"),
        };
        format!(".It Sy {name} Pq {priority}\n{subject}.\n.br\n.Li {}\n", message.id())
    });
    let (_, rest) = PAGE.split_once(".Ss Messages\n").unwrap();
    let (_, list) = rest.split_once(".Bl -tag -width Ds\n").unwrap();
    let (list, _) = list.split_once(".El\n").unwrap();
    assert_eq!(list, rows.collect::<String>());
}

/// Each account has a client of its own, so that none of them waits for another to find out.
#[test]
fn an_outage_of_many_accounts_is_some_lines_and_a_number() {
    const ACCOUNTS: usize = 120;

    let mut config = Config::default();
    for number in 0..ACCOUNTS {
        let keys = "grant = \"client_credentials\"\ntoken_endpoint = \"http://127.0.0.1:1/token\"";
        let name = format!("storm-{number}");
        config = config.account(&name, &format!("client_id = \"{name}\"\n{keys}\n"));
    }
    let mut daemon = Daemon::start(&config);
    for number in 0..ACCOUNTS {
        let name = format!("storm-{number}");
        daemon.until(&name, "failed", |view| view.refresh_error.is_some());
    }
    daemon.stop();

    let log = daemon.log();
    assert_eq!(log.matches("\"event\":\"refresh_failed\"").count(), 20, "{log}");
    let rest = format!("\"count\":{}", ACCOUNTS - 20);
    let sum = log.lines().filter(|line| line.contains("\"event\":\"more_alike\""));
    let sum = sum.collect::<Vec<_>>();
    assert!(sum.len() == 1 && sum[0].contains(&rest), "{sum:?}");
}

/// A datagram whose sender has ended belongs to no unit.
#[test]
fn a_refusal_to_start_is_on_the_stream_of_the_unit() {
    let Some(journal) = Journal::play() else { return };
    let daemon = Daemon::new(&Config::default().daemon("log = \"loud\""));
    let mut process = Process::start(
        journal.around(&daemon).stdin(Stdio::null()).stderr(Stdio::from(journal.stream())),
    );
    assert_eq!(process.ended().code(), Some(78));
    let text = journal.end_of_stream();
    assert!(text.lines().all(|line| line.starts_with("<3>")), "{text}");
    assert!(text.contains("daemon.log"), "{text}");
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up_and_tells_later_what_was_lost() {
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &json!({ "rotation": {} }));
    let config = Config::default().daemon("log = \"debug\"").account("mail", &idp.keys("mail"));
    let mut daemon = Daemon::new(&config);
    let (mut reader, writer) = full_pipe();
    let command = daemon.command();
    daemon.begin_as(command, writer);

    daemon.import("mail", &refresh_token);
    daemon.order("mail", "refresh");
    assert_eq!(daemon.token("mail", "").unwrap().generation, 2);
    // Each of these is a record of some hundred bytes.
    for _ in 0..5_000 {
        let mut stream = UnixStream::connect(daemon.path("api.sock")).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    }
    daemon.order("mail", "refresh");
    assert_eq!(daemon.token("mail", "").unwrap().generation, 3);

    let reading = thread::spawn(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    daemon.stop();
    let text = reading.join().unwrap();
    let lost = text.lines().filter(|line| line.contains("\"event\":\"records_lost\""));
    assert_eq!(lost.count(), 1, "{text}");
    // Lighter records gave way to these.
    for part in ["\"event\":\"ready\"", "\"generation\":3", "\"event\":\"stopped\""] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}

#[test]
fn a_daemon_whose_log_nobody_reads_ends_all_the_same() {
    let mut daemon = Daemon::new(&Config::default());
    let (reader, writer) = full_pipe();
    let command = daemon.command();
    daemon.begin_as(command, writer);
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success());
    drop(reader);
}

/// A pipe that takes no byte more.
fn full_pipe() -> (PipeReader, OwnedFd) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(b"\n").is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer.into())
}

/// What a record has, field by field.
fn fields(record: &[u8]) -> BTreeMap<String, String> {
    let text = std::str::from_utf8(record).unwrap();
    let fields = text.lines().map(|line| line.split_once('=').unwrap());
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
