//! Holds the manual pages and the unit to the code, so that neither drifts from it.
//!
//! Reading order: the unit, then the pages, then what reads them. What begins a verb, an
//! option, a key, a code or a state in a page is told by the comment at the page's top.
//!
//! Tools that a host may lack are asked where they are; where they are not, that is said
//! past the capture of the test harness, and with `CI=true` it is a failure.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers below are tests as well: what they do not find fails the test"
)]

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::process::Command;
use std::time::Duration;

use tokenkeeper::activation;
use tokenkeeper::budget;
use tokenkeeper::error::code::Code;
use tokenkeeper::hook::Hook;
use tokenkeeper::hooks;
use tokenkeeper::limits;
use tokenkeeper::pacing;
use tokenkeeper::plan::Rotation;
use tokenkeeper::programs;
use tokenkeeper::provider;
use tokenkeeper::schedule;
use tokenkeeper::snapshot::StateName;

use crate::support::skipped;

const UNIT: &str = include_str!("../../systemd/tokenkeeper.service");
const SOCKET: &str = include_str!("../../systemd/tokenkeeper-api.socket");
const CREDENTIAL: &str = include_str!("../../systemd/tokenkeeper-credential.socket");
const USER_UNIT: &str = include_str!("../../systemd/user/tokenkeeper.service");
const USER_SOCKET: &str = include_str!("../../systemd/user/tokenkeeper-api.socket");
const USER_CREDENTIAL: &str = include_str!("../../systemd/user/tokenkeeper-credential.socket");
const EXAMPLE: &str = include_str!("../../config.example.toml");
const TOKENCTL: &str = include_str!("../../packaging/man/tokenctl.1");
const TOKENKEEPER_TOML: &str = include_str!("../../packaging/man/tokenkeeper.toml.5");
const TOKENKEEPER_EXEC: &str = include_str!("../../packaging/man/tokenkeeper-exec.7");
const TOKENKEEPERD: &str = include_str!("../../packaging/man/tokenkeeperd.8");

/// Keys of a unit of which each further line adds to the ones before.
const ADDING_UP: &[&str] = &["SystemCallFilter"];

/// Keys that systemd 252 does not know, and says so, and passes over.
const NEWER: &[&str] = &["FileDescriptorStorePreserve"];

/// Programs that the units name and a build machine has not.
const INSTALLED: &[&str] =
    &["/usr/bin/tokenkeeperd", "/usr/bin/tokenctl", "/usr/local/lib/tokenkeeper/hook"];

#[test]
fn the_unit_grants_what_the_daemon_counts_on() {
    let unit = assignments(UNIT);
    let of = |key: &str| unit.iter().find_map(|(name, value)| (*name == key).then_some(*value));
    assert_eq!(of("LimitNOFILE"), Some(&*limits::FILE_DESCRIPTORS.to_string()));
    assert_eq!(of("FileDescriptorStoreMax"), Some(&*limits::KEPT_FILES.to_string()));
    assert_eq!(of("MemoryMax"), Some(&*format!("{}M", limits::MEMORY_MAX / (1024 * 1024))));
    let tasks = limits::OWN_TASKS + programs::AT_A_TIME * limits::TASKS_OF_A_PROGRAM;
    assert_eq!(of("TasksMax"), Some(&*tasks.to_string()));
    let refusing = limits::BLOCKED_WRITE.as_secs() * limits::CREDENTIALS_TURNED_AWAY as u64;
    let patience = of("TimeoutStartSec").and_then(|span| span.strip_suffix('s')).unwrap();
    assert!(refusing < patience.parse().unwrap(), "{refusing} s");
    // The daemon outlives a hook that takes too much memory.
    assert_eq!(of("OOMPolicy"), Some("continue"));
    assert_eq!(
        of("RestartPreventExitStatus"),
        Some(&*Code::ConfigInvalid.exit_status().to_string())
    );
}

