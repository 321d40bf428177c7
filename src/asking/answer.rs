//! `TokenAnswer` as text, written where no copy of the token stays behind.
//!
//! Of all that it says, only `ttl` changes between two snapshots, so it comes in two pieces with
//! that number between them.

use std::ops::Range;

use bytes::Bytes;

use crate::asking::json::Sheet;
use crate::asking::json::inner_len;
use crate::name::AccountId;
use crate::protocol::error::ErrorBody;
use crate::provider::Header;
use crate::snapshot::Held;
use crate::snapshot::Snapshot;
use crate::token::Kind;
use crate::token::Secret;

/// The JSON text up to the number after `"ttl":`, and where it has the token.
pub struct Front {
    /// The text.
    pub json: Bytes,
    /// Where it has the token.
    pub token_at: Range<usize>,
    /// Where it has the value of the header.
    pub value_at: Range<usize>,
}

impl Front {
    /// Of a token of that kind, which goes into that header.
    pub fn new(
        account: &AccountId,
        header: &Header,
        held: &Held,
        kind: Kind,
        token: &Secret,
    ) -> Self {
        let [scheme, space, token] = header.value(token);
        let token_type = &held.tokens.token_type;
        let (issued_at, expires_at) = (held.issued_at.to_string(), held.expires_wall.to_string());
        let texts = [token_type, header.name.as_ref(), scheme, &issued_at, &expires_at];
        /// Names, punctuation and the account of the longest name.
        const FRAME: usize = 256;
        let room = FRAME + 2 * inner_len(token) + texts.into_iter().map(inner_len).sum::<usize>();

        let mut sheet = Sheet::new(room);
        sheet.raw("{\"account\":").text(account.as_str());
        sheet.raw(",\"kind\":").text(kind.as_str());
        sheet.raw(",\"token\":\"");
        let begin = sheet.written();
        let token_at = begin..sheet.inner(token).written();
        sheet.raw("\",\"token_type\":").text(token_type);
        sheet.raw(",\"header\":{\"name\":").text(&header.name).raw(",\"value\":\"");
        let begin = sheet.written();
        let value_at = begin..sheet.inner(scheme).raw(space).inner(token).written();
        sheet.raw("\"},\"issued_at\":").text(&issued_at);
        sheet.raw(",\"expires_at\":").text(&expires_at).raw(",\"ttl\":");
        Self { json: sheet.finish(), token_at, value_at }
    }
}

/// The JSON text after that number, where that failure is raised.
pub fn after_ttl(snapshot: &Snapshot, held: &Held, raised: Option<&ErrorBody>) -> Bytes {
    let (generation, unsaved) = (held.generation, snapshot.unsaved);
    // A body of strings and numbers always has a JSON text.
    let refresh_error = serde_json::to_string(&raised).unwrap_or_else(|_| "null".to_owned());
    let text = format!(
        ",\"generation\":{generation},\"unsaved\":{unsaved},\"refresh_error\":{refresh_error}}}"
    );
    Bytes::from(text)
}

/// Text that is wiped when the last one that shares it goes, made of `parts`.
pub fn plain(parts: &[&str]) -> Bytes {
    let mut sheet = Sheet::new(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        sheet.raw(part);
    }
    sheet.finish()
}
