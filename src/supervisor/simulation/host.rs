//! What befalls a host, and what the people and programs on it do.

use std::time::Duration;

use super::agenda::Event;
use super::faults::Fault;
use super::play::Play;
use super::service::Serial;
use crate::lifecycle::words::Action;
use crate::name::AccountId;
use crate::snapshot::Answer;
use crate::snapshot::Demand;
use crate::snapshot::StateName;
use crate::token::Kind;

/// Pauses between what happens of its own accord, on average.
const BETWEEN_FAULTS: Duration = Duration::from_secs(2 * 3_600);
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(2_400);
const BETWEEN_DEEDS: Duration = Duration::from_secs(5 * 3_600);

/// Something that a person or a program does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Deed {
    /// Whatever comes to mind.
    Something,
    Resume,
    /// A person logs in, and hands the refresh token in.
    LogIn,
}

impl Play {
    pub(super) fn set_the_stage(&mut self) {
        let mut scene = self.outside.scene();
        for account in &self.accounts {
            let first = self.chance.span(Duration::from_secs(1), Duration::from_secs(3_600));
            scene.after(first, Event::Does(account.clone(), Deed::LogIn));
            scene.after(first, Event::Does(account.clone(), Deed::Something));
            scene.after(first, Event::Asks(account.clone()));
        }
        scene.after(BETWEEN_FAULTS, Event::Strikes);
        scene.after(Duration::from_secs(86_400), Event::Heals);
    }

    /// A program asks for a token.
    pub(super) fn asks(&mut self, account: &AccountId) {
        let mut pause = self.chance.pause(BETWEEN_QUESTIONS);
        let min_ttl = if self.chance.happens(0.8) { 0 } else { self.chance.below(1_800) };
        let demand = Demand { kind: Kind::Access, min_ttl: Duration::from_secs(min_ttl) };
        let now = self.outside.scene().clocks.now();
        if self.running().is_some()
            && let Some(snapshot) = self.snapshot(account)
        {
            match snapshot.answer(demand, now) {
                Answer::Token { held, ttl } => {
                    // Again at the very end of it, which is when it must not be had any more.
                    if self.chance.happens(0.2) {
                        pause = ttl;
                    }
                    self.outside.scene().served(account, held, snapshot.unsaved);
                }
                Answer::Join => self.order(account, Action::Demand(Kind::Access)),
                Answer::Refuse(_) => {
                    if self.chance.happens(0.1) {
                        self.order(account, Action::Demand(Kind::Access));
                    }
                }
            }
        }
        self.outside.scene().after(pause, Event::Asks(account.clone()));
    }

    /// Somebody does something.
    pub(super) fn does(&mut self, account: &AccountId, deed: Deed) {
        match deed {
            Deed::Something => {
                let pause = self.chance.pause(BETWEEN_DEEDS);
                self.outside.scene().after(pause, Event::Does(account.clone(), deed));
                self.does_something(account);
            }
            Deed::Resume => {
                self.outside.scene().witness.meddled(account);
                self.order(account, Action::Resume);
            }
            Deed::LogIn => self.logs_in(account),
        }
    }

    fn does_something(&mut self, account: &AccountId) {
        let Some(snapshot) = self.snapshot(account) else { return };
        let generation = snapshot.held.as_ref().map_or(snapshot.generation, |it| it.generation);
        let choice = self.chance.below(if self.stormy { 20 } else { 8 });
        match choice {
            0..3 => self.order(account, Action::Refresh),
            3..5 => self.order(account, Action::Report { generation, stream: choice == 3 }),
            5..7 => self.order(account, Action::Retry),
            7 => self.order(account, Action::SecretChanged),
            8..10 => {
                self.outside.scene().witness.meddled(account);
                self.order(account, Action::Pause);
                self.later(account, 6 * 3_600, Deed::Resume);
            }
            10..13 => self.logs_in(account),
            13 => {
                self.forgotten(account);
                self.order(account, Action::Clear);
            }
            14 => {
                self.forgotten(account);
                self.order(account, Action::Logout);
            }
            15 => {
                self.order(account, Action::Release);
                self.later(account, 6 * 3_600, Deed::LogIn);
            }
            16 => self.does(account, Deed::Resume),
            17 => {
                let old = crate::token::Generation(generation.0.saturating_sub(1));
                self.order(account, Action::Report { generation: old, stream: false });
            }
            // Many at once: what is too much is refused.
            _ => {
                for _ in 0..6 {
                    self.order(account, Action::Refresh);
                }
            }
        }
    }

    /// The credential is to be forgotten; a person logs in again, some time.
    fn forgotten(&mut self, account: &AccountId) {
        let mut scene = self.outside.scene();
        scene.witness.patience_ends(account);
        scene.witness.meddled(account);
        drop(scene);
        self.later(account, 6 * 3_600, Deed::LogIn);
    }

