//! The configuration: text in, a checked [`Config`] or every error at once out.
//!
//! A configuration is the main file and its drop-ins, in the order in which they are
//! read. What may stand there once only, an account or a listening socket, is an error if
//! two files say it; a key of `[daemon]` in a later file wins, so that a drop-in can
//! override what a package brings.
//!
//! # Reading order
//!
//! [`Config::parse`], then `account` (the table that most configurations are made of),
//! `allow`, `hook`, `listen` and `daemon`.
//!
//! # Invariants
//!
//! * Nothing here reads a file, a clock or the environment: see [`files`](crate::files).
//! * A `Config` holds no secret, only references.
//! * A `Config` that exists is valid as a whole; there is no partial one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use crate::name::AccountId;
use crate::section::Mode;
use crate::section::Scope;
use crate::section::Section;
use crate::section::complaint::Complaint;
use crate::section::complaint::Place;
use crate::section::complaint::Problem;
use crate::section::complaint::Report;
use crate::section::complaint::Source;
use crate::section::consume_table;
use crate::section::value::Value;

pub mod account;
pub mod allow;
pub mod daemon;
#[cfg(test)]
mod example;
mod hook;
pub mod listen;
pub mod words;
#[cfg(test)]
mod wrong;

use self::account::Account;
use self::daemon::Daemon;
use self::daemon::Defaults;
use self::listen::Listen;

/// A valid configuration.
pub struct Config {
    /// What concerns the daemon as a whole.
    pub daemon: Daemon,
    /// Every account, by name.
    pub accounts: BTreeMap<AccountId, Arc<Account>>,
    /// Further listening sockets, which narrow what can be had through them.
    pub listen: Vec<Listen>,
    /// What is valid and still worth knowing.
    pub warnings: Vec<Complaint>,
}

impl Config {
    /// Reads the main file and its drop-ins, in this order.
    ///
    /// # Errors
    ///
    /// [`Invalid`], with all that is wrong in all files.
    pub fn parse(files: &[File], mode: Mode, defaults: Defaults) -> Result<Self, Invalid> {
        let report = Report::default();
        let mut draft = Draft::default();
        for (rank, file) in files.iter().enumerate() {
            let source = Source::new(rank, &file.name, &file.text);
            let scope = Scope { source: &source, report: &report, mode };
            draft.read(scope, &file.text);
        }
        let (daemon, accounts, listen) = draft.conclude(&report, defaults);
        let (complaints, warnings) = report.into_parts();
        if complaints.is_empty() {
            Ok(Self { daemon, accounts, listen, warnings })
        } else {
            Err(Invalid { complaints })
        }
    }
}

