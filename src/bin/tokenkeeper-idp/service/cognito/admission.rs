//! Who may ask a user pool for tokens: the client, by its secret if it has one, and the user.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::hmac::hmac;
use crate::hmac::sha256;
use crate::service::bench::Bench;
use crate::service::cognito::wire::Denial;
use crate::service::cognito::wire::Params;

/// What the pool thinks of the user.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum User {
    Enabled,
    Disabled,
    NotFound,
    NotConfirmed,
    PasswordResetRequired,
}

impl User {
    /// Lets the user in.
    ///
    /// # Errors
    ///
    /// Or not.
    pub(super) fn check(self) -> Result<(), Denial> {
        match self {
            Self::Enabled => Ok(()),
            Self::Disabled => Err(Denial::not_authorized("disabled_user", "User is disabled.")),
            Self::NotFound => Err(Denial::new("UserNotFoundException", "User does not exist.")),
            Self::NotConfirmed => {
                Err(Denial::new("UserNotConfirmedException", "User is not confirmed."))
            }
            Self::PasswordResetRequired => Err(Denial::new(
                "PasswordResetRequiredException",
                "Password reset required for the user",
            )),
        }
    }
}

/// Checks that the client is the one of this account.
///
/// # Errors
///
/// It is another one.
pub(super) fn client(bench: &Bench<'_>, client_id: &str) -> Result<(), Denial> {
    if client_id == bench.behaviour.client_id(bench.vault.account()) {
        return Ok(());
    }
    let message = format!("User pool client {client_id} does not exist.");
    Err(Denial::new("ResourceNotFoundException", message))
}

/// Checks the proof of a client that has a secret: the HMAC-SHA256 of user name and client id under
/// the secret. Either name of the user will do.
///
/// # Errors
///
/// The proof is missing, wrong, or one too many.
pub(super) fn secret_hash(bench: &Bench<'_>, params: &Params) -> Result<(), Denial> {
    let (behaviour, account) = (bench.behaviour, bench.vault.account());
    let presented = params.get("SECRET_HASH");
    let client_id = behaviour.client_id(account);
    match (behaviour.scripted_secret(), presented) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(secret_refused(format!(
            "Client {client_id} is not configured for secret but secret hash was received"
        ))),
        (Some(_), None) => Err(secret_refused(format!(
            "Client {client_id} is configured with secret but SECRET_HASH was not received"
        ))),
        (Some(secret), Some(presented)) => {
            let names = [behaviour.username(account), behaviour.subject(account)];
            if names.iter().any(|name| hash_of(secret, name, client_id) == presented) {
                return Ok(());
            }
            Err(secret_refused(format!("Unable to verify secret hash for client {client_id}")))
        }
    }
}

fn hash_of(secret: &str, username: &str, client_id: &str) -> String {
    STANDARD.encode(hmac(sha256, secret.as_bytes(), format!("{username}{client_id}").as_bytes()))
}

/// Checks the secret of a client that presents it as it is.
///
/// # Errors
///
/// It is missing, wrong, or one too many.
pub(super) fn client_secret(bench: &Bench<'_>, presented: Option<&str>) -> Result<(), Denial> {
    if presented == bench.behaviour.scripted_secret() {
        return Ok(());
    }
    let client_id = bench.behaviour.client_id(bench.vault.account());
    Err(secret_refused(format!("Unable to verify client secret for client {client_id}")))
}

fn secret_refused(message: String) -> Denial {
    Denial::not_authorized("wrong_client_secret", message)
}

/// Checks that the user is the one of this account, by either name, and may come in.
///
/// # Errors
///
/// It is another one, or may not.
pub(super) fn user(bench: &Bench<'_>, params: &Params) -> Result<(), Denial> {
    let (behaviour, account) = (bench.behaviour, bench.vault.account());
    let name = params.one("USERNAME")?;
    if ![behaviour.username(account), behaviour.subject(account)].contains(&name) {
        return User::NotFound.check();
    }
    behaviour.cognito.user.check()
}
