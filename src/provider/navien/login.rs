//! A sign-in with a person who types the password, unless it is stored.

use super::Navien;
use super::PASSWORD;
use super::reply;
use super::reply::Purpose;
use super::request;
use crate::error::RefreshError;
use crate::provider::Outcome;
use crate::provider::login::Heard;
use crate::provider::login::Login;
use crate::provider::login::LoginStart;
use crate::provider::login::Prompt;
use crate::provider::login::Turn;
use crate::token::Secret;

/// One login.
pub(super) struct PasswordLogin {
    account: Navien,
    /// Kept until there is an answer to it.
    password: Option<Secret>,
    /// Whether a packet was lost before: one must not cost a person the typing.
    lost: bool,
}

impl PasswordLogin {
    pub(super) fn new(account: Navien, mut start: LoginStart) -> Self {
        Self { account, password: start.take(PASSWORD), lost: false }
    }

    fn ask(&self) -> Turn {
        match &self.password {
            None => Turn::Prompt(Prompt::Password { of: self.account.email.clone() }),
            Some(password) => match request::sign_in(&self.account, password) {
                Ok(request) => Turn::Ask(request),
                Err(error) => Turn::Done(Err(error)),
            },
        }
    }
}

impl Login for PasswordLogin {
    fn next(&mut self, heard: Heard) -> Turn {
        match heard {
            Heard::Begun => self.ask(),
            Heard::Answer(password, _) => {
                self.password = Some(password);
                self.ask()
            }
            Heard::Lost(_) if !self.lost => {
                self.lost = true;
                self.ask()
            }
            Heard::Lost(error) => Turn::Done(Err(error)),
            Heard::Response(response, _) => {
                self.password = None;
                match reply::read(&response, &self.account.rules(Purpose::SignIn)) {
                    Outcome::Granted(grant) => Turn::Done(Ok(grant)),
                    Outcome::Salvaged(_, error) | Outcome::Failed(error) => Turn::Done(Err(error)),
                }
            }
            Heard::Waited(_) | Heard::Called(_) => {
                Turn::Done(Err(RefreshError::Internal("a login was driven out of order".into())))
            }
        }
    }
}
