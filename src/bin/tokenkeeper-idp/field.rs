//! The fields of a behaviour that have a shape of their own.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::family::Reuse;
use crate::family::Rotation;
use crate::family::Rule;
use crate::family::Scope;

/// A lifetime or window is never longer than this, whatever the script says: a hundred years.
pub(crate) const LONGEST_SPAN: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How the client must authenticate (RFC 6749, 2.3.1).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientAuth {
    /// In the `Authorization` header.
    Basic,
    /// In the request body.
    Post,
    /// Not at all: a public client, which only names itself.
    None,
    /// As it likes; but what it presents must be right.
    Any,
}

/// A grant that a token endpoint may know.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Grant {
    /// RFC 6749, 6.
    RefreshToken,
    /// RFC 6749, 4.4.
    ClientCredentials,
}

impl Grant {
    /// The value of `grant_type`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }
}

/// How a token request may be encoded.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RequestFormat {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`.
    Json,
    /// As the `Content-Type` says.
    Any,
}

/// How a reply is encoded.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReplyFormat {
    /// `application/json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// A limit on the token requests of an account, in any window of its length.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimit {
    /// Requests that pass.
    pub(crate) requests: usize,
    per_secs: f64,
    /// Whether the refusal says when to come again.
    #[serde(default)]
    pub(crate) retry_after: bool,
}

impl RateLimit {
    /// Length of the window.
    pub(crate) fn window(&self) -> Duration {
        span(self.per_secs)
    }
}

/// A member of the reply that a script may replace.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(from = "Value")]
pub(crate) enum Member {
    /// What a sound provider says.
    Usual,
    /// Nothing.
    Omitted,
    /// This.
    Raw(Value),
}

impl Member {
    /// What the reply says, if anything, where a sound provider says `usual`.
    pub(crate) fn value(&self, usual: Option<Value>) -> Option<Value> {
        match self {
            Self::Usual => usual,
            Self::Omitted => None,
            Self::Raw(value) => Some(value.clone()),
        }
    }
}

impl From<Value> for Member {
    fn from(script: Value) -> Self {
        let Value::Object(members) = &script else { return Self::Raw(script) };
        match (members.len(), members.get("omit"), members.get("usual")) {
            (1, Some(Value::Bool(true)), None) => Self::Omitted,
            (1, None, Some(Value::Bool(true))) => Self::Usual,
            _ => Self::Raw(script),
        }
    }
}

/// A pause.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a number of ms or {\"min\": ms, \"max\": ms}")]
pub(crate) enum Delay {
    /// Always this many ms.
    Exact(u64),
    /// A number of ms between these.
    Between {
        /// At least.
        min: u64,
        /// At most.
        max: u64,
    },
}

impl Delay {
    /// Its bounds in ms, both included.
    pub(crate) fn bounds(&self) -> RangeInclusive<u64> {
        match self {
            Self::Exact(ms) => *ms..=*ms,
            Self::Between { min, max } => *min..=*max,
        }
    }
}

/// A [`Rotation`] as it is written.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct RotationField(pub(crate) Rotation);

/// Why a rotation cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadRotation {
    #[error("expected \"none\" or {{\"every\": 1, \"grace_secs\": N or null, \"reuse\": …}}: {0}")]
    Shape(serde_json::Error),
    #[error("expected the word \"none\" or an object, got {0:?}")]
    Word(String),
    #[error("`grace_secs` is {0}, expected 0 or more, or null for ever")]
    Grace(f64),
}

impl TryFrom<Value> for RotationField {
    type Error = BadRotation;

    fn try_from(script: Value) -> Result<Self, BadRotation> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            #[serde(default = "always")]
            every: NonZeroU32,
            #[serde(default = "no_grace")]
            grace_secs: Option<f64>,
            #[serde(default = "previous")]
            grace_scope: Scope,
            #[serde(default = "kill_family")]
            reuse: Reuse,
        }

        if let Value::String(word) = script {
            return if word == "none" {
                Ok(Self(Rotation::None))
            } else {
                Err(BadRotation::Word(word))
            };
        }
        let written: Written = serde_json::from_value(script).map_err(BadRotation::Shape)?;
        if let Some(secs) = written.grace_secs.filter(|secs| *secs < 0.0) {
            return Err(BadRotation::Grace(secs));
        }
        Ok(Self(Rotation::Every(Rule {
            every: written.every,
            grace: written.grace_secs.map(span),
            scope: written.grace_scope,
            reuse: written.reuse,
        })))
    }
}

fn always() -> NonZeroU32 {
    NonZeroU32::MIN
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the type of the field")]
fn no_grace() -> Option<f64> {
    Some(0.0)
}

fn previous() -> Scope {
    Scope::Previous
}

fn kill_family() -> Reuse {
    Reuse::KillFamily
}

/// `secs` as a span between nothing and [`LONGEST_SPAN`].
pub(crate) fn span(secs: f64) -> Duration {
    Duration::try_from_secs_f64(secs.max(0.0)).unwrap_or(LONGEST_SPAN).min(LONGEST_SPAN)
}
