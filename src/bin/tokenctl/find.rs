//! Which socket the daemon is asked on.
//!
//! In this order, and the first that applies decides: `--socket`; `--user` or `--system`;
//! `TOKENKEEPER_SOCKET`; the user's socket if it is there; the system's. What was typed
//! for this one command goes before what the environment says of all of them.
//!
//! Pure: the environment is a value, and whether a socket is there shows when it is
//! connected to, so that nothing is asked twice.

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use tokenkeeper::section::Mode;

/// Where the system's daemon listens.
pub(crate) const SYSTEM_SOCKET: &str = "/run/tokenkeeper/api.sock";

/// Where a user's daemon listens, below `XDG_RUNTIME_DIR`.
const USER_SOCKET: &str = "tokenkeeper/api.sock";

/// What the command line says about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Wish {
    /// Nothing.
    Any,
    /// `--user`.
    User,
    /// `--system`.
    System,
    /// `--socket PATH`.
    Socket(PathBuf),
}

impl Wish {
    /// Whose files are meant where no daemon is asked.
    pub(crate) const fn mode(&self) -> Mode {
        match self {
            Self::User => Mode::User,
            Self::Any | Self::System | Self::Socket(_) => Mode::System,
        }
    }
}

/// What the environment says about it.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// `TOKENKEEPER_SOCKET`; empty counts as not set.
    pub(crate) socket: Option<OsString>,
    /// `XDG_RUNTIME_DIR`, if it is absolute and the caller's own: with another user's
    /// directory left over from `su`, root would hand its secrets to that user.
    pub(crate) runtime_dir: Option<PathBuf>,
}

/// A socket to try.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    /// Its path.
    pub(crate) path: PathBuf,
    /// What led to it.
    pub(crate) origin: Origin,
}

impl Place {
    /// The command that says how the service is that answers there.
    pub(crate) const fn status_command(&self) -> &'static str {
        match self.origin {
            Origin::User => "systemctl --user status tokenkeeper",
            Origin::Option | Origin::Environment | Origin::System => "systemctl status tokenkeeper",
        }
    }
}

/// What led to a [`Place`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// `--socket`.
    Option,
    /// `TOKENKEEPER_SOCKET`.
    Environment,
    /// It is where a user's daemon listens.
    User,
    /// It is where the system's daemon listens.
    System,
}

impl Origin {
    /// How `status` names it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Option => "from --socket",
            Self::Environment => "from TOKENKEEPER_SOCKET",
            Self::User => "the user's daemon",
            Self::System => "the system's daemon",
        }
    }
}

/// There is nowhere to look.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "--user needs XDG_RUNTIME_DIR, and it is not set to a directory of yours; \
     log in through systemd-logind, or say --socket PATH"
)]
pub(crate) struct NoRuntimeDir;

/// The sockets to try, in this order; a later one only if the earlier is not there.
///
/// # Errors
///
/// [`NoRuntimeDir`], for `--user` alone.
pub(crate) fn places(wish: &Wish, surroundings: &Surroundings) -> Result<Vec<Place>, NoRuntimeDir> {
    let user = surroundings.runtime_dir.as_deref().map(user_place);
    let system = Place { path: SYSTEM_SOCKET.into(), origin: Origin::System };
    let named = surroundings.socket.as_ref().filter(|path| !path.is_empty());
    match (wish, named) {
        (Wish::Socket(path), _) => Ok(vec![Place { path: path.clone(), origin: Origin::Option }]),
        (Wish::User, _) => Ok(vec![user.ok_or(NoRuntimeDir)?]),
        (Wish::System, _) => Ok(vec![system]),
        (Wish::Any, Some(path)) => {
            Ok(vec![Place { path: path.into(), origin: Origin::Environment }])
        }
        (Wish::Any, None) => Ok(user.into_iter().chain([system]).collect()),
    }
}

fn user_place(runtime_dir: &Path) -> Place {
    Place { path: runtime_dir.join(USER_SOCKET), origin: Origin::User }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_applies_decides() {
        let option = || Wish::Socket("/s".into());
        #[rustfmt::skip]
        let cases = [
            // name                              wish          environment   runtime dir          places
            ("nothing said, no session",         Wish::Any,    None,         None,                vec![(SYSTEM_SOCKET, Origin::System)]),
            ("nothing said: user, then system",  Wish::Any,    None,         Some("/run/user/7"), vec![("/run/user/7/tokenkeeper/api.sock", Origin::User), (SYSTEM_SOCKET, Origin::System)]),
            ("the environment goes before both", Wish::Any,    Some("/e"),   Some("/run/user/7"), vec![("/e", Origin::Environment)]),
            ("an empty one is none",             Wish::Any,    Some(""),     None,                vec![(SYSTEM_SOCKET, Origin::System)]),
            ("--user alone",                     Wish::User,   None,         Some("/run/user/7"), vec![("/run/user/7/tokenkeeper/api.sock", Origin::User)]),
            ("--user beats the environment",     Wish::User,   Some("/e"),   Some("/run/user/7"), vec![("/run/user/7/tokenkeeper/api.sock", Origin::User)]),
            ("--system without a session",       Wish::System, None,         None,                vec![(SYSTEM_SOCKET, Origin::System)]),
            ("--system skips the user's",        Wish::System, None,         Some("/run/user/7"), vec![(SYSTEM_SOCKET, Origin::System)]),
            ("--system beats the environment",   Wish::System, Some("/e"),   None,                vec![(SYSTEM_SOCKET, Origin::System)]),
            ("--socket alone",                   option(),     None,         None,                vec![("/s", Origin::Option)]),
            ("--socket beats the environment",   option(),     Some("/e"),   None,                vec![("/s", Origin::Option)]),
            ("--socket beats everything",        option(),     Some("/e"),   Some("/run/user/7"), vec![("/s", Origin::Option)]),
        ];
        for (name, wish, socket, runtime_dir, expected) in cases {
            let surroundings = Surroundings {
                socket: socket.map(Into::into),
                runtime_dir: runtime_dir.map(Into::into),
            };
            let got = places(&wish, &surroundings).unwrap();
            let got = got
                .iter()
                .map(|place| (place.path.to_str().unwrap(), place.origin))
                .collect::<Vec<_>>();
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn user_mode_without_a_runtime_directory_is_not_guessed() {
        let surroundings = Surroundings { socket: Some("/e".into()), runtime_dir: None };
        assert_eq!(places(&Wish::User, &surroundings), Err(NoRuntimeDir));
    }
}
