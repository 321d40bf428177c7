//! Why the control interface refuses, in words for the author of a test.

use crate::account::QueueFull;
use crate::behaviour::BadBehaviour;
use crate::provider::TooManyAccounts;
use crate::reply::Reply;
use crate::route;

/// Why a control request is refused. The message names what, where and what was expected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadControl {
    #[error("no account `{0}`; create it with PUT /control/accounts/{0}")]
    NoAccount(String),
    #[error("the content is not JSON: {0}")]
    NotJson(serde_json::Error),
    #[error("the content is a JSON object with {expected}; {problem}")]
    Shape { expected: &'static str, problem: serde_json::Error },
    #[error("account `{account}`: {problem}")]
    Behaviour { account: String, problem: BadBehaviour },
    #[error("the default behaviour: {0}")]
    Default(BadBehaviour),
    #[error("account `{account}`: {problem}")]
    Name { account: String, problem: route::Miss },
    #[error("fault {position}: {problem}")]
    Fault { position: usize, problem: serde_json::Error },
    #[error("query parameter `{name}` is unknown; expected one of {expected}")]
    Parameter { name: String, expected: String },
    #[error("query parameter `{name}` is {value:?}, expected a number of 0 to {most}")]
    Number { name: &'static str, value: String, most: u64 },
    #[error("nothing to wait for; expected one of {0}")]
    NoCondition(String),
    #[error(transparent)]
    QueueFull(#[from] QueueFull),
    #[error(transparent)]
    TooMany(#[from] TooManyAccounts),
}

impl BadControl {
    /// The reply that says so: 404 for an account that is not there, else 400.
    pub(crate) fn reply(&self) -> Reply {
        let status = if matches!(self, Self::NoAccount(_)) { 404 } else { 400 };
        Reply::problem(status, &self.to_string())
    }
}
