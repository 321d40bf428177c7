//! Rules by unit, against a service manager that says what a test wants it to say.

use std::fs;
use std::fs::Permissions;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::process::Stdio;
use std::thread;

use crate::support::bus::Bus;
use crate::support::bus::MANAGER;
use crate::support::bus::Manager;
use crate::support::bus::NAME;
use crate::support::bus::ROOT;
use crate::support::bus::Says;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::idp::Idp;
use crate::support::process::Process;
use crate::support::process::said;
use crate::support::skipped;

use super::access::NOBODY;
use super::access::as_nobody;
use super::forgiving;

#[test]
fn what_the_service_manager_says_decides_at_every_door_and_no_peer_is_guessed_about() {
    let Some(stage) = stage() else { return };
    #[rustfmt::skip]
    let cases = [
        (Says::Unit("backup.service"),  true),
        (Says::Unit("backup.scope"),    false),
        (Says::Older("backup.service"), true),
        (Says::Older("other.service"),  false),
        (Says::Outside,                 false),
    ];
    for (says, expected) in cases {
        stage.manager.says(says);
        let got = as_nobody(&stage.daemon, &["get", "mail"]);
        let code = if expected { 0 } else { 77 };
        assert_eq!(got.status.code(), Some(code), "{says:?}: {}", said(&got));
        let call = ["call", NAME, ROOT, MANAGER, "GetToken", "sa{sv}", "mail", "0"];
        let Some(got) = stage.bus.busctl(NOBODY, &call) else { return };
        assert_eq!(got.status.success(), expected, "{says:?}: {}", said(&got));
        if !expected {
            assert!(said(&got).contains("no right `read` on it"), "{says:?}: {}", said(&got));
        }
    }
    let log = stage.daemon.log();
    assert!(log.contains("allow = [{ user = 65534, unit = 'backup.scope', rights ="), "{log}");
}

#[test]
fn who_asks_for_what_no_rule_by_unit_decides_is_not_asked_about() {
    let Some(stage) = stage() else { return };
    assert!(stage.manager.was_left_alone());
    as_nobody(&stage.daemon, &["get", "open"]);
    assert!(stage.manager.was_left_alone(), "a rule by user lets it in");
    stage.daemon.token("mail", "").unwrap();
    assert!(stage.manager.was_left_alone(), "root may do everything");
    as_nobody(&stage.daemon, &["get", "mail"]);
    assert!(!stage.manager.was_left_alone());
}

#[test]
fn whoami_and_access_tell_the_unit_or_why_there_is_none() {
    let Some(stage) = stage() else { return };
    let whoami = || said(&as_nobody(&stage.daemon, &["whoami"]));
    stage.manager.says(Says::Unit("backup.service"));
    let told = whoami();
    assert!(told.contains(", unit backup.service\n") && told.contains("mail: read"), "{told}");
    stage.manager.says(Says::Outside);
    let told = whoami();
    assert!(told.contains(", no unit: it belongs to no unit\n"), "{told}");

    let question = ["access", "mail", "--uid", "65534", "--unit", "backup.service"];
    let told = stage.daemon.tokenctl_does(&question, None);
    assert!(told.starts_with("uid 65534 in backup.service on mail: read, report\n"), "{told}");
}

#[test]
fn a_daemon_that_is_on_no_bus_asks_about_units_all_the_same() {
    let Some(stage) = stage_with("dbus = \"off\"") else { return };
    for (says, code) in [(Says::Unit("backup.service"), 0), (Says::Outside, 77)] {
        stage.manager.says(says);
        let got = as_nobody(&stage.daemon, &["get", "mail"]);
        assert_eq!(got.status.code(), Some(code), "{says:?}: {}", said(&got));
    }
    assert!(!stage.bus.client().is_served());
}

