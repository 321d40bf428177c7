//! What the configuration decides about an account's life.

use std::sync::Arc;
use std::time::Duration;

/// What an account's life goes by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// What the provider does with refresh tokens.
    pub rotation: Rotation,
    /// How early to refresh, where the configuration says so.
    pub refresh_before: Option<RefreshBefore>,
    /// Whether it works with a refresh token; if not, it needs no login and has nothing to lose.
    pub has_refresh_token: bool,
    /// The most requests that one attempt makes.
    pub requests: u8,
    /// A failure that lasts into this span before the expiry is an alarm.
    pub alarm_before: Duration,
    /// What happens after a refresh that was refused.
    pub on_refresh_failure: FailureAction,
    /// Whether it can sign in without a person, and what for.
    pub sign_in: SignIn,
    /// How it comes by a credential.
    pub entry: Entry,
    /// How long a refresh token lives, where the provider does not say so.
    pub refresh_token_lifetime: Option<Duration>,
    /// How long a refresh token may lie unused before the provider forgets it.
    pub refresh_token_idle: Option<Duration>,
    /// How long before the end of a login that is told, longest first.
    pub expiry_ahead: Arc<[Duration]>,
}

#[cfg(test)]
impl Plan {
    /// Of a refresh token that a person hands in, and everything else left as it is by default.
    pub(crate) fn plain(rotation: Rotation) -> Self {
        Self {
            rotation,
            refresh_before: None,
            has_refresh_token: true,
            requests: 1,
            alarm_before: Duration::from_secs(600),
            on_refresh_failure: FailureAction::Raise,
            sign_in: SignIn::Never,
            entry: Entry::Login,
            refresh_token_lifetime: None,
            refresh_token_idle: None,
            expiry_ahead: EXPIRY_AHEAD.into(),
        }
    }
}

/// Whether an account can sign in without a person, and what for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SignIn {
    /// A login needs a person.
    #[default]
    Never,
    /// It can, to begin with or where [`FailureAction::SignIn`] says so.
    Possible,
    /// It must: nothing else renews the AWS credentials that come of it.
    ForAws,
}

/// How an account comes by a credential: what whoever has to act is told to type.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Entry {
    /// By a login, or by whatever else.
    #[default]
    Login,
    /// By an import alone: nothing is known of where a login begins.
    Import,
}

impl Entry {
    /// The word on the wire, which is `tokenctl`'s verb, too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Import => "import",
        }
    }
}

/// The ladder of notices where the configuration names none: 14, 7, 3 and 1 days, 6 hours.
pub const EXPIRY_AHEAD: [Duration; 5] = [
    Duration::from_secs(14 * 86_400),
    Duration::from_secs(7 * 86_400),
    Duration::from_secs(3 * 86_400),
    Duration::from_secs(86_400),
    Duration::from_secs(6 * 3_600),
];

/// The longest span before the end of a login of this length at which that is told: what is
/// told to a fresh login is no news.
pub fn highest_rung(whole: Duration) -> Duration {
    whole / 4 * 3
}

/// What a provider does with the old refresh token when it issues a new one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Rotation {
    /// It may rotate, and nobody said how long the old one works: 10 s are assumed.
    #[default]
    Unknown,
    /// It never rotates.
    Never,
    /// The previous one works this long after it was spent.
    Grace(Duration),
    /// Spending it twice kills the whole family.
    Strict,
}

impl Rotation {
    /// Grace that is assumed where nobody knows.
    pub const ASSUMED_GRACE: Duration = Duration::from_secs(10);

    /// How long after the send a replay is good; `None` if there is nothing to replay
    /// ([`Never`](Self::Never)) or a replay may kill the family ([`Strict`](Self::Strict)).
    pub const fn grace(self) -> Option<Duration> {
        match self {
            Self::Unknown => Some(Self::ASSUMED_GRACE),
            Self::Grace(span) => Some(span),
            Self::Never | Self::Strict => None,
        }
    }

    /// How long one exchange may take, from its first byte: a third of a known grace, so
    /// that a lost reply leaves time for replays.
    pub fn exchange_timeout(self) -> Duration {
        match self {
            Self::Unknown => Duration::from_secs(10),
            Self::Never => Duration::from_secs(30),
            Self::Grace(span) => (span / 3).clamp(Duration::from_secs(3), Duration::from_secs(15)),
            Self::Strict => Duration::from_secs(60),
        }
    }
}

/// How early a refresh is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefreshBefore {
    /// This long before the expiry.
    Span(Duration),
    /// With this share of the lifetime left, in percent, 1 to 99.
    Percent(u8),
}

/// What happens after a refresh that was refused.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FailureAction {
    /// It is reported at once to everyone concerned; nothing falls back to anything.
    #[default]
    Raise,
    /// It is reported likewise, and one sign-in with the stored secrets is tried.
    SignIn,
}
