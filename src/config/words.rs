//! What a configuration means, in words: for `tokenkeeperd --check`.
//!
//! A line is a sentence without its subject, below the name of what it is about. Values
//! stand as they are written, but never a secret (a configuration has none) and never the
//! query of a URL.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use super::Config;
use super::account::Account;
use super::allow::Allow;
use super::daemon::Daemon;
use super::listen::Listen;
use crate::access::Right;
use crate::access::Rights;
use crate::hook::Deed;
use crate::hook::Hook;
use crate::hook::Role;
use crate::name::AccountId;
use crate::plan::FailureAction;
use crate::plan::Plan;
use crate::plan::Rotation;
use crate::plan::SignIn;
use crate::plan::highest_rung;
use crate::provider::Method;
use crate::provider::Spend;
use crate::provider::Step;
use crate::provider::call::Callee;
use crate::schedule;
use crate::schedule::Spread;
use crate::section::SecretRef;
use crate::time::Jitter;
use crate::time::Timestamp;
use crate::time::spoken;
use crate::token::Secret;

/// The lifetime that the words are about where nobody knows the provider's.
const EXAMPLE: Duration = Duration::from_secs(3_600);

/// Everything that a configuration means, a paragraph for the daemon, each further socket
/// and each account.
pub fn plan_in_words(config: &Config) -> String {
    let mut page = Page(String::new());
    page.paragraph("the daemon", daemon(&config.daemon));
    for listen in &config.listen {
        page.paragraph(format_args!("the socket {}", listen.path.display()), socket(listen));
    }
    for (id, settings) in &config.accounts {
        let name = settings.provider.profile().name;
        page.paragraph(format_args!("account {id} ({name})"), account(id, settings));
    }
    page.0
}

/// Text in paragraphs.
struct Page(String);

impl Page {
    fn paragraph(&mut self, title: impl fmt::Display, lines: Vec<String>) {
        // Writing into a String cannot fail.
        let _written = writeln!(self.0, "{title}");
        for line in lines {
            let _written = writeln!(self.0, "  {line}");
        }
    }
}

fn daemon(daemon: &Daemon) -> Vec<String> {
    let mut lines = vec![
        format!("listens on {}, where the rules of each account decide", daemon.socket.display()),
        format!("keeps its state in {}", daemon.state.display()),
    ];
    let credentials = daemon.credential_socket.as_ref();
    lines.extend(credentials.map(|path| {
        format!("listens on {} for LoadCredential= of units, which rules name", path.display())
    }));
    let may = |rules: &[Allow], what: &str| {
        rules.iter().map(|rule| format!("{} may {what}", who(rule))).collect::<Vec<_>>()
    };
    let administer = "reload it, log accounts in, change them and hand them over, without \
                      having their access tokens";
    lines.extend(may(&daemon.admin, administer));
    lines.extend(may(&daemon.metrics, "read its metrics"));
    lines
}

fn socket(listen: &Listen) -> Vec<String> {
    let accounts = listen.accounts.iter().map(AccountId::as_str).collect::<Vec<_>>();
    vec![
        format!("lets no account through but {}", listed(&accounts)),
        format!("lets nobody do more than {}, root included", rights(listen.rights)),
        format!("has mode {:04o}; the rules of each account decide besides", listen.mode),
    ]
}

fn account(id: &AccountId, account: &Account) -> Vec<String> {
    let profile = account.provider.profile();
    let mut lines = vec![place(account)];
    let secrets = profile.secrets.iter();
    lines.extend(secrets.map(|(slot, reference)| format!("takes {}", source(id, slot, reference))));
    lines.extend(sign_in(id, account));
    lines.extend([margin(&account.plan, profile.lifetime), rotation(&account.plan)]);
    lines.extend(end(&account.plan));
    lines.push(alarm(&account.plan));
    lines.extend(account.hooks.iter().map(|hook| called(hook)));
    for rule in &account.allow {
        lines.push(format!("{} may {}", who(rule), rights(rule.rights)));
    }
    let nobody = if account.allow.is_empty() { "nobody" } else { "nobody else" };
    lines.push(format!("{nobody} has a right to it but root and the user that the daemon runs as"));
    lines
}

