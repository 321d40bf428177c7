//! The command line, as types.
//!
//! What can be wrong is wrong here: names, spans and slots are parsed, so that no verb
//! sees a bad one (`value`). The arguments of the verbs stand beside each other by what they are
//! about: `global`, `token`, `admin`, `key`. The pages that a person reads are in `help`, the messages
//! of a wrong command line in `usage`.
//!
//! [`parse`] has a short cut for `tokenctl get NAME`, the one form that scripts run by the
//! thousand: building the tree of all verbs costs more than the request. A test holds
//! that the short cut and the tree agree.

pub(crate) mod admin;
pub(crate) mod global;
pub(crate) mod key;
pub(crate) mod login;
pub(crate) mod owner;
pub(crate) mod token;
pub(crate) mod value;

use std::ffi::OsString;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use tokenkeeper::name::AccountId;

use self::admin::AccessArgs;
use self::admin::BackupArgs;
use self::admin::ConfigVerb;
use self::admin::ImportArgs;
use self::admin::RestoreArgs;
use self::admin::SecretVerb;
use self::global::Global;
use self::key::KeyArgs;
use self::login::LoginArgs;
use self::login::LogoutArgs;
use self::login::SessionsArgs;
use self::owner::AdoptArgs;
use self::owner::ExportArgs;
use self::owner::FollowArgs;
use self::owner::HandoverArgs;
use self::token::GetArgs;
use self::token::ReportArgs;
use self::token::WaitArgs;
use self::value::Slot;
use self::value::account;
use crate::help;

/// Reads the arguments after the program's name.
///
/// # Errors
///
/// What clap has to say: a mistake, or a page of help that was asked for.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    if let Some(cli) = plain_get(arguments) {
        return Ok(cli);
    }
    let program = OsString::from("tokenctl");
    // clap's own verb for it would have to stand among the others.
    match first_word(arguments).and_then(|at| arguments.split_at_checked(at)) {
        Some((options, [help, verbs @ ..])) if help == "help" => {
            let page = OsString::from("--help");
            Cli::try_parse_from([program].iter().chain(options).chain(verbs).chain([&page]))
        }
        _ => Cli::try_parse_from([program].iter().chain(arguments)),
    }
}

/// Where the verb stands: after options, and the values of those that have one.
fn first_word(arguments: &[OsString]) -> Option<usize> {
    let mut is_value = false;
    arguments.iter().position(|argument| {
        let is_word =
            !std::mem::take(&mut is_value) && !argument.as_encoded_bytes().starts_with(b"-");
        is_value = argument == "--socket" || argument == "--color";
        is_word
    })
}

/// `get NAME` and nothing else.
fn plain_get(arguments: &[OsString]) -> Option<Cli> {
    let [verb, account] = arguments else { return None };
    let account = AccountId::parse(account.to_str()?).ok()?;
    (verb == "get")
        .then(|| Cli { global: Global::default(), verb: Verb::Get(GetArgs::plain(account)) })
}

/// The whole command line.
#[derive(Debug, Parser, PartialEq)]
#[command(
    name = "tokenctl",
    version,
    override_help = help::TOP,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    /// What every verb takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do. Each verb is one request to the daemon, or follows it; but for those about the
