//! One-time codes from the time of day: RFC 6238 with HMAC-SHA-1, six digits and steps of
//! 30 s, which is what authenticator programs and this server take for granted.

use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use super::TOTP;
use crate::error::RefreshError;
use crate::time::Timestamp;
use crate::token::Secret;

/// RFC 6238 section 4.1: `X`, in seconds.
const STEP_SECS: i64 = 30;

/// The code of `now`. The seed is base32 (RFC 4648 section 6), as the server shows it when a
/// user sets the second factor up; case, spaces, dashes and padding do not count.
pub(super) fn code(seed: &Secret, now: Timestamp) -> Result<Secret, RefreshError> {
    let key = key(seed).ok_or_else(|| RefreshError::SecretUnavailable {
        slot: TOTP.into(),
        why: NO_BASE32.into(),
    })?;
    let counter = now.as_secs().max(0) / STEP_SECS;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let mac = hmac::sign(&key, &counter.to_be_bytes());
    Ok(Secret::new(format!("{:06}", truncated(mac.as_ref()) % 1_000_000)))
}

const NO_BASE32: &str = "it is no base32, which a seed of one-time codes is";

/// What is wrong with a seed.
pub(super) fn flaw(seed: &Secret) -> Option<&'static str> {
    key(seed).is_none().then_some(NO_BASE32)
}

/// RFC 4226 section 5.3: 31 bits from the place that the last four bits name.
fn truncated(mac: &[u8]) -> u32 {
    let at = mac.last().map_or(0, |last| usize::from(last & 0x0f));
    let word = mac.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
    u32::from_be_bytes(word) & 0x7fff_ffff
}

fn key(seed: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    let text = seed.expose().trim_end_matches('=').bytes();
    let plain = text.filter(|byte| !b" -".contains(byte)).map(|byte| byte.to_ascii_uppercase());
    let plain = Zeroizing::new(plain.collect::<Vec<_>>());
    BASE32_NOPAD.decode(&plain).ok().map(Zeroizing::new).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, of whose eight digits six are taken.
    #[test]
    fn what_is_no_base32_is_no_seed() {
        assert_eq!(flaw(&Secret::new(SEED)), None);
        assert_eq!(flaw(&Secret::new("notbase32!!")), Some(NO_BASE32));
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        #[rustfmt::skip]
        let cases = [
            (59,             "287082"),
            (1_111_111_109,  "081804"),
            (1_111_111_111,  "050471"),
            (1_234_567_890,  "005924"),
            (2_000_000_000,  "279037"),
            (20_000_000_000, "353130"),
        ];
        for (secs, expected) in cases {
            let code = code(&Secret::new(SEED), Timestamp::from_millis(secs * 1000)).unwrap();
            assert_eq!(code.expose(), expected, "{secs}");
        }
    }

    #[test]
    fn a_seed_is_read_as_people_write_it() {
        let now = Timestamp::from_millis(59_000);
        for seed in [
            "gezdgnbvgy3tqojqgezdgnbvgy3tqojq",
            "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ",
            "GEZD-GNBV-GY3T-QOJQ-GEZD-GNBV-GY3T-QOJQ====",
        ] {
            assert_eq!(code(&Secret::new(seed), now).unwrap().expose(), "287082", "{seed}");
        }
    }

    #[test]
    fn what_is_no_seed_is_said_without_showing_it() {
        for seed in ["", "====", "hunter1!", "otpauth://totp/x", "GEZDGNBV1"] {
            let Err(error) = code(&Secret::new(seed), Timestamp::default()) else {
                panic!("{seed}")
            };
            let words = "secret totp is not available: it is no base32, which a seed of one-time \
                         codes is";
            assert_eq!(error.to_string(), words, "{seed}");
        }
    }

    #[test]
    fn a_clock_before_the_epoch_is_no_panic() {
        assert!(code(&Secret::new(SEED), Timestamp::from_millis(i64::MIN)).is_ok());
    }

    const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
}
