//! One-time codes that follow from the time (RFC 6238): SHA-1, 30 s, six digits.

use std::time::Duration;

use serde::Deserialize;

use crate::hmac::hmac;
use crate::service::kasa_monitor::sha1::sha1;

/// Length of a time step, in seconds.
const STEP: u64 = 30;
/// Steps before and after the present one whose codes are taken too.
const SLACK: u64 = 1;
/// The alphabet of base32 (RFC 4648, 6).
const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The key that user and server share.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct TotpSecret(Vec<u8>);

/// Why a key cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("expected a TOTP secret in base32: letters A to Z and digits 2 to 7")]
pub(crate) struct BadSecret;

impl TryFrom<String> for TotpSecret {
    type Error = BadSecret;

    fn try_from(text: String) -> Result<Self, BadSecret> {
        let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0_u32);
        for char in text.chars().filter(|char| !matches!(char, ' ' | '=' | '-')) {
            let digit = ALPHABET.find(char.to_ascii_uppercase()).ok_or(BadSecret)?;
            bits = (bits << 5 | u32::try_from(digit).map_err(|_| BadSecret)?) & 0xFFF;
            count += 5;
            if count >= 8 {
                count -= 8;
                let [.., byte] = (bits >> count).to_be_bytes();
                bytes.push(byte);
            }
        }
        if bytes.is_empty() { Err(BadSecret) } else { Ok(Self(bytes)) }
    }
}

impl TotpSecret {
    /// Whether `code` is good at `unix`, or was so one step ago, or will be one step ahead.
    pub(super) fn admits(&self, code: &str, unix: Duration) -> bool {
        let step = unix.as_secs() / STEP;
        let steps = step.saturating_sub(SLACK)..=step.saturating_add(SLACK);
        steps.into_iter().any(|step| self.code(step) == code)
    }

    /// The code of one time step (RFC 4226, 5.3).
    fn code(&self, step: u64) -> String {
        let digest = hmac(sha1, &self.0, &step.to_be_bytes());
        let [.., last] = digest;
        let word = digest.iter().skip(usize::from(last & 0x0F)).take(4);
        let word = word.fold(0, |sum: u32, byte| sum << 8 | u32::from(*byte));
        format!("{:06}", (word & 0x7FFF_FFFF) % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_6238_come_out() {
        // Appendix B; its eight digits end in these six.
        #[rustfmt::skip]
        let cases = [
            (59,             "287082"),
            (1_111_111_109,  "081804"),
            (1_111_111_111,  "050471"),
            (1_234_567_890,  "005924"),
            (2_000_000_000,  "279037"),
            (20_000_000_000, "353130"),
        ];
        for (at, code) in cases {
            assert_eq!(secret().code(at / STEP), code, "at {at} s");
        }
    }

    #[test]
    fn a_code_is_good_one_step_early_and_one_step_late() {
        let code = secret().code(10);
        #[rustfmt::skip]
        let cases = [(269, false), (270, true), (300, true), (359, true), (360, false)];
        for (at, good) in cases {
            assert_eq!(secret().admits(&code, Duration::from_secs(at)), good, "at {at} s");
        }
    }

    #[test]
    fn a_secret_is_base32_however_it_is_grouped() {
        let read = |text: &str| TotpSecret::try_from(text.to_owned()).map(|secret| secret.0);
        assert_eq!(read("mzxw 6ytb oi======").unwrap(), b"foobar");
        for wrong in ["", "=", "0189", "MZXW6!"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    /// The key of RFC 6238, appendix B, for SHA-1.
    fn secret() -> TotpSecret {
        TotpSecret::try_from("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".to_owned()).unwrap()
    }
}
