//! `SECRET_HASH`: how a client with a secret proves that it has one.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::provider::jwt;
use crate::provider::member::Member;
use crate::token::Secret;
use crate::token::TokenSet;

/// HMAC-SHA-256 over the user's name and the client's identifier under the client's secret,
/// in base64 (Amazon Cognito developer guide, "Computing secret hash values").
pub(super) fn secret_hash(secret: &Secret, user: &str, client_id: &str) -> Secret {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let tag = hmac::sign(&key, format!("{user}{client_id}").as_bytes());
    Secret::new(STANDARD.encode(tag))
}

/// The name by which the pool itself knows the user of these tokens. Who signed in by an
/// e-mail address has to be hashed by this name at a refresh.
pub(super) fn internal_name(held: &TokenSet) -> Option<Box<str>> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Names {
        #[serde(rename = "cognito:username")]
        of_id: Member,
        #[serde(rename = "username")]
        of_access: Member,
    }

    let of_id = held.id.as_ref().and_then(jwt::payload::<Names>);
    let of_id = of_id.and_then(|names| names.of_id.into_text());
    let name = of_id.or_else(|| jwt::payload::<Names>(&held.access)?.of_access.into_text())?;
    Some(name.expose().into())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    /// RFC 4231 section 4.3, whose text is split between the name and the identifier.
    #[test]
    fn a_hash_is_that_of_the_rfc() {
        let hash = secret_hash(&Secret::new("Jefe"), "what do ya want ", "for nothing?");
        assert_eq!(hash.expose(), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
    }

    #[test]
    fn the_pools_own_name_is_in_the_tokens() {
        #[rustfmt::skip]
        let cases = [
            // name                         ID token                          access token             found
            ("the ID token's",              r#"{"cognito:username":"u-1"}"#,  r#"{"username":"u-2"}"#,  Some("u-1")),
            ("the access token's",          "{}",                             r#"{"username":"u-2"}"#,  Some("u-2")),
            ("an ID token has another one", r#"{"username":"u-1"}"#,          "{}",                     None),
            ("a number is no name",         r#"{"cognito:username":7}"#,      "{}",                     None),
        ];
        for (name, id, access, found) in cases {
            let held = TokenSet {
                access: jwt(access),
                id: Some(jwt(id)),
                token_type: "Bearer".into(),
                scope: None,
            };
            assert_eq!(internal_name(&held).as_deref(), found, "{name}");
        }
    }

    fn jwt(payload: &str) -> Secret {
        Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload)))
    }
}
