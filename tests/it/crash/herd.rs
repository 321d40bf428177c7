//! A daemon whose many accounts refresh all the time, which ends again and again and is started
//! again, and what must hold of them each time and in the end.
//!
//! The provider rotates at every use and forgives a spent token for a while. An account is lost if it
//! is not fresh in the end without anybody's help.

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;
use tokenkeeper::protocol::account::AccountList;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::Request;
use crate::support::idp::Idp;
use crate::support::idp::Totals;

/// How long the provider forgives, in seconds; the daemon is told the same.
const GRACE_SECS: u64 = 30;

/// What a daemon says of each account whose exchange its predecessor did not conclude.
const OPEN_INTENT: &str = "the daemon ended while an exchange was under way";

/// What each of its lives says.
const READY: &str = "\"event\":\"ready\"";

/// The accounts, their daemon and their provider.
pub(crate) struct Herd {
    idp: Idp,
    pub(crate) daemon: Daemon,
    /// The newest generation that was seen of each account.
    generations: BTreeMap<String, u64>,
    tally: Tally,
}

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Ends of the daemon.
    pub(crate) ends: u64,
    /// Those of them that found an exchange under way.
    pub(crate) hits: u64,
    /// Exchanges that were under way then.
    pub(crate) opened: u64,
    /// What the provider counted.
    pub(crate) granted: u64,
    pub(crate) replays: u64,
    pub(crate) reuses: u64,
    /// The fullest minute of any account.
    pub(crate) fullest: u64,
}

impl Herd {
    /// So many accounts that all have a token. `prepare` is given the daemon before it starts, and may
    /// refuse.
    pub(crate) fn new(accounts: usize, prepare: impl FnOnce(&Daemon) -> bool) -> Option<Self> {
        let idp = Idp::start();
        let accounts = (0..accounts).map(|number| format!("crash-{number}")).collect::<Vec<_>>();
        let rotation = json!({ "grace_secs": GRACE_SECS });
        let behaviour = json!({ "lifetime_secs": 30, "rotation": rotation });
        let behaviours = accounts.iter().map(|account| (account.clone(), behaviour.clone()));
        let refresh_tokens = idp.put_all(&behaviours.collect());
        // So that what many accounts say alike is said by each.
        let mut config = Config::default().daemon("log = \"debug\"\ndbus = \"off\"");
        for account in &accounts {
            let keys = idp.keys(account) + &format!("rotation = \"{GRACE_SECS}s\"\n");
            config = config.account(account, &keys);
        }
        let mut daemon = Daemon::new(&config);
        if !prepare(&daemon) {
            return None;
        }
        daemon.begin();
        daemon.logs(READY);
        for account in &accounts {
            daemon.import(account, &refresh_tokens[account]);
            // The reply is decided and on its way for a while: that is when an end hurts.
            let pause = json!({ "min": 25, "max": 200 });
            idp.patch(account, &json!({ "delay_ms": pause, "delay_after_commit_ms": pause }));
        }
        let generations = accounts.into_iter().map(|account| (account, 1)).collect();
        Some(Self { idp, daemon, generations, tally: Tally::default() })
    }

    /// Has the daemon end as `end` does, and starts another one. Nothing goes back, and nothing is
    /// forgotten.
    pub(crate) fn survives(&mut self, end: impl FnOnce(&mut Daemon)) {
        self.look();
        end(&mut self.daemon);
        // The log of one life, so that a long campaign does not read all of it again each time.
        fs::write(self.daemon.path("log"), "").unwrap();
        self.daemon.begin();
        // It says that it is ready after all that its predecessor left.
        self.daemon.logs(READY);
        let opened = u64::try_from(self.daemon.log().matches(OPEN_INTENT).count()).unwrap();
        self.tally.ends += 1;
        self.tally.hits += u64::from(opened > 0);
        self.tally.opened += opened;
        self.look();
    }

    /// Every account becomes fresh by itself, or was lost.
    pub(crate) fn recovers(&mut self) -> Tally {
        for account in self.generations.keys() {
            self.daemon.until(account, "fresh", |view| {
                view.ready && view.refresh_error.is_none() && view.state == "fresh"
            });
            let token = self.daemon.token(account, "").unwrap();
            let good = self.idp.accepts(account, &token.token);
            assert!(good, "{account} has a token that is not good");
        }
        let totals = self.idp.all_totals();
        let sum = |of: fn(&Totals) -> u64| totals.values().map(of).sum::<u64>();
        self.tally.granted = sum(|it| it.granted);
        self.tally.replays = sum(|it| it.replays);
        self.tally.reuses = sum(|it| it.reuses);
        self.tally.fullest = totals.values().map(|it| it.max_requests_in_60s).max().unwrap();
        self.tally
    }

    /// What the daemon tells of its accounts is never older than what it told before, in any life.
    fn look(&mut self) {
        let accounts = self.daemon.ask(Request::get("/v1/accounts")).success::<AccountList>();
        assert_eq!(accounts.accounts.len(), self.generations.len());
        for view in accounts.accounts {
            assert_ne!(view.state, "vacant", "{}", view.account);
            let newest = self.generations.get_mut(&view.account).unwrap();
            let (generation, account) = (view.generation, &view.account);
            assert!(generation >= *newest, "{account} went back from {newest} to {generation}");
            if !view.unsaved {
                *newest = generation;
            }
        }
    }
}

impl Tally {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            ends: self.ends + other.ends,
            hits: self.hits + other.hits,
            opened: self.opened + other.opened,
            granted: self.granted + other.granted,
            replays: self.replays + other.replays,
            reuses: self.reuses + other.reuses,
            fullest: self.fullest.max(other.fullest),
        }
    }

    /// Says what happened, and fails unless it was what the campaign is about: `percent` of the ends
    /// at least fell on an exchange.
    pub(crate) fn check(self, percent: u64) {
        eprintln!("{self:?}");
        let Self { ends, hits, reuses, fullest, .. } = self;
        assert_eq!(reuses, 0, "a spent refresh token was presented outside its grace");
        assert!(fullest <= 10, "an account made {fullest} requests in a minute");
        assert!(hits * 100 >= ends * percent, "only {hits} of {ends} ends fell on an exchange");
    }
}
