//! The plaintext of a sealed generation: its dates, its tokens, its refresh token.
//!
//! A layout of our own instead of JSON, because it can be written into one buffer of the
//! right size and read without copies: a serializer's growing buffers and unescaped
//! strings would leave tokens behind in freed memory.
//!
//! Integers are big-endian; a text is its length in bytes (u32) and its UTF-8; what may be
//! absent begins with a byte that is 0 or 1. The first byte is the version of the layout.
//! Reading is total: what does not fit exactly is no body.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::time::Moment;
use crate::time::Timestamp;
use crate::token::AwsCredentials;
use crate::token::Secret;
use crate::token::TokenSet;

const LAYOUT: u8 = 1;

/// When a generation was issued and until when it is good.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dates {
    /// Wall-clock time at which the first byte of the request was sent.
    pub wall: Timestamp,
    /// The same moment on the boot clock.
    pub boot: Moment,
    /// The boot that `boot` counts from.
    pub boot_id: Box<str>,
    /// How long the tokens are good, from then.
    pub lifetime: Duration,
}

/// AWS credentials and when they were issued.
#[derive(Clone)]
pub struct Aws {
    /// Their dates.
    pub dates: Dates,
    /// What may be handed out.
    pub credentials: Arc<AwsCredentials>,
}

/// One generation, opened.
pub struct Body {
    /// Its dates.
    pub dates: Dates,
    /// What may be handed out.
    pub tokens: Option<TokenSet>,
    /// AWS credentials, which may be older than the tokens.
    pub aws: Option<Aws>,
    /// What the next refresh spends.
    pub refresh_token: Option<Secret>,
}

/// One generation to be written.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// Its dates.
    pub dates: &'a Dates,
    /// What may be handed out.
    pub tokens: Option<&'a TokenSet>,
    /// AWS credentials.
    pub aws: Option<&'a Aws>,
    /// What the next refresh spends.
    pub refresh_token: Option<&'a Secret>,
}

/// Writes a body.
pub fn encode(parts: Parts<'_>) -> Zeroizing<Vec<u8>> {
    let mut out = Writer(Zeroizing::new(Vec::with_capacity(size(parts))));
    out.bytes(&[LAYOUT]);
    out.dates(parts.dates);
    out.presence(parts.tokens.is_some());
    if let Some(TokenSet { access, id, token_type, scope }) = parts.tokens {
        out.text(access.expose());
        out.optional(id.as_ref().map(Secret::expose));
        out.text(token_type);
        out.optional(scope.as_deref());
    }
    out.presence(parts.aws.is_some());
    if let Some(Aws { dates, credentials }) = parts.aws {
        out.dates(dates);
        out.text(credentials.access_key_id.expose());
        out.text(credentials.secret_access_key.expose());
        out.text(credentials.session_token.expose());
    }
    out.optional(parts.refresh_token.map(Secret::expose));
    out.0
}

/// Reads a body. `None` if it is none.
pub fn decode(plain: &[u8]) -> Option<Body> {
    let mut rest = Reader(plain);
    if rest.byte()? != LAYOUT {
        return None;
    }
    let dates = rest.dates()?;
    let tokens = match rest.is_present()? {
        true => Some(TokenSet {
            access: Secret::new(rest.text()?),
            id: rest.optional()?.map(Secret::new),
            token_type: rest.text()?.into(),
            scope: rest.optional()?.map(Into::into),
        }),
        false => None,
    };
    let aws = match rest.is_present()? {
        true => Some(Aws {
            dates: rest.dates()?,
            credentials: Arc::new(AwsCredentials {
                access_key_id: Secret::new(rest.text()?),
                secret_access_key: Secret::new(rest.text()?),
                session_token: Secret::new(rest.text()?),
            }),
        }),
        false => None,
    };
    let refresh_token = rest.optional()?.map(Secret::new);
    rest.0.is_empty().then_some(Body { dates, tokens, aws, refresh_token })
}

/// Room for a body, at least what it takes: 128 bytes cover every field of fixed length
/// and the lengths of the texts.
fn size(parts: Parts<'_>) -> usize {
    let secret = |secret: &Secret| secret.expose().len();
    let tokens = parts.tokens.map_or(0, |set| {
        secret(&set.access)
            + set.id.as_ref().map_or(0, secret)
            + set.token_type.len()
            + set.scope.as_deref().map_or(0, str::len)
    });
    let aws = parts.aws.map_or(0, |aws| {
        aws.dates.boot_id.len()
            + secret(&aws.credentials.access_key_id)
            + secret(&aws.credentials.secret_access_key)
            + secret(&aws.credentials.session_token)
    });
    128 + parts.dates.boot_id.len() + tokens + aws + parts.refresh_token.map_or(0, secret)
}

