//! The three services that the daemon was made for, from end to end: Quilt and other user pools of
//! Amazon Cognito, Navien, and Kasa Monitor.
//!
//! Reading order: what is the same for all of them, here; then `cognito`, `navien` and
//! `kasa_monitor`, each with its quirks; `leaving`, the end of logins; `failures` holds what
//! users read to the manual.

mod cognito;
mod failures;
mod kasa_monitor;
mod leaving;
pub(crate) mod navien;

use serde_json::Value;
use serde_json::json;
use tokenkeeper::protocol::error::ErrorBody;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::Reply;
use crate::support::http::Request;
use crate::support::http::receive;
use crate::support::idp::Idp;

/// A reply that carries somebody else's tokens is refused and raised, whatever the service. What
/// is held stays, and so does the refresh token.
#[test]
fn two_accounts_of_one_service_never_mix() {
    for service in [SERVICE_OF_QUILT, SERVICE_OF_NAVIEN, SERVICE_OF_KASA_MONITOR] {
        let idp = Idp::start();
        let (pat, sam) = ("pat", "sam");
        let behaviour = |name: &str| {
            json!({
                "service": service, "username": format!("{name}@example.test"), "subject": name,
            })
        };
        let tokens = [pat, sam].map(|name| idp.put(name, &behaviour(name)));
        let config = [pat, sam].into_iter().fold(Config::default(), |config, name| {
            config.account(name, &keys(service, &idp, name))
        });
        let daemon = Daemon::start(&config);
        for (name, token) in [pat, sam].into_iter().zip(&tokens) {
            daemon.import(name, token);
        }
        let before = daemon.token(pat, "").unwrap().token;

        let foreign = json!([{ "fault": "other_subject", "subject": sam, "on": "refresh" }]);
        idp.next(pat, &foreign);
        let refused = receive(daemon.begin_refresh(pat)).unwrap();

        assert_eq!(refused.status, 409, "{service}: {}", refused.body);
        let view = daemon.account(pat);
        assert_eq!((view.state.as_str(), view.generation), ("needs_login", 1), "{service}");
        let error = view.refresh_error.unwrap();
        assert_eq!(error.error_code.as_str(), "NEEDS_LOGIN", "{service}");
        assert!(error.message.contains("tokens of another subject"), "{}", error.message);
        assert_eq!(daemon.token(pat, "").unwrap().token, before, "{service}");
        assert_eq!(daemon.account(sam).refresh_error, None, "{service}");

        idp.next(pat, &foreign);
        let refused = import(&daemon, pat, &idp.mint(pat));
        let error = refused.json::<ErrorBody>();
        assert!(error.message.contains("another subject"), "{service}: {}", error.message);
        assert_eq!(daemon.account(pat).generation, 1, "{service}");

        daemon.tokenctl_does(&["retry", pat], None);
        daemon.until(pat, "fresh", |view| view.state == "fresh" && view.generation == 2);
    }
}

/// Providers count logins by address, so those of all accounts at one host count together.
#[test]
fn the_sixth_login_of_a_minute_at_one_host_waits_and_says_so() {
    let idp = Idp::start();
    let mut daemon = Daemon::new(&Config::default());
    daemon.write("password", "pw");
    let file = daemon.path("password");
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let config = names.iter().fold(Config::default(), |config, name| {
        let username = format!("{name}@example.test");
        idp.create(name, &json!({ "service": "navien", "username": username, "password": "pw" }));
        let keys = keys(SERVICE_OF_NAVIEN, &idp, name);
        config.account(name, &format!("{keys}password = {{ file = \"{}\" }}\n", file.display()))
    });
    daemon.configure(&config);
    daemon.begin();

    let stands = |name| {
        daemon.until(name, "signed in or told why not", |view| {
            view.generation == 1 || view.refresh_error.is_some()
        })
    };
    let waiting = names.into_iter().map(stands).filter_map(|view| view.refresh_error);
    let waiting = waiting.collect::<Vec<_>>();

    assert_eq!(waiting.len(), 2, "{}", daemon.log());
    for error in waiting {
        assert_eq!(error.error_code.as_str(), "PROVIDER_UNREACHABLE");
        assert!(error.message.contains("as many logins at this provider"), "{}", error.message);
        assert!(error.retry_at.is_some());
    }
    let logins = idp.all_totals().values().map(|totals| totals.requests).sum::<u64>();
    assert_eq!(logins, 5);
}

const SERVICE_OF_QUILT: &str = "cognito";
const SERVICE_OF_NAVIEN: &str = "navien";
const SERVICE_OF_KASA_MONITOR: &str = "kasa-monitor";

/// The keys of an account that needs no login by itself: its refresh token is handed in.
fn keys(service: &str, idp: &Idp, name: &str) -> String {
    let url = idp.url(&format!("/{name}"));
    match service {
        SERVICE_OF_QUILT => format!(
            "provider = \"quilt\"\nendpoint = \"{url}/\"\nclient_id = \"{name}\"\n\
             email = \"{name}@example.test\"\n"
        ),
        SERVICE_OF_NAVIEN => format!(
            "provider = \"navien\"\nbase_url = \"{url}\"\nemail = \"{name}@example.test\"\n"
        ),
        _ => format!(
            "provider = \"kasa-monitor\"\nbase_url = \"{url}\"\nusername = \"{name}@example.test\"\n"
        ),
    }
}

/// Hands in a refresh token, which may be refused.
fn import(daemon: &Daemon, account: &str, refresh_token: &str) -> Reply {
    let path = format!("/v1/accounts/{account}/import");
    let body = json!({ "refresh_token": refresh_token }).to_string();
    daemon.ask(Request::with("POST", &path, &body))
}

/// A daemon with one account, whose secrets lie in files, and its service.
fn with_secrets(
    account: &str,
    behaviour: &Value,
    keys: impl FnOnce(&Idp) -> String,
    secrets: &[(&str, &str)],
) -> (Idp, Daemon) {
    let idp = Idp::start();
    idp.create(account, behaviour);
    let mut daemon = Daemon::new(&Config::default());
    let mut keys = keys(&idp);
    for (slot, secret) in secrets {
        daemon.write(slot, secret);
        let file = daemon.path(slot);
        keys.push_str(&format!("{slot} = {{ file = \"{}\" }}\n", file.display()));
    }
    daemon.configure(&Config::default().account(account, &keys));
    daemon.begin();
    (idp, daemon)
}
