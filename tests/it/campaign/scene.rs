//! One daemon, one account and its provider, in a position that a test wants, and what must hold of
//! them after a blow.

use std::fs;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::ClockId;
use serde::Deserialize;
use serde_json::json;
use tokenkeeper::name::AccountId;
use tokenkeeper::record::Hold;
use tokenkeeper::record::Lineage;
use tokenkeeper::record::Record;
use tokenkeeper::record::Stake;
use tokenkeeper::record::Standing;
use tokenkeeper::record::Write;
use tokenkeeper::record::Written;
use tokenkeeper::store::Change;
use tokenkeeper::store::TokenStore as _;
use tokenkeeper::store::sqlite::Place;
use tokenkeeper::store::sqlite::Sqlite;
use tokenkeeper::time::Moment;
use tokenkeeper::time::Now;
use tokenkeeper::time::Timestamp;
use tokenkeeper::token::Grant;
use tokenkeeper::token::Secret;
use tokenkeeper::token::TokenSet;

use super::blow::Point;
use super::blow::Watched;
use crate::keys::copied;
use crate::keys::private;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::Reply;
use crate::support::http::Request;
use crate::support::idp::Idp;
use crate::support::process::Process;

/// How long the provider forgives a spent refresh token, where it does, in seconds.
const GRACE_SECS: u64 = 240;

/// What the daemon is told of that, in seconds: longer than a trial takes on a busy host. After a kill in
/// a replay the next one comes an eighth of it after the first send.
const TOLD_SECS: u64 = 40;

/// How long access tokens are good, in seconds. Nothing is due by itself.
const LIFETIME_SECS: u64 = 3600;

/// How it stands with the account before a trial.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Before {
    /// There is no state yet.
    Nothing,
    /// Its token is good, and no request is under way.
    AtRest,
    /// Its refresh token was spent, and the reply is lost: the last daemon ended before it came.
    InDoubt,
    /// The same, and an operator had paused it.
    InDoubtAndPaused,
}

/// What the provider makes of a refresh token that is spent a second time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Provider {
    /// It is taken for a while.
    Forgiving,
    /// It ends the login, and the daemon knows.
    Strict,
}

/// What became of a start.
pub(super) enum Started {
    Ready,
    Ended(ExitStatus),
}

pub(super) struct Scene {
    pub(super) idp: Idp,
    pub(super) daemon: Daemon,
    provider: Provider,
    lineage: Lineage,
}

impl Scene {
    pub(super) fn new(provider: Provider) -> Self {
        let idp = Idp::start();
        let rotation = match provider {
            Provider::Forgiving => format!("{TOLD_SECS}s"),
            Provider::Strict => "strict".to_owned(),
        };
        let keys = idp.keys("mail") + &format!("rotation = \"{rotation}\"\n");
        let config = Config::default().daemon("dbus = \"off\"\nlog = \"debug\"");
        let mut daemon = Daemon::start(&config.account("mail", &keys));
        daemon.import("mail", &idp.put("mail", &json!({})));
        daemon.stop();
        let (records, _) = read(&daemon.path("state"));
        let lineage = records.into_iter().next().unwrap().lineage;
        Self { idp, daemon, provider, lineage }
    }

    /// A state directory and a provider that know of each other what `before` says, and nothing of
    /// any earlier trial. Returns how many requests the provider has had.
    pub(super) fn set(&self, before: Before) -> u64 {
        let state = self.daemon.path("state");
        fs::remove_dir_all(&state).unwrap();
        fs::write(self.daemon.path("log"), "").unwrap();
        let grace_secs = if self.provider == Provider::Strict { 0 } else { GRACE_SECS };
        let rotation = json!({ "grace_secs": grace_secs });
        let behaviour = json!({ "lifetime_secs": LIFETIME_SECS, "rotation": rotation });
        let first = self.idp.put("mail", &behaviour);
        if before == Before::Nothing {
            return 0;
        }
        // Another test may start a program at this moment, which then has the lock for an instant: the
        // daemon gets copies, which nobody ever locked.
        let made = private(self.daemon.home(), "made");
        let mut store = opened(made.path());
        let now = now();
        let hold = if before == Before::InDoubtAndPaused { Hold::Paused } else { Hold::None };
        let granted = self.exchanged(&first);
        let spent = granted.refresh_token.clone();
        write(&mut store, self.commit(granted, now, hold));
        if before != Before::AtRest {
            write(&mut store, intent(now));
            self.exchanged(&spent);
        }
        drop(store);
        copied(made.path(), &state);
        self.idp.totals("mail").requests
    }

    /// Starts the daemon under strace.
    pub(super) fn starts_under(&mut self, watched: &Watched, point: Option<Point<'_>>) -> Started {
        let notify = self.daemon.path("notify");
        // The one of an earlier process is in the way.
        drop(fs::remove_file(&notify));
        let manager = UnixDatagram::bind(&notify).unwrap();
        let log = File::options().append(true).create(true).open(self.daemon.path("log"));
        let mut command = watched.around(&self.daemon.command(), point);
        self.daemon.runs_as(start(&mut command, &notify, log.unwrap()));
        let mut message = [0; 4096];
        while self.daemon.lives_until(manager.as_fd()) {
            let length = manager.recv(&mut message).unwrap();
            if String::from_utf8_lossy(&message[..length]).lines().any(|line| line == "READY=1") {
                return Started::Ready;
            }
        }
        Started::Ended(self.daemon.ended())
    }

