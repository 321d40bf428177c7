//! The accounts of a life: their secrets, their providers, and how the daemon is told of them.

use std::collections::BTreeMap;

use data_encoding::BASE32;
use serde_json::Value;
use serde_json::json;
use url::form_urlencoded;

use super::canary::Canary;
use super::canary::Sort;
use super::recorder::Recorder;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::door::Door;
use crate::support::idp::Idp;

/// Written as they are by every protocol, and with characters that each escapes in its own way.
pub(super) const CLIENT_SECRET: &str = "canary-client-secret-6c1f0a92";
pub(super) const POST_SECRET: &str = "canary & post=secret/7d20+\"b3\"";
pub(super) const POOL_SECRET: &str = "canary-pool-secret-8e31c4f7";
pub(super) const POOL_PASSWORD: &str = "canary pool \"password\" 9f42/d5+";
pub(super) const BOILER_PASSWORD: &str = "canary boiler: pass & word 0a53%e6";
pub(super) const CELLAR_PASSWORD: &str = "canary cellar; typed word 5f08%b1";
pub(super) const PLUGS_PASSWORD: &str = "canary plugs pass\\word 1b64 f7é";
pub(super) const METER_PASSWORD: &str = "canary meter \"pass\" word 2c75 08";
pub(super) const LITERAL: &str = "canary-literal-in-a-configuration-3d86";
pub(super) const MISTAKEN: &str = "canary-refresh-token-in-a-wrong-place-4e97";
/// In base32, as an authenticator shows it.
pub(super) const SEED: &str = "MNQW4YLSPEWXGZLFMQWTKZRQHBRDCNZV";

/// What a login by device and one by browser are known by. They look like no token.
pub(super) const DEVICE_CODE: &str = "canary & device=code of \"words\"";
pub(super) const BROWSER_CODE: &str = "canary, browser's code of + words";

/// The accounts that a person logs in, by device and by browser, at another provider.
pub(super) const LOGGED_IN: [&str; 2] = ["tv", "desk"];

/// The accounts with a refresh token, and which of a provider's operations spends it.
pub(super) const REFRESHED: [&str; 6] = ["mail", "form", "pool", "heatpump", "boiler", "plugs"];

/// What the program of `meter` answers with.
pub(super) const METER_TOKEN: &str = "canary-refresh-token-of-a-program-5fa8";
pub(super) const METER_ACCESS: &str = "canary-access-token-of-a-program-60b9";

/// A program that says all that it knows where it does not belong, and fails when it is to.
pub(super) const METER: &str = r#"
question=$(cat)
echo "asked: $question" >&2
if [ -e "$(dirname "$0")/meter.fails" ]; then
    echo "$question"
    exit 1
fi
echo '{"access_token":"canary-access-token-of-a-program-60b9","expires_in":3600,"refresh_token":"canary-refresh-token-of-a-program-5fa8"}'
"#;

/// A hook that takes down all that it is told beside the token that it asked for.
pub(super) const HOOK: &str = r#"
(cat; cat /proc/$$/environ /proc/$$/cmdline) >> "$(dirname "$0")/hook.seen"
if [ -e /proc/$$/fd/3 ]; then cat <&3 >&2; fi
echo "it went wrong" >&2
exit 1
"#;