/// store key, which no daemon may have open meanwhile.
#[derive(Debug, PartialEq, Subcommand)]
pub(crate) enum Verb {
    /// Print an account's current token and nothing else.
    #[command(after_help = help::GET)]
    Get(GetArgs),
    /// Wait until an account has a token.
    #[command(after_help = help::WAIT)]
    Wait(WaitArgs),
    /// Have an account refreshed now.
    #[command(after_help = help::REFRESH)]
    Refresh(OneAccount),
    /// Say that the provider's API rejected a token.
    #[command(after_help = help::REPORT)]
    Report(ReportArgs),
    /// List the accounts that you may see.
    #[command(after_help = help::LIST)]
    List,
    /// Show the daemon and every account, or one.
    #[command(after_help = help::STATUS)]
    Status {
        /// Show this account alone.
        #[arg(value_parser = account)]
        account: Option<AccountId>,
    },
    /// Tell how one account stands, in sentences.
    #[command(after_help = help::WHY)]
    Why(OneAccount),
    /// Print what happens as it happens.
    #[command(after_help = help::WATCH)]
    Watch {
        /// Follow these accounts; without one, all that you may see.
        #[arg(value_parser = account, value_name = "ACCOUNT")]
        accounts: Vec<AccountId>,
    },
    /// Keep a file current for a program that reads files.
    #[command(after_help = help::FOLLOW)]
    Follow(FollowArgs),
    /// Print a token in the form that a program reads.
    #[command(after_help = help::EXPORT)]
    Export(ExportArgs),
    /// Show how the daemon sees you, and what you may do.
    #[command(after_help = help::WHOAMI)]
    Whoami,
    /// Explain what another user may do with an account.
    #[command(after_help = help::ACCESS)]
    Access(AccessArgs),
    /// Log an account in at its provider.
    #[command(after_help = help::LOGIN)]
    Login(LoginArgs),
    /// End the login of an account, at its provider too.
    #[command(after_help = help::LOGOUT)]
    Logout(LogoutArgs),
    /// List or end an account's sessions at its provider.
    #[command(after_help = help::SESSIONS)]
    Sessions(SessionsArgs),
    /// Take over a refresh token that you have.
    #[command(after_help = help::IMPORT)]
    Import(ImportArgs),
    /// Take the login of a program that keeps it in a JSON file.
    #[command(after_help = help::ADOPT)]
    Adopt(AdoptArgs),
    /// Give an account up: print its refresh token and freeze it.
    #[command(after_help = help::HANDOVER)]
    Handover(HandoverArgs),
    /// Store or forget a secret of an account.
    #[command(subcommand_value_name = "VERB", disable_help_subcommand = true)]
    Secret {
        /// What to do with it.
        #[command(subcommand)]
        verb: SecretVerb,
    },
    /// Spend nothing of an account until it is resumed.
    #[command(after_help = help::PAUSE)]
    Pause(OneAccount),
    /// End a pause.
    #[command(after_help = help::RESUME)]
    Resume(OneAccount),
    /// Try a failing account again now.
    #[command(after_help = help::RETRY)]
    Retry(OneAccount),
    /// Forget an account that is not configured any more.
    #[command(after_help = help::PURGE)]
    Purge(OneAccount),
    /// Seal everything that the daemon knows into a file.
    #[command(after_help = help::BACKUP)]
    Backup(BackupArgs),
    /// Take accounts over from a backup.
    #[command(after_help = help::RESTORE)]
    Restore(RestoreArgs),
    /// Seal the store key to this machine.
    #[command(after_help = help::INIT)]
    Init(KeyArgs),
    /// Change the store key.
    #[command(after_help = help::REKEY)]
    Rekey(KeyArgs),
    /// Look for problems, here and in the daemon.
    #[command(after_help = help::DOCTOR)]
    Doctor,
    /// Check the configuration without applying it.
    #[command(subcommand_value_name = "VERB", disable_help_subcommand = true)]
    Config {
        /// What to do with it.
        #[command(subcommand)]
        verb: ConfigVerb,
    },
    /// Apply the configuration.
    #[command(after_help = help::RELOAD)]
    Reload,
}

impl Verb {
    /// The one account that it is about.
    pub(crate) const fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Get(GetArgs { account, .. })
            | Self::Wait(WaitArgs { account, .. })
            | Self::Report(ReportArgs { account, .. })
            | Self::Access(AccessArgs { account, .. })
            | Self::Login(LoginArgs { account, .. })
            | Self::Logout(LogoutArgs { account, .. })
            | Self::Sessions(SessionsArgs { account, .. })
            | Self::Import(ImportArgs { account, .. })
            | Self::Follow(FollowArgs { account, .. })
            | Self::Export(ExportArgs { account, .. })
            | Self::Adopt(AdoptArgs { account, .. })
            | Self::Handover(HandoverArgs { account, .. })
            | Self::Secret {
                verb:
                    SecretVerb::Set { slot: Slot { account, .. }, .. }
                    | SecretVerb::Forget { slot: Slot { account, .. } },
            }
            | Self::Refresh(OneAccount { account })
            | Self::Why(OneAccount { account })
            | Self::Pause(OneAccount { account })
            | Self::Resume(OneAccount { account })
            | Self::Retry(OneAccount { account })
            | Self::Purge(OneAccount { account }) => Some(account),
            Self::Status { account } => account.as_ref(),
            Self::Watch { accounts } => match accounts.as_slice() {
                [one] => Some(one),
                _ => None,
            },
            Self::List
            | Self::Whoami
            | Self::Backup(_)
            | Self::Restore(_)
            | Self::Init(_)
            | Self::Rekey(_)
            | Self::Doctor
            | Self::Config { .. }
            | Self::Reload => None,
        }
    }
}

