//! Amazon Cognito user pools: the JSON RPC of the service model 2016-04-18.
//!
//! Differs from RFC 6749: one path, and `X-Amz-Target` names the operation; the ID token is the
//! credential; a sign-in may be a password or a challenge with a mailed code; a refresh without
//! rotation answers without a refresh token, and with rotation it is another operation. Refusals are
//! HTTP 400 with a type ([`wire`]). Which code was mailed, and to which session, is kept in
//! [`challenge`]; who may ask, in [`admission`].

mod admission;
mod challenge;
mod wire;

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::call::Call;
use crate::clock::Moment;
use crate::family::Rotation;
use crate::fault::Kind;
use crate::ledger::Verdict;
use crate::operation::Operation;
use crate::reply::Reply;
use crate::service::Ask;
use crate::service::Decision;
use crate::service::Scripted;
use crate::service::bench;
use crate::service::bench::Bench;
use crate::service::cognito::admission::User;
use crate::service::cognito::admission::client;
use crate::service::cognito::admission::client_secret;
use crate::service::cognito::admission::secret_hash;
use crate::service::cognito::admission::user;
use crate::service::cognito::challenge::Answered;
use crate::service::cognito::challenge::Challenge;
use crate::service::cognito::challenge::WrongCode;
use crate::service::cognito::wire::Denial;
use crate::service::cognito::wire::GetTokens;
use crate::service::cognito::wire::GlobalSignOut;
use crate::service::cognito::wire::InitiateAuth;
use crate::service::cognito::wire::Message;
use crate::service::cognito::wire::Respond;
use crate::service::cognito::wire::RevokeToken;
use crate::service::cognito::wire::Type;
use crate::token::Claim;
use crate::token::Mint;
use crate::vault::Spent;
use crate::vault::Unspent;
use crate::vault::Vault;

/// What the seal of an ID token is made over, beside its text.
const ID: &str = "id";

/// What can be set for an account of this service. `reference.md` explains each field.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    flows: Vec<Flow>,
    user: User,
    code: Option<String>,
    code_attempts: u32,
    wrong_code: WrongCode,
    session_secs: u32,
    omit_challenge_username: bool,
    error_type: Type,
    error_message: Message,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            flows: vec![Flow::Custom, Flow::UserPassword, Flow::RefreshToken],
            user: User::Enabled,
            code: None,
            code_attempts: 3,
            wrong_code: WrongCode::Challenge,
            session_secs: 180,
            omit_challenge_username: false,
            error_type: Type::Bare,
            error_message: Message::Lower,
        }
    }
}

/// A value of `AuthFlow`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
enum Flow {
    #[serde(rename = "CUSTOM_AUTH")]
    Custom,
    #[serde(rename = "USER_PASSWORD_AUTH")]
    UserPassword,
    #[serde(rename = "REFRESH_TOKEN_AUTH")]
    RefreshToken,
}

impl Flow {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "CUSTOM_AUTH" => Some(Self::Custom),
            "USER_PASSWORD_AUTH" => Some(Self::UserPassword),
            "REFRESH_TOKEN_AUTH" | "REFRESH_TOKEN" => Some(Self::RefreshToken),
            _ => None,
        }
    }
}

/// What one account of this service remembers between two requests.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    challenge: Challenge,
}

impl Desk {
    /// Judges a request.
    pub(super) fn decide(&mut self, call: &Call, mut bench: Bench<'_>) -> Decision {
        let options = &bench.behaviour.cognito;
        let judged = match wire::operation(call) {
            Some("InitiateAuth") => self.initiate(call, &mut bench),
            Some("RespondToAuthChallenge") => self.respond(call, &mut bench),
            Some("GetTokensFromRefreshToken") => get_tokens(call, &mut bench),
            Some("RevokeToken") => revoke(call, &mut bench),
            Some("GlobalSignOut") => sign_out(call, &mut bench),
            _ => Err(Denial::new("UnknownOperationException", "")),
        };
        judged.unwrap_or_else(|denial| {
            Decision::new(denial.verdict.clone(), false, denial.reply(options))
        })
    }

