//! What an error of a token endpoint means: RFC 6749 section 5.2, and what providers made of it.
//!
//! A failure is permanent only by a word on the list below, from an endpoint that speaks
//! OAuth. All else passes: providers answer with false refusals during outages, and a
//! credential that is given up for one costs a person a login.

use std::time::Duration;

use crate::error::RefreshError;
use crate::error::foreign::OauthError;

/// What an error code means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Meaning {
    /// The refresh token is refused, perhaps wrongly.
    Grant,
    /// A person has to log in, without doubt.
    Login,
    /// The client, or the request that it is configured to make, is refused.
    Client,
    /// The provider cannot just now.
    Unavailable,
    /// There were too many requests.
    Throttled,
}

impl Meaning {
    /// What that word means; `None` for a word that is not on the list.
    ///
    /// Case does not count, and Zoho's `Access Denied`, which it says to clients that ask too
    /// often, is not OAuth's `access_denied`.
    pub(super) fn of(code: &str) -> Option<Self> {
        let code = code.to_ascii_lowercase();
        LIST.iter().find_map(|(word, meaning)| (*word == code).then_some(*meaning))
    }

    /// The failure that it makes of an answer.
    pub(super) fn into_error(
        self,
        answer: OauthError,
        retry_after: Option<Duration>,
    ) -> RefreshError {
        match self {
            Self::Grant => RefreshError::GrantRejected(answer),
            Self::Login => RefreshError::LoginRequired(answer),
            Self::Client => RefreshError::ClientRejected(answer),
            Self::Unavailable => {
                RefreshError::Unavailable { answer, retry_after, maybe_rotated: false }
            }
            Self::Throttled => RefreshError::Throttled { answer, retry_after },
        }
    }
}

/// Every word that is believed, and who says it where that is not the RFC.
#[rustfmt::skip]
const LIST: &[(&str, Meaning)] = &[
    ("invalid_grant",                Meaning::Grant),
    ("bad_refresh_token",            Meaning::Grant),       // GitHub
    ("invalid_refresh_token",        Meaning::Grant),       // Slack
    ("invalid_code",                 Meaning::Grant),       // Zoho

    ("interaction_required",         Meaning::Login),       // OpenID Connect Core 3.1.2.6, as the next three
    ("login_required",               Meaning::Login),
    ("consent_required",             Meaning::Login),
    ("account_selection_required",   Meaning::Login),
    ("access_denied",                Meaning::Login),       // RFC 6749 section 4.1.2.1
    ("expired_token",                Meaning::Login),       // RFC 8628 section 3.5
    ("refresh_token_expired",        Meaning::Login),       // OpenAI, as the next two
    ("refresh_token_reused",         Meaning::Login),
    ("refresh_token_invalidated",    Meaning::Login),

    ("invalid_client",               Meaning::Client),
    ("unauthorized_client",          Meaning::Client),
    ("unsupported_grant_type",       Meaning::Client),
    ("invalid_scope",                Meaning::Client),
    ("invalid_request",              Meaning::Client),
    ("invalid_target",               Meaning::Client),      // RFC 8707 section 2
    ("incorrect_client_credentials", Meaning::Client),      // GitHub
    ("invalid_client_id",            Meaning::Client),      // Slack, as the next one
    ("bad_client_secret",            Meaning::Client),
    ("invalid_client_secret",        Meaning::Client),      // Zoho

    ("temporarily_unavailable",      Meaning::Unavailable), // RFC 6749 section 4.1.2.1, as the next one
    ("server_error",                 Meaning::Unavailable),

    ("slow_down",                    Meaning::Throttled),   // RFC 8628 section 3.5
    ("too_many_requests",            Meaning::Throttled),
    ("rate_limit_exceeded",          Meaning::Throttled),
    ("rate_limited",                 Meaning::Throttled),
    ("ratelimited",                  Meaning::Throttled),   // Slack
    ("access denied",                Meaning::Throttled),   // Zoho
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    #[test]
    fn every_word_is_there_once_and_findable() {
        for (at, (word, meaning)) in LIST.iter().enumerate() {
            assert_eq!(Meaning::of(word), Some(*meaning), "{word}");
            assert_eq!(LIST.iter().position(|(other, _)| other == word), Some(at), "{word}");
        }
    }

    #[test]
    fn a_word_that_is_not_listed_means_nothing() {
        for word in ["", "invalid", "revoked", "authorization_pending", "invalid_grant "] {
            assert_eq!(Meaning::of(word), None, "{word:?}");
        }
    }

    #[test]
    fn a_meaning_and_the_class_of_its_error_agree() {
        #[rustfmt::skip]
        let cases = [
            (Meaning::Grant,       Class::Suspect),
            (Meaning::Login,       Class::Definite),
            (Meaning::Client,      Class::Config),
            (Meaning::Unavailable, Class::Transient),
            (Meaning::Throttled,   Class::Throttled),
        ];
        for (meaning, class) in cases {
            let error = meaning.into_error(OauthError::new("word", None), None);
            assert_eq!(error.class(), class, "{meaning:?}");
        }
    }
}
