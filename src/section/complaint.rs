//! What is wrong with the configuration, where, and how that is said.
//!
//! Every message is a variant of [`Problem`], so that they can be read in one place. None
//! of them quotes a value: a value that is wrong may be a secret in the wrong place. Keys
//! are quoted, escaped and capped.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Something that the configuration says and should not, or the other way round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Complaint {
    /// Where; `None` if it is about what stands nowhere.
    pub place: Option<Place>,
    /// The path of the key, such as `accounts.mail.rotation`; empty for a whole file.
    pub key: Box<str>,
    /// What.
    pub problem: Problem,
}

/// As in `config.toml:12:5: accounts.mail.scope: expected a string, found a number`.
impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        self.problem.fmt(f)
    }
}

/// What can be wrong.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    /// It is not TOML.
    #[error("{0}")]
    Syntax(Box<str>),
    /// A key that is needed is not there.
    #[error("missing; expected {expected}")]
    Missing {
        /// What should be there.
        expected: &'static str,
    },
    /// A value is another kind of thing than the key takes.
    #[error("expected {expected}, found {found}")]
    Kind {
        /// What the key takes.
        expected: Cow<'static, str>,
        /// What kind of thing is there.
        found: &'static str,
    },
    /// A value is of the right kind and still none that the key takes.
    #[error("expected {expected}{}", did_you_mean(nearest.as_deref()))]
    Value {
        /// What the key takes.
        expected: Cow<'static, str>,
        /// The valid spelling that comes nearest, if one is near.
        nearest: Option<Box<str>>,
    },
    /// Nothing asks for this key, but one that is spelt alike.
    #[error("unknown key{}", did_you_mean(Some(nearest)))]
    Misspelt {
        /// That one.
        nearest: &'static str,
    },
    /// Nothing asks for this key.
    #[error("unknown key; known here are {known}")]
    Unknown {
        /// The keys that are asked for.
        known: Box<str>,
    },
    /// A secret stands in the configuration.
    #[error("a secret does not belong in the configuration; type: tokenctl secret set {slot}")]
    Literal {
        /// The slot for it, such as `ci.client_secret`.
        slot: Box<str>,
    },
    /// Two places say it.
    #[error("configured twice; the first is at {first}")]
    Twice {
        /// The other place.
        first: Place,
    },
    /// It breaks a rule that has its own sentence.
    #[error("{0}")]
    Rule(Cow<'static, str>),
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |word| format!("; did you mean \"{word}\"?"))
}

/// A place in a file of the configuration. Sorts as the files are read.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    rank: usize,
    file: Arc<str>,
    line: usize,
    column: usize,
}

/// `FILE:LINE:COLUMN`, both counted from 1, columns in characters.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A file of the configuration, so far as places in it are concerned.
pub struct Source<'a> {
    rank: usize,
    name: Arc<str>,
    text: &'a str,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    /// The file that is read as number `rank`.
    pub fn new(rank: usize, name: &str, text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { rank, name: name.into(), text, lines }
    }

    /// Where a range of bytes begins.
    pub fn place(&self, span: &Range<usize>) -> Place {
        let line = self.lines.partition_point(|begin| *begin <= span.start).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(begin..span.start).unwrap_or_default();
        Place { rank: self.rank, file: self.name.clone(), line, column: before.chars().count() + 1 }
    }
}

/// Where complaints gather while the configuration is read, so that all are told at once.
#[derive(Default)]
pub struct Report {
    errors: RefCell<Vec<Complaint>>,
    warnings: RefCell<Vec<Complaint>>,
}

impl Report {
    /// Notes something that makes the configuration unusable.
    pub fn error(&self, complaint: Complaint) {
        self.errors.borrow_mut().push(complaint);
    }

    /// Notes something that is worth knowing.
    pub fn warning(&self, complaint: Complaint) {
        self.warnings.borrow_mut().push(complaint);
    }

    /// All errors, then all warnings, each in the order of their places.
    pub fn into_parts(self) -> (Vec<Complaint>, Vec<Complaint>) {
        let sorted = |list: RefCell<Vec<Complaint>>| {
            let mut list = list.into_inner();
            list.sort_by(|a, b| a.place.cmp(&b.place));
            list
        };
        (sorted(self.errors), sorted(self.warnings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let source = Source::new(0, "a.toml", "x = 1\nä = \"ö\" # é\n\nend");
        #[rustfmt::skip]
        let cases = [
            (0,  "a.toml:1:1"),
            (4,  "a.toml:1:5"),
            (6,  "a.toml:2:1"),
            (8,  "a.toml:2:2"),
            (11, "a.toml:2:5"),
            (20, "a.toml:2:12"),
            (21, "a.toml:3:1"),
            (22, "a.toml:4:1"),
            (25, "a.toml:4:4"),
            (99, "a.toml:4:1"),
        ];
        for (at, place) in cases {
            assert_eq!(source.place(&(at..at)).to_string(), place, "{at}");
        }
    }
}
