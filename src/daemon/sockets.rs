//! The sockets that are served: those that the service manager handed over, and those that the
//! configuration names.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::path::PathBuf;

use tracing::warn;

use super::Failure;
use crate::access::Narrowing;
use crate::config::Config;
use crate::front::Listening;
use crate::front::bind::BindError;
use crate::front::bind::SocketFile;
use crate::front::bind::bind;
use crate::limits;
use crate::message::Message;

/// The files of the sockets that this process made. What the service manager handed over is the
/// manager's, and stays.
#[derive(Default)]
pub(super) struct Made(Vec<SocketFile>);

impl Made {
    fn bind(&mut self, path: &Path, mode: u32) -> Result<UnixListener, BindError> {
        let socket = bind(path, mode)?;
        self.0.extend(SocketFile::at(path));
        Ok(socket)
    }
}

/// Removes them, however the daemon ends. No other daemon's are touched.
impl Drop for Made {
    fn drop(&mut self) {
        self.0.iter().for_each(SocketFile::remove);
    }
}

/// The sockets that the service manager handed over, or else the one that the configuration
/// names; and those that narrow, which nobody hands over.
pub(super) fn listening(
    config: &Config,
    passed: Vec<(UnixListener, PathBuf)>,
    made: &mut Made,
) -> Result<Vec<Listening>, Failure> {
    let ordinary = |socket, path: &Path| Listening {
        socket,
        path: path.display().to_string().into(),
        narrowing: None,
    };
    let named = &config.daemon.socket;
    let mut listening = Vec::new();
    for (socket, path) in passed {
        if path != *named {
            warn!(
                event = Message::Doubtful.as_str(),
                "the service manager listens at {}, so the socket {} is not made",
                path.display(),
                named.display()
            );
        }
        listening.push(ordinary(socket, &path));
    }
    if listening.is_empty() {
        listening.push(ordinary(made.bind(named, limits::SOCKET_MODE)?, named));
    }
    for listen in &config.listen {
        listening.push(Listening {
            socket: made.bind(&listen.path, listen.mode)?,
            path: listen.path.display().to_string().into(),
            narrowing: Some(Narrowing { accounts: listen.accounts.clone(), rights: listen.rights }),
        });
    }
    Ok(listening)
}

/// The sockets for credentials that the service manager handed over, or else the one that the
/// configuration names, if it names one.
pub(super) fn for_credentials(
    config: &Config,
    passed: Vec<(UnixListener, PathBuf)>,
    made: &mut Made,
) -> Result<Vec<UnixListener>, Failure> {
    let Some(named) = &config.daemon.credential_socket else {
        return Ok(passed.into_iter().map(|(socket, _)| socket).collect());
    };
    if passed.is_empty() {
        return Ok(vec![made.bind(named, limits::CREDENTIAL_MODE)?]);
    }
    for (_, path) in passed.iter().filter(|(_, path)| path != named) {
        warn!(
            event = Message::Doubtful.as_str(),
            "the service manager listens at {} for credentials, so the socket {} is not made",
            path.display(),
            named.display()
        );
    }
    Ok(passed.into_iter().map(|(socket, _)| socket).collect())
}
