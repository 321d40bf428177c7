//! When a refresh is due, and when a failed one is tried again.
//!
//! Pure formulae. Their promises, which the tests hold:
//!
//! * A token is never served at or after [`usable`] of its lifetime.
//! * A refresh is due with 20 to 35 % of the lifetime left unless the configuration says
//!   otherwise, and never sooner than a quarter of the lifetime (10 s at least) after the
//!   last one: no lifetime and no buffer makes a loop.
//! * `Retry-After` is never shortened.
//!
//! The spread of a plan is a function of the account and its generation
//! ([`Spread::of`]), so a plan is reproducible and needs no stored random number.

use std::time::Duration;

use sha2::Digest;
use sha2::Sha256;

use crate::name::AccountId;
use crate::plan::RefreshBefore;
use crate::time::Jitter;
use crate::token::Generation;

/// Lifetimes above this are planned as if they were this long.
pub const LONGEST_LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// Largest part of a lifetime that is given up to clock skew.
const MOST_SKEW: Duration = Duration::from_secs(5);

/// Shortest pause between two successful attempts.
const SHORTEST_GAP: Duration = Duration::from_secs(10);

/// Longest pause before a provider that cannot be reached is tried again.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(300);

/// Longest `Retry-After` that is taken at its word.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// Pauses before the confirmations of a refused refresh token.
pub const SUSPECT_PROBES: [Duration; 3] =
    [Duration::from_secs(60), Duration::from_secs(600), Duration::from_secs(3_600)];

/// Pause before a misconfigured account is probed.
pub const CONFIG_PROBE: Duration = Duration::from_secs(3_600);

/// Pause before a secret or a program that is missing on this host is looked for again.
pub const LOCAL_PROBE: Duration = Duration::from_secs(60);

/// Shortest pause before a gate that refused is asked again: it calls a program of the
/// operator's, and what it waits for is rarely there a moment later.
pub const GATE_PROBE: Duration = LOCAL_PROBE;

/// An account's fixed share of chance for one generation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread(Jitter);

impl Spread {
    /// The share of this account at this generation; the same at every start.
    pub fn of(account: &AccountId, generation: Generation) -> Self {
        let mut hash = Sha256::new();
        hash.update(account.as_str().as_bytes());
        hash.update(generation.0.to_le_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let [a, b, c, d, ..] = digest;
        Self(Jitter::new(f64::from(u32::from_le_bytes([a, b, c, d])) / 4_294_967_296.0))
    }

    /// A spread of a given share, for tests and tables.
    pub const fn fixed(share: Jitter) -> Self {
        Self(share)
    }
}

/// The part of a lifetime in which a token is served: all but a skew guard of a
/// twentieth, 5 s at most.
pub fn usable(lifetime: Duration) -> Duration {
    lifetime.saturating_sub((lifetime / 20).min(MOST_SKEW))
}

/// How long after its issue a token's refresh is due.
///
/// `before` moves the point, at most to the middle of the lifetime; the pause of
/// [`gap`] wins over both.
pub fn refresh_after(
    lifetime: Duration,
    before: Option<RefreshBefore>,
    spread: Spread,
) -> Duration {
    let lifetime = lifetime.min(LONGEST_LIFETIME);
    let share = spread.0.share();
    let margin = match before {
        None => lifetime.mul_f64(0.20 + 0.15 * share),
        Some(RefreshBefore::Span(span)) => {
            span.min(lifetime).mul_f64(1.0 + 0.2 * share).min(lifetime / 2)
        }
        Some(RefreshBefore::Percent(percent)) => {
            let percent = f64::from(percent.clamp(1, 99)) / 100.0;
            lifetime.mul_f64(percent * (1.0 + 0.2 * share)).min(lifetime / 2)
        }
    };
    usable(lifetime).saturating_sub(margin).max(gap(lifetime))
}

/// The shortest pause between the starts of two attempts of which the first succeeded.
pub fn gap(lifetime: Duration) -> Duration {
    (lifetime.min(LONGEST_LIFETIME) / 4).max(SHORTEST_GAP)
}

/// The pause after a failure of network or server: decorrelated jitter.
///
/// It stays within a quarter of what is left of the held token, and within 300 s once that
/// is gone.
pub fn backoff(so_far: Backoff, jitter: Jitter) -> Duration {
    const FLOOR: Duration = Duration::from_secs(1);

    let Backoff { last, left } = so_far;
    let cap =
        if left.is_zero() { LONGEST_BACKOFF } else { (left / 4).clamp(FLOOR, LONGEST_BACKOFF) };
    jitter.between(FLOOR, last.max(FLOOR).saturating_mul(3)).min(cap)
}

/// The pause before a write is tried again that the store refused `refused` times before: a
/// second, twice that each time, half a minute at most. There is no chance in it, since
/// nobody else is hit by all accounts trying at once.
pub fn write_again(refused: u32) -> Duration {
    const LONGEST: Duration = Duration::from_secs(30);

    Duration::from_secs(1 << refused.min(5)).min(LONGEST)
}

/// What the pause after a failure depends on.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The pause before this one; zero at first.
    pub last: Duration,
    /// What is left of the held token.
    pub left: Duration,
}

