//! Times of the wire in words.

use std::time::Duration;

use tokenkeeper::time::Timestamp;
use tokenkeeper::time::spoken;

/// When something comes: `in 3 min 20 s`, or `now` if it is due.
pub(crate) fn until(time: Option<&str>, now: Timestamp) -> Option<String> {
    let left = rounded(Timestamp::parse(time?)?.since(now));
    Some(if left.is_zero() { "now".into() } else { format!("in {}", spoken(left)) })
}

/// How long ago something was: `3 min 20 s ago`, or `just now`.
pub(crate) fn ago(time: Option<&str>, now: Timestamp) -> Option<String> {
    let past = now.since(Timestamp::parse(time?)?);
    Some(if past.as_secs() == 0 { "just now".into() } else { format!("{} ago", spoken(past)) })
}

/// To the next whole second: what is due in 0.3 s is not due now.
const fn rounded(span: Duration) -> Duration {
    let more = if span.subsec_nanos() == 0 { 0 } else { 1 };
    Duration::from_secs(span.as_secs().saturating_add(more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_from_now() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let at = |text: &'static str| Some(text);
        assert_eq!(until(at("2023-11-14T22:13:20Z"), now).unwrap(), "now");
        assert_eq!(until(at("2023-11-14T22:16:40Z"), now).unwrap(), "in 3 min 20 s");
        assert_eq!(until(at("2023-11-14T22:00:00Z"), now).unwrap(), "now");
        assert_eq!(ago(at("2023-11-14T22:13:20Z"), now).unwrap(), "just now");
        assert_eq!(ago(at("2023-11-14T21:13:20Z"), now).unwrap(), "1 h ago");
        assert_eq!(until(None, now), None);
        assert_eq!(until(at("tomorrow"), now), None);
    }

    #[test]
    fn what_is_due_in_part_of_a_second_is_not_due_now() {
        let now = Timestamp::from_millis(1_700_000_000_700);
        assert_eq!(until(Some("2023-11-14T22:13:21Z"), now).unwrap(), "in 1 s");
    }
}
