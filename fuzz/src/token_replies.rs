//! What a provider answers, for every provider that is spoken to over HTTP.
//!
//! The first line of an input names the account and what is done; its parts are the answers, in
//! the order in which they are asked for, as [`conversation`] says.

use std::sync::Arc;
use std::sync::OnceLock;

use tokenkeeper::config::Config;
use tokenkeeper::config::File;
use tokenkeeper::config::daemon::Defaults;
use tokenkeeper::provider::Provider;
use tokenkeeper::provider::deed::SessionOrder;
use tokenkeeper::provider::deed::Sessions;
use tokenkeeper::section::Mode;
use tokenkeeper::token::Secret;

use super::conversation;
use super::hygiene;
use super::hygiene::OWN;
use super::input;

/// One account for each way of talking.
const ACCOUNTS: &str = r#"
[accounts.given]
token_endpoint = "https://idp.example/token"
device_endpoint = "https://idp.example/device"
revocation_endpoint = "https://idp.example/revoke"
client_id = "c"
client_auth = "basic"

[accounts.issuer]
issuer = "https://idp.example"
client_id = "c"

[accounts.browser]
issuer = "https://idp.example"
client_id = "c"
login = "browser"

[accounts.client]
token_endpoint = "https://idp.example/token"
client_id = "c"
grant = "client_credentials"

[accounts.nas]
token_endpoint = "http://192.168.1.9/token"
plain_http = true
client_id = "c"
request_format = "json"
token = "id"

[accounts.google]
provider = "google"
client_id = "c"

[accounts.microsoft]
provider = "microsoft"
client_id = "c"

[accounts.github]
provider = "github"
client_id = "c"

[accounts.quilt]
provider = "quilt"
email = "pat@example.org"

[accounts.pool]
provider = "cognito"
region = "eu-central-1"
client_id = "c"
username = "pat"
auth_flow = "password"

[accounts.rotating]
provider = "cognito"
region = "eu-central-1"
client_id = "c"
username = "pat"
refresh_operation = "get-tokens"

[accounts.boiler]
provider = "navien"
email = "pat@example.org"
aws_credentials = true

[accounts.plugs]
provider = "kasa-monitor"
base_url = "http://192.168.1.9:5272"
plain_http = true
username = "admin"
totp = true
"#;

/// What is done with an account.
#[derive(Clone, Copy)]
enum Act {
    Refresh,
    SignIn,
    Login { with_secrets: bool },
    Revoke,
    Sessions(Which),
}

/// What is done with sessions.
#[derive(Clone, Copy)]
enum Which {
    List,
    EndOne,
    EndAll,
}

const ACTS: &[(&str, Act)] = &[
    ("refresh", Act::Refresh),
    ("sign-in", Act::SignIn),
    ("login", Act::Login { with_secrets: true }),
    ("login-asking", Act::Login { with_secrets: false }),
    ("revoke", Act::Revoke),
    ("sessions", Act::Sessions(Which::List)),
    ("end-session", Act::Sessions(Which::EndOne)),
    ("end-sessions", Act::Sessions(Which::EndAll)),
];

/// Has the account that the input names do what the input says, with the answers that it says.
pub fn run(input: &[u8]) {
    let (line, rest) = input::line(input);
    let mut words = line.split(' ');
    let accounts = accounts();
    let names = accounts.iter().map(|(name, it)| (name.as_str(), it)).collect::<Vec<_>>();
    let provider = *input::choice(&names, words.next().unwrap_or_default());
    let act = *input::choice(ACTS, words.next().unwrap_or_default());
    let (profile, parts) = (provider.profile(), input::parts(rest));
    let spend = || conversation::spend(profile);
    match act {
        Act::Refresh => conversation::exchange(profile, provider.exchange(spend()), &parts),
        Act::SignIn => {
            if let Some(sign_in) = provider.sign_in(spend()) {
                conversation::exchange(profile, sign_in, &parts);
            }
        }
        Act::Login { with_secrets } => {
            let start = conversation::start(profile, with_secrets);
            if let Some(login) = provider.login(start) {
                conversation::login(profile, login, &parts);
            }
        }
        Act::Revoke => {
            if let Some(revoke) = provider.revoke(spend()) {
                conversation::deed(profile, revoke, &parts, |()| {});
            }
        }
        Act::Sessions(order) => {
            if let Some(deed) = provider.sessions(order.order(), Secret::new(OWN)) {
                conversation::deed(profile, deed, &parts, |done| told(&done));
            }
        }
    }
}

impl Which {
    fn order(self) -> SessionOrder {
        match self {
            Self::List => SessionOrder::List,
            Self::EndOne => SessionOrder::End("7".into()),
            Self::EndAll => SessionOrder::EndAll,
        }
    }
}

/// The accounts, read once.
fn accounts() -> &'static [(String, Arc<dyn Provider>)] {
    static READ: OnceLock<Vec<(String, Arc<dyn Provider>)>> = OnceLock::new();
    READ.get_or_init(|| of(ACCOUNTS))
}

/// The providers of a configuration's accounts, by name.
pub fn of(text: &str) -> Vec<(String, Arc<dyn Provider>)> {
    let accounts = config(text).accounts;
    accounts.iter().map(|(id, account)| (id.to_string(), account.provider.clone())).collect()
}

/// A configuration that is right.
pub fn config(text: &str) -> Config {
    let file = File { name: "config.toml".into(), text: text.into() };
    let config = Config::parse(&[file], Mode::System, Defaults::system());
    config.unwrap_or_else(|invalid| panic!("{invalid}"))
}

fn told(sessions: &Sessions) {
    let Sessions::Listed(sessions) = sessions else { return };
    for session in sessions {
        let texts = [&session.device, &session.address, &session.begun, &session.used];
        for text in texts.into_iter().flatten().chain(&session.ends).chain([&session.id]) {
            assert!(!text.chars().any(char::is_control), "{text:?}");
            hygiene::hides(text);
        }
    }
}
