//! One account at the provider: its logins, and the decision about each token request.
//!
//! A request passes through twice. [`Account::arrive`] counts it and picks what will happen to it;
//! [`Account::decide`], perhaps after a scripted delay, judges it and commits a rotation. Both are
//! total and read no clock. What a fault does to the reply on its way is not known here.

mod decide;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use crate::behaviour::Script;
use crate::clock::Moment;
use crate::family::Family;
use crate::fault::Fault;
use crate::oauth;
use crate::oauth::Call;
use crate::oauth::Refusal;
use crate::token::Mint;
use crate::window::Gate;

/// Logins of one account that are kept; the oldest ends when another one begins.
const MOST_LOGINS: usize = 256;
/// Single access tokens of one account that are known as revoked; the oldest are forgotten.
const MOST_REVOKED: usize = 10_000;
/// Faults that may wait for requests to come.
const MOST_QUEUED: usize = 100_000;

/// One account.
pub(crate) struct Account {
    name: Rc<str>,
    script: Rc<Script>,
    logins: BTreeMap<u32, Login>,
    /// The family number of tokens that come from no login (client credentials).
    direct: u32,
    /// Access tokens handed out so far.
    serials: u32,
    revoked: BTreeSet<u32>,
    queued: VecDeque<Fault>,
    gate: Gate,
    arrived: u64,
    /// Whether the first refresh token that comes begins a login, whatever it is.
    adopts: bool,
}

struct Login {
    family: Family,
    /// Generation 0, where it is not of this provider's making.
    adopted: Option<String>,
}

/// What a decision needs from outside the account.
pub(crate) struct Tools<'a> {
    /// Makes and opens tokens.
    pub(crate) mint: &'a Mint,
    /// The address of this process.
    pub(crate) origin: &'a str,
    /// Where the numbers of families come from.
    pub(crate) families: &'a mut Families,
}

/// Numbers for families; one process never uses a number twice.
#[derive(Debug, Default)]
pub(crate) struct Families(u32);

impl Families {
    fn next(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

/// What will happen to a request that arrived.
#[derive(Debug)]
pub(crate) enum Treatment {
    /// It is decided and answered.
    Sound,
    /// A scripted fault strikes.
    Faulty(Fault),
    /// It came too often; `None` keeps to itself for how long.
    Limited(Option<Duration>),
}

impl Treatment {
    /// The fault that strikes, if any.
    pub(crate) fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Faulty(fault) => Some(fault),
            Self::Sound | Self::Limited(_) => None,
        }
    }
}

/// Why faults cannot be queued.
#[derive(Debug, thiserror::Error)]
#[error("at most {MOST_QUEUED} faults may wait for requests")]
pub(crate) struct QueueFull;

impl Account {
    /// An account with one login.
    pub(crate) fn new(name: Rc<str>, script: Rc<Script>, families: &mut Families) -> Self {
        let mut account = Self::unknown(name, script, families);
        account.adopts = false;
        account.log_in(families, None);
        account
    }

    /// An account that begins its login with the first refresh token that is presented to it.
    pub(crate) fn unknown(name: Rc<str>, script: Rc<Script>, families: &mut Families) -> Self {
        Self {
            name,
            script,
            logins: BTreeMap::new(),
            direct: families.next(),
            serials: 0,
            revoked: BTreeSet::new(),
            queued: VecDeque::new(),
            gate: Gate::default(),
            arrived: 0,
            adopts: true,
        }
    }

    /// How the account behaves.
    pub(crate) fn script(&self) -> &Rc<Script> {
        &self.script
    }

    /// Changes how the account behaves; its tokens stay.
    pub(crate) fn behave(&mut self, script: Rc<Script>) {
        self.script = script;
    }

    /// Lets each of `faults` strike one request to come.
    ///
    /// # Errors
    ///
    /// There are too many; none was added.
    pub(crate) fn queue(&mut self, faults: Vec<Fault>) -> Result<(), QueueFull> {
        if self.queued.len() + faults.len() > MOST_QUEUED {
            return Err(QueueFull);
        }
        self.queued.extend(faults);
        Ok(())
    }

    /// Faults that wait for requests.
    pub(crate) fn queued(&self) -> usize {
        self.queued.len()
    }

    /// A new login beside those that are there; answers with its refresh token.
    pub(crate) fn mint(&mut self, tools: &mut Tools<'_>) -> String {
        let family = self.log_in(tools.families, None);
        tools.mint.refresh(&self.name, family, 0)
    }

