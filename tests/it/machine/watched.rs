//! What a client saw that asked for tokens all the time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

/// What the whole seconds of an answer may leave out of what is left of a token.
const ROUNDING_SECS: f64 = 1.0;

/// Both clocks of the machine, in seconds.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    wall: f64,
    boot: f64,
}

/// A token that was handed out between two looks at the clocks.
#[derive(Debug)]
struct Handed {
    before: Clocks,
    after: Clocks,
    answer: Answer,
}

/// As much of an answer as matters here.
#[derive(Debug, Deserialize)]
struct Answer {
    account: String,
    generation: u64,
    ttl: u64,
    expires_at: String,
}

/// Everything that the client was handed.
#[derive(Debug, Default)]
pub(super) struct Watched {
    handed: Vec<Handed>,
}

impl Watched {
    /// Takes a line of `tests/machine/watch`. An answer without a token says nothing here.
    pub(super) fn note(&mut self, row: &str) {
        let mut fields = row.splitn(5, ' ');
        let mut clocks = || {
            let mut next = || fields.next()?.parse().ok();
            Some(Clocks { wall: next()?, boot: next()? })
        };
        let (before, after) = (clocks(), clocks());
        let answer = fields.next().and_then(|answer| serde_json::from_str(answer).ok());
        // The last line may be cut off.
        if let (Some(before), Some(after), Some(answer)) = (before, after, answer) {
            self.handed.push(Handed { before, after, answer });
        }
    }

    /// How many answers had a token.
    pub(super) fn answers(&self) -> usize {
        self.handed.len()
    }

    /// What was handed out at or after its expiry: by the wall clock, or by the clock that counts time
    /// asleep. When a token expires by the latter follows from what was said to be left of it, the first
    /// time and every time.
    pub(super) fn too_late(&self) -> Vec<String> {
        let mut ends = BTreeMap::<(&str, u64), f64>::new();
        let mut late = Vec::new();
        for handed in &self.handed {
            let Handed { before, after, answer } = handed;
            let expires: Timestamp = answer.expires_at.parse().unwrap();
            let expires = expires.as_millisecond() as f64 / 1000.0;
            let of = (answer.account.as_str(), answer.generation);
            let end = ends.entry(of).or_insert(f64::INFINITY);
            // The wall clock may have been set in between, in either direction.
            if before.wall.min(after.wall) >= expires || before.boot >= *end {
                late.push(format!("{handed:?}"));
            }
            *end = end.min(after.boot + answer.ttl as f64 + ROUNDING_SECS);
        }
        late
    }
}

#[test]
fn a_token_that_is_handed_out_too_late_is_seen_by_either_clock() {
    let row = |wall: u32, boot: u32, ttl: u32| {
        let answer = r#""account":"mail","generation":1,"expires_at":"1970-01-01T00:01:40Z""#;
        format!(r#"{wall}.5 {boot}.25 {wall}.5 {boot}.25 {{{answer},"ttl":{ttl}}}"#)
    };
    let late = |rows: &[String]| {
        let mut watched = Watched::default();
        rows.iter().for_each(|row| watched.note(row));
        assert_eq!(watched.answers(), rows.len());
        watched.too_late().len()
    };
    assert_eq!(late(&[row(10, 10, 30), row(11, 40, 1)]), 0);
    assert_eq!(late(&[row(100, 10, 30)]), 1, "at its expiry by the wall clock");
    assert_eq!(
        late(&[row(10, 10, 30), row(11, 42, 1)]),
        1,
        "slept for long, with a clock set back"
    );
    let mut cut_off = Watched::default();
    cut_off.note(r#"1.0 2.0 1.0 2.0 {"account":"mail""#);
    assert_eq!(cut_off.answers(), 0);
}
