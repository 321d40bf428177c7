//! What is wrong with a command line, in one sentence.
//!
//! clap knows what is wrong and shows it as a page; this says it in a line, in the words of
//! the other messages. Foreign text passes [`scrubbed`], since people paste tokens into
//! the wrong place and standard error often ends in a journal.

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::ContextKind;
use clap::error::ContextValue;
use clap::error::ErrorKind;
use tokenkeeper::error::foreign::scrubbed;
use tokenkeeper::error::foreign::shown;
use tokenkeeper::spelling::nearest;

use crate::args::Cli;
use crate::args::value::Slot;

/// Most characters of an argument that are repeated in a message.
const SHOWN: usize = 60;

/// A wrong command line: the sentence, and the page that helps.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{sentence}; see \"{page} --help\"")]
pub(crate) struct Mistake {
    sentence: String,
    page: String,
}

impl Mistake {
    /// What clap found wrong with `arguments`.
    pub(crate) fn new(error: &clap::Error, arguments: &[OsString]) -> Self {
        Self { sentence: sentence(error, arguments), page: page(arguments).0 }
    }

    /// None of the options of which `verb` needs one.
    pub(crate) fn neither(verb: &str, options: &str) -> Self {
        let page = format!("tokenctl {verb}");
        Self { sentence: format!("\"{page}\" needs {options}"), page }
    }

    /// Two options of `verb` that ask for different things.
    pub(crate) fn contradiction(verb: &str, one: &str, other: &str) -> Self {
        let sentence = format!("{one} and {other} exclude each other");
        Self { sentence, page: format!("tokenctl {verb}") }
    }

    /// An `--email` that is not the account's own.
    pub(crate) fn other_email(verb: &str, typed: &str, own: &str) -> Self {
        let sentence = format!("--email names {}, and the account is {}", shown(typed), shown(own));
        Self { sentence, page: format!("tokenctl {verb}") }
    }

    /// A secret that the account does not take.
    pub(crate) fn other_slot(slot: &Slot, slots: &[String]) -> Self {
        let Slot { account, name } = slot;
        let slots = slots.iter().map(|slot| shown(slot)).collect::<Vec<_>>().join(", ");
        let sentence = if slots.is_empty() {
            format!(
                "account {account} uses no secret; a client that has one needs client_auth = \
                 \"basic\" or \"post\" in the configuration"
            )
        } else {
            format!("account {account} has no slot {name}; it has {slots}")
        };
        Self { sentence, page: "tokenctl secret set".to_owned() }
    }

    /// A secret where everyone can read it. The secret is not repeated.
    pub(crate) fn literal_secret(verb: &str, instead: &str) -> Self {
        Self {
            sentence: format!(
                "a secret is never an argument, where every process of the host can read it \
                 and the shell's history keeps it; {instead}"
            ),
            page: format!("tokenctl {verb}"),
        }
    }
}

fn sentence(error: &clap::Error, arguments: &[OsString]) -> String {
    let (page, command) = page(arguments);
    let argument = text(error, ContextKind::InvalidArg);
    let value = text(error, ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let verb = text(error, ContextKind::InvalidSubcommand);
            let verbs = command.get_subcommands().map(clap::Command::get_name);
            let near = nearest(&verb, verbs).map(str::to_owned);
            format!("\"{page}\" has no verb \"{verb}\"{}", perhaps(near))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            format!("\"{page}\" needs a verb")
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            format!("\"{page}\" has no option \"{argument}\"{}", perhaps(option(error, &argument)))
        }
        ErrorKind::UnknownArgument => format!("\"{page}\" does not take \"{argument}\" as well"),
        ErrorKind::MissingRequiredArgument => format!("\"{page}\" needs {}", plain(&argument)),
        ErrorKind::InvalidValue if value.is_empty() => {
            format!("{} needs a value", plain(&argument))
        }
        ErrorKind::InvalidValue => {
            let choices = list(error, ContextKind::ValidValue);
            format!("{} is {}, not \"{value}\"", plain(&argument), choices.join(" or "))
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string);
            let why = why.unwrap_or_else(|| "no good value".into());
            format!("{}: \"{value}\" is {why}", plain(&argument))
        }
        ErrorKind::ArgumentConflict => {
            let other = text(error, ContextKind::PriorArg);
            if other == argument {
                format!("{} stands twice", plain(&argument))
            } else {
                format!("{} and {} exclude each other", plain(&other), plain(&argument))
            }
        }
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".into(),
        ErrorKind::NoEquals
        | ErrorKind::TooManyValues
        | ErrorKind::TooFewValues
        | ErrorKind::WrongNumberOfValues => format!("{} has a wrong value", plain(&argument)),
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::Io
        | ErrorKind::Format
        | _ => "the command line makes no sense".into(),
    }
}

