//! `tokenctl rekey` and `tokenctl init` on real files, and what a kill at any step leaves behind.
//! They become `tokenkeeperd`, which lies beside `tokenctl`.
//!
//! What takes a systemd, the sealed credential itself, is under `host`.

use std::fs;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::process::Output;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use serde_json::Value;
use tempfile::TempDir;
use tokenkeeper::envelope;
use tokenkeeper::envelope::Identities;
use tokenkeeper::store::Change;
use tokenkeeper::store::TokenStore as _;
use tokenkeeper::store::sqlite::Place;
use tokenkeeper::store::sqlite::Sqlite;
use tokenkeeper::token::Secret;

use crate::daemon::forgiving;
use crate::daemon::with_mail;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::process::run;
use crate::support::process::said;
use crate::support::skipped;

/// System calls that change a file. Between two of them nothing changes that a kill could leave
/// behind, so a kill at the beginning of each leaves everything that any kill can.
pub(crate) const STEPS: &[&str] = &[
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "mkdir",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
];

/// Secrets in the store that is killed: enough for several pages.
const SECRETS: usize = 60;

#[test]
fn a_rekey_that_is_killed_at_any_step_leaves_a_store_that_opens_and_the_next_one_ends_it() {
    if run_if_there(Command::new("strace").arg("--version")).is_none() {
        skipped("no strace, which kills at a system call");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let original = home.path().join("original");
    fill(&original);
    let mut kills = 0;
    for step in STEPS {
        for count in 1.. {
            let copy = private(home.path(), "copy");
            configure(copy.path());
            copied(&original, &copy.path().join("state"));
            let when = format!("{step} {count}");
            let mut killed = Command::new("strace");
            killed.args(kill_at(step, count)).arg(env!("CARGO_BIN_EXE_tokenctl"));
            let ended = run(killed.args(rekey(copy.path())), None);
            check(&copy.path().join("state"), None, &when);
            if !was_killed(&ended) {
                assert!(ended.status.success(), "{when}: {}", said(&ended));
                break;
            }
            kills += 1;
            let mut next = Command::new(env!("CARGO_BIN_EXE_tokenctl"));
            let next = run(next.args(rekey(copy.path())), None);
            assert!(next.status.success(), "{when}: {}", said(&next));
            check(&copy.path().join("state"), None, &format!("{when}, ended"));
            let key = fs::read_to_string(copy.path().join("state/store.key")).unwrap();
            assert_eq!(key.lines().count(), 1, "{when}: the old key is still there");
        }
    }
    eprintln!("{kills} kills");
    assert!(kills > 30, "only {kills} steps were there to be killed at");
}

#[test]
fn a_rekeyed_store_serves_on_and_its_recovery_copy_brings_the_key_back() {
    let (idp, mut daemon) = with_mail(&forgiving());
    let before = daemon.token("mail", "").unwrap();
    let identity = Identity::generate();
    let recipient = identity.to_public().to_string();
    let config = daemon.path("config.toml");
    let copy = daemon.path("key.age");
    let rekey = ["rekey", "--config", config.to_str().unwrap()];
    let held = daemon.tokenctl(&rekey);
    assert_eq!(held.status.code(), Some(75), "{}", said(&held));
    let stop = "systemctl stop 'tokenkeeper*.socket' tokenkeeper;";
    assert!(said(&held).contains(stop), "{}", said(&held));

    daemon.stop();
    let old = fs::read(daemon.path("state/store.key")).unwrap();
    let options = ["--recovery-recipient", &recipient, "--recovery-output"];
    let arguments = [&rekey[..], &options, &[copy.to_str().unwrap()]].concat();
    let told = daemon.tokenctl_does(&arguments, None);
    assert!(told.contains("Keep it off this machine"), "{told}");
    assert_ne!(fs::read(daemon.path("state/store.key")).unwrap(), old);
    daemon.begin();
    let after = daemon.token("mail", "").unwrap();
    assert_eq!((after.generation, &after.token), (before.generation, &before.token));
    assert_eq!(idp.totals("mail").requests, 1, "nothing was spent");
    daemon.stop();

    fs::remove_file(daemon.path("state/store.key")).unwrap();
    let lost = run(&mut daemon.command(), None);
    assert_eq!(lost.status.code(), Some(78), "{}", said(&lost));
    assert!(said(&lost).contains("recovery copy"), "{}", said(&lost));
    let keys = Identities::parse(identity.to_string().expose_secret()).unwrap();
    let sealed = fs::read(&copy).unwrap();
    let opened = envelope::open(&sealed, &keys).unwrap();
    daemon.write("state/store.key", std::str::from_utf8(&opened).unwrap());
    daemon.begin();
    assert_eq!(daemon.token("mail", "").unwrap().token, after.token);
}

#[test]
fn a_dry_run_changes_nothing_and_programs_read_what_was_done() {
    let (_idp, mut daemon) = with_mail(&forgiving());
    daemon.stop();
    let config = daemon.path("config.toml");
    let key = || fs::read(daemon.path("state/store.key")).unwrap();
    let before = key();
    let rekey = ["--json", "rekey", "--config", config.to_str().unwrap()];
    let told = daemon.tokenctl_does(&[&rekey[..], &["--dry-run"]].concat(), None);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["outcome"], "planned");
    assert_eq!(key(), before);

    let told: Value = serde_json::from_str(&daemon.tokenctl_does(&rekey, None)).unwrap();
    assert_eq!((&told["outcome"], &told["tally"]["broken"]), (&"rekeyed".into(), &0.into()));
    assert!(told["tally"]["sound"].as_u64().unwrap() > 0, "{told}");
    assert_ne!(key(), before);
}

