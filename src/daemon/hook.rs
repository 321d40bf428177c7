//! Makes the calls of hooks: runs their programs, writes their files.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::RefreshError;
use crate::hook::Deed;
use crate::hooks::Call;
use crate::hooks::Flaw;
use crate::programs;
use crate::programs::Answer;
use crate::programs::Program;
use crate::spool;
use crate::spool::Sheet;
use crate::token::Secret;

/// What a hook may write to standard output, in bytes. Nobody reads it; what is more is a
/// program that went wrong.
const OUTPUT: usize = 64 * 1024;

/// What is told of its standard error, in characters.
const SAID: usize = 400;

/// Makes a call.
pub(super) async fn make(call: Arc<Call>) -> Result<(), Flaw> {
    match &call.hook.deed {
        Deed::Run { argv, timeout, role: _ } => run(&call, argv, *timeout).await,
        Deed::File { directory, mode } => put(&call, directory, *mode).await,
    }
}

/// Asks a gate.
pub(super) async fn ask(call: Call) -> Result<(), RefreshError> {
    let hook = Arc::clone(&call.hook);
    make(Arc::new(call)).await.map_err(|flaw| flaw.of_gate(&hook))
}

async fn run(call: &Call, argv: &[Box<str>], limit: Duration) -> Result<(), Flaw> {
    let variables = call.environment().into_iter();
    let variables = variables.map(|(name, value)| (name, OsString::from(value)));
    let handed = call.token().map(programs::handed).transpose();
    let program = Program {
        argv,
        environment: programs::whose().into_iter().chain(variables).collect(),
        input: Some(Secret::new(call.document())),
        descriptor: handed.map_err(|error| Flaw::NotStarted(error.to_string()))?,
        hidden: call.token().cloned().into_iter().collect(),
        longest: OUTPUT,
        limit,
    };
    match programs::run(program).await {
        Ok(Answer { end: Ok(()), .. }) => Ok(()),
        Ok(Answer { end: Err(cut), report, .. }) => {
            Err(Flaw::Ended { how: cut.to_string(), said: report.chars().take(SAID).collect() })
        }
        Err(error) => Err(Flaw::NotStarted(error.to_string())),
    }
}

/// One file for each kind of event: the newest takes the place of the one before.
async fn put(call: &Call, directory: &Path, mode: u32) -> Result<(), Flaw> {
    let name = format!("{}.{}.json", call.account(), call.event().as_str());
    let put = spool::put(directory, Sheet { name, content: call.document(), mode }).await;
    put.map_err(|error| Flaw::Unwritten(error.to_string()))
}
