//! A small gzip member (RFC 1952) that unfolds into a large one: blanks, then `{}`.
//!
//! No compressor is needed for that. One deflate block with the fixed codes (RFC 1951, 3.2.6)
//! holds a blank and then copies of it, 258 bytes in 13 bits.

/// A gzip member of `length` bytes of JSON: blanks, ended by `{}`. At least 260 bytes.
pub(crate) fn blanks(length: u64) -> Vec<u8> {
    let copies = length.saturating_sub(3) / 258;
    let singles = length.saturating_sub(2 + copies * 258).max(1);

    let mut bits = Bits::default();
    bits.lowest_first(0b011, 3); // the last block; fixed codes
    (0..singles).for_each(|_| bits.literal(b' '));
    (0..copies).for_each(|_| bits.copy_of_the_last());
    bits.literal(b'{');
    bits.literal(b'}');
    bits.code(0, 7); // end of block

    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    member.extend(bits.finish());
    let whole = singles + copies * 258 + 2;
    let spaces = (0..whole - 2).map(|_| b' ');
    member.extend(crc32(spaces.chain(*b"{}")).to_le_bytes());
    // The size field counts modulo 2^32 (RFC 1952, 2.3.1).
    member.extend(whole.to_le_bytes().iter().take(4));
    member
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    /// A byte up to 143 that stands for itself.
    fn literal(&mut self, byte: u8) {
        self.code(0x30 + u32::from(byte), 8);
    }

    /// 258 bytes from one byte back: length code 285, distance code 0.
    fn copy_of_the_last(&mut self) {
        self.code(0b1100_0101, 8);
        self.code(0, 5);
    }

    /// A Huffman code goes highest bit first (RFC 1951, 3.1.1).
    fn code(&mut self, code: u32, width: u32) {
        self.lowest_first(code.reverse_bits() >> (32 - width), width);
    }

    fn lowest_first(&mut self, bits: u32, width: u32) {
        self.pending |= bits << self.count;
        self.count += width;
        while self.count >= 8 {
            self.bytes.extend(self.pending.to_le_bytes().first());
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.extend(self.pending.to_le_bytes().first());
        }
        self.bytes
    }
}

fn crc32(bytes: impl Iterator<Item = u8>) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|index| {
        let start = u32::try_from(index).unwrap_or_default();
        (0..8)
            .fold(start, |rest, _| if rest & 1 == 1 { rest >> 1 ^ 0xEDB8_8320 } else { rest >> 1 })
    });
    !bytes.fold(u32::MAX, |crc, byte| {
        let slot = usize::from(crc.to_le_bytes()[0] ^ byte);
        table.get(slot).copied().unwrap_or_default() ^ crc >> 8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_gzip() {
        // The check value that every catalogue of CRCs gives for this one.
        assert_eq!(crc32(b"123456789".iter().copied()), 0xCBF4_3926);
    }

    #[test]
    fn a_member_is_small_and_announces_its_whole_length() {
        for length in [1024, 4096, 1_000_000] {
            let member = blanks(length);
            assert!(member.len() < usize::try_from(length).unwrap() / 3, "{length}");
            assert_eq!(&member[..3], [0x1f, 0x8b, 8]);
            let announced = u32::from_le_bytes(member[member.len() - 4..].try_into().unwrap());
            assert_eq!(u64::from(announced), length);
        }
    }

    #[test]
    fn a_known_member_comes_out_byte_for_byte() {
        // 3 blanks, one copy of 258 and `{}`; GNU gzip unfolds these bytes to that.
        let deflated = [0x53, 0x50, 0x50, 0x18, 0x05, 0xd5, 0xb5, 0x00];
        let checksum_and_length = [0x84, 0x10, 0xcc, 0xd1, 0x07, 0x01, 0x00, 0x00];
        assert_eq!(blanks(263)[10..], [deflated, checksum_and_length].concat());
    }
}
