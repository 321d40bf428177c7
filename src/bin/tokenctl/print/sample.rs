//! Accounts in every state, a daemon and a caller of it, for the tests of the pages.

use std::collections::BTreeMap;

use tokenkeeper::error::code::Code;
use tokenkeeper::error::foreign::OauthError;
use tokenkeeper::protocol::account::AccountView;
use tokenkeeper::protocol::daemon::StatusView;
use tokenkeeper::protocol::daemon::WhoAmI;
use tokenkeeper::protocol::error::ErrorBody;
use tokenkeeper::time::Timestamp;

use crate::print::Glyphs;
use crate::print::Paint;
use crate::print::Style;

/// 2023-11-14T22:13:20Z.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// As into a pipe.
pub(crate) const PLAIN: Style = Style { paint: Paint::Plain, glyphs: Glyphs::Ascii };

/// A healthy account.
pub(crate) fn view(account: &str, state: &str) -> AccountView {
    AccountView {
        account: account.into(),
        provider: "oauth2".into(),
        state: state.into(),
        ready: true,
        paused: false,
        released: false,
        foreign_login_at: None,
        generation: 7,
        issued_at: Some("2023-11-14T21:51:40Z".into()),
        expires_at: Some("2023-11-14T22:51:40Z".into()),
        ttl: 2_300,
        lifetime: 3_600,
        next_at: Some("2023-11-14T22:36:00Z".into()),
        login_ends_at: None,
        login_ends_soon: false,
        unsaved: false,
        refresh_error: None,
        alarm: false,
        attempt: 0,
        not_before: None,
        failing_since: None,
        entry: "login".into(),
        lacks_secret: None,
        refused_secret: None,
        rights: vec!["read".into(), "report".into()],
        email: None,
        secrets: None,
        lineage: None,
        taken_over: None,
    }
}

/// An account without a token, with an error raised that is an alarm.
pub(crate) fn failing(account: &str, state: &str, code: Code, message: &str) -> AccountView {
    AccountView {
        ready: false,
        issued_at: Some("2023-11-14T21:00:00Z".into()),
        expires_at: Some("2023-11-14T22:00:00Z".into()),
        ttl: 0,
        next_at: None,
        refresh_error: Some(error(account, code, message)),
        alarm: true,
        attempt: 3,
        failing_since: Some("2023-11-14T22:01:20Z".into()),
        ..view(account, state)
    }
}

/// What the daemon says of a failure.
pub(crate) fn error(account: &str, code: Code, message: &str) -> ErrorBody {
    ErrorBody {
        error: "provider".into(),
        message: message.into(),
        error_code: code,
        timestamp: NOW.to_string(),
        account: Some(account.into()),
        retry_at: None,
        remedy: code.remedy(),
        provider_error: None,
    }
}

/// One account of every kind that reads differently.
pub(crate) fn every_kind() -> Vec<AccountView> {
    let retry_soon = Some("2023-11-14T22:14:00Z".to_owned());
    let mut waiting = failing(
        "ci",
        "waiting",
        Code::ProviderUnavailable,
        "account ci: provider unavailable: HTTP 503. It is tried again without your doing.",
    );
    (waiting.ready, waiting.ttl, waiting.next_at) = (true, 900, retry_soon.clone());
    waiting.issued_at = Some("2023-11-14T21:28:20Z".into());
    waiting.expires_at = Some("2023-11-14T22:28:20Z".into());
    waiting.alarm = false;
    if let Some(error) = &mut waiting.refresh_error {
        error.provider_error = Some(OauthError::new("server_error", Some("Back at noon.")));
    }
    let mut in_doubt = failing(
        "boiler",
        "in_doubt",
        Code::InDoubt,
        "account boiler: the provider's reply was lost. It is tried again without your doing.",
    );
    in_doubt.next_at = retry_soon;
    let rejected = failing(
        "heatpump-of-the-house",
        "needs_login",
        Code::NeedsLogin,
        "account heatpump-of-the-house: refresh token refused: invalid_grant (Token has been \
         revoked.). Type: tokenctl login heatpump-of-the-house",
    );
    let mut broken = failing(
        "git",
        "frozen",
        Code::ClientRejected,
        "the provider refuses this client: invalid_client",
    );
    broken.next_at = Some("2023-11-14T23:01:20Z".into());
    let mut paused = view("plugs", "frozen");
    (paused.paused, paused.next_at) = (true, None);
    let mut vacant = view("new", "vacant");
    (vacant.ready, vacant.ttl, vacant.lifetime) = (false, 0, 0);
    (vacant.generation, vacant.issued_at, vacant.expires_at, vacant.next_at) =
        (0, None, None, None);
    let mut unsaved = view("photos", "saving");
    (unsaved.unsaved, unsaved.next_at) = (true, Some("2023-11-14T22:13:22Z".into()));
    unsaved.refresh_error = Some(error(
        "photos",
        Code::StoreUnavailable,
        "account photos: the store cannot be written: no space left for the store; its refresh \
         token is only in memory, so do not kill the daemon. See whether the state directory is \
         in its place, and look at its disk: for space, for errors, and whether it is mounted \
         read-only.",
    ));
    let exchanging = AccountView { next_at: None, ..view("films", "exchanging") };
    vec![
        in_doubt,
        waiting,
        exchanging,
        broken,
        rejected,
        view("mail", "fresh"),
        vacant,
        unsaved,
        paused,
    ]
}

/// A daemon that has them.
pub(crate) fn status() -> StatusView {
    let states = [("fresh", 1), ("needs_login", 1), ("waiting", 1)];
    StatusView {
        version: "0.1.0".into(),
        pid: 812,
        live: true,
        ready: true,
        degraded: true,
        uptime: 11_520,
        accounts: 3,
        states: states.into_iter().map(|(state, count)| (state.into(), count)).collect(),
        paused: 0,
        released: 0,
        failing: 2,
        unsaved: 0,
        next_account: Some("ci".into()),
        next_at: Some("2023-11-14T22:14:00Z".into()),
        findings: Vec::new(),
    }
}

/// How the daemon sees a caller.
pub(crate) fn whoami(daemon_admin: bool) -> WhoAmI {
    WhoAmI {
        uid: 1000,
        gid: 1000,
        groups: vec![],
        pid: None,
        unit: None,
        no_unit: None,
        transport: "unix".into(),
        daemon_admin,
        rights: BTreeMap::new(),
    }
}
