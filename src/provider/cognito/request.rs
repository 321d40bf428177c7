//! What is asked of a user pool: the operations of its service model of 2016-04-18.
//!
//! None of them is signed or carries an `Authorization` header: each is proven by the token,
//! the password or the session in its body.

use serde::Serialize;
use serde::Serializer;

use super::CLIENT_SECRET;
use super::ClientAuth;
use super::Cognito;
use super::PASSWORD;
use super::RefreshOperation;
use super::challenge::Challenge;
use super::secret_hash::internal_name;
use super::secret_hash::secret_hash;
use crate::error::RefreshError;
use crate::provider::Method;
use crate::provider::Request;
use crate::provider::Spend;
use crate::token::Secret;

/// The refresh.
pub(super) fn refresh(account: &Cognito, spend: &Spend) -> Result<Request, RefreshError> {
    let token = refresh_token(spend)?;
    let secret = account.proof(spend.secret(CLIENT_SECRET))?;
    match account.refresh {
        RefreshOperation::InitiateAuth => {
            let held = spend.held.as_deref().and_then(internal_name);
            let user = held.as_deref().unwrap_or(&account.user);
            let hash = secret.map(|secret| secret_hash(secret, user, &account.client_id));
            let mut parameters = vec![("REFRESH_TOKEN", token.expose())];
            parameters.extend(hash.iter().map(|hash| ("SECRET_HASH", hash.expose())));
            account.ask(
                Operation::InitiateAuth,
                true,
                &InitiateAuth {
                    auth_flow: "REFRESH_TOKEN_AUTH",
                    auth_parameters: Named(parameters),
                    client_id: &account.client_id,
                    client_metadata: None,
                },
            )
        }
        RefreshOperation::GetTokens => account.ask(
            Operation::GetTokensFromRefreshToken,
            true,
            &GetTokens {
                refresh_token: token.expose(),
                client_id: &account.client_id,
                client_secret: secret.map(Secret::expose),
            },
        ),
    }
}

/// The sign-in with the stored password.
pub(super) fn sign_in(account: &Cognito, spend: &Spend) -> Result<Request, RefreshError> {
    let password = spend.secret(PASSWORD).ok_or_else(|| missing(PASSWORD))?;
    by_password(account, password, spend.secret(CLIENT_SECRET))
}

/// The begin of a login with a password.
pub(super) fn by_password(
    account: &Cognito,
    password: &Secret,
    client_secret: Option<&Secret>,
) -> Result<Request, RefreshError> {
    let hash = account.hash(client_secret, &account.user)?;
    let mut parameters = vec![("USERNAME", &*account.user), ("PASSWORD", password.expose())];
    parameters.extend(hash.iter().map(|hash| ("SECRET_HASH", hash.expose())));
    account.ask(
        Operation::InitiateAuth,
        false,
        &InitiateAuth {
            auth_flow: "USER_PASSWORD_AUTH",
            auth_parameters: Named(parameters),
            client_id: &account.client_id,
            client_metadata: None,
        },
    )
}

/// The begin of a login with a code, which has the pool send one and makes the code before
/// it useless.
pub(super) fn by_code(
    account: &Cognito,
    client_secret: Option<&Secret>,
) -> Result<Request, RefreshError> {
    let hash = account.hash(client_secret, &account.user)?;
    let mut parameters = vec![("USERNAME", &*account.user)];
    parameters.extend(hash.iter().map(|hash| ("SECRET_HASH", hash.expose())));
    account.ask(
        Operation::InitiateAuth,
        false,
        &InitiateAuth {
            auth_flow: "CUSTOM_AUTH",
            auth_parameters: Named(parameters),
            client_id: &account.client_id,
            client_metadata: Some(Named(Vec::new())),
        },
    )
}

/// The answer to a challenge, in the name by which the pool itself called the user.
pub(super) fn answer(
    account: &Cognito,
    challenge: &Challenge,
    answer: &str,
    client_secret: Option<&Secret>,
) -> Result<Request, RefreshError> {
    let user = challenge.user.as_deref().unwrap_or(&account.user);
    let hash = account.hash(client_secret, user)?;
    let mut responses = vec![("USERNAME", user), (challenge.kind.answer(), answer)];
    responses.extend(hash.iter().map(|hash| ("SECRET_HASH", hash.expose())));
    account.ask(
        Operation::RespondToAuthChallenge,
        false,
        &Respond {
            client_id: &account.client_id,
            challenge_name: challenge.kind.name(),
            session: challenge.session.expose(),
            challenge_responses: Named(responses),
            client_metadata: Named(Vec::new()),
        },
    )
}

