//! The log: readable lines on a terminal, JSON lines otherwise, on standard error.
//!
//! Events come from the supervisor and the front ends, each fact once, with the fields
//! that a search needs. No field is ever a secret: those cannot be formatted.

use std::fmt;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::io::Write as _;

use serde_json::Map;
use serde_json::Value;
use tracing::Event;
use tracing::Level;
use tracing::Metadata;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::subscriber::Interest;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::clock;
use crate::threshold::Threshold;

/// Begins the log, of what `threshold` lets through at the time.
///
/// The first call of a process counts; later ones log nothing of their own.
pub fn start(threshold: &Threshold) {
    let format = if std::io::stderr().is_terminal() { Format::Lines } else { Format::Json };
    let layer = Lines { threshold: threshold.clone(), format };
    let subscriber = tracing_subscriber::registry().with(layer);
    // A test process may have a log already.
    let _taken = tracing::subscriber::set_global_default(subscriber);
}

#[derive(Clone, Copy)]
enum Format {
    Lines,
    Json,
}

struct Lines {
    threshold: Threshold,
    format: Format,
}

impl<S: Subscriber> Layer<S> for Lines {
    /// Asked once for each place that logs: the threshold may change, so ours are asked again.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_ours(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_ours(metadata) && self.threshold.lets(*metadata.level())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = *event.metadata().level();
        let mut line = match self.format {
            Format::Lines => fields.line(level),
            Format::Json => fields.json(level),
        };
        line.push('\n');
        // A log that cannot be written has nobody to tell.
        let _unwritten = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

/// Libraries speak of bytes and headers; only our own events are known to be clean.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("tokenkeeper")
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn line(&self, level: Level) -> String {
        let time = clock::now().wall;
        let mut line = format!("{time} {:<5} ", level.as_str().to_ascii_lowercase());
        if let Some(account) = self.others.get("account").and_then(Value::as_str) {
            // Writing into a String cannot fail.
            let _written = write!(line, "{account}: ");
        }
        line.push_str(&self.message);
        for (name, value) in self.others.iter().filter(|(name, _)| *name != "account") {
            let shown = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            let _written = write!(line, " {name}={}", escaped(&shown));
        }
        line
    }

    fn json(&self, level: Level) -> String {
        let mut object = Map::new();
        object.insert("time".to_owned(), clock::now().wall.to_string().into());
        object.insert("level".to_owned(), level.as_str().to_ascii_lowercase().into());
        object.insert("message".to_owned(), self.message.clone().into());
        object.extend(self.others.clone());
        Value::Object(object).to_string()
    }

    fn insert(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
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

    #[test]
    fn a_log_line_stays_one_line() {
        let mut fields = Fields { message: escaped("a\nb"), ..Fields::default() };
        fields.others.insert("account".to_owned(), "mail".into());
        fields.others.insert("why".to_owned(), "x\u{1b}[2J".into());
        let line = fields.line(Level::WARN);
        assert!(line.ends_with(" warn  mail: a\\nb why=x\\u{1b}[2J"), "{line}");
    }
}