#[test]
fn the_socket_is_the_one_that_the_daemon_knows_and_tokenctl_looks_for() {
    let socket = assignments(SOCKET);
    let of = |key: &str| socket.iter().find_map(|(name, value)| (*name == key).then_some(*value));
    assert_eq!(of("FileDescriptorName"), Some(activation::API));
    assert_eq!(of("SocketMode"), Some(&*format!("{:04o}", limits::SOCKET_MODE)));
    let path = of("ListenStream").unwrap();
    assert!(EXAMPLE.contains(&format!("#socket = \"{path}\"")), "{path}");
    let unit = assignments(UNIT);
    assert!(unit.contains(&("Sockets", "tokenkeeper-api.socket tokenkeeper-credential.socket")));
}

#[test]
fn the_socket_for_credentials_is_the_one_that_the_daemon_knows_and_the_manual_names() {
    let socket = assignments(CREDENTIAL);
    let of = |key: &str| socket.iter().find_map(|(name, value)| (*name == key).then_some(*value));
    assert_eq!(of("FileDescriptorName"), Some(activation::CREDENTIAL));
    assert_eq!(of("SocketMode"), Some(&*format!("{:04o}", limits::CREDENTIAL_MODE)));
    assert_eq!(of("Service"), Some("tokenkeeper.service"));
    let path = of("ListenStream").unwrap();
    for text in [TOKENKEEPERD, TOKENKEEPER_TOML, EXAMPLE] {
        assert!(text.contains(path), "{path}");
    }
    let user = assignments(USER_CREDENTIAL);
    for pair in [
        ("FileDescriptorName", activation::CREDENTIAL),
        ("ListenStream", "%t/tokenkeeper/credential.sock"),
        ("SocketMode", "0600"),
    ] {
        assert!(user.contains(&pair), "{pair:?}");
    }
}

/// What a user manager has no say in is left out there: its sandbox, and the host's user.
#[test]
fn the_unit_of_one_user_runs_the_same_daemon_in_the_same_way() {
    let (host, user) = (assignments(UNIT), assignments(USER_UNIT));
    let [host_of, user_of] = [&host, &user].map(|unit| {
        |key: &str| unit.iter().find_map(|(name, value)| (*name == key).then_some(*value))
    });
    assert_eq!(user_of("ExecStart"), Some("/usr/bin/tokenkeeperd --user"));
    #[rustfmt::skip]
    let same = [
        "BusName", "FileDescriptorStoreMax", "FileDescriptorStorePreserve", "KillMode", "LimitCORE", "LimitNOFILE", "MemoryHigh", "MemoryMax", "MemorySwapMax",
        "NotifyAccess", "OOMPolicy", "Restart", "RestartPreventExitStatus", "RestartSec", "RuntimeDirectory",
        "RuntimeDirectoryPreserve", "Sockets", "StartLimitIntervalSec", "TasksMax",
        "TimeoutStartSec", "TimeoutStopSec", "Type", "UMask", "WatchdogSec",
    ];
    for key in same {
        assert!(host_of(key).is_some() && host_of(key) == user_of(key), "{key}");
    }
    let socket = assignments(USER_SOCKET);
    assert!(socket.contains(&("ListenStream", "%t/tokenkeeper/api.sock")));
    assert!(socket.contains(&("FileDescriptorName", activation::API)));
}

/// A call starts the daemon where somebody enabled it, and nowhere else.
#[test]
fn a_bus_starts_the_daemon_by_the_name_that_enabling_its_unit_makes() {
    let system = include_str!("../../packaging/dbus/org.tokenkeeper1.service");
    let session = include_str!("../../packaging/dbus/session/org.tokenkeeper1.service");
    for (file, unit) in [(system, UNIT), (session, USER_UNIT)] {
        let (file, unit) = (assignments(file), assignments(unit));
        assert!(file.contains(&("Name", "org.tokenkeeper1")), "{file:?}");
        let starts =
            file.iter().find_map(|(key, value)| (*key == "SystemdService").then_some(value));
        assert!(starts.is_some_and(|name| unit.contains(&("Alias", name))), "{file:?}");
        // Without a service manager nothing is to be started at all.
        assert!(file.contains(&("Exec", "/bin/false")), "{file:?}");
    }
}

