//! Work that may hang in the kernel, apart from everything that must not.
//!
//! A file may lie on a network that is gone, and so may a program: opening the one and starting
//! the other then take as long as the mount stays dead, and no signal ends that. Such work runs
//! on a thread of its own, and not on the runtime's blocking ones, which names are resolved on.
//!
//! # Invariants
//!
//! * Whoever asks waits no longer than they said, whatever the work does.
//! * A thread that hangs is not waited for and not replaced: it keeps its place among the few
//!   that there are, and the place that it hangs at. Nothing else begins there meanwhile, so
//!   one dead mount takes one thread for each path on it that is asked for, and work that comes
//!   late never meets the work after it.
//! * What comes too late is dropped on that thread: dropping it is how its maker cleans up.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Threads for one kind of work, made when there is some.
pub struct Apart {
    /// What the threads are called.
    name: &'static str,
    room: Semaphore,
    /// One at a time at each place. Those where nobody is and nobody waits are forgotten.
    turns: Mutex<BTreeMap<PathBuf, Arc<Semaphore>>>,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Undone {
    /// It took too long, or what was before it did.
    #[error("it was not done within {} s", .0.as_secs_f32())]
    Late(Duration),
    /// There is no thread to be had.
    #[error("there is no thread for it: {0}")]
    NoThread(io::Error),
    /// Our own fault.
    #[error("its thread ended in a panic")]
    Broken,
}

impl Apart {
    /// Room for that many threads at a time.
    pub const fn new(name: &'static str, threads: usize) -> Self {
        let room = Semaphore::const_new(threads);
        Self { name, room, turns: Mutex::new(BTreeMap::new()) }
    }

    /// Does `work` at `place`, and waits for it for `limit` at the most, which begins at once.
    ///
    /// # Errors
    ///
    /// [`Undone`]. After [`Undone::Late`] the work may still be done, if it had begun.
    pub async fn run<T: Send + 'static>(
        &'static self,
        place: &Path,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let done = timeout(limit, self.begin(place, work)).await;
        done.map_err(|_| Undone::Late(limit))?
    }

    async fn begin<T: Send + 'static>(
        &'static self,
        place: &Path,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        // Neither semaphore is ever closed.
        let turn = self.turn(place).acquire_owned().await.map_err(|_| Undone::Broken)?;
        let room = self.room.acquire().await.map_err(|_| Undone::Broken)?;
        let (reply, answer) = oneshot::channel();
        let working = move || {
            let _until_the_end = (turn, room);
            // Nobody may wait for it any more, and then it is dropped here.
            let _late = reply.send(work());
        };
        let thread = thread::Builder::new().name(self.name.to_owned()).spawn(working);
        let _detached = thread.map_err(Undone::NoThread)?;
        answer.await.map_err(|_| Undone::Broken)
    }

    fn turn(&self, place: &Path) -> Arc<Semaphore> {
        // Nothing that could panic is done while it is held.
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        let turn = turns.entry(place.to_owned());
        Arc::clone(turn.or_insert_with(|| Arc::new(Semaphore::const_new(1))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn what_was_done_comes_back_and_a_panic_is_told() {
        static APART: Apart = Apart::new("test", 1);
        assert_eq!(APART.run(Path::new("/a"), LIMIT, || 7).await.unwrap(), 7);
        let bomb = APART.run(Path::new("/a"), LIMIT, || panic!("it was to be expected"));
        assert!(matches!(bomb.await, Err::<(), _>(Undone::Broken)));
        assert_eq!(APART.run(Path::new("/a"), LIMIT, || 8).await.unwrap(), 8, "its room is free");
    }

    #[tokio::test]
    async fn work_that_never_ends_is_given_up_and_holds_up_nothing_at_other_places() {
        static APART: Apart = Apart::new("test", 2);
        let (_never, for_ever) = mpsc::channel::<()>();
        let late = hung(&APART, "/dead", move || for_ever.recv()).await;
        assert_eq!(late.unwrap_err().to_string(), "it was not done within 10 s");
        assert_eq!(APART.run(Path::new("/fine"), LIMIT, || 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn nothing_begins_where_something_hangs_until_that_is_over() {
        static APART: Apart = Apart::new("test", 2);
        let (release, until_released) = mpsc::channel::<()>();
        hung(&APART, "/dead", move || until_released.recv()).await.unwrap_err();

        let next = gave_up(&APART, "/dead").await;
        assert!(matches!(next, Err(Undone::Late(_))), "it must not meet what is late");

        release.send(()).unwrap();
        assert_eq!(APART.run(Path::new("/dead"), LIMIT, || 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn no_more_threads_hang_than_may() {
        static APART: Apart = Apart::new("test", 2);
        let (releases, ends) =
            (0..2).map(|_| mpsc::channel::<()>()).unzip::<_, _, Vec<_>, Vec<_>>();
        for (place, end) in ["/a", "/b"].into_iter().zip(ends) {
            hung(&APART, place, move || end.recv()).await.unwrap_err();
        }
        assert!(matches!(gave_up(&APART, "/c").await, Err(Undone::Late(_))));
        drop(releases);
        assert_eq!(APART.run(Path::new("/c"), LIMIT, || 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_comes_too_late_is_dropped_by_its_thread() {
        struct Told(mpsc::Sender<String>);

        impl Drop for Told {
            fn drop(&mut self) {
                let thread = thread::current().name().unwrap_or_default().to_owned();
                self.0.send(thread).unwrap();
            }
        }

        static APART: Apart = Apart::new("late", 1);
        let (dropped, told) = mpsc::channel();
        let (release, until_released) = mpsc::channel::<()>();
        let late = hung(&APART, "/dead", move || {
            until_released.recv().unwrap();
            Told(dropped)
        });
        assert!(late.await.is_err());
        assert!(told.try_recv().is_err(), "it is not there yet");
        release.send(()).unwrap();
        assert_eq!(told.recv().unwrap(), "late");
    }

    #[tokio::test]
    async fn places_that_nobody_is_at_are_forgotten() {
        static APART: Apart = Apart::new("test", 1);
        for place in ["/a", "/b", "/c"] {
            APART.run(Path::new(place), LIMIT, || ()).await.unwrap();
        }
        // A thread gives its place back after its answer.
        let _turn = APART.room.acquire().await.unwrap();
        APART.turn(Path::new("/d"));
        assert_eq!(APART.turns.lock().unwrap().len(), 1);
    }

    /// Has work begin that does not end, and lets its time pass.
    async fn hung<T: Send + 'static>(
        apart: &'static Apart,
        place: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let (begun, has_begun) = oneshot::channel();
        let work = move || {
            begun.send(()).unwrap();
            work()
        };
        let time = async {
            has_begun.await.unwrap();
            tokio::time::pause();
        };
        let (result, ()) = tokio::join!(apart.run(Path::new(place), LIMIT, work), time);
        tokio::time::resume();
        result
    }

    /// Asks for work that cannot begin, and lets its time pass.
    async fn gave_up(apart: &'static Apart, place: &str) -> Result<(), Undone> {
        tokio::time::pause();
        let result = apart.run(Path::new(place), LIMIT, || panic!("it has begun")).await;
        tokio::time::resume();
        result
    }
}
