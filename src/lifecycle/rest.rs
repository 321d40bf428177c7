//! Where an account comes to rest, and what wakes it.

use std::sync::Arc;
use std::time::Duration;

use super::Account;
use super::Attempt;
use super::Series;
use super::State;
use super::What;
use super::doubt::last_stretch;
use super::words::Command;
use crate::error::code::Code;
use crate::notice::Event;
use crate::notice::Reason;
use crate::plan::Plan;
use crate::record::Condition;
use crate::record::Hold;
use crate::record::Lineage;
use crate::record::Stake;
use crate::record::Standing;
use crate::record::Write;
use crate::schedule;
use crate::snapshot;
use crate::snapshot::Held;
use crate::snapshot::HeldAws;
use crate::snapshot::Refusal;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;

/// How long an account without a token fails before that is an alarm: the first minute
/// after a resume or a boot, when the network is not there yet, must not page anyone.
const QUIET_START: Duration = Duration::from_secs(60);

impl Account {
    /// Finds the place where the account rests, from what is known of it.
    pub(super) fn settle(&mut self, now: Now, jitter: Jitter, out: &mut Vec<Command>) {
        if self.is_flying() {
            return;
        }
        self.lacks = None;
        let taken_back = self.is_released() && self.staged().is_some();
        if self.standing.hold != Hold::None && !taken_back {
            self.rest(State::Frozen { until: None }, out);
        } else if self.staged().is_some_and(|staged| staged.lineage != self.lineage) {
            self.unstage_stray(now, jitter, out);
        } else if self.staged().is_some() {
            self.go_on(Reason::Scheduled, now, out);
        } else if !self.plan.has_refresh_token && self.origin != self.lineage {
            self.begin_anew(now, out);
        } else if self.leads_elsewhere() {
            self.held = None;
            self.told.alarm = false;
            self.record_failure(snapshot::aid::led_elsewhere(), now);
            self.rest(State::NeedsLogin, out);
            self.tell_failure(Reason::Scheduled, out);
        } else if self.must_sign_in() && self.held.is_none() {
            self.go_on(Reason::Scheduled, now, out);
        } else if self.plan.has_refresh_token
            && !self.refreshable
            && !self.must_sign_in()
            && self.standing.condition != Condition::NeedsLogin
        {
            self.rest(State::Vacant, out);
        } else {
            self.settle_by_condition(now, jitter, out);
        }
    }

    /// A staged credential of another place: it is sent nowhere.
    fn unstage_stray(&mut self, now: Now, jitter: Jitter, out: &mut Vec<Command>) {
        self.candidate = None;
        let message = "the configuration changed before it was proven; hand it in again";
        let entry = self.entry();
        let refusal = Refusal { entry, ..Refusal::new(Code::NeedsLogin, message) };
        self.owe(What::Unstage(Some(Box::new(refusal))), now, out);
        self.settle(now, jitter, out);
    }

    /// An account without a refresh token has nothing of the old place to keep. After a restart
    /// nobody knows which of the two asked for patience, and why it waits is said for as long.
    fn begin_anew(&mut self, now: Now, out: &mut Vec<Command>) {
        self.origin = self.lineage.clone();
        self.held = None;
        self.subject = None;
        self.told.alarm = false;
        let waits = self.series.not_before.is_some_and(|bound| bound > now.boot);
        let failure = self.standing.failure.take().filter(|_| waits);
        if !waits {
            self.series = Series::default();
        }
        // It is not on hold: such an account has come to rest already.
        self.standing = Standing { failure, ..Standing::default() };
        self.owe(What::Standing, now, out);
        self.launch(Reason::Scheduled, Stake::Current, now, out);
    }

    fn settle_by_condition(&mut self, now: Now, jitter: Jitter, out: &mut Vec<Command>) {
        let soon = now.boot + jitter.of(Duration::from_secs(1));
        let soon = soon.max(self.budgeted(now.boot));
        match self.standing.condition {
            Condition::NeedsLogin if self.doubt.is_none() => self.rest(State::NeedsLogin, out),
            Condition::SigningIn if !self.must_sign_in() => self.rest(State::NeedsLogin, out),
            Condition::SigningIn => self.rest(State::Waiting { until: soon }, out),
            Condition::Suspect { probes } if self.doubt.is_none() => {
                let [.., longest] = schedule::SUSPECT_PROBES;
                let pause = schedule::SUSPECT_PROBES.get(usize::from(probes)).copied();
                let until = now.boot + pause.unwrap_or(longest);
                self.rest(State::Suspect { until: until.max(soon) }, out);
            }
            // A confirmation of what is in doubt is a replay, and waits for what a replay waits for. So
            // is what somebody had tried once more of a lost login.
            Condition::Sound | Condition::Suspect { .. } | Condition::NeedsLogin => {
                if let Some(doubt) = self.doubt {
                    let next = self.next_replay(doubt, Duration::ZERO, now, jitter);
                    let next = next.max(self.budgeted(now.boot));
                    self.rest(State::InDoubt { next }, out);
                } else if self.standing.failure.is_some() {
                    self.rest(State::Waiting { until: soon }, out);
                } else if self.held.is_some() {
                    self.rest(State::Fresh { due: self.due(now) }, out);
                } else {
                    self.launch(Reason::Scheduled, Stake::Current, now, out);
                }
            }
        }
    }

