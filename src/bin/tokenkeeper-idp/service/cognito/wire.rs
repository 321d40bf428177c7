//! How requests and refusals of Cognito look (AWS JSON 1.1).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

use super::Options;
use crate::call::Call;
use crate::ledger::Verdict;
use crate::reply::Reply;

/// The media type of requests and replies.
const MEDIA: &str = "application/x-amz-json-1.1";
/// What comes before the name of an operation.
const TARGET: &str = "AWSCognitoIdentityProviderService.";
/// What comes before the type of an error, where it is written out.
const NAMESPACE: &str = "com.amazonaws.cognito.identity.idp.model#";

/// Longest text of a refusal that its header lines repeat, in characters.
const LONGEST_HEADER: usize = 1024;

/// How a refusal tells its type. The header stands beside every one of them.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Type {
    /// `__type` is the code.
    Bare,
    /// `__type` is the code behind a namespace.
    Prefixed,
    /// The header `x-amzn-ErrorType` alone tells.
    Header,
}

/// Under which name a refusal carries its message.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub(super) enum Message {
    /// As the model has it.
    #[serde(rename = "message")]
    Lower,
    /// As some replies have it.
    #[serde(rename = "Message")]
    Upper,
}

/// Parameters by name.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    /// A parameter, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    ///
    /// It is not.
    pub(super) fn one(&self, name: &str) -> Result<&str, Denial> {
        let value = self.0.get(name).map(String::as_str);
        value.ok_or_else(|| Denial::invalid(format!("Missing required parameter {name}")))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InitiateAuth {
    pub(super) auth_flow: String,
    #[serde(default)]
    pub(super) auth_parameters: Params,
    pub(super) client_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Respond {
    pub(super) client_id: String,
    pub(super) challenge_name: String,
    pub(super) session: Option<String>,
    #[serde(default)]
    pub(super) challenge_responses: Params,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetTokens {
    pub(super) refresh_token: String,
    pub(super) client_id: String,
    pub(super) client_secret: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RevokeToken {
    pub(super) token: String,
    pub(super) client_id: String,
    pub(super) client_secret: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GlobalSignOut {
    pub(super) access_token: String,
}

/// A refusal before it is written.
#[derive(Debug)]
pub(super) struct Denial {
    pub(super) verdict: Verdict,
    code: &'static str,
    message: Cow<'static, str>,
}

impl Denial {
    /// A refusal with a code that tells its cause.
    pub(super) fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { verdict: Verdict::Refused(code.into()), code, message: message.into() }
    }

    /// `NotAuthorizedException`, for one of its many causes.
    pub(super) fn not_authorized(
        cause: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let denial = Self::new("NotAuthorizedException", message);
        Self { verdict: Verdict::Refused(cause.into()), ..denial }
    }

    /// A refusal with a verdict of its own.
    pub(super) fn with(verdict: Verdict, code: &'static str, message: &'static str) -> Self {
        Self { verdict, code, message: message.into() }
    }

    /// `InvalidParameterException`.
    pub(super) fn invalid(message: String) -> Self {
        Self::new("InvalidParameterException", message)
    }

    /// The reply that carries it.
    pub(super) fn reply(&self, options: &Options) -> Reply {
        refusal(options, self.code, &self.message, None)
    }
}

/// The operation that `X-Amz-Target` names.
pub(super) fn operation(call: &Call) -> Option<&str> {
    call.target.as_deref()?.strip_prefix(TARGET)
}

/// The content, as its operation has it.
///
/// # Errors
///
/// It is something else.
pub(super) fn body_of<T: for<'de> Deserialize<'de>>(call: &Call) -> Result<T, Denial> {
    if call.media_type() != Some(MEDIA) {
        return Err(Denial::new("SerializationException", ""));
    }
    let content: Value = serde_json::from_slice(&call.body)
        .map_err(|_| Denial::new("SerializationException", "not JSON"))?;
    serde_json::from_value(content)
        .map_err(|problem| Denial::invalid(format!("1 validation error detected: {problem}")))
}

/// A reply with content.
pub(super) fn success(content: &Value) -> Reply {
    Reply::new(200, MEDIA, content.to_string())
}

/// A reply without.
pub(super) fn nothing() -> Reply {
    Reply::new(200, MEDIA, "")
}

/// A refusal. Its usual status is 500 for `InternalErrorException`, else 400.
pub(super) fn refusal(options: &Options, code: &str, message: &str, status: Option<u16>) -> Reply {
    let usual = if code == "InternalErrorException" { 500 } else { 400 };
    let mut content = Map::new();
    let mut put = |name: &str, value: &str| content.insert(name.to_owned(), value.into());
    match options.error_type {
        Type::Bare => drop(put("__type", code)),
        Type::Prefixed => drop(put("__type", &format!("{NAMESPACE}{code}"))),
        Type::Header => {}
    }
    match options.error_message {
        Message::Lower => put("message", message),
        Message::Upper => put("Message", message),
    };
    Reply::new(status.unwrap_or(usual), MEDIA, Value::Object(content).to_string())
        .header("x-amzn-errortype", &header_text(&format!("{code}:")))
        .header("x-amzn-errormessage", &header_text(message))
}

/// A text without what would end its header line, and not longer than that.
fn header_text(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(LONGEST_HEADER).collect()
}
