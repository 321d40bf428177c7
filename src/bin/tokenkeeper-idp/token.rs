//! How tokens look, and how the provider recognises its own.
//!
//! A token carries what the provider must know about it (family, number, expiry) and a seal over
//! that, so no table of tokens is kept: ten thousand accounts that rotate for hours cost nothing
//! here. A token whose account, kind, length or text was changed does not open.
//!
//! The seal is a keyed SHA-256 cut to eight bytes: enough that no test guesses one by accident.
//! It is not meant to withstand anybody.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

/// Length of a sealed claim as text: 22 bytes in base64url.
const SEALED_CHARS: usize = 30;
/// Length of an opaque access token without filler; also the least that `token_bytes` may be.
pub(crate) const LEAST_TOKEN_BYTES: usize = ACCESS.len() + SEALED_CHARS;
/// How an opaque access token begins.
const ACCESS: &str = "at_";
/// How a refresh token begins.
const REFRESH: &str = "rt_";

/// What a token says about itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Claim {
    /// The login that the token comes from.
    pub(crate) family: u32,
    /// Generation of a refresh token; serial number of an access token within its account.
    pub(crate) number: u32,
    /// When it ends, in ms since the process started; below 2^48. Refresh tokens do not end (0).
    pub(crate) expires_ms: u64,
}

/// Makes and opens the tokens of this process.
#[derive(Debug)]
pub(crate) struct Mint {
    key: [u8; 32],
}

impl Mint {
    /// A mint whose tokens no other seed makes.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The refresh token of one generation.
    pub(crate) fn refresh(&self, account: &str, family: u32, generation: u32) -> String {
        let claim = Claim { family, number: generation, expires_ms: 0 };
        format!("{REFRESH}{}", self.seal(account, claim, REFRESH))
    }

    /// Family and generation of a refresh token that this mint made for `account`.
    pub(crate) fn open_refresh(&self, account: &str, token: &str) -> Option<Claim> {
        self.open(account, token.strip_prefix(REFRESH)?, REFRESH)
    }

    /// An opaque access token of `size` bytes, at least [`LEAST_TOKEN_BYTES`].
    pub(crate) fn access(&self, account: &str, claim: Claim, size: usize) -> String {
        let size = size.max(LEAST_TOKEN_BYTES);
        let sealed = self.seal(account, claim, &size.to_string());
        let mut token = format!("{ACCESS}{sealed}");
        token.extend(sealed.chars().cycle().take(size - LEAST_TOKEN_BYTES));
        token
    }

    /// An access token in the shape of a signed JWT (RFC 7519), padded to at least `size` bytes.
    pub(crate) fn access_jwt(
        &self,
        account: &str,
        claim: Claim,
        mut claims: Map<String, Value>,
        size: usize,
    ) -> String {
        let bare = self.jwt(account, claim, &claims);
        if let Some(missing) = size.checked_sub(bare.len()).filter(|missing| *missing > 0) {
            claims.insert("pad".to_owned(), Value::String("p".repeat(missing)));
            return self.jwt(account, claim, &claims);
        }
        bare
    }

    /// What an access token of either shape says, if this mint made it for `account`.
    pub(crate) fn open_access(&self, account: &str, token: &str) -> Option<Claim> {
        if let Some((text, sealed)) = token.rsplit_once('.') {
            return self.open(account, sealed, text);
        }
        let sealed = token.strip_prefix(ACCESS)?.get(..SEALED_CHARS)?;
        let claim = self.open(account, sealed, &token.len().to_string())?;
        (self.access(account, claim, token.len()) == token).then_some(claim)
    }

    /// A text that follows from its arguments and means nothing: 43 letters, digits, `-` and `_`.
    pub(crate) fn opaque(&self, account: &str, label: &str, number: u32) -> String {
        let parts = [b"opaque", account.as_bytes(), label.as_bytes(), &number.to_be_bytes()];
        URL_SAFE_NO_PAD.encode(self.digest(&parts))
    }

