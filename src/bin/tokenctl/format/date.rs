//! Points in time, as other programs write them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tokenkeeper::time::Timestamp;

use super::json::Json;
use super::json::Sort;

/// How a file says when something expires.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum DateForm {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// As 2027-01-15T08:00:00Z.
    Rfc3339,
}

impl DateForm {
    /// How `value` is one, if it is.
    pub(super) fn of(value: &Json<'_>) -> Option<Self> {
        /// In seconds this is the year 5138, in milliseconds 1973.
        const FIRST_MILLIS: f64 = 1e11;

        match value.sort() {
            Sort::Text => Some(Self::Rfc3339),
            Sort::Bare if value.number()? >= FIRST_MILLIS => Some(Self::Millis),
            Sort::Bare => Some(Self::Seconds),
            Sort::Object | Sort::List => None,
        }
    }

    /// `time` as JSON.
    pub(super) fn json(self, time: Timestamp) -> String {
        match self {
            Self::Seconds => time.as_secs().to_string(),
            Self::Millis => time.as_millis().to_string(),
            Self::Rfc3339 => format!("\"{time}\""),
        }
    }
}

/// Reads a time with its offset from UTC (RFC 3339).
pub(super) fn rfc_3339(text: &str) -> Option<Timestamp> {
    let time = text.parse::<jiff::Timestamp>().ok()?;
    Some(Timestamp::from_millis(time.as_millisecond()))
}

/// Reads a time without an offset as one of `zone`.
pub(super) fn naive(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    // Only this separator is the ISO form, and the only one that the programs read themselves.
    let time = text.contains('T').then(|| text.parse::<DateTime>().ok()).flatten()?;
    let time = zone.to_ambiguous_zoned(time).compatible().ok()?.timestamp();
    Some(Timestamp::from_millis(time.as_millisecond()))
}

/// Writes a time of `zone` without an offset, in whole seconds.
pub(super) fn without_offset(time: Timestamp, zone: &TimeZone) -> String {
    match jiff::Timestamp::from_second(time.as_secs()) {
        Ok(time) => zone.to_datetime(time).to_string(),
        Err(_) => time.to_string(),
    }
}
