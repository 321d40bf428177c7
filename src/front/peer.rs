//! Who is at the other end: what the kernel attests, and nothing else.
//!
//! User, group and process are `SO_PEERCRED`, fixed when the peer connected; a connection
//! that is handed to another process keeps the rights of the first. Its unit is looked up
//! when it is needed, by the same process: see `behind`.

use std::fs::File;
use std::io;
use std::io::Read;
use std::os::fd::AsFd;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt;

use crate::access::Peer;
use crate::front::groups;
use crate::unit::Unit;

/// What the kernel shows of an id that has no place in our user namespace.
const OVERFLOW: u32 = 65_534;

/// Whether each id of the host has its own place in our user namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mapping {
    /// Yes: an id is what it says, 65534 (`nobody`) included.
    Whole,
    /// No, or it is not known: 65534 may be anybody.
    Partial,
}

impl Mapping {
    /// The mapping of this process, fixed at its start.
    pub(super) fn of_this_process() -> Self {
        let whole = |path| one_to_one(path).unwrap_or(false);
        if whole("/proc/self/uid_map") && whole("/proc/self/gid_map") {
            Self::Whole
        } else {
            Self::Partial
        }
    }
}

/// Why a peer is turned away unheard.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unknown {
    /// Its user or group is not mapped into our user namespace.
    #[error("its user or group has no id in the daemon's user namespace")]
    Unmapped,
    /// The kernel does not say.
    #[error("the kernel does not name it: {0}")]
    Kernel(#[from] io::Error),
}

/// The process that connected.
///
/// # Errors
///
/// [`Unknown`] if its ids mean nobody, or cannot be had.
pub(super) fn of(socket: &impl AsFd, mapping: Mapping) -> Result<Peer, Unknown> {
    let credentials = getsockopt(socket, sockopt::PeerCredentials).map_err(io::Error::from)?;
    let peer = Peer {
        uid: credentials.uid(),
        gid: credentials.gid(),
        groups: groups::of(socket)?,
        // 0 is a process of another pid namespace.
        pid: u32::try_from(credentials.pid()).ok().filter(|pid| *pid > 0),
        unit: Unit::Unasked,
    };
    known(peer, mapping)
}

fn known(mut peer: Peer, mapping: Mapping) -> Result<Peer, Unknown> {
    if mapping == Mapping::Partial {
        if peer.uid == OVERFLOW || peer.gid == OVERFLOW {
            return Err(Unknown::Unmapped);
        }
        peer.groups.retain(|gid| *gid != OVERFLOW);
    }
    Ok(peer)
}

/// Whether an id map (user_namespaces(7)) maps every id to itself.
fn one_to_one(path: &str) -> io::Result<bool> {
    /// Longest map that is read: the kernel allows 340 lines, and one is looked for.
    const LONGEST: u64 = 4_096;

    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text.split_ascii_whitespace().eq(["0", "0", "4294967295"]))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_peer_is_who_the_kernel_says() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let peer = of(&ours, Mapping::Whole).unwrap();
        assert_eq!(peer.uid, rustix::process::getuid().as_raw());
        assert_eq!(peer.gid, rustix::process::getgid().as_raw());
        assert_eq!(peer.pid, Some(std::process::id()));
        assert_eq!(peer.unit, Unit::Unasked);
    }

    #[test]
    fn the_overflow_id_is_nobody_only_where_every_id_is_mapped() {
        #[rustfmt::skip]
        let cases = [
            // uid     gid       mapping           known
            (1_000,    1_000,    Mapping::Partial, true),
            (OVERFLOW, 1_000,    Mapping::Partial, false),
            (1_000,    OVERFLOW, Mapping::Partial, false),
            (OVERFLOW, OVERFLOW, Mapping::Whole,   true),
        ];
        for (uid, gid, mapping, expected) in cases {
            let peer = Peer { uid, gid, groups: vec![7, OVERFLOW], pid: None, unit: Unit::Unasked };
            let got = known(peer, mapping);
            assert_eq!(got.is_ok(), expected, "{uid} {gid} {mapping:?}");
            if let Ok(peer) = got {
                let kept = peer.groups.contains(&OVERFLOW);
                assert_eq!(kept, mapping == Mapping::Whole, "{uid} {gid} {mapping:?}");
            }
        }
    }
}
