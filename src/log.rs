//! The log: native records where standard error leads to the journal; lines on a terminal and
//! JSON lines otherwise.
//!
//! Events come from the supervisor and the front ends, each fact once, with the fields
//! that a search needs. No field is ever a secret: those cannot be formatted.
//!
//! # Reading order
//!
//! 1. [`Log`]: its beginning and its end.
//! 2. `writer`: the thread that waits for whoever reads, and the queue before it (`backlog`).
//! 3. `flood`: what becomes of thousands of warnings that are alike.
//! 4. `record`, `sink`, `journal`: what is written, where and how.
//!
//! # Invariants
//!
//! * Whoever logs never waits for whoever reads. This holds for panics as well.
//! * What is lost is counted, and the count is told.
//! * What is said right before the end comes out, unless nobody reads within [`LAST_WORDS`].

mod backlog;
mod flood;
mod journal;
mod record;
mod sink;
mod writer;

use std::io;
use std::panic;
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tracing::Event;
use tracing::Level;
use tracing::Metadata;
use tracing::Subscriber;
use tracing::subscriber::Interest;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::clock;
use crate::config::daemon::LogLevel;
use crate::message::Message;
use crate::threshold::Threshold;

use self::record::Record;
use self::sink::Sink;
use self::writer::Desk;

/// How long the end of the process waits for whoever reads the log.
pub const LAST_WORDS: Duration = Duration::from_secs(2);

/// The log of this process. When it is dropped, what was said is written.
pub struct Log {
    threshold: Threshold,
    desk: Arc<Desk>,
}

impl Log {
    /// Begins the log, and has panics told in it.
    ///
    /// The first call of a process counts; later ones log nothing of their own.
    ///
    /// # Errors
    ///
    /// What the kernel says to threads.
    pub fn start() -> io::Result<Self> {
        let threshold = Threshold::new(LogLevel::default());
        let desk = Desk::start(Sink::find())?;
        let records = Records { threshold: threshold.clone(), desk: Arc::clone(&desk) };
        let subscriber = tracing_subscriber::registry().with(records);
        // A test process may have a log already.
        let _taken = tracing::subscriber::set_global_default(subscriber);
        let theirs = Arc::clone(&desk);
        panic::set_hook(Box::new(move |panic| theirs.add(told(panic), clock::now())));
        Ok(Self { threshold, desk })
    }

    /// What is logged, which may be changed at any time.
    pub fn threshold(&self) -> &Threshold {
        &self.threshold
    }

    /// Says why the daemon did not run.
    ///
    /// Lines on standard error, in the journal as well: it takes down the unit of a stream when
    /// that begins, and of a datagram only while its sender lives.
    pub fn refuse(&self, why: &str) {
        self.desk.last_words(why);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.desk.flush(LAST_WORDS, clock::now());
    }
}

/// A panic as a record, in the place of the lines that would go to standard error at once.
fn told(panic: &PanicHookInfo<'_>) -> Record {
    let why = panic.payload_as_str().unwrap_or("no reason is known");
    let place = panic.location().map_or_else(|| "?".to_owned(), ToString::to_string);
    let thread = thread::current();
    let said = format!("a thread panicked at {place}: {why}");
    Record::of(Message::Panicked, clock::now().wall, &said)
        .with("thread", thread.name().unwrap_or("?"))
}

struct Records {
    threshold: Threshold,
    desk: Arc<Desk>,
}

impl<S: Subscriber> Layer<S> for Records {
    /// Asked once for each place that logs: the threshold may change, so ours are asked again.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_ours(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_ours(metadata) && self.threshold.lets(*metadata.level())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let now = clock::now();
        let record = Record::taken(event, now.wall);
        if self.threshold.lets(Level::DEBUG) {
            // Whoever looks this closely wants each of them.
            self.desk.add_each(record, now);
        } else {
            self.desk.add(record, now);
        }
    }
}

/// Libraries speak of bytes and headers; only our own events are known to be clean.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("tokenkeeper")
}