/// Where its exchanges begin, and as what. The codec itself is asked for its first request,
/// with stand-ins for what it would spend; nothing is sent.
fn place(account: &Account) -> String {
    let profile = account.provider.profile();
    let stand_in = || Secret::new("stand-in");
    let spend = Spend {
        refresh_token: profile.has_refresh_token.then(stand_in),
        secrets: profile.secrets.iter().map(|(slot, _)| (*slot, stand_in())).collect(),
        learned: None,
        held: None,
        now: Timestamp::default(),
    };
    match account.provider.exchange(spend).next(None) {
        Step::Ask(mut request) => {
            request.url.set_query(None);
            let asks = match request.method {
                Method::Post | Method::Delete => format!("asks {} for tokens", request.url),
                Method::Get => {
                    format!("asks {} where to ask for tokens, and asks there", request.url)
                }
            };
            // Services of one client only are counted under their own name.
            if *profile.client == *profile.name {
                asks
            } else {
                format!("{asks}, as client {}", profile.client)
            }
        }
        Step::Call(call) => match &call.callee {
            Callee::Program(_) => format!("runs {} for tokens", call.callee.path()),
            Callee::Socket(_) => format!("asks {} for tokens", call.callee.path()),
        },
        Step::Done(_) => format!("asks {} for tokens", profile.host),
    }
}

/// When it logs in without a person, and with what.
fn sign_in(id: &AccountId, account: &Account) -> Vec<String> {
    let begin = match account.plan.sign_in {
        SignIn::Never => return Vec::new(),
        SignIn::Possible => "logs in by itself to begin with",
        SignIn::ForAws => "logs in by itself to begin with and when its AWS credentials are due",
    };
    let after = match account.plan.on_refresh_failure {
        FailureAction::Raise => "",
        FailureAction::SignIn => ", and once after a refresh that is refused",
    };
    let secrets = account.provider.profile().sign_in.iter().flatten();
    let takes = secrets.map(|(slot, reference)| format!("takes {}", source(id, slot, reference)));
    takes.chain([format!("{begin}{after}, if its secrets are there")]).collect()
}

fn source(id: &AccountId, slot: &str, reference: &SecretRef) -> String {
    match reference {
        SecretRef::Slot => {
            format!("{slot} from the store, where tokenctl secret set {id}.{slot} puts it")
        }
        SecretRef::Credential(name) => {
            format!("{slot} from the credential tokenkeeper.secret.{name}")
        }
        SecretRef::File(path) => format!("{slot} from the file {path}"),
        SecretRef::Command(argv) => {
            format!("{slot} from the command {}", argv.first().map_or("", |program| program))
        }
    }
}

/// `12 to 21 min`: between the latest and the earliest moment of a refresh.
fn margin(plan: &Plan, lifetime: Option<Duration>) -> String {
    let lifetime = lifetime.unwrap_or(EXAMPLE);
    let left = |share| {
        let spread = Spread::fixed(Jitter::new(share));
        lifetime.saturating_sub(schedule::refresh_after(lifetime, plan.refresh_before, spread))
    };
    let (shortest, longest) = (left(0.0), left(1.0));
    let minutes = |span: Duration| span.as_secs() / 60;
    let margin = if minutes(shortest) < 2 {
        format!("{} to {} s", shortest.as_secs(), longest.as_secs())
    } else if minutes(shortest) == minutes(longest) {
        format!("{} min", minutes(shortest))
    } else {
        format!("{} to {} min", minutes(shortest), minutes(longest))
    };
    format!("refreshes {margin} before the expiry where a token lives {}", spoken(lifetime))
}

fn rotation(plan: &Plan) -> String {
    if !plan.has_refresh_token {
        return "has no refresh token to lose, and begins by itself".to_owned();
    }
    match plan.rotation {
        Rotation::Unknown => format!(
            "asks again within {} for a reply that was lost, because the provider may rotate",
            spoken(Rotation::ASSUMED_GRACE)
        ),
        Rotation::Never => "loses nothing with a reply that was lost".to_owned(),
        Rotation::Grace(span) => {
            format!("asks again within {} for a reply that was lost", spoken(span))
        }
        Rotation::Strict => "lets the refresh token rest after a lost reply, until the access \
                             token is nearly spent"
            .to_owned(),
    }
}

