//! One processor for everybody who takes part, while a latency is measured.
//!
//! With two, the scheduler chooses anew in each run whether a client and its server share
//! one. Waking the other processor of a shared machine costs more than the answer, so the
//! choice decides the ratio and not the server.

use rustix::thread::CpuSet;
use rustix::thread::sched_getaffinity;
use rustix::thread::sched_setaffinity;

use crate::stage::trouble::Trouble;

/// Holds this thread, and what it starts, on one processor until it goes.
pub(crate) struct Pinned {
    before: CpuSet,
}

impl Pinned {
    /// Pins to the first processor that may be used.
    ///
    /// # Errors
    ///
    /// If the system does not let.
    pub(crate) fn first() -> Result<Self, Trouble> {
        let failed = || Trouble::system("cannot choose a processor");
        let before = sched_getaffinity(None).map_err(failed())?;
        let mut one = CpuSet::new();
        if let Some(first) = (0..CpuSet::MAX_CPU).find(|number| before.is_set(*number)) {
            one.set(first);
        }
        sched_setaffinity(None, &one).map_err(failed())?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // What was allowed before is allowed again.
        let _restored = sched_setaffinity(None, &self.before);
    }
}
