//! One world from its beginning to its end: the supervisor on a stage of simulated time.
//!
//! The supervisor's own loop chooses among what is ready by chance that no seed decides. So the
//! play calls what that loop calls, one after another in an order of its own.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::oneshot;
use tokio::sync::watch;

use super::super::Stage;
use super::super::Supervisor;
use super::super::lineup::Change;
use super::super::lineup::Lineup;
use super::agenda::Event;
use super::chance::Chance;
use super::pairs::Kind;
use super::pairs::Pairs;
use super::pairs::Place;
use super::scene::Outside;
use super::scene::Scene;
use crate::hooks::Caller;
use crate::keeper::Directory;
use crate::keeper::Order;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Input;
use crate::lifecycle::words::Ticket;
use crate::name::AccountId;
use crate::notice::Notice;
use crate::record::Hold;
use crate::snapshot::Snapshot;
use crate::snapshot::StateName;

/// Rounds of the loop at one moment. A loop that goes on longer does not come to rest.
const ROUNDS: u32 = 2_000;

/// What is on stage.
pub(super) struct Play {
    pub(super) outside: Outside,
    pub(super) daemon: Option<Daemon>,
    /// Every account that there is, configured or not.
    pub(super) accounts: Vec<AccountId>,
    /// Those that the configuration does not name at the moment.
    pub(super) absent: BTreeSet<AccountId>,
    /// When the host wakes up, while it sleeps.
    pub(super) asleep: Option<Duration>,
    /// Whether the host is off.
    pub(super) off: bool,
    /// Whether nothing tells it the time when it is booted.
    pub(super) clockless: bool,
    /// Whether faults set in.
    pub(super) stormy: bool,
    /// Whom no person has to look after.
    pub(super) convalescent: Vec<AccountId>,
    pub(super) pairs: Pairs,
    pub(super) chance: Chance,
}

/// The process.
pub(super) struct Daemon {
    pub(super) supervisor: Supervisor<Outside>,
    notices: broadcast::Receiver<Arc<Notice>>,
    /// Pieces of work that have got as far as they can.
    stuck: usize,
    /// Whether somebody may have told it something since it came to rest.
    touched: bool,
    /// What was last published of each account.
    seen: BTreeMap<AccountId, Arc<Snapshot>>,
    /// By which tickets accounts log out.
    leaving: BTreeMap<AccountId, Ticket>,
}

impl Daemon {
    /// Whether it has something to do that it told itself, or that the world tells it.
    fn is_due(&self, scene: &Scene) -> bool {
        let now = scene.clocks.now().boot;
        scene.stirred || self.supervisor.next_at().is_some_and(|at| at <= now)
    }

    /// Where an account is.
    fn place_of(&self, account: &AccountId) -> Option<Place> {
        let state = state_of(&self.supervisor, account)?;
        let under_way = self.supervisor.under_way.values();
        let ours = under_way.filter(|(whose, ..)| whose == account);
        let (mut stages, mut leaving) = (Vec::new(), false);
        for (_, ticket, stage) in ours {
            stages.push(*stage);
            leaving |= self.leaving.get(account) == Some(ticket);
        }
        Some(Place::of(state, &stages, leaving))
    }

    /// A logout was ordered: if it goes on, by which ticket.
    fn leaves(&mut self, account: &AccountId) {
        let mut under_way = self.supervisor.under_way.values();
        let begun =
            under_way.find(|(whose, _, stage)| whose == account && *stage == Stage::Intending);
        if let Some((_, ticket, _)) = begun {
            self.leaving.insert(account.clone(), *ticket);
        }
    }
}

impl Play {
    pub(super) fn new(scene: Scene, chance: Chance) -> Self {
        let accounts = scene.parts.keys().cloned().collect();
        Self {
            outside: Outside::new(scene),
            daemon: None,
            accounts,
            absent: BTreeSet::new(),
            asleep: None,
            off: false,
            clockless: false,
            stormy: true,
            convalescent: Vec::new(),
            pairs: Pairs::default(),
            chance,
        }
    }

    /// Plays until `end`, or until something does not hold.
    pub(super) async fn run(&mut self, end: Duration) {
        self.begin();
        self.start();
        self.cloud_over();
        self.goes_on_until(end).await;
        self.daemon = None;
    }

