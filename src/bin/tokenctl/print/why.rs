//! The page of `why`: the story of one account, in sentences.
//!
//! Always in the same order: how it stands, what it holds, when its login ends, what went wrong and what the
//! provider said, what happens next by itself, what a person can do.

use std::borrow::Cow;
use std::time::Duration;

use tokenkeeper::error::code::Code;
use tokenkeeper::error::code::Remedy;
use tokenkeeper::error::foreign::shown;
use tokenkeeper::protocol::account::AccountView;
use tokenkeeper::protocol::error::ErrorBody;
use tokenkeeper::time::Timestamp;
use tokenkeeper::time::spoken;

use crate::print::status::advice;
use crate::print::status::begin;
use crate::print::status::counted;
use crate::print::status::enter;
use crate::print::status::own_words;
use crate::print::status::resume;
use crate::print::status::what_comes;
use crate::print::status::words;
use crate::print::time::ago;
use crate::print::time::until;

/// The story of `view`, a paragraph per line.
pub(crate) fn story(view: &AccountView, now: Timestamp) -> String {
    let paragraphs = [
        Some(standing(view)),
        Some(holdings(view, now)),
        login(view, now),
        view.refresh_error.as_ref().map(|error| trouble(view, error, now)),
        foreign(view),
        Some(next(view, now)),
        remedy(view, now),
    ];
    paragraphs.into_iter().flatten().map(|paragraph| format!("{paragraph}\n")).collect()
}

fn standing(view: &AccountView) -> String {
    let account = shown(&view.account);
    if view.released {
        return format!(
            "{account} is given up: its refresh token was handed out, and whoever has it owns it."
        );
    }
    if view.paused {
        return format!("{account} is paused: nothing of it is spent until somebody resumes it.");
    }
    match view.state.as_str() {
        "vacant" => vacant(view, &account),
        "fresh" if is_short_lived(view) => format!(
            "{account} is fresh: its token lives too short to be refreshed in time, and in between \
             there is none."
        ),
        "fresh" => format!("{account} is fresh: it is refreshed in time, by itself."),
        "queued" => format!("{account} is queued: a refresh waits for its turn."),
        "exchanging" => {
            format!("{account} is exchanging: the provider is being asked for a new token.")
        }
        "saving" if view.unsaved => format!(
            "{account} is saving: the disk has not taken its newest token, which is written as \
             soon as it does."
        ),
        "saving" => format!("{account} is saving: a new token is being written to disk."),
        "in_doubt" => format!(
            "{account} is in doubt: the refresh token was sent and the reply was lost, so the \
             provider may or may not have replaced it."
        ),
        "waiting" => format!("{account} is waiting: the last refresh failed and is tried again."),
        "suspect" => format!(
            "{account} is suspect: the provider refused the refresh token, and that is being \
             confirmed before anybody is sent to log in."
        ),
        "needs_login" => format!("{account} needs a login: {}", lost(view)),
        "frozen" => format!(
            "{account} is frozen: something has to be repaired first, and until then it is only \
             probed now and then."
        ),
        other => format!("{account} is {}.", words(other)),
    }
}

/// Whether the token is over before the next refresh may take place.
fn is_short_lived(view: &AccountView) -> bool {
    let time = |text: &Option<String>| Timestamp::parse(text.as_deref()?);
    time(&view.expires_at).zip(time(&view.next_at)).is_some_and(|(ends, next)| ends < next)
}

fn vacant(view: &AccountView, account: &str) -> String {
    let text = format!("{account} is vacant: the daemon has no credential for it");
    match view.lacks_secret.as_deref().map(shown) {
        Some(slot) => {
            format!("{text}, and does not sign in by itself, since {slot} is not stored.")
        }
        None => format!("{text}."),
    }
}

/// Why a login is needed.
fn lost(view: &AccountView) -> Cow<'static, str> {
    /// The daemon's own word, in the place of the provider's.
    const LED_ELSEWHERE: &str = "configuration_changed";

    let said = view.refresh_error.as_ref().and_then(|error| error.provider_error.as_ref());
    if let Some(slot) = view.refused_secret.as_deref().map(shown) {
        return format!("the provider refuses {slot}, with which it signs in by itself.").into();
    }
    let because = if said.is_some_and(|said| &*said.code == LED_ELSEWHERE) {
        "the configuration names another place or user than its credential came from, which is \
         kept for the old settings."
    } else if view.generation == 0 {
        "it could not sign in with the secrets that it has. Correct what the provider refuses \
         (tokenctl secret set, where it is stored), or log in."
    } else {
        "its refresh token is of no use any more."
    };
    because.into()
}

