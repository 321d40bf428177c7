//! A file that takes up room until the disk is full.
//!
//! A rotated refresh token that cannot be written is a lost account. So some room is
//! kept: the ballast is given up when the disk is full, which lets the writes of the
//! exchanges that are under way through, and is taken again when there is plenty.

use std::io::Write;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use tracing::warn;

use crate::message::Message;
use crate::store::dir::StateDir;

const NAME: &str = "store.ballast";

/// Bytes kept. A save of 1 kB tokens takes some 20 kB of WAL, so it covers about fifty.
const BYTES: u64 = 1 << 20;

/// Free bytes, besides its own, at which the ballast is taken again: enough that taking
/// it does not itself fill the disk.
const PLENTY: u64 = 8 * BYTES;

/// How it stands with the ballast.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reserve {
    /// It lies ready.
    Kept,
    /// It was taken away, and could not be made anew.
    Missing,
    /// There is none, and with less than [`Reserve::ROOM`] free none is taken.
    NoRoom,
}

impl Reserve {
    /// Bytes that have to be free for it to be taken.
    pub const ROOM: u64 = PLENTY + BYTES;
}

/// How it stands with the ballast.
pub(super) fn reserve(dir: &StateDir) -> Reserve {
    if is_kept(dir) {
        Reserve::Kept
    } else if dir.free_bytes() < Reserve::ROOM {
        Reserve::NoRoom
    } else {
        Reserve::Missing
    }
}

/// Whether the ballast lies ready.
pub(super) fn is_kept(dir: &StateDir) -> bool {
    dir.inspect(NAME).is_ok_and(|length| length == Some(BYTES))
}

/// Gives the ballast up, on a disk that is full, and records that. Tells whether there was any to
/// give.
pub(super) fn give_up(dir: &StateDir) -> bool {
    let given = dir.has(NAME) == Ok(true) && dir.remove(NAME).is_ok() && dir.sync().is_ok();
    if given {
        warn!(event = Message::ReserveUsed.as_str(), "the disk is full: {NAME} is given up for it");
    }
    given
}

/// Takes ballast again if the disk has plenty of room. A failure leaves none, which
/// [`is_kept`] tells.
pub(super) fn restore(dir: &StateDir) {
    if is_kept(dir) || dir.free_bytes() < Reserve::ROOM {
        return;
    }
    if fill(dir).is_err() {
        // What was half filled only takes room. If it cannot be removed either, the next
        // `give_up` tries again.
        let _gone = dir.remove(NAME);
    }
}

fn fill(dir: &StateDir) -> Result<(), Errno> {
    let mut file = dir.create_empty(NAME)?;
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, BYTES) {
        Ok(()) => {}
        Err(Errno::OPNOTSUPP) => {
            let zeros = [0; 4096];
            for _ in 0..BYTES / 4096 {
                file.write_all(&zeros)
                    .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            }
        }
        Err(errno) => return Err(errno),
    }
    rustix::fs::fsync(&file)?;
    dir.sync()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::dir::tests::state_dir;

    #[test]
    fn ballast_is_given_up_once_and_taken_again() {
        let (_at, dir) = state_dir();
        assert!(!give_up(&dir));

        restore(&dir);
        assert!(is_kept(&dir));
        assert!(give_up(&dir));
        assert!(!is_kept(&dir));
        assert!(!give_up(&dir));

        restore(&dir);
        assert!(is_kept(&dir));
    }
}
