//! Reading a table of the configuration, all of its errors at once.
//!
//! A [`Section`] is one TOML table. Its reader asks for each key that it knows, in any
//! order, and then calls [`Section::finish`], which reports every key that nobody asked
//! for. Errors do not stop the reading: they gather in a [`Report`], each with its file,
//! line, key, what was expected and the nearest valid spelling. What is left out and what
//! is wrong both read as `None`; whether anything was wrong is the report's to say.
//!
//! # Reading order
//!
//! [`Section`] here, then `value` (one value), `complaint` (what is said of it), `secret`
//! and `address` (the two kinds of value with rules of their own).
//!
//! # Invariants
//!
//! * No message quotes a value. See [`Problem`].
//! * Nothing of the TOML tree outlives the reading.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeString;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::spelling::nearest;
pub mod address;
pub mod complaint;
mod digest;
mod secret;
mod spelling;
pub mod value;

use self::complaint::Complaint;
use self::complaint::Problem;
use self::complaint::Report;
use self::complaint::Source;
use self::value::Value;

/// Where a secret comes from. Never the secret itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SecretRef {
    /// The account's slot of that name in the store: what a reference that is left out means.
    Slot,
    /// `{ credential = "NAME" }`: the file `tokenkeeper.secret.NAME` in `$CREDENTIALS_DIRECTORY`.
    Credential(Box<str>),
    /// `{ file = "PATH" }`
    File(Box<str>),
    /// `{ command = ["PROGRAM", …] }`, in user mode only.
    Command(Vec<Box<str>>),
}

/// Whose service this is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// The host's.
    System,
    /// One user's.
    User,
}

/// What every part of one file shares while it is read.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The file.
    pub source: &'a Source<'a>,
    /// Where complaints go.
    pub report: &'a Report,
    /// Whose service reads it.
    pub mode: Mode,
}

/// One table of the configuration.
pub struct Section<'a> {
    scope: Scope<'a>,
    /// Path of its keys; empty for the file itself.
    path: String,
    /// Where it begins.
    span: Range<usize>,
    table: &'a DeTable<'a>,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The table that a whole file is.
    pub fn of_file(scope: Scope<'a>, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self::new(scope, String::new(), 0..0, table.get_ref())
    }

    fn of_value(value: &Value<'a>, table: &'a DeTable<'a>) -> Self {
        Self::new(value.scope, value.path.clone(), value.key_span.clone(), table)
    }

    fn new(scope: Scope<'a>, path: String, span: Range<usize>, table: &'a DeTable<'a>) -> Self {
        Self { scope, path, span, table, asked: Vec::new() }
    }

    /// The last part of its path: of an account's table, the account's name.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// Notes a key that is read elsewhere, so that it is not unknown.
    pub fn knows(&mut self, key: &'static str) {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
    }

    /// The value of a key.
    pub fn value(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.knows(key);
        let (key, inner) = self.table.get_key_value(key)?;
        Some(self.entry(key.get_ref(), key.span(), inner))
    }

    /// Its text; see [`Value::text`].
    pub fn text(&mut self, key: &'static str, expected: &'static str) -> Option<&'a str> {
        self.value(key)?.text(expected)
    }

    /// Its text, which must not be left out.
    pub fn require_text(&mut self, key: &'static str, expected: &'static str) -> Option<&'a str> {
        let value = self.value(key);
        if value.is_none() {
            self.missing(key, expected);
        }
        value?.text(expected)
    }

    /// A duration.
    pub fn span(&mut self, key: &'static str) -> Option<Duration> {
        self.value(key)?.span()
    }

    /// A yes or no, no if it is left out.
    pub fn flag(&mut self, key: &'static str) -> bool {
        self.value(key).and_then(|value| value.flag()).unwrap_or(false)
    }

    /// One of some words.
    pub fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        self.value(key)?.choice(words)
    }

    /// Every entry of a table whose keys are names that the administrator chose.
    pub fn into_entries(self) -> Vec<(&'a str, Value<'a>)> {
        let mut entries = Vec::with_capacity(self.table.len());
        for (key, inner) in self.table {
            entries.push((key.get_ref().as_ref(), self.entry(key.get_ref(), key.span(), inner)));
        }
        entries
    }

    /// A fingerprint of all that the table says, however it is written, but for one key.
    pub fn digest_of_all_but(&self, key: &'static str) -> [u8; 32] {
        digest::of_all_but(key, self.table)
    }

    /// Says that a key is missing.
    pub fn missing(&self, key: &'static str, expected: &'static str) {
        self.scope.report.error(Complaint {
            place: Some(self.scope.source.place(&self.span)),
            key: self.path_of(key).into(),
            problem: Problem::Missing { expected },
        });
    }

    /// Says what is wrong with the table as a whole.
    pub fn complain(&self, problem: Problem) {
        self.scope.report.error(self.complaint(problem));
    }

    /// Says what about the table as a whole is worth knowing.
    pub fn warn(&self, problem: Problem) {
        self.scope.report.warning(self.complaint(problem));
    }

    /// Reports every key that nobody asked for.
    pub fn finish(mut self) {
        self.asked.sort_unstable();
        for (key, inner) in self.table {
            if self.asked.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let problem = match nearest(key.get_ref(), self.asked.iter().copied()) {
                Some(nearest) => Problem::Misspelt { nearest },
                None => Problem::Unknown { known: spelling::all_of(&self.asked).into() },
            };
            self.entry(key.get_ref(), key.span(), inner).complain_of_key(problem);
        }
    }

    fn entry(
        &self,
        key: &str,
        key_span: Range<usize>,
        inner: &'a Spanned<DeValue<'a>>,
    ) -> Value<'a> {
        Value { scope: self.scope, path: self.path_of(key), key_span, inner }
    }

    fn path_of(&self, key: &str) -> String {
        let key = spelling::key(key);
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }

    fn complaint(&self, problem: Problem) -> Complaint {
        Complaint {
            place: Some(self.scope.source.place(&self.span)),
            key: self.path.as_str().into(),
            problem,
        }
    }
}

/// Visits every entry of a top-level table whose keys are names that the administrator
/// chose, and frees each one after its visit. What the next visit keeps can take its place:
/// with ten thousand accounts in one file, the process stays smaller by a quarter.
pub fn consume_table(
    scope: Scope<'_>,
    key: &Spanned<DeString<'_>>,
    table: Spanned<DeValue<'_>>,
    mut visit: impl FnMut(&str, &Value<'_>),
) {
    let path = spelling::key(key.get_ref());
    if !table.get_ref().is_table() {
        let value = Value { scope, path, key_span: key.span(), inner: &table };
        value.mismatch("a table");
        return;
    }
    let DeValue::Table(entries) = table.into_inner() else { return };
    for (name, inner) in entries {
        let path = format!("{path}.{}", spelling::key(name.get_ref()));
        let value = Value { scope, path, key_span: name.span(), inner: &inner };
        visit(name.get_ref(), &value);
    }
}
