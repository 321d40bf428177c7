//! The plaintext of a sealed generation: its dates, its tokens, its refresh token.
//!
//! A layout of our own instead of JSON, because it can be written into one buffer of the
//! right size and read without copies: a serializer's growing buffers and unescaped
//! strings would leave tokens behind in freed memory.
//!
//! Integers are big-endian; a text is its length in bytes (u32) and its UTF-8; what may be
//! absent begins with a byte that is 0 or 1. The first byte is the version of the layout.
//! Reading is total: what does not fit exactly is no body.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::time::Moment;
use crate::time::Timestamp;
use crate::token::Secret;
use crate::token::TokenSet;

const LAYOUT: u8 = 1;

/// When a generation was issued and until when it is good.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Dates {
    /// Wall-clock time at which the first byte of the request was sent.
    pub(super) wall: Timestamp,
    /// The same moment on the boot clock.
    pub(super) boot: Moment,
    /// The boot that `boot` counts from.
    pub(super) boot_id: Box<str>,
    /// How long the tokens are good, from then.
    pub(super) lifetime: Duration,
    /// When the refresh token dies, where the provider said so.
    pub(super) refresh_expires: Option<Timestamp>,
}

/// One generation, opened.
pub(super) struct Body {
    /// Its dates.
    pub(super) dates: Dates,
    /// What may be handed out.
    pub(super) tokens: Option<TokenSet>,
    /// What the next refresh spends.
    pub(super) refresh_token: Option<Secret>,
}

/// Writes a body.
pub(super) fn encode(
    dates: &Dates,
    tokens: Option<&TokenSet>,
    refresh_token: Option<&Secret>,
) -> Zeroizing<Vec<u8>> {
    let mut out = Writer(Zeroizing::new(Vec::with_capacity(size(dates, tokens, refresh_token))));
    out.bytes(&[LAYOUT]);
    out.bytes(&dates.wall.as_millis().to_be_bytes());
    out.bytes(&dates.boot.as_millis().to_be_bytes());
    out.text(&dates.boot_id);
    let lifetime_ms = u64::try_from(dates.lifetime.as_millis()).unwrap_or(u64::MAX);
    out.bytes(&lifetime_ms.to_be_bytes());
    out.presence(dates.refresh_expires.is_some());
    if let Some(time) = dates.refresh_expires {
        out.bytes(&time.as_millis().to_be_bytes());
    }
    out.presence(tokens.is_some());
    if let Some(TokenSet { access, id, token_type, scope }) = tokens {
        out.text(access.expose());
        out.optional(id.as_ref().map(Secret::expose));
        out.text(token_type);
        out.optional(scope.as_deref());
    }
    out.optional(refresh_token.map(Secret::expose));
    out.0
}

/// Reads a body. `None` if it is none.
pub(super) fn decode(plain: &[u8]) -> Option<Body> {
    let mut rest = Reader(plain);
    if rest.byte()? != LAYOUT {
        return None;
    }
    let dates = Dates {
        wall: Timestamp::from_millis(i64::from_be_bytes(rest.array()?)),
        boot: Moment::from_millis(u64::from_be_bytes(rest.array()?)),
        boot_id: rest.text()?.into(),
        lifetime: Duration::from_millis(u64::from_be_bytes(rest.array()?)),
        refresh_expires: match rest.is_present()? {
            true => Some(Timestamp::from_millis(i64::from_be_bytes(rest.array()?))),
            false => None,
        },
    };
    let tokens = match rest.is_present()? {
        true => Some(TokenSet {
            access: Secret::new(rest.text()?),
            id: rest.optional()?.map(Secret::new),
            token_type: rest.text()?.into(),
            scope: rest.optional()?.map(Into::into),
        }),
        false => None,
    };
    let refresh_token = rest.optional()?.map(Secret::new);
    rest.0.is_empty().then_some(Body { dates, tokens, refresh_token })
}

