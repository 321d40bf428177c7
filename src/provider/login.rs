//! A login, as a conversation with a provider and a person.
//!
//! # Protocol
//!
//! 1. [`Provider::login`](super::Provider::login) begins it with what is known beforehand.
//! 2. [`Login::next`] is called with [`Heard::Begun`], then with what each [`Turn`] asked
//!    for, until it says [`Turn::Done`].
//! 3. A transport failure is told to it like an answer, because a person's work should not be
//!    lost with one packet; a person who goes away ends it from outside.
//!
//! # Invariants
//!
//! * What comes of it proves nothing yet: the credential waits beside the account's current
//!   one until one exchange has proven it.
//! * What a person typed is kept no longer than the request that carries it.

use std::time::Duration;

use url::Url;

use super::Request;
use super::Response;
use super::call::Call;
use super::call::Called;
use crate::error::RefreshError;
use crate::error::foreign;
use crate::time::Timestamp;
use crate::token::Grant;
use crate::token::Secret;

/// What a login begins with.
pub struct LoginStart {
    /// The account's secrets that could be resolved, by slot. What is not among them is asked for.
    pub secrets: Vec<(&'static str, Secret)>,
    /// Where the person's browser can be sent back to: a loopback address on which
    /// `tokenctl` listens (RFC 8252 section 7.3). `None` where there is no browser.
    pub redirect: Option<Url>,
    /// What an earlier exchange of this account [`learned`](super::Exchange::learned).
    pub learned: Option<Url>,
    /// 256 bits of chance in hex, for what must not be guessed.
    pub nonce: Secret,
    /// The time at which it begins.
    pub now: Timestamp,
}

impl LoginStart {
    /// Takes the secret of that slot.
    pub fn take(&mut self, slot: &str) -> Option<Secret> {
        let at = self.secrets.iter().position(|(name, _)| *name == slot)?;
        Some(self.secrets.swap_remove(at).1)
    }
}

/// A login that is under way.
pub trait Login: Send {
    /// Takes what the last turn asked for and says what comes next.
    fn next(&mut self, heard: Heard) -> Turn;
}

/// What a login hears.
pub enum Heard {
    /// It has begun.
    Begun,
    /// The response to the request that it asked for, and the time of its coming.
    Response(Response, Timestamp),
    /// There was none.
    Lost(RefreshError),
    /// What the person answered, and the time of that.
    Answer(Secret, Timestamp),
    /// The pause is over.
    Waited(Timestamp),
    /// What came of the call that it asked for.
    Called(Called),
}

/// What a login wants next.
pub enum Turn {
    /// Send this.
    Ask(Request),
    /// Ask a program this.
    Call(Call),
    /// Ask the person this.
    Prompt(Prompt),
    /// Let this much time pass, while the person sees `shown`.
    Pause {
        /// How long.
        span: Duration,
        /// What the person is to do meanwhile.
        shown: Prompt,
    },
    /// It is over.
    Done(Result<Box<Grant>, RefreshError>),
}

/// What a person is asked, or told to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Prompt {
    /// Type the account's password.
    Password {
        /// Whose, as the provider knows the person.
        of: Box<str>,
    },
    /// Type a code.
    Code {
        /// Where it comes from: `the code that was sent to p***@example.org`.
        from: Box<str>,
        /// Whether it is not the first question: the last code was not right.
        again: bool,
        /// How long an answer is good for.
        good_for: Option<Duration>,
    },
    /// Open an address and type a code there (RFC 8628 section 3.3).
    Device {
        /// Where.
        url: Box<str>,
        /// The same with the code in it.
        complete: Option<Box<str>>,
        /// What to type there.
        user_code: Box<str>,
        /// How long it is good for.
        good_for: Duration,
    },
    /// Open an address in a browser, which comes back to [`LoginStart::redirect`]. The answer
    /// is the query that it comes back with (RFC 6749 section 4.1.2).
    Browser {
        /// Where.
        url: Box<str>,
    },
}

impl Prompt {
    /// Without any of `secrets`, which a provider may say back.
    #[must_use]
    pub fn hiding(self, secrets: &[Secret]) -> Self {
        let words = |text: Box<str>| foreign::hiding(&text, secrets).into();
        match self {
            Self::Password { of } => Self::Password { of: words(of) },
            Self::Code { from, again, good_for } => {
                Self::Code { from: words(from), again, good_for }
            }
            Self::Device { url, complete, user_code, good_for } => Self::Device {
                url: words(url),
                complete: complete.map(words),
                user_code: words(user_code),
                good_for,
            },
            Self::Browser { url } => Self::Browser { url: words(url) },
        }
    }
}
