//! What is remembered of one account, and what is wrong with a request that is about to leave.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::time::Duration;

use super::cast::Part;
use super::clocks::Clocks;
use super::lost::Struggle;
use super::lost::Why;
use super::service::Serial;
use crate::notice::Reason;
use crate::plan::Rotation;
use crate::record::Lineage;
use crate::record::Stake;
use crate::token::Secret;

/// Requests in any minute, whatever is answered.
const A_MINUTE: (Duration, usize) = (Duration::from_secs(60), 10);

/// How long the daemon counts a request against a minute.
pub(super) const COUNTED: Duration = Duration::from_secs(61);

/// Requests in any hour of an account whose tokens live for minutes at least: retries whose pauses
/// grow, and what people and programs force. One retry after another without a pause would fill
/// each minute's budget.
const AN_HOUR: (Duration, usize) = (Duration::from_secs(3_600), 240);

/// What is remembered of an account.
#[derive(Default)]
pub(super) struct Life {
    pub(super) in_flight: bool,
    /// When the last attempt began.
    pub(super) begun: Duration,
    /// Where the configuration sent its credential when the last attempt began, and when the last
    /// request left.
    pub(super) began_at: Option<Lineage>,
    pub(super) sent_to: Option<Lineage>,
    pub(super) sends: VecDeque<Duration>,
    /// When attempts were announced that an end of the daemon cut before they were sent: it counts them,
    /// too.
    cut: Vec<Duration>,
    pub(super) reason: Option<Reason>,
    /// The number of the last attempt that was told.
    pub(super) attempt: u32,
    /// Whether an operator wants what is in doubt tried again, and that was not done yet.
    pub(super) urged: bool,
    /// Whether the attempt under way was begun of the account's own accord, and while its token was
    /// good.
    pub(super) hasty: bool,
    /// The newest refresh token that reached the host and was not lost there.
    pub(super) knows: Serial,
    pub(super) spent: Option<(Serial, Fate)>,
    pub(super) patience: Option<Duration>,
    pub(super) patience_noted: Noted,
    /// Until when the daemon may stay away for that reason, whatever was set or forgotten since.
    pub(super) asked_until: Option<Duration>,
    /// Until when it stays away after a throttled answer, by itself.
    pub(super) throttled: Option<Duration>,
    /// By when a failure must have been told.
    pub(super) owed: Option<Duration>,
    /// The last access token that was published while nothing could be lost with it.
    pub(super) harmless: Option<u64>,
    /// How often in a row the refresh token was refused.
    pub(super) refusals: u32,
    /// The same, and whether it was disowned, before tokens came that are not on disk yet.
    pub(super) before: Option<(u32, bool)>,
    pub(super) struggle: Struggle,
    /// The refresh token that was lost last.
    pub(super) mourned: Option<Serial>,
    /// When the attempt was announced durably that was not sent yet, and with what.
    pub(super) announced: Option<(Duration, Stake)>,
    /// The refresh tokens that came as somebody else's, and were kept for an operator.
    pub(super) set_aside: BTreeSet<Serial>,
    /// Whether the last tokens that came for its login were somebody else's.
    pub(super) disowned: bool,
    /// Since when somebody else is recorded as whose it is, because the first tokens that came were
    /// somebody else's: only a person can mend that.
    pub(super) mistaken: Option<Duration>,
    /// Whether lifetimes were odd in the last hour, which takes more requests.
    pub(super) odd: Duration,
    pub(super) told: Told,
}

/// What was told that is to be told once.
#[derive(Default)]
pub(super) struct Told {
    pub(super) alarm: bool,
    pub(super) expiry: bool,
    pub(super) failure: bool,
    pub(super) token: Option<u64>,
}

/// Whether a restart remembers how long the provider is to be left alone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Noted {
    /// The failure that says so is not on disk, or the wall clock was set since by which it is
    /// written down there.
    #[default]
    No,
    /// It is.
    Yes,
    /// It was said of a credential that was handed in, and the account's own failure, which is
    /// what is written down, says nothing of it.
    Never,
}

/// What came of spending a refresh token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// The reply is awaited, or nobody is there to hear it.
    Open,
    /// It may have been taken.
    Lost,
    /// The provider has spoken.
    Known,
}

