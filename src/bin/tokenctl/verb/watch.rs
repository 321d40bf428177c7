//! `watch`: what happens, as it happens.
//!
//! It has no end of its own. SIGINT ends it as it ends every filter, which shells report
//! as 130: each line is written whole, so there is nothing to clean up.

use std::io;
use std::io::Write as _;
use std::time::Duration;

use tokenkeeper::error::code::Remedy;
use tokenkeeper::name::AccountId;
use tokenkeeper::protocol::account::AccountView;

use super::Session;
use super::breathe;
use super::of;
use crate::client::Request;
use crate::client::events::Events;
use crate::client::events::Next;
use crate::fault::Fault;
use crate::print;
use crate::print::Form;
use crate::print::Notes;

/// How long the stream may be silent: the daemon says something every 15 s, so this is
/// one that is gone without a word.
const SILENCE: Duration = Duration::from_secs(45);

/// Prints the events of `accounts`, or of all that the caller may see.
pub(super) fn watch(session: &Session, accounts: &[AccountId]) -> Result<(), Fault> {
    for account in accounts {
        // An account that does not exist would have no events, and nobody would know why.
        session.daemon.fetch::<AccountView>(&Request::get(of(account, "")))?;
    }
    let request = match accounts {
        [one] => Request::get(format!("/v1/events?account={one}")),
        _ => Request::get("/v1/events"),
    };
    let mut events = session.daemon.follow(&request)?;
    loop {
        match events.next(SILENCE)? {
            Next::Event(event) => {
                // An event without an account is about the stream itself.
                let wanted = accounts.is_empty()
                    || event.account.is_empty()
                    || accounts.iter().any(|account| account.as_str() == event.account);
                match session.output.form {
                    _ if !wanted => {}
                    Form::Json => session.output.json(&event)?,
                    Form::Text => {
                        let line = print::event::line(&event, session.output.style);
                        session.output.page(&format!("{line}\n"))?;
                    }
                }
            }
            Next::Alive => {}
            Next::Silence | Next::End => events = reconnect(session, &request)?,
        }
    }
}

/// Follows the daemon that comes back.
fn reconnect(session: &Session, request: &Request) -> Result<Events, Fault> {
    tell(session, "the daemon went away; waiting for it");
    loop {
        breathe(Duration::MAX);
        match session.daemon.follow(request) {
            Ok(events) => {
                tell(session, "the daemon is back; what happened in between is in its journal");
                return Ok(events);
            }
            Err(fault) if passes(&fault) => {}
            Err(fault) => return Err(fault),
        }
    }
}

/// Whether a daemon that starts may answer so.
fn passes(fault: &Fault) -> bool {
    match fault {
        Fault::NoDaemon(_)
        | Fault::WentAway { .. }
        | Fault::NotTheDaemon { .. }
        | Fault::Silent { .. } => true,
        Fault::Refused { body, .. } => body.remedy == Remedy::Wait,
        Fault::RefusedAnew { .. }
        | Fault::Usage(_)
        | Fault::Sealed(_)
        | Fault::NoProgram(_)
        | Fault::Input(_)
        | Fault::File(_)
        | Fault::Nobody(_)
        | Fault::NoRuntimeDir(_)
        | Fault::WaitedInVain { .. }
        | Fault::Interrupted
        | Fault::Output(_) => false,
    }
}

/// Says something on the standard error, unless notes are hidden.
pub(super) fn tell(session: &Session, sentence: &str) {
    if session.output.notes == Notes::Shown {
        // Nobody is left to be told if standard error is closed.
        let sentence = session.output.hints.complete(sentence);
        let _told = writeln!(io::stderr(), "tokenctl: {sentence}");
    }
}
