//! What of an account's life is said in the log, and how loudly.
//!
//! While a provider is down an account fails every few minutes with the same words. Its first
//! failure is a record, and so is each that differs in code or state from the one before; those
//! that are alike are counted, and the count is told with the next record or after
//! [`EVERY`]. That a login is lost is said once, as what it is, whichever event shows it.
//!
//! [`Told::weigh`] decides and reads no clock; [`log`] says it.

use std::borrow::Cow;
use std::time::Duration;

use tracing::debug;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::error::code::Code;
use crate::message::Message;
use crate::notice::Event;
use crate::notice::Notice;
use crate::snapshot::Snapshot;
use crate::snapshot::StateName;
use crate::time::Moment;
use crate::time::spoken;

/// How often a failure that goes on is told again: a few times a day.
pub(super) const EVERY: Duration = Duration::from_secs(6 * 3600);

/// What the log has of an account's failures.
#[derive(Default)]
pub(super) struct Told {
    failing: Option<Box<Failing>>,
    /// Whether it says that the login is lost.
    login: bool,
}

struct Failing {
    code: Code,
    state: StateName,
    /// When it was told last.
    at: Moment,
    /// How many that were alike were not told since.
    repeated: u64,
}

/// How loudly something is said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Weight {
    /// As such things are.
    Usual,
    /// After that many like it that were not told.
    After(u64),
    /// It says the same as the record before.
    Repeated,
    /// It shows that the login is lost.
    LoginLost,
}

impl Told {
    /// Takes note of what happened to the account, which stands at `state` by then.
    pub(super) fn weigh(&mut self, event: &Event, state: StateName, now: Moment) -> Weight {
        let lost = state == StateName::NeedsLogin;
        match event {
            Event::RefreshFailed { failure, .. } => {
                let weight = self.failed(failure.code(), state, now);
                if lost { self.lost(weight) } else { weight }
            }
            Event::Alarm { .. } if lost => self.lost(Weight::Repeated),
            Event::StateChanged if lost => self.lost(Weight::Usual),
            Event::StateChanged | Event::TokenChanged { .. } => {
                let repeated = self.failing.take().map_or(0, |failing| failing.repeated);
                self.login = false;
                Weight::after(repeated)
            }
            Event::RefreshStarted { .. }
            | Event::Alarm { .. }
            | Event::Recovered { .. }
            | Event::Expired
            | Event::ExpiryAhead { .. }
            | Event::HookFailed { .. } => Weight::Usual,
        }
    }

    fn failed(&mut self, code: Code, state: StateName, now: Moment) -> Weight {
        let repeated = match &mut self.failing {
            Some(failing) if failing.code == code && failing.state == state => {
                if now < failing.at + EVERY {
                    failing.repeated += 1;
                    return Weight::Repeated;
                }
                failing.repeated
            }
            Some(failing) => failing.repeated,
            None => 0,
        };
        self.failing = Some(Box::new(Failing { code, state, at: now, repeated: 0 }));
        Weight::after(repeated)
    }

    /// The login is lost, which is said once; after that, things are said as `otherwise` has it.
    const fn lost(&mut self, otherwise: Weight) -> Weight {
        if std::mem::replace(&mut self.login, true) { otherwise } else { Weight::LoginLost }
    }
}

impl Weight {
    const fn after(repeated: u64) -> Self {
        if repeated == 0 { Self::Usual } else { Self::After(repeated) }
    }

    const fn repeated(self) -> Option<u64> {
        match self {
            Self::After(repeated) => Some(repeated),
            Self::Usual | Self::Repeated | Self::LoginLost => None,
        }
    }
}