    /// After a flight: something that could not be done during it may be due.
    pub(super) fn settle_if_due_elsewhere(
        &mut self,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        if self.standing.hold != Hold::None
            || self.staged().is_some()
            || self.origin != self.lineage
        {
            self.settle(now, jitter, out);
        }
    }

    /// Rests until `until`, as what it is at the moment.
    pub(super) fn postpone(&mut self, until: Moment) {
        let in_doubt = self.doubt_about(self.stake_at_rest()).is_some();
        self.state = if in_doubt {
            State::InDoubt { next: until }
        } else if let Condition::Suspect { .. } = self.standing.condition {
            State::Suspect { until }
        } else if self.standing.failure.is_some() || self.staged().is_some() {
            State::Waiting { until }
        } else {
            State::Fresh { due: until }
        };
    }

    pub(super) fn woken(&mut self, now: Now, out: &mut Vec<Command>) {
        if self.expiry_to_tell().is_some_and(|expiry| expiry <= now.boot) {
            self.told.expiry = true;
            out.push(Command::Publish);
            out.push(Command::Tell(Event::Expired));
        }
        if self.alarm_to_tell().is_some_and(|alarm| alarm <= now.boot) {
            self.told.alarm = true;
            if let Some(failure) = self.raised() {
                out.push(Command::Tell(Event::Alarm { failure }));
            }
        }
        if self.ahead_at().is_some_and(|ahead| ahead <= now.boot) {
            self.tell_ahead(now, out);
        }
        self.do_duties(now, out);
        if self.planned().is_none_or(|planned| planned > now.boot) {
            return;
        }
        match &self.state {
            State::Saving(..) => self.save_again(now, out),
            State::Fresh { .. }
            | State::InDoubt { .. }
            | State::Waiting { .. }
            | State::Suspect { .. }
            | State::Frozen { .. } => {
                self.go_on(Reason::Scheduled, now, out);
            }
            State::Vacant
            | State::Queued(_)
            | State::Exchanging(..)
            | State::Leaving(..)
            | State::NeedsLogin => {}
        }
    }

    /// Leaves a resting state for the next attempt: because its time came, or because
    /// somebody wants it. A replay is one in either case.
    pub(super) fn go_on(&mut self, because: Reason, now: Now, out: &mut Vec<Command>) -> bool {
        let stake = self.next_stake(now);
        let reason = match (self.doubt_about(stake), stake) {
            (Some(_), _) => Reason::Replay,
            (None, Stake::Staged) => Reason::Requested,
            (None, Stake::Current | Stake::SignIn) => because,
        };
        self.launch(reason, stake, now, out)
    }

    pub(super) fn clock_stepped(&mut self, now: Now, out: &mut Vec<Command>) {
        self.look_ahead(now);
        let Some(held) = &mut self.held else { return };
        let spent = held.expires_boot.before(last_stretch(held));
        // The clock that sees less of the token is believed.
        held.expires_boot = held.expires_boot.min(now.boot + held.ttl(now));
        held.aws = held.aws.take().map(|aws| {
            let expires_boot = aws.expires_boot.min(now.boot + aws.ttl(now));
            Arc::new(HeldAws { expires_boot, credentials: Arc::clone(&aws.credentials), ..*aws })
        });
        if let State::Fresh { .. } = self.state {
            self.state = State::Fresh { due: self.due(now) };
        } else if let State::InDoubt { next } = self.state
            && next == spent
        {
            // It waits for the end of the token, which comes sooner.
            let next = self.nearly_spent(now).max(self.budgeted(now.boot));
            self.state = State::InDoubt { next };
        } else if let State::Suspect { until } = self.state {
            let until = self.before_the_token_ends(until, now).max(self.budgeted(now.boot));
            self.state = State::Suspect { until };
        }
        out.push(Command::Publish);
        self.woken(now, out);
    }

