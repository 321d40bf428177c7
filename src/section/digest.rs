//! A fingerprint of what a table says, however it is written.
//!
//! Order of keys, comments, quotes, escapes, bases of numbers and inline tables make no
//! difference. Each value goes in with its kind and its length, so that no two different
//! tables make one text.

use sha2::Digest;
use sha2::Sha256;
use toml::de::DeTable;
use toml::de::DeValue;

/// The fingerprint of all but the value of one key.
pub(super) fn of_all_but(left_out: &str, table: &DeTable<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    add_entries(&mut hash, table, |key| key != left_out);
    hash.finalize().into()
}

fn add_table(hash: &mut Sha256, table: &DeTable<'_>) {
    add_entries(hash, table, |_| true);
}

fn add_entries(hash: &mut Sha256, table: &DeTable<'_>, counts: impl Fn(&str) -> bool) {
    let entries = || table.iter().filter(|(key, _)| counts(key.get_ref()));
    begin(hash, b't', entries().count());
    for (key, value) in entries() {
        add_text(hash, b'k', key.get_ref());
        add_value(hash, value.get_ref());
    }
}

fn add_value(hash: &mut Sha256, value: &DeValue<'_>) {
    match value {
        DeValue::String(text) => add_text(hash, b's', text),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(whole) => add_text(hash, b'i', &whole.to_string()),
            Err(_) => add_text(hash, b'i', number.as_str()),
        },
        DeValue::Float(number) => add_text(hash, b'f', number.as_str()),
        DeValue::Boolean(flag) => begin(hash, b'b', usize::from(*flag)),
        DeValue::Datetime(date) => add_text(hash, b'd', &date.to_string()),
        DeValue::Array(items) => {
            begin(hash, b'a', items.len());
            for item in items {
                add_value(hash, item.get_ref());
            }
        }
        DeValue::Table(table) => add_table(hash, table),
    }
}

fn add_text(hash: &mut Sha256, kind: u8, text: &str) {
    begin(hash, kind, text.len());
    hash.update(text.as_bytes());
}

fn begin(hash: &mut Sha256, kind: u8, len: usize) {
    hash.update([kind]);
    hash.update(len.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_makes_no_difference_and_meaning_does() {
        let base = digest("a = 'x'\nb = 16\nc = { d = [1, 2], e = true }\n");
        #[rustfmt::skip]
        let cases = [
            // name                          same   text
            ("order, quotes and comments",   true,  "# new\nc = { e = true, d = [1,2] }\nb = 16 # x\na = \"\\u0078\""),
            ("base of a number, own table",  true,  "a = 'x'\nb = 0x10\n[c]\nd = [1, 2]\ne = true"),
            ("another string",               false, "a = 'y'\nb = 16\nc = { d = [1, 2], e = true }"),
            ("another number",               false, "a = 'x'\nb = 17\nc = { d = [1, 2], e = true }"),
            ("another kind",                 false, "a = 'x'\nb = '16'\nc = { d = [1, 2], e = true }"),
            ("another order in a list",      false, "a = 'x'\nb = 16\nc = { d = [2, 1], e = true }"),
            ("another flag",                 false, "a = 'x'\nb = 16\nc = { d = [1, 2], e = false }"),
            ("another level",                false, "a = 'x'\nb = 16\ne = true\nc = { d = [1, 2] }"),
            ("the key that is left out",     true,  "a = 'x'\nb = 16\nc = { d = [1, 2], e = true }\n[[hooks]]\nname = 'a'"),
            ("one key less",                 false, "a = 'x'\nc = { d = [1, 2], e = true }"),
        ];
        for (name, same, text) in cases {
            assert_eq!(digest(text) == base, same, "{name}");
        }
    }

    fn digest(text: &str) -> [u8; 32] {
        of_all_but("hooks", DeTable::parse(text).unwrap().get_ref())
    }
}
