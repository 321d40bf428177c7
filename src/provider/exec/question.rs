//! What a program is asked: one JSON object.

use serde::Serialize;
use serde::Serializer;

use super::Exec;
use crate::token::Secret;

/// Version of the contract. It changes when a program that kept to it would no longer work;
/// further members do not change it.
pub(super) const VERSION: u8 = 1;

/// What is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    /// New tokens, for the refresh token or for the secrets alone.
    Refresh,
    /// New tokens and a new refresh token, for the secrets alone.
    Login,
}

/// Writes the question.
pub(super) fn write(
    exec: &Exec,
    action: Action,
    refresh_token: Option<&Secret>,
    secrets: &[(&'static str, Secret)],
) -> Secret {
    let question = Question {
        version: VERSION,
        action,
        account: &exec.account,
        username: exec.username.as_deref(),
        context: Pairs(exec.context.iter().map(|(name, value)| (&**name, &**value)).collect()),
        secrets: Pairs(secrets.iter().map(|(name, secret)| (*name, secret.expose())).collect()),
        refresh_token: refresh_token.map(Secret::expose),
    };
    // Growing would leave copies behind. A byte takes six at the most, as "\u0000".
    let bytes =
        |pairs: &Pairs<'_>| pairs.0.iter().map(|(a, b)| a.len() + b.len() + 8).sum::<usize>();
    let bytes = bytes(&question.context)
        + bytes(&question.secrets)
        + question.refresh_token.map_or(0, str::len)
        + question.username.map_or(0, str::len)
        + question.account.len();
    let mut text = Vec::with_capacity(6 * bytes + 256);
    // Strings and a number: JSON can say all of it, and a Vec takes all of it.
    let _written = serde_json::to_writer(&mut text, &question);
    Secret::new(String::from_utf8(text).unwrap_or_default())
}

#[derive(Serialize)]
struct Question<'a> {
    version: u8,
    action: Action,
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    context: Pairs<'a>,
    secrets: Pairs<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

/// The members of an object, in their order.
struct Pairs<'a>(Vec<(&'a str, &'a str)>);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