    pub(super) fn reconfigured(
        &mut self,
        plan: Arc<Plan>,
        lineage: Lineage,
        now: Now,
        jitter: Jitter,
        out: &mut Vec<Command>,
    ) {
        self.plan = plan;
        self.aside = None;
        self.arm_sign_in();
        self.look_ahead(now);
        if self.lineage != lineage {
            // What the other place asked for does not hold here.
            self.series = Series::default();
            self.lineage = lineage;
            self.begin_where_it_is_led();
        }
        let wanted = self.wanted();
        if let State::Queued(_) = self.state {
            out.push(Command::Unqueue);
            self.state = State::Vacant;
        }
        // What failed under the old configuration is tried under the new one.
        if !self.is_flying() {
            if self.standing.condition == Condition::Sound {
                self.standing.failure = None;
            }
            self.settle(now, jitter, out);
            if let Some(because) = wanted {
                self.still_go_on(because, now, out);
            }
        }
    }

    /// Why somebody wants the attempt that waits for its turn, if anybody does: at its route, or, of a
    /// login that is lost, for its budget.
    const fn wanted(&self) -> Option<Reason> {
        match (&self.state, self.standing.condition) {
            (State::Queued(Attempt { reason: Reason::Scheduled, .. }), _) => None,
            (State::Queued(Attempt { stake: Stake::Staged, .. }), _) => None,
            (State::Queued(Attempt { reason, .. }), _) => Some(*reason),
            (State::Waiting { .. }, Condition::NeedsLogin) => Some(Reason::Requested),
            _ => None,
        }
    }

    /// Somebody wanted an attempt, which waited for its turn when the configuration changed.
    fn still_go_on(&mut self, because: Reason, now: Now, out: &mut Vec<Command>) {
        let may = match self.state {
            State::Fresh { .. } | State::Waiting { .. } | State::Suspect { .. } => true,
            State::InDoubt { .. } => because == Reason::Replay,
            State::NeedsLogin => !self.leads_elsewhere(),
            State::Vacant
            | State::Queued(_)
            | State::Exchanging(..)
            | State::Saving(..)
            | State::Leaving(..)
            | State::Frozen { .. } => false,
        };
        if may {
            self.go_on(because, now, out);
        }
    }

    /// When the end of the held tokens is to be told.
    pub(super) fn expiry_to_tell(&self) -> Option<Moment> {
        self.held.as_ref().filter(|_| !self.told.expiry).map(|held| held.expires_boot)
    }

    /// When an alarm is to be told.
    pub(super) fn alarm_to_tell(&self) -> Option<Moment> {
        self.alarm().filter(|_| !self.told.alarm)
    }

    /// From when on the raised failure is an alarm. One that was told stays one while the next
    /// attempt is under way.
    pub(super) fn alarm(&self) -> Option<Moment> {
        self.standing.failure.as_ref()?;
        let since = self.series.since.unwrap_or_default();
        if self.told.alarm {
            return Some(since);
        }
        let needs_a_person =
            matches!(self.state, State::NeedsLogin | State::Frozen { until: Some(_) });
        if needs_a_person || self.unsaved {
            return Some(since);
        }
        let Some(held) = &self.held else { return Some(since + QUIET_START) };
        let ahead = self.plan.alarm_before.min(held.lifetime / 6);
        let close = held.expires_boot.before(ahead).max(since);
        let beyond = self.series.not_before.is_some_and(|bound| bound > held.expires_boot);
        if beyond { Some(since) } else { Some(close.max(self.quiet_until(since, held))) }
    }

    /// A token that was over before the series of failures began is an account without one.
    fn quiet_until(&self, since: Moment, held: &Held) -> Moment {
        if held.expires_boot <= since { since + QUIET_START } else { Moment::default() }
    }

    /// Whether the configuration sends the credential to another place than it came from.
    pub(super) fn leads_elsewhere(&self) -> bool {
        self.plan.has_refresh_token && self.has_credential() && self.origin != self.lineage
    }

    /// Without a credential, what it will have first comes from where the configuration sends it.
    pub(super) fn begin_where_it_is_led(&mut self) {
        if !self.has_credential() {
            self.origin = self.lineage.clone();
        }
    }

    /// Whether there is something that must go nowhere but where it came from.
    pub(super) const fn has_credential(&self) -> bool {
        self.refreshable || self.held.is_some()
    }

    pub(super) fn rest(&mut self, state: State, out: &mut Vec<Command>) {
        self.state = state;
        out.push(Command::Publish);
        out.push(Command::Tell(Event::StateChanged));
    }

    /// Says how it stands. What is being saved meanwhile is written before this, and must
    /// not be taken back by it.
    pub(super) fn note(&self, now: Now) -> Write {
        let standing = match &self.state {
            State::Saving(attempt, catch) => {
                self.standing_after(*attempt, &catch.what, catch.sent, now)
            }
            State::Vacant
            | State::Fresh { .. }
            | State::Queued(_)
            | State::Exchanging(..)
            | State::Leaving(..)
            | State::InDoubt { .. }
            | State::Waiting { .. }
            | State::Suspect { .. }
            | State::NeedsLogin
            | State::Frozen { .. } => self.standing.clone(),
        };
        Write::Note { account: self.id.clone(), standing, ends_intent: false }
    }
}
