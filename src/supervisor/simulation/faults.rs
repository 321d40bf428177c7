//! What can go wrong, what of it does in a world, and what goes wrong at the moment.
//!
//! Half of the kinds never happen in a given world (*swarm testing*, Groce and others 2012): some
//! bugs show only where another fault does not get in the way first.

use std::fmt;
use std::time::Duration;

use super::chance::Chance;
use crate::name::AccountId;

listed! {
    /// A kind of fault.
    #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
    pub(super) enum Fault {
        /// The provider cannot be reached: nothing is sent.
        Unreachable,
        /// The connection breaks before the provider has seen the request.
        CutBefore,
        /// The connection breaks after the provider has done what it was asked.
        CutAfter,
        /// The provider does what it was asked, and its reply never comes.
        Silence,
        /// 500, from a provider that may have done what it was asked.
        ServerError,
        /// 408 and the like: surely nothing was done.
        Unavailable,
        /// 429, with and without `Retry-After`.
        Throttled,
        /// `invalid_grant` for a refresh token that is good.
        FalseRefusal,
        /// `invalid_client` for a client that is good.
        ClientRejected,
        /// A captive portal answers.
        Portal,
        /// 200 with a body that makes no sense.
        Malformed,
        /// The same, with a whole refresh token in it.
        Torn,
        /// Lifetimes of no time, of seconds, and of years.
        OddLifetime,
        /// Somebody else's tokens.
        WrongSubject,
        /// Replies that take their time.
        Slow,
        /// A login of which the provider never answers anything that could be understood.
    Jinxed,
    /// The provider ends a login.
        Revoked,
        /// A secret of the account is not to be had, or was never stored.
        SecretMissing,
        /// What an account needs to know takes its time.
    SecretLate,
    /// A gate thinks.
    GateLate,
    /// A gate refuses.
        GateShut,
        /// The disk takes nothing.
        DiskFull,
        /// The disk fails, or cannot be written, or what is there is damaged.
    DiskBroken,
    /// The service manager keeps nothing of what the disk did not take.
    ShelfShut,
    /// The disk takes its time.
        DiskSlow,
        /// The process is killed.
        Killed,
        /// The power goes, and comes back.
        PowerCut,
        /// The daemon is stopped as it should be, and started again.
        Restarted,
        /// The host sleeps.
        Suspended,
        /// Somebody sets the wall clock.
        ClockSet,
        /// A boot finds the wall clock behind, until the host has asked what time it is.
    ClockLost,
    /// The configuration changes.
        Reloaded,
    }
}

impl Fault {
    /// How long it lasts; `None` of one that happens at a moment.
    const fn lasts(self) -> Option<(Duration, Duration)> {
        const fn between(low: u64, high: u64) -> Option<(Duration, Duration)> {
            Some((Duration::from_secs(low), Duration::from_secs(high)))
        }
        match self {
            Self::Killed
            | Self::PowerCut
            | Self::Restarted
            | Self::Suspended
            | Self::ClockSet
            | Self::ClockLost
            | Self::Reloaded
            | Self::Revoked => None,
            Self::DiskFull | Self::DiskBroken => between(5, 4 * 3600),
            Self::Unreachable
            | Self::CutBefore
            | Self::CutAfter
            | Self::Silence
            | Self::ServerError
            | Self::Unavailable
            | Self::Throttled
            | Self::FalseRefusal
            | Self::ClientRejected
            | Self::Portal
            | Self::Malformed
            | Self::Torn
            | Self::OddLifetime
            | Self::WrongSubject
            | Self::Jinxed
            | Self::Slow
            | Self::SecretMissing
            | Self::SecretLate
            | Self::GateLate
            | Self::GateShut
            | Self::ShelfShut
            | Self::DiskSlow => between(30, 3 * 3600),
        }
    }
}

/// What goes wrong, and for how long.
#[derive(Default)]
pub(super) struct Weather {
    possible: Vec<Fault>,
    active: Vec<Spell>,
    met: Met,
}

