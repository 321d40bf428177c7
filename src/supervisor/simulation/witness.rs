//! What must hold, whatever happens, and what has to be remembered to see whether it does.
//!
//! The witness sees what is true (requests at the provider, time, what is on disk) and what the
//! daemon says. The first thing that does not fit ends the world.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::time::Duration;

use super::cast::Part;
use super::clocks::Clocks;
use super::service::Conduct;
use super::service::Refused;
use super::service::Serial;
use super::trace::Trace;
use crate::error::Class;
use crate::error::RefreshError;
use crate::name::AccountId;
use crate::notice::Event;
use crate::notice::Notice;
use crate::notice::Reason;
use crate::provider::Outcome;
use crate::record::Stake;
use crate::record::StoreError;
use crate::record::Write;
use crate::record::Written;
use crate::schedule::LONGEST_RETRY_AFTER;
use crate::token::Secret;

/// Requests in any minute, whatever is answered.
const A_MINUTE: (Duration, usize) = (Duration::from_secs(60), 10);

/// Requests in any hour of an account whose tokens live for minutes at least: retries whose pauses
/// grow, and what people and programs force. One retry after another without a pause would fill
/// each minute's budget.
const AN_HOUR: (Duration, usize) = (Duration::from_secs(3_600), 200);

/// The longest that a request is on its way.
pub(super) const LATENCY: Duration = Duration::from_millis(100);

/// Refusals in a row after which a login is lost: the first, and three confirmations.
const REFUSALS: u32 = 4;

/// Until a failure must have been told to everyone.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// What a disk that takes its time may add to that, with the writes of others before.
const SLOW_DISK: Duration = Duration::from_secs(60);

/// What the witness remembers.
pub(super) struct Witness {
    lives: BTreeMap<AccountId, Life>,
    violation: Option<String>,
    pub(super) trace: Trace,
    /// When a write last took its time.
    slow: Duration,
    pub(super) counts: Counts,
}

/// What happened in a world, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) answers: u64,
    pub(super) lost: u64,
    pub(super) starts: u64,
}

impl Counts {
    /// Sums up.
    pub(super) const fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.answers += other.answers;
        self.lost += other.lost;
        self.starts += other.starts;
    }
}

/// What is remembered of an account.
#[derive(Default)]
struct Life {
    in_flight: bool,
    sends: VecDeque<Duration>,
    reason: Option<Reason>,
    /// The newest refresh token that reached the host and was not lost there.
    knows: Serial,
    spent: Option<(Serial, Fate)>,
    patience: Option<Duration>,
    /// By when a failure must have been told.
    owed: Option<Duration>,
    /// How often in a row the refresh token was refused.
    refusals: u32,
    /// When something last kept a request from succeeding, and when before that.
    denied: Duration,
    denied_before: Duration,
    /// Whether somebody else's tokens came.
    foreign: bool,
    /// What the daemon takes for the grace.
    plan_grace: Duration,
    /// When the first of the requests was sent whose replies were lost.
    doubted: Option<Duration>,
    /// When the last replay inside the grace of that was sent: replays are not planned for ever.
    replayed: Duration,
    /// Whether lifetimes were odd in the last hour, which takes more requests.
    odd: Duration,
    told: Told,
}

/// What was told that is to be told once.
#[derive(Default)]
struct Told {
    alarm: bool,
    expiry: bool,
    failure: bool,
    token: Option<u64>,
}

/// What came of spending a refresh token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// The reply is awaited, or nobody is there to hear it.
    Open,
    /// It may have been taken.
    Lost,
    /// The provider has spoken.
    Known,
}

