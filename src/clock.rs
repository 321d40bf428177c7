//! The clocks of the host. The only file that reads one.
//!
//! Runtime timers stand still while the host sleeps, so the next deadline is a timerfd on
//! `CLOCK_BOOTTIME`, and a second one on `CLOCK_REALTIME` that is never meant to fire
//! tells, by being cancelled, that the wall clock was set or the host slept. A thread of
//! its own waits for both: runtime support for foreign descriptors needs `unsafe`.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::poll;
use rustix::io::Errno;
use rustix::time::ClockId;
use rustix::time::Itimerspec;
use rustix::time::TimerfdClockId;
use rustix::time::TimerfdFlags;
use rustix::time::TimerfdTimerFlags;
use rustix::time::Timespec;
use rustix::time::clock_gettime;
use rustix::time::timerfd_create;
use rustix::time::timerfd_settime;
use tokio::sync::Notify;

use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;

/// A wall-clock time that does not come.
const NEVER_SECS: i64 = i64::MAX / 1_000_000_000;

/// Both clocks, at this moment.
pub fn now() -> Now {
    Now {
        boot: Moment::from_millis(
            u64::try_from(millis(clock_gettime(ClockId::Boottime))).unwrap_or_default(),
        ),
        wall: Timestamp::from_millis(millis(clock_gettime(ClockId::Realtime))),
    }
}

const fn millis(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}

/// Wakes at moments, and tells of steps.
#[derive(Clone)]
pub struct Clock(Arc<Shared>);

struct Shared {
    deadline: OwnedFd,
    /// The deadline that is armed; 0 if none is.
    armed: AtomicU64,
    reached: Notify,
    stepped: Notify,
}

impl Clock {
    /// Starts the clock's thread. It ends with the process.
    ///
    /// # Errors
    ///
    /// What the kernel says to timers or threads.
    pub fn start() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let steps = timerfd_create(TimerfdClockId::Realtime, flags)?;
        watch_for_steps(&steps)?;
        let shared = Arc::new(Shared {
            deadline: timerfd_create(TimerfdClockId::Boottime, flags)?,
            armed: AtomicU64::new(0),
            reached: Notify::new(),
            stepped: Notify::new(),
        });
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("clock".to_owned())
            .stack_size(64 * 1024)
            .spawn(move || theirs.watch(&steps))?;
        Ok(Self(shared))
    }

    /// Returns at `at`; never, if there is nothing to wait for. It may return early: look again.
    pub async fn sleep_until(&self, at: Option<Moment>) {
        let wanted = at.map_or(0, |at| at.as_millis().max(1));
        if self.0.armed.swap(wanted, Ordering::SeqCst) != wanted {
            self.0.arm(wanted);
        }
        self.0.reached.notified().await;
    }

    /// Returns when the wall clock was set, or the host woke from sleep.
    pub async fn stepped(&self) {
        self.0.stepped.notified().await;
    }
}

impl Shared {
    fn arm(&self, wanted: u64) {
        let at = Timespec {
            tv_sec: i64::try_from(wanted / 1000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(wanted % 1000).unwrap_or_default() * 1_000_000,
        };
        let spec = Itimerspec { it_interval: Timespec::default(), it_value: at };
        // A timer on a descriptor of ours, with a time that is valid, cannot be refused.
        let _old = timerfd_settime(&self.deadline, TimerfdTimerFlags::ABSTIME, &spec);
    }

    fn watch(&self, steps: &OwnedFd) {
        let mut count = [0; 8];
        loop {
            let mut fds =
                [PollFd::new(&self.deadline, PollFlags::IN), PollFd::new(steps, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            if rustix::io::read(&self.deadline, &mut count).is_ok() {
                self.armed.store(0, Ordering::SeqCst);
                self.reached.notify_one();
            }
            if rustix::io::read(steps, &mut count) == Err(Errno::CANCELED) {
                if watch_for_steps(steps).is_err() {
                    return;
                }
                self.stepped.notify_one();
            }
        }
    }
}

/// Arms a timer that only a step of the wall clock ends.
fn watch_for_steps(steps: &OwnedFd) -> io::Result<()> {
    let never = Timespec { tv_sec: NEVER_SECS, tv_nsec: 0 };
    let spec = Itimerspec { it_interval: Timespec::default(), it_value: never };
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    timerfd_settime(steps, flags, &spec)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_deadline_that_is_past_wakes_at_once_and_a_later_one_not_before_its_time() {
        let clock = Clock::start().unwrap();
        clock.sleep_until(Some(Moment::from_millis(1))).await;

        let at = now().boot + Duration::from_millis(20);
        clock.sleep_until(Some(at)).await;
        assert!(now().boot >= at);
    }

    #[test]
    fn both_clocks_go_on() {
        let before = now();
        let after = now();
        assert!(after.boot >= before.boot);
        assert!(before.wall > Timestamp::from_millis(1_700_000_000_000));
    }
}
