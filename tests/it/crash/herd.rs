//! A daemon whose many accounts refresh all the time, which ends again and again and is started
//! again, and what must hold of them each time and in the end.
//!
//! The provider rotates at every use and forgives a spent token for a while: 30 s, and of every third
//! account for what `TOKENKEEPER_TEST_GRACE` says, in seconds. The long form says 10; beside other
//! tests, exchanges may take as long as lives, and a short grace is over before one of its replays
//! was not cut. An account is lost if it is not fresh in the end without anybody's help, and that is
//! excused only where the host had no daemon for half of some span as long as the grace, which is
//! measured. Where starts take long, on a busy host, lives are longer too, so that it seldom comes
//! to that.
//!
//! An end comes at a random moment after the daemon is ready; each eighth time a second one follows
//! at a random moment of the start after it, and each eighth time the daemon was about to
//! stop. An end counts as a hit if the next daemon that becomes ready finds an exchange that was not
//! concluded, so that two ends in a row are one hit at the most.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fs;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::json;
use tokenkeeper::protocol::account::AccountList;

use super::Chance;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::Request;
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

/// What a daemon says of each account whose exchange its predecessor did not conclude.
const OPEN_INTENT: &str = "the daemon ended while an exchange was under way";

/// What each of its lives says.
const READY: &str = "\"event\":\"ready\"";

/// The accounts, their daemon and their provider.
pub(crate) struct Herd {
    idp: Idp,
    daemon: Daemon,
    accounts: BTreeMap<String, Account>,
    absences: Absences,
    tally: Tally,
}

struct Account {
    grace_secs: u64,
    /// The newest generation that was seen.
    generation: u64,
}

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    accounts: usize,
    /// Accounts of which nothing is demanded.
    excused: usize,
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
    /// The fullest minute of any account.
    fullest: u64,
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
        let begun = |number| Account { grace_secs: grace(number), generation: 1 };
        let tally = Tally { accounts, ..Tally::default() };
        let accounts = names.into_iter().enumerate();
        let accounts = accounts.map(|(number, account)| (account, begun(number))).collect();
        let absences = Absences::of([GRACE_SECS, short]);
        Some(Self { idp, daemon, accounts, absences, tally })
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
            let absent_since = Instant::now();
            if life % 8 == 7 {
                self.daemon.signal(Signal::TERM);
                let_pass(chance.span(LONGEST_STOP));
                self.tally.stops += self.ends(&end);
            } else {
                self.ends(&end);
            }
            if life % 8 == 3 {
                self.daemon.launch();
                let_pass(chance.span(LONGEST_START));
                self.tally.starts += self.ends(&end);
            }
            self.begins();
            absence = self.absences.end(absent_since);
            self.look();
        }
    }

    /// Every account becomes fresh by itself, or was lost.
    pub(crate) fn recovers(&mut self) -> Tally {
        let totals = self.idp.all_totals();
        for (account, Account { grace_secs, .. }) in &self.accounts {
            if self.absences.most_of(*grace_secs) * 2 >= Duration::from_secs(*grace_secs) {
                self.tally.excused += 1;
                continue;
            }
            self.daemon.until(account, "fresh", |view| {
                view.ready && view.refresh_error.is_none() && view.state == "fresh"
            });
            let token = self.daemon.token(account, "").unwrap();
            let good = self.idp.accepts(account, &token.token);
            assert!(good, "{account} has a token that is not good");
            self.tally.reuses += self.idp.totals(account).reuses;
        }
        let sum = |of: fn(&Totals) -> u64| totals.values().map(of).sum::<u64>();
        self.tally.granted = sum(|it| it.granted);
        self.tally.replays = sum(|it| it.replays);
        self.tally.fullest = totals.values().map(|it| it.max_requests_in_60s).max().unwrap();
        self.tally
    }

    /// Counts an end, if it was one.
    fn ends(&mut self, end: impl Fn(&mut Daemon) -> bool) -> u64 {
        let ended = u64::from(end(&mut self.daemon));
        self.tally.ends += ended;
        // The log of one life, so that a long campaign does not read all of it again each time.
        fs::write(self.daemon.path("log"), "").unwrap();
        ended
    }

    /// Starts a daemon, which says that it is ready after all that its predecessor left.
    fn begins(&mut self) {
        self.daemon.begin();
        self.daemon.logs(READY);
        let opened = u64::try_from(self.daemon.log().matches(OPEN_INTENT).count()).unwrap();
        self.tally.hits += u64::from(opened > 0);
        self.tally.opened += opened;
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
            if !view.unsaved {
                account.generation = generation;
            }
        }
    }
}

/// When no daemon was ready.
struct Absences {
    /// When the last ones ended, and how long they were.
    last: VecDeque<(Instant, Duration)>,
    /// The most of a grace, by its seconds, for which there was none.
    most: BTreeMap<u64, Duration>,
}

impl Absences {
    fn of(graces: [u64; 2]) -> Self {
        let most = graces.map(|grace| (grace, Duration::ZERO)).into();
        Self { last: VecDeque::new(), most }
    }

    /// One that began then is over. Tells how long it was.
    fn end(&mut self, begun: Instant) -> Duration {
        let (now, absence) = (Instant::now(), begun.elapsed());
        self.last.push_back((now, absence));
        for (grace, most) in &mut self.most {
            let ago = |end: &Instant| now.duration_since(*end);
            let rest = |end| Duration::from_secs(*grace).saturating_sub(ago(end));
            let without: Duration =
                self.last.iter().map(|(end, absence)| rest(end).min(*absence)).sum();
            *most = without.max(*most);
        }
        let longest =
            self.most.keys().max().map_or(Duration::ZERO, |grace| Duration::from_secs(*grace));
        self.last.retain(|(end, _)| now.duration_since(*end) < longest);
        absence
    }

    fn most_of(&self, grace_secs: u64) -> Duration {
        self.most.get(&grace_secs).copied().unwrap_or_default()
    }
}

fn first_lifetime(number: usize, accounts: usize) -> u64 {
    let (shortest, longest) = FIRST_LIFETIMES_SECS;
    let [number, accounts] = [number, accounts].map(|it| u64::try_from(it).unwrap());
    shortest + (longest - shortest) * number / accounts
}

impl Tally {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            accounts: self.accounts + other.accounts,
            excused: self.excused + other.excused,
            ends: self.ends + other.ends,
            starts: self.starts + other.starts,
            stops: self.stops + other.stops,
            hits: self.hits + other.hits,
            opened: self.opened + other.opened,
            granted: self.granted + other.granted,
            replays: self.replays + other.replays,
            reuses: self.reuses + other.reuses,
            fullest: self.fullest.max(other.fullest),
        }
    }

    /// Says what happened, and fails unless it was what the campaign is about: `percent` of the ends
    /// at least fell on an exchange, and some on a start.
    pub(crate) fn check(self, percent: u64) {
        eprintln!("{self:?}");
        let Self { accounts, excused, ends, starts, hits, reuses, fullest, .. } = self;
        assert_eq!(reuses, 0, "a spent refresh token was presented outside its grace");
        assert!(fullest <= 10, "an account made {fullest} requests in a minute");
        assert!(hits * 100 >= ends * percent, "only {hits} of {ends} ends fell on an exchange");
        assert!(starts * 20 >= ends, "only {starts} of {ends} ends fell on a start");
        assert!(excused * 2 < accounts, "{excused} of {accounts} accounts had no daemon in time");
    }
}
