//! Names that are parsed once and safe everywhere after.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The name of an account: `[a-z0-9][a-z0-9_-]{0,39}`.
///
/// No dot, because `ACCOUNT.KIND` is a credential id; nothing that a file name, a
/// unit name, a URL path or a log line would have to escape.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AccountId(Arc<str>);

/// What an account name must look like, for messages.
pub const ACCOUNT_NAME_RULE: &str =
    "1 to 40 of a-z, 0-9, '_' and '-', beginning with a letter or a digit";

/// The same as a regular expression (ECMA-262), for programs.
pub const ACCOUNT_NAME_PATTERN: &str = "^[a-z0-9][a-z0-9_-]{0,39}$";

impl AccountId {
    /// Longest name, in bytes.
    pub const MAX_LEN: usize = 40;

    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`BadName`] if `text` breaks [`ACCOUNT_NAME_RULE`].
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = text.len() <= Self::MAX_LEN
            && text.bytes().next().is_some_and(plain)
            && text.bytes().all(|byte| plain(byte) || byte == b'_' || byte == b'-');
        if fits { Ok(Self(text.into())) } else { Err(BadName) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for AccountId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A name that is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an account name is {ACCOUNT_NAME_RULE}")]
pub struct BadName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_paths_units_and_logs() {
        let longest = "a".repeat(AccountId::MAX_LEN);
        for good in ["mail", "a", "0", "my-mail_2", longest.as_str()] {
            assert_eq!(AccountId::parse(good).unwrap().as_str(), good);
        }
        let too_long = "a".repeat(AccountId::MAX_LEN + 1);
        for bad in ["", "-a", "_a", "A", "a.b", "a/b", "a b", "a\n", "ä", too_long.as_str()] {
            assert_eq!(AccountId::parse(bad), Err(BadName), "{bad:?}");
        }
    }
}
