//! Why a rotated refresh token was lost: what was promised to fetch it again, and what came of that.
//!
//! A daemon in doubt asks again five times inside the grace: at once, and after an eighth, a quarter,
//! half and seven eighths of it. A replay that comes after the grace may be what the provider takes, and
//! the last of them follows it in a grace from there; a last replay that is refused is followed by one more,
//! at half of the grace of what was lost last. Each of them has to be made, whatever became of those
//! before it. It is excused only if the daemon could not make it from when it was due until the next one
//! is: two mishaps do not excuse five replays.

use std::fmt;
use std::time::Duration;

use super::clocks::Clocks;
use super::service::Serial;
use crate::record::Stake;

/// In this time after it could have been made a replay is on its way: half a second of chance,
/// and a healthy disk.
const PROMPTLY: Duration = Duration::from_secs(1);

/// How long what befalls an account is kept in mind after a plan began: twice the longest grace.
const LONGEST: Duration = Duration::from_secs(1_200);

/// How long the requests of another login are kept in mind: a credential that was handed in may have
/// the turn for a day.
const FORGOTTEN: Duration = Duration::from_secs(4 * 86_400);

/// So many milliseconds a wall clock may be behind after a boot before a plan is played at other times: an
/// eighth of the shortest grace.
const A_MOMENT_OFF: i64 = 1_250;

/// Between the announcement of a request and its sending, beside what it waits for.
const A_MOMENT: Duration = Duration::from_millis(100);

listed! {
    /// Why a refresh token was lost, or what kept a replay from being made.
    #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
    pub(super) enum Why {
        /// All replays were made, or others were on their way when they were due, and what brings
        /// something was lost each time.
        Tried,
        /// The provider takes no refresh token twice.
        NoGrace,
        /// The reply came as somebody else's, and was kept for an operator.
        SetAside,
        /// The daemon or its host was not there.
        Away,
        /// The disk took its time, or did not take what an account could lose, while which no other
        /// account spends anything.
        Disk,
        /// The requests of a minute were used up: three of them at the least by replays.
        Budget,
        /// The provider had asked to be left alone.
        Patience,
        /// A secret of the account was not to be had, or its client was refused: both are probed, and
        /// by no plan.
        Client,
        /// A person or the configuration wanted something else of the account.
        Person,
        /// The power went, and the wall clock does not tell how long ago the request was.
        Clock,
    }
}

impl Why {
    /// In so many account-years one may be lost for this reason: two to ten times of what is. No grace
    /// is no promise.
    const fn years_for_one(self) -> Option<f64> {
        match self {
            Self::NoGrace => None,
            Self::Tried => Some(0.05),
            Self::SetAside => Some(0.5),
            Self::Away
            | Self::Disk
            | Self::Budget
            | Self::Patience
            | Self::Client
            | Self::Person
            | Self::Clock => Some(5.0),
        }
    }
}

/// Refresh tokens that were lost, by why.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses([u64; Why::ALL.len()]);

impl Losses {
    pub(super) const fn count(&mut self, why: Why) {
        self.0[why as usize] += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (count, theirs) in self.0.iter_mut().zip(other.0) {
            *count += theirs;
        }
    }

    /// The reasons for which more were lost in so many account-years than may be.
    pub(super) fn above_ceiling(&self, years: f64) -> Vec<(Why, u64)> {
        let counts = Why::ALL.iter().copied().zip(self.0);
        let above = counts.filter(|(why, count)| {
            let count = f64::from(u32::try_from(*count).unwrap());
            why.years_for_one().is_some_and(|each| count * each > years)
        });
        above.collect()
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = Why::ALL.iter().zip(self.0);
        counts.try_for_each(|(why, count)| write!(f, " {why:?} {count}"))
    }
}

/// What an account does for a reply that may be lost, and what keeps it from that.
#[derive(Default)]
pub(super) struct Struggle {
    plans: Vec<Planned>,
    tries: Vec<Try>,
    blocks: Vec<Block>,
}

