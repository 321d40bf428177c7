//! What an exception of a pool means.
//!
//! The same name means different things to a refresh, to a sign-in and to the answer of a
//! challenge. A failure is permanent only by a name on the list below: a service that is in
//! trouble makes up others.

use std::time::Duration;

use crate::error::RefreshError;
use crate::error::foreign::OauthError;

/// What was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asked {
    /// For new tokens, with a refresh token.
    Refresh,
    /// For a login, by password or by having a code sent.
    SignIn,
    /// Whether the answer to a challenge is right.
    Answer,
    /// To end logins.
    End,
}

/// An exception, as the pool told it.
pub(super) struct Exception {
    /// Its name, without what stands around it.
    pub(super) name: String,
    /// What it says.
    pub(super) message: Option<String>,
}

/// What a name means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Meaning {
    /// What was presented is refused.
    NotAuthorized,
    /// A person has to log in, or to do more than that.
    Login,
    /// The code is wrong.
    WrongCode,
    /// The code is too old.
    OldCode,
    /// A trigger of the pool's own says no, in its own words.
    Trigger,
    /// The client, or what the configuration has it ask, is refused.
    Client,
    /// The service cannot just now. It may have gone all the way until then.
    Unavailable,
    /// There were too many requests.
    Throttled,
}

impl Meaning {
    /// What that name means; `None` for a name that is not on the list.
    pub(super) fn of(name: &str) -> Option<Self> {
        LIST.iter().find_map(|(known, meaning)| (*known == name).then_some(*meaning))
    }

    /// The failure that it makes of what was asked.
    pub(super) fn into_error(
        self,
        asked: Asked,
        exception: &Exception,
        retry_after: Option<Duration>,
    ) -> RefreshError {
        let answer = exception.answer();
        match self {
            Self::NotAuthorized => not_authorized(asked, exception),
            Self::Login => RefreshError::LoginRequired(answer),
            Self::WrongCode => RefreshError::LoginRejected(answer),
            Self::OldCode => RefreshError::SessionExpired(exception.start_again()),
            // What it says at a refresh is not for ever, and not mended by asking at once.
            Self::Trigger if asked == Asked::Refresh => RefreshError::GrantRejected(answer),
            Self::Trigger => RefreshError::LoginRejected(answer),
            Self::Client => RefreshError::ClientRejected(answer),
            Self::Unavailable => {
                let maybe_rotated = asked == Asked::Refresh;
                RefreshError::Unavailable { answer, retry_after, maybe_rotated }
            }
            Self::Throttled => RefreshError::Throttled { answer, retry_after },
        }
    }
}

/// Whether an answer to a sign-in is about the password.
pub(super) fn is_of_password(answer: &OauthError) -> bool {
    &*answer.code == "NotAuthorizedException"
}

/// `NotAuthorizedException`, which a pool says to nearly everything that it refuses, and only
/// its text tells more. An unknown text costs no more than a precise word.
fn not_authorized(asked: Asked, exception: &Exception) -> RefreshError {
    let says = |part: &str| {
        exception.message.as_deref().is_some_and(|text| text.to_ascii_lowercase().contains(part))
    };
    // "Unable to verify secret hash for client …", "… SECRET_HASH was not received",
    // "… configured for secret but secret was not received".
    if says("secret hash") || says("secret_hash") || says("for secret") {
        return RefreshError::ClientRejected(exception.answer());
    }
    match asked {
        Asked::Refresh if says("token has expired") => {
            RefreshError::SessionExpired(exception.answer())
        }
        Asked::Refresh | Asked::End => RefreshError::LoginRequired(exception.answer()),
        Asked::SignIn => RefreshError::LoginRejected(exception.answer()),
        Asked::Answer if says("session") => RefreshError::SessionExpired(exception.start_again()),
        Asked::Answer => RefreshError::LoginRejected(exception.start_again()),
    }
}

impl Exception {
    /// Takes the name out of `prefix#Name` and `Name:` or `Name:http://…`, which are the
    /// ways to write it in a body and in a header.
    pub(super) fn name_in(text: &str) -> Option<&str> {
        let (name, _address) = text.split_once(':').unwrap_or((text, ""));
        let name = name.rsplit('#').next().unwrap_or(name).trim();
        (!name.is_empty()).then_some(name)
    }

    /// What is told of it.
    pub(super) fn answer(&self) -> OauthError {
        OauthError::new(&self.name, self.message.as_deref())
    }

    /// The same, for a login that is over with it.
    fn start_again(&self) -> OauthError {
        let words = match &self.message {
            Some(message) => format!("start the login again: {message}"),
            None => "start the login again".into(),
        };
        OauthError::new(&self.name, Some(&words))
    }
}

