//! Programs of systemd, run one after the other: the work on a key has no runtime of its own.

use std::io;

use tokenkeeper::programs;
use tokenkeeper::programs::Answer;
use tokenkeeper::programs::Cut;
use tokenkeeper::programs::NotStarted;
use tokenkeeper::programs::Program;

/// Runs a program to its end.
///
/// # Errors
///
/// What the kernel says to a runtime; inside, why the program did not start.
pub(crate) fn run(program: Program<'_>) -> io::Result<Result<Answer, NotStarted>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(programs::run(program)))
}

/// Why a program did not do what it was run for: its own words, or else how it ended.
pub(crate) fn why(answer: &Answer, cut: &Cut) -> String {
    match answer.report.as_str() {
        "" => cut.to_string(),
        report => report.to_owned(),
    }
}
