//! Kasa Monitor, a server that people run at home to watch their smart plugs.
//!
//! How it differs from OAuth 2.0:
//!
//! * A login is a user name, a password and, where the user has set it up, a one-time code.
//! * A refresh brings a new refresh token and leaves the old one alive until its own end,
//!   seven days after it was made. The end stands in the token alone.
//! * The server crashes where it means to refuse: a refresh token that it does not know, and
//!   a refresh too many, are both answered by a bare HTTP 500. What it means is found out by
//!   asking for something harmless besides; see `refusal`.
//! * The server and its wiki disagree about errors. Both dialects are understood, and a code
//!   is judged by the endpoint that says it: `TOKEN_INVALID` means the password at a login.
//! * A logout ends nothing: both tokens work on until their ends. So there is nothing to
//!   revoke with, and a logout that forgets the tokens here is all that there is.
//! * The wiki's sessions do not exist on every server; where they do, they can be listed and
//!   ended.
//!
//! # Reading order
//!
//! 1. `request`: what is asked; `totp` computes one-time codes.
//! 2. `refresh`: an exchange; `reply` is what an answer grants, `refusal` the table of errors.
//! 3. `login`: a sign-in, and a login that asks a person for what is not stored.
//! 4. `sessions`.
//!
//! # Invariants
//!
//! * The refresh token is sent to the refresh endpoint alone and never as an access token,
//!   for which the server would take it.
//! * One refresh makes at most two requests, the second of which carries no secret.
//! * No error carries a part of a body except through [`OauthError`](crate::error::foreign::OauthError).

use std::sync::Arc;

use url::Url;

use self::login::Interview;
use self::login::SignIn;
use self::refresh::Refresh;
use self::sessions::Order;
use super::Exchange;
use super::Profile;
use super::Provider;
use super::Spend;
use super::deed::Deed;
use super::deed::SessionOrder;
use super::deed::Sessions;
use super::login::Login;
use super::login::LoginStart;
use crate::section::Section;
use crate::token::Secret;

mod login;
mod refresh;
mod refusal;
mod reply;
mod request;
mod sessions;
mod settings;
mod totp;

/// Slot of the password, in [`Spend::secrets`] and in `tokenctl secret set`.
pub const PASSWORD: &str = "password";

/// Slot of the seed of one-time codes.
pub const TOTP: &str = "totp";

/// Reads the keys of a `kasa-monitor` account.
pub fn configure(section: &mut Section<'_>) -> Option<Arc<dyn Provider>> {
    settings::configure(section)
}

/// An account at a Kasa Monitor.
#[derive(Clone, Debug)]
pub struct KasaMonitor {
    /// What the paths of the server stand below.
    pub base: Url,
    /// Whose account it is.
    pub username: Box<str>,
    /// What the rest of the program needs to know.
    pub profile: Profile,
}

impl Provider for KasaMonitor {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn exchange(&self, spend: Spend) -> Box<dyn Exchange> {
        Box::new(Refresh::new(self.base.clone(), spend))
    }

    fn sign_in(&self, spend: Spend) -> Option<Box<dyn Exchange>> {
        Some(Box::new(SignIn::new(self.clone(), &spend)))
    }

    fn flaw_of_secret(&self, slot: &str, secret: &Secret) -> Option<&'static str> {
        (slot == TOTP).then(|| totp::flaw(secret)).flatten()
    }

    fn login(&self, start: LoginStart) -> Option<Box<dyn Login>> {
        Some(Box::new(Interview::new(self.clone(), start)))
    }

    fn sessions(&self, order: SessionOrder, access: Secret) -> Option<Box<dyn Deed<Sessions>>> {
        Some(Box::new(Order::new(self.base.clone(), order, access)))
    }
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
