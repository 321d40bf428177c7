//! A person logs in: by a code on any device (RFC 8628), or in a browser of the host
//! (RFC 8252).
//!
//! Where only the issuer is configured, its metadata are asked for first. Which way is taken
//! is the configuration's to say; without a word it is the device where there is one, since
//! that works from every terminal.

use url::Url;

use super::Endpoint;
use super::OAuth2;
use super::Way;
use super::browser::Browser;
use super::device::Device;
use super::discovery;
use super::discovery::Found;
use super::discovery::Placement;
use super::discovery::Places;
use super::refusal::Meaning;
use super::reply;
use super::request::Post;
use super::request::metadata_request;
use super::request::posted;
use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::provider::Outcome;
use crate::provider::Response;
use crate::provider::fault::Missing;
use crate::provider::login::Heard;
use crate::provider::login::Login;
use crate::provider::login::LoginStart;
use crate::provider::login::Turn;
use crate::provider::oauth2::CLIENT_SECRET;
use crate::token::Secret;

/// Begins a login.
pub(super) fn begin(account: OAuth2, mut start: LoginStart) -> Box<dyn Login> {
    let secret = start.take(CLIENT_SECRET);
    let client = Client { account, secret };
    let LoginStart { redirect, nonce, .. } = start;
    Box::new(Conversation { client, redirect, nonce, stage: Stage::Beginning })
}

/// Who logs in.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) account: OAuth2,
    pub(super) secret: Option<Secret>,
}

impl Client {
    /// A request of this client. Nothing that a login sends spends a refresh token.
    pub(super) fn post(
        &self,
        url: &Url,
        own: Vec<(&str, &str)>,
        further: &[(Box<str>, Box<str>)],
    ) -> Result<Turn, RefreshError> {
        let post = Post { own, further, secret: self.secret.as_ref(), spends: false };
        posted(&self.account, url, post).map(Turn::Ask)
    }
}

/// One login.
struct Conversation {
    client: Client,
    redirect: Option<Url>,
    nonce: Secret,
    stage: Stage,
}

enum Stage {
    Beginning,
    Discovering(Placement),
    Device(Box<Device>),
    Browser(Box<Browser>),
}

impl Login for Conversation {
    fn next(&mut self, heard: Heard) -> Turn {
        self.turn(heard).unwrap_or_else(|error| Turn::Done(Err(error.hiding(&self.told()))))
    }
}

impl Conversation {
    /// What the provider was told, and may say back, that no driver knows to be secret.
    fn told(&self) -> Vec<Secret> {
        match &self.stage {
            Stage::Beginning | Stage::Discovering(_) => Vec::new(),
            Stage::Device(device) => device.told().cloned().into_iter().collect(),
            Stage::Browser(browser) => browser.told().cloned().collect(),
        }
    }

    fn turn(&mut self, heard: Heard) -> Result<Turn, RefreshError> {
        match (&mut self.stage, heard) {
            (Stage::Beginning, Heard::Begun) => match self.client.account.endpoint.clone() {
                Endpoint::Given(token) => self.enter(None, token),
                Endpoint::Discovered { issuer } => Ok(self.look(Placement::OpenId, &issuer)),
            },
            (Stage::Discovering(placement), heard) => {
                let placement = *placement;
                self.found(placement, heard)
            }
            (Stage::Device(device), heard) => device.next(heard),
            (Stage::Browser(browser), heard) => browser.next(heard),
            (Stage::Beginning, _) => Err(out_of_order()),
        }
    }

    fn look(&mut self, placement: Placement, issuer: &Url) -> Turn {
        self.stage = Stage::Discovering(placement);
        Turn::Ask(metadata_request(placement.url(issuer)))
    }

