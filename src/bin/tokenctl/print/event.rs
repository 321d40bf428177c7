//! The lines of `watch`: one event, one line.

use tokenkeeper::error::foreign::shown;
use tokenkeeper::protocol::event::EventView;
use tokenkeeper::time::Timestamp;
use tokenkeeper::time::spoken;

use crate::print::Hue;
use crate::print::Style;
use crate::print::status::own_words;
use crate::print::status::words;

/// `event` as a line, without its newline. Times are the daemon's, so that the lines of two
/// hosts can be compared.
pub(crate) fn line(event: &EventView, style: Style) -> String {
    let what = words(&event.event);
    let painted = style.in_hue(hue(&event.event), &what);
    let mut line = shown(&event.timestamp).into_owned();
    for word in [&*shown(&event.account), &painted] {
        if !word.is_empty() {
            line.push(' ');
            line.push_str(word);
        }
    }
    if let Some(reason) = &event.reason {
        line.push_str(&format!(" ({}", words(reason)));
        if let Some(attempt) = event.attempt.filter(|attempt| *attempt > 1) {
            line.push_str(&format!(", attempt {attempt}"));
        }
        line.push(')');
    }
    match event.event.as_str() {
        "lost" => line.push_str(": some events were missed; tokenctl status shows what is"),
        "refresh_failed" | "alarm" | "hook_failed" => {}
        _ => {
            let state = if event.paused { "paused".into() } else { words(&event.state) };
            line.push_str(&format!(": {state}, generation {}", event.generation));
            if let Some(left) = from_event(event, event.expires_at.as_deref()) {
                line.push_str(&format!(", good for {left}"));
            }
        }
    }
    if let Some(hook) = &event.hook {
        let (name, about) = (shown(&hook.name), words(&hook.about));
        let (code, message) = (hook.error_code.as_str(), shown(&hook.message));
        line.push_str(&format!(" (hook {name}, about {about}): {code}: {message}"));
        return line;
    }
    if let Some(left) = from_event(event, event.ends_at.as_deref()) {
        line.push_str(&format!(", login ends in {left}"));
    }
    if let Some(next) = from_event(event, event.next_at.as_deref()) {
        line.push_str(&format!(", next in {next}"));
    }
    if let Some(error) = &event.refresh_error {
        // The message comes last: it may end in a command to be copied.
        let code = error.error_code.as_str();
        line.push_str(&format!(": {code}: {}", shown(own_words(error))));
    }
    line
}

/// How long after the event `time` is, in words; none if it is not after it.
fn from_event(event: &EventView, time: Option<&str>) -> Option<String> {
    let span = Timestamp::parse(time?)?.since(Timestamp::parse(&event.timestamp)?);
    (!span.is_zero()).then(|| spoken(span))
}

fn hue(event: &str) -> Hue {
    match event {
        "token_changed" | "recovered" => Hue::Good,
        "alarm" | "expired" | "hook_failed" => Hue::Bad,
        _ => Hue::Middling,
    }
}

#[cfg(test)]
mod tests {
    use tokenkeeper::error::code::Code;
    use tokenkeeper::protocol::event::HookFailedView;

    use super::*;
    use crate::print::sample::PLAIN;
    use crate::print::sample::error;

    #[test]
    fn every_kind_of_event_is_one_line() {
        let failed = error(
            "mail",
            Code::ProviderUnreachable,
            "account mail: provider unreachable: timed out. It is tried again without your doing.",
        );
        let hook = HookFailedView {
            name: "restart".into(),
            about: "token_changed".into(),
            error_code: Code::HookFailed,
            message: "exit status: 1: no such unit".into(),
        };
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
            EventView {
                paused: true,
                reason: None,
                next_at: None,
                ..event("state_changed", "frozen")
            },
            EventView {
                reason: None,
                ends_at: Some("2023-11-15T22:13:20Z".into()),
                ..event("expiry_ahead", "fresh")
            },
            EventView { reason: None, hook: Some(hook), ..event("hook_failed", "fresh") },
            EventView { account: String::new(), reason: None, next_at: None, ..event("lost", "") },
        ];
        let lines = lines.iter().map(|event| line(event, PLAIN)).collect::<Vec<_>>();
        insta::assert_snapshot!(lines.join("\n"), @"
        2023-11-14T22:13:20Z mail token changed (scheduled): fresh, generation 8, good for 1 h, next in 44 min 40 s
        2023-11-14T22:13:20Z mail refresh failed (scheduled, attempt 2), next in 44 min 40 s: PROVIDER_UNREACHABLE: provider unreachable: timed out. It is tried again without your doing.
        2023-11-14T22:13:20Z mail alarm, next in 44 min 40 s: PROVIDER_UNREACHABLE: provider unreachable: timed out. It is tried again without your doing.
        2023-11-14T22:13:20Z mail recovered: fresh, generation 8, good for 1 h, next in 44 min 40 s
        2023-11-14T22:13:20Z mail expired: needs login, generation 8
        2023-11-14T22:13:20Z mail state changed: queued, generation 8, good for 1 h, next in 44 min 40 s
        2023-11-14T22:13:20Z mail state changed: paused, generation 8, good for 1 h
        2023-11-14T22:13:20Z mail expiry ahead: fresh, generation 8, good for 1 h, login ends in 1 d, next in 44 min 40 s
        2023-11-14T22:13:20Z mail hook failed (hook restart, about token changed): HOOK_FAILED: exit status: 1: no such unit
        2023-11-14T22:13:20Z lost: some events were missed; tokenctl status shows what is
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
            paused: false,
            generation: 8,
            expires_at: Some("2023-11-14T23:13:20Z".into()),
            next_at: Some("2023-11-14T22:58:00Z".into()),
            reason: Some("scheduled".into()),
            attempt: Some(1),
            unsaved: false,
            refresh_error: None,
            ends_at: None,
            hook: None,
        }
    }
}
