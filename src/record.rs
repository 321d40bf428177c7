//! What the store keeps of an account, and what it is asked to write.
//!
//! These are the words between the decisions and the store; how they become rows and
//! seals is the `store` module's business. The order in which the writes of one refresh
//! come ([`Write::Intent`] before anything is sent, [`Write::Commit`] before anything is
//! published, [`Write::Note`] before a failure is raised) is decided by
//! [`lifecycle`](crate::lifecycle).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::error::RefreshError;
use crate::error::code::Code;
use crate::name::AccountId;
use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;
use crate::token::AwsCredentials;
use crate::token::Generation;
use crate::token::Grant;
use crate::token::Secret;
use crate::token::TokenSet;

/// One account as the store holds it, read at start.
pub struct Record {
    /// Whose it is.
    pub account: AccountId,
    /// Where its credential came from; see [`Lineage`].
    pub lineage: Lineage,
    /// Subject (`sub`) of its tokens, once known.
    pub subject: Option<Box<str>>,
    /// The newest saved generation; `None` if there never was one, or it was cleared.
    pub current: Option<Saved>,
    /// Where a refresh token may be sent that an operator handed in and that waits to be proven.
    pub staged: Option<Lineage>,
    /// What that is known by, as [`Standing::taken_over`]; nothing if it cannot be read.
    pub staged_mark: Option<Box<str>>,
    /// The spend of the current refresh token that was not concluded when the last process ended.
    pub intent: Option<Intent>,
    /// The same of the staged one.
    pub staged_intent: Option<Intent>,
    /// When the last attempts began, oldest first, at most ten.
    pub attempts: Vec<Stamp>,
    /// How it stood with the account.
    pub standing: Standing,
    /// Whether `current` is not on disk yet: an earlier process could not write it, and it was
    /// kept elsewhere. [`Write::Settle`] has it written.
    pub unsaved: bool,
}

/// One saved generation. The refresh token stays in the store.
pub struct Saved {
    /// Its number.
    pub generation: Generation,
    /// What may be handed out; `None` if only a refresh token was saved.
    pub tokens: Option<Arc<TokenSet>>,
    /// When the first byte of the request that brought it was sent.
    pub issued: Stamp,
    /// How long its tokens are good, from `issued`.
    pub lifetime: Duration,
    /// AWS credentials that came with it, or with an earlier one.
    pub aws: Option<SavedAws>,
    /// Whether it has a refresh token.
    pub refreshable: bool,
}

/// AWS credentials that were saved.
pub struct SavedAws {
    /// What may be handed out.
    pub credentials: Arc<AwsCredentials>,
    /// When the first byte of the request that brought them was sent.
    pub issued: Stamp,
    /// How long they are good, from `issued`.
    pub lifetime: Duration,
}

/// A moment in the past that survived in the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    /// Wall-clock time then.
    pub wall: Timestamp,
    /// The moment itself; `None` if the host was booted since.
    pub boot: Option<Moment>,
}

/// A spend that was announced and not concluded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Intent {
    /// The newest generation then.
    pub generation: Generation,
    /// When it was made durable, just before sending; of replays, when the first send was.
    pub at: Stamp,
}

/// A fingerprint of issuer, endpoint, client and user: a token is never sent to a place
/// that it did not come from, so a configuration with another lineage needs a login.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lineage(pub Arc<str>);

/// How it stands with an account apart from its tokens.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Standing {
    /// What the provider last said of the credential.
    pub condition: Condition,
    /// Whether somebody holds it back.
    #[serde(flatten)]
    pub hold: Hold,
    /// The failure that is raised.
    pub failure: Option<Box<Failure>>,
    /// The refresh token that was taken over last, by its [`mark`](Secret::mark). It is
    /// spent: handed in once more, it is refused without being sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_over: Option<Box<str>>,
    /// The last login of somebody else that was found where a program keeps the account's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<Box<Foreign>>,
    /// Whether the last sign-in still has to prove itself by a refresh: until then there is
    /// no other, so that a server which refuses what it issues is not logged in to for ever.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signed_in: bool,
    /// Whether somebody had the credential forgotten, and no other has come since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forgotten: bool,
    /// When the login itself ends, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Box<LoginEnd>>,
}

/// Whether an account is held back, and by what.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "Flags", into = "Flags")]
pub enum Hold {
    /// It is not.
    #[default]
    None,
    /// An operator paused it.
    Paused,
    /// Its refresh token was handed out, so that somebody else owns it.
    Released,
}

/// [`Hold`], as it is written. What is released is written as paused too, for readers who know of
/// nothing else that holds an account back.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Flags {
    /// Whether anything holds it back.
    pub paused: bool,
    /// Whether that is a release.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
}