/// Room for a body, at least what it takes: 64 bytes cover every field of fixed length
/// and the lengths of the texts.
fn size(dates: &Dates, tokens: Option<&TokenSet>, refresh_token: Option<&Secret>) -> usize {
    let secret = |secret: &Secret| secret.expose().len();
    let tokens = tokens.map_or(0, |set| {
        secret(&set.access)
            + set.id.as_ref().map_or(0, secret)
            + set.token_type.len()
            + set.scope.as_deref().map_or(0, str::len)
    });
    64 + dates.boot_id.len() + tokens + refresh_token.map_or(0, secret)
}

struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Writes a text. Replies are capped at 256 KiB, so its length always fits.
    fn text(&mut self, text: &str) {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.bytes(&length.to_be_bytes());
        self.bytes(text.as_bytes());
    }

    fn presence(&mut self, present: bool) {
        self.bytes(&[u8::from(present)]);
    }

    fn optional(&mut self, text: Option<&str>) {
        self.presence(text.is_some());
        if let Some(text) = text {
            self.text(text);
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn is_present(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = u32::from_be_bytes(self.array()?);
        std::str::from_utf8(self.take(usize::try_from(length).ok()?)?).ok()
    }

    fn optional(&mut self) -> Option<Option<&'a str>> {
        Some(if self.is_present()? { Some(self.text()?) } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_a_body_reads_back_as_it_was_written() {
        for shape in 0..32 {
            let has = |bit: u32| shape & (1 << bit) != 0;
            let dates =
                Dates { refresh_expires: has(0).then_some(Timestamp::from_millis(-5)), ..dates() };
            let tokens = has(1).then(|| TokenSet {
                access: Secret::new("access"),
                id: has(2).then(|| Secret::new("id")),
                token_type: "Bearer".into(),
                scope: has(3).then(|| "a b".into()),
            });
            let refresh = has(4).then(|| Secret::new("r\"\\ü"));

            let plain = encode(&dates, tokens.as_ref(), refresh.as_ref());
            let read = decode(&plain).unwrap();

            assert_eq!(read.dates, dates);
            assert_eq!(read.refresh_token.map(exposed), refresh.map(exposed));
            let parts = |set: TokenSet| {
                (exposed(set.access), set.id.map(exposed), set.token_type, set.scope)
            };
            assert_eq!(read.tokens.map(parts), tokens.map(parts));
        }
    }

    #[test]
    fn the_buffer_never_grows_so_no_copy_of_a_token_stays_behind() {
        let tokens = TokenSet {
            access: Secret::new("a".repeat(5000)),
            id: Some(Secret::new("i".repeat(3000))),
            token_type: "Bearer".into(),
            scope: Some("s".repeat(100).into()),
        };
        let refresh = Secret::new("r".repeat(2000));
        let dates = Dates { refresh_expires: Some(Timestamp::default()), ..dates() };
        let room = size(&dates, Some(&tokens), Some(&refresh));
        let plain = encode(&dates, Some(&tokens), Some(&refresh));
        assert!(plain.len() <= room && plain.capacity() == room);
    }

    #[test]
    fn what_was_cut_or_extended_is_no_body() {
        let plain = encode(&dates(), None, Some(&Secret::new("refresh")));
        for length in 0..plain.len() {
            assert!(decode(&plain[..length]).is_none(), "cut to {length}");
        }
        let longer = [plain.as_slice(), &[0]].concat();
        assert!(decode(&longer).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes: Vec<u8>) {
            let layout_first = [&[LAYOUT][..], &bytes].concat();
            let _read = (decode(&bytes).is_some(), decode(&layout_first).is_some());
        }
    }

    fn dates() -> Dates {
        Dates {
            wall: Timestamp::from_millis(1_700_000_000_000),
            boot: Moment::from_millis(77),
            boot_id: "boot".into(),
            lifetime: Duration::from_secs(3600),
            refresh_expires: None,
        }
    }

    fn exposed(secret: Secret) -> String {
        secret.expose().to_owned()
    }
}