/// The pause after the `count`-th throttled attempt in a row (from 1) that named no time:
/// equal jitter, because full jitter may return almost nothing.
pub fn throttled(count: u32, jitter: Jitter) -> Duration {
    const CAP: Duration = Duration::from_secs(900);

    let whole = Duration::from_secs(5).saturating_mul(1 << count.min(16)).min(CAP);
    jitter.between(whole / 2, whole)
}

/// The pause that a `Retry-After` of `asked` makes: at least that (between 1 s and an
/// hour), up to a tenth more.
pub fn retry_after(asked: Duration, jitter: Jitter) -> Duration {
    let asked = asked.clamp(Duration::from_secs(1), LONGEST_RETRY_AFTER);
    asked + jitter.of(asked / 10)
}

/// The count of a replay that is not planned any more.
pub const NO_MORE: u32 = u32::MAX;

/// A replay of a spend whose reply was lost.
#[derive(Clone, Copy, Debug)]
pub struct Replay {
    /// Which one it is, from 1; [`NO_MORE`] once the last one was made.
    pub count: u32,
    /// How long after the send the provider takes the same refresh token once more.
    pub grace: Duration,
    /// How long after the send the loss was known.
    pub lost_after: Duration,
}

/// When a replay is due, after the send: at once after the loss, then at an eighth, a quarter,
/// half and seven eighths of the grace. `None` once those are used up.
///
/// The last one is for a network that comes back late, and for the reply of the one before it. It comes
/// however many there were before it.
pub fn replay_after(replay: Replay, jitter: Jitter) -> Option<Duration> {
    const FIRST: Duration = Duration::from_millis(500);

    let Replay { count, grace, lost_after } = replay;
    let spread = if count == 1 { jitter.of(FIRST.min(grace / 8)) } else { Duration::ZERO };
    let due = planned_replay(count, grace).max(lost_after + spread);
    (count != NO_MORE && due < grace).then_some(due)
}

/// When a replay is planned, after the send: the first one at once.
pub fn planned_replay(count: u32, grace: Duration) -> Duration {
    match count {
        0 | 1 => Duration::ZERO,
        2 => grace / 8,
        3 => grace / 4,
        4 => grace / 2,
        _ => last_replay(grace),
    }
}

