//! One record, and the forms that people and programs read on standard error.

use std::fmt;
use std::fmt::Write as _;

use serde_json::Map;
use serde_json::Value;
use tracing::Level;
use tracing::field::Field;
use tracing::field::Visit;

use crate::message::Message;
use crate::message::Priority;
use crate::time::Timestamp;

/// What is told at once.
#[derive(Debug)]
pub(super) struct Record {
    /// When it happened.
    pub(super) at: Timestamp,
    /// How much it weighs.
    pub(super) priority: Priority,
    /// What it is, where that has a name.
    pub(super) kind: Option<Message>,
    /// One line for people.
    pub(super) message: String,
    /// What the journal is searched by.
    pub(super) fields: Map<String, Value>,
}

impl Record {
    /// A record of a kind, with nothing but what it says.
    pub(super) fn of(kind: Message, at: Timestamp, message: &str) -> Self {
        let mut fields = Map::new();
        fields.insert(EVENT.to_owned(), kind.as_str().into());
        let message = escaped(message);
        Self { at, priority: kind.priority(), kind: Some(kind), message, fields }
    }

    /// The same with one more field.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// What an event says, at a moment.
    pub(super) fn taken(event: &tracing::Event<'_>, at: Timestamp) -> Self {
        let mut taken = Taken::default();
        event.record(&mut taken);
        let Taken { message, fields } = taken;
        let kind = fields.get(EVENT).and_then(Value::as_str).and_then(Message::named);
        let of_level = priority(*event.metadata().level());
        // What is told at the level of debugging weighs no more than that.
        let priority = match kind {
            Some(kind) if of_level != Priority::Debug => kind.priority(),
            Some(_) | None => of_level,
        };
        Self { at, priority, kind, message, fields }
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        /// Of a record and of a field besides their text.
        const FRAME: usize = 64;
        let fields = self
            .fields
            .iter()
            .map(|(name, value)| FRAME + name.len() + value.as_str().map_or(0, str::len));
        2 * FRAME + self.message.len() + fields.sum::<usize>()
    }

    /// A line for a terminal.
    pub(super) fn line(&self) -> String {
        format!("{} {:<7} {}", self.at, self.priority.as_str(), self.said())
    }

    /// A line for the journal's stream, sd-daemon(3).
    pub(super) fn stream_line(&self) -> String {
        format!("<{}>{}", self.priority.number(), self.said())
    }

    /// A line for programs.
    pub(super) fn json(&self) -> String {
        let mut object = Map::new();
        object.insert("time".to_owned(), self.at.to_string().into());
        object.insert("level".to_owned(), level(self.priority).into());
        object.insert("message".to_owned(), self.message.clone().into());
        object.extend(self.fields.clone());
        Value::Object(object).to_string()
    }

    /// What it says, and first whom it is about.
    pub(super) fn message_with_account(&self) -> String {
        match self.fields.get("account").and_then(Value::as_str) {
            Some(account) => format!("{account}: {}", self.message),
            None => self.message.clone(),
        }
    }

    /// What it says, with the details behind it.
    fn said(&self) -> String {
        let mut line = self.message_with_account();
        let details = self.fields.iter().filter(|(name, _)| *name != "account" && *name != EVENT);
        for (name, value) in details {
            // Writing into a String cannot fail.
            let _written = write!(line, " {name}={}", escaped(&text(value)));
        }
        line
    }
}

/// A value without the marks of JSON.
pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// The field that names the kind.
const EVENT: &str = "event";

const fn priority(level: Level) -> Priority {
    match level {
        Level::ERROR => Priority::Error,
        Level::WARN => Priority::Warning,
        Level::INFO => Priority::Info,
        Level::DEBUG | Level::TRACE => Priority::Debug,
    }
}

/// The word in JSON, which is one of the words that the configuration has for levels.
const fn level(priority: Priority) -> &'static str {
    match priority {
        Priority::Critical | Priority::Error => "error",
        Priority::Warning => "warn",
        Priority::Notice | Priority::Info => "info",
        Priority::Debug => "debug",
    }
}

#[derive(Default)]
struct Taken {
    message: String,
    fields: Map<String, Value>,
}

impl Taken {
    fn insert(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Taken {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = escaped(&text);
        } else {
            self.insert(field, text.into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value.into());
    }
}

/// One line, whatever was in it: a terminal obeys control characters.
fn escaped(text: &str) -> String {
    if text.chars().any(char::is_control) {
        text.escape_debug().to_string()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn each_form_has_the_record_on_one_line() {
        let record = Record::of(Message::RefreshFailed, AT, "a\nb")
            .with("account", "mail")
            .with("why", "x\u{1b}[2J\nPRIORITY=0");
        insta::assert_snapshot!(
            [record.line(), record.stream_line(), record.json()].join("\n"), @r#"
        2027-01-15T08:00:00Z warning mail: a\nb why=x\u{1b}[2J\nPRIORITY=0
        <4>mail: a\nb why=x\u{1b}[2J\nPRIORITY=0
        {"account":"mail","event":"refresh_failed","level":"warn","message":"a\\nb","time":"2027-01-15T08:00:00Z","why":"x\u001b[2J\nPRIORITY=0"}
        "#
        );
    }

    #[test]
    fn the_size_grows_with_what_is_said() {
        let short = Record::of(Message::Ready, AT, "ready").size();
        let long = Record::of(Message::Ready, AT, "ready").with("why", "x".repeat(1000)).size();
        assert!(long > short + 1000, "{short} {long}");
    }
}