    fn later(&mut self, account: &AccountId, most: u64, deed: Deed) {
        let pause = self.chance.span(Duration::from_secs(1), Duration::from_secs(most));
        self.outside.scene().after(pause, Event::Does(account.clone(), deed));
    }

    fn logs_in(&mut self, account: &AccountId) {
        let mut scene = self.outside.scene();
        let at = scene.at();
        if !scene.parts[account].plan().has_refresh_token {
            return;
        }
        scene.witness.meddled(account);
        let token = scene.services.get_mut(account).unwrap().log_in(at);
        drop(scene);
        self.order(account, Action::Import(token.into()));
    }

    /// The next fault sets in.
    pub(super) fn strikes(&mut self) {
        let mut scene = self.outside.scene();
        let pause = self.chance.pause(BETWEEN_FAULTS);
        scene.after(pause, Event::Strikes);
        let Some(fault) = scene.weather.draw(&mut self.chance).filter(|_| self.stormy) else {
            return;
        };
        let at = scene.at();
        scene.witness.trace.note(at, || format!("{fault:?} sets in"));
        let lasts = scene.weather.set_in(fault, at, &self.accounts, &mut self.chance);
        drop(scene);
        if !lasts {
            self.befalls(fault);
        }
    }

    /// Something happens at a moment.
    fn befalls(&mut self, fault: Fault) {
        let account = self.chance.pick(&self.accounts).clone();
        match fault {
            Fault::Killed => self.ends(Duration::from_millis(200), Duration::from_secs(1)),
            Fault::PowerCut if !self.off => {
                self.off = true;
                self.outside.scene().disk.forget_shelf();
                self.asleep = None;
                self.ends(Duration::from_secs(20), Duration::from_secs(3_600));
            }
            Fault::Restarted => {
                if let Some(supervisor) = self.running() {
                    supervisor.stopping = true;
                    supervisor.stop.send_replace(true);
                }
            }
            Fault::Suspended if self.asleep.is_none() && !self.off => {
                let span = self.chance.span(Duration::from_secs(5), Duration::from_secs(30_000));
                let mut scene = self.outside.scene();
                let wakes = scene.at() + span;
                scene.agenda.put(wakes, Event::Wakes);
                drop(scene);
                self.asleep = Some(wakes);
            }
            Fault::ClockSet => self.clock_is_set(),
            Fault::Reloaded => self.reloads(&account),
            Fault::Revoked => {
                let mut scene = self.outside.scene();
                let known = scene.witness.knows(&account);
                scene.services.get_mut(&account).unwrap().end(known);
            }
            // What lasts is the weather's, and what is down already does not go down.
            Fault::Unreachable
            | Fault::CutBefore
            | Fault::CutAfter
            | Fault::Silence
            | Fault::ServerError
            | Fault::Unavailable
            | Fault::Throttled
            | Fault::FalseRefusal
            | Fault::ClientRejected
            | Fault::Portal
            | Fault::Malformed
            | Fault::Torn
            | Fault::OddLifetime
            | Fault::WrongSubject
            | Fault::Slow
            | Fault::SecretMissing
            | Fault::GateShut
            | Fault::DiskFull
            | Fault::DiskSlow
            | Fault::PowerCut
            | Fault::Suspended => {}
        }
    }

    fn clock_is_set(&mut self) {
        let by = *self.chance.pick(&[
            -86_400_000,
            -3_600_000,
            -90_000,
            -2_000,
            2_000,
            90_000,
            3_600_000,
        ]);
        let mut scene = self.outside.scene();
        scene.clocks.step(by);
        scene.witness.clock_was_set();
        drop(scene);
        self.clock_stepped();
    }

    /// The configuration changes, in what it says of an account or in which accounts it names.
    fn reloads(&mut self, account: &AccountId) {
        let mut scene = self.outside.scene();
        let part = scene.parts.get_mut(account).unwrap();
        let mut changed = vec![account.clone()];
        match self.chance.below(4) {
            0 | 1 => part.change(&mut self.chance),
            2 => {
                part.move_to_and_fro();
                scene.witness.patience_ends(account);
            }
            _ => {
                changed.clear();
                if !self.absent.remove(account) {
                    self.absent.insert(account.clone());
                }
            }
        }
        scene.witness.meddled(account);
        drop(scene);
        if self.running().is_some() {
            self.apply(&changed);
        }
    }

    /// The process ends, wherever it is, and is back after a while.
    fn ends(&mut self, low: Duration, high: Duration) {
        let was_there = self.daemon.take().is_some();
        let mut scene = self.outside.scene();
        let queued = u64::try_from(scene.disk.queued()).unwrap();
        let through = usize::try_from(self.chance.below(queued + 1)).unwrap();
        let boot_id = scene.clocks.boot_id();
        scene.disk.lose_all_but(through, &boot_id);
        scene.hang_up();
        let at = scene.at();
        for account in &self.accounts {
            let saved = scene.disk.refresh_token(account).map(|token| Serial::of(&token));
            scene.witness.ended(account, saved, at);
        }
        if was_there || self.off {
            let pause = self.chance.span(low, high);
            scene.after(pause, Event::Starts);
        }
    }

