//! What may stand next on a command line: what shells ask for on a Tab.
//!
//! `tokenctl __complete CURRENT WORD…` prints it, a word on each line and behind a tab what it
//! means; `:files` in place of words is for the shell to know. CURRENT is what is typed so far of
//! the word, each WORD one before it. The scripts that ask are in `packaging/completions`; the
//! way in which they ask is nobody else's business, and may change with them.
//!
//! All of it is read off the tree of the command line, so that no verb and no option can be left
//! out. [`Question::next`] is pure; the names of accounts come from the daemon, and without one
//! there are none.

use std::ffi::OsString;

use clap::Arg;
use clap::ArgAction;
use clap::Command;
use clap::CommandFactory as _;
use clap::builder::ValueRange;

use crate::args::Cli;

/// The first argument that asks for this.
const VERB: &str = "__complete";

/// What may stand next.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// One of these, with what each means.
    Words(Vec<(String, String)>),
    /// The name of an account, with this behind it.
    Account(&'static str),
    /// A file.
    File,
}

/// What is asked for, if this command line asks.
pub(crate) fn asked(arguments: &[OsString]) -> Option<Question> {
    let [verb, rest @ ..] = arguments else { return None };
    if verb != VERB {
        return None;
    }
    let mut words = rest.iter().map(|word| word.to_string_lossy().into_owned());
    let current = words.next().unwrap_or_default();
    Some(Question { current, before: words.collect() })
}

/// A command line up to the place at which something is typed.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Question {
    /// The beginning of the word that is typed.
    pub(crate) current: String,
    /// The words before it, without the program.
    pub(crate) before: Vec<String>,
}

impl Question {
    /// What may stand next.
    pub(crate) fn next(&self) -> Next {
        let mut root = Cli::command();
        root.build();
        self.next_of(&root)
    }

    fn next_of(&self, root: &Command) -> Next {
        let mut command = root;
        let mut helped = false;
        let mut places = 0;
        let mut value = None;
        let mut options = true;
        for word in &self.before {
            // Where a shell takes "--option=value" apart.
            if value.is_some() && word == "=" {
                continue;
            }
            if value.take().is_some() {
                continue;
            }
            if options && word == "--" {
                options = false;
            } else if options && word.starts_with('-') {
                value = option(command, word).filter(|option| takes_value(option));
            } else if std::ptr::eq(command, root) && word == "help" {
                helped = true;
            } else if let Some(inner) = command.find_subcommand(word) {
                command = inner;
            } else {
                places += 1;
            }
        }
        if let Some(option) = value {
            return value_of(option);
        }
        if options && self.current.starts_with('-') {
            return Next::Words(self.options_of(command));
        }
        if command.has_subcommands() && places == 0 {
            let help = std::ptr::eq(command, root) && !helped;
            let help = help.then(|| ("help".to_owned(), "Print the page of a verb".to_owned()));
            let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
            let verbs =
                verbs.map(|verb| (verb.get_name().to_owned(), first_line(verb.get_about())));
            return Next::Words(verbs.chain(help).collect());
        }
        if helped {
            return Next::Words(Vec::new());
        }
        let mut positionals = command.get_positionals();
        let place = positionals
            .nth(places)
            .or_else(|| command.get_positionals().last().filter(|last| takes_many(last)));
        place.map_or(Next::Words(Vec::new()), value_of)
    }

    /// The options of a verb that do not stand there yet.
    fn options_of(&self, command: &Command) -> Vec<(String, String)> {
        let named = command.get_arguments().filter(|option| !option.is_hide_set());
        let named = named.filter_map(|option| Some((format!("--{}", option.get_long()?), option)));
        let named =
            named.filter(|(name, option)| takes_many(option) || !self.before.contains(name));
        named.map(|(name, option)| (name, first_line(option.get_help()))).collect()
    }

    /// The command line that asks the daemon, which is the one that was asked for so far, for the
    /// accounts.
    pub(crate) fn list(&self) -> Vec<OsString> {
        let mut words = self.before.iter();
        let mut arguments = Vec::new();
        while let Some(word) = words.next() {
            if word == "--user" || word == "--system" {
                arguments.push(word.into());
            } else if word == "--socket" {
                arguments.extend([word.into(), words.next().cloned().unwrap_or_default().into()]);
            }
        }
        arguments.push("list".into());
        arguments
    }

    /// What is printed: of all that may stand next, what begins like the word that is typed.
    pub(crate) fn answer(&self, next: Next, accounts: &[String]) -> String {
        let words = match next {
            Next::File => return ":files\n".to_owned(),
            Next::Words(words) => words,
            Next::Account(end) => {
                accounts.iter().map(|name| (format!("{name}{end}"), String::new())).collect()
            }
        };
        let fitting = words.iter().filter(|(word, _)| word.starts_with(&self.current));
        fitting.map(|(word, about)| format!("{word}\t{about}\n")).collect()
    }
}

