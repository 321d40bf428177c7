//! A configuration file in the making.

use std::path::Path;

/// The accounts and sockets of one daemon, as text.
#[derive(Clone, Default)]
pub(crate) struct Config {
    daemon: String,
    tables: String,
    credentials: bool,
}

impl Config {
    /// Lines for the table `[daemon]`, besides socket and state.
    pub(crate) fn daemon(mut self, lines: &str) -> Self {
        self.daemon.push_str(lines);
        self.daemon.push('\n');
        self
    }

    /// A socket for credentials of units.
    pub(crate) const fn credentials(mut self) -> Self {
        self.credentials = true;
        self
    }

    /// An account with these lines.
    pub(crate) fn account(self, name: &str, lines: &str) -> Self {
        self.table(&format!("[accounts.{name}]\n{lines}"))
    }

    /// Any table.
    pub(crate) fn table(mut self, text: &str) -> Self {
        self.tables.push_str(text);
        self.tables.push('\n');
        self
    }

    /// The file for a daemon whose files lie in `home`.
    pub(crate) fn text(&self, home: &Path) -> String {
        let home = home.display();
        let (daemon, tables) = (&self.daemon, &self.tables);
        let credentials = if self.credentials {
            format!("credential_socket = \"{home}/credential.sock\"\n")
        } else {
            String::new()
        };
        format!(
            "[daemon]\nsocket = \"{home}/api.sock\"\nstate = \"{home}/state/state.db\"\n\
             {credentials}{daemon}\n{tables}"
        )
    }
}
