//! Signing in with a password and perhaps a one-time code: with what is stored, or with a
//! person who types what is not.

use url::Url;

use super::KasaMonitor;
use super::PASSWORD;
use super::TOTP;
use super::refusal;
use super::refusal::OfLogin;
use super::reply;
use super::request;
use super::totp;
use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::provider::Exchange;
use crate::provider::Outcome;
use crate::provider::Request;
use crate::provider::Response;
use crate::provider::Spend;
use crate::provider::Step;
use crate::provider::answer::without_a_person;
use crate::provider::login::Heard;
use crate::provider::login::Login;
use crate::provider::login::LoginStart;
use crate::provider::login::Prompt;
use crate::provider::login::Turn;
use crate::time::Timestamp;
use crate::token::Secret;

/// A sign-in in which no person has a part.
pub(super) struct SignIn {
    account: KasaMonitor,
    /// Until it is asked.
    request: Option<Result<Request, RefreshError>>,
}

impl SignIn {
    pub(super) fn new(account: KasaMonitor, spend: &Spend) -> Self {
        Self { request: Some(first_request(&account, spend)), account }
    }
}

fn first_request(account: &KasaMonitor, spend: &Spend) -> Result<Request, RefreshError> {
    let password = spend.secret(PASSWORD).ok_or_else(|| RefreshError::SecretUnavailable {
        slot: PASSWORD.into(),
        why: "the sign-in was given none".into(),
    })?;
    let code = spend.secret(TOTP).map(|seed| totp::code(seed, spend.now)).transpose()?;
    request::login(account, password, code.as_ref())
}

impl Exchange for SignIn {
    fn next(&mut self, response: Option<Response>) -> Step {
        let outcome = match (self.request.take(), response) {
            (Some(Ok(request)), None) => return Step::Ask(request),
            (Some(Err(error)), None) => Err(error),
            (None, Some(response)) if (200..=299).contains(&response.status) => {
                reply::read(&response, None)
            }
            (None, Some(response)) => Err(self.alone(refusal::of_login(&response))),
            (Some(_), Some(_)) | (None, None) => {
                Err(RefreshError::Internal("an exchange was driven out of order".into()))
            }
        };
        Step::Done(outcome.map_or_else(Outcome::Failed, Outcome::Granted))
    }

    fn learned(&self) -> Option<Url> {
        None
    }
}

impl SignIn {
    /// What a refusal means where nobody can be asked.
    fn alone(&self, refusal: OfLogin) -> RefreshError {
        let because_of = |slot, error| {
            let kept = self.account.profile.kept(slot);
            without_a_person(error, slot, kept)
        };
        match refusal {
            OfLogin::CodeWanted => RefreshError::LoginRejected(OauthError::new(
                "2FA verification required",
                Some("set totp for this account, or log in with tokenctl login"),
            )),
            OfLogin::CodeWrong(answer) => {
                let said = answer.description.as_deref().unwrap_or_default();
                let words = format!("{said}; it may be the clock of this host, too");
                let answer = OauthError::new(&answer.code, Some(&words));
                because_of(TOTP, RefreshError::LoginRejected(answer))
            }
            OfLogin::Failed(error) => because_of(PASSWORD, error),
        }
    }
}

/// Most codes that one login sends: the server counts five logins a minute, refused ones too.
const MOST_CODES: u8 = 3;

/// A login that asks a person for what is not stored.
pub(super) struct Interview {
    account: KasaMonitor,
    /// Kept to the end, because the request with the code carries it again.
    password: Option<Secret>,
    /// Where codes come from without a person, until one of them is refused.
    seed: Option<Secret>,
    /// The code that a person typed, until there is an answer to it.
    code: Option<Secret>,
    /// How many codes were refused.
    refused: u8,
    /// Whether a packet was lost before: one must not cost a person the typing.
    lost: bool,
    /// The time of the last thing that was heard.
    now: Timestamp,
}

impl Interview {
    pub(super) fn new(account: KasaMonitor, mut start: LoginStart) -> Self {
        Self {
            account,
            password: start.take(PASSWORD),
            seed: start.take(TOTP),
            code: None,
            refused: 0,
            lost: false,
            now: start.now,
        }
    }

    fn ask(&self) -> Turn {
        let Some(password) = &self.password else {
            return Turn::Prompt(Prompt::Password { of: self.account.username.clone() });
        };
        let computed = self.seed.as_ref().map(|seed| totp::code(seed, self.now)).transpose();
        let request = computed.and_then(|computed| {
            let code = self.code.as_ref().or(computed.as_ref());
            request::login(&self.account, password, code)
        });
        request.map_or_else(|error| Turn::Done(Err(error)), Turn::Ask)
    }

    fn take(&mut self, answer: Secret) {
        if self.password.is_none() {
            self.password = Some(answer);
        } else {
            // Authenticator programs show it in two groups.
            let digits = answer.expose().split_whitespace().collect::<String>();
            self.code = Some(Secret::new(digits));
        }
    }

    fn answered(&mut self, response: &Response) -> Turn {
        let had_seed = self.seed.take().is_some();
        self.code = None;
        if (200..=299).contains(&response.status) {
            return Turn::Done(reply::read(response, None));
        }
        let from = if had_seed {
            "the code that your authenticator program shows; the one made from the secret totp is \
             refused"
        } else {
            "the code that your authenticator program shows"
        };
        match refusal::of_login(response) {
            OfLogin::Failed(error) => Turn::Done(Err(error)),
            OfLogin::CodeWrong(answer) if self.refused + 1 >= MOST_CODES => {
                Turn::Done(Err(RefreshError::LoginRejected(answer)))
            }
            OfLogin::CodeWrong(_) => {
                self.refused += 1;
                Turn::Prompt(Prompt::Code { from: from.into(), again: true, good_for: None })
            }
            OfLogin::CodeWanted => {
                Turn::Prompt(Prompt::Code { from: from.into(), again: false, good_for: None })
            }
        }
    }
}

impl Login for Interview {
    fn next(&mut self, heard: Heard) -> Turn {
        match heard {
            Heard::Begun => self.ask(),
            Heard::Answer(answer, now) => {
                self.now = now;
                self.take(answer);
                self.ask()
            }
            Heard::Response(response, now) => {
                self.now = now;
                self.answered(&response)
            }
            Heard::Lost(_) if !self.lost => {
                self.lost = true;
                self.ask()
            }
            Heard::Lost(error) => Turn::Done(Err(error)),
            Heard::Waited(_) | Heard::Called(_) => {
                Turn::Done(Err(RefreshError::Internal("a login was driven out of order".into())))
            }
        }
    }
}