/// What is promised after a request whose reply is lost.
#[derive(Clone, Copy)]
struct Planned {
    serial: Serial,
    /// What the last request was made with.
    stake: Stake,
    from: Duration,
    /// How long it had been prepared by then: its grace may count from that long before.
    prepared: Duration,
    /// What the daemon takes for the grace.
    grace: Duration,
    /// How often the host had been booted, and how far its wall clock was ahead.
    boots: u64,
    ahead: i64,
    /// Whether it is about a replay that came after the grace.
    late: bool,
    /// Why the daemon does not know any more from when it counts: a boot found a wall clock that does not
    /// tell, or the process ended, and the disk knows of the first request alone.
    unknown: Option<Why>,
    reply: Reply,
}

/// What is known of the replies to what a plan is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reply {
    /// Nothing yet.
    Awaited,
    /// One was lost, or may be.
    Lost,
    /// It was surely not taken, for all that the process knows. The next one has only what is on disk.
    Known,
}

/// An attempt with a refresh token: a request, or one that failed before it was sent.
#[derive(Clone, Copy)]
struct Try {
    serial: Serial,
    /// When it began to be prepared.
    begun: Duration,
    from: Duration,
    /// When its reply came; `None` until then, and if none ever does.
    to: Option<Duration>,
    refused: bool,
}

/// What comes back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Heard {
    /// What was asked for.
    Tokens,
    /// That the refresh token is not taken.
    Refusal,
    /// That nothing was done.
    Failure,
    /// Nothing that says whether it was.
    Nothing,
}

/// A time in which no replay can be made.
#[derive(Clone, Copy)]
struct Block {
    from: Duration,
    /// Until the next attempt with that refresh token begins, if nothing is named.
    to: Option<Duration>,
    why: Why,
}

impl Struggle {
    /// A request leaves with a refresh token, or is announced and nobody knows whether it left: what
    /// the plan of its replays is, if its reply is lost.
    pub(super) fn sends(
        &mut self,
        (serial, stake): (Serial, Stake),
        begun: Duration,
        at: Duration,
        clocks: &Clocks,
        grace: Duration,
    ) {
        self.plans.retain(|plan| plan.serial != serial || plan.reply != Reply::Known);
        let plan = self.plans.iter().rfind(|plan| plan.serial == serial).copied();
        let over =
            |plan: Planned| at >= plan.from + plan.grace || plan.late && plan.unknown.is_some();
        if plan.is_none_or(over) {
            // What a newer one was brought for is not asked for again.
            self.plans.retain(|old| old.serial.login != serial.login || old.serial >= serial);
            self.plans.retain(|old| old.serial == serial || at < old.from + FORGOTTEN);
            self.tries.retain(|old| self.plans.iter().any(|plan| plan.serial == old.serial));
            let oldest = self.tries.first().map_or(begun, |first| first.begun);
            self.blocks.retain(|block| block.to.unwrap_or(block.from) >= oldest);
            let (boots, ahead) = (clocks.boots(), clocks.ahead());
            let (late, reply) = (plan.is_some(), Reply::Awaited);
            self.plans.push(Planned {
                serial,
                stake,
                from: at,
                prepared: at.saturating_sub(begun) + A_MOMENT,
                grace,
                boots,
                ahead,
                late,
                unknown: None,
                reply,
            });
        }
        for plan in self.plans.iter_mut().filter(|plan| plan.serial == serial) {
            plan.stake = stake;
        }
        self.tries.push(Try { serial, begun, from: at, to: None, refused: false });
    }

