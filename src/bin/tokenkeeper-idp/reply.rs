//! An honest HTTP reply, and how it looks in bytes.

use std::borrow::Cow;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use url::form_urlencoded;

use crate::field::ReplyFormat;

/// One HTTP reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reply {
    /// Status code, 100 to 599.
    pub(crate) status: u16,
    /// Header lines except `Date`, `Content-Length` and `Connection`, which
    /// [`encode`](Self::encode) adds.
    pub(crate) headers: Vec<(Cow<'static, str>, String)>,
    /// The content.
    pub(crate) body: Vec<u8>,
}

/// What becomes of the connection after a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Connection {
    /// It waits for the next request.
    KeepAlive,
    /// It ends.
    Close,
}

impl Reply {
    /// A reply with content of one type.
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".into(), content_type.to_owned())];
        Self { status, headers, body: body.into() }
    }

    /// A reply in JSON.
    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// A refusal of the control interface, or of a path that is not there.
    pub(crate) fn problem(status: u16, message: &str) -> Self {
        Self::json(status, &json!({ "error": message }))
    }

    /// Members as a token endpoint sends them, never to be cached (RFC 6749, 5.1).
    pub(crate) fn members(status: u16, format: ReplyFormat, members: &Map<String, Value>) -> Self {
        let reply = match format {
            ReplyFormat::Json => {
                Self::new(status, "application/json;charset=UTF-8", object_text(members))
            }
            ReplyFormat::Form => {
                Self::new(status, "application/x-www-form-urlencoded", form_text(members))
            }
        };
        reply.header("cache-control", "no-store")
    }

    /// The same reply with one more header line.
    pub(crate) fn header(mut self, name: impl Into<Cow<'static, str>>, value: &str) -> Self {
        self.headers.push((name.into(), value.to_owned()));
        self
    }

    /// Head and content in bytes. `unix` is the time for `Date`.
    pub(crate) fn encode(&self, unix: Duration, connection: Connection) -> Vec<u8> {
        let mut bytes = self.head(unix, connection, Some(self.body.len()));
        if !bodiless(self.status) {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }

    /// The head alone, with the empty line, announcing `length` bytes of content.
    pub(crate) fn head(
        &self,
        unix: Duration,
        connection: Connection,
        length: Option<usize>,
    ) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let mut line = |name: &str, value: &str| {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        };
        line("date", &http_date(unix));
        for (name, value) in &self.headers {
            line(name, value);
        }
        if let Some(length) = length.filter(|_| !bodiless(self.status)) {
            line("content-length", &length.to_string());
        }
        if connection == Connection::Close {
            line("connection", "close");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// Whether HTTP knows no content under this status (RFC 9110, 6.4.1).
pub(crate) fn bodiless(status: u16) -> bool {
    matches!(status, 100..=199 | 204 | 304)
}

/// A time since 1970 as an HTTP date (RFC 9110, 5.6.7); the latest one that it can write is the
/// end of the year 9999.
pub(crate) fn http_date(unix: Duration) -> String {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    httpdate::fmt_http_date(UNIX_EPOCH + unix.min(LAST))
}

fn object_text(members: &Map<String, Value>) -> Vec<u8> {
    Value::Object(members.clone()).to_string().into_bytes()
}

fn form_text(members: &Map<String, Value>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in members {
        match value.as_str() {
            Some(text) => form.append_pair(name, text),
            None => form.append_pair(name, &value.to_string()),
        };
    }
    form.finish()
}

fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        103 => "Early Hints",
        200 => "OK",
        204 => "No Content",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        511 => "Network Authentication Required",
        _ => "Scripted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_announces_its_length_and_its_end() {
        let reply = Reply::new(200, "text/plain", "hello").header("x", "y");
        let bytes = reply.encode(Duration::ZERO, Connection::Close);
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-type: text/plain\r\n\
             x: y\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
        );
    }

    #[test]
    fn a_status_without_content_sends_none() {
        for status in [100, 199, 204, 304] {
            let bytes =
                Reply::new(status, "text/plain", "hello").encode(Duration::ZERO, Connection::Close);
            assert!(bytes.ends_with(b"\r\n\r\n"), "{status}");
        }
    }

    #[test]
    fn a_form_reply_encodes_what_is_not_a_string_as_json() {
        let members = json!({"a": "x y&z", "b": 3600, "c": null});
        assert_eq!(form_text(members.as_object().unwrap()), "a=x+y%26z&b=3600&c=null");
    }
}
