//! A daemon whose many accounts refresh all the time, which ends again and again and is started
//! again, and what must hold of them each time and in the end.
//!
//! The provider rotates at every use and forgives a spent token for a while: 30 s, and of every third
//! account for what `TOKENKEEPER_TEST_GRACE` says, in seconds. The long form says 10; beside other
//! tests, exchanges may take as long as lives, and a short grace is over before one of its replays
//! was not cut. An account is lost if it is refused, or not fresh in the end without anybody's help.
//! That is excused only where a hit cut an exchange of that account, and the host had no daemon for half
//! of the grace after it; of each grace, few accounts may be lost like that. Where starts take long, on
//! a busy host, lives are longer too, so that it seldom comes to that. Whatever else loses an account
//! ends the campaign at once, and what is known of it is told.
//!
//! An end comes at a random moment after the daemon is ready; each eighth time a second one follows
//! at a random moment of the start after it, and each eighth time the daemon was about to
//! stop. An end counts as a hit if the next daemon that becomes ready finds an exchange that was not
//! concluded, so that two ends in a row are one hit at the most.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;
use serde_json::json;
use tokenkeeper::protocol::account::AccountList;
use tokenkeeper::protocol::account::AccountView;

use super::lives::Lives;
use super::lives::time_of_day;
use crate::support::chance::Chance;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::Request;
use crate::support::idp::Entry;
use crate::support::idp::Idp;
use crate::support::idp::Totals;
use crate::support::number_from_environment;
use crate::support::process::let_pass;

/// How long the provider forgives, in seconds; the daemon is told the same.
const GRACE_SECS: u64 = 30;

/// Of how many accounts one has the grace that the environment says, if it says one.
const SHORT_GRACES: usize = 3;

/// How long tokens are good, in seconds: they are renewed after about 20.
const LIFETIME_SECS: u64 = 30;

/// The same of the first tokens, from the one account to the other: their renewals begin after ten
/// seconds, which is the shortest pause, and are spread over as long as a renewal takes.
const FIRST_LIFETIMES_SECS: (u64, u64) = (12, 42);

/// The longest life after a daemon is ready.
const LONGEST_LIFE: Duration = Duration::from_millis(1_300);

/// The longest life from the start of a process on, where the start is what is cut: about as long
/// as it takes on a busy host.
const LONGEST_START: Duration = Duration::from_millis(200);

/// How long a stop may go on before it is cut. It takes no longer where no exchange is under way.
const LONGEST_STOP: Duration = Duration::from_millis(20);

/// How many times as long as the last absence a life may at least be.
const LIFE_PER_ABSENCE: u32 = 4;

/// Of the accounts with one grace at most one in so many may be lost with an excuse.
const FEW: usize = 20;

/// How many of its last requests are told of an account that is lost.
const TOLD: usize = 40;

/// How an account stands that the provider has refused. It refuses nobody in error here.
const REFUSED: [&str; 2] = ["suspect", "needs_login"];

/// What a daemon says of each account whose exchange its predecessor did not conclude.
const OPEN_INTENT: &str = "the daemon ended while an exchange was under way";

/// What each of its lives says.
const READY: &str = "\"event\":\"ready\"";

/// The accounts, their daemon and their provider.
pub(crate) struct Herd {
    idp: Idp,
    daemon: Daemon,
    accounts: BTreeMap<String, Account>,
    lives: Lives,
    tally: Tally,
}

struct Account {
    grace_secs: u64,
    /// The newest generation that was seen.
    generation: u64,
    /// The first hit that cut an exchange after that generation.
    hit: Option<Instant>,
    is_lost: bool,
}

/// What happened, in numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Accounts by their grace in seconds, and how many of them were lost with an excuse.
    accounts: BTreeMap<u64, Lost>,
    /// Ends of the daemon.
    ends: u64,
    /// Those of them that came in a start, and in a stop.
    starts: u64,
    stops: u64,
    /// Those of them that found an exchange under way.
    hits: u64,
    /// Exchanges that were under way then.
    opened: u64,
    /// What the provider counted.
    granted: u64,
    replays: u64,
    reuses: u64,
    /// Those of accounts that were lost with an excuse: what is tried last.
    late: u64,
    /// The fullest minute of any account.
    fullest: u64,
}

/// Of how many accounts how many were lost with an excuse.
#[derive(Clone, Copy, Debug, Default)]
struct Lost {
    of: usize,
    excused: usize,
}

