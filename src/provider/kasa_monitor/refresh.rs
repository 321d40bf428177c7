//! One refresh: the request, and after a bare 500 the question whether the server is well.

use url::Url;

use super::refusal;
use super::refusal::OfRefresh;
use super::reply;
use super::request;
use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::provider::Exchange;
use crate::provider::Outcome;
use crate::provider::Response;
use crate::provider::Spend;
use crate::provider::Step;
use crate::time::Timestamp;
use crate::token::Secret;

/// One exchange.
pub(super) struct Refresh {
    base: Url,
    token: Option<Secret>,
    now: Timestamp,
    stage: Stage,
}

/// Which answer is waited for.
#[derive(Clone, Copy)]
enum Stage {
    Beginning,
    Refreshing,
    Wondering,
}

impl Refresh {
    pub(super) fn new(base: Url, spend: Spend) -> Self {
        Self { base, token: spend.refresh_token, now: spend.now, stage: Stage::Beginning }
    }

    fn begin(&mut self) -> Result<Step, RefreshError> {
        let token = self
            .token
            .as_ref()
            .ok_or(RefreshError::Internal("an exchange began without a refresh token".into()))?;
        // The server takes a token in the very second of its end.
        if let Some(end) = reply::end_secs(token)
            && self.now.as_secs() as f64 > end
        {
            return Err(RefreshError::SessionExpired(over_since(end)));
        }
        self.stage = Stage::Refreshing;
        request::refresh(&self.base, token).map(Step::Ask)
    }

    fn answered(&mut self, response: &Response) -> Result<Step, RefreshError> {
        if (200..=299).contains(&response.status) {
            let grant = reply::read(response, self.token.as_ref())?;
            return Ok(Step::Done(Outcome::Granted(grant)));
        }
        match refusal::of_refresh(response) {
            OfRefresh::Failed(error) => Err(error),
            OfRefresh::Unclear => {
                self.stage = Stage::Wondering;
                Ok(Step::Ask(request::sign_of_life(&self.base)))
            }
        }
    }
}

impl Exchange for Refresh {
    fn next(&mut self, response: Option<Response>) -> Step {
        let step = match (self.stage, response) {
            (Stage::Beginning, None) => self.begin(),
            (Stage::Refreshing, Some(response)) => self.answered(&response),
            (Stage::Wondering, Some(life)) => Err(refusal::of_unclear(&life)),
            (Stage::Beginning, Some(_)) | (Stage::Refreshing | Stage::Wondering, None) => {
                Err(RefreshError::Internal("an exchange was driven out of order".into()))
            }
        };
        step.unwrap_or_else(|error| Step::Done(Outcome::Failed(error)))
    }

    fn learned(&self) -> Option<Url> {
        None
    }
}

/// A refresh token that is over by its own date.
fn over_since(end_secs: f64) -> OauthError {
    let end = Timestamp::from_millis((end_secs * 1000.0) as i64);
    let words = format!("the refresh token ended at {end} by its own date; nothing was sent");
    OauthError::new("REFRESH_TOKEN_EXPIRED", Some(&words))
}
