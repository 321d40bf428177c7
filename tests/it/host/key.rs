//! The store key as a sealed credential, from the package's first key file to the way back.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use rustix::fs::CWD;
use rustix::fs::Mode;
use rustix::fs::mkfifoat;
use serde_json::json;
use tempfile::TempDir;
use tokenkeeper::envelope;
use tokenkeeper::envelope::Identities;

use crate::keys;
use crate::support::process::Process;
use crate::support::process::run;
use crate::support::process::said;
use crate::support::skipped;

use super::built;
use super::machine::Machine;
use super::on_each;
use super::scene::SERVICE;
use super::scene::SOCKET;
use super::scene::Scene;

const KEY_FILE: &str = "/var/lib/tokenkeeper/store.key";
const CREDENTIAL: &str = "/etc/credstore.encrypted/tokenkeeper.store-key";
const TOKENCTL: &str = env!("CARGO_BIN_EXE_tokenctl");
const COPY: &str = "/root/key.age";

#[test]
fn a_store_passes_from_its_key_file_to_a_sealed_credential_and_to_the_next_one() {
    on_each(|machine, package| {
        let scene = Scene::with_mail(machine, package, &json!({}));
        let before = scene.token();
        let identity = Identity::generate();
        let recipient = identity.to_public().to_string();
        let doctor = || said(&machine.run(&["tokenctl", "doctor"]));
        let advice = "systemctl stop 'tokenkeeper*.socket' tokenkeeper && tokenctl init";
        assert!(doctor().contains(advice), "{}", doctor());
        let as_bob = machine.run_as("bob", &["tokenctl", "init"]);
        assert_eq!(as_bob.status.code(), Some(77), "{}", said(&as_bob));
        let held = machine.run(&["tokenctl", "init"]);
        assert_eq!(held.status.code(), Some(75), "{}", said(&held));
        let order = "systemctl stop 'tokenkeeper*.socket' tokenkeeper;";
        assert!(said(&held).contains(order), "{}", said(&held));
        assert!(!machine.path(CREDENTIAL).exists());

        stop(machine);
        let planned = machine.does(&["tokenctl", "init", "--dry-run"]);
        assert!(planned.contains("its key file would be removed"), "{planned}");
        let copying = ["--recovery-recipient", &recipient, "--recovery-output", COPY];
        let told = machine.does(&[&["tokenctl", "init"][..], &copying].concat());
        assert!(told.contains("sealed to this machine"), "{told}");
        assert!(!machine.path(KEY_FILE).exists());
        start(machine);
        let after = scene.token();
        assert_eq!((after.generation, &after.token), (before.generation, &before.token));
        assert!(!doctor().contains("store key"), "{}", doctor());
        let again = machine.does(&["tokenctl", "init"]);
        assert!(again.starts_with("All is done"), "{again}");

        stop(machine);
        let told = machine.does(&[&["tokenctl", "rekey"][..], &copying].concat());
        assert!(told.contains(&format!("lies in {CREDENTIAL}")), "{told}");
        start(machine);
        assert_eq!(scene.token().token, before.token);
        assert_eq!(scene.idp.totals("mail").requests, 1, "nothing was spent");

        a_lost_credential_is_told_and_comes_back_out_of_its_copy(&scene, &identity);
    });
}

fn a_lost_credential_is_told_and_comes_back_out_of_its_copy(
    scene: &Scene<'_>,
    identity: &Identity,
) {
    let machine = scene.machine;
    let held = scene.token();
    stop(machine);
    fs::remove_file(machine.path(CREDENTIAL)).unwrap();
    assert!(!machine.run(&["systemctl", "start", SERVICE]).status.success());
    assert_eq!(machine.property(SERVICE, "ExecMainStatus"), "78");
    assert!(scene.journal().contains("its store key is missing"), "{}", scene.journal());

    // One that was sealed under another name is one that systemd refuses, and says so.
    let other = ["systemd-creds", "encrypt", "--name=other", "-", CREDENTIAL];
    machine.does_with(&other, Some("no key"));
    let refused = machine.run(&["tokenctl", "init"]);
    assert_eq!(refused.status.code(), Some(71), "{}", said(&refused));
    machine.does(&["systemctl", "reset-failed", SERVICE]);
    assert!(!machine.run(&["systemctl", "start", SERVICE]).status.success());
    assert_eq!(machine.property(SERVICE, "ExecMainStatus"), "243");
    assert!(scene.journal().contains("Failed to set up credentials"), "{}", scene.journal());
    stop(machine);

    let keys = Identities::parse(identity.to_string().expose_secret()).unwrap();
    let sealed = fs::read(machine.path(COPY)).unwrap();
    let opened = envelope::open(&sealed, &keys).unwrap();
    let name = "--name=tokenkeeper.store-key";
    let text = std::str::from_utf8(&opened).unwrap();
    machine.does_with(&["systemd-creds", "encrypt", name, "-", CREDENTIAL], Some(text));
    start(machine);
    assert_eq!(scene.token().token, held.token);

    stop(machine);
    let told = machine.does(&["tokenctl", "rekey"]);
    assert!(told.starts_with("An interrupted rekey is finished"), "{told}");
    start(machine);
    assert_eq!(scene.token().token, held.token);
}