impl Herd {
    /// So many accounts that all have a token, when the first of them has renewed it. `prepare` is
    /// given the daemon before it starts, and may refuse.
    pub(crate) fn new(accounts: usize, prepare: impl FnOnce(&Daemon) -> bool) -> Option<Self> {
        let idp = Idp::start();
        let short = number_from_environment("TOKENKEEPER_TEST_GRACE", GRACE_SECS);
        let grace = |number: usize| if number % SHORT_GRACES == 1 { short } else { GRACE_SECS };
        let names = (0..accounts).map(|number| format!("crash-{number}")).collect::<Vec<_>>();
        let behaviours = names.iter().enumerate().map(|(number, account)| {
            let rotation = json!({ "grace_secs": grace(number) });
            let lifetime = first_lifetime(number, accounts);
            (account.clone(), json!({ "lifetime_secs": lifetime, "rotation": rotation }))
        });
        let refresh_tokens = idp.put_all(&behaviours.collect());
        // So that what many accounts say alike is said by each.
        let mut config = Config::default().daemon("log = \"debug\"\ndbus = \"off\"");
        for (number, account) in names.iter().enumerate() {
            let keys = idp.keys(account) + &format!("rotation = \"{}s\"\n", grace(number));
            config = config.account(account, &keys);
        }
        let mut daemon = Daemon::new(&config);
        if !prepare(&daemon) {
            return None;
        }
        daemon.begin();
        daemon.logs(READY);
        for (number, account) in names.iter().enumerate() {
            daemon.import(account, &refresh_tokens[account]);
            // The reply is decided and on its way for a while: that is when an end hurts. Where
            // there is less time to replay, replays are under way for less.
            let pause = json!({ "min": grace(number) / 2, "max": grace(number) * 4 });
            let delays = json!({ "delay_ms": pause, "delay_after_commit_ms": pause });
            idp.patch(account, &delays);
            idp.patch(account, &json!({ "lifetime_secs": LIFETIME_SECS }));
        }
        idp.wait(&names[0], "requests=2");
        let mut tally = Tally::default();
        let mut begun = |number| {
            let grace_secs = grace(number);
            tally.accounts.entry(grace_secs).or_default().of += 1;
            Account { grace_secs, generation: 1, hit: None, is_lost: false }
        };
        let accounts = names.into_iter().enumerate();
        let accounts = accounts.map(|(number, account)| (account, begun(number))).collect();
        Some(Self { idp, daemon, accounts, lives: Lives::begun(), tally })
    }

    /// Has the daemon end so many times as `end` does, which tells whether it did, and starts another
    /// one each time. Nothing goes back, and nothing is forgotten.
    pub(crate) fn survives(
        &mut self,
        ends: u64,
        chance: &mut Chance,
        end: impl Fn(&mut Daemon) -> bool,
    ) {
        let mut absence = Duration::ZERO;
        for life in 0_u64.. {
            if self.tally.ends >= ends {
                break;
            }
            let_pass(chance.span(LONGEST_LIFE.max(absence * LIFE_PER_ABSENCE)));
            self.look();
            self.lives.ends();
            if life % 8 == 7 {
                self.daemon.signal(Signal::TERM);
                let_pass(chance.span(LONGEST_STOP));
                self.tally.stops += self.ends("ended, while it stopped", &end);
            } else {
                self.ends("ended", &end);
            }
            if life % 8 == 3 {
                self.daemon.launch();
                let_pass(chance.span(LONGEST_START));
                self.tally.starts += self.ends("ended, while it started", &end);
            }
            absence = self.begins();
            self.look();
        }
    }

    /// Every account becomes fresh by itself, or was lost.
    pub(crate) fn recovers(mut self) -> Tally {
        let totals = self.idp.all_totals();
        let names = self.accounts.keys().cloned().collect::<Vec<_>>();
        for name in &names {
            let at_rest = |view: &AccountView| {
                view.ready && view.refresh_error.is_none() && view.state == "fresh"
            };
            let over = |view: &AccountView| at_rest(view) || REFUSED.contains(&&*view.state);
            match self.daemon.comes_to(name, over) {
                Ok(view) if at_rest(&view) => {
                    let token = self.daemon.token(name, "").unwrap();
                    let good = self.idp.accepts(name, &token.token);
                    assert!(good, "{name} has a token that is not good");
                }
                Ok(view) => self.is_lost(&view),
                Err(view) => self.is_lost(&view),
            }
            let reuses = self.idp.totals(name).reuses;
            if self.accounts[name].is_lost {
                self.tally.late += reuses;
            } else {
                self.tally.reuses += reuses;
            }
        }
        let sum = |of: fn(&Totals) -> u64| totals.values().map(of).sum::<u64>();
        self.tally.granted = sum(|it| it.granted);
        self.tally.replays = sum(|it| it.replays);
        self.tally.fullest = totals.values().map(|it| it.max_requests_in_60s).max().unwrap();
        self.tally
    }

    /// Counts an end, if it was one.
    fn ends(&mut self, how: &'static str, end: impl Fn(&mut Daemon) -> bool) -> u64 {
        let ended = u64::from(end(&mut self.daemon));
        self.tally.ends += ended;
        // The log of one life, so that a long campaign does not read all of it again each time.
        self.lives.ended(how, self.daemon.log());
        fs::write(self.daemon.path("log"), "").unwrap();
        ended
    }

    /// Starts a daemon, which says that it is ready after all that its predecessor left. Tells how long
    /// there was none.
    fn begins(&mut self) -> Duration {
        self.daemon.begin();
        self.daemon.logs(READY);
        let log = self.daemon.log();
        let opened = log.lines().filter(|line| line.contains(OPEN_INTENT));
        let mut count = 0;
        for line in opened {
            let told = serde_json::from_str::<Value>(line).unwrap();
            let account = self.accounts.get_mut(told["account"].as_str().unwrap()).unwrap();
            account.hit.get_or_insert(self.lives.absent_since());
            count += 1;
        }
        self.tally.hits += u64::from(count > 0);
        self.tally.opened += count;
        self.lives.ready()
    }

