//! The tokens of Kasa Monitor: JWTs that are checked by their signature and their end alone.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

use crate::behaviour::Behaviour;
use crate::call::Call;
use crate::clock::Moment;
use crate::service::bench::Bench;
use crate::service::kasa_monitor::wire::Denial;
use crate::token::Claim;
use crate::token::Mint;
use crate::vault::Vault;

/// What the seals of the two kinds of token are made over, beside their text.
const ACCESS: &str = "access";
const REFRESH: &str = "refresh";

/// With which secret tokens are verified.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verification {
    /// The one that they are signed with.
    Sound,
    /// None: `JWT_SECRET_KEY` is set and there is no file of secrets.
    NoSecret,
    /// Another one: `JWT_SECRET_KEY` is set, and an old file of secrets is there.
    OtherSecret,
}

/// Makes and opens the tokens of one account.
#[derive(Clone, Copy)]
pub(super) struct Signer<'a> {
    pub(super) behaviour: &'a Behaviour,
    pub(super) account: &'a str,
    pub(super) mint: &'a Mint,
}

impl<'a> Signer<'a> {
    /// The signer of the account at the bench.
    pub(super) fn new(bench: &'a Bench<'_>) -> Self {
        let (behaviour, account) = (bench.behaviour, bench.vault.account());
        Self { behaviour, account, mint: bench.tools.mint }
    }

    /// The access token of one generation of a family.
    pub(super) fn access_token(self, place: (u32, u32), at: Moment, user: &Value) -> String {
        self.signed(ACCESS, place, at, self.behaviour.lifetime(), user)
    }

    /// The refresh token of one generation of a family.
    pub(super) fn refresh_token(self, place: (u32, u32), at: Moment, user: &Value) -> String {
        self.signed(REFRESH, place, at, self.behaviour.sliding_lifetime(), user)
    }

    /// What a refresh token says.
    pub(super) fn open_refresh(self, token: &str) -> Option<Claim> {
        self.open(REFRESH, token)
    }

    fn open(self, kind: &str, token: &str) -> Option<Claim> {
        self.mint.open_jwt(&self.owner(), kind, token)
    }

    fn signed(
        self,
        kind: &str,
        (family, number): (u32, u32),
        at: Moment,
        lifetime: Duration,
        user: &Value,
    ) -> String {
        let ends = i64::try_from(at.after(lifetime).unix.as_secs()).unwrap_or(i64::MAX);
        let mut claims = Map::new();
        claims.insert("user".to_owned(), user.clone());
        claims
            .insert("exp".to_owned(), ends.saturating_add(self.behaviour.jwt_exp_skew_secs).into());
        if kind == REFRESH {
            claims.insert("type".to_owned(), REFRESH.into());
        }
        let claim = Claim { family, number, expires_ms: through(at, lifetime) };
        self.mint.sealed_jwt(&self.owner(), kind, claim, &claims)
    }

    /// Account and key: a token that was signed with another key does not open.
    fn owner(self) -> String {
        format!("{} {}", self.account, self.behaviour.kasa_monitor.key)
    }
}

/// What the bearer token of `call` says. A refresh token is taken as an access token too.
///
/// # Errors
///
/// There is none, or it is not good.
pub(super) fn verified(
    signer: Signer<'_>,
    vault: &Vault,
    call: &Call,
    now: Moment,
) -> Result<Claim, Denial> {
    let token = call.bearer().ok_or(Denial::AuthRequired)?;
    match signer.behaviour.kasa_monitor.verification {
        Verification::Sound => {}
        Verification::NoSecret => return Err(Denial::TokenUnverified),
        Verification::OtherSecret => return Err(Denial::TokenInvalid),
    }
    let opened = signer.open(ACCESS, token).or_else(|| signer.open(REFRESH, token));
    let claim = opened.ok_or(Denial::TokenInvalid)?;
    let login = vault.login(claim.family).ok_or(Denial::TokenInvalid)?;
    if claim.expires_ms <= now.at_ms() {
        Err(Denial::TokenExpired)
    } else if login.is_alive() {
        Ok(claim)
    } else {
        Err(Denial::TokenEnded)
    }
}

/// When a token is refused that was made at `at`, in ms since the start: it is good through the
/// whole second of its `exp`.
fn through(at: Moment, lifetime: Duration) -> u64 {
    let part = Duration::from_nanos(at.unix.subsec_nanos().into());
    let second = at.since_start.saturating_sub(part).saturating_add(lifetime);
    Moment { since_start: second.saturating_add(Duration::from_secs(1)), unix: at.unix }.at_ms()
}
