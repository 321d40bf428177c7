//! What the service manager keeps of a store: refresh tokens that the disk did not take, sealed
//! under the data key. Since that goes with the store key, the key stays while there are any.

use std::env;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokenkeeper::programs::Program;
use tokenkeeper::section::Mode;

use super::program;

/// Where systemd runs; sd_booted(3).
const BOOTED: &str = "/run/systemd/system";

/// What systemctl needs to find a user's service manager.
const OF_A_SESSION: [&str; 2] = ["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

/// Longest time of the question. A manager that reads its units again takes a second or two.
const LIMIT: Duration = Duration::from_secs(30);

/// Longest answer that is taken, in bytes: a number on a line.
const LONGEST: usize = 64;

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeptError {
    /// The service manager does not say.
    #[error(
        "the service manager does not say whether it keeps refresh tokens that the disk did not \
         take, which would be lost with the present key: {0}"
    )]
    Unsaid(String),
    /// The system refuses.
    #[error("runtime: {0}")]
    System(io::Error),
}

/// How many files the service manager keeps for the daemon. None where no systemd runs.
///
/// # Errors
///
/// [`KeptError`].
pub(crate) fn count(mode: Mode) -> Result<u64, KeptError> {
    if !Path::new(BOOTED).is_dir() {
        return Ok(0);
    }
    let property = "--property=NFileDescriptorStore";
    let argv = ["systemctl", manager(mode), "show", "--value", property, "tokenkeeper.service"];
    let argv: [Box<str>; 6] = argv.map(Box::from);
    let environment = match mode {
        Mode::System => Vec::new(),
        Mode::User => {
            OF_A_SESSION.into_iter().filter_map(|name| Some((name, env::var_os(name)?))).collect()
        }
    };
    let program = Program {
        argv: &argv,
        environment,
        input: None,
        descriptor: None,
        hidden: Vec::new(),
        longest: LONGEST,
        limit: LIMIT,
    };
    let answer = program::run(program)
        .map_err(KeptError::System)?
        .map_err(|error| KeptError::Unsaid(error.to_string()))?;
    if let Err(cut) = &answer.end {
        return Err(KeptError::Unsaid(program::why(&answer, cut)));
    }
    let number = std::str::from_utf8(&answer.output).ok().and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| KeptError::Unsaid("systemctl answers with no number".to_owned()))
}

/// The option of systemctl for that service manager.
pub(super) const fn manager(mode: Mode) -> &'static str {
    match mode {
        Mode::System => "--system",
        Mode::User => "--user",
    }
}
