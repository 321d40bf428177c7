//! What the process gives up for itself at its start.

use std::io;

use nix::sys::prctl;
use nix::sys::resource::Resource;
use nix::sys::resource::getrlimit;
use nix::sys::resource::setrlimit;

/// No core file, no `ptrace` and no `/proc/PID/mem` for processes of the same user.
///
/// # Errors
///
/// What the kernel says.
pub fn against_onlookers() -> io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    prctl::set_dumpable(false)?;
    Ok(())
}

/// Raises the limit of descriptors to `wanted`, as far as the hard limit lets, and says what it is then.
///
/// # Errors
///
/// What the kernel says.
pub fn descriptors(wanted: u64) -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let raised = wanted.min(hard).max(soft);
    setrlimit(Resource::RLIMIT_NOFILE, raised, hard)?;
    Ok(raised)
}
