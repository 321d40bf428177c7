//! A refresh token in the remains of a reply.
//!
//! When a reply is cut off after the provider rotated, the old refresh token is spent and
//! the new one may be in what arrived. It is worth a try before a person is sent to log in.

use crate::token::Secret;

/// Finds `"NAME": "…"`, whole up to its closing quote, in what is no JSON as it stands.
pub(super) fn token_in(body: &[u8], name: &str) -> Option<Secret> {
    let name = format!("\"{name}\"");
    let at = body.windows(name.len()).position(|window| window == name.as_bytes())?;
    let (_, after) = body.split_at_checked(at + name.len())?;
    let value = after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let (text, _) = value.split_at_checked(string_length(value)?)?;
    let token = serde_json::from_slice::<String>(text).ok()?;
    (!token.is_empty()).then(|| Secret::new(token))
}

/// Length of the JSON string that `text` begins with, both quotes included.
fn string_length(text: &[u8]) -> Option<usize> {
    let inner = text.strip_prefix(b"\"")?;
    let mut escaped = false;
    for (at, byte) in inner.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 2),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_salvaged_if_its_closing_quote_arrived() {
        #[rustfmt::skip]
        let cases = [
            ("cut after it",              r#"{"refresh_token":"r2","access_tok"#,    Some("r2")),
            ("spaces around the colon",   "{\"refresh_token\" :\n \"r2\",",          Some("r2")),
            ("an escape in it",           r#"{"refresh_token":"r\/\u0032\"",""#,     Some(r#"r/2""#)),
            ("cut inside it",             r#"{"refresh_token":"r"#,                  None),
            ("cut in an escape",          r#"{"refresh_token":"r\""#,                None),
            ("cut before it",             r#"{"refresh_token":"#,                    None),
            ("empty",                     r#"{"refresh_token":"","#,                 None),
            ("null",                      r#"{"refresh_token":null,"#,               None),
            ("another member",            r#"{"old_refresh_token":"r1","#,           None),
            ("not there",                 r#"{"access_token":"a"#,                   None),
            ("a broken escape",           r#"{"refresh_token":"\x","#,               None),
        ];
        for (name, body, token) in cases {
            let got = token_in(body.as_bytes(), "refresh_token");
            assert_eq!(got.as_ref().map(Secret::expose), token, "{name}");
        }
    }
}