/// Everything secret in it that no provider makes.
pub(super) fn secrets() -> Vec<Canary> {
    let own = [
        ("client secret", CLIENT_SECRET, "mail"),
        ("client secret in a form", POST_SECRET, "ci"),
        ("client secret of a pool", POOL_SECRET, "pool"),
        ("password of a pool", POOL_PASSWORD, "pool"),
        ("password of a boiler", BOILER_PASSWORD, "boiler"),
        ("password that is typed", CELLAR_PASSWORD, "cellar"),
        ("password of plugs", PLUGS_PASSWORD, "plugs"),
        ("password for a program", METER_PASSWORD, "meter"),
        ("device code", DEVICE_CODE, "tv"),
        ("code of a browser", BROWSER_CODE, "desk"),
    ];
    let own = own.map(|(name, text, of)| Canary::new(Sort::AccountSecret, name, text).of(of));
    let seed = BASE32.decode(SEED.as_bytes()).unwrap();
    let more = [
        // What is told of a seed are codes, and of a configuration nothing.
        Canary::new(Sort::AccountSecret, "literal in a configuration", LITERAL),
        Canary::new(Sort::AccountSecret, "seed", SEED),
        Canary::new(Sort::AccountSecret, "seed, decoded", seed),
        // Somebody imports it, too.
        Canary::new(Sort::RefreshToken, "refresh token in a wrong place", MISTAKEN).of("mail"),
        Canary::new(Sort::RefreshToken, "refresh token of a program", METER_TOKEN),
        Canary::new(Sort::Token, "access token of a program", METER_ACCESS),
    ];
    own.into_iter().chain(more).collect()
}

/// The accounts at the provider.
pub(super) fn script(idp: &Idp) {
    let forgiving = json!({ "grace_secs": 30 });
    for (account, behaviour) in [
        (
            "mail",
            json!({ "jwt": true, "id_token": true, "client_secret": CLIENT_SECRET, "rotation": forgiving }),
        ),
        ("form", json!({ "reply_format": "form", "rotation": forgiving })),
        ("ci", json!({ "client_secret": POST_SECRET })),
        (
            "pool",
            json!({ "service": "cognito", "username": "pat", "password": POOL_PASSWORD, "client_secret": POOL_SECRET, "rotation": forgiving }),
        ),
        ("heatpump", json!({ "service": "cognito", "username": "pat@example.test" })),
        (
            "boiler",
            json!({ "service": "navien", "username": "pat@example.test", "password": BOILER_PASSWORD }),
        ),
        (
            "cellar",
            json!({ "service": "navien", "username": "sam@example.test", "password": CELLAR_PASSWORD }),
        ),
        (
            "plugs",
            json!({ "service": "kasa-monitor", "username": "admin", "password": PLUGS_PASSWORD, "totp_secret": SEED }),
        ),
    ] {
        idp.create(account, &behaviour);
    }
    for (account, password) in
        [("pool", POOL_PASSWORD), ("boiler", BOILER_PASSWORD), ("plugs", PLUGS_PASSWORD)]
    {
        let mut echo = echo(account, password);
        echo["on"] = json!("sign-in");
        idp.next(account, &json!([echo]));
    }
}

/// A provider of logins, which refuses the first of each account with all that it was told.
pub(super) fn provider_of_logins() -> Door {
    let mut grants = BTreeMap::<String, u32>::new();
    Door::open(move |path, body| {
        let told = form_urlencoded::parse(body.as_bytes()).into_owned();
        let told = told.collect::<BTreeMap<String, String>>();
        let account = told["client_id"].clone();
        if path.ends_with("/device") {
            return (200, device());
        }
        let grants = grants.entry(account.clone()).or_default();
        *grants += 1;
        if *grants > 1 {
            return (200, tokens(&account, *grants));
        }
        let secrets = ["code", "code_verifier", "device_code"].iter();
        let secrets = secrets.filter_map(|name| told.get(*name)).cloned().collect::<Vec<_>>();
        let said = format!("sent: {}", secrets.join(" and "));
        (400, json!({ "error": "access_denied", "error_description": said }))
    })
}

fn device() -> Value {
    json!({
        "device_code": DEVICE_CODE,
        "user_code": "ABCD-EFGH",
        "verification_uri": "https://idp.example/device",
        "expires_in": 600,
        "interval": 1,
    })
}

fn tokens(account: &str, number: u32) -> Value {
    json!({
        "access_token": format!("canary-granted-access-{account}-{number:06}"),
        "refresh_token": format!("canary-granted-refresh-{account}-{number:06}"),
        "token_type": "Bearer",
        "expires_in": 3600,
    })
}

