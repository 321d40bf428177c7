//! The store key as a sealed credential, from the package's first key file to the way back.

use std::fs;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use serde_json::json;
use tokenkeeper::envelope;
use tokenkeeper::envelope::Identities;

use crate::support::process::said;

use super::machine::Machine;
use super::on_each;
use super::scene::SERVICE;
use super::scene::SOCKET;
use super::scene::Scene;

const KEY_FILE: &str = "/var/lib/tokenkeeper/store.key";
const CREDENTIAL: &str = "/etc/credstore.encrypted/tokenkeeper.store-key";
const COPY: &str = "/root/key.age";

#[test]
fn a_store_passes_from_its_key_file_to_a_sealed_credential_and_to_the_next_one() {
    on_each(|machine, package| {
        let scene = Scene::with_mail(machine, package, &json!({}));
        let before = scene.token();
        let identity = Identity::generate();
        let recipient = identity.to_public().to_string();
        let doctor = || said(&machine.run(&["tokenctl", "doctor"]));
        assert!(doctor().contains("systemctl stop tokenkeeper && tokenctl init"), "{}", doctor());
        let as_bob = machine.run_as("bob", &["tokenctl", "init"]);
        assert_eq!(as_bob.status.code(), Some(77), "{}", said(&as_bob));
        let held = machine.run(&["tokenctl", "init"]);
        assert_eq!(held.status.code(), Some(75), "{}", said(&held));
        assert!(said(&held).contains("systemctl stop tokenkeeper"), "{}", said(&held));
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

fn stop(machine: &Machine) {
    machine.does(&["systemctl", "stop", SOCKET, SERVICE]);
}

fn start(machine: &Machine) {
    machine.does(&["systemctl", "reset-failed"]);
    machine.does(&["systemctl", "start", SOCKET, SERVICE]);
}
