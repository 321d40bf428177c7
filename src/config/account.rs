//! `[accounts.NAME]`: what every account can say, whoever its provider is.
//!
//! The keys of the provider are the provider's to read: the same table is handed on to it.

use std::sync::Arc;
use std::time::Duration;

use sha2::Digest;
use sha2::Sha256;

use super::allow;
use super::allow::Allow;
use super::allow::Gives;
use super::daemon::Daemon;
use super::hook;
use crate::hook::Hook;
use crate::limits;
use crate::plan::FailureAction;
use crate::plan::Plan;
use crate::plan::RefreshBefore;
use crate::plan::Rotation;
use crate::plan::SignIn;
use crate::provider::Configure;
use crate::provider::PROVIDERS;
use crate::provider::Profile;
use crate::provider::Provider;
use crate::section::complaint::Problem;

use crate::section::Section;
use crate::section::value::Value;
use crate::time::parse_span;

/// The provider of an account that names none.
const DEFAULT_PROVIDER: &str = "oauth2";

/// One configured account.
pub struct Account {
    /// How it talks to its identity provider.
    pub provider: Arc<dyn Provider>,
    /// What its life goes by.
    pub plan: Arc<Plan>,
    /// Who may have what of it.
    pub allow: Vec<Allow>,
    /// What is called when something happens to it: what is said for all, then its own.
    pub hooks: Arc<[Arc<Hook>]>,
    /// A fingerprint of all that the configuration says of it, however it is written, but
    /// for its hooks, which its life does not go by. A reload leaves failure and place of an
    /// account alone whose fingerprint is still the same.
    pub fingerprint: [u8; 32],
}

/// An account, as far as its own table says.
pub(super) struct Draft {
    provider: Arc<dyn Provider>,
    rotation: Option<Rotation>,
    refresh_before: Option<RefreshBefore>,
    on_refresh_failure: FailureAction,
    alarm_before: Option<Duration>,
    refresh_token_lifetime: Option<Duration>,
    refresh_token_idle: Option<Duration>,
    expiry_ahead: Option<Arc<[Duration]>>,
    allow: Vec<Allow>,
    /// Its own.
    pub(super) hooks: Vec<hook::Draft>,
    digest: [u8; 32],
}

impl Draft {
    /// Reads the table. `None` after errors of the provider. The table of a provider whose name
    /// is misspelt is read as that of the one that was meant, for what else is wrong in it.
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let digest = section.digest_of_all_but("hooks");
        let named = section.value("provider");
        let known = match &named {
            None => by_name(DEFAULT_PROVIDER),
            Some(value) => value.choice(PROVIDERS),
        };
        let configure = known.or_else(|| named.and_then(|value| value.meant(PROVIDERS)));
        let rotation = section.value("rotation").and_then(|value| read_rotation(&value));
        let refresh_before = section.value("refresh_before").and_then(|it| read_before(&it));
        let policy = section.value("on_refresh_failure");
        let alarm_before = section.span("alarm_before");
        let refresh_token_lifetime = read_life(&mut section, "refresh_token_lifetime");
        let refresh_token_idle = read_life(&mut section, "refresh_token_idle");
        let expiry_ahead = section.value("expiry_ahead").and_then(|it| read_ladder(&it));
        let allow = section.value("allow").map(|value| allow::read(&value, Gives::Stated));
        let hooks = section.value("hooks").map(|hooks| hook::read_all(&hooks));

        // Which other keys there are is the provider's to say: without one, none is unknown.
        let provider = configure?(&mut section);
        if let Some(provider) = &provider
            && !provider.profile().has_refresh_token
            && rotation.is_some()
        {
            section.warn(Problem::Rule("rotation means nothing without a refresh token".into()));
        }
        let profile = provider.as_ref().map(|it| it.profile());
        let on_refresh_failure = policy.and_then(|policy| read_policy(&policy, profile));
        section.finish();
        Some(Self {
            provider: provider.filter(|_| known.is_some())?,
            rotation,
            refresh_before,
            on_refresh_failure: on_refresh_failure.unwrap_or_default(),
            alarm_before,
            refresh_token_lifetime,
            refresh_token_idle,
            expiry_ahead,
            allow: allow.unwrap_or_default(),
            hooks: hooks.unwrap_or_default(),
            digest,
        })
    }

    /// The account, with what `[daemon]` says for all, and with its hooks. Many accounts have the
    /// plan of the one before, which is `last`, and share it.
    pub(super) fn conclude(
        self,
        daemon: &Daemon,
        hooks: Arc<[Arc<Hook>]>,
        last: &mut Option<Arc<Plan>>,
    ) -> Account {
        let profile = self.provider.profile();
        let sign_in = match (&profile.sign_in, profile.aws) {
            (None, _) => SignIn::Never,
            (Some(_), false) => SignIn::Possible,
            (Some(_), true) => SignIn::ForAws,
        };
        let plan = Plan {
            rotation: self.rotation.unwrap_or(profile.rotation),
            refresh_before: self.refresh_before,
            has_refresh_token: profile.has_refresh_token,
            requests: profile.requests,
            alarm_before: self.alarm_before.unwrap_or(daemon.alarm_before),
            on_refresh_failure: self.on_refresh_failure,
            sign_in,
            entry: profile.entry,
            refresh_token_lifetime: self.refresh_token_lifetime,
            refresh_token_idle: self.refresh_token_idle,
            expiry_ahead: self.expiry_ahead.unwrap_or_else(|| Arc::clone(&daemon.expiry_ahead)),
        };
        let mut fingerprint = Sha256::new();
        fingerprint.update(self.digest);
        fingerprint.update(plan.alarm_before.as_secs().to_le_bytes());
        for rung in plan.expiry_ahead.iter() {
            fingerprint.update(rung.as_secs().to_le_bytes());
        }
        let fingerprint = fingerprint.finalize().into();
        let Self { provider, allow, .. } = self;
        let plan = match last {
            Some(last) if **last == plan => Arc::clone(last),
            Some(_) | None => Arc::clone(last.insert(Arc::new(plan))),
        };
        Account { provider, plan, allow, hooks, fingerprint }
    }
}

