//! The sessions that the wiki tells of: a view of the logins. The real server has none.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::call::Call;
use crate::clock::Moment;
use crate::service::kasa_monitor::wire;
use crate::vault::Login;
use crate::vault::Vault;

/// How long a session lasts after its last use, by the wiki.
const INACTIVITY: Duration = Duration::from_secs(30 * 60);
/// Sessions that one user may have, by the wiki.
const MOST_SESSIONS: usize = 3;
/// Longest `User-Agent` that a session repeats, in characters.
const LONGEST_AGENT: usize = 200;

/// What is known of sessions beside their logins.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// The `User-Agent` of each login.
    agents: BTreeMap<u32, String>,
}

impl Sessions {
    /// Notes a login by `call`, which ends the oldest one if there are too many, and answers with
    /// what its reply says about it.
    pub(super) fn begin(&mut self, family: u32, call: &Call, vault: &mut Vault) -> Option<Value> {
        while open_sessions(vault).count() > MOST_SESSIONS {
            let oldest = open_sessions(vault).next().map(|(family, _)| family);
            oldest.into_iter().for_each(|family| vault.end(family));
        }
        let agent = call.user_agent.as_deref().unwrap_or_default();
        self.agents.insert(family, agent.chars().take(LONGEST_AGENT).collect());
        self.agents.retain(|family, _| vault.login(*family).is_some());
        let login = vault.login(family)?;
        Some(json!({
            "session_id": session_id(family),
            "created_at": zulu(login.began),
            "expires_at": zulu(login.latest.after(INACTIVITY)),
        }))
    }

    /// The list, as the login `current` sees it.
    pub(super) fn list(&self, vault: &Vault, current: u32) -> Value {
        let sessions = open_sessions(vault).map(|(family, login)| {
            json!({
                "session_id": session_id(family),
                "ip_address": "127.0.0.1",
                "user_agent": self.agents.get(&family).map_or("", String::as_str),
                "created_at": zulu(login.began),
                "last_activity": zulu(login.latest),
                "expires_at": zulu(login.latest.after(INACTIVITY)),
                "is_current": family == current,
            })
        });
        let sessions = sessions.collect::<Vec<_>>();
        json!({ "total": sessions.len(), "max_allowed": MOST_SESSIONS, "sessions": sessions })
    }
}

/// The logins that have not ended, oldest first.
pub(super) fn open_sessions(vault: &Vault) -> impl Iterator<Item = (u32, &Login)> {
    vault.logins().filter(|(_, login)| login.is_alive())
}

/// The id of a login in the list.
pub(super) fn session_id(family: u32) -> String {
    format!("sess_{family}")
}

fn zulu(moment: Moment) -> String {
    format!("{}Z", wire::naive(moment.unix))
}
