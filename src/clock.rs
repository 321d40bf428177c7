//! The clocks of the host. The only file that reads one.

use rustix::time::ClockId;
use rustix::time::clock_gettime;

use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;

/// Both clocks, at this moment.
pub fn now() -> Now {
    let boot = clock_gettime(ClockId::Boottime);
    let wall = clock_gettime(ClockId::Realtime);
    let boot_ms = boot.tv_sec.saturating_mul(1000).saturating_add(boot.tv_nsec / 1_000_000);
    let wall_ms = wall.tv_sec.saturating_mul(1000).saturating_add(wall.tv_nsec / 1_000_000);
    Now {
        boot: Moment::from_millis(u64::try_from(boot_ms).unwrap_or_default()),
        wall: Timestamp::from_millis(wall_ms),
    }
}
