//! All accounts of this process: the one owner of everything that changes.
//!
//! One thread runs everything, so [`Server`] keeps the provider in a `RefCell`; a borrow never
//! lives across an `.await`. Whoever waits does so on a [`Notify`] that every change wakes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::rc::Rc;

use serde_json::Value;
use serde_json::json;
use tokio::sync::Notify;

use crate::account::Account;
use crate::account::Treatment;
use crate::behaviour::Script;
use crate::call::Call;
use crate::clock::Clock;
use crate::clock::Moment;
use crate::fault::Fault;
use crate::fault::Kind;
use crate::ledger::Entry;
use crate::ledger::Ledger;
use crate::ledger::Verdict;
use crate::random::Dice;
use crate::reply::Reply;
use crate::service::Ask;
use crate::service::Scripted;
use crate::service::Service;
use crate::service::bench::Tools;
use crate::service::oauth2::client::Refusal;
use crate::summary::Tally;
use crate::summary::Totals;
use crate::token;
use crate::token::Mint;
use crate::vault::Families;

/// Accounts that one process keeps.
const MOST_ACCOUNTS: usize = 200_000;
/// Longest `grant_type` that the ledger repeats, in characters.
const LONGEST_GRANT: usize = 64;

/// What every connection shares.
pub(crate) struct Server {
    /// The time.
    pub(crate) clock: Clock,
    /// Everything that changes. Never borrowed across an `.await`.
    pub(crate) provider: RefCell<Provider>,
}

/// The accounts, their ledger and what they share.
pub(crate) struct Provider {
    origin: String,
    mint: Mint,
    dice: Dice,
    families: Families,
    seats: BTreeMap<Rc<str>, Seat>,
    default: Option<Rc<Script>>,
    ledger: Ledger,
    tally: Tally,
    changed: Rc<Notify>,
}

/// One account with what surrounds it.
pub(crate) struct Seat {
    /// The account.
    pub(crate) account: Account,
    tally: Tally,
    hold: Option<HoldPoint>,
    changed: Rc<Notify>,
}

/// Where the requests of an account are held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HoldPoint {
    /// When they have arrived.
    BeforeCommit,
    /// When they are decided, before a byte of the reply is written.
    AfterCommit,
}

/// A request that arrived and is not yet decided.
#[derive(Debug)]
pub(crate) struct Arrival {
    at: Moment,
    ask: Ask,
    treatment: Treatment,
    /// The scripted delay before the decision, in ms.
    pub(crate) delay_ms: u64,
}

/// A request that was decided, or that a fault struck down.
#[derive(Debug)]
pub(crate) struct Settled {
    /// Its number in the ledger.
    pub(crate) seq: u64,
    /// The reply, unless a fault struck before the decision.
    pub(crate) reply: Option<Reply>,
    /// The scripted delay before the reply, in ms.
    pub(crate) delay_ms: u64,
}

/// Why a request arrives nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Lost {
    /// There is no such account.
    #[error("no such account; create it with PUT /control/accounts/ACCOUNT")]
    Account,
    /// The service of the account has no such path.
    #[error("the service of this account has no such path")]
    Path,
}

/// Why an account cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("at most {MOST_ACCOUNTS} accounts are kept")]
pub(crate) struct TooManyAccounts;

impl Arrival {
    /// The fault that strikes this request, if any.
    pub(crate) fn fault(&self) -> Option<&Fault> {
        self.treatment.fault()
    }
}

impl Seat {
    /// What is counted for this account.
    pub(crate) fn totals(&self) -> Totals {
        self.tally.totals()
    }
}

impl Provider {
    /// A provider without accounts that is reached at `origin`.
    pub(crate) fn new(origin: String, seed: [u8; 32]) -> Self {
        let dice = seed.iter().fold(0, |sum: u64, byte| sum.rotate_left(8) ^ u64::from(*byte));
        Self {
            origin,
            mint: Mint::new(seed),
            dice: Dice::new(dice),
            families: Families::default(),
            seats: BTreeMap::new(),
            default: None,
            ledger: Ledger::new(),
            tally: Tally::new(),
            changed: Rc::default(),
        }
    }

    /// The address of this process.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The tokens' maker.
    pub(crate) fn mint(&self) -> &Mint {
        &self.mint
    }

    /// The requests so far.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Creates or resets an account with one login, which begins at `now`.
    ///
    /// # Errors
    ///
    /// There is no room for one more.
    pub(crate) fn put(
        &mut self,
        name: &str,
        script: Script,
        now: Moment,
    ) -> Result<(), TooManyAccounts> {
        let tools = Tools { mint: &self.mint, origin: &self.origin, families: &mut self.families };
        let account = Account::new(name.into(), Rc::new(script), tools, now);
        self.seat(account, name)
    }

