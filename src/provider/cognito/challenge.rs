//! What a pool asks back before it grants tokens.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::error::foreign::scrubbed;
use crate::provider::member::Member;
use crate::token::Secret;

/// A question that a person can answer with a code.
pub(super) struct Challenge {
    /// Which.
    pub(super) kind: Kind,
    /// What ties the answer to the question: good once, and for some minutes.
    pub(super) session: Secret,
    /// The pool's own name for the user, where it gives one.
    pub(super) user: Option<Box<str>>,
    /// Where it sent the code, where it says so.
    pub(super) destination: Option<Box<str>>,
}

/// The challenges whose answer is a code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// The pool's own trigger decides what is asked; a code that was sent, as a rule.
    Custom,
    /// A code by e-mail.
    Email,
    /// A code by text message.
    Sms,
    /// A code of an authenticator app.
    App,
}

impl Kind {
    const ALL: &[Self] = &[Self::Custom, Self::Email, Self::Sms, Self::App];

    /// `ChallengeName`
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Custom => "CUSTOM_CHALLENGE",
            Self::Email => "EMAIL_OTP",
            Self::Sms => "SMS_MFA",
            Self::App => "SOFTWARE_TOKEN_MFA",
        }
    }

    /// What the answer is called.
    pub(super) const fn answer(self) -> &'static str {
        match self {
            Self::Custom => "ANSWER",
            Self::Email => "EMAIL_OTP_CODE",
            Self::Sms => "SMS_MFA_CODE",
            Self::App => "SOFTWARE_TOKEN_MFA_CODE",
        }
    }
}

impl Challenge {
    /// Reads the challenge in an answer without tokens. `None` if there is none.
    ///
    /// # Errors
    ///
    /// It is one that no code answers, or has no session.
    pub(super) fn read(body: &[u8]) -> Option<Result<Self, RefreshError>> {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "PascalCase")]
        struct Members {
            challenge_name: Member,
            session: Member,
            challenge_parameters: Option<BTreeMap<String, Member>>,
        }

        let members = serde_json::from_slice::<Members>(body).ok()?;
        let name = members.challenge_name.into_text()?;
        let Some(kind) = Kind::ALL.iter().find(|kind| kind.name() == name.expose()) else {
            return Some(Err(unanswerable(name.expose())));
        };
        let Some(session) = members.session.into_text() else {
            return Some(Err(RefreshError::Malformed("a challenge without a session".into())));
        };
        let parameters = members.challenge_parameters.unwrap_or_default();
        let text = |name| parameters.get(name).and_then(Member::text).map(Secret::expose);
        let user = text("USERNAME").or_else(|| text("USER_ID_FOR_SRP"));
        Some(Ok(Self {
            kind: *kind,
            session,
            user: user.map(Box::from),
            destination: text("CODE_DELIVERY_DESTINATION").map(|it| scrubbed(it, 100).into()),
        }))
    }

    /// The failure that it is of a sign-in in which no person has a part.
    pub(super) fn without_a_person(&self) -> RefreshError {
        let words = "the pool asks for a code; log in with tokenctl login";
        RefreshError::LoginRequired(OauthError::new(self.kind.name(), Some(words)))
    }
}

/// The failure that a challenge is which no code answers.
fn unanswerable(name: &str) -> RefreshError {
    let login = |words| RefreshError::LoginRejected(OauthError::new(name, Some(words)));
    match name {
        "NEW_PASSWORD_REQUIRED" => login(
            "the pool wants a new password; choose one where you use the service, then log in again",
        ),
        "MFA_SETUP" => login(
            "the pool wants a second factor; set one up where you use the service, then log in again",
        ),
        _ => RefreshError::ClientRejected(OauthError::new(
            name,
            Some("the pool asks for something that cannot be answered here; look at auth_flow"),
        )),
    }
}
