//! The daemon around one account: clock, queue, network and store, without any of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::service::Service;
use super::store::Store;
use crate::config::Config;
use crate::config::File;
use crate::config::account::Account as Configured;
use crate::config::daemon::Defaults;
use crate::error::RefreshError;
use crate::lifecycle::Account;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Beginning;
use crate::lifecycle::words::Command;
use crate::lifecycle::words::Input;
use crate::name::AccountId;
use crate::notice::Event;
use crate::provider::Outcome;
use crate::provider::Spend;
use crate::provider::Step;
use crate::record::Stake;
use crate::section::Mode;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;
use crate::token::Kind;
use crate::token::Secret;

/// Wall-clock time at the begin of every life, in Unix seconds.
pub(super) const BEGIN: u64 = 1_700_000_000;

/// Milliseconds from a request to its reply, and from a write to its end.
const REPLY_MS: u64 = 700;
const WRITE_MS: u64 = 20;

/// One account, its service, and what was seen of both.
pub(super) struct Keeper<S> {
    pub(super) service: S,
    /// Starts of requests and of logins, in milliseconds.
    requests: Vec<u64>,
    pub(super) logins: Vec<u64>,
    pub(super) told: Vec<Told>,
    /// Failures that a life is about.
    pub(super) expected_failures: usize,
    failures: Vec<String>,
    alarms: usize,
    account: Account,
    config: Arc<Configured>,
    store: Store,
    now_ms: u64,
    /// What comes to the account, by its time and by the order of its causes.
    coming: BTreeMap<(u64, u64), Input>,
    steps: u64,
    /// No reply comes before this.
    down_until_ms: u64,
    trouble: Option<String>,
}

/// A notice of the end of a login.
pub(super) struct Told {
    pub(super) at: Timestamp,
    pub(super) within: Duration,
}

impl<S: Service> Keeper<S> {
    /// An account with these keys that the store knows nothing of.
    pub(super) fn new(keys: &str, service: S) -> Self {
        let config = configured(keys);
        let store = Store::new(config.provider.profile().lineage.clone());
        let (account, _) = begun(&config, &store, 0);
        let mut keeper = Self {
            service,
            requests: Vec::new(),
            logins: Vec::new(),
            told: Vec::new(),
            expected_failures: 0,
            failures: Vec::new(),
            alarms: 0,
            account,
            config,
            store,
            now_ms: 0,
            coming: BTreeMap::new(),
            steps: 0,
            down_until_ms: 0,
            trouble: None,
        };
        keeper.restart();
        keeper
    }

    /// Seconds since the begin.
    pub(super) const fn secs(&self) -> u64 {
        self.now_ms / 1000
    }

    /// How many requests were no logins.
    pub(super) const fn refreshes(&self) -> u64 {
        (self.requests.len() - self.logins.len()) as u64
    }

    /// Hands a refresh token in, as a login does.
    pub(super) fn import(&mut self, refresh_token: &str) {
        self.feed(Input::Ordered(Action::Import(Secret::new(refresh_token).into())));
        self.live_for(10);
    }

    /// Ends the process and begins another.
    pub(super) fn restart(&mut self) {
        // What was under way is saved before the process ends.
        self.settle();
        self.coming.clear();
        let (account, commands) = begun(&self.config, &self.store, self.now_ms);
        self.account = account;
        self.carry_out(commands);
    }

    /// From now on and for so long, no request gets through.
    pub(super) fn outage_of_secs(&mut self, secs: u64) {
        self.down_until_ms = self.now_ms + secs * 1000;
    }

    pub(super) fn live_for(&mut self, secs: u64) {
        let end = self.now_ms + secs * 1000;
        while self.step(end) {}
    }