impl From<Flags> for Hold {
    fn from(flags: Flags) -> Self {
        match flags {
            Flags { released: true, .. } => Self::Released,
            Flags { paused: true, released: false } => Self::Paused,
            Flags { paused: false, released: false } => Self::None,
        }
    }
}

impl From<Hold> for Flags {
    fn from(hold: Hold) -> Self {
        Self { paused: hold != Hold::None, released: hold == Hold::Released }
    }
}

/// A login of somebody else. One exchange has shown that, and is not made a second time.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Foreign {
    /// Its refresh token, as [`Standing::taken_over`] knows one.
    pub mark: Box<str>,
    /// When it was tried, in Unix milliseconds.
    pub at_ms: i64,
}

/// When a login ends: its refresh token is good no longer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LoginEnd {
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// How long it was good when it was new, in milliseconds.
    pub whole_ms: u64,
    /// The last rung of the ladder that was told, in milliseconds before the end.
    pub told_ms: Option<u64>,
}

/// What the provider last said of the credential.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing bad that would outlast a restart.
    #[default]
    Sound,
    /// Refused; this many confirmations were tried.
    Suspect {
        /// Confirmations tried, 0 to 3.
        probes: u8,
    },
    /// Refused, and a sign-in with stored secrets is to take its place.
    SigningIn,
    /// Refused for good: a person has to log in.
    NeedsLogin,
}

/// A failure that is raised: reported to everyone concerned until it is over.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Failure {
    /// What went wrong in the newest attempt.
    pub error: RefreshError,
    /// When the first attempt of this series failed, in Unix milliseconds.
    pub since_ms: i64,
    /// Number of the newest attempt in this series, from 1.
    pub attempt: u32,
    /// What the next attempt must not come before, in Unix milliseconds: `Retry-After`.
    pub not_before_ms: Option<i64>,
    /// The code by which everyone tells it, where how the account stands says more than the
    /// error does. It follows from that, so the store keeps none.
    #[serde(skip)]
    pub told_as: Option<Code>,
}

impl Failure {
    /// The one code by which log, events, bus, metrics and answers tell it.
    pub fn code(&self) -> Code {
        self.told_as.unwrap_or_else(|| self.error.code())
    }
}

/// One thing to make durable. Each is atomic.
pub enum Write {
    /// An attempt begins. Makes it known, with `attempts`, and hands out the refresh
    /// token for this one exchange ([`Written::Leased`]).
    Intent {
        /// Whose.
        account: AccountId,
        /// What it works with.
        stake: Stake,
        /// Whether it spends again what an earlier attempt may have spent, which keeps the time of
        /// that: a grace counts from the first send. An intent that is no replay takes the place
        /// of one that was left behind.
        replays: bool,
        /// Whether a lost reply could cost the account, so that the attempt must be
        /// known after a crash. Where it could not, a store that cannot be written
        /// still hands out the refresh token, with `durable: false`.
        spends: bool,
        /// When.
        now: Now,
        /// When the last attempts began, this one included, oldest first.
        attempts: Vec<Moment>,
    },
    /// An exchange succeeded. Saves the generation after the current one, ends the
    /// intent, keeps the previous generation ([`Written::Committed`]).
    Commit {
        /// Whose.
        account: AccountId,
        /// What the provider granted.
        grant: Arc<Grant>,
        /// When the first byte of the request was sent.
        issued: Now,
        /// When this is written.
        now: Now,
        /// Where it came from.
        lineage: Lineage,
        /// What it worked with: a grant without a refresh token keeps that one.
        stake: Stake,
        /// The standing from now on.
        standing: Standing,
    },
    /// An exchange brought a new refresh token and nothing else that is usable. Saves
    /// it as the next generation, the tokens of the current one with it.
    Salvage {
        /// Whose.
        account: AccountId,
        /// The refresh token found in the remains of the reply.
        refresh_token: Secret,
        /// When this is written.
        now: Now,
        /// Where it came from.
        lineage: Lineage,
        /// What it worked with.
        stake: Stake,
        /// The standing from now on.
        standing: Standing,
    },
    /// How it stands with the account changed.
    Note {
        /// Whose.
        account: AccountId,
        /// The standing from now on.
        standing: Standing,
        /// Whether the intent on the current credential is over: nothing was sent, or it was
        /// surely not rotated.
        ends_intent: bool,
    },
    /// An operator hands in a refresh token. It waits, beside the current credential,
    /// until one exchange has proven it. Replaces an earlier one that still waits.
    Stage {
        /// Whose.
        account: AccountId,
        /// Where it may be sent.
        lineage: Lineage,
        /// The refresh token.
        refresh_token: Secret,
    },
    /// The staged credential is no good: forget it, and the intent on it.
    Unstage {
        /// Whose.
        account: AccountId,
    },
    /// The credential is to be forgotten; the account stays, and so does its generation count.
    Clear {
        /// Whose.
        account: AccountId,
    },
    /// A grant that must not become this account's: kept aside for the operator.
    Orphan {
        /// Whose exchange brought it.
        account: AccountId,
        /// What it brought.
        grant: Arc<Grant>,
        /// When.
        now: Now,
    },
    /// Saves what an earlier process could not ([`Written::Committed`]).
    Settle {
        /// Whose.
        account: AccountId,
    },
}

