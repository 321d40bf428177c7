//! Navien `NaviLink`: JSON with an envelope of `code`, `msg` and `data`.
//!
//! Differs from RFC 6749: logins are e-mail and password; success and failure stand in `code`, which
//! may contradict the HTTP status; the tokens lie under `data.token` after a sign-in and directly
//! under `data` after a refresh; the access token travels raw in `authorization`; AWS credentials
//! with an expiry of their own come with a sign-in, and with a refresh only on request. An empty
//! member means that the client keeps what it has.

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::call::Call;
use crate::clock::Moment;
use crate::field::Member;
use crate::ledger::Verdict;
use crate::operation::Operation;
use crate::reply::Reply;
use crate::service::Ask;
use crate::service::Decision;
use crate::service::Scripted;
use crate::service::bench;
use crate::service::bench::Bench;
use crate::token::Claim;
use crate::token::Mint;
use crate::vault::Spent;
use crate::vault::Unspent;
use crate::vault::Vault;

/// What can be set for an account of this service. `reference.md` explains each field.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    sign_in_member: TokensMember,
    sign_in_aws: Shown,
    refresh_access_token: Shown,
    refresh_refresh_token: Shown,
    refresh_id_token: Shown,
    refresh_aws: Shown,
    authorization_expires_in: Member,
    errors_in_200: bool,
    wrong_password_code: i64,
    wrong_password_msg: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sign_in_member: TokensMember::Token,
            sign_in_aws: Shown::Sent,
            refresh_access_token: Shown::Sent,
            refresh_refresh_token: Shown::Sent,
            refresh_id_token: Shown::Sent,
            refresh_aws: Shown::Missing,
            authorization_expires_in: Member::Usual,
            errors_in_200: false,
            wrong_password_code: 401,
            wrong_password_msg: "UNAUTHORIZED".to_owned(),
        }
    }
}

/// Under which name the reply to a sign-in carries the tokens.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TokensMember {
    Token,
    Tokens,
}

/// How a reply carries a member.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Shown {
    /// With its value.
    Sent,
    /// As an empty string, or 0.
    Empty,
    /// Not at all.
    Missing,
}

/// What a request asks for.
pub(super) fn ask(call: &Call) -> Option<Ask> {
    let operation = operation(call)?;
    let refresh_token = serde_json::from_slice::<RefreshBody>(&call.body).ok();
    let refresh_token = refresh_token.map(|body| body.refresh_token);
    Some(Ask { operation, grant: None, refresh_token })
}

/// Judges a request.
pub(super) fn decide(call: &Call, mut bench: Bench<'_>) -> Decision {
    let judged = match operation(call) {
        Some(Operation::SignIn) => sign_in(call, &mut bench),
        Some(Operation::Refresh) => refresh(call, &mut bench),
        _ => probe(call, &bench),
    };
    judged.unwrap_or_else(|denial| {
        let options = &bench.behaviour.navien;
        let reply = envelope(options, denial.code.into(), &denial.msg, None);
        Decision::new(denial.verdict, false, reply)
    })
}

/// Refuses a request that came too often.
pub(super) fn limited(options: &Options, wait_secs: Option<u64>) -> Decision {
    let mut reply = envelope(options, 429.into(), "TOO_MANY_REQUESTS", None);
    if let Some(secs) = wait_secs {
        reply = reply.header("retry-after", &secs.to_string());
    }
    Decision::refused("rate_limit_exceeded", reply)
}

/// A scripted refusal.
pub(super) fn refusal(options: &Options, scripted: &Scripted<'_>) -> Reply {
    envelope(options, scripted.code.clone(), scripted.message, scripted.status)
}

