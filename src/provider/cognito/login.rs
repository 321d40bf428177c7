//! A login: by a code that the pool sends, or by the password and perhaps a code after it.
//!
//! Each question has a session, in which its answer counts once. A wrong code brings either
//! another challenge, with another session, or an exception that leaves the old one standing;
//! in both cases the person is asked again. A session that is over takes the login with it,
//! because only its begin has the pool send another code.

use std::mem;
use std::time::Duration;

use super::AuthFlow;
use super::CLIENT_SECRET;
use super::Cognito;
use super::PASSWORD;
use super::challenge::Challenge;
use super::challenge::Kind;
use super::refusal::Asked;
use super::reply;
use super::reply::Reply;
use super::request;
use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::provider::Request;
use crate::provider::login::Heard;
use crate::provider::login::Login;
use crate::provider::login::LoginStart;
use crate::provider::login::Prompt;
use crate::provider::login::Turn;
use crate::time::Timestamp;
use crate::token::Grant;
use crate::token::Secret;

/// How long a session is good where its pool does not say otherwise (`AuthSessionValidity`,
/// 3 to 15 minutes, which is not told on the wire).
const SESSION: Duration = Duration::from_secs(180);

/// Most codes that a person is asked for in one login. Pools give up sooner.
const MOST_QUESTIONS: u8 = 6;

/// A login that is under way.
pub(super) struct Conversation {
    account: Cognito,
    /// Every request proves the client, if it has a secret.
    client_secret: Option<Secret>,
    stage: Stage,
    questions: u8,
}

enum Stage {
    /// Nothing was said yet.
    Beginning(Option<Secret>),
    /// The person is asked for the password.
    AskingPassword,
    /// The first request is out.
    Starting,
    /// The person is asked for a code.
    AskingCode(Open),
    /// A code is out, since then.
    Answering(Open, Timestamp),
    /// It is over.
    Over,
}

/// A challenge that stands.
struct Open {
    challenge: Challenge,
    /// When it came.
    since: Timestamp,
}

impl Conversation {
    pub(super) fn new(account: Cognito, mut start: LoginStart) -> Self {
        let client_secret = start.take(CLIENT_SECRET);
        let stage = Stage::Beginning(start.take(PASSWORD));
        Self { account, client_secret, stage, questions: 0 }
    }
}

impl Login for Conversation {
    fn next(&mut self, heard: Heard) -> Turn {
        let turn = match (mem::replace(&mut self.stage, Stage::Over), heard) {
            (Stage::Beginning(password), Heard::Begun) => self.begin(password),
            (Stage::AskingPassword, Heard::Answer(password, _)) => self.start_by(&password),
            (Stage::Starting, Heard::Response(response, at)) => {
                self.heard(reply::read(&response, Asked::SignIn), None, at)
            }
            (Stage::AskingCode(open), Heard::Answer(code, at)) => self.answer(open, &code, at),
            (Stage::Answering(open, _), Heard::Response(response, at)) => {
                self.heard(reply::read(&response, Asked::Answer), Some(open), at)
            }
            // Whether the code arrived is not known. If it did, the session is over, and the
            // pool says so to the next one.
            (Stage::Answering(open, at), Heard::Lost(error)) => {
                self.ask_again(open, Again::AfterALoss, at, error)
            }
            (_, Heard::Lost(error)) => Err(error),
            (
                Stage::Beginning(_)
                | Stage::AskingPassword
                | Stage::Starting
                | Stage::AskingCode(_)
                | Stage::Answering(..)
                | Stage::Over,
                Heard::Begun
                | Heard::Response(..)
                | Heard::Answer(..)
                | Heard::Waited(_)
                | Heard::Called(_),
            ) => Err(RefreshError::Internal("a login was driven out of order".into())),
        };
        turn.unwrap_or_else(|error| Turn::Done(Err(error)))
    }
}

/// Why a person is asked the same once more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Again {
    WrongCode,
    AfterALoss,
}

impl Conversation {
    fn begin(&mut self, password: Option<Secret>) -> Result<Turn, RefreshError> {
        match (self.account.flow, password) {
            (AuthFlow::Custom, _) => {
                let request = request::by_code(&self.account, self.client_secret.as_ref())?;
                Ok(self.send(request, Stage::Starting))
            }
            (AuthFlow::Password, Some(password)) => self.start_by(&password),
            (AuthFlow::Password, None) => {
                self.stage = Stage::AskingPassword;
                Ok(Turn::Prompt(Prompt::Password { of: (&*self.account.user).into() }))
            }
        }
    }

