//! Kasa Monitor: a self-hosted server with a JSON API of its own.
//!
//! Differs from RFC 6749: logins are user name, password and perhaps a one-time code; access and
//! refresh token are JWTs of one user under one secret, checked without any memory, so that a
//! logout ends nothing; a refresh hands out a refresh token with a new expiry and leaves the old one
//! good; two refreshes within one second answer with the same bytes. Its wiki tells of sessions and
//! refusals that the real server does not have ([`session`], [`wire`]).

mod page;
mod session;
mod sha1;
mod signer;
pub(crate) mod totp;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::behaviour::Behaviour;
use crate::call::Call;
use crate::clock::Moment;
use crate::operation::Operation;
use crate::reply::Reply;
use crate::service::Ask;
use crate::service::Decision;
use crate::service::Scripted;
use crate::service::bench::Bench;
use crate::service::kasa_monitor::page::Page;
use crate::service::kasa_monitor::session::Sessions;
use crate::service::kasa_monitor::session::open_sessions;
use crate::service::kasa_monitor::session::session_id;
use crate::service::kasa_monitor::signer::Signer;
use crate::service::kasa_monitor::signer::Verification;
use crate::service::kasa_monitor::signer::verified;
use crate::service::kasa_monitor::wire::Denial;
use crate::service::kasa_monitor::wire::Dialect;
use crate::service::kasa_monitor::wire::Fields;
use crate::service::whole_secs;
use crate::token::Claim;
use crate::token::Mint;
use crate::vault::Spent;
use crate::vault::Unspent;
use crate::vault::Vault;
use crate::window::Fixed;

/// Window of every limit.
const MINUTE: Duration = Duration::from_secs(60);
/// What can be set for an account of this service. `reference.md` explains each field.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    errors: Dialect,
    sessions: bool,
    active: bool,
    setup_required: bool,
    key: String,
    verification: Verification,
    login_per_minute: Option<u32>,
    refresh_per_minute: Option<u32>,
    other_per_minute: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            errors: Dialect::Server,
            sessions: false,
            active: true,
            setup_required: false,
            key: String::new(),
            verification: Verification::Sound,
            login_per_minute: Some(5),
            refresh_per_minute: Some(30),
            other_per_minute: Some(200),
        }
    }
}

/// What one account of this service remembers between two requests.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// The first moment of the present second in which tokens were made.
    stamped: Moment,
    last_login: Option<Moment>,
    windows: BTreeMap<Page, Fixed>,
    sessions: Sessions,
}

impl Desk {
    /// Judges a request.
    pub(super) fn decide(&mut self, call: &Call, mut bench: Bench<'_>) -> Decision {
        let dialect = bench.behaviour.kasa_monitor.errors;
        let path = format!("/{}/{}", bench.vault.account(), call.path);
        let unix = bench.now.unix;
        let judged = Page::of(call, bench.behaviour.kasa_monitor.sessions)
            .and_then(|page| self.turn(page, call, &mut bench));
        judged.unwrap_or_else(|denial| {
            Decision::new(denial.verdict(), false, denial.reply(dialect, &path, unix))
        })
    }

    /// Begins a login at the bench and answers with its refresh token.
    pub(super) fn mint(&mut self, mut bench: Bench<'_>) -> String {
        bench.now = self.stamp(bench.now);
        let spent = bench.sign_in();
        let user = self.user(bench.behaviour, bench.vault.account(), None);
        let place = (spent.family, spent.issue.generation);
        Signer::new(&bench).refresh_token(place, bench.now, &user)
    }

    /// The refresh token of the newest login, newest generation.
    pub(super) fn newest(
        &self,
        vault: &Vault,
        behaviour: &Behaviour,
        mint: &Mint,
    ) -> Option<String> {
        let (family, login) = vault.logins().next_back()?;
        let account = vault.account();
        let signer = Signer { behaviour, account, mint };
        let user = self.user(behaviour, account, None);
        Some(signer.refresh_token((family, login.newest()), login.latest, &user))
    }

