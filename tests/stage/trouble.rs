//! What can go wrong on a stage.

use std::io;
use std::process::ExitStatus;

/// Why a stage cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The system says no.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    /// A program ended otherwise than it should.
    #[error("{program} ended with {status}\n{said}")]
    Ended {
        /// Its name.
        program: &'static str,
        /// How.
        status: ExitStatus,
        /// The end of what it wrote.
        said: String,
    },
    /// A program said nothing for too long.
    #[error("{program} did not say in time that it is ready\n{said}")]
    Silent {
        /// Its name.
        program: &'static str,
        /// The end of what it wrote.
        said: String,
    },
    /// A program answered something else than it should.
    #[error("{program} answered: {answer}")]
    Unexpected {
        /// Its name.
        program: &'static str,
        /// The beginning of its answer.
        answer: String,
    },
}

impl Trouble {
    /// For `map_err`: what was tried when the system said no.
    pub(crate) fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::System(what, error.into())
    }

    /// An answer that is none.
    pub(crate) fn unexpected(program: &'static str, answer: &[u8]) -> Self {
        const SHOWN: usize = 300;
        let shown = answer.get(..SHOWN).unwrap_or(answer);
        Self::Unexpected { program, answer: String::from_utf8_lossy(shown).into_owned() }
    }
}
