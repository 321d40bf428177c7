//! The accounts of the demo: what the provider does with each, how each is configured, and how
//! its credential is handed over.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::Value;
use serde_json::json;

use super::programs::Control;
use super::stage::trouble::Trouble;

/// How many there are.
pub(super) const ACCOUNTS: usize = 6;

/// Name of the daemon's socket in the demo's directory.
pub(super) const SOCKET: &str = "api.sock";

/// Name of the directory of the daemon's state.
pub(super) const STATE: &str = "state";

/// The one-time code that the service of the heat pump would mail.
pub(super) const CODE: &str = "204817";

/// The password of those who have one.
const PASSWORD: &str = "correct horse battery staple";

/// The seed of the plugs' one-time codes.
const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// Files with secrets, in the demo's directory.
const PASSWORD_FILE: &str = "password";
const SEED_FILE: &str = "totp";

/// What each account is, for the introduction.
pub(super) const CHARACTERS: [(&str, &str); ACCOUNTS] = [
    ("mail", "tokens of 60 s; every refresh token can be spent once (30 s of grace)"),
    ("flaky", "tokens of 40 s; the provider answers every second request with an error"),
    ("ci", "tokens of 50 s; a program's own account: a client secret and no refresh token"),
    ("heatpump", "Quilt: ID tokens of 60 s; a login is by a code that arrives by e-mail"),
    ("boiler", "Navien: tokens of 45 s; AWS credentials of 90 s, which it renews by logins"),
    ("plugs", "Kasa Monitor: tokens of 50 s; it logs in by itself, with one-time codes"),
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
        "ci": { "lifetime_secs": 50, "grants": ["client_credentials"], "client_auth": "basic" },
        "heatpump": {
            "service": "cognito",
            "lifetime_secs": 60,
            "username": "pat@example.test",
            "cognito": { "code": CODE }
        },
        "boiler": {
            "service": "navien",
            "lifetime_secs": 45,
            "username": "pat@example.test",
            "password": PASSWORD,
            "navien": { "authorization_expires_in": 90 }
        },
        "plugs": {
            "service": "kasa-monitor",
            "lifetime_secs": 50,
            "username": "pat",
            "password": PASSWORD,
            "totp_secret": SEED
        }
    })
}

/// Writes the daemon's configuration, and the files that it refers to.
///
/// # Errors
///
/// If a file cannot be written.
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

[accounts.heatpump]
provider = "quilt"
endpoint = "{provider}/heatpump/"
client_id = "heatpump"
email = "pat@example.test"

[accounts.boiler]
provider = "navien"
base_url = "{provider}/boiler"
email = "pat@example.test"
password = {{ file = {password} }}
aws_credentials = true

[accounts.plugs]
provider = "kasa-monitor"
base_url = "{provider}/plugs"
username = "pat"
password = {{ file = {password} }}
totp = {{ file = {seed} }}
on_refresh_failure = "sign-in"
"#,
        password = quoted(&place.join(PASSWORD_FILE)),
        seed = quoted(&place.join(SEED_FILE)),
        socket = quoted(&place.join(SOCKET)),
        state = quoted(&place.join(STATE).join("state.db")),
    );
    write_private(&place.join(PASSWORD_FILE), PASSWORD)?;
    write_private(&place.join(SEED_FILE), SEED)?;
    write_private(file, &text)
}

/// Writes a file for nobody else to read.
fn write_private(file: &Path, text: &str) -> Result<(), Trouble> {
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
    for account in ["mail", "flaky", "heatpump"] {
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
