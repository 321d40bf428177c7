//! OAuth 2.0: the token endpoint of RFC 6749, revocation of RFC 7009, discovery of RFC 8414.
//!
//! Only requests at the token endpoint are decided here; whatever a client brings, it comes to
//! tokens, or to a refusal with its code.

pub(crate) mod client;
mod grant;

use serde_json::Value;
use serde_json::json;

use crate::behaviour::Behaviour;
use crate::call::Call;
use crate::clock::Moment;
use crate::field::ClientAuth;
use crate::field::Grant;
use crate::ledger::Verdict;
use crate::operation::Operation;
use crate::reply::Reply;
use crate::service::Ask;
use crate::service::Decision;
use crate::service::Scripted;
use crate::service::bench::Bench;
use crate::service::oauth2::client::Params;
use crate::service::oauth2::client::Refusal;
use crate::service::oauth2::grant::Granter;
use crate::service::oauth2::grant::Pair;
use crate::token::Mint;
use crate::vault::Spent;
use crate::vault::Unspent;
use crate::vault::Vault;

/// What a request at the token endpoint asks for.
pub(super) fn ask(call: &Call, behaviour: &Behaviour) -> Option<Ask> {
    if call.path != "token" {
        return None;
    }
    let params = client::params(call, behaviour.request_format).unwrap_or_default();
    let grant = params.one("grant_type").map(str::to_owned);
    let operation = match grant.as_deref() {
        Some("refresh_token") => Operation::Refresh,
        Some("client_credentials") => Operation::ClientCredentials,
        Some(_) | None => Operation::Unknown,
    };
    let refresh_token = params.one("refresh_token").map(str::to_owned);
    Some(Ask { operation, grant, refresh_token })
}

/// Judges a request at the token endpoint.
pub(super) fn decide(call: &Call, mut bench: Bench<'_>) -> Decision {
    let behaviour = bench.behaviour;
    let judged = client::params(call, behaviour.request_format)
        .map_err(Denial::from)
        .and_then(|params| judge(call, &params, &mut bench));
    match judged {
        Ok((spent, refresh_token)) => {
            let granter = Granter {
                mint: bench.tools.mint,
                origin: bench.tools.origin,
                account: bench.vault.account(),
                behaviour,
            };
            let pair = Pair {
                family: spent.family,
                issue: spent.issue,
                refresh_token,
                other_subject: bench.other_subject(),
            };
            let mut members = granter.members(&pair, bench.now);
            bench.spoil(&mut members);
            Decision::granted(&spent, Reply::members(200, behaviour.reply_format, &members))
        }
        Err(denial) => denial.decision(behaviour),
    }
}

/// Refuses a request that came too often.
pub(super) fn limited(behaviour: &Behaviour, wait_secs: Option<u64>) -> Decision {
    let mut refusal = Refusal::new("rate_limit_exceeded", "more requests than the script allows");
    refusal.status = 429;
    refusal.retry_after = wait_secs;
    Denial::from(refusal).decision(behaviour)
}

/// A scripted refusal.
pub(super) fn refusal(behaviour: &Behaviour, scripted: &Scripted<'_>) -> Reply {
    let refusal = Refusal {
        status: scripted.status.unwrap_or(400),
        code: scripted.code_text().into(),
        description: scripted.message.to_owned().into(),
        retry_after: None,
    };
    refusal.reply(behaviour.reply_format)
}

/// Whether the bearer token is a good access token (RFC 6750, 2.1).
pub(super) fn admits(vault: &Vault, mint: &Mint, call: &Call, now: Moment) -> bool {
    let opened = call.bearer().and_then(|token| mint.open_access(vault.account(), token));
    opened.is_some_and(|claim| vault.admits(claim, now))
}

/// Revokes one token (RFC 7009): a refresh token with its whole login, an access token alone.
/// A token that is unknown is revoked already.
///
/// # Errors
///
/// The request is not one, or comes from somebody else.
pub(crate) fn revoke(
    vault: &mut Vault,
    behaviour: &Behaviour,
    mint: &Mint,
    call: &Call,
) -> Result<(), Refusal> {
    let params = client::params(call, behaviour.request_format)?;
    let header = call.authorization.as_deref();
    client::authenticate(behaviour, vault.account(), header, &params)?;
    let token = params
        .one("token")
        .ok_or_else(|| Refusal::new("invalid_request", "the parameter token is missing"))?;

    let opened = mint.open_refresh(vault.account(), token);
    if let Some((family, _)) = vault.locate(opened, token) {
        vault.end(family);
    } else if let Some(claim) = mint.open_access(vault.account(), token) {
        vault.revoke_access(claim.number);
    }
    Ok(())
}

/// The metadata of an account (RFC 8414, 2; OpenID Connect Discovery 1.0, 3).
pub(crate) fn metadata(issuer: &str, behaviour: &Behaviour) -> Value {
    let methods: &[&str] = match behaviour.client_auth {
        ClientAuth::Basic => &["client_secret_basic"],
        ClientAuth::Post => &["client_secret_post"],
        ClientAuth::None => &["none"],
        ClientAuth::Any => &["client_secret_basic", "client_secret_post", "none"],
    };
    let grants = behaviour.grants.iter().copied().map(Grant::as_str).collect::<Vec<_>>();
    json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/token"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "grant_types_supported": grants,
        "token_endpoint_auth_methods_supported": methods,
    })
}

fn judge(
    call: &Call,
    params: &Params,
    bench: &mut Bench<'_>,
) -> Result<(Spent, Option<String>), Denial> {
    let behaviour = bench.behaviour;
    let header = call.authorization.as_deref();
    client::authenticate(behaviour, bench.vault.account(), header, params)?;
    let wanted = params
        .one("grant_type")
        .ok_or_else(|| Refusal::new("invalid_request", "the parameter grant_type is missing"))?;
    match behaviour.grants.iter().find(|grant| grant.as_str() == wanted) {
        None => Err(Refusal::new("unsupported_grant_type", "not a grant of this account").into()),
        Some(Grant::ClientCredentials) => Ok((bench.vault.direct(bench.now), None)),
        Some(Grant::RefreshToken) => {
            let token = params.one("refresh_token").ok_or_else(|| {
                Refusal::new("invalid_request", "the parameter refresh_token is missing")
            })?;
            let opened = bench.tools.mint.open_refresh(bench.vault.account(), token);
            let spent = bench.spend(opened, token)?;
            let shown = bench.shows_refresh_token().then(|| bench.refresh_token(&spent));
            Ok((spent, shown))
        }
    }
}

struct Denial {
    verdict: Verdict,
    refusal: Refusal,
}

impl Denial {
    fn decision(self, behaviour: &Behaviour) -> Decision {
        Decision::new(self.verdict, false, self.refusal.reply(behaviour.reply_format))
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self { verdict: Verdict::Refused(refusal.code.clone()), refusal }
    }
}

impl From<Unspent> for Denial {
    fn from(unspent: Unspent) -> Self {
        let description = match unspent {
            Unspent::Unknown => "the refresh token is unknown",
            Unspent::Ended => "the login has ended",
            Unspent::Expired => "the refresh token has expired",
            Unspent::Reused => "the refresh token was used before",
        };
        let denial = Self::from(Refusal::new("invalid_grant", description));
        match unspent {
            Unspent::Reused => Self { verdict: Verdict::Reused, ..denial },
            Unspent::Unknown | Unspent::Ended | Unspent::Expired => denial,
        }
    }
}
