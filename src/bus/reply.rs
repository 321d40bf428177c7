//! Answers and errors as messages.
//!
//! What an account's refusal is on the socket it is here, as `org.tokenkeeper1.Error.CODE` with
//! the same words. What is no call of ours has the error that the D-Bus specification names.

use serde::Serialize;
use zbus::DynamicType;
use zbus::Message;

use crate::asking::Denied;
use crate::wording;

use super::method::NoMethod;

/// A call that is not answered as it wants to be.
#[derive(Debug)]
pub(super) enum Failed {
    /// The daemon refuses it.
    Denied(Denied),
    /// It is no call of ours.
    Standard(Standard, String),
    /// The answer cannot be written.
    Unwritten(zbus::Error),
}

/// Errors of the D-Bus specification.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standard {
    UnknownObject,
    UnknownInterface,
    UnknownMethod,
    UnknownProperty,
    PropertyReadOnly,
    InvalidArgs,
    LimitsExceeded,
    AccessDenied,
    InteractiveAuthorizationRequired,
}

impl Standard {
    const fn name(self) -> &'static str {
        match self {
            Self::UnknownObject => "org.freedesktop.DBus.Error.UnknownObject",
            Self::UnknownInterface => "org.freedesktop.DBus.Error.UnknownInterface",
            Self::UnknownMethod => "org.freedesktop.DBus.Error.UnknownMethod",
            Self::UnknownProperty => "org.freedesktop.DBus.Error.UnknownProperty",
            Self::PropertyReadOnly => "org.freedesktop.DBus.Error.PropertyReadOnly",
            Self::InvalidArgs => "org.freedesktop.DBus.Error.InvalidArgs",
            Self::LimitsExceeded => "org.freedesktop.DBus.Error.LimitsExceeded",
            Self::AccessDenied => "org.freedesktop.DBus.Error.AccessDenied",
            Self::InteractiveAuthorizationRequired => {
                "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
            }
        }
    }

    /// This error, in these words.
    pub(super) fn because(self, text: &str) -> Failed {
        Failed::Standard(self, text.to_owned())
    }
}

impl From<Denied> for Failed {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<zbus::Error> for Failed {
    fn from(error: zbus::Error) -> Self {
        Self::Unwritten(error)
    }
}

impl From<NoMethod> for Failed {
    fn from(what: NoMethod) -> Self {
        match what {
            NoMethod::Object => Standard::UnknownObject.because("there is no such object"),
            NoMethod::Interface => {
                Standard::UnknownInterface.because("the object has no such interface")
            }
            NoMethod::Method => Standard::UnknownMethod.because("there is no such method"),
            NoMethod::Arguments("") => {
                Standard::InvalidArgs.because("the method takes no arguments")
            }
            NoMethod::Arguments(signature) => {
                let text = format!("the method takes arguments of the signature '{signature}'");
                Standard::InvalidArgs.because(&text)
            }
        }
    }
}

impl Failed {
    /// It as the answer to `call`.
    ///
    /// # Errors
    ///
    /// If the message cannot be written.
    pub(super) fn message(&self, call: &Message) -> zbus::Result<Message> {
        let header = call.header();
        match self {
            Self::Denied(Denied { account, refusal }) => {
                let name = format!("org.tokenkeeper1.Error.{}", refusal.code.as_str());
                let text = wording::message(refusal, account.as_ref());
                Message::error(&header, name).build(&text)
            }
            Self::Standard(error, text) => Message::error(&header, error.name()).build(text),
            Self::Unwritten(error) => {
                let text = format!("the answer cannot be written: {error}");
                Message::error(&header, "org.tokenkeeper1.Error.INTERNAL").build(&text)
            }
        }
    }
}

/// An answer to `call`.
///
/// # Errors
///
/// If it cannot be written.
pub(super) fn answer(
    call: &Message,
    body: &(impl Serialize + DynamicType),
) -> Result<Message, Failed> {
    Ok(Message::method_return(&call.header()).build(body)?)
}
