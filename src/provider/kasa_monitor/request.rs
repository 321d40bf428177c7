//! What is asked. Paths are exact: the server answers one with a slash at its end by a
//! redirect, which is never followed.

use url::Url;

use super::KasaMonitor;
use crate::error::RefreshError;
use crate::provider::Method;
use crate::provider::Request;
use crate::provider::ask;
use crate::token::Secret;

/// Signs in. The code goes as a text: the server refuses a number.
pub(super) fn login(
    account: &KasaMonitor,
    password: &Secret,
    code: Option<&Secret>,
) -> Result<Request, RefreshError> {
    let mut members = vec![("username", &*account.username), ("password", password.expose())];
    members.extend(code.map(|code| ("totp_code", code.expose())));
    ask::post(at(&account.base, ["login"]), &members)
}

/// Asks for new tokens.
pub(super) fn refresh(base: &Url, token: &Secret) -> Result<Request, RefreshError> {
    let request = ask::post(at(base, ["refresh"]), &[("refresh_token", token.expose())])?;
    Ok(Request { spends: true, ..request })
}

/// Asks whether the server was set up, which it tells everyone: a sign of life.
pub(super) fn sign_of_life(base: &Url) -> Request {
    ask::bare(Method::Get, at(base, ["setup-required"]))
}

/// Asks something about sessions, in the name of the user.
pub(super) fn sessions<'a>(
    method: Method,
    base: &Url,
    below: impl IntoIterator<Item = &'a str>,
    access: &Secret,
) -> Request {
    let mut request = ask::bare(method, ask::below(&at(base, ["sessions"]), below));
    let bearer = Secret::new(format!("Bearer {}", access.expose()));
    request.headers.push(("authorization", bearer));
    request
}

fn at<const N: usize>(base: &Url, path: [&str; N]) -> Url {
    ask::below(base, ["api", "auth"].into_iter().chain(path))
}
