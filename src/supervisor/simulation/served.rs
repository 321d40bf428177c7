//! What must hold of a token that is published or handed out, and of a login that is said to be lost.

use super::scene::Scene;
use super::service::Serial;
use crate::name::AccountId;
use crate::notice::Notice;
use crate::snapshot::Held;
use crate::snapshot::Snapshot;

impl Scene {
    /// A program is handed a token.
    pub(super) fn served(&mut self, account: &AccountId, held: &Held) {
        let at = self.at();
        self.witness.counts.answers += 1;
        let access = &held.tokens.access;
        let span = self.services[account].span_of(access);
        let Some(span) = span else {
            return self.witness.violated(account, || "served a token of long ago".to_owned());
        };
        let (boots, steps) = (self.clocks.boots(), self.clocks.steps());
        // After a reboot, a clock that was set tells nothing of what is left.
        let known = span.boots == boots || span.steps == steps;
        let now = self.clocks.now().wall;
        if known && at >= span.from + span.lifetime {
            self.witness.violated(account, || {
                format!("served a token {:?} after its end", at - span.from - span.lifetime)
            });
        } else if now >= span.wall + span.lifetime {
            self.witness
                .violated(account, || "served a token after its end by the wall".to_owned());
        }
    }

    /// An account publishes how it stands: a token that is not on disk is said to be unsaved. One with
    /// which nothing is lost need not be, whatever the configuration says of it later.
    pub(super) fn published(&mut self, account: &AccountId, snapshot: &Snapshot) {
        let Some(held) = &snapshot.held else { return };
        let access = held.tokens.access.expose();
        let saved = self.disk.access_token(account);
        let is_saved = saved.is_some_and(|saved| saved.expose() == access);
        let harmless = &mut self.witness.life(account).harmless;
        if !self.parts[account].announces() {
            *harmless = access.parse().ok();
        } else if !snapshot.unsaved && !is_saved && *harmless != access.parse().ok() {
            let what = "published a token that is not saved, and does not say so";
            self.witness.violated(account, || what.to_owned());
        }
    }

    /// Whether no refresh token that works is on the host.
    pub(super) fn is_doomed(&mut self, account: &AccountId) -> bool {
        let known = self.witness.knows(account);
        self.parts[account].plan().has_refresh_token
            && (known == Serial::default() || !self.services.get_mut(account).unwrap().takes(known))
    }

    /// An account says that its login is lost.
    pub(super) fn lost_login(&mut self, notice: &Notice) {
        let account = &notice.account;
        let elsewhere = notice.snapshot.origin.as_ref() != Some(self.parts[account].lineage());
        if !elsewhere && !self.is_doomed(account) && !self.witness.was_refused(account) {
            self.witness.violated(account, || "gives up a login that goes on".to_owned());
        }
    }
}
