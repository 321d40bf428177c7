//! What is wrong with a command line, in one sentence: the style of `tokenctl`'s messages.
//!
//! clap knows what is wrong and shows it as a page. Foreign text passes [`scrubbed`], since
//! standard error ends in a journal.

use clap::CommandFactory as _;
use clap::error::ContextKind;
use clap::error::ContextValue;
use clap::error::ErrorKind;
use tokenkeeper::error::foreign::scrubbed;
use tokenkeeper::spelling::nearest;

use crate::Arguments;

/// Exit status of a wrong command line, as tokenctl's.
pub(crate) const EXIT_STATUS: u8 = 2;

/// What clap calls the work on the store key, be it one or the other.
const WORK: &str = "<--init|--rekey>";

/// Most characters of an argument that are repeated in a message.
const SHOWN: usize = 60;

/// A wrong command line.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{sentence}; see \"tokenkeeperd --help\"")]
pub(crate) struct Mistake {
    sentence: String,
}

impl From<&clap::Error> for Mistake {
    fn from(error: &clap::Error) -> Self {
        Self { sentence: sentence(error) }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "clap has many kinds more, and the options of this program lead to none of them"
)]
fn sentence(error: &clap::Error) -> String {
    let argument = text(error, ContextKind::InvalidArg);
    let option = name(&argument);
    match error.kind() {
        // Behind "--" even an option is none.
        ErrorKind::UnknownArgument if argument.starts_with('-') && !is_option(&argument) => {
            let suggested = text(error, ContextKind::SuggestedArg);
            match nearest(&argument, [&*suggested]) {
                Some(near) => format!("there is no option \"{argument}\", perhaps \"{near}\""),
                None => format!("there is no option \"{argument}\""),
            }
        }
        ErrorKind::UnknownArgument => {
            format!("\"{argument}\" is not taken, only options; tokenctl is what takes orders")
        }
        ErrorKind::InvalidValue => format!("{option} needs a value"),
        ErrorKind::TooManyValues => format!("{option} takes no value"),
        ErrorKind::ArgumentConflict => match text(error, ContextKind::PriorArg) {
            other if other == argument => format!("{option} stands twice"),
            other => format!("{} and {option} exclude each other", name(&other)),
        },
        // clap tells the option that is missing, and not which of these asks for it.
        ErrorKind::MissingRequiredArgument if argument == WORK => {
            "--json, --dry-run and --recovery-recipient go with --init or --rekey only".to_owned()
        }
        ErrorKind::MissingRequiredArgument => format!("{option} is missing"),
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".to_owned(),
        _ => "the command line makes no sense".to_owned(),
    }
}

/// `--config <FILE>` as `--config`.
fn name(argument: &str) -> &str {
    argument.split(' ').next().unwrap_or_default()
}

fn is_option(argument: &str) -> bool {
    let name = argument.strip_prefix("--");
    name.is_some() && Arguments::command().get_arguments().any(|known| known.get_long() == name)
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(one)) => scrubbed(one, SHOWN),
        Some(ContextValue::Strings(many)) => {
            many.first().map(|one| scrubbed(one, SHOWN)).unwrap_or_default()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_wrong_command_line_is_told_in_one_sentence() {
        #[rustfmt::skip]
        let cases: &[(&[&str], &str)] = &[
            (&["--config"],                       "--config needs a value"),
            (&["--config="],                      "--config needs a value"),
            (&["--confg", "x"],                   "there is no option \"--confg\", perhaps \"--config\""),
            (&["--frobnicate"],                   "there is no option \"--frobnicate\""),
            (&["-x"],                             "there is no option \"-x\""),
            (&["--check=yes"],                    "--check takes no value"),
            (&["--check", "--check"],             "--check stands twice"),
            (&["--config", "a", "--config", "b"], "--config stands twice"),
            (&["--check", "--init"],              "--init and --check exclude each other"),
            (&["--init", "--rekey"],              "--rekey and --init exclude each other"),
            (&["--json"],                         "--json, --dry-run and --recovery-recipient go with --init or --rekey only"),
            (&["--json", "--check"],              "--json, --dry-run and --recovery-recipient go with --init or --rekey only"),
            (&["--check", "--dry-run"],           "--json, --dry-run and --recovery-recipient go with --init or --rekey only"),
            (&["--recovery-recipient", "age1"],   "--json, --dry-run and --recovery-recipient go with --init or --rekey only"),
            (&["--rekey", "--recovery-output=f"], "--recovery-recipient is missing"),
            (&["reload"],                         "\"reload\" is not taken, only options; tokenctl is what takes orders"),
        ];
        for (arguments, sentence) in cases {
            let program = ["tokenkeeperd"];
            let error = Arguments::try_parse_from(program.iter().chain(*arguments)).err().unwrap();
            let mistake = Mistake::from(&error);
            let expected = format!("{sentence}; see \"tokenkeeperd --help\"");
            assert_eq!(mistake.to_string(), expected, "{arguments:?}");
        }
    }
}
