//! What people and programs on the host do.

use std::time::Duration;

use super::agenda::Event;
use super::faults::Fault;
use super::play::Play;
use super::service::Jinx;
use crate::lifecycle::words::Action;
use crate::name::AccountId;
use crate::snapshot::Answer;
use crate::snapshot::Demand;
use crate::snapshot::StateName;
use crate::token::Generation;
use crate::token::Kind;

/// Pauses between what happens of its own accord, on average.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(2_400);
const BETWEEN_DEEDS: Duration = Duration::from_secs(5 * 3_600);

/// Within this a person sees to what somebody has begun.
const A_WHILE: Duration = Duration::from_secs(6 * 3_600);

/// How likely it is that something interferes between two events: what an account is in the middle
/// of lasts for moments, which nobody hits who acts once in hours, nor does what ends the process.
const INTERFERENCE: f64 = 1.0 / 300.0;

/// Something that a person or a program does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Deed {
    /// Whatever comes to mind.
    Something,
    Resume,
    /// A person logs in, and hands the refresh token in.
    LogIn,
    /// A person has a paused account forget everything, and logs in.
    BeginAnew,
}

impl Play {
    /// Everybody begins to do what they do all the time.
    pub(super) fn begin(&mut self) {
        let mut scene = self.outside.scene();
        for account in &self.accounts {
            let first = self.chance.span(Duration::from_secs(1), Duration::from_secs(3_600));
            scene.after(first, Event::Does(account.clone(), Deed::LogIn));
            scene.after(first, Event::Does(account.clone(), Deed::Something));
            scene.after(first, Event::Asks(account.clone()));
        }
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
                    self.outside.scene().served(account, held);
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
            Deed::BeginAnew => {
                self.forgotten(account, Duration::from_secs(60));
                self.order(account, Action::Clear);
                self.order(account, Action::Resume);
            }
        }
    }

    /// Somebody does something to an account that is in the middle of something else, or the process
    /// ends there: when a reply has come and nobody has read it, when what it brings is to be written,
    /// when it is written and nobody has been told.
    pub(super) fn interferes(&mut self) {
        if !self.chance.happens(INTERFERENCE) || self.running().is_none() {
            return;
        }
        let busy = |account: &&AccountId| {
            let state = self.snapshot(account).map(|snapshot| snapshot.state);
            matches!(state, Some(StateName::Queued | StateName::Exchanging | StateName::Saving))
        };
        let busy = self.accounts.iter().filter(busy).cloned().collect::<Vec<_>>();
        if busy.is_empty() {
            return;
        }
        let account = self.chance.pick(&busy).clone();
        match self.chance.below(10) {
            8 => self.breaks_in(Fault::Killed),
            9 => self.breaks_in(Fault::PowerCut),
            0 => self.clock_stepped(),
            1 => {
                self.outside.scene().witness.meddled(&account);
                self.apply(&[account]);
            }
            2 => self.order(&account, Action::Demand(Kind::Access)),
            _ => self.does_something(&account),
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
                self.later(account, A_WHILE, Deed::Resume);
            }
            10..13 => self.logs_in(account),
            13 => {
                self.forgotten(account, A_WHILE);
                self.order(account, Action::Clear);
            }
            14 => {
                self.forgotten(account, A_WHILE);
                self.order(account, Action::Logout);
            }
            15 => {
                self.order(account, Action::Release);
                self.later(account, A_WHILE, Deed::LogIn);
            }
            16 => self.does(account, Deed::Resume),
            17 => {
                let old = Generation(generation.0.saturating_sub(1));
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

    /// The credential is to be forgotten; a person logs in again, in `most` at the latest.
    pub(super) fn forgotten(&mut self, account: &AccountId, most: Duration) {
        let mut scene = self.outside.scene();
        scene.witness.patience_ends(account);
        scene.witness.meddled(account);
        drop(scene);
        self.later(account, most, Deed::LogIn);
    }

    fn later(&mut self, account: &AccountId, most: Duration, deed: Deed) {
        let pause = self.chance.span(Duration::from_secs(1), most);
        self.outside.scene().after(pause, Event::Does(account.clone(), deed));
    }

    pub(super) fn logs_in(&mut self, account: &AccountId) {
        let mut scene = self.outside.scene();
        let at = scene.at();
        if !scene.parts[account].plan().has_refresh_token {
            return;
        }
        scene.witness.meddled(account);
        let token = scene.services.get_mut(account).unwrap().log_in(at);
        if scene.strikes(Fault::Jinxed, account) {
            let jinx = *scene.chance.pick(Jinx::ALL);
            scene.witness.trace.note(at, || format!("{account} is handed a login with a {jinx:?}"));
            scene.services.get_mut(account).unwrap().jinx(jinx);
        }
        drop(scene);
        self.order(account, Action::Import(token.into()));
    }
}