/// A daemon that is killed in an exchange may lose a login.
///
/// What is before an exchange, its gate and its secrets, is ended by the stop: tests of the
/// supervisor hold that. What a group of processes leaves behind is killed without waiting.
#[test]
fn a_stop_waits_longer_than_the_longest_exchange() {
    /// For an intent that is on its way when the stop comes, and for what the exchange brings.
    const TO_THE_DISK: Duration = Duration::from_secs(10);

    let unit = assignments(UNIT);
    let (_, stop) = unit.iter().find(|(key, _)| *key == "TimeoutStopSec").unwrap();
    let stop = tokenkeeper::time::parse_span(stop).unwrap();
    let exchange = Rotation::Strict.exchange_timeout();
    // The programs of an exchange get their grace before it ends.
    let attempt = TO_THE_DISK + exchange + programs::GRACE + programs::GONE + TO_THE_DISK;
    let farewell = hooks::FAREWELL + limits::GRACE;
    assert!(stop >= attempt + farewell, "{stop:?} is less than {attempt:?} and {farewell:?}");
}

#[test]
fn no_key_of_the_unit_stands_twice() {
    let mut seen = BTreeSet::new();
    for (key, value) in assignments(UNIT) {
        assert!(seen.insert(key) || ADDING_UP.contains(&key), "{key}={value} stands twice");
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units_but_that_their_programs_are_not_installed() {
    for (manager, folder) in [("--system", "systemd"), ("--user", "systemd/user")] {
        let units = units_of(folder);
        let units = units.iter().map(String::as_str).collect::<Vec<_>>();
        let command = [&["verify", "--man=no", manager], units.as_slice()].concat();
        let Some(said) = output_if_there("systemd-analyze", &command) else {
            return;
        };
        let absent =
            |line: &&str| INSTALLED.iter().any(|path| line.contains(&not_executable(path)));
        let newer = |line: &&str| NEWER.iter().any(|key| line.contains(&unknown(key)));
        let complaints = said.lines().filter(|line| !absent(line) && !newer(line));
        let complaints = complaints.collect::<Vec<_>>();
        assert_eq!(complaints, [""; 0], "{folder}");
    }
}

#[test]
fn the_page_of_tokenctl_names_every_verb_and_every_option_and_no_others() {
    assert_eq!(verbs_of_page(TOKENCTL), verbs_of_program());
}

#[test]
fn the_page_of_tokenctl_tells_every_error_code_with_its_statuses() {
    let line = |code: &Code| {
        let (exit, http) = (code.exit_status(), code.http_status());
        format!("{} Pq exit {exit}, HTTP {http}", code.as_str())
    };
    let codes = Code::ALL.iter().map(line).collect::<BTreeSet<_>>();
    let told = items(TOKENCTL, "Er").map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(told.len(), codes.len(), "a code stands twice");
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), codes);

    let statuses = Code::ALL.iter().map(|code| code.exit_status().to_string());
    let exits = section(TOKENCTL, ".Sh EXIT STATUS");
    for status in statuses {
        assert!(exits.contains(&format!(".It {status}\n")), "{status}");
    }
}

#[test]
fn the_page_of_the_configuration_names_every_key_and_no_others() {
    assert_eq!(keys_of_page(TOKENKEEPER_TOML), keys_of_example());
}

/// Scripts count on these names.
#[test]
fn the_page_of_the_configuration_names_every_variable_of_a_hook_and_no_others() {
    let code = include_str!("../../src/hooks/call.rs").split('"');
    let set = code.filter(|word| word.starts_with("TOKENKEEPER_")).collect::<BTreeSet<_>>();
    let told = items(TOKENKEEPER_TOML, "Ev").filter(|name| name.starts_with("TOKENKEEPER_"));
    assert_eq!(told.collect::<BTreeSet<_>>(), set);
    assert!(set.len() > 10, "{set:?}");
}

