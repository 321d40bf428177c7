//! Peers of another user.

use std::path::PathBuf;
use std::thread;

use rustix::process::Uid;
use tokenkeeper::harden;
use tokenkeeper::limits;

use crate::support::daemon::Daemon;
use crate::support::http::Reply;
use crate::support::http::Request;
use crate::support::skipped;

/// A user that owns nothing, beside the one of the tests.
pub(super) const OTHER: u32 = 65_534;

/// Whether this test may act as another user; says so if not.
pub(super) fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skipped("only root can ask as another user");
    }
    is_root
}

/// Does something as the other user, on a thread of its own. What it connects belongs to that
/// user for good.
pub(super) fn as_other<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let other = Uid::from_raw(OTHER);
            rustix::thread::set_thread_res_uid(other, other, other).unwrap();
            work()
        });
        other.join().unwrap()
    })
}

/// Room for as many connections as a daemon takes.
pub(super) fn raise_limit() {
    let limit = harden::descriptors(limits::FILE_DESCRIPTORS).unwrap();
    assert!(limit >= limits::FILE_DESCRIPTORS, "the tests may have {limit} descriptors, too few");
}

/// Asks once for the token of `mail`, as the other user.
pub(super) fn other_is_served(daemon: &Daemon) {
    let socket: PathBuf = daemon.path("api.sock");
    let reply: Reply =
        as_other(|| Request::get("/v1/accounts/mail/token").on_socket(&socket).unwrap());
    assert_eq!(reply.status, 200, "{}", reply.body);
}
