//! What a hook is: something that is done when an account's life comes to an event.
//!
//! What one is called with is the business of [`hooks`](crate::hooks), and so is when. A hook
//! learns of what happened and changes nothing about it, with one exception: a [gate](Role::Gate)
//! is asked before an attempt, and its refusal ends the attempt before anything is spent.

use std::path::Path;
use std::time::Duration;

use crate::notice::EventName;

/// One hook.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hook {
    /// What messages call it; among the hooks of an account there is no other of that name.
    pub name: Box<str>,
    /// What it is called about.
    pub on: Box<[EventName]>,
    /// What is done then.
    pub deed: Deed,
}

impl Hook {
    /// The events that a hook can be called about. That a hook failed is none of them, so that
    /// no failing hook calls itself.
    pub const EVENTS: &[EventName] = &[
        EventName::RefreshStarted,
        EventName::TokenChanged,
        EventName::RefreshFailed,
        EventName::Alarm,
        EventName::Recovered,
        EventName::Expired,
        EventName::ExpiryAhead,
        EventName::StateChanged,
    ];

    /// Time of a command that names none.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// The longest time that a command may be given.
    pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

    /// The same for a gate: a refresh waits for it, and so does whoever asks for the token, for
    /// 20 s unless they say otherwise.
    pub const LONGEST_GATE: Duration = Duration::from_secs(15);

    /// Mode of a file that names none: for the daemon's group, and not for everybody, who may
    /// have no right to see how the account stands.
    pub const FILE_MODE: u32 = 0o640;

    /// Whether it is called about that event, beside what happens. A gate never is.
    pub fn follows(&self, event: EventName) -> bool {
        !self.is_gate() && self.on.contains(&event)
    }

    /// Whether attempts wait for it.
    pub const fn is_gate(&self) -> bool {
        matches!(self.deed, Deed::Run { role: Role::Gate, .. })
    }
}

/// What a hook does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Deed {
    /// A program is run.
    Run {
        /// The program, an absolute path, and its arguments.
        argv: Box<[Box<str>]>,
        /// How long it may take.
        timeout: Duration,
        /// What it is given, or asked.
        role: Role,
    },
    /// A file is put into a directory that something else watches.
    File {
        /// That directory.
        directory: Box<Path>,
        /// The file's mode, at most 0o777.
        mode: u32,
    },
}

/// What a program that is run as a hook is there for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// It learns what happened.
    Follower,
    /// It is given the new token besides.
    Bearer,
    /// It says whether an attempt may be made.
    Gate,
}
