//! What must hold, whatever happens, and what has to be remembered to see whether it does.
//!
//! The witness sees what is true (requests at the provider, time, what is on disk) and what the
//! daemon says. The first thing that does not fit ends the world.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use super::cast::Part;
use super::clocks::Clocks;
use super::heard::REFUSALS;
use super::life::Fate;
use super::life::Life;
use super::life::Noted;
use super::life::Told;
use super::lost::Losses;
use super::lost::Why;
use super::service::Serial;
use super::told::TOLD_WITHIN;
use super::trace::Trace;
use crate::name::AccountId;
use crate::plan::Rotation;
use crate::record::Stake;
use crate::record::StoreError;
use crate::record::Write;
use crate::record::Written;
use crate::token::Secret;

/// What the witness remembers.
pub(super) struct Witness {
    pub(super) lives: BTreeMap<AccountId, Life>,
    violation: Option<String>,
    pub(super) trace: Trace,
    /// When a write last took its time.
    pub(super) slow: Duration,
    /// Whose tokens are not durable, and since when.
    unsaved: BTreeMap<AccountId, Duration>,
    /// Since when the daemon is not there, or its host sleeps.
    away: Option<Duration>,
    pub(super) counts: Counts,
}

/// What happened in a world, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) answers: u64,
    pub(super) lost: Losses,
    /// Account-time in which somebody else was recorded as whose the account is.
    pub(super) mistaken: Duration,
    pub(super) starts: u64,
    /// Requests of one account in its busiest hour, with lifetimes as they are granted, and with
    /// odd ones.
    pub(super) busiest: usize,
    pub(super) busiest_odd: usize,
}

impl Counts {
    /// Sums up.
    pub(super) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.answers += other.answers;
        self.lost.add(&other.lost);
        self.mistaken += other.mistaken;
        self.starts += other.starts;
        self.busiest = self.busiest.max(other.busiest);
        self.busiest_odd = self.busiest_odd.max(other.busiest_odd);
    }
}

impl Witness {
    pub(super) fn new(trace: Trace) -> Self {
        let (lives, counts) = (BTreeMap::new(), Counts::default());
        Self {
            lives,
            violation: None,
            trace,
            slow: Duration::ZERO,
            unsaved: BTreeMap::new(),
            away: None,
            counts,
        }
    }

