//! One account as its readers see it, and what a request for its token gets.
//!
//! The supervisor publishes a [`Snapshot`] after each change; front ends read it and
//! never wait for the loop. [`Snapshot::answer`] is the table *Demand by state* of the
//! design: total, pure, and evaluated at the moment of answering, so that a token is
//! never handed out at or after its expiry by either clock.

pub mod aid;

use std::sync::Arc;
use std::time::Duration;

use crate::error::RefreshError;
use crate::error::code::Code;
use crate::error::foreign::OauthError;
use crate::plan::Entry;
use crate::record::Failure;
use crate::record::Lineage;
use crate::record::LoginEnd;
use crate::schedule;
use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;
use crate::time::spoken;
use crate::token::AwsCredentials;
use crate::token::Generation;
use crate::token::Kind;
use crate::token::TokenSet;

use self::aid::Aid;

/// What is published of an account.
pub struct Snapshot {
    /// Where it is in its life.
    pub state: StateName,
    /// The newest saved generation; 0 before the first.
    pub generation: Generation,
    /// The newest tokens, expired or not.
    pub held: Option<Held>,
    /// When something happens next by itself: a refresh, a retry, a probe.
    pub next: Option<Moment>,
    /// The failure that is raised.
    pub failure: Option<Arc<Failure>>,
    /// From when on that failure is an alarm. Every failure is seen; what asks for attention is
    /// one that needs a person, expires the token or lasts close to its expiry.
    pub alarm: Option<Moment>,
    /// Whether the held tokens are not on disk yet.
    pub unsaved: bool,
    /// Whether its refresh token was handed out, so that somebody else owns it.
    pub released: bool,
    /// The refresh token that was taken over last, by its [`mark`](crate::token::Secret::mark).
    /// Handed in once more, it is refused, unless the account is released.
    pub taken_over: Option<Box<str>>,
    /// Whether it would sign in again by itself, had not the first refresh after its last
    /// sign-in been refused.
    pub gave_up_signing_in: bool,
    /// Where its credential came from, and may be sent; `None` if there is none.
    pub origin: Option<Lineage>,
    /// How it comes by another one.
    pub entry: Entry,
    /// What few accounts have. The others do not pay for it.
    pub rare: Option<Box<Rare>>,
}

/// What few accounts have at any time.
#[derive(Default, Eq, PartialEq)]
pub struct Rare {
    /// When a program last logged in as somebody else where it keeps the account's token.
    pub foreign: Option<Timestamp>,
    /// When its login ends, as far as that is known.
    pub login_ends: Option<LoginEnd>,
    /// The secret for want of which it has not signed in by itself, as `ACCOUNT.SLOT`; while it
    /// is vacant.
    pub lacks: Option<Box<str>>,
}

impl Rare {
    /// The same where there is anything of it.
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// Tokens with their dates.
#[derive(Clone)]
pub struct Held {
    /// What may be handed out.
    pub tokens: Arc<TokenSet>,
    /// The generation they belong to.
    pub generation: Generation,
    /// When their request was sent.
    pub issued_at: Timestamp,
    /// How long they were good from then.
    pub lifetime: Duration,
    /// Never served at or after this moment.
    pub expires_boot: Moment,
    /// Never served at or after this time.
    pub expires_wall: Timestamp,
    /// AWS credentials, which have dates of their own.
    pub aws: Option<Arc<HeldAws>>,
}

/// AWS credentials with their dates.
pub struct HeldAws {
    /// What may be handed out.
    pub credentials: Arc<AwsCredentials>,
    /// When their request was sent.
    pub issued_at: Timestamp,
    /// How long they were good from then.
    pub lifetime: Duration,
    /// Never served at or after this moment.
    pub expires_boot: Moment,
    /// Never served at or after this time.
    pub expires_wall: Timestamp,
}

impl HeldAws {
    /// What is left by the clock that sees less of it.
    pub fn ttl(&self, now: Now) -> Duration {
        self.expires_boot.since(now.boot).min(self.expires_wall.since(now.wall))
    }
}

impl Held {
    /// What is left by the clock that sees less of it.
    pub fn ttl(&self, now: Now) -> Duration {
        self.expires_boot.since(now.boot).min(self.expires_wall.since(now.wall))
    }

