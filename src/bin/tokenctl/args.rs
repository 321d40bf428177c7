//! The command line, as types.
//!
//! What can be wrong is wrong here: names, spans and slots are parsed, so that no verb
//! sees a bad one (`value`). The pages that a person reads are in `help`, the messages of a wrong
//! command line in `usage`.
//!
//! [`parse`] has a short cut for `tokenctl get NAME`, the one form that scripts run by the
//! thousand: building the tree of all verbs costs more than the request. A test holds
//! that the short cut and the tree agree.

pub(crate) mod value;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use tokenkeeper::name::AccountId;

use self::value::Slot;
use self::value::account;
use self::value::number;
use self::value::slot;
use self::value::span;
use self::value::wait;
use crate::find::Wish;
use crate::help;

/// Reads the arguments after the program's name.
///
/// # Errors
///
/// What clap has to say: a mistake, or a page of help that was asked for.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    match plain_get(arguments) {
        Some(cli) => Ok(cli),
        None => {
            let program = OsString::from("tokenctl");
            Cli::try_parse_from([program].iter().chain(arguments))
        }
    }
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

/// What every verb takes.
#[derive(Args, Debug, Default, PartialEq)]
#[command(next_help_heading = "Options of every verb")]
pub(crate) struct Global {
    /// Print JSON, errors too.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Ask the daemon of this user's session.
    #[arg(long, global = true, conflicts_with_all = ["system", "socket"])]
    user: bool,
    /// Ask the daemon of the host.
    #[arg(long, global = true, conflicts_with = "socket")]
    system: bool,
    /// Ask the daemon on this socket.
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// When to colour: auto, always or never.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub(crate) color: When,
    /// Print no confirmations.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

impl Global {
    /// Which daemon is wished for.
    pub(crate) fn wish(&self) -> Wish {
        match &self.socket {
            Some(path) => Wish::Socket(path.clone()),
            None if self.user => Wish::User,
            None if self.system => Wish::System,
            None => Wish::Any,
        }
    }
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

/// What to do. Each verb is one request to the daemon, or follows it.
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
    /// List the accounts that you may use.
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
    /// Show how the daemon sees you, and what you may do.
    #[command(after_help = help::WHOAMI)]
    Whoami,
    /// Explain what another user may do with an account.
    #[command(after_help = help::ACCESS)]
    Access(AccessArgs),
    /// Take over a refresh token that you have.
    #[command(after_help = help::IMPORT)]
    Import(ImportArgs),
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
            | Self::Import(ImportArgs { account, .. })
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
            Self::List | Self::Whoami | Self::Doctor | Self::Config { .. } | Self::Reload => None,
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

/// `get`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct GetArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// Which token, access or id; without it, the one that the provider's API takes.
    #[arg(long, hide_possible_values = true)]
    pub(crate) kind: Option<TokenKind>,
    /// Have it refreshed first if it is good for less than this.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) min_ttl: Option<Duration>,
    /// Wait at most this long for a refresh, up to 60s [default: 20s].
    #[arg(long, value_name = "SPAN", value_parser = wait)]
    pub(crate) wait: Option<Duration>,
    /// The bare token (raw), all about it (json), or a header as "curl -H" takes it (header).
    #[arg(long, default_value = "raw", conflicts_with = "header", hide_possible_values = true)]
    pub(crate) format: TokenFormat,
    /// The same as --format header.
    #[arg(long)]
    pub(crate) header: bool,
}

impl GetArgs {
    /// Without any option.
    const fn plain(account: AccountId) -> Self {
        Self {
            account,
            kind: None,
            min_ttl: None,
            wait: None,
            format: TokenFormat::Raw,
            header: false,
        }
    }
}

/// Which token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum TokenKind {
    /// The access token.
    Access,
    /// The ID token.
    Id,
}

impl TokenKind {
    /// The word on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Id => "id",
        }
    }
}

