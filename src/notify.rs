//! What the service manager is told. Without one, every call does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// Requests are answered.
pub fn ready() {
    send(&[NotifyState::Ready]);
}

/// The configuration is being read again; [`ready`] says when that is over.
pub fn reloading() {
    if let Ok(since) = NotifyState::monotonic_usec_now() {
        send(&[NotifyState::Reloading, since]);
    }
}

/// How often the service manager wants to hear [`alive`], at the least; `None` if it does not.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// Everything gets on.
pub fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// The end has begun.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// One line for `systemctl status`. A newline would inject assignments, so control
/// characters become spaces.
pub fn status(line: &str) {
    send(&[NotifyState::Status(&one_line(line))]);
}

fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

fn send(states: &[NotifyState<'_>]) {
    // The service manager may be gone, or not listen: that stops nothing.
    let _unheard = sd_notify::notify(states);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_stays_on_one_line() {
        assert_eq!(one_line("a\nMAINPID=1\tb"), "a MAINPID=1 b");
    }
}