fn holdings(view: &AccountView, now: Timestamp) -> String {
    let (Some(expires_at), Some(issued)) = (&view.expires_at, ago(view.issued_at.as_deref(), now))
    else {
        return "It holds no token.".into();
    };
    let expires_at = shown(expires_at);
    if view.ttl == 0 {
        return format!(
            "Its last token, generation {}, was granted {issued} and expired at {expires_at}; \
             it is not served any more.",
            view.generation
        );
    }
    let mut text = format!(
        "It holds a token, generation {}, granted {issued} for {} and good for another {}, \
         until {expires_at}.",
        view.generation,
        spoken(Duration::from_secs(view.lifetime)),
        spoken(Duration::from_secs(view.ttl)),
    );
    if view.refresh_error.is_some() {
        text.push_str(match view.state.as_str() {
            // Where a refresh token was used twice, its access tokens may have ended with it.
            "suspect" | "needs_login" => {
                " It is served all the same, though the provider may refuse it."
            }
            _ => " It is served all the same.",
        });
    }
    text
}

/// Until when the login goes on, of which tokens are but a part.
fn login(view: &AccountView, now: Timestamp) -> Option<String> {
    let at = view.login_ends_at.as_deref()?;
    let sentence = match until(Some(at), now)? {
        when if when == "now" => format!("Its login ended at {}", shown(at)),
        when => format!("Its login ends {when}, at {}", shown(at)),
    };
    Some(if view.login_ends_soon {
        format!("{sentence}; to log in again: tokenctl login {}", shown(&view.account))
    } else {
        format!("{sentence}; then somebody has to log in.")
    })
}

fn trouble(view: &AccountView, error: &ErrorBody, now: Timestamp) -> String {
    let mut text = match (view.attempt, ago(view.failing_since.as_deref(), now)) {
        (0, _) | (_, None) => String::new(),
        (1, Some(since)) => format!("One attempt failed, {since}. "),
        (failed, Some(since)) => {
            format!("{} failed, the first {since}. ", counted(failed.into(), "attempt"))
        }
    };
    let said = error.provider_error.as_ref().map(ToString::to_string);
    // The daemon's messages mostly quote it.
    if let Some(said) = said.filter(|said| !error.message.contains(said)) {
        text.push_str(&format!("The provider said: {}. ", shown(&said)));
    }
    // The message comes last: it may end in a command to be copied.
    text.push_str(&format!(
        "The error is {}: {}",
        error.error_code.as_str(),
        shown(own_words(error))
    ));
    text
}

fn foreign(view: &AccountView) -> Option<String> {
    let at = shown(view.foreign_login_at.as_deref()?);
    Some(format!(
        "A program that keeps its token logged in as another person, as was found on {at} \
         (FOREIGN_WRITER). That login was not taken over, and is not tried again."
    ))
}

fn next(view: &AccountView, now: Timestamp) -> String {
    match (until(view.next_at.as_deref(), now), view.next_at.as_deref()) {
        (Some(when), Some(at)) if when != "now" => {
            format!("Next, by itself: a {} {when}, at {}.", what_comes(view), shown(at))
        }
        (Some(_), _) => format!("Next, by itself: a {}, now.", what_comes(view)),
        (None, _) => match view.state.as_str() {
            "queued" | "exchanging" | "saving" => "The outcome comes by itself.".into(),
            _ => "Nothing happens by itself.".into(),
        },
    }
}