    fn found(&mut self, placement: Placement, heard: Heard) -> Result<Turn, RefreshError> {
        let Endpoint::Discovered { issuer } = self.client.account.endpoint.clone() else {
            return Err(out_of_order());
        };
        let metadata = match heard {
            Heard::Response(metadata, _) => metadata,
            // It carries nothing, so it can be asked for as often as one likes.
            Heard::Lost(_) => return Ok(self.look(placement, &issuer)),
            Heard::Begun | Heard::Answer(..) | Heard::Waited(_) | Heard::Called(_) => {
                return Err(out_of_order());
            }
        };
        let transport = &self.client.account.profile.transport;
        match (discovery::read(&metadata, &issuer, transport)?, placement) {
            (Found::Places(places), _) => {
                let token = places.token.clone();
                self.enter(Some((*places, issuer)), token)
            }
            (Found::Nothing, Placement::OpenId) => Ok(self.look(Placement::Rfc8414, &issuer)),
            (Found::Nothing, Placement::Rfc8414) => Err(Missing::Metadata.into()),
        }
    }

    /// Takes the way that there is. The account's own keys win over the metadata.
    fn enter(&mut self, named: Option<(Places, Url)>, token: Url) -> Result<Turn, RefreshError> {
        let doors = &self.client.account.doors;
        let places = named.as_ref().map(|(places, _)| places);
        let device = doors.device.clone().or_else(|| places?.device.clone());
        let authorization = doors.authorization.clone().or_else(|| places?.authorization.clone());
        let way = match doors.way {
            Some(Way::Browser) if self.redirect.is_none() && device.is_some() => Way::Device,
            Some(way) => way,
            None if device.is_some() || authorization.is_none() => Way::Device,
            None => Way::Browser,
        };
        let client = self.client.clone();
        match way {
            Way::Device => {
                let keys = match doors.way {
                    None => "device_endpoint or authorization_endpoint",
                    Some(_) => "device_endpoint",
                };
                let url = device.ok_or(Missing::Key(keys))?;
                let mut flow = Device::new(client, url, token);
                let turn = flow.next(Heard::Begun);
                self.stage = Stage::Device(Box::new(flow));
                turn
            }
            Way::Browser => {
                let url = authorization.ok_or(Missing::Key("authorization_endpoint"))?;
                let redirect = self.redirect.clone().ok_or_else(no_browser)?;
                let issuer = named.map(|(places, issuer)| (issuer, places.says_iss));
                let mut flow = Browser::new(client, url, token, redirect, issuer, &self.nonce);
                let turn = flow.next(Heard::Begun);
                self.stage = Stage::Browser(Box::new(flow));
                turn
            }
        }
    }
}

/// What an answer of the token endpoint means for a login.
pub(super) fn granted(outcome: Outcome) -> Result<Turn, RefreshError> {
    match outcome {
        Outcome::Granted(grant) => Ok(Turn::Done(Ok(grant))),
        Outcome::Salvaged(_, error) | Outcome::Failed(error) => Err(of_a_login(error)),
    }
}

/// A word that is on no list ends a login, as RFC 8628 section 3.5 wants it. For a refresh it
/// passes; here a person waits, and nothing is lost by asking again. Providers have words of
/// their own: Microsoft's `authorization_declined`, GitHub's `incorrect_device_code`.
pub(super) fn unlisted(reply: &Response) -> Option<RefreshError> {
    let passes =
        !matches!(reply.status, 200..=299 | 400..=499) || matches!(reply.status, 408 | 425 | 429);
    let word = reply::word(reply).filter(|word| !passes && Meaning::of(&word.code).is_none())?;
    Some(RefreshError::LoginRejected(word))
}

/// The words of a refused refresh token mean a refused login here.
pub(super) fn of_a_login(error: RefreshError) -> RefreshError {
    let (RefreshError::GrantRejected(answer) | RefreshError::LoginRequired(answer)) = error else {
        return error;
    };
    RefreshError::LoginRejected(answer)
}

/// That a login heard what it had not asked for.
pub(super) fn out_of_order() -> RefreshError {
    RefreshError::Internal("a login was driven out of order".into())
}

fn no_browser() -> RefreshError {
    let why = "this account logs in by a browser of this host: leave out --no-browser";
    RefreshError::LoginRejected(OauthError::new("no_browser", Some(why)))
}
