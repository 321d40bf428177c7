//! What refusals and events say: what happened, to which account, and what to type next.
//!
//! The one place where the wire's [`ErrorBody`] and [`EventView`] are made, so that every answer
//! and event says the same of the same failure. Pure: the time is an argument.

use crate::error::code::Code;
use crate::error::code::Remedy;
use crate::error::foreign::OauthError;
use crate::name::AccountId;
use crate::notice::Event;
use crate::notice::Notice;
use crate::plan::Entry;
use crate::protocol::error::ErrorBody;
use crate::protocol::event::EventView;
use crate::protocol::event::HookFailedView;
use crate::record::Failure;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::snapshot::aid::Aid;
use crate::time::Now;
use crate::time::secs_until_over;

/// A refusal as it goes over the wire.
pub fn error_body(refusal: &Refusal, account: Option<&AccountId>, now: Now) -> ErrorBody {
    // What was handed in is refused, and nothing is said of what the account has.
    let (error, remedy) = match refusal.aid {
        Some(Aid::Another) => (family(Code::BadRequest), Remedy::ChangeRequest),
        Some(_) | None => (family(refusal.code), refusal.code.remedy()),
    };
    ErrorBody {
        error: error.to_owned(),
        message: message(refusal, account),
        error_code: refusal.code,
        timestamp: now.wall.to_string(),
        account: account.map(ToString::to_string),
        retry_at: refusal.retry_at.map(|at| now.wall_at(at).to_string()),
        remedy,
        provider_error: refusal.provider_error.clone(),
    }
}

/// The failure that is raised on an account, if there is one.
pub fn raised(snapshot: &Snapshot, account: &AccountId, now: Now) -> Option<ErrorBody> {
    snapshot.failure.as_ref()?;
    Some(error_body(&snapshot.refusal(), Some(account), now))
}

/// Something that happened, as it goes over the wire and to hooks.
pub fn event(notice: &Notice) -> EventView {
    let snapshot = &notice.snapshot;
    let view = EventView {
        event: notice.event.name().as_str().to_owned(),
        account: notice.account.to_string(),
        timestamp: notice.at.wall.to_string(),
        state: snapshot.state.as_str().to_owned(),
        paused: snapshot.is_paused(),
        generation: snapshot.generation.0,
        expires_at: snapshot.held.as_ref().map(|held| held.expires_wall.to_string()),
        next_at: snapshot.next.map(|next| notice.at.wall_at(next).to_string()),
        unsaved: snapshot.unsaved,
        reason: None,
        attempt: None,
        refresh_error: None,
        ends_at: None,
        hook: None,
    };
    match &notice.event {
        Event::RefreshStarted { reason, attempt } | Event::TokenChanged { reason, attempt } => {
            let reason = Some(reason.as_str().to_owned());
            EventView { reason, attempt: Some(*attempt), ..view }
        }
        Event::RefreshFailed { reason, failure } => EventView {
            reason: Some(reason.as_str().to_owned()),
            attempt: Some(failure.attempt),
            refresh_error: Some(failed(failure, notice)),
            ..view
        },
        Event::Alarm { failure } => EventView {
            attempt: Some(failure.attempt),
            refresh_error: Some(failed(failure, notice)),
            ..view
        },
        Event::ExpiryAhead { at, within: _ } => EventView { ends_at: Some(at.to_string()), ..view },
        Event::HookFailed { hook, about, why } => {
            let hook = HookFailedView {
                name: hook.to_string(),
                about: about.as_str().to_owned(),
                error_code: Code::HookFailed,
                message: why.to_string(),
            };
            EventView { hook: Some(hook), ..view }
        }
        Event::Recovered { .. } | Event::Expired | Event::StateChanged => view,
    }
}

/// The failure that a notice is about.
pub fn failed(failure: &Failure, notice: &Notice) -> ErrorBody {
    let error = &failure.error;
    let refusal = Refusal {
        retry_at: notice.snapshot.next,
        provider_error: error.provider_error().cloned(),
        entry: notice.snapshot.entry,
        aid: Aid::against(error),
        ..Refusal::new(failure.code(), error.to_string())
    };
    error_body(&refusal, Some(&notice.account), notice.at)
}

/// What happened, to which account, and what to do next.
pub fn message(refusal: &Refusal, account: Option<&AccountId>) -> String {
    let what = refusal.message.trim_end_matches('.');
    let end = match what.chars().last() {
        // Several errors of a configuration stand on a line each, and so does what follows.
        _ if what.contains('\n') => "\n",
        Some('?') => " ",
        _ => ". ",
    };
    let mut text = match account {
        Some(account) => format!("account {account}: {what}{end}"),
        None => format!("{what}{end}"),
    };
    if is_reuse(refusal) {
        text.push_str(REUSED);
    }
    match next_step(refusal, account) {
        Some(next) => text.push_str(&next),
        // A command that ends the message is ready to be copied.
        None if ends_in_command(what) => text.truncate(text.len() - end.len()),
        None => {}
    }
    text.truncate(text.trim_end().len());
    text
}

