//! What a token says of itself, if it is a JWT (RFC 7519).
//!
//! Nothing here is verified, and nothing is granted for it: a claim only shortens the
//! lifetime of a token, or shows that tokens belong to somebody else than before.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD_INDIFFERENT;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::member::Member;
use crate::token::Secret;

/// The claims that are looked at.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Claims {
    pub(super) exp: Member,
    pub(super) iat: Member,
    pub(super) sub: Member,
}

impl Claims {
    /// Claims of a token; `None` if it is not a JWT.
    pub(super) fn of(token: &Secret) -> Option<Self> {
        payload(token)
    }

    /// `exp - iat`, in seconds.
    pub(super) fn lifetime_secs(&self) -> Option<f64> {
        Some(self.exp.number()? - self.iat.number()?)
    }

    /// Whose token it is.
    pub(super) fn subject(&self) -> Option<Box<str>> {
        self.sub.identifier()
    }
}

/// The payload of a token, for claims that one provider alone has; `None` if it is not a JWT.
pub(super) fn payload<T: DeserializeOwned>(token: &Secret) -> Option<T> {
    let mut parts = token.expose().split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let payload = Zeroizing::new(URL_SAFE_NO_PAD_INDIFFERENT.decode(payload).ok()?);
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_and_never_demanded() {
        #[rustfmt::skip]
        let cases = [
            // name                       payload                                   exp - iat     sub
            ("all of them",               r#"{"exp":400,"iat":100,"sub":"pat"}"#,   Some(300.0),  Some("pat")),
            ("fractions of a second",     r#"{"exp":400.5,"iat":100}"#,             Some(300.5),  None),
            ("exp alone says nothing",    r#"{"exp":400,"sub":"pat"}"#,             None,         Some("pat")),
            ("a date as a string",        r#"{"exp":"400","iat":"100"}"#,           None,         None),
            ("a subject that is a number", r#"{"sub":7}"#,                          None,         Some("7")),
            ("numbers that lie close", r#"{"sub":18446744073709551615}"#,           None,         Some("18446744073709551615")),
            ("an empty subject",          r#"{"sub":""}"#,                          None,         None),
            ("a subject that is a list",  r#"{"sub":["pat"]}"#,                     None,         None),
            ("nothing",                   "{}",                                     None,         None),
        ];
        for (name, payload, lifetime, subject) in cases {
            let claims = Claims::of(&jwt(payload)).unwrap();
            assert_eq!(claims.lifetime_secs(), lifetime, "{name}");
            assert_eq!(claims.subject().as_deref(), subject, "{name}");
        }
    }

    #[test]
    fn what_is_no_jwt_has_no_claims() {
        let long = format!(r#"{{"sub":"{}"}}"#, "x".repeat(256));
        assert_eq!(Claims::of(&jwt(&long)).unwrap().subject(), None);
        let five = format!("{}.e30.e30", jwt("{}").expose());
        for token in ["", "opaque", "a.b", "a.%.c", "a.e30", &five] {
            assert!(Claims::of(&Secret::new(token)).is_none(), "{token}");
        }
    }

    fn jwt(payload: &str) -> Secret {
        let payload = URL_SAFE_NO_PAD_INDIFFERENT.encode(payload);
        Secret::new(format!("e30.{payload}.c2ln"))
    }
}
