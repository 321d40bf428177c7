//! One value of the configuration that knows where it stands and what it is called.
//!
//! Each reader returns `None` after it has complained; a caller goes on with a default, so
//! that one mistake does not hide the next.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;
use url::Url;

use super::Mode;
use super::Scope;
use super::Section;
use super::address;
use super::address::Query;
use super::complaint::Complaint;
use super::complaint::Place;
use super::complaint::Problem;
use super::spelling;
use crate::limits;
use crate::spelling::nearest;
use crate::time::parse_span;

/// Longest string that is taken, in bytes.
const LONGEST_TEXT: usize = 4096;

/// What is expected where a duration is.
const SPAN: &str = "a duration such as \"90s\", \"5m\", \"12h\" or \"7d\"";

/// One value.
pub struct Value<'a> {
    pub(super) scope: Scope<'a>,
    /// Path of its key.
    pub(super) path: String,
    pub(super) key_span: Range<usize>,
    pub(super) inner: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    /// Whose service reads it.
    pub const fn mode(&self) -> Mode {
        self.scope.mode
    }

    /// Its text: not empty, at most 4 KiB, free of control characters.
    /// `expected` says what that text should be.
    pub fn text(&self, expected: impl Into<Cow<'static, str>>) -> Option<&'a str> {
        let found = match self.inner.get_ref().as_str() {
            None => self.kind(),
            Some("") => "an empty string",
            Some(text) if text.len() > LONGEST_TEXT => "a string that is too long",
            Some(text) if text.contains(char::is_control) => {
                "a string with a control character in it"
            }
            Some(text) => return Some(text),
        };
        self.complain(Problem::Kind { expected: expected.into(), found });
        None
    }

    /// `true` or `false`.
    pub fn flag(&self) -> Option<bool> {
        if let DeValue::Boolean(flag) = self.inner.get_ref() {
            return Some(*flag);
        }
        self.mismatch("true or false");
        None
    }

    /// A duration.
    pub fn span(&self) -> Option<Duration> {
        let span = parse_span(self.text(SPAN)?);
        if span.is_none() {
            self.complain(Problem::Value { expected: SPAN.into(), nearest: None });
        }
        span
    }

    /// One of some words, and what it stands for.
    pub fn choice<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>();
        let text = self.text(spelling::one_of(&known))?;
        let chosen = words.iter().find_map(|(word, meaning)| (*word == text).then_some(*meaning));
        if chosen.is_none() {
            self.misspelt(text, spelling::one_of(&known), known);
        }
        chosen
    }

    /// What the word that comes nearest stands for, if one is near. Complains of nothing.
    pub fn meant<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let known = words.iter().map(|(word, _)| *word);
        let near = nearest(self.inner.get_ref().as_str()?, known)?;
        words.iter().find_map(|(word, meaning)| (*word == near).then_some(*meaning))
    }

    /// An absolute path, at most `longest` bytes.
    pub fn path(&self, longest: usize) -> Option<&'a str> {
        const EXPECTED: &str = "an absolute path";
        let path = self.text(EXPECTED)?;
        if path.len() > longest {
            self.complain(Problem::Kind {
                expected: EXPECTED.into(),
                found: "one that is too long",
            });
            return None;
        }
        if !path.starts_with('/') {
            self.complain(Problem::Value { expected: EXPECTED.into(), nearest: None });
            return None;
        }
        Some(path)
    }

    /// A program and its arguments: strings, the first an absolute path.
    pub fn argv(&self) -> Option<Vec<Box<str>>> {
        const EXPECTED: &str = "a list of strings, the first an absolute path";

        let words = self.list(EXPECTED)?;
        let Some(program) = words.first() else {
            self.complain(Problem::Kind { expected: EXPECTED.into(), found: "an empty list" });
            return None;
        };
        program.path(limits::PATH)?;
        words.iter().map(|word| word.text("a string").map(Box::from)).collect()
    }

    /// A URL with the scheme `https` or `http`, without user and fragment.
    pub fn url(&self, query: Query) -> Option<Url> {
        match address::parse(self.text(query.expected())?, query) {
            Ok(url) => Some(url),
            Err(problem) => {
                self.complain(problem);
                None
            }
        }
    }

    /// The values of a list.
    pub fn list(&self, expected: &'static str) -> Option<Vec<Self>> {
        let DeValue::Array(items) = self.inner.get_ref() else {
            self.mismatch(expected);
            return None;
        };
        let item = |(index, inner): (usize, &'a Spanned<DeValue<'a>>)| Self {
            scope: self.scope,
            path: format!("{}[{index}]", self.path),
            key_span: inner.span(),
            inner,
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The table, ready to be read. Its reader calls [`Section::finish`].
    pub fn section(&self, expected: &'static str) -> Option<Section<'a>> {
        let DeValue::Table(table) = self.inner.get_ref() else {
            self.mismatch(expected);
            return None;
        };
        Some(Section::of_value(self, table))
    }

    /// Whether it is that text. Says nothing of any other: that is its reader's to do.
    pub fn is_text(&self, text: &str) -> bool {
        self.inner.get_ref().as_str() == Some(text)
    }

    /// Whether it is a table.
    pub fn is_table(&self) -> bool {
        self.inner.get_ref().is_table()
    }

    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        self.inner.get_ref().is_array()
    }

    /// Where it stands, and the path of its key, for a complaint that comes later.
    pub fn here(&self) -> (Place, Box<str>) {
        (self.scope.source.place(&self.inner.span()), self.path.as_str().into())
    }

    /// Where its key stands.
    pub fn key_place(&self) -> Place {
        self.scope.source.place(&self.key_span)
    }

    /// Says that `text` is none of the `known` words that `expected` lists.
    pub fn misspelt<'k>(
        &self,
        text: &str,
        expected: impl Into<Cow<'static, str>>,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        let nearest = nearest(text, known).map(Box::from);
        self.complain(Problem::Value { expected: expected.into(), nearest });
    }

    /// Says what is wrong with the value.
    pub fn complain(&self, problem: Problem) {
        self.complain_at(&self.inner.span(), problem);
    }

    /// Says what is wrong with the key.
    pub fn complain_of_key(&self, problem: Problem) {
        self.complain_at(&self.key_span, problem);
    }

    fn complain_at(&self, span: &Range<usize>, problem: Problem) {
        self.scope.report.error(Complaint {
            place: Some(self.scope.source.place(span)),
            key: self.path.as_str().into(),
            problem,
        });
    }

    /// Says that it is another kind of thing than expected.
    pub(super) fn mismatch(&self, expected: &'static str) {
        self.complain(Problem::Kind { expected: expected.into(), found: self.kind() });
    }

    fn kind(&self) -> &'static str {
        match self.inner.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }
}
