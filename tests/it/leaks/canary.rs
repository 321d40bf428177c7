//! Secrets that are unique, in every spelling in which they could show up.
//!
//! A part of 16 bytes counts as the whole, for two reasons: a message may cap what it shows, and
//! an allocator writes its own lists over the beginning of what it takes back.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE;
use data_encoding::HEXLOWER;
use data_encoding::HEXUPPER;
use url::form_urlencoded;

/// What of a secret is looked for, in bytes: its last ones, and its first ones where no other
/// secret begins in the same way, as JWTs do.
const PART: usize = 16;

/// What every spelling is found by, in bytes.
const KEY: usize = 8;

/// What may be skipped at once, in bytes.
const PAGE: usize = 4096;

/// What sort of secret it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Sort {
    /// Of a provider's making, and for the daemon alone.
    RefreshToken,
    /// What programs are given: access and ID tokens, AWS credentials.
    Token,
    /// Client secrets, passwords, seeds.
    AccountSecret,
    /// What unwraps the store.
    StoreKey,
}

/// One secret.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Canary {
    /// What sort of secret it is.
    pub(super) sort: Sort,
    /// What it is called in a report.
    pub(super) name: String,
    /// The account whose provider is told it, or tells it.
    account: Option<&'static str>,
    text: Vec<u8>,
}

/// One place where a secret is.
pub(super) struct Find<'a> {
    /// Which.
    pub(super) canary: &'a Canary,
    /// How it is spelled there.
    spelling: &'static str,
    /// Where, in bytes from the beginning of what was searched.
    pub(super) at: usize,
    /// Whether it is its end as it is, of which each copy has one.
    pub(super) is_end: bool,
    around: String,
}

impl fmt::Display for Find<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Canary { sort, name, .. } = self.canary;
        write!(f, "{sort:?} {name}, {}, at {}: {}", self.spelling, self.at, self.around)
    }
}

/// A way to write a part of a secret.
struct Needle {
    text: Vec<u8>,
    spelling: &'static str,
    is_end: bool,
    /// Index of its canary.
    of: usize,
}

/// All secrets of a test, ready to be looked for.
pub(super) struct Canaries {
    canaries: Vec<Canary>,
    needles: Vec<Needle>,
    by_key: HashMap<[u8; KEY], Vec<usize>>,
    /// Whether a needle begins like this, by a hash of its first bytes. It spares nearly every
    /// place a look into the map.
    begins: Vec<bool>,
}

impl Canary {
    /// A secret of at least 16 bytes.
    pub(super) fn new(sort: Sort, name: &str, secret: impl AsRef<[u8]>) -> Self {
        let text = secret.as_ref().to_vec();
        assert!(text.len() >= PART, "{name} is too short to be unique");
        Self { sort, name: name.to_owned(), account: None, text }
    }

    /// One that the provider of this account may know.
    pub(super) fn of(self, account: &'static str) -> Self {
        Self { account: Some(account), ..self }
    }

    /// Whether the provider of that account may know it.
    pub(super) fn is_of(&self, account: &str) -> bool {
        self.account == Some(account)
    }

    /// Whether it is that text.
    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text.as_bytes()
    }
}

impl Canaries {
    /// Prepares the search for these.
    pub(super) fn new(canaries: impl IntoIterator<Item = Canary>) -> Self {
        let mut unique = BTreeMap::new();
        for canary in canaries {
            unique.entry(canary.text.clone()).or_insert(canary);
        }
        let canaries = unique.into_values().collect::<Vec<_>>();
        let mut heads = HashMap::<&[u8], usize>::new();
        for canary in &canaries {
            *heads.entry(&canary.text[..PART]).or_default() += 1;
        }
        let mut needles = Vec::new();
        for (of, canary) in canaries.iter().enumerate() {
            let text = &canary.text;
            let head = &text[..PART];
            let tail = &text[text.len() - PART..];
            let parts = [(heads[head] == 1).then_some(head), Some(tail)];
            for part in parts.into_iter().flatten() {
                let spelled = spellings(part).into_iter();
                needles.extend(spelled.map(|(spelling, text)| {
                    let is_end = text == tail;
                    Needle { text, spelling, is_end, of }
                }));
            }
        }
        let mut by_key = HashMap::<[u8; KEY], Vec<usize>>::new();
        let mut begins = vec![false; 1 << 16];
        for (at, needle) in needles.iter().enumerate() {
            let key = *needle.text.first_chunk().expect("no spelling is shorter");
            by_key.entry(key).or_default().push(at);
            begins[begin(&needle.text)] = true;
        }
        Self { canaries, needles, by_key, begins }
    }

