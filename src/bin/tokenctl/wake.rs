//! What ends the waiting of a program that has no end of its own: a signal to end, or a change
//! of the file that it keeps.
//!
//! Signals are bytes in a pipe, so that one that comes at any other time than in a wait is
//! found by the next wait, and nothing is ever cut short in the middle.

use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use rustix::fs::inotify;
use rustix::fs::inotify::CreateFlags;
use rustix::fs::inotify::WatchFlags;
use rustix::io::Errno;
use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGTERM;
use signal_hook::low_level::pipe;
use tokenkeeper::clock;

/// What can end a wait.
pub(crate) struct Wake {
    signals: UnixStream,
    watch: Option<Watch>,
}

/// A directory that is watched for changes of one file in it.
struct Watch {
    inotify: OwnedFd,
    name: OsString,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Woken {
    /// What was waited for can be read.
    Ready,
    /// SIGTERM or SIGINT: the program is to end.
    Ended,
    /// The watched file changed.
    Touched,
    /// Nothing, in all that time.
    Late,
}

impl Wake {
    /// Takes SIGTERM and SIGINT from now on.
    ///
    /// # Errors
    ///
    /// If the system has no pipe left.
    pub(crate) fn new() -> io::Result<Self> {
        let (signals, told) = UnixStream::pair()?;
        for signal in [SIGTERM, SIGINT] {
            pipe::register(signal, told.try_clone()?)?;
        }
        Ok(Self { signals, watch: None })
    }

    /// Watches `path` too, there or not; its directory is. A program may write it in place or
    /// put another file there.
    ///
    /// # Errors
    ///
    /// If the system gives no watch.
    pub(crate) fn watching(self, path: &Path) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let directory = path.parent().unwrap_or(Path::new("/"));
        let changes = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::DELETE;
        inotify::add_watch(&inotify, directory, changes)?;
        let name = path.file_name().unwrap_or_default().to_owned();
        Ok(Self { watch: Some(Watch { inotify, name }), ..self })
    }

    /// Waits until `ready` can be read or something else ends the wait, at most `patience`.
    /// An end goes before everything else.
    ///
    /// # Errors
    ///
    /// If the system cannot wait.
    pub(crate) fn until(
        &self,
        ready: Option<BorrowedFd<'_>>,
        patience: Duration,
    ) -> io::Result<Woken> {
        let deadline = clock::now().boot + patience;
        loop {
            let left = deadline.since(clock::now().boot);
            let mut waits = vec![PollFd::new(&self.signals, PollFlags::IN)];
            waits.extend(ready.as_ref().map(|ready| PollFd::new(ready, PollFlags::IN)));
            let watch = self.watch.as_ref();
            waits.extend(watch.map(|watch| PollFd::new(&watch.inotify, PollFlags::IN)));
            match poll(&mut waits, Some(&timespec(left))) {
                Ok(0) => return Ok(Woken::Late),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let woken = waits.iter().map(|wait| !wait.revents().is_empty()).collect::<Vec<_>>();
            let at = |index: usize| woken.get(index).copied().unwrap_or_default();
            if at(0) {
                return Ok(Woken::Ended);
            }
            if ready.is_some() && at(1) {
                return Ok(Woken::Ready);
            }
            if watch.is_some_and(Watch::concerns_the_file) {
                return Ok(Woken::Touched);
            }
        }
    }
}

/// Whether `stream` has something to be read, or has ended, within `patience`.
///
/// # Errors
///
/// If the system cannot wait.
pub(crate) fn is_readable(stream: BorrowedFd<'_>, patience: Duration) -> io::Result<bool> {
    let deadline = clock::now().boot + patience;
    loop {
        let left = deadline.since(clock::now().boot);
        match poll(&mut [PollFd::new(&stream, PollFlags::IN)], Some(&timespec(left))) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl Watch {
    /// Takes what happened out of the queue, and says whether any of it was about the file.
    fn concerns_the_file(&self) -> bool {
        let mut room = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(self.inotify.as_fd(), &mut room);
        let mut touched = false;
        // Without a name it is about the directory, or the queue was too short.
        while let Ok(event) = events.next() {
            let name = event.file_name();
            touched |= name.is_none_or(|name| name.to_bytes() == self.name.as_bytes());
        }
        touched
    }
}

fn timespec(span: Duration) -> Timespec {
    /// A day: what waits, waits again.
    const LONGEST: Duration = Duration::from_secs(86_400);

    let span = span.min(LONGEST);
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or_default(),
        tv_nsec: i64::from(span.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::fs::File;
    use std::io::Write as _;

    use super::*;

    #[test]
    fn only_the_watched_file_ends_a_wait() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.json");
        let wake = Wake::new().unwrap().watching(&path).unwrap();
        File::create(directory.path().join("other")).unwrap();
        assert_eq!(wake.until(None, Duration::ZERO).unwrap(), Woken::Late);

        File::create(&path).unwrap();
        assert_eq!(wake.until(None, Duration::from_secs(9)).unwrap(), Woken::Touched);
        assert_eq!(wake.until(None, Duration::ZERO).unwrap(), Woken::Late);

        fs::rename(directory.path().join("other"), &path).unwrap();
        assert_eq!(wake.until(None, Duration::from_secs(9)).unwrap(), Woken::Touched);
    }

    #[test]
    fn what_can_be_read_goes_before_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.json");
        let wake = Wake::new().unwrap().watching(&path).unwrap();
        File::create(&path).unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"x").unwrap();
        assert_eq!(wake.until(Some(ours.as_fd()), Duration::ZERO).unwrap(), Woken::Ready);
    }
}
