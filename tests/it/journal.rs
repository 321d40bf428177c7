//! The log as others find it: the journal's records of an account's life, a journal that is not
//! there, and a log that nobody reads.
//!
//! The journal is played by the test. Its socket has one place on every host, so the daemon runs in
//! a mount namespace of its own, in which the test's socket is there.

use std::collections::BTreeMap;
use std::fs;
use std::io::PipeReader;
use std::io::Read as _;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::thread::JoinHandle;

use rustix::fs::OFlags;
use rustix::fs::fcntl_getfl;
use rustix::fs::fcntl_setfl;
use rustix::fs::fstat;
use rustix::process::Signal;
use serde_json::json;
use tokenkeeper::message::Message;

use crate::support::PATIENCE;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::idp::Idp;
use crate::support::process::Process;
use crate::support::process::await_any;
use crate::support::process::run;
use crate::support::process::said;
use crate::support::skipped;

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

    let records = journal.end();
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
    fs::remove_file(journal.directory.path().join("socket")).unwrap();
    let mut daemon = Daemon::new(&Config::default());
    let stream = journal.stream();
    daemon.begin_as(journal.around(&daemon), stream);
    daemon.stop();
    let mut text = String::new();
    let mut reader = &journal.reader;
    drop(journal.writer);
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "<6>ready accounts=0\n<6>stopping\n<6>stopped\n");
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
    let mut text = String::new();
    drop(journal.writer);
    (&journal.reader).read_to_string(&mut text).unwrap();
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

/// A record, field by field.
type Record = BTreeMap<String, String>;

/// The journal as the daemon finds it.
struct Journal {
    directory: tempfile::TempDir,
    reading: Option<JoinHandle<Vec<Record>>>,
    /// What the service manager would have connected standard error to.
    writer: UnixStream,
    reader: UnixStream,
}

impl Journal {
    /// Begins to take records; nothing where the host allows no namespaces.
    fn play() -> Option<Self> {
        let mut probe = Command::new("unshare");
        let probe = run(probe.args(["--user", "--map-root-user", "--mount", "true"]), None);
        if !probe.status.success() {
            skipped(&format!("no mount namespace is to be had: {}", said(&probe)));
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("socket")).unwrap();
        let reading = Some(thread::spawn(move || taken(&socket)));
        let (writer, reader) = UnixStream::pair().unwrap();
        Some(Self { directory, reading, writer, reader })
    }

    fn stream(&self) -> OwnedFd {
        self.writer.try_clone().unwrap().into()
    }

    /// The daemon's command, in a namespace where this is the journal.
    fn around(&self, daemon: &Daemon) -> Command {
        const INSIDE: &str = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
                              mount --bind \"$0\" /run/systemd/journal && exec \"$@\"";

        let stream = fstat(&self.writer).unwrap();
        let there: &Path = self.directory.path();
        let inner = daemon.command();
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", INSIDE]).arg(there);
        command.arg(inner.get_program()).args(inner.get_args());
        command.env_remove("CREDENTIALS_DIRECTORY");
        command.env("JOURNAL_STREAM", format!("{}:{}", stream.st_dev, stream.st_ino));
        command
    }

    /// All records, once the daemon has said its last.
    fn end(&mut self) -> Vec<Record> {
        self.reading.take().unwrap().join().unwrap()
    }
}

/// Takes records until the one of the daemon's end.
fn taken(socket: &UnixDatagram) -> Vec<Record> {
    let mut records = Vec::new();
    let mut datagram = vec![0; 64 * 1024];
    while await_any(&[socket.as_fd()], PATIENCE).is_some() {
        let length = socket.recv(&mut datagram).unwrap();
        let text = std::str::from_utf8(&datagram[..length]).unwrap();
        let fields = text.lines().map(|line| line.split_once('=').unwrap());
        let record = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let record = record.collect::<Record>();
        let last = record.get("MESSAGE_ID") == Some(&Message::Stopped.id());
        records.push(record);
        if last {
            return records;
        }
    }
    panic!("the daemon never ended: {records:#?}")
}