/// How to print a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum TokenFormat {
    /// The token alone.
    Raw,
    /// Everything that belongs to it.
    Json,
    /// A header.
    Header,
}

/// `wait`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct WaitArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// A token counts if it is good for at least this.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) min_ttl: Option<Duration>,
    /// Give up after this.
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "60s")]
    pub(crate) timeout: Duration,
}

/// `report`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct ReportArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// The rejected token's generation, as "get --json" shows it.
    #[arg(long, value_name = "N", value_parser = number::<u64>, conflicts_with = "token_stdin")]
    pub(crate) generation: Option<u64>,
    /// Read the rejected token from the standard input; only its hash is sent.
    #[arg(long)]
    pub(crate) token_stdin: bool,
    /// It was rejected on a long-lived stream, not on a request.
    #[arg(long)]
    pub(crate) stream: bool,
    /// A token, which is refused in words.
    #[arg(hide = true)]
    pub(crate) literal: Option<OsString>,
}

/// `access`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct AccessArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// This user, with all groups that the host gives it.
    #[arg(long = "user", value_name = "NAME", conflicts_with = "uid")]
    pub(crate) of_user: Option<String>,
    /// This user id.
    #[arg(long, value_name = "N", value_parser = number::<u32>)]
    pub(crate) uid: Option<u32>,
    /// And this group, by name or number.
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// Stands in for the `--user` of every verb, whose name means a user here: the daemon of
    /// the session is asked by `tokenctl --user access …`.
    #[arg(id = "user", long = "of-session", hide = true)]
    pub(crate) of_session: bool,
}

/// `import`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct ImportArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// Read the refresh token from this file, "-" being the standard input; without it, a
    /// terminal is asked and anything else is read.
    #[arg(long, value_name = "FILE")]
    pub(crate) refresh_token_file: Option<PathBuf>,
    /// A token, which is refused in words.
    #[arg(hide = true)]
    pub(crate) literal: Option<OsString>,
}

/// `secret …`.
#[derive(Debug, PartialEq, Subcommand)]
pub(crate) enum SecretVerb {
    /// Store a secret in a slot of an account.
    #[command(after_help = help::SECRET_SET)]
    Set {
        /// Where it belongs, such as mail.client_secret.
        #[arg(value_parser = slot, value_name = "ACCOUNT.SLOT")]
        slot: Slot,
        /// Read it from this file, "-" being the standard input; without it, a terminal is
        /// asked and anything else is read.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// A secret, which is refused in words.
        #[arg(hide = true)]
        literal: Option<OsString>,
    },
    /// Forget what a slot holds.
    #[command(after_help = help::SECRET_FORGET)]
    Forget {
        /// Which.
        #[arg(value_parser = slot, value_name = "ACCOUNT.SLOT")]
        slot: Slot,
    },
}

/// `config …`.
#[derive(Debug, PartialEq, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Have the daemon read the configuration and say what a reload would do.
    #[command(after_help = help::CONFIG_CHECK)]
    Check,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
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
            "get mail --kind id --min-ttl 5m --wait 60s --format json", "get mail --header --json",
            "--json get mail", "get mail --socket /s", "--user status", "status mail --system",
            "list", "status", "wait mail --min-ttl 1h --timeout 7d", "refresh mail",
            "report mail --generation 7", "report mail --token-stdin --stream", "why mail",
            "watch", "watch mail ci", "whoami", "access mail --user alice --group adm --group 7",
            "access mail --uid 0", "--user access mail --user alice", "import mail", "import mail --refresh-token-file -",
            "secret set mail.client_secret --file /f", "secret forget mail.password",
            "pause mail", "resume mail", "retry mail", "purge mail", "doctor --color never",
            "config check", "reload --quiet", "reload -q",
        ];
        for line in cases {
            let arguments = line.split(' ').map(OsString::from).collect::<Vec<_>>();
            assert!(parse(&arguments).is_ok(), "{line}");
        }
    }
}
