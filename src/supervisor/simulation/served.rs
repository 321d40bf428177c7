//! What must hold of a token that is handed out, and of a login that is said to be lost.

use super::scene::Scene;
use super::service::Serial;
use crate::name::AccountId;
use crate::notice::Notice;
use crate::snapshot::Held;

impl Scene {
    /// A program is handed a token.
    pub(super) fn served(&mut self, account: &AccountId, held: &Held, unsaved: bool) {
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
        } else if !unsaved && self.parts[account].announces() {
            let saved = self.disk.access_token(account);
            if saved.is_none_or(|saved| saved.expose() != access.expose()) {
                let what = "served a token that is not saved, and does not say so";
                self.witness.violated(account, || what.to_owned());
            }
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
