//! How one account behaves, as a test author writes it.
//!
//! A [`Script`] is the JSON object of the control interface together with what it means. Parsing
//! is where every mistake is found; whoever holds a `Script` has nothing left to check.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

use crate::clock::Moment;
use crate::family::Rotation;
use crate::fault::Fault;
use crate::field::ClientAuth;
use crate::field::Delay;
use crate::field::Grant;
use crate::field::Member;
use crate::field::RateLimit;
use crate::field::ReplyFormat;
use crate::field::RequestFormat;
use crate::field::RotationField;
use crate::field::span;
use crate::service::Service;
use crate::service::cognito;
use crate::service::kasa_monitor;
use crate::service::kasa_monitor::totp::TotpSecret;
use crate::service::navien;
use crate::token::LEAST_TOKEN_BYTES;

/// Largest access token that can be asked for, in bytes.
const MOST_TOKEN_BYTES: usize = 64 * 1024;
/// Longest scripted delay, in ms: an hour.
const LONGEST_DELAY_MS: u64 = 3_600_000;
/// How long refresh tokens are good that carry their own end, where the script does not say.
const A_WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most requests that a scripted rate limit may let through in its window.
const MOST_RATE: usize = 100_000;

/// The fields that hold the options of one service, and which.
pub(crate) const OPTIONS: [(&str, Service); 3] = [
    ("cognito", Service::Cognito),
    ("kasa_monitor", Service::KasaMonitor),
    ("navien", Service::Navien),
];

/// A behaviour with the text that it was read from, so that single fields can be changed later.
#[derive(Debug)]
pub(crate) struct Script {
    raw: Map<String, Value>,
    /// What the text means.
    pub(crate) behaviour: Behaviour,
}

impl Script {
    /// Reads a behaviour.
    ///
    /// # Errors
    ///
    /// The first field that is unknown or out of place, by name.
    pub(crate) fn parse(raw: Map<String, Value>) -> Result<Self, BadBehaviour> {
        let behaviour = serde_json::from_value::<Behaviour>(Value::Object(raw.clone()))
            .map_err(|problem| blame(&raw, problem))?;
        behaviour.check()?;
        for (field, service) in OPTIONS {
            if raw.contains_key(field) && behaviour.service != service {
                return Err(BadBehaviour::Foreign { field, service });
            }
        }
        Ok(Self { raw, behaviour })
    }

    /// The same behaviour with the fields of `changes` in place of its own. The options of a
    /// service are replaced one by one.
    ///
    /// # Errors
    ///
    /// As for [`parse`](Self::parse); and an account keeps its service.
    pub(crate) fn changed(&self, changes: Map<String, Value>) -> Result<Self, BadBehaviour> {
        let mut raw = self.raw.clone();
        for (field, value) in changes {
            let options = OPTIONS.iter().any(|(options, _)| *options == field);
            match (raw.get_mut(&field), value) {
                (Some(Value::Object(old)), Value::Object(new)) if options => old.extend(new),
                (_, value) => drop(raw.insert(field, value)),
            }
        }
        let changed = Self::parse(raw)?;
        if changed.behaviour.service != self.behaviour.service {
            return Err(BadBehaviour::Service);
        }
        Ok(changed)
    }
}