    fn turn(&mut self, page: Page, call: &Call, bench: &mut Bench<'_>) -> Result<Decision, Denial> {
        let options = &bench.behaviour.kasa_monitor;
        let content = match page {
            Page::Login => return self.log_in(call, bench),
            Page::Refresh => return self.refresh(call, bench),
            Page::SetupRequired => {
                self.limit(page, bench)?;
                json!({ "setup_required": options.setup_required })
            }
            Page::Me => {
                self.guarded(page, call, bench)?;
                let mut user = self.user(bench.behaviour, bench.vault.account(), None);
                if let Some(members) = user.as_object_mut() {
                    let permissions = json!(["devices.view", "devices.control"]);
                    members.insert("permissions".to_owned(), permissions);
                }
                user
            }
            Page::Logout => {
                let claim = self.guarded(page, call, bench)?;
                if options.sessions {
                    bench.vault.end(claim.family);
                }
                json!({ "message": "Logged out successfully", "status": "success" })
            }
            Page::Sessions => {
                let claim = self.guarded(page, call, bench)?;
                self.sessions.list(bench.vault, claim.family)
            }
            Page::EndSession => {
                self.guarded(page, call, bench)?;
                let wanted = call.path.rsplit('/').next().unwrap_or_default();
                let found = open_sessions(bench.vault).find(|(it, _)| session_id(*it) == wanted);
                let family = found.ok_or(Denial::NoSession)?.0;
                bench.vault.end(family);
                json!({ "message": "Session terminated", "status": "success" })
            }
            Page::EndSessions => {
                self.guarded(page, call, bench)?;
                let ended = open_sessions(bench.vault).count();
                bench.vault.end_all();
                json!({
                    "message": "All sessions terminated",
                    "status": "success",
                    "sessions_terminated": ended,
                })
            }
        };
        Ok(Decision::done(Reply::json(200, &content)))
    }

    fn log_in(&mut self, call: &Call, bench: &mut Bench<'_>) -> Result<Decision, Denial> {
        let mut fields = Fields::read(call)?;
        let (username, password) = (fields.needed("username"), fields.needed("password"));
        let code = fields.optional("totp_code");
        fields.done()?;
        self.limit(Page::Login, bench)?;

        let (behaviour, account) = (bench.behaviour, bench.vault.account());
        let known = username == behaviour.username(account);
        let active = behaviour.kasa_monitor.active;
        if !known || !active || password != behaviour.password(account) {
            return Err(Denial::WrongPassword);
        }
        if let Some(secret) = &behaviour.totp_secret {
            let code = code.filter(|code| !code.is_empty()).ok_or(Denial::CodeNeeded)?;
            if !secret.admits(&code, bench.now.unix) {
                return Err(Denial::WrongCode);
            }
        }

        let now = bench.now;
        bench.now = self.stamp(now);
        let spent = bench.sign_in();
        let mut members = self.members(bench, &spent);
        self.last_login = Some(now);
        if behaviour.kasa_monitor.sessions {
            let session = self.sessions.begin(spent.family, call, bench.vault);
            members.extend(session.map(|session| ("session".to_owned(), session)));
        }
        Ok(Decision::granted(&spent, Reply::json(200, &Value::Object(members))))
    }

    fn refresh(&mut self, call: &Call, bench: &mut Bench<'_>) -> Result<Decision, Denial> {
        let mut fields = Fields::read(call)?;
        let token = fields.needed("refresh_token");
        fields.done()?;
        self.limit(Page::Refresh, bench)?;

        let opened = Signer::new(bench).open_refresh(&token);
        match bench.behaviour.kasa_monitor.verification {
            Verification::Sound => {}
            Verification::NoSecret => return Err(Denial::RefreshUnverified),
            Verification::OtherSecret => return Err(Denial::RefreshInvalid),
        }
        if opened.is_some_and(|claim| claim.expires_ms <= bench.now.at_ms()) {
            return Err(Denial::RefreshExpired);
        }
        let known = bench.vault.locate(opened, &token).is_some();
        if known && !bench.behaviour.kasa_monitor.active {
            return Err(Denial::UserInactive);
        }
        bench.now = self.stamp(bench.now);
        let spent = match bench.spend(opened, &token) {
            Ok(spent) => spent,
            Err(Unspent::Unknown) => return Err(Denial::RefreshInvalid),
            Err(Unspent::Ended | Unspent::Expired) => return Err(Denial::RefreshEnded),
            Err(Unspent::Reused) => return Err(Denial::Reused),
        };
        let members = self.members(bench, &spent);
        Ok(Decision::granted(&spent, Reply::json(200, &Value::Object(members))))
    }

    /// What the bearer token says at a page that wants one.
    fn guarded(&mut self, page: Page, call: &Call, bench: &Bench<'_>) -> Result<Claim, Denial> {
        self.limit(page, bench)?;
        verified(Signer::new(bench), bench.vault, call, bench.now)
    }