    /// The code that was mailed last.
    pub(super) fn mailed(&self) -> Option<&str> {
        self.challenge.mailed()
    }

    fn initiate(&mut self, call: &Call, bench: &mut Bench<'_>) -> Result<Decision, Denial> {
        let body: InitiateAuth = wire::body_of(call)?;
        let (behaviour, params) = (bench.behaviour, &body.auth_parameters);
        let flow = Flow::parse(&body.auth_flow)
            .ok_or_else(|| Denial::invalid("Unknown auth flow".to_owned()))?;
        client(bench, &body.client_id)?;
        secret_hash(bench, params)?;
        if !behaviour.cognito.flows.contains(&flow) {
            let message = format!("{} flow not enabled for this client", body.auth_flow);
            return Err(Denial::invalid(message));
        }
        match flow {
            Flow::Custom => {
                user(bench, params)?;
                Ok(self.challenge(bench))
            }
            Flow::UserPassword => {
                user(bench, params)?;
                if params.one("PASSWORD")? != behaviour.password(bench.vault.account()) {
                    let message = "Incorrect username or password.";
                    return Err(Denial::not_authorized("wrong_password", message));
                }
                let spent = bench.sign_in();
                Ok(granted(bench, &spent, !behaviour.omit_refresh_token))
            }
            Flow::RefreshToken => {
                if behaviour.rotation() != Rotation::None {
                    let message = "Refresh token rotation is enabled for this client.";
                    return Err(Denial::new("UnsupportedOperationException", message));
                }
                let spent = spend(bench, params.one("REFRESH_TOKEN")?)?;
                let invented = matches!(bench.fault, Some(Kind::DifferentRefreshToken { .. }));
                Ok(granted(bench, &spent, invented))
            }
        }
    }

    fn respond(&mut self, call: &Call, bench: &mut Bench<'_>) -> Result<Decision, Denial> {
        let body: Respond = wire::body_of(call)?;
        let (behaviour, params) = (bench.behaviour, &body.challenge_responses);
        client(bench, &body.client_id)?;
        secret_hash(bench, params)?;
        user(bench, params)?;
        if body.challenge_name != "CUSTOM_CHALLENGE" {
            return Err(Denial::invalid("Unexpected challenge name".to_owned()));
        }
        let session = body
            .session
            .ok_or_else(|| Denial::invalid("Missing required parameter Session".to_owned()))?;
        let answer = params.one("ANSWER")?;
        let attempts = behaviour.cognito.code_attempts;
        match self.challenge.answer(
            &session,
            answer,
            attempts,
            behaviour.cognito.wrong_code,
            bench.now,
        ) {
            Answered::Right => {
                let spent = bench.sign_in();
                Ok(granted(bench, &spent, !behaviour.omit_refresh_token))
            }
            Answered::Again => {
                let code = self.challenge.mailed().unwrap_or_default().to_owned();
                Ok(self.asked(bench, code))
            }
            Answered::Mismatch => Err(Denial::new(
                "CodeMismatchException",
                "Invalid verification code provided, please try again.",
            )),
            Answered::Refused => {
                Err(Denial::not_authorized("wrong_code", "Incorrect username or password."))
            }
            Answered::Unknown => {
                let message = "Invalid session for the user, session can only be used once.";
                Err(Denial::not_authorized("unknown_session", message))
            }
            Answered::Expired => {
                let message = "Invalid session for the user, session is expired.";
                Err(Denial::not_authorized("expired_session", message))
            }
        }
    }

    /// Mails a new code, which voids the one before and every session.
    fn challenge(&mut self, bench: &Bench<'_>) -> Decision {
        let account = bench.vault.account();
        let code = match &bench.behaviour.cognito.code {
            Some(code) => code.clone(),
            None => bench.tools.mint.digits(account, "code", self.challenge.next_number()),
        };
        self.challenge.mail(code.clone());
        Decision { mailed: Some(code.clone()), ..self.asked(bench, code) }
    }