fn remedy(view: &AccountView, now: Timestamp) -> Option<String> {
    let account = shown(&view.account);
    if view.released {
        return Some(format!(
            "To take it back: tokenctl import {account}, with the token that its owner has now"
        ));
    }
    if view.paused {
        return Some(format!("To go on: {}", resume(&account)));
    }
    if view.state == "vacant" {
        return Some(format!("To begin: {}", begin(view)));
    }
    let error = view.refresh_error.as_ref()?;
    if let Some(command) = advice(view, error) {
        return Some(format!("To repair it: {command}"));
    }
    if error.remedy != Remedy::Wait || (view.next_at.is_none() && !view.unsaved) {
        return None;
    }
    if view.state == "suspect" && error.message.contains("tokenctl ") {
        return None;
    }
    if view.state == "suspect" {
        return Some(format!(
            "It is being confirmed; if the login has ended, begin another: {}",
            enter(view)
        ));
    }
    let outlook = outlook(view, error);
    let is_asked_to_wait = until(view.not_before.as_deref(), now).is_some_and(|it| it != "now");
    Some(if view.state == "in_doubt" {
        // To replay early can cost the whole login where a provider punishes reuse.
        let may = "It may end in a login, where the provider forgives no second use of a refresh \
                   token";
        if view.alarm {
            format!("{outlook}. {may}; to have that over now: {}", enter(view))
        } else {
            format!("{outlook}. {may}.")
        }
    } else if is_asked_to_wait || view.unsaved {
        // What is to be written is tried again every few seconds.
        format!("{outlook}.")
    } else {
        format!("{outlook}; to try at once: tokenctl retry {account}")
    })
}