#[test]
fn a_secret_reaches_the_daemon_by_the_two_steps_of_the_manual() {
    on_each(|machine, package| {
        let scene = Scene::new(machine, package);
        let name = "tokenkeeper.secret.boiler";
        let path = format!("/etc/credstore.encrypted/{name}");
        machine.does(&["install", "-d", "-m", "0700", "/etc/credstore.encrypted"]);
        let encrypt = ["systemd-creds", "encrypt", &format!("--name={name}"), "-", &path];
        machine.does_with(&encrypt, Some("hush\n"));
        let lines = format!("[Service]\nLoadCredentialEncrypted={name}\n");
        machine.write("/etc/systemd/system/tokenkeeper.service.d/override.conf", &lines);
        machine.does(&["systemctl", "daemon-reload"]);
        machine.does(&["systemctl", "restart", SERVICE]);
        let passed = machine.does(&["cat", &format!("/run/credentials/{SERVICE}/{name}")]);
        assert_eq!(passed, "hush");
        drop(scene);
    });
}

/// The credential's form of what `keys` does to a key file, with the systemd-creds of this host.
#[test]
fn no_kill_at_any_step_costs_a_store_its_sealed_key() {
    if built().is_none() {
        skipped("the host layer is not asked for");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let original = home.path().join("original");
    keys::fill(&original);
    let mut kills = 0;
    for verb in ["init", "rekey"] {
        for step in keys::STEPS {
            for count in 1.. {
                let place = Apart::new(home.path());
                keys::copied(&original, &place.state());
                if verb == "rekey" {
                    place.does(&[TOKENCTL, "--quiet", "init"]);
                }
                let when = format!("{verb} {step} {count}");
                let options = keys::kill_at(step, count);
                let options = options.iter().map(String::as_str);
                let killed = ["strace"].into_iter().chain(options).chain([TOKENCTL, verb]);
                let ended = place.run(&killed.collect::<Vec<_>>());
                place.check(&when);
                if !keys::was_killed(&ended) {
                    assert!(ended.status.success(), "{when}: {}", said(&ended));
                    break;
                }
                kills += 1;
                place.does(&[TOKENCTL, verb]);
                place.check(&format!("{when}, ended"));
                assert!(!place.state().join("store.key").exists(), "{when}");
                assert_eq!(place.credential().unwrap().lines().count(), 1, "{when}");
            }
        }
    }
    eprintln!("{kills} kills");
    assert!(kills > 100, "only {kills} steps were there to be killed at");
}

/// Mounts of its own, in which nothing of this host's credentials is touched.
struct Apart {
    home: TempDir,
    holder: Process,
}

impl Apart {
    fn new(home: &Path) -> Self {
        /// `$1` is a directory, in which lies what is written to two others of the host. It says a
        /// word when it is done, and stays. A key of the host on a tmpfs is refused, so it is none.
        const HOLD: &str = r#"
            set -e
            mount -t tmpfs tmpfs "$1/upper"
            over() {
                mkdir "$1/upper/$2" "$1/upper/$2.work"
                mount -t overlay -o "lowerdir=$3,upperdir=$1/upper/$2,workdir=$1/upper/$2.work" "$2" "$3"
            }
            over "$1" etc /etc
            over "$1" systemd /var/lib/systemd
            mkdir -p /etc/tokenkeeper
            cp "$1/config.toml" /etc/tokenkeeper/
            echo >"$1/ready"
            exec sleep infinity
        "#;

        let home = keys::private(home, "apart");
        keys::configure(home.path());
        fs::create_dir(home.path().join("upper")).unwrap();
        let ready = home.path().join("ready");
        mkfifoat(CWD, &ready, Mode::RUSR | Mode::WUSR).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", HOLD, "sh"]);
        let holder = Process::start(command.arg(home.path()));
        fs::read(&ready).unwrap();
        Self { home, holder }
    }

    fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    fn run(&self, command: &[&str]) -> Output {
        let mut entering = Command::new("nsenter");
        entering.args(["--target", &self.holder.id().to_string(), "--mount", "--"]);
        run(entering.args(command), None)
    }

    fn does(&self, command: &[&str]) {
        let output = self.run(command);
        assert!(output.status.success(), "{command:?}: {}", said(&output));
    }

    /// What a service manager would pass.
    fn credential(&self) -> Option<String> {
        let name = "--name=tokenkeeper.store-key";
        if !self.run(&["test", "-e", CREDENTIAL]).status.success() {
            return None;
        }
        let opened = self.run(&["systemd-creds", "decrypt", name, CREDENTIAL, "-"]);
        assert!(opened.status.success(), "{}", said(&opened));
        Some(String::from_utf8(opened.stdout).unwrap())
    }

    /// Opens the store as the daemon of the unit would.
    fn check(&self, when: &str) {
        let passed = keys::private(self.home.path(), "passed");
        if let Some(text) = self.credential() {
            fs::write(passed.path().join("tokenkeeper.store-key"), text).unwrap();
        }
        keys::check(&self.state(), Some(passed.path()), when);
    }
}

fn stop(machine: &Machine) {
    machine.does(&["systemctl", "stop", SOCKET, SERVICE]);
}

fn start(machine: &Machine) {
    machine.does(&["systemctl", "reset-failed"]);
    machine.does(&["systemctl", "start", SOCKET, SERVICE]);
}
