//! The unit is closed, and all that the daemon needs works inside it.

use serde_json::json;
use tokenkeeper::protocol::account::TokenAnswer;
use tokenkeeper::protocol::error::ErrorBody;

use crate::support::http::Reply;
use crate::support::http::Request;
use crate::support::process::Process;

use super::on_each;
use super::scene::SERVICE;
use super::scene::SOCKET;
use super::scene::Scene;

/// The most that systemd-analyze(1) may find fault with, in tenths of its points.
const EXPOSURE: &str = "--threshold=12";

/// Where another name leads to the provider, with TLS and a certificate of a private authority.
const TLS: &str = "idp.test:8443";

/// Makes an authority, `ca.pem`, and with it a key and a certificate, `server.pem`.
const CERTIFICATES: &str = "
set -e
cd /root
new='req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
openssl $new -x509 -keyout ca.key -out ca.pem -days 2 -subj '/CN=authority of a test'
openssl $new -keyout server.key -out server.csr -subj /CN=idp.test
printf 'subjectAltName=DNS:idp.test\nbasicConstraints=CA:FALSE\n' >extensions
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \\
    -extfile extensions -out server.crt
cat server.key server.crt >server.pem
install -m 644 ca.pem /etc/tokenkeeper/ca.pem
echo 127.0.0.1 idp.test >>/etc/hosts
";

#[test]
fn the_exposure_of_each_service_is_at_most_one_point_two() {
    on_each(|machine, package| {
        let _scene = Scene::new(machine, package);
        let listed = machine.does(&["dpkg", "--listfiles", "tokenkeeper"]);
        let units = listed.lines().filter(|path| {
            path.starts_with("/usr/lib/systemd/system/") && path.ends_with(".service")
        });
        let units = units.collect::<Vec<_>>();
        assert!(units.len() > 1, "{listed}");
        let command = ["systemd-analyze", "security", "--offline=true", EXPOSURE];
        machine.does(&[command.as_slice(), &units].concat());
    });
}

#[test]
fn https_to_a_private_authority_works_with_a_name_a_credential_and_a_written_state() {
    on_each(|machine, package| {
        let scene = Scene::new(machine, package);
        machine.does(&["sh", "-c", CERTIFICATES]);
        let _tls = tls(&scene);
        // The provider takes the client's secret and no other.
        for account in ["own", "bare"] {
            scene.idp.put(account, &json!({ "client_auth": "basic" }));
            machine.write(&format!("/root/{account}"), &format!("secret-of-{account}"));
        }
        let table = |account: &str, lines: &str| {
            format!(
                "[accounts.{account}]\nclient_id = \"{account}\"\ngrant = \"client_credentials\"\n\
                 token_endpoint = \"https://{TLS}/{account}/token\"\n\
                 client_secret = {{ credential = \"{account}\" }}\n{lines}"
            )
        };
        let trusting = table("own", "ca_file = \"/etc/tokenkeeper/ca.pem\"\n");
        scene.configure(&(trusting + &table("bare", "")));
        machine.write(
            "/etc/systemd/system/tokenkeeper.service.d/secrets.conf",
            "[Service]\nLoadCredential=tokenkeeper.secret.own:/root/own\n\
             LoadCredential=tokenkeeper.secret.bare:/root/bare\n",
        );
        machine.does(&["systemctl", "daemon-reload"]);
        machine.does(&["systemctl", "restart", SERVICE]);

        let own: TokenAnswer = token(&scene, "own").success();
        assert!(scene.idp.accepts("own", &own.token));
        let refused: ErrorBody = token(&scene, "bare").json();
        assert_eq!(refused.error_code.as_str(), "PROVIDER_UNREACHABLE", "{}", refused.message);

        // The same authority for all accounts.
        machine.write(
            "/etc/systemd/system/tokenkeeper.service.d/authority.conf",
            "[Service]\nEnvironment=SSL_CERT_FILE=/etc/tokenkeeper/ca.pem\n",
        );
        machine.does(&["systemctl", "daemon-reload"]);
        machine.does(&["systemctl", "restart", SERVICE]);
        machine.does(&["tokenctl", "retry", "bare"]);
        let bare: TokenAnswer = token(&scene, "bare").success();
        assert!(scene.idp.accepts("bare", &bare.token));
        // Both restarts found what was written.
        let again: TokenAnswer = token(&scene, "own").success();
        assert_eq!((again.generation, again.token), (own.generation, own.token));
    });
}

#[test]
fn a_store_key_sealed_with_systemd_creds_is_used_in_the_place_of_a_file() {
    on_each(|machine, package| {
        let scene = Scene::new(machine, package);
        machine.does(&["systemctl", "stop", SOCKET, SERVICE]);
        machine.does(&["sh", "-c", "rm -r /var/lib/tokenkeeper"]);
        machine.does(&["sh", "-c", SEAL]);
        machine.does(&["systemctl", "start", SERVICE]);
        assert!(!machine.path("/var/lib/tokenkeeper/store.key").exists());
        assert!(machine.path("/var/lib/tokenkeeper/state.db").exists());
        assert!(Request::get("/v1/whoami").on_socket(&scene.socket()).is_ok());
    });
}

/// Makes a store key and seals it for this machine.
const SEAL: &str = "
set -e
mkdir -p /etc/credstore.encrypted
head -c 32 /dev/urandom |
    systemd-creds encrypt --with-key=host --name=tokenkeeper.store-key - \\
        /etc/credstore.encrypted/tokenkeeper.store-key
";

#[test]
fn without_the_unit_of_the_socket_the_daemon_makes_its_own() {
    on_each(|machine, package| {
        let scene = Scene::with_mail(machine, package, &json!({}));
        machine.does(&["systemctl", "stop", SOCKET, SERVICE]);
        assert!(!scene.socket().exists());
        machine.does(&["systemctl", "mask", SOCKET]);
        for _life in 0..2 {
            machine.does(&["systemctl", "restart", SERVICE]);
            assert_eq!(scene.token().generation, 1);
        }
    });
}

fn token(scene: &Scene<'_>, account: &str) -> Reply {
    let path = format!("/v1/accounts/{account}/token");
    Request::get(&path).on_socket(&scene.socket()).unwrap()
}

/// Speaks TLS for the provider, and answers when this returns.
fn tls(scene: &Scene<'_>) -> Process {
    let listen = "OPENSSL-LISTEN:8443,fork,reuseaddr,cert=/root/server.pem,verify=0";
    let provider = format!("TCP:{}", scene.idp.address);
    let process = Process::start(&mut scene.machine.command(&["socat", listen, &provider]));
    let url = format!("https://{TLS}/control/summary");
    let curl = ["curl", "--silent", "--retry", "10", "--retry-connrefused", "--cacert"];
    scene.machine.does(&[curl.as_slice(), &["/root/ca.pem", &url]].concat());
    process
}
