//! The options that every verb takes.

use std::path::PathBuf;

use clap::Args;
use clap::ValueEnum;

use crate::find::Wish;

/// What every verb takes.
#[derive(Args, Debug, Default, PartialEq)]
#[command(next_help_heading = "Options of every verb")]
pub(crate) struct Global {
    /// Print JSON, errors too.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Ask the daemon of this user's session.
    #[arg(long, global = true, conflicts_with_all = ["system", "socket"])]
    user: bool,
    /// Ask the daemon of the host.
    #[arg(long, global = true, conflicts_with = "socket")]
    system: bool,
    /// Ask the daemon on this socket.
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// When to colour: auto, always or never.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub(crate) color: When,
    /// Print no confirmations, not even as JSON.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

impl Global {
    /// Which daemon is wished for.
    pub(crate) fn wish(&self) -> Wish {
        match &self.socket {
            Some(path) => Wish::Socket(path.clone()),
            None if self.user => Wish::User,
            None if self.system => Wish::System,
            None => Wish::Any,
        }
    }
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}