impl Life {
    /// What is wrong with a request that is about to leave, if anything is.
    pub(super) fn wrong_to_send(
        &mut self,
        clocks: &Clocks,
        part: &Part,
        stake: Stake,
        token: Option<&Secret>,
        announced: bool,
    ) -> Option<String> {
        let at = clocks.at();
        while self.sends.front().is_some_and(|sent| *sent + AN_HOUR.0 <= at) {
            self.sends.pop_front();
        }
        let newest = self.sends.iter().rev();
        let minute = newest.take_while(|sent| **sent + A_MINUTE.0 > at).count();
        let announces = part.announces() && stake != Stake::SignIn;
        let serial = token.filter(|_| announces).map(Serial::of);
        let again = self.spent.filter(|(spent, _)| Some(*spent) == serial).map(|(_, fate)| fate);
        let in_doubt = matches!(again, Some(Fate::Open | Fate::Lost));
        if self.in_flight {
            Some("two requests at a time".to_owned())
        } else if minute >= A_MINUTE.1 {
            Some(format!("{} requests in a minute", minute + 1))
        } else if self.sends.len() >= AN_HOUR.1 && !self.is_odd(at) {
            Some(format!("{} requests in an hour", self.sends.len() + 1))
        } else if let Some(patience) = self.patience.filter(|patience| at < *patience) {
            Some(format!("a request {:?} before the provider wants one", patience - at))
        } else if stake == Stake::Current
            && self.reason != Some(Reason::Replay)
            && self.throttled.is_some_and(|until| at < until)
        {
            Some("a request right after a throttled one".to_owned())
        } else if announces && !announced {
            Some("a spend that is not announced durably".to_owned())
        } else if serial.is_some_and(|it| it.login == self.knows.login && it < self.knows) {
            Some(format!("spends {serial:?}, though it has {:?}", self.knows))
        } else if in_doubt && self.reason != Some(Reason::Replay) {
            Some(format!("spends {serial:?} again, and not as a replay"))
        } else if in_doubt
            && self.hasty
            && stake == Stake::Current
            && match part.plan().rotation {
                Rotation::Strict => true,
                Rotation::Grace(_) => {
                    serial.is_some_and(|serial| self.struggle.is_over(serial, at, clocks))
                }
                Rotation::Unknown | Rotation::Never => false,
            }
        {
            Some(format!("spends {serial:?} again, while what a replay could kill is good"))
        } else {
            None
        }
    }

    /// Whether lifetimes were odd in the last hour.
    pub(super) fn is_odd(&self, at: Duration) -> bool {
        !self.odd.is_zero() && at < self.odd + AN_HOUR.0
    }

    /// An attempt was cut before it was sent.
    pub(super) fn is_cut(&mut self, announced: Duration) {
        self.cut.push(announced);
        self.counts_against_the_minute(announced);
    }

    /// There was one more request: with the last that a minute allows, no other is until it is over.
    pub(super) fn counts_against_the_minute(&mut self, at: Duration) {
        let counts = |start: &Duration| *start + COUNTED > at;
        self.cut.retain(counts);
        let mut counted = self.sends.iter().chain(&self.cut).copied().collect::<Vec<_>>();
        counted.retain(counts);
        counted.sort_unstable();
        let first = counted.len().checked_sub(A_MINUTE.1).map(|first| counted[first]);
        if let Some(first) = first {
            self.struggle.is_blocked(at, Some(first + COUNTED), Why::Budget);
        }
    }

    /// The provider has taken its login, which is yet to be written down.
    pub(super) fn is_sound(&mut self) {
        self.before.get_or_insert((self.refusals, self.disowned));
        (self.refusals, self.disowned) = (0, false);
    }

    /// The process has ended: what is not written down is forgotten.
    pub(super) const fn forgets(&mut self) {
        if let Some(before) = self.before.take() {
            (self.refusals, self.disowned) = before;
        }
    }

    pub(super) fn learn(&mut self, stake: Stake, token: Option<&Secret>) {
        match (token, self.spent) {
            (Some(token), _) => self.knows = Serial::of(token),
            (None, Some((spent, _))) if stake == Stake::Staged => self.knows = spent,
            (None, _) => {}
        }
    }
}
