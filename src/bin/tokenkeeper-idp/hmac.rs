//! HMAC (RFC 2104) over a hash with blocks of 64 bytes, as SHA-1 and SHA-256 are.
//!
//! Written out here, so that the provider under which the daemon is tested does not share its
//! arithmetic with it.

use sha2::Digest;
use sha2::Sha256;

/// Length of a block of either hash, in bytes.
const BLOCK: usize = 64;

/// The HMAC of `message` under `key`.
pub(crate) fn hmac<const N: usize>(
    hash: fn(&[u8]) -> [u8; N],
    key: &[u8],
    message: &[u8],
) -> [u8; N] {
    let short = if key.len() > BLOCK { hash(key).to_vec() } else { key.to_vec() };
    let pad = |byte: u8| {
        let mut block = [byte; BLOCK];
        block.iter_mut().zip(&short).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = hash(&[pad(0x36).as_slice(), message].concat());
    hash(&[pad(0x5c).as_slice(), &inner].concat())
}

/// SHA-256 (FIPS 180-4).
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4231_come_out() {
        #[rustfmt::skip]
        let cases: [(&[u8], &[u8], [u8; 4]); 3] = [
            (&[0x0b; 20],  b"Hi There",                     [0xb0, 0x34, 0x4c, 0x61]),
            (b"Jefe",      b"what do ya want for nothing?", [0x5b, 0xdc, 0xc1, 0x46]),
            (&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First",
                                                            [0x60, 0xe4, 0x31, 0x59]),
        ];
        for (key, message, head) in cases {
            assert_eq!(hmac(sha256, key, message)[..4], head);
        }
    }
}