#[test]
fn the_numbers_about_hooks_are_those_of_the_code() {
    let page = TOKENKEEPER_TOML.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentences = [
        format!("default is .Ql \\(dq{}s\\(dq", Hook::TIMEOUT.as_secs()),
        format!("the most is .Ql \\(dq{}s\\(dq", Hook::LONGEST_TIMEOUT.as_secs()),
        format!("of a gate .Ql \\(dq{}s\\(dq", Hook::LONGEST_GATE.as_secs()),
        format!("at most {} hooks", limits::HOOKS),
        format!("{} seconds", hooks::FAREWELL.as_secs()),
        format!("At most {} programs run at a time", programs::AT_A_TIME),
        format!("At most {} gates are asked at a time", pacing::GATES),
        format!("{} of them about attempts with one client", pacing::GATES_PER_ROUTE),
    ];
    for sentence in sentences {
        assert!(page.contains(&sentence), "{sentence}");
    }
}

#[test]
fn the_page_of_the_daemon_names_every_option_and_no_others() {
    let help = output(env!("CARGO_BIN_EXE_tokenkeeperd"), &["--help"]);
    let told = items(TOKENKEEPERD, "Fl").flat_map(long_options).collect::<BTreeSet<_>>();
    assert_eq!(told, options_of_help(&help));
}

#[test]
fn the_page_of_the_daemon_tells_every_exit_status_of_the_help() {
    let help = output(env!("CARGO_BIN_EXE_tokenkeeperd"), &["--help"]);
    let (_, line) = help.split_once("Exit status: ").unwrap();
    let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let statuses = words.split("; ").map(|item| item.split(' ').next().unwrap());
    let statuses = statuses.collect::<Vec<_>>();
    assert!(statuses.contains(&"2") && statuses.contains(&"78"), "{statuses:?}");
    let page = section(TOKENKEEPERD, ".Sh EXIT STATUS");
    for status in statuses {
        assert!(page.contains(&format!(".It {status}\n")), "{status}");
    }
}

#[test]
fn the_page_of_the_daemon_explains_every_state() {
    let states = section(TOKENKEEPERD, ".Sh STATES OF AN ACCOUNT");
    let list = states.split("\n.Ss ").next().unwrap();
    let told = items(list, "Sy").collect::<Vec<_>>();
    assert_eq!(told, StateName::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>());
}

#[test]
fn the_numbers_in_the_page_of_the_daemon_are_those_of_the_code() {
    let page = TOKENKEEPERD.split_whitespace().collect::<Vec<_>>().join(" ");
    let [first, second, third] = schedule::SUSPECT_PROBES.map(|pause| pause.as_secs() / 60);
    let thousands = limits::CONNECTIONS / 1000;
    #[rustfmt::skip]
    let sentences = [
        format!("{thousands},000 connections, half of them for one user"),
        format!("{} KiB for the head of a request", limits::HEAD / 1024),
        format!("{} KiB for its body", limits::BODY / 1024),
        format!("{} refreshes and reports in a second", limits::REFRESHES_PER_SECOND),
        format!("{} units may wait for credentials", limits::CREDENTIALS),
        format!("at most {} requests in a minute", budget::REQUESTS_PER_MINUTE),
        format!("at most {} refreshes of it in five minutes", budget::FORCED_PER_FIVE_MINUTES),
        format!("At most {} exchanges", pacing::IN_FLIGHT),
        format!("{} of them with one client at one host", pacing::IN_FLIGHT_PER_ROUTE),
        format!("after {first} minute, {second} minutes and {} hour", third / 60),
        format!("leaves the bus, or after {} minutes", limits::BUS_CONSENT.as_secs() / 60),
        format!("after 1 second to {} minutes", schedule::LONGEST_BACKOFF.as_secs() / 60),
    ];
    for sentence in sentences {
        assert!(page.contains(&sentence), "{sentence}");
    }
}