/// Writes fields one after the other.
pub(super) struct Writer(pub(super) Zeroizing<Vec<u8>>);

impl Writer {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Writes a text. Replies are capped at 256 KiB, so its length always fits.
    pub(super) fn text(&mut self, text: &str) {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.bytes(&length.to_be_bytes());
        self.bytes(text.as_bytes());
    }

    /// Writes bytes with their length, which fits for the same reason.
    pub(super) fn blob(&mut self, blob: &[u8]) {
        let length = u32::try_from(blob.len()).unwrap_or(u32::MAX);
        self.bytes(&length.to_be_bytes());
        self.bytes(blob);
    }

    fn dates(&mut self, dates: &Dates) {
        self.bytes(&dates.wall.as_millis().to_be_bytes());
        self.bytes(&dates.boot.as_millis().to_be_bytes());
        self.text(&dates.boot_id);
        let lifetime_ms = u64::try_from(dates.lifetime.as_millis()).unwrap_or(u64::MAX);
        self.bytes(&lifetime_ms.to_be_bytes());
    }

    pub(super) fn presence(&mut self, present: bool) {
        self.bytes(&[u8::from(present)]);
    }

    pub(super) fn optional(&mut self, text: Option<&str>) {
        self.presence(text.is_some());
        if let Some(text) = text {
            self.text(text);
        }
    }
}

/// Reads fields one after the other; what is left is there to see.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn dates(&mut self) -> Option<Dates> {
        Some(Dates {
            wall: Timestamp::from_millis(i64::from_be_bytes(self.array()?)),
            boot: Moment::from_millis(u64::from_be_bytes(self.array()?)),
            boot_id: self.text()?.into(),
            lifetime: Duration::from_millis(u64::from_be_bytes(self.array()?)),
        })
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn is_present(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.blob()?).ok()
    }

    pub(super) fn blob(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(self.array()?);
        self.take(usize::try_from(length).ok()?)
    }

    pub(super) fn optional(&mut self) -> Option<Option<&'a str>> {
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
            let aws = has(0).then(aws);
            let tokens = has(1).then(|| TokenSet {
                access: Secret::new("access"),
                id: has(2).then(|| Secret::new("id")),
                token_type: "Bearer".into(),
                scope: has(3).then(|| "a b".into()),
            });
            let refresh = has(4).then(|| Secret::new("r\"\\ü"));

            let plain = encode(Parts {
                dates: &dates(),
                tokens: tokens.as_ref(),
                aws: aws.as_ref(),
                refresh_token: refresh.as_ref(),
            });
            let read = decode(&plain).unwrap();

            assert_eq!(read.dates, dates());
            assert_eq!(read.refresh_token.map(exposed), refresh.map(exposed));
            let parts = |set: TokenSet| {
                (exposed(set.access), set.id.map(exposed), set.token_type, set.scope)
            };
            assert_eq!(read.tokens.map(parts), tokens.map(parts));
            let parts = |Aws { dates, credentials }: Aws| {
                let AwsCredentials { access_key_id, secret_access_key, session_token } =
                    Arc::into_inner(credentials).unwrap();
                (dates, [access_key_id, secret_access_key, session_token].map(exposed))
            };
            assert_eq!(read.aws.map(parts), aws.map(parts));
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
        let (dates, aws) = (dates(), aws());
        let parts = Parts {
            dates: &dates,
            tokens: Some(&tokens),
            aws: Some(&aws),
            refresh_token: Some(&refresh),
        };
        let room = size(parts);
        let plain = encode(parts);
        assert!(plain.len() <= room && plain.capacity() == room);
    }

    #[test]
    fn what_was_cut_or_extended_is_no_body() {
        let refresh = Secret::new("refresh");
        let parts =
            Parts { dates: &dates(), tokens: None, aws: None, refresh_token: Some(&refresh) };
        let plain = encode(parts);
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
        }
    }

    fn aws() -> Aws {
        Aws {
            dates: Dates { lifetime: Duration::from_secs(900), ..dates() },
            credentials: Arc::new(AwsCredentials {
                access_key_id: Secret::new("AKIA"),
                secret_access_key: Secret::new("s".repeat(40)),
                session_token: Secret::new("t".repeat(1000)),
            }),
        }
    }

    fn exposed(secret: Secret) -> String {
        secret.expose().to_owned()
    }
}
