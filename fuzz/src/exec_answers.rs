//! What a program of the operator's answers.
//!
//! The first line of an input names the account and what is done; its parts are what came of the
//! calls: `answered`, `broken`, `unstarted` or `missing`, and the output.

use std::sync::Arc;
use std::sync::OnceLock;

use tokenkeeper::provider::Provider;

use super::conversation;
use super::input;
use super::token_replies;

const ACCOUNTS: &str = r#"
[accounts.meter]
provider = "exec"
command = ["/usr/local/lib/tokenkeeper/meter"]
context = { site = "home" }
secrets = { password = {} }
login = true

[accounts.door]
provider = "exec"
socket = "/run/door-tokens.sock"
grant = "client_credentials"
"#;

/// What is done with an account.
#[derive(Clone, Copy)]
enum Act {
    Refresh,
    SignIn,
    Login,
}

const ACTS: &[(&str, Act)] =
    &[("refresh", Act::Refresh), ("sign-in", Act::SignIn), ("login", Act::Login)];

/// Has the account that the input names do what the input says, with the answers that it says.
pub fn run(input: &[u8]) {
    static READ: OnceLock<Vec<(String, Arc<dyn Provider>)>> = OnceLock::new();

    let accounts = READ.get_or_init(|| token_replies::of(ACCOUNTS));
    let (line, rest) = input::line(input);
    let mut words = line.split(' ');
    let names = accounts.iter().map(|(name, it)| (name.as_str(), it)).collect::<Vec<_>>();
    let provider = *input::choice(&names, words.next().unwrap_or_default());
    let act = *input::choice(ACTS, words.next().unwrap_or_default());
    let (profile, parts) = (provider.profile(), input::parts(rest));
    match act {
        Act::Refresh => {
            let exchange = provider.exchange(conversation::spend(profile));
            conversation::exchange(profile, exchange, &parts);
        }
        Act::SignIn => {
            if let Some(sign_in) = provider.sign_in(conversation::spend(profile)) {
                conversation::exchange(profile, sign_in, &parts);
            }
        }
        Act::Login => {
            if let Some(login) = provider.login(conversation::start(profile, true)) {
                conversation::login(profile, login, &parts);
            }
        }
    }
}
