//! What befalls a host.

use std::time::Duration;

use super::agenda::Event;
use super::faults::Fault;
use super::play::Play;
use super::scene::Scene;
use super::service::Serial;
use crate::name::AccountId;
use crate::record::Stake;

/// Pause between two faults, on average.
const BETWEEN_FAULTS: Duration = Duration::from_secs(2 * 3_600);

impl Play {
    /// Faults begin to set in, the first one at once, and to end: it may be what the first sign-in
    /// meets, or the first credential that is handed in.
    pub(super) fn cloud_over(&mut self) {
        self.outside.scene().after(Duration::from_secs(86_400), Event::Heals);
        self.strikes();
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

    /// Something happens at a moment of somebody's choice, where it is possible in this world.
    pub(super) fn breaks_in(&mut self, fault: Fault) {
        let mut scene = self.outside.scene();
        let possible = scene.weather.possible().contains(&fault);
        if !self.stormy || !possible {
            return;
        }
        let at = scene.at();
        scene.witness.trace.note(at, || format!("{fault:?} breaks in"));
        scene.weather.meets(fault);
        drop(scene);
        self.befalls(fault);
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
                    let mut scene = self.outside.scene();
                    scene.stirred = true;
                    let at = scene.at();
                    scene.witness.goes_away(at);
                }
            }
            Fault::Suspended if self.asleep.is_none() && !self.off => {
                let span = self.chance.span(Duration::from_secs(5), Duration::from_secs(30_000));
                let mut scene = self.outside.scene();
                let at = scene.at();
                let wakes = at + span;
                scene.witness.goes_away(at);
                scene.agenda.put(wakes, Event::Wakes);
                drop(scene);
                self.asleep = Some(wakes);
            }
            Fault::ClockSet => self.clock_is_set(),
            Fault::ClockLost => self.clockless = !self.clockless,
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
            | Fault::Jinxed
            | Fault::Slow
            | Fault::SecretMissing
            | Fault::SecretLate
            | Fault::GateLate
            | Fault::GateShut
            | Fault::DiskFull
            | Fault::DiskBroken
            | Fault::ShelfShut
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
        self.clock_steps(by);
    }

    /// The wall clock is set, by that many milliseconds.
    pub(super) fn clock_steps(&mut self, by: i64) {
        let mut scene = self.outside.scene();
        scene.clocks.step(by);
        scene.witness.clock_was_set(Duration::from_millis(u64::try_from(-by).unwrap_or(0)));
        drop(scene);
        self.clock_stepped();
    }

    /// The host was booted, and nothing told it the time; somebody does some minutes later.
    fn clock_is_lost(&mut self) {
        let behind = i64::try_from(1_000 + self.chance.below(300_000)).unwrap();
        self.clock_steps(-behind);
        let told = self.chance.span(Duration::from_secs(5), Duration::from_secs(600));
        self.outside.scene().after(told, Event::ClockIsRight(behind));
    }

    /// The configuration changes, in what it says of an account or in which accounts it names.
    fn reloads(&mut self, account: &AccountId) {
        // Who is asleep, or about to stop, reads nothing.
        if self.asleep.is_some() || (self.daemon.is_some() && self.running().is_none()) {
            return;
        }
        let mut scene = self.outside.scene();
        let part = scene.parts.get_mut(account).unwrap();
        let mut changed = vec![account.clone()];
        match self.chance.below(4) {
            0 | 1 => {
                let rotation = part.plan().rotation;
                part.change(&mut self.chance);
                if part.plan().rotation != rotation {
                    // What is in doubt goes by another plan.
                    let at = scene.at();
                    scene.witness.is_kept_busy(account, at);
                }
            }
            2 => {
                part.move_to_and_fro();
                scene.witness.patience_ends(account);
                let at = scene.at();
                scene.witness.is_kept_busy(account, at);
            }
            _ => {
                changed.clear();
                let at = scene.at();
                scene.witness.is_kept_busy(account, at);
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
        scene.witness.goes_away(at);
        for account in &self.accounts {
            let Scene { witness, clocks, disk, parts, .. } = &mut *scene;
            let saved = disk.refresh_token(account).map(Serial::of);
            let staged = disk.staged(account).as_ref().map(Serial::of);
            let serials = [(Stake::Current, saved), (Stake::Staged, staged)];
            let announced = serials.iter().filter(|(stake, _)| disk.is_announced(account, *stake));
            let in_doubt = announced.filter_map(|(stake, serial)| Some(((*serial)?, *stake)));
            let in_doubt = in_doubt.collect::<Vec<_>>();
            witness.ended(clocks, &parts[account], saved, staged, &in_doubt);
            scene.record_is_read(account);
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
            if self.clockless {
                self.clock_is_lost();
            }
        }
        self.start();
    }

    pub(super) fn wakes(&mut self) {
        let at = self.outside.scene().at();
        if self.asleep.is_some_and(|wakes| wakes <= at) {
            self.asleep = None;
            self.outside.scene().witness.is_back(at);
            self.clock_stepped();
        }
    }
}