/// Everything that can be set for an account. The reference in `reference.md` explains each field.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Behaviour {
    pub(crate) service: Service,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<String>,
    pub(crate) client_auth: ClientAuth,
    pub(crate) grants: Vec<Grant>,
    pub(crate) request_format: RequestFormat,
    lifetime_secs: Option<Number>,
    refresh_lifetime_secs: Option<f64>,
    pub(crate) expires_in: Member,
    pub(crate) token_type: Member,
    rotation: RotationField,
    pub(crate) omit_refresh_token: bool,
    pub(crate) jwt: bool,
    pub(crate) jwt_exp_skew_secs: i64,
    pub(crate) jwt_without_iat: bool,
    pub(crate) id_token: bool,
    subject: Option<String>,
    pub(crate) token_bytes: usize,
    pub(crate) reply_format: ReplyFormat,
    pub(crate) extra: Map<String, Value>,
    pub(crate) scope: Option<String>,
    pub(crate) refresh_expires_in: Member,
    delay_ms: Option<Delay>,
    delay_after_commit_ms: Option<Delay>,
    pub(crate) fault: Option<Fault>,
    pub(crate) fault_every: Option<NonZeroU32>,
    pub(crate) rate_limit: Option<RateLimit>,
    username: Option<String>,
    password: Option<String>,
    pub(crate) totp_secret: Option<TotpSecret>,
    pub(crate) cognito: cognito::Options,
    pub(crate) kasa_monitor: kasa_monitor::Options,
    pub(crate) navien: navien::Options,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            service: Service::Oauth2,
            client_id: None,
            client_secret: None,
            client_auth: ClientAuth::Any,
            grants: vec![Grant::RefreshToken, Grant::ClientCredentials],
            request_format: RequestFormat::Form,
            lifetime_secs: None,
            refresh_lifetime_secs: None,
            expires_in: Member::Usual,
            token_type: Member::Usual,
            rotation: RotationField(Rotation::None),
            omit_refresh_token: false,
            jwt: false,
            jwt_exp_skew_secs: 0,
            jwt_without_iat: false,
            id_token: false,
            subject: None,
            token_bytes: 40,
            reply_format: ReplyFormat::Json,
            extra: Map::new(),
            scope: None,
            refresh_expires_in: Member::Usual,
            delay_ms: None,
            delay_after_commit_ms: None,
            fault: None,
            fault_every: None,
            rate_limit: None,
            username: None,
            password: None,
            totp_secret: None,
            cognito: cognito::Options::default(),
            kasa_monitor: kasa_monitor::Options::default(),
            navien: navien::Options::default(),
        }
    }
}

impl Behaviour {
    /// How long an access token is good by the provider's own clock: never less than nothing.
    pub(crate) fn lifetime(&self) -> Duration {
        span(self.lifetime_number().as_f64().unwrap_or_default())
    }

    fn lifetime_number(&self) -> Number {
        let usual = if self.service == Service::KasaMonitor { 1800 } else { 3600 };
        self.lifetime_secs.clone().unwrap_or_else(|| usual.into())
    }

    /// When an access token ends that was handed out at `issued`.
    pub(crate) fn ends(&self, issued: Moment) -> Moment {
        issued.after(self.lifetime())
    }

    /// The scripted lifetime as it was written, or what is left of it when a pair comes again.
    pub(crate) fn expires_in(&self, issued: Moment, now: Moment) -> Value {
        if issued == now {
            return Value::Number(self.lifetime_number());
        }
        self.ends(issued).since_start.saturating_sub(now.since_start).as_secs().into()
    }

    /// How long a login is good from its beginning; `None` is for ever.
    pub(crate) fn refresh_lifetime(&self) -> Option<Duration> {
        match self.service {
            Service::Oauth2 | Service::Cognito | Service::Navien => {
                self.refresh_lifetime_secs.map(span)
            }
            Service::KasaMonitor => None,
        }
    }

    /// How long a refresh token is good that carries its own end.
    pub(crate) fn sliding_lifetime(&self) -> Duration {
        self.refresh_lifetime_secs.map_or(A_WEEK, span)
    }

    /// The client id of an account: scripted, or the name of the account.
    pub(crate) fn client_id<'a>(&'a self, account: &'a str) -> &'a str {
        self.client_id.as_deref().unwrap_or(account)
    }

