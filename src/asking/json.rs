//! JSON text of a secret, written where no copy stays behind.
//!
//! A `Secret` has no `Serialize`, and a serializer's growing buffer would leave pieces of
//! it in freed memory. A [`Sheet`] has its whole room from the beginning and is wiped.

use bytes::Bytes;
use zeroize::Zeroizing;

/// Text being written, in room that is wiped when it goes.
pub struct Sheet(Zeroizing<Vec<u8>>);

impl Sheet {
    /// An empty sheet for at most `room` bytes.
    pub fn new(room: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(room)))
    }

    /// Writes JSON as it is.
    pub fn raw(&mut self, json: &str) -> &mut Self {
        debug_assert!(self.0.capacity() - self.0.len() >= json.len(), "the room was promised");
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    /// Writes `text` as a JSON string (RFC 8259 section 7), quotes included.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.raw("\"").inner(text).raw("\"")
    }

    /// Writes `text` as the inside of a JSON string.
    pub fn inner(&mut self, text: &str) -> &mut Self {
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| escape(byte).is_some()) {
            let (plain, special) = rest.split_at(at);
            let (special, after) = special.split_at(1);
            self.raw(plain);
            for byte in special.bytes() {
                match escape(byte) {
                    Some(Escape::Short(short)) => self.raw(short),
                    Some(Escape::Code) => self.raw(&format!("\\u{byte:04x}")),
                    None => self,
                };
            }
            rest = after;
        }
        self.raw(rest)
    }

    /// How much was written, in bytes.
    pub fn written(&self) -> usize {
        self.0.len()
    }

    /// What was written. Wiped when the last clone goes.
    pub fn finish(self) -> Bytes {
        Bytes::from_owner(self.0)
    }
}

/// Bytes that [`Sheet::inner`] writes for `text`.
pub fn inner_len(text: &str) -> usize {
    let more = |byte| match escape(byte) {
        Some(Escape::Short(short)) => short.len() - 1,
        Some(Escape::Code) => 5,
        None => 0,
    };
    text.len() + text.bytes().map(more).sum::<usize>()
}

enum Escape {
    Short(&'static str),
    Code,
}

/// How `byte` must be written in a string. Bytes of longer characters stand as they are.
const fn escape(byte: u8) -> Option<Escape> {
    match byte {
        b'"' => Some(Escape::Short("\\\"")),
        b'\\' => Some(Escape::Short("\\\\")),
        b'\n' => Some(Escape::Short("\\n")),
        b'\r' => Some(Escape::Short("\\r")),
        b'\t' => Some(Escape::Short("\\t")),
        0..0x20 => Some(Escape::Code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_text_is_read_back_by_a_parser_and_its_length_was_foretold(text: String) {
            let mut sheet = Sheet::new(inner_len(&text) + 2);
            sheet.text(&text);
            let written = sheet.finish();
            assert_eq!(written.len(), inner_len(&text) + 2);
            assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), text);
        }
    }

    #[test]
    fn every_control_character_is_escaped() {
        let all = (0..0x80_u8).map(char::from).collect::<String>();
        let mut sheet = Sheet::new(inner_len(&all) + 2);
        sheet.text(&all);
        let written = sheet.finish();
        assert!(written.iter().all(|byte| *byte >= 0x20));
        assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), all);
    }
}