    /// Asks for `code` under a new session.
    fn asked(&mut self, bench: &Bench<'_>, code: String) -> Decision {
        let (account, options) = (bench.vault.account(), &bench.behaviour.cognito);
        let number = self.challenge.next_number();
        let session = bench.tools.mint.opaque(account, "session", number);
        self.challenge.open(session.clone(), code, options.session_secs, bench.now);
        let mut parameters = Map::new();
        if !options.omit_challenge_username {
            let subject = bench.behaviour.subject(account);
            parameters.insert("USERNAME".to_owned(), subject.into());
        }
        let reply = wire::success(&json!({
            "ChallengeName": "CUSTOM_CHALLENGE",
            "ChallengeParameters": parameters,
            "Session": session,
        }));
        Decision::new(Verdict::Challenged, false, reply)
    }
}

/// What a request asks for.
pub(super) fn ask(call: &Call) -> Option<Ask> {
    if !call.path.is_empty() {
        return None;
    }
    let name = wire::operation(call);
    let mut ask =
        Ask { operation: Operation::Unknown, grant: name.map(str::to_owned), refresh_token: None };
    match name {
        Some("InitiateAuth") => {
            ask.operation = Operation::SignIn;
            if let Ok(body) = wire::body_of::<InitiateAuth>(call) {
                ask.refresh_token = body.auth_parameters.get("REFRESH_TOKEN");
                if Flow::parse(&body.auth_flow) == Some(Flow::RefreshToken) {
                    ask.operation = Operation::Refresh;
                }
                ask.grant = Some(body.auth_flow);
            }
        }
        Some("GetTokensFromRefreshToken") => {
            ask.operation = Operation::Refresh;
            let body = wire::body_of::<GetTokens>(call).ok();
            ask.refresh_token = body.map(|body| body.refresh_token);
        }
        Some("RespondToAuthChallenge") => ask.operation = Operation::Answer,
        Some("RevokeToken") => ask.operation = Operation::Revoke,
        Some("GlobalSignOut") => ask.operation = Operation::SignOut,
        Some(_) | None => {}
    }
    Some(ask)
}

/// Refuses a request that came too often.
pub(super) fn limited(options: &Options, wait_secs: Option<u64>) -> Decision {
    let denial = Denial::new("TooManyRequestsException", "Rate exceeded");
    let mut reply = denial.reply(options);
    if let Some(secs) = wait_secs {
        reply = reply.header("retry-after", &secs.to_string());
    }
    Decision::refused("rate_limit_exceeded", reply)
}

/// A scripted refusal.
pub(super) fn refusal(options: &Options, scripted: &Scripted<'_>) -> Reply {
    wire::refusal(options, &scripted.code_text(), scripted.message, scripted.status)
}

/// Whether the raw token in `Authorization` is a good ID token, as the API behind the pool checks.
pub(super) fn admits(vault: &Vault, mint: &Mint, call: &Call, now: Moment) -> bool {
    let token = call.authorization.as_deref().unwrap_or_default();
    mint.open_jwt(vault.account(), ID, token).is_some_and(|claim| vault.admits(claim, now))
}

fn get_tokens(call: &Call, bench: &mut Bench<'_>) -> Result<Decision, Denial> {
    let body: GetTokens = wire::body_of(call)?;
    client(bench, &body.client_id)?;
    client_secret(bench, body.client_secret.as_deref())?;
    if bench.behaviour.rotation() == Rotation::None {
        let message = "Refresh token rotation is not enabled for this client.";
        return Err(Denial::invalid(message.to_owned()));
    }
    let spent = spend(bench, &body.refresh_token)?;
    Ok(granted(bench, &spent, bench.shows_refresh_token()))
}