    /// Something does not hold.
    pub(super) fn violated(&mut self, account: &AccountId, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(format!("{account}: {}", what()));
        }
    }

    pub(super) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// There is an account.
    pub(super) fn begins(&mut self, account: &AccountId) {
        self.lives.insert(account.clone(), Life::default());
    }

    pub(super) fn life(&mut self, account: &AccountId) -> &mut Life {
        self.lives.get_mut(account).unwrap()
    }

    /// A request leaves the host.
    pub(super) fn sent(
        &mut self,
        clocks: &Clocks,
        part: &Part,
        stake: Stake,
        token: Option<&Secret>,
        announced: bool,
    ) {
        let at = clocks.at();
        let account = &part.id;
        self.counts.requests += 1;
        self.trace
            .note(at, || format!("{account} sends {stake:?} {:?}", token.map(Secret::expose)));
        let life = self.life(account);
        let wrong = life.wrong_to_send(clocks, part, stake, token, announced);
        life.in_flight = true;
        life.announced = None;
        life.urged &= stake != Stake::Current;
        life.sent_to = Some(part.lineage().clone());
        life.sends.push_back(at);
        life.counts_against_the_minute(at);
        let (odd, sends) = (life.is_odd(at), life.sends.len());
        if let Some(token) = token.filter(|_| stake != Stake::SignIn) {
            let serial = Serial::of(token);
            let grace = part.plan().rotation.grace().unwrap_or_default();
            life.struggle.sends((serial, stake), life.begun, at, clocks, grace);
            // Of what does no harm nobody keeps count, whatever the configuration says later.
            let fate = if part.announces() { Fate::Open } else { Fate::Known };
            life.spent = Some((serial, fate));
        }
        let busiest = if odd { &mut self.counts.busiest_odd } else { &mut self.counts.busiest };
        *busiest = sends.max(*busiest);
        if let Some(wrong) = wrong {
            self.violated(account, || wrong);
        }
    }

    /// A reply is waited for: no longer than leaves time to ask again for what it may have brought.
    pub(super) fn waits(&mut self, part: &Part, stake: Stake, timeout: Duration) {
        if let Rotation::Grace(grace) = part.plan().rotation
            && stake != Stake::SignIn
            && timeout * 2 > grace
        {
            self.violated(&part.id, || format!("waits {timeout:?} for a reply, of {grace:?}"));
        }
    }

    /// An attempt fails on this host, for want of what its client needs.
    pub(super) fn lacks(&mut self, account: &AccountId, stake: Stake, at: Duration) {
        let life = self.life(account);
        life.struggle.fails_here(life.begun, at, stake);
    }

    /// An attempt waits for something on this host.
    pub(super) fn prepares(&mut self, account: &AccountId, at: Duration, until: Duration) {
        self.trace.note(at, || format!("{account} waits for its secrets, or for a gate"));
        self.life(account).struggle.is_blocked(at, Some(until), Why::Client);
    }

    /// Somebody wants something of an account that comes before what is in doubt.
    pub(super) fn is_kept_busy(&mut self, account: &AccountId, at: Duration) {
        self.life(account).struggle.is_blocked(at, None, Why::Person);
    }

    /// A login was ended, or not.
    pub(super) fn let_go(&mut self, account: &AccountId) {
        self.life(account).in_flight = false;
    }

    /// The disk has taken a write, or has not.
    pub(super) fn written(
        &mut self,
        account: &AccountId,
        write: &Write,
        result: &Result<Written, StoreError>,
        erased: bool,
        at: Duration,
    ) {
        self.trace.note(at, || {
            let result = result.as_ref().map(|_| "done").map_err(ToString::to_string);
            format!("{account} writes {}: {result:?}", word(write))
        });
        match (write, result) {
            (Write::Intent { stake, .. }, Ok(_)) => {
                self.life(account).announced = Some((at, *stake));
            }
            (Write::Intent { stake, .. }, Err(_)) => {
                let life = self.life(account);
                life.struggle.fails_here(life.begun, at, *stake);
            }
            (Write::Commit { .. } | Write::Salvage { .. } | Write::Settle { .. }, Err(_)) => {
                self.unsaved.entry(account.clone()).or_insert(at);
            }
            (
                Write::Commit { .. }
                | Write::Salvage { .. }
                | Write::Settle { .. }
                | Write::Clear { .. },
                Ok(_),
            ) => self.is_saved(account, at),
            _ => {}
        }
        if let (Write::Note { standing, .. }, Ok(_)) = (write, result)
            && let Some(failure) = &standing.failure
        {
            let life = self.life(account);
            let says_so = failure.attempt == life.attempt && failure.error.retry_after().is_some();
            if says_so && life.patience_noted == Noted::No {
                life.patience_noted = Noted::Yes;
            }
        }
        if let Write::Commit { stake: Stake::Staged | Stake::SignIn, .. } = write
            && matches!(result, Ok(_) | Err(StoreError::Unsaved { .. }))
        {
            self.life(account).is_sound();
        }
        if result.is_ok() && !matches!(write, Write::Intent { .. } | Write::Orphan { .. }) {
            self.life(account).before = None;
        }
        let cleared = matches!(write, Write::Clear { .. });
        if erased && !cleared {
            self.violated(account, || format!("{} erases the refresh token", word(write)));
        }
    }

    /// Tokens of an account are not durable, or are: while one account has such, no other spends what
    /// could be lost.
    fn is_saved(&mut self, account: &AccountId, at: Duration) {
        let Some(since) = self.unsaved.remove(account) else { return };
        for life in self.lives.values_mut() {
            life.struggle.is_blocked(since, Some(at), Why::Disk);
        }
    }

    /// Whether an account whose refresh token works may say that its login is lost.
    pub(super) fn was_refused(&mut self, account: &AccountId) -> bool {
        let life = self.life(account);
        life.refusals >= REFUSALS || life.disowned
    }

    /// The newest refresh token that the host was given.
    pub(super) fn knows(&mut self, account: &AccountId) -> Serial {
        self.life(account).knows
    }

    /// Whether somebody else is recorded as whose it is.
    pub(super) fn is_mistaken(&mut self, account: &AccountId) -> bool {
        self.life(account).mistaken.is_some()
    }

    /// Somebody else is recorded as whose an account is, or is not.
    pub(super) fn is_recorded(&mut self, account: &AccountId, mistaken: bool, at: Duration) {
        let life = self.life(account);
        match (life.mistaken, mistaken) {
            (Some(since), false) => {
                life.mistaken = None;
                self.counts.mistaken += at - since;
            }
            (None, true) => life.mistaken = Some(at),
            (Some(_), true) | (None, false) => {}
        }
    }

    /// The world ends.
    pub(super) fn ends(&mut self, at: Duration) {
        let mistaken = self.lives.values().filter_map(|life| life.mistaken);
        self.counts.mistaken += mistaken.map(|since| at - since).sum::<Duration>();
    }

    /// Whether the provider has asked for patience.
    pub(super) fn must_wait(&mut self, account: &AccountId, at: Duration) -> bool {
        let life = self.life(account);
        life.patience.is_some() || life.asked_until.is_some_and(|until| until > at)
    }

    /// Somebody meddles with an account: what was told before may be told again.
    pub(super) fn meddled(&mut self, account: &AccountId) {
        let life = self.life(account);
        (life.told.alarm, life.told.expiry) = (false, false);
    }

    /// An operator wants what is in doubt tried again at once, or as soon as what that lacks is there.
    pub(super) fn urged(&mut self, account: &AccountId) {
        self.life(account).urged = true;
    }

    /// Somebody ends the pause after a throttled answer.
    pub(super) fn may_go_on(&mut self, account: &AccountId) {
        self.life(account).throttled = None;
    }

    /// Nothing is known any more of how long the provider is to be left alone.
    pub(super) fn patience_ends(&mut self, account: &AccountId) {
        self.life(account).patience = None;
    }

    /// The wall clock was set, `back` by so much: what was stored by it means something else.
    pub(super) fn clock_was_set(&mut self, back: Duration) {
        for life in self.lives.values_mut() {
            if life.patience_noted == Noted::Yes {
                life.patience_noted = Noted::No;
            }
            life.asked_until = life.asked_until.map(|until| until + back);
        }
    }

    /// The process has ended; the disk and the service manager have `saved`, and `staged` is yet to
    /// prove itself. Of those `in_doubt` it is written that a request may have been sent.
    pub(super) fn ended(
        &mut self,
        clocks: &Clocks,
        part: &Part,
        saved: Option<Serial>,
        staged: Option<Serial>,
        in_doubt: &[(Serial, Stake)],
    ) {
        let (account, at) = (&part.id, clocks.at());
        self.trace.note(at, || format!("{account} ends with {saved:?}"));
        let life = self.life(account);
        life.in_flight = false;
        life.knows = saved.unwrap_or_default();
        life.throttled = None;
        life.forgets();
        if let Some((announced, stake)) = life.announced.take() {
            // Sent or not, it counts as one of the attempts.
            life.is_cut(announced);
            let serial = match stake {
                Stake::Current => saved,
                Stake::Staged => staged,
                Stake::SignIn => None,
            };
            if let Some(serial) = serial {
                let grace = part.plan().rotation.grace().unwrap_or_default();
                life.struggle.sends((serial, stake), life.begun, announced, clocks, grace);
            }
        }
        let grace = part.plan().rotation.grace().unwrap_or_default();
        life.struggle.ends(life.begun, clocks, grace, in_doubt);
        life.owed = None;
        life.urged = false;
        life.told = Told { failure: true, ..Told::default() };
    }

    /// The process begins, and knows what is noted. Of `unsaved` the tokens are not durable.
    pub(super) fn starts(&mut self, clocks: &Clocks, unsaved: &BTreeSet<AccountId>) {
        let at = clocks.at();
        self.counts.starts += 1;
        self.trace.note(at, || "the daemon starts".to_owned());
        for life in self.lives.values_mut() {
            life.patience = life.patience.filter(|_| life.patience_noted == Noted::Yes);
        }
        let gone = self.unsaved.keys().filter(|account| !unsaved.contains(*account));
        for account in gone.cloned().collect::<Vec<_>>() {
            self.is_saved(&account, at);
        }
        for account in unsaved {
            self.unsaved.entry(account.clone()).or_insert(at);
        }
        self.is_back(at);
        for life in self.lives.values_mut() {
            life.struggle.begins_again(clocks);
        }
    }

    /// From now on nobody is there: the daemon begins to stop, or the host falls asleep.
    pub(super) fn goes_away(&mut self, at: Duration) {
        self.away.get_or_insert(at);
    }

    /// The host is awake, or the daemon is there again: until now nobody could be told anything.
    pub(super) fn is_back(&mut self, at: Duration) {
        let away = self.away.take().unwrap_or(at);
        for life in self.lives.values_mut() {
            life.struggle.is_blocked(away, Some(at), Why::Away);
            life.owed = life.owed.map(|_| at + TOLD_WITHIN);
        }
    }
}

/// What a write is called.
const fn word(write: &Write) -> &'static str {
    match write {
        Write::Intent { .. } => "an intent",
        Write::Commit { .. } => "a commit",
        Write::Salvage { .. } => "a salvage",
        Write::Note { .. } => "a note",
        Write::Stage { .. } => "a staged token",
        Write::Unstage { .. } => "that one is staged no more",
        Write::Clear { .. } => "that all is forgotten",
        Write::Orphan { .. } => "an orphan",
        Write::Settle { .. } => "what was kept",
    }
}
