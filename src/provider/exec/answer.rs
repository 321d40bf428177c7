//! What a program's answer is: tokens, a refusal, or nothing to rely on.
//!
//! Members and words are those of a token endpoint (RFC 6749 sections 5.1 and 5.2), so it is
//! read like the answer of one.

use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::question::Action;
use crate::error::RefreshError;
use crate::provider::Outcome;
use crate::provider::Response;
use crate::provider::call::Called;
use crate::provider::lifetime::seconds;
use crate::provider::member::Member;
use crate::provider::oauth2::reply;
use crate::provider::salvage::token_in;
use crate::token::Secret;

/// Longest `retry_after` that is believed: a year, beyond which a person has looked.
const LONGEST_RETRY_AFTER_SECS: f64 = 366.0 * 86_400.0;

/// Longest `subject`, in bytes (OpenID Connect Core section 2).
const LONGEST_SUBJECT: usize = 255;

/// What the reading goes by.
pub(super) struct Rules {
    /// What was asked for.
    pub(super) action: Action,
    /// Lifetime of tokens whose lifetime nothing in the answer says.
    pub(super) default_lifetime: Duration,
    /// Whether the question carried the refresh token.
    pub(super) spends: bool,
}

/// Reads what came of a call.
pub(super) fn read(called: Called, rules: &Rules) -> Outcome {
    match called {
        Called::NotStarted(why) => Outcome::Failed(RefreshError::Unreachable(why)),
        Called::Missing(why) => Outcome::Failed(RefreshError::ProgramMissing(why)),
        Called::Broken { output, why } if rules.spends => {
            salvaged(&output, rules, RefreshError::ReplyLost(why))
        }
        Called::Broken { why, .. } => Outcome::Failed(RefreshError::Unreachable(why)),
        Called::Answered(output) => answered(output, rules),
    }
}

/// The members that a token endpoint does not have.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Own {
    /// As a `Retry-After` in seconds.
    retry_after: Member,
    /// Whose tokens these are, where neither token says it.
    subject: Member,
}

fn answered(output: Zeroizing<Vec<u8>>, rules: &Rules) -> Outcome {
    let is_object = output.trim_ascii_start().starts_with(b"{");
    let Some(own) = serde_json::from_slice::<Own>(&output).ok().filter(|_| is_object) else {
        let error = RefreshError::Malformed("it is not one JSON object".into());
        return salvaged(&output, rules, error);
    };
    let response = Response {
        status: 200,
        content_type: "application/json".into(),
        error_type: None,
        retry_after: retry_after(&own.retry_after),
        date: None,
        location: None,
        body: output,
        complete: true,
    };
    let reading = reply::Rules {
        endpoint: "the program",
        default_lifetime: rules.default_lifetime,
        spends: rules.spends,
    };
    match (reply::read(&response, reading), rules.action) {
        (Outcome::Granted(mut grant), _) => {
            let subject = own.subject.text().map(Secret::expose);
            let subject = subject.filter(|subject| subject.len() <= LONGEST_SUBJECT);
            grant.subject = grant.subject.or_else(|| subject.map(Box::from));
            Outcome::Granted(grant)
        }
        // Without a refresh token in the question it is the secrets that are refused.
        (
            Outcome::Failed(
                RefreshError::GrantRejected(answer) | RefreshError::LoginRequired(answer),
            ),
            Action::Login,
        ) => Outcome::Failed(RefreshError::LoginRejected(answer)),
        (outcome, Action::Refresh | Action::Login) => outcome,
    }
}

/// The failure, and the new refresh token that the remains may hold.
fn salvaged(output: &[u8], rules: &Rules, error: RefreshError) -> Outcome {
    match token_in(output, "refresh_token") {
        Some(token) if rules.spends => Outcome::Salvaged(token, error),
        Some(_) | None => Outcome::Failed(error),
    }
}

fn retry_after(member: &Member) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds(member)?.min(LONGEST_RETRY_AFTER_SECS)).ok()
}