/// Ends the login of a refresh token. One that is unknown has ended already.
fn revoke(call: &Call, bench: &mut Bench<'_>) -> Result<Decision, Denial> {
    let body: RevokeToken = wire::body_of(call)?;
    client(bench, &body.client_id)?;
    client_secret(bench, body.client_secret.as_deref())?;
    let (account, mint) = (bench.vault.account(), bench.tools.mint);
    if mint.open_access(account, &body.token).is_some() {
        let message = "Unsupported token type";
        return Err(Denial::new("UnsupportedTokenTypeException", message));
    }
    let opened = mint.open_refresh(account, &body.token);
    if let Some((family, _)) = bench.vault.locate(opened, &body.token) {
        bench.vault.end(family);
    }
    Ok(Decision::done(wire::nothing()))
}

/// Ends every login of the user whose access token is presented.
fn sign_out(call: &Call, bench: &mut Bench<'_>) -> Result<Decision, Denial> {
    let body: GlobalSignOut = wire::body_of(call)?;
    let opened = bench.tools.mint.open_access(bench.vault.account(), &body.access_token);
    if !opened.is_some_and(|claim| bench.vault.admits(claim, bench.now)) {
        return Err(Denial::not_authorized("unknown_token", "Invalid Access Token"));
    }
    bench.vault.end_all();
    Ok(Decision::done(wire::success(&json!({}))))
}

fn spend(bench: &mut Bench<'_>, token: &str) -> Result<Spent, Denial> {
    bench.behaviour.cognito.user.check()?;
    let opened = bench.tools.mint.open_refresh(bench.vault.account(), token);
    bench.spend(opened, token).map_err(|unspent| {
        let (code, message) = match unspent {
            Unspent::Unknown => ("NotAuthorizedException", "Invalid Refresh Token."),
            Unspent::Ended => ("NotAuthorizedException", "Refresh Token has been revoked"),
            Unspent::Expired => ("NotAuthorizedException", "Refresh Token has expired"),
            Unspent::Reused => ("RefreshTokenReuseException", "Refresh token has been reused."),
        };
        Denial::with(unspent.verdict(), code, message)
    })
}

fn granted(bench: &Bench<'_>, spent: &Spent, with_refresh_token: bool) -> Decision {
    let (behaviour, account, mint) = (bench.behaviour, bench.vault.account(), bench.tools.mint);
    let ends = behaviour.ends(spent.issue.at);
    let claim =
        Claim { family: spent.family, number: spent.issue.serial, expires_ms: ends.at_ms() };
    let subject = bench.other_subject().unwrap_or_else(|| behaviour.subject(account));
    let issuer = format!("{}/{account}", bench.tools.origin);
    let common = bench::claims(behaviour, &issuer, subject, spent.issue.at);
    let with = |own: &[(&str, &str)]| {
        let mut claims = common.clone();
        claims.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
        claims
    };

    let client_id = behaviour.client_id(account);
    let id = with(&[
        ("aud", client_id),
        ("token_use", "id"),
        ("cognito:username", subject),
        ("email", behaviour.username(account)),
    ]);
    let jti = format!("{}.{}", claim.family, claim.number);
    let access = with(&[
        ("client_id", client_id),
        ("token_use", "access"),
        ("scope", "aws.cognito.signin.user.admin"),
        ("username", subject),
        ("jti", &jti),
    ]);
    let mut result = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        result.extend(value.map(|value| (name.to_owned(), value)));
    };
    put("IdToken", Some(mint.sealed_jwt(account, ID, claim, &id).into()));
    let access = mint.access_jwt(account, claim, access, behaviour.token_bytes);
    put("AccessToken", Some(access.into()));
    put("RefreshToken", with_refresh_token.then(|| bench.refresh_token(spent).into()));
    let usual = behaviour.expires_in(spent.issue.at, bench.now);
    put("ExpiresIn", behaviour.expires_in.value(Some(usual)));
    put("TokenType", behaviour.token_type.value(Some("Bearer".into())));
    result.extend(behaviour.extra.clone());
    bench.spoil(&mut result);
    let body = json!({ "AuthenticationResult": result, "ChallengeParameters": {} });
    Decision::granted(spent, wire::success(&body))
}

#[cfg(test)]
mod tests;
