//! A question to a program of the operator's, in place of an HTTP request.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::token::Secret;

/// Largest answer to a [`Call`], in bytes: tokens, and no page.
pub const MAX_ANSWER: usize = 64 * 1024;

/// One question, and to whom.
pub struct Call {
    /// Who is asked.
    pub callee: Callee,
    /// The account that it is about, for the log.
    pub account: Arc<str>,
    /// The question.
    pub question: Secret,
    /// What of the question must not come back in words of the program that are logged.
    pub hidden: Vec<Secret>,
    /// The longest that it may take, where that is less than what the exchange may.
    pub limit: Option<Duration>,
    /// Whether it carries the refresh token: if its answer is lost, the token may be spent.
    pub spends: bool,
}

/// Who is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Callee {
    /// A program, run with these arguments; the first is its absolute path.
    Program(Arc<[Box<str>]>),
    /// Whoever listens on the Unix socket at this path.
    Socket(Arc<str>),
}

impl Callee {
    /// The path of the program or of the socket.
    pub fn path(&self) -> &str {
        match self {
            Self::Program(argv) => argv.first().map_or("", |program| program),
            Self::Socket(path) => path,
        }
    }
}

/// What came of a [`Call`].
pub enum Called {
    /// The whole answer of a callee that ended well.
    Answered(Zeroizing<Vec<u8>>),
    /// The callee had the question, and there is no answer to rely on.
    Broken {
        /// What it said before.
        output: Zeroizing<Vec<u8>>,
        /// What went wrong. Free of anything that the callee said.
        why: String,
    },
    /// The callee did not have the question.
    NotStarted(String),
    /// There is no such callee, or it may not be run.
    Missing(String),
}