    fn start_by(&mut self, password: &Secret) -> Result<Turn, RefreshError> {
        let secret = self.client_secret.as_ref();
        let request = request::by_password(&self.account, password, secret)?;
        Ok(self.send(request, Stage::Starting))
    }

    fn answer(&mut self, open: Open, code: &Secret, at: Timestamp) -> Result<Turn, RefreshError> {
        let (secret, code) = (self.client_secret.as_ref(), code.expose().trim());
        let request = request::answer(&self.account, &open.challenge, code, secret)?;
        Ok(self.send(request, Stage::Answering(open, at)))
    }

    fn send(&mut self, request: Request, stage: Stage) -> Turn {
        self.stage = stage;
        Turn::Ask(request)
    }

    /// Goes on from a reply to the begin, or to the answer of `asked`.
    fn heard(
        &mut self,
        reply: Reply,
        asked: Option<Open>,
        at: Timestamp,
    ) -> Result<Turn, RefreshError> {
        match (reply, asked) {
            (Reply::Granted(grant), _) => Ok(Turn::Done(Ok(refreshable(grant)?))),
            (Reply::Challenged(challenge), asked) => {
                let last = asked.map(|open| open.challenge);
                let again = last.as_ref().is_some_and(|last| last.kind == challenge.kind);
                let challenge = challenge.after(last);
                self.ask(Open { challenge, since: at }, again, SESSION)
            }
            (Reply::WrongCode(answer), Some(open)) => {
                let over = RefreshError::LoginRejected(answer);
                self.ask_again(open, Again::WrongCode, at, over)
            }
            (Reply::WrongCode(answer), None) => Err(RefreshError::LoginRejected(answer)),
            (Reply::Salvaged(_, error) | Reply::Failed(error), _) => Err(error),
        }
    }

    /// Asks the same in the same session, if that is not over; else fails with `over`.
    fn ask_again(
        &mut self,
        open: Open,
        again: Again,
        at: Timestamp,
        over: RefreshError,
    ) -> Result<Turn, RefreshError> {
        match SESSION.checked_sub(at.since(open.since)).filter(|left| !left.is_zero()) {
            Some(left) => self.ask(open, again == Again::WrongCode, left),
            None => Err(over),
        }
    }

    fn ask(&mut self, open: Open, again: bool, good_for: Duration) -> Result<Turn, RefreshError> {
        let kind = open.challenge.kind;
        if self.questions == MOST_QUESTIONS {
            let words = format!("{MOST_QUESTIONS} codes were of no use; start the login again");
            let answer = OauthError::new(kind.name(), Some(&words));
            return Err(RefreshError::LoginRejected(answer));
        }
        self.questions += 1;
        let from = from(&open.challenge, &self.account.user).into();
        self.stage = Stage::AskingCode(open);
        Ok(Turn::Prompt(Prompt::Code { from, again, good_for: Some(good_for) }))
    }
}

impl Challenge {
    /// This one, with what the one before it said of the user and this one does not.
    fn after(self, last: Option<Self>) -> Self {
        let Some(last) = last else { return self };
        let same = self.kind == last.kind;
        Self {
            user: self.user.or(last.user),
            destination: self.destination.or(last.destination.filter(|_| same)),
            ..self
        }
    }
}

/// Where the code comes from, in words.
fn from(challenge: &Challenge, user: &str) -> String {
    match (challenge.kind, &challenge.destination) {
        (Kind::App, _) => "the code in the authenticator app".into(),
        (Kind::Sms, None) => "the code that was sent to your telephone".into(),
        (Kind::Custom | Kind::Email, None) => format!("the code that was sent to {user}"),
        (Kind::Custom | Kind::Email | Kind::Sms, Some(destination)) => {
            format!("the code that was sent to {destination}")
        }
    }
}

/// A login is for a refresh token: without one its tokens would end and nothing go on.
fn refreshable(grant: Box<Grant>) -> Result<Box<Grant>, RefreshError> {
    if grant.refresh_token.is_none() {
        return Err(RefreshError::Malformed("the login brought no refresh token".into()));
    }
    Ok(grant)
}