    /// A JWT that opens as nothing: an ID token.
    pub(crate) fn id_token(&self, account: &str, claims: &Map<String, Value>) -> String {
        let text = jwt_text(claims);
        let seal = self.digest(&[b"id", account.as_bytes(), text.as_bytes()]);
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(seal))
    }

    /// A JWT of one kind, which opens as that kind only.
    pub(crate) fn sealed_jwt(
        &self,
        account: &str,
        kind: &str,
        claim: Claim,
        claims: &Map<String, Value>,
    ) -> String {
        let text = jwt_text(claims);
        let sealed = self.seal(account, claim, &format!("{kind} {text}"));
        format!("{text}.{sealed}")
    }

    /// What a JWT of one kind says, if this mint made it for `account`.
    pub(crate) fn open_jwt(&self, account: &str, kind: &str, token: &str) -> Option<Claim> {
        let (text, sealed) = token.rsplit_once('.')?;
        self.open(account, sealed, &format!("{kind} {text}"))
    }

    /// Six digits that follow from the arguments.
    pub(crate) fn digits(&self, account: &str, label: &str, number: u32) -> String {
        let parts = [b"digits", account.as_bytes(), label.as_bytes(), &number.to_be_bytes()];
        let digest = self.digest(&parts);
        let number = digest.iter().take(4).fold(0, |sum: u32, byte| sum << 8 | u32::from(*byte));
        format!("{:06}", number % 1_000_000)
    }

    fn jwt(&self, account: &str, claim: Claim, claims: &Map<String, Value>) -> String {
        let text = jwt_text(claims);
        let sealed = self.seal(account, claim, &text);
        format!("{text}.{sealed}")
    }

    fn seal(&self, account: &str, claim: Claim, text: &str) -> String {
        let mut bytes = Vec::with_capacity(22);
        bytes.extend(claim.family.to_be_bytes());
        bytes.extend(claim.number.to_be_bytes());
        bytes.extend(claim.expires_ms.to_be_bytes().iter().skip(2));
        let seal = self.digest(&[b"token", account.as_bytes(), &bytes, text.as_bytes()]);
        bytes.extend(seal.iter().take(8));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn open(&self, account: &str, sealed: &str, text: &str) -> Option<Claim> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (family, rest) = bytes.split_first_chunk::<4>()?;
        let (number, rest) = rest.split_first_chunk::<4>()?;
        let (ends, _seal) = rest.split_first_chunk::<6>()?;
        let claim = Claim {
            family: u32::from_be_bytes(*family),
            number: u32::from_be_bytes(*number),
            expires_ms: ends.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        (self.seal(account, claim, text) == sealed).then_some(claim)
    }

    fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(self.key);
        for part in parts {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// The first 8 bytes of the SHA-256 of a token: how the ledger names it without repeating it.
pub(crate) fn fingerprint(token: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(token).into();
    digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn jwt_text(claims: &Map<String, Value>) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT"}).to_string();
    let payload = Value::Object(claims.clone()).to_string();
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_as_what_was_sealed_in_it() {
        let mint = mint();
        assert_eq!(mint.open_refresh("a", &mint.refresh("a", 3, 9)), Some(claim(3, 9, 0)));
        for size in [0, 40, 1000] {
            let claim = claim(1, 2, (1 << 48) - 1);
            let token = mint.access("a", claim, size);
            assert_eq!(token.len(), size.max(LEAST_TOKEN_BYTES));
            assert_eq!(mint.open_access("a", &token), Some(claim), "{size}");
        }
    }

    #[test]
    fn a_token_opens_for_nobody_else() {
        let mint = mint();
        let access = mint.access("a", claim(1, 2, 3), 60);
        let refresh = mint.refresh("a", 1, 2);

        #[rustfmt::skip]
        let cases = [
            ("another account",     mint.open_access("b", &access)),
            ("another mint",        Mint::new([8; 32]).open_access("a", &access)),
            ("cut short",           mint.open_access("a", &access[..59])),
            ("longer",              mint.open_access("a", &format!("{access}A"))),
            ("filler changed",      mint.open_access("a", &format!("{}!", &access[..59]))),
            ("refresh as access",   mint.open_access("a", &refresh)),
            ("access as refresh",   mint.open_refresh("a", &access)),
            ("nothing",             mint.open_access("a", "")),
        ];
        for (name, opened) in cases {
            assert_eq!(opened, None, "{name}");
        }
    }

    #[test]
    fn a_jwt_has_three_parts_carries_its_claims_and_opens() {
        let mint = mint();
        let claims = Map::from_iter([("sub".to_owned(), json!("pat"))]);
        let token = mint.access_jwt("a", claim(1, 2, 3), claims, 500);

        assert!(token.len() >= 500);
        assert_eq!(mint.open_access("a", &token), Some(claim(1, 2, 3)));
        let payload = token.split('.').nth(1).unwrap();
        let payload: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        assert_eq!(payload["sub"], "pat");
    }

    #[test]
    fn a_sealed_jwt_opens_as_its_own_kind_only() {
        let mint = mint();
        let token = mint.sealed_jwt("a", "id", claim(1, 2, 3), &Map::new());
        assert_eq!(mint.open_jwt("a", "id", &token), Some(claim(1, 2, 3)));
        assert_eq!(mint.open_jwt("a", "refresh", &token), None);
        assert_eq!(mint.open_jwt("b", "id", &token), None);
        assert_eq!(mint.open_access("a", &token), None);
    }

    #[test]
    fn an_id_token_is_no_access_token() {
        let mint = mint();
        assert_eq!(mint.open_access("a", &mint.id_token("a", &Map::new())), None);
    }

    #[test]
    fn a_fingerprint_is_the_head_of_the_sha_256() {
        // SHA-256 of "abc", FIPS 180-2 appendix B.1.
        assert_eq!(fingerprint("abc"), 0xba78_16bf_8f01_cfea);
    }

    fn mint() -> Mint {
        Mint::new([7; 32])
    }

    fn claim(family: u32, number: u32, expires_ms: u64) -> Claim {
        Claim { family, number, expires_ms }
    }
}
