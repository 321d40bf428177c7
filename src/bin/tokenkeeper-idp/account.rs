//! One account at the provider: its script, its logins, and what becomes of each request.
//!
//! A request passes through twice. [`Account::arrive`] counts it and picks what will happen to it;
//! [`Account::decide`], perhaps after a scripted delay, has its service judge it and commits a
//! rotation. Both are total and read no clock. What a fault does to the reply on its way is not
//! known here.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use crate::behaviour::Script;
use crate::call::Call;
use crate::clock::Moment;
use crate::fault::Fault;
use crate::operation::Operation;
use crate::reply::Reply;
use crate::service::Ask;
use crate::service::Decision;
use crate::service::Desk;
use crate::service::Scripted;
use crate::service::bench::Bench;
use crate::service::bench::Tools;
use crate::service::oauth2;
use crate::service::oauth2::client::Refusal;
use crate::token::Mint;
use crate::vault::Families;
use crate::vault::Login;
use crate::vault::Vault;
use crate::window::Gate;

/// Faults that may wait for requests to come.
const MOST_QUEUED: usize = 100_000;

/// One account.
pub(crate) struct Account {
    script: Rc<Script>,
    vault: Vault,
    desk: Desk,
    queued: VecDeque<Fault>,
    gate: Gate,
    arrived: u64,
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
    /// An account with one login, which began at `now`.
    pub(crate) fn new(name: Rc<str>, script: Rc<Script>, tools: Tools<'_>, now: Moment) -> Self {
        let vault = Vault::new(name, tools.families, false);
        let mut account = Self::with(script, vault);
        account.mint(tools, now);
        account
    }

    /// An account that begins its login with the first refresh token that is presented to it.
    pub(crate) fn unknown(name: Rc<str>, script: Rc<Script>, families: &mut Families) -> Self {
        Self::with(script, Vault::new(name, families, true))
    }

    fn with(script: Rc<Script>, vault: Vault) -> Self {
        Self {
            desk: Desk::new(script.behaviour.service),
            script,
            vault,
            queued: VecDeque::new(),
            gate: Gate::default(),
            arrived: 0,
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
    pub(crate) fn mint(&mut self, tools: Tools<'_>, now: Moment) -> String {
        let script = Rc::clone(&self.script);
        let behaviour = &script.behaviour;
        self.desk.mint(Bench { vault: &mut self.vault, behaviour, fault: None, tools, now })
    }

    /// The refresh token of the newest login, newest generation.
    pub(crate) fn refresh_token(&self, mint: &Mint) -> Option<String> {
        self.desk.newest(&self.vault, &self.script.behaviour, mint)
    }

    /// The one-time code that was mailed last.
    pub(crate) fn mailed(&self) -> Option<&str> {
        self.desk.mailed()
    }

    /// Ends every login, as a person does who withdraws their consent.
    pub(crate) fn revoke_all(&mut self) {
        self.vault.end_all();
    }

    /// Every login by the number of its family, oldest first.
    pub(crate) fn logins(&self) -> impl Iterator<Item = (u32, &Login)> {
        self.vault.logins()
    }

    /// What a request asks for; `None` if the service of this account has no such path.
    pub(crate) fn ask(&self, call: &Call) -> Option<Ask> {
        self.desk.ask(call, &self.script.behaviour)
    }

    /// Counts a request for `operation` at `now` and picks what will happen to it: the first
    /// queued fault that strikes such requests goes before the rate limit, the rate limit before
    /// the standing fault.
    pub(crate) fn arrive(&mut self, operation: Operation, now: Moment) -> Treatment {
        self.arrived += 1;
        let queued = self.queued.iter().position(|fault| fault.strikes(operation));
        if let Some(fault) = queued.and_then(|position| self.queued.remove(position)) {
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
            Some(fault) if its_turn && fault.strikes(operation) => Treatment::Faulty(fault.clone()),
            Some(_) | None => Treatment::Sound,
        }
    }

    /// Judges a request at `now`, rotates what is to be rotated, and phrases the reply.
    pub(crate) fn decide(
        &mut self,
        call: &Call,
        treatment: &Treatment,
        tools: Tools<'_>,
        now: Moment,
    ) -> Decision {
        let script = Rc::clone(&self.script);
        let behaviour = &script.behaviour;
        if let Treatment::Limited(wait) = treatment {
            return self.desk.limited(behaviour, *wait, now);
        }
        let fault = treatment.fault().map(|fault| &fault.kind);
        self.desk.decide(call, Bench { vault: &mut self.vault, behaviour, fault, tools, now })
    }

    /// A scripted refusal in the words of the service.
    pub(crate) fn refusal(&self, scripted: &Scripted<'_>, now: Moment) -> Reply {
        self.desk.refusal(&self.script.behaviour, scripted, now)
    }

    /// Family and generation of a refresh token, if it is one of this account.
    pub(crate) fn locate(&self, mint: &Mint, token: &str) -> Option<(u32, u32)> {
        self.desk.locate(&self.vault, &self.script.behaviour, mint, token)
    }

    /// Whether the API behind this account lets `call` in at `now`.
    pub(crate) fn admits(&self, mint: &Mint, call: &Call, now: Moment) -> bool {
        self.desk.admits(&self.vault, &self.script.behaviour, mint, call, now)
    }

    /// Revokes one token (RFC 7009).
    ///
    /// # Errors
    ///
    /// The request is not one, or comes from somebody else.
    pub(crate) fn revoke(&mut self, call: &Call, mint: &Mint) -> Result<(), Refusal> {
        oauth2::revoke(&mut self.vault, &self.script.behaviour, mint, call)
    }
}

#[cfg(test)]
mod tests;
