//! What front ends want of the engine that talks to providers on a person's behalf.
//!
//! A login is begun, answered, looked at and cancelled by messages; how it stands is
//! published, so that whoever waits for it holds up nobody.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::sync::watch;
use url::Url;

use crate::name::AccountId;
use crate::provider::deed::SessionOrder;
use crate::provider::deed::Sessions;
use crate::provider::login::Prompt;
use crate::snapshot::Refusal;
use crate::time::Moment;
use crate::token::Generation;
use crate::token::Secret;

/// One thing that is wanted.
pub enum Call {
    /// Something about a login.
    Login {
        /// Of which account.
        account: AccountId,
        /// What.
        wish: Wish,
        /// Where to answer.
        reply: oneshot::Sender<Result<Visit, Refusal>>,
    },
    /// The account's sessions at its provider.
    Sessions {
        /// Of which account.
        account: AccountId,
        /// To see them, or to end some.
        order: SessionOrder,
        /// Where to answer.
        reply: oneshot::Sender<Result<Sessions, Refusal>>,
    },
}

/// What is wanted of a login.
pub enum Wish {
    /// Begin one. An earlier one of the account that has not come to its end gives way.
    Begin {
        /// Where a browser can be sent back to.
        redirect: Option<Url>,
        /// Where its password comes from.
        password: Password,
        /// Who answers what it asks besides.
        typist: Typist,
    },
    /// Give it what it asked the person for.
    Answer {
        /// Which login.
        login: Box<str>,
        /// What the person answered.
        answer: Secret,
    },
    /// See how it stands.
    Look {
        /// Which login.
        login: Box<str>,
    },
    /// End it. Nothing of it stays.
    Cancel {
        /// Which login.
        login: Box<str>,
    },
}

/// Where the password of a login comes from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Password {
    /// From where the account has it, and else from the person.
    #[default]
    Stored,
    /// From the person, whatever is stored: a login that takes none is refused.
    Typed,
}

/// Who can type an answer to what a login asks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Typist {
    /// A person.
    #[default]
    Person,
    /// Nobody: a login that has a code sent, which only a person could type, is refused before
    /// its provider is asked.
    Nobody,
}

/// A login, as whoever follows it holds it.
#[derive(Clone)]
pub struct Visit {
    /// Its name.
    pub login: Arc<str>,
    /// How it stands. Closed once nobody carries the login on.
    pub stage: watch::Receiver<Arc<Stage>>,
    /// The turn that it was in when the call was heard: an answer to that turn is followed
    /// by a later one.
    pub turn: u64,
}

/// How a login stands.
pub struct Stage {
    /// Counts what was shown, from 1.
    pub turn: u64,
    /// What it is at.
    pub at: At,
}

/// What a login is at.
pub enum At {
    /// The provider is being asked.
    Busy,
    /// It waits for a turn: there were as many logins at the provider's host as a minute allows.
    Delayed {
        /// When it asks for its turn again.
        until: Moment,
    },
    /// The person is.
    Asked {
        /// What.
        prompt: Prompt,
        /// Whether the person's answer is waited for, and not the provider's.
        answerable: bool,
        /// How long it is good.
        good_until: Option<Moment>,
    },
    /// The credential that it brought is being proven by one exchange.
    Proving,
    /// It is over; with the generation that it began, or what went wrong.
    Ended(Result<Generation, Refusal>),
}
