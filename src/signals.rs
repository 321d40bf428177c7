//! Signals as messages: SIGTERM and SIGINT stop, SIGHUP reloads. A second SIGTERM or SIGINT ends
//! the process at once, for whoever has no patience.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use signal_hook::consts::SIGHUP;
use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGTERM;
use signal_hook::flag;
use signal_hook::iterator::Signals;
use tokio::sync::mpsc;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// End in good order.
    Stop,
    /// Read the configuration again.
    Reload,
}

/// Exit status after a second request to stop: terminated by a signal.
const IMPATIENT: i32 = 143;

/// Follows the signals of this process, on a thread of its own.
///
/// # Errors
///
/// What the kernel says to handlers or threads.
pub fn follow() -> io::Result<mpsc::Receiver<Signal>> {
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the first signal finds the flag down and raises it.
        flag::register_conditional_shutdown(signal, IMPATIENT, Arc::clone(&stopping))?;
        flag::register(signal, Arc::clone(&stopping))?;
    }
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let (sender, receiver) = mpsc::channel(8);
    thread::Builder::new().name("signals".to_owned()).stack_size(64 * 1024).spawn(move || {
        for signal in signals.forever() {
            let signal = if signal == SIGHUP { Signal::Reload } else { Signal::Stop };
            if sender.blocking_send(signal).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}