    /// Plays on from where it is.
    pub(super) async fn goes_on_until(&mut self, end: Duration) {
        let (mut last, mut rounds) = (Duration::ZERO, 0);
        while self.outside.scene().witness.violation().is_none() {
            let Some(at) = self.next_at().filter(|at| *at < end) else { break };
            let event = {
                let mut scene = self.outside.scene();
                scene.clocks.pass_to(at);
                let at = scene.at();
                scene.agenda.take(at)
            };
            if let Some(event) = event {
                self.happens(event);
            }
            self.interferes();
            if self.settle().await {
                self.hear();
            }
            if self.asleep.is_none() {
                self.outside.scene().witness.check(at);
            }
            rounds = if at > last { 0 } else { rounds + 1 };
            last = last.max(at);
            if rounds > ROUNDS {
                let account = self.accounts[0].clone();
                self.outside.scene().witness.violated(&account, || "comes to no rest".into());
            }
        }
    }

    /// When something happens next.
    fn next_at(&self) -> Option<Duration> {
        let awake = self.asleep.is_none();
        let due = self.daemon.as_ref().filter(|_| awake).and_then(|it| it.supervisor.next_at());
        let scene = self.outside.scene();
        let due = due.map(|due| scene.clocks.true_time(due));
        let event = scene.agenda.next_at();
        event.into_iter().chain(due).min()
    }

    /// Lets everything run that can, until nothing can. Says whether anything could.
    async fn settle(&mut self) -> bool {
        if self.asleep.is_some() {
            return false;
        }
        let Some(daemon) = &mut self.daemon else { return false };
        if !std::mem::take(&mut daemon.touched) && !daemon.is_due(&self.outside.scene()) {
            return false;
        }
        loop {
            self.times_come();
            self.turns_come();
            if !self.work_goes_on().await {
                break;
            }
        }
        let supervisor = self.daemon.as_ref().map(|daemon| &daemon.supervisor);
        if supervisor.is_some_and(|supervisor| supervisor.stopping && supervisor.is_quiet()) {
            self.has_stopped();
        }
        true
    }

    /// Those wake up whose time has come.
    fn times_come(&mut self) {
        let Some(daemon) = &mut self.daemon else { return };
        let now = self.outside.scene().clocks.now().boot;
        for (_, account) in daemon.supervisor.timers.iter().take_while(|(at, _)| *at <= now) {
            if let Some(place) = daemon.place_of(account) {
                self.pairs.saw(place, Kind::Woken);
            }
        }
        daemon.supervisor.wake_those_due();
    }

    /// Those begin whose turn has come.
    fn turns_come(&mut self) {
        let Some(daemon) = &mut self.daemon else { return };
        let queued = queued(&daemon.supervisor);
        daemon.supervisor.give_turns();
        for account in queued {
            let kind = match state_of(&daemon.supervisor, &account) {
                Some(StateName::Exchanging) => Kind::Admitted,
                Some(StateName::Queued) | None => continue,
                Some(
                    StateName::Vacant
                    | StateName::Fresh
                    | StateName::Saving
                    | StateName::InDoubt
                    | StateName::Waiting
                    | StateName::Suspect
                    | StateName::NeedsLogin
                    | StateName::Frozen,
                ) => Kind::Barred,
            };
            self.pairs.saw(Place::Queued, kind);
        }
    }

    /// What was begun, and what heard something, gets as far as it can. Says whether anybody heard of
    /// anything.
    async fn work_goes_on(&mut self) -> bool {
        let Some(daemon) = &mut self.daemon else { return false };
        let stirred = std::mem::take(&mut self.outside.scene().stirred);
        if !stirred && daemon.supervisor.work.len() == daemon.stuck {
            return false;
        }
        tokio::task::yield_now().await;
        let begun = daemon.supervisor.work.len();
        daemon.stuck = begun;
        while let Some(work) = daemon.supervisor.work.try_join_next_with_id() {
            match &work {
                Ok((id, product)) => {
                    let heard = daemon.supervisor.under_way.get(id);
                    let place = heard.and_then(|(account, ..)| daemon.place_of(account));
                    if let (Some(place), Some(kind)) = (place, Kind::of_work(product)) {
                        self.pairs.saw(place, kind);
                    }
                }
                Err(end) => {
                    let (account, _, stage) = &daemon.supervisor.under_way[&end.id()];
                    let what = || format!("{stage:?} does not come to its end: {end}");
                    self.outside.scene().witness.violated(account, what);
                }
            }
            daemon.stuck -= 1;
            daemon.supervisor.work_ended(work);
        }
        daemon.stuck < begun
    }

