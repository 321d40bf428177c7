//! The paths of Kasa Monitor that are served here.

use crate::call::Call;
use crate::operation::Operation;
use crate::service::kasa_monitor::wire::Denial;

/// One of them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Page {
    Login,
    Refresh,
    Logout,
    Me,
    SetupRequired,
    Sessions,
    EndSession,
    EndSessions,
}

impl Page {
    /// The page that `call` asks for; without `sessions` some are not there.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(super) fn of(call: &Call, sessions: bool) -> Result<Self, Denial> {
        if let Some((method, page)) = Self::at(&call.path, sessions) {
            return if call.method == method { Ok(page) } else { Err(Denial::Method) };
        }
        let bare = call.path.strip_suffix('/').and_then(|path| Self::at(path, sessions));
        Err(if bare.is_some() { Denial::Slash } else { Denial::NotFound })
    }

    /// What a request for it asks for.
    pub(super) const fn operation(self) -> Operation {
        match self {
            Self::Login => Operation::SignIn,
            Self::Refresh => Operation::Refresh,
            Self::Logout => Operation::SignOut,
            Self::Me => Operation::Probe,
            Self::SetupRequired => Operation::SetupRequired,
            Self::Sessions => Operation::Sessions,
            Self::EndSession => Operation::EndSession,
            Self::EndSessions => Operation::EndSessions,
        }
    }

    fn at(path: &str, sessions: bool) -> Option<(&'static str, Self)> {
        let segments = path.strip_prefix("api/auth/")?.split('/').collect::<Vec<_>>();
        match segments.as_slice() {
            ["login"] => Some(("POST", Self::Login)),
            ["refresh"] => Some(("POST", Self::Refresh)),
            ["logout"] => Some(("POST", Self::Logout)),
            ["me"] => Some(("GET", Self::Me)),
            ["setup-required"] => Some(("GET", Self::SetupRequired)),
            ["sessions"] if sessions => Some(("GET", Self::Sessions)),
            ["sessions", "logout-all"] if sessions => Some(("POST", Self::EndSessions)),
            ["sessions", id] if sessions && !id.is_empty() => Some(("DELETE", Self::EndSession)),
            _ => None,
        }
    }
}
