//! Token answers, ready to be sent.
//!
//! Of all that a token answer says, only `ttl` changes between two snapshots. So the text
//! on both sides of it is written once per snapshot, and an answer is three pieces that
//! are shared with every other answer: nothing is copied, escaped or formatted. The other
//! formats share the JSON text, so that an account costs its token's length twice and no more.
//! A text is wiped when the last answer that shares it is sent and it has left the table: its
//! account was asked for in a newer snapshot, made room for another, or a reload came. Until
//! one of these the text of a replaced snapshot stays in memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hyper::Response;
use hyper::header;
use hyper::header::HeaderValue;

use crate::asking::answer::Front;
use crate::asking::answer::after_ttl;
use crate::asking::answer::plain;
use crate::asking::aws::credential_process;
use crate::front::reply;
use crate::front::reply::Body;
use crate::keeper::Directory;
use crate::keeper::Seat;
use crate::limits;
use crate::name::AccountId;
use crate::snapshot::Held;
use crate::snapshot::Snapshot;
use crate::time::Now;
use crate::token::Kind;
use crate::token::Secret;
use crate::wording;

/// In which form a token is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Format {
    /// `TokenAnswer`.
    Json,
    /// The token and nothing else.
    Raw,
    /// The HTTP header with the token, in one line.
    Header,
}

/// The written answers, of [`limits::SHEETS`] accounts at most.
#[derive(Default)]
pub(super) struct Sheets {
    directory: Option<Arc<Directory>>,
    written: BTreeMap<AccountId, [Option<Rc<Written>>; Kind::ALL.len()]>,
}

impl Sheets {
    /// The answer with the token of that kind, if `held` has one.
    pub(super) fn of(
        &mut self,
        directory: &Arc<Directory>,
        seat: &Seat,
        snapshot: &Arc<Snapshot>,
        held: &Held,
        kind: Kind,
    ) -> Option<Rc<Written>> {
        let current = self.directory.as_ref().is_some_and(|known| Arc::ptr_eq(known, directory));
        if !current {
            // Accounts that a reload removed leave no token behind.
            self.written.clear();
            self.directory = Some(directory.clone());
        }
        let slot = match kind {
            Kind::Access => 0,
            Kind::Id => 1,
            Kind::Aws => 2,
        };
        if !self.written.contains_key(&seat.account) {
            if self.written.len() >= limits::SHEETS {
                self.written.pop_first();
            }
            self.written.insert(seat.account.clone(), Default::default());
        }
        let sheets = self.written.get_mut(&seat.account)?;
        // No sheet of an older snapshot stays, of whatever kind: it holds a token that is not served
        // any more.
        let older = |sheet: &&mut Option<Rc<Written>>| {
            sheet.as_ref().is_some_and(|it| !Arc::ptr_eq(&it.snapshot, snapshot))
        };
        sheets.iter_mut().filter(older).for_each(|sheet| *sheet = None);
        let written = sheets.get_mut(slot)?;
        match written {
            Some(written) => Some(written.clone()),
            None => {
                let fresh = match kind {
                    Kind::Access | Kind::Id => {
                        let token = held.tokens.get(kind)?;
                        Rc::new(Written::new(seat, snapshot, held, kind, token))
                    }
                    Kind::Aws => Rc::new(Written::aws(seat, snapshot, held)?),
                };
                *written = Some(fresh.clone());
                Some(fresh)
            }
        }
    }
}

/// What is written of one account's token in one snapshot.
pub(super) struct Written {
    snapshot: Arc<Snapshot>,
    account: AccountId,
    etag: HeaderValue,
    /// JSON up to the number after `"ttl":`.
    before_ttl: Bytes,
    /// JSON after it.
    after_ttl: Bytes,
    raw: Bytes,
    /// The header's name and what separates it from its value.
    header_name: Bytes,
    header_value: Bytes,
}

impl Written {
    fn new(seat: &Seat, snapshot: &Arc<Snapshot>, held: &Held, kind: Kind, token: &Secret) -> Self {
        let header = seat.profile().header();
        let Front { json, token_at, value_at } =
            Front::new(&seat.account, header, held, kind, token);
        Self {
            snapshot: snapshot.clone(),
            account: seat.account.clone(),
            etag: etag(kind, held),
            raw: shared(&json, token_at, &[token.expose()]),
            header_name: Bytes::from(format!("{}: ", header.name)),
            header_value: shared(&json, value_at, &header.value(token)),
            before_ttl: json,
            after_ttl: after_ttl(snapshot, held, None),
        }
    }

    /// AWS credentials in the form that `credential_process` of the AWS programs takes. It is
    /// the same in every format: there is no header that could carry them.
    fn aws(seat: &Seat, snapshot: &Arc<Snapshot>, held: &Held) -> Option<Self> {
        let aws = held.aws.as_ref()?;
        let json = credential_process(aws);
        Some(Self {
            snapshot: snapshot.clone(),
            account: seat.account.clone(),
            etag: etag(Kind::Aws, held),
            raw: json,
            header_name: Bytes::new(),
            header_value: Bytes::new(),
            before_ttl: Bytes::new(),
            after_ttl: Bytes::new(),
        })
    }

