//! What can go wrong with one token request, as a value.
//!
//! A fault has two halves: whether the provider decides and commits first (`after_commit`), and
//! what then reaches the client. The first half is judged in `account`, the second is put into
//! bytes by `delivery`.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

use crate::bounded::HeaderName;
use crate::bounded::HeaderText;
use crate::bounded::RetryAfter;
use crate::bounded::Status;
use crate::bounded::Within;
use crate::operation::Operation;

/// Most bytes of filler in one reply: enough to outlast any reader's limit.
const MOST_FILLER: u64 = 16 * 1024 * 1024 * 1024;
/// Most bytes that a compressed reply may unfold to; it is built in memory.
const MOST_UNFOLDED: u64 = 64 * 1024 * 1024;
/// Most bytes of header lines in one reply; they are built in memory.
const MOST_HEADERS: u64 = 16 * 1024 * 1024;
/// Most interim replies before the real one; they are built in memory.
const MOST_INTERIM: u64 = 100_000;
/// Fastest drip, in bytes a second: beyond it nothing is slow any more.
const FASTEST_DRIP: u64 = 1_000_000;

/// One scripted fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Fault {
    /// The word that the script used.
    pub(crate) name: Rc<str>,
    /// What the client gets to see.
    pub(crate) kind: Kind,
    /// Whether the request is decided and committed before the fault strikes.
    pub(crate) after_commit: bool,
    /// What a request must ask for to be struck; `None` is anything.
    on: Option<Operation>,
}

impl Fault {
    /// Whether it strikes requests that ask for `operation`.
    pub(crate) fn strikes(&self, operation: Operation) -> bool {
        self.on.is_none_or(|on| on == operation)
    }
}

/// What the client gets to see. `reference.md` explains the fields of each.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Kind {
    /// A bare HTTP status, with whatever content the script wishes.
    Status {
        status: Status,
        #[serde(default)]
        retry_after: Option<RetryAfter>,
        #[serde(default)]
        body: Option<Value>,
        #[serde(default)]
        content_type: Option<HeaderText>,
        #[serde(default)]
        headers: BTreeMap<HeaderName, HeaderText>,
    },
    /// An error reply of RFC 6749, with any code.
    Oauth {
        error: String,
        #[serde(default = "bad_request")]
        status: Status,
        #[serde(default)]
        description: Option<String>,
        #[serde(default)]
        retry_after: Option<RetryAfter>,
        #[serde(default)]
        headers: BTreeMap<HeaderName, HeaderText>,
    },
    /// An error reply in the words of the account's service, with any code.
    Refusal {
        code: Value,
        #[serde(default)]
        status: Option<Status>,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        retry_after: Option<RetryAfter>,
    },
    /// An error reply of RFC 6749 with status 200, as GitHub does.
    #[serde(rename = "error_in_200")]
    ErrorIn200 {
        error: String,
        #[serde(default)]
        description: Option<String>,
    },
    /// The page of a captive portal, with status 200.
    Html {},
    /// The same page under another status.
    HtmlStatus {
        #[serde(default = "bad_gateway")]
        status: Status,
    },
    /// Status 200 without content.
    Empty {},
    /// Less content than was announced, then an orderly close.
    Truncate {
        #[serde(default)]
        bytes: Option<usize>,
    },
    /// A TCP reset after some bytes of the reply.
    Reset {
        #[serde(default)]
        after_bytes: usize,
    },
    /// An orderly close without a byte.
    Lost {},
    /// Silence.
    Hang {},
    /// The whole reply, slowly.
    Drip { bytes_per_sec: Within<1, FASTEST_DRIP> },
    /// A reply with a member of filler.
    Huge { bytes: Within<0, MOST_FILLER> },
    /// A reply with header lines of filler.
    HugeHeaders {
        #[serde(default = "a_mebibyte")]
        bytes: Within<0, MOST_HEADERS>,
    },
    /// A small content that unfolds into a large one.
    GzipBomb {
        #[serde(default = "ten_mebibytes")]
        bytes: Within<1024, MOST_UNFOLDED>,
    },
    /// Another address to send the secret to.
    Redirect {
        #[serde(default = "temporary_redirect")]
        status: Status,
        #[serde(default)]
        location: Option<HeaderText>,
    },
    /// JSON that breaks off.
    MalformedJson {},
    /// JSON of a wrong shape: an array.
    Array {},
    /// JSON of a wrong shape: a string.
    String {},
    /// JSON of a wrong shape: null.
    Null {},
    /// Members of the reply with other values.
    WrongTypes { members: Map<String, Value> },
    /// Bytes that begin no HTTP reply.
    NotHttp {},
    /// Interim replies before the real one.
    #[serde(rename = "early_1xx")]
    Early1xx {
        #[serde(default = "once")]
        count: Within<1, MOST_INTERIM>,
    },
    /// Less content than was announced, then a close of the provider's side only.
    HalfClose {
        #[serde(default)]
        bytes: Option<usize>,
    },
    /// The reply under another `Content-Type`.
    WrongContentType {
        #[serde(default)]
        content_type: Option<HeaderText>,
    },
    /// Tokens that are somebody else's.
    OtherSubject {
        #[serde(default = "somebody_else")]
        subject: String,
    },
    /// A rotation that no rule foresees, or a refresh token that nobody issued.
    DifferentRefreshToken {
        #[serde(default = "yes")]
        valid: bool,
    },
    /// The end of the presented token's family.
    RevokedFamily {},
}