    /// Lives until something is so.
    pub(super) fn live_until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            assert!(self.step(u64::MAX), "nothing more happens");
        }
    }

    /// Asserts that there was no trouble and no failure but those that were expected.
    pub(super) fn is_well(&self) {
        assert_eq!(self.trouble(), None);
        assert_eq!(self.failures.len(), self.expected_failures, "{:#?}", self.failures);
        assert_eq!(self.alarms, 0);
    }

    /// What must never be: a moment without a valid token, a budget that was overrun, a notice
    /// that was told twice.
    pub(super) fn trouble(&self) -> Option<String> {
        let twice = |at: usize, notice: &Told| {
            let same = |it: &Told| it.at == notice.at && it.within == notice.within;
            self.told[..at].iter().any(same)
        };
        let notice = self.told.iter().enumerate().find(|(at, notice)| twice(*at, notice));
        let notice = notice.map(|(_, notice)| format!("told twice: {:?}", notice.within));
        let requests = fullest_minute(&self.requests);
        let logins = fullest_minute(&self.logins);
        let budget = (requests > 10 || logins > 5)
            .then(|| format!("{requests} requests and {logins} logins in a minute"));
        self.trouble.clone().or(notice).or(budget)
    }

    /// Lets nothing new begin, and what is under way end.
    fn settle(&mut self) {
        while let Some(((at, _), input)) = self.coming.pop_first() {
            self.now_ms = self.now_ms.max(at);
            self.feed(input);
        }
    }

    /// Takes what comes next, unless it comes after `end`. Says whether there was something.
    fn step(&mut self, end: u64) -> bool {
        self.steps += 1;
        assert!(self.steps < 3_000_000, "it goes round in circles");
        let wake = self.account.wake_at().map(|at| at.as_millis().max(self.now_ms));
        let coming = self.coming.first_key_value().map(|((at, _), _)| *at);
        let next = [wake, coming].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= end) else {
            self.now_ms = end;
            self.look();
            return false;
        };
        self.now_ms = next;
        let input = match self.coming.first_entry() {
            Some(entry) if entry.key().0 == next => entry.remove(),
            _ => Input::Woken,
        };
        self.feed(input);
        true
    }

    fn feed(&mut self, input: Input) {
        self.look();
        let share = (self.steps as f64 * 0.618_033_988_75).fract();
        let commands = self.account.handle(input, self.now(), Jitter::new(share));
        self.carry_out(commands);
    }

    /// Looks whether there is a valid token of every kind that the account ever had.
    fn look(&mut self) {
        let now = self.now();
        let Some(held) = &self.account.held else { return };
        let aws = held.aws.as_ref().map(|aws| (Kind::Aws, aws.ttl(now)));
        let kinds = [Some((Kind::Access, held.ttl(now))), aws];
        let gap = kinds.into_iter().flatten().find(|(_, left)| left.is_zero());
        if let Some((kind, _)) = gap {
            let text = format!("no valid {} token at {} s", kind.as_str(), self.secs());
            self.trouble.get_or_insert(text);
        }
    }

    fn carry_out(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Queue { ticket, .. } => self.comes(1, Input::Admitted(ticket)),
                Command::Intend { ticket, write, .. } => {
                    self.store.write(write);
                    self.comes(WRITE_MS, Input::Intended(ticket, Ok(true)));
                }
                Command::Exchange { ticket, stake, .. } => {
                    let (took, outcome) = self.exchange(stake);
                    self.comes(took, Input::Exchanged(ticket, outcome));
                }
                Command::Write { ticket, write } => {
                    let generation = self.store.write(write);
                    self.comes(WRITE_MS, Input::Written(ticket, Ok(generation)));
                }
                Command::Tell(event) => self.hear(event),
                Command::Unqueue => self.coming.retain(|_, it| !matches!(it, Input::Admitted(_))),
                Command::Revoke { .. } => unreachable!("nobody logs out"),
                Command::Publish
                | Command::Answer(_)
                | Command::AnswerLater(_)
                | Command::AnswerTo(..) => {}
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::RefreshFailed { failure, .. } => self.failures.push(failure.error.to_string()),
            Event::Alarm { .. } | Event::Expired => self.alarms += 1,
            Event::ExpiryAhead { at, within } => self.told.push(Told { at, within }),
            Event::RefreshStarted { .. }
            | Event::TokenChanged { .. }
            | Event::Recovered { .. }
            | Event::HookFailed { .. }
            | Event::StateChanged => {}
        }
    }

    /// Has the codec talk to the service. Returns how long that took, too.
    fn exchange(&mut self, stake: Stake) -> (u64, Outcome) {
        let provider = &self.config.provider;
        let spend = Spend {
            refresh_token: self.store.refresh_token(stake),
            secrets: secrets(),
            learned: None,
            held: self.account.held.as_ref().map(|held| held.tokens.clone()),
            now: self.now().wall,
        };
        let mut exchange = match stake {
            Stake::SignIn => provider.sign_in(spend).expect("it can sign in"),
            Stake::Current | Stake::Staged => provider.exchange(spend),
        };
        // One that does not reach the service is none there.
        if stake == Stake::SignIn && self.now_ms >= self.down_until_ms {
            self.logins.push(self.now_ms);
        }
        let mut took = 0;
        let mut response = None;
        loop {
            let request = match exchange.next(response.take()) {
                Step::Ask(request) => request,
                Step::Done(outcome) => return (took.max(1), outcome),
                Step::Call(_) => unreachable!("no service here is a program"),
            };
            self.requests.push(self.now_ms + took);
            if self.now_ms + took < self.down_until_ms {
                let error = RefreshError::Unreachable("no route to the host".to_owned());
                return (took + REPLY_MS, Outcome::Failed(error));
            }
            took += REPLY_MS;
            response = Some(self.service.answer(&request, self.secs() + took / 1000));
        }
    }

    fn comes(&mut self, after_ms: u64, input: Input) {
        self.steps += 1;
        self.coming.insert((self.now_ms + after_ms, self.steps), input);
    }

    const fn now(&self) -> Now {
        now(self.now_ms)
    }
}

/// The most that lie within 60 s.
fn fullest_minute(starts: &[u64]) -> usize {
    let within = |first: usize| {
        starts[first..].iter().take_while(|at| **at < starts[first] + 60_000).count()
    };
    (0..starts.len()).map(within).max().unwrap_or_default()
}

fn begun(config: &Configured, store: &Store, now_ms: u64) -> (Account, Vec<Command>) {
    let id = id();
    let beginning = Beginning {
        id: id.clone(),
        plan: config.plan.clone(),
        lineage: config.provider.profile().lineage.clone(),
        record: store.record(id),
    };
    Account::begin(beginning, now(now_ms), Jitter::new(0.5))
}

const fn now(now_ms: u64) -> Now {
    Now {
        boot: Moment::from_millis(now_ms),
        wall: Timestamp::from_millis((BEGIN * 1000 + now_ms) as i64),
    }
}

fn configured(keys: &str) -> Arc<Configured> {
    let text = format!("[accounts.{}]\n{keys}", id());
    let file = File { name: "config.toml".to_owned(), text };
    let config = Config::parse(&[file], Mode::System, Defaults::system());
    config.unwrap_or_else(|invalid| panic!("{invalid}")).accounts.remove(&id()).unwrap()
}

fn secrets() -> Vec<(&'static str, Secret)> {
    vec![("password", Secret::new("pw")), ("totp", Secret::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"))]
}

fn id() -> AccountId {
    AccountId::parse("home").unwrap()
}
