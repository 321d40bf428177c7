//! What an answer of 200 to 299 grants. Login and refresh answer alike.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::error::RefreshError;
use crate::provider::Response;
use crate::provider::answer::is_page;
use crate::provider::answer::is_printable;
use crate::provider::fault::Stranger;
use crate::provider::jwt::Claims;
use crate::provider::lifetime::lifetime;
use crate::provider::lifetime::refresh_lifetime;
use crate::provider::member::Member;
use crate::provider::member::Object;
use crate::time::Timestamp;
use crate::token::Grant;
use crate::token::Secret;
use crate::token::TokenSet;

/// Lifetime of access tokens, which stands in the server's code and cannot be configured.
pub(super) const DEFAULT_LIFETIME: Duration = Duration::from_secs(1800);

/// Lifetime of refresh tokens, of which the same is true.
const REFRESH_LIFETIME: Duration = Duration::from_secs(7 * 86_400);

/// Reads a success. `spent` is the refresh token that it was asked for with; a login has none.
pub(super) fn read(
    response: &Response,
    spent: Option<&Secret>,
) -> Result<Box<Grant>, RefreshError> {
    if let Ok(Object(reply)) = serde_json::from_slice(&response.body) {
        return granted(reply, response.date, spent);
    }
    Err(if is_page(response) {
        Stranger::Page(response.status).into()
    } else if response.complete {
        RefreshError::Malformed("no JSON object".into())
    } else if spent.is_some() {
        RefreshError::ReplyLost("the answer breaks off".into())
    } else {
        RefreshError::Unreachable("the answer breaks off".into())
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    access_token: Member,
    refresh_token: Member,
    /// Seconds.
    expires_in: Member,
    user: Object<User>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: Member,
    username: Member,
}

fn granted(
    reply: Reply,
    date: Option<Timestamp>,
    spent: Option<&Secret>,
) -> Result<Box<Grant>, RefreshError> {
    let access = reply.access_token.into_text().filter(is_printable);
    let access = access.ok_or(RefreshError::Malformed("no access token in it".into()))?;
    let refresh_token = reply.refresh_token.into_text();
    let refresh_lifetime = match (&refresh_token, spent) {
        (Some(new), _) => Some(left(new, date).unwrap_or(REFRESH_LIFETIME)),
        (None, Some(kept)) => left(kept, date),
        (None, None) => return Err(RefreshError::Malformed("no refresh token in it".into())),
    };

    let told = match (reply.expires_in, left(&access, date)) {
        (Member::Absent, Some(left)) => Member::Number(left.as_secs_f64()),
        (told, _) => told,
    };
    let lifetime = lifetime(&told, [None, None], DEFAULT_LIFETIME);
    let User { id, username } = reply.user.0;
    Ok(Box::new(Grant {
        tokens: Arc::new(TokenSet { access, id: None, token_type: "bearer".into(), scope: None }),
        refresh_token,
        lifetime,
        refresh_lifetime,
        aws: None,
        // The wiki's answer to a refresh leaves out the number that its login has.
        subject: username.identifier().or_else(|| id.identifier()),
    }))
}

/// How long a token is good by its own `exp`, counted from the response's own `Date`: both
/// are of one clock, so a wrong one on this host does not matter.
fn left(token: &Secret, date: Option<Timestamp>) -> Option<Duration> {
    let left = end_secs(token)? - date?.as_secs() as f64;
    refresh_lifetime(&Member::Number(left))
}

/// `exp` of a token (RFC 7519 section 4.1.4), in seconds since the epoch.
pub(super) fn end_secs(token: &Secret) -> Option<f64> {
    Claims::of(token)?.exp.number()
}