/// Why a fault cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadFault {
    #[error("a fault is an object with the member `fault`, or the bare word; got {0}")]
    Shape(Value),
    #[error("`after_commit` is true or false; got {0}")]
    AfterCommit(Value),
    #[error("`on`: {0}")]
    On(serde_json::Error),
    #[error("`{0}` changes what is granted, so its `after_commit` cannot be false")]
    AlwaysCommits(Rc<str>),
    #[error("fault `{name}`: {problem}")]
    Member { name: Rc<str>, problem: serde_json::Error },
}

impl TryFrom<Value> for Fault {
    type Error = BadFault;

    fn try_from(script: Value) -> Result<Self, BadFault> {
        let mut members = match script {
            Value::String(name) => Map::from_iter([("fault".to_owned(), Value::String(name))]),
            Value::Object(members) => members,
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
                return Err(BadFault::Shape(other));
            }
        };
        let name: Rc<str> = match members.get("fault") {
            Some(Value::String(name)) => name.as_str().into(),
            _ => return Err(BadFault::Shape(Value::Object(members))),
        };
        let after_commit = match members.remove("after_commit") {
            None => None,
            Some(Value::Bool(wish)) => Some(wish),
            Some(other) => return Err(BadFault::AfterCommit(other)),
        };
        let on =
            members.remove("on").map(serde_json::from_value).transpose().map_err(BadFault::On)?;
        if &*name == "wrong_types" {
            members = gathered(members);
        }
        let kind: Kind = serde_json::from_value(Value::Object(members))
            .map_err(|problem| BadFault::Member { name: Rc::clone(&name), problem })?;
        if after_commit == Some(false) && kind.changes_grant() {
            return Err(BadFault::AlwaysCommits(name));
        }
        let after_commit = after_commit.unwrap_or_else(|| kind.damages_reply());
        Ok(Self { name, kind, after_commit, on })
    }
}

/// `wrong_types` names the members of the reply beside the tag; they become one map.
fn gathered(mut members: Map<String, Value>) -> Map<String, Value> {
    let tag = members.remove("fault");
    if members.is_empty() {
        members.insert("access_token".to_owned(), Value::from(5));
        members.insert("expires_in".to_owned(), Value::from("soon"));
        members.insert("token_type".to_owned(), Value::Null);
    }
    Map::from_iter([
        ("fault".to_owned(), tag.unwrap_or_default()),
        ("members".to_owned(), Value::Object(members)),
    ])
}

impl Kind {
    /// Whether the fault lies in the granted tokens themselves, so that it needs a commit.
    fn changes_grant(&self) -> bool {
        matches!(
            self,
            Self::WrongTypes { .. }
                | Self::OtherSubject { .. }
                | Self::DifferentRefreshToken { .. }
                | Self::RevokedFamily {}
        )
    }