#[test]
fn the_numbers_in_the_page_of_programs_are_those_of_the_code() {
    let page = TOKENKEEPER_EXEC.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(programs::GRACE.as_secs(), 2);
    #[rustfmt::skip]
    let sentences = [
        format!("more than {} KiB of it", provider::call::MAX_ANSWER / 1024),
        format!("At most {} programs run at a time", programs::AT_A_TIME),
        "gets SIGTERM and two seconds later SIGKILL".to_owned(),
    ];
    for sentence in sentences {
        assert!(page.contains(&sentence), "{sentence}");
    }
}

#[test]
fn the_pages_are_mdoc_without_a_warning() {
    for page in [
        "tokenctl.1",
        "tokenkeeper-exec.7",
        "tokenkeeper-providers.7",
        "tokenkeeper.toml.5",
        "tokenkeeperd.8",
    ] {
        let path = format!("{}/packaging/man/{page}", env!("CARGO_MANIFEST_DIR"));
        if let Some(said) = output_if_there("mandoc", &["-Tlint", "-W", "warning", &path]) {
            assert_eq!(said, "");
        }
    }
}

/// The units of a folder, as paths.
fn units_of(folder: &str) -> Vec<String> {
    let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path().to_str().unwrap().to_owned());
    let is_unit =
        |path: &String| [".service", ".socket", ".path"].iter().any(|it| path.ends_with(it));
    let mut units = paths.filter(is_unit).collect::<Vec<_>>();
    units.sort();
    assert!(!units.is_empty());
    units
}

/// Every `KEY=VALUE` of a unit, in its order.
fn assignments(unit: &str) -> Vec<(&str, &str)> {
    unit.lines().filter(|line| !line.starts_with('#')).filter_map(|it| it.split_once('=')).collect()
}

fn unknown(key: &str) -> String {
    format!("Unknown key '{key}' in section [Service], ignoring")
}

fn not_executable(path: &str) -> String {
    format!("Command {path} is not executable: No such file or directory")
}

/// Options by verb; those of every verb stand under the empty name.
type Verbs = BTreeMap<String, BTreeSet<String>>;

fn verbs_of_page(page: &str) -> Verbs {
    let mut verbs = Verbs::from([(String::new(), BTreeSet::new())]);
    let mut verb = String::new();
    for line in page.lines() {
        if let Some(item) = line.strip_prefix(".It Cm ") {
            let words = item.split(' ').take_while(|word| !is_macro(word));
            verb = words.collect::<Vec<_>>().join(" ");
            assert_eq!(verbs.insert(verb.clone(), BTreeSet::new()), None, "{verb} stands twice");
        } else if let Some(item) = line.strip_prefix(".It Fl ") {
            verbs.entry(verb.clone()).or_default().extend(long_options(item));
        }
    }
    verbs
}

fn verbs_of_program() -> Verbs {
    let top = tokenctl("--help");
    let mut verbs = Verbs::from([(String::new(), options_of_help(&top))]);
    for verb in listed(&top) {
        let help = tokenctl(&format!("{verb} --help"));
        match help.split_once("Commands:\n") {
            None => {
                verbs.insert(verb, own_options(&help));
            }
            Some((_, commands)) => {
                for inner in listed(commands) {
                    let leaf = format!("{verb} {inner}");
                    let options = own_options(&tokenctl(&format!("{leaf} --help")));
                    verbs.insert(leaf, options);
                }
            }
        }
    }
    verbs
}

fn tokenctl(arguments: &str) -> String {
    let arguments = arguments.split(' ').collect::<Vec<_>>();
    output(env!("CARGO_BIN_EXE_tokenctl"), &arguments)
}