    /// How many secrets of that sort there are.
    pub(super) fn count(&self, sort: Sort) -> usize {
        self.canaries.iter().filter(|canary| canary.sort == sort).count()
    }

    /// Every place of `hay` where there is one.
    pub(super) fn found_in(&self, hay: &[u8]) -> Vec<Find<'_>> {
        let mut found = Vec::new();
        let mut at = 0;
        while at + KEY <= hay.len() {
            let rest = &hay[at..];
            // Most of a memory was never written to.
            if rest.first_chunk() == Some(&[0; PAGE]) {
                at += PAGE;
                continue;
            }
            if self.begins[begin(rest)] {
                found.extend(self.found_at(at, hay));
            }
            at += 1;
        }
        found
    }

    fn found_at(&self, at: usize, hay: &[u8]) -> impl Iterator<Item = Find<'_>> {
        let rest = &hay[at..];
        let key: [u8; KEY] = *rest.first_chunk().expect("there are as many");
        let needles = self.by_key.get(&key).into_iter().flatten().map(move |at| &self.needles[*at]);
        needles.filter(move |needle| rest.starts_with(&needle.text)).map(move |needle| Find {
            canary: &self.canaries[needle.of],
            spelling: needle.spelling,
            at,
            is_end: needle.is_end,
            around: around(hay, at),
        })
    }
}

/// A number for the first three bytes.
fn begin(text: &[u8]) -> usize {
    let [a, b, c] = [text[0], text[1], text[2]].map(usize::from);
    (a << 8 | b) ^ c << 5
}

/// What stands there, for a report.
fn around(hay: &[u8], at: usize) -> String {
    let shown = &hay[at.saturating_sub(48)..hay.len().min(at + 48)];
    let shown =
        shown.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '·' });
    shown.collect()
}

/// Every way to write `part`, each once.
fn spellings(part: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = vec![("as it is", part.to_vec())];
    let mut add = |spelling, text: String| {
        if !all.iter().any(|(_, known)| *known == text.as_bytes()) {
            all.push((spelling, text.into_bytes()));
        }
    };
    if let Ok(text) = std::str::from_utf8(part) {
        let json = serde_json::to_string(text).unwrap();
        add("in JSON", json[1..json.len() - 1].to_owned());
        add("in Rust", text.escape_debug().to_string());
        add("in a form", form_urlencoded::byte_serialize(part).collect());
        let spaced = form_urlencoded::byte_serialize(part).collect::<String>();
        add("in a URL", spaced.replace('+', "%20"));
    }
    add("in hex", HEXLOWER.encode(part));
    add("in hex", HEXUPPER.encode(part));
    for (spelling, engine) in [("in base64", &STANDARD), ("in base64url", &URL_SAFE)] {
        // Three bytes are four characters, so what stands before it shifts it in three ways.
        for before in 0..3 {
            let mut shifted = vec![0; before];
            shifted.extend_from_slice(part);
            let whole = shifted.len() / 3 * 4;
            // Characters into which what stands before or after is mixed.
            let mixed = [0, 2, 3][before];
            add(spelling, engine.encode(&shifted)[mixed..whole].to_owned());
        }
    }
    all
}

mod tests {
    use super::*;

    const SECRET: &str = "ca\"nary of 24 bytes &/+é";

    #[test]
    fn a_secret_is_found_in_every_spelling_and_wherever_it_stands() {
        let canaries = Canaries::new([Canary::new(Sort::AccountSecret, "password", SECRET)]);
        let form = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect::<String>();
        let spelled = [
            SECRET.to_owned(),
            serde_json::to_string(SECRET).unwrap(),
            format!("{SECRET:?}"),
            form.clone(),
            form.replace('+', "%20"),
            HEXLOWER.encode(SECRET.as_bytes()),
            HEXUPPER.encode(SECRET.as_bytes()),
            STANDARD.encode(format!("a:{SECRET}b")),
            STANDARD.encode(format!("ab:{SECRET}b")),
            STANDARD.encode(format!("abc:{SECRET}b")),
            URL_SAFE.encode(format!("ab:{SECRET}b")),
        ];
        for text in &spelled {
            for before in 0..5 {
                let hay = format!("{}{text} and more", "x".repeat(before));
                let tails = canaries.found_in(hay.as_bytes());
                assert!(tails.len() >= 2, "{text}");
            }
            let cut = &text.as_bytes()[..text.len() * 3 / 4];
            assert_eq!(canaries.found_in(cut).len(), 1, "its beginning is enough: {text}");
        }
        assert!(canaries.found_in(b"a canary that is not of 24 bytes").is_empty());
    }
}
