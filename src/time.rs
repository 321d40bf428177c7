//! Moments on the two clocks that this program lives by, and the share of chance.
//!
//! Nothing here reads a clock: [`Now`] is an argument wherever time matters, and
//! only the `clock` module makes one.
//!
//! * [`Moment`] counts on `CLOCK_BOOTTIME`, which goes on in suspend and is never
//!   set. All plans are made on it.
//! * [`Timestamp`] is wall-clock time. It is what survives a reboot and what people
//!   read; a plan is never made on it alone.
//!
//! Arithmetic saturates: no input of a provider can overflow it.

use std::fmt;
use std::num::NonZero;
use std::ops::Add;
use std::time::Duration;

/// A moment on `CLOCK_BOOTTIME`, in milliseconds since boot, or before it: what was sent to a provider
/// goes on counting when the host is booted. An `Option` of it takes no more room, since an account
/// has a dozen.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Moment(NonZero<u64>);

impl Moment {
    /// The moment `millis` milliseconds after boot. The last one that there is comes 34 years before
    /// `u64::MAX`.
    pub const fn from_millis(millis: u64) -> Self {
        Self(BOOT.saturating_add(millis))
    }

    /// Milliseconds since boot; none before it.
    pub const fn as_millis(self) -> u64 {
        self.0.get().saturating_sub(BOOT.get())
    }

    /// The moment `span` earlier, at the earliest 34 years before boot.
    pub fn before(self, span: Duration) -> Self {
        let earlier = self.0.get().saturating_sub(millis(span));
        Self(NonZero::new(earlier).unwrap_or(NonZero::<u64>::MIN))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.get().saturating_sub(earlier.0.get()))
    }
}

/// What boot itself counts as, so that there is room before it.
const BOOT: NonZero<u64> = NonZero::<u64>::MIN.saturating_add(1 << 40);

impl Default for Moment {
    fn default() -> Self {
        Self::from_millis(0)
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Moment").field(&self.as_millis()).finish()
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }
}

/// Wall-clock time, in milliseconds since the Unix epoch (UTC).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Reads a time of RFC 3339, as [`Display`](fmt::Display) writes it.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|time| Self(time.as_millisecond()))
    }

    /// The time `span` earlier.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(millis(span)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub const fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(if millis > 0 { millis.unsigned_abs() } else { 0 })
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(millis(span)))
    }
}

/// RFC 3339 in UTC with whole seconds, as on the wire and in the journal.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.as_secs()) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "@{}", self.as_secs()),
        }
    }
}

/// Both clocks, read together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// `CLOCK_BOOTTIME`.
    pub boot: Moment,
    /// `CLOCK_REALTIME`.
    pub wall: Timestamp,
}

impl Now {
    /// The moment at which the wall clock will show `time`, if nobody sets it; now, if that is past.
    pub fn moment_of(self, time: Timestamp) -> Moment {
        self.boot + time.since(self.wall)
    }

    /// What the wall clock will show at `moment`, if nobody sets it.
    pub fn wall_at(self, moment: Moment) -> Timestamp {
        if moment >= self.boot {
            self.wall + moment.since(self.boot)
        } else {
            self.wall.before(self.boot.since(moment))
        }
    }
}

/// A share of chance in `[0, 1)`, drawn outside and handed in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    /// Takes `share` into `[0, 1)`; what is not a number counts as 0.
    pub const fn new(share: f64) -> Self {
        if share >= 1.0 {
            Self(1.0 - f64::EPSILON)
        } else if share >= 0.0 {
            Self(share)
        } else {
            Self(0.0)
        }
    }

    /// This share of `span`.
    pub fn of(self, span: Duration) -> Duration {
        span.mul_f64(self.0)
    }

    /// The point that lies this share of the way from `low` to `high`.
    pub fn between(self, low: Duration, high: Duration) -> Duration {
        low + self.of(high.saturating_sub(low))
    }

    /// The bare number.
    pub const fn share(self) -> f64 {
        self.0
    }
}

/// Whole seconds that are not less than `span`, and at least one: for "again in so many
/// seconds", where zero would be a lie.
pub fn secs_until_over(span: Duration) -> u64 {
    (span.as_secs() + u64::from(span.subsec_nanos() > 0)).max(1)
}

/// Writes a span as people say it, in its two largest units: `47 s`, `3 min 20 s`, `2 h`, `7 d 3 h`.
pub fn spoken(span: Duration) -> String {
    let secs = span.as_secs();
    let (large, small) = match secs {
        0..60 => return format!("{secs} s"),
        60..3_600 => ((secs / 60, "min"), (secs % 60, "s")),
        3_600..86_400 => ((secs / 3_600, "h"), (secs % 3_600 / 60, "min")),
        _ => ((secs / 86_400, "d"), (secs % 86_400 / 3_600, "h")),
    };
    if small.0 == 0 {
        format!("{} {}", large.0, large.1)
    } else {
        format!("{} {} {} {}", large.0, large.1, small.0, small.1)
    }
}