    /// The client secret of an account: scripted, or `secret-of-ACCOUNT`.
    pub(crate) fn client_secret(&self, account: &str) -> Cow<'_, str> {
        match &self.client_secret {
            Some(secret) => Cow::Borrowed(secret),
            None => Cow::Owned(format!("secret-of-{account}")),
        }
    }

    /// The client secret, if the script says one.
    pub(crate) fn scripted_secret(&self) -> Option<&str> {
        self.client_secret.as_deref()
    }

    /// The name that a user signs in with: scripted, or the name of the account.
    pub(crate) fn username<'a>(&'a self, account: &'a str) -> &'a str {
        self.username.as_deref().unwrap_or(account)
    }

    /// The password of that user: scripted, or `password-of-ACCOUNT`.
    pub(crate) fn password(&self, account: &str) -> Cow<'_, str> {
        match &self.password {
            Some(password) => Cow::Borrowed(password),
            None => Cow::Owned(format!("password-of-{account}")),
        }
    }

    /// Whose tokens they are: scripted, or the account's.
    pub(crate) fn subject<'a>(&'a self, account: &'a str) -> &'a str {
        self.subject.as_deref().unwrap_or(account)
    }

    /// When refresh tokens change.
    pub(crate) fn rotation(&self) -> Rotation {
        self.rotation.0
    }

    /// Bounds of the delay before the request is decided, in ms.
    pub(crate) fn delay_before(&self) -> Option<RangeInclusive<u64>> {
        self.delay_ms.as_ref().map(Delay::bounds)
    }

    /// Bounds of the delay between the commit and the reply, in ms.
    pub(crate) fn delay_after(&self) -> Option<RangeInclusive<u64>> {
        self.delay_after_commit_ms.as_ref().map(Delay::bounds)
    }

    fn check(&self) -> Result<(), BadBehaviour> {
        if !(LEAST_TOKEN_BYTES..=MOST_TOKEN_BYTES).contains(&self.token_bytes) {
            return Err(BadBehaviour::Range {
                field: "token_bytes",
                expected: "33 to 65536 (bytes)",
            });
        }
        if self.fault_every.is_some() && self.fault.is_none() {
            return Err(BadBehaviour::Alone);
        }
        for (field, delay) in
            [("delay_ms", &self.delay_ms), ("delay_after_commit_ms", &self.delay_after_commit_ms)]
        {
            let bounds = delay.as_ref().map_or(0..=0, Delay::bounds);
            if bounds.is_empty() || *bounds.end() > LONGEST_DELAY_MS {
                return Err(BadBehaviour::Range {
                    field,
                    expected: "0 to 3600000 (ms), min <= max",
                });
            }
        }
        let limit = self.rate_limit.as_ref();
        if limit.is_some_and(|limit| limit.requests > MOST_RATE || limit.window().is_zero()) {
            return Err(BadBehaviour::Range {
                field: "rate_limit",
                expected: "requests of 0 to 100000 and per_secs above 0",
            });
        }
        Ok(())
    }
}

/// Why a behaviour cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadBehaviour {
    #[error("field `{field}`: {problem}")]
    Field { field: String, problem: serde_json::Error },
    #[error("{0}")]
    Whole(serde_json::Error),
    #[error("field `{field}` is out of range, expected {expected}")]
    Range { field: &'static str, expected: &'static str },
    #[error("field `{field}` belongs to accounts of the service `{service}`")]
    Foreign { field: &'static str, service: Service },
    #[error("an account keeps the service that it was made with")]
    Service,
    #[error("field `fault_every` needs the field `fault` beside it")]
    Alone,
}

/// Finds the field that a failed parse is about: the first that cannot be read on its own.
fn blame(raw: &Map<String, Value>, problem: serde_json::Error) -> BadBehaviour {
    for (field, value) in raw {
        let alone = Map::from_iter([(field.clone(), value.clone())]);
        if let Err(problem) = serde_json::from_value::<Behaviour>(Value::Object(alone)) {
            return BadBehaviour::Field { field: field.clone(), problem };
        }
    }
    BadBehaviour::Whole(problem)
}

#[cfg(test)]
mod tests;