    /// Whether the fault damages the reply of a working provider (which has then committed),
    /// instead of taking the place of that reply.
    fn damages_reply(&self) -> bool {
        self.changes_grant()
            || matches!(
                self,
                Self::Truncate { .. }
                    | Self::Reset { .. }
                    | Self::Lost {}
                    | Self::Hang {}
                    | Self::Drip { .. }
                    | Self::Huge { .. }
                    | Self::HugeHeaders { .. }
                    | Self::Early1xx { .. }
                    | Self::HalfClose { .. }
                    | Self::WrongContentType { .. }
            )
    }
}

fn bad_request() -> Status {
    Status(400)
}

fn bad_gateway() -> Status {
    Status(502)
}

fn temporary_redirect() -> Status {
    Status(307)
}

fn a_mebibyte() -> Within<0, MOST_HEADERS> {
    Within(1024 * 1024)
}

fn ten_mebibytes() -> Within<1024, MOST_UNFOLDED> {
    Within(10 * 1024 * 1024)
}

fn once() -> Within<1, MOST_INTERIM> {
    Within(1)
}

fn somebody_else() -> String {
    "somebody-else".to_owned()
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fault_that_damages_a_reply_commits_first_unless_told_otherwise() {
        #[rustfmt::skip]
        let cases = [
            (json!({"fault": "lost"}),                                   true),
            (json!({"fault": "lost", "after_commit": false}),            false),
            (json!("hang"),                                              true),
            (json!({"fault": "truncate", "bytes": 20}),                  true),
            (json!({"fault": "reset", "after_bytes": 3}),                true),
            (json!({"fault": "wrong_types"}),                            true),
            (json!({"fault": "status", "status": 503}),                  false),
            (json!({"fault": "status", "status": 503, "after_commit": true}), true),
            (json!({"fault": "oauth", "error": "invalid_grant"}),        false),
            (json!("html"),                                              false),
            (json!("gzip_bomb"),                                         false),
        ];
        for (script, after_commit) in cases {
            assert_eq!(read(&script).unwrap().after_commit, after_commit, "{script}");
        }
    }

    #[test]
    fn a_wrong_script_is_refused_in_words_that_name_it() {
        #[rustfmt::skip]
        let cases = [
            (json!(7),                                              "a fault is an object"),
            (json!({"fault": "sulk"}),                              "unknown variant `sulk`"),
            (json!({"fault": "status"}),                            "missing field `status`"),
            (json!({"fault": "status", "status": 600}),             "expected 100 to 599"),
            (json!({"fault": "lost", "bytes": 1}),                  "unknown field `bytes`"),
            (json!({"fault": "lost", "after_commit": "yes"}),       "`after_commit` is true or false"),
            (json!({"fault": "lost", "on": "sleep"}),               "`on`: unknown variant `sleep`"),
            (json!({"fault": "drip", "bytes_per_sec": 0}),          "0 is out of range, expected 1"),
            (json!({"fault": "other_subject", "after_commit": false}), "cannot be false"),
            (json!({"fault": "redirect", "location": "a\r\nb"}),    "without line breaks"),
        ];
        for (script, words) in cases {
            let refusal = read(&script).unwrap_err().to_string();
            assert!(refusal.contains(words), "{script}: {refusal}");
        }
    }

    #[test]
    fn every_status_from_100_to_599_can_be_scripted() {
        for status in 100..=599_u16 {
            assert!(read(&json!({"fault": "status", "status": status})).is_ok(), "{status}");
        }
    }

    #[test]
    fn wrong_types_gathers_the_members_beside_its_tag() {
        let fault = read(&json!({"fault": "wrong_types", "expires_in": [1]})).unwrap();
        let Kind::WrongTypes { members } = fault.kind else { panic!() };
        assert_eq!(Value::Object(members), json!({"expires_in": [1]}));
    }

    fn read(script: &Value) -> Result<Fault, serde_json::Error> {
        serde_json::from_value(script.clone())
    }
}
