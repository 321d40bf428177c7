//! The arguments of the verbs that are about a token: `get`, `wait` and `report`.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;
use clap::ValueEnum;
use tokenkeeper::name::AccountId;

use super::value::account;
use super::value::number;
use super::value::span;
use super::value::wait;

/// `get`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct GetArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// Which token, access or id; without it, the one that the provider's API takes.
    #[arg(long, hide_possible_values = true)]
    pub(crate) kind: Option<TokenKind>,
    /// Have it refreshed first if it is good for less than this.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) min_ttl: Option<Duration>,
    /// Wait at most this long for a refresh, but not for the retry of a failed one, whose error
    /// comes at once; up to 60s [default: 20s].
    #[arg(long, value_name = "SPAN", value_parser = wait)]
    pub(crate) wait: Option<Duration>,
    /// The bare token (raw), all about it (json), a header as "curl -H" takes it (header), or AWS
    /// credentials as "credential_process" takes them (aws) [default: raw, with --json: json].
    #[arg(long, conflicts_with = "header", hide_possible_values = true)]
    pub(crate) format: Option<TokenFormat>,
    /// The same as --format header.
    #[arg(long)]
    pub(crate) header: bool,
}

impl GetArgs {
    /// Without any option.
    pub(super) const fn plain(account: AccountId) -> Self {
        Self { account, kind: None, min_ttl: None, wait: None, format: None, header: false }
    }
}

/// Which token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum TokenKind {
    /// The access token.
    Access,
    /// The ID token.
    Id,
}

impl TokenKind {
    /// The word on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Id => "id",
        }
    }
}

/// How to print a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum TokenFormat {
    /// The token alone.
    Raw,
    /// Everything that belongs to it.
    Json,
    /// A header.
    Header,
    /// AWS credentials, which are JSON.
    Aws,
}

/// `wait`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct WaitArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// A token counts if it is good for at least this.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) min_ttl: Option<Duration>,
    /// Give up after this.
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "60s")]
    pub(crate) timeout: Duration,
}

/// `report`.
#[derive(Args, Debug, PartialEq)]
pub(crate) struct ReportArgs {
    /// The account.
    #[arg(value_parser = account)]
    pub(crate) account: AccountId,
    /// The rejected token's generation, as "get --json" shows it.
    #[arg(long, value_name = "N", value_parser = number::<u64>, conflicts_with = "token_stdin")]
    pub(crate) generation: Option<u64>,
    /// Read the rejected token from the standard input; only its hash is sent.
    #[arg(long)]
    pub(crate) token_stdin: bool,
    /// It was rejected on a long-lived stream, not on a request.
    #[arg(long)]
    pub(crate) stream: bool,
    /// A token, which is refused in words.
    #[arg(hide = true)]
    pub(crate) literal: Option<OsString>,
}