/// The verbs of a page of help: `  VERB    what it does`.
fn listed(help: &str) -> Vec<String> {
    let rows = help.lines().filter_map(|line| line.strip_prefix("  ")?.split_once("  "));
    let verbs = rows
        .map(|(verb, _)| verb)
        .filter(|verb| !verb.is_empty() && verb.bytes().all(|byte| byte.is_ascii_lowercase()));
    verbs.map(str::to_owned).collect()
}

/// What a verb takes besides the options of every verb.
fn own_options(help: &str) -> BTreeSet<String> {
    let own = help.split("Options of every verb").next().unwrap_or_default();
    let mut options = options_of_help(own);
    options.remove("help");
    options
}

fn options_of_help(help: &str) -> BTreeSet<String> {
    let rows = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let name = |row: &str| {
        let word = row.split([' ', ',']).find_map(|word| word.strip_prefix("--"));
        word.unwrap_or_else(|| panic!("no long option: {row}")).to_owned()
    };
    rows.map(name).collect()
}

/// The long options of an item: `-json`, or `q , -quiet`.
fn long_options(item: &str) -> impl Iterator<Item = String> {
    item.split(' ').filter_map(|word| word.strip_prefix('-')).map(str::to_owned)
}

/// Keys by table.
type Keys = BTreeMap<&'static str, BTreeSet<String>>;

fn keys_of_page(page: &str) -> Keys {
    let mut keys = Keys::new();
    let mut table = None;
    for line in page.lines() {
        if let Some(title) = line.strip_prefix(".Ss ").or_else(|| line.strip_prefix(".Sh ")) {
            table = table_of(title);
        } else if let (Some(table), Some(key)) = (table, line.strip_prefix(".It Ic ")) {
            let new = keys.entry(table).or_default().insert(key.to_owned());
            assert!(new, "{key} stands twice");
        }
    }
    keys
}

fn keys_of_example() -> Keys {
    let mut keys = Keys::new();
    let mut table = None;
    for line in EXAMPLE.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('[') {
            table = table_of(line);
        } else if let (Some(table), Some((key, _))) = (table, line.split_once(" = "))
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            keys.entry(table).or_default().insert(key.to_owned());
        }
    }
    keys
}

/// The kind of table that a heading begins.
fn table_of(heading: &str) -> Option<&'static str> {
    let known = [
        ("[daemon]", "daemon"),
        ("[accounts.", "accounts"),
        ("[[hooks]]", "hooks"),
        // Of what an account has tables of, hooks are all.
        ("[[accounts.", "hooks"),
        ("[[listen]]", "listen"),
    ];
    known.into_iter().find_map(|(begin, table)| heading.starts_with(begin).then_some(table))
}

/// What stands behind `.It MACRO` in each item of a page.
fn items<'a>(page: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let begin = format!(".It {name} ");
    page.lines().filter_map(move |line| line.strip_prefix(&begin))
}

/// A section of a page, to the next one.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(heading).unwrap_or_else(|| panic!("no {heading}"));
    rest.split("\n.Sh ").next().unwrap_or_default()
}

/// Whether a word is a macro of mdoc(7).
fn is_macro(word: &str) -> bool {
    word.len() == 2 && word.starts_with(|first: char| first.is_ascii_uppercase())
}

/// All that a program says, on both outputs.
fn output(program: &str, arguments: &[&str]) -> String {
    run(program, arguments).unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// All that a program says; `None` if the host has none of that name.
fn output_if_there(program: &str, arguments: &[&str]) -> Option<String> {
    match run(program, arguments) {
        Ok(said) => Some(said),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            skipped(&format!("{program} is not installed, so it was not asked"));
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

#[allow(clippy::disallowed_methods, reason = "what these tests ask is a program")]
fn run(program: &str, arguments: &[&str]) -> io::Result<String> {
    // The width of a terminal changes where lines of help break, and a manager of a user's units
    // wants to know where that user's sockets would be.
    let output = Command::new(program)
        .args(arguments)
        .env("COLUMNS", "100")
        .env("XDG_RUNTIME_DIR", std::env::temp_dir())
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&said).into_owned())
}