/// One file, as it was read.
pub struct File {
    /// What it is called in messages.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", lines(.complaints))]
pub struct Invalid {
    /// What is wrong, in the order of its places. Never empty.
    pub complaints: Vec<Complaint>,
}

/// The most complaints that are told at once: more do not help, and a file that is no
/// configuration at all makes thousands.
const MOST_COMPLAINTS: usize = 200;

fn lines(complaints: &[Complaint]) -> String {
    let mut lines =
        complaints.iter().take(MOST_COMPLAINTS).map(Complaint::to_string).collect::<Vec<_>>();
    if let Some(more) = complaints.len().checked_sub(MOST_COMPLAINTS).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

/// What the files read so far say.
#[derive(Default)]
struct Draft {
    daemon: daemon::Keys,
    accounts: BTreeMap<AccountId, Named>,
    listen: Vec<listen::Draft>,
    /// Those of all accounts.
    hooks: Vec<hook::Draft>,
    /// Whether a file was no TOML, so that nobody knows what it would have said.
    torn: bool,
}

/// An account that the configuration names.
struct Named {
    /// `None` if it is broken: whoever refers to it is not told that there is none.
    draft: Option<account::Draft>,
    /// Where its name stands.
    place: Place,
}

impl Draft {
    /// Reads one more file. A file that is no TOML is reported for that alone: what the
    /// parser makes of the rest would be guesswork.
    fn read(&mut self, scope: Scope<'_>, text: &str) {
        let (mut table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            scope.report.error(Complaint {
                place: Some(scope.source.place(&error.span().unwrap_or(0..0))),
                key: Box::default(),
                problem: Problem::Syntax(syntax(error.message())),
            });
        }
        if !errors.is_empty() {
            self.torn = true;
            return;
        }
        let accounts = table.get_mut().remove_entry("accounts");
        let mut section = Section::of_file(scope, &table);
        section.knows("accounts");
        self.read_tables(&mut section);
        section.finish();
        if let Some((key, accounts)) = accounts {
            let add = |name: &str, value: &Value<'_>| self.add_account(name, value);
            consume_table(scope, &key, accounts, add);
        }
    }

    fn read_tables(&mut self, section: &mut Section<'_>) {
        if let Some(mut daemon) = section.value("daemon").and_then(|it| it.section("a table")) {
            self.daemon.overlay(daemon::Keys::read(&mut daemon));
            daemon.finish();
        }
        if let Some(items) = section.value("listen").and_then(|it| it.list("[[listen]] tables")) {
            self.listen.extend(items.iter().filter_map(listen::Draft::read));
        }
        if let Some(hooks) = section.value("hooks") {
            self.hooks.extend(hook::read_all(&hooks));
        }
    }

    fn add_account(&mut self, name: &str, value: &Value<'_>) {
        let id = match AccountId::parse(name) {
            Ok(id) => id,
            Err(bad) => {
                value.complain_of_key(Problem::Rule(bad.to_string().into()));
                return;
            }
        };
        if let Some(first) = self.accounts.get(&id) {
            value.complain_of_key(Problem::Twice { first: first.place.clone() });
            return;
        }
        let draft = value.section("a table").and_then(account::Draft::read);
        self.accounts.insert(id, Named { draft, place: value.key_place() });
    }

    /// Checks what only all files together can tell, and fills in what none says.
    fn conclude(
        self,
        report: &Report,
        defaults: Defaults,
    ) -> (Daemon, BTreeMap<AccountId, Arc<Account>>, Vec<Listen>) {
        let daemon = self.daemon.conclude(defaults);
        if lies_beside(&daemon.socket, &daemon.state) {
            report.warning(out_of_reach(None, "daemon.socket".into()));
        }
        let mut places = BTreeMap::new();
        let mut listen = Vec::with_capacity(self.listen.len());
        for draft in self.listen {
            if !self.torn {
                draft.check_accounts(report, &self.accounts);
            }
            draft.check_path(report, &mut places);
            draft.check_reach(report, &daemon.state);
            listen.push(draft.conclude());
        }
        let general = hook::conclude(&[], &self.hooks, report);
        let hooks = |own: &[hook::Draft]| {
            if own.is_empty() {
                Arc::clone(&general)
            } else {
                hook::conclude(&general, own, report)
            }
        };
        let mut alike = None;
        let accounts = self
            .accounts
            .into_iter()
            .filter_map(|(id, named)| Some((id, named.draft?)))
            .map(|(id, draft)| {
                let hooks = hooks(&draft.hooks);
                (id, Arc::new(draft.conclude(&daemon, hooks, &mut alike)))
            })
            .collect();
        (daemon, accounts, listen)
    }
}

/// What the parser says, but of a number with a zero before it: whoever writes one means the mode
/// of a file.
fn syntax(message: &str) -> Box<str> {
    if message.starts_with("unexpected leading zero") {
        return "a number does not begin with 0; the mode of a file is written in quotes, such as \
                \"0660\""
            .into();
    }
    message.into()
}

/// Whether a socket lies in the directory of the database, or below it.
fn lies_beside(socket: &Path, state: &Path) -> bool {
    state.parent().is_some_and(|directory| socket.starts_with(directory))
}

fn out_of_reach(place: Option<Place>, key: Box<str>) -> Complaint {
    let rule = "it lies in the directory of `state`, which must have mode 0700, so that nobody \
                but root and the user of the daemon can reach it; put one of them elsewhere";
    Complaint { place, key, problem: Problem::Rule(rule.into()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::allow::Allow;
    use super::daemon::LogLevel;
    use super::*;
    use crate::access::Right;
    use crate::access::Rights;
    use crate::plan::RefreshBefore;
    use crate::plan::Rotation;

    const MAIL: &str = "[accounts.mail]\nprovider = 'google'\nclient_id = 'x'\n";

    #[test]
    fn an_account_means_what_its_table_says() {
        let config = good(&[&format!(
            "{MAIL}rotation = '30s'\nrefresh_before = '25%'\nalarm_before = '1h'\n\
             allow = ['alice', 'group:1000', 'unit:a.service', {{ user = 'b', rights = ['admin'] }}]"
        )]);
        let mail = &config.accounts["mail"];
        assert_eq!(mail.plan.rotation, Rotation::Grace(Duration::from_secs(30)));
        assert_eq!(mail.plan.refresh_before, Some(RefreshBefore::Percent(25)));
        assert_eq!(mail.plan.alarm_before, Duration::from_secs(3_600));
        assert!(mail.plan.has_refresh_token);

        let nobody = Allow { user: None, group: None, unit: None, rights: Rights::DEFAULT };
        let admin = Rights::NONE.with(Right::Admin);
        assert_eq!(
            mail.allow,
            [
                Allow { user: Some("alice".into()), ..nobody.clone() },
                Allow { group: Some("1000".into()), ..nobody.clone() },
                Allow { unit: Some("a.service".into()), ..nobody.clone() },
                Allow { user: Some("b".into()), rights: admin, ..nobody },
            ]
        );
    }

    #[test]
    fn an_account_that_says_nothing_takes_what_is_known_of_its_provider_and_the_daemon() {
        let config = good(&["[daemon]\nalarm_before = '5m'\n", MAIL]);
        let mail = &config.accounts["mail"];
        assert_eq!(mail.plan.rotation, Rotation::Never);
        assert_eq!(mail.plan.alarm_before, Duration::from_secs(300));
        assert_eq!(mail.plan.refresh_before, None);
        assert_eq!(mail.allow, []);
    }

    #[test]
    fn a_later_file_wins_key_by_key_in_the_daemons_table() {
        let first = "[daemon]\nlog = 'debug'\nsocket = '/a.sock'\nadmin = ['alice']\n";
        let later = "[daemon]\nlog = 'warn'\nadmin = []\nmetrics = ['bob']\n";
        let daemon = good(&[first, later]).daemon;
        assert_eq!(daemon.log, LogLevel::Warn);
        assert_eq!(daemon.socket, Path::new("/a.sock"));
        assert_eq!(daemon.state, Path::new("/var/lib/tokenkeeper/state.db"));
        assert_eq!(daemon.admin, []);
        assert_eq!(daemon.metrics.len(), 1);
    }

    #[test]
    fn a_socket_names_its_accounts_wherever_they_are_configured() {
        let listen = "[[listen]]\npath = '/a'\naccounts = ['mail']\nmode = '660'\n";
        let config = good(&[listen, MAIL]);
        assert_eq!(
            config.listen,
            [Listen {
                path: "/a".into(),
                accounts: vec![AccountId::parse("mail").unwrap()],
                rights: Rights::DEFAULT,
                mode: 0o660,
            }]
        );
    }

    #[test]
    fn an_account_has_the_hooks_of_all_accounts_and_then_its_own() {
        let hook = |table: &str, name: &str| {
            format!("[[{table}]]\nname = '{name}'\non = ['alarm']\ncommand = ['/x']\n")
        };
        let own = format!("{MAIL}{}", hook("accounts.mail.hooks", "own"));
        let other = "[accounts.ci]\nprovider = 'google'\nclient_id = 'x'\n";
        let config = good(&[&hook("hooks", "first"), &own, other, &hook("hooks", "last")]);
        let names = |account: &str| {
            let hooks = config.accounts[account].hooks.iter();
            hooks.map(|hook| hook.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names("mail"), ["first", "last", "own"]);
        assert_eq!(names("ci"), ["first", "last"]);
    }

    #[test]
    fn a_fingerprint_follows_the_meaning_and_not_the_spelling() {
        let print = |files: &[&str]| good(files).accounts["mail"].fingerprint;
        let base = print(&[MAIL]);
        let daemon = |text| print(&[text, MAIL]) == base;
        #[rustfmt::skip]
        let cases = [
            ("order and comments",   true,  print(&["accounts.mail = { client_id = \"x\", provider = 'google' } # x"]) == base),
            ("another file",         true,  print(&["", MAIL]) == base),
            ("another account",      true,  print(&[MAIL, "[accounts.b]\nprovider = 'google'\nclient_id = 'x'"]) == base),
            ("everybody's hooks",    true,  daemon("[[hooks]]\nname = 'a'\non = ['alarm']\ncommand = ['/x']")),
            ("its own hooks",        true,  print(&[&format!("{MAIL}[[accounts.mail.hooks]]\nname = 'a'\non = ['alarm']\ncommand = ['/x']")]) == base),
            ("the daemon's log",     true,  daemon("[daemon]\nlog = 'debug'")),
            ("the daemon's alarm",   false, daemon("[daemon]\nalarm_before = '1m'")),
            ("a rule",               false, print(&[&format!("{MAIL}allow = ['alice']")]) == base),
            ("another client",       false, print(&[&MAIL.replace('x', "y")]) == base),
        ];
        for (name, expected, same) in cases {
            assert_eq!(same, expected, "{name}");
        }
    }

    #[test]
    fn what_is_valid_and_still_strange_is_warned_about() {
        let nas = "[accounts.nas]\ntoken_endpoint = 'https://nas.example'\nclient_id = 'x'\n\
                   plain_http = true\ngrant = 'client_credentials'\nrotation = 'strict'\n";
        assert_eq!(
            warnings(&[nas]),
            [
                "0.toml:1:11: accounts.nas: plain_http means nothing for an https endpoint",
                "0.toml:1:11: accounts.nas: rotation means nothing without a refresh token",
            ]
        );
        assert!(warnings(&[""]).is_empty(), "a new host has no account");
        let hidden = format!(
            "{MAIL}[daemon]\nsocket = '/srv/tk/api.sock'\nstate = '/srv/tk/state.db'\n\
             [[listen]]\npath = '/srv/tk/ci/ci.sock'\naccounts = ['mail']\n\
             [[listen]]\npath = '/srv/tk-ci.sock'\naccounts = ['mail']\n"
        );
        let rule = "it lies in the directory of `state`, which must have mode 0700, so that \
                    nobody but root and the user of the daemon can reach it; put one of them \
                    elsewhere";
        assert_eq!(
            warnings(&[&hidden]),
            [format!("daemon.socket: {rule}"), format!("0.toml:8:8: listen[0].path: {rule}")]
        );
        assert_eq!(warnings(&[MAIL]), [""; 0]);
    }

    #[test]
    fn ten_thousand_accounts_are_one_configuration() {
        let text = (0..10_000).map(|n| MAIL.replace("mail", &format!("m{n}"))).collect::<String>();
        assert_eq!(good(&[&text]).accounts.len(), 10_000);
    }

    fn warnings(texts: &[&str]) -> Vec<String> {
        good(texts).warnings.iter().map(ToString::to_string).collect()
    }

    fn good(texts: &[&str]) -> Config {
        let file = |(index, text): (usize, &&str)| File {
            name: format!("{index}.toml"),
            text: (*text).into(),
        };
        let files = texts.iter().enumerate().map(file).collect::<Vec<_>>();
        match Config::parse(&files, Mode::System, Defaults::system()) {
            Ok(config) => config,
            Err(invalid) => panic!("{invalid}"),
        }
    }
}
