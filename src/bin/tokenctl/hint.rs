//! Commands that people are told to type, completed so that they reach the same daemon.
//!
//! Messages name commands as `tokenctl login mail`, most of them the daemon's, which does not
//! know how it was found. What was typed to choose it is put in where a command is named. What
//! the environment chose needs no word: it still does when the command is typed.
//!
//! This is for people. JSON keeps the daemon's own words, and so does what was asked for.

use std::borrow::Cow;

use clap::CommandFactory as _;
use tokenkeeper::error::foreign::typed;

use crate::args::Cli;
use crate::find::Wish;

/// How a command line is told from the name of the program: what follows is a verb.
const PROGRAM: &str = "tokenctl ";

/// What is put into commands that are named.
#[derive(Default)]
pub(crate) struct Hints {
    /// The options that chose the daemon and a space, as a shell reads them.
    choice: Option<String>,
}

impl Hints {
    /// Those of a command line that said this about the daemon.
    pub(crate) fn new(wish: &Wish) -> Self {
        let choice = match wish {
            Wish::Any => None,
            Wish::User => Some("--user ".to_owned()),
            Wish::System => Some("--system ".to_owned()),
            Wish::Socket(path) => Some(format!("--socket {} ", typed(&path.to_string_lossy()))),
        };
        Self { choice }
    }

    /// `text` with every command in it completed.
    pub(crate) fn complete<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(choice) = self.choice.as_ref().filter(|_| text.contains(PROGRAM)) else {
            return Cow::Borrowed(text);
        };
        let cli = Cli::command();
        let verbs = cli.get_subcommands().map(clap::Command::get_name).collect::<Vec<_>>();
        let mut out = String::with_capacity(text.len() + choice.len());
        for (at, part) in text.split(PROGRAM).enumerate() {
            if at > 0 {
                out.push_str(PROGRAM);
                let end = part.find(|it: char| !it.is_ascii_lowercase()).unwrap_or(part.len());
                let (verb, _) = part.split_at(end);
                if verbs.contains(&verb) {
                    out.push_str(choice);
                }
            }
            out.push_str(part);
        }
        Cow::Owned(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_told_with_what_chose_the_daemon() {
        let advice = "log in again: tokenctl login mail";
        #[rustfmt::skip]
        let cases = [
            // wish                            told
            (Wish::Any,                        "log in again: tokenctl login mail"),
            (Wish::User,                       "log in again: tokenctl --user login mail"),
            (Wish::System,                     "log in again: tokenctl --system login mail"),
            (Wish::Socket("/s.sock".into()),   "log in again: tokenctl --socket /s.sock login mail"),
            (Wish::Socket("my socket".into()), "log in again: tokenctl --socket 'my socket' login mail"),
            (Wish::Socket("it's".into()),      r"log in again: tokenctl --socket 'it'\''s' login mail"),
            (Wish::Socket("a\u{1b}b".into()),  r"log in again: tokenctl --socket 'a\u{1b}b' login mail"),
        ];
        for (wish, told) in cases {
            assert_eq!(Hints::new(&wish).complete(advice), told, "{wish:?}");
        }
    }

    #[test]
    fn every_command_of_a_text_is_completed_and_nothing_else() {
        let hints = Hints::new(&Wish::Socket("/s".into()));
        #[rustfmt::skip]
        let cases = [
            // text                                          completed
            ("\"tokenctl why a\" or sudo tokenctl doctor",   "\"tokenctl --socket /s why a\" or sudo tokenctl --socket /s doctor"),
            ("tokenctl secret set ci.client_secret",         "tokenctl --socket /s secret set ci.client_secret"),
            ("tokenctl is version 1.0, the daemon is 2.0",   "tokenctl is version 1.0, the daemon is 2.0"),
            ("this tokenctl reads up to 1",                  "this tokenctl reads up to 1"),
            ("run by systemctl, not by tokenctl",            "run by systemctl, not by tokenctl"),
            ("tokenctl --socket /t login mail",              "tokenctl --socket /t login mail"),
        ];
        for (text, completed) in cases {
            assert_eq!(hints.complete(text), completed);
        }
    }
}
