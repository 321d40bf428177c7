//! The two requests. Neither carries an `authorization` header.

use super::Navien;
use crate::error::RefreshError;
use crate::provider::Request;
use crate::provider::Spend;
use crate::provider::ask;
use crate::token::Secret;

/// Asks for new tokens, with the refresh token in the body.
pub(super) fn refresh(account: &Navien, spend: &Spend) -> Result<Request, RefreshError> {
    let token = spend
        .refresh_token
        .as_ref()
        .ok_or(RefreshError::Internal("an exchange began without a refresh token".into()))?;
    let url = ask::below(&account.base, ["auth", "refresh"]);
    let request = ask::post(url, &[("refreshToken", token.expose())])?;
    Ok(Request { spends: true, ..request })
}

/// Signs in with the password.
pub(super) fn sign_in(account: &Navien, password: &Secret) -> Result<Request, RefreshError> {
    let url = ask::below(&account.base, ["user", "sign-in"]);
    ask::post(url, &[("userId", &account.email), ("password", password.expose())])
}
