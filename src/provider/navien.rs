//! Navien NaviLink, the service behind Navien's water heaters and boilers.
//!
//! How it differs from OAuth 2.0:
//!
//! * A login is an e-mail address and a password. There is no client and no second factor.
//! * Every answer is an envelope `{code, msg, data}`, and its `code` may tell of a failure
//!   under HTTP 200. What `msg` says is written down nowhere, so next to nothing hangs on it.
//! * A refresh leaves out, or leaves empty, what it does not renew: the refresh token and the
//!   ID token stay what they were.
//! * A sign-in also brings AWS credentials, which end by themselves and which no refresh
//!   renews. They are taken for accounts that ask for them.
//! * The API takes the bare access token, without `Bearer`.
//! * Nothing ends a login or lists sessions, so there is nothing to revoke.
//!
//! # Reading order
//!
//! 1. `request`: what is asked.
//! 2. `reply`: what an answer is; `refusal` is the table of errors.
//! 3. `login`: the same sign-in, with a person who types the password.
//!
//! # Invariants
//!
//! * The password goes to the sign-in endpoint and the refresh token to the refresh endpoint
//!   of the one base URL, and nowhere else.
//! * A success without an access token is none.
//! * No error carries a part of a body except through [`OauthError`](crate::error::foreign::OauthError).

use std::sync::Arc;

use url::Url;

use self::login::PasswordLogin;
use self::reply::Purpose;
use self::reply::Rules;
use super::Exchange;
use super::Outcome;
use super::Profile;
use super::Provider;
use super::Request;
use super::Response;
use super::Spend;
use super::Step;
use super::login::Login;
use super::login::LoginStart;
use crate::error::RefreshError;
use crate::provider::answer::without_a_person;
use crate::section::SecretRef;
use crate::section::Section;

mod login;
mod refusal;
mod reply;
mod request;
mod settings;

/// Slot of the password, in [`Spend::secrets`] and in `tokenctl secret set`.
pub const PASSWORD: &str = "password";

/// Reads the keys of a `navien` account.
pub fn configure(section: &mut Section<'_>) -> Option<Arc<dyn Provider>> {
    settings::configure(section)
}

/// An account at Navien.
#[derive(Clone, Debug)]
pub struct Navien {
    /// What the paths of the service stand below.
    pub base: Url,
    /// Whose account it is, as it was typed: the service may tell cases apart.
    pub email: Box<str>,
    /// What the rest of the program needs to know.
    pub profile: Profile,
}

impl Provider for Navien {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn exchange(&self, spend: Spend) -> Box<dyn Exchange> {
        let request = request::refresh(self, &spend);
        let rules = Rules { held: spend.held, ..self.rules(Purpose::Refresh) };
        Box::new(Conversation { request: Some(request), rules, password: None })
    }

    fn sign_in(&self, spend: Spend) -> Option<Box<dyn Exchange>> {
        let password = spend.secret(PASSWORD).ok_or_else(|| RefreshError::SecretUnavailable {
            slot: PASSWORD.into(),
            why: "the sign-in was given none".into(),
        });
        let request = password.and_then(|password| request::sign_in(self, password));
        let rules = self.rules(Purpose::SignIn);
        let password = self.profile.kept(PASSWORD).cloned();
        Some(Box::new(Conversation { request: Some(request), rules, password }))
    }

    fn login(&self, start: LoginStart) -> Option<Box<dyn Login>> {
        Some(Box::new(PasswordLogin::new(self.clone(), start)))
    }
}

impl Navien {
    fn rules(&self, purpose: Purpose) -> Rules {
        Rules { purpose, aws: self.profile.aws, held: None }
    }
}

/// One question and its answer.
struct Conversation {
    /// Until it is asked.
    request: Option<Result<Request, RefreshError>>,
    rules: Rules,
    /// Where the password of a sign-in comes from.
    password: Option<SecretRef>,
}

impl Exchange for Conversation {
    fn next(&mut self, response: Option<Response>) -> Step {
        match (self.request.take(), response) {
            (Some(Ok(request)), None) => Step::Ask(request),
            (Some(Err(error)), None) => Step::Done(Outcome::Failed(error)),
            (None, Some(reply)) => Step::Done(match reply::read(&reply, &self.rules) {
                Outcome::Failed(error) => {
                    Outcome::Failed(without_a_person(error, PASSWORD, self.password.as_ref()))
                }
                outcome @ (Outcome::Granted(_) | Outcome::Salvaged(..)) => outcome,
            }),
            (Some(_), Some(_)) | (None, None) => Step::Done(Outcome::Failed(
                RefreshError::Internal("an exchange was driven out of order".into()),
            )),
        }
    }

    fn learned(&self) -> Option<Url> {
        None
    }
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