#[test]
fn a_silent_manager_is_recorded_once_and_holds_nobody_else_up() {
    let Some(stage) = stage() else { return };
    let Stage { daemon, manager, .. } = &stage;
    manager.says(Says::Nothing);
    thread::scope(|scope| {
        let unlucky = scope.spawn(|| as_nobody(daemon, &["get", "mail"]));
        manager.is_asked();
        let lucky = as_nobody(daemon, &["get", "open"]);
        assert_eq!(lucky.status.code(), Some(0), "{}", said(&lucky));
        assert!(!unlucky.is_finished(), "the others waited for it");
        let refused = unlucky.join().unwrap();
        assert_eq!(refused.status.code(), Some(77));
        assert!(said(&refused).contains("did not answer in time"), "{}", said(&refused));
    });
    assert_eq!(as_nobody(daemon, &["get", "mail"]).status.code(), Some(77));
    let record = "rules that name a unit let nobody in: the service manager did not answer";
    daemon.logs(record);
    assert_eq!(daemon.log().matches(record).count(), 1);
    manager.says(Says::Unit("backup.service"));
    assert_eq!(as_nobody(daemon, &["get", "mail"]).status.code(), Some(0));
}

#[test]
fn the_unit_of_a_process_that_has_ended_is_nobodys_even_when_its_number_is_taken_again() {
    let Some(stage) = stage() else { return };
    if Command::new("perl").arg("-v").stdout(Stdio::null()).status().is_err() {
        return skipped("perl is not installed");
    }
    stage.manager.says(Says::Unit("backup.service"));
    let mut connected = Command::new("perl");
    connected.args(["-e", HEIR]).arg(stage.daemon.path("api.sock"));
    connected.current_dir("/").uid(NOBODY).gid(NOBODY);
    connected.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut connected = connected.spawn().unwrap();
    let mut heir = connected.stdin.take().unwrap();
    let mut answers = BufReader::new(connected.stdout.take().unwrap());
    let mut line = String::new();
    answers.read_line(&mut line).unwrap();
    let number = line.trim().parse::<u32>().unwrap();
    assert!(connected.wait().unwrap().success());
    let _taken = take_number(number);

    heir.write_all(b"\n").unwrap();
    let mut answer = String::new();
    answers.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("its process has ended"), "{answer}");
}

/// Connects, asks for what takes no unit, says which process it is and ends; its child asks for
/// more on the same connection when it is told to.
const HEIR: &str = r#"
use IO::Socket::UNIX;
$| = 1;
my $socket = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die;
syswrite $socket, "GET /v1/accounts/open/token HTTP/1.1\r\n\r\n";
sysread $socket, my $answer, 65536;
my $first = $$;
if (fork) { exit 0 }
print "$first\n";
<STDIN>;
syswrite $socket, "GET /v1/accounts/mail/token HTTP/1.1\r\nConnection: close\r\n\r\n";
print while <$socket>;
"#;

/// Has another process take a number that is free, where the kernel lets the next one be chosen.
fn take_number(number: u32) -> Option<Process> {
    /// Others start processes as well.
    const TRIES: usize = 50;

    for _ in 0..TRIES {
        fs::write("/proc/sys/kernel/ns_last_pid", (number - 1).to_string()).ok()?;
        let process = Process::start(Command::new("sleep").arg("600"));
        if process.id() == number {
            return Some(process);
        }
    }
    None
}

/// A bus with a service manager, and a daemon on it with three accounts: one for a unit, one for
/// a user, one for nobody.
struct Stage {
    bus: Bus,
    manager: Manager,
    daemon: Daemon,
    _idp: Idp,
}

fn stage() -> Option<Stage> {
    let stage = stage_with("")?;
    stage.bus.client().until_served();
    Some(stage)
}

/// The same, with a line about the daemon.
fn stage_with(line: &str) -> Option<Stage> {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can ask as another user");
        return None;
    }
    let bus = Bus::start()?;
    let manager = bus.manager();
    let idp = Idp::start();
    let unit = format!("allow = [{{ unit = \"backup.service\", user = \"{NOBODY}\" }}]\n");
    let user = format!("allow = [\"{NOBODY}\"]\n");
    let config = Config::default()
        .daemon(line)
        .account("mail", &(idp.keys("mail") + &unit))
        .account("open", &(idp.keys("open") + &user))
        .account("closed", &idp.keys("closed"));
    let mut daemon = Daemon::new(&config).with_bus(&bus.address());
    daemon.begin();
    for account in ["mail", "open", "closed"] {
        daemon.import(account, &idp.put(account, &forgiving()));
    }
    fs::set_permissions(daemon.home(), Permissions::from_mode(0o711)).unwrap();
    Some(Stage { bus, manager, daemon, _idp: idp })
}