    /// The refresh token of the newest login, newest generation.
    pub(crate) fn refresh_token(&self, mint: &Mint) -> Option<String> {
        let (number, login) = self.logins.last_key_value()?;
        Some(self.shown(mint, *number, login, login.family.newest()))
    }

    /// Ends every login, as a person does who withdraws their consent.
    pub(crate) fn revoke_all(&mut self) {
        self.logins.values_mut().for_each(|login| login.family.kill());
    }

    /// Every login as (family, newest generation, alive), oldest first.
    pub(crate) fn logins(&self) -> impl Iterator<Item = (u32, u32, bool)> {
        let told = |(number, login): (&u32, &Login)| {
            (*number, login.family.newest(), login.family.is_alive())
        };
        self.logins.iter().map(told)
    }

    /// Counts a request at `now` and picks what will happen to it: a queued fault goes before the
    /// rate limit, the rate limit before the standing fault.
    pub(crate) fn arrive(&mut self, now: Moment) -> Treatment {
        self.arrived += 1;
        if let Some(fault) = self.queued.pop_front() {
            return Treatment::Faulty(fault);
        }
        let behaviour = &self.script.behaviour;
        if let Some(limit) = &behaviour.rate_limit
            && let Err(wait) = self.gate.pass(limit.requests, limit.window(), now.since_start)
        {
            return Treatment::Limited(limit.retry_after.then_some(wait));
        }
        let its_turn = behaviour
            .fault_every
            .is_none_or(|every| self.arrived.is_multiple_of(u64::from(every.get())));
        match &behaviour.fault {
            Some(fault) if its_turn => Treatment::Faulty(fault.clone()),
            Some(_) | None => Treatment::Sound,
        }
    }

    /// Family and generation of a refresh token, if it is one of this account.
    pub(crate) fn locate(&self, mint: &Mint, token: &str) -> Option<(u32, u32)> {
        if let Some(claim) = mint.open_refresh(&self.name, token) {
            return self.logins.contains_key(&claim.family).then_some((claim.family, claim.number));
        }
        let adopted = |login: &Login| login.adopted.as_deref() == Some(token);
        let (family, _) = self.logins.iter().find(|(_, login)| adopted(login))?;
        Some((*family, 0))
    }

    /// Whether `token` is an access token of this account that is good at `now`.
    pub(crate) fn admits(&self, mint: &Mint, token: &str, now: Moment) -> bool {
        let Some(claim) = mint.open_access(&self.name, token) else { return false };
        let login = self.logins.get(&claim.family);
        let origin = claim.family == self.direct || login.is_some_and(|it| it.family.is_alive());
        origin && now.at_ms() < claim.expires_ms && !self.revoked.contains(&claim.number)
    }

    /// Revokes one token (RFC 7009): a refresh token with its whole login, an access token alone.
    /// A token that is unknown is revoked already.
    ///
    /// # Errors
    ///
    /// The request is not one, or comes from somebody else.
    pub(crate) fn revoke(&mut self, call: &Call, mint: &Mint) -> Result<(), Refusal> {
        let script = Rc::clone(&self.script);
        let params = call.params(script.behaviour.request_format)?;
        let header = call.authorization.as_deref();
        oauth::authenticate(&script.behaviour, &self.name, header, &params)?;
        let token = params
            .one("token")
            .ok_or_else(|| Refusal::new("invalid_request", "the parameter token is missing"))?;

        if let Some((family, _)) = self.locate(mint, token) {
            self.end(family);
        } else if let Some(claim) = mint.open_access(&self.name, token) {
            if self.revoked.len() == MOST_REVOKED {
                self.revoked.pop_first();
            }
            self.revoked.insert(claim.number);
        }
        Ok(())
    }

    fn log_in(&mut self, families: &mut Families, adopted: Option<String>) -> u32 {
        if self.logins.len() == MOST_LOGINS {
            self.logins.pop_first();
        }
        let number = families.next();
        self.logins.insert(number, Login { family: Family::new(), adopted });
        number
    }

    fn end(&mut self, family: u32) {
        if let Some(login) = self.logins.get_mut(&family) {
            login.family.kill();
        }
    }

    fn serial(&mut self) -> u32 {
        self.serials += 1;
        self.serials
    }

    fn shown(&self, mint: &Mint, number: u32, login: &Login, generation: u32) -> String {
        match &login.adopted {
            Some(token) if generation == 0 => token.clone(),
            Some(_) | None => mint.refresh(&self.name, number, generation),
        }
    }
}

#[cfg(test)]
mod tests;
