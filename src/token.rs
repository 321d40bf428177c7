//! Secrets and what a provider grants.
//!
//! A [`Secret`] has no `Debug`, no `Display` and no `Serialize`, so neither has
//! anything that holds one, unless it says by hand what may be seen.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use secrecy::SecretString;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// A text that must not be seen. Its memory is wiped when it goes.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a text in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text, for the wire, a seal or the terminal and nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// SHA-256 of the text.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.expose().as_bytes()).into()
    }

    /// What a refresh token is known by once it is spent: the first 128 bits of its SHA-256, in
    /// hex. No two refresh tokens of an account share them.
    pub fn mark(&self) -> Box<str> {
        /// Four bits each.
        const DIGITS: usize = 32;

        let mut mark = hex(&self.sha256());
        mark.truncate(DIGITS);
        mark.into()
    }

    /// Whether both are the same text, in a time that does not tell where they differ.
    pub fn same_as(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

/// The bytes of a hash as people and programs write it: two lower-case hex digits each.
///
/// It leaves copies of its digits behind: what must stay secret is not written by it.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).flatten().collect()
}

/// Counts the saved token sets of an account. It never restarts and never goes back.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which of an account's tokens is asked for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The access token of RFC 6749.
    Access,
    /// The OpenID Connect ID token.
    Id,
    /// AWS credentials that the provider derives from a sign-in.
    Aws,
}

impl Kind {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::Access, Self::Id, Self::Aws];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Id => "id",
            Self::Aws => "aws",
        }
    }
}

/// The tokens of one generation that local programs may have.
///
/// The refresh token is not among them: it rests in the store and is handed out
/// for one exchange at a time.
pub struct TokenSet {
    /// The access token of RFC 6749 section 5.1.
    pub access: Secret,
    /// The ID token, where the provider sends one.
    pub id: Option<Secret>,
    /// `token_type` as the provider spells it; `Bearer` where it says nothing.
    pub token_type: Box<str>,
    /// `scope` of the reply, where the provider sends one.
    pub scope: Option<Box<str>>,
}

impl TokenSet {
    /// The token of that kind, if the provider granted one.
    pub const fn get(&self, kind: Kind) -> Option<&Secret> {
        match kind {
            Kind::Access => Some(&self.access),
            Kind::Id => self.id.as_ref(),
            Kind::Aws => None,
        }
    }
}

/// What one successful exchange brought.
pub struct Grant {
    /// What may be handed out.
    pub tokens: Arc<TokenSet>,
    /// The new refresh token; `None` keeps the old one (RFC 6749 section 6).
    pub refresh_token: Option<Secret>,
    /// How long the tokens are good, counted from the first byte of the request.
    /// Zero means dead on arrival.
    pub lifetime: Duration,
    /// How long the refresh token is good, where the provider says so.
    pub refresh_lifetime: Option<Duration>,
    /// AWS credentials, which have a life of their own; `None` keeps those of the generation
    /// before.
    pub aws: Option<AwsGrant>,
    /// Whose tokens these are (`sub`), where the provider says so.
    pub subject: Option<Box<str>>,
}

/// AWS credentials and how long they are good.
#[derive(Clone)]
pub struct AwsGrant {
    /// What may be handed out.
    pub credentials: Arc<AwsCredentials>,
    /// How long, counted from the first byte of the request.
    pub lifetime: Duration,
}

/// Temporary AWS credentials.
pub struct AwsCredentials {
    /// `AccessKeyId`
    pub access_key_id: Secret,
    /// `SecretAccessKey`
    pub secret_access_key: Secret,
    /// `SessionToken`
    pub session_token: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_the_same_secret() {
        assert!(Secret::new("a").same_as(&Secret::new("a")));
        assert!(!Secret::new("a").same_as(&Secret::new("b")));
        assert!(!Secret::new("a").same_as(&Secret::new("aa")));
    }

    #[test]
    fn the_hash_is_the_one_that_everybody_computes() {
        // FIPS 180-2, B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&Secret::new("abc").sha256()), expected);
        assert_eq!(&*Secret::new("abc").mark(), "ba7816bf8f01cfea414140de5dae2223");
    }

    #[test]
    fn every_byte_is_two_digits() {
        assert_eq!(hex(&[]), "");
        assert_eq!(hex(&[0x00, 0x0f, 0xf0, 0xff]), "000ff0ff");
    }

    #[test]
    fn generations_never_wrap() {
        assert_eq!(Generation(u64::MAX).next(), Generation(u64::MAX));
    }
}
