//! The end of a login, told ahead.
//!
//! A refresh token that dies takes the account with it, and only a person can bring another.
//! Where its end is known, the rungs of a ladder ([`Plan::expiry_ahead`](crate::plan::Plan))
//! are told once each, over restarts and steps of the clock: what was told is part of the
//! [`Standing`](crate::record::Standing).
//!
//! A rung above three quarters of the whole life says nothing: of a login of seven days that
//! every refresh renews, all the last day's rungs would be told every day otherwise.

use std::time::Duration;

use super::Account;
use super::duties::What;
use super::words::Command;
use crate::notice::Event;
use crate::plan::highest_rung;
use crate::record::LoginEnd;
use crate::record::Stake;
use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;
use crate::token::Grant;

/// Two ends this close together are the same one, told by two replies.
const SAME_END: Duration = Duration::from_secs(120);

impl Account {
    /// When the login ends after a grant.
    pub(super) fn login_end(&self, stake: Stake, grant: &Grant, sent: Now) -> Option<LoginEnd> {
        let renewed = stake != Stake::Current || grant.refresh_token.is_some();
        let assumed = self.plan.refresh_token_lifetime.filter(|_| renewed);
        let known = self.ends().filter(|_| !renewed || grant.refresh_lifetime.is_some());
        let Some(whole) = grant.refresh_lifetime.or(assumed) else { return known };
        let at = sent.wall + whole;
        if let Some(known) = known.filter(|_| stake == Stake::Current) {
            let before = Timestamp::from_millis(known.at_ms);
            if at.since(before).max(before.since(at)) <= SAME_END {
                return Some(known);
            }
        }
        let whole_ms = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX);
        Some(LoginEnd { at_ms: at.as_millis(), whole_ms, told_ms: None })
    }

    /// When the login ends, as far as that is known.
    pub(super) fn ends(&self) -> Option<LoginEnd> {
        self.standing.ends.as_deref().copied()
    }

    /// Whether the login has ended by its own dates.
    pub(super) fn login_is_over(&self, now: Now) -> bool {
        self.ends().is_some_and(|ends| ends.at_ms <= now.wall.as_millis())
    }

    /// Finds the moment of the next rung, which a step of the clock moves.
    pub(super) fn look_ahead(&mut self, now: Now) {
        self.ahead = self.ends().and_then(|ends| {
            let rung = self.rungs_left(ends).max()?;
            Some(now.moment_of(Timestamp::from_millis(ends.at_ms).before(rung)))
        });
    }

    /// The moment of the next rung.
    pub(super) const fn ahead_at(&self) -> Option<Moment> {
        self.ahead
    }

    /// Tells the rung that was reached. If several were, while nobody was there to tell them,
    /// the last one says it all.
    pub(super) fn tell_ahead(&mut self, now: Now, out: &mut Vec<Command>) {
        let Some(ends) = self.ends() else { return };
        let at = Timestamp::from_millis(ends.at_ms);
        let left = at.since(now.wall);
        let reached = self.rungs_left(ends).filter(|rung| left <= *rung).min();
        if let Some(within) = reached {
            let told_ms = u64::try_from(within.as_millis()).ok();
            self.standing.ends = Some(Box::new(LoginEnd { told_ms, ..ends }));
            self.owe(What::Standing, now, out);
            out.push(Command::Tell(Event::ExpiryAhead { at, within }));
        }
        self.look_ahead(now);
    }

    /// The rungs that are still to be told.
    fn rungs_left(&self, ends: LoginEnd) -> impl Iterator<Item = Duration> {
        let highest = highest_rung(Duration::from_millis(ends.whole_ms));
        let told = ends.told_ms.map_or(Duration::MAX, Duration::from_millis);
        self.plan.expiry_ahead.iter().copied().filter(move |rung| *rung <= highest && *rung < told)
    }
}