/// One record for each thing that happens, with the fields that the journal is searched by.
pub(super) fn log(notice: &Notice, weight: Weight) {
    let (account, snapshot) = (&notice.account, &notice.snapshot);
    let state = snapshot.state.as_str();
    let generation = snapshot.generation.0;
    let (event, repeated) = (notice.event.name().as_str(), weight.repeated());
    if weight == Weight::LoginLost {
        return log_lost_login(notice);
    }
    match &notice.event {
        Event::RefreshStarted { reason, attempt } => {
            let reason = reason.as_str();
            debug!(%account, event, state, generation, reason, attempt, "refresh started");
        }
        Event::TokenChanged { reason, attempt } => {
            let reason = reason.as_str();
            info!(%account, event, state, generation, reason, attempt, repeated, "token refreshed");
        }
        Event::RefreshFailed { reason, failure } => {
            let (reason, attempt) = (reason.as_str(), failure.attempt);
            let (code, error) = (failure.code().as_str(), &failure.error);
            if weight == Weight::Repeated {
                debug!(
                    %account, event, state, generation, reason, attempt, code,
                    "refresh failed again: {error}"
                );
            } else {
                warn!(
                    %account, event, state, generation, reason, attempt, code, repeated,
                    "refresh failed: {error}"
                );
            }
        }
        Event::Alarm { failure } => {
            let (code, error) = (failure.code().as_str(), &failure.error);
            if weight == Weight::Repeated {
                debug!(%account, event, state, generation, code, "the login is lost: {error}");
            } else {
                error!(%account, event, state, generation, code, "account needs attention: {error}");
            }
        }
        Event::Recovered { failed } => {
            info!(%account, event, state, generation, failed, "account recovered");
        }
        Event::ExpiryAhead { at, within } => {
            let within = spoken(*within);
            warn!(%account, event, state, generation, "the login ends at {at}, in less than {within}");
        }
        Event::Expired => warn!(%account, event, state, generation, "token expired"),
        Event::StateChanged => match snapshot.lacks() {
            Some(slot) => info!(
                %account, event, state, generation, repeated,
                "no sign-in, since {slot} is not stored; type: tokenctl secret set {slot}"
            ),
            None => info!(
                %account, event, state, generation, repeated,
                "state changed: {}", stands(snapshot)
            ),
        },
        // Told and logged where calls are made.
        Event::HookFailed { .. } => {}
    }
}

/// Says what a stop waits for, where there is anything: `unsaved` accounts of which the disk has yet
/// to take something, of `busy` ones of which something is under way.
pub(super) fn log_wait(unsaved: usize, busy: usize) {
    if unsaved > 0 {
        let (event, accounts) = (Message::StopWaits.as_str(), counted(unsaved));
        warn!(
            event,
            accounts = unsaved,
            "the stop waits for the disk, which has not taken the newest tokens of {accounts}; make \
             room on it or repair it, and do not kill the daemon"
        );
    } else if busy > 0 {
        let (event, accounts) = (Message::Stopping.as_str(), counted(busy));
        info!(event, accounts = busy, "the stop waits for what is under way with {accounts}");
    }
}

/// `1 account`, `2 accounts`.
fn counted(count: usize) -> String {
    if count == 1 { "1 account".to_owned() } else { format!("{count} accounts") }
}

/// How an account stands, as people say it.
fn stands(snapshot: &Snapshot) -> Cow<'static, str> {
    match (snapshot.released, snapshot.is_paused()) {
        (true, true) => "given up".into(),
        (false, true) => "paused".into(),
        (_, false) => snapshot.state.as_str().replace('_', " ").into(),
    }
}

