//! The store key in the TPM of a machine: sealed, opened at each boot, lost with it, and brought back.

use std::path::Path;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokenkeeper::envelope;
use tokenkeeper::envelope::Identities;

use crate::support::skipped;

use super::built;
use super::guest::Guest;
use super::in_empty_network;
use super::scene::Scene;
use super::tpm::Tpm;

const CREDENTIAL: &str = "/etc/credstore.encrypted/tokenkeeper.store-key";
const COPY: &str = "/root/key.age";
const STOP: &str =
    "systemctl stop tokenkeeper-api.socket tokenkeeper-credential.socket tokenkeeper";
const START: &str =
    "systemctl start tokenkeeper-api.socket tokenkeeper-credential.socket tokenkeeper";

/// Libraries that systemd loads when it talks to a TPM. Debian's package of it merely suggests them.
const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu/libtss2*";

#[test]
fn a_store_key_is_sealed_to_the_tpm_lost_with_it_and_brought_back_by_its_copy() {
    let Some((parts, package)) = built() else {
        skipped("no package and no machine: tests/run machine makes them");
        return;
    };
    let Some(tpm) = Tpm::start(&parts) else {
        skipped("no swtpm, or no firmware for a machine with a TPM");
        return;
    };
    in_empty_network(&parts, || go_through(&parts, &package, tpm));
}

fn go_through(parts: &Path, package: &Path, tpm: Tpm) {
    let mut scene = Scene::new(Guest::boot(parts, package, Some(tpm)), package);
    assert!(scene.guest.does("systemd-creds has-tpm2").starts_with("yes"));
    scene.account("vault", &json!({ "lifetime_secs": 3600, "rotation": {} }), "");
    let held = scene.recovers("vault", 1).token;
    let identity = Identity::generate();

    is_sealed_to_the_tpm(&mut scene, &identity);
    scene.guest.cut_power();
    assert_eq!(scene.token("vault").token, held, "the same TPM opens it");

    scene.guest.change_tpm();
    is_refused_with_the_way_back(&mut scene);
    let key = opened_copy(&mut scene, &identity);
    let encrypt = format!("systemd-creds encrypt --name=tokenkeeper.store-key - {CREDENTIAL}");
    scene.guest.does(&format!("{encrypt} <<<'{key}' && {START}"));
    assert_eq!(scene.token("vault").token, held, "the copy brings the key back");

    is_said_to_be_sealed_without_a_tpm_where_systemd_cannot_use_it(&mut scene, &key);
    assert_eq!(scene.recovers("vault", 1).token, held, "nothing was spent");
}

fn is_sealed_to_the_tpm(scene: &mut Scene, identity: &Identity) {
    let recipient = identity.to_public();
    let copying = format!("--recovery-recipient {recipient} --recovery-output {COPY}");
    let told = scene.guest.does(&format!("{STOP} && tokenctl init {copying} && {START} && sync"));
    assert!(told.contains("sealed to the TPM of this machine"), "{told}");
    assert!(told.contains("It is lost with the TPM"), "{told}");
    assert!(!told.contains("without a TPM"), "{told}");
    scene.guest.does("! test -e /var/lib/tokenkeeper/store.key");
    let told = scene.guest.does("tokenctl init --json");
    assert!(told.contains(r#""sealed_to":"host+tpm2""#), "{told}");
    let doctor = scene.guest.does("tokenctl doctor || true");
    assert!(!doctor.contains("store key"), "{doctor}");
}

/// Each of the places where somebody looks leads to the manual.
fn is_refused_with_the_way_back(scene: &mut Scene) {
    let journal = "journalctl --quiet --boot --unit=tokenkeeper --output=cat";
    scene.guest.until(journal, |told| told.contains("status=243/CREDENTIALS"));
    let told = scene.guest.does(journal);
    assert!(told.contains("Failed to set up credentials"), "{told}");
    let doctor = scene.guest.does("! tokenctl doctor");
    assert!(doctor.contains("243/CREDENTIALS"), "{doctor}");
    assert!(doctor.contains(r#"tokenkeeperd(8), "The store key""#), "{doctor}");
    for verb in ["init", "rekey"] {
        let told = scene.guest.does(&format!("{STOP} && tokenctl {verb} || echo exit $?"));
        assert!(told.ends_with("exit 71"), "{told}");
        assert!(told.contains("it takes the TPM"), "{told}");
        assert!(told.contains("the recovery copy brings the key back"), "{told}");
        assert!(!told.contains("esys"), "{told}");
    }
}

/// The key as its copy has it, which leaves the machine: the identity was never there.
fn opened_copy(scene: &mut Scene, identity: &Identity) -> String {
    let sealed = STANDARD.decode(scene.guest.does(&format!("base64 --wrap=0 {COPY}"))).unwrap();
    let keys = Identities::parse(identity.to_string().expose_secret()).unwrap();
    let opened = envelope::open(&sealed, &keys).unwrap();
    std::str::from_utf8(&opened).unwrap().trim_end().to_owned()
}

/// The TPM is there, `systemd-creds has-tpm2` says so, and the key is sealed without it all the same.
/// The next rekey takes what there is by then.
fn is_said_to_be_sealed_without_a_tpm_where_systemd_cannot_use_it(scene: &mut Scene, key: &str) {
    let file = "/var/lib/tokenkeeper/store.key";
    let owned = "--owner=tokenkeeper --group=tokenkeeper --mode=0600";
    let told = scene.guest.does(&format!(
        "{STOP} && rm {CREDENTIAL} && install {owned} /dev/stdin {file} <<<'{key}' && \
         mkdir /root/away && mv {LIBRARIES} /root/away && tokenctl init"
    ));
    assert!(told.contains("sealed to this machine without a TPM"), "{told}");
    assert!(!told.contains("lost with the TPM"), "{told}");
    let back = "mv /root/away/* /usr/lib/x86_64-linux-gnu";
    let told = scene.guest.does(&format!("{back} && tokenctl rekey && {START}"));
    assert!(told.contains("sealed to the TPM of this machine"), "{told}");
}