#[test]
fn what_cannot_be_done_to_a_key_is_refused_in_words() {
    let daemon = Daemon::new(&Config::default());
    let config = daemon.path("config.toml");
    let config = config.to_str().unwrap();
    let identity = Identity::generate().to_string();
    #[rustfmt::skip]
    let cases: &[(&[&str], i32, &str)] = &[
        (&["rekey", "--config", config],                                       2, "there is no store yet"),
        (&["rekey", "--config", "absent.toml"],                               78, "there is no configuration"),
        (&["rekey", "--config", config, "--recovery-output", "x"],             2, "needs --recovery-recipient"),
        (&["rekey", "--config", config, "--recovery-recipient", "age1"],       2, "--recovery-recipient number 1: expected"),
        (&["rekey", "--config", config, "--recovery-recipient", identity.expose_secret()],
                                                                               2, "it is an identity, which opens"),
        (&["--user", "init"],                                                  2, "its store key stays a file"),
    ];
    for (arguments, status, part) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenctl"));
        command.args(*arguments).env("XDG_RUNTIME_DIR", daemon.home());
        let refused = run(&mut command, None);
        let said = said(&refused);
        assert_eq!(refused.status.code(), Some(*status), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
        assert!(!said.contains(identity.expose_secret()), "{said}");
    }
    assert!(!daemon.path("state").exists(), "nothing was made");
}

/// A client may be installed alone, and what somebody puts into the search path is not run.
#[test]
fn without_the_daemons_program_there_is_no_work_on_a_key_and_none_is_looked_for() {
    let home = tempfile::tempdir().unwrap();
    let [alone, found] = ["alone", "found"].map(|name| home.path().join(name));
    for directory in [&alone, &found] {
        fs::create_dir(directory).unwrap();
    }
    let client = alone.join("tokenctl");
    fs::copy(env!("CARGO_BIN_EXE_tokenctl"), &client).unwrap();
    symlink("/bin/true", found.join("tokenkeeperd")).unwrap();
    if Path::new("/usr/bin/tokenkeeperd").exists() {
        skipped("the package is installed here, and its program would be run");
        return;
    }
    for arguments in [&["rekey"][..], &["--json", "rekey"]] {
        let refused = run(Command::new(&client).args(arguments).env("PATH", &found), None);
        assert_eq!(refused.status.code(), Some(71), "{}", said(&refused));
        let part = "/usr/bin/tokenkeeperd, which works on the store key, cannot be run";
        assert!(said(&refused).contains(part), "{}", said(&refused));
    }
}