/// The end of one login.
pub(super) fn revoke(account: &Cognito, spend: &Spend) -> Result<Request, RefreshError> {
    let secret = account.proof(spend.secret(CLIENT_SECRET))?;
    account.ask(
        Operation::RevokeToken,
        true,
        &Revoke {
            token: refresh_token(spend)?.expose(),
            client_id: &account.client_id,
            client_secret: secret.map(Secret::expose),
        },
    )
}

/// The end of all logins of the user.
pub(super) fn global_sign_out(account: &Cognito, access: &Secret) -> Result<Request, RefreshError> {
    account.ask(Operation::GlobalSignOut, false, &SignOut { access_token: access.expose() })
}

/// What an operation is called in its header.
#[derive(Clone, Copy)]
enum Operation {
    InitiateAuth,
    RespondToAuthChallenge,
    GetTokensFromRefreshToken,
    RevokeToken,
    GlobalSignOut,
}

impl Operation {
    const fn target(self) -> &'static str {
        match self {
            Self::InitiateAuth => "AWSCognitoIdentityProviderService.InitiateAuth",
            Self::RespondToAuthChallenge => {
                "AWSCognitoIdentityProviderService.RespondToAuthChallenge"
            }
            Self::GetTokensFromRefreshToken => {
                "AWSCognitoIdentityProviderService.GetTokensFromRefreshToken"
            }
            Self::RevokeToken => "AWSCognitoIdentityProviderService.RevokeToken",
            Self::GlobalSignOut => "AWSCognitoIdentityProviderService.GlobalSignOut",
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct InitiateAuth<'a> {
    auth_flow: &'static str,
    auth_parameters: Named<'a>,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_metadata: Option<Named<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Respond<'a> {
    client_id: &'a str,
    challenge_name: &'static str,
    session: &'a str,
    challenge_responses: Named<'a>,
    client_metadata: Named<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetTokens<'a> {
    refresh_token: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Revoke<'a> {
    token: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SignOut<'a> {
    access_token: &'a str,
}

/// Pairs as the members of one object, in their order.
struct Named<'a>(Vec<(&'static str, &'a str)>);

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

impl Cognito {
    /// Writes a request. A compressed answer would have no size before it is unpacked.
    fn ask(
        &self,
        operation: Operation,
        spends: bool,
        body: &impl Serialize,
    ) -> Result<Request, RefreshError> {
        let body = serde_json::to_string(body)
            .map_err(|_| RefreshError::Internal("the request cannot be written as JSON".into()))?;
        Ok(Request {
            method: Method::Post,
            url: self.endpoint.clone(),
            headers: vec![
                ("accept-encoding", Secret::new("identity")),
                ("user-agent", Secret::new(concat!("tokenkeeper/", env!("CARGO_PKG_VERSION")))),
                ("content-type", Secret::new("application/x-amz-json-1.1")),
                ("x-amz-target", Secret::new(operation.target())),
            ],
            body: Secret::new(body),
            spends,
        })
    }

    /// The client's secret, if it is to prove who it is.
    fn proof<'a>(&self, secret: Option<&'a Secret>) -> Result<Option<&'a Secret>, RefreshError> {
        match self.client_auth {
            ClientAuth::None => Ok(None),
            ClientAuth::SecretHash => secret.map(Some).ok_or_else(|| missing(CLIENT_SECRET)),
        }
    }

    /// The hash that proves it in that user's name.
    fn hash(&self, secret: Option<&Secret>, user: &str) -> Result<Option<Secret>, RefreshError> {
        Ok(self.proof(secret)?.map(|secret| secret_hash(secret, user, &self.client_id)))
    }
}

fn refresh_token(spend: &Spend) -> Result<&Secret, RefreshError> {
    let token = spend.refresh_token.as_ref();
    token.ok_or(RefreshError::Internal("an exchange began without a refresh token".into()))
}

fn missing(slot: &str) -> RefreshError {
    RefreshError::SecretUnavailable {
        slot: slot.into(),
        why: "the conversation was given none".into(),
    }
}
