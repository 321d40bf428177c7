//! What the demo waits for: events of the daemon and signals, in one queue.

use std::io::BufRead as _;
use std::io::BufReader;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;
use tokenkeeper::clock;
use tokenkeeper::protocol::event::EventView;
use tokenkeeper::time::Moment;

use super::programs::Watch;
use super::stage::trouble::Trouble;

/// One thing that happens.
pub(super) enum Happening {
    /// The daemon tells of an account.
    Event(Box<EventView>),
    /// It is enough: a signal came, or the time is up.
    Stop,
    /// The daemon tells nothing more.
    WatchEnded,
}

/// Everything that happens from [`Happenings::begin`] on.
pub(super) struct Happenings {
    sender: Sender<Happening>,
    queue: Receiver<Happening>,
}

impl Happenings {
    /// Begins to follow signals.
    ///
    /// # Errors
    ///
    /// What the system says to handlers or threads.
    pub(super) fn begin() -> Result<Self, Trouble> {
        let (sender, queue) = mpsc::channel();
        let mut signals =
            Signals::new([SIGINT, SIGTERM]).map_err(Trouble::system("cannot follow signals"))?;
        let told = sender.clone();
        in_background("signals", move || {
            for _signal in signals.forever() {
                if told.send(Happening::Stop).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { sender, queue })
    }

    /// Begins to follow what `watch` prints, one event in JSON a line.
    ///
    /// # Errors
    ///
    /// What the system says to threads.
    pub(super) fn follow(&self, watch: &mut Watch) -> Result<(), Trouble> {
        let told = self.sender.clone();
        let Some(output) = watch.output() else { return Ok(()) };
        in_background("events", move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let Ok(event) = serde_json::from_str(&line) else { break };
                if told.send(Happening::Event(event)).is_err() {
                    return;
                }
            }
            // The demo may have ended before.
            let _gone = told.send(Happening::WatchEnded);
        })
    }

    /// What happens within `span` from now; without one, without end.
    pub(super) fn until(&self, span: Option<Duration>) -> Until<'_> {
        Until { queue: &self.queue, end: span.map(|span| clock::now().boot + span) }
    }
}

/// Happenings up to a moment.
pub(super) struct Until<'a> {
    queue: &'a Receiver<Happening>,
    end: Option<Moment>,
}

impl Until<'_> {
    /// The next one; [`Happening::Stop`] when the time is up.
    ///
    /// # Errors
    ///
    /// If nothing can happen any more.
    pub(super) fn next(&mut self) -> Result<Happening, Trouble> {
        let next = match self.end {
            Some(end) => self.queue.recv_timeout(end.since(clock::now().boot)),
            None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(happening) => Ok(happening),
            Err(RecvTimeoutError::Timeout) => Ok(Happening::Stop),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Trouble::unexpected("tokenctl watch", b"nothing"))
            }
        }
    }
}

fn in_background(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Trouble> {
    let begun = thread::Builder::new().name(name.to_owned()).spawn(work);
    begun.map(drop).map_err(Trouble::system("cannot start a thread"))
}
