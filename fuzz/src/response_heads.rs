//! The head of a provider's response: its dates, its patience, its redirect.
//!
//! An input is lines `name: value`. Promises: patience in seconds is what the digits say, in
//! words of any size; a date is a whole second after 1970; a head that is too large is no
//! head.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use tokenkeeper::http::head;
use tokenkeeper::provider::MAX_HEAD;
use tokenkeeper::time::Timestamp;
use url::Url;

use super::hygiene;

/// 6 November 1994, 08:49:37: the date of RFC 9110's examples.
const WALL: Timestamp = Timestamp::from_millis(784_111_777_000);

/// Reads the input as a head.
pub fn run(input: &[u8]) {
    let headers = headers(input);
    let asked = Url::parse("https://idp.example/token").expect("it is a URL");
    let size = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let fits = size.sum::<usize>() <= MAX_HEAD;
    let response = match head::read(200, &headers, &asked, WALL) {
        Ok(response) => response,
        Err(error) => {
            assert!(!fits, "{error}");
            hygiene::fault(&error);
            return;
        }
    };
    assert!(fits, "a head of more than {MAX_HEAD} bytes was read");
    let value = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    match value("retry-after").map(str::trim) {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit()) => {
            let span = response.retry_after.expect("digits are a span");
            let secs = digits.parse::<u64>().map(Duration::from_secs);
            assert!(secs.is_ok_and(|secs| secs == span) || span.as_secs() == u64::from(u32::MAX));
        }
        Some(_) => {}
        None => assert_eq!(response.retry_after, None),
    }
    let date = response.date.map(Timestamp::as_millis);
    assert!(date.is_none_or(|millis| millis >= 0 && millis % 1_000 == 0), "{date:?}");
    assert_eq!(&*response.content_type, response.content_type.to_ascii_lowercase());
    assert!(!response.content_type.contains(';'), "{}", response.content_type);
    assert!(response.location.is_none_or(|host| (1..=253).contains(&host.len())));
    assert!(response.body.is_empty() && !response.complete);
}

/// Those lines that can be lines of a head.
fn headers(input: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(at);
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        let pair = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = pair {
            headers.append(name, value);
        }
    }
    headers
}