/// The option of that name.
fn option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let name = word.strip_prefix("--")?;
    command.get_arguments().find(|option| option.get_long() == Some(name))
}

fn takes_value(option: &Arg) -> bool {
    option.get_action().takes_values()
}

/// Whether it may stand there more than once.
fn takes_many(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append)
        || argument.get_num_args().is_some_and(|range: ValueRange| range.max_values() > 1)
}

/// What may stand in the place of an argument, which its values say, or its name.
fn value_of(argument: &Arg) -> Next {
    let words = argument.get_possible_values();
    if takes_value(argument) && !words.is_empty() {
        let word = |word: &clap::builder::PossibleValue| {
            (word.get_name().to_owned(), first_line(word.get_help()))
        };
        return Next::Words(words.iter().filter(|word| !word.is_hide_set()).map(word).collect());
    }
    let names = argument.get_value_names().unwrap_or_default();
    let name = names.first().map_or("", |name| name.as_str());
    match name {
        "FILE" | "PATH" | "BACKUP" => Next::File,
        "ACCOUNT.SLOT" => Next::Account("."),
        _ if name == "ACCOUNT"
            || argument.get_id() == "account"
            || argument.get_id() == "accounts" =>
        {
            Next::Account("")
        }
        _ => Next::Words(Vec::new()),
    }
}

/// What a page of help says of something, as far as it fits beside it.
fn first_line(about: Option<&clap::builder::StyledStr>) -> String {
    let about = about.map(ToString::to_string).unwrap_or_default();
    about.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_and_every_option_may_stand_next() {
        let mut root = Cli::command();
        root.build();
        every_one_below(&root, &[]);
    }

    #[test]
    fn what_may_stand_next_is_what_the_command_line_takes_there() {
        #[rustfmt::skip]
        let cases = [
            ("re|",                             "refresh report resume retry restore rekey reload"),
            ("h|",                              "handover help"),
            ("help se|",                        "sessions secret"),
            ("help secret |",                   "set forget"),
            ("help get |",                      ""),
            ("secret |",                        "set forget"),
            ("get |",                           "mail ci"),
            ("get m|",                          "mail"),
            ("get mail |",                      ""),
            ("get --json |",                    "mail ci"),
            ("get --format |",                  "raw json header aws"),
            ("get --format = h|",               "header"),
            ("get --format json |",             "mail ci"),
            ("--socket /s get |",               "mail ci"),
            ("--color a|",                      "auto always"),
            ("get mail --k|",                   "--kind"),
            ("get mail --kind id --k|",         ""),
            ("watch mail |",                    "mail ci"),
            ("secret set c|",                   "ci."),
            ("secret set ci.password --file |", ":files"),
            ("backup --recipient x --r|",       "--recipient"),
            ("get -- --|",                      ""),
            ("restore |",                       ":files"),
            ("nothing |",                       ""),
            ("status |",                        "mail ci"),
        ];
        for (line, expected) in cases {
            let line = line.strip_suffix('|').unwrap();
            let (before, current) = line.rsplit_once(' ').unwrap_or(("", line));
            let before = before.split_whitespace().map(str::to_owned).collect();
            let question = Question { current: current.to_owned(), before };
            let answer = question.answer(question.next(), &["mail".into(), "ci".into()]);
            let words = answer.lines().map(|line| line.split('\t').next().unwrap());
            assert_eq!(words.collect::<Vec<_>>().join(" "), expected, "{line}");
        }
    }

    #[test]
    fn the_accounts_are_those_of_the_daemon_that_is_asked_for() {
        let question = |line: &str| {
            let before = line.split_whitespace().map(str::to_owned).collect();
            Question { current: String::new(), before }.list()
        };
        assert_eq!(question("get --kind id"), ["list"]);
        assert_eq!(question("--user get"), ["--user", "list"]);
        assert_eq!(question("get --socket /s"), ["--socket", "/s", "list"]);
    }

    #[test]
    fn other_command_lines_ask_for_nothing() {
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&["get".into(), VERB.into()]), None);
        let asked = asked(&[VERB.into(), "m".into(), "get".into()]).unwrap();
        assert_eq!(asked, Question { current: "m".into(), before: vec!["get".into()] });
    }

    fn every_one_below(command: &Command, before: &[String]) {
        let next = |current: &str| {
            let question = Question { current: current.into(), before: before.to_vec() };
            let answer = question.answer(question.next(), &[]);
            answer.lines().map(|it| it.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let options = next("-");
        let shown = command.get_arguments().filter(|option| !option.is_hide_set());
        for option in shown.filter_map(Arg::get_long) {
            assert!(options.contains(&format!("--{option}")), "{before:?} --{option}");
        }
        let verbs = if command.has_subcommands() { next("") } else { Vec::new() };
        for verb in command.get_subcommands() {
            assert!(verbs.iter().any(|it| it == verb.get_name()), "{before:?} {}", verb.get_name());
            every_one_below(verb, &[before, &[verb.get_name().to_owned()]].concat());
        }
    }
}
