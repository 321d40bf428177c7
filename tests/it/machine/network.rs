//! A network in which there is nothing but loopback, for qemu and the provider.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use rustix::thread::LinkNameSpaceType;
use rustix::thread::move_into_link_name_space;

use crate::support::process::Process;

/// Raises the loopback of a new network, says so, and keeps the network until it is ended.
const HOLDER: &str = r#""$1" ifconfig lo up && echo up && exec "$1" cat"#;

/// Moves this thread, and all that it starts, into a network of their own. `busybox` knows how to
/// raise a loopback, which not every system has a program for.
pub(super) fn enter_empty(busybox: &Path) {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", HOLDER, "sh"]).arg(busybox);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = Process::start(&mut command);
    assert_eq!(holder.first_line(), "up\n");
    let network = File::open(format!("/proc/{}/ns/net", holder.id())).unwrap();
    let kind = Some(LinkNameSpaceType::Network);
    move_into_link_name_space(network.as_fd(), kind).unwrap();
}
