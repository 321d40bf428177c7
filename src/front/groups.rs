//! The supplementary groups of a peer: `SO_PEERGROUPS`, which no crate wraps.
//!
//! The list is the one that the process had when it connected. Reading it from `/proc`
//! would be a hole: a process can connect and then execute a set-user-ID program that
//! takes on more groups, with the connection still open. This file holds the only
//! `unsafe` of the crate.
#![allow(unsafe_code, reason = "getsockopt with a buffer of variable length has no safe wrapper")]

use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;

use nix::libc;

use crate::limits;

/// Groups of most peers; a longer list costs a second call.
const USUAL: usize = 32;

/// The supplementary groups of the process at the other end, as of its `connect`.
///
/// # Errors
///
/// The kernel's, and `EOVERFLOW`-like [`io::ErrorKind::InvalidData`] for a list above
/// [`limits::GROUPS`].
pub(super) fn of(socket: &impl AsFd) -> io::Result<Vec<u32>> {
    let mut groups = vec![0; USUAL];
    match read(socket, &mut groups)? {
        Read::All => return Ok(groups),
        Read::Needs(count) if count > limits::GROUPS => return Err(too_many()),
        Read::Needs(count) => groups.resize(count, 0),
    }
    // The list is fixed at connect: what it needs does not change between the calls.
    match read(socket, &mut groups)? {
        Read::All => Ok(groups),
        Read::Needs(_) => Err(too_many()),
    }
}

enum Read {
    All,
    Needs(usize),
}

/// Fills `groups` and cuts it to what the kernel wrote.
fn read(socket: &impl AsFd, groups: &mut Vec<u32>) -> io::Result<Read> {
    let bytes = size_of_val(groups.as_slice());
    let mut length = libc::socklen_t::try_from(bytes).map_err(|_| too_many())?;
    // SAFETY: the descriptor is open for the whole call, since it is borrowed. The kernel
    // writes at most `length` bytes to the buffer, which has as many, is initialized, and
    // is aligned for gid_t, which is u32 on Linux; any bits are a valid u32. `length`
    // outlives the call.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let error = io::Error::last_os_error();
    let count = usize::try_from(length).map_err(|_| too_many())? / size_of::<libc::gid_t>();
    if outcome == 0 {
        groups.truncate(count);
        return Ok(Read::All);
    }
    match error.raw_os_error() {
        Some(libc::ERANGE) => Ok(Read::Needs(count)),
        _ => Err(error),
    }
}

fn too_many() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "more groups than a process can have")
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_groups_of_a_peer_are_those_of_its_process() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let held = rustix::process::getgroups().unwrap();
        let mut expected = held.into_iter().map(|gid| gid.as_raw()).collect::<Vec<_>>();
        let mut got = of(&ours).unwrap();
        expected.sort_unstable();
        got.sort_unstable();
        assert_eq!(got, expected);
    }

    #[test]
    fn a_descriptor_that_is_no_socket_has_no_groups() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(of(&file).unwrap_err().raw_os_error(), Some(libc::ENOTSOCK));
    }

    #[test]
    fn a_list_longer_than_the_buffer_says_what_it_needs() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let held = rustix::process::getgroups().unwrap().len();
        let mut none = Vec::new();
        match read(&ours, &mut none).unwrap() {
            Read::Needs(count) => assert_eq!(count, held),
            Read::All => assert_eq!(held, 0),
        }
    }
}
