//! What the head of a response says, as far as an exchange wants to know it.
//!
//! A head may be too large. A header that cannot be read says nothing.

use std::time::Duration;
use std::time::UNIX_EPOCH;

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use url::Url;
use zeroize::Zeroizing;

use super::TransportError;
use crate::provider::MAX_HEAD;
use crate::provider::Response;
use crate::time::Timestamp;

/// A response to what `asked` named, whose body is not read yet.
///
/// The client has no limit for the size of a head, only for the buffer that it reads it into
/// (408 KiB), so the size is judged once it is there.
///
/// # Errors
///
/// The head is too large. Its request was sent, and what it answered is not known.
pub fn read(
    status: u16,
    headers: &HeaderMap,
    asked: &Url,
    wall: Timestamp,
) -> Result<Response, TransportError> {
    // A colon, a space and the end of the line.
    let sizes = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    if sizes.sum::<usize>() > MAX_HEAD {
        return Err(TransportError::Lost("the answer's head is larger than 16 KiB".into()));
    }
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let date = header("date").and_then(http_date);
    Ok(Response {
        status,
        content_type: header("content-type").map(media_type).unwrap_or_default(),
        retry_after: header("retry-after").and_then(|value| retry_after(value, date, wall)),
        date,
        location: header("location").and_then(|value| host_of_location(value, asked)),
        error_type: header("x-amzn-errortype").map(Box::from),
        body: Zeroizing::new(Vec::new()),
        complete: false,
    })
}

/// Resolves `Retry-After` (RFC 9110 section 10.2.3) into a span.
///
/// A date counts from the response's own `Date`, so that a wrong clock here does not matter,
/// and from `wall` where there is none. A date that is past asks for no patience.
fn retry_after(value: &str, date: Option<Timestamp>, wall: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        // Digits that do not fit are a very long time, and no reason to come sooner.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX))));
    }
    http_date(value).map(|time| time.since(date.unwrap_or(wall)))
}

/// Reads a date in any of the three forms of RFC 9110 section 5.6.7.
fn http_date(value: &str) -> Option<Timestamp> {
    let since_epoch =
        httpdate::parse_http_date(value.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::default() + since_epoch)
}

/// `Content-Type` without parameters, in lower case.
fn media_type(value: &str) -> Box<str> {
    let (bare, _parameters) = value.split_once(';').unwrap_or((value, ""));
    bare.trim().to_ascii_lowercase().into()
}

/// Host that a `Location` header names, which may be relative to the URL that was asked.
fn host_of_location(value: &str, asked: &Url) -> Option<Box<str>> {
    asked.join(value).ok()?.host_str().filter(|host| host.len() <= LONGEST_HOST).map(Box::from)
}

/// Longest name of a host, in bytes (RFC 1035 section 2.3.4).
const LONGEST_HOST: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    const NOV_6_1994: Timestamp = Timestamp::from_millis(784_111_777_000);

    #[test]
    fn patience_is_read_in_both_forms() {
        let wall = NOV_6_1994 + Duration::from_secs(1000);
        let late = NOV_6_1994 + Duration::from_secs(60);
        #[rustfmt::skip]
        let cases = [
            // name                                value                             Date              seconds
            ("seconds",                            "120",                            None,             Some(120)),
            ("seconds with space around",          " 120 ",                          None,             Some(120)),
            ("zero",                               "0",                              None,             Some(0)),
            ("more seconds than fit",              "99999999999999999999999",        None,             Some(4_294_967_295)),
            ("a date against the response's own",  "Sun, 06 Nov 1994 08:50:37 GMT",  Some(NOV_6_1994), Some(60)),
            ("a date in the form of RFC 850",      "Sunday, 06-Nov-94 08:50:37 GMT", Some(NOV_6_1994), Some(60)),
            ("a date in the form of asctime",      "Sun Nov  6 08:50:37 1994",       Some(NOV_6_1994), Some(60)),
            ("a date against the wall clock",      "Sun, 06 Nov 1994 09:50:37 GMT",  None,             Some(2660)),
            ("the same date",                      "Sun, 06 Nov 1994 08:50:37 GMT",  Some(late),       Some(0)),
            ("a date that is past",                "Sun, 06 Nov 1994 08:49:37 GMT",  Some(late),       Some(0)),
            ("a fraction",                         "1.5",                            None,             None),
            ("less than nothing",                  "-1",                             None,             None),
            ("a word",                             "soon",                           None,             None),
            ("nothing",                            "",                               None,             None),
        ];
        for (name, value, date, secs) in cases {
            let got = retry_after(value, date, wall);
            assert_eq!(got, secs.map(Duration::from_secs), "{name}");
        }
    }

    #[test]
    fn a_media_type_is_bare_and_lower_case() {
        #[rustfmt::skip]
        let cases = [
            ("application/json",                "application/json"),
            ("Application/JSON; charset=UTF-8", "application/json"),
            ("text/html ;x",                    "text/html"),
            ("",                                ""),
        ];
        for (value, bare) in cases {
            assert_eq!(&*media_type(value), bare);
        }
    }

    #[test]
    fn a_location_is_known_by_its_host_alone() {
        let asked = Url::parse("https://idp.example/token").unwrap();
        let long = format!("https://{}.example/", "x".repeat(250));
        #[rustfmt::skip]
        let cases = [
            ("https://portal.example/login?token=t", Some("portal.example")),
            ("//portal.example:8080/",               Some("portal.example")),
            ("/login",                               Some("idp.example")),
            ("https://user:pass@portal.example/",    Some("portal.example")),
            ("mailto:pat@example.org",               None),
            ("https://[",                            None),
            (&long,                                  None),
        ];
        for (value, host) in cases {
            assert_eq!(host_of_location(value, &asked).as_deref(), host, "{value}");
        }
    }
}
