//! What an account remembers: where it is, and what led there.

use std::sync::Arc;
use std::time::Duration;

use super::words::Ticket;
use crate::error::RefreshError;
use crate::notice::Reason;
use crate::record::Failure;
use crate::record::Lineage;
use crate::record::Stake;
use crate::time::Moment;
use crate::time::Now;
use crate::token::AwsGrant;
use crate::token::Grant;
use crate::token::Secret;

/// Where an account is. Each state carries only what it needs.
pub(super) enum State {
    /// There is no credential.
    Vacant,
    /// The tokens are good until a refresh is due.
    Fresh { due: Moment },
    /// An attempt waits for its turn.
    Queued(Attempt),
    /// An attempt is under way.
    Exchanging(Attempt, Step),
    /// What it brought is being made durable.
    Saving(Attempt, Box<Catch>),
    /// The login is being ended at the provider.
    Leaving(Ticket, Leaving),
    /// A spent refresh token's reply was lost. `next` is the planned replay.
    InDoubt { next: Moment },
    /// The last attempt failed; the next one is at `until`.
    Waiting { until: Moment },
    /// The refresh token was refused; the next confirmation is at `until`.
    Suspect { until: Moment },
    /// A person has to log in.
    NeedsLogin,
    /// Paused, or misconfigured and probed at `until`.
    Frozen { until: Option<Moment> },
}

/// How far a logout is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Leaving {
    /// Its secrets are fetched and its intent is being made durable.
    Intending,
    /// The provider is asked.
    Asked,
}

/// One attempt at the provider.
#[derive(Clone, Copy)]
pub(super) struct Attempt {
    pub(super) ticket: Ticket,
    pub(super) reason: Reason,
    /// What it works with.
    pub(super) stake: Stake,
}

/// When the first byte of a request went out. A type of its own, since what is decided
/// about an answer needs the present, too, and the two must not be mixed up.
#[derive(Clone, Copy)]
pub(super) struct Sent(pub(super) Now);

/// How far an attempt is.
pub(super) enum Step {
    /// Its secrets are fetched and its intent is being made durable.
    Intending,
    /// The request is out, since then.
    Sent(Sent),
    /// It failed, and that is being made durable. The account comes to rest at `then`, and
    /// `failure` is told.
    Noting { then: Box<State>, failure: Arc<Failure> },
}

/// What an attempt brought.
pub(super) struct Catch {
    pub(super) what: Brought,
    /// From when its lifetime counts.
    pub(super) sent: Sent,
    /// How often it could not be saved.
    pub(super) refused: u32,
    /// When saving is tried again; `None` while it is being tried.
    pub(super) retry: Option<Moment>,
}

#[derive(Clone)]
pub(super) enum Brought {
    Tokens(Arc<Grant>),
    /// A new refresh token out of a broken reply.
    RefreshToken(Secret, RefreshError),
    /// What an earlier process could not save, and what the account has lived by since.
    Inherited,
}

/// A series of failed attempts.
#[derive(Clone, Copy, Default)]
pub(super) struct Series {
    /// Attempts begun in it.
    pub(super) attempts: u32,
    /// When the first of them failed.
    pub(super) since: Option<Moment>,
    /// When the refresh token was first refused in it.
    pub(super) refused_since: Option<Moment>,
    /// The last pause.
    pub(super) pause: Duration,
    /// Throttled answers in a row.
    pub(super) throttles: u32,
    /// Whether the last attempt was a sign-in.
    pub(super) sign_in_failed: bool,
    /// What the provider asked us to stay away until.
    pub(super) not_before: Option<Moment>,
}

/// A credential that was handed in. One exchange proves it, and it takes the place of the
/// account's own; until then that is untouched.
pub(super) struct Candidate {
    /// Where it may be sent.
    pub(super) lineage: Lineage,
    /// The write that stages it, while that is under way.
    pub(super) staging: Option<Ticket>,
    /// What is to become of [`Standing::taken_over`](crate::record::Standing::taken_over).
    pub(super) mark: Option<Box<str>>,
    /// AWS credentials that came with it, and when the request that brought them was sent.
    pub(super) aws: Option<(AwsGrant, Now)>,
    /// Whether it was found where another program logs in by itself.
    pub(super) found: bool,
    /// Who cares whether it works.
    pub(super) proof: Proof,
    /// A spend of it whose reply was lost.
    pub(super) doubt: Option<Doubt>,
    /// What it takes the place of, until it is staged.
    pub(super) replaces: Option<Box<Self>>,
}

impl Candidate {
    /// One that the store had staged before this process began.
    pub(super) const fn left_over(lineage: Lineage, mark: Option<Box<str>>) -> Self {
        Self {
            lineage,
            staging: None,
            mark,
            aws: None,
            found: false,
            proof: Proof::LeftOver,
            doubt: None,
            replaces: None,
        }
    }
}

/// Who cares whether a credential works that was handed in.
pub(super) enum Proof {
    /// Whoever handed it in, and waits.
    Awaited,
    /// Nobody any more: an earlier process left it behind.
    LeftOver,
    /// Everybody: it works, and the account lives by what it brought, which the disk did not take.
    Unsaved {
        /// How often in a row it was refused since.
        refusals: u8,
    },
}

/// A spend whose reply was lost.
#[derive(Clone, Copy)]
pub(super) struct Doubt {
    /// When it was sent; the wall clock knows it too, since the host may have been booted since.
    pub(super) sent: Now,
    /// From when its grace counts: from the first send, or from a replay that came after the grace
    /// of that. Where the provider had not seen the earlier ones, that is the one that it took.
    pub(super) grace_from: Moment,
    /// When the last request was sent whose reply was lost: it may be the one that was taken, too.
    pub(super) last: Moment,
    /// Replays begun; [`NO_MORE`](crate::schedule::NO_MORE) once the last one of the plan was.
    pub(super) replays: u32,
    /// Whether the grace is known to be over, or nothing can be said of it.
    pub(super) late: bool,
}

/// How the account's own credential stood when something else was given the turn: one that was
/// handed in, or a logout. If nothing comes of that, it goes on from here.
pub(super) struct Aside {
    pub(super) rest: State,
    pub(super) series: Series,
}

/// What was said once and is not said again.
#[derive(Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) alarm: bool,
    pub(super) expiry: bool,
}
