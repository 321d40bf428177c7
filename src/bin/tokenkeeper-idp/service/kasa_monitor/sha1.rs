//! SHA-1 (RFC 3174), which TOTP still rests on. Written out here because nothing else needs it.

/// Words of one block after expansion.
const ROUNDS: usize = 80;

/// The SHA-1 of `message`.
pub(super) fn sha1(message: &[u8]) -> [u8; 20] {
    let bits = u64::try_from(message.len()).unwrap_or(u64::MAX).saturating_mul(8);
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend(bits.to_be_bytes());

    let mut state = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0_u32];
    for block in padded.chunks_exact(64) {
        state = mixed(state, block);
    }
    let mut digest = [0; 20];
    let bytes = state.into_iter().flat_map(u32::to_be_bytes);
    digest.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = byte);
    digest
}

fn mixed(state: [u32; 5], block: &[u8]) -> [u32; 5] {
    let [mut a, mut b, mut c, mut d, mut e] = state;
    for (round, word) in expanded(block).into_iter().enumerate() {
        let (choice, constant) = match round {
            0..20 => ((b & c) | (!b & d), 0x5A82_7999),
            20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
            40..60 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC),
            _ => (b ^ c ^ d, 0xCA62_C1D6_u32),
        };
        let next = a.rotate_left(5).wrapping_add(choice).wrapping_add(e);
        let next = next.wrapping_add(word).wrapping_add(constant);
        (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
    }
    let mut sums = state;
    sums.iter_mut().zip([a, b, c, d, e]).for_each(|(sum, word)| *sum = sum.wrapping_add(word));
    sums
}

fn expanded(block: &[u8]) -> Vec<u32> {
    let word = |bytes: &[u8]| bytes.iter().fold(0, |sum: u32, byte| sum << 8 | u32::from(*byte));
    let mut words = block.chunks_exact(4).map(word).collect::<Vec<_>>();
    while words.len() < ROUNDS {
        let ago = |back: usize| words.get(words.len() - back).copied().unwrap_or_default();
        let next = ago(3) ^ ago(8) ^ ago(14) ^ ago(16);
        words.push(next.rotate_left(1));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_3174_come_out() {
        let long = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        let many = "a".repeat(1_000_000);
        #[rustfmt::skip]
        let cases = [
            ("abc",         "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (long,          "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
            (many.as_str(), "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
        ];
        for (message, digest) in cases {
            let got = sha1(message.as_bytes()).map(|byte| format!("{byte:02x}")).concat();
            assert_eq!(got, digest);
        }
    }
}
