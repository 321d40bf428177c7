//! What is done about an account's standing at its provider, apart from its tokens.

use super::Response;
use super::Step;
use crate::error::RefreshError;

/// A conversation with a provider that ends in something done, or a failure.
///
/// Driven like an [`Exchange`](super::Exchange); a transport failure ends it from outside.
pub trait Deed<T>: Send {
    /// Takes the response to the last request (`None` at first) and says what comes next.
    fn next(&mut self, response: Option<Response>) -> Step<Result<T, RefreshError>>;
}

/// What is wanted of an account's sessions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SessionOrder {
    /// To see them.
    List,
    /// To end the one with that id.
    End(Box<str>),
    /// To end all of them.
    EndAll,
}

/// What came of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sessions {
    /// They are these.
    Listed(Vec<Session>),
    /// This many were ended, where the provider says how many.
    Ended(Option<u64>),
}

/// One session, as far as the provider tells. Texts are capped and free of control characters.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: Box<str>,
    /// Program or browser.
    pub device: Option<Box<str>>,
    /// Address that it was begun from.
    pub address: Option<Box<str>>,
    /// When it was begun, as the provider writes it.
    pub begun: Option<Box<str>>,
    /// When it was last used, as the provider writes it.
    pub used: Option<Box<str>>,
    /// When it ends, as the provider writes it.
    pub ends: Option<Box<str>>,
    /// Whether it is the one that the question came from.
    pub current: bool,
}
