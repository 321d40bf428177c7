//! Many callers: such that wait for one token, and such that are only there.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use tokenkeeper::harden;
use tokenkeeper::limits;

use super::say;
use super::until_alone;
use crate::host::name;
use crate::stage::trouble::Trouble;
use crate::wire;
use crate::wire::Connection;

/// Asks `number` times for the token of account 0, each on a connection of its own, and is
/// done when the last has it.
pub(super) fn wait(socket: &Path, number: usize) -> Result<(), Trouble> {
    let request = wire::get(&format!("/v1/accounts/{}/token?wait=60", name(0)));
    let mut callers = connect(socket, number)?;
    for caller in &mut callers {
        caller.send(&request)?;
    }
    // Connections are taken in their order: when this one is answered, all others wait.
    Connection::open(socket)?.ask(&wire::get("/v1/whoami"))?;
    say("begun");
    for caller in &mut callers {
        caller.receive()?;
    }
    say("done");
    until_alone()
}

/// Keeps `number` connections that have asked once, one peer that sends nothing, and one that
/// reads nothing. The daemon cuts these two off again and again; they come back.
pub(super) fn stand(socket: &Path, number: usize) -> Result<(), Trouble> {
    let mut idle = connect(socket, number)?;
    let request = wire::token_of(&name(1));
    for connection in &mut idle {
        connection.ask(&request)?;
    }
    let (silent, deaf) = (socket.to_owned(), socket.to_owned());
    let begin = |name: &str, work: Box<dyn FnOnce() + Send>| {
        let begun = thread::Builder::new().name(name.to_owned()).spawn(work);
        begun.map(drop).map_err(Trouble::system("cannot start a thread"))
    };
    begin("silent", Box::new(move || send_nothing(&silent)))?;
    begin("deaf", Box::new(move || read_nothing(&deaf, &request)))?;
    say("begun");
    until_alone()
}

fn connect(socket: &Path, number: usize) -> Result<Vec<Connection>, Trouble> {
    harden::descriptors(limits::FILE_DESCRIPTORS)
        .map_err(Trouble::system("cannot have so many connections"))?;
    (0..number).map(|_| Connection::open(socket)).collect()
}

fn send_nothing(socket: &Path) {
    while let Ok(mut connection) = Connection::open(socket) {
        // The daemon closes it, which reads as no answer.
        let _cut_off = connection.receive();
    }
}

fn read_nothing(socket: &Path, request: &[u8]) {
    while let Ok(mut stream) = UnixStream::connect(socket) {
        let patient = stream.set_write_timeout(Some(Duration::from_secs(60))).is_ok();
        while patient && stream.write_all(request).is_ok() {}
    }
}