#[test]
fn what_is_refused_of_a_key_is_json_for_programs_and_quiet_hides_what_is_done() {
    let (_idp, mut daemon) = with_mail(&forgiving());
    daemon.stop();
    let config = daemon.path("config.toml");
    let config = config.to_str().unwrap();
    let said_nothing = daemon.tokenctl_does(&["--quiet", "rekey", "--config", config], None);
    assert_eq!(said_nothing, "");

    let refused = daemon.tokenctl(&["--json", "rekey", "--config", "absent.toml"]);
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    let body: Value = serde_json::from_slice(&refused.stderr).unwrap();
    assert_eq!(body["error_code"], "CONFIG_INVALID", "{body}");
    assert_eq!(body["remedy"], "reconfigure", "{body}");
}

/// Makes a store with secrets in it.
pub(crate) fn fill(state: &Path) {
    make_private(state);
    let mut store = opened(state, None);
    let put = |number| Change::PutSecret { slot: slot(number), secret: Secret::new(value(number)) };
    let answers = store.write((0..SECRETS).map(put).collect());
    assert!(answers.iter().all(Result::is_ok));
}

/// Opens a copy of the store as a daemon would, and finds everything in it.
pub(crate) fn check(state: &Path, credentials: Option<&Path>, when: &str) {
    let copy = private(state.parent().unwrap(), "checked");
    copied(state, &copy.path().join("state"));
    let mut store = opened(&copy.path().join("state"), credentials);
    for number in 0..SECRETS {
        let secret = store.secret(&slot(number)).unwrap();
        assert_eq!(secret.unwrap().expose(), value(number), "{when}");
    }
}

/// Options of strace that kill what it runs when it begins its `count`th such call.
pub(crate) fn kill_at(step: &str, count: u32) -> [String; 7] {
    let inject = format!("inject={step}:signal=KILL:when={count}");
    let trace = format!("trace={step}");
    ["-qq".into(), "-o".into(), "/dev/null".into(), "-e".into(), trace, "-e".into(), inject]
}

/// Whether it ended by that. strace ends as what it ran.
pub(crate) fn was_killed(ended: &Output) -> bool {
    ended.status.signal().is_some() || ended.status.code() == Some(137)
}

/// Writes the configuration of a daemon whose state is in `home`.
pub(crate) fn configure(home: &Path) {
    fs::write(home.join("config.toml"), Config::default().text(home)).unwrap();
    fs::set_permissions(home.join("config.toml"), Permissions::from_mode(0o600)).unwrap();
}

fn opened(state: &Path, credentials: Option<&Path>) -> Sqlite {
    let (database, credentials) = (state.join("state.db"), credentials.map(Path::to_owned));
    Sqlite::open(&Place { database, credentials, boot_id: "boot".into() })
        .unwrap_or_else(|refused| panic!("{refused}"))
}

fn slot(number: usize) -> String {
    format!("mail.s{number}")
}

fn value(number: usize) -> String {
    format!("{number} ").repeat(100)
}

fn rekey(home: &Path) -> [String; 4] {
    let config = home.join("config.toml").display().to_string();
    ["--quiet".into(), "rekey".into(), "--config".into(), config]
}

/// A copy of a directory of files.
pub(crate) fn copied(from: &Path, to: &Path) {
    make_private(to);
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A directory for the owner alone.
pub(crate) fn private(home: &Path, name: &str) -> TempDir {
    let mode = Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix(name).permissions(mode).tempdir_in(home).unwrap()
}

fn make_private(directory: &Path) {
    fs::create_dir(directory).unwrap();
    fs::set_permissions(directory, Permissions::from_mode(0o700)).unwrap();
}

fn run_if_there(command: &mut Command) -> Option<()> {
    match command.output() {
        Ok(_) => Some(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    }
}
