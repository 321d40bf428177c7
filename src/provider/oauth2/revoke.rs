//! Ending a login: RFC 7009.
//!
//! To end the refresh token ends the access tokens that came of it, where the provider can
//! (section 2.1). A refresh token that the provider does not know any more is ended already:
//! the RFC wants a success for that, and Google says `invalid_token`.

use std::time::Duration;

use url::Url;

use super::Endpoint;
use super::OAuth2;
use super::discovery;
use super::discovery::Found;
use super::discovery::Placement;
use super::reply;
use super::reply::Rules;
use super::request::Post;
use super::request::metadata_request;
use super::request::posted;
use crate::error::RefreshError;
use crate::provider::Response;
use crate::provider::Spend;
use crate::provider::Step;
use crate::provider::deed::Deed;
use crate::provider::fault::Missing;
use crate::provider::fault::place;
use crate::provider::oauth2::CLIENT_SECRET;
use crate::token::Secret;

/// Begins to end the login that `spend` is of. `None` where no place for that is known, and
/// none can be asked for.
pub(super) fn begin(account: OAuth2, mut spend: Spend) -> Option<Box<dyn Deed<()>>> {
    let refresh_token = spend.refresh_token.take()?;
    let place = match (&account.doors.revocation, &account.endpoint) {
        (Some(url), _) => Place::Known(url.clone()),
        (None, Endpoint::Discovered { issuer }) => Place::NamedBy(issuer.clone()),
        (None, Endpoint::Given(_)) => return None,
    };
    let secret = spend.secret(CLIENT_SECRET).cloned();
    Some(Box::new(Revocation { account, refresh_token, secret, place, stage: Stage::Beginning }))
}

/// One revocation.
struct Revocation {
    account: OAuth2,
    refresh_token: Secret,
    secret: Option<Secret>,
    place: Place,
    stage: Stage,
}

/// Where the request goes.
enum Place {
    Known(Url),
    NamedBy(Url),
}

#[derive(Clone)]
enum Stage {
    Beginning,
    Discovering(Placement),
    Asking(Url),
}

impl Deed<()> for Revocation {
    fn next(&mut self, response: Option<Response>) -> Step<Result<(), RefreshError>> {
        let step = match (self.stage.clone(), response) {
            (Stage::Beginning, None) => match &self.place {
                Place::Known(url) => self.ask(&url.clone()),
                Place::NamedBy(issuer) => Ok(self.look(Placement::OpenId, &issuer.clone())),
            },
            (Stage::Discovering(placement), Some(metadata)) => self.found(placement, &metadata),
            (Stage::Asking(url), Some(answer)) => Ok(Step::Done(ended(&answer, &url))),
            (Stage::Beginning, Some(_)) | (Stage::Discovering(_) | Stage::Asking(_), None) => {
                Err(RefreshError::Internal("a logout was driven out of order".into()))
            }
        };
        step.unwrap_or_else(|error| Step::Done(Err(error)))
    }
}

impl Revocation {
    fn look(&mut self, placement: Placement, issuer: &Url) -> Step<Result<(), RefreshError>> {
        self.stage = Stage::Discovering(placement);
        Step::Ask(metadata_request(placement.url(issuer)))
    }

    fn found(
        &mut self,
        placement: Placement,
        metadata: &Response,
    ) -> Result<Step<Result<(), RefreshError>>, RefreshError> {
        let Place::NamedBy(issuer) = &self.place else {
            return Err(RefreshError::Internal("a known place was looked for".into()));
        };
        let issuer = issuer.clone();
        let transport = &self.account.profile.transport;
        match (discovery::read(metadata, &issuer, transport)?, placement) {
            (Found::Places(places), _) => match places.revocation {
                Some(url) => self.ask(&url),
                None => Err(Missing::Revocation.into()),
            },
            (Found::Nothing, Placement::OpenId) => Ok(self.look(Placement::Rfc8414, &issuer)),
            (Found::Nothing, Placement::Rfc8414) => Err(Missing::Metadata.into()),
        }
    }

    /// RFC 7009 section 2.1. It takes a form, whatever the token endpoint takes.
    fn ask(&mut self, url: &Url) -> Result<Step<Result<(), RefreshError>>, RefreshError> {
        self.stage = Stage::Asking(url.clone());
        let account = OAuth2 { format: super::Format::Form, ..self.account.clone() };
        let own =
            vec![("token", self.refresh_token.expose()), ("token_type_hint", "refresh_token")];
        let post = Post { own, further: &[], secret: self.secret.as_ref(), spends: false };
        posted(&account, url, post).map(Step::Ask)
    }
}

/// RFC 7009 section 2.2.
fn ended(answer: &Response, url: &Url) -> Result<(), RefreshError> {
    let gone = reply::word(answer).is_some_and(|word| &*word.code == "invalid_token");
    match answer.status {
        200..=299 => Ok(()),
        400 if gone => Ok(()),
        _ => {
            let endpoint = place(url);
            let rules =
                Rules { endpoint: &endpoint, default_lifetime: Duration::ZERO, spends: false };
            Err(reply::failure(answer, rules))
        }
    }
}
