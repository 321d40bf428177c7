//! Makes the calls of hooks: runs their programs, has their units started, writes their files.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::RefreshError;
use crate::error::foreign::shortened;
use crate::hook::Deed;
use crate::hook::Manager;
use crate::hook::Template;
use crate::hooks::call::Call;
use crate::programs;
use crate::programs::Answer;
use crate::programs::Cut;
use crate::programs::NotStarted;
use crate::programs::Program;
use crate::spool;
use crate::spool::Sheet;
use crate::spool::Unwritten;
use crate::token::Secret;

/// What a hook may write to standard output, in bytes. Nobody reads it; what is more is a
/// program that went wrong.
const OUTPUT: usize = 64 * 1024;

/// What is told of its standard error, in characters.
const SAID: usize = 400;

/// What asks the service manager to start a unit, and waits for it.
pub(super) const SYSTEMCTL: &str = "/usr/bin/systemctl";

/// Why a hook failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Flaw {
    /// Its program did not start.
    #[error(transparent)]
    NotStarted(#[from] NotStarted),
    /// There is no descriptor for its token.
    #[error("no descriptor for the token: {0}")]
    NotHanded(io::Error),
    /// Its program did not end well.
    #[error("{cut}{}{said}", if .said.is_empty() { "" } else { ": " })]
    Ended {
        /// How it ended.
        cut: Cut,
        /// What it said of that, fit to be shown.
        said: String,
    },
    /// Its file was not written.
    #[error(transparent)]
    Unwritten(#[from] Unwritten),
}

/// Makes a call.
pub(super) async fn make(call: Arc<Call>) -> Result<(), Flaw> {
    match &call.hook.deed {
        Deed::Run { argv, timeout, role: _ } => run(&call, argv, *timeout).await,
        Deed::Start { template, manager, timeout } => {
            run(&call, &start(&call, template, *manager), *timeout).await
        }
        Deed::File { directory, mode } => put(&call, directory, *mode).await,
    }
}

/// Asks a gate.
pub(super) async fn ask(call: Call) -> Result<(), RefreshError> {
    let hook = call.hook.name.to_string();
    let asked = make(Arc::new(call)).await;
    asked.map_err(|flaw| match flaw {
        Flaw::NotStarted(unasked) if unasked.is_missing() => {
            RefreshError::ProgramMissing(format!("gate {hook}: {unasked}"))
        }
        Flaw::NotStarted(_) | Flaw::NotHanded(_) | Flaw::Ended { .. } | Flaw::Unwritten(_) => {
            RefreshError::HookFailed { hook, why: flaw.to_string() }
        }
    })
}

async fn run(call: &Call, argv: &[Box<str>], limit: Duration) -> Result<(), Flaw> {
    let variables = call.environment().into_iter();
    let variables = variables.map(|(name, value)| (name, OsString::from(value)));
    let handed = call.token().map(programs::handed::handed).transpose();
    let program = Program {
        argv,
        environment: programs::whose().into_iter().chain(variables).collect(),
        input: Some(Secret::new(call.document())),
        descriptor: handed.map_err(Flaw::NotHanded)?,
        hidden: call.token().cloned().into_iter().collect(),
        longest: OUTPUT,
        limit,
    };
    let Answer { end, report, .. } = programs::run(program).await?;
    end.map_err(|cut| Flaw::Ended { cut, said: shortened(&report, SAID).into() })
}

/// The command that starts the unit. It ends when the unit has started, so that one that fails is
/// a hook that fails, and the next event waits for it.
fn start(call: &Call, template: &Template, manager: Manager) -> [Box<str>; 5] {
    let whose = match manager {
        Manager::Host => "--system",
        Manager::User => "--user",
    };
    // There is no terminal at which a password could be typed.
    let words = [SYSTEMCTL, whose, "--no-ask-password", "start", &template.of(call.account())];
    words.map(Box::from)
}

/// One file for each kind of event: the newest takes the place of the one before.
async fn put(call: &Call, directory: &Path, mode: u32) -> Result<(), Flaw> {
    let name = format!("{}.{}.json", call.account(), call.event().as_str());
    Ok(spool::put(directory, Sheet { name, content: call.document(), mode }).await?)
}