/// What is to be thought of where a provider says that a refresh token was used once too often.
const REUSED: &str = "Providers say so after an old copy of the state was put back, where a second \
                      program uses the same login, and after a reply was lost: tokenkeeperd(8), \
                      What a copy may cost. ";

/// Whether the provider says so of the account's own refresh token.
fn is_reuse(refusal: &Refusal) -> bool {
    let is_about_it = matches!(
        refusal.code,
        Code::GrantRejected | Code::NeedsLogin | Code::SessionExpired | Code::InDoubt
    );
    let said = refusal.provider_error.as_ref();
    is_about_it && refusal.aid.is_none() && said.is_some_and(OauthError::tells_of_reuse)
}

fn ends_in_command(text: &str) -> bool {
    text.rsplit(": ").next().is_some_and(|end| end.starts_with("tokenctl "))
}

/// Whole seconds until the same request may succeed, rounded up, at least 1: the header
/// `Retry-After` (RFC 9110 section 10.2.3) of the codes that carry one.
pub fn retry_after(refusal: &Refusal, now: Now) -> Option<u64> {
    /// What is said where nobody knows when: soon enough for a person, rare enough for a loop.
    const UNKNOWN_SECS: u64 = 5;

    if !matches!(refusal.code.http_status(), 429 | 503) {
        return None;
    }
    let Some(at) = refusal.retry_at else { return Some(UNKNOWN_SECS) };
    Some(secs_until_over(at.since(now.boot)))
}

/// What to type or to wait for. A command comes last and without a period, ready to be copied.
fn next_step(refusal: &Refusal, account: Option<&AccountId>) -> Option<String> {
    let name = account.map_or("ACCOUNT", AccountId::as_str);
    let goes_on = refusal.retry_at.is_some();
    let entry = refusal.entry.as_str();
    if refusal.aid == Some(Aid::Another) {
        return Some(match refusal.entry {
            Entry::Login => format!("To log in with another, type: tokenctl login {name}"),
            Entry::Import => format!("To hand in another, type: tokenctl import {name}"),
        });
    }
    Some(match refusal.code {
        Code::NeedsLogin | Code::TokenMissing | Code::SessionExpired | Code::LoginRejected => {
            match &refusal.aid {
                None | Some(Aid::Import | Aid::Another) => {
                    format!("Type: tokenctl {entry} {name}")
                }
                Some(Aid::OldSettings) => format!(
                    "Put the old settings back and type: tokenctl reload; or, to keep the new ones, \
                     type: tokenctl {entry} {name}"
                ),
                Some(Aid::OtherSecret(slot)) => format!("Type: tokenctl secret set {name}.{slot}"),
                Some(Aid::OwnSecret) => {
                    format!("Correct it there, then type: tokenctl retry {name}")
                }
                Some(Aid::Secret(slot)) => {
                    format!("Type: tokenctl secret set {slot}; or: tokenctl {entry} {name}")
                }
            }
        }
        Code::ForeignWriter => format!(
            "Log that program in as this account's user, or give its login an account of its own: \
             tokenctl adopt. To see this one, type: tokenctl why {name}"
        ),
        Code::GrantRejected if goes_on => {
            format!("It is being confirmed; if it stays so, type: tokenctl {entry} {name}")
        }
        Code::GrantRejected => match refusal.entry {
            Entry::Login => format!("To log in again, type: tokenctl login {name}"),
            Entry::Import => format!("To hand in a new one, type: tokenctl import {name}"),
        },
        // Nobody looked at client or credential.
        Code::ClientRejected if refusal.provider_error.is_none() => format!(
            "Correct its issuer or token_endpoint, then type: tokenctl reload, or tokenctl retry \
             {name}"
        ),
        Code::ClientRejected => format!(
            "Correct its issuer, endpoint or client_id, then type: tokenctl reload; or its stored \
             secret: tokenctl secret set {name}.client_secret; and to try it, type: tokenctl \
             retry {name}"
        ),
        Code::SecretUnavailable => format!(
            "It is looked for again by itself; to have that done now, type: tokenctl retry {name}"
        ),
        Code::ConfigInvalid if account.is_some() => format!(
            "Put it there, or correct the configuration and type: tokenctl reload. It is looked \
             for again every minute; to have that done now, type: tokenctl retry {name}"
        ),
        Code::ConfigInvalid => "Correct the configuration, then type: tokenctl reload".to_owned(),
        Code::InsufficientPermissions => "To see your rights, type: tokenctl whoami".to_owned(),
        Code::AccountUnknown => "To see the accounts, type: tokenctl list".to_owned(),
        Code::Internal => "Please report this; details are in the journal.".to_owned(),
        Code::StoreUnavailable => {
            "See whether the state directory is in its place, and look at its disk: for space, for \
             errors, and whether it is mounted read-only."
                .to_owned()
        }
        Code::ProviderUnreachable
        | Code::ProviderUnavailable
        | Code::ProviderMalformed
        | Code::InDoubt
        | Code::TokenExpired
        | Code::HookFailed
            if goes_on =>
        {
            "It is tried again without your doing.".to_owned()
        }
        Code::ProviderUnreachable
        | Code::ProviderUnavailable
        | Code::ProviderMalformed
        | Code::InDoubt
        | Code::TokenExpired
        | Code::HookFailed => "Ask again later.".to_owned(),
        Code::RefreshPending if goes_on => "It is refreshed as soon as it may be.".to_owned(),
        Code::RefreshPending => "Ask again, or with a larger wait.".to_owned(),
        Code::RateLimitExceeded | Code::Stopping => "Ask again later.".to_owned(),
        Code::NotSupported if refusal.aid == Some(Aid::Import) => {
            format!("To hand in a refresh token, type: tokenctl import {name}")
        }
        Code::BadRequest | Code::LifetimeTooShort | Code::NotSupported => return None,
    })
}