fn log_lost_login(notice: &Notice) {
    let (account, generation) = (&notice.account, notice.snapshot.generation.0);
    let (event, state) = (Message::NeedsLogin.as_str(), notice.snapshot.state.as_str());
    let failure = match &notice.event {
        Event::RefreshFailed { failure, .. } | Event::Alarm { failure } => Some(failure),
        Event::RefreshStarted { .. }
        | Event::TokenChanged { .. }
        | Event::Recovered { .. }
        | Event::Expired
        | Event::ExpiryAhead { .. }
        | Event::StateChanged
        | Event::HookFailed { .. } => None,
    };
    let code = failure.map_or(Code::NeedsLogin, |failure| failure.code()).as_str();
    match failure.map(|failure| &failure.error) {
        Some(error) => {
            error!(%account, event, state, generation, code, "the login is lost: {error}");
        }
        None => error!(
            %account, event, state, generation, code,
            "the login is lost: the configuration leads somewhere else than its credential came from"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::RefreshError;
    use crate::error::foreign::OauthError;
    use crate::notice::Reason;
    use crate::record::Failure;

    #[test]
    fn failures_that_are_alike_are_told_once_and_counted() {
        let mut told = Told::default();
        let down = || failed(RefreshError::Unreachable("refused".into()));
        assert_eq!(told.weigh(&down(), StateName::Waiting, at(0)), Weight::Usual);
        for minute in 1..=5 {
            assert_eq!(told.weigh(&down(), StateName::Waiting, at(minute)), Weight::Repeated);
        }
        let other = failed(RefreshError::BornExpired);
        assert_eq!(told.weigh(&other, StateName::Waiting, at(6)), Weight::After(5));
        assert_eq!(told.weigh(&down(), StateName::Waiting, at(7)), Weight::Usual);
        assert_eq!(told.weigh(&down(), StateName::InDoubt, at(8)), Weight::Usual);
    }

    #[test]
    fn a_failure_that_goes_on_is_told_again_after_hours_with_its_count() {
        let mut told = Told::default();
        let down = failed(RefreshError::Unreachable("refused".into()));
        let weights =
            (0..=24 * 60 / 5).map(|round| told.weigh(&down, StateName::Waiting, at(round * 5)));
        let loud = weights.filter(|weight| *weight != Weight::Repeated).collect::<Vec<_>>();
        let again = Weight::After(71);
        assert_eq!(loud, [Weight::Usual, again, again, again, again]);
    }

    #[test]
    fn a_good_token_tells_the_count_and_begins_anew() {
        let mut told = Told::default();
        let down = failed(RefreshError::Unreachable("refused".into()));
        told.weigh(&down, StateName::Waiting, at(0));
        told.weigh(&down, StateName::Waiting, at(1));
        let good = Event::TokenChanged { reason: Reason::Scheduled, attempt: 3 };
        assert_eq!(told.weigh(&good, StateName::Fresh, at(2)), Weight::After(1));
        assert_eq!(told.weigh(&down, StateName::Waiting, at(3)), Weight::Usual);
    }

    #[test]
    fn a_lost_login_is_said_once_whichever_event_shows_it() {
        let refused = failed(RefreshError::LoginRequired(OauthError::status(403)));
        let Event::RefreshFailed { failure, .. } = refused.clone() else { unreachable!() };
        let alarm = Event::Alarm { failure };
        let state = StateName::NeedsLogin;
        for first in [&refused, &alarm, &Event::StateChanged] {
            let mut told = Told::default();
            assert_eq!(told.weigh(first, state, at(0)), Weight::LoginLost);
            assert_eq!(told.weigh(&alarm, state, at(1)), Weight::Repeated);
            let good = Event::TokenChanged { reason: Reason::Requested, attempt: 1 };
            assert_eq!(told.weigh(&good, StateName::Fresh, at(2)), Weight::Usual);
            assert_eq!(told.weigh(first, state, at(3)), Weight::LoginLost);
        }
    }

    /// An outage had its alarm; what it ends in is graver.
    #[test]
    fn a_login_that_is_lost_after_an_alarm_is_said_all_the_same() {
        let mut told = Told::default();
        let down = failed(RefreshError::Unreachable("refused".into()));
        let Event::RefreshFailed { failure, .. } = down.clone() else { unreachable!() };
        told.weigh(&down, StateName::Waiting, at(0));
        assert_eq!(told.weigh(&Event::Alarm { failure }, StateName::Waiting, at(1)), Weight::Usual);
        let refused = failed(RefreshError::LoginRequired(OauthError::status(403)));
        assert_eq!(told.weigh(&refused, StateName::NeedsLogin, at(2)), Weight::LoginLost);
    }

    #[test]
    fn a_change_of_state_is_said_as_people_call_the_state() {
        let told = |state, next, released| {
            stands(&Snapshot { state, next, released, ..Snapshot::vacant() }).into_owned()
        };
        #[rustfmt::skip]
        let cases = [
            (StateName::InDoubt, None,        false, "in doubt"),
            (StateName::Frozen,  Some(at(1)), false, "frozen"),
            (StateName::Frozen,  None,        false, "paused"),
            (StateName::Frozen,  None,        true,  "given up"),
        ];
        for (state, next, released, words) in cases {
            assert_eq!(told(state, next, released), words);
        }
    }

    fn failed(error: RefreshError) -> Event {
        let failure =
            Failure { error, since_ms: 0, attempt: 1, not_before_ms: None, told_as: None };
        Event::RefreshFailed { reason: Reason::Scheduled, failure: Arc::new(failure) }
    }

    fn at(minute: u64) -> Moment {
        Moment::from_millis(minute * 60_000)
    }
}