/// Who has to see to what passes by itself once its cause is gone, and what is there until then.
fn outlook(view: &AccountView, error: &ErrorBody) -> String {
    let whose = match (error.error_code, view.unsaved) {
        (Code::StoreUnavailable, true) => {
            Some("Somebody has to see to the store's disk, before the host is restarted")
        }
        (Code::StoreUnavailable, false) => Some("Somebody has to see to the store's disk"),
        (Code::HookFailed, _) => Some("Somebody has to see to the hook"),
        (_, _) => None,
    };
    let left = || spoken(Duration::from_secs(view.ttl));
    match (whose, view.alarm, view.ready) {
        (Some(whose), _, true) => format!("{whose}; the token is good for another {}", left()),
        (Some(whose), _, false) => format!("{whose}; there is no token until then"),
        (None, false, _) if view.state == "in_doubt" => "Nobody has to do anything yet".into(),
        (None, false, _) => "Nobody has to do anything".into(),
        (None, true, true) => {
            format!("It needs attention: the token is good for another {} only", left())
        }
        (None, true, false) => {
            "It needs attention: there is no token until an attempt is good".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use tokenkeeper::error::foreign::OauthError;

    use super::*;
    use crate::print::sample::NOW;
    use crate::print::sample::error;
    use crate::print::sample::every_kind;
    use crate::print::sample::failing;
    use crate::print::sample::view;

    #[test]
    fn every_kind_of_account_has_its_story() {
        let stories = every_kind().iter().map(|view| story(view, NOW)).collect::<Vec<_>>();
        insta::assert_snapshot!(stories.join("\n"), @"
        boiler is in doubt: the refresh token was sent and the reply was lost, so the provider may or may not have replaced it.
        Its last token, generation 7, was granted 1 h 13 min ago and expired at 2023-11-14T22:00:00Z; it is not served any more.
        3 attempts failed, the first 12 min ago. The error is IN_DOUBT: the provider's reply was lost. It is tried again without your doing.
        Next, by itself: a replay in 40 s, at 2023-11-14T22:14:00Z.
        It needs attention: there is no token until an attempt is good. It may end in a login, where the provider forgives no second use of a refresh token; to have that over now: tokenctl login boiler

        ci is waiting: the last refresh failed and is tried again.
        It holds a token, generation 7, granted 45 min ago for 1 h and good for another 15 min, until 2023-11-14T22:28:20Z. It is served all the same.
        3 attempts failed, the first 12 min ago. The provider said: server_error (Back at noon.). The error is PROVIDER_UNAVAILABLE: provider unavailable: HTTP 503. It is tried again without your doing.
        Next, by itself: a retry in 40 s, at 2023-11-14T22:14:00Z.
        Nobody has to do anything; to try at once: tokenctl retry ci

        films is exchanging: the provider is being asked for a new token.
        It holds a token, generation 7, granted 21 min 40 s ago for 1 h and good for another 38 min 20 s, until 2023-11-14T22:51:40Z.
        The outcome comes by itself.

        git is frozen: something has to be repaired first, and until then it is only probed now and then.
        Its last token, generation 7, was granted 1 h 13 min ago and expired at 2023-11-14T22:00:00Z; it is not served any more.
        3 attempts failed, the first 12 min ago. The error is CLIENT_REJECTED: the provider refuses this client: invalid_client
        Next, by itself: a probe in 48 min, at 2023-11-14T23:01:20Z.
        To repair it: tokenctl doctor, and tokenctl retry git after the repair

        heatpump-of-the-house needs a login: its refresh token is of no use any more.
        Its last token, generation 7, was granted 1 h 13 min ago and expired at 2023-11-14T22:00:00Z; it is not served any more.
        3 attempts failed, the first 12 min ago. The error is NEEDS_LOGIN: refresh token refused: invalid_grant (Token has been revoked.). Type: tokenctl login heatpump-of-the-house
        Nothing happens by itself.

        mail is fresh: it is refreshed in time, by itself.
        It holds a token, generation 7, granted 21 min 40 s ago for 1 h and good for another 38 min 20 s, until 2023-11-14T22:51:40Z.
        Next, by itself: a refresh in 22 min 40 s, at 2023-11-14T22:36:00Z.

        new is vacant: the daemon has no credential for it.
        It holds no token.
        Nothing happens by itself.
        To begin: tokenctl login new

        photos is saving: the disk has not taken its newest token, which is written as soon as it does.
        It holds a token, generation 7, granted 21 min 40 s ago for 1 h and good for another 38 min 20 s, until 2023-11-14T22:51:40Z. It is served all the same.
        The error is STORE_UNAVAILABLE: the store cannot be written: no space left for the store; its refresh token is only in memory, so do not kill the daemon. See whether the state directory is in its place, and look at its disk: for space, for errors, and whether it is mounted read-only.
        Next, by itself: a write in 2 s, at 2023-11-14T22:13:22Z.
        Somebody has to see to the store's disk, before the host is restarted; the token is good for another 38 min 20 s.

        plugs is paused: nothing of it is spent until somebody resumes it.
        It holds a token, generation 7, granted 21 min 40 s ago for 1 h and good for another 38 min 20 s, until 2023-11-14T22:51:40Z.
        Nothing happens by itself.
        To go on: tokenctl resume plugs
        ");
    }

    #[test]
    fn why_a_login_is_needed_is_told_as_it_is() {
        let mut revoked = failing("mail", "needs_login", Code::NeedsLogin, "it is refused");
        let of = |view: &AccountView| story(view, NOW).lines().next().unwrap().to_owned();
        assert!(of(&revoked).ends_with("its refresh token is of no use any more."));
        let never = AccountView { generation: 0, ..revoked.clone() };
        assert!(of(&never).contains("could not sign in with the secrets that it has"));
        let refused = AccountView { refused_secret: Some("mail.totp".into()), ..revoked.clone() };
        assert!(of(&refused).ends_with(
            "mail needs a login: the provider refuses mail.totp, with which it signs in by itself."
        ));
        if let Some(error) = &mut revoked.refresh_error {
            error.provider_error = Some(OauthError::new("configuration_changed", None));
        }
        assert!(of(&revoked).contains("kept for the old settings"));
    }

    #[test]
    fn a_secret_that_is_missing_for_a_sign_in_is_what_to_begin_with() {
        let mut vacant = every_kind().remove(6);
        vacant.lacks_secret = Some("new.totp".into());
        insta::assert_snapshot!(story(&vacant, NOW), @"
        new is vacant: the daemon has no credential for it, and does not sign in by itself, since new.totp is not stored.
        It holds no token.
        Nothing happens by itself.
        To begin: tokenctl secret set new.totp; or: tokenctl login new
        ");
    }

    #[test]
    fn a_token_that_is_over_before_its_refresh_is_not_called_refreshed_in_time() {
        let first = |next_at: &str| {
            let view = AccountView { next_at: Some(next_at.into()), ..view("mail", "fresh") };
            story(&view, NOW).lines().next().unwrap().to_owned()
        };
        assert!(first("2023-11-14T22:51:47Z").contains("too short to be refreshed in time"));
        assert!(first("2023-11-14T22:51:39Z").contains("it is refreshed in time"));
    }

    #[test]
    fn a_login_of_somebody_else_is_part_of_the_story() {
        let mut view = every_kind().remove(5);
        assert!(!story(&view, NOW).contains("another person"), "{}", view.account);
        view.foreign_login_at = Some("2023-11-14T21:00:00Z".into());
        let story = story(&view, NOW);
        assert!(story.contains("another person, as was found on 2023-11-14T21:00:00Z"), "{story}");
    }

    #[test]
    fn the_end_of_a_login_is_told_and_what_to_type_once_it_is_near() {
        let ends = |at: &str, soon| AccountView {
            login_ends_at: Some(at.into()),
            login_ends_soon: soon,
            ..view("mail", "fresh")
        };
        #[rustfmt::skip]
        let cases = [
            ("2023-12-14T22:13:20Z", false, "Its login ends in 30 d, at 2023-12-14T22:13:20Z; then somebody has to log in.\n"),
            ("2023-11-15T22:13:20Z", true,  "Its login ends in 1 d, at 2023-11-15T22:13:20Z; to log in again: tokenctl login mail\n"),
            ("2023-11-14T20:13:20Z", true,  "Its login ended at 2023-11-14T20:13:20Z; to log in again: tokenctl login mail\n"),
        ];
        for (at, soon, expected) in cases {
            let story = story(&ends(at, soon), NOW);
            assert!(story.contains(expected), "{story}");
        }
    }

    #[test]
    fn who_has_to_act_follows_from_whether_it_is_an_alarm() {
        let [expired, waiting, ..] = <[AccountView; 9]>::try_from(every_kind()).unwrap();
        #[rustfmt::skip]
        let cases = [
            (AccountView { alarm: false, ..waiting.clone() }, "Nobody has to do anything; to try at once: tokenctl retry ci\n"),
            (AccountView { not_before: Some("2023-11-14T22:14:00Z".into()), ..waiting.clone() }, "Nobody has to do anything.\n"),
            (AccountView { not_before: Some("2023-11-14T22:13:00Z".into()), ..waiting.clone() }, "Nobody has to do anything; to try at once: tokenctl retry ci\n"),
            (AccountView { alarm: true, ..waiting.clone() },  "It needs attention: the token is good for another 15 min only; to try at once: tokenctl retry ci\n"),
            (expired.clone(),                                 "It needs attention: there is no token until an attempt is good. It may end in a login, where the provider forgives no second use of a refresh token; to have that over now: tokenctl login boiler\n"),
            (AccountView { alarm: false, ..expired },         "Nobody has to do anything yet. It may end in a login, where the provider forgives no second use of a refresh token.\n"),
            (blamed(&waiting, Code::StoreUnavailable),        "Somebody has to see to the store's disk; the token is good for another 15 min; to try at once: tokenctl retry ci\n"),
            (AccountView { ready: false, ..blamed(&waiting, Code::StoreUnavailable) }, "Somebody has to see to the store's disk; there is no token until then; to try at once: tokenctl retry ci\n"),
            (AccountView { unsaved: true, ..blamed(&waiting, Code::StoreUnavailable) }, "Somebody has to see to the store's disk, before the host is restarted; the token is good for another 15 min.\n"),
            (blamed(&waiting, Code::HookFailed),              "Somebody has to see to the hook; the token is good for another 15 min; to try at once: tokenctl retry ci\n"),
        ];
        for (view, expected) in cases {
            let story = story(&view, NOW);
            assert!(story.ends_with(expected), "{story}");
        }
    }

    /// A token whose family has ended is of no use, and only its provider knows.
    #[test]
    fn a_token_is_not_praised_whose_refresh_token_is_refused() {
        let [_, waiting, ..] = <[AccountView; 9]>::try_from(every_kind()).unwrap();
        for (state, doubtful) in
            [("waiting", false), ("in_doubt", false), ("suspect", true), ("needs_login", true)]
        {
            let story = story(&AccountView { state: state.into(), ..waiting.clone() }, NOW);
            let said = story.contains("served all the same, though the provider may refuse it.");
            assert_eq!(said, doubtful, "{story}");
        }
    }

    #[test]
    fn a_pause_after_a_failure_is_told_as_a_pause() {
        let mut view = failing("git", "frozen", Code::ClientRejected, "the client is refused");
        view.paused = true;
        let story = story(&view, NOW);
        assert!(story.starts_with("git is paused: "), "{story}");
        assert!(story.ends_with("To go on: tokenctl resume git\n"), "{story}");
        assert!(!story.contains("retry"), "{story}");
    }

    #[test]
    fn advice_that_the_message_gives_is_not_repeated() {
        let view = failing(
            "mail",
            "needs_login",
            Code::NeedsLogin,
            "mail must be logged in again: \"tokenctl login mail\"",
        );
        assert_eq!(story(&view, NOW).matches("tokenctl login mail").count(), 1);
    }

    /// The same account with another failure.
    fn blamed(view: &AccountView, code: Code) -> AccountView {
        let refresh_error = Some(error(&view.account, code, "x"));
        AccountView { refresh_error, ..view.clone() }
    }
}
