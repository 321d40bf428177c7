//! The one-time code of a sign-in: which one was mailed, and under which session it is asked for.
//!
//! There is one open session at a time. A new sign-in mails a new code, which makes the old code
//! and its session useless, as the real service does.

use std::time::Duration;

use serde::Deserialize;

use crate::clock::Moment;

/// What a wrong code comes to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum WrongCode {
    /// Another challenge under a new session.
    Challenge,
    /// `NotAuthorizedException`, and the session ends.
    NotAuthorized,
    /// `CodeMismatchException`, and the session stays.
    CodeMismatch,
}

/// What an answer comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answered {
    /// It is the code.
    Right,
    /// It is not, and the code is asked for under a new session.
    Again,
    /// It is not, and may be tried again under the same session.
    Mismatch,
    /// It is not, and the sign-in is over.
    Refused,
    /// The session is not the open one.
    Unknown,
    /// The session is too old.
    Expired,
}

/// The challenge of one account.
#[derive(Debug, Default)]
pub(super) struct Challenge {
    /// Numbers given to codes and sessions so far.
    numbers: u32,
    mailed: Option<String>,
    wrong: u32,
    open: Option<Session>,
}

#[derive(Debug)]
struct Session {
    name: String,
    code: String,
    ends: Moment,
}

impl Challenge {
    /// A number that no code or session had before.
    pub(super) fn next_number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    /// The code that was mailed last.
    pub(super) fn mailed(&self) -> Option<&str> {
        self.mailed.as_deref()
    }

    /// Mails a code.
    pub(super) fn mail(&mut self, code: String) {
        self.mailed = Some(code);
        self.wrong = 0;
        self.open = None;
    }

    /// Asks for `code` under the session `name` from `now` on, for so many seconds.
    pub(super) fn open(&mut self, name: String, code: String, secs: u32, now: Moment) {
        let ends = now.after(Duration::from_secs(secs.into()));
        self.open = Some(Session { name, code, ends });
    }

    /// Takes an answer at `now`; the last of `attempts` wrong ones ends the sign-in.
    pub(super) fn answer(
        &mut self,
        session: &str,
        answer: &str,
        attempts: u32,
        wrong_code: WrongCode,
        now: Moment,
    ) -> Answered {
        let Some(open) = self.open.take_if(|open| open.name == session) else {
            return Answered::Unknown;
        };
        if now.since_start >= open.ends.since_start {
            return Answered::Expired;
        }
        if answer == open.code {
            return Answered::Right;
        }
        self.wrong += 1;
        if self.wrong >= attempts {
            return Answered::Refused;
        }
        match wrong_code {
            WrongCode::Challenge => Answered::Again,
            WrongCode::NotAuthorized => Answered::Refused,
            WrongCode::CodeMismatch => {
                self.open = Some(open);
                Answered::Mismatch
            }
        }
    }
}