/// Reads a span as the configuration writes it: a whole number and one of `s`, `m`, `h`, `d`.
///
/// Nothing else, so that no unit is ever guessed. At most 3650 days.
pub fn parse_span(text: &str) -> Option<Duration> {
    const LONGEST_SECS: u64 = 3_650 * 86_400;

    let (number, secs) = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)]
        .into_iter()
        .find_map(|(unit, secs)| Some((text.strip_suffix(unit)?, secs)))?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let secs = number.parse::<u64>().ok()?.checked_mul(secs)?;
    (secs <= LONGEST_SECS).then(|| Duration::from_secs(secs))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_their_unit_or_not_at_all() {
        #[rustfmt::skip]
        let cases = [
            ("90s",          Some(90)),
            ("5m",           Some(300)),
            ("12h",          Some(43_200)),
            ("7d",           Some(604_800)),
            ("0s",           Some(0)),
            ("",             None),
            ("s",            None),
            ("5",            None),
            ("-5s",          None),
            ("+5s",          None),
            ("1.5h",         None),
            ("5 m",          None),
            ("5min",         None),
            ("3650d",        Some(315_360_000)),
            ("3651d",        None),
            ("99999999999999999999s", None),
        ];
        for (text, secs) in cases {
            // A bare unit has no digits: `all` over nothing holds, `parse` refuses.
            assert_eq!(parse_span(text), secs.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn spans_are_spoken_in_their_two_largest_units() {
        #[rustfmt::skip]
        let cases = [
            (0, "0 s"), (59, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (7_200, "2 h"),
            (7_260, "2 h 1 min"), (86_400, "1 d"), (615_600, "7 d 3 h"),
        ];
        for (secs, text) in cases {
            assert_eq!(spoken(Duration::from_secs(secs)), text);
        }
    }

    #[test]
    fn what_is_left_is_over_after_that_many_seconds() {
        let cases = [(0, 1), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (59_500, 60)];
        for (millis, secs) in cases {
            assert_eq!(secs_until_over(Duration::from_millis(millis)), secs, "{millis} ms");
        }
    }

    #[test]
    fn a_moment_is_told_in_milliseconds_since_boot() {
        let last = u64::MAX - (1 << 40) - 1;
        let cases = [(0, 0), (1, 1), (90_000, 90_000), (last, last), (u64::MAX, last)];
        for (millis, told) in cases {
            assert_eq!(Moment::from_millis(millis).as_millis(), told);
            assert_eq!(format!("{:?}", Moment::from_millis(millis)), format!("Moment({told})"));
        }
        assert_eq!(size_of::<Option<Moment>>(), size_of::<Moment>());
    }

    #[test]
    fn what_was_before_the_boot_goes_on_counting() {
        let hour = Duration::from_secs(3_600);
        let before = Moment::from_millis(1_000).before(hour);
        assert!(before < Moment::default());
        assert_eq!(before.as_millis(), 0);
        assert_eq!(Moment::from_millis(1_000).since(before), hour);
        assert_eq!(before + hour, Moment::from_millis(1_000));
    }

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let end = Moment::from_millis(u64::MAX);
        assert_eq!(end + Duration::MAX, end);
        assert_eq!(Moment::default().since(end), Duration::ZERO);
        let first = Moment::default().before(Duration::MAX);
        assert_eq!(first.before(Duration::MAX), first);
        let last = Timestamp::from_millis(i64::MAX);
        assert_eq!(last + Duration::MAX, last);
        assert_eq!(Timestamp::from_millis(i64::MIN).since(last), Duration::ZERO);
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        for secs in [-1, 0, 1_700_000_000] {
            let time = Timestamp::from_millis(secs * 1_000);
            assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
        }
        for wrong in ["", "yesterday", "2023-11-14", "2023-11-14T25:13:20Z"] {
            assert_eq!(Timestamp::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn jitter_stays_below_one() {
        for share in [1.0, 2.0, f64::INFINITY] {
            assert!(Jitter::new(share).share() < 1.0);
        }
        for share in [-1.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(Jitter::new(share).share(), 0.0);
        }
    }

    #[test]
    fn wall_time_reads_as_rfc_3339() {
        assert_eq!(Timestamp::from_millis(1_700_000_000_999).to_string(), "2023-11-14T22:13:20Z");
    }
}
