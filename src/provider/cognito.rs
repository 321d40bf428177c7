//! Amazon Cognito user pools, and `quilt`, which is one of them.
//!
//! Differs from RFC 6749 in all but the idea: every operation is a `POST` of JSON to one
//! address and is named in a header, an error is an exception by name, and the ID token is
//! what the API takes. A pool that rotates refresh tokens wants another operation for a
//! refresh than one that does not.
//!
//! # Reading order
//!
//! 1. `request`: what is asked; `secret_hash` is how a client with a secret proves who it is.
//! 2. `reply`: what an answer is: tokens, a `challenge` or a refusal, of which `refusal` is
//!    the table.
//! 3. `login`: the conversation with a person.
//! 4. `settings`: the keys.
//!
//! # Invariants
//!
//! * A password goes out at a sign-in and a login only, never at a refresh.
//! * A new refresh token in a success is never dropped, whatever else is wrong with it.
//! * No error carries a part of a body except through [`OauthError`](crate::error::foreign::OauthError).
//!
//! # What is not here
//!
//! SRP, since `USER_PASSWORD_AUTH` goes over TLS alone and needs no arithmetic of ours; and
//! the tracking of devices: a pool that remembers devices always binds a refresh token to
//! a device key, which is not kept.

use std::sync::Arc;

use url::Url;

use super::Exchange;
use super::Outcome;
use super::Profile;
use super::Provider;
use super::Request;
use super::Response;
use super::Spend;
use super::Step;
use super::deed::Deed;
use super::deed::SessionOrder;
use super::deed::Sessions;
use super::login::Login;
use super::login::LoginStart;
use crate::error::RefreshError;
use crate::section::Section;
use crate::token::Secret;

mod challenge;
mod login;
mod refusal;
mod reply;
mod request;
mod secret_hash;
mod settings;

/// Slot of the client secret.
const CLIENT_SECRET: &str = "client_secret";

/// Slot of the password.
const PASSWORD: &str = "password";

/// Reads the keys of a `cognito` account.
pub(super) fn configure(section: &mut Section<'_>) -> Option<Arc<dyn Provider>> {
    settings::configure(section)
}

/// An account in a user pool.
#[derive(Clone, Debug)]
struct Cognito {
    /// Where every operation goes.
    endpoint: Url,
    /// The app client's identifier.
    client_id: Arc<str>,
    /// How the app client proves who it is.
    client_auth: ClientAuth,
    /// The user, by the name or address that a person would sign in with.
    user: Arc<str>,
    /// The operation that refreshes.
    refresh: RefreshOperation,
    /// The flow of a login.
    flow: AuthFlow,
    profile: Profile,
}

/// How an app client proves who it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ClientAuth {
    /// It does not: a public client.
    None,
    /// By a hash over its secret and the user, or by the secret itself where an operation
    /// takes that.
    SecretHash,
}

/// The operation that refreshes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum RefreshOperation {
    /// `InitiateAuth` with `REFRESH_TOKEN_AUTH`, for pools that do not rotate.
    InitiateAuth,
    /// `GetTokensFromRefreshToken`, which is the only one for pools that do.
    GetTokens,
}

/// The flow of a login.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum AuthFlow {
    /// `CUSTOM_AUTH`: the pool sends a code.
    Custom,
    /// `USER_PASSWORD_AUTH`
    Password,
}

impl Provider for Cognito {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn exchange(&self, spend: Spend) -> Box<dyn Exchange> {
        Box::new(Question {
            request: Some(request::refresh(self, &spend)),
            read: Box::new(reply::refreshed),
            fail: Outcome::Failed,
        })
    }

    fn sign_in(&self, spend: Spend) -> Option<Box<dyn Exchange>> {
        match self.flow {
            AuthFlow::Custom => None,
            AuthFlow::Password => {
                let kept = self.profile.kept(PASSWORD).cloned();
                Some(Box::new(Question {
                    request: Some(request::sign_in(self, &spend)),
                    read: Box::new(move |response| reply::signed_in(response, kept.as_ref())),
                    fail: Outcome::Failed,
                }))
            }
        }
    }

    fn login(&self, start: LoginStart) -> Option<Box<dyn Login>> {
        Some(Box::new(login::Conversation::new(self.clone(), start)))
    }

    fn sends_a_code(&self) -> bool {
        self.flow == AuthFlow::Custom
    }

    /// Ends this login and no other of the user's: the refresh token, and the access tokens
    /// that came of it.
    fn revoke(&self, spend: Spend) -> Option<Box<dyn Deed<()>>> {
        Some(Box::new(Question {
            request: Some(request::revoke(self, &spend)),
            read: Box::new(reply::done),
            fail: Err,
        }))
    }

    /// A pool lists no sessions and ends none by itself; `GlobalSignOut` ends all of the
    /// user's at once, on every device, which is why a logout does not use it.
    fn sessions(&self, order: SessionOrder, access: Secret) -> Option<Box<dyn Deed<Sessions>>> {
        match order {
            SessionOrder::List | SessionOrder::End(_) => None,
            SessionOrder::EndAll => Some(Box::new(Question {
                request: Some(request::global_sign_out(self, &access)),
                read: Box::new(|response| reply::done(response).map(|()| Sessions::Ended(None))),
                fail: Err,
            })),
        }
    }
}

/// A conversation of one request and its answer.
struct Question<T> {
    /// What is to be sent, until it is; or why it could not be written.
    request: Option<Result<Request, RefreshError>>,
    read: Box<dyn Fn(&Response) -> T + Send>,
    fail: fn(RefreshError) -> T,
}

impl<T> Question<T> {
    fn step(&mut self, response: Option<Response>) -> Step<T> {
        match (self.request.take(), response) {
            (Some(Ok(request)), None) => Step::Ask(request),
            (Some(Err(error)), None) => Step::Done((self.fail)(error)),
            (None, Some(response)) => Step::Done((self.read)(&response)),
            (Some(_), Some(_)) | (None, None) => Step::Done((self.fail)(RefreshError::Internal(
                "a conversation was driven out of order".into(),
            ))),
        }
    }
}

impl Exchange for Question<Outcome> {
    fn next(&mut self, response: Option<Response>) -> Step {
        self.step(response)
    }

    fn learned(&self) -> Option<Url> {
        None
    }
}

impl<T> Deed<T> for Question<Result<T, RefreshError>> {
    fn next(&mut self, response: Option<Response>) -> Step<Result<T, RefreshError>> {
        self.step(response)
    }
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