impl Write {
    /// An intent is announced at `at`: what the attempt waited for until then counts neither against
    /// the grace of what it spends nor against what the account may ask of its provider.
    pub fn begin_at(&mut self, at: Now) {
        if let Self::Intent { now, attempts, .. } = self {
            for begun in attempts.iter_mut().filter(|begun| **begun >= now.boot) {
                *begun = at.boot;
            }
            *now = at;
        }
    }
}

/// What an attempt works with.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stake {
    /// The refresh token that the account lives by, or what stands in for one (client credentials).
    Current,
    /// The refresh token that an operator handed in and that waits to be proven.
    Staged,
    /// Stored secrets: a sign-in, by which no refresh token is spent.
    SignIn,
}

/// What came of a [`Write`].
pub enum Written {
    /// The refresh token for one exchange, after [`Write::Intent`].
    Leased(Lease),
    /// After [`Write::Commit`], [`Write::Salvage`] and [`Write::Settle`]: the generation's number.
    Committed(Generation),
    /// After every other.
    Done,
}

/// A refresh token, handed out for one exchange.
pub struct Lease {
    /// Which generation it belongs to.
    pub generation: Generation,
    /// The token; `None` where the account has none (client credentials).
    pub refresh_token: Option<Secret>,
    /// Whether the intent is on disk.
    pub durable: bool,
}

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// No space or no quota left.
    #[error("no space left for the store")]
    Full,
    /// The disk, or the file, cannot be written.
    #[error("the store is read-only")]
    ReadOnly,
    /// The disk failed.
    #[error("the store's disk failed: {0}")]
    Io(String),
    /// What is there cannot be trusted.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The credential that the write speaks of is not there.
    #[error("the store holds no such credential")]
    Missing,
    /// Another process has claimed the store since: this one must spend nothing more.
    #[error("another process has taken over the store")]
    Superseded,
    /// Another process has the files of the store open.
    #[error("another process has the store open")]
    Held,
    /// The store has ended.
    #[error("the store is closed")]
    Closed,
    /// A refresh token that the provider has just replaced another by is not on disk.
    #[error("{why}; its refresh token {refuge}")]
    Unsaved {
        /// Why not.
        why: Box<Self>,
        /// Where it is until then.
        refuge: Refuge,
    },
}

/// Where a refresh token is that the disk did not take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refuge {
    /// In this process alone.
    Memory,
    /// In the service manager's descriptor store, too.
    ServiceManager,
}

impl fmt::Display for Refuge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "is only in memory, so do not kill the daemon",
            Self::ServiceManager => "is kept by the service manager over restarts",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attempts before it stay where they were.
    #[test]
    fn an_intent_that_had_to_wait_begins_when_it_is_written() {
        let moments = |all: [u64; 3]| all.map(Moment::from_millis).to_vec();
        let at =
            |millis| Now { boot: Moment::from_millis(millis), wall: Timestamp::from_millis(0) };
        let mut write = Write::Intent {
            account: AccountId::parse("mail").unwrap(),
            stake: Stake::Current,
            replays: false,
            spends: true,
            now: at(2_000),
            attempts: moments([1_000, 2_000, 2_000]),
        };
        write.begin_at(at(9_000));
        let Write::Intent { now, attempts, .. } = write else { panic!("no intent") };
        assert_eq!((now.boot, attempts), (at(9_000).boot, moments([1_000, 9_000, 9_000])));
    }

    /// A store that an older daemon wrote is read, and so is by an older daemon what this one
    /// writes.
    #[test]
    fn what_holds_an_account_back_is_written_as_it_always_was() {
        for (hold, written) in [
            (Hold::None, r#"{"condition":"sound","paused":false,"failure":null}"#),
            (Hold::Paused, r#"{"condition":"sound","paused":true,"failure":null}"#),
            (
                Hold::Released,
                r#"{"condition":"sound","paused":true,"released":true,"failure":null}"#,
            ),
        ] {
            let standing = Standing { hold, ..Standing::default() };
            assert_eq!(serde_json::to_string(&standing).unwrap(), written);
            assert_eq!(serde_json::from_str::<Standing>(written).unwrap(), standing);
        }
    }
}