/// Every name that is believed.
#[rustfmt::skip]
const LIST: &[(&str, Meaning)] = &[
    ("NotAuthorizedException",                  Meaning::NotAuthorized),

    ("RefreshTokenReuseException",              Meaning::Login),
    ("UserNotFoundException",                   Meaning::Login),
    ("UserNotConfirmedException",               Meaning::Login),
    ("PasswordResetRequiredException",          Meaning::Login),

    ("CodeMismatchException",                   Meaning::WrongCode),
    ("ExpiredCodeException",                    Meaning::OldCode),
    ("UserLambdaValidationException",           Meaning::Trigger),

    ("InvalidParameterException",               Meaning::Client),
    ("ResourceNotFoundException",               Meaning::Client),
    ("UnsupportedOperationException",           Meaning::Client),
    ("UnsupportedTokenTypeException",           Meaning::Client),
    ("OperationNotEnabledException",            Meaning::Client),
    ("InvalidUserPoolConfigurationException",   Meaning::Client),
    ("InvalidEmailRoleAccessPolicyException",   Meaning::Client),
    ("InvalidSmsRoleAccessPolicyException",     Meaning::Client),
    ("InvalidSmsRoleTrustRelationshipException", Meaning::Client),
    ("MFAMethodNotFoundException",              Meaning::Client),
    ("SoftwareTokenMFANotFoundException",       Meaning::Client),
    ("UnauthorizedException",                   Meaning::Client),
    ("UnknownOperationException",               Meaning::Client),
    ("SerializationException",                  Meaning::Client),

    ("InternalErrorException",                  Meaning::Unavailable),
    ("UnexpectedLambdaException",               Meaning::Unavailable),
    ("InvalidLambdaResponseException",          Meaning::Unavailable),

    ("TooManyRequestsException",                Meaning::Throttled),
    ("LimitExceededException",                  Meaning::Throttled),
    ("ThrottlingException",                     Meaning::Throttled),
    // The firewall before the pool, whose rules mostly count requests.
    ("ForbiddenException",                      Meaning::Throttled),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::code::Code;

    #[test]
    fn every_name_is_there_once() {
        for (at, (name, meaning)) in LIST.iter().enumerate() {
            assert_eq!(Meaning::of(name), Some(*meaning), "{name}");
            assert_eq!(LIST.iter().position(|(other, _)| other == name), Some(at), "{name}");
        }
        assert_eq!(Meaning::of("SomethingException"), None);
    }

    #[test]
    fn a_name_is_found_in_all_its_clothes() {
        #[rustfmt::skip]
        let cases = [
            ("NotAuthorizedException",                                      Some("NotAuthorizedException")),
            ("com.amazonaws.cognito#NotAuthorizedException",                Some("NotAuthorizedException")),
            ("NotAuthorizedException:",                                     Some("NotAuthorizedException")),
            ("NotAuthorizedException:http://internal.amazon.com/coral/x#y", Some("NotAuthorizedException")),
            (" NotAuthorizedException ",                                    Some("NotAuthorizedException")),
            ("",                                                            None),
            ("#",                                                           None),
            (":",                                                           None),
        ];
        for (text, name) in cases {
            assert_eq!(Exception::name_in(text), name, "{text}");
        }
    }

    /// The rows of the sheet for the one name that means many things.
    #[test]
    fn what_is_not_authorized_depends_on_what_was_asked() {
        use Code::{ClientRejected, LoginRejected, NeedsLogin, SessionExpired};
        #[rustfmt::skip]
        let cases = [
            (Asked::Refresh, "Refresh Token has expired",                            SessionExpired),
            (Asked::Refresh, "Refresh Token has been revoked",                       NeedsLogin),
            (Asked::Refresh, "Invalid Refresh Token.",                               NeedsLogin),
            (Asked::Refresh, "User is disabled.",                                    NeedsLogin),
            (Asked::Refresh, "Unable to verify secret hash for client c",            ClientRejected),
            (Asked::Refresh, "",                                                     NeedsLogin),
            (Asked::SignIn,  "Incorrect username or password.",                      LoginRejected),
            (Asked::SignIn,  "User is disabled.",                                    LoginRejected),
            (Asked::SignIn,  "Client c is configured with secret but SECRET_HASH was not received", ClientRejected),
            (Asked::Answer,  "Incorrect username or password.",                      LoginRejected),
            (Asked::Answer,  "Invalid session for the user, session is expired.",    SessionExpired),
            (Asked::End,     "Access Token has been revoked",                        NeedsLogin),
        ];
        for (asked, message, code) in cases {
            let name = "NotAuthorizedException".into();
            let exception = Exception { name, message: Some(message.into()) };
            let error = Meaning::NotAuthorized.into_error(asked, &exception, None);
            assert_eq!(error.code(), code, "{asked:?} {message}");
            assert_eq!(error.to_string().contains("start the login again"), asked == Asked::Answer);
        }
    }
}
