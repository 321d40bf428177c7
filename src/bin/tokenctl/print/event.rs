//! The lines of `watch`: one event, one line.

use tokenkeeper::protocol::EventView;
use tokenkeeper::time::spoken;

use crate::print::Hue;
use crate::print::Style;
use crate::print::shown;
use crate::print::status::words;
use crate::print::time::parse;

/// `event` as a line, without its newline. Times are the daemon's, so that the lines of two
/// hosts can be compared.
pub(crate) fn line(event: &EventView, style: Style) -> String {
    let what = words(&event.event);
    let painted = style.in_hue(hue(&event.event), &what);
    let mut line = format!("{} {} {painted}", shown(&event.timestamp), shown(&event.account));
    match event.event.as_str() {
        "lost" => line.push_str(": events were missed, this follower was too slow"),
        "refresh_failed" | "alarm" => {}
        _ => {
            line.push_str(&format!(": {}, generation {}", words(&event.state), event.generation));
            if let Some(left) = good_for(event) {
                line.push_str(&format!(", good for {left}"));
            }
        }
    }
    if let Some(error) = &event.refresh_error {
        line.push_str(&format!(": {}: {}", error.error_code.as_str(), shown(&error.message)));
    }
    if let Some(reason) = &event.reason {
        line.push_str(&format!(" ({}", words(reason)));
        if let Some(attempt) = event.attempt.filter(|attempt| *attempt > 1) {
            line.push_str(&format!(", attempt {attempt}"));
        }
        line.push(')');
    }
    if let (Some(next), Some(at)) = (wait(event), &event.next_at) {
        line.push_str(&format!("; next in {next}, at {}", shown(at)));
    }
    line
}

fn good_for(event: &EventView) -> Option<String> {
    from_event(event, event.expires_at.as_deref())
}

fn wait(event: &EventView) -> Option<String> {
    from_event(event, event.next_at.as_deref())
}

/// How long after the event `time` is, in words; none if it is not after it.
fn from_event(event: &EventView, time: Option<&str>) -> Option<String> {
    let span = parse(time?)?.since(parse(&event.timestamp)?);
    (!span.is_zero()).then(|| spoken(span))
}

fn hue(event: &str) -> Hue {
    match event {
        "token_changed" | "recovered" => Hue::Good,
        "alarm" | "expired" => Hue::Bad,
        _ => Hue::Middling,
    }
}

#[cfg(test)]
mod tests {
    use tokenkeeper::error::Code;

    use super::*;
    use crate::print::sample::PLAIN;
    use crate::print::sample::error;

    #[test]
    fn every_kind_of_event_is_one_line() {
        let failed = error("mail", Code::ProviderUnreachable, "provider unreachable: timed out");
        let lines = [
            event("token_changed", "fresh"),
            EventView {
                refresh_error: Some(failed.clone()),
                attempt: Some(2),
                ..event("refresh_failed", "waiting")
            },
            EventView { refresh_error: Some(failed), reason: None, ..event("alarm", "waiting") },
            EventView { reason: None, ..event("recovered", "fresh") },
            EventView {
                reason: None,
                expires_at: None,
                next_at: None,
                ..event("expired", "needs_login")
            },
            EventView { reason: None, ..event("state_changed", "queued") },
            EventView { reason: None, next_at: None, ..event("lost", "fresh") },
        ];
        let lines = lines.iter().map(|event| line(event, PLAIN)).collect::<Vec<_>>();
        insta::assert_snapshot!(lines.join("\n"), @"
        2023-11-14T22:13:20Z mail token changed: fresh, generation 8, good for 1 h (scheduled); next in 44 min 40 s, at 2023-11-14T22:58:00Z
        2023-11-14T22:13:20Z mail refresh failed: PROVIDER_UNREACHABLE: provider unreachable: timed out (scheduled, attempt 2); next in 44 min 40 s, at 2023-11-14T22:58:00Z
        2023-11-14T22:13:20Z mail alarm: PROVIDER_UNREACHABLE: provider unreachable: timed out; next in 44 min 40 s, at 2023-11-14T22:58:00Z
        2023-11-14T22:13:20Z mail recovered: fresh, generation 8, good for 1 h; next in 44 min 40 s, at 2023-11-14T22:58:00Z
        2023-11-14T22:13:20Z mail expired: needs login, generation 8
        2023-11-14T22:13:20Z mail state changed: queued, generation 8, good for 1 h; next in 44 min 40 s, at 2023-11-14T22:58:00Z
        2023-11-14T22:13:20Z mail lost: events were missed, this follower was too slow
        ");
    }

    #[test]
    fn hostile_text_stays_on_its_line() {
        let hostile = EventView { account: "a\n\u{1b}[2J".into(), ..event("expired", "x\ny") };
        let line = line(&hostile, PLAIN);
        assert!(!line.contains('\n') && !line.contains('\u{1b}'), "{line:?}");
    }

    fn event(event: &str, state: &str) -> EventView {
        EventView {
            event: event.into(),
            account: "mail".into(),
            timestamp: "2023-11-14T22:13:20Z".into(),
            state: state.into(),
            generation: 8,
            expires_at: Some("2023-11-14T23:13:20Z".into()),
            next_at: Some("2023-11-14T22:58:00Z".into()),
            reason: Some("scheduled".into()),
            attempt: Some(1),
            refresh_error: None,
        }
    }
}