    /// The tag of the token: it changes with kind and generation, and with nothing else.
    pub(super) const fn etag(&self) -> &HeaderValue {
        &self.etag
    }

    /// The answer at `now`, with so many whole seconds left.
    pub(super) fn response(&self, format: Format, ttl: u64, now: Now) -> Response<Body> {
        let mut response = match format {
            Format::Json if self.before_ttl.is_empty() => {
                reply::ok(reply::JSON, Body::of(self.raw.clone()))
            }
            Format::Json => {
                let ttl = Bytes::from(ttl.to_string());
                let after = self.after_ttl_at(now);
                reply::ok(reply::JSON, Body::Whole([self.before_ttl.clone(), ttl, after]))
            }
            Format::Raw => reply::ok(reply::TEXT, Body::of(self.raw.clone())),
            Format::Header => {
                let (name, value) = (self.header_name.clone(), self.header_value.clone());
                reply::ok(reply::TEXT, Body::Whole([name, value, Bytes::new()]))
            }
        };
        response.headers_mut().insert(header::ETAG, self.etag.clone());
        response
    }

    /// A raised failure says when it is told, so that text is made for each answer.
    fn after_ttl_at(&self, now: Now) -> Bytes {
        let Some(error) = wording::raised(&self.snapshot, &self.account, now) else {
            return self.after_ttl.clone();
        };
        let Some(held) = &self.snapshot.held else { return self.after_ttl.clone() };
        after_ttl(&self.snapshot, held, Some(&error))
    }
}

fn etag(kind: Kind, held: &Held) -> HeaderValue {
    let text = format!("\"{}-{}\"", kind.as_str(), held.generation);
    // A word and a number are always a header value.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// The text of `parts`: where it stands in `json`, unless JSON escapes something in it.
fn shared(json: &Bytes, at: Range<usize>, parts: &[&str]) -> Bytes {
    if at.len() == parts.iter().map(|part| part.len()).sum::<usize>() {
        json.slice(at)
    } else {
        plain(parts)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::account::TokenAnswer;
    use crate::provider::Header;
    use crate::snapshot::HeldAws;
    use crate::time::Moment;
    use crate::time::Timestamp;
    use crate::token::AwsCredentials;
    use crate::token::Generation;
    use crate::token::TokenSet;

    #[test]
    fn every_format_has_the_same_token_whatever_json_escapes_in_it() {
        let tokens = ["eyJhbGciOiJub25lIn0.e30.", "with\"quote", "back\\slash", "t\u{1}b", ""];
        for token in tokens {
            for scheme in [Some("Bearer"), Some("a\"b"), None] {
                let header =
                    Header { name: "authorization".into(), scheme: scheme.map(Into::into) };
                let value = scheme.map_or(token.to_owned(), |scheme| format!("{scheme} {token}"));

                let Front { json, token_at, value_at } = written(&header, token);
                let text = [&json[..], b"7", b",\"generation\":1,\"unsaved\":false}"].concat();
                let answer = serde_json::from_slice::<TokenAnswer>(&text).unwrap();

                assert_eq!((answer.token.as_str(), answer.header.value), (token, value.clone()));
                assert_eq!(shared(&json, token_at, &[token]), token);
                assert_eq!(shared(&json, value_at, &[&value]), value);
            }
        }
    }

    #[test]
    fn the_formats_of_a_plain_token_share_one_text() {
        let header = Header { name: "authorization".into(), scheme: Some("Bearer".into()) };
        let Front { json, token_at, value_at } = written(&header, "plain");
        let text = json.as_ptr_range();
        for (at, parts) in [(token_at, &["plain"][..]), (value_at, &["Bearer", " ", "plain"])] {
            assert!(text.contains(&shared(&json, at, parts).as_ptr()), "{parts:?}");
        }
    }

    #[test]
    fn aws_credentials_are_what_credential_process_takes() {
        let aws = HeldAws {
            credentials: Arc::new(AwsCredentials {
                access_key_id: Secret::new("AKIA"),
                secret_access_key: Secret::new("s/+\""),
                session_token: Secret::new("t"),
            }),
            issued_at: Timestamp::from_millis(0),
            lifetime: Duration::from_secs(900),
            expires_boot: Moment::from_millis(900_000),
            expires_wall: Timestamp::from_millis(900_000),
        };
        let json = serde_json::from_slice::<serde_json::Value>(&credential_process(&aws)).unwrap();
        let expected = serde_json::json!({
            "Version": 1,
            "AccessKeyId": "AKIA",
            "SecretAccessKey": "s/+\"",
            "SessionToken": "t",
            "Expiration": "1970-01-01T00:15:00Z",
        });
        assert_eq!(json, expected);
    }

    fn written(header: &Header, token: &str) -> Front {
        let account = AccountId::parse("mail").unwrap();
        let held = Held {
            tokens: Arc::new(TokenSet {
                access: Secret::new(token),
                id: None,
                token_type: "Bearer".into(),
                scope: None,
            }),
            generation: Generation(1),
            issued_at: Timestamp::from_millis(0),
            lifetime: Duration::from_secs(60),
            expires_boot: Moment::from_millis(60_000),
            expires_wall: Timestamp::from_millis(60_000),
            aws: None,
        };
        Front::new(&account, header, &held, Kind::Access, &Secret::new(token))
    }
}
