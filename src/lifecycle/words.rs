//! The words between an account and the loop that owns it: what it hears, and what it
//! wants done.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use crate::error::RefreshError;
use crate::name::AccountId;
use crate::notice::Event;
use crate::plan::Plan;
use crate::provider::Outcome;
use crate::record::Lineage;
use crate::record::Record;
use crate::record::Stake;
use crate::record::StoreError;
use crate::record::Write;
use crate::snapshot::Refusal;
use crate::time::Moment;
use crate::time::Now;
use crate::token::AwsGrant;
use crate::token::Generation;
use crate::token::Kind;
use crate::token::Secret;

/// What an account begins with.
pub struct Beginning {
    /// Its name.
    pub id: AccountId,
    /// What its life goes by.
    pub plan: Arc<Plan>,
    /// Where the configuration sends its credential.
    pub lineage: Lineage,
    /// What the store holds of it.
    pub record: Option<Record>,
}

/// Names one piece of work; an answer to an older one is void.
// They count from 1, so that an `Option` of one takes no more room.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub(super) NonZero<u64>);

impl Ticket {
    /// The one of that number.
    pub const fn new(number: NonZero<u64>) -> Self {
        Self(number)
    }
}

/// What an account hears.
pub enum Input {
    /// The time of [`Account::wake_at`](super::Account::wake_at) has come.
    Woken,
    /// The queued attempt may begin.
    Admitted(Ticket),
    /// The queued attempt may not begin before `until`.
    Barred {
        /// Which attempt.
        ticket: Ticket,
        /// When to queue again.
        until: Moment,
        /// Why.
        why: Bar,
    },
    /// Secrets and refresh token are at hand; `Ok(true)` if the intent is durable.
    Intended(Ticket, Result<bool, RefreshError>),
    /// The exchange ended.
    Exchanged(Ticket, Outcome),
    /// The provider was asked to end the login.
    Revoked(Ticket, Revocation),
    /// A [`Command::Write`] ended; with the generation where it made one.
    Written(Ticket, Result<Option<Generation>, StoreError>),
    /// Somebody ordered something.
    Ordered(Action),
    /// The configuration changed.
    Reconfigured(Arc<Plan>, Lineage),
    /// The wall clock was set, or the host slept.
    ClockStepped,
}

/// Why a queued attempt may not begin yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bar {
    /// The provider's host fails for other accounts too.
    OthersFail,
    /// There were as many logins at the provider's host as a minute allows.
    Logins,
}

impl Bar {
    /// Why, for people.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::OthersFail => "other accounts at this provider fail too, so this one waits",
            Self::Logins => {
                "there were as many logins at this provider as a minute allows, so this one waits"
            }
        }
    }
}

/// What can be ordered of an account. Each is answered with [`Command::Answer`], at once or
/// after [`Command::AnswerLater`], unless it changes nothing.
pub enum Action {
    /// Somebody waits for a token of that kind that is not there: begin a refresh, if that is
    /// sensible.
    Demand(Kind),
    /// Refresh now, if the budget allows.
    Refresh,
    /// The token of this generation was rejected by the provider's API.
    Report {
        /// Its generation.
        generation: Generation,
        /// Whether that was noticed on a stream.
        stream: bool,
    },
    /// Take over a credential, after one exchange has proven it. Answered when that is over.
    Import(Box<Credential>),
    /// Spend nothing until [`Resume`](Self::Resume).
    Pause,
    /// End a pause.
    Resume,
    /// Spend nothing any more, since the refresh token is to be handed out. Answered when that
    /// is durable.
    Release,
    /// Leave a resting state and try now.
    Retry,
    /// Forget the credential.
    Clear,
    /// End the login at the provider, and then forget it. Answered when that is over.
    Logout,
    /// One of the account's secrets changed.
    SecretChanged,
}

/// What an operator hands in, or a login brought.
pub struct Credential {
    /// The refresh token.
    pub refresh_token: Secret,
    /// AWS credentials that came with it, and when the request that brought them was sent.
    pub aws: Option<(AwsGrant, Now)>,
    /// Whether it was found in a file where a program other than this daemon logs in by itself.
    pub found: bool,
}

impl From<Secret> for Box<Credential> {
    fn from(refresh_token: Secret) -> Self {
        Self::new(Credential { refresh_token, aws: None, found: false })
    }
}

/// What came of asking a provider to end a login.
pub enum Revocation {
    /// It is ended.
    Ended,
    /// The provider has no way to do that, and was not asked.
    Impossible,
    /// It was asked, or could not be, and the login may go on.
    Failed(RefreshError),
}

/// What an account wants done.
pub enum Command {
    /// Queue an attempt.
    Queue {
        /// Which.
        ticket: Ticket,
        /// What it works with.
        stake: Stake,
        /// How it compares with others.
        urgency: Urgency,
        /// What can be lost by it.
        risk: Risk,
    },
    /// Forget the queued attempt.
    Unqueue,
    /// Fetch the secrets, make the intent durable, and keep what it hands out for the exchange.
    Intend {
        /// Which attempt.
        ticket: Ticket,
        /// What it works with.
        stake: Stake,
        /// A [`Write::Intent`].
        write: Write,
    },
    /// Make the exchange.
    Exchange {
        /// Which attempt.
        ticket: Ticket,
        /// What it works with.
        stake: Stake,
        /// How long it may take in all.
        timeout: Duration,
    },
    /// Have the login ended at the provider.
    Revoke {
        /// Which logout.
        ticket: Ticket,
        /// How long it may take in all.
        timeout: Duration,
    },
    /// Make this durable.
    Write {
        /// Which piece of work.
        ticket: Ticket,
        /// What.
        write: Write,
    },
    /// Show the account's new state to its readers.
    Publish,
    /// Tell everyone who follows.
    Tell(Event),
    /// Answer the order that this input was.
    Answer(Result<Done, Refusal>),
    /// The order that this input was is answered later, under this ticket.
    AnswerLater(Ticket),
    /// Answer the order that was put off under this ticket.
    AnswerTo(Ticket, Result<Done, Refusal>),
}

/// Whether the provider's endpoint is known, or has to be discovered before an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Discovery {
    /// It is known.
    Done,
    /// It is not, or what was known of it does not hold any more.
    ToDo,
}

/// What came of an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Done {
    /// A refresh is under way; the account is at this generation until it ends.
    Joined(Generation),
    /// It is done; the account is at this generation.
    Changed(Generation),
    /// Nothing had to be done: the account is at this generation.
    Current(Generation),
}

/// How an attempt compares with others: lower goes first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Urgency {
    /// What it is.
    pub rank: Rank,
    /// By when it should be done.
    pub deadline: Moment,
}

/// What an attempt is, most urgent first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Rank {
    /// The replay of a spend in doubt, inside its grace.
    InDoubt,
    /// Somebody waits and has no token.
    Wanted,
    /// Everything else, by expiry.
    Planned,
}

/// What can be lost by an attempt.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Risk {
    /// Nothing.
    None,
    /// A lost reply can be replayed.
    Replayable,
    /// A lost reply may cost the account.
    Account,
}