/// Family of a code, in lower case: `error` on the wire.
const fn family(code: Code) -> &'static str {
    match code {
        Code::BadRequest | Code::LifetimeTooShort | Code::NotSupported => "request",
        Code::InsufficientPermissions | Code::AccountUnknown => "access",
        Code::NeedsLogin
        | Code::TokenMissing
        | Code::SessionExpired
        | Code::GrantRejected
        | Code::LoginRejected
        | Code::ForeignWriter => "needs_login",
        Code::ClientRejected | Code::ConfigInvalid | Code::SecretUnavailable => "configuration",
        Code::RateLimitExceeded => "rate_limit",
        Code::ProviderUnreachable
        | Code::ProviderUnavailable
        | Code::ProviderMalformed
        | Code::InDoubt
        | Code::TokenExpired => "provider",
        Code::RefreshPending => "pending",
        Code::Internal | Code::StoreUnavailable | Code::HookFailed | Code::Stopping => "daemon",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::time::Moment;
    use crate::time::Timestamp;

    #[test]
    fn every_message_names_the_account_once_and_ends_in_one_piece() {
        let mail = AccountId::parse("mail").unwrap();
        for code in Code::ALL {
            let text = message(&Refusal::new(*code, "it happened."), Some(&mail));
            assert!(text.starts_with("account mail: it happened."), "{text}");
            assert!(!text.contains(".."), "{text}");
        }
    }

    #[test]
    fn a_command_at_the_end_has_no_period() {
        let text = |text: &str| message(&Refusal::new(Code::NotSupported, text), None);
        assert_eq!(text("type: tokenctl import mail"), "type: tokenctl import mail");
        assert_eq!(text("it is paused"), "it is paused.");
    }

    /// Whoever has to act is told what to do.
    #[test]
    fn what_a_person_can_mend_comes_with_the_next_step() {
        let mail = AccountId::parse("mail").unwrap();
        for code in Code::ALL {
            let needs_step = matches!(code.remedy(), Remedy::SignIn | Remedy::Reconfigure);
            if needs_step {
                let text = next_step(&Refusal::new(*code, "x"), Some(&mail)).unwrap();
                assert!(text.contains("tokenctl "), "{code:?}: {text}");
            }
        }
    }

    #[test]
    fn an_account_that_cannot_log_in_is_sent_to_import() {
        let mail = AccountId::parse("mail").unwrap();
        for code in Code::ALL.iter().filter(|code| code.remedy() == Remedy::SignIn) {
            let refusal = Refusal { entry: Entry::Import, ..Refusal::new(*code, "x") };
            let text = message(&refusal, Some(&mail));
            assert!(!text.contains("tokenctl login"), "{text}");
        }
    }

    #[test]
    fn what_helps_besides_a_login_comes_before_it_and_what_helps_better_alone() {
        let mail = AccountId::parse("mail").unwrap();
        #[rustfmt::skip]
        let cases = [
            (None,                                         "Type: tokenctl login mail"),
            (Some(Aid::OldSettings),                       "Put the old settings back and type: tokenctl reload; or, to keep the new ones, type: tokenctl login mail"),
            (Some(Aid::OtherSecret("password".into())),    "Type: tokenctl secret set mail.password"),
            (Some(Aid::OwnSecret),                         "Correct it there, then type: tokenctl retry mail"),
            (Some(Aid::Secret("mail.totp".into())),        "Type: tokenctl secret set mail.totp; or: tokenctl login mail"),
        ];
        for (aid, expected) in cases {
            let refusal = Refusal { aid, ..Refusal::new(Code::NeedsLogin, "x") };
            assert_eq!(next_step(&refusal, Some(&mail)).unwrap(), expected);
        }
    }

    #[test]
    fn a_credential_that_is_refused_when_it_is_handed_in_says_nothing_of_the_accounts_own() {
        let mail = AccountId::parse("mail").unwrap();
        let body = |entry| {
            let words = "the credential was not taken over: refresh token refused: invalid_grant \
                         (used before). The account's own credential is untouched";
            let refusal = Refusal {
                provider_error: Some(OauthError::new("invalid_grant", Some("used before"))),
                aid: Some(Aid::Another),
                entry,
                ..Refusal::new(Code::GrantRejected, words)
            };
            error_body(&refusal, Some(&mail), NOW)
        };
        let handed_in = body(Entry::Import);
        assert_eq!((&*handed_in.error, handed_in.remedy), ("request", Remedy::ChangeRequest));
        insta::assert_snapshot!(handed_in.message, @"account mail: the credential was not taken over: refresh token refused: invalid_grant (used before). The account's own credential is untouched. To hand in another, type: tokenctl import mail");
        let logged_in = body(Entry::Login).message;
        assert!(
            logged_in.ends_with(". To log in with another, type: tokenctl login mail"),
            "{logged_in}"
        );
    }

    #[test]
    fn where_a_provider_tells_of_reuse_the_likely_causes_are_told_before_what_to_type() {
        let mail = AccountId::parse("mail").unwrap();
        let text = |code, description| {
            let said = OauthError::new("invalid_grant", Some(description));
            let provider_error = Some(said);
            message(&Refusal { provider_error, ..Refusal::new(code, "refused") }, Some(&mail))
        };
        insta::assert_snapshot!(text(Code::NeedsLogin, "the refresh token was used before"), @"account mail: refused. Providers say so after an old copy of the state was put back, where a second program uses the same login, and after a reply was lost: tokenkeeperd(8), What a copy may cost. Type: tokenctl login mail");
        let told = |code, description| text(code, description).contains("an old copy");
        assert!(told(Code::GrantRejected, "Refresh token was already used."));
        assert!(!told(Code::GrantRejected, "Token has been expired or revoked."));
        assert!(!told(Code::ProviderUnavailable, "already used"));
    }

    #[test]
    fn retry_after_is_whole_seconds_never_shortened_and_never_zero() {
        #[rustfmt::skip]
        let cases = [
            // code                      in milliseconds   header
            (Code::ProviderUnavailable,  Some(1_500),      Some(2)),
            (Code::ProviderUnavailable,  Some(2_000),      Some(2)),
            (Code::ProviderUnavailable,  Some(0),          Some(1)),
            (Code::ProviderUnavailable,  None,             Some(5)),
            (Code::RateLimitExceeded,    Some(100),        Some(1)),
            (Code::NeedsLogin,           Some(5_000),      None),
            (Code::RefreshPending,       None,             None),
        ];
        for (code, millis, expected) in cases {
            let retry_at = millis.map(|millis| NOW.boot + Duration::from_millis(millis));
            let refusal = Refusal { retry_at, ..Refusal::new(code, "x") };
            assert_eq!(retry_after(&refusal, NOW), expected, "{code:?} {millis:?}");
        }
    }

    #[test]
    fn the_body_has_the_frozen_shape() {
        let mail = AccountId::parse("mail").unwrap();
        let refusal = Refusal {
            retry_at: Some(NOW.boot + Duration::from_secs(30)),
            ..Refusal::new(Code::ProviderUnavailable, "provider unavailable: HTTP 503")
        };
        let body = error_body(&refusal, Some(&mail), NOW);
        insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap(), @r#"
        {
          "error": "provider",
          "message": "account mail: provider unavailable: HTTP 503. It is tried again without your doing.",
          "error_code": "PROVIDER_UNAVAILABLE",
          "timestamp": "2023-11-14T22:13:20Z",
          "account": "mail",
          "retry_at": "2023-11-14T22:13:50Z",
          "remedy": "wait"
        }
        "#);
    }

    const NOW: Now =
        Now { boot: Moment::from_millis(10_000), wall: Timestamp::from_millis(1_700_000_000_000) };
}