/// The accounts of the daemon.
pub(super) fn config(recorders: &BTreeMap<&str, Recorder>, daemon: &Daemon) -> Config {
    let url = |account: &str, path: &str| recorders[account].url(&format!("/{account}{path}"));
    let key = |name: &str, value: &str| format!("{name} = {}\n", json!(value));
    let at = |name: &str| daemon.path(name).display().to_string();
    let file = |slot: &str, name: &str| format!("{slot} = {{ file = {} }}\n", json!(at(name)));
    let runs = |name: &str| format!("command = {}\n", json!(["/bin/sh", at(name)]));
    let oauth2 = |account: &str, more: &str| {
        key("token_endpoint", &url(account, "/token")) + &key("client_id", account) + more
    };
    let navien = |account: &str, email: &str| {
        key("provider", "navien") + &key("base_url", &url(account, "")) + &key("email", email)
    };
    let mail = key("client_auth", "basic") + &key("rotation", "30s");
    let form = key("rotation", "30s") + &key("ca_file", &at("ca.pem"));
    let tv = key("device_endpoint", &url("tv", "/device"));
    let desk = key("authorization_endpoint", "https://idp.example/authorize");
    let ci = key("grant", "client_credentials")
        + &key("client_auth", "post")
        + &file("client_secret", "secret.post");
    let pool = key("provider", "cognito")
        + &key("endpoint", &url("pool", "/"))
        + &key("client_id", "pool")
        + &key("username", "pat")
        + &key("client_auth", "secret-hash")
        + &key("rotation", "30s")
        + &file("client_secret", "secret.pool");
    let heatpump = key("provider", "quilt")
        + &key("endpoint", &url("heatpump", "/"))
        + &key("client_id", "heatpump")
        + &key("email", "pat@example.test");
    let boiler = navien("boiler", "pat@example.test")
        + "aws_credentials = true\n"
        + &file("password", "secret.boiler");
    let plugs = key("provider", "kasa-monitor")
        + &key("base_url", &url("plugs", ""))
        + &key("username", "admin")
        + &file("password", "secret.plugs")
        + &file("totp", "secret.seed");
    let meter = key("provider", "exec")
        + &runs("meter.sh")
        + &key("rotation", "none")
        + "secrets = { password = {} }\n";
    let on = |events: &[&str]| format!("on = {}\n", json!(events));
    let both = on(&["token_changed", "refresh_failed"]);
    let told = key("name", "told") + &both + &runs("told.sh");
    let bearer =
        key("name", "bearer") + &on(&["token_changed"]) + &runs("told.sh") + "token = true\n";
    let spool = key("name", "spool") + &both + &key("directory", &at("spool"));
    Config::default()
        .daemon("log = \"trace\"")
        .account("mail", &oauth2("mail", &mail))
        .account("form", &oauth2("form", &form))
        .account("tv", &oauth2("tv", &tv))
        .account("desk", &oauth2("desk", &desk))
        .account("ci", &oauth2("ci", &ci))
        .account("pool", &pool)
        .account("heatpump", &heatpump)
        .account("boiler", &boiler)
        .account("cellar", &navien("cellar", "sam@example.test"))
        .account("plugs", &plugs)
        .account("meter", &meter)
        .table(&format!("[[hooks]]\n{told}[[accounts.mail.hooks]]\n{bearer}[[hooks]]\n{spool}"))
}

/// A failing reply with a secret in every place that is read, in the words of the account's service.
pub(super) fn echo(account: &str, secret: &str) -> Value {
    let said = format!("sent: {secret}");
    match account {
        "mail" | "form" | "ci" => {
            json!({ "fault": "oauth", "status": 503, "error": secret, "description": said })
        }
        _ => {
            json!({ "fault": "refusal", "status": 503, "code": "InternalErrorException", "message": said })
        }
    }
}