/// How often each kind of fault was met: by a request, by a write, or by the host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Met([u64; Fault::ALL.len()]);

impl Met {
    const fn meets(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (count, theirs) in self.0.iter_mut().zip(other.0) {
            *count += theirs;
        }
    }
}

impl Met {
    /// What was never met.
    pub(super) fn missing(&self) -> Vec<Fault> {
        Fault::ALL.iter().copied().filter(|fault| self.0[*fault as usize] == 0).collect()
    }
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in Fault::ALL {
            write!(f, " {fault:?} {}", self.0[*fault as usize])?;
        }
        Ok(())
    }
}

/// A fault that lasts.
struct Spell {
    fault: Fault,
    until: Duration,
    /// Whom it hits; everybody, if nobody is named.
    whom: Option<AccountId>,
    /// How often it strikes.
    rate: f64,
}

impl Weather {
    /// The faults that are possible in a world.
    pub(super) fn drawn(chance: &mut Chance) -> Self {
        let possible = Fault::ALL.iter().copied().filter(|_| chance.happens(0.5)).collect();
        Self { possible, active: Vec::new(), met: Met::default() }
    }

    /// Fair weather but for one fault, which strikes everybody at that rate until then.
    pub(super) fn only(fault: Fault, rate: f64, until: Duration) -> Self {
        let active = vec![Spell { fault, until, whom: None, rate }];
        Self { possible: Vec::new(), active, met: Met::default() }
    }

    /// One of those that are possible, if any is.
    pub(super) fn draw(&self, chance: &mut Chance) -> Option<Fault> {
        if self.possible.is_empty() { None } else { Some(*chance.pick(&self.possible)) }
    }

    pub(super) fn possible(&self) -> &[Fault] {
        &self.possible
    }

    /// A fault sets in, unless it is one of a moment. Says whether it did.
    pub(super) fn set_in(
        &mut self,
        fault: Fault,
        at: Duration,
        accounts: &[AccountId],
        chance: &mut Chance,
    ) -> bool {
        let Some((low, high)) = fault.lasts() else {
            self.met.meets(fault);
            return false;
        };
        let whom = chance.happens(0.5).then(|| chance.pick(accounts).clone());
        let rate = *chance.pick(&[0.2, 0.5, 0.9, 1.0]);
        // Short ones are as likely as long ones.
        let high = low + (high - low).mul_f64(chance.share().powi(3));
        let until = at + chance.span(low, high);
        self.active.push(Spell { fault, until, whom, rate });
        true
    }

    /// All is well.
    pub(super) fn clear(&mut self) {
        self.active.clear();
    }

    /// Whether a fault strikes an account at this time.
    pub(super) fn strikes(
        &mut self,
        fault: Fault,
        account: &AccountId,
        at: Duration,
        chance: &mut Chance,
    ) -> bool {
        self.active.retain(|spell| spell.until > at);
        let strikes = self.active.iter().any(|spell| {
            spell.fault == fault
                && spell.whom.as_ref().is_none_or(|whom| whom == account)
                && chance.happens(spell.rate)
        });
        self.meets_if(strikes, fault)
    }

    /// Whether a fault of the host strikes at this time: it hits everybody.
    pub(super) fn prevails(&mut self, fault: Fault, at: Duration, chance: &mut Chance) -> bool {
        let active = self.active.iter();
        let mut active = active.filter(|spell| spell.fault == fault && spell.until > at);
        let prevails = active.any(|spell| chance.happens(spell.rate));
        self.meets_if(prevails, fault)
    }

    /// One of a moment happens.
    pub(super) const fn meets(&mut self, fault: Fault) {
        self.met.meets(fault);
    }

    const fn meets_if(&mut self, strikes: bool, fault: Fault) -> bool {
        if strikes {
            self.met.meets(fault);
        }
        strikes
    }

    /// What was met so far.
    pub(super) const fn met(&self) -> Met {
        self.met
    }
}
