//! All is well again for a while: who must be well then, and when.

use std::time::Duration;

use super::agenda::Event;
use super::people::Deed;
use super::play::Play;
use super::scene::Hope;
use crate::error::code::Code;
use crate::lifecycle::words::Action;
use crate::name::AccountId;
use crate::snapshot::Answer;
use crate::snapshot::Demand;
use crate::snapshot::StateName;
use crate::token::Kind;

/// In this time a refresh ends: the longest that a reply is waited for, and what is written then.
const A_REFRESH: Duration = Duration::from_secs(90);

impl Play {
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
        self.absent.clear();
        let accounts = self.accounts.clone();
        for account in &accounts {
            let mut scene = self.outside.scene();
            if scene.parts.get_mut(account).unwrap().move_back() {
                scene.witness.patience_ends(account);
            }
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
        let mut scene = self.outside.scene();
        let at = scene.at();
        // What never proves itself has the turn for an hour.
        let hopeless = scene.staged(account) == Some(Hope::None);
        let witness = &mut scene.witness;
        !rests && !hopeless && !witness.is_mistaken(account) && !witness.must_wait(account, at)
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
            let lineage = self.outside.scene().parts[&account].lineage().clone();
            let elsewhere = snapshot.origin.as_ref() != Some(&lineage);
            let mut scene = self.outside.scene();
            let needs_another = doomed || elsewhere || snapshot.released;
            let said_lost =
                snapshot.failure.as_ref().is_some_and(|it| it.code() == Code::NeedsLogin);
            // Neither is taken up as long as one has yet to prove itself that never will.
            let hopeless =
                (needs_another || said_lost) && scene.staged(&account) == Some(Hope::None);
            let mistaken = scene.witness.is_mistaken(&account);
            drop(scene);
            if mistaken || hopeless {
                // Nothing is forgotten during a refresh, and who pauses an account has it end.
                self.outside.scene().witness.meddled(&account);
                self.order(&account, Action::Pause);
                self.outside.scene().after(A_REFRESH, Event::Does(account, Deed::BeginAnew));
            } else if needs_another {
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
        if self.outside.scene().witness.is_mistaken(account) {
            return;
        }
        let state = self.snapshot(account).map(|it| (it.state, it.next));
        self.outside
            .scene()
            .witness
            .violated(account, || format!("has no token {when}: {state:?}"));
    }
}
