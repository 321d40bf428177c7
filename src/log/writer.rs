//! The thread that writes, and what those who log share with it.
//!
//! Whoever reads the log may stop: a terminal is paused, a pipe is full, the journal is stuck.
//! Writing then blocks, and nothing else may: records are put into a [`Backlog`], and this
//! thread alone waits.

use std::io;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use super::backlog::Backlog;
use super::backlog::Next;
use super::flood::Aside;
use super::flood::Flood;
use super::record::Record;
use super::sink::Sink;
use crate::clock;
use crate::message::Message;
use crate::time::Now;

/// What those who log share with the thread.
#[derive(Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    more: Condvar,
    done: Condvar,
}

#[derive(Default)]
struct State {
    backlog: Backlog,
    flood: Flood,
    last_words: Option<String>,
    /// Whether the thread has taken something that is not written yet.
    writing: bool,
}

/// What the thread writes.
enum Piece {
    Record(Next),
    LastWords(String),
}

impl Desk {
    /// Starts the thread, which ends with the process.
    ///
    /// # Errors
    ///
    /// What the kernel says to threads.
    pub(super) fn start(sink: Sink) -> io::Result<Arc<Self>> {
        let desk = Arc::new(Self::default());
        let theirs = Arc::clone(&desk);
        thread::Builder::new().name("log".to_owned()).stack_size(128 * 1024).spawn(move || {
            let mut unwritten = 0;
            loop {
                unwritten = match theirs.next(unwritten) {
                    Piece::Record(next) => write(&sink, next),
                    Piece::LastWords(text) => {
                        sink.refuse(&text);
                        0
                    }
                };
            }
        })?;
        Ok(desk)
    }

    /// Takes a record in. It returns at once, whatever the reader does.
    pub(super) fn add(&self, record: Record, now: Now) {
        let mut state = self.state();
        state.conclude(now);
        if state.flood.lets(&record, now.boot) {
            state.backlog.add(record);
        }
        self.more.notify_one();
    }

    /// Takes a record in, however many are like it.
    pub(super) fn add_each(&self, record: Record, now: Now) {
        let mut state = self.state();
        state.conclude(now);
        state.backlog.add(record);
        self.more.notify_one();
    }

    /// Takes in what is said after everything else, as plain text.
    pub(super) fn last_words(&self, text: &str) {
        self.state().last_words = Some(text.to_owned());
        self.more.notify_one();
    }

    /// Returns when everything is written, and after `limit` at the latest.
    pub(super) fn flush(&self, limit: Duration, now: Now) {
        let mut state = self.state();
        let asides = state.flood.end();
        state.tell(asides, now);
        self.more.notify_one();
        let busy = |state: &mut State| {
            state.writing || !state.backlog.is_empty() || state.last_words.is_some()
        };
        // What is not written by then is lost.
        let _late = self.done.wait_timeout_while(state, limit, busy);
    }

    /// The next piece, when there is one. The one before is done with, but for those that could
    /// not be written.
    fn next(&self, unwritten: u64) -> Piece {
        let mut state = self.state();
        state.backlog.lose(unwritten);
        state.writing = false;
        loop {
            let now = clock::now();
            state.conclude(now);
            if let Some(next) = state.backlog.next() {
                state.writing = true;
                return Piece::Record(next);
            }
            if let Some(text) = state.last_words.take() {
                state.writing = true;
                return Piece::LastWords(text);
            }
            self.done.notify_all();
            state = match state.flood.next_at() {
                Some(at) => {
                    let pause = at.since(now.boot);
                    let waited = self.more.wait_timeout(state, pause);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.more.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tells of the bursts that are over.
    fn conclude(&mut self, now: Now) {
        let asides = self.flood.over(now.boot);
        self.tell(asides, now);
    }

    fn tell(&mut self, asides: Vec<Aside>, now: Now) {
        for Aside { kind, code, count } in asides {
            let said = format!("{count} more like these were not told one by one");
            let record = Record::of(Message::MoreAlike, now.wall, &said)
                .with("about", kind.as_str())
                .with("count", count);
            self.backlog.add(match code {
                Some(code) => record.with("code", code),
                None => record,
            });
        }
    }
}

/// Writes a record, and before it how many are lost. Returns how many are lost now.
fn write(sink: &Sink, Next { lost, record }: Next) -> u64 {
    let untold = if lost > 0 && sink.write(&lost_so_far(lost)).is_err() { lost } else { 0 };
    untold + u64::from(sink.write(&record).is_err())
}

fn lost_so_far(lost: u64) -> Record {
    let said = format!("{lost} records were lost here, because nobody took them");
    Record::of(Message::RecordsLost, clock::now().wall, &said).with("count", lost)
}