    /// What is left of the token of that kind, and how long it was good when it was new.
    /// `None` if there is no such token.
    fn of_kind(&self, kind: Kind, now: Now) -> Option<(Duration, Duration)> {
        match kind {
            Kind::Access => Some((self.ttl(now), self.lifetime)),
            Kind::Id => self.tokens.id.as_ref().map(|_| (self.ttl(now), self.lifetime)),
            Kind::Aws => self.aws.as_ref().map(|aws| (aws.ttl(now), aws.lifetime)),
        }
    }
}

/// Names of the states of an account, as on the wire.
#[derive(
    Clone, Copy, Debug, serde::Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// There is no credential.
    Vacant,
    /// The tokens are good.
    Fresh,
    /// A refresh waits for its turn.
    Queued,
    /// A refresh is under way.
    Exchanging,
    /// Its result is being made durable.
    Saving,
    /// A spent refresh token's reply was lost; replays are planned.
    InDoubt,
    /// The last attempt failed; the next one has its time.
    Waiting,
    /// The refresh token was refused; to be confirmed.
    Suspect,
    /// A person has to log in.
    NeedsLogin,
    /// Nothing is spent until something changes: paused, or misconfigured.
    Frozen,
}

impl StateName {
    /// Every state.
    pub const ALL: &[Self] = &[
        Self::Vacant,
        Self::Fresh,
        Self::Queued,
        Self::Exchanging,
        Self::Saving,
        Self::InDoubt,
        Self::Waiting,
        Self::Suspect,
        Self::NeedsLogin,
        Self::Frozen,
    ];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vacant => "vacant",
            Self::Fresh => "fresh",
            Self::Queued => "queued",
            Self::Exchanging => "exchanging",
            Self::Saving => "saving",
            Self::InDoubt => "in_doubt",
            Self::Waiting => "waiting",
            Self::Suspect => "suspect",
            Self::NeedsLogin => "needs_login",
            Self::Frozen => "frozen",
        }
    }
}

/// What a request for a token asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Demand {
    /// Which token.
    pub kind: Kind,
    /// How long it must still be good.
    pub min_ttl: Duration,
}

/// What a request gets at this moment.
pub enum Answer<'a> {
    /// The held token satisfies it.
    Token {
        /// The tokens.
        held: &'a Held,
        /// What is left of them.
        ttl: Duration,
    },
    /// A refresh may bring what it needs: join the one flight.
    Join,
    /// It cannot be satisfied now.
    Refuse(Refusal),
}

/// Why a request is not satisfied: what the wire says of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The code.
    pub code: Code,
    /// What happened, for people.
    pub message: String,
    /// When it is tried again.
    pub retry_at: Option<Moment>,
    /// What the provider said.
    pub provider_error: Option<OauthError>,
    /// How the account comes by a credential, where it needs one.
    pub entry: Entry,
    /// What helps besides that.
    pub aid: Option<Aid>,
}

impl Refusal {
    /// A refusal that is not about a provider.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        let entry = Entry::default();
        Self { code, message, retry_at: None, provider_error: None, entry, aid: None }
    }
}

impl Snapshot {
    /// [`Rare::foreign`].
    pub fn foreign(&self) -> Option<Timestamp> {
        self.rare.as_ref()?.foreign
    }

    /// [`Rare::login_ends`].
    pub fn login_ends(&self) -> Option<LoginEnd> {
        self.rare.as_ref()?.login_ends
    }

    /// [`Rare::lacks`].
    pub fn lacks(&self) -> Option<&str> {
        self.rare.as_ref()?.lacks.as_deref()
    }

    /// Whether an operator paused the account. A misconfigured one is frozen too, and looked
    /// at again by itself; so is one that the store cannot read, which no resume mends.
    pub fn is_paused(&self) -> bool {
        self.state == StateName::Frozen && self.next.is_none() && !self.is_unreadable()
    }

    /// Whether the account is held back because of what the store cannot read of it.
    fn is_unreadable(&self) -> bool {
        let error = self.failure.as_ref().map(|failure| &failure.error);
        matches!(error, Some(RefreshError::StoreUnreadable))
    }

    /// Whether the raised failure is an alarm at `now`.
    pub fn is_alarming(&self, now: Now) -> bool {
        self.alarm.is_some_and(|alarm| alarm <= now.boot)
    }

    /// Whether somebody should look after the account: what nobody has to see to is left out.
    pub fn needs_attention(&self, now: Now) -> bool {
        self.state == StateName::Vacant || self.is_unreadable() || self.is_alarming(now)
    }