/// What is known beforehand of the end of a login, and how that is told.
fn end(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(life) = plan.refresh_token_lifetime {
        let (told, passed_over): (Vec<_>, Vec<_>) =
            plan.expiry_ahead.iter().partition(|rung| **rung <= highest_rung(life));
        let words = |rungs: Vec<&Duration>| {
            let rungs = rungs.into_iter().map(|rung| spoken(*rung)).collect::<Vec<_>>();
            listed(&rungs.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let mut line = format!("counts on a login that lasts {}", spoken(life));
        if !told.is_empty() {
            line.push_str(&format!(", and tells its end {} ahead", words(told)));
        }
        if !passed_over.is_empty() {
            let rungs = words(passed_over);
            line.push_str(&format!("; not {rungs} ahead, more than three quarters of that"));
        }
        lines.push(line);
    }
    if let Some(idle) = plan.refresh_token_idle {
        let idle = spoken(idle);
        lines.push(format!("refreshes at least twice in {idle}, so that the login stays in use"));
    }
    lines
}

fn alarm(plan: &Plan) -> String {
    format!(
        "raises an alarm for a failure that lasts into the last {} of a token",
        spoken(plan.alarm_before)
    )
}

/// What a hook does, and when.
fn called(hook: &Hook) -> String {
    let Hook { name, on, deed } = hook;
    let events = on.iter().map(|event| event.as_str()).collect::<Vec<_>>();
    let events = listed(&events);
    match deed {
        Deed::Run { argv, timeout, role } => {
            let program = argv.first().map_or("", |program| program);
            let timeout = spoken(*timeout);
            match role {
                Role::Follower => {
                    format!("runs {program} for {timeout} at the most after {events} (hook {name})")
                }
                Role::Bearer => format!(
                    "runs {program} for {timeout} at the most after {events}, with the token on descriptor 3 (hook {name})"
                ),
                Role::Gate => format!(
                    "makes no attempt unless {program} ends well within {timeout} (gate {name})"
                ),
            }
        }
        Deed::Start { template, manager: _, timeout } => format!(
            "starts its instance of {} after {events}, and waits {} at the most (hook {name})",
            template.as_str(),
            spoken(*timeout)
        ),
        Deed::File { directory, mode: _ } => {
            format!("puts a file into {} after {events} (hook {name})", directory.display())
        }
    }
}

/// Whom a rule speaks of: `user alice`, or all that must match.
fn who(rule: &Allow) -> String {
    let Allow { user, group, unit, rights: _ } = rule;
    let parts = [("user", user), ("group", group), ("unit", unit)];
    let named =
        |(what, name): (&str, &Option<Box<str>>)| Some(format!("{what} {}", name.as_ref()?));
    let parts = parts.into_iter().filter_map(named).collect::<Vec<_>>();
    parts.join(" in ")
}

fn rights(rights: Rights) -> String {
    let words = rights.iter().map(Right::as_str).collect::<Vec<_>>();
    listed(&words)
}

/// `a, b and c`.
fn listed(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::File;
    use crate::config::daemon::Defaults;
    use crate::section::Mode;

    use super::*;

    #[test]
    fn the_end_of_a_login_is_told_as_far_as_it_is_known() {
        let words = words(
            "[accounts.mail]\nprovider = 'google'\nclient_id = 'x'\n\
             refresh_token_lifetime = '30d'\nrefresh_token_idle = '7d'\n\
             expiry_ahead = ['400d', '7d', '1d']\n",
        );
        for line in [
            "  counts on a login that lasts 30 d, and tells its end 7 d and 1 d ahead; not 400 d \
             ahead, more than three quarters of that\n",
            "  refreshes at least twice in 7 d, so that the login stays in use\n",
        ] {
            assert!(words.contains(line), "{words}");
        }
    }

    #[test]
    fn a_whole_configuration_is_told_as_it_will_happen() {
        let words = words(
            "[daemon]\n\
             admin = ['group:adm']\n\
             metrics = ['prometheus']\n\
             credential_socket = '/run/tokenkeeper/credential.sock'\n\
             [accounts.mail]\n\
             provider = 'google'\n\
             client_id = 'x'\n\
             client_secret = { file = '/etc/mail-secret' }\n\
             allow = ['alice', 'group:mail']\n\
             [[accounts.mail.hooks]]\n\
             name = 'restart'\n\
             on = ['token_changed']\n\
             command = ['/usr/local/bin/restart', 'mail']\n\
             token = true\n\
             [[accounts.mail.hooks]]\n\
             name = 'office-hours'\n\
             on = ['refresh_started']\n\
             command = ['/usr/local/bin/office-hours']\n\
             timeout = '5s'\n\
             gate = true\n\
             [[hooks]]\n\
             name = 'page'\n\
             on = ['alarm', 'expiry_ahead']\n\
             command = ['/usr/local/bin/page']\n\
             [[hooks]]\n\
             name = 'watched'\n\
             on = ['token_changed']\n\
             directory = '/run/tokenkeeper/events'\n\
             [[hooks]]\n\
             name = 'unit'\n\
             on = ['token_changed']\n\
             unit = 'tokenkeeper-hook@.service'\n\
             [accounts.ci]\n\
             issuer = 'https://git.example'\n\
             client_id = 'ci'\n\
             grant = 'client_credentials'\n\
             allow = [{ user = 'ci', group = 'deploy', rights = ['read', 'report', 'refresh'] }]\n\
             [[listen]]\n\
             path = '/srv/ci/tokens.sock'\n\
             accounts = ['ci']\n\
             mode = '0660'\n",
        );
        insta::assert_snapshot!(words, @r"
        the daemon
          listens on /run/tokenkeeper/api.sock, where the rules of each account decide
          keeps its state in /var/lib/tokenkeeper/state.db
          listens on /run/tokenkeeper/credential.sock for LoadCredential= of units, which rules name
          group adm may reload it, log accounts in, change them and hand them over, without having their access tokens
          user prometheus may read its metrics
        the socket /srv/ci/tokens.sock
          lets no account through but ci
          lets nobody do more than read and report, root included
          has mode 0660; the rules of each account decide besides
        account ci (oauth2)
          asks https://git.example/.well-known/openid-configuration where to ask for tokens, and asks there, as client ci
          takes client_secret from the store, where tokenctl secret set ci.client_secret puts it
          refreshes 12 to 21 min before the expiry where a token lives 1 h
          has no refresh token to lose, and begins by itself
          raises an alarm for a failure that lasts into the last 10 min of a token
          runs /usr/local/bin/page for 10 s at the most after alarm and expiry_ahead (hook page)
          puts a file into /run/tokenkeeper/events after token_changed (hook watched)
          starts its instance of tokenkeeper-hook@.service after token_changed, and waits 10 s at the most (hook unit)
          user ci in group deploy may read, refresh and report
          nobody else has a right to it but root and the user that the daemon runs as
        account mail (google)
          asks https://oauth2.googleapis.com/token for tokens, as client x
          takes client_secret from the file /etc/mail-secret
          refreshes 12 to 21 min before the expiry where a token lives 1 h
          loses nothing with a reply that was lost
          raises an alarm for a failure that lasts into the last 10 min of a token
          runs /usr/local/bin/page for 10 s at the most after alarm and expiry_ahead (hook page)
          puts a file into /run/tokenkeeper/events after token_changed (hook watched)
          starts its instance of tokenkeeper-hook@.service after token_changed, and waits 10 s at the most (hook unit)
          runs /usr/local/bin/restart for 10 s at the most after token_changed, with the token on descriptor 3 (hook restart)
          makes no attempt unless /usr/local/bin/office-hours ends well within 5 s (gate office-hours)
          user alice may read and report
          group mail may read and report
          nobody else has a right to it but root and the user that the daemon runs as
        ");
    }

    #[test]
    fn a_plan_is_told_as_it_will_happen() {
        #[rustfmt::skip]
        let cases: &[(&str, &[&str])] = &[
            ("", &["refreshes 12 to 21 min before", "asks again within 10 s for a reply that was lost, because", "the last 10 min of"]),
            ("refresh_before = '5m'\nrotation = '30s'\nalarm_before = '2m'", &["refreshes 5 to 6 min before", "asks again within 30 s for", "the last 2 min of"]),
            ("refresh_before = '25%'\nrotation = 'none'", &["refreshes 15 to 18 min before", "loses nothing"]),
            ("refresh_before = '30s'\nrotation = 'strict'", &["refreshes 35 to 41 s before", "lets the refresh token rest"]),
        ];
        for (keys, parts) in cases {
            let text =
                format!("[accounts.a]\nissuer = 'https://idp.example'\nclient_id = 'x'\n{keys}");
            let words = words(&text);
            for part in *parts {
                assert!(words.contains(part), "{keys}: {part}\n{words}");
            }
        }
    }

    #[test]
    fn a_margin_is_that_of_the_providers_own_lifetime_where_that_is_known() {
        let idp = "issuer = 'https://idp.example'\nclient_id = 'x'";
        let program = "provider = 'exec'\ncommand = ['/usr/local/bin/token']";
        let plugs = "provider = 'kasa-monitor'\nbase_url = 'http://127.0.0.1'\nusername = 'x'";
        let boiler = "provider = 'navien'\nemail = 'x'";
        let heatpump = "provider = 'quilt'\nemail = 'x'";
        #[rustfmt::skip]
        let cases = [
            // keys     more                       margin
            (plugs,    "",                         "6 to 10 min before the expiry where a token lives 30 min"),
            (boiler,   "",                         "12 to 21 min before the expiry where a token lives 1 h"),
            (heatpump, "",                         "12 to 21 min before the expiry where a token lives 1 h"),
            (idp,      "",                         "12 to 21 min before the expiry where a token lives 1 h"),
            (idp,      "default_lifetime = '10m'", "2 to 3 min before the expiry where a token lives 10 min"),
            (program,  "default_lifetime = '10m'", "2 to 3 min before the expiry where a token lives 10 min"),
        ];
        for (keys, more, margin) in cases {
            let words = words(&format!("[accounts.a]\n{keys}\n{more}"));
            assert!(words.contains(&format!("  refreshes {margin}\n")), "{words}");
        }
    }

    /// What is counted as the client of such an account is a user, or nobody.
    #[test]
    fn a_program_and_a_socket_are_told_without_a_client() {
        #[rustfmt::skip]
        let cases = [
            // keys                                             told
            ("command = ['/usr/local/bin/token']",              "runs /usr/local/bin/token for tokens\n"),
            ("command = ['/usr/local/bin/token']\nusername='x'", "runs /usr/local/bin/token for tokens\n"),
            ("socket = '/run/token.sock'",                      "asks /run/token.sock for tokens\n"),
        ];
        for (keys, told) in cases {
            let words = words(&format!("[accounts.a]\nprovider = 'exec'\n{keys}"));
            assert!(words.contains(told) && !words.contains("as client"), "{words}");
        }
    }

    #[test]
    fn a_login_without_a_person_is_told_with_its_secrets() {
        let words = words(
            "[accounts.boiler]\nprovider = 'navien'\nemail = 'x'\naws_credentials = true\n\
             [accounts.heatpump]\nprovider = 'quilt'\nemail = 'x'\n\
             [accounts.plugs]\nprovider = 'kasa-monitor'\nbase_url = 'http://127.0.0.1:5272'\n\
             username = 'x'\ntotp = true\npassword = { file = '/etc/p' }\n\
             on_refresh_failure = 'sign-in'\n",
        );
        let told = ["logs in", "takes", "account"];
        let told = words.lines().filter(|line| told.iter().any(|it| line.trim().starts_with(it)));
        insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r"
        account boiler (navien)
          takes password from the store, where tokenctl secret set boiler.password puts it
          logs in by itself to begin with and when its AWS credentials are due, if its secrets are there
        account heatpump (quilt)
        account plugs (kasa-monitor)
          takes password from the file /etc/p
          takes totp from the store, where tokenctl secret set plugs.totp puts it
          logs in by itself to begin with, and once after a refresh that is refused, if its secrets are there
        ");
    }

    /// A query may hold what should not be shown.
    #[test]
    fn an_endpoint_is_told_without_its_query() {
        let words = words(
            "[accounts.a]\ntoken_endpoint = 'https://idp.example/token?key=hush'\nclient_id = 'x'",
        );
        assert!(
            words.contains("asks https://idp.example/token for tokens, as client x\n"),
            "{words}"
        );
    }

    fn words(text: &str) -> String {
        let file = File { name: "config.toml".into(), text: text.into() };
        match Config::parse(&[file], Mode::System, Defaults::system()) {
            Ok(config) => plan_in_words(&config),
            Err(invalid) => panic!("{invalid}"),
        }
    }
}