fn by_name(name: &str) -> Option<Configure> {
    PROVIDERS.iter().find_map(|(known, configure)| (*known == name).then_some(*configure))
}

fn read_rotation(value: &Value<'_>) -> Option<Rotation> {
    const EXPECTED: &str = "\"unknown\", \"none\", \"strict\" or a duration such as \"30s\"";
    const WORDS: &[&str] = &["unknown", "none", "strict"];

    let text = value.text(EXPECTED)?;
    let rotation = match text {
        "unknown" => Some(Rotation::Unknown),
        "none" => Some(Rotation::Never),
        "strict" => Some(Rotation::Strict),
        _ => parse_span(text).filter(|span| !span.is_zero()).map(Rotation::Grace),
    };
    if rotation.is_none() {
        value.misspelt(text, EXPECTED, WORDS.iter().copied());
    }
    rotation
}

fn read_before(value: &Value<'_>) -> Option<RefreshBefore> {
    const EXPECTED: &str =
        "a duration such as \"5m\" or a share of the lifetime, \"1%\" to \"50%\"";

    let text = value.text(EXPECTED)?;
    let before = match text.strip_suffix('%') {
        Some(number) => percent(number).map(RefreshBefore::Percent),
        None => parse_span(text).filter(|span| !span.is_zero()).map(RefreshBefore::Span),
    };
    if before.is_none() {
        value.complain(Problem::Value { expected: EXPECTED.into(), nearest: None });
    }
    before
}

/// A share of a lifetime. More than half would mean half: see
/// [`refresh_after`](crate::schedule::refresh_after).
fn percent(number: &str) -> Option<u8> {
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|percent| digits && (1..=50).contains(percent))
}

/// Reads the policy. `sign_in` says whether the provider signs in without a person, once
/// it is known.
fn read_policy(value: &Value<'_>, profile: Option<&Profile>) -> Option<FailureAction> {
    const WORDS: &[(&str, FailureAction)] =
        &[("raise", FailureAction::Raise), ("sign-in", FailureAction::SignIn)];

    let action = value.choice(WORDS)?;
    if let (FailureAction::SignIn, Some(Profile { name, sign_in: None, .. })) = (action, profile) {
        let rule = match *name {
            "exec" => {
                "\"sign-in\" needs a program that logs in by itself: login = true says that \
                       it does; expected \"raise\" without that"
            }
            _ => {
                "\"sign-in\" needs a provider that logs in with a stored password alone; a login \
                  here needs a person; expected \"raise\""
            }
        };
        value.complain(Problem::Rule(rule.into()));
        return None;
    }
    Some(action)
}

/// Reads how long something about a refresh token is. Nothing is over at once.
fn read_life(section: &mut Section<'_>, key: &'static str) -> Option<Duration> {
    let value = section.value(key)?;
    let span = value.span()?;
    if span.is_zero() {
        value
            .complain(Problem::Rule("it must be longer than nothing; leave it out instead".into()));
        return None;
    }
    Some(span)
}

/// Reads the rungs of the ladder, longest first.
pub(super) fn read_ladder(value: &Value<'_>) -> Option<Arc<[Duration]>> {
    const EXPECTED: &str = "a list of durations such as [\"14d\", \"1d\"]";

    let rungs = value.list(EXPECTED)?;
    if rungs.len() > limits::RUNGS {
        let rule = format!("at most {} notices are told of one end", limits::RUNGS);
        value.complain(Problem::Rule(rule.into()));
        return None;
    }
    let mut spans = rungs.iter().map(Value::span).collect::<Option<Vec<_>>>()?;
    spans.sort_unstable_by(|a, b| b.cmp(a));
    spans.dedup();
    Some(spans.into())
}