    /// What `demand` gets from this account at `now`.
    pub fn answer(&self, demand: Demand, now: Now) -> Answer<'_> {
        if let Some(held) = &self.held {
            let Some((ttl, lifetime)) = held.of_kind(demand.kind, now) else {
                return Answer::Refuse(no_such_kind(demand.kind));
            };
            if !ttl.is_zero() && ttl >= demand.min_ttl {
                return Answer::Token { held, ttl };
            }
            let grantable = schedule::usable(lifetime);
            if demand.min_ttl > grantable {
                return Answer::Refuse(too_long(demand, grantable));
            }
        }
        match self.state {
            StateName::Fresh | StateName::Saving | StateName::Queued | StateName::Exchanging => {
                Answer::Join
            }
            StateName::InDoubt
                if self.next.is_some_and(|next| next.since(now.boot) <= LONGEST_WAIT) =>
            {
                Answer::Join
            }
            StateName::Vacant => Answer::Refuse(self.missing()),
            StateName::InDoubt
            | StateName::Waiting
            | StateName::Suspect
            | StateName::NeedsLogin
            | StateName::Frozen => Answer::Refuse(self.refusal()),
        }
    }

    /// Whether an attempt is queued or under way, whatever the last one came to.
    pub const fn is_in_flight(&self) -> bool {
        matches!(self.state, StateName::Queued | StateName::Exchanging | StateName::Saving)
    }

    /// What a vacant account is without, for people.
    pub fn vacancy(&self) -> String {
        let lacks = self
            .lacks()
            .map(|slot| format!(", and does not sign in by itself, since {slot} is not stored"));
        format!("the account has no credential yet{}", lacks.unwrap_or_default())
    }

    /// The slot of the secret for which the last sign-in without a person was refused.
    pub fn refused_secret(&self) -> Option<&str> {
        let error = &self.failure.as_ref()?.error;
        let RefreshError::SecretRefused { slot, .. } = error else { return None };
        Some(slot)
    }

    /// A vacant account's answer.
    fn missing(&self) -> Refusal {
        let aid = self.lacks().map(|slot| Aid::Secret(slot.into()));
        Refusal { entry: self.entry, aid, ..Refusal::new(Code::TokenMissing, self.vacancy()) }
    }

    /// The raised failure as an answer.
    pub fn refusal(&self) -> Refusal {
        if self.is_paused() && self.released {
            let back = match self.entry {
                Entry::Login => "an import or a login",
                Entry::Import => "an import",
            };
            let message = format!(
                "its refresh token was handed out, and somebody else owns it; {back} takes the \
                 account back"
            );
            return Refusal::new(Code::NotSupported, message);
        }
        if self.is_paused() {
            return Refusal::new(Code::NotSupported, "the account is paused; resume it first");
        }
        let Some(failure) = &self.failure else {
            let (code, message) = match self.state {
                StateName::Vacant => return self.missing(),
                StateName::NeedsLogin => (Code::NeedsLogin, "the account must be logged in again"),
                // Nothing failed of its own credential, so this is about another.
                StateName::InDoubt => (
                    Code::InDoubt,
                    "the reply to the credential that was handed in was lost; it is proven again",
                ),
                StateName::Frozen
                | StateName::Fresh
                | StateName::Queued
                | StateName::Exchanging
                | StateName::Saving
                | StateName::Waiting
                | StateName::Suspect => (Code::TokenExpired, "the token expired"),
            };
            let entry = self.entry;
            return Refusal { retry_at: self.next, entry, ..Refusal::new(code, message) };
        };
        let why_not = if self.gave_up_signing_in { NO_SECOND_SIGN_IN } else { "" };
        Refusal {
            code: failure.code(),
            message: format!("{}{why_not}", failure.error),
            retry_at: self.next,
            provider_error: failure.error.provider_error().cloned(),
            entry: self.entry,
            aid: Aid::against(&failure.error),
        }
    }
}

/// Said of a refusal after which a sign-in was to be expected.
const NO_SECOND_SIGN_IN: &str = "; it does not sign in again by itself, since this was the first \
                                 refresh after a sign-in";

/// Longest time that a request may ask to wait: the cap of its `wait`.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

fn no_such_kind(kind: Kind) -> Refusal {
    let message = format!("the provider grants this account no {} token", kind.as_str());
    Refusal::new(Code::NotSupported, message)
}

fn too_long(demand: Demand, grantable: Duration) -> Refusal {
    let (asked, granted) = (spoken(demand.min_ttl), spoken(grantable));
    let message = format!(
        "a token that is good for {asked} was asked for, and the provider's are good for {granted} when \
         new"
    );
    Refusal::new(Code::LifetimeTooShort, message)
}

#[cfg(test)]
impl Snapshot {
    /// Without a credential, and with nothing to be said of it: what tests begin with.
    pub(crate) fn vacant() -> Self {
        Self {
            state: StateName::Vacant,
            generation: Generation::default(),
            held: None,
            next: None,
            failure: None,
            alarm: None,
            unsaved: false,
            released: false,
            taken_over: None,
            gave_up_signing_in: false,
            origin: None,
            entry: Entry::Login,
            rare: None,
        }
    }
}

#[cfg(test)]
mod tests;