    /// The reply to the last request is there, or nobody waits for it any more.
    pub(super) fn hears(&mut self, at: Duration, heard: Heard) {
        let Some(last) = self.tries.last_mut().filter(|last| last.to.is_none()) else { return };
        (last.to, last.refused) = (Some(at), heard == Heard::Refusal);
        let serial = last.serial;
        let Some(plan) = self.plans.iter_mut().rfind(|plan| plan.serial == serial) else { return };
        match heard {
            // What came may be lost yet, before it is on disk.
            Heard::Nothing | Heard::Tokens => plan.reply = Reply::Lost,
            Heard::Refusal | Heard::Failure if plan.reply == Reply::Awaited => {
                plan.reply = Reply::Known;
            }
            Heard::Refusal | Heard::Failure => {}
        }
    }

    /// The process has ended, and nobody hears what is yet to come. Of `in_doubt` the disk says that a
    /// request may have been sent, whatever that process had heard of it, and if it was only about to
    /// hear that the disk knows.
    pub(super) fn ends(
        &mut self,
        begun: Duration,
        clocks: &Clocks,
        grace: Duration,
        in_doubt: &[(Serial, Stake)],
    ) {
        self.hears(clocks.at(), Heard::Nothing);
        for plan in &mut self.plans {
            let doubted = in_doubt.iter().any(|(serial, _)| *serial == plan.serial);
            if plan.reply == Reply::Known && doubted {
                plan.reply = Reply::Lost;
            }
            if plan.late {
                plan.unknown = Some(Why::Away);
            }
        }
        self.plans.retain(|plan| plan.reply != Reply::Known);
        for announced in in_doubt {
            if !self.plans.iter().any(|plan| plan.serial == announced.0) {
                self.sends(*announced, begun, clocks.at(), clocks, grace);
                self.hears(clocks.at(), Heard::Nothing);
            }
        }
    }

    /// An attempt fails before it is sent.
    pub(super) fn fails_here(&mut self, begun: Duration, at: Duration, stake: Stake) {
        let plans = self.plans.iter().filter(|plan| plan.reply != Reply::Known);
        let plans = plans.filter(|plan| plan.stake == stake);
        for plan in plans.filter(|plan| at < plan.from + LONGEST) {
            let serial = plan.serial;
            self.tries.push(Try { serial, begun, from: at, to: Some(at), refused: false });
        }
    }

    /// No replay can be made from then on, until `to` or until an attempt begins after it.
    pub(super) fn is_blocked(&mut self, from: Duration, to: Option<Duration>, why: Why) {
        let in_time = self.plans.iter().any(|plan| from < plan.from + LONGEST);
        // What is ordered while an attempt is prepared comes after that, and stands for longer.
        if in_time || to.is_none() {
            self.blocks.push(Block { from, to, why });
        }
    }

    /// The daemon begins. After a boot the wall clock alone tells it how long ago a request was.
    pub(super) fn begins_again(&mut self, clocks: &Clocks) {
        for plan in &mut self.plans {
            let trusted = -A_MOMENT_OFF..=0;
            let off = clocks.ahead() - plan.ahead;
            if plan.boots != clocks.boots() && !trusted.contains(&off) {
                plan.unknown = Some(Why::Clock);
            }
        }
    }

    /// Whether the grace of the last request with a refresh token is over that may have been taken. After a
    /// boot nobody knows for sure.
    pub(super) fn is_over(&self, serial: Serial, at: Duration, clocks: &Clocks) -> bool {
        let plan = self.plans.iter().rfind(|plan| plan.serial == serial);
        let Some(plan) = plan.filter(|plan| plan.boots == clocks.boots()) else { return false };
        let ours = self.tries.iter().filter(|it| it.serial == serial && it.to != Some(it.from));
        ours.map(|it| it.from).max().is_some_and(|last| at > last + plan.grace + PROMPTLY)
    }