    /// A stop has come to its end: nothing was lost.
    pub(super) fn has_stopped(&mut self) {
        self.ends(Duration::from_millis(100), Duration::from_secs(3));
    }

    /// The daemon is to start, if it is not there.
    pub(super) fn is_back(&mut self) {
        if self.daemon.is_some() {
            return;
        }
        if std::mem::take(&mut self.off) {
            self.outside.scene().clocks.boot();
        }
        self.start();
    }

    pub(super) fn wakes(&mut self) {
        let at = self.outside.scene().at();
        if self.asleep.is_some_and(|wakes| wakes <= at) {
            self.asleep = None;
            self.outside.scene().witness.absent_until(at);
            self.clock_stepped();
        }
    }

    /// All faults end. Who needs no person must be well soon.
    pub(super) fn heals(&mut self) {
        let mut scene = self.outside.scene();
        self.stormy = false;
        scene.weather.clear();
        drop(scene);
        if self.running().is_none() {
            self.outside.scene().after(Duration::from_secs(600), Event::Heals);
            return;
        }
        for account in std::mem::take(&mut self.absent) {
            self.outside.scene().parts.get_mut(&account).unwrap().move_back();
        }
        let accounts = self.accounts.clone();
        for account in &accounts {
            let mut scene = self.outside.scene();
            scene.parts.get_mut(account).unwrap().move_back();
            scene.witness.meddled(account);
        }
        self.apply(&accounts);
        for account in &accounts {
            if self.snapshot(account).is_some_and(|it| it.is_paused() && !it.released) {
                self.does(account, Deed::Resume);
            }
        }
        self.convalescent = accounts.iter().filter(|it| self.needs_nobody(it)).cloned().collect();
        let mut scene = self.outside.scene();
        let at = scene.at();
        scene.witness.trace.note(at, || "From now on all is well".to_owned());
        scene.after(Duration::from_secs(1_260), Event::MustBeWell);
        scene.after(Duration::from_secs(4_500), Event::Tended);
        scene.after(Duration::from_secs(5_400), Event::AllMustBeWell);
        scene.after(Duration::from_secs(5_401), Event::Worsens);
        let next = self.chance.span(Duration::from_secs(86_400), Duration::from_secs(4 * 86_400));
        scene.after(next, Event::Heals);
    }

    fn needs_nobody(&self, account: &AccountId) -> bool {
        let Some(snapshot) = self.snapshot(account) else { return false };
        let rests = matches!(
            snapshot.state,
            StateName::Vacant | StateName::NeedsLogin | StateName::Frozen | StateName::Suspect
        );
        !rests && !self.outside.scene().witness.must_wait(account)
    }

    fn is_well(&self, account: &AccountId) -> bool {
        let now = self.outside.scene().clocks.now();
        let demand = Demand { kind: Kind::Access, min_ttl: Duration::ZERO };
        let snapshot = self.snapshot(account);
        snapshot.is_some_and(|it| matches!(it.answer(demand, now), Answer::Token { .. }))
    }

    pub(super) fn convalescents_must_be_well(&mut self) {
        for account in std::mem::take(&mut self.convalescent) {
            let doomed = self.outside.scene().is_doomed(&account);
            let needs_nobody = self.needs_nobody(&account);
            if !doomed && needs_nobody && !self.is_well(&account) {
                self.is_ill(&account, "20 minutes after all was well");
            }
        }
    }

    /// People look after what needs them.
    pub(super) fn is_tended(&mut self) {
        for account in self.accounts.clone() {
            let Some(snapshot) = self.snapshot(&account) else { continue };
            let doomed = self.outside.scene().is_doomed(&account);
            if snapshot.is_paused() && !snapshot.released {
                self.does(&account, Deed::Resume);
            }
            let lineage = self.outside.scene().parts[&account].lineage();
            let elsewhere = snapshot.origin.as_ref() != Some(&lineage);
            if doomed || elsewhere || snapshot.released {
                self.logs_in(&account);
            } else if snapshot.state == StateName::NeedsLogin {
                // It was said to be lost, and is not.
                self.order(&account, Action::Retry);
            }
        }
    }

    pub(super) fn all_must_be_well(&mut self) {
        for account in self.accounts.clone() {
            if !self.is_well(&account) {
                self.is_ill(&account, "a quarter of an hour after somebody has seen to it");
            }
        }
    }

    fn is_ill(&self, account: &AccountId, when: &str) {
        if self.outside.scene().witness.is_foreign(account) {
            return;
        }
        let state = self.snapshot(account).map(|it| (it.state, it.next));
        self.outside
            .scene()
            .witness
            .violated(account, || format!("has no token {when}: {state:?}"));
    }
}
