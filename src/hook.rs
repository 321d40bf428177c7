//! What a hook is: something that is done when an account's life comes to an event.
//!
//! What one is called with is the business of [`hooks`](crate::hooks), and so is when. A hook
//! learns of what happened and changes nothing about it, with one exception: a [gate](Role::Gate)
//! is asked before an attempt, and its refusal ends the attempt before anything is spent.

use std::path::Path;
use std::time::Duration;

use crate::name::AccountId;
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
    /// A unit of the service manager is started.
    Start {
        /// What it is an instance of.
        template: Template,
        /// Whose unit it is.
        manager: Manager,
        /// How long it may take until it has started; of a `Type=oneshot`, until it has ended.
        timeout: Duration,
    },
    /// A file is put into a directory that something else watches.
    File {
        /// That directory.
        directory: Box<Path>,
        /// The file's mode, at most 0o777.
        mode: u32,
    },
}

/// A template of units, `NAME@.service`, whose instances are called like accounts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template(Box<str>);

impl Template {
    /// Longest name, in bytes: with the longest account it stays below the 255 of a unit's name.
    const LONGEST: usize = 200;

    /// Reads one; `None` if it is no template of services.
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.strip_suffix("@.service")?;
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\".contains(&byte);
        let fits = !name.is_empty() && name.len() <= Self::LONGEST;
        // What begins with "-" would be an option of the program that starts it.
        (fits && !name.starts_with('-') && name.bytes().all(is_good)).then(|| Self(text.into()))
    }

    /// Its name.
    pub const fn as_str(&self) -> &str {
        &self.0
    }

    /// The unit of one account. Nothing in the name of an account has to be escaped in it.
    pub fn of(&self, account: &AccountId) -> String {
        self.0.replacen("@.", &format!("@{account}."), 1)
    }
}

/// Whose units are started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Manager {
    /// The host's.
    Host,
    /// Those of the user who runs the daemon.
    User,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_names_one_unit_for_each_account() {
        let template = Template::parse("tokenkeeper-hook@.service").unwrap();
        let account = AccountId::parse("ci_2-b").unwrap();
        assert_eq!(template.of(&account), "tokenkeeper-hook@ci_2-b.service");
        assert_eq!(template.as_str(), "tokenkeeper-hook@.service");
    }

    #[test]
    fn what_is_no_template_of_services_is_not_taken() {
        let long = format!("{}@.service", "a".repeat(201));
        #[rustfmt::skip]
        let cases = [
            "", "@.service", "a.service", "a@b.service", "a@.socket", "a@.service ", "a b@.service",
            "-a@.service", "a/b@.service", "a@b@.service", "a\u{e4}@.service", &long,
        ];
        for case in cases {
            assert_eq!(Template::parse(case), None, "{case:?}");
        }
    }
}