    /// Counts a request against the limit of its page.
    fn limit(&mut self, page: Page, bench: &Bench<'_>) -> Result<(), Denial> {
        let options = &bench.behaviour.kasa_monitor;
        let limit = match page {
            Page::Login => options.login_per_minute,
            Page::Refresh => options.refresh_per_minute,
            Page::Logout
            | Page::Me
            | Page::SetupRequired
            | Page::Sessions
            | Page::EndSession
            | Page::EndSessions => options.other_per_minute,
        };
        let Some(most) = limit else { return Ok(()) };
        let window = self.windows.entry(page).or_default();
        window.pass(most, MINUTE, bench.now.since_start).map_err(|wait| {
            let wait = Some(whole_secs(wait));
            Denial::TooOften { limit, wait, page }
        })
    }

    /// The members of a token reply.
    fn members(&self, bench: &Bench<'_>, spent: &Spent) -> Map<String, Value> {
        let behaviour = bench.behaviour;
        let user = self.user(behaviour, bench.vault.account(), bench.other_subject());
        let (signer, place) = (Signer::new(bench), bench.next_place(spent));
        let mut members = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            members.extend(value.map(|value| (name.to_owned(), value)));
        };
        let at = spent.issue.at;
        let access = signer.access_token((spent.family, spent.issue.generation), at, &user);
        put("access_token", Some(access.into()));
        put("token_type", behaviour.token_type.value(Some("bearer".into())));
        put("expires_in", behaviour.expires_in.value(Some(behaviour.expires_in(at, bench.now))));
        let refresh = signer.refresh_token(place, at, &user);
        put("refresh_token", bench.shows_refresh_token().then(|| refresh.into()));
        put("user", Some(user));
        members.extend(behaviour.extra.clone());
        bench.spoil(&mut members);
        members
    }

    /// The user as every reply and token has it; `last_login` is the login before this one.
    fn user(&self, behaviour: &Behaviour, account: &str, other: Option<&str>) -> Value {
        let username = other.unwrap_or_else(|| behaviour.username(account));
        json!({
            "id": if other.is_some() { 2 } else { 1 },
            "username": username,
            "email": format!("{username}@example.test"),
            "full_name": "Pat Example",
            "role": "admin",
            "is_active": behaviour.kasa_monitor.active,
            "is_admin": true,
            "created_at": "2026-01-01T00:00:00",
            "last_login": self.last_login.map(|login| wire::naive(login.unix)),
            "permissions": [],
        })
    }

    /// The same moment for all tokens of one second: the server counts in whole ones.
    fn stamp(&mut self, now: Moment) -> Moment {
        let same = self.stamped.unix.as_secs() == now.unix.as_secs();
        let since = now.since_start.saturating_sub(self.stamped.since_start);
        if !same || since >= Duration::from_secs(1) {
            self.stamped = now;
        }
        self.stamped
    }
}

/// What a request asks for. Whatever is below `/api/` is answered by this service.
pub(super) fn ask(call: &Call, options: &Options) -> Option<Ask> {
    if !call.path.starts_with("api/") {
        return None;
    }
    let page = Page::of(call, options.sessions).ok();
    let operation = page.map_or(Operation::Unknown, Page::operation);
    let body = serde_json::from_slice::<Value>(&call.body).unwrap_or_default();
    let refresh_token = body.get("refresh_token").and_then(Value::as_str).map(str::to_owned);
    Some(Ask { operation, grant: None, refresh_token })
}

/// Refuses a request that came too often, by the script's own limit.
pub(super) fn limited(options: &Options, wait: Option<u64>, now: Moment) -> Decision {
    let denial = Denial::TooOften { limit: None, wait, page: Page::Refresh };
    Decision::new(denial.verdict(), false, denial.reply(options.errors, "", now.unix))
}

/// A scripted refusal.
pub(super) fn refusal(options: &Options, scripted: &Scripted<'_>, now: Moment) -> Reply {
    let code = scripted.code_text();
    let words = [&*code.to_ascii_lowercase(), &*code, scripted.message];
    wire::flat(options.errors, scripted.status.unwrap_or(401), &words, now.unix)
}

/// Family and generation of a refresh token, if it is one of this account.
pub(super) fn locate(
    vault: &Vault,
    behaviour: &Behaviour,
    mint: &Mint,
    token: &str,
) -> Option<(u32, u32)> {
    let signer = Signer { behaviour, account: vault.account(), mint };
    vault.locate(signer.open_refresh(token), token)
}

/// Whether the bearer token opens the API.
pub(super) fn admits(
    vault: &Vault,
    behaviour: &Behaviour,
    mint: &Mint,
    call: &Call,
    now: Moment,
) -> bool {
    verified(Signer { behaviour, account: vault.account(), mint }, vault, call, now).is_ok()
}

#[cfg(test)]
mod tests;
