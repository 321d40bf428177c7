//! The three accounts of the demo: what the provider does with each, how each is configured,
//! and how its credential is handed over.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::Value;
use serde_json::json;

use super::programs::Control;
use super::stage::trouble::Trouble;

/// How many there are.
pub(super) const ACCOUNTS: usize = 3;

/// Name of the daemon's socket in the demo's directory.
pub(super) const SOCKET: &str = "api.sock";

/// Name of the directory of the daemon's state.
pub(super) const STATE: &str = "state";

/// What each account is, for the introduction.
pub(super) const CHARACTERS: [(&str, &str); ACCOUNTS] = [
    ("mail", "tokens of 60 s; every refresh token can be spent once (30 s of grace)"),
    ("flaky", "tokens of 40 s; the provider answers every second request with an error"),
    ("ci", "tokens of 50 s; a program's own account: a client secret and no refresh token"),
];

/// What the scripted provider does, by account.
pub(super) fn behaviours() -> Value {
    json!({
        "mail": { "lifetime_secs": 60, "rotation": { "every": 1, "grace_secs": 30 } },
        "flaky": {
            "lifetime_secs": 40,
            "fault": { "fault": "status", "status": 503, "body": "try again" },
            "fault_every": 2
        },
        "ci": { "lifetime_secs": 50, "grants": ["client_credentials"], "client_auth": "basic" }
    })
}

/// Writes the daemon's configuration.
///
/// # Errors
///
/// If the file cannot be written.
pub(super) fn write_config(file: &Path, place: &Path, provider: &str) -> Result<(), Trouble> {
    let text = format!(
        r#"[daemon]
socket = {socket}
state = {state}
alarm_before = "5s"

[accounts.mail]
token_endpoint = "{provider}/mail/token"
client_id = "mail"
rotation = "30s"

[accounts.flaky]
token_endpoint = "{provider}/flaky/token"
client_id = "flaky"
rotation = "none"

[accounts.ci]
token_endpoint = "{provider}/ci/token"
client_id = "ci"
client_auth = "basic"
grant = "client_credentials"
"#,
        socket = quoted(&place.join(SOCKET)),
        state = quoted(&place.join(STATE).join("state.db")),
    );
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(Trouble::system("cannot write the configuration"))
}

/// Gives the daemon the credentials of the accounts, as their owner would: with `tokenctl`.
///
/// # Errors
///
/// If `tokenctl` fails, or the provider granted less than it was asked for.
pub(super) fn hand_over(control: &Control<'_>, logins: &Value) -> Result<(), Trouble> {
    for account in ["mail", "flaky"] {
        let token = granted(logins, account, "refresh_token")?;
        control.run(&["import", account, "--refresh-token-file", "-"], token)?;
    }
    let secret = granted(logins, "ci", "client_secret")?;
    control.run(&["secret", "set", "ci.client_secret", "--file", "-"], secret)?;
    // The account has waited for its secret since the start.
    control.run(&["retry", "ci"], "")
}

fn granted<'a>(logins: &'a Value, account: &str, field: &str) -> Result<&'a str, Trouble> {
    let granted = logins.get(account).and_then(|login| login.get(field)?.as_str());
    granted.ok_or_else(|| Trouble::unexpected("tokenkeeper-idp", b"a login without credentials"))
}

/// A path as a TOML string: JSON's escapes are TOML's.
fn quoted(path: &Path) -> String {
    Value::from(path.to_string_lossy()).to_string()
}