    /// Why the reply was lost to a request that reached the provider at `since`; what was to be done for
    /// it and was not, if something was.
    pub(super) fn why_lost(&self, serial: Serial, since: Duration) -> Result<Why, String> {
        let plan = self.plans.iter().rfind(|plan| plan.serial == serial && plan.from <= since);
        let Some(plan) = plan else { return Err(format!("no request of {since:?} is known")) };
        let end = plan.from + plan.grace;
        let replays = self.tries.iter().filter(|it| it.serial == serial && it.from > plan.from);
        let tries = replays.clone().filter(|it| it.from < end).collect::<Vec<_>>();
        let slots = plan.slots();
        let made = |slot: &Slot| {
            tries.iter().any(|it| slot.contains(it.from) || slot.contains(it.from + plan.prepared))
        };
        let empty = slots.iter().filter(|slot| !made(slot));
        let mut excuse = None;
        for slot in empty {
            let Some(why) = self.why_empty(serial, *slot).or(plan.unknown) else {
                return Err(format!(
                    "no replay was made from {:?} to {:?}, after {:?} and with a grace of {:?}",
                    slot.from, slot.to, plan.from, plan.grace
                ));
            };
            excuse = excuse.or(Some(why));
        }
        let more = self.one_more(plan, serial);
        let empty = more.filter(|slot| !replays.clone().any(|it| slot.contains(it.from)));
        if let Some(slot) = empty {
            let why = self.why_empty(serial, slot).or(plan.unknown);
            return why.ok_or_else(|| {
                format!("no replay was made from {:?} on, after one was refused", slot.from)
            });
        }
        Ok(excuse.unwrap_or(Why::Tried))
    }

    /// When one more replay is due, because the last one that was planned was refused.
    fn one_more(&self, plan: &Planned, serial: Serial) -> Option<Slot> {
        let end = plan.from + plan.grace;
        let ours = self.tries.iter().filter(|it| it.serial == serial && it.from >= plan.from);
        let ours = ours.filter(|it| it.from < end).collect::<Vec<_>>();
        let last = ours.get(plan.slots().len()..)?.last().filter(|last| last.refused)?;
        let refused = last.to?;
        let lost = ours.iter().rev().find(|it| !it.refused)?.from;
        let slot = Slot { from: lost + plan.grace / 2, to: lost + plan.grace };
        (slot.from > refused).then_some(slot)
    }

    /// Why no replay was made when one was due, if it could not be.
    fn why_empty(&self, serial: Serial, slot: Slot) -> Option<Why> {
        let (mut free, mut why) = (slot.from, None);
        // What does not end by itself ends with the next attempt.
        let next = |from: Duration| {
            let later = self.tries.iter().filter(|it| it.serial == serial && it.begun > from);
            later.map(|it| it.from).min().unwrap_or(Duration::MAX)
        };
        let flights = self.tries.iter().map(|it| (it.from, it.to, Why::Tried));
        let blocks = self.blocks.iter().map(|it| (it.from, it.to, it.why));
        let all = blocks
            .chain(flights)
            .map(|(from, to, why)| (from, to.unwrap_or_else(|| next(from)), why));
        let mut all = all.collect::<Vec<_>>();
        all.sort_unstable();
        for (from, to, because) in all {
            if from <= free.saturating_add(PROMPTLY) && to > free {
                free = to;
                why = why.or(Some(because));
            }
        }
        why.filter(|_| free.saturating_add(PROMPTLY) >= slot.to)
    }
}

/// When a replay is due, and when the next one is.
#[derive(Clone, Copy)]
struct Slot {
    from: Duration,
    to: Duration,
}

impl Slot {
    fn contains(self, at: Duration) -> bool {
        (self.from..self.to).contains(&at)
    }
}

impl Planned {
    fn slots(&self) -> Vec<Slot> {
        let due = |share: u32| self.from + self.grace * share / 8;
        let slot = |(from, to): (u32, u32)| Slot { from: due(from), to: due(to) };
        let whole = [(0, 1), (1, 2), (2, 4), (4, 7), (7, 8)];
        whole.into_iter().skip(if self.late { 4 } else { 0 }).map(slot).collect()
    }
}