    /// Hears what the daemon tells, and sees what it publishes.
    fn hear(&mut self) {
        let Some(daemon) = &mut self.daemon else { return };
        let mut scene = self.outside.scene();
        for (account, seat) in &daemon.supervisor.seats {
            let snapshot = Arc::clone(&seat.snapshot.borrow());
            let seen = daemon.seen.get(account);
            if seen.is_none_or(|seen| !Arc::ptr_eq(seen, &snapshot)) {
                scene.published(account, &snapshot);
                daemon.seen.insert(account.clone(), snapshot);
            }
        }
        let at = scene.at();
        while let Ok(notice) = daemon.notices.try_recv() {
            let Scene { witness, parts, .. } = &mut *scene;
            witness.told(&notice, &parts[&notice.account], at);
            if notice.snapshot.state == StateName::NeedsLogin {
                scene.lost_login(&notice);
            }
        }
    }

    /// The process begins.
    pub(super) fn start(&mut self) {
        let (directory, _) = watch::channel(Arc::new(Directory::default()));
        let (sender, notices) = broadcast::channel(512);
        let (caller, _) = Caller::new(watch::Sender::default());
        let supervisor = Supervisor::new(self.outside.clone(), directory, sender, caller);
        self.daemon = Some(Daemon {
            supervisor,
            notices,
            stuck: 0,
            touched: true,
            seen: BTreeMap::new(),
            leaving: BTreeMap::new(),
        });
        let mut scene = self.outside.scene();
        let Scene { witness, clocks, disk, .. } = &mut *scene;
        witness.starts(clocks, &disk.shelved());
        drop(scene);
        self.apply(&self.accounts.clone());
    }

    /// The configuration is read. It says something else of `changed`.
    pub(super) fn apply(&mut self, changed: &[AccountId]) {
        let Some(daemon) = &mut self.daemon else { return };
        daemon.touched = true;
        let (mut accounts, mut held) = (BTreeMap::new(), Vec::new());
        let mut scene = self.outside.scene();
        let boot_id = scene.clocks.boot_id();
        for account in changed {
            scene.witness.may_go_on(account);
        }
        for account in self.accounts.iter().filter(|account| !self.absent.contains(*account)) {
            let settings = || scene.parts[account].settings();
            let change = match daemon.place_of(account) {
                Some(place) if changed.contains(account) => {
                    self.pairs.saw(place, Kind::Reconfigured);
                    Change::Settings(settings())
                }
                Some(_) if !daemon.supervisor.seats[account].leaving => Change::Nothing,
                Some(_) | None => {
                    daemon.leaving.remove(account);
                    let record = scene.disk.record(account, &boot_id);
                    if record.as_ref().is_some_and(|record| record.standing.hold != Hold::None) {
                        held.push(account);
                    }
                    Change::New(settings(), record.map(Box::new))
                }
            };
            accounts.insert(account.clone(), change);
        }
        let at = scene.at();
        for account in held {
            // Paused, also where it was resumed and the disk did not take that.
            scene.witness.is_kept_busy(account, at);
        }
        drop(scene);
        daemon.supervisor.apply(Lineup { accounts, admin: Vec::new(), metrics: Vec::new() });
    }