/// Whether the raw token in `authorization` is a good access token.
pub(super) fn admits(vault: &Vault, mint: &Mint, call: &Call, now: Moment) -> bool {
    let token = call.authorization.as_deref().unwrap_or_default();
    mint.open_access(vault.account(), token).is_some_and(|claim| vault.admits(claim, now))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignInBody {
    user_id: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RefreshBody {
    refresh_token: String,
}

/// A refusal before it is written.
struct Denial {
    verdict: Verdict,
    code: i64,
    msg: String,
}

impl Denial {
    fn new(cause: &'static str, code: i64, msg: &str) -> Self {
        Self { verdict: Verdict::Refused(cause.into()), code, msg: msg.to_owned() }
    }

    fn bad_request() -> Self {
        Self::new("bad_request", 400, "BAD_REQUEST")
    }
}

impl From<Unspent> for Denial {
    fn from(unspent: Unspent) -> Self {
        Self { verdict: unspent.verdict(), code: 401, msg: "INVALID_REFRESH_TOKEN".to_owned() }
    }
}

fn operation(call: &Call) -> Option<Operation> {
    match call.path.as_str() {
        "user/sign-in" => Some(Operation::SignIn),
        "auth/refresh" => Some(Operation::Refresh),
        "device/list" => Some(Operation::Probe),
        _ => None,
    }
}

fn sign_in(call: &Call, bench: &mut Bench<'_>) -> Result<Decision, Denial> {
    let body: SignInBody = body_of(call)?;
    let (behaviour, account) = (bench.behaviour, bench.vault.account());
    let known = body.user_id == behaviour.username(account);
    let options = &behaviour.navien;
    if !known || body.password != behaviour.password(account) {
        let (code, msg) = (options.wrong_password_code, &options.wrong_password_msg);
        return Err(Denial::new("wrong_password", code, msg));
    }

    let spent = bench.sign_in();
    let mut tokens = tokens(bench, &spent, [Shown::Sent; 3], options.sign_in_aws);
    bench.spoil(&mut tokens);
    let member = match options.sign_in_member {
        TokensMember::Token => "token",
        TokensMember::Tokens => "tokens",
    };
    let user = json!({
        "userType": "O",
        "userFirstName": "Pat",
        "userLastName": "Example",
        "userStatus": "NORMAL",
        "userSeq": 1,
    });
    let data = json!({ "userInfo": user, "legal": [], member: tokens });
    Ok(Decision::granted(&spent, success(data)))
}

fn refresh(call: &Call, bench: &mut Bench<'_>) -> Result<Decision, Denial> {
    let token = body_of::<RefreshBody>(call)?.refresh_token;
    let opened = bench.tools.mint.open_refresh(bench.vault.account(), &token);
    let spent = bench.spend(opened, &token)?;
    let options = &bench.behaviour.navien;
    let refresh_token =
        if bench.shows_refresh_token() { options.refresh_refresh_token } else { Shown::Missing };
    let shown = [options.refresh_access_token, refresh_token, options.refresh_id_token];
    let mut tokens = tokens(bench, &spent, shown, options.refresh_aws);
    bench.spoil(&mut tokens);
    Ok(Decision::granted(&spent, success(Value::Object(tokens))))
}

fn probe(call: &Call, bench: &Bench<'_>) -> Result<Decision, Denial> {
    if !admits(bench.vault, bench.tools.mint, call, bench.now) {
        return Err(Denial::new("unauthorized", 401, "UNAUTHORIZED"));
    }
    body_of::<Map<String, Value>>(call)?;
    Ok(Decision::done(success(json!([]))))
}

/// The token object; `shown` tells of its access, refresh and ID token in that order.
fn tokens(
    bench: &Bench<'_>,
    spent: &Spent,
    [access, refresh, id]: [Shown; 3],
    aws: Shown,
) -> Map<String, Value> {
    let (behaviour, account, mint) = (bench.behaviour, bench.vault.account(), bench.tools.mint);
    let mut tokens = Map::new();
    let mut put = |name: &str, shown: Shown, value: Value, empty: Value| {
        match shown {
            Shown::Sent => tokens.insert(name.to_owned(), value),
            Shown::Empty => tokens.insert(name.to_owned(), empty),
            Shown::Missing => None,
        };
    };

    let ends = behaviour.ends(spent.issue.at);
    let claim =
        Claim { family: spent.family, number: spent.issue.serial, expires_ms: ends.at_ms() };
    let subject = bench.other_subject().unwrap_or_else(|| behaviour.subject(account));
    let issuer = format!("{}/{account}", bench.tools.origin);
    let claims = bench::claims(behaviour, &issuer, subject, spent.issue.at);
    let mut access_claims = claims.clone();
    access_claims.insert("jti".to_owned(), format!("{}.{}", claim.family, claim.number).into());
    let token = mint.access_jwt(account, claim, access_claims, behaviour.token_bytes);
    put("accessToken", access, token.into(), "".into());
    put("refreshToken", refresh, bench.refresh_token(spent).into(), "".into());
    put("idToken", id, mint.id_token(account, &claims).into(), "".into());
    let usual = behaviour.expires_in(spent.issue.at, bench.now);
    if let Some(lifetime) = behaviour.expires_in.value(Some(usual)) {
        put("authenticationExpiresIn", Shown::Sent, lifetime, 0.into());
    }

    let key = |label| mint.opaque(account, label, spent.issue.serial);
    put("accessKeyId", aws, format!("ASIA{}", key("key")).into(), "".into());
    put("secretKey", aws, key("secret").into(), "".into());
    put("sessionToken", aws, key("session").into(), "".into());
    if let Some(lifetime) = behaviour.navien.authorization_expires_in.value(Some(3600.into())) {
        put("authorizationExpiresIn", aws, lifetime, 0.into());
    }
    tokens.extend(behaviour.extra.clone());
    tokens
}

fn body_of<T: for<'de> Deserialize<'de>>(call: &Call) -> Result<T, Denial> {
    if call.media_type() != Some("application/json") {
        return Err(Denial::bad_request());
    }
    serde_json::from_slice(&call.body).map_err(|_| Denial::bad_request())
}

fn success(data: Value) -> Reply {
    Reply::json(200, &json!({ "code": 200, "msg": "SUCCESS", "data": data }))
}

/// An error. Its HTTP status is `status`, else the code where that is an error status, else 400;
/// or always 200, as the script wishes.
fn envelope(options: &Options, code: Value, msg: &str, status: Option<u16>) -> Reply {
    let own = code.as_u64().and_then(|code| u16::try_from(code).ok());
    let own = own.filter(|code| (400..=599).contains(code)).unwrap_or(400);
    let status = if options.errors_in_200 { 200 } else { status.unwrap_or(own) };
    Reply::json(status, &json!({ "code": code, "msg": msg, "data": null }))
}

#[cfg(test)]
mod tests;