    /// The id of the daemon's thread of that name.
    pub(super) fn thread(&self, name: &str) -> u32 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.daemon.id())).unwrap();
        let mut tasks = tasks.map(|task| task.unwrap().path());
        let of_name = |task: &PathBuf| {
            fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
        };
        let found = tasks.find(of_name).unwrap_or_else(|| panic!("no thread {name}"));
        found.file_name().unwrap().to_str().unwrap().parse().unwrap()
    }

    /// What a process that is gone left behind is whole, and tells of every refresh token that was
    /// sent since the provider had had `requests`.
    pub(super) fn check_remains(&self, requests: u64, when: &str) {
        let copy = private(self.daemon.home(), "remains");
        copied(&self.daemon.path("state"), &copy.path().join("state"));
        let (records, damage) = read(&copy.path().join("state"));
        assert!(damage.is_empty(), "{when}: {damage:?}");
        let record = records.into_iter().next().unwrap_or_else(|| panic!("{when}: no account"));
        let generation = record.current.map_or(0, |saved| saved.generation.0);
        assert!(generation >= 1, "{when}: the generation went back to {generation}");
        let sent = self.idp.totals("mail").requests > requests;
        let told = record.intent.is_some() || generation > 1;
        assert!(told || !sent, "{when}: a refresh token was spent and nothing tells of it");
    }

    /// Whether what a process that is gone left behind can still be refreshed.
    pub(super) fn is_lost(&self) -> bool {
        let copy = private(self.daemon.home(), "remains");
        copied(&self.daemon.path("state"), &copy.path().join("state"));
        let mut store = opened(&copy.path().join("state"));
        let leased = store.write(vec![Change::Account(intent(now()))]).pop().unwrap();
        let Ok(Written::Leased(lease)) = leased else { panic!("nothing to be spent") };
        let sent = self.sent(lease.refresh_token.unwrap().expose());
        assert!([200, 400].contains(&sent.status), "{}", sent.body);
        sent.status == 400
    }

    /// The account becomes well without anybody's help.
    pub(super) fn check_well(&self, when: &str) {
        let well = self.daemon.until("mail", "well", |view| {
            view.ready && view.refresh_error.is_none() && view.state == "fresh" && !view.unsaved
        });
        assert!(well.generation >= 1, "{when}: generation {}", well.generation);
        let token = self.daemon.token("mail", "").unwrap();
        assert!(self.idp.accepts("mail", &token.token), "{when}: its token is not good");
        let totals = self.idp.totals("mail");
        assert_eq!(totals.reuses, 0, "{when}: a spent refresh token was sent");
        assert!(totals.max_requests_in_60s <= 10, "{when}: {totals:?}");
    }

    fn exchanged(&self, refresh_token: &str) -> Granted {
        self.sent(refresh_token).success()
    }

    /// Sends a refresh token as the daemon would.
    fn sent(&self, refresh_token: &str) -> Reply {
        let body = format!("grant_type=refresh_token&client_id=mail&refresh_token={refresh_token}");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let request = Request { headers: &headers, ..Request::with("POST", "/mail/token", &body) };
        request.on_tcp(&self.idp.address).unwrap()
    }

    fn commit(&self, granted: Granted, now: Now, hold: Hold) -> Write {
        let tokens = TokenSet {
            access: Secret::new(granted.access_token),
            id: None,
            token_type: "Bearer".into(),
            scope: None,
        };
        let grant = Grant {
            tokens: Arc::new(tokens),
            refresh_token: Some(Secret::new(granted.refresh_token)),
            lifetime: Duration::from_secs(LIFETIME_SECS),
            refresh_lifetime: None,
            aws: None,
            subject: None,
        };
        Write::Commit {
            account: account(),
            grant: Arc::new(grant),
            issued: now,
            now,
            lineage: self.lineage.clone(),
            stake: Stake::Current,
            standing: Standing { hold, ..Standing::default() },
        }
    }

    /// What strace is to watch: the directory, and every file that may come to be in it.
    pub(super) fn state_files(&self) -> Vec<PathBuf> {
        const NAMES: &[&str] = &[
            "",
            "store.lock",
            "store.key",
            "store.key.new",
            "store.ballast",
            "state.db",
            "state.db-wal",
            "state.db-journal",
            "state.db.fresh",
            "state.db.fresh.new",
        ];

        let state = self.daemon.path("state");
        NAMES
            .iter()
            .map(|name| if name.is_empty() { state.clone() } else { state.join(name) })
            .collect()
    }
}

/// What the provider's reply has.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    refresh_token: String,
}

fn start(command: &mut Command, notify: &Path, log: File) -> Process {
    command.env("NOTIFY_SOCKET", notify);
    Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log))
}

fn intent(now: Now) -> Write {
    let attempts = vec![now.boot];
    let (stake, replays, spends) = (Stake::Current, false, true);
    Write::Intent { account: account(), stake, replays, spends, now, attempts }
}

fn write(store: &mut Sqlite, write: Write) {
    let answers = store.write(vec![Change::Account(write)]);
    assert!(answers.iter().all(Result::is_ok));
}

fn read(state: &Path) -> (Vec<Record>, Vec<String>) {
    let loaded = opened(state).load().unwrap();
    (loaded.records, loaded.damage)
}

fn opened(state: &Path) -> Sqlite {
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let boot_id = boot_id.trim_end().to_owned();
    Sqlite::open(&Place { database: state.join("state.db"), credentials: None, boot_id })
        .unwrap_or_else(|refused| panic!("{refused}"))
}

fn account() -> AccountId {
    AccountId::parse("mail").unwrap()
}

fn now() -> Now {
    let millis = |clock| {
        let time = rustix::time::clock_gettime(clock);
        time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    };
    let boot = Moment::from_millis(millis(ClockId::Boottime).try_into().unwrap());
    Now { boot, wall: Timestamp::from_millis(millis(ClockId::Realtime)) }
}
