//! A login by `tokenctl login`: the program's own sign-in, in which no person has a part.

use super::Action;
use super::Call;
use super::Exec;
use super::Rules;
use super::answer;
use crate::error::RefreshError;
use crate::provider::Outcome;
use crate::provider::login::Heard;
use crate::provider::login::Login;
use crate::provider::login::LoginStart;
use crate::provider::login::Turn;
use crate::token::Grant;

/// Begins one, with the secrets that there are.
pub(super) fn begin(exec: &Exec, start: LoginStart) -> SignIn {
    let has = |slot: &str| start.secrets.iter().any(|(name, _)| *name == slot);
    let missing = exec.profile.secrets.iter().find(|(slot, _)| !has(slot));
    let call = match missing {
        Some((slot, _)) => Err(RefreshError::SecretUnavailable {
            slot: (*slot).into(),
            why: format!("a login needs it; type: tokenctl secret set {}.{slot}", exec.account),
        }),
        None => Ok(exec.call(Action::Login, None, start.secrets)),
    };
    let default_lifetime = exec.profile.default_lifetime();
    let rules = Rules { action: Action::Login, default_lifetime, spends: false };
    SignIn { call: Some(call), rules }
}

/// One login.
pub(super) struct SignIn {
    /// Until it is made.
    call: Option<Result<Call, RefreshError>>,
    rules: Rules,
}

impl Login for SignIn {
    fn next(&mut self, heard: Heard) -> Turn {
        match (self.call.take(), heard) {
            (Some(Ok(call)), Heard::Begun) => Turn::Call(call),
            (Some(Err(error)), Heard::Begun) => Turn::Done(Err(error)),
            (None, Heard::Called(called)) => Turn::Done(granted(answer::read(called, &self.rules))),
            (_, _) => {
                let error = "a login was driven out of order";
                Turn::Done(Err(RefreshError::Internal(error.into())))
            }
        }
    }
}

/// Tokens that nothing renews are no login.
fn granted(outcome: Outcome) -> Result<Box<Grant>, RefreshError> {
    match outcome {
        Outcome::Granted(grant) if grant.refresh_token.is_none() => {
            Err(RefreshError::Malformed("no refresh token in it".into()))
        }
        Outcome::Granted(grant) => Ok(grant),
        Outcome::Salvaged(_, error) | Outcome::Failed(error) => Err(error),
    }
}