    /// Somebody orders something of an account, and does not wait for what comes of it.
    pub(super) fn order(&mut self, account: &AccountId, action: Action) {
        let Some(held) = self.snapshot(account).map(|it| it.held.as_ref().map(|it| it.generation))
        else {
            return;
        };
        if self.running().is_none() {
            return;
        }
        let Some(daemon) = &mut self.daemon else { return };
        let Some(place) = daemon.place_of(account) else { return };
        let kind = Kind::of_order(&action);
        let stale =
            matches!(&action, Action::Report { generation, .. } if Some(*generation) < held);
        let (reply, mut answer) = oneshot::channel();
        daemon.supervisor.order(Order { account: account.clone(), action, reply });
        let refused = matches!(answer.try_recv(), Ok(Err(_)));
        let after = daemon.place_of(account);
        if kind == Kind::Logout && !place.is_exchange() && after.is_some_and(Place::is_exchange) {
            daemon.leaves(account);
        }
        self.pairs.saw(place, kind);
        let mut scene = self.outside.scene();
        let at = scene.at();
        scene.witness.trace.note(at, || format!("{account}: {kind:?} is ordered in {place:?}"));
        if !matches!(kind, Kind::Demand | Kind::Refresh | Kind::Report) {
            scene.witness.may_go_on(account);
        }
        if kind == Kind::Retry && place == Place::InDoubt {
            scene.witness.urged(account);
        }
        if !refused
            && !matches!(
                kind,
                Kind::Demand
                    | Kind::Refresh
                    | Kind::Report
                    | Kind::Retry
                    | Kind::Resume
                    | Kind::SecretChanged
            )
        {
            // What it does for a person comes before what is in doubt.
            scene.witness.is_kept_busy(account, at);
        }
        if stale && place == Place::Fresh && after != Some(place) {
            let what = || "renews a token because another one was rejected".to_owned();
            scene.witness.violated(account, what);
        }
    }

    /// The wall clock was set, or the host slept.
    pub(super) fn clock_stepped(&mut self) {
        if self.running().is_none() {
            return;
        }
        let Some(daemon) = &mut self.daemon else { return };
        let places = self.accounts.iter().filter_map(|account| daemon.place_of(account));
        for place in places.collect::<Vec<_>>() {
            self.pairs.saw(place, Kind::ClockStepped);
        }
        daemon.supervisor.everyone(|| Input::ClockStepped);
    }

    /// The supervisor, while it takes orders.
    pub(super) fn running(&mut self) -> Option<&mut Supervisor<Outside>> {
        let awake = self.asleep.is_none();
        let daemon = self.daemon.as_mut().filter(|_| awake)?;
        daemon.touched = true;
        (!daemon.supervisor.stopping).then_some(&mut daemon.supervisor)
    }

    /// What is published of an account.
    pub(super) fn snapshot(&self, account: &AccountId) -> Option<Arc<Snapshot>> {
        let seat = self.daemon.as_ref()?.supervisor.seats.get(account)?;
        Some(Arc::clone(&seat.snapshot.borrow()))
    }

    /// Something of the agenda happens.
    fn happens(&mut self, event: Event) {
        let mut scene = self.outside.scene();
        if let Some(wakes) = self.asleep
            && matches!(
                event,
                Event::Replies { .. } | Event::Revoked { .. } | Event::Ready(_) | Event::Written
            )
        {
            // The host hears of it when it is awake.
            scene.agenda.put(wakes + Duration::from_millis(1), event);
            return;
        }
        match event {
            Event::Arrives(arrival) => scene.arrives(arrival),
            Event::Replies { call, outcome } => scene.replies(call, outcome),
            Event::Revoked { call, ended } => scene.revoked(call, ended),
            Event::Ready(waiter) => scene.is_ready(waiter),
            Event::Written => scene.written(),
            Event::Asks(account) => {
                drop(scene);
                self.asks(&account);
            }
            Event::Does(account, deed) => {
                drop(scene);
                self.does(&account, deed);
            }
            Event::Strikes => {
                drop(scene);
                self.strikes();
            }
            Event::Starts => {
                drop(scene);
                self.is_back();
            }
            Event::ClockIsRight(behind) => {
                drop(scene);
                self.clock_steps(behind);
            }
            Event::Wakes => {
                drop(scene);
                self.wakes();
            }
            Event::Heals => {
                drop(scene);
                self.heals();
            }
            Event::Tended => {
                drop(scene);
                self.is_tended();
            }
            Event::MustBeWell => {
                drop(scene);
                self.convalescents_must_be_well();
            }
            Event::AllMustBeWell => {
                drop(scene);
                self.all_must_be_well();
            }
            Event::Worsens => self.stormy = true,
        }
    }
}

/// What is published of the place where an account is.
fn state_of(supervisor: &Supervisor<Outside>, account: &AccountId) -> Option<StateName> {
    Some(supervisor.seats.get(account)?.snapshot.borrow().state)
}

fn queued(supervisor: &Supervisor<Outside>) -> Vec<AccountId> {
    let seats = supervisor.seats.iter();
    let waits = seats.filter(|(_, seat)| seat.snapshot.borrow().state == StateName::Queued);
    waits.map(|(account, _)| account.clone()).collect()
}
