//! Sockets that a service manager opened: the daemon serves them and leaves them alone.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use command_fds::CommandFdExt as _;
use command_fds::FdMapping;
use rustix::process::Signal;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::Request;
use crate::support::http::connect;
use crate::support::http::receive;
use crate::support::process::Process;
use crate::support::process::run;
use crate::support::process::said;

#[test]
fn who_connects_while_no_daemon_runs_is_answered_by_the_next_one() {
    let daemon = Daemon::new(&Config::default());
    let path = daemon.path("passed.sock");
    let socket = UnixListener::bind(&path).unwrap();
    for _life in 0..2 {
        let mut early = connect(&path).unwrap();
        Request::get("/v1/whoami").send(&mut early).unwrap();
        let mut command = activated(&daemon, "api", socket.try_clone().unwrap().into());
        let mut process = Process::start(command.stderr(Stdio::null()));
        assert_eq!(receive(early).unwrap().status, 200);
        assert_eq!(Request::get("/v1/whoami").on_socket(&path).unwrap().status, 200);
        process.signal(Signal::TERM);
        assert!(process.ended().success());
    }
    assert!(path.exists(), "it is not the daemon's to remove");
    assert!(!daemon.path("api.sock").exists(), "none is made beside it");
}

/// The service manager would start it again for every connection that nobody accepts.
#[test]
fn a_daemon_that_cannot_begin_turns_away_who_waits() {
    let daemon = Daemon::new(&Config::default().daemon("log = \"loud\""));
    let path = daemon.path("passed.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let waiting = connect(&path).unwrap();
    let refused = run(&mut activated(&daemon, "api", socket.into()), None);
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    assert!(receive(waiting).unwrap_err().to_string().contains("no reply"));
}

#[test]
fn what_is_no_socket_of_the_api_is_refused_by_its_name() {
    let daemon = Daemon::new(&Config::default());
    let listening = UnixListener::bind(daemon.path("passed.sock")).unwrap();
    let (connected, _other_end) = UnixStream::pair().unwrap();
    #[rustfmt::skip]
    let cases: [(&str, OwnedFd, &str); 2] = [
        ("credentials", listening.into(), "FileDescriptorName=api"),
        ("api",         connected.into(), "ListenStream="),
    ];
    for (name, descriptor, told) in cases {
        let refused: Output = run(&mut activated(&daemon, name, descriptor), None);
        assert_eq!(refused.status.code(), Some(78), "{name}: {}", said(&refused));
        assert!(said(&refused).contains(told), "{name}: {}", said(&refused));
    }
}

/// The command that starts a daemon with one descriptor of that name, as `sd_listen_fds(3)` has it.
fn activated(daemon: &Daemon, name: &str, descriptor: OwnedFd) -> Command {
    let program = daemon.command();
    // Only the shell knows the id of the process that it becomes.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""]);
    command.arg(program.get_program()).args(program.get_args());
    command.env_remove("CREDENTIALS_DIRECTORY");
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", name);
    command.stdin(Stdio::null());
    command.fd_mappings(vec![FdMapping { parent_fd: descriptor, child_fd: 3 }]).unwrap();
    command
}