/// A verb that needs nothing but an account.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct OneAccount {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;
    use tokenkeeper::limits;
    use tokenkeeper::snapshot::LONGEST_WAIT;

    use super::*;

    #[test]
    fn the_command_tree_is_consistent() {
        Cli::command().debug_assert();
    }

    /// What clap prints is written by hand.
    #[test]
    fn the_help_of_get_tells_the_daemons_own_waits() {
        let command = Cli::command();
        let get = command.find_subcommand("get").unwrap();
        let wait = get.get_arguments().find(|argument| argument.get_id() == "wait").unwrap();
        let (longest, default) = (LONGEST_WAIT.as_secs(), limits::DEFAULT_WAIT.as_secs());
        assert!(
            wait.get_help()
                .unwrap()
                .to_string()
                .ends_with(&format!("up to {longest}s [default: {default}s]"))
        );
    }

    #[test]
    fn help_is_the_page_that_help_as_an_option_is() {
        for verbs in ["", "get", "secret", "secret set", "config check", "get mail"] {
            let page = |before: &str, after: &str| {
                let line = format!("{before} {verbs} {after}");
                let arguments = line.split_whitespace().map(OsString::from).collect::<Vec<_>>();
                let shown = parse(&arguments).unwrap_err();
                assert_eq!(shown.kind(), ErrorKind::DisplayHelp, "{line}");
                shown.to_string()
            };
            assert_eq!(page("help", ""), page("", "--help"), "{verbs}");
            for options in ["--json", "--color never", "--color=never", "--socket help -q"] {
                assert_eq!(page(&format!("{options} help"), ""), page("", "--help"), "{options}");
            }
        }
    }

    #[test]
    fn the_short_cut_and_the_tree_agree() {
        for account in ["mail", "a", "0-_x"] {
            let arguments = ["get", account].map(OsString::from);
            let short = plain_get(&arguments).unwrap();
            assert_eq!(short, Cli::try_parse_from(["tokenctl", "get", account]).unwrap());
        }
    }

    #[test]
    fn the_short_cut_takes_nothing_else() {
        #[rustfmt::skip]
        let cases: [&[&str]; 8] = [
            &[], &["get"], &["list"], &["get", "--help"], &["get", "-q"], &["get", "Mail"],
            &["status", "mail"], &["get", "mail", "--json"],
        ];
        for case in cases {
            let arguments = case.iter().map(OsString::from).collect::<Vec<_>>();
            assert_eq!(plain_get(&arguments), None, "{case:?}");
        }
    }

    #[test]
    fn good_command_lines_are_understood() {
        #[rustfmt::skip]
        let cases = [
            "get mail --kind id --min-ttl 5m --wait 60s --format json", "get mail --header",
            "--json get mail", "get mail --socket /s", "--user status", "status mail --system",
            "list", "status", "wait mail --min-ttl 1h --timeout 7d", "refresh mail",
            "report mail --generation 7", "report mail --token-stdin --stream", "why mail",
            "watch", "watch mail ci", "whoami", "access mail --user alice --group adm --group 7",
            "access mail --uid 0", "--user access mail --user alice", "login mail --password-stdin --no-browser",
            "logout mail --local", "sessions mail", "sessions mail --terminate 7", "sessions mail --terminate-all --json", "import mail", "import mail --refresh-token-file -",
            "secret set mail.client_secret --file /f", "secret forget mail.password",
            "pause mail", "resume mail", "retry mail", "purge mail", "doctor --color never",
            "config check", "reload --quiet", "reload -q",
            "backup --recipient age1one --recipient age1two --output /f", "backup --recipient age1one",
            "restore --identity /k /f", "restore /f --identity /k --account mail --account ci --dry-run --force",
            "import mail --from quilt-hp /f --email a@b", "import mail --from json /f --at /r",
            "adopt mail --file /f --at /r --access-at /a --follow", "adopt mail --json /f --at /r",
            "adopt mail --file /f --at /r --json",
            "export mail --format header", "export mail --release --output /f", "handover mail",
            "follow mail --file /f --format raw --mode 0640 --once",
            "follow mail --file /f --format json --at /r --access-at /a --expires-at /e --expires-as millis",
        ];
        for line in cases {
            let arguments = line.split(' ').map(OsString::from).collect::<Vec<_>>();
            assert!(parse(&arguments).is_ok(), "{line}");
        }
    }
}
