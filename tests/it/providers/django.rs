//! django-oauth-toolkit: rotation with a grace of ten seconds.

use super::Login;
use super::Provider;
use super::split;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::receive;
use crate::support::relay::Relay;
use crate::support::skipped;

const ACCOUNT: &str = "account-1";

#[test]
fn django_refreshes_and_each_spent_token_is_left_alone() {
    let Some((provider, login, _relay, daemon)) = set_up() else { return };
    for generation in 2..4 {
        assert_eq!(receive(daemon.begin_refresh(ACCOUNT)).unwrap().status, 200);
        let token = daemon.token(ACCOUNT, "").unwrap();
        assert_eq!(token.generation, generation);
        assert!(login.accepts(&token.token));
    }
    let tally = provider.tally(ACCOUNT);
    assert_eq!((tally.refreshed, tally.replayed, tally.refused), (3, 0, 0));
}

#[test]
fn django_takes_the_replay_after_a_kill_whose_reply_was_lost() {
    let Some((provider, login, relay, mut daemon)) = set_up() else { return };
    relay.swallow();
    let _caller = daemon.begin_refresh(ACCOUNT);
    relay.swallowed();

    daemon.kill();
    relay.pass();
    daemon.begin();

    let view = daemon.until(ACCOUNT, "refreshed", |view| view.generation == 2);
    assert_eq!((view.state.as_str(), view.refresh_error), ("fresh", None));
    assert!(login.accepts(&daemon.token(ACCOUNT, "").unwrap().token));
    let tally = provider.tally(ACCOUNT);
    assert_eq!((tally.replayed, tally.reused, tally.revoked), (1, 0, 0), "{tally:?}");
    assert_eq!(receive(daemon.begin_refresh(ACCOUNT)).unwrap().status, 200, "the family lives");
}

/// A provider, a login there, and a daemon that has it and asks through the relay.
fn set_up() -> Option<(Provider, Login, Relay, Daemon)> {
    let server = ["$TOKENKEEPER_TEST_PYTHON", "tests/providers/django-oauth-toolkit/server.py"];
    let arguments = ["--accounts", "1", "--lifetime", "300", "--grace", "10"];
    let Some(provider) = Provider::start(&server, &arguments) else {
        skipped("TOKENKEEPER_TEST_PYTHON is not set");
        return None;
    };
    let login = provider.mint(ACCOUNT);
    let (address, path) = split(&login.token_endpoint);
    let relay = Relay::to(address);
    let keys = format!(
        "token_endpoint = \"http://{}{path}\"\nclient_id = \"{}\"\nclient_auth = \"basic\"\n\
         rotation = \"10s\"\n",
        relay.address, login.client_id
    );
    let daemon = Daemon::start(&Config::default().account(ACCOUNT, &keys));
    let slot = format!("{ACCOUNT}.client_secret");
    daemon.tokenctl_does(&["secret", "set", &slot, "--file", "-"], Some(&login.client_secret));
    daemon.import(ACCOUNT, &login.refresh_token);
    Some((provider, login, relay, daemon))
}