    /// What the daemon tells of its accounts is never older than what it told before, in any life.
    fn look(&mut self) {
        let told = self.daemon.ask(Request::get("/v1/accounts")).success::<AccountList>();
        assert_eq!(told.accounts.len(), self.accounts.len());
        for view in told.accounts {
            assert_ne!(view.state, "vacant", "{}", view.account);
            let account = self.accounts.get_mut(&view.account).unwrap();
            let (newest, generation) = (account.generation, view.generation);
            let name = &view.account;
            assert!(generation >= newest, "{name} went back from {newest} to {generation}");
            if generation > newest && !view.unsaved {
                account.generation = generation;
                account.hit = None;
            }
            if REFUSED.contains(&&*view.state) {
                self.is_lost(&view);
            }
        }
    }

    /// Takes down that an account is lost, which has to have an excuse.
    fn is_lost(&mut self, view: &AccountView) {
        let name = &view.account;
        let Account { grace_secs, hit, is_lost, .. } = self.accounts[name];
        let grace = Duration::from_secs(grace_secs);
        let without = hit.map(|hit| self.lives.without(hit, grace));
        let is_excused = without.is_some_and(|without| without * 2 >= grace);
        assert!(is_excused, "{}", self.story(view, without));
        if !is_lost {
            self.accounts.get_mut(name).unwrap().is_lost = true;
            self.tally.accounts.get_mut(&grace_secs).unwrap().excused += 1;
        }
    }

    /// All that is known of an account that is lost.
    fn story(&self, view: &AccountView, without: Option<Duration>) -> String {
        let name = &view.account;
        let Account { grace_secs, generation, hit, .. } = self.accounts[name];
        let mut story = format!(
            "{name} is lost, with a grace of {grace_secs} s: {}, {:?}\ngeneration {generation} was seen, ",
            view.state, view.refresh_error
        );
        match hit.zip(without) {
            None => story.push_str("and no hit after that"),
            Some((hit, without)) => {
                let hit = time_of_day(self.lives.wall_ms(hit));
                write!(story, "a hit at {hit}, and no daemon for {without:?} of the grace")
                    .unwrap();
            }
        }
        let ledger = self.idp.ledger(name);
        story
            .push_str("\nwhat the provider was asked at last, of which generation, and decided:\n");
        for entry in &ledger[ledger.len().saturating_sub(TOLD)..] {
            let Entry { wall_ms, operation, generation, verdict, replied } = entry;
            let at = time_of_day(*wall_ms);
            let heard = if *replied { "replied" } else { "not replied" };
            writeln!(story, "{at} {operation} {generation:?} {verdict}, {heard}").unwrap();
        }
        let is_good = |entry: &Entry| matches!(&*entry.verdict, "granted" | "replayed");
        let over = ledger.iter().rposition(is_good).and_then(|good| ledger.get(good + 1));
        let refused = over.map_or_else(Instant::now, |entry| self.lives.at(entry.wall_ms));
        story + "daemons from two minutes before that on:\n" + &self.lives.story(name, refused)
    }
}

fn first_lifetime(number: usize, accounts: usize) -> u64 {
    let (shortest, longest) = FIRST_LIFETIMES_SECS;
    let [number, accounts] = [number, accounts].map(|it| u64::try_from(it).unwrap());
    shortest + (longest - shortest) * number / accounts
}

impl Tally {
    /// Both together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        for (grace, Lost { of, excused }) in other.accounts {
            let lost = self.accounts.entry(grace).or_default();
            lost.of += of;
            lost.excused += excused;
        }
        Self {
            accounts: self.accounts,
            ends: self.ends + other.ends,
            starts: self.starts + other.starts,
            stops: self.stops + other.stops,
            hits: self.hits + other.hits,
            opened: self.opened + other.opened,
            granted: self.granted + other.granted,
            replays: self.replays + other.replays,
            reuses: self.reuses + other.reuses,
            late: self.late + other.late,
            fullest: self.fullest.max(other.fullest),
        }
    }

    /// Says what happened, and fails unless it was what the campaign is about: `percent` of the ends
    /// at least fell on an exchange, and some on a start.
    pub(crate) fn check(&self, percent: u64) {
        eprintln!("{self:?}");
        let Self { accounts, ends, starts, hits, reuses, fullest, .. } = self;
        assert_eq!(*reuses, 0, "a spent refresh token was presented outside its grace");
        assert!(*fullest <= 10, "an account made {fullest} requests in a minute");
        assert!(hits * 100 >= ends * percent, "only {hits} of {ends} ends fell on an exchange");
        assert!(starts * 20 >= *ends, "only {starts} of {ends} ends fell on a start");
        for (grace, Lost { of, excused }) in accounts {
            let told =
                format!("{excused} of {of} accounts with a grace of {grace} s had no daemon");
            assert!(excused * FEW <= *of, "{told} in time");
        }
    }
}