impl Witness {
    pub(super) fn new(trace: Trace) -> Self {
        let (lives, counts) = (BTreeMap::new(), Counts::default());
        Self { lives, violation: None, trace, slow: Duration::ZERO, counts }
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

    fn life(&mut self, account: &AccountId) -> &mut Life {
        if !self.lives.contains_key(account) {
            self.lives.insert(account.clone(), Life::default());
        }
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
        let wrong = life.wrong_to_send(at, part, stake, token, announced);
        life.in_flight = true;
        life.sends.push_back(at);
        life.plan_grace = part.plan().rotation.grace().unwrap_or_default();
        life.doubted = life.doubted.filter(|first| at < *first + life.plan_grace);
        if life.doubted.is_some() {
            life.replayed = at;
        }
        life.doubted.get_or_insert(at);
        if let Some(token) = token.filter(|_| stake != Stake::SignIn) {
            life.spent = Some((Serial::of(token), Fate::Open));
        }
        if let Some(wrong) = wrong {
            self.violated(account, || wrong);
        }
    }

    /// A reply reaches the host, or it gives up waiting.
    pub(super) fn heard(
        &mut self,
        clocks: &Clocks,
        account: &AccountId,
        stake: Stake,
        outcome: &Outcome,
    ) {
        let at = clocks.at();
        self.trace.note(at, || format!("{account} hears {}", spoken(outcome)));
        let told_by = self.told_by(at);
        let life = self.life(account);
        life.in_flight = false;
        let error = match outcome {
            Outcome::Granted(grant) => {
                let foreign = grant.subject.as_deref().is_some_and(|it| it.starts_with("not-"));
                // Whom the daemon takes for the account's own from then on, nobody knows.
                life.foreign |= foreign;
                if foreign {
                    life.deny(at);
                } else {
                    life.refusals = 0;
                    life.learn(stake, grant.refresh_token.as_ref());
                }
                if grant.lifetime < Duration::from_secs(900) {
                    life.odd = at;
                }
                life.patience = None;
                None
            }
            Outcome::Salvaged(token, error) => {
                life.learn(stake, Some(token));
                Some(error)
            }
            Outcome::Failed(error) => Some(error),
        };
        let class = error.map(RefreshError::class);
        if let Some((_, fate)) = &mut life.spent {
            let lost = class == Some(Class::Ambiguous) && matches!(outcome, Outcome::Failed(_));
            *fate = if lost { Fate::Lost } else { Fate::Known };
            if !lost {
                life.doubted = None;
            }
        }
        if class == Some(Class::Suspect) {
            // A sign-in that is refused leaves nothing to confirm.
            life.refusals += if stake == Stake::SignIn { REFUSALS } else { 1 };
        } else if class.is_some() {
            life.deny(at);
        }
        if let Some(error) = error {
            let asked = error.retry_after().map(|asked| at + asked.min(LONGEST_RETRY_AFTER));
            life.patience = asked;
            if stake != Stake::Staged {
                life.owed.get_or_insert(told_by);
            }
        }
    }

    /// An attempt fails on this host.
    pub(super) fn failed_here(&mut self, account: &AccountId, at: Duration) {
        self.life(account).deny(at);
    }

    /// A login was ended, or not.
    pub(super) fn let_go(&mut self, account: &AccountId) {
        self.life(account).in_flight = false;
    }

    /// By when what fails at `at` must have been told.
    fn told_by(&self, at: Duration) -> Duration {
        let slow = !self.slow.is_zero() && at < self.slow + SLOW_DISK;
        at + TOLD_WITHIN + if slow { SLOW_DISK } else { Duration::ZERO }
    }

    /// A write takes its time.
    pub(super) fn slowed(&mut self, at: Duration) {
        self.slow = at;
        for life in self.lives.values_mut() {
            life.deny(at);
            life.owed = life.owed.map(|owed| owed.max(at + TOLD_WITHIN + SLOW_DISK));
        }
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
        if result.is_err() {
            // While one account is not saved, no other spends what could be lost.
            self.lives.values_mut().for_each(|life| life.deny(at));
        }
        let cleared = matches!(write, Write::Clear { .. });
        if erased && !cleared {
            self.violated(account, || format!("{} erases the refresh token", word(write)));
        }
    }

    /// The provider refuses a refresh token that it does not take any more.
    pub(super) fn refused(
        &mut self,
        clocks: &Clocks,
        account: &AccountId,
        token: &Secret,
        refused: &Refused,
    ) {
        let Refused { newest, since, reused, conduct } = *refused;
        let serial = Serial::of(token);
        self.trace.note(clocks.at(), || format!("{account}: {serial:?} is refused for good"));
        let life = self.life(account);
        let (knows, denied, foreign) = (life.knows, life.denied, life.foreign);
        if !reused || foreign {
            return;
        }
        // It was a replay that the provider took, after which others need not come.
        let replayed = (life.replayed..life.replayed + LATENCY).contains(&since);
        // More than the one reply was lost, or as good as that.
        let once = life.denied_before <= since;
        let planned = life.plan_grace;
        self.counts.lost += 1;
        if knows.login == newest.login && knows >= newest {
            self.violated(account, || format!("spends {serial:?}, though it was given {newest:?}"));
        } else if let Conduct::Grace(grace) = conduct
            && !replayed
            && once
            && denied + Duration::from_secs(2) <= since + grace.min(planned).mul_f64(0.45)
        {
            self.violated(account, || {
                format!(
                    "lost {newest:?} of {since:?} with a grace of {grace:?}, which nothing kept it \
                     from fetching after {denied:?}"
                )
            });
        }
    }

    /// The daemon tells that something happened.
    pub(super) fn told(&mut self, notice: &Notice, at: Duration) {
        let account = &notice.account;
        let state = notice.snapshot.state.as_str();
        self.trace.note(at, || format!("{account} tells {:?}, {state}", notice.event.name()));
        let life = self.life(account);
        let wrong = match &notice.event {
            Event::RefreshStarted { reason, .. } => {
                life.reason = Some(*reason);
                None
            }
            Event::TokenChanged { .. } => {
                let held = notice.snapshot.held.as_ref();
                let token = held.map(|held| held.tokens.access.expose().parse().unwrap());
                let again = token.is_some() && life.told.token == token;
                life.told.token = token;
                (life.told.alarm, life.told.expiry) = (false, false);
                again.then_some("told of the same token twice")
            }
            Event::RefreshFailed { failure, .. } => {
                life.owed = None;
                life.told.failure = true;
                let shown = notice.snapshot.failure.is_some();
                // A write that no attempt waits for is told beside what is said of the account.
                let beside = matches!(failure.error, RefreshError::StoreUnavailable(_));
                (!shown && !beside).then_some("told of a failure that it does not show")
            }
            Event::Alarm { .. } => {
                let again = std::mem::replace(&mut life.told.alarm, true);
                again.then_some("told of an alarm twice")
            }
            Event::Expired => {
                let again = std::mem::replace(&mut life.told.expiry, true);
                again.then_some("told of an expiry twice")
            }
            Event::Recovered { .. } => {
                let failed = std::mem::take(&mut life.told.failure);
                life.told.alarm = false;
                (!failed).then_some("recovered from nothing")
            }
            Event::ExpiryAhead { .. } | Event::StateChanged | Event::HookFailed { .. } => None,
        };
        if let Some(wrong) = wrong {
            self.violated(account, || wrong.to_owned());
        }
    }

    /// Whether an account whose refresh token works may say that its login is lost.
    pub(super) fn was_refused(&mut self, account: &AccountId) -> bool {
        let life = self.life(account);
        life.refusals >= REFUSALS || life.foreign
    }

    /// The newest refresh token that the host was given.
    pub(super) fn knows(&mut self, account: &AccountId) -> Serial {
        self.life(account).knows
    }

    /// Whether somebody else's tokens came to it, so that nobody knows whose it is.
    pub(super) fn is_foreign(&mut self, account: &AccountId) -> bool {
        self.life(account).foreign
    }

    /// Whether the provider has asked for patience.
    pub(super) fn must_wait(&mut self, account: &AccountId) -> bool {
        self.life(account).patience.is_some()
    }

    /// Somebody meddles with an account: what was told before may be told again.
    pub(super) fn meddled(&mut self, account: &AccountId) {
        let life = self.life(account);
        (life.told.alarm, life.told.expiry) = (false, false);
    }

    /// Nothing is known any more of how long the provider is to be left alone.
    pub(super) fn patience_ends(&mut self, account: &AccountId) {
        self.life(account).patience = None;
    }

    /// The wall clock was set: what was stored by it means something else.
    pub(super) fn clock_was_set(&mut self) {
        for life in self.lives.values_mut() {
            life.patience = None;
        }
    }

    /// The process has ended; `saved` is what the disk and the service manager have.
    pub(super) fn ended(&mut self, account: &AccountId, saved: Option<Serial>, at: Duration) {
        self.trace.note(at, || format!("{account} ends with {saved:?}"));
        let life = self.life(account);
        life.in_flight = false;
        life.knows = saved.unwrap_or_default();
        life.deny(at);
        if life.owed.take().is_some() {
            life.patience = None;
        }
        life.told = Told { failure: true, ..Told::default() };
    }

    /// The host slept, or the daemon was not there: nobody could be told anything.
    pub(super) fn absent_until(&mut self, at: Duration) {
        for life in self.lives.values_mut() {
            life.deny(at);
            life.owed = life.owed.map(|_| at + TOLD_WITHIN);
        }
    }

    /// Whether what failed was told in time.
    pub(super) fn check(&mut self, at: Duration) {
        let late = self.lives.iter().find(|(_, life)| life.owed.is_some_and(|owed| owed < at));
        if let Some(account) = late.map(|(account, _)| account.clone()) {
            self.violated(&account, || "a failure was not told in time".to_owned());
        }
    }
}

impl Life {
    /// What is wrong with a request that is about to leave, if anything is.
    fn wrong_to_send(
        &mut self,
        at: Duration,
        part: &Part,
        stake: Stake,
        token: Option<&Secret>,
        announced: bool,
    ) -> Option<String> {
        while self.sends.front().is_some_and(|sent| *sent + AN_HOUR.0 <= at) {
            self.sends.pop_front();
        }
        let minute = self.sends.iter().filter(|sent| **sent + A_MINUTE.0 > at).count();
        let odd = !self.odd.is_zero() && at < self.odd + AN_HOUR.0;
        let announces = part.announces() && stake != Stake::SignIn;
        let serial = token.filter(|_| announces).map(Serial::of);
        let again = self.spent.filter(|(spent, _)| Some(*spent) == serial).map(|(_, fate)| fate);
        let in_doubt = matches!(again, Some(Fate::Open | Fate::Lost));
        let ours = serial.filter(|_| !self.foreign);
        if self.in_flight {
            Some("two requests at a time".to_owned())
        } else if minute >= A_MINUTE.1 {
            Some(format!("{} requests in a minute", minute + 1))
        } else if self.sends.len() >= AN_HOUR.1 && !odd {
            Some(format!("{} requests in an hour", self.sends.len() + 1))
        } else if let Some(patience) = self.patience.filter(|patience| at < *patience) {
            Some(format!("a request {:?} before the provider wants one", patience - at))
        } else if announces && !announced {
            Some("a spend that is not announced durably".to_owned())
        } else if ours.is_some_and(|it| it.login == self.knows.login && it < self.knows) {
            Some(format!("spends {serial:?}, though it has {:?}", self.knows))
        } else if in_doubt && self.reason != Some(Reason::Replay) {
            Some(format!("spends {serial:?} again, and not as a replay"))
        } else {
            None
        }
    }

    fn deny(&mut self, at: Duration) {
        if at > self.denied {
            self.denied_before = std::mem::replace(&mut self.denied, at);
        }
    }

    fn learn(&mut self, stake: Stake, token: Option<&Secret>) {
        match (token, self.spent) {
            (Some(token), _) => self.knows = Serial::of(token),
            (None, Some((spent, _))) if stake == Stake::Staged => self.knows = spent,
            (None, _) => {}
        }
    }
}

fn spoken(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Granted(grant) => format!(
            "access {} for {:?}, refresh {:?}",
            grant.tokens.access.expose(),
            grant.lifetime,
            grant.refresh_token.as_ref().map(Secret::expose)
        ),
        Outcome::Salvaged(token, error) => format!("{error}, and {}", token.expose()),
        Outcome::Failed(error) => error.to_string(),
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