    /// Makes unknown accounts with this behaviour from now on.
    pub(crate) fn by_default(&mut self, script: Script) {
        self.default = Some(Rc::new(script));
    }

    /// Removes an account; `false` if there is none. Requests that it holds go on, to a 404.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let removed = self.seats.remove(name);
        if let Some(seat) = &removed {
            seat.changed.notify_waiters();
            self.changed.notify_waiters();
        }
        removed.is_some()
    }

    /// An account by its name, to look at.
    pub(crate) fn account(&self, name: &str) -> Option<&Seat> {
        self.seats.get(name)
    }

    /// An account by its name, to change.
    pub(crate) fn account_mut(&mut self, name: &str) -> Option<&mut Account> {
        self.seats.get_mut(name).map(|seat| &mut seat.account)
    }

    /// A new login of an account at `now`; answers with its refresh token.
    pub(crate) fn log_in(&mut self, name: &str, now: Moment) -> Option<String> {
        let seat = self.seats.get_mut(name)?;
        let tools = Tools { mint: &self.mint, origin: &self.origin, families: &mut self.families };
        Some(seat.account.mint(tools, now))
    }

    /// The account at which a token request, revocation or discovery is aimed: made by the
    /// default behaviour if there is one and the account is unknown.
    pub(crate) fn aimed_at(&mut self, name: &str) -> Option<&mut Account> {
        if !self.seats.contains_key(name) {
            let script = Rc::clone(self.default.as_ref()?);
            let account = Account::unknown(name.into(), script, &mut self.families);
            self.seat(account, name).ok()?;
        }
        self.account_mut(name)
    }

    /// Revokes one token of `name` (RFC 7009); `None` if there is no such account.
    pub(crate) fn revoke(&mut self, name: &str, call: &Call) -> Option<Result<(), Refusal>> {
        self.aimed_at(name)?;
        let seat = self.seats.get_mut(name)?;
        Some(seat.account.revoke(call, &self.mint))
    }

    /// Counts a request at an endpoint of `name` that arrived at `now`.
    ///
    /// # Errors
    ///
    /// There is no such endpoint.
    pub(crate) fn arrive(&mut self, name: &str, call: &Call, now: Moment) -> Result<Arrival, Lost> {
        let account = self.aimed_at(name).ok_or(Lost::Account)?;
        let ask = account.ask(call).ok_or(Lost::Path)?;
        let treatment = account.arrive(ask.operation, now);
        let seat = self.seats.get_mut(name).ok_or(Lost::Account)?;
        for tally in [&mut seat.tally, &mut self.tally] {
            tally.arrived(now.since_start);
            if treatment.fault().is_some() {
                tally.struck();
            }
        }
        let delay = seat.account.script().behaviour.delay_before();
        let delay_ms = drawn(&mut self.dice, delay);
        self.changed(name);
        Ok(Arrival { at: now, ask, treatment, delay_ms })
    }

    /// Decides a request at `now` and writes it into the ledger; `None` if its account is gone.
    pub(crate) fn settle(
        &mut self,
        name: &str,
        call: &Call,
        arrival: &Arrival,
        now: Moment,
    ) -> Option<Settled> {
        let (own_name, seat) = self.seats.get_key_value(name)?;
        let script = Rc::clone(seat.account.script());
        let mut entry = Entry::new(Rc::clone(own_name), arrival.at, Verdict::Granted);
        entry.service = script.behaviour.service;
        let seat = self.seats.get_mut(name)?;

        let fault = arrival.fault();
        entry.fault = fault.map(|fault| Rc::clone(&fault.name));
        let mut reply = match fault {
            Some(fault) if !fault.after_commit => {
                entry.verdict = Verdict::Fault(Rc::clone(&fault.name));
                None
            }
            Some(_) | None => {
                let tools =
                    Tools { mint: &self.mint, origin: &self.origin, families: &mut self.families };
                let decision = seat.account.decide(call, &arrival.treatment, tools, now);
                entry.verdict = decision.verdict;
                entry.committed = decision.committed;
                entry.mailed_code = decision.mailed;
                Some(decision.reply)
            }
        };
        if let Some(Kind::Refusal { code, status, message, .. }) = fault.map(|fault| &fault.kind) {
            let message = message.as_deref().unwrap_or("scripted fault");
            let scripted = Scripted { code, status: status.map(|it| it.0), message };
            reply = Some(seat.account.refusal(&scripted, now));
        }
        let Ask { operation, grant, refresh_token } = &arrival.ask;
        entry.operation = *operation;
        entry.grant = grant.as_ref().map(|grant| grant.chars().take(LONGEST_GRANT).collect());
        entry.fingerprint = refresh_token.as_deref().map(token::fingerprint);
        let known = refresh_token.as_deref().and_then(|it| seat.account.locate(&self.mint, it));
        entry.generation = known.map(|(_, generation)| generation);

        let verdict = entry.verdict.clone();
        let seq = self.ledger.add(entry);
        seat.tally.decided(&verdict, seq);
        self.tally.decided(&verdict, seq);
        let delay_ms = drawn(&mut self.dice, script.behaviour.delay_after());
        self.changed(name);
        Some(Settled { seq, reply, delay_ms })
    }

    /// Notes that the reply to entry `seq` of `name` was written whole.
    pub(crate) fn replied(&mut self, name: &str, seq: u64) {
        self.ledger.replied(seq);
        self.tally.replied();
        if let Some(seat) = self.seats.get_mut(name) {
            seat.tally.replied();
        }
        self.changed(name);
    }

    /// Holds the requests of an account from now on, or lets them go; `false` if there is none.
    pub(crate) fn hold(&mut self, name: &str, point: Option<HoldPoint>) -> bool {
        let Some(seat) = self.seats.get_mut(name) else { return false };
        seat.hold = point;
        self.changed(name);
        true
    }

    /// Whether requests of `name` are held at `point`; if so, what wakes when that may have changed.
    pub(crate) fn held_at(&self, name: &str, point: HoldPoint) -> Option<Rc<Notify>> {
        let seat = self.seats.get(name)?;
        (seat.hold == Some(point)).then(|| Rc::clone(&seat.changed))
    }

    /// Counts one held request more or, when it goes on, less.
    pub(crate) fn count_held(&mut self, name: &str, change: fn(&mut Tally)) {
        change(&mut self.tally);
        if let Some(seat) = self.seats.get_mut(name) {
            change(&mut seat.tally);
        }
        self.changed(name);
    }

    /// Totals of one account, or of all; an unknown account has none of anything. With them what
    /// wakes when they change.
    pub(crate) fn watched(&self, name: Option<&str>) -> (Totals, Rc<Notify>) {
        match name {
            None => (self.tally.totals(), Rc::clone(&self.changed)),
            Some(name) => match self.seats.get(name) {
                Some(seat) => (seat.totals(), Rc::clone(&seat.changed)),
                None => (Totals::default(), Rc::clone(&self.changed)),
            },
        }
    }

    /// Totals of every account and of all together.
    pub(crate) fn summary(&self) -> Value {
        let accounts = self.seats.iter().map(|(name, seat)| (name.to_string(), seat.totals()));
        json!({
            "accounts": accounts.collect::<BTreeMap<_, _>>(),
            "total": self.tally.totals(),
            "ledger_dropped": self.ledger.dropped(),
        })
    }

    /// What a client must know to use an account.
    pub(crate) fn credentials(&self, name: &str) -> Option<Value> {
        let account = &self.seats.get(name)?.account;
        let behaviour = &account.script().behaviour;
        let refresh_token = account.refresh_token(&self.mint);
        Some(match behaviour.service {
            Service::Cognito => json!({
                "refresh_token": refresh_token,
                "client_id": behaviour.client_id(name),
                "client_secret": behaviour.scripted_secret(),
                "username": behaviour.username(name),
                "password": behaviour.password(name),
            }),
            Service::Oauth2 => json!({
                "refresh_token": refresh_token,
                "client_id": behaviour.client_id(name),
                "client_secret": behaviour.client_secret(name),
            }),
            Service::KasaMonitor | Service::Navien => json!({
                "refresh_token": refresh_token,
                "username": behaviour.username(name),
                "password": behaviour.password(name),
            }),
        })
    }

    fn seat(&mut self, account: Account, name: &str) -> Result<(), TooManyAccounts> {
        let before = self.seats.remove(name);
        if self.seats.len() >= MOST_ACCOUNTS {
            return Err(TooManyAccounts);
        }
        let mut seat = Seat { account, tally: Tally::new(), hold: None, changed: Rc::default() };
        if let Some(before) = before {
            seat.tally.inherit_held(&before.tally);
            seat.changed = before.changed;
        }
        self.seats.insert(name.into(), seat);
        self.changed(name);
        Ok(())
    }

    fn changed(&self, name: &str) {
        if let Some(seat) = self.seats.get(name) {
            seat.changed.notify_waiters();
        }
        self.changed.notify_waiters();
    }
}

fn drawn(dice: &mut Dice, bounds: Option<RangeInclusive<u64>>) -> u64 {
    bounds.map_or(0, |bounds| dice.within(&bounds))
}

#[cfg(test)]
mod tests;
