//! Peers that mean harm, or are broken, and what everybody else has meanwhile: their answers.
//!
//! # Reading order
//!
//! 1. `crowd`: peers of another user.
//! 2. `floods`: connections by the thousand, of one user and of two.
//!    `slow`: who writes or reads byte by byte, or not at all, or is gone in the middle.
//!    `garbage`: what is no request, too long, or brings along what nobody asked for.
//!    `scarce`: a process without descriptors.
//!
//! # Invariants
//!
//! * No test asserts how long something takes: it asserts who is served, what the others are
//!   told, and that nothing is left of them.

mod crowd;
mod floods;
mod garbage;
mod scarce;
mod slow;

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use self::crowd::OTHER;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::idp::Idp;

/// A daemon with the account `mail`, which the other user may read as well.
fn serving() -> (Idp, Daemon) {
    let (idp, mut daemon) = (Idp::start(), Daemon::new(&Config::default()));
    provide(&idp, &mut daemon);
    daemon.begin();
    daemon.import("mail", &idp.mint("mail"));
    (idp, daemon)
}

/// Configures a daemon for the account `mail` of a provider.
fn provide(idp: &Idp, daemon: &mut Daemon) {
    idp.put("mail", &json!({}));
    let allow = format!("allow = [\"{OTHER}\"]\nrotation = \"none\"\n");
    daemon.configure(&Config::default().account("mail", &(idp.keys("mail") + &allow)));
    // So that the other user comes as far as the socket.
    fs::set_permissions(daemon.home(), Permissions::from_mode(0o711)).unwrap();
}