/// When the last replay of a plan is due, after the send.
pub fn last_replay(grace: Duration) -> Duration {
    grace - grace / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refresh_is_due_inside_the_window() {
        #[rustfmt::skip]
        let cases = [
            // name                            lifetime  before      share  due (s after issue)
            ("an hour, late end",                  3600, None,        0.0,  2875),
            ("an hour, early end",                 3600, None,        1.0,  2335),
            ("a minute",                             60, None,        0.0,    45),
            ("buffer longer than the life",          60, span(300),   0.0,    27),
            ("buffer within the life",             3600, span(300),   0.0,  3295),
            ("buffer is spread by a fifth",        3600, span(300),   1.0,  3235),
            ("a quarter of the life",              3600, percent(25), 0.0,  2695),
            ("most of the life is halved",         3600, percent(99), 0.0,  1795),
            ("ten seconds: the gap wins",            10, None,        0.0,    10),
            ("one second: the gap wins",              1, None,        0.0,    10),
            ("dead on arrival: still paced",          0, None,        0.0,    10),
            ("longer than a month is a month", 99999999, None,        0.0, 2073595),
        ];
        for (name, lifetime, before, share, due) in cases {
            let got = refresh_after(secs(lifetime), before, Spread::fixed(Jitter::new(share)));
            assert_eq!(got.as_secs_f64().round(), f64::from(due), "{name}");
        }
    }

    #[test]
    fn replays_come_at_once_then_within_the_grace() {
        #[rustfmt::skip]
        let cases = [
            // name                             count grace lost  due (ms after the send)
            ("the first comes at once",             1,   30,   4,  Some(4_000)),
            ("the second at an eighth",             2,   40,   4,  Some(5_000)),
            ("the third at a quarter",              3,   40,   4,  Some(10_000)),
            ("the fourth at half",                  4,   40,   4,  Some(20_000)),
            ("the last one shortly before its end", 5,   40,   4,  Some(35_000)),
            ("whatever came before",                9,   40,   4,  Some(35_000)),
            ("a late one comes at once",            5,   40,  36,  Some(36_000)),
            ("also after others in between",        9,   40,  36,  Some(36_000)),
            ("there is none after it",        NO_MORE,   40,   9,  None),
            ("never before the loss is known",      2,   30,   9,  Some(9_000)),
            ("never after the grace",               1,   10,  10,  None),
        ];
        for (name, count, grace, lost, due) in cases {
            let replay = Replay { count, grace: secs(grace), lost_after: secs(lost) };
            let got = replay_after(replay, Jitter::new(0.0));
            assert_eq!(got, due.map(Duration::from_millis), "{name}");
        }
    }

    #[test]
    fn a_first_replay_is_spread_by_half_a_second_or_an_eighth_of_the_grace() {
        #[rustfmt::skip]
        let cases = [
            // grace  lost  due (ms after the send)
            (40,      4,    4_500),
            (2,       1,    1_250),
        ];
        for (grace, lost, due) in cases {
            let replay = Replay { count: 1, grace: secs(grace), lost_after: secs(lost) };
            let got = replay_after(replay, Jitter::new(1.0));
            assert_eq!(got, Some(Duration::from_millis(due)), "{replay:?}");
        }
    }

    #[test]
    fn a_retry_after_is_stretched_by_a_tenth_at_the_most() {
        #[rustfmt::skip]
        let cases = [
            // name                             asked  share  pause (ms)
            ("as asked, at the least",            100, 0.0,   100_000),
            ("and a tenth, at the most",          100, 1.0,   110_000),
            ("at once is in a second",              0, 0.0,   1_000),
            ("longer than an hour is an hour", 99_999, 0.0,   3_600_000),
        ];
        for (name, asked, share, pause) in cases {
            let got = retry_after(secs(asked), Jitter::new(share));
            assert_eq!(got, Duration::from_millis(pause), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn refresh_is_never_late_and_never_a_loop(
            lifetime in 0_u64..100_000_000,
            before in proptest::option::of(0_u64..100_000_000),
            share in 0.0..1.0,
        ) {
            let spread = Spread::fixed(Jitter::new(share));
            let due = refresh_after(secs(lifetime), before.and_then(span), spread);
            let planned = secs(lifetime).min(LONGEST_LIFETIME);

            assert!(due >= gap(planned));
            assert!(due == gap(planned) || due < usable(planned));
            assert!(usable(planned) <= planned);
        }

        #[test]
        fn retry_after_is_never_shortened(asked in 1_u64..3_600, share in 0.0..1.0) {
            assert!(retry_after(secs(asked), Jitter::new(share)) >= secs(asked));
        }

        #[test]
        fn backoff_grows_from_a_second_to_its_cap(
            last in 0_u64..10_000, left in 0_u64..100_000, share in 0.0..1.0,
        ) {
            let so_far = Backoff { last: secs(last), left: secs(left) };
            let pause = backoff(so_far, Jitter::new(share));
            assert!(pause >= secs(1) && pause <= LONGEST_BACKOFF);
            assert!(left == 0 || pause <= (secs(left) / 4).max(secs(1)));
        }

        #[test]
        fn throttling_waits_at_least_half(count in 1_u32..100, share in 0.0..1.0) {
            let pause = throttled(count, Jitter::new(share));
            assert!(pause >= secs(5) && pause <= secs(900));
        }

        #[test]
        fn replays_stay_inside_the_grace(
            count in 1_u32..6, grace in 1_u64..3_600, lost in 0_u64..100, share in 0.0..1.0,
        ) {
            let replay = Replay { count, grace: secs(grace), lost_after: secs(lost) };
            if let Some(due) = replay_after(replay, Jitter::new(share)) {
                assert!(due < secs(grace) && due >= secs(lost));
            }
        }
    }

    #[test]
    fn the_spread_is_the_same_at_every_start_and_another_for_every_generation() {
        let account = AccountId::parse("mail").unwrap();
        let first = Spread::of(&account, Generation(1));
        assert_eq!(first, Spread::of(&account, Generation(1)));
        assert_ne!(first, Spread::of(&account, Generation(2)));
    }

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    const fn span(secs: u64) -> Option<RefreshBefore> {
        Some(RefreshBefore::Span(Duration::from_secs(secs)))
    }

    const fn percent(percent: u8) -> Option<RefreshBefore> {
        Some(RefreshBefore::Percent(percent))
    }
}
