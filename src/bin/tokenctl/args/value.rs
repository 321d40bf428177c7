//! Values of the command line, parsed once. The daemon looks at each again.

use std::str::FromStr;
use std::time::Duration;

use tokenkeeper::limits;
use tokenkeeper::name::ACCOUNT_NAME_RULE;
use tokenkeeper::name::AccountId;
use tokenkeeper::snapshot::LONGEST_WAIT;
use tokenkeeper::time::parse_span;

use crate::format::json::BadPointer;
use crate::format::json::Pointer;
use crate::format::template::BadTemplate;
use crate::format::template::Template;

/// A place for one secret of one account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Slot {
    /// The account.
    pub(crate) account: AccountId,
    /// The slot's name; the daemon knows which an account has.
    pub(crate) name: String,
}

/// The name of an account.
pub(super) fn account(text: &str) -> Result<AccountId, BadValue> {
    AccountId::parse(text).map_err(|_| BadValue::Account)
}

/// A span of time.
pub(super) fn span(text: &str) -> Result<Duration, BadValue> {
    parse_span(text).ok_or(BadValue::Span)
}

/// A span that one request may wait.
pub(super) fn wait(text: &str) -> Result<Duration, BadValue> {
    let wait = span(text)?;
    if wait > LONGEST_WAIT { Err(BadValue::Wait) } else { Ok(wait) }
}

/// A number without a sign.
pub(super) fn number<T: FromStr>(text: &str) -> Result<T, BadValue> {
    // A sign is no part of a number that counts.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(BadValue::Number)
}

/// `ACCOUNT.SLOT`.
pub(super) fn slot(text: &str) -> Result<Slot, BadValue> {
    let (account, name) = text.split_once('.').ok_or(BadValue::Slot)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let account = AccountId::parse(account).map_err(|_| BadValue::Slot)?;
    if (1..=limits::SLOT).contains(&name.len()) && name.bytes().all(plain) {
        Ok(Slot { account, name: name.into() })
    } else {
        Err(BadValue::Slot)
    }
}

/// A place in a JSON file.
pub(super) fn pointer(text: &str) -> Result<Pointer, BadPointer> {
    text.parse()
}

/// A template of a file.
pub(super) fn template(text: &str) -> Result<Template, BadTemplate> {
    text.parse()
}

/// Permissions of a file that holds a token: read and write, in octal digits.
pub(super) fn mode(text: &str) -> Result<u32, BadValue> {
    /// Reading and writing by the owner, reading by the group and by everyone.
    const SENSIBLE: u32 = 0o644;

    let mode = u32::from_str_radix(text, 8).map_err(|_| BadValue::Mode)?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && mode & !SENSIBLE == 0 && mode & 0o400 != 0 {
        Ok(mode)
    } else {
        Err(BadValue::Mode)
    }
}

/// Why a value is none, completing the sentence "VALUE is …".
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum BadValue {
    /// Of an account.
    #[error("no account name, which is {ACCOUNT_NAME_RULE}")]
    Account,
    /// Of a span.
    #[error("no span of time; write one number with its unit, as 90s, 5m, 12h or 7d")]
    Span,
    /// Of `--wait`.
    #[error(
        "longer than the {}s that one request may wait; \"tokenctl wait\" waits longer",
        LONGEST_WAIT.as_secs()
    )]
    Wait,
    /// Of a generation or a user id.
    #[error("no number that fits")]
    Number,
    /// Of a slot.
    #[error("no slot; write it as ACCOUNT.SLOT, for example mail.client_secret")]
    Slot,
    /// Of permissions.
    #[error(
        "no sensible mode of a file with a token in it, which is 0400 to 0644 and runs nothing"
    )]
    Mode,
}