/// `--min-ttl <SPAN>` as `--min-ttl`, `<ACCOUNT>` as `ACCOUNT`.
fn plain(argument: &str) -> String {
    let name = if argument.starts_with('-') {
        argument.split(' ').next().unwrap_or(argument)
    } else {
        argument
    };
    name.replace(['<', '>', '[', ']'], "").replace("...", "").replace(", ", " or ")
}

fn perhaps(name: Option<String>) -> String {
    name.map(|name| format!(", perhaps \"{name}\"")).unwrap_or_default()
}

/// clap's suggestion for an option, if it is one: it always has some.
fn option(error: &clap::Error, typed: &str) -> Option<String> {
    let suggested = text(error, ContextKind::SuggestedArg);
    let meant = suggested.starts_with(typed) || nearest(typed, [&*suggested]).is_some();
    meant.then_some(suggested)
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    list(error, kind).join(", ")
}

fn list(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(one)) => vec![scrubbed(one, SHOWN)],
        Some(ContextValue::Strings(many)) => many.iter().map(|one| scrubbed(one, SHOWN)).collect(),
        _ => Vec::new(),
    }
}

/// The command whose page of help is meant: the verbs at the beginning, options aside.
fn page(arguments: &[OsString]) -> (String, clap::Command) {
    let mut page = String::from("tokenctl");
    let mut command = Cli::command();
    for argument in arguments.iter().filter_map(|argument| argument.to_str()) {
        if let Some(verb) = command.find_subcommand(argument).cloned() {
            page = format!("{page} {argument}");
            command = verb;
        }
    }
    (page, command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::parse;

    #[test]
    fn wrong_command_lines_are_told_in_one_sentence() {
        insta::assert_snapshot!(told(&[
            "--quiet",
            "gte mail",
            "frobnicate mail",
            "get",
            "get Mail",
            "get mail ci",
            "get mail.id",
            "get mail --kind aws",
            "get mail --kind",
            "get mail --min-ttl 5",
            "get mail --min-ttl 5min",
            "get mail --min-ttl=",
            "get mail --wait 2m",
            "get mail --format yaml",
            "get mail --format raw --header",
            "get mail --fromat raw",
            "get mail --frobnicate",
            "get mail --kind id --kind id",
            "get mail -x",
            "list mail",
            "status mail ci",
            "refresh",
            "wait",
            "wait mail --timeout soon",
            "wait mail --timeout 4000d",
            "watch mail CI",
            "report mail --generation seven",
            "report mail --generation -1",
            "report mail --generation 1 --token-stdin",
            "import",
            "import mail --refresh-token 4f9aKq0ZtYxLm3Pq7Rw2Hs",
            "secret",
            "secret get mail.password",
            "secret set",
            "secret set mail",
            "secret set mail.Client-Secret",
            "secret forget .password",
            "access mail --uid root",
            "access mail --user a --uid 1",
            "config",
            "config chekc",
            "status --user --system",
            "status --socket /s --system",
            "status --color sometimes",
            "status --socket",
            "help gte",
            "help secret get",
            "get 4f9aKq0ZtYxLm3Pq7Rw2Hs.4f9aKq0ZtYxLm3Pq7Rw2Hs",
        ]), @r#"
        $ tokenctl --quiet
        "tokenctl" needs a verb; see "tokenctl --help"
        $ tokenctl gte mail
        "tokenctl" has no verb "gte", perhaps "get"; see "tokenctl --help"
        $ tokenctl frobnicate mail
        "tokenctl" has no verb "frobnicate"; see "tokenctl --help"
        $ tokenctl get
        "tokenctl get" needs ACCOUNT; see "tokenctl get --help"
        $ tokenctl get Mail
        ACCOUNT: "Mail" is no account name, which is 1 to 40 of a-z, 0-9, '_' and '-', beginning with a letter or a digit; see "tokenctl get --help"
        $ tokenctl get mail ci
        "tokenctl get" does not take "ci" as well; see "tokenctl get --help"
        $ tokenctl get mail.id
        ACCOUNT: "mail.id" is no account name, which is 1 to 40 of a-z, 0-9, '_' and '-', beginning with a letter or a digit; see "tokenctl get --help"
        $ tokenctl get mail --kind aws
        --kind is access or id, not "aws"; see "tokenctl get --help"
        $ tokenctl get mail --kind
        --kind needs a value; see "tokenctl get --help"
        $ tokenctl get mail --min-ttl 5
        --min-ttl: "5" is no span of time; write one number with its unit, as 90s, 5m, 12h or 7d; see "tokenctl get --help"
        $ tokenctl get mail --min-ttl 5min
        --min-ttl: "5min" is no span of time; write one number with its unit, as 90s, 5m, 12h or 7d; see "tokenctl get --help"
        $ tokenctl get mail --min-ttl=
        --min-ttl: "" is no span of time; write one number with its unit, as 90s, 5m, 12h or 7d; see "tokenctl get --help"
        $ tokenctl get mail --wait 2m
        --wait: "2m" is longer than the 60s that one request may wait; "tokenctl wait" waits longer; see "tokenctl get --help"
        $ tokenctl get mail --format yaml
        --format is raw or json or header or aws, not "yaml"; see "tokenctl get --help"
        $ tokenctl get mail --format raw --header
        --header and --format exclude each other; see "tokenctl get --help"
        $ tokenctl get mail --fromat raw
        "tokenctl get" has no option "--fromat", perhaps "--format"; see "tokenctl get --help"
        $ tokenctl get mail --frobnicate
        "tokenctl get" has no option "--frobnicate"; see "tokenctl get --help"
        $ tokenctl get mail --kind id --kind id
        --kind stands twice; see "tokenctl get --help"
        $ tokenctl get mail -x
        "tokenctl get" has no option "-x"; see "tokenctl get --help"
        $ tokenctl list mail
        "tokenctl list" does not take "mail" as well; see "tokenctl list --help"
        $ tokenctl status mail ci
        "tokenctl status" does not take "ci" as well; see "tokenctl status --help"
        $ tokenctl refresh
        "tokenctl refresh" needs ACCOUNT; see "tokenctl refresh --help"
        $ tokenctl wait
        "tokenctl wait" needs ACCOUNT; see "tokenctl wait --help"
        $ tokenctl wait mail --timeout soon
        --timeout: "soon" is no span of time; write one number with its unit, as 90s, 5m, 12h or 7d; see "tokenctl wait --help"
        $ tokenctl wait mail --timeout 4000d
        --timeout: "4000d" is no span of time; write one number with its unit, as 90s, 5m, 12h or 7d; see "tokenctl wait --help"
        $ tokenctl watch mail CI
        ACCOUNT: "CI" is no account name, which is 1 to 40 of a-z, 0-9, '_' and '-', beginning with a letter or a digit; see "tokenctl watch --help"
        $ tokenctl report mail --generation seven
        --generation: "seven" is no number that fits; see "tokenctl report --help"
        $ tokenctl report mail --generation -1
        "tokenctl report" has no option "-1"; see "tokenctl report --help"
        $ tokenctl report mail --generation 1 --token-stdin
        --token-stdin and --generation exclude each other; see "tokenctl report --help"
        $ tokenctl import
        "tokenctl import" needs ACCOUNT; see "tokenctl import --help"
        $ tokenctl import mail --refresh-token 4f9aKq0ZtYxLm3Pq7Rw2Hs
        "tokenctl import" has no option "--refresh-token", perhaps "--refresh-token-file"; see "tokenctl import --help"
        $ tokenctl secret
        "tokenctl secret" needs a verb; see "tokenctl secret --help"
        $ tokenctl secret get mail.password
        "tokenctl secret" has no verb "get", perhaps "set"; see "tokenctl secret --help"
        $ tokenctl secret set
        "tokenctl secret set" needs ACCOUNT.SLOT; see "tokenctl secret set --help"
        $ tokenctl secret set mail
        ACCOUNT.SLOT: "mail" is no slot; write it as ACCOUNT.SLOT, for example mail.client_secret; see "tokenctl secret set --help"
        $ tokenctl secret set mail.Client-Secret
        ACCOUNT.SLOT: "mail.Client-Secret" is no slot; write it as ACCOUNT.SLOT, for example mail.client_secret; see "tokenctl secret set --help"
        $ tokenctl secret forget .password
        ACCOUNT.SLOT: ".password" is no slot; write it as ACCOUNT.SLOT, for example mail.client_secret; see "tokenctl secret forget --help"
        $ tokenctl access mail --uid root
        --uid: "root" is no number that fits; see "tokenctl access --help"
        $ tokenctl access mail --user a --uid 1
        --uid and --user exclude each other; see "tokenctl access --help"
        $ tokenctl config
        "tokenctl config" needs a verb; see "tokenctl config --help"
        $ tokenctl config chekc
        "tokenctl config" has no verb "chekc", perhaps "check"; see "tokenctl config --help"
        $ tokenctl status --user --system
        --system and --user exclude each other; see "tokenctl status --help"
        $ tokenctl status --socket /s --system
        --system and --socket exclude each other; see "tokenctl status --help"
        $ tokenctl status --color sometimes
        --color is auto or always or never, not "sometimes"; see "tokenctl status --help"
        $ tokenctl status --socket
        --socket needs a value; see "tokenctl status --help"
        $ tokenctl help gte
        "tokenctl" has no verb "gte", perhaps "get"; see "tokenctl --help"
        $ tokenctl help secret get
        "tokenctl secret" has no verb "get", perhaps "set"; see "tokenctl secret --help"
        $ tokenctl get 4f9aKq0ZtYxLm3Pq7Rw2Hs.4f9aKq0ZtYxLm3Pq7Rw2Hs
        ACCOUNT: "[masked]" is no account name, which is 1 to 40 of a-z, 0-9, '_' and '-', beginning with a letter or a digit; see "tokenctl get --help"
        "#);
    }

    #[test]
    fn one_of_two_options_is_asked_for_with_both_names() {
        let mistake = Mistake::neither("report", "--generation or --token-stdin");
        insta::assert_snapshot!(mistake.to_string(), @r#""tokenctl report" needs --generation or --token-stdin; see "tokenctl report --help""#);
    }

    #[test]
    fn a_literal_secret_is_explained_and_not_repeated() {
        let mistake = Mistake::literal_secret("import", "put it into a file");
        insta::assert_snapshot!(mistake.to_string(), @r#"a secret is never an argument, where every process of the host can read it and the shell's history keeps it; put it into a file; see "tokenctl import --help""#);
    }

    fn told(lines: &[&str]) -> String {
        let told = lines.iter().map(|line| {
            let arguments = line
                .split(' ')
                .filter(|word| !word.is_empty())
                .map(OsString::from)
                .collect::<Vec<_>>();
            let error = parse(&arguments).map(|_| ()).expect_err(line);
            format!("$ tokenctl {line}\n{}", Mistake::new(&error, &arguments))
        });
        told.collect::<Vec<_>>().join("\n")
    }
}
