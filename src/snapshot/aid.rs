//! What helps an account besides a new credential.

use crate::error::RefreshError;
use crate::error::foreign::OauthError;

/// What a configuration that leads elsewhere is called, as the provider's word would be.
const LED_ELSEWHERE: &str = "configuration_changed";

/// What whoever has to act may do in place of a login or an import.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Aid {
    /// To put back the settings that the credential belongs to.
    OldSettings,
    /// To store this secret, `ACCOUNT.SLOT`, for want of which it has not signed in.
    Secret(Box<str>),
    /// To store another secret in this slot: the one that is there was refused.
    OtherSecret(Box<str>),
    /// To correct a secret that was refused, where the configuration says it comes from.
    OwnSecret,
    /// To hand in a refresh token, since no login can begin.
    Import,
    /// To hand in another credential than the one that was just refused, which was not the
    /// account's own.
    Another,
}

impl Aid {
    /// What helps against a failure.
    pub fn against(error: &RefreshError) -> Option<Self> {
        if let RefreshError::SecretRefused { slot, stored, .. } = error {
            let slot = || slot.as_str().into();
            return Some(if *stored { Self::OtherSecret(slot()) } else { Self::OwnSecret });
        }
        let RefreshError::LoginRequired(answer) = error else { return None };
        (&*answer.code == LED_ELSEWHERE).then_some(Self::OldSettings)
    }
}

/// The configuration sends the credential to another place than it came from.
pub fn led_elsewhere() -> RefreshError {
    let words = "the configuration names another issuer, endpoint, client or user";
    RefreshError::LoginRequired(OauthError::new(LED_ELSEWHERE, Some(words)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_settings_help_where_the_configuration_changed_and_nowhere_else() {
        assert_eq!(Aid::against(&led_elsewhere()), Some(Aid::OldSettings));
        let revoked = OauthError::new("invalid_grant", None);
        assert_eq!(Aid::against(&RefreshError::LoginRequired(revoked)), None);
    }

    #[test]
    fn another_secret_helps_where_one_was_refused_that_no_person_typed() {
        let answer = OauthError::new("401", None);
        assert_eq!(Aid::against(&RefreshError::LoginRejected(answer.clone())), None);
        let refused = |stored| {
            let (slot, answer) = ("totp".into(), answer.clone());
            Aid::against(&RefreshError::SecretRefused { slot, stored, answer })
        };
        assert_eq!(refused(true), Some(Aid::OtherSecret("totp".into())));
        assert_eq!(refused(false), Some(Aid::OwnSecret));
    }
}
